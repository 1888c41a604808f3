"""Any octets, from several clients that come, go, flood and do not read: the real control socket, the daemon's own
handler of requests and a real core behind them answer every line with one line or close the connection, take a bounded
amount of memory, and go on answering others.

    input   pieces between separators: whose they are and how (one octet), then what is sent
            3: which client   4: closes then   8: will send no more   16: does not read   32: may only look
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
from types import SimpleNamespace
from typing import Any

from fuzz import files
from fuzz.choices import SEPARATOR
from pair import JULIUS, World

from heartbeat import daemon
from heartbeat.control import CLIENTS, LINE_OCTETS, READ_ONLY, Control
from heartbeat.poller import Poller

WHO, CLOSES, ENDS, DEAF, LOOKS = 3, 4, 8, 16, 32
PIECES_MAX = 30
ROUNDS_MAX = 3000
WORDS = (
    SEPARATOR, SEPARATOR + b"\x01", SEPARATOR + b"\x24", SEPARATOR + b"\x08", b"\xff", b"\0",
    *(word.encode() for word in (
        '{"request": "status"}\n', '{"request": "standby", "set": "all"}\n', '{"request": "takeover"}\n',
        '{"request": "stop"}\n', '{"request": "reload"}\n', '{"request": "parameters"}\n',
        '{"request": "accept", "node": "caesar"}\n', '{"request": ', '"set": ', '"node": ', "}\n", "[" * 800, "null",
        "1e999", "NaN", "9" * 300, '"\\ud800"', '"\\u0000"', "{}", "\n", "\n\n", "x" * 4200, "\r\n", '"journal"',
        '"failback"', '"foreign"', '"local"', "true", "[]", "{",
    )),
)  # fmt: skip


class Daemon(daemon._Daemon):
    """Its answers to requests, with a cluster that lives by another clock, and without media, children and files."""

    def __init__(self) -> None:
        self.world = World()
        self.node = self.world.boot(JULIUS)
        self.world.run(40)
        self.reloads = 0
        self.events: list[object] = []
        self._warnings: list[str] = []
        self._config = SimpleNamespace(parameters={"keepalive": "1000ms"}, media=())
        self._loop = SimpleNamespace(push=lambda event, instant=None: self.events.append(event))

    def _status(self) -> dict[str, Any]:
        view = self.node.view()
        return {"node": view.node, "state": view.state, "warnings": view.warnings}

    def _reload(self) -> list[str]:
        self.reloads += 1
        return ["haresources:1: odd"] if self.reloads % 2 else []

    def turn(self) -> None:
        """What the core makes of the requests, and its answers."""
        while self.events:
            self.node.tell(self.events.pop(0))
        for number, (ok, text) in list(self.node.replies.items()):
            del self.node.replies[number]
            self._control.reply(number, {"ok": ok, "text": text} if ok else {"ok": ok, "error": text})

    def __getattr__(self, name: str) -> Any:
        """Parts that no request of this test is about."""
        return Nothing()


class Nothing:
    def __getattr__(self, name: str) -> Nothing:
        return self

    def __call__(self, *arguments: object, **named: object) -> str:
        return "nothing"


class Client:
    def __init__(self, path: str, *, may_change: bool) -> None:
        self.may_change = may_change
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.setblocking(False)
        self.socket.connect(path)
        self.sent = bytearray()
        self.received = bytearray()
        self.reads = True
        self.ended = False  # by us
        self.closed = False  # by the daemon

    def send(self, octets: bytes) -> None:
        if self.ended:
            return
        try:
            self.sent += octets[: self.socket.send(octets, socket.MSG_NOSIGNAL)]
        except BlockingIOError:
            pass
        except OSError:
            self.ended = True

    def end(self) -> None:
        self.ended = True
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_WR)

    def read(self) -> None:
        while self.reads and not self.closed:
            try:
                data = self.socket.recv(65536)
            except BlockingIOError:
                return
            except OSError:
                data = b""
            self.received += data
            self.closed = not data

    def judge(self, *, stopped: bool) -> None:
        """One line for each, in order; a client that may only look changes nothing. A daemon that has been told to
        stop ends, and closes the rest."""
        answers = [json.loads(line) for line in bytes(self.received).splitlines()]
        lines = bytes(self.sent).split(b"\n")[:-1]
        assert all(isinstance(answer["ok"], bool) for answer in answers)
        assert all(answer["ok"] or answer["error"] for answer in answers)
        assert len(answers) <= len(lines) + 1  # one more says that a line is too long
        if not self.closed and not stopped:
            assert len(answers) == len(lines)
        for line, answer in zip(lines, answers, strict=False):
            request = requested(line)
            if request is None or (not self.may_change and request not in READ_ONLY):
                assert not answer["ok"], (line, answer)


def requested(line: bytes) -> str | None:
    try:
        request = json.loads(line)
    except (ValueError, RecursionError):
        return None
    name = request.get("request") if isinstance(request, dict) else None
    return name if isinstance(name, str) else None


def run(octets: bytes) -> None:
    server = Daemon()
    poller = Poller()
    path = f"{files.folder()}/control"
    if os.path.lexists(path):
        os.unlink(path)
    rights: list[bool] = []
    control = server._control = Control(poller, path, server._ask, -1)
    control._rights = lambda connection: (True, rights.pop())  # type: ignore[method-assign]
    clients: dict[int, Client] = {}
    left: list[Client] = []

    def turns(least: int = 4) -> None:
        for _ in range(least):
            poller.wait(0)
            server.turn()
            assert len(control._clients) <= CLIENTS
            assert len(control._asked) <= CLIENTS
            assert all(len(each.received) <= 2 * LINE_OCTETS for each in control._clients.values())
            for client in clients.values():
                client.read()

    try:
        for piece in octets.split(SEPARATOR)[:PIECES_MAX]:
            how = piece[0] if piece else 0
            client = clients.get(how & WHO)
            if client is None or client.closed:
                rights.append(not how & LOOKS)
                client = clients[how & WHO] = Client(path, may_change=not how & LOOKS)
                left.append(client)
            client.reads = not how & DEAF
            client.send(piece[1:])
            turns()
            if how & ENDS:
                client.end()
            if how & CLOSES:
                client.socket.close()
                left.remove(clients.pop(how & WHO))
        for client in clients.values():
            client.reads = True
        for _ in range(ROUNDS_MAX):
            before = [len(client.received) for client in clients.values()], len(control._asked)
            server.world.run(5)
            turns(8)
            if before == ([len(client.received) for client in clients.values()], 0):
                break
        for client in left:
            client.judge(stopped=server.node.stopped)
        judge_service(path, rights, turns, clients)
    finally:
        for client in left:
            client.socket.close()
        control.close()
        poller.close()


def judge_service(path: str, rights: list[bool], turns: Any, clients: dict[int, Client]) -> None:
    """Somebody else is still answered."""
    rights.append(False)
    clients[-1] = Client(path, may_change=False)
    clients[-1].send(b'{"request": "status"}\n')
    turns()
    assert json.loads(clients[-1].received)["ok"]
    clients[-1].socket.close()


def seeds() -> list[bytes]:
    requests = [word for word in WORDS if word.startswith(b'{"request": "') and word.endswith(b"\n")]
    found = [bytes([how]) + request for request in requests for how in (0, 4, 8, 16, 32)]
    found += [SEPARATOR.join(bytes([who % 4]) + request for who, request in enumerate(requests))]
    return [
        *found,
        b"\0" + b"".join(requests),
        b"\0" + b"x" * 9000,
        b"\x08" + requests[0][:9],
        b"\x10" + requests[0] * 200,
    ]
