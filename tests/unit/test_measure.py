"""What `heartbeat bench` makes of what it sees; tests/system lets it measure."""

import json
import os
import struct
import tty

import pytest

from _hbfast.auth import Authenticator
from _hbfast.codec import Message, encode
from heartbeat import advised, bench, measure, media
from heartbeat.config.record import Config, MediumConfig

MS = measure.MILLISECOND


def test_lateness_is_told_by_its_worst():
    found = measure.Timers([MS * each for each in range(1, 101)], exact=True, problem="")
    assert (found.count, found.median_ms, found.p99_ms, found.worst_ms) == (100, 51, 100, 100)
    nothing = measure.Timers([], exact=False, problem="")
    assert (nothing.count, nothing.worst_ms) == (0, 0)


def test_timers_fire_for_as_long_as_they_are_told():
    found = measure.timers(0.05, "")
    assert 1 <= found.count <= 10
    assert found.worst_ms >= found.median_ms >= 0


# ---- heartbeats that are overheard


def heard(*stamps):
    made = measure.Heard("10.0.0.3")
    for generation, sequence, at_ms in stamps:
        made.add(generation, sequence, at_ms * MS)
    made.finish()
    return made


def test_the_longest_interval_is_how_late_they_come():
    found = heard((5, 1, 0), (5, 2, 100), (5, 3, 230), (5, 4, 330), (5, 5, 400))
    assert (found.count, found.interval_ms, found.late_ms, found.lost) == (5, 100, 30, 0)


def test_one_that_is_lost_is_not_late():
    found = heard((5, 1, 0), (5, 2, 100), (5, 4, 300), (5, 5, 400), (5, 6, 500))
    assert (found.late_ms, found.lost) == (0, 1)


def test_copies_recordings_and_restarts_do_not_count():
    found = heard((5, 1, 0), (5, 2, 100), (5, 2, 101), (4, 900, 150), (5, 3, 200), (6, 1, 3_000), (6, 2, 3_100))
    assert (found.count, found.interval_ms, found.late_ms, found.lost) == (5, 100, 0, 0)


def test_one_alone_tells_nothing():
    assert heard((5, 1, 0)).interval_ms == 0
    assert heard().count == 0


KEY = {1: ("sha1", b"a-secret")}


def config():
    made = Config("/nonexistent")
    made.node, made.nodes = "julius", ("julius", "caesar")
    made.keys, made.outbound = KEY, 1
    return made


def packet(source="caesar", sequence=1, key=b"a-secret", address=(10, 0, 0, 3), options=b"", six=False):
    fields = [("t", 0, b"status"), ("src", 0, source.encode()), ("hg", 0, b"5"), ("seq", 0, b"%x" % sequence)]
    payload = encode(Message(fields), Authenticator({1: ("sha1", key)}, 1), "netstring")
    datagram = struct.pack(">HHHH", 4000, 694, 8 + len(payload), 0) + payload
    if six:
        return bytes((0x60,)) + bytes(5) + bytes((17, 64)) + bytes(15) + b"\x03" + bytes(16) + datagram
    head = bytes((0x45 + len(options) // 4,)) + bytes(8) + bytes((17,)) + bytes(2) + bytes(address) + bytes(4)
    return head + options + datagram


class Packets:
    """In the place of the socket."""

    def __init__(self, packets):
        self._packets = list(packets)
        self.closed = False

    def recvmsg(self, octets, ancillary):
        if not self._packets:
            raise BlockingIOError
        at_ns = 7 * measure.SECOND + len(self._packets)
        return self._packets.pop(0), [(0, 0, struct.pack("ll", at_ns // 10**9, at_ns % 10**9))], 0, ()

    def close(self):
        self.closed = True


def overheard(packets, type_="ucast"):
    listening = measure.Overhearing.__new__(measure.Overhearing)
    listening.medium = MediumConfig("eth0", type_, "eth0", port=694)
    listening._own, listening._nodes = "julius", ("julius", "caesar")
    listening._decoder = measure.Decoder("eth0", Authenticator(KEY, 1, strong=True), stream=False)
    listening._socket = Packets(packets)
    found = listening.finish()
    assert listening._socket.closed
    return found


def test_only_the_other_nodes_signed_statuses_count():
    packets = [
        packet(sequence=1), packet(sequence=2, options=bytes(8)), packet("julius", 7), packet("brutus", 8),
        packet(sequence=9, key=b"another"), b"", b"\x45", bytes(100), packet()[:60],
    ]  # fmt: skip
    found = overheard(packets)
    assert set(found) == {"caesar"}
    assert found["caesar"].count == 2
    assert found["caesar"].address == "10.0.0.3"


def test_by_ipv6_too():
    assert overheard([packet(six=True)], "ucast6")["caesar"].address == "::3"


def test_what_is_kept_of_a_flood_is_bounded(monkeypatch):
    monkeypatch.setattr(measure, "DATAGRAMS", 10)
    assert overheard(packet(sequence=number) for number in range(1, 100))["caesar"].count == 10


# ---- round trips


class Channel:
    def __init__(self, octets):
        self._octets = octets

    def recv(self, _octets):
        return self._octets


def test_an_answer_to_our_request_is_known():
    request = measure._request(False, 77, 3, b"token".ljust(16) + bytes(5))
    words = struct.unpack(f">{(len(request) + 1) // 2}H", request + b"\0" * (len(request) % 2))
    assert sum(words) % 0xFFFF == 0  # the sum over all, the sum included
    answer = bytes((0x45,)) + bytes(19) + b"\0" + request[1:]
    token = b"token".ljust(16)
    assert measure._answered(Channel(answer), False, 77, token) == 3
    for wrong in (answer[:10], b"", answer[:20] + b"\x08" + answer[21:], answer.replace(b"token", b"nekot")):
        assert measure._answered(Channel(wrong), False, 77, token) is None
    assert measure._answered(Channel(answer), False, 78, token) is None
    six = b"\x81" + measure._request(True, 77, 4, token)[1:]
    assert measure._answered(Channel(six), True, 77, token) == 4


# ---- a serial line


@pytest.fixture
def port(tmp_path):
    master, slave = os.openpty()
    tty.setraw(slave)
    yield master, MediumConfig(os.ttyname(slave), "serial", os.ttyname(slave), baud=115200, rate_bits_per_s=115200)
    os.close(master)
    os.close(slave)


def test_line_feeds_are_all_that_a_line_is_sent(port, tmp_path):
    master, medium = port
    took_ms = measure.line(medium, str(tmp_path), 279)
    assert took_ms > 0
    assert os.read(master, 4096) == b"\n" * 279
    assert list(tmp_path.iterdir()) == []  # the lock is given back


def test_a_line_that_somebody_has_is_left_alone(port, tmp_path):
    master, medium = port
    other = media.create(medium, str(tmp_path))
    other.open()
    try:
        with pytest.raises(OSError, match=medium.device):
            measure.line(medium, str(tmp_path), 279)
    finally:
        other.close()
    os.set_blocking(master, False)
    with pytest.raises(BlockingIOError):
        os.read(master, 4096)


def test_a_line_that_takes_nothing_is_given_up(port, tmp_path, monkeypatch):
    _, medium = port
    monkeypatch.setattr(measure, "_queued", lambda fd: 1)
    monkeypatch.setattr(measure, "LINE_LEAST_S", 0.0)
    with pytest.raises(OSError, match="nothing leaves"):
        measure.line(medium, str(tmp_path), 10)


# ---- what is said


def found(**daemon):
    made = bench.Found.__new__(bench.Found)
    made.config = config()
    made.config.keepalive_ms, made.config.deadtime_ms = 100, 200
    made.config.media = (
        MediumConfig("/dev/ttyS0", "serial", "/dev/ttyS0", baud=19200, rate_bits_per_s=19200),
        MediumConfig("eth0", "ucast", "eth0", address="10.0.0.3", port=694),
    )
    made.seconds, made.octets, made.daemon = 10.0, 192, daemon or None
    made.timers = measure.Timers([MS, 2 * MS], exact=True, problem="")
    made.media = {each.name: bench.Medium(each, 192) for each in made.config.media}
    made.media["eth0"].heard = {"caesar": heard((5, 1, 0), (5, 2, 100), (5, 3, 205), (5, 4, 305))}
    made.media["eth0"].echoes = [measure.Echoes("10.0.0.3", 40, [0.5, 1.5])]
    made.not_measured = ["/dev/ttyS0: the daemon has the line; by its rate alone"]
    return made


def advice_of(made):
    return advised.advise(
        own_ms=made.own_ms, other_ms=made.other_ms, frame_ms=made.frame_ms, round_trip_ms=made.round_trip_ms,
        when="now", realtime=True,
    )  # fmt: skip


def test_the_worst_of_everything_counts():
    made = found()
    assert (made.own_ms, made.other_ms, made.frame_ms, made.round_trip_ms) == (2.0, 5.0, 100.0, 1.5)
    made = found(lateness_ms={"worst": 9.5, "p99": 1.0})
    assert made.own_ms == 9.5
    made.media["eth0"].heard.clear()
    assert made.other_ms == 9.5  # nobody knows, so as bad as our own
    made.media["/dev/ttyS0"].measured_ms = 130.0
    assert made.frame_ms == 130.0


@pytest.mark.parametrize("daemon", [{}, {"lateness_ms": None}, {"lateness_ms": {"worst": "soon"}}])
def test_a_daemon_that_says_little_is_no_trouble(daemon):
    assert found(**daemon).own_ms == 2.0


def test_people_are_told_what_was_not_measured_and_what_is_not_safe():
    made = found(lateness_ms={"worst": 9.5, "p99": 1.0})
    text = bench.text(made, advice_of(made), "/var/lib/heartbeat/bench.json")
    assert "9.5 ms (worst)" in text
    assert "caesar heard 4 times, every 100 ms, late by 5 ms at worst, 0 lost" in text
    assert "the daemon has the line" in text
    assert "keepalive is 100ms" in text
    assert "at least 200ms is safe" in text
    assert "/var/lib/heartbeat/bench.json" in text


def test_programs_get_the_same():
    made = found()
    told = json.loads(json.dumps(bench.record(made, advice_of(made))))
    assert told["safe"] is False
    assert told["advice"]["keepalive_ms"] == 200
    assert told["media"][1]["heard"]["caesar"]["late_ms"] == 5
    assert told["media"][1]["round_trips"][0]["worst_ms"] == 1.5
    assert told["daemon"] == {"running": False, "lateness_ms": None}
