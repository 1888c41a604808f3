"""The control socket: requests in and replies out, one JSON object a line. The daemon's side and the command's.

Its rules: only root and the daemon's own user may change anything; members of the socket's group may look. A client
that hangs, floods, does not read or sends rubbish costs a bounded amount of memory and time and harms nobody: one
request of a client is in the works at a time, and nothing more is read from it until it has taken the answer.

          ┌──────── answer taken ────────┐
          ▼                              │
       reading ──line──► asked ──reply──► writing ──end of input──► closed
"""

from __future__ import annotations

import errno
import os
import struct
import time

from heartbeat import jsontext
from heartbeat.lean import socket
from heartbeat.poller import READ, WRITE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from heartbeat.poller import Poller

# clients at one time; the one that has been silent longest makes room for the next
CLIENTS = 16
# octets of a request line
LINE_OCTETS = 4096
# a client that neither sends nor takes anything for so long is closed when the next one comes
SILENT_S = 30.0
# what a reader asks for; everything else changes something
READ_ONLY = ("status", "parameters")

# linux/asm-generic/socket.h; the socket module does not have it
SO_PEERGROUPS = 59
# the most that Python asks for: 256 groups; the kernel refuses to tell a part, and then so do we
GROUPS_OCTETS = 1024


class NotRunning(Exception):  # noqa: N818  reads as what it says
    """No daemon answers at this socket."""


class _Client:
    """One connection. number: of its request that is not answered yet, 0 for none."""

    __slots__ = ("ended", "heard_s", "may_change", "number", "received", "sending", "socket")

    def __init__(self, connection: socket.socket, may_change: bool) -> None:
        self.socket = connection
        self.may_change = may_change
        self.received = bytearray()
        self.sending = b""
        self.number = 0
        self.ended = False  # it will send nothing more
        self.heard_s = time.monotonic()

    def line_waits(self) -> bool:
        return b"\n" in self.received


class Control:
    """The daemon's side.

    handler: called with a number and the request for each that its sender may make; answered once by
    reply(number, …), then or later. A client that has gone meanwhile is not missed.
    """

    def __init__(self, poller: Poller, path: str, handler: Callable[[int, dict[str, Any]], None], gid: int) -> None:
        """Listen at `path`; gid: of the group that may look, -1 for none. OSError: EADDRINUSE where another daemon
        answers there."""
        self._poller = poller
        self._path = path
        self._handler = handler
        self._clients: dict[int, _Client] = {}  # by descriptor
        self._asked: dict[int, _Client] = {}  # by number of request
        self._number = 0
        self._socket, self._gid = _listen(path, gid)
        self._inode = os.stat(path).st_ino
        # given up for a moment to accept, and close, one more client when descriptors have run out
        self._spare = os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC)
        poller.add(self._socket.fileno(), self._accept)

    def close(self) -> None:
        """Remove the socket. What was answered last is sent as far as that goes at once."""
        for client in list(self._clients.values()):
            self._drop(client)
        self._poller.remove(self._socket.fileno())
        self._socket.close()
        os.close(self._spare)
        try:
            if os.stat(self._path).st_ino == self._inode:
                os.unlink(self._path)
        except OSError:
            pass  # removed by somebody else, or the directory was

    # clients come and go

    def _accept(self, _events: int) -> None:
        try:
            fd, _ = self._socket._accept()  # type: ignore[attr-defined]
        except BlockingIOError:
            return
        except OSError as error:
            if error.errno in (errno.EMFILE, errno.ENFILE):
                self._refuse_one()
            return  # else it went away before we came
        connection = socket.socket(fileno=fd)
        connection.setblocking(False)
        may_look, may_change = self._rights(connection)
        if not may_look:
            _say_and_close(connection, "permission denied: only root and the group of the control socket may ask")
            return
        self._make_room()
        client = _Client(connection, may_change)
        self._clients[fd] = client
        self._poller.add(fd, lambda events: self._ready(client, events))

    def _refuse_one(self) -> None:
        os.close(self._spare)
        try:  # noqa: SIM105  contextlib costs the daemon 0.1 MB
            os.close(self._socket._accept()[0])  # type: ignore[attr-defined]
        except OSError:
            pass
        self._spare = os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC)

    def _rights(self, connection: socket.socket) -> tuple[bool, bool]:
        """(may look, may change), by what the kernel says of the process that connected."""
        _pid, uid, gid = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
        if uid in (0, os.geteuid()):
            return True, True
        if gid == self._gid:
            return True, False
        try:
            groups = connection.getsockopt(socket.SOL_SOCKET, SO_PEERGROUPS, GROUPS_OCTETS)
        except OSError:
            return False, False
        return self._gid in struct.unpack(f"{len(groups) // 4}I", groups), False

    def _make_room(self) -> None:
        """Before another client is let in: close those that are silent for long, and one more if all are taken."""
        now_s = time.monotonic()
        for client in list(self._clients.values()):
            if not client.number and now_s - client.heard_s > SILENT_S:
                self._drop(client)
        if len(self._clients) >= CLIENTS:
            # those that wait for us last, and readers before those who may need to act
            self._drop(min(self._clients.values(), key=lambda one: (one.number, one.may_change, one.heard_s)))

    def _drop(self, client: _Client) -> None:
        fd = client.socket.fileno()
        if fd < 0:
            return
        self._asked.pop(client.number, None)
        del self._clients[fd]
        self._poller.remove(fd)
        client.socket.close()

    # one client

    def _ready(self, client: _Client, events: int) -> None:
        """Do one step: a flood of requests has to wait its turn behind everything else that is ready."""
        try:
            if client.sending:
                self._send(client)
            elif not client.number:
                if events & READ and not client.line_waits():
                    self._receive(client)
                if client.line_waits():
                    self._ask(client)
            elif events & ~(READ | WRITE):
                self._drop(client)  # hung up while it waits for us
        except BlockingIOError:
            pass
        except OSError:
            self._drop(client)
        self._arm(client)

    def _arm(self, client: _Client) -> None:
        """Say what we want of this client next; close it if that is nothing."""
        fd = client.socket.fileno()
        if fd < 0:
            return
        if client.sending or (client.line_waits() and not client.number):
            self._poller.change(fd, WRITE)  # a line that waits: come back in the next round
        elif client.number:
            self._poller.change(fd, 0)
        elif client.ended:
            self._drop(client)
        else:
            self._poller.change(fd, READ)

    def _receive(self, client: _Client) -> None:
        data = client.socket.recv(LINE_OCTETS)
        client.heard_s = time.monotonic()
        client.received += data
        if not data:
            client.ended = True
        elif len(client.received) >= LINE_OCTETS and not client.line_waits():
            client.received.clear()
            client.ended = True
            self._answer(client, {"ok": False, "error": f"a request has at most {LINE_OCTETS} octets"})

    def _ask(self, client: _Client) -> None:
        end = client.received.index(b"\n")
        line = bytes(client.received[:end])
        del client.received[: end + 1]
        try:
            request = jsontext.loads(line)
        except (ValueError, RecursionError):
            request = None
        name = request.get("request") if isinstance(request, dict) else None
        if not isinstance(name, str):
            self._answer(client, {"ok": False, "error": 'not a request: one JSON object a line, {"request": …}'})
            return
        if name not in READ_ONLY and not client.may_change:
            self._answer(client, {"ok": False, "error": f"permission denied: only root may {name}"})
            return
        self._number += 1
        client.number = self._number
        self._asked[self._number] = client
        self._handler(self._number, request)

    def reply(self, number: int, answer: dict[str, Any]) -> None:
        """Answer a request. Nothing happens if its sender has gone."""
        client = self._asked.pop(number, None)
        if client is None:
            return
        client.number = 0
        self._answer(client, answer)
        self._arm(client)

    def _answer(self, client: _Client, answer: dict[str, Any]) -> None:
        client.sending = jsontext.dumps(answer).encode() + b"\n"
        try:
            self._send(client)
        except BlockingIOError:
            pass
        except OSError:
            self._drop(client)

    def _send(self, client: _Client) -> None:
        sent = client.socket.send(client.sending, socket.MSG_NOSIGNAL)
        client.sending = client.sending[sent:]
        client.heard_s = time.monotonic()


def _listen(path: str, gid: int) -> tuple[socket.socket, int]:
    """A socket of mode 0660 and the group that may look through it."""
    if len(os.fsencode(path)) > 107:
        raise OSError(errno.ENAMETOOLONG, "a socket's path has at most 107 octets: choose a shorter --run-dir", path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        # from its first instant: nobody may connect to a socket that was open to all for a moment
        before = os.umask(0o117)
        try:
            _bind(listener, path)
        finally:
            os.umask(before)
        _share(path, gid)
        listener.listen(CLIENTS)
        return listener, os.stat(path).st_gid
    except BaseException:
        listener.close()
        raise


def _share(path: str, gid: int) -> None:
    """Give the socket, and a directory of ours around it, to the group that may look; else both stay in our own."""
    if gid == -1:
        return
    directory = os.path.dirname(path) or "."
    found = os.stat(directory)
    try:
        os.chown(path, -1, gid)
        if (found.st_uid, found.st_gid) == (os.geteuid(), os.getegid()) and found.st_mode & 0o7777 == 0o750:
            os.chown(directory, -1, gid)
    except OSError as error:
        # neither root nor in the group; or in a namespace of users that has no such group
        if error.errno not in (errno.EPERM, errno.EINVAL):
            raise


def _bind(listener: socket.socket, path: str) -> None:
    try:
        listener.bind(path)
    except OSError as error:
        if error.errno != errno.EADDRINUSE or _answers(path):
            raise OSError(error.errno, error.strerror, path) from None
        os.unlink(path)  # of a daemon that was killed
        listener.bind(path)


def _answers(path: str) -> bool:
    """Does somebody listen at `path`?"""
    probe = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        probe.connect(path)
    except (ConnectionRefusedError, FileNotFoundError):
        return False
    except OSError:
        pass  # its queue is full, or it is not ours to ask
    finally:
        probe.close()
    return True


def _say_and_close(connection: socket.socket, error: str) -> None:
    try:  # noqa: SIM105
        connection.send(jsontext.dumps({"ok": False, "error": error}).encode() + b"\n", socket.MSG_NOSIGNAL)
    except OSError:
        pass
    connection.close()


def _connect(connection: socket.socket, path: str, deadline_s: float) -> None:
    while True:
        try:
            connection.connect(path)
            return
        except (FileNotFoundError, ConnectionRefusedError, NotADirectoryError):
            raise NotRunning(f"no heartbeat daemon answers at {path}") from None
        except BlockingIOError:
            # the daemon is busy or stopped and its queue is full
            if time.monotonic() >= deadline_s:
                raise TimeoutError from None
            time.sleep(0.02)


def ask(path: str, request: dict[str, Any], timeout_s: float) -> dict[str, Any]:
    """The command's side: one request, its reply. May wait for `timeout_s` in all.

    NotRunning; PermissionError; TimeoutError; ConnectionError where the daemon ended before it answered.
    """
    deadline_s = time.monotonic() + timeout_s
    try:
        received = _exchange(path, jsontext.dumps(request).encode() + b"\n", deadline_s)
    except TimeoutError:
        raise TimeoutError(f"the daemon at {path} did not answer within {timeout_s:g} s") from None
    try:
        answer = jsontext.loads(received)
    except ValueError:
        answer = None
    if not isinstance(answer, dict):
        raise ConnectionError(f"what answers at {path} is no heartbeat daemon")
    return answer


def _exchange(path: str, line: bytes, deadline_s: float) -> bytes:
    """Send one line, receive one. TimeoutError at the deadline."""
    received = bytearray()
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.settimeout(max(0.001, deadline_s - time.monotonic()))
        _connect(connection, path, deadline_s)
        try:  # noqa: SIM105
            connection.sendall(line)
        except BrokenPipeError:
            pass  # refused: the reason can still be read
        while not received.endswith(b"\n"):
            left_s = deadline_s - time.monotonic()
            if left_s <= 0:
                raise TimeoutError
            connection.settimeout(left_s)
            data = connection.recv(65536)
            if not data:
                raise ConnectionError("the daemon ended before it answered")
            received += data
    finally:
        connection.close()
    return bytes(received)
