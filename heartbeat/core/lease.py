"""May this node answer for its groups? The kernel lets it, as long as each status that it sends renews the leases.

A lease is shorter than the peer's patience, so a node that did not run, or whose statuses no medium took, has fallen
silent before the peer takes over. When it runs again it does not simply go on: it asks the peer with a fresh nonce
whether it has taken over, and lets go of what it has. The peer answers at once. Until it has, or is found dead, this
node stays silent: who hears nothing for a deadtime is cut off, and only then may there be two. A node that is alone
asks too, for as long as an answer takes: the other may have been there all the time, and be heard again. And one that
holds nothing: the peer's last word, that it leaves, may have waited so long that the peer is back and has all.

    RUNNING ──► LAPSED ──► RUNNING
"""

from __future__ import annotations

from heartbeat.core.actions import CRIT, INFO, WARN, Hold
from heartbeat.core.group import CEDED
from heartbeat.core.machine import Machine
from heartbeat.core.peer import DEAD
from heartbeat.core.settings import MILLISECOND, NEVER

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from heartbeat.core.bulletin import Bulletin
    from heartbeat.core.challenge import Challenge
    from heartbeat.core.membership import Membership
    from heartbeat.core.outbox import Outbox
    from heartbeat.core.peer import Peer
    from heartbeat.core.resources import Resources
    from heartbeat.core.settings import Settings
    from heartbeat.core.timers import Timers

RUNNING, LAPSED = range(2)

# an original cannot be asked; what it does about a node that was silent, it has done after this
ORIGINAL_NS = 2500 * MILLISECOND
# A lease with less than this left may have run out in the kernel, which counts in ticks of 4 ms, before the renewal
# arrives there. At the shortest death times it would be most of a lease.
SLACK_NS = 8 * MILLISECOND
SLACK_PART = 4


class Lease(Machine):
    """ends: when the leases can no longer be renewed, an instant. length_ns: from a status to that; NEVER where nothing
    can end them. introduce(): to an original, which may have found this node dead."""

    NAMES = ("running", "lapsed")
    ALLOWED = {
        (RUNNING, LAPSED): "for the length of a lease this node did not run, or no medium took a status",
        (LAPSED, RUNNING): "the peer has answered, or is dead, or nobody answers",
    }

    __slots__ = (
        "_alone", "_challenge", "_ending", "_introduce", "_keys", "_membership", "_outbox", "_resources", "_settings",
        "_timer", "_timers", "ends", "length_ns",
    )  # fmt: skip

    def __init__(
        self, settings: Settings, outbox: Outbox, timers: Timers, membership: Membership, resources: Resources,
        challenge: Challenge, *, introduce: Callable[[], None],
    ) -> None:  # fmt: skip
        super().__init__(RUNNING)
        self._introduce = introduce
        self._settings = settings
        self._outbox = outbox
        self._timers = timers
        self._membership = membership
        self._resources = resources
        self._challenge = challenge
        self._timer = timers.new(self._unanswered)
        self._keys: tuple[str, ...] = ()
        self._ending: tuple[str, ...] = ()
        self._alone = False
        self.length_ns = NEVER
        self.ends = NEVER
        self._measure()

    def reconfigure(self, settings: Settings) -> None:
        self._settings = settings
        self._measure()

    # --- what runs

    def refresh(self) -> None:
        """Say which leases are to run, where that has changed."""
        keys: tuple[str, ...] = ()
        ending: tuple[str, ...] = ()
        if self.state == RUNNING:
            groups = self._resources.groups.items()
            keys = tuple([key for key, machine in groups if machine.claimed and machine.shared != CEDED])
            if self._ending or keys != self._keys:  # there may be a thousand, and this is asked after every event
                ending = tuple([key for key, machine in groups if machine.claimed and machine.shared == CEDED])
        alone = self._resources.other.alone
        if keys != self._keys or alone != self._alone or ending != self._ending:
            self._keys = keys
            self._ending = ending
            self._alone = alone
            self._outbox.put(Hold(keys, alone=alone, ending=ending))
            self._measure()
            self.renewed()

    def _measure(self) -> None:
        lease_ns = self._settings.lease_ns
        alone = self._resources.other.peer is None
        self.length_ns = NEVER if alone else lease_ns - min(SLACK_NS, lease_ns // SLACK_PART)

    def renewed(self) -> None:
        """A status goes out."""
        self.ends = self._outbox.now + self.length_ns

    # --- lapsed

    def lapse(self, why: str) -> None:
        """The leases have run out, or nearly: nothing is renewed before the peer was asked."""
        peer = self._resources.other.peer
        if peer is None:  # nobody is to be asked: they are granted anew
            self._keys = ()
            self.refresh()
        if self.state == LAPSED or peer is None:
            return
        now = self._outbox.now
        patience_ns = self._patience(peer, now)
        self.enter(LAPSED)
        self._outbox.note(WARN, f"{why}: asking {peer.name} whether it has taken over")
        self.refresh()
        self._challenge.ask()
        if not peer.alive:  # its death, which would end the waiting, was before, or is never found
            self._timers.arm(self._timer, now + patience_ns)
        elif peer.heard and self._resources.other.bulletin is None:
            self._timers.arm(self._timer, now + ORIGINAL_NS // self._settings.divisor)
        self._membership.postpone(now)
        if self._resources.other.original:
            self._introduce()
        else:
            self._membership.beat(now)

    def _patience(self, peer: Peer, now: int) -> int:
        """For the answer of one that is dead, or in quarantine. The dead one may have been cut off, and be back; after
        more than initdead it may have started, too, and then it would be a pity if a lost question were the end."""
        away_ns = 0 if self.length_ns == NEVER else now - self.ends + self.length_ns
        brief = peer.state == DEAD and away_ns < self._settings.initdead_ns
        return self._settings.answer_ns if brief else peer.deadtime_ns

    def wait(self, now: int) -> None:
        """At the start: what an earlier run held waits for the peer's answer, or its death."""
        self.enter(LAPSED)
        self._timers.arm(self._timer, now + ORIGINAL_NS // self._settings.divisor)

    def answered(self, seen: Bulletin) -> None:
        """The peer's status repeats the nonce: what it claims now, it has taken. Where it asks the same of this node,
        one of them had taken it, and neither knows which."""
        if self.state != LAPSED:
            return
        taken = []
        for machine in self._resources.groups.values():
            label = self._resources.label(machine)
            asks = seen.claims(label) and not self._resources.mine(machine, seen)
            if machine.claimed and (seen.contests(label) or asks):
                taken.append(machine)
        if taken:
            keys = " ".join(machine.settings.key for machine in taken)
            self._outbox.note(CRIT, f"{keys}: the other node has taken over; letting go here")
            self._resources.disclaim(taken)
        self.resume("the other node has answered")

    def resume(self, why: str) -> None:
        """Serve on with what is still claimed."""
        if self.state != LAPSED:
            return
        self.enter(RUNNING)
        self._timers.disarm(self._timer)
        self._outbox.note(INFO, f"{why}; holding {self._resources.describe_claims()}")
        self.refresh()
        self._resources.on_change()

    def _unanswered(self, now: int) -> None:
        if self._resources.other.bulletin is None:  # else it is back: its answer, or its death, will end it
            self.resume("nobody answers")
