"""ipfail: who sees fewer ping nodes gives its groups to the other node.

With `respawn … ipfail` in ha.cf this node plays the part of the original's client of that name itself, beside a node
that runs it and beside one of ours alike. Each tells the other how many ping nodes it sees when that has changed
(`num_ping_nodes`), and when the other says that it is there (`hbapi-clstat`, join). Who is told, and sees

    more       says `you_are_dead`: the other gives up all of its groups
    as many    says `abort_giveup`: give nothing up; with auto_failback on, what prefers the other goes back
    fewer      gives up all of its groups

in two keepalives, in which the other may find that it has lost the same ping node. That one is back an original finds
later than this node: before it is told of more it has the time to see for itself. Two of ours whose files name
different numbers of ping nodes, as amid a reload of both, do not compare.

It is the one client that a node of ours has: whoever asks for another (`cl_status clientstatus`) hears that it is
offline.

    absent ──► watching ◄──► giving up
"""

from __future__ import annotations

from heartbeat.core import resources
from heartbeat.core.actions import INFO, URGENT, WARN
from heartbeat.core.events import PingAnswer
from heartbeat.core.lease import ORIGINAL_NS
from heartbeat.core.machine import Machine
from heartbeat.core.peer import ACTIVE
from heartbeat.core.pingnodes import PingNodes
from heartbeat.core.settings import FAILBACK_ON, NODES_MOST
from heartbeat.core.view import stable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _hbfast.codec import Message
    from heartbeat.core.events import Event
    from heartbeat.core.group import GroupMachine
    from heartbeat.core.outbox import Outbox
    from heartbeat.core.peer import Peer
    from heartbeat.core.resources import Resources
    from heartbeat.core.settings import Settings
    from heartbeat.core.standby import Standby
    from heartbeat.core.timers import Timers

ABSENT, WATCHING, GIVING_UP = range(3)

CLIENT = "ipfail"
# from whom, to whom, and which of the sender's registrations: what the original's clients add to each message
FIELDS = [("from_id", CLIENT.encode()), ("to_id", CLIENT.encode()), ("client_gen", b"0")]
CLIENT_ID_MAX = 31  # of the original
# of num_ping_nodes, and ours alone: how many there are in ha.cf
OF = "ping_nodes"
# keepalives until a give-up
DELAY = 2


class Ipfail(Machine):
    """pings: what is counted."""

    NAMES = ("absent", "watching", "giving up")
    ALLOWED = {
        (ABSENT, WATCHING): "this node is active, and of each ping node it is known whether it answers",
        (WATCHING, GIVING_UP): "the other node sees more ping nodes; or as many, and some groups prefer it",
        (GIVING_UP, WATCHING): "as many after all; the hand-over has begun; there is nothing to hand over, or nobody",
        (WATCHING, ABSENT): "a reload has taken it out of ha.cf, or this node leaves",
    }

    __slots__ = (
        "_heard", "_kind", "_more_timer", "_outbox", "_resources", "_seen", "_settings", "_standby", "_theirs",
        "_timer", "_timers", "pings",
    )  # fmt: skip

    def __init__(
        self, settings: Settings, outbox: Outbox, timers: Timers, held: Resources, standby: Standby, now: int
    ) -> None:
        super().__init__(ABSENT)
        self.pings = PingNodes(settings, outbox, timers, now, on_change=self._changed)
        self._settings = settings
        self._outbox = outbox
        self._timers = timers
        self._resources = held
        self._standby = standby
        self._kind = "all"  # of the give-up that is due
        self._theirs = NODES_MOST + 1  # as many the other sees, as it said; more than there are where it has not
        self._seen = 0  # as many as were seen last
        self._heard = 0  # the other node's generation in which its ipfail has spoken, and not left since
        self._timer = self._more_timer = -1  # taken when first needed

    def reconfigure(self, settings: Settings) -> None:
        changed = settings.ping_nodes != self._settings.ping_nodes
        self._settings = settings
        self.pings.reconfigure(settings)
        if changed and self.state != ABSENT:
            self._count()
        if not settings.ipfail and self.state != ABSENT:
            self._leave("a reload has taken ipfail out")

    # --- what is seen here

    def same(self, event: Event, now: int) -> bool:
        """A ping node answers, as it did before: nothing follows from it."""
        return type(event) is PingAnswer and self.pings.again(event.node, now)

    def answered(self, event: PingAnswer, now: int) -> None:
        self.pings.answered(event.node, now)

    @property
    def may_start(self) -> bool:
        """Beside an original this node is active when it knows of each ping node, as the original is. Else no start
        waits for one."""
        return self.pings.known or not self._resources.other.original

    def look(self) -> None:
        """After every event: is it time to begin, or to end?"""
        leaving = self._resources.state >= resources.LEAVING
        if self.state != ABSENT:
            if leaving:
                self._leave("this node leaves")
            return
        active = self._resources.membership.local.state == ACTIVE
        if self._settings.ipfail and active and self.pings.known and not leaving:
            self.enter(WATCHING)
            self._seen = self.pings.count
            self._outbox.note(INFO, f"ipfail: this node sees {self.pings.count} ping nodes")
            self._tell(b"join", b"signon")

    def _leave(self, why: str) -> None:
        self._cancel(why)
        self.enter(ABSENT)
        self._tell(b"leave", b"disconnect")

    def _tell(self, st: bytes, info: bytes) -> None:
        self._outbox.send("hbapi-clstat", [("st", st), *FIELDS[:2], ("info", info), *FIELDS[2:]])

    def _changed(self) -> None:
        """A ping node has come, or is gone."""
        if self.state == ABSENT:
            return
        self._outbox.note(INFO, f"ipfail: this node sees {self.pings.count} ping nodes now")
        before, self._seen = self._seen, self.pings.count
        if self._seen >= self._theirs and self._kind == "all":
            self._cancel("this node sees as many by now")
        if self._seen > before and self._resources.other.original:
            if self._more_timer < 0:
                self._more_timer = self._timers.new(self._more)
            # it asks with its next status, and once more before it believes the answer
            delay_ns = DELAY * self._settings.keepalive_ns + ORIGINAL_NS // self._settings.divisor
            self._timers.arm(self._more_timer, self._outbox.now + delay_ns)
        else:
            self._count()

    def _more(self, now: int) -> None:
        if self.state != ABSENT:
            self._count()

    def _count(self) -> None:
        if self._more_timer >= 0:
            self._timers.disarm(self._more_timer)
        peer = self._resources.other.peer
        if peer is not None and peer.alive and self.pings.known:
            pings = self.pings
            self._say(peer, "num_ping_nodes", ("num_ping", b"%d" % pings.count), (OF, b"%d" % len(pings.nodes)))

    def _say(self, peer: Peer, kind: str, *fields: tuple[str, bytes]) -> None:
        self._outbox.send(kind, [*fields, *FIELDS], to=peer.name, priority=URGENT)

    # --- what the other says

    def clstat(self, peer: Peer, message: Message) -> None:
        if message.get("from_id") == CLIENT:
            joined = message.get("st") == "join"
            self._heard = message.generation if joined else 0
            if joined and self.state != ABSENT:
                self._count()

    def num_ping_nodes(self, peer: Peer, message: Message) -> None:
        self._heard = message.generation
        text = message.get("num_ping") or ""
        if self.state == ABSENT or not (text.isascii() and text.isdecimal()) or len(text) > 3 or int(text) > NODES_MOST:
            return
        if not self.pings.known:
            return  # the other is told when they are
        if message.get(OF) not in (None, str(len(self.pings.nodes))):
            self._outbox.note(WARN, f"ipfail: {peer.name} has other ping nodes in its ha.cf: not compared")
            return
        theirs, ours = int(text), self.pings.count
        self._theirs = theirs
        if ours > theirs:
            self._outbox.note(INFO, f"ipfail: {peer.name} sees {theirs} ping nodes, this node {ours}: telling it")
            self._say(peer, "you_are_dead")
        elif ours < theirs:
            self._give_up("all", f"{peer.name} sees {theirs} ping nodes, this node {ours}")
        else:
            self._say(peer, "abort_giveup")
            if self.state == GIVING_UP:
                self._cancel(f"{peer.name} sees as many ping nodes")
            elif self._settings.auto_failback == FAILBACK_ON and stable(self._resources, self._standby):
                self._give_up("foreign", f"{peer.name} sees as many ping nodes")

    def you_are_dead(self, peer: Peer, message: Message) -> None:
        self._heard = message.generation
        if self.state != ABSENT:
            self._theirs = NODES_MOST + 1
            self._give_up("all", f"{peer.name} sees more ping nodes")

    def abort_giveup(self, peer: Peer, message: Message) -> None:
        self._heard = message.generation
        self._cancel(f"{peer.name} sees as many ping nodes")

    # --- who asks for it

    @property
    def nodes(self) -> list[str]:
        """Where it runs, as far as this node knows: an other one that has said nothing yet is not counted."""
        peer = self._resources.other.peer
        found = [self._settings.node] * (self.state != ABSENT)
        if peer is not None and peer.alive and self._heard == peer.tracker.generation:
            found.append(peer.name)
        return found

    def query_cstatus(self, peer: Peer, message: Message) -> None:
        """An original's `cl_status clientstatus` of a client of this node."""
        client, asker = (message.get(name) or "" for name in ("cn", "from_id"))
        if max(len(client), len(asker)) <= CLIENT_ID_MAX:
            state = b"online" if client == CLIENT and self.state != ABSENT else b"offline"
            fields = [("result", b"OK"), ("cn", client.encode()), ("to_id", asker.encode()), ("cs", state)]
            self._outbox.send("respond-cstatus", fields, to=peer.name)

    # --- giving up

    def _concerned(self) -> list[GroupMachine]:
        held = self._resources
        return [m for m in held.groups.values() if m.claimed and (self._kind == "all" or not held.local(m))]

    def _give_up(self, kind: str, why: str) -> None:
        """In a while. One that is under way already keeps its instant."""
        waiting = self.state == GIVING_UP
        self._kind = "all" if waiting and self._kind == "all" else kind
        if waiting or not self._concerned():
            return
        self.enter(GIVING_UP)
        severity = WARN if kind == "all" else INFO
        self._outbox.note(severity, f"ipfail: {why}: giving up {kind} in two keepalives")
        if self._timer < 0:
            self._timer = self._timers.new(self._due)
        self._later()

    def _later(self) -> None:
        self._timers.arm(self._timer, self._outbox.now + DELAY * self._settings.keepalive_ns)

    def _cancel(self, why: str) -> None:
        if self.state == GIVING_UP:
            self._timers.disarm(self._timer)
            self.enter(WATCHING)
            self._outbox.note(INFO, f"ipfail: nothing is given up: {why}")

    def _due(self, now: int) -> None:
        machines = self._concerned()
        if not machines or self._resources.other.alone:
            self._cancel("there is nothing to give, or nobody to take it")
        elif self._kind == "foreign":
            self.enter(WATCHING)
            self._resources.failback.wanted = True  # in its time, and not to one that dies again and again
        elif self._standby.give(machines, self._kind):
            self.enter(WATCHING)
        else:
            self._later()  # something moves, or the other node is not ready yet
