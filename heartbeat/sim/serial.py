"""One direction of a null-modem cable: a pipe with a rate, behind the queue that the daemon keeps for it.

    waiting (urgent, normal, the newest status) ──► on the line, one frame ──► the other side's port

* 10 bits an octet; a frame is delivered when its last octet has passed. A newer status replaces a waiting one.
* Flow control: while anybody holds CTS down, nothing moves. A frame that has not moved for STALL_NS is given up: what
  has passed of it is at the other side, and the next one is preceded by RESYNC.
* A cut loses the octets that pass during it; noise changes single octets, and the line has seven bits.
"""

from __future__ import annotations

from collections import deque

from heartbeat.core.actions import STATUS, URGENT
from heartbeat.sim.medium import NEVER, Lane, Quality, frames_to_next

TYPE_CHECKING = False
if TYPE_CHECKING:
    from random import Random

    from heartbeat.sim.node import Node
    from heartbeat.sim.world import World

OCTET_BITS = 10
STALL_NS = 500_000_000
RESYNC = b"\n<<<\n"
WAITING_FRAMES = 64
STATUS_OVERTAKEN_FRAMES = 1


class SerialLane(Lane):
    """baud: bits a second. blocked: who holds CTS down."""

    __slots__ = (
        "_begun", "_clean", "_finish", "_frame", "_handed", "_marks", "_moved", "_normal", "_overtaken",
        "_priority", "_resync", "_status", "_status_handed", "_token", "_urgent", "blocked", "dropped",
        "octet_ns", "passed_at",
    )  # fmt: skip

    def __init__(self, world: World, name: str, receiver: Node, random: Random, quality: Quality, *, baud: int) -> None:
        super().__init__(world, name, receiver, random, quality, classic=True)
        self.octet_ns = -(-OCTET_BITS * 1_000_000_000 // baud)
        self.blocked: set[str] = set()
        self.dropped = 0
        self.passed_at = -NEVER
        self._urgent: deque[bytes] = deque()
        self._normal: deque[bytes] = deque()
        self._status: bytes | None = None
        self._status_handed = 0  # when it came, as `_handed` of the frame on the line
        self._overtaken = 0
        self._frame: bytes | None = None  # on the line
        self._priority = STATUS
        self._handed = 0
        self._begun = 0  # when its first octet would have passed, had nothing held it up
        self._moved = 0  # octets of it that had passed when the line was blocked
        self._marks: list[tuple[int, bool]] = []  # (octet, the line is cut from there on)
        self._token = 0
        self._resync = False
        self._clean = NEVER  # octets to the next damaged one
        self._finish = self.finish
        self.requality()

    def frame_time_ns(self, octets: int) -> int:
        return octets * self.octet_ns

    def requality(self) -> None:
        self._clean = frames_to_next(self.random, self.quality.noise)

    @property
    def in_trouble(self) -> bool:
        return "flow" in self.blocked or super().in_trouble

    @property
    def waiting(self) -> int:
        """Frames that have not begun."""
        return len(self._urgent) + len(self._normal) + (self._status is not None)

    @property
    def busy(self) -> bool:
        return self._frame is not None or self.waiting > 0

    # --- sending

    def send(self, frame: bytes, priority: int, now: int) -> bool:
        self.frames += 1
        taken = True
        if self._frame is None:
            self._begin(frame, priority, now, now)
        elif priority == STATUS:
            if self._status is None:
                self._overtaken = 0
            else:
                self.dropped += 1
                taken = False  # it stands still
            self._status = frame
            self._status_handed = now
        else:
            waiting = self._urgent if priority == URGENT else self._normal
            waiting.append(frame)
            if len(waiting) > WAITING_FRAMES:
                waiting.popleft()
                self.dropped += 1
                taken = False
        if priority == STATUS and "flow" in self.blocked:
            self.missed(now)
        return taken

    def carry(self, frame: bytes, now: int, until: int) -> int:
        octets = len(frame)
        lands = now + octets * self.octet_ns
        clean = self._clean - octets
        if (
            lands >= until or clean <= 0 or self._frame is not None or self.cuts or self.blocked or self._resync
            or self.lost_since is not None
        ):  # fmt: skip
            return 0
        self._pass(octets, lands)
        self.frames += 1
        self.octets += octets
        self._clean = clean
        self.last_intact = now
        return lands

    def _begin(self, frame: bytes, priority: int, handed: int, now: int) -> None:
        """handed: when the daemon had it sent; another medium, with no queue, has carried it since then."""
        if self._resync:
            self._resync = False
            frame = RESYNC + frame
        self._frame = frame
        self._priority = priority
        self._handed = handed
        self._begun = now
        if self.blocked:
            self._moved = 0
            self._hold_up(now)
            return
        if self.cuts:
            self._marks.append((0, True))
        self.world.at(now + len(frame) * self.octet_ns, self._finish, self._token)

    def _take(self, now: int) -> tuple[bytes, int, int] | None:
        if self._urgent:
            return self._urgent.popleft(), URGENT, now
        if self._normal and (self._status is None or self._overtaken < STATUS_OVERTAKEN_FRAMES):
            self._overtaken += 1
            return self._normal.popleft(), URGENT, now
        status, self._status = self._status, None
        self._overtaken = 0
        return None if status is None else (status, STATUS, self._status_handed)

    def _next(self, now: int) -> None:
        self._frame = None
        self._marks.clear()
        if self._urgent or self._normal or self._status is not None:
            taken = self._take(now)
            if taken is not None:
                self._begin(*taken, now)

    def finish(self, token: int) -> None:
        """The last octet of the frame has passed."""
        frame = self._frame
        if token != self._token or frame is None:
            return
        now = self.world.now
        octets = len(frame)
        self.octets += octets
        self._pass(octets, now)
        self._clean -= octets
        if self._clean <= 0 or self._marks:
            self._lose_status(now)
            self._deliver_damaged(frame, octets)
        elif self._priority == STATUS:
            if self.lost_since is not None:
                self.intact(now)
                if self._handed < self.lost_at:
                    self.lost_since = self.lost_at  # one that was younger
            self.last_intact = self._handed
            self.receiver.hear(self, frame)
        else:
            self.receiver.hear(self, frame)
        self._next(now)

    def _pass(self, octets: int, now: int) -> None:
        """So many octets have passed: the audit wants to know that the line was given the time for it."""
        if now - octets * self.octet_ns < self.passed_at:
            self.world.audit.fail("rate", f"{self.name}: {octets} octets in less time than the line needs")
        self.passed_at = now

    def _lose_status(self, now: int) -> None:
        """Where the line is to blame that the frame on it does not come out."""
        if self._priority == STATUS:
            self.missed(now)
            self.lost += 1

    def _deliver_damaged(self, frame: bytes, passed: int) -> None:
        """The first `passed` octets of the frame, less what a cut and noise did to them."""
        octets = bytearray()
        start, cut = 0, False
        for at, becomes in [*self._marks, (passed, False)]:
            if not cut:
                octets += frame[start : min(at, passed)]
            start, cut = at, becomes
        while self._clean <= 0:
            if octets:
                octets[self.random.randrange(len(octets))] ^= self.random.randrange(1, 128)
            self._clean += frames_to_next(self.random, self.quality.noise)
        if octets:
            self.receiver.hear(self, bytes(octets))

    # --- faults

    def _position(self, now: int) -> int:
        """Octets of the frame on the line that have passed."""
        if self._frame is None:
            return 0
        return self._moved if self.blocked else min(max(0, (now - self._begun) // self.octet_ns), len(self._frame))

    def cut(self) -> None:
        if self._frame is not None and not self.cuts:
            self._marks.append((self._position(self.world.now), True))
        self.cuts += 1

    def heal(self) -> None:
        if self.cuts == 1 and self._frame is not None:
            self._marks.append((self._position(self.world.now), False))
        self.cuts = max(0, self.cuts - 1)

    def restore(self) -> None:
        if self.cuts:
            self.cuts = 1
            self.heal()
        super().restore()

    def block(self, why: str) -> None:
        if not self.blocked and self._frame is not None:
            now = self.world.now
            self._moved = self._position(now)
            self.blocked.add(why)
            self._hold_up(now)
        self.blocked.add(why)

    def unblock(self, why: str) -> None:
        if why not in self.blocked:
            return
        self.blocked.discard(why)
        if self.blocked or self._frame is None:
            return
        now = self.world.now
        self._token += 1
        if self.cuts and not self._marks:
            self._marks.append((self._moved, True))
        self._begun = now - self._moved * self.octet_ns
        self.world.at(self._begun + len(self._frame) * self.octet_ns, self._finish, self._token)

    def _hold_up(self, now: int) -> None:
        """The frame on the line stands still; how long the daemon waits for it."""
        self._token += 1
        self.world.at(now + STALL_NS, self._give_up, self._token)

    def _give_up(self, token: int) -> None:
        if token != self._token or self._frame is None:
            return
        now = self.world.now
        self._token += 1
        self.dropped += 1
        self._resync = True
        if self._moved:
            self.octets += self._moved
            self._pass(0, now)
            if "flow" in self.blocked:
                self._lose_status(now)
            self._deliver_damaged(self._frame, self._moved)
        self._next(now)

    def abandon(self) -> None:
        """The frame on the line is in the port's queue, and leaves. A status that waits was a sign of life all the
        same: the lease counts from what was sent."""
        if self._status is not None:
            self.missed(self.world.now)
        self._urgent.clear()
        self._normal.clear()
        self._status = None

    def reset(self) -> None:
        """Nothing of the frame on the line comes after this."""
        self._token += 1
        if self._frame is not None:
            self._moved = self._position(self.world.now)
            if self._moved:
                self._deliver_damaged(self._frame, self._moved)
        self._resync = False
        self._frame = None
        self._marks.clear()
        self._urgent.clear()
        self._normal.clear()
        self._status = None
