"""The hand-over of groups: hb_standby, hb_takeover, fail-back, and a group that failed here.

Who gives (A) and who takes (B) exchange `ask_resources`, as the original does; rsc_hold is A's view of the set, and
`groups` (ours alone) narrows it to the named groups:

    A                               B
    IDLE ──me──►                    IDLE
    ASKED                ◄──other── PROMISED
    RELEASING (stops) ───done──►    ACQUIRING (starts)
    HANDED               ◄──done──  IDLE
    IDLE

Instead of `other` B may answer `not`, and A keeps what it has. Nothing is released before B has promised to take it;
A claims a group until it is down, and then says so in its status, where others still stop: B takes it at once, so that
no group waits for another's script. The last go with `done`. Between two of ours, groups of addresses are made by B
before A releases them (overlap.py), at the same time. hb_takeover on B asks A to begin; where A won't, its `not`
says that it answers that (`to`): a hand-over that A has begun meanwhile goes on.
"""

from __future__ import annotations

from heartbeat.core import group, resources
from heartbeat.core.actions import INFO, URGENT, WARN
from heartbeat.core.command import KINDS, REPLY_NS, Command
from heartbeat.core.machine import Machine
from heartbeat.core.overlap import CEDING, Overlap
from heartbeat.core.retreat import Retreat
from heartbeat.core.settings import SECOND

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from _hbfast.codec import Message
    from heartbeat.core.group import GroupMachine
    from heartbeat.core.original import Report
    from heartbeat.core.outbox import Outbox
    from heartbeat.core.peer import Peer
    from heartbeat.core.resources import Resources
    from heartbeat.core.settings import Settings
    from heartbeat.core.timers import Timers

IDLE, ASKED, RELEASING, HANDED, PROMISED, ACQUIRING = range(6)
GIVING = (ASKED, RELEASING, HANDED)

WORK_NS = 3600 * SECOND  # for the other node's agents

MIRROR = {"all": "all", "local": "foreign", "foreign": "local"}


class Standby(Machine):
    """At most one hand-over at a time. report: tells an original what this node holds (original.py)."""

    NAMES = ("idle", "asked", "releasing", "handed", "promised", "acquiring")
    ALLOWED = {
        (IDLE, ASKED): "we give: me is sent",
        (ASKED, RELEASING): "other: the peer promises to take it",
        (ASKED, IDLE): "refused, no answer, or the peer is gone",
        (ASKED, PROMISED): "both asked at once, and the peer's name comes first",
        (RELEASING, HANDED): "all is released: done is sent",
        (RELEASING, IDLE): "the peer is gone, or we leave",
        (HANDED, IDLE): "done: the peer has it; or the peer is gone, or has not taken it",
        (IDLE, PROMISED): "me: the peer gives; other is sent",
        (PROMISED, ACQUIRING): "done: the peer has released; or it was lost, and its status says so",
        (PROMISED, IDLE): "the peer is gone or has given up",
        (ACQUIRING, IDLE): "all is up or has failed: done is sent",
    }

    __slots__ = (
        "_agreed", "_asked_at", "_groups", "_kind", "_outbox", "_report", "_resources", "_settings", "_spoken",
        "_timer", "_timers", "command", "overlap", "retreat",
    )  # fmt: skip

    def __init__(
        self, settings: Settings, outbox: Outbox, timers: Timers, resources: Resources, report: Report
    ) -> None:
        super().__init__(IDLE)
        self._report = report
        self._settings = settings
        self._outbox = outbox
        self._timers = timers
        self._resources = resources
        self._timer = timers.new(self._too_late)
        self._groups: list[GroupMachine] = []
        self._kind = "all"
        self._spoken = 0  # when this node promised, or said that it has released
        self._asked_at = 0
        self._agreed = 0  # number of the peer's message with which the hand-over was agreed
        self.command = Command(outbox, timers, resources, self)
        self.overlap = Overlap(outbox, timers, resources, self._say)
        self.retreat = Retreat(outbox, resources, self, report)

    def reconfigure(self, settings: Settings) -> None:
        """After the groups were replanned. What a reload has removed is no part of a hand-over any more."""
        self._settings = settings
        self._groups = [machine for machine in self._groups if machine in self._resources.groups.values()]

    def trouble(self) -> str | None:
        """Why no hand-over can begin now."""
        if self._resources.legacy:
            return "Heartbeat 3.0.6 hands nothing over with auto_failback legacy: make it on or off on both nodes"
        if self.state != IDLE or not self._resources.quiet:
            return "a move is under way: try again when `heartbeat status` says stable"
        if self._resources.state != resources.SETTLED:
            return "this node has not settled yet"
        if not self._resources.other.ready:
            return "the other node cannot take over: it is dead, or has not settled, or does not hear this node"
        return None

    def set_of(self, kind: str) -> list[GroupMachine]:
        """The groups of a set, seen from this node."""
        machines = self._resources.groups.values()
        return [m for m in machines if kind == "all" or (kind == "local") == self._resources.local(m)]

    @property
    def asked(self) -> bool:
        """An operator waits for an answer."""
        return self.command.number != 0

    def moves(self, machines: list[GroupMachine]) -> bool:
        return any(machine in self._groups for machine in machines)

    # --- giving

    def give(self, machines: list[GroupMachine], kind: str) -> bool:
        """Hand these over to the peer; False where that can't begin now."""
        whole = all(machine in machines for machine in self.set_of(kind) if machine.claimed)
        if self.trouble() or (self._resources.other.original and not whole):
            return False
        self.begin(machines, kind)
        return True

    def begin(self, machines: list[GroupMachine], kind: str, patience_ns: int = 0) -> None:
        """Ask the peer to take these. patience_ns: with its answer, where that is not the usual."""
        self.enter(ASKED)
        self._asked_at = self._outbox.now
        self._groups = machines
        self._kind = kind
        self._outbox.note(INFO, f"{self._settings.node} wants to go standby [{kind}]")
        self._say("me", machines=machines)
        self._timers.arm(self._timer, self._outbox.now + (patience_ns or REPLY_NS // self._settings.divisor))

    @property
    def ceding(self) -> bool:
        """The peer may still make what this node has."""
        return self.state == ASKED or self.overlap.state == CEDING

    def _say(self, info: str, *, ok: str = "", machines: Iterable[GroupMachine] = ()) -> None:
        fields = [("rsc_hold", self._kind.encode()), ("info", info.encode())]
        if info in ("me", "make") and not self._resources.other.original:
            fields.append(("groups", " ".join(map(self._resources.label, machines)).encode()))
        fields += [("ok", ok.encode())] if ok else []
        self._outbox.send("ask_resources", fields, priority=URGENT)

    def _release(self, peer: Peer) -> None:
        self.enter(RELEASING)
        self._timers.disarm(self._timer)
        self._outbox.note(INFO, f"{peer.name} can take our {self._kind} resources; giving them up")
        self._report(without=self._kind, info="standby")
        self.overlap.cede(self._groups, self._asked_at)
        for machine in self._groups:
            if not machine.shared:
                machine.want(False)

    # --- taking

    def _promise(self, peer: Peer, message: Message) -> None:
        kind = message.get("rsc_hold") or ""
        labels = message.get("groups")
        if kind not in KINDS:
            return
        named = set(labels.split()) if labels is not None else None
        self._groups = [
            m for m in self.set_of(MIRROR[kind])
            if (named is None or self._resources.label(m) in named) and not m.claimed
        ]  # fmt: skip
        self.overlap.made()  # of a hand-over that the peer has forgotten
        self.enter(PROMISED)
        self._kind = kind
        self._agreed = message.sequence
        self._resources.other.offers(map(self._resources.label, self._groups), message.sequence)
        self._outbox.note(INFO, f"{peer.name} wants to go standby [{kind}]; taking its resources when it is done")
        self._say("other")
        self._spoken = self._outbox.now
        wait_ns = REPLY_NS if self._resources.other.original else WORK_NS
        self._timers.arm(self._timer, self._outbox.now + wait_ns // self._settings.divisor)

    def _acquire(self) -> None:
        """The peer has released all; what of it is not yet up here is to be claimed."""
        self.enter(ACQUIRING)
        self._timers.disarm(self._timer)

    # --- messages

    def ask_resources(self, peer: Peer, message: Message) -> None:
        info = message.get("info")
        if info == "me":
            self._asked(peer, message)
        elif info == "other" and self.state == ASKED:
            self._agreed = message.sequence
            self._release(peer)
        elif info == "other" and self.state == IDLE:
            self._say("not")  # too late: we have given up asking
        elif info == "not":
            self._refused(peer, takeover=message.get("to") == "hb_takeover")
        elif message.sequence < self._agreed:
            return  # it was late, and belongs to another hand-over
        elif info in ("make", "ready"):
            self.overlap.hear(peer, message, self._groups if self.state == PROMISED else ())
        elif info == "done" and self.state == PROMISED:
            self._acquire()
            self.overlap.made()
            self._resources.other.released(map(self._resources.label, self._groups), message.sequence)
            self._resources.claim(self._groups, f"{peer.name} has released them")
        elif info == "done" and self.state == HANDED:
            self._outbox.note(INFO, f"{peer.name} has completed the standby take-over")
            self._resources.other.offers(map(self._resources.label, self._groups), message.sequence)
            ok = message.get("ok") != "no"
            self._end(ok, f"{peer.name} has taken over" if ok else f"{peer.name} could not start all of it")

    def _asked(self, peer: Peer, message: Message) -> None:
        if self.state == ASKED and peer.name < self._settings.node and self.retreat.under_way:
            self.retreat.leave()
        elif self.state == ASKED and peer.name < self._settings.node:
            self.command.answer(False, f"{peer.name} asked for a hand-over at the same time: try again")
            self._promise(peer, message)
        elif self.state == ASKED:
            return  # the peer gives way
        elif self.state == PROMISED or (self.state == IDLE and self._ready_to_take()):
            if self.state == PROMISED:
                self.enter(IDLE)
            self._promise(peer, message)
        else:
            self._outbox.note(WARN, f"standby request of {peer.name} refused: {self.state_name}, not ready")
            self._say("not")

    def _ready_to_take(self) -> bool:
        return self._resources.state == resources.SETTLED and self._resources.quiet and not self._resources.legacy

    def _refused(self, peer: Peer, *, takeover: bool) -> None:
        text = f"{peer.name} refused: it is busy; try again"
        if self.state == IDLE:
            self.command.answer(False, text)
        elif self.state in (ASKED, PROMISED) and not takeover:
            self._end(False, text)

    def hb_takeover(self, peer: Peer, message: Message) -> None:
        """The peer's operator wants a set, as the peer sees it."""
        kind = MIRROR.get(message.get("rsc_hold") or "")
        if kind is None:
            return
        concerned = [machine for machine in self.set_of(kind) if machine.claimed]
        if self.state in GIVING and all(machine in self._groups for machine in concerned):
            return  # it is on its way: the two operators want the same
        if concerned and not self.trouble():
            self.begin(concerned, kind)
        else:
            self._outbox.note(WARN, f"takeover request of {peer.name} refused: {self.trouble() or 'nothing to give'}")
            fields = [("rsc_hold", kind.encode()), ("info", b"not"), ("to", b"hb_takeover")]
            self._outbox.send("ask_resources", fields, priority=URGENT)

    # --- progress

    def peer_status(self) -> None:
        """The exchange may be over though its last message never came: each may have found the other dead meanwhile."""
        other = self._resources.other
        if other.original:
            return  # of its groups it says nothing in time
        self.overlap.peer_status(void=self.state != RELEASING)
        if self.state == PROMISED:
            down = [m for m in self._groups if other.gave_up(self._resources.label(m))]
            self._resources.claim(down, "the other node has stopped them")
        groups = [m for m in self._groups if not m.claimed]
        theirs = any(other.claims(self._resources.label(m)) for m in self._groups)
        if self.state == PROMISED and self._groups and not groups and not theirs and not other.moving:
            self._acquire()
        letters = {other.letter(self._resources.label(machine)) for machine in groups}
        if self.state == HANDED and letters <= {"h", "f"}:
            self._end(letters == {"h"}, "the other node has taken over")
        elif self._outbox.now - self._spoken <= REPLY_NS // self._settings.divisor + self._settings.keepalive_ns:
            return  # it may have been under way when this node spoke
        elif self.state == PROMISED and letters == {"h"}:
            self._end(False, "the other node keeps what it has")
        elif self.state == HANDED and other.ready and letters <= {"-", "x", "h", "f"}:
            self._end(False, "the other node did not take over")
            # the others go to the node that prefers them (healing.py): it may be starting them in this moment
            left = [m for m in groups if not other.claims(self._resources.label(m))]
            mine = [m for m in left if self._resources.local(m) or not other.knows(self._resources.label(m))]
            self._resources.claim(mine, "the other node did not take over")

    def progress(self) -> None:
        """Something may have come up or gone down."""
        self.overlap.progress()
        self.retreat.progress()
        if self.state == RELEASING:
            down = [m for m in self._groups if m.claimed and m.state in (group.STOPPED, group.FAILED)]
            if down:
                self._resources.disclaim(down)
                self._resources.membership.hasten(self._outbox.now)
        # what a reload has removed meanwhile was offered, too
        here = self.state == RELEASING and any(m.claimed or m.moving for m in self._groups)
        if self.state == RELEASING and not here and not self._resources.retiring:
            self.enter(HANDED)
            self._say("done")
            self._spoken = self._outbox.now
            self._timers.arm(self._timer, self._outbox.now + WORK_NS // self._settings.divisor)
        elif self.state == ACQUIRING and not any(m.moving for m in self._groups):
            up = all(machine.state == group.HELD for machine in self._groups)
            self._say("done", ok="OK" if up else "no")
            self._end(up, "taken over" if up else "not all of it could be started")

    def _end(self, ok: bool, text: str) -> None:
        moved = self.state in (HANDED, ACQUIRING)
        given = self._kind if ok and self.state == HANDED else ""
        self.enter(IDLE)
        self._timers.disarm(self._timer)
        self._groups = []
        if moved:
            self._report(without=given)
        self.command.answer(ok, text)
        self._resources.on_change()

    def _too_late(self, now: int) -> None:
        peer = self._resources.other.peer
        if self.state == PROMISED and peer is not None and peer.bulletin is None and not peer.stable:
            # an original that has begun says so; one that was busy has dropped its own request by now
            self._timers.arm(self._timer, now + WORK_NS // self._settings.divisor)
        elif self.state in (ASKED, HANDED, PROMISED):
            self._outbox.note(WARN, "no reply to standby request: cancelled")
            self._end(False, "the other node did not answer in time")

    def peer_lost(self, why: str) -> None:
        """The peer is dead, has left, or has restarted: whatever was agreed is void."""
        self.overlap.peer_lost()
        self.retreat.peer_lost()
        if self.state == IDLE:
            self.command.answer(False, why)
            return
        again = [m for m in self._groups if m.claimed] if self.state == RELEASING else []
        self._end(False, why)
        for machine in again:
            machine.want(True)

    def leaving(self) -> None:
        """This node stops: it releases everything anyway."""
        self.overlap.leave()
        if self.state == IDLE:
            self.command.answer(False, "this node is stopping")
        else:
            self._end(False, "this node is stopping")
