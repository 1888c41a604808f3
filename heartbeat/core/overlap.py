"""Make before break: in a hand-over between two of ours, the moment in which a group is on both nodes.

Who takes (B) has promised to (standby.py). Who gives (A) then says `make`, and which groups are to come up there before
they go here: those of addresses and notifiers alone (`Settings.overlapping`). B makes those of which it finds the same.

    A                                B
    NONE                             NONE
    CEDING ──────────make──►         MAKING (starts, and tells the neighbours)
    NONE (releases) ◄──ready──
          ──(standby.py) done──►     NONE (tells the neighbours again)

Nothing depends on what is lost, late, or dead: before `make` A has its leases of these groups cut to `overlap_ns`, and
when that is over they are released, ready or not. B begins only when it is told, so two have them no longer than that.
Where the hand-over has become void meanwhile, A keeps what B says that it doesn't claim, and the rest goes in its time.

It is done only where B has promised within a keepalive: a line that is slower than that carries no hand-over of
milliseconds. While it lasts, that both claim a group is no conflict (healing.py), and no reload comes into force.
"""

from __future__ import annotations

from heartbeat.core import bulletin, group
from heartbeat.core.actions import INFO, WARN
from heartbeat.core.group import CEDED, MADE, NOT
from heartbeat.core.machine import Machine
from heartbeat.core.settings import OVERLAP

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Protocol

    from _hbfast.codec import Message
    from heartbeat.core.group import GroupMachine
    from heartbeat.core.outbox import Outbox
    from heartbeat.core.peer import Peer
    from heartbeat.core.resources import Resources
    from heartbeat.core.timers import Timers

    class Say(Protocol):
        """Standby.say."""

        def __call__(self, info: str, *, ok: str = "", machines: Iterable[GroupMachine] = ()) -> None: ...


NONE, CEDING, MAKING = range(3)


class Overlap(Machine):
    """At most one at a time, within a hand-over or what is left of it. say: ask_resources of this kind."""

    NAMES = ("none", "ceding", "making")
    ALLOWED = {
        (NONE, CEDING): "the peer has promised, soon enough: make is sent",
        (CEDING, NONE): "ready, or the time is over: released; or the peer is dead, or says that it has nothing: kept",
        (NONE, MAKING): "make: the peer's groups are started here, too",
        (MAKING, NONE): "the peer has released, or is gone; or the time is over, or this node leaves",
    }

    __slots__ = ("_machines", "_outbox", "_ready", "_resources", "_say", "_timer", "_timers")

    def __init__(self, outbox: Outbox, timers: Timers, resources: Resources, say: Say) -> None:
        super().__init__(NONE)
        self._outbox = outbox
        self._timers = timers
        self._timer = timers.new(self._too_late)
        self._resources = resources
        self._say = say
        self._machines: list[GroupMachine] = []
        self._ready = False  # and it was said

    def _share(self, machines: list[GroupMachine], how: int) -> None:
        self._machines = machines
        for machine in machines:
            machine.shared = how

    def _unshare(self) -> list[GroupMachine]:
        """It is over; returns what was shared."""
        self.enter(NONE)
        self._timers.disarm(self._timer)
        machines = self._machines
        self._share(machines, NOT)
        self._machines = []
        return machines

    # --- giving

    def may_cede(self, machines: Iterable[GroupMachine]) -> list[GroupMachine]:
        """Which of these the peer could make before they go here."""
        seen = self._resources.other.bulletin
        if seen is None or OVERLAP not in seen.abilities or not self._resources.settings.overlap_ns:
            return []
        return [m for m in machines if m.claimed and m.state == group.HELD and self._fits(m)]

    def _fits(self, machine: GroupMachine) -> bool:
        """Addresses and notifiers alone: scripts are not made for being up twice."""
        names = {resource.name for resource in machine.settings.resources if not resource.notifier}
        return bool(names) and names <= self._resources.settings.overlapping

    def cede(self, machines: list[GroupMachine], asked_at: int) -> None:
        """The peer has just promised to take these, having been asked at that instant."""
        settings, now = self._resources.settings, self._outbox.now
        chosen = self.may_cede(machines) if now - asked_at <= settings.keepalive_ns else []
        if chosen:
            self.enter(CEDING)
            self._share(chosen, CEDED)
            self._resources.on_claim()  # the leases are cut before the peer is told
            self._say("make", machines=chosen)
            self._timers.arm(self._timer, now + settings.overlap_ns)

    def _release(self) -> None:
        self._resources.disclaim(self._unshare())

    def _keep(self, machines: list[GroupMachine]) -> None:
        """The peer doesn't have these, and will not."""
        rest = [machine for machine in self._machines if machine not in machines]
        self._share(machines, NOT)
        self._machines = rest
        if not rest:
            self._unshare()
        self._resources.on_claim()
        for machine in machines:
            machine.announce()  # the peer may have had them for a moment

    # --- messages

    def hear(self, peer: Peer, message: Message, promised: Iterable[GroupMachine]) -> None:
        """make or ready, of the present hand-over. promised: what this node has promised to take."""
        if message.get("info") == "make":
            self._make(peer, message, promised)
        elif self.state == CEDING:
            self._release()

    # --- taking

    def _make(self, peer: Peer, message: Message, machines: Iterable[GroupMachine]) -> None:
        named = set((message.get("groups") or "").split())
        labelled = [m for m in machines if self._resources.label(m) in named]
        chosen = [m for m in labelled if not m.claimed and m.state == group.STOPPED and self._fits(m)]
        settings = self._resources.settings
        if self.state == NONE and chosen and settings.overlap_ns:
            self.enter(MAKING)
            self._ready = False
            self._share(chosen, MADE)
            self._timers.arm(self._timer, self._outbox.now + settings.overlap_ns + settings.answer_ns)
            self._resources.claim(chosen, f"{peer.name} has them until they are up here")

    def progress(self) -> None:
        """Something may have come up. The last to come up is looked at first: there may be a thousand."""
        if self.state != MAKING or self._ready:
            return
        if all(machine.claimed and machine.state == group.HELD for machine in reversed(self._machines)):
            self._ready = True
            self._say("ready")

    def made(self) -> None:
        """The peer has them no more. While both had them, a neighbour may have heard it last."""
        if self.state == MAKING:
            for machine in self._unshare():
                if machine.claimed and machine.state == group.HELD:
                    machine.announce()

    # --- when it doesn't end as it should

    def _too_late(self, now: int) -> None:
        """The time that was agreed is over."""
        if self.state == MAKING:
            self.made()
        elif self._resources.other.quarantined:  # nothing that it says would ever end this
            self._keep(self._machines)
        else:
            self._outbox.note(WARN, "the other node is not ready in time: released all the same")
            self._release()

    def peer_status(self, *, void: bool) -> None:
        """A fresh status of the peer. void: of the hand-over nothing more is to come from this node."""
        seen = self._resources.other.bulletin
        if seen is None or self.state == NONE:
            return
        given_up = [m for m in self._machines if not seen.claims(self._resources.label(m))]
        if self.state == MAKING and len(given_up) == len(self._machines):
            self.made()
        elif self.state == CEDING and given_up and (void or seen.phase != bulletin.SETTLED):
            self._outbox.note(INFO, "the other node has not taken it: kept")
            self._keep(given_up)

    def peer_lost(self) -> None:
        """It is dead, or has left; or has begun anew, and its next status tells what it has."""
        self.made()
        if self.state == CEDING and self._resources.other.alone:
            self._keep(self._machines)

    def leave(self) -> None:
        """This node stops: it goes from here at once, wherever else it is."""
        if self.state != NONE:
            self._release()
