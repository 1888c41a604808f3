"""Timers: the wheel beside heapq, 10, 200 and 10,000 of them, doing the same.

    arm, disarm   a timer that is set and taken back: a question that was answered in time
    re-arm        a later instant for one that is armed: every heartbeat does this
    expire        the next deadline is asked for, time comes to it, what is due is armed again
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable
from functools import partial

from _hbfast.wheel import TimerWheel
from bench.micro.case import Batch, Case

SIZES = (10, 200, 10_000)
NUMBER = 2_000
SECOND = 1_000_000_000
BETWEEN_NS = SECOND // 100  # two batches of what is armed again; each timer is in one of five


class HeapTimers:
    """What the wheel does, the usual way with heapq: whoever is armed anew or disarmed leaves an entry behind, which is
    passed over when it comes to the top. Where these are more than the others, the heap is made anew."""

    ROOM = 64

    def __init__(self, capacity: int, now: int) -> None:
        self._armed: dict[int, int] = {}
        self._heap: list[tuple[int, int]] = []

    def arm(self, key: int, at: int) -> None:
        self._armed[key] = at
        heapq.heappush(self._heap, (at, key))
        if len(self._heap) > 2 * len(self._armed) + self.ROOM:
            self._heap = [(at, key) for key, at in self._armed.items()]
            heapq.heapify(self._heap)

    def disarm(self, key: int) -> None:
        self._armed.pop(key, None)

    def due(self, now: int) -> list[int]:
        found = []
        while self._heap and self._heap[0][0] <= now:
            at, key = heapq.heappop(self._heap)
            if self._armed.get(key) == at:
                del self._armed[key]
                found.append(key)
        return found

    def next_due(self) -> int | None:
        while self._heap:
            at, key = self._heap[0]
            if self._armed.get(key) == at:
                return at
            heapq.heappop(self._heap)
        return None


Timers = TimerWheel | HeapTimers
KINDS: dict[str, type[TimerWheel] | type[HeapTimers]] = {"wheel": TimerWheel, "heapq": HeapTimers}


def armed(kind: str, size: int) -> tuple[Timers, list[int]]:
    """So many timers, and how long each runs: from a keepalive to a deadtime."""
    draw = random.Random(size)
    delays = [draw.randrange(SECOND // 10, 30 * SECOND) for _ in range(size)]
    timers = KINDS[kind](size + 1, 0)
    for key, delay in enumerate(delays):
        timers.arm(key, delay)
    return timers, delays


def arm(kind: str, size: int) -> Batch:
    timers, delays = armed(kind, size)
    plan = [delays[number % size] for number in range(NUMBER)]

    def run() -> None:
        for at in plan:
            timers.arm(size, at)
            timers.disarm(size)

    return Batch(run, NUMBER)


def rearm(kind: str, size: int) -> Batch:
    timers, delays = armed(kind, size)
    plan: list[tuple[int, int]] = []
    beat = 0

    def prepare() -> None:
        """Some time has passed, in which none was late."""
        nonlocal beat
        now = beat * BETWEEN_NS
        assert not timers.due(now)
        plan.clear()
        for number in range(beat * NUMBER, (beat + 1) * NUMBER):
            key = number % size
            plan.append((key, now + delays[key] + number % NUMBER))
        beat += 1

    def run() -> None:
        for key, at in plan:
            timers.arm(key, at)

    return Batch(run, NUMBER, prepare)


def expire(kind: str, size: int) -> Batch:
    timers, delays = armed(kind, size)
    return Batch(expiring(timers, delays, NUMBER), NUMBER)


def expiring(timers: Timers, delays: list[int], number: int) -> Callable[[], list[int]]:
    """Lets so many expire, and says which."""

    def run() -> list[int]:
        gone: list[int] = []
        while len(gone) < number:
            now = timers.next_due() or 0
            keys = timers.due(now)
            for key in keys:
                timers.arm(key, now + delays[key])
            gone += keys
        return gone

    return run


MAKERS = {"arm, disarm": arm, "re-arm": rearm, "expire": expire}


def cases() -> list[Case]:
    return [
        Case("wheel", f"{what}, {size:,} timers: {kind}", partial(make, kind, size))
        for what, make in MAKERS.items()
        for size in SIZES
        for kind in KINDS
    ]
