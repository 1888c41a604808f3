"""When two nodes' claims don't fit together: both claim a group (a healed partition, a line that carries one way), or
neither does (a hand-over whose end was lost, a group new in haresources, a node that leaves and has stopped some).

Both nodes decide alike, from what each tells the other, and only on evidence that lasts: a status may have crossed
our own.
"""

from __future__ import annotations

from heartbeat.core.actions import CRIT
from heartbeat.core.bulletin import KEPT, LEAVING, UNSETTLED
from heartbeat.core.group import HELD, PATIENCE
from heartbeat.core.settings import SECOND

TYPE_CHECKING = False
if TYPE_CHECKING:
    from heartbeat.core.bulletin import Bulletin
    from heartbeat.core.group import GroupMachine
    from heartbeat.core.outbox import Outbox
    from heartbeat.core.resources import Resources
    from heartbeat.core.timers import Timers

# who lets go waits this long for the other's word that it has told the neighbours
YIELD_NS = SECOND


class Healing:
    """Looks at each fresh status of the peer, once this node has settled."""

    __slots__ = ("_deaf", "_deaf_since", "_outbox", "_resources", "_timer", "_timers")

    def __init__(self, resources: Resources, outbox: Outbox, timers: Timers) -> None:
        self._resources = resources
        self._outbox = outbox
        self._timers = timers
        self._timer = timers.new(self._waited)
        self._deaf = 0  # the peer's statuses in a row that say it doesn't hear us
        self._deaf_since = 0

    def forget(self) -> None:
        """The peer is dead: what was seen is over."""
        self._deaf = 0
        for machine in self._resources.groups.values():
            machine.announced = False
            machine.contested_at = None
            machine.orphaned = 0

    def look(self, seen: Bulletin) -> None:
        if self._deaf == 0:
            self._deaf_since = self._outbox.now
        self._deaf = 0 if self._resources.other.hears_us else self._deaf + 1
        self._resolve_conflicts(seen)
        if self._resources.other.ready:
            self._adopt_orphans(seen)
        elif seen.phase == LEAVING and not self._resources.handing_over():
            self._inherit()

    def _resolve_conflicts(self, seen: Bulletin) -> None:
        """The preferred node keeps the group: it tells the neighbours and says so, and then the other lets go, so that
        no client is without it in between. One that the other doesn't hear lets go, because the other can't know. What
        one that has just started has adopted is no claim against us: it lets go as soon as it hears us, and so does one
        that leaves."""
        now = self._outbox.now
        # statuses out of their turn come in less time than our own may need to the peer
        brief = now - self._deaf_since < self._resources.settings.keepalive_ns // 2
        if (self._deaf and (self._deaf < PATIENCE or brief)) or seen.phase == UNSETTLED:
            return
        leaves = seen.phase == LEAVING and not self._deaf
        yielding = []
        for key, machine in self._resources.groups.items():
            label = self._resources.label(machine)
            if machine.shared:
                continue  # as agreed
            if not machine.claimed or leaves or not seen.contests(label):
                if machine.announced and machine.claimed:  # the other has let go: make sure that the neighbours know
                    machine.announce()
                machine.announced = False
                machine.contested_at = None
            elif self._deaf:
                yielding.append(machine)
            elif self._keeps(machine, seen.groups[label]):
                self._keep(key, machine)
            elif seen.groups[label] == KEPT:
                yielding.append(machine)
            elif machine.contested_at is None:
                machine.contested_at = now
                self._timers.arm(self._timer, now + YIELD_NS // self._resources.settings.divisor)
        self._yield(yielding)

    def _keeps(self, machine: GroupMachine, letter: str) -> bool:
        """Where each file prefers its own node it is the first one's, by their names; but not from when it is up on the
        other and still starts here, which may take long."""
        first = self._resources.other.follows and machine.state == HELD
        return self._resources.local(machine) and (letter != KEPT or first)

    def _keep(self, key: str, machine: GroupMachine) -> None:
        if not machine.announced and machine.state == HELD:
            machine.announced = True
            self._outbox.note(CRIT, f"{key}: both nodes hold it; it stays here, the other lets go")
            machine.announce()
            self._resources.on_change()

    def _yield(self, yielding: list[GroupMachine]) -> None:
        if yielding:
            keys = " ".join(machine.settings.key for machine in yielding)
            self._outbox.note(CRIT, f"{keys}: both nodes hold it; letting go here")
            for machine in yielding:
                machine.contested_at = None
            self._resources.disclaim(yielding)

    def _waited(self, now: int) -> None:
        """The preferred node has not said that it keeps them; two may not hold them for longer."""
        since = now - YIELD_NS // self._resources.settings.divisor
        machines = self._resources.groups.values()
        waited = [m for m in machines if m.claimed and m.contested_at is not None and m.contested_at <= since]
        seen = self._resources.other.bulletin
        if seen is None:
            return
        if self._resources.other.follows and not self._resources.agreed(seen):
            for machine in waited:  # each file prefers the other node
                self._keep(machine.settings.key, machine)
        else:
            self._yield(waited)

    def _adopt_orphans(self, seen: Bulletin) -> None:
        """Groups that neither node claims, with no hand-over under way, go to the preferred node."""
        busy = self._resources.handing_over() or self._resources.retiring
        unclaimed = [] if busy else self._resources.unclaimed(seen)
        machines = self._resources.groups.values()
        adopted = [m for m in machines if m.nobodys(m in unclaimed and self._resources.mine(m, seen))]
        if adopted:
            self._resources.claim(adopted, "nobody has them")

    def _inherit(self) -> None:
        """What a leaving node has stopped, while it still stops others: it starts nothing any more."""
        other = self._resources.other
        machines = self._resources.groups.values()
        self._resources.claim([m for m in machines if other.gave_up(self._resources.label(m))], "the other node leaves")
