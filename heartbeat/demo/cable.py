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
import termios
import tty
from typing import TYPE_CHECKING

from heartbeat.demo.clock import HARDWARE, MILLISECOND, SECOND, now_ns, run_real_time
from heartbeat.demo.namespaces import die_with_parent

if TYPE_CHECKING:
    from collections.abc import Callable

BITS_PER_OCTET = 10  # start, eight, stop
_LONGEST_CHUNK_NS = MILLISECOND
_REQUEST_LIMIT = 4096


class Direction:
    """One way of the line. Octets written to the `source` master's slave appear at the `target` master's slave.

    Counters are octets: carried; lost (cut, unplugged, or the far port not open); overrun (the far reader too slow).
    """

    def __init__(self, source: int, target: int, rate_bits_per_s: int) -> None:
        self.source = source
        self.target = target
        self.waiting = True
        self.carried = self.lost = self.overrun = 0
        self._octet_ns = BITS_PER_OCTET * SECOND / rate_bits_per_s
        self._chunk_octets = max(1, round(_LONGEST_CHUNK_NS / self._octet_ns))
        self._in_flight = b""
        self._arrives_ns = 0

    def deadline(self) -> int | None:
        """When `step` has something to do; None while the line is idle."""
        return self._arrives_ns if self._in_flight else None

    def step(self, now: int, connected: bool, damage: Callable[[bytes], bytes]) -> None:
        """Hand over what has arrived by `now` and put the next chunk on the line."""
        while self._in_flight and self._arrives_ns <= now:
            self._hand_over(connected, damage)
            # back to back: a late wake-up must not make the line slower than it is
            self._take(self._arrives_ns)
        if not self._in_flight and self.waiting:
            self._take(now)

    def insert(self, noise: bytes) -> None:
        """Noise on an idle line arrives like octets, though nobody sent it."""
        self._write(noise)

    def discard(self) -> None:
        """The sender lost its power: what it had queued is gone."""
        self._in_flight = b""
        with contextlib.suppress(OSError):
            termios.tcflush(self.source, termios.TCIOFLUSH)

    def _take(self, start_ns: int) -> None:
        try:
            self._in_flight = os.read(self.source, self._chunk_octets)
        except OSError:  # nothing queued, or its port is not open
            self._in_flight = b""
        self.waiting = bool(self._in_flight)
        self._arrives_ns = start_ns + round(len(self._in_flight) * self._octet_ns)

    def _hand_over(self, connected: bool, damage: Callable[[bytes], bytes]) -> None:
        octets, self._in_flight = self._in_flight, b""
        if connected and is_open(self.target):
            self._write(damage(octets))
        else:
            self.lost += len(octets)

    def _write(self, octets: bytes) -> None:
        try:
            written = os.write(self.target, octets)
        except OSError:
            written = 0
        self.carried += written
        self.overrun += len(octets) - written


def is_open(master: int) -> bool:
    """Has any process the other side of this pty open?"""
    poll = select.poll()
    poll.register(master, 0)
    return not poll.poll(0)


class Pump:
    """The cable's process: both directions, and the world's requests on a socket, each answered by the counters."""

    def __init__(self, masters: tuple[int, int], requests: socket.socket, rate_bits_per_s: int) -> None:
        a, b = masters
        self._directions = (Direction(a, b, rate_bits_per_s), Direction(b, a, rate_bits_per_s))
        self._requests = requests
        self._cut = False
        self._plugged = [True, True]
        self._damage_per_octet = 0.0
        self._random = random.Random(0)
        # edge-triggered: a pty that nobody has open is "ready" for ever
        self._epoll = select.epoll()
        for master in masters:
            os.set_blocking(master, False)
            self._epoll.register(master, select.EPOLLIN | select.EPOLLET)
        self._epoll.register(requests, select.EPOLLIN)

    def run(self) -> None:
        """Until the world hangs up."""
        while self._wait():
            now = now_ns()
            for direction in self._directions:
                direction.step(now, self._connected, self._damaged)

    @property
    def _connected(self) -> bool:
        return not self._cut and all(self._plugged)

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
                if direction.source == fd:
                    direction.waiting = True
        return True

    def _answer(self) -> bool:
        text = self._requests.recv(_REQUEST_LIMIT)
        if not text:
            return False
        request = json.loads(text)
        self._cut = request.get("cut", self._cut)
        if "plugged" in request:
            end, plugged = request["plugged"]
            self._plugged[end] = plugged
            if not plugged:
                self._directions[end].discard()
        if "damage_per_octet" in request:
            self._damage_per_octet = request["damage_per_octet"]
            self._random.seed(request["seed"])
        if "burst_octets" in request and self._connected:
            for direction in self._directions:
                direction.insert(self._random.randbytes(request["burst_octets"]))
        if "counters" in request:
            counters = [
                {name: getattr(way, name) for name in ("carried", "lost", "overrun")} for way in self._directions
            ]
            self._requests.send(json.dumps(counters).encode())
        return True

    def _damaged(self, octets: bytes) -> bytes:
        if not self._damage_per_octet:
            return octets
        chance = self._random.random
        return bytes(self._random.randrange(256) if chance() < self._damage_per_octet else octet for octet in octets)


class End:
    """One end of a cable. path: the pty's slave, for the machine's /dev/ttyS0."""

    def __init__(self, cable: Cable, number: int, path: str) -> None:
        self.path = path
        self._cable = cable
        self._number = number

    def plug(self) -> None:
        """The machine has power: its port carries signals."""
        self._cable.request(plugged=(self._number, True))

    def unplug(self) -> None:
        """The machine lost its power, what it had queued included."""
        self._cable.request(plugged=(self._number, False))


class Cable:
    """The world's handle. `ends` are for `Machine(serial=…)`, unplugged until their machine is switched on."""

    def __init__(self, rate_bits_per_s: int) -> None:
        pairs = [os.openpty() for _ in range(2)]
        self.ends = tuple(End(self, number, os.ttyname(slave)) for number, (_, slave) in enumerate(pairs))
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        masters = [master for master, _ in pairs]
        try:
            for _, slave in pairs:
                # the state in which a port is found is raw: an echo would be traffic that no UART makes
                tty.setraw(slave)
                # closed: the pump must see whether a machine has the port open
                os.close(slave)
            self._pump = subprocess.Popen(
                [sys.executable, "-m", "heartbeat.demo.cable",
                 *(str(fd) for fd in masters), str(theirs.fileno()), str(rate_bits_per_s)],
                pass_fds=(*masters, theirs.fileno()), stdin=subprocess.DEVNULL, start_new_session=True,
            )  # fmt: skip
        finally:
            for fd in masters:
                os.close(fd)
            theirs.close()
        self._requests = ours
        for end in self.ends:
            end.unplug()
        self.counters()  # answered: it runs

    def cut(self) -> None:
        self.request(cut=True)

    def join(self) -> None:
        self.request(cut=False)

    def noise(self, damage_per_octet: float, seed: int) -> None:
        """From now on each octet is replaced by a random one with this probability; 0 ends it."""
        self.request(damage_per_octet=damage_per_octet, seed=seed)

    def burst(self, octets: int) -> None:
        """Random octets both ways, now."""
        self.request(burst_octets=octets)

    def counters(self) -> list[dict[str, int]]:
        """Octets carried, lost, overrun: from the first end, then from the second."""
        self.request(counters=True)
        return list(json.loads(self._requests.recv(_REQUEST_LIMIT)))

    def request(self, **request: object) -> None:
        """Obeyed within a fraction of a millisecond, in order; `counters` alone is answered."""
        self._requests.send(json.dumps(request).encode())

    def close(self) -> None:
        self._requests.close()
        self._pump.wait()


def main() -> None:
    die_with_parent()
    first, second, requests, rate_bits_per_s = (int(argument) for argument in sys.argv[1:])
    run_real_time(HARDWARE)
    Pump((first, second), socket.socket(fileno=requests), rate_bits_per_s).run()


if __name__ == "__main__":
    main()
