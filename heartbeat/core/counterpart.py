"""The other node, as its statuses describe it: is it there, does it hear us, what does it claim?

haresources are for pairs, so there is one, or none. A peer that has sent no bulletin in this generation is an original:
it reports its groups by sets (original.py), and does not say whom it hears.
"""

from __future__ import annotations

from heartbeat.core import bulletin
from heartbeat.core.peer import ACTIVE, DEAD, INIT, QUARANTINED, UP

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from heartbeat.core.membership import Membership
    from heartbeat.core.outbox import Outbox
    from heartbeat.core.peer import Peer


class Counterpart:
    """Questions about the one peer; all answers are of this instant. prefers(label): the group prefers this node."""

    __slots__ = ("_membership", "_outbox", "_prefers")

    def __init__(self, membership: Membership, outbox: Outbox, prefers: Callable[[str], bool]) -> None:
        self._membership = membership
        self._prefers = prefers
        self._outbox = outbox

    @property
    def peer(self) -> Peer | None:
        return next(iter(self._membership.peers.values()), None)

    @property
    def alone(self) -> bool:
        """No other node, or a dead one."""
        peer = self.peer
        return peer is None or peer.state == DEAD

    @property
    def quarantined(self) -> bool:
        """It lives, and nothing that it says is acted on."""
        peer = self.peer
        return peer is not None and peer.state == QUARANTINED

    @property
    def left(self) -> bool:
        """Dead because it said that it leaves."""
        peer = self.peer
        return peer is not None and peer.left

    @property
    def bulletin(self) -> bulletin.Bulletin | None:
        """The newest of a living peer."""
        peer = self.peer
        return peer.bulletin if peer is not None and peer.state in (INIT, UP, ACTIVE) else None

    @property
    def active(self) -> bool:
        peer = self.peer
        return peer is not None and peer.state == ACTIVE

    @property
    def original(self) -> bool:
        """It lives, and runs Heartbeat 3.0.6."""
        peer = self.peer
        return peer is not None and peer.state in (INIT, UP, ACTIVE) and peer.heard and peer.bulletin is None

    @property
    def hears_us(self) -> bool:
        seen = self.bulletin
        return seen is not None and seen.heard == self._outbox.generation

    @property
    def follows(self) -> bool:
        """Its name comes after this node's: that decides where the two nodes' files differ, so that both may be
        preferred, or neither."""
        peer = self.peer
        return peer is not None and self._outbox.node < peer.name

    @property
    def ready(self) -> bool:
        """It lives, hears us, and has settled: it can be handed something."""
        peer, seen = self.peer, self.bulletin
        if self.original and peer is not None:
            return peer.state == ACTIVE and peer.stable
        settled = seen is not None and seen.phase == bulletin.SETTLED
        return peer is not None and peer.state == ACTIVE and settled and self.hears_us

    @property
    def moving(self) -> bool:
        """Something starts or stops there."""
        seen = self.bulletin
        return seen is not None and not bulletin.MOVING.isdisjoint(seen.groups.values())

    def letter(self, label: str) -> str:
        """Its state letter of a group, - where it says nothing of it, h for held in whatever way."""
        seen = self.bulletin
        if seen is None:
            return "h" if self._reports(label) else "-"
        letter = seen.groups.get(label, "-")
        return "h" if letter == bulletin.KEPT else letter

    def _reports(self, label: str) -> bool:
        """An original's report has it."""
        peer = self.peer
        if peer is None or not self.original or peer.reported is None:
            return False
        return label in peer.reported or ("foreign" if self._prefers(label) else "local") in peer.reported

    def knows(self, label: str) -> bool:
        """Does its haresources have the group?"""
        seen = self.bulletin
        return seen is not None and label in seen.groups

    def claims(self, label: str) -> bool:
        return self.letter(label) in bulletin.CLAIMING

    def can_take(self, label: str) -> bool:
        """Ready, knows the group, and has not failed it lately."""
        seen = self.bulletin
        return self.ready and (seen.groups.get(label) == "-" if seen is not None else not self._reports(label))

    def gave_up(self, label: str) -> bool:
        """Its haresources have the group, and it does not claim it."""
        return self.knows(label) and not self.claims(label)

    def offers(self, labels: Iterable[str], sequence: int) -> None:
        """It claimed these when it sent its message `sequence`: only a newer status may say otherwise."""
        self._said({label: "h" for label in labels if not self.claims(label)}, sequence)

    def released(self, labels: Iterable[str], sequence: int) -> None:
        """It said in its message `sequence` that it has released these: no older status may say otherwise."""
        self._said(dict.fromkeys(labels, "-"), sequence)

    def _said(self, letters: dict[str, str], sequence: int) -> None:
        peer = self.peer
        if peer is not None:
            peer.bulletin_sequence = max(peer.bulletin_sequence, sequence)
            if peer.bulletin is not None:
                peer.bulletin.groups.update(letters)
