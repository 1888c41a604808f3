"""The control socket: who may ask what, and that nobody who asks badly harms anybody."""

from __future__ import annotations

import _socket
import grp
import json
import os
import resource
import shutil
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import time
from typing import Any

import pytest
import tiny_daemon

from heartbeat import control, launch
from heartbeat.control import CLIENTS, LINE_OCTETS, Control, NotRunning, ask
from heartbeat.poller import Poller

root_only = pytest.mark.skipif(os.geteuid() != 0, reason="becomes another user")


class Server:
    """A Control and its loop in this thread. handle: what to do with a request; keeps them all."""

    def __init__(self, run_dir: str, gid: int = -1) -> None:
        self.path = f"{run_dir}/control"
        self.poller = Poller()
        self.requests: list[tuple[int, dict[str, Any]]] = []
        self.control = Control(self.poller, self.path, self.handle, gid)
        self.answer: dict[str, Any] | None = {"ok": True}

    def handle(self, number: int, request: dict[str, Any]) -> None:
        self.requests.append((number, request))
        if self.answer is not None:
            self.control.reply(number, self.answer)

    def turns(self, count: int = 10) -> None:
        for _ in range(count):
            self.poller.wait(0)

    def connect(self) -> socket.socket:
        client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        client.setblocking(False)
        client.connect(self.path)
        self.turns(2)
        return client

    def ask(self, client: socket.socket, octets: bytes) -> bytes:
        client.sendall(octets)
        self.turns()
        return received(client)


def received(client: socket.socket) -> bytes:
    """What has come, with b"<end>" where the other side has closed."""
    octets = b""
    while True:
        try:
            data = client.recv(1 << 20)
        except BlockingIOError:
            return octets
        except ConnectionResetError:
            data = b""
        if not data:
            return octets + b"<end>"
        octets += data


@pytest.fixture
def run_dir():
    """Short, and open to other users: what keeps them out here is the socket's own rule."""
    directory = tempfile.mkdtemp(prefix="hb")
    os.chmod(directory, 0o755)
    yield directory
    shutil.rmtree(directory)


@pytest.fixture
def server(run_dir):
    server = Server(run_dir)
    yield server
    server.control.close()
    server.poller.close()


# one request, one answer


def test_a_request_reaches_the_handler_and_its_answer_the_client(server):
    server.answer = {"ok": True, "status": {"node": "jülius"}}
    client = server.connect()
    assert json.loads(server.ask(client, b'{"request": "status"}\n')) == server.answer
    assert [request for _, request in server.requests] == [{"request": "status"}]


def test_an_answer_may_come_later(server):
    server.answer = None
    client = server.connect()
    assert server.ask(client, b'{"request": "standby", "set": "all"}\n') == b""
    number, request = server.requests[0]
    assert request["set"] == "all"
    server.control.reply(number, {"ok": False, "error": "no"})
    assert json.loads(received(client)) == {"ok": False, "error": "no"}


def test_a_request_may_come_in_pieces_and_several_at_once(server):
    client = server.connect()
    octets = b'{"request": "status"}\n{"request": "parameters"}\n{"request": "status"}\n'
    for octet in octets[:-1]:
        server.ask(client, bytes([octet]))
    server.ask(client, octets[-1:])
    server.ask(client, octets)
    assert [request["request"] for _, request in server.requests] == ["status", "parameters", "status"] * 2


def test_answers_keep_the_order_of_the_questions(server):
    """The second question waits until the first is answered, whenever that is."""
    server.answer = None
    client = server.connect()
    server.ask(client, b'{"request": "standby"}\n{"request": "status"}\n')
    assert len(server.requests) == 1
    client.sendall(b'{"request": "parameters"}\n')
    assert server.poller._epoll.poll(0) == [], "while it waits, nothing that it sends wakes the daemon"
    server.control.reply(server.requests[0][0], {"ok": True, "which": 1})
    server.turns()
    server.control.reply(server.requests[1][0], {"ok": True, "which": 2})
    assert [json.loads(line)["which"] for line in received(client).splitlines()] == [1, 2]


def test_a_client_that_has_said_all_still_gets_its_answer(server):
    """`echo … | socat - UNIX:control` closes its half at once."""
    server.answer = None
    client = server.connect()
    client.sendall(b'{"request": "standby"}\n')
    client.shutdown(socket.SHUT_WR)
    server.turns()
    server.control.reply(server.requests[0][0], {"ok": True})
    server.turns()
    assert received(client) == b'{"ok":true}\n<end>'


def test_each_client_gets_its_own_answer(server):
    server.answer = None
    one, other = server.connect(), server.connect()
    server.ask(one, b'{"request": "standby", "set": "local"}\n')
    server.ask(other, b'{"request": "standby", "set": "foreign"}\n')
    for number, request in reversed(server.requests):
        server.control.reply(number, {"ok": True, "set": request["set"]})
    assert json.loads(received(one))["set"] == "local"
    assert json.loads(received(other))["set"] == "foreign"


# clients that misbehave


@pytest.mark.parametrize(
    "line",
    [
        b"status",
        b"",
        b"\xff\xfe",
        b"[]",
        b'"status"',
        b"{}",
        b'{"request": 7}',
        b'{"request": ["status"]}',
        b'{"request": "status"',
        b"[" * 4000,
        b"9" * 4000,
        b"\0" * 100,
    ],
    ids=repr,
)
def test_rubbish_is_answered_with_an_error_and_forgiven(server, line):
    client = server.connect()
    answer = json.loads(server.ask(client, line + b"\n"))
    assert answer["ok"] is False
    assert "JSON" in answer["error"]
    assert server.requests == []
    assert json.loads(server.ask(client, b'{"request": "status"}\n')) == {"ok": True}


def test_a_line_without_end_is_cut_off(server):
    client = server.connect()
    answer = server.ask(client, b"x" * (LINE_OCTETS - 1))
    assert answer == b""
    assert b'"ok":false' in (answer := server.ask(client, b"xx"))
    assert answer.endswith(b"<end>")


def test_a_client_that_leaves_before_its_answer_is_not_missed(server):
    server.answer = None
    client = server.connect()
    server.ask(client, b'{"request": "standby"}\n')
    client.close()
    server.turns()
    assert server.control._asked == {}
    server.control.reply(server.requests[0][0], {"ok": True})
    server.control.reply(12345, {"ok": True})
    assert server.poller._callbacks.keys() == {server.control._socket.fileno()}


def test_a_client_that_does_not_read_costs_one_answer(server):
    """Nothing more is read from it, and others are served, however much it asks."""
    server.answer = {"ok": True, "status": "x" * 400_000}
    deaf, other = server.connect(), server.connect()
    for _ in range(10):
        deaf.send(b'{"request": "status"}\n' * 100)
        server.turns()
    assert len(server.requests) == 1
    assert len(server.ask(other, b'{"request": "status"}\n')) > 200_000
    assert len(server.requests) == 2
    # the answer is all there, once it reads
    octets = b""
    while not octets.endswith(b"\n"):
        octets += received(deaf)
        server.turns(1)
    assert json.loads(octets.splitlines()[0]) == server.answer


def test_a_flood_of_requests_is_served_one_a_turn(server):
    client = server.connect()
    client.sendall(b'{"request": "status"}\n' * 50)
    server.turns(3)
    assert 1 <= len(server.requests) <= 3


def test_the_silent_make_room_for_the_next(server):
    clients = [server.connect() for _ in range(CLIENTS)]
    server.ask(clients[0], b'{"request": "status"}\n')
    late = server.connect()
    assert json.loads(server.ask(late, b'{"request": "status"}\n')) == {"ok": True}
    # the first has spoken since, the second was silent longest
    assert received(clients[1]) == b"<end>"
    assert [received(client) for client in (clients[0], *clients[2:])] == [b""] * (CLIENTS - 1)


def test_who_waits_for_an_answer_is_not_sent_away_for_one_who_is_silent(server):
    server.answer = None
    waiting = server.connect()
    server.ask(waiting, b'{"request": "standby"}\n')
    silent = [server.connect() for _ in range(CLIENTS)]
    server.control.reply(server.requests[0][0], {"ok": True})
    assert received(waiting) == b'{"ok":true}\n'
    assert received(silent[0]) == b"<end>"


def test_who_is_silent_for_long_goes_when_the_next_one_comes(server, monkeypatch):
    silent = server.connect()
    monkeypatch.setattr(control, "SILENT_S", -1.0)
    server.connect()
    assert received(silent) == b"<end>"


def test_without_descriptors_left_the_loop_does_not_spin(server):
    """accept() fails then, and the listening socket stays ready."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    client.connect(server.path)
    client.settimeout(5)
    used = max(int(fd) for fd in os.listdir("/proc/self/fd"))
    holes = []
    resource.setrlimit(resource.RLIMIT_NOFILE, (used + 1, before[1]))
    try:
        while True:
            try:
                holes.append(os.open("/dev/null", os.O_RDONLY))
            except OSError:
                break
        server.turns(3)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
        for fd in holes:
            os.close(fd)
    assert client.recv(1) == b"", "turned away"
    assert json.loads(server.ask(server.connect(), b'{"request": "status"}\n')) == {"ok": True}


# the socket itself


def test_the_mode_is_0660_whatever_the_umask(run_dir):
    before = os.umask(0)
    try:
        server = Server(run_dir)
        assert stat.S_IMODE(os.stat(server.path).st_mode) == 0o660
        assert os.umask(0) == 0, "the daemon's own is put back"
        server.control.close()
    finally:
        os.umask(before)
    assert not os.path.exists(server.path)


def test_the_mode_is_never_wider_than_0660(run_dir, monkeypatch):
    """Not even between bind and chmod: there is none."""
    seen = []

    class Watching(_socket.socket):
        def bind(self, address):
            super().bind(address)
            seen.append(stat.S_IMODE(os.stat(address).st_mode))

    monkeypatch.setattr(control.socket, "socket", Watching)
    Server(run_dir).control.close()
    assert seen == [0o660]


def test_the_socket_of_a_daemon_that_was_killed_is_replaced(run_dir):
    with tiny_daemon.running(run_dir) as process:
        process.kill()
        process.wait()
        assert os.path.exists(f"{run_dir}/control")
        server = Server(run_dir)
        client = server.connect()
        assert json.loads(server.ask(client, b'{"request": "status"}\n')) == {"ok": True}
        server.control.close()


def test_the_socket_of_a_daemon_that_lives_is_not(run_dir):
    with tiny_daemon.running(run_dir), pytest.raises(OSError, match="in use"):
        Server(run_dir)


def test_a_later_daemons_socket_survives_our_end(run_dir):
    server = Server(run_dir)
    os.unlink(server.path)
    later = Server(run_dir)
    server.control.close()
    assert os.path.exists(later.path)
    later.control.close()


def test_a_path_that_is_too_long_says_so(tmp_path):
    with pytest.raises(OSError, match="107"):
        Server(f"{tmp_path}/{'x' * 100}")


# who may


def ask_as(path: str, request: str, *, user: int, group: int, groups: tuple[int, ...] = ()) -> dict[str, Any]:
    """Ask from a process of another user."""
    code = (
        "import socket,sys\ns=socket.socket(socket.AF_UNIX)\ns.connect(sys.argv[1])\n"
        "try: s.sendall(sys.argv[2].encode()+b'\\n')\nexcept BrokenPipeError: pass\n"
        "sys.stdout.write(s.makefile().readline())"
    )
    os.chmod(path, 0o666)  # what is under test is the look at the peer, which must not lean on the mode
    result = subprocess.run(
        ["/usr/bin/env", "-i", os.path.realpath(sys.executable), "-I", "-S", "-c", code, path, request],
        user=user, group=group, extra_groups=groups, cwd="/", stdout=subprocess.PIPE, check=True,
    )  # fmt: skip
    return dict(json.loads(result.stdout))


@root_only
@pytest.mark.parametrize(
    ("user", "group", "groups", "may_look", "may_change"),
    [
        (0, 0, (), True, True),
        (65534, 4242, (), True, False),
        (65534, 65534, (4241, 4242, 4243), True, False),
        (65534, 65534, (4241,), False, False),
        (65534, 65534, (), False, False),
    ],
    ids=["root", "the group", "the group among others", "another group", "nobody"],
)
def test_root_may_all_the_group_may_look(run_dir, user, group, groups, may_look, may_change):
    with serving(run_dir, 4242) as path:
        for name in ("status", "parameters"):
            answer = ask_as(path, json.dumps({"request": name}), user=user, group=group, groups=groups)
            assert answer["ok"] is may_look, answer
            assert may_look or "permission denied" in answer["error"]
        for name in ("standby", "takeover", "stop", "reload", "anything"):
            answer = ask_as(path, json.dumps({"request": name}), user=user, group=group, groups=groups)
            assert answer["ok"] is may_change, answer
            assert may_change or "permission denied" in answer["error"]


@root_only
def test_the_group_gets_the_socket_and_a_directory_that_is_ours(run_dir):
    os.chmod(run_dir, 0o750)
    server = Server(run_dir, 4242)
    assert os.stat(server.path).st_gid == 4242
    assert os.stat(run_dir).st_gid == 4242
    server.control.close()


@root_only
def test_a_directory_of_another_kind_is_left_alone(run_dir):
    server = Server(run_dir, 4242)  # 0755: not one that we made
    assert os.stat(run_dir).st_gid == 0
    server.control.close()


def test_the_group_is_haclient_where_there_is_one():
    expected = {group.gr_name: group.gr_gid for group in grp.getgrall()}.get("haclient", -1)
    assert launch.group_id() == expected


class serving:  # noqa: N801
    """A Server that turns in a thread of its own; the path."""

    def __init__(self, run_dir: str, gid: int = -1) -> None:
        self._server = Server(run_dir, gid)
        self._thread = threading.Thread(target=self._turn)
        self._going = True

    def _turn(self) -> None:
        while self._going:
            self._server.poller.wait(0.01)

    def __enter__(self) -> str:
        self._thread.start()
        return self._server.path

    def __exit__(self, *_: object) -> None:
        self._going = False
        self._thread.join()
        self._server.control.close()


# the command's side


def test_ask(run_dir):
    with tiny_daemon.running(run_dir):
        assert ask(f"{run_dir}/control", {"request": "status"}, 5)["status"] == tiny_daemon.STATUS


def test_ask_without_a_daemon(run_dir):
    for path in (f"{run_dir}/control", f"{run_dir}/none/control"):
        with pytest.raises(NotRunning, match="control"):
            ask(path, {"request": "status"}, 5)
    with tiny_daemon.running(run_dir) as process:
        process.kill()
        process.wait()
        with pytest.raises(NotRunning):
            ask(f"{run_dir}/control", {"request": "status"}, 5)


def test_ask_a_daemon_that_is_silent(run_dir):
    with tiny_daemon.running(run_dir, "silent"), pytest.raises(TimeoutError):
        ask(f"{run_dir}/control", {"request": "status"}, 0.05)


def test_ask_a_daemon_whose_queue_is_full(run_dir):
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(f"{run_dir}/control")
    listener.listen(0)
    first = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    first.connect(f"{run_dir}/control")
    start_s = time.monotonic()
    with pytest.raises(TimeoutError):
        ask(f"{run_dir}/control", {"request": "status"}, 0.2)
    assert time.monotonic() - start_s >= 0.2


def test_ask_a_daemon_that_ends(run_dir):
    with tiny_daemon.running(run_dir, "dying"), pytest.raises(ConnectionError):
        ask(f"{run_dir}/control", {"request": "status"}, 5)


@pytest.mark.parametrize("answer", [b"hello\n", b"[]\n"])
def test_ask_something_else(run_dir, answer):
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(f"{run_dir}/control")
    listener.listen()

    def serve() -> None:
        connection, _ = listener.accept()
        connection.recv(1000)
        connection.sendall(answer)
        connection.close()

    thread = threading.Thread(target=serve)
    thread.start()
    with pytest.raises(ConnectionError, match="no heartbeat daemon"):
        ask(f"{run_dir}/control", {"request": "status"}, 5)
    thread.join()
    listener.close()
