"""Beside a node that runs Heartbeat 3.0.6 (behaviour: resource state machine): what it holds, and what it must be told.

It reports two sets of groups, as it sees them: `local`, those that prefer it, and `foreign`, those that prefer this
node (message `resource`). It answers `starting` with its report, acquires its own when this node's report is stable,
takes everything when this node dies or leaves, and gives nothing up unless it is asked. So whatever it reports is its
own, and what this node has of that it lets go: an original that has found this node dead never asks. It doesn't tell
the neighbours again, either, that it has the addresses: this node does. With `auto_failback legacy` it reports nothing,
and legacy.py is at work instead.

Who was found dead and is heard again in the same generation makes it restart with all its resources. So this node never
is: where it may have been found dead it begins a new generation, and introduces itself anew.

    ABSENT ──starting──► GREETED ──resource──► KNOWN
"""

from __future__ import annotations

from heartbeat.core import resources
from heartbeat.core.actions import CRIT, INFO, URGENT, WARN
from heartbeat.core.legacy import Legacy
from heartbeat.core.machine import Machine
from heartbeat.core.peer import ACTIVE
from heartbeat.core.settings import MILLISECOND, NEVER, SECOND

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Protocol

    from _hbfast.codec import Message
    from heartbeat.core.group import GroupMachine
    from heartbeat.core.lease import Lease
    from heartbeat.core.outbox import Outbox
    from heartbeat.core.peer import Peer
    from heartbeat.core.resources import Resources
    from heartbeat.core.timers import Timers

    class Report(Protocol):
        """Original.report."""

        def __call__(self, *, without: str = "", info: str = "") -> None: ...


ABSENT, GREETED, KNOWN = range(3)

SETS = {"none": (), "local": ("local",), "foreign": ("foreign",), "all": ("local", "foreign")}
NAME_OF = {frozenset(members): name for name, members in SETS.items()}

# it ignores a greeting that comes before its own communications are up
GREET_AGAIN_NS = 2 * SECOND
# an answer takes it half a second at most, and 60 ms in the mean; what comes sooner was sent before it was asked
ANSWER_LEAST_NS = 10 * MILLISECOND




class Original(Machine):
    """renew(): begin a new generation. lease: where it waits for an answer, this is one. legacy: the other protocol."""

    NAMES = ("absent", "greeted", "known")
    ALLOWED = {
        (ABSENT, GREETED): "an original is active, and so is this node: starting is sent",
        (ABSENT, KNOWN): "it has said starting, or what it holds",
        (GREETED, KNOWN): "it has said starting, or what it holds",
        (GREETED, ABSENT): "it is dead, has restarted, or is none any more",
        (KNOWN, ABSENT): "it is dead, has restarted, or is none any more",
        (KNOWN, GREETED): "it may have found this node dead: starting is sent again, in a new generation",
    }

    __slots__ = ("_full", "_greeted_at", "_lease", "_outbox", "_renew", "_resources", "_timer", "_timers", "legacy")

    def __init__(
        self, outbox: Outbox, timers: Timers, held: Resources, lease: Lease, *, renew: Callable[[], None]
    ) -> None:
        super().__init__(ABSENT)
        self._outbox = outbox
        self._timers = timers
        self._resources = held
        self._renew = renew
        self._lease = lease
        self._timer = timers.new(self._greet)
        self._greeted_at = 0
        self._full = (0, 0)  # generation and number of its newest report of all that it holds
        self.legacy = Legacy(outbox, timers, held, lease, renew=renew)

    # --- how it begins and ends

    def look(self) -> None:
        """After every event: is there one?"""
        self.legacy.look()
        other = self._resources.other
        present = other.original and not self._resources.legacy
        present = present and self._resources.membership.local.state == ACTIVE
        if self.state == ABSENT and present and other.active and self._resources.state < resources.LEAVING:
            self.enter(GREETED)
            self._resources.membership.beat(self._outbox.now)  # that this node is active, first
            self._greet(self._outbox.now)
        elif self.state != ABSENT and not present:
            self.enter(ABSENT)
            self._full = (0, 0)
            self._timers.disarm(self._timer)
        if self.state == KNOWN:
            self._settle()

    def _greet(self, now: int) -> None:
        if self._resources.state >= resources.LEAVING:
            return
        self._greeted_at = now
        self._outbox.send("starting", priority=URGENT)
        self._timers.arm(self._timer, now + GREET_AGAIN_NS // self._resources.settings.divisor)

    def introduce(self) -> None:
        """It may have found this node dead: its answer tells what it has taken."""
        if self._resources.legacy:
            self.legacy.introduce()
            return
        self._outbox.note(WARN, "a new generation: the other node may have found this one dead")
        self._renew()
        if self.state != ABSENT:
            if self.state == KNOWN:
                self.enter(GREETED)
            self._greet(self._outbox.now)

    def _know(self) -> None:
        if self.state != KNOWN:
            self.enter(KNOWN)
            self._timers.disarm(self._timer)

    # --- what it says

    def starting(self, peer: Peer, message: Message) -> None:
        """It has just started, and holds nothing."""
        if self._resources.legacy:
            self.legacy.differs(peer, "auto_failback there is not legacy, as it is here")
            return
        if not self._resources.other.original or self._resources.membership.local.state != ACTIVE:
            return  # it is greeted when this node is active, and answers
        if (message.generation, message.sequence) < self._full:
            self.report()  # it was lost on its way, and is over
            return
        peer.reported = frozenset()
        peer.stable = False
        self._know()
        if not self._settle():
            self.report()

    def resource(self, peer: Peer, message: Message) -> None:
        """Its report. One that was lost on its way, and comes after a newer one of all that it holds, is over."""
        number = message.generation, message.sequence
        if not self._resources.other.original or self._resources.legacy or number < self._full:
            return
        said = frozenset(SETS.get(message.get("rsc_hold") or "", ()))
        full = message.get("rtype") == "full"
        if full:
            self._full = number
        if full or peer.reported is None or not said:
            peer.reported = said
        else:
            peer.reported |= said
        stable = message.get("isstable")
        if stable is not None:
            peer.stable = stable == "1"
        greeted = self.state == GREETED
        taken = [] if self._resources.handing_over() else self._taken()
        if taken and not greeted:
            # it takes over only from who is dead, and has more to say of that: what it says now is no answer
            self.introduce()
            self._greeted_at = NEVER
        elif not greeted or self._outbox.now - self._greeted_at >= ANSWER_LEAST_NS // self._resources.settings.divisor:
            self._know()
        if taken:
            self._let_go(peer, taken)
        if self.state == KNOWN:
            self._lease.resume(f"{peer.name} has answered")
            # one that thinks this node unstable waits for its report, and answers it; any other does not answer
            if not self._settle() and (greeted or peer.stable):
                self.report()

    def late(self) -> None:
        """It has asked for a message again that is no status: it may take what that says for the newest news."""
        if self.state == KNOWN and not self._resources.handing_over():
            self.report()

    def _taken(self) -> list[GroupMachine]:
        held = self._resources
        return [m for m in held.groups.values() if m.claimed and held.other.claims(held.label(m))]

    def _let_go(self, peer: Peer, taken: list[GroupMachine]) -> None:
        keys = " ".join(machine.settings.key for machine in taken)
        self._outbox.note(CRIT, f"{keys}: {peer.name} holds it too; letting go here")
        self._resources.yield_to(taken)

    def status(self) -> None:
        """A fresh status. Groups that neither has for some time are taken: it never takes them by itself. What is
        missing of its messages may say that it has them."""
        held = self._resources
        peer = held.other.peer
        if self.state != KNOWN or peer is None:
            return
        idle = held.other.ready and held.state == resources.SETTLED and not held.handing_over()
        idle = idle and not peer.tracker.missing
        orphans = [m for m in held.groups.values() if m.nobodys(idle and not held.other.claims(held.label(m)))]
        if orphans:
            held.claim(orphans, "nobody has them")
            self.report()

    def died(self, peer: Peer) -> None:
        """It was silent for its death time, and may have found this node dead."""
        self._outbox.note(INFO, f"a new generation: {peer.name} may live, and have found this node dead")
        self._renew()

    # --- what it asks

    def reqnodes(self, peer: Peer, message: Message) -> None:
        names = " ".join([*self._resources.settings.nodes, ""]).encode()
        self._outbox.send("repnodes", [("nodelist", names), ("delnodelist", b" ")], to=peer.name)

    # --- what it is told

    def _settle(self) -> bool:
        """True where this node has settled, and said so."""
        held = self._resources
        if held.state != resources.UNSETTLED or not held.quiet or held.membership.local.state != ACTIVE:
            return False
        held.settle_beside([m for m in held.groups.values() if held.local(m) and not held.other.claims(held.label(m))])
        self.report()
        return True

    def report(self, *, without: str = "", info: str = "") -> None:
        """Say what this node holds. without: a set that it is giving up. info: why it is not stable."""
        held = self._resources
        if not held.other.original or self.state != KNOWN:
            return
        kinds = {"local" if held.local(m) else "foreign" for m in held.groups.values() if m.claimed}
        # whoever has no groups of its own holds them all; not where it says that it does, it would log an error
        theirs = (held.other.peer.reported if held.other.peer is not None else None) or ()
        own = any(held.local(m) for m in held.groups.values())
        if not own and held.state == resources.SETTLED and "foreign" not in theirs:
            kinds.add("local")
        name = NAME_OF[frozenset(kinds - set(SETS.get(without, ())))]
        stable = held.state == resources.SETTLED and not info
        fields = [("rsc_hold", name.encode()), ("rtype", b"full"), ("isstable", b"1" if stable else b"0")]
        if info:
            fields.append(("info", info.encode()))
        self._outbox.send("resource", fields, priority=URGENT)
