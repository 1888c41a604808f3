"""A null-modem cable: two ptys, and a pump between them that keeps the line's rate, 10 bits an octet, each way.

A pty knows no rate, so the pump is the line: it takes from one end no faster than a UART would shift out, and hands
over at the other end when the last of those octets would have arrived.

    daemon A ─► pty ─► pump: one chunk in flight, a millisecond's worth ─► pty ─► daemon B       and the same back

Rules, as on a real line: what the sender may queue is bounded (by its pty); a sender never learns whether anybody
listens; what arrives while the cable is cut, a machine is off or nobody has the port open is lost; a reader that is too
slow loses octets. The pump is a process of its own, real-time, so that a busy machine does not stall the line.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import select
import socket
import subprocess
import sys
import tty
from typing import TYPE_CHECKING, NamedTuple

from heartbeat.demo.clock import HARDWARE, MILLISECOND, SECOND, now_ns, run_real_time

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

BITS_PER_OCTET = 10  # start, eight, stop
_LONGEST_CHUNK_NS = MILLISECOND
_REQUEST_LIMIT = 4096


class Direction:
    """One way of the line: octets written to the source's port appear at the target's. Both are ptys' masters, None
    while unplugged.

    Counters are octets: carried; lost (cut, unplugged, or the far port not open); overrun (the far reader too slow).
    taps: files in memory; one gets what the source sends, the other what has arrived at the target.
    """

    def __init__(self, rate_bits_per_s: int) -> None:
        self.source: int | None = None
        self.target: int | None = None
        self.waiting = False
        self.carried = self.lost = self.overrun = 0
        self.taps: Sequence[int] = ()
        self._octet_ns = BITS_PER_OCTET * SECOND / rate_bits_per_s
        self._chunk_octets = max(1, round(_LONGEST_CHUNK_NS / self._octet_ns))
        self._in_flight = b""
        self._arrives_ns = 0

    def deadline(self) -> int | None:
        """When `step` has something to do; None while the line is idle."""
        return self._arrives_ns if self._in_flight else None

    def step(self, now: int, cut: bool, damage: Callable[[bytes], bytes]) -> None:
        """Hand over what has arrived by `now` and put the next chunk on the line."""
        while self._in_flight and self._arrives_ns <= now:
            octets, self._in_flight = self._in_flight, b""
            self._hand_over(octets, cut, damage)
            # back to back: a late wake-up must not make the line slower than it is
            self._take(self._arrives_ns)
        if not self._in_flight and self.waiting:
            self._take(now)

    def unplug_source(self) -> None:
        """The sender lost its power: what it had queued goes with its pty."""
        self.source = None
        self.waiting = False
        self.lost += len(self._in_flight)
        self._in_flight = b""

    def insert(self, noise: bytes) -> None:
        """Noise on the line arrives like octets, though nobody sent it."""
        self._hand_over(noise, False, lambda octets: octets)

    def _take(self, start_ns: int) -> None:
        if self.source is None:
            return
        try:
            self._in_flight = os.read(self.source, self._chunk_octets)
        except OSError:  # nothing queued, or its port is not open
            self._in_flight = b""
        self.waiting = bool(self._in_flight)
        if self.taps:
            os.write(self.taps[0], self._in_flight)
        self._arrives_ns = start_ns + round(len(self._in_flight) * self._octet_ns)

    def _hand_over(self, octets: bytes, cut: bool, damage: Callable[[bytes], bytes]) -> None:
        if cut or self.target is None or not is_open(self.target):
            self.lost += len(octets)
            return
        octets = damage(octets)
        try:
            written = os.write(self.target, octets)
        except OSError:
            written = 0
        if self.taps:
            os.write(self.taps[1], octets[:written])
        self.carried += written
        self.overrun += len(octets) - written


def is_open(master: int) -> bool:
    """Has any process the other side of this pty open?"""
    poll = select.poll()
    poll.register(master, 0)
    return not poll.poll(0)


class Pump:
    """The cable's process: both directions, and the world's requests on a socket."""

    def __init__(self, requests: socket.socket, rate_bits_per_s: int) -> None:
        # of the sender's number
        self._directions = (Direction(rate_bits_per_s), Direction(rate_bits_per_s))
        self._requests = requests
        self._cut = [False, False]
        self._damage_per_octet = 0.0
        self._random = random.Random(0)
        self._epoll = select.epoll()
        self._epoll.register(requests, select.EPOLLIN)

    def run(self) -> None:
        """Until the world hangs up, or is gone."""
        with contextlib.suppress(ConnectionError):
            while self._wait():
                now = now_ns()
                for direction, cut in zip(self._directions, self._cut, strict=True):
                    direction.step(now, cut, self._damaged)

    def _wait(self) -> bool:
        deadlines = [at for at in (direction.deadline() for direction in self._directions) if at is not None]
        timeout_s = max(0, min(deadlines) - now_ns()) / SECOND if deadlines else None
        # select and not poll: its time-out is not rounded up to a millisecond
        if not select.select([self._epoll], [], [], timeout_s)[0]:
            return True
        for fd, _ in self._epoll.poll(0):
            if fd == self._requests.fileno():
                if not self._answer():
                    return False
                continue
            for direction in self._directions:
                direction.waiting |= direction.source == fd
        return True

    def _answer(self) -> bool:
        text, fds, _, _ = socket.recv_fds(self._requests, _REQUEST_LIMIT, 2)
        if not text:
            return False
        match json.loads(text):
            case ["plug", end]:
                self._plug(end, fds[0])
            case ["tap", end]:
                self._directions[end].taps = fds
            case ["unplug", end]:
                self._unplug(end)
            case ["cut", *ways]:
                self._cut = ways
            case ["noise", damage_per_octet, seed]:
                self._damage_per_octet = damage_per_octet
                self._random.seed(seed)
            case ["burst", octets]:
                for direction in self._directions:
                    direction.insert(self._random.randbytes(octets))
            case ["counters"]:
                counters = [[way.carried, way.lost, way.overrun] for way in self._directions]
                self._requests.send(json.dumps(counters).encode())
        return True

    def _plug(self, end: int, master: int) -> None:
        os.set_blocking(master, False)
        # edge-triggered: a pty that nobody has open is "ready" for ever
        self._epoll.register(master, select.EPOLLIN | select.EPOLLET)
        self._directions[end].source = self._directions[1 - end].target = master

    def _unplug(self, end: int) -> None:
        master = self._directions[end].source
        if master is not None:
            self._directions[end].unplug_source()
            self._directions[1 - end].target = None
            self._epoll.unregister(master)
            os.close(master)

    def _damaged(self, octets: bytes) -> bytes:
        if not self._damage_per_octet:
            return octets
        chance = self._random.random
        return bytes(self._random.randrange(256) if chance() < self._damage_per_octet else octet for octet in octets)


class Counters(NamedTuple):
    """Octets of one direction since the cable was made; see `Direction`."""

    carried: int
    lost: int
    overrun: int


class End:
    """One end of a cable, unplugged at first."""

    def __init__(self, cable: Cable, number: int) -> None:
        self._cable = cable
        self._number = number

    def plug(self) -> str:
        """The machine has power: its port works. Answers the path of a pty's slave, to be the machine's /dev/ttyS0.

        A new pty each time, for a port that has lost its power remembers nothing.
        """
        master, slave = os.openpty()
        try:
            # a port is found raw: an echo would be traffic that no UART makes
            tty.setraw(slave)
            path = os.ttyname(slave)
            # closed: the pump must see whether the machine has the port open
            os.close(slave)
            self._cable.request("plug", self._number, fds=[master])
        finally:
            os.close(master)
        return path

    def unplug(self) -> None:
        """The machine lost its power, what it had queued included."""
        self._cable.request("unplug", self._number)


class Cable:
    """The world's handle; `ends` are for `Machine(serial=…)`."""

    def __init__(self, rate_bits_per_s: int) -> None:
        self.ends = (End(self, 0), End(self, 1))
        self._requests, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._pump = subprocess.Popen(
                [sys.executable, "-m", "heartbeat.demo.cable", str(theirs.fileno()), str(rate_bits_per_s)],
                pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL, start_new_session=True,
            )  # fmt: skip
        self.counters()  # answered: it runs

    def cut(self, end: int | None = None) -> None:
        """end: only what this one sends is lost."""
        self.request("cut", end in (None, 0), end in (None, 1))

    def join(self) -> None:
        self.request("cut", False, False)

    def noise(self, damage_per_octet: float, seed: int) -> None:
        """From now on each octet is replaced by a random one with this probability; 0 ends it."""
        self.request("noise", damage_per_octet, seed)

    def burst(self, octets: int) -> None:
        """Random octets both ways, now."""
        self.request("burst", octets)

    def tap(self, end: int, sent: int, arrived: int) -> None:
        """From now on these files (of memory: the pump must not wait) get what that end sends, and what of it arrives
        at the other, noise and all."""
        self.request("tap", end, fds=[sent, arrived])

    def counters(self) -> tuple[Counters, Counters]:
        """From the first end, from the second end. OSError: the pump is gone."""
        self.request("counters")
        answer = self._requests.recv(_REQUEST_LIMIT)
        if not answer:
            raise OSError("the cable's pump is gone; its messages are above")
        first, second = json.loads(answer)
        return Counters(*first), Counters(*second)

    def request(self, *words: object, fds: Sequence[int] = ()) -> None:
        """Obeyed within a fraction of a millisecond, in order; "counters" alone is answered."""
        socket.send_fds(self._requests, [json.dumps(words).encode()], fds)

    def close(self) -> None:
        self._requests.close()
        self._pump.wait()


def main() -> None:
    requests, rate_bits_per_s = (int(argument) for argument in sys.argv[1:])
    run_real_time(HARDWARE)
    Pump(socket.socket(fileno=requests), rate_bits_per_s).run()


if __name__ == "__main__":
    main()
