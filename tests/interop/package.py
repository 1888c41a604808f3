"""The original: Debian's package `heartbeat` 3.0.6, a program that is run here and never read.

It is installed when it is first needed, from apt, with nothing that the package brings being started, now or at the
next boot. Beyond the package and what it depends on the host keeps nothing: policy-rc.d, which holds services back
while packages are installed, is afterwards what it was before, and that also where an installation was killed.

    python tests/interop/package.py         installs it; says why it can't, exit code 1
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

NAME = "heartbeat"
VERSION = "3.0.6"
# Its agent for addresses calls ifconfig, and the package doesn't say so.
ALSO = {"ifconfig": "net-tools"}
# What it would start with the machine; its own daemon finds no ha.cf and ends, the other would stay.
UNITS = ("heartbeat.service", "logd.service")
CONFIG_FOLDER = Path("/etc/ha.d")
POLICY = Path("/usr/sbin/policy-rc.d")
_SET_ASIDE = POLICY.with_name("policy-rc.d.set-aside-by-heartbeat-tests")
_INSTALL_S = 600


class UnavailableError(Exception):
    """Why there is no original on this machine."""


@cache
def obstacle() -> str:
    """Why nothing can be tried with the original here; empty when it can. Installs it."""
    if os.geteuid():
        return "it needs root"
    try:
        make_available()
    except (UnavailableError, OSError) as error:
        return str(error)
    return ""


def make_available() -> None:
    """UnavailableError, OSError."""
    if not installed() or _missing():
        # two runs at a time: the second waits for what the first installs
        lock = os.open(POLICY.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not installed() or _missing():
                _install()
        finally:
            os.close(lock)
    if not installed().partition(":")[2].startswith(VERSION):
        raise UnavailableError(f"the package {NAME} that is installed is {installed()}, and not {VERSION}")
    if (CONFIG_FOLDER / "ha.cf").exists():
        raise UnavailableError(f"this machine has a cluster of its own ({CONFIG_FOLDER}/ha.cf)")


def installed(name: str = NAME) -> str:
    """The package's version, "1:3.0.6-13"; empty where it isn't, or not wholly."""
    if shutil.which("dpkg-query") is None:
        return ""
    argv = ["dpkg-query", "--show", "--showformat", "${db:Status-Status} ${Version}", name]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    status, _, version = done.stdout.partition(" ")
    return version if status == "installed" else ""


def _missing() -> list[str]:
    """Packages with what it calls."""
    path = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"
    return [name for command, name in ALSO.items() if shutil.which(command, path=path) is None]


def _install() -> None:
    if shutil.which("apt-get") is None:
        raise UnavailableError("there is no apt, from which it would be installed")
    if not _candidate():
        _apt("apt-get", "-qq", "update")
    if not _candidate().partition(":")[2].startswith(VERSION):
        raise UnavailableError(f"apt has no package {NAME} {VERSION}")
    print(f"installing {NAME} {_candidate()}", file=sys.stderr)
    with _nothing_starts():
        _apt("apt-get", "-qq", "install", "-y", "--no-install-recommends", NAME, *_missing())
    if shutil.which("systemctl") is not None:
        # where no systemd runs it changes links alone, and that is all that is wanted
        subprocess.run(["systemctl", "--quiet", "disable", *UNITS], capture_output=True, check=False)


def _candidate() -> str:
    """The version that apt would install; empty where it has none."""
    done = subprocess.run(
        ["apt-cache", "policy", NAME], capture_output=True, text=True, check=False, env=os.environ | {"LC_ALL": "C"}
    )
    found = [line.split()[1] for line in done.stdout.splitlines() if line.strip().startswith("Candidate:")]
    return found[0] if found and found[0] != "(none)" else ""


def _apt(*argv: str) -> None:
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C"}
    try:
        done = subprocess.run(
            argv, capture_output=True, text=True, check=False, env=environment, timeout=_INSTALL_S,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise UnavailableError(f"{' '.join(argv)} did not end within {_INSTALL_S} s") from error
    if done.returncode:
        last = (done.stderr or done.stdout).strip().splitlines()[-3:]
        raise UnavailableError(f"{' '.join(argv)} failed: {' / '.join(last)}")


@contextlib.contextmanager
def _nothing_starts() -> Iterator[None]:
    """The scripts of packages ask policy-rc.d; 101 is "forbidden"."""
    _restore()
    if POLICY.exists():
        POLICY.rename(_SET_ASIDE)
    POLICY.write_text("#!/bin/sh\n# of a test that installs a package; it goes again\nexit 101\n")
    POLICY.chmod(0o755)
    try:
        yield
    finally:
        POLICY.unlink(missing_ok=True)
        _restore()


def _restore() -> None:
    if _SET_ASIDE.exists():
        _SET_ASIDE.rename(POLICY)


if __name__ == "__main__":
    if obstacle():
        sys.exit(obstacle())
    print(installed())
