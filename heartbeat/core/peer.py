"""The other node as this one sees it, and its links: one a medium. membership.py decides what becomes of them.

    node   init ──► up ──► active        any ──► dead        dead, or a new generation ──► init
    link   dead ◄──► up
"""

from __future__ import annotations

from heartbeat.core.machine import Machine

TYPE_CHECKING = False
if TYPE_CHECKING:
    from heartbeat.core import bulletin
    from heartbeat.core.sequence import Tracker
    from heartbeat.core.settings import Settings

INIT, UP, ACTIVE, DEAD, QUARANTINED = range(5)
STATUSES = ("init", "up", "active", "dead", "quarantined")


class Link(Machine):
    """One medium of one node."""

    NAMES = ("dead", "up")
    ALLOWED = {(0, 1): "a message arrived on it", (1, 0): "none for the node's death time, or the medium is down"}

    __slots__ = ("timer",)

    def __init__(self, timer: int) -> None:
        super().__init__(0)
        self.timer = timer


class Peer(Machine):
    """The other node. bulletin: its newest, None while it has sent none in this generation (an original). proven: it
    has answered a nonce of this run of ours, or can't (an original). abandoned: its highest generation before the
    operator accepted a lower one. reported, stable: of an original, the sets that it holds, None while it has not said
    (original.py), or the groups, by label (legacy.py); and whether it is done with its moves."""

    NAMES = STATUSES
    ALLOWED = {
        (INIT, UP): "its status says so",
        (INIT, ACTIVE): "its status says so, and up was lost",
        (INIT, DEAD): "silent for its death time, or it said it leaves",
        (UP, INIT): "restarted",
        (UP, ACTIVE): "its status says so",
        (UP, DEAD): "silent for its death time, or it said it leaves",
        (ACTIVE, INIT): "restarted",
        (ACTIVE, DEAD): "silent for its death time, or it said it leaves",
        (DEAD, INIT): "back",
        (DEAD, UP): "back, and init was lost",
        (DEAD, ACTIVE): "heard again in the same generation: a healed partition",
        (INIT, QUARANTINED): "alive in a lower generation than it has had",
        (UP, QUARANTINED): "alive in a lower generation than it has had",
        (ACTIVE, QUARANTINED): "alive in a lower generation than it has had",
        (DEAD, QUARANTINED): "alive in a lower generation than it has had",
        (QUARANTINED, INIT): "accepted by the operator, or heard in its own generation",
    }

    __slots__ = (
        "abandoned", "bulletin", "bulletin_sequence", "deadtime_ns", "heard", "last_status_ns", "last_status_sequence",
        "left", "links", "name", "proven", "reported", "stable", "strong", "timer", "tracker",
    )  # fmt: skip

    def __init__(self, name: str, settings: Settings, tracker: Tracker) -> None:
        super().__init__(INIT)
        self.name = name
        self.tracker = tracker
        self.timer = 0
        self.links: dict[str, Link] = {}
        self.deadtime_ns = settings.deadtime_ns
        self.heard = False  # ever, in this run
        self.left = False  # dead because it said so
        self.proven = False
        self.abandoned = 0
        self.reported: frozenset[str] | None = None
        self.stable = False
        self.strong = False  # it signs strongly in this generation
        self.bulletin: bulletin.Bulletin | None = None
        # nothing older than this may change what is known of the peer's groups
        self.bulletin_sequence = 0
        self.last_status_ns = 0
        self.last_status_sequence = 0

    @property
    def alive(self) -> bool:
        return self.state not in (DEAD, QUARANTINED)

    @property
    def may_hold(self) -> bool:
        """It holds groups, as far as this node knows."""
        if self.bulletin is not None:
            return any(map(self.bulletin.claims, self.bulletin.groups))
        return self.reported is None or bool(self.reported)

    def restarted(self) -> None:
        """A new generation: nothing learned in the old one holds."""
        if self.state in (UP, ACTIVE, QUARANTINED):
            self.enter(INIT)
        self.bulletin = None
        self.reported = None
        self.stable = False
        self.bulletin_sequence = 0
        self.last_status_ns = 0
        self.last_status_sequence = 0
        self.left = False
        self.strong = False
