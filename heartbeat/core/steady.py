"""The steady state, in which nearly all of a cluster's life is spent: nothing moves, each hears the other, and every
status says what the one before it said.

Whether it holds is judged after whatever is not steady; while it holds, a repeated status, an acknowledgement and the
own beat are taken the short way. It does what the long way would do, and leaves out what would find nothing to do: the
two must never differ in anything but time.
"""

from __future__ import annotations

from _hbfast.codec import Message
from heartbeat.core import bulletin, group, resources
from heartbeat.core.events import Tick
from heartbeat.core.lease import RUNNING
from heartbeat.core.membership import ACTIVE
from heartbeat.core.settings import FAILBACK_OFF
from heartbeat.core.standby import IDLE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from heartbeat.core.challenge import Challenge
    from heartbeat.core.events import AgentExited, LeaseLapsed, MediumDown, MediumUp, Reload, Request
    from heartbeat.core.group import GroupMachine
    from heartbeat.core.lease import Lease
    from heartbeat.core.membership import Membership, Peer
    from heartbeat.core.outbox import Outbox
    from heartbeat.core.reception import Reception
    from heartbeat.core.resources import Resources
    from heartbeat.core.retransmit import Retransmit
    from heartbeat.core.standby import Standby
    from heartbeat.core.timers import Timers

    Event = Message | Tick | MediumUp | MediumDown | AgentExited | LeaseLapsed | Request | Reload

# what every status of a steady peer must say again
REPEATED = ("st", "dt", bulletin.FIELD, "srcuuid")


class Steady:
    """peer: the one that is steady, None while the state is not."""

    __slots__ = (
        "_challenge", "_lease", "_membership", "_outbox", "_reception", "_repeated", "_resources", "_retransmit",
        "_standby", "_timer_keys", "_timers", "peer",
    )  # fmt: skip

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
        self._timer_keys = membership.beat_timer, retransmit.acknowledge_timer
        self.peer: Peer | None = None

    # --- is it?

    def look(self, event: Event) -> None:
        """After an event that was taken the long way. Only a status can be repeated: it alone begins a steady time."""
        if isinstance(event, Message) and event.type == "status" and self._is():
            self.peer = self._resources.other.peer
            self._repeated = [event.value(name) for name in REPEATED]

    def end(self) -> None:
        """Something else happens: what the next status says is put together anew."""
        self.peer = None
        self._membership.forget_status()

    def _is(self) -> bool:
        peer, seen, held = self._resources.other.peer, self._resources.other.bulletin, self._resources
        return (
            peer is not None
            and seen is not None
            and peer.proven
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
            and (not held.failback_wanted or held.settings.auto_failback == FAILBACK_OFF)
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

    def own(self, keys: list[int]) -> bool:
        """Of the timers that are due, are all such that nothing follows from them?"""
        return all(key in self._timer_keys for key in keys)

    def take(self, event: Event, now: int) -> bool:
        """False: not this way, and nothing was done."""
        peer = self.peer
        if peer is None or not isinstance(event, Message):
            return False
        kind = event.type
        if kind == "status":
            return self._status(peer, event, now)
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
        ):
            return False
        if number == tracker.last:
            self._membership.heard_on(peer, message.medium, now)
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
        self._membership.heard_on(peer, message.medium, now)
        self._retransmit.acknowledge_later(peer, number)
        return True

    def _account(self, peer: Peer, number: int, now: int) -> None:
        peer.tracker.last = number
        peer.last_status_sequence = peer.bulletin_sequence = number
        peer.last_status_ns = now
        self._timers.arm(peer.timer, now + peer.deadtime_ns)
