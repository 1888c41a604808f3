"""The core's timers: a callback for each key of the passive wheel.

Keys are taken once, when a machine is made, and given back when it goes (a group that a reload removed). The wheel's
size bounds them: 1024 is 256 groups with two timers each, 64 media, and room.
"""

from __future__ import annotations

from _hbfast.wheel import TimerWheel

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

CAPACITY = 1024


class Timers:
    """arm, disarm and fire callbacks; instants in nanoseconds."""

    __slots__ = ("_callbacks", "_free", "_wheel", "arm", "disarm", "next_due")

    def __init__(self, now: int) -> None:
        self._wheel = TimerWheel(CAPACITY, now)
        self._callbacks: list[Callable[[int], None] | None] = [None] * CAPACITY
        self._free = list(range(CAPACITY - 1, -1, -1))
        self.arm = self._wheel.arm
        self.disarm = self._wheel.disarm
        self.next_due = self._wheel.next_due

    def new(self, callback: Callable[[int], None]) -> int:
        key = self._free.pop()
        self._callbacks[key] = callback
        return key

    def free(self, key: int) -> None:
        self._wheel.disarm(key)
        self._callbacks[key] = None
        self._free.append(key)

    def fire(self, now: int) -> None:
        """Call what is due, in order. A callback may disarm or free one that is due in the same instant."""
        for key in self._wheel.due(now):
            callback = self._callbacks[key]
            if callback is not None:
                callback(now)
