"""What the two kinds of lane have in common. A lane is one direction of one medium.

A lane takes frames of one node and hands octets to the other. What is wrong with it is set from outside (cut, quality)
and what it did with statuses is kept for the audit: since when it has lost them, and until when it was silent.

Rules: a lane draws from its own stream of random numbers, and draws nothing for a frame that nothing happens to: the
number of frames to the next mishap is drawn instead. A receiver that is not there is none of the lane's faults.
"""

from __future__ import annotations

import math

from _hbfast.codec import Decoder

TYPE_CHECKING = False
if TYPE_CHECKING:
    from random import Random
    from typing import Literal

    from heartbeat.sim.node import Node
    from heartbeat.sim.world import World

    Format = Literal["classic", "netstring"]

NEVER = 1 << 62


def frames_to_next(random: Random, probability: float) -> int:
    """How many trials until one succeeds, the successful one included."""
    if probability <= 0.0:
        return NEVER
    if probability >= 1.0:
        return 1
    return int(math.log(1.0 - random.random()) / math.log1p(-probability)) + 1


class Quality:
    """Probabilities for each frame of a datagram lane, and for each octet of a serial one.

    loss, duplicate, reorder, corrupt: of a frame; noise: of an octet.
    """

    __slots__ = ("corrupt", "duplicate", "loss", "noise", "reorder")

    def __init__(
        self, *, loss: float = 0.0, duplicate: float = 0.0, reorder: float = 0.0, corrupt: float = 0.0,
        noise: float = 0.0,
    ) -> None:  # fmt: skip
        self.loss = loss
        self.duplicate = duplicate
        self.reorder = reorder
        self.corrupt = corrupt
        self.noise = noise

    def __str__(self) -> str:
        return " ".join(f"{name} {value:.3g}" for name in self.__slots__ if (value := getattr(self, name)))


class Lane:
    """classic, form: which format its frames have. cuts: how many faults cut it now.

    last_intact: when the last status that came out whole was put on the medium, at the latest (another medium may
    have carried it faster, and its receiver counts from then). lost_since: when the first status was lost since then,
    None where none was. lost_at: when the last one was lost. silent_until: the last instant at which it had been silent
    for so long that the receiver had to find the sender dead. unanswered_at: after such a silence, when the last was
    lost of two or more answers in a row (audit.py). back: the other direction. decoder: the receiving daemon's.
    """

    __slots__ = (
        "back", "base", "classic", "cuts", "decoder", "form", "frames", "last_intact", "lost", "lost_at", "lost_since",
        "name", "octets", "quality", "random", "receiver", "silent_until", "unanswered_at", "world",
    )  # fmt: skip

    def __init__(
        self, world: World, name: str, receiver: Node, random: Random, quality: Quality, *, classic: bool
    ) -> None:
        self.world = world
        self.name = name
        self.receiver = receiver
        self.random = random
        self.base = quality
        self.quality = quality
        self.classic = classic
        self.form: Format = "classic" if classic else "netstring"
        self.decoder = Decoder(name, None, stream=classic)
        self.cuts = 0
        self.last_intact = world.now
        self.lost_since: int | None = None
        self.lost_at = -NEVER
        self.silent_until = -NEVER
        self.unanswered_at = -NEVER
        self.back: Lane = self
        self.frames = 0
        self.octets = 0
        self.lost = 0

    # --- what the kinds do

    def send(self, frame: bytes, priority: int, now: int) -> bool:
        """True where the medium took the frame, and threw nothing away for it. Whether it arrives is another matter."""
        raise NotImplementedError

    def carry(self, frame: bytes, now: int, until: int) -> int:
        """Send a status that is there before `until`, when something else may happen, and to which nothing happens:
        returns when, and the caller lets it be heard. 0: not so, and nothing was done."""
        raise NotImplementedError

    def frame_time_ns(self, octets: int) -> int:
        """How long a frame of so many octets is under way at most, where nothing is wrong."""
        raise NotImplementedError

    def requality(self) -> None:
        """`quality` or `cuts` has changed."""
        raise NotImplementedError

    @property
    def busy(self) -> bool:
        """Something that it has taken has not yet left."""
        return False

    def reset(self) -> None:
        """The sender closes the port, and throws away what has not left."""

    def abandon(self) -> None:
        """The sender's daemon was killed, and what it had queued with it."""

    def block(self, why: str) -> None:
        """The receiver takes nothing: the flow control of a serial line."""

    def unblock(self, why: str) -> None:
        """It does again."""

    # --- faults

    def cut(self) -> None:
        self.cuts += 1
        self.requality()

    def heal(self) -> None:
        self.cuts = max(0, self.cuts - 1)
        self.requality()

    def burst(self, quality: Quality | None) -> None:
        """Another quality for a while; None: the usual one."""
        self.quality = quality or self.base
        self.requality()

    def restore(self) -> None:
        """Nothing is wrong any more, the usual quality apart."""
        self.cuts = 0
        self.quality = self.base
        self.unblock("flow")
        self.requality()

    # --- what the audit asks

    @property
    def in_trouble(self) -> bool:
        """A fault is at work on it."""
        return self.cuts > 0 or self.quality is not self.base

    def missed(self, now: int) -> None:
        """A status did not come out, or will come out late or damaged."""
        self.lost_at = now
        if self.lost_since is None:
            self.lost_since = now
            return
        heard = max(self.silent_until, self.back.silent_until)
        # none that is newer came out: the sender still can't say that it hears
        if self.last_intact <= heard and now <= max(heard, self.unanswered_at) + self.world.audit.healing_ns():
            self.unanswered_at = now

    def intact(self, now: int) -> None:
        """A whole status came out, after one that had not."""
        if now - self.last_intact >= self.world.silence_ns:
            self.silent_until = now
        self.lost_since = None

    def last_silent(self, now: int) -> int:
        """The last instant, now included, at which the lane had lost every status for the shortest deadtime, or after
        that a second answer, or a further one, in a row. Who was lost and says no more is no reason for longer than
        its lease may last, which counts from what was lost."""
        silent = max(self.silent_until, self.unanswered_at)
        if self.lost_since is not None and now - self.last_intact >= self.world.silence_ns:
            return max(silent, min(now, self.lost_at + self.world.deadtime_ns))
        return silent
