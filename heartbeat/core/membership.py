"""Is each node, each link alive?

A node is heard by its status messages alone: each re-arms its death timer with the time the sender itself announces in
`dt`. A link is one medium of one node; any message that is new, or the newest again, proves it.

Before this node's own communications are up, which is when every other node has been heard or found dead, `initdead`
is everybody's death time.
"""

from __future__ import annotations

from heartbeat.core import bulletin
from heartbeat.core.actions import CRIT, INFO, STATUS, WARN
from heartbeat.core.machine import Machine
from heartbeat.core.peer import ACTIVE, DEAD, INIT, QUARANTINED, STATUSES, UP, Link, Peer
from heartbeat.core.sequence import Tracker
from heartbeat.core.settings import MILLISECOND, NEVER, SECOND

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from _hbfast.codec import Message
    from heartbeat.core.outbox import Outbox
    from heartbeat.core.sequence import Random
    from heartbeat.core.settings import Settings
    from heartbeat.core.timers import Timers

# a peer's announced death time is believed within this factor of our own, so that neither 0 nor years do harm; an
# original that starts announces more than it has
DT_FACTOR = 10
DT_MORE_NS = 35 * SECOND
# statuses sent because something changed keep this part of a keepalive between them, so that a storm of changes
# doesn't fill a slow line
TRIGGERED_PART = 8
# but what the other node may take is told so soon (and a frame's time, or what comes next would wait for it)
SOON_NS = 20 * MILLISECOND
# sent at once to who asks, in a keepalive; recordings may ask without end, and who has not answered is not known
ANSWERS_MOST = 8


class Local(Machine):
    """This node's own status, as it announces it."""

    NAMES = STATUSES[:3]
    ALLOWED = {
        (INIT, UP): "the first status is out",
        (UP, ACTIVE): "every other node has been heard or is dead",
    }

    __slots__ = ()


class Membership:
    """The peers (none or one: haresources are for pairs), this node's own status, and its beat.

    on_death(peer), on_beat(): what the cluster does about it, the latter set before the first beat. fill(): the
    bulletin of this moment.
    """

    def __init__(
        self, settings: Settings, outbox: Outbox, timers: Timers, random: Random, now: int,
        *, on_death: Callable[[Peer], None], fill: Callable[[], bulletin.Bulletin],
    ) -> None:  # fmt: skip
        self.settings = settings
        self.local = Local(INIT)
        self.peers: dict[str, Peer] = {}
        self.silent = False  # this node has said that it leaves: no status may follow
        self._outbox = outbox
        outbox.hooks.local = self.local
        self._timers = timers
        self._on_death = on_death
        self.on_beat: Callable[[], None]
        self._fill = fill
        self.beat_timer = timers.new(self.beat_due)
        self.triggered_timer = timers.new(self.beat)
        self._soon = NEVER  # until when it must be out
        self._repeating = False
        self.said = False  # the last status says what the next one would
        self._answers = 0  # since the last regular beat
        self.next_beat = now
        self._last_beat = now - settings.keepalive_ns
        self._start_due = now + settings.initdead_ns
        for name in settings.nodes:
            if name != settings.node and name not in self.peers:
                peer = self.peers[name] = Peer(name, settings, Tracker(random))
                peer.timer = timers.new(self._silent, peer)
                timers.arm(peer.timer, self._start_due)
        self._make_links()
        timers.arm(self.beat_timer, now)

    def _make_links(self) -> None:
        for peer in self.peers.values():
            for medium in [name for name in peer.links if name not in self.settings.media]:
                self._timers.free(peer.links.pop(medium).timer)
            for medium in self.settings.media:
                if medium not in peer.links:
                    peer.links[medium] = Link(self._timers.new(self._link_silent, peer, medium))

    def _silent(self, now: int, peer: Peer) -> None:
        self.death(peer)

    def _link_silent(self, now: int, peer: Peer, medium: str) -> None:
        self.link_dead(peer, medium)

    def reconfigure(self, settings: Settings) -> None:
        """New times and media; a running death timer keeps its instant until the next status."""
        old = self.settings
        beat_sooner = settings.keepalive_ns < old.keepalive_ns or settings.deadtime_ns < old.deadtime_ns
        self.settings = settings
        self._make_links()
        if beat_sooner:
            self.next_beat = self._outbox.now
            self._timers.arm(self.beat_timer, self.next_beat)

    # --- our own beat

    def beat_due(self, now: int) -> None:
        """On a fixed grid; after a stall the grid starts anew instead of catching up."""
        keepalive_ns = self.settings.keepalive_ns
        next_beat = self.next_beat + keepalive_ns
        if next_beat <= now:
            next_beat = now + keepalive_ns
        self.next_beat = next_beat
        self._timers.arm(self.beat_timer, next_beat)
        self._answers = 0
        self.beat(now)

    def beat(self, now: int) -> None:
        """Send a status now."""
        if self.silent:
            return
        self._timers.disarm(self.triggered_timer)
        self._soon = NEVER
        self._last_beat = now
        if self.said:
            self._outbox.send_status_again()
        else:
            fields = [
                ("st", self.local.state_name.encode()),
                ("dt", b"%x" % max(1, self.settings.deadtime_ns // MILLISECOND)),
                ("protocol", b"1"),
                (bulletin.FIELD, str(self._fill()).encode()),
            ]
            self._outbox.send("status", fields, priority=STATUS)
            self.said = self._repeating
        self.on_beat()
        if self.local.state == INIT:
            self.local.enter(UP)
            self._outbox.note(INFO, "local status: up")
            self.trigger(now)

    def repeat(self, repeating: bool) -> None:
        """From the next one on, every status says the same; or each is put together anew."""
        self._repeating = repeating
        self.said = False

    def beaten(self, now: int, next_beat: int) -> None:
        """Without anybody having asked here: regular beats, the last of them at `now`."""
        self.next_beat = next_beat
        self._last_beat = now
        self._soon = NEVER
        self._answers = 0

    def trigger(self, now: int) -> None:
        """Something that the peer should know has changed: a status soon, at once if none went out just now."""
        due = self._last_beat + self.settings.keepalive_ns // TRIGGERED_PART
        self._timers.arm(self.triggered_timer, min(max(now, due), self._soon))

    def hasten(self, now: int) -> None:
        """The peer waits for what has changed, and perhaps for more that follows."""
        self._soon = min(self._soon, now + SOON_NS // self.settings.divisor + self.settings.frame_ns)
        self._timers.arm(self.triggered_timer, self._soon)

    def answer(self, now: int) -> None:
        """The peer waits for a status of ours: at once, within reason."""
        self._answers += 1
        (self.beat if self._answers <= ANSWERS_MOST else self.trigger)(now)

    # --- what is heard

    def heard_on(self, peer: Peer, medium: str, now: int) -> None:
        """A message that proves the link."""
        link = peer.links.get(medium)
        if link is None:
            return
        self._timers.arm(link.timer, now + peer.deadtime_ns)
        if link.state == 0:
            link.enter(1)
            self._outbox.note(INFO, f"link {peer.name}:{medium} up")
            self._outbox.hooks.link(peer, medium, "up")

    def link_dead(self, peer: Peer, medium: str) -> None:
        link = peer.links[medium]
        self._timers.disarm(link.timer)
        if link.state == 1:
            link.enter(0)
            self._outbox.note(WARN, f"link {peer.name}:{medium} dead")
            self._outbox.hooks.link(peer, medium, "dead")

    def medium_down(self, medium: str) -> None:
        for peer in self.peers.values():
            if medium in peer.links:
                self.link_dead(peer, medium)

    def status(self, peer: Peer, message: Message, seen: bulletin.Bulletin | None, now: int) -> None:
        """A fresh status of the peer. One that is older than the newest only filled a gap: nothing in it counts."""
        if message.sequence < peer.last_status_sequence:
            return
        text = message.get("st")
        if text not in STATUSES[:3]:
            return
        self._judge_interval(peer, now)
        peer.last_status_sequence = message.sequence
        peer.last_status_ns = now
        peer.deadtime_ns = self._believe(message.get("dt"))
        due = now + peer.deadtime_ns
        if self.local.state != ACTIVE:
            due = max(due, self._start_due)
        self._timers.arm(peer.timer, due)
        peer.heard = True
        peer.left = False
        if message.sequence >= peer.bulletin_sequence:
            peer.bulletin_sequence = message.sequence
            peer.bulletin = seen
        announced = STATUSES.index(text)
        if peer.state == DEAD or announced > peer.state:  # within a generation a node only goes forward
            peer.enter(announced)
            self._outbox.note(INFO, f"status update for node {peer.name}: {text}")
        self._outbox.hooks.status(peer, message)

    def _judge_interval(self, peer: Peer, now: int) -> None:
        if peer.last_status_ns == 0 or peer.state == DEAD:
            return
        interval_ns = now - peer.last_status_ns
        if interval_ns > self.settings.warntime_ns:
            severity = CRIT if interval_ns > self.settings.deadtime_ns else WARN
            self._outbox.note(severity, f"late heartbeat from {peer.name}: interval {interval_ns // MILLISECOND} ms")

    def _believe(self, dt: str | None) -> int:
        """The announced death time in nanoseconds, within reason; our own where it says nothing readable."""
        own_ns = self.settings.deadtime_ns
        try:
            announced_ns = int(dt or "", 16) * MILLISECOND
        except ValueError:
            return own_ns
        most_ns = own_ns * DT_FACTOR + DT_MORE_NS // self.settings.divisor
        return min(max(announced_ns, own_ns // DT_FACTOR), most_ns) if announced_ns > 0 else own_ns

    def death(self, peer: Peer, *, left: bool = False) -> None:
        """Silent for its death time, or it has said that it leaves."""
        self._timers.disarm(peer.timer)
        if not peer.alive:
            return
        self._outbox.hooks.died(peer, left=left, held=peer.may_hold)
        peer.left = left
        peer.reported = None
        peer.stable = False
        peer.enter(DEAD)
        peer.tracker.forget()
        for medium in peer.links:
            self.link_dead(peer, medium)
        if left:
            self._outbox.note(INFO, f"node {peer.name} has left and gave up its resources")
        else:
            self._outbox.note(WARN, f"node {peer.name} is dead")
        self._on_death(peer)

    def recall(self, known: Mapping[str, tuple[int, int]], *, dead: bool) -> None:
        """At the start. known: peer → (generation, sequence), newest of an earlier run; dead: that had found it so."""
        for peer in self.peers.values():
            peer.tracker.start(*known.get(peer.name, (0, 0)))
            if dead:
                self.death(peer)

    def hurry(self) -> None:
        """At the start: who has not answered by then is dead, as it was before."""
        self._start_due = self._outbox.now + self.settings.answer_ns
        for peer in self.peers.values():
            self._timers.arm(peer.timer, self._start_due)

    def postpone(self, now: int) -> None:
        """This node itself was late: what it has not heard lies in its queues, or is lost with the time in which the
        machine did not run. The peer may have said it just now, and answers for as long as its leases last."""
        for peer in self.peers.values():
            if peer.alive:
                self._timers.arm(peer.timer, max(now + peer.deadtime_ns, 0 if peer.heard else self._start_due))

    def quarantine(self, peer: Peer) -> None:
        """It lives, in a generation that it should not have. Silence proves nothing any more."""
        peer.enter(QUARANTINED)
        self._timers.disarm(peer.timer)
        peer.bulletin = None

    def accept(self, peer: Peer, generation: int, sequence: int, now: int) -> None:
        """The operator says that its lower generation is the right one. It is alive until its death time."""
        peer.abandoned = max(peer.abandoned, peer.tracker.generation)
        peer.tracker.start(generation, sequence)
        peer.restarted()
        peer.proven = True
        peer.last_status_ns = now
        self._timers.arm(peer.timer, now + peer.deadtime_ns)

    def communications_up(self) -> bool:
        """The last step of the start: true once."""
        if self.local.state != UP or not all(peer.heard or not peer.alive for peer in self.peers.values()):
            return False
        self.local.enter(ACTIVE)
        self._outbox.note(INFO, "communications are up; local status: active")
        return True
