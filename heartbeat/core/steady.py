"""The steady state, in which nearly all of a cluster's life is spent: nothing moves, each hears the other, and every
status says what the one before it said.

Whether it holds is judged after whatever is not steady; while it holds, a repeated status, an acknowledgement and the
own beat are taken the short way. It does what the long way would do, and leaves out what would find nothing to do: the
two must never differ in anything but time. A status that repeats the last one is not even decoded: its octets tell.
"""

from __future__ import annotations

from _hbfast.codec import Beat, Message, Repetition
from heartbeat.core import bulletin, group, resources
from heartbeat.core.lease import RUNNING
from heartbeat.core.peer import ACTIVE
from heartbeat.core.settings import FAILBACK_OFF, NEVER
from heartbeat.core.standby import IDLE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from heartbeat.core.challenge import Challenge
    from heartbeat.core.events import Event
    from heartbeat.core.group import GroupMachine
    from heartbeat.core.lease import Lease
    from heartbeat.core.membership import Membership
    from heartbeat.core.outbox import Outbox
    from heartbeat.core.peer import Peer
    from heartbeat.core.reception import Reception
    from heartbeat.core.resources import Resources
    from heartbeat.core.retransmit import Retransmit
    from heartbeat.core.standby import Standby
    from heartbeat.core.timers import Timers

# what every status of a steady peer must say again
REPEATED = ("st", "dt", bulletin.FIELD, "srcuuid")
# what Repetition.hear says of one whose number is to be acknowledged
AWAITED = 3


class Steady:
    """peer: the one that is steady, None while the state is not. repetition: of its status, while there is one. own:
    of this node's."""

    __slots__ = (
        "_both", "_challenge", "_heard", "_lease", "_membership", "_outbox", "_reception", "_repeated", "_resources",
        "_retransmit", "_standby", "_timer_keys", "_timers", "own", "peer", "repetition",
    )  # fmt: skip
    REMADE = "own", "repetition", "_both"

    def __init__(
        self, outbox: Outbox, timers: Timers, membership: Membership, resources: Resources, standby: Standby,
        lease: Lease, challenge: Challenge, retransmit: Retransmit, reception: Reception,
    ) -> None:  # fmt: skip
        self._outbox = outbox
        self._timers = timers
        self._membership = membership
        self._resources = resources
        self._standby = standby
        self._lease = lease
        self._challenge = challenge
        self._retransmit = retransmit
        self._reception = reception
        self._repeated: list[object] = []
        self._begin()
        self._timer_keys = membership.beat_timer, retransmit.acknowledge_timer
        self.peer: Peer | None = None

    def _begin(self) -> None:
        self.own = Beat(self._timers.wheel, self._membership.beat_timer, self._membership.triggered_timer)
        self.repetition = Repetition(self._timers.wheel, self.own)
        self._both = self.own, self.repetition
        self._heard = 0  # repetitions of which the others know

    def __getstate__(self) -> dict[str, object]:
        return {name: getattr(self, name) for name in self.__slots__ if name not in self.REMADE}

    def __setstate__(self, state: dict[str, object]) -> None:
        for name, value in state.items():
            setattr(self, name, value)
        self._begin()

    # --- is it?

    def look(self, event: Event) -> None:
        """After an event that was taken the long way. Only a status can be repeated: it alone begins a steady time."""
        self._membership.repeat(False)
        peer, seen = self._resources.other.peer, self._resources.other.bulletin
        # one that did not count, a recording for example, says nothing that could be repeated
        if (
            isinstance(event, Message)
            and event.type == "status"
            and peer is not None
            and seen is not None
            and (event.source, event.generation) == (peer.name, peer.tracker.generation)
            and event.sequence == peer.last_status_sequence
            and self._is(peer, seen)
        ):
            self.peer = peer
            self._membership.repeat(True)
            self._repeated = [event.value(name) for name in REPEATED]

    def end(self) -> None:
        """Something else happens: what the next status says is put together anew."""
        self.settle()
        self.peer = None
        self.repetition.forget()
        self.own.stop()
        self._membership.repeat(False)

    def _is(self, peer: Peer, seen: bulletin.Bulletin) -> bool:
        held = self._resources
        return (
            peer.proven
            and held.other.ready
            and self._membership.local.state == ACTIVE
            and held.state == resources.SETTLED
            and not held.retiring
            and self._standby.state == IDLE
            and not self._standby.asked
            and self._lease.state == RUNNING
            and not self._challenge.nonce
            and not self._challenge.answer
            and not peer.tracker.missing
            and (not held.failback.wanted or held.settings.auto_failback == FAILBACK_OFF)
            and all(self._settled(machine, seen) for machine in held.groups.values())
        )

    def _settled(self, machine: GroupMachine, seen: bulletin.Bulletin) -> bool:
        """The group is up here and nowhere else, or the other way round, and nothing of it waits."""
        theirs = seen.claims(self._resources.label(machine))
        return (
            machine.state == (group.HELD if machine.claimed else group.STOPPED)
            and machine.claimed != theirs
            and machine.failed_at is None
            and machine.contested_at is None
            and not machine.announced
            and not machine.orphaned
        )

    # --- the short way

    def quiet(self, keys: list[int]) -> bool:
        """Of the timers that are due, are all such that nothing follows from them?"""
        return all(key in self._timer_keys for key in keys)

    def follow(self) -> None:
        """After whatever else has happened: what this node says from now on, if it is what it has said."""
        membership, outbox, lease, own = self._membership, self._outbox, self._lease, self.own
        if self.peer is None or lease.ends >= NEVER:
            return
        own.ends = lease.ends
        own.length_ns = lease.length_ns
        if membership.said:
            keepalive_ns = membership.settings.keepalive_ns
            own.follow(outbox.status, outbox.sequence, outbox.now, membership.next_beat, keepalive_ns)

    def repeats(self) -> tuple[Beat, Repetition] | None:
        """None: one of the two is not steady."""
        return self._both if self.own.follows and self.repetition.generation else None

    def settle(self) -> None:
        """Before anybody else looks: what has been heard meanwhile, and said."""
        said = self.own.taken()
        if said:
            self._outbox.repeated(said, self.own.last_ns, self.own.ts)
            self._membership.beaten(self.own.last_ns, self.own.next_ns)
            self._lease.ends = self.own.ends
        if self.repetition.count != self._heard and self.peer is not None:
            self._settle_heard(self.peer)

    def _settle_heard(self, peer: Peer) -> None:
        self._heard = self.repetition.count
        self._account(peer, self.repetition.sequence, self.repetition.last_ns)

    def acknowledge(self, now: int) -> int:
        """What was heard just now bears a number that is acknowledged. Returns it, less than 0."""
        peer, number = self.peer, self.repetition.sequence
        assert peer is not None
        self._settle_heard(peer)
        self._outbox.now = max(self._outbox.now, now)
        self._retransmit.acknowledge_later(peer, number)
        self.repetition.awaited = self._retransmit.next_acknowledged(peer)
        return -number

    def _teach(self, peer: Peer, message: Message, now: int) -> None:
        link = peer.links.get(message.medium)
        repetition = self.repetition
        if link is not None and link.state and repetition.teach(message, now, link.timer):
            repetition.timer = peer.timer
            repetition.deadtime_ns = peer.deadtime_ns
            repetition.warntime_ns = self._membership.settings.warntime_ns
            repetition.awaited = self._retransmit.next_acknowledged(peer)

    def take(self, event: Event, now: int) -> bool:
        """False: not this way, and nothing was done."""
        peer = self.peer
        if peer is None or not isinstance(event, Message):
            return False
        kind = event.type
        if kind == "status":
            heard = self.repetition.take(event, now)
            if heard:
                if heard == AWAITED:
                    self.acknowledge(now)
                return True
            taken = self._status(peer, event, now)
            if taken:
                self.follow()
            return taken
        if kind is not None and kind.startswith("NS_"):
            self._reception.message(event, now)
            return True
        return False

    def _status(self, peer: Peer, message: Message, now: int) -> bool:
        tracker = peer.tracker
        number = message.sequence
        if (
            message.generation != tracker.generation
            or message.source != peer.name
            or message.get("ts") in (None, "", "0")
            or (not message.strong and self._reception.weak(peer, message))
        ):
            return False
        if number == tracker.last:
            self._membership.heard_on(peer, message.medium, now)
            if [message.value(name) for name in REPEATED] == self._repeated:
                self._teach(peer, message, peer.last_status_ns)
            return True
        if (
            number != tracker.last + 1
            or now - peer.last_status_ns > self._membership.settings.warntime_ns
            or message.value("dest") is not None
            or message.value("destuuid") is not None
            or [message.value(name) for name in REPEATED] != self._repeated
        ):
            return False
        self._account(peer, number, now)
        self._timers.arm(peer.timer, now + peer.deadtime_ns)
        self._membership.heard_on(peer, message.medium, now)
        self._retransmit.acknowledge_later(peer, number)
        self._teach(peer, message, now)
        return True

    def _account(self, peer: Peer, number: int, now: int) -> None:
        peer.tracker.last = number
        peer.last_status_sequence = peer.bulletin_sequence = number
        peer.last_status_ns = now
