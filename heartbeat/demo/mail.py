"""A machine's mail server: enough of SMTP (RFC 5321) for a notifier, on port 25, keeping every mail it is given.

Mails go to a file, one JSON object a line: {"received_ns", "sender", "recipients", "data"}. The file is on the
machine's disk: what arrived before a power failure is still there after it.
"""

from __future__ import annotations

import contextlib
import email
import json
import os
import socket
import socketserver
import sys
from pathlib import Path

from heartbeat.demo.clock import now_ns

PORT = 25
_LINE_LIMIT = 4096
_MAIL_LIMIT_OCTETS = 1 << 20


class Mail:
    """One mail as it arrived; data: header and body."""

    def __init__(self, received_ns: int, sender: str, recipients: list[str], data: str) -> None:
        self.received_ns = received_ns
        self.sender = sender
        self.recipients = recipients
        self.data = data

    @property
    def subject(self) -> str:
        return str(email.message_from_string(self.data)["Subject"] or "")

    def __repr__(self) -> str:
        return f"Mail({self.subject!r} to {', '.join(self.recipients)})"


def read(path: Path) -> list[Mail]:
    """The mails in a file, oldest first; none where there is no file."""
    try:
        lines = path.read_text().splitlines(keepends=True)
    except FileNotFoundError:
        return []
    # a line without its end is still being written
    return [Mail(**json.loads(line)) for line in lines if line.endswith("\n")]


class _Session(socketserver.StreamRequestHandler):
    """One SMTP dialogue."""

    def handle(self) -> None:
        self._envelope()
        self._say("220 ready")
        while line := self.rfile.readline(_LINE_LIMIT):
            verb, _, argument = line.decode(errors="replace").strip().partition(" ")
            match verb.upper():
                case "HELO" | "EHLO":
                    self._say("250 hello")
                case "MAIL":
                    self._envelope(_address(argument))
                    self._say("250 ok")
                case "RCPT":
                    self._recipients.append(_address(argument))
                    self._say("250 ok")
                case "DATA":
                    self._data()
                case "RSET":
                    self._envelope()
                    self._say("250 ok")
                case "NOOP":
                    self._say("250 ok")
                case "QUIT":
                    self._say("221 bye")
                    return
                case _:
                    self._say("502 not known here")

    def _envelope(self, sender: str = "") -> None:
        self._sender = sender
        self._recipients: list[str] = []

    def _say(self, answer: str) -> None:
        self.wfile.write(f"{answer}\r\n".encode())

    def _data(self) -> None:
        if not self._recipients:
            self._say("503 no recipient")
            return
        self._say("354 go on")
        lines: list[bytes] = []
        octets = 0
        while True:
            line = self.rfile.readline(_LINE_LIMIT)
            octets += len(line)
            if not line or octets > _MAIL_LIMIT_OCTETS:
                return
            if line.rstrip(b"\r\n") == b".":
                break
            # RFC 5321 §4.5.2
            lines.append(line.removeprefix(b"."))
        data = b"".join(lines).decode(errors="replace").replace("\r\n", "\n")
        assert isinstance(self.server, Server)
        self.server.keep(Mail(now_ns(), self._sender, self._recipients, data))
        self._say("250 kept")


class Server(socketserver.ThreadingTCPServer):
    """Listens on every address of the machine, IPv6 too where it is to be had: "localhost" may be either."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, path: Path, port: int = PORT) -> None:
        dual = socket.has_dualstack_ipv6()
        self.address_family = socket.AF_INET6 if dual else socket.AF_INET
        self._path = path
        super().__init__(("", port), _Session)

    def server_bind(self) -> None:
        if self.address_family == socket.AF_INET6:
            self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        super().server_bind()

    def keep(self, mail: Mail) -> None:
        with self._path.open("a") as file:
            # in one write: sessions run in threads
            file.write(json.dumps(vars(mail)) + "\n")


def _address(argument: str) -> str:
    """From "TO:<alerts@example.org>"."""
    return argument.partition(":")[2].strip().partition(" ")[0].strip("<>")


def main() -> None:
    server = Server(Path(sys.argv[1]))
    with contextlib.suppress(BrokenPipeError):  # nobody waits any more: the end is near
        os.write(sys.stdout.fileno(), b"ready\n")
    server.serve_forever()


if __name__ == "__main__":
    main()
