"""A serial line of the wire: frames in helpings, a sender that stops in the middle, a hang-up while it rests."""

import errno
import fcntl
import os
import sys
import termios
import time
import tty
from types import SimpleNamespace

import pytest
from test_wire import KEYS, status

from _hbfast.auth import Authenticator
from _hbfast.codec import encode
from heartbeat.config.record import MediumConfig
from heartbeat.core.events import MediumDown
from heartbeat.log import Log
from heartbeat.loop import Loop
from heartbeat.wire import Wire

BAUD = 115200


class Line:
    """now: the wire's clock, which only this file moves."""

    def __init__(self, folder) -> None:
        self.master, self.slave = os.openpty()
        tty.setraw(self.slave)
        path = os.ttyname(self.slave)
        medium = MediumConfig(path, "serial", path, baud=BAUD, rate_bits_per_s=BAUD)
        self.loop = Loop(Log())
        self.now = 1_000_000_000
        self.loop.now = lambda: self.now
        config = SimpleNamespace(
            divisor=1, message_format="classic", log_badpack=True, keys=KEYS, outbound=1, media=[medium],
            deadtime_ms=500, keepalive_ms=100,
        )  # fmt: skip
        self.wire = Wire(config, str(folder), self.loop)
        assert self.wire.open_all() == []
        self.loop.queue.clear()
        self.reads = self.waiting = 0
        self.port = self.wire.lines[path].medium
        receive = self.port.receive

        def counted():
            self.reads += 1
            chunks = receive()
            self.waiting -= sum(map(len, chunks))
            return chunks

        self.port.receive = counted
        self.octet_ns = medium.frame_ns(1)

    def comes(self, octets: bytes) -> list[int]:
        """They come by the line's rate, and the daemon turns as it does; what the core would be told."""
        for at in range(0, len(octets), 12):
            helping = octets[at : at + 12]
            self.now += len(helping) * self.octet_ns
            self.write(helping)
            self.turn()
        return self.turn()

    def write(self, octets: bytes) -> None:
        """Until they can be read, which takes a pty a moment."""
        self.waiting += os.write(self.master, octets)
        end = time.monotonic() + 20
        while int.from_bytes(fcntl.ioctl(self.port.fileno(), termios.FIONREAD, bytes(4)), sys.byteorder) < self.waiting:
            assert time.monotonic() < end

    def turn(self) -> list[int]:
        self.loop.poller.wait(0)
        self.wire.look()
        return [message.sequence for message, _ in self.loop.inbox]

    def passes(self, ns: int) -> list[int]:
        self.now += ns
        return self.turn()

    def close(self) -> None:
        self.wire.close()
        self.loop.log.close()
        for end in (self.master, self.slave):
            if end >= 0:
                os.close(end)


@pytest.fixture
def line(tmp_path):
    made = Line(tmp_path)
    yield made
    made.close()


def frame(number: int) -> bytes:
    return encode(status(number), Authenticator(KEYS, 1), "classic")


def test_frames_are_read_in_few_helpings_and_told_in_time(line):
    assert line.comes(frame(1)) == [1]
    line.reads = 0
    for number in range(2, 7):
        octets = frame(number)
        line.comes(octets)
        assert line.passes(8 * line.octet_ns) == list(range(1, number + 1))
    assert line.reads <= 5 * 4


def test_what_has_come_while_it_rested_is_read_before_anybody_is_judged(line):
    line.comes(frame(1))
    octets = frame(2)
    line.comes(octets[:12])
    line.write(octets[12:])
    assert line.turn() == [1]  # it rests
    due = line.wire.deadline()
    assert line.now < due <= line.now + len(octets) * line.octet_ns
    line.now = due + 1_000_000_000  # this node did not run for a while
    line.loop.poller.wait(0)
    line.wire.look()
    assert [message.sequence for message, _ in line.loop.inbox] == [1, 2]


def test_a_sender_that_stops_in_the_middle_costs_nothing(line):
    line.comes(frame(1))
    line.comes(frame(2)[:30])
    for _ in range(2):
        line.passes(1_000_000_000)
    line.reads = 0
    for _ in range(100):
        line.passes(1_000_000_000)
    assert line.wire.deadline() is None
    assert line.reads == 0
    line.comes(frame(3))
    assert line.passes(1_000_000_000)[-1] == 3


def test_a_hang_up_is_noticed_while_it_rests(line):
    line.comes(frame(1))
    line.comes(frame(2)[:12])
    assert line.wire.deadline() is not None
    os.close(line.master)
    line.master = -1
    line.turn()
    line.turn()
    assert [type(event) for event, _ in line.loop.queue] == [MediumDown]
    assert line.wire.deadline() is None


def watch_of(line):
    """What is lent of it, None: nothing."""
    watch = SimpleNamespace(left=None, useless=None, failed=[])
    return watch if line.wire.lend(watch) else None


def greeted(line):
    """The BREAK before the first frame is over: nothing is to be written."""
    line.wire.send(status(1), 0, line.now)
    for _ in range(1000):
        line.now += 1_000_000
        line.wire.flush(line.now)
        if line.port.deadline() is None:
            return
    raise AssertionError("it is busy for ever")


def test_a_line_that_is_busy_is_not_lent(line):
    assert watch_of(line) is None  # it has to be greeted
    greeted(line)
    assert watch_of(line) is not None
    line.wire.send(status(2), 0, line.now)
    line.wire.send(status(3), 0, line.now)  # this one waits
    assert watch_of(line) is None


def test_a_line_that_rests_is_lent_with_what_it_holds_and_goes_on_with_it(line):
    greeted(line)
    for number in range(1, 6):
        line.comes(frame(number))
    line.loop.inbox.clear()
    octets = frame(6)
    line.write(octets[:24])
    line.turn()
    [end] = watch_of(line).ends
    assert (end.held, set(end.lengths)) == (octets[:24], {len(octets)})
    assert line.now < end.look_ns <= line.now + len(octets) * line.octet_ns
    watch = watch_of(line)
    [end] = watch.ends
    end.held, end.look_ns = octets[:40], line.now + 5
    line.wire.take_back(watch, line.now)
    assert line.wire.deadline() == line.now + 5
    [end] = watch_of(line).ends
    assert (end.held, end.look_ns) == (octets[:40], line.now + 5)


def test_what_was_read_in_its_place_is_told(line):
    greeted(line)
    for number in range(1, 6):
        line.comes(frame(number))
    line.loop.inbox.clear()
    watch = watch_of(line)
    [end] = watch.ends
    octets = frame(6)
    end.held, watch.left = octets[:40], (end, octets[40:], line.now)
    line.wire.take_back(watch, line.now)
    [(message, instant)] = line.loop.inbox
    assert (message.sequence, instant) == (6, line.now)


def test_a_port_that_refused_is_down(line):
    greeted(line)
    watch = watch_of(line)
    watch.failed = [(watch.ends[0], errno.EIO)]
    line.wire.take_back(watch, line.now)
    event, _ = line.loop.queue.popleft()
    assert isinstance(event, MediumDown)
    assert watch_of(line) is None
