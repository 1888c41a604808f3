"""One machine: processes, mounts, a name and network interfaces of its own; a disk that survives a power failure.

Rules: it touches nothing outside its own namespaces and its folder; when the world's process dies, however it dies,
the machine dies with it (PR_SET_PDEATHSIG, down to its process 1).
"""

from __future__ import annotations

import contextlib
import ipaddress
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import IO, TYPE_CHECKING

from heartbeat.demo import namespaces
from heartbeat.demo.network import netlink

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pyroute2 import IPRoute

    from heartbeat.demo.cable import End
    from heartbeat.demo.network import Interface, Switches

# A mail must go to the machine's own SMTP server, never out through the caller's sendmail.
_SENDMAILS = ("/usr/sbin/sendmail", "/usr/lib/sendmail", "/usr/bin/sendmail")

_SETTINGS = {
    # a static IPv6 address is usable at once: nobody else is on these networks
    "net/ipv6/conf/all/accept_dad": "0",
    "net/ipv6/conf/default/accept_dad": "0",
    "net/ipv4/conf/all/rp_filter": "0",
    "net/ipv4/conf/default/rp_filter": "0",
}
_ROUTER_SETTINGS = {"net/ipv4/ip_forward": "1", "net/ipv6/conf/all/forwarding": "1"}


class Machine:
    """name: its uname -n; folder: where its disk and /run go; routes: (destination, gateway); serial: device → end.

    router: it forwards.
    """

    def __init__(
        self,
        name: str,
        folder: Path,
        switches: Switches,
        interfaces: Sequence[Interface],
        *,
        routes: Sequence[tuple[str, str]] = (),
        serial: Mapping[str, End] | None = None,
        router: bool = False,
    ) -> None:
        self.name = name
        self.interfaces = tuple(interfaces)
        self.serial = dict(serial or {})
        self.environment = {"PATH": os.environ.get("PATH", os.defpath), "HOME": "/root", "LANG": "C.UTF-8"}
        self._routes = tuple(routes)
        self._router = router
        self._switches = switches
        self.disk = folder / name
        self.disk.mkdir()
        self.run_folder = folder / f"{name}.run"
        self._guardian: subprocess.Popen[str] | None = None
        self._pid = 0  # of its first process, as this process sees it; 0 is none (and to kill(2) our whole group)
        self._network = -1
        self._plugs: dict[str, int] = {}

    @property
    def on(self) -> bool:
        return self._guardian is not None

    def power_on(self) -> None:
        """A new kernel state: interfaces with their static addresses, an empty /run, no processes. OSError."""
        if self.on:
            raise ValueError(f"{self.name} is on already")
        self.run_folder.mkdir()
        self._start_first_process()
        self._network = namespaces.network_of(self._pid)
        for interface in self.interfaces:
            self._plugs[interface.name] = self._switches.plug(interface, self._pid)
        self._configure_network()

    def power_off(self) -> None:
        """The plug is pulled: cables dead, all processes killed, links down, in one instant; then the remains go."""
        if self._guardian is None:
            return
        for end in self.serial.values():
            end.unplug()
        if self._pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._pid, signal.SIGKILL)
        else:  # it was just being switched on: its first process dies with the guardian
            self._guardian.kill()
        for plug in self._plugs.values():
            self._switches.pull(plug)
        for plug in self._plugs.values():
            self._switches.remove(plug)
        self._plugs.clear()
        self._guardian.wait()
        self._guardian = None
        self._pid = 0
        if self._network != -1:
            os.close(self._network)
            self._network = -1
        shutil.rmtree(self.run_folder)

    def pull(self, interface: str) -> None:
        """Pull the network plug of one interface."""
        self._switches.pull(self._plugs[interface])

    def push(self, interface: str) -> None:
        self._switches.push(self._plugs[interface])

    def popen(
        self,
        argv: Sequence[str],
        *,
        stdout: int | IO[str] | None = None,
        stderr: int | IO[str] | None = None,
        pass_fds: Sequence[int] = (),
    ) -> subprocess.Popen[str]:
        """Start a process on the machine. The `Popen` is nsenter's, which waits for it; `pid_of` gives its own pid."""
        enter = ["nsenter", f"--target={self._pid}", "--root", "--wd", "--mount", "--uts", "--ipc", "--net", "--pid"]
        return subprocess.Popen(
            [*enter, "--", *argv], stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr, pass_fds=pass_fds,
            env=self.environment, start_new_session=True, text=True,
        )  # fmt: skip

    def run(self, argv: Sequence[str], *, timeout_s: float = 30) -> subprocess.CompletedProcess[str]:
        """Run a command on the machine to its end. subprocess.TimeoutExpired."""
        process = self.popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        with process:
            try:
                output, errors = process.communicate(timeout=timeout_s)
            except subprocess.TimeoutExpired:
                self.kill(process, signal.SIGKILL)
                raise
        return subprocess.CompletedProcess(list(argv), process.returncode, output, errors)

    def processes(self) -> dict[int, list[str]]:
        """Every process of the machine but its first: pid (as this process sees it) → command line."""
        machine = os.stat(f"/proc/{self._pid}/ns/pid").st_ino
        found = {}
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit() or int(entry.name) == self._pid:
                continue
            with contextlib.suppress(OSError):  # it ended while we looked
                if (entry / "ns/pid").stat().st_ino == machine:
                    line = (entry / "cmdline").read_bytes().decode(errors="replace")
                    found[int(entry.name)] = line.rstrip("\0").split("\0")
        return found

    def pid_of(self, process: subprocess.Popen[str]) -> int | None:
        """The pid, as this process sees it, of what `popen` started; None when it has ended."""
        try:
            children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        except OSError:
            return None
        return int(children[0]) if children else None

    def kill(self, process: subprocess.Popen[str], number: signal.Signals) -> None:
        pid = self.pid_of(process)
        if pid is not None:
            os.kill(pid, number)
        if number == signal.SIGCONT:
            process.send_signal(number)  # nsenter stops itself when its child is stopped

    @contextlib.contextmanager
    def netlink(self) -> Iterator[IPRoute]:
        with netlink(self._network) as ip:
            yield ip

    @contextlib.contextmanager
    def inside(self) -> Iterator[None]:
        """Sockets that this thread opens within are the machine's."""
        with namespaces.inside(self._network):
            yield

    def addresses(self) -> set[str]:
        """What the machine's kernel holds, "10.0.0.2/24", loopback left out; empty when it is off."""
        if not self.on:
            return set()
        with self.netlink() as ip:
            loopback = ip.link_lookup(ifname="lo")[0]
            return {
                f"{entry.get_attr('IFA_LOCAL') or entry.get_attr('IFA_ADDRESS')}/{entry['prefixlen']}"
                for entry in ip.get_addr()
                if entry["index"] != loopback
            }

    def holds(self, address: str) -> bool:
        """Does its kernel have this address ("10.0.0.254"), whatever the prefix length?"""
        return any(held.partition("/")[0] == address for held in self.addresses())

    def _start_first_process(self) -> None:
        devices = {path: end.plug() for path, end in self.serial.items()}
        machine = {
            "world": os.getpid(),
            "name": self.name,
            "run": str(self.run_folder),
            "devices": devices,
            "settings": _SETTINGS | (_ROUTER_SETTINGS if self._router else {}),
            "hidden": [path for path in _SENDMAILS if os.path.exists(path)],
        }
        self._guardian = subprocess.Popen(
            [sys.executable, "-m", "heartbeat.demo.init", json.dumps(machine)],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, start_new_session=True,
        )  # fmt: skip
        assert self._guardian.stdout
        with self._guardian.stdout as answer:
            line = answer.readline()
        if not line:
            self._guardian.wait()
            self._guardian = None
            shutil.rmtree(self.run_folder)
            raise OSError(f"{self.name} did not start: it needs root, or a user namespace, and its messages are above")
        self._pid = int(line)

    def _configure_network(self) -> None:
        with self.netlink() as ip:
            ip.link("set", index=ip.link_lookup(ifname="lo")[0], state="up")
            for interface in self.interfaces:
                (index,) = ip.link_lookup(ifname=interface.name)
                ip.link("set", index=index, state="up")
                if interface.address:
                    add_address(ip, index, interface.address)
            for destination, gateway in self._routes:
                ip.route("add", dst=destination, gateway=gateway)


def add_address(ip: IPRoute, index: int, address: str) -> None:
    """Add "10.0.0.2/24" to the interface of that index, with the network's broadcast address for IPv4."""
    host, _, length = address.partition("/")
    options = {} if ":" in host else {"broadcast": str(ipaddress.ip_interface(address).network.broadcast_address)}
    ip.addr("add", index=index, address=host, prefixlen=int(length), **options)
