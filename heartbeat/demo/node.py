"""A machine that runs the daemon: its files, its commands, its mail server, and what its status says."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING, Any

from heartbeat import control
from heartbeat.demo import mail
from heartbeat.demo.machine import Machine

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from heartbeat.demo.cable import End
    from heartbeat.demo.network import Interface, Switches
    from heartbeat.demo.seed import Files

_ANSWER_TIMEOUT_S = 5.0


class Node(Machine):
    """All dirs are the machine's own: files and state on its disk, sockets and locks in its /run.

    The commands find them by the HEARTBEAT_… variables of the machine's environment, so each is run with no options.
    """

    def __init__(
        self,
        name: str,
        folder: Path,
        switches: Switches,
        interfaces: Sequence[Interface],
        *,
        files: Files,
        divisor: int,
        routes: Sequence[tuple[str, str]] = (),
        serial: Mapping[str, End] | None = None,
    ) -> None:
        super().__init__(name, folder, switches, interfaces, routes=routes, serial=serial, router=True)
        self.divisor = divisor
        self.config_folder = self.disk / "etc/ha.d"
        self.state_folder = self.disk / "var/lib/heartbeat"
        self.log_path = self.disk / "log"
        self.mail_path = self.disk / "mail"
        self.daemon: subprocess.Popen[str] | None = None
        self._mail_server: subprocess.Popen[str] | None = None
        self.config_folder.mkdir(parents=True)
        self.state_folder.mkdir(parents=True)
        self.environment |= {
            "HEARTBEAT_CONFIG_DIR": str(self.config_folder),
            "HEARTBEAT_RUN_DIR": "/run/heartbeat",
            "HEARTBEAT_STATE_DIR": str(self.state_folder),
            "HEARTBEAT_LOCK_DIR": "/run/lock",
        }
        self.install(files)

    def install(self, files: Files) -> None:
        """Write the three files; a running daemon sees them at its next start or reload."""
        (self.config_folder / "ha.cf").write_text(files.ha_cf)
        (self.config_folder / "haresources").write_text(files.haresources)
        authkeys = self.config_folder / "authkeys"
        authkeys.write_text(files.authkeys)
        authkeys.chmod(0o600)

    def power_on(self) -> None:
        super().power_on()
        (self.run_folder / "lock").mkdir()

    def power_off(self) -> None:
        super().power_off()
        for process in (self.daemon, self._mail_server):
            if process:
                process.send_signal(signal.SIGCONT)  # nsenter stops itself when its child is stopped
                process.wait()
        self.daemon = self._mail_server = None

    def start_daemon(self, *options: str) -> None:
        """`heartbeat run` in the foreground, its log to `log_path`. It ends with the machine, or by `stop_daemon`."""
        argv = [sys.executable, "-m", "heartbeat.cli", "run", *options]
        if self.divisor != 1:
            argv += ["--time-divisor", str(self.divisor)]
        with self.log_path.open("a") as log:
            self.daemon = self.popen(argv, stdout=log, stderr=log)

    def stop_daemon(self, timeout_s: float = 45) -> int:
        """SIGTERM, and wait. Its exit code. subprocess.TimeoutExpired."""
        assert self.daemon
        self.kill(self.daemon, signal.SIGTERM)
        code = self.daemon.wait(timeout_s)
        self.daemon = None
        return code

    def signal_daemon(self, number: signal.Signals) -> None:
        assert self.daemon
        self.kill(self.daemon, number)

    def command(self, *words: str, timeout_s: float = 30) -> subprocess.CompletedProcess[str]:
        """One of the installed commands, as the operator types it: `command("hb_standby")`."""
        command, *arguments = words
        return self.run([str(Path(sysconfig.get_path("scripts"), command)), *arguments], timeout_s=timeout_s)

    def ask(self, request: str, **arguments: str) -> dict[str, Any]:
        """One request on the control socket and its reply, without starting a process. OSError, NotRunning."""
        # through /proc: a folder's name may be long, but a socket's address holds 107 octets
        folder = os.open(self.run_folder, os.O_PATH | os.O_DIRECTORY)
        try:
            path = f"/proc/self/fd/{folder}/heartbeat/control"
            return control.ask(path, {"request": request} | arguments, _ANSWER_TIMEOUT_S)
        finally:
            os.close(folder)

    def status(self) -> dict[str, Any] | None:
        """As `heartbeat status --json`; None where no daemon answers (yet)."""
        try:
            return self.ask("status").get("status")
        except (OSError, control.NotRunning):
            return None

    def is_stable(self) -> bool:
        return bool((self.status() or {}).get("stable"))

    def link(self, peer: str, medium: str) -> str:
        """What this node says of its link to `peer` over that medium: "up", "dead"; "unknown" where it says nothing."""
        nodes = (self.status() or {}).get("nodes", {})
        return str(nodes.get(peer, {}).get("links", {}).get(medium, "unknown"))

    def start_mail_server(self) -> None:
        self._mail_server = self.popen(
            [sys.executable, "-m", "heartbeat.demo.mail", str(self.mail_path)], stdout=subprocess.PIPE
        )
        assert self._mail_server.stdout
        with self._mail_server.stdout as answer:
            if not answer.readline():
                raise OSError(f"the mail server of {self.name} did not start; its messages are above")

    def mails(self, since_ns: int = 0) -> list[mail.Mail]:
        return [each for each in mail.read(self.mail_path) if each.received_ns >= since_ns]

    def log(self) -> str:
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""
