"""The null-modem cable keeps the line's rate and loses what a real one loses."""

from __future__ import annotations

import contextlib
import os
import select
import time
from collections.abc import Iterator

import pytest

from heartbeat.demo.cable import BITS_PER_OCTET, Cable

RATE_BITS_PER_S = 115_200
OCTETS_PER_S = RATE_BITS_PER_S / BITS_PER_OCTET
PATIENCE_S = 20.0


class Line:
    """A cable with both ports open, and what a program at each does with it."""

    def __init__(self, cable: Cable) -> None:
        self.cable = cable
        self.paths = [end.plug() for end in cable.ends]
        self.ports = [self.open(end) for end in (0, 1)]

    def open(self, end: int) -> int:
        return os.open(self.paths[end], os.O_RDWR | os.O_NOCTTY)

    def write(self, end: int, octets: bytes) -> None:
        assert os.write(self.ports[end], octets) == len(octets)

    def read(self, end: int, octets: int, patience_s: float = PATIENCE_S) -> bytes:
        """As many as asked for, or what there is when patience ends."""
        got = b""
        until = time.monotonic() + patience_s
        while len(got) < octets and select.select([self.ports[end]], [], [], max(0, until - time.monotonic()))[0]:
            got += os.read(self.ports[end], 4096)
        return got

    def idle(self) -> None:
        """Wait until everything written has been carried, or lost."""
        before = None
        while (now := self.cable.counters()) != before:
            before = now
            time.sleep(0.05)

    def close(self, end: int) -> None:
        os.close(self.ports[end])
        self.ports[end] = -1


@contextlib.contextmanager
def connected(rate_bits_per_s: int) -> Iterator[Line]:
    with contextlib.closing(Cable(rate_bits_per_s)) as cable:
        line = Line(cable)
        yield line
        for port in line.ports:
            if port != -1:
                os.close(port)


@pytest.fixture
def line() -> Iterator[Line]:
    with connected(RATE_BITS_PER_S) as line:
        yield line


@pytest.mark.parametrize(("sender", "receiver"), [(0, 1), (1, 0)])
def test_carries_every_octet_unchanged(line: Line, sender: int, receiver: int) -> None:
    octets = bytes(range(256)) * 4
    line.write(sender, octets)
    assert line.read(receiver, len(octets)) == octets
    assert line.read(sender, 1, patience_s=0.05) == b"", "a null-modem cable has no echo"


def test_keeps_the_rate_both_ways_at_once(line: Line) -> None:
    # most of a second in a row: a wake-up that comes late must not make the line slower, none may make it faster
    octets = os.urandom(8000)
    start = time.monotonic()
    for end in (0, 1):
        line.write(end, octets)
    received = [b"", b""]
    while min(len(got) for got in received) < len(octets) and time.monotonic() < start + PATIENCE_S:
        for end in (0, 1):
            received[end] += line.read(end, 1, patience_s=0.01)
    took_s = time.monotonic() - start
    assert received == [octets, octets]
    rate = len(octets) / took_s
    assert 0.5 * OCTETS_PER_S < rate < 1.05 * OCTETS_PER_S


def test_a_frame_is_not_there_before_its_last_octet_can_be(line: Line) -> None:
    frame = bytes(600)
    start = time.monotonic()
    line.write(0, frame)
    assert line.read(1, len(frame)) == frame
    assert time.monotonic() - start >= len(frame) / OCTETS_PER_S


def test_cut_and_joined(line: Line) -> None:
    line.cable.cut()
    line.write(0, b"lost")
    line.write(1, b"lost too")
    line.idle()
    assert [way.lost for way in line.cable.counters()] == [4, 8]
    line.cable.join()
    line.write(0, b"there")
    line.write(1, b"back")
    assert (line.read(1, 5), line.read(0, 4)) == (b"there", b"back")


@pytest.mark.parametrize("end", [0, 1])
def test_cut_one_way_until_joined(line: Line, end: int) -> None:
    line.cable.cut(end)
    line.write(end, b"lost")
    line.write(1 - end, b"there")
    assert line.read(end, 5) == b"there"
    line.idle()
    lost = [way.lost for way in line.cable.counters()]
    assert (lost[end], lost[1 - end]) == (4, 0)
    line.cable.join()
    line.write(end, b"back")
    assert line.read(1 - end, 4) == b"back"


def test_a_cut_loses_what_is_on_the_line(line: Line) -> None:
    octets = bytes(range(250)) * 8
    line.write(0, octets)
    arrived = line.read(1, 1)
    line.cable.cut()
    line.idle()
    arrived += line.read(1, len(octets), patience_s=0.05)
    assert 0 < len(arrived) < len(octets)
    assert octets.startswith(arrived)


def test_power_failure_loses_what_was_queued_and_the_other_end_hears_nothing(line: Line) -> None:
    first, _ = line.cable.ends
    line.write(0, bytes(2000))
    first.unplug()
    line.write(1, b"into the dark")
    line.idle()
    heard = line.read(1, 2000, patience_s=0.1)
    assert len(heard) < 2000
    line.close(0)
    line.paths[0] = first.plug()
    line.ports[0] = line.open(0)
    line.write(0, b"back")
    assert line.read(1, 4) == b"back"
    assert line.read(0, 1, patience_s=0.05) == b""


def test_what_arrives_at_a_closed_port_is_not_there_when_it_opens(line: Line) -> None:
    line.close(1)
    line.write(0, b"yesterday")
    line.idle()
    line.ports[1] = line.open(1)
    line.write(0, b"today")
    assert line.read(1, 5) == b"today"
    line.write(1, b"heard")
    assert line.read(0, 5) == b"heard"


def test_a_reader_that_is_too_slow_loses_octets_and_blocks_nobody() -> None:
    with connected(10 * RATE_BITS_PER_S) as line:
        os.set_blocking(line.ports[0], False)
        sent = 0
        until = time.monotonic() + PATIENCE_S
        while not line.cable.counters()[0].overrun and time.monotonic() < until:
            with contextlib.suppress(BlockingIOError):
                sent += os.write(line.ports[0], bytes(4096))
            line.write(1, b"x")
            assert line.read(0, 1) == b"x"
        line.idle()
        there = line.cable.counters()[0]
        assert there.overrun
        assert there.overrun + there.carried == sent


def test_noise_damages_octets_the_same_way_for_the_same_seed(line: Line) -> None:
    clean = bytes(2000)
    damaged = []
    for _ in range(2):
        line.cable.noise(0.05, seed=7)
        line.write(0, clean)
        damaged.append(line.read(1, len(clean)))
    assert damaged[0] == damaged[1]
    changed = sum(octet != 0 for octet in damaged[0])
    assert 0.01 * len(clean) < changed < 0.2 * len(clean)
    line.cable.noise(0, seed=0)
    line.write(0, clean)
    assert line.read(1, len(clean)) == clean


def test_a_burst_comes_from_nowhere(line: Line) -> None:
    line.cable.burst(40)
    assert len(line.read(0, 40)) == 40
    assert len(line.read(1, 40)) == 40


def test_a_tap_sees_what_was_sent_and_what_of_it_has_arrived(line: Line) -> None:
    taps = [os.memfd_create("tap") for _ in range(2)]
    line.cable.tap(0, *taps)
    line.write(0, b"first")
    line.idle()
    line.write(1, b"the other way")
    line.cable.cut()
    line.write(0, b"second")
    line.idle()
    line.cable.join()
    line.cable.noise(1, seed=3)
    line.write(0, b"third")
    line.idle()
    assert line.read(1, 10)[:5] == b"first"
    sent, arrived = (os.pread(tap, 100, 0) for tap in taps)
    assert sent == b"firstsecondthird"
    assert arrived[:5] == b"first"
    assert len(arrived) == 10
    assert arrived[5:] != b"third"
    for tap in taps:
        os.close(tap)
