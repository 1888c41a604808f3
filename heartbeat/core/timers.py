"""The core's timers: a callback for each key of the passive wheel.

A callback is a bound method and what it is to be told, never a lambda: a running cluster can be pickled.

Keys are taken once, when a machine is made, and given back when it goes (a group that a reload removed). The wheel's
size bounds them: 4096 is 1024 groups with two timers each, 64 media, and room.
"""

from __future__ import annotations

from _hbfast.wheel import TimerWheel

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    Entry = tuple[Callable[..., None], tuple[object, ...]]
    State = tuple[list[Entry | None], list[int], TimerWheel]

CAPACITY = 4096


class Timers:
    """arm, disarm and fire callbacks; instants in nanoseconds. wheel: for who arms by key without asking here."""

    __slots__ = ("_callbacks", "_free", "arm", "disarm", "next_due", "wheel")

    def __init__(self, now: int) -> None:
        self._callbacks: list[Entry | None] = []
        self._free: list[int] = []  # keys that were given back
        self._use(TimerWheel(CAPACITY, now))

    def _use(self, wheel: TimerWheel) -> None:
        self.wheel = wheel
        self.arm = wheel.arm
        self.disarm = wheel.disarm
        self.next_due = wheel.next_due

    def __getstate__(self) -> State:
        return self._callbacks, self._free, self.wheel

    def __setstate__(self, state: State) -> None:
        self._callbacks, self._free, wheel = state
        self._use(wheel)

    def new(self, callback: Callable[..., None], *told: object) -> int:
        """A key for `callback(now, *told)`."""
        entry = callback, told
        if self._free:
            key = self._free.pop()
            self._callbacks[key] = entry
        else:
            key = len(self._callbacks)
            assert key < CAPACITY, "the wheel has no more keys"
            self._callbacks.append(entry)
        return key

    def free(self, key: int) -> None:
        self.disarm(key)
        self._callbacks[key] = None
        self._free.append(key)

    def call(self, keys: list[int], now: int) -> None:
        """Those that the wheel has found due. A callback may disarm or free one that is due in the same instant."""
        for key in keys:
            entry = self._callbacks[key]
            if entry is not None:
                callback, told = entry
                callback(now, *told)
