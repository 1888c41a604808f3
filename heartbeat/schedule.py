"""The daemon's own timers: media to open again, announcements to repeat. The cluster's timers are the core's.

A handful of entries, so a heap: called by key, replaced by setting again, and never late work for a key that was
cancelled.
"""

from __future__ import annotations

from _heapq import heappop, heappush

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Hashable


class Schedule:
    """Instants in nanoseconds, the caller's clock."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, int]] = []
        self._entries: dict[int, tuple[Hashable, Callable[[int], object]]] = {}
        self._serials: dict[Hashable, int] = {}
        self._serial = 0

    def at(self, instant: int, key: Hashable, callback: Callable[[int], object]) -> None:
        """Call once at `instant`; an entry of the same key is replaced."""
        self.cancel(key)
        self._serial += 1
        self._entries[self._serial] = (key, callback)
        self._serials[key] = self._serial
        heappush(self._heap, (instant, self._serial))

    def cancel(self, key: Hashable) -> None:
        serial = self._serials.pop(key, None)
        if serial is not None:
            del self._entries[serial]

    def next_due(self) -> int | None:
        while self._heap and self._heap[0][1] not in self._entries:
            heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def run(self, now: int) -> None:
        """Call what is due, in order."""
        while (due := self.next_due()) is not None and due <= now:
            _, serial = heappop(self._heap)
            key, callback = self._entries.pop(serial)
            del self._serials[key]
            callback(now)
