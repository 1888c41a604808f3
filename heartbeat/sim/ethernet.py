"""One direction of an Ethernet medium: datagrams that are lost, doubled, delayed, overtaken or damaged, each by itself.

A frame that nothing happens to costs one heap entry; its delay comes from a table that was drawn once.
"""

from __future__ import annotations

from heapq import heappush

from heartbeat.core.actions import STATUS
from heartbeat.sim.medium import NEVER, Lane, Quality, frames_to_next

TYPE_CHECKING = False
if TYPE_CHECKING:
    from random import Random

    from heartbeat.sim.node import Node
    from heartbeat.sim.world import World

DELAYS = 1024  # a power of two

# A frame that is overtaken comes at most this part of a keepalive later than it should.
REORDER_PART = 4


class EthernetLane(Lane):
    """delay_ns: the least; jitter_ns: what is added to it at most."""

    __slots__ = (
        "_arrive",
        "_delays",
        "_heap",
        "_mishap_at",
        "_next",
        "_plain",
        "_under_way_ns",
        "delay_ns",
        "jitter_ns",
    )

    def __init__(
        self, world: World, name: str, receiver: Node, random: Random, quality: Quality,
        *, delay_ns: int, jitter_ns: int,
    ) -> None:  # fmt: skip
        super().__init__(world, name, receiver, random, quality, classic=False)
        self.delay_ns = delay_ns
        self.jitter_ns = jitter_ns
        self._delays = [delay_ns + random.randrange(jitter_ns + 1) for _ in range(DELAYS)]
        self._under_way_ns = delay_ns + jitter_ns
        self._mishap_at = NEVER  # the number of the frame that something happens to
        self._heap = world.heap
        self._next = world.number
        self._arrive = self.arrive  # bound once
        self._plain = self.arrive_plain
        self.requality()

    def frame_time_ns(self, octets: int) -> int:
        return self.delay_ns + self.jitter_ns

    def requality(self) -> None:
        quality = self.quality
        mishap = quality.loss + quality.duplicate + quality.reorder + quality.corrupt
        self._mishap_at = self.frames + (1 if self.cuts else frames_to_next(self.random, mishap))

    def send(self, frame: bytes, priority: int, now: int) -> bool:
        self.frames = number = self.frames + 1
        if number >= self._mishap_at:
            return self._mishap(frame, priority, now)
        arrive = self._plain if priority else self._arrive
        heappush(self._heap, (now + self._delays[number & DELAYS - 1], self._next(), arrive, frame))
        return True

    def carry(self, frame: bytes, now: int, until: int) -> int:
        number = self.frames + 1
        lands = now + self._delays[number & DELAYS - 1]
        if lands >= until or number >= self._mishap_at or self.lost_since is not None:
            return 0
        self.frames = number
        self.last_intact = lands - self._under_way_ns
        return lands

    def _mishap(self, frame: bytes, priority: int, now: int) -> bool:
        quality = self.quality
        self.requality()
        draw = self.random.random() * (quality.loss + quality.duplicate + quality.reorder + quality.corrupt)
        at = now + self._delays[self.random.randrange(DELAYS)]
        if self.cuts or draw < quality.loss:
            self.lost += 1
            if priority == STATUS:
                self.missed(now)
        elif draw < quality.loss + quality.corrupt:
            if priority == STATUS:
                self.missed(now)
            self.world.at(at, self.arrive_plain, self._damaged(frame))
        elif draw < quality.loss + quality.corrupt + quality.duplicate:
            for arrives_at in (at, at + self.random.randrange(self.jitter_ns + 1)):
                self._late(arrives_at, frame, priority, now)
        else:
            late_ns = self.random.randrange(1, self.world.keepalive_ns // REORDER_PART + 1)
            if priority == STATUS:
                self.missed(now)
            self._late(at + late_ns, frame, priority, now)
        return True

    def _late(self, at: int, frame: bytes, priority: int, sent_at: int) -> None:
        """Let it come then, perhaps later than any that nothing happens to."""
        if priority == STATUS:
            self.world.at(at, self._arrive_late, (frame, sent_at))
        else:
            self.world.at(at, self._plain, frame)

    def _arrive_late(self, told: tuple[bytes, int]) -> None:
        frame, sent_at = told
        last_intact = max(self.last_intact, sent_at)
        self.arrive(frame)
        self.last_intact = last_intact

    def _damaged(self, frame: bytes) -> bytes:
        octets = bytearray(frame)
        for _ in range(self.random.randrange(1, 4)):
            octets[self.random.randrange(len(octets))] ^= self.random.randrange(1, 256)
        return bytes(octets) if self.random.random() < 0.5 else bytes(octets[: self.random.randrange(len(octets))])

    def arrive(self, frame: bytes) -> None:
        """A status, intact. A cut stops also what is under way: it is a matter of microseconds."""
        now = self.world.now
        if self.lost_since is not None:
            self.intact(now)
        self.last_intact = now - self._under_way_ns
        self.receiver.hear(self, frame)

    def arrive_plain(self, frame: bytes) -> None:
        """Any other frame, or a damaged one."""
        self.receiver.hear(self, frame)
