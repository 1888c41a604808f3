"""Who holds which groups: start-up, take-over, fail-back, failed groups, healing, leaving.

A group is *claimed* by at most one node, and only who claims it may start it. Claims come from four places alone:
settling (at start, once the other node's claims are known or it is dead), the other node's death or departure, a
hand-over (standby.py), and, after a reload, the preferred node for a group that nobody has. They end by a hand-over,
by leaving, and where two nodes find that both claim: one of them lets go, chosen the same way on both sides.

    UNSETTLED ──► SETTLED ──► LEAVING ──► LEFT
"""

from __future__ import annotations

from heartbeat.core import bulletin, group, replan
from heartbeat.core.actions import ERROR, INFO, URGENT
from heartbeat.core.counterpart import Counterpart
from heartbeat.core.failback import Failback
from heartbeat.core.healing import Healing
from heartbeat.core.machine import Machine
from heartbeat.core.peer import ACTIVE
from heartbeat.core.settings import FAILBACK_LEGACY, SECOND

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from heartbeat.core.group import GroupMachine
    from heartbeat.core.membership import Membership
    from heartbeat.core.outbox import Outbox
    from heartbeat.core.settings import Group, Settings
    from heartbeat.core.timers import Timers

UNSETTLED, SETTLED, LEAVING, LEFT = range(4)

LINGER_NS = SECOND  # after the last word, requests for retransmission are answered


class Resources(Machine):
    """The groups of haresources, in file order. hand_over(groups, kind): asks standby to give them to the
    peer; handing_over(): it is at work. runs: agents that are at work, by number: for which group."""

    NAMES = ("unsettled", "settled", "leaving", "left")
    ALLOWED = {
        (UNSETTLED, SETTLED): "the peer is dead or quarantined, or its claims are known and it hears us",
        (UNSETTLED, LEAVING): "told to stop",
        (SETTLED, LEAVING): "told to stop",
        (LEAVING, LEFT): "every group is released",
    }

    __slots__ = (
        "_hand_over", "_healing", "_labels", "_local_labels", "_outbox", "_retiring", "_timers", "ended",
        "failback", "groups", "handing_over", "membership", "on_change", "on_claim", "other", "runs", "settings",
    )  # fmt: skip

    def __init__(
        self, settings: Settings, outbox: Outbox, timers: Timers, membership: Membership,
        *, on_change: Callable[[], None], on_claim: Callable[[], None],
        hand_over: Callable[[list[GroupMachine], str], bool], handing_over: Callable[[], bool],
    ) -> None:  # fmt: skip
        super().__init__(UNSETTLED)
        self.settings = settings
        self.other = Counterpart(membership, outbox, self._prefers_this)
        self.handing_over = handing_over
        self.membership = membership
        self.on_change = on_change
        self.on_claim = on_claim
        self.ended = False  # the last action is out
        self._hand_over = hand_over
        self._outbox = outbox
        self._timers = timers
        self._healing = Healing(self, outbox, timers)
        self.failback = Failback(settings, outbox, timers, self, hand_over)
        self._retiring: list[GroupMachine] = []
        self.runs: dict[int, GroupMachine] = {}
        self.groups = {plan.key: self._machine(plan) for plan in settings.groups}
        self._name()

    def _machine(self, plan: Group) -> GroupMachine:
        return group.GroupMachine(
            plan, self.settings, self._outbox, self._timers, self._changed, self._retry, self.runs
        )

    def recall(self, leftovers: Collection[str], adopted: Collection[str]) -> None:
        """What a run that died has left."""
        for key, machine in self.groups.items():
            if key in adopted:
                machine.adopt()
        self.on_claim()
        for key, machine in self.groups.items():
            if key in leftovers and key not in adopted:
                machine.clean()

    # --- what is known

    def label(self, machine: GroupMachine) -> str:
        key = machine.settings.key  # it may be one that a reload has removed
        return self._labels.get(key) or bulletin.label(key)

    def _name(self) -> None:
        """The groups are others now."""
        self._labels = {key: bulletin.label(key) for key in self.groups}
        self._local_labels = {self._labels[key] for key, machine in self.groups.items() if self.local(machine)}

    def _prefers_this(self, label: str) -> bool:
        return label in self._local_labels

    def local(self, machine: GroupMachine) -> bool:
        return machine.settings.preferred == self.settings.node

    def agreed(self, seen: bulletin.Bulletin) -> bool:
        """Both nodes have the same haresources."""
        return seen.resources_digest == self.settings.resources_digest

    def mine(self, machine: GroupMachine, seen: bulletin.Bulletin) -> bool:
        """Which of the two is to have it, decided alike on both sides."""
        return self.local(machine) if self.agreed(seen) else self.other.follows

    @property
    def legacy(self) -> bool:
        """The other node is an original, and auto_failback is legacy (legacy.py)."""
        return self.settings.auto_failback == FAILBACK_LEGACY and self.other.original

    @property
    def quiet(self) -> bool:
        """Nothing is starting or stopping, or on both nodes."""
        return not any(machine.moving or machine.shared for machine in self.groups.values()) and not self.retiring

    @property
    def retiring(self) -> bool:
        """Groups that a reload removed are not yet down."""
        return bool(self._retiring)

    @property
    def holds(self) -> str:
        """none, local, foreign or all: the kinds of which every group is held, of the kinds that there are."""
        kinds = {self.local(machine) for machine in self.groups.values()}
        held = kinds - {self.local(machine) for machine in self.groups.values() if machine.state != group.HELD}
        if not held:
            return "none"
        return "all" if len(held) == 2 else "local" if True in held else "foreign"

    def letters(self, *, lapsed: bool) -> dict[str, str]:
        """label → state letter, for the bulletin."""
        now = self._outbox.now
        return {self._labels[key]: machine.letter(now, lapsed=lapsed) for key, machine in self.groups.items()}

    # --- claims

    def claim(self, machines: Iterable[GroupMachine], why: str) -> None:
        wanted = [machine for machine in machines if not machine.claimed]
        if not wanted:
            return
        self._outbox.note(INFO, f"acquiring {' '.join(machine.settings.key for machine in wanted)}: {why}")
        for machine in wanted:
            machine.claimed = True
            machine.orphaned = 0
        self.on_claim()
        for machine in wanted:
            if self.local(machine) and not self.handing_over():
                self._outbox.hooks.acquire(machine.settings.key, asked=not self.other.alone)
            machine.want(True)
        self.on_change()

    def disclaim(self, machines: Iterable[GroupMachine]) -> None:
        gone = list(machines)
        for machine in gone:
            machine.claimed = False
            machine.orphaned = 0
        self.on_claim()  # silent from here on, whatever becomes of the agents
        for machine in gone:
            if machine.wanted or machine.state == group.FAILED:
                machine.want(False)
        self.on_change()

    def yield_to(self, machines: list[GroupMachine]) -> None:
        """An original has them, which doesn't tell the neighbours that this node told otherwise."""
        self.disclaim(machines)
        for machine in machines:
            machine.redirect()

    # --- deciding

    def evaluate(self) -> None:
        """Called after everything that may matter; does what is due and nothing twice."""
        if self.state == UNSETTLED:
            self._settle()
        if self.state == SETTLED:
            self.failback.evaluate(self._outbox.now)

    def _settle(self) -> None:
        if self.membership.local.state != ACTIVE or not self.quiet:
            return
        seen = self.other.bulletin
        if self.other.alone:
            self.enter(SETTLED)
            self.failback.wanted = self.other.peer is not None
            self.claim(self.groups.values(), "there is no other node alive")
        elif self.other.quarantined:  # what was adopted is held on, and nothing else is known
            self.enter(SETTLED)
        elif seen is not None and self.other.hears_us and self._chosen(seen):
            self.enter(SETTLED)
            self._let_go(seen)
            if seen.phase == bulletin.SETTLED:
                self.claim(self.unclaimed(seen), "the other node does not have them")
            else:
                mine = [m for m in self.groups.values() if self.local(m) and not seen.contests(self.label(m))]
                self.claim(mine, "both nodes have just started")
        if self.state == SETTLED:
            self._outbox.note(INFO, f"settled; holding {self.describe_claims()}")
            for machine in self.groups.values():
                if machine.claimed and machine.state == group.FAILED:  # adopted, and given up since
                    self._failed(machine)
            self.on_change()

    def settle_beside(self, machines: list[GroupMachine]) -> None:
        """Beside an original, which has none of these."""
        self.enter(SETTLED)
        self.yield_to([m for m in self.groups.values() if m.claimed and self.other.claims(self.label(m))])
        self.claim(machines, "the other node does not have them")
        self._outbox.note(INFO, f"settled; holding {self.describe_claims()}")
        self.on_change()

    def _chosen(self, seen: bulletin.Bulletin) -> bool:
        """What the peer has is known. Where both have just started each takes what prefers it; where their files
        differ both may be preferred, so the second of their names waits for what the first takes."""
        both = seen.phase == bulletin.UNSETTLED
        return self.other.follows or self.agreed(seen) if both else seen.phase == bulletin.SETTLED

    def _let_go(self, seen: bulletin.Bulletin) -> None:
        """What was adopted too late, or stops too slowly: the peer has it."""
        taken = [machine for machine in self.groups.values() if machine.claimed and seen.contests(self.label(machine))]
        if taken:
            self.disclaim(taken)
            self.membership.hasten(self._outbox.now)  # it may wait for that, to keep it (overlap.py)

    def describe_claims(self) -> str:
        return " ".join(key for key, machine in self.groups.items() if machine.claimed) or "nothing"

    def unclaimed(self, seen: bulletin.Bulletin) -> list[GroupMachine]:
        """Groups that the settled peer doesn't claim. One it doesn't even know is left alone where the peer has groups
        unknown here: they may be the same addresses under another key."""
        strangers = seen.strangers(self._labels.values())
        return [
            machine
            for key, machine in self.groups.items()
            if not seen.claims(self._labels[key]) and (self._labels[key] in seen.groups or not strangers)
        ]

    def peer_status(self) -> None:
        """A fresh status of the peer was taken in."""
        seen = self.other.bulletin
        if seen is not None and self.state == SETTLED:
            self._healing.look(seen)
        elif seen is not None and seen.phase == bulletin.SETTLED:
            self._let_go(seen)

    def peer_dead(self) -> None:
        """Its death or its departure: everything is ours."""
        self.failback.died(settled=self.state == SETTLED)
        self._healing.forget()
        if self.state == SETTLED:
            self.claim(self.groups.values(), "the other node is gone")
            for machine in self.groups.values():  # released for a hand-over that will not happen now
                if machine.claimed and not machine.wanted and machine.state != group.FAILED:
                    machine.want(True)

    # --- groups report

    def _changed(self, machine: GroupMachine) -> None:
        """A group machine has entered another state."""
        if machine in self._retiring and machine.state == group.STOPPED:
            self._retiring.remove(machine)
            machine.retire()
            self._claim_new()
        if machine.state == group.FAILED and machine.claimed:
            self._failed(machine)
        if machine.state == group.STOPPED and self.state == LEAVING:
            self.disclaim([machine])  # the other need not wait for the rest
            self.membership.hasten(self._outbox.now)
        elif not machine.moving:  # who claims it is the same, and on a slow line its end would wait for the news
            self.on_change()

    def _failed(self, machine: GroupMachine) -> None:
        """Offer it to the peer, once; look again later in any case, for the offer may be refused."""
        if self.state != SETTLED:
            return
        delay_ns = machine.retry_delay_ns()
        self._timers.arm(machine.retry_timer, self._outbox.now + delay_ns)
        if not machine.offered and self.quiet and self.other.can_take(self.label(machine)):
            machine.offered = self._hand_over([machine], "local" if self.local(machine) else "foreign")
        if not machine.offered:
            self._outbox.note(ERROR, f"{machine.settings.key}: tried again in {delay_ns / SECOND:g} s")

    def _retry(self, machine: GroupMachine) -> None:
        if self.state != SETTLED or not machine.claimed or machine.state != group.FAILED:
            return
        if self.handing_over() or (not machine.offered and self.other.can_take(self.label(machine))):
            self._failed(machine)
        else:
            machine.want(True)

    # --- the operator

    def leave(self) -> None:
        """Release everything; `left` is reached when all is down."""
        if self.state in (UNSETTLED, SETTLED):
            self._outbox.note(INFO, "shutdown in progress; giving up all resources")
            self.enter(LEAVING)
            self.membership.hasten(self._outbox.now)
            for machine in self.groups.values():
                machine.want(False)

    def gone(self) -> bool:
        """Leaving, and everything is down: true once. Says the last word."""
        if self.state != LEAVING or not self.quiet:
            return False
        self.enter(LEFT)
        for machine in self.groups.values():
            machine.claimed = False
        self.on_claim()
        self._outbox.send("shutdone", [("st", b"dead")], priority=URGENT)
        self._outbox.note(INFO, "all resources are relinquished")
        return True

    def inherited(self) -> bool:
        """We have left, and the peer says that all is its own now: it has heard our last word."""
        return self.other.alone or all(self.other.claims(label) for label in self._labels.values())

    def replan(self, settings: Settings) -> None:
        """A reload. What is up and still planned somewhere is not touched."""
        self.settings = settings
        self.failback.reconfigure(settings)
        kept, removed = replan.replan(settings, self.groups, self._machine)
        self.groups = kept
        self._name()
        for machine in removed:
            if machine.state in (group.STOPPED, group.FAILED):
                machine.retire()
            else:
                self._retiring.append(machine)
                machine.want(False)
        for machine in kept.values():
            machine.resume()
        self._claim_new()
        self.on_change()

    def _claim_new(self) -> None:
        """Groups that a reload brought, where there is nobody else to have them. Not while a removed group still stops
        what may be in one of them."""
        if self.state == SETTLED and self.other.alone and not self.retiring:
            self.claim(self.groups.values(), "new in haresources")
