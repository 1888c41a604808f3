"""Beside a node that runs Heartbeat 3.0.6 with `auto_failback legacy` (behaviour: legacy mode): it reports nothing.

What it has follows from what it does. When it starts it takes its own groups: where it sees that this node is active it
asks for each, once (`ip-request`), and starts it on the answer (`ip-request-resp`); else it takes them unasked, which
it says in an answer to itself; what is up there already it keeps without a word. It takes everything when it finds this
node dead (`stonith`), or hears that it leaves. Nothing else ever moves.

So a group of its own is given up as soon as it asks, or has had time to ask and has not: it may be up there. Where the
original had released everything before it left, nothing is up there, and its scripts have all the time they may need on
a busy machine; this node serves meanwhile. This node asks for each of its
own as soon as both are active, and takes none before it has the answer, however long that takes. Where the original may
have found this node dead, all is let go, in a new generation (original.py says why), and asked for again.

    ABSENT ──ip-request──► ASKING ──ip-request-resp──► AGREED
"""

from __future__ import annotations

from heartbeat.core import group, resources
from heartbeat.core.actions import CRIT, INFO, URGENT, WARN
from heartbeat.core.lease import LAPSED, ORIGINAL_NS
from heartbeat.core.machine import Machine
from heartbeat.core.peer import ACTIVE, DEAD, INIT, UP
from heartbeat.core.settings import MILLISECOND, SECOND

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from _hbfast.codec import Message
    from heartbeat.core.group import GroupMachine
    from heartbeat.core.lease import Lease
    from heartbeat.core.outbox import Outbox
    from heartbeat.core.peer import Peer
    from heartbeat.core.resources import Resources
    from heartbeat.core.timers import Timers

ABSENT, ASKING, AGREED = range(3)

# it answers when the group is down there; a question that was lost is asked again
ASK_AGAIN_NS = 5 * SECOND
# so long may an original that has left and returned take to ask for what this node has
ASK_LATEST_NS = 30 * SECOND
# an answer takes it 60 ms in the mean; what comes sooner was sent before it was asked
ANSWER_LEAST_NS = 10 * MILLISECOND


class Legacy(Machine):
    """renew(): begin a new generation. kinds: who takes which type of message."""

    NAMES = ("absent", "asking", "agreed")
    ALLOWED = {
        (ABSENT, ASKING): "an original is active, and so is this node: ip-request is sent for each own group",
        (ASKING, AGREED): "it has answered for each",
        (AGREED, ASKING): "it may have found this node dead: each is asked for again",
        (ASKING, ABSENT): "it is dead, has restarted, or is none any more",
        (AGREED, ABSENT): "it is dead, has restarted, or is none any more",
    }

    __slots__ = (
        "_asked", "_differs", "_doubted", "_generation", "_introduced_at", "_kept_until", "_lease", "_outbox", "_owed",
        "_released", "_renew", "_resources", "_timer", "_timers", "_unasked_until", "_wanted", "kinds",
    )  # fmt: skip

    def __init__(
        self, outbox: Outbox, timers: Timers, held: Resources, lease: Lease, *, renew: Callable[[], None]
    ) -> None:
        super().__init__(ABSENT)
        self._outbox = outbox
        self._timers = timers
        self._resources = held
        self._lease = lease
        self._renew = renew
        self._timer = timers.new(self._due)
        self._generation = 0  # the original's, in which this machine is not absent
        self._differs = 0  # in which it was noted that its files differ
        self._introduced_at = -1
        self._asked: dict[str, int] = {}  # key → when
        # key → the generation in which the original waits for it, and whether this node had it
        self._owed: dict[str, tuple[int, bool]] = {}
        self._wanted: dict[str, int] = {}  # key → the generation in which it has asked for it, or taken it
        self._unasked_until = 0  # what it has not asked for by then it is offered
        self._kept_until = 0  # but not what this node has, before then
        self._released = False  # it had released everything when it left
        self._doubted = False  # what this node claims the original may have taken
        self.kinds = {"ip-request": self.ip_request, "ip-request-resp": self.ip_request_resp, "stonith": self.stonith}

    # --- how it begins and ends

    def look(self) -> None:
        """After every event."""
        held = self._resources
        peer = held.other.peer
        if peer is None:
            return
        if peer.state == DEAD:
            self._doubted = True
            self._released = peer.left
        elif peer.state in (INIT, UP) and peer.heard:
            self._doubted = False  # it only starts, and has taken nothing
        present = held.legacy and held.other.active and held.membership.local.state == ACTIVE
        present = present and held.state < resources.LEAVING
        if self.state != ABSENT and not (present and self._generation == peer.tracker.generation):
            self.enter(ABSENT)
            self._asked.clear()
            peer.reported = None
            peer.stable = False
            self._timers.disarm(self._timer)
        if self.state == ABSENT and present and (held.state == resources.SETTLED or held.quiet):
            self._meet(peer)
        if self.state != ABSENT:
            self._progress(peer)
        if self._owed:
            self._give(peer)

    def _meet(self, peer: Peer) -> None:
        """What this node has of its own it asks for, too: it may be up there, of a daemon that was killed, or because
        an earlier run of this node was found dead."""
        self.enter(ASKING)
        self._generation = peer.tracker.generation
        divisor = self._resources.settings.divisor
        self._unasked_until = self._outbox.now + ORIGINAL_NS // divisor
        self._kept_until = self._outbox.now + (ASK_LATEST_NS if self._released else ORIGINAL_NS) // divisor
        self._released = False
        if self._doubted or self._lease.state == LAPSED:
            self._let_go(peer)
        if self._resources.state == resources.UNSETTLED:
            self._resources.settle_beside([])
        self._resources.membership.beat(self._outbox.now)  # that this node is active, first
        for key, machine in self._resources.groups.items():
            if machine.claimed and self._resources.local(machine):
                self._say(key)

    def _progress(self, peer: Peer) -> None:
        """Ask for what is to be asked for; whatever this node does not claim counts as the original's."""
        held = self._resources
        free = [machine for machine in held.groups.values() if not machine.claimed]
        theirs = peer.reported or ()
        for machine in free:
            if held.local(machine) and held.label(machine) not in theirs:
                self._ask(machine.settings.key)
        peer.reported = frozenset(map(held.label, free))
        self._asked = {key: since for key, since in self._asked.items() if key in held.groups}
        peer.stable = not self._asked
        state = AGREED if peer.stable else ASKING
        if self.state != state:
            self.enter(state)
        self._arm()

    def _ask(self, key: str) -> None:
        self._asked[key] = self._outbox.now
        self._say(key)

    def _say(self, key: str) -> None:
        self._outbox.send("ip-request", [("ipaddr", key.encode())], priority=URGENT)

    def _arm(self) -> None:
        again_ns = ASK_AGAIN_NS // self._resources.settings.divisor
        due = [since + again_ns for since in self._asked.values()]
        due += [until for until in (self._unasked_until, self._kept_until) if self._outbox.now < until]
        if due:
            self._timers.arm(self._timer, min(due))
        else:
            self._timers.disarm(self._timer)

    def _due(self, now: int) -> None:
        held = self._resources
        peer = held.other.peer
        if peer is None or self.state == ABSENT:
            return
        for key, since in list(self._asked.items()):
            if now - since >= ASK_AGAIN_NS // held.settings.divisor:
                self._outbox.note(WARN, f"{peer.name} has not yet released {key}: asking again")
                self._ask(key)
        if now >= self._unasked_until:
            self._offer(peer, now)
        self._arm()

    def _offer(self, peer: Peer, now: int) -> None:
        """What it has neither asked for nor taken. It starts what is not up there, and nothing twice."""
        groups = self._resources.groups
        theirs = [key for key, machine in groups.items() if not self._resources.local(machine)]
        silent = [
            key for key in theirs
            if self._wanted.get(key) != self._generation and (now >= self._kept_until or not groups[key].claimed)
        ]  # fmt: skip
        self._wanted.update(dict.fromkeys(silent, self._generation))
        self._owed.update(dict.fromkeys(silent, (self._generation, False)))
        kept = [groups[key] for key in silent if groups[key].claimed]
        if kept:
            self._release(peer, kept, INFO, f"{peer.name} lives, and has not asked for it; giving it back")

    # --- it may have found this node dead

    def introduce(self) -> None:
        if self._introduced_at == self._outbox.now:
            return
        self._introduced_at = self._outbox.now
        self._outbox.note(WARN, "a new generation: the other node may have found this one dead")
        self._renew()
        peer = self._resources.other.peer
        if self.state != ABSENT and peer is not None:
            self._let_go(peer)
        else:
            self._doubted = True

    def stonith(self, peer: Peer, message: Message) -> None:
        """What it has done about a dead node, before it takes over."""
        if self._resources.legacy and message.get("node") == self._resources.settings.node:
            self.introduce()

    def _let_go(self, peer: Peer) -> None:
        self._doubted = False
        self._asked.clear()
        claimed = [machine for machine in self._resources.groups.values() if machine.claimed]
        if claimed:
            self._release(peer, claimed, CRIT, f"{peer.name} may have taken it over; letting go here")
            for machine in claimed:
                machine.redirect()
        peer.reported = frozenset()  # so that the own groups are asked for
        self._lease.resume(f"{peer.name} is asked for what is this node's")

    def _release(self, peer: Peer, machines: list[GroupMachine], severity: int, why: str) -> None:
        """Its own groups it is told of: it may have asked for them in vain."""
        keys = [machine.settings.key for machine in machines]
        self._outbox.note(severity, f"{' '.join(keys)}: {why}")
        self._resources.disclaim(machines)
        for machine in machines:
            if not self._resources.local(machine):
                self._owed[machine.settings.key] = peer.tracker.generation, True

    # --- what it asks for

    def ip_request(self, peer: Peer, message: Message) -> None:
        """It wants this group, and asks only once: also while this node is not yet active."""
        held = self._resources
        key = message.get("ipaddr") or ""
        machine = held.groups.get(key)
        if not held.other.original:
            return
        if not held.legacy:
            self.differs(peer, "auto_failback on this node is not legacy, as it is there")
        elif machine is None:
            self.differs(peer, f"{key[:99]!a} is no group of this node's haresources, as it is there")
        else:
            self._asked.pop(key, None)
            self._wanted[key] = message.generation
            self._owed[key] = message.generation, machine.claimed or machine.moving
            if machine.claimed:
                self._outbox.note(INFO, f"{key}: {peer.name} asks for it")
                held.disclaim([machine])
            peer.reported = (peer.reported or frozenset()) | {held.label(machine)}

    def _give(self, peer: Peer) -> None:
        """Tell it what is down by now."""
        held = self._resources
        for key, (generation, owned) in list(self._owed.items()):
            machine = held.groups.get(key)
            ended = not peer.alive or generation != peer.tracker.generation or held.state == resources.LEFT
            if ended or machine is None or machine.claimed:
                del self._owed[key]
            elif machine.state == group.STOPPED:
                del self._owed[key]
                self._wanted[key] = generation
                fields = [("ipaddr", key.encode()), ("weown", b"yes" if owned else b"no"), ("ok", b"OK")]
                self._outbox.send("ip-request-resp", fields, to=peer.name, priority=URGENT)

    # --- what it answers

    def ip_request_resp(self, peer: Peer, message: Message) -> None:
        held = self._resources
        key = message.get("ipaddr") or ""
        machine = held.groups.get(key)
        if not held.legacy or machine is None or message.get("ok") != "OK":
            return
        if message.get("dest") == peer.name:
            self._wanted[key] = message.generation
            self._asked.pop(key, None)
            if machine.claimed:
                self._release(peer, [machine], CRIT, f"{peer.name} takes it without having asked; letting go here")
            peer.reported = (peer.reported or frozenset()) | {held.label(machine)}
        elif message.get("dest") == held.settings.node and key in self._asked:
            least_ns = ANSWER_LEAST_NS // held.settings.divisor
            if self._outbox.now - self._asked[key] >= least_ns:
                del self._asked[key]
                held.claim([machine], f"{peer.name} has released it")

    def differs(self, peer: Peer, how: str) -> None:
        """Its files are others than this node's. Noted once in its generation."""
        if self._differs != peer.tracker.generation:
            self._differs = peer.tracker.generation
            self._outbox.note(WARN, f"{peer.name}: {how}; make the files the same on both nodes")
