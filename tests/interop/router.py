"""A router of a pair: a machine on which either program runs, at the places where operators have their files.

    its disk                     stands, in the machine, at
    NAME/etc/ha.d                /etc/ha.d            with what the package puts there
    NAME/var/lib/heartbeat       /var/lib/heartbeat
    NAME/var/log                 /var/log
    (none: new at each start)    /run, and with it /var/run and /var/lock

Rules: the disk survives a power failure; which program runs is decided at each start of the daemon, so a router can be
moved from one to the other and keep its disk. What could reach beyond the machine is taken away from it: the original
reboots a box that can't stop a resource, and sets how the kernel names core dumps, which is one setting for all.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from heartbeat.demo.machine import Machine

if TYPE_CHECKING:
    from interop.program import Program

    from heartbeat.demo.cable import End
    from heartbeat.demo.network import Interface, Switches
    from heartbeat.demo.seed import Files

LOG, DEBUG_LOG = "/var/log/ha-log", "/var/log/ha-debug"
STOP_S = 90.0
# As the original's main process shows in a list of processes.
MAIN_TITLE = "heartbeat: master control process"
COMMAND_S = 20.0
_OWN = ("etc/ha.d", "var/lib/heartbeat", "var/log")
# mode, owner and name of the folders that systemd-tmpfiles makes at a boot
_RUN_FOLDERS = """
install -d /run/lock
install -d -m 750 -o hacluster -g haclient /run/heartbeat /run/heartbeat/ccm /run/heartbeat/crm /run/heartbeat/dopd
install -d -m 1755 /run/resource-agents
"""
_NOT_THE_HOST = """
for each in reboot halt poweroff shutdown init telinit; do
    for folder in /sbin /usr/sbin; do
        [ ! -e $folder/$each ] || mount --bind /bin/true "$(readlink -f $folder/$each)"
    done
done
mount --bind /proc/sys/kernel /proc/sys/kernel
mount -o remount,bind,ro /proc/sys/kernel
"""


class Router(Machine):
    """files: the operator's three; program: what `start_daemon` starts."""

    def __init__(
        self,
        name: str,
        folder: Path,
        switches: Switches,
        interfaces: Sequence[Interface],
        *,
        program: Program,
        files: Files,
        routes: Sequence[tuple[str, str]] = (),
        serial: Mapping[str, End] | None = None,
    ) -> None:
        super().__init__(name, folder, switches, interfaces, routes=routes, serial=serial, router=True)
        self.program = program
        self.daemon: subprocess.Popen[str] | None = None
        for own in _OWN:
            (self.disk / own).mkdir(parents=True)
        for own in ("etc/ha.d", "var/lib/heartbeat"):
            # owners and modes too: parts of the original give up their rights, and must still get in
            subprocess.run(["cp", "--archive", f"/{own}/.", str(self.disk / own)], check=True)
        self.install(files)

    def install(self, files: Files) -> None:
        """Write the three files."""
        folder = self.disk / "etc/ha.d"
        (folder / "ha.cf").write_text(files.ha_cf)
        (folder / "haresources").write_text(files.haresources)
        (folder / "authkeys").write_text(files.authkeys)
        (folder / "authkeys").chmod(0o600)

    def power_on(self) -> None:
        """Without a daemon. OSError."""
        super().power_on()
        mounts = "".join(f"mount --bind '{self.disk / own}' /{own}\n" for own in _OWN)
        done = self.run(["sh", "-ec", mounts + _RUN_FOLDERS + _NOT_THE_HOST])
        if done.returncode:
            self.power_off()
            raise OSError(f"{self.name} has not come up: {done.stderr.strip()}")

    def power_off(self) -> None:
        super().power_off()
        self._bury()

    # the daemon

    def start_daemon(self) -> None:
        with self.output_path.open("a") as output:
            self.daemon = self.popen(self.program.daemon, stdout=output, stderr=output)

    def main_pid(self) -> int | None:
        """The daemon's main process, as this process sees it. An original that has restarted itself is another process
        than the one that was started, and calls itself by what it is."""
        if not self.on:
            return None
        started = None if self.daemon is None or self.daemon.poll() is not None else self.pid_of(self.daemon)
        named = (pid for pid, line in self.processes().items() if line[0].startswith(MAIN_TITLE))
        return started or next(named, None)

    @property
    def running(self) -> bool:
        """Is there a daemon that has not ended?"""
        return self.main_pid() is not None

    def stop_daemon(self) -> int:
        """What a service manager does: SIGTERM, and wait. The exit code of what was started. TimeoutError."""
        self._end_daemon(signal.SIGTERM)
        return self._bury()

    def kill_daemon(self) -> None:
        """SIGKILL for the daemon's main process alone, and wait until whatever it had started for itself has ended."""
        self._end_daemon(signal.SIGKILL)
        self._bury()

    def _end_daemon(self, number: signal.Signals) -> None:
        pid = self.main_pid()
        if pid is None:
            raise OSError(f"no daemon runs at {self.name}")
        os.kill(pid, number)
        end = time.monotonic() + STOP_S
        while Path(f"/proc/{pid}").exists() or any(map(self._of_a_daemon, self.processes().values())):
            if time.monotonic() > end:
                lines = [" ".join(line) for line in self.processes().values()]
                raise TimeoutError(f"{self.name}: {STOP_S:.0f} s after {number.name} there are still {lines}")
            time.sleep(0.02)

    def _of_a_daemon(self, line: list[str]) -> bool:
        return line[0].startswith("heartbeat: ") or line[: len(self.program.daemon)] == list(self.program.daemon)

    def _bury(self) -> int:
        code = 0
        if self.daemon is not None:
            self.daemon.send_signal(signal.SIGCONT)  # nsenter stops itself when its child is stopped
            code = self.daemon.wait()
        self.daemon = None
        return code

    # its tools and what it says

    def command(self, *words: str, timeout_s: float = COMMAND_S) -> subprocess.CompletedProcess[str]:
        """One of its program's commands. subprocess.TimeoutExpired."""
        return self.run(self.program.command(*words), timeout_s=timeout_s)

    def says(self, *words: str) -> str:
        """The first line that `cl_status WORDS` prints; "" where it says nothing, is not there, or takes too long."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            lines = self.command("cl_status", *words).stdout.splitlines()
            return lines[0].strip() if lines else ""
        return ""

    @property
    def output_path(self) -> Path:
        return self.disk / "output"

    @property
    def log_path(self) -> Path:
        return Path(f"{self.disk}{LOG}")

    def log(self, since: int = 0) -> str:
        """From that octet on. What it wrote to its standard output only is in `output_path`."""
        if not self.log_path.exists():
            return ""
        with self.log_path.open("rb") as log:
            log.seek(since)
            return log.read().decode(errors="replace")

    def log_size(self) -> int:
        return os.stat(self.log_path).st_size if self.log_path.exists() else 0
