"""The three files of a sound configuration, to be changed one thing at a time, on a machine that is made up."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from heartbeat.config import Config, ConfigError, load, machine

HA_CF = """\
logfacility local0
keepalive 1
deadtime 10
warntime 5
initdead 20
udpport 694
bcast eth0
auto_failback on
node julius
node caesar
"""


class Files:
    """A directory with ha.cf, haresources and authkeys; None: the file is not there."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.ha_cf: str | bytes | None = HA_CF
        self.haresources: str | bytes | None = "julius 10.0.0.254\n"
        self.authkeys: str | bytes | None = "auth 1\n1 sha1 secret\n"
        self.authkeys_mode = 0o600

    def replace(self, directive: str, line: str) -> None:
        """Another line in the place of a directive's, "" for none."""
        lines = self.ha_cf.splitlines()
        assert sum(known.split()[0] == directive for known in lines) == 1, directive
        self.ha_cf = "\n".join(line if known.split()[0] == directive else known for known in lines) + "\n"

    def add(self, *lines: str) -> None:
        self.ha_cf += "".join(f"{line}\n" for line in lines)

    def write(self) -> str:
        for name, content in (("ha.cf", self.ha_cf), ("haresources", self.haresources), ("authkeys", self.authkeys)):
            path = self.directory / name
            path.unlink(missing_ok=True)
            if content is not None:
                path.write_bytes(content.encode() if isinstance(content, str) else content)
                path.chmod(self.authkeys_mode if name == "authkeys" else 0o644)
        return os.fspath(self.directory)

    def load(self, **options: object) -> Config:
        return load(self.write(), **{"node": "julius", **options})

    def errors(self, **options: object) -> list[str]:
        """What load() refuses the files for, without the directory; every text has the form file:line: text."""
        with pytest.raises(ConfigError) as caught:
            self.load(**options)
        assert str(caught.value) == "\n".join(caught.value.errors)
        return self.bare(caught.value.errors)

    def warnings(self, **options: object) -> list[str]:
        return self.bare(self.load(**options).warnings)

    def bare(self, texts: tuple[str, ...]) -> list[str]:
        prefix = f"{self.directory}/"
        bare = [text.removeprefix(prefix) for text in texts]
        for text in bare:
            name, number, message = text.split(":", 2)
            assert name in ("ha.cf", "haresources", "authkeys"), text
            assert int(number) >= 1, text
            assert message.startswith(" "), text
            assert len(message) > 10, text
        return bare


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


@pytest.fixture(autouse=True)
def made_up_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """eth0 and eth1 broadcast and have addresses, ppp0 does neither; one host has a name; services are our own."""
    there = {"eth0", "eth1", "ppp0"}
    hosts = {"caesar.example": "10.0.0.2"}
    services = tmp_path / "services"
    services.write_text("domain 53/tcp\ndomain 53/udp # names\n\nha-odd  700/udp odd-alias\n")

    def interface_problem(name: str) -> str | None:
        return None if name in there else f"there is no interface {name}"

    def broadcast_problem(name: str) -> str | None:
        return interface_problem(name) or ("ppp0 cannot broadcast" if name == "ppp0" else None)

    monkeypatch.setattr(machine, "interface_problem", interface_problem)
    monkeypatch.setattr(machine, "broadcast_problem", broadcast_problem)
    monkeypatch.setattr(machine, "has_ipv4", lambda name: name in there - {"ppp0"})
    monkeypatch.setattr(machine, "has_ipv6", lambda name: name in there - {"ppp0"})
    monkeypatch.setattr(machine, "resolve", hosts.get)
    monkeypatch.setattr(machine, "resolve_6", lambda host: None)
    monkeypatch.setattr(machine, "SERVICES", os.fspath(services))
