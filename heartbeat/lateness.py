"""How late the daemon's timers fire: the worst since the start, and the 99th percentile of the newest."""

from __future__ import annotations

from array import array

NEWEST = 1000


class Lateness:
    """Nanoseconds in, milliseconds out."""

    def __init__(self) -> None:
        self._worst_ns = 0
        self._newest_ns = array("q", bytes(8 * NEWEST))
        self._count = 0

    def add(self, late_ns: int) -> None:
        self._worst_ns = max(self._worst_ns, late_ns)
        self._newest_ns[self._count % NEWEST] = late_ns
        self._count += 1

    def milliseconds(self) -> tuple[float, float]:
        """(worst, p99)."""
        filled = sorted(self._newest_ns[: min(self._count, NEWEST)])
        p99 = filled[len(filled) * 99 // 100] if filled else 0
        return self._worst_ns / 1e6, p99 / 1e6
