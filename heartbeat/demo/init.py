"""The first process of a machine: it makes the machine's own mounts, says that it is ready, and buries the orphans.

It is process 1 of new pid, mount, network, UTS and IPC namespaces: when it is killed the kernel kills every process of
the machine in the same instant, and that is the power failure. Its parent, the guardian, only waits for it, and dies
with the world's process, whatever killed that; the first process dies with its guardian.

The one argument is a JSON object:
    world     the caller's pid
    name      the machine's name (uname -n)
    run       a folder of the caller's that becomes /run, so that sockets in it can be reached from outside
    devices   {"/dev/ttyS0": the real path of a pty's slave}
    settings  {"net/ipv4/ip_forward": "1"}   below /proc/sys
    hidden    files that this machine must not have (the caller's sendmail)
Answers its pid in the caller's pid namespace, as one line on stdout.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import sys
import time
from pathlib import Path
from typing import Any

from heartbeat.demo import namespaces
from heartbeat.demo.namespaces import MS_BIND, MS_MOVE, MS_PRIVATE, MS_REC, die_with_parent, mount

_ALL_OF_ITS_OWN = (
    namespaces.CLONE_NEWPID
    | namespaces.CLONE_NEWNS
    | namespaces.CLONE_NEWNET
    | namespaces.CLONE_NEWUTS
    | namespaces.CLONE_NEWIPC
)
_CLEARED_S = 0.5
_STANDARD_DEVICES = ("null", "zero", "full", "random", "urandom", "tty", "ptmx")


def main() -> None:
    machine = json.loads(sys.argv[1])
    die_with_parent()
    if os.getppid() != machine["world"]:
        return  # it died before we could say so
    namespaces.unshare(_ALL_OF_ITS_OWN)
    lives, guardian_lives = os.pipe()
    first = os.fork()
    if first:
        os.waitpid(first, 0)
        return
    os.close(guardian_lives)
    die_with_parent()
    if select.select([lives], [], [], 0)[0]:
        return  # the guardian died before we could say so
    try:
        _become(machine)
    except OSError:
        # where the world is being cleared away, this process is killed meanwhile
        time.sleep(_CLEARED_S)
        raise
    _bury_orphans()


def _become(machine: dict[str, Any]) -> None:
    """Make everything the machine's own and say so."""
    # /proc is still the caller's: this is what the caller must kill
    pid = os.readlink("/proc/self")
    os.chdir("/")
    # no mount of ours may reach the caller's mounts
    mount("none", "/", flags=MS_REC | MS_PRIVATE)
    socket.sethostname(machine["name"])
    _make_devices(machine["run"], machine["devices"])
    mount(machine["run"], "/run", flags=MS_BIND)
    mount("proc", "/proc", "proc")
    mount("sysfs", "/sys", "sysfs")
    for path in machine["hidden"]:
        mount("/dev/null", path, flags=MS_BIND)
    for key, value in machine["settings"].items():
        Path("/proc/sys", key).write_text(value)
    with contextlib.suppress(BrokenPipeError):  # nobody waits any more: the end is near
        os.write(sys.stdout.fileno(), f"{pid}\n".encode())


def _make_devices(scratch: str, devices: dict[str, str]) -> None:
    """A /dev of the machine's own: no /dev/log of the host (logs stay here), no serial ports but the given ones."""
    # built aside: the real /dev is the source of what goes in, and is covered at the end
    new = Path(scratch, "dev")
    new.mkdir()
    mount("dev", str(new), "tmpfs", options="mode=0755,size=1m")
    sources = {name: f"/dev/{name}" for name in _STANDARD_DEVICES}
    sources |= {Path(path).name: source for path, source in devices.items()}
    for name, source in sources.items():
        (new / name).touch()
        mount(source, str(new / name), flags=MS_BIND)
    (new / "pts").mkdir()
    mount("/dev/pts", str(new / "pts"), flags=MS_BIND | MS_REC)
    (new / "shm").mkdir()
    (new / "shm").chmod(0o1777)
    for name, target in (("fd", "fd"), ("stdin", "fd/0"), ("stdout", "fd/1"), ("stderr", "fd/2")):
        (new / name).symlink_to(f"/proc/self/{target}")
    mount(str(new), "/dev", flags=MS_MOVE)
    new.rmdir()


def _bury_orphans() -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
    while True:
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            pass
        signal.sigwait({signal.SIGCHLD})


if __name__ == "__main__":
    main()
