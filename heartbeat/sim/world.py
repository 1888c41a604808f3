"""The world: one clock, one queue of events, two nodes, and the lanes between them.

The loop takes whatever is due first: a node's own deadline, which is not in the queue because it changes with every
event, or the head of the queue. After each event the audit looks, where anything has happened that it must look at.
"""

from __future__ import annotations

import itertools
import zlib
from collections import deque
from heapq import heappop, heappush
from random import Random

from heartbeat.core.settings import SECOND
from heartbeat.sim.audit import Audit
from heartbeat.sim.ethernet import EthernetLane
from heartbeat.sim.medium import NEVER, Lane
from heartbeat.sim.node import Node
from heartbeat.sim.serial import SerialLane

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from heartbeat.core.settings import Settings
    from heartbeat.sim.options import MediumOptions, Options

# Of these a failure prints the last; a transcript keeps all, where one is asked for.
LAST_LINES = 50
FIRST = -1  # of all events of an instant
COLUMNS = "{:>16.6f}  {:<10} {}"


class World:
    """now: nanoseconds since the world began. nodes: two. lanes: medium → its two lanes, by the sending node.

    silence_ns: a lane that lost every status for so long may have let the receiver find the sender dead: the shortest
    deadtime that either node ever had. deadtime_ns, keepalive_ns: the longest.
    """

    def __init__(
        self, options: Options, settings: tuple[Settings, Settings], *, keep_transcript: bool = False, core: Any = None
    ) -> None:
        self.options = options
        self.now = 0
        self.heap: list[tuple[int, int, Callable[[Any], None], Any]] = []
        self.number = itertools.count().__next__
        self.silence_ns = NEVER
        self.deadtime_ns = 0
        self.keepalive_ns = 0
        for each in settings:
            self.admit(each)
        self.events = 0
        self._sum = 0
        self.epoch = 0  # what was begun in an earlier one never ends
        self.last: deque[tuple[int, str, str]] = deque(maxlen=LAST_LINES)
        self.transcript: list[tuple[int, str, str]] | None = [] if keep_transcript else None
        self.random = Random(f"{options.seed} world")
        self.audit = Audit(self)
        self.nodes = tuple(Node(self, index, each, core) for index, each in enumerate(settings))
        for node, peer in zip(self.nodes, reversed(self.nodes), strict=True):
            node.peer = peer
        self.lanes: dict[str, tuple[Lane, Lane]] = {}
        for medium in options.media:
            self.lanes[medium.name] = (self._lane(medium, 0), self._lane(medium, 1))
        for node in self.nodes:
            node.lanes_of = {name: pair[node.index] for name, pair in self.lanes.items()}
        for there, back in self.lanes.values():
            there.back, back.back = back, there
            for lane in (there, back):
                lane.block("absent")  # no daemon runs yet
        self.audit.wake()

    def _lane(self, medium: MediumOptions, sender: int) -> Lane:
        random = Random(f"{self.options.seed} {medium.name} {sender}")
        receiver = self.nodes[1 - sender]
        if medium.baud:
            return SerialLane(self, medium.name, receiver, random, medium.quality, baud=medium.baud)
        return EthernetLane(
            self, medium.name, receiver, random, medium.quality, delay_ns=medium.delay_ns, jitter_ns=medium.jitter_ns
        )

    def admit(self, settings: Settings) -> None:
        """Settings that a node may have from now on. Its clock may be faster than the world's, so it finds its peer
        dead a little before a deadtime is over: by less than a hundredth."""
        self.silence_ns = min(self.silence_ns, settings.deadtime_ns * 99 // 100)
        self.deadtime_ns = max(self.deadtime_ns, settings.deadtime_ns)
        self.keepalive_ns = max(self.keepalive_ns, settings.keepalive_ns)

    # --- time

    def at(self, instant: int, call: Callable[[Any], None], argument: Any = None) -> None:
        """Call `call(argument)` at an instant; in the order of these calls where instants are equal."""
        heappush(self.heap, (instant, self.number(), call, argument))

    def run(self, until: int) -> None:
        """Let time pass up to and with `until`. AuditFailure, or AssertionError out of the core."""
        heap = self.heap
        one, other = self.nodes
        audit = self.audit
        events = 0
        heappush(heap, (until + 1, FIRST, self._end, None))
        while True:
            node, due, then = one, one.due, other.due
            if then < due:
                node, due, then = other, then, due
            head = heap[0][0]
            if head <= due:
                self.now, number, call, argument = heappop(heap)
                if number < 0:
                    break
                call(argument)
            else:
                self.now = max(self.now, due)
                node.tick(head if head < then else then)
            events += 1
            if audit.watchful:
                audit.look()
        self.events += events
        self.now = until

    def _end(self, _: object) -> None:
        """Of a run; it is never called."""

    def run_until(self, met: Callable[[], bool], until: int, step_ns: int) -> bool:
        """Run in steps until a condition is met; False where time is up first."""
        while not met():
            if self.now >= until:
                return False
            self.run(min(self.now + step_ns, until))
        return True

    # --- what is told

    def note(self, who: str, what: str) -> None:
        """One state change, for the transcript."""
        line = (self.now, who, what)
        self.last.append(line)
        self._sum = zlib.crc32(f"{self.now} {who} {what}".encode(), self._sum)
        if self.transcript is not None:
            self.transcript.append(line)

    def lines(self) -> list[str]:
        """The transcript in fixed columns: instant in seconds, node, what. Only its end where it is not kept."""
        return [
            COLUMNS.format(instant / SECOND, who, what)
            for instant, who, what in (self.last if self.transcript is None else self.transcript)
        ]

    @property
    def heartbeats(self) -> int:
        """Statuses that were sent."""
        return sum(node.heartbeats for node in self.nodes)

    def digest(self) -> str:
        """Of everything that was noted so far and of every lane's traffic: equal lives have equal ones."""
        told = [f"{self._sum:08x} {self.now} {self.heartbeats} {self.events}"]
        told += [
            f"{lane.name} {lane.frames} {lane.octets} {lane.lost}" for pair in self.lanes.values() for lane in pair
        ]
        return f"{zlib.crc32(';'.join(told).encode()):08x}"

    # --- what the audit asks

    def last_apart(self) -> int:
        """The last instant, now included, at which no medium worked both ways: each had in one direction lost every
        status for the shortest deadtime, or since then two answers in a row. What one medium carries is enough, so this
        is the earliest of all media."""
        now = self.now
        return min(
            (max(there.last_silent(now), back.last_silent(now)) for there, back in self.lanes.values()), default=NEVER
        )

    def frame_time_ns(self) -> int:
        """Of the slowest medium."""
        octets = self.options.frame_octets
        return max((pair[0].frame_time_ns(octets) for pair in self.lanes.values()), default=0)
