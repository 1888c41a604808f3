"""Frames that wait for a slow line.

Rules: what is urgent goes first, then what is normal, then the status; a newer status takes the place of one that
still waits; everything is bounded, and what makes room is the oldest of its class, because a message that is missed
is asked for again, while the newest is the one that counts.
"""

from __future__ import annotations

from heartbeat.core.actions import STATUS, URGENT
from heartbeat.lean import deque

# Per class. 64 frames of 200 octets are 6.7 seconds of a line at 19200 baud: whatever waits longer has been asked for
# again. The octets are those of the largest message that the protocol knows (protocol/wire.md §3.3).
WAITING_FRAMES = 64
WAITING_OCTETS = 262_144

# So many normal frames may overtake a waiting status: without a limit a burst of retransmissions would silence the
# heartbeat for seconds, and the peer would declare us dead while we answer it. On a line that heartbeats nearly fill
# eight are more than a lease.
STATUS_OVERTAKEN_FRAMES = 1


class Outbox:
    """put() frames in, take() them out in the order in which the line should carry them. dropped: never taken."""

    __slots__ = ("_normal", "_overtaken", "_status", "_urgent", "dropped")

    def __init__(self) -> None:
        self._urgent = _Waiting()
        self._normal = _Waiting()
        self._status: bytes | None = None
        self._overtaken = 0
        self.dropped = 0

    def __bool__(self) -> bool:
        return bool(self._status is not None or self._normal.frames or self._urgent.frames)

    def put(self, frame: bytes, priority: int) -> None:
        if priority != STATUS:
            waiting = self._urgent if priority == URGENT else self._normal
            self.dropped += waiting.put(frame)
            return
        if self._status is None:
            self._overtaken = 0
        else:
            self.dropped += 1
        self._status = frame

    def take(self) -> bytes | None:
        if self._urgent.frames:
            return self._urgent.take()
        if self._normal.frames and (self._status is None or self._overtaken < STATUS_OVERTAKEN_FRAMES):
            self._overtaken += 1
            return self._normal.take()
        status, self._status = self._status, None
        self._overtaken = 0
        return status

    def clear(self) -> None:
        """Drop everything."""
        while self.take() is not None:
            self.dropped += 1


class _Waiting:
    """The frames of one class, oldest first, within the limits."""

    __slots__ = ("frames", "octets")

    def __init__(self) -> None:
        self.frames: deque[bytes] = deque()
        self.octets = 0

    def put(self, frame: bytes) -> int:
        """Add one; returns how many were dropped for it (itself, where it is larger than everything allowed)."""
        if len(frame) > WAITING_OCTETS:
            return 1
        self.frames.append(frame)
        self.octets += len(frame)
        dropped = 0
        while len(self.frames) > WAITING_FRAMES or self.octets > WAITING_OCTETS:
            self.take()
            dropped += 1
        return dropped

    def take(self) -> bytes:
        frame = self.frames.popleft()
        self.octets -= len(frame)
        return frame
