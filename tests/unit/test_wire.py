"""The wire under attack: real sockets between two network namespaces, a real loop, and a log that is counted."""

from __future__ import annotations

import os
import socket
import time
from types import SimpleNamespace

import pytest
from test_media_udp import PORT, Host

from _hbfast.auth import Authenticator
from _hbfast.codec import Message, encode
from heartbeat import wire as wire_module
from heartbeat.config.record import MediumConfig
from heartbeat.core.events import MediumUp
from heartbeat.log import Log
from heartbeat.loop import Loop
from heartbeat.wire import GENERATIONS_LIMIT, KNOWN_BURST, REJECTED_LINES, Sieve, Wire

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root")

KEYS = {1: ("sha1", b"a-secret")}
PEER, STRANGER = "10.0.0.2", "10.0.0.66"


def status(number: int, generation: int = 1, source: bytes = b"caesar") -> Message:
    return Message(
        [("t", 0, b"status"), ("src", 0, source), ("seq", 0, b"%x" % number), ("hg", 0, b"%x" % generation)]
    )


def frame(number: int = 1, keys: dict[int, tuple[str, bytes]] = KEYS) -> bytes:
    return encode(status(number), Authenticator(keys, 1), "netstring")


RUBBISH = {"malformed": b"\xff" * 200, "bad_auth": frame(keys={1: ("sha1", b"another")}), "foreign crc": b""}
RUBBISH["foreign crc"] = encode(Message([("t", 0, b"status")]), Authenticator({2: ("crc", b"")}, 2), "netstring")


class Bench:
    """A wire with one ucast medium in one host; the peer and a stranger in the other."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, deadtime_ms: int = 10_000) -> None:
        self.hosts = Host(), Host()
        self.hosts[0].wire(self.hosts[1])
        self.hosts[1].address("eth0", STRANGER)
        self.loop = Loop(Log())
        self.logged: list[str] = []
        # behind the log's own limits, which are what is tested
        monkeypatch.setattr(self.loop.log, "_put", lambda severity, text: self.logged.append(text))
        medium = MediumConfig("eth0", "ucast", "eth0", host=PEER, address=PEER, port=PORT)
        medium.sources = (PEER,)
        self.wire = Wire(
            SimpleNamespace(
                divisor=1, message_format="classic", log_badpack=True, keys=KEYS, outbound=1, media=[medium],
                deadtime_ms=deadtime_ms, keepalive_ms=100,
            ),
            "/nonexistent", self.loop,
        )  # fmt: skip
        with self.hosts[0].inside():
            assert self.wire.open_all() == []
        assert isinstance(self.loop.queue.popleft()[0], MediumUp)
        self.line = self.wire.lines["eth0"]
        self.heard: list[int] = []

    def send(self, *frames: bytes, source: str = PEER) -> None:
        with self.hosts[1].socket() as endpoint:
            endpoint.bind((source, 0))
            for one in frames:
                endpoint.sendto(one, ("10.0.0.1", PORT))

    def turn(self) -> None:
        """As the daemon's: descriptors, messages, timers."""
        self.loop.poller.wait(0)
        while self.loop.inbox:
            self.heard.append(self.loop.inbox.popleft()[0].sequence)
        self.loop.schedule.run(self.loop.now())
        self.wire.flush(self.loop.now())

    def until(self, condition) -> None:
        end = time.monotonic() + 20
        while not condition():
            assert time.monotonic() < end, self.logged
            self.turn()

    def close(self) -> None:
        self.wire.close()
        self.loop.log.close()
        for host in self.hosts:
            host.close()


@pytest.fixture
def bench(monkeypatch):
    made = Bench(monkeypatch)
    yield made
    made.close()


def test_a_stranger_costs_nothing_and_the_peer_is_heard(bench):
    for number in range(1, 101):
        bench.send(*[frame(number), RUBBISH["malformed"]] * 10, source=STRANGER)
        bench.send(frame(number))
    bench.until(lambda: len(bench.heard) == 100)
    assert bench.heard == list(range(1, 101))
    assert bench.line.rejected == 0
    assert bench.line.discarded == 2000
    assert bench.logged == []


@pytest.mark.parametrize("cause", RUBBISH)
def test_rubbish_in_the_peers_name_changes_nothing_but_a_counter(bench, cause):
    for number in range(1, 21):
        bench.send(*[RUBBISH[cause]] * 50)
        bench.until(lambda expected=50 * number: bench.line.rejected == expected)
    bench.send(frame(7))
    bench.until(lambda: bench.heard)
    assert bench.heard == [7]
    assert not bench.loop.queue
    assert bench.wire.lines["eth0"].state == "up"


def test_each_cause_has_lines_of_its_own_in_the_log_and_no_more(bench):
    """Whoever floods with one kind of rubbish must not hide another kind."""
    for number in range(600):
        bench.send(RUBBISH["malformed" if number < 300 else "bad_auth"])
        bench.until(lambda expected=number + 1: bench.line.rejected == expected)
    for cause in ("malformed", "bad_auth"):
        assert sum(f"({cause} " in text for text in bench.logged) == REJECTED_LINES
    assert len(bench.logged) == 2 * REJECTED_LINES
    bench.loop.log.close()
    rest = bench.logged[2 * REJECTED_LINES :]
    assert sorted(rest) == [
        "297 more lines like this one: medium eth0: message rejected, no message (malformed 300 so far)",
        "297 more lines like this one: medium eth0: message rejected, not signed with a key of ours"
        " (bad_auth 300 so far)",
    ]


def test_nothing_of_what_was_received_is_in_the_log(bench):
    bench.send(b"###\n" + b"hunter2 " * 20, b"hunter2\n\x1b[2J")
    bench.until(lambda: bench.line.rejected == 2)
    assert bench.logged
    assert not any("hunter2" in text or "\x1b" in text for text in bench.logged)


def test_log_badpack_off_counts_without_a_word(bench):
    bench.wire._log_bad = False
    bench.send(RUBBISH["malformed"])
    bench.until(lambda: bench.line.rejected == 1)
    assert bench.logged == []


LONG_NS = 3600 * 10**9


def test_a_flood_is_read_many_at_a_time(bench, monkeypatch):
    """After a helping of rubbish nothing is read for a while, so that the next one is large."""
    monkeypatch.setattr(wire_module, "RUBBISH_PAUSE_NS", LONG_NS)
    asked: list[int] = []
    receive = bench.line.medium.receive

    def counted() -> list[bytes]:
        got = receive()
        asked.append(len(got))
        return got

    bench.line.medium.receive = counted
    bench.send(RUBBISH["malformed"])
    bench.until(lambda: asked)
    for _ in range(10):
        bench.send(RUBBISH["malformed"])
        bench.turn()
    bench.send(frame(9))
    bench.turn()
    assert asked == [1], "it rests"
    bench.loop.schedule.run(bench.loop.now() + LONG_NS)
    bench.until(lambda: bench.heard)
    assert asked == [1, 11]
    assert bench.heard == [9]
    bench.send(frame(10))
    bench.until(lambda: len(bench.heard) == 2)
    assert asked == [1, 11, 1], "after a message it does not rest"


# --- recordings: signed with a key of ours, and nothing new in them


def without_credit(bench) -> None:
    """The peer has said 100, and the core has been told of as many older messages as are taken at once."""
    bench.send(frame(100), *[frame(number % 99 + 1) for number in range(KNOWN_BURST)])
    bench.until(lambda: len(bench.heard) == KNOWN_BURST + 1)
    bench.heard.clear()


def test_a_flood_of_recordings_is_kept_from_the_core_and_what_is_new_is_not(bench, monkeypatch):
    bench.line.sieve.interval_ns = LONG_NS
    without_credit(bench)
    for number in range(101, 111):
        bench.send(*[frame(old) for old in range(1, 101)], frame(number), *[frame(old) for old in range(1, 101)])
        bench.until(lambda expected=number: expected in bench.heard)
    bench.until(lambda: bench.line.rejected == 2000)
    assert bench.heard == list(range(101, 111))
    bench.loop.log.close()
    assert sum("no newer than others" in text for text in bench.logged) == REJECTED_LINES + 1
    assert len(bench.line.sieve._highest) == 1


def test_a_medium_that_brings_recordings_alone_rests(bench, monkeypatch):
    bench.line.sieve.interval_ns = LONG_NS
    without_credit(bench)
    assert bench.loop.schedule.next_due() is None
    monkeypatch.setattr(wire_module, "RUBBISH_PAUSE_NS", LONG_NS)
    bench.send(*[frame(old) for old in range(1, 101)], frame(101))
    bench.until(lambda: bench.heard)
    bench.until(lambda: bench.line.rejected == 100)
    assert bench.loop.schedule.next_due() is None, "there was something new in it"
    bench.send(frame(101))
    bench.until(lambda: bench.line.rejected == 101)
    assert bench.loop.schedule.next_due() is not None
    bench.send(frame(102))
    bench.turn()
    assert bench.heard == [101], "it rests"
    bench.loop.schedule.run(bench.loop.now() + LONG_NS)
    bench.until(lambda: bench.heard == [101, 102])


def test_a_medium_that_brings_copies_of_the_newest_status_alone_rests(bench, monkeypatch):
    """They are taken by their octets; the second on one medium proves nothing more, but costs."""
    monkeypatch.setattr(wire_module, "RUBBISH_PAUSE_NS", LONG_NS)
    taken = []
    bench.wire.hear = lambda medium, decoder, octets, now: taken.append(octets) or 7
    bench.send(frame(7))
    bench.until(lambda: taken)
    assert bench.loop.schedule.next_due() is None
    bench.send(frame(7))
    bench.until(lambda: len(taken) == 2)
    assert bench.loop.schedule.next_due() is not None
    assert bench.heard == []


def test_new_keys_do_not_make_recordings_new(bench):
    bench.line.sieve.interval_ns = LONG_NS
    without_credit(bench)
    bench.send(frame(5), RUBBISH["malformed"])
    bench.until(lambda: bench.line.rejected == 2)
    bench.line.rekey(Authenticator(KEYS, 1))
    assert bench.line.rejected == 2
    bench.send(frame(5), RUBBISH["malformed"])
    bench.until(lambda: bench.line.rejected == 4)
    assert bench.heard == []


def test_as_many_known_messages_as_a_peer_has_reason_to_send_are_let_through():
    """Some at once, then one in an interval; however long nothing came, no more at once than that."""
    sieve = Sieve()
    sieve.interval_ns = 100
    for start in (10**9, 10**12):
        assert [sieve.affords(start) for _ in range(KNOWN_BURST + 5)] == [True] * KNOWN_BURST + [False] * 5
        assert [sieve.affords(start + 50 * number) for number in range(1, 9)] == [False, True] * 4
    assert sieve.refused == 2 * (5 + 4)


def test_what_is_new():
    sieve = Sieve()
    told = [(5, 1), (5, 1), (4, 1), (6, 1), (1, 2), (1, 2), (7, 1), (6, 1), (0, 1), (0, 3), (2, 2)]
    assert [sieve.new(status(*each)) for each in told] == [
        True, False, False, True, True, False, True, False, False, False, True
    ]  # fmt: skip
    assert sieve.new(status(1, source=b"julius"))
    assert not sieve.new(Message([("t", 0, b"NS_ackmsg")]))


def test_recordings_of_many_generations_are_not_new_again_and_again():
    """Nor keep out the next start of the peer, or the other node."""
    sieve = Sieve()
    assert all(sieve.new(status(9, generation)) for generation in range(1, 3 * GENERATIONS_LIMIT))
    for _ in range(3):
        assert not any(sieve.new(status(9, generation)) for generation in range(1, 3 * GENERATIONS_LIMIT))
    assert len(sieve._highest) == GENERATIONS_LIMIT
    assert sieve.new(status(1, 3 * GENERATIONS_LIMIT))
    assert sieve.new(status(1, 1, b"julius"))
    assert len(sieve._highest) == GENERATIONS_LIMIT


def test_a_medium_that_rests_can_be_closed_and_opened(bench, monkeypatch):
    monkeypatch.setattr(wire_module, "RUBBISH_PAUSE_NS", LONG_NS)
    bench.send(RUBBISH["malformed"])
    bench.until(lambda: bench.loop.schedule.next_due() is not None)
    bench.wire._close(bench.line)
    assert bench.loop.schedule.next_due() is None
    with bench.hosts[0].inside():
        assert bench.wire.open_all() == []
    bench.send(frame(3))
    bench.until(lambda: bench.heard == [3])


def test_a_flood_takes_no_memory_beyond_what_is_counted(bench, monkeypatch):
    monkeypatch.setattr(wire_module, "RUBBISH_PAUSE_NS", 0)
    for _ in range(100):
        bench.send(*[RUBBISH["malformed"]] * 100, *[RUBBISH["bad_auth"]] * 100)
        bench.turn()
    bench.until(lambda: bench.loop.schedule.next_due() is None)
    assert bench.line.rejected + bench.line.discarded == 20_000
    assert len(bench.loop.inbox) == len(bench.loop.queue) == 0
    assert len(bench.loop.log._causes) == 2
    assert len(bench.loop.schedule._heap) <= 1


def test_a_peer_with_another_address_is_heard_within_its_deadtime_and_said(monkeypatch):
    bench = Bench(monkeypatch, deadtime_ms=200)
    try:
        bench.wire.send(Message([("t", 0, b"status")]), 0, bench.loop.now())
        began = bench.loop.now()
        while not bench.heard:
            assert bench.loop.now() - began < 20_000_000_000
            bench.send(frame(1), source=STRANGER)
            bench.turn()
        assert any(f"speaks from {STRANGER}" in text for text in bench.logged)
        assert bench.line.medium.patience_ns == 100_000_000
        assert bench.line.discarded > 0
    finally:
        bench.close()


class Believing:
    """What a core says that hears the peer on the medium, in generation 1, from the instant on that is set."""

    def __init__(self, bench) -> None:
        self.heard_ns = None
        self.asked = 0
        bench.wire.view = self

    def __call__(self):
        self.asked += 1
        links = {"eth0": "dead" if self.heard_ns is None else "up"}
        return SimpleNamespace(
            nodes={"caesar": SimpleNamespace(generation=1, last_heard_ns=self.heard_ns, links=links)}
        )


@pytest.fixture
def impatient(monkeypatch):
    """A deadtime of 0.2 s; the node has begun to speak."""
    made = Bench(monkeypatch, deadtime_ms=200)
    made.wire.send(Message([("t", 0, b"status")]), 0, made.loop.now())
    yield made
    made.close()


def filtered(bench) -> bool:
    return bench.line.medium.deadline() is not None


def heard(bench, number: int, source: str = PEER) -> None:
    bench.send(frame(number), source=source)
    bench.until(lambda: number in bench.heard)
    bench.turn()


def test_a_recording_from_elsewhere_does_not_keep_the_filter_off(impatient):
    core = Believing(impatient)
    impatient.until(lambda: not filtered(impatient))
    heard(impatient, 5, STRANGER)
    assert core.asked
    assert not impatient.logged
    core.heard_ns = impatient.loop.now()
    heard(impatient, 6)
    assert filtered(impatient)
    before = impatient.line.discarded
    impatient.send(frame(7), source=STRANGER)
    assert impatient.line.discarded == before + 1


def test_a_peer_that_has_moved_is_not_shut_out_by_recordings_from_its_old_address(impatient):
    core = Believing(impatient)
    impatient.until(lambda: not filtered(impatient))
    core.heard_ns = impatient.loop.now()
    heard(impatient, 50, STRANGER)
    assert any(f"speaks from {STRANGER}" in text for text in impatient.logged)
    for number in range(51, 61):
        impatient.send(frame(number - 50), frame(number - 1))
        impatient.turn()
        assert not filtered(impatient), "a named address has repeated what was said elsewhere"
        core.heard_ns = impatient.loop.now()
        heard(impatient, number, STRANGER)
    heard(impatient, 61)
    assert filtered(impatient), "now the peer is there"


def test_recordings_from_a_named_address_do_not_keep_the_filter_on(impatient):
    """After a start they are new to the medium, each of them; the core knows better. The peer may be elsewhere."""
    Believing(impatient)
    began = impatient.loop.now()
    number = 0
    while filtered(impatient):
        assert impatient.loop.now() - began < 20 * 10**9
        number += 1
        heard(impatient, number)
    assert number > 1
    heard(impatient, 10**6, STRANGER)


def test_what_was_taken_by_its_octets_has_counted_and_nobody_is_asked(impatient):
    core = Believing(impatient)
    impatient.until(lambda: not filtered(impatient))
    impatient.wire.hear = lambda medium, decoder, octets, now: 9
    impatient.send(frame(9))
    impatient.until(lambda: filtered(impatient))
    assert not core.asked


def test_what_a_reload_changes(bench):
    """New patience without a new socket; other addresses with one."""
    fd = bench.line.medium.fileno()
    config = SimpleNamespace(
        divisor=2, message_format="classic", log_badpack=True, keys=KEYS, outbound=1, media=[bench.line.config],
        deadtime_ms=400, keepalive_ms=100,
    )  # fmt: skip
    bench.wire.configure(config)
    assert bench.line.medium.patience_ns == 100_000_000
    assert bench.line.medium.fileno() == fd
    changed = MediumConfig("eth0", "ucast", "eth0", host=PEER, address=PEER, port=PORT)
    changed.sources = (STRANGER,)
    changed.sources_strict = True
    config.media = [changed]
    bench.wire.configure(config)
    with bench.hosts[0].inside():
        assert bench.wire.open_all() == []
    bench.send(frame(1))
    bench.send(frame(2), source=STRANGER)
    bench.until(lambda: bench.heard)
    assert bench.heard == [2]


def test_a_broadcast_flood_is_rejected_like_any_other(monkeypatch):
    """No medium but ucast knows whom to expect; there the signature decides."""
    bench = Bench(monkeypatch)
    try:
        medium = MediumConfig("eth0", "bcast", "eth0", port=PORT)
        bench.wire.configure(
            SimpleNamespace(
                divisor=1, message_format="classic", log_badpack=True, keys=KEYS, outbound=1, media=[medium],
                deadtime_ms=1000, keepalive_ms=100,
            )
        )  # fmt: skip
        with bench.hosts[0].inside():
            assert bench.wire.open_all() == []
        with bench.hosts[1].socket() as endpoint:
            endpoint.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
            endpoint.bind((STRANGER, 0))
            for one in (RUBBISH["malformed"], RUBBISH["bad_auth"], frame(4)):
                endpoint.sendto(one, ("10.0.0.255", PORT))
        bench.until(lambda: bench.heard)
        assert bench.heard == [4]
        assert bench.wire.lines["eth0"].rejected == 2
        assert bench.wire.lines["eth0"].medium.deadline() is None
    finally:
        bench.close()


def test_what_repeats_is_offered_before_it_is_decoded_and_never_out_of_its_turn(bench):
    """One that waits to be handled came first: what follows it is decoded and waits behind it."""
    offered = []
    bench.wire.hear = lambda medium, decoder, octets, now: offered.append(octets) or octets == frame(2)
    bench.send(frame(2), frame(1), frame(2), frame(3))
    bench.until(lambda: len(bench.heard) == 3)
    assert offered == [frame(2), frame(1)]
    assert bench.heard == [1, 2, 3]
