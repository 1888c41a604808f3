"""The cluster as one node sees it: takes events, asks the small machines, answers with actions.

`handle` is total: every event in every state, and nothing that came from outside makes it raise. It does not read the
clock and keeps no state of its own but the machines. Same settings, seed and events: same actions.
"""

from __future__ import annotations

from _hbfast.codec import Message
from heartbeat.core import bulletin, resources, sequence
from heartbeat.core.actions import CRIT, ERROR, INFO, WARN, Stop
from heartbeat.core.events import AgentExited, MediumDown, MediumUp, Reload, Request, Tick
from heartbeat.core.membership import DEAD, Membership, Peer
from heartbeat.core.outbox import NO_UUID, Outbox, Tally
from heartbeat.core.resources import Resources
from heartbeat.core.retransmit import Retransmit
from heartbeat.core.standby import IDLE, Standby
from heartbeat.core.timers import Timers
from heartbeat.core.view import ClusterView, GroupView, NodeView

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from heartbeat.core.actions import Action
    from heartbeat.core.group import GroupMachine
    from heartbeat.core.settings import Settings

    Event = Message | Tick | MediumUp | MediumDown | AgentExited | Request | Reload

# a peer's group, as its bulletin's letter says
PEER_STATES = {"s": "starting", "h": "held", "p": "stopping", "f": "failed"}

# Unknown nodes that status tells of, by name; more than a few are no mistake in a file any more.
STRANGERS = 4


class Cluster:
    """generation: of this run, larger than any before. seed: for what is drawn.

    What a run of this node that died has left, as keys of groups: `adopted` are up and their leases still run, so this
    run holds them from its first instant; `leftovers` may have something up, and are stopped before anything else is
    decided. peer_dead: that run had found the peer dead, so short a time ago that it can't have taken anything since.
    known: peer → (generation, sequence) as the last `Remember` said.
    """

    def __init__(
        self, settings: Settings, *, generation: int, seed: int, now: int, leftovers: Collection[str] = (),
        adopted: Collection[str] = (), peer_dead: bool = False,
        known: Mapping[str, tuple[int, int]] | None = None,
    ) -> None:  # fmt: skip
        self.settings = settings
        self._outbox = Outbox(settings, generation, now)
        self._timers = Timers(now)
        self._tally = Tally(self._outbox.note)
        self._membership = Membership(
            settings, self._outbox, self._timers, sequence.Random(seed), now, on_death=self._peer_dead, fill=self._fill
        )
        self._resources = Resources(
            settings, self._outbox, self._timers, self._membership,
            leftovers=leftovers, on_change=self._changed, hand_over=self._hand_over,
            handing_over=self._handing_over,
        )  # fmt: skip
        self._standby = Standby(settings, self._outbox, self._timers, self._resources)
        self._retransmit = Retransmit(settings, self._outbox, self._timers, self._membership, self._tally)
        self._linger_timer = self._timers.new(self._stop)
        self._media_up: set[str] = set()
        self._replan_due = False  # files were read whose groups are not yet in force
        self._warnings: list[str] = []
        self._strangers: list[str] = []  # a warning for each name that this ha.cf lacks
        self._failover: dict[str, str | int | None] | None = None
        self._handlers = {
            Message: self._message,
            Tick: self._tick,
            MediumUp: self._medium_up,
            MediumDown: self._medium_down,
            AgentExited: self._agent_exited,
            Request: self._request,
            Reload: self._reload,
        }

    # --- the interface

    def handle(self, event: Event, now: int) -> list[Action]:
        """What to do about it, in this order."""
        now = self._outbox.now = max(now, self._outbox.now)  # a message that waited may be older than a Tick
        self._handlers[type(event)](event, now)  # type: ignore[operator]
        self._after()
        return self._outbox.take()

    def deadline(self) -> int | None:
        """When to send Tick at the latest."""
        return self._timers.next_due()

    def view(self) -> ClusterView:
        """What an operator may see of it."""
        return ClusterView(
            node=self.settings.node,
            state=self._membership.local.state_name,
            generation=self._outbox.generation,
            holds=self._resources.holds,
            stable=self._stable(),
            nodes=self._node_views(),
            groups=[self._group_view(key) for key in self._resources.groups],
            warnings=[*self._warnings, *self._strangers],
            last_failover=self._failover,
            counts=dict(self._tally.counts),
        )

    # --- events

    def _tick(self, event: Tick, now: int) -> None:
        self._outbox.clock(event.wall_s)
        self._timers.fire(now)

    def _medium_up(self, event: MediumUp, now: int) -> None:
        if event.medium not in self._media_up:
            self._media_up.add(event.medium)
            self._outbox.note(INFO, f"medium {event.medium} up")
            self._membership.trigger(now)

    def _medium_down(self, event: MediumDown, now: int) -> None:
        self._outbox.note(ERROR, f"medium {event.medium} down: {event.reason}")
        self._media_up.discard(event.medium)
        self._membership.medium_down(event.medium)
        if not self._media_up:
            self._outbox.note(CRIT, "no working medium: nobody hears this node")

    def _agent_exited(self, event: AgentExited, now: int) -> None:
        for machine in self._resources.machines():
            if machine.exited(event.run, event.code, event.detail):
                return

    def _request(self, event: Request, now: int) -> None:
        if event.verb == "stop":
            self._standby.leaving()
            self._resources.leave()
            self._outbox.reply(event.number, True, "stopping")
        elif event.verb in ("standby", "takeover"):
            if self._resources.state in (resources.LEAVING, resources.LEFT):
                self._outbox.reply(event.number, False, "this node is stopping")
            else:
                self._standby.request(event.number, event.verb, event.argument)
        else:
            self._outbox.reply(event.number, False, f"no such request: {event.verb}")

    def _reload(self, event: Reload, now: int) -> None:
        self.settings = event.settings
        self._strangers = []
        self._outbox.configure(event.settings)
        self._membership.reconfigure(event.settings)
        self._retransmit.reconfigure(event.settings)
        self._media_up &= set(event.settings.media)
        self._outbox.note(INFO, "configuration reloaded")
        self._replan_due = True

    def _replan(self) -> None:
        """The reloaded haresources. Not while anything starts or stops, which may be at work on what moves."""
        if self._replan_due and self._resources.quiet and self._resources.state < resources.LEAVING:
            self._replan_due = False
            self._resources.replan(self.settings)
            self._standby.reconfigure(self.settings)

    # --- messages

    def _message(self, message: Message, now: int) -> None:
        peer = self._membership.peers.get(message.source or "")
        if peer is None:
            self._stranger(message)
            return
        if message.get("ts") in (None, "", "0"):
            return
        kind = message.type or ""
        if kind.startswith("NS_"):
            self._retransmit.protocol(peer, kind, message)
            return
        if message.sequence <= 0 or message.generation <= 0:
            self._tally.add(WARN, f"message of {peer.name} without sequence or generation ignored")
            return
        if peer.state == DEAD and kind != "status":
            return  # only a status brings a node back
        healed = peer.state == DEAD and message.generation == peer.tracker.generation
        verdict = self._retransmit.judge(peer, message)
        if verdict == sequence.REPLAYED:
            self._tally.add(ERROR, f"possible replay: a message of an ended generation of {peer.name}")
        elif verdict == sequence.DUPLICATE:
            self._membership.heard_on(peer, message.medium, now)
        elif verdict != sequence.OLD:
            self._fresh(peer, kind, message, now, healed=healed, restarted=verdict == sequence.RESTARTED)

    def _fresh(
        self, peer: Peer, kind: str, message: Message, now: int, *, healed: bool, restarted: bool
    ) -> None:
        if restarted:
            self._outbox.note(INFO, f"Heartbeat restart on node {peer.name}")
            peer.restarted()
            self._standby.peer_lost(f"{peer.name} has restarted")
        elif healed and not peer.left:
            self._outbox.note(CRIT, f"node {peer.name} returning after partition; deadtime may be too small")
        if restarted or healed or not peer.heard:
            self._membership.trigger(now)  # it wants to know that it is heard
        uuid = message.value("srcuuid")
        if isinstance(uuid, bytes) and len(uuid) == 16 and uuid != NO_UUID:
            self._outbox.uuid_of[peer.name] = uuid
        self._membership.heard_on(peer, message.medium, now)
        if self._for_us(message):
            self._dispatch(peer, kind, message, now)

    def _for_us(self, message: Message) -> bool:
        uuid = message.value("destuuid")
        if isinstance(uuid, bytes) and uuid != NO_UUID:
            return uuid == self.settings.uuid
        return message.get("dest") in (None, self.settings.node)

    def _dispatch(self, peer: Peer, kind: str, message: Message, now: int) -> None:
        if kind == "status":
            self._membership.status(peer, message, now)
            self._resources.peer_status()
            self._standby.peer_status()
            self._check_files()
        elif kind == "shutdone":
            self._membership.death(peer, left=True)
        elif self._resources.state in (resources.LEAVING, resources.LEFT):
            return
        elif kind == "ask_resources":
            self._standby.ask_resources(peer, message)
        elif kind == "hb_takeover":
            self._standby.hb_takeover(peer, message)
        elif kind == "reqnodes":
            names = " ".join([*self.settings.nodes, ""]).encode()
            self._outbox.send("repnodes", [("nodelist", names), ("delnodelist", b" ")], to=peer.name)

    def _stranger(self, message: Message) -> None:
        name = (message.source or "?")[:99]
        if name != self.settings.node:
            self._tally.add(ERROR, f"message from unknown node {name!r} ignored")
            warning = f"{name!r} speaks here and is no node of ha.cf: make the files the same and reload"
            if warning not in self._strangers and len(self._strangers) < STRANGERS:
                self._strangers.append(warning)
        elif message.generation != self._outbox.generation or message.sequence > self._outbox.sequence:
            self._tally.add(ERROR, f"another node on medium {message.medium} calls itself {name}")
        # else: our own, looped back

    # --- what the machines tell each other

    def _changed(self) -> None:
        self._membership.trigger(self._outbox.now)

    def _fill(self) -> bulletin.Bulletin:
        peer = self._resources.other.peer
        heard = peer.tracker.generation if peer is not None and peer.alive and peer.heard else 0
        phase = bulletin.PHASES[min(self._resources.state, resources.LEAVING)]
        return bulletin.Bulletin(
            self.settings.resources_digest, self.settings.timing_digest, heard, phase, self._resources.letters()
        )

    def _handing_over(self) -> bool:
        return self._standby.state != IDLE

    def _hand_over(self, machines: list[GroupMachine], kind: str) -> bool:
        return self._standby.give(machines, kind)

    def _peer_dead(self, peer: Peer) -> None:
        if peer.heard:
            self._failover = {
                "peer": peer.name, "last_heard_ns": peer.last_status_ns or None,
                "declared_dead_ns": self._outbox.now, "completed_ns": None,
            }  # fmt: skip
        self._standby.peer_lost(f"{peer.name} is gone")
        self._resources.peer_dead()

    def _check_files(self) -> None:
        found = self._differences()
        for warning in found:
            if warning not in self._warnings:
                self._outbox.note(WARN, warning)
        self._warnings = found

    def _differences(self) -> list[str]:
        """Which of the peer's files differ from ours, and whether it is one of ours at all."""
        peer, seen = self._resources.other.peer, self._resources.other.bulletin
        if peer is None or not peer.alive:
            return []
        if seen is None:
            return [f"{peer.name} runs the original heartbeat: nothing is taken while it lives"]
        found = []
        if seen.resources_digest != self.settings.resources_digest:
            found.append(f"haresources differs from {peer.name}'s: make them the same and reload")
        if seen.timing_digest != self.settings.timing_digest:
            found.append(f"ha.cf on {peer.name} has other times or nodes: make them the same and reload")
        return found

    def _after(self) -> None:
        """What any event may have made possible."""
        if self._membership.communications_up():
            self._membership.trigger(self._outbox.now)
        self._replan()
        self._resources.evaluate()
        self._standby.progress()
        self._retransmit.schedule()
        if self._failover and self._failover["completed_ns"] is None and self._stable():
            self._failover["completed_ns"] = self._outbox.now
        if self._resources.gone():
            self._membership.silent = True
            if self._resources.other.alone:
                self._stop(self._outbox.now)
            else:
                due = self._outbox.now + resources.LINGER_NS // self.settings.divisor
                self._timers.arm(self._linger_timer, due)
        elif self._resources.state == resources.LEFT and self._resources.inherited():
            self._stop(self._outbox.now)

    def _stop(self, now: int) -> None:
        self._timers.disarm(self._linger_timer)
        if not self._resources.ended:
            self._resources.ended = True
            self._outbox.note(INFO, "shutdown complete")
            self._outbox.put(Stop())

    # --- views

    def _stable(self) -> bool:
        """Nothing moves, and a hand-over would be accepted now, if there is somebody to take it."""
        other = self._resources.other
        if not (other.alone or other.ready):
            return False
        settled = self._resources.state == resources.SETTLED and self._resources.quiet
        failed = any(machine.claimed and not machine.up for machine in self._resources.groups.values())
        return settled and not failed and self._standby.state == IDLE

    def _node_views(self) -> dict[str, NodeView]:
        views = {}
        for name in self.settings.nodes:
            peer = self._membership.peers.get(name)
            if peer is None:
                links = {medium: "up" if medium in self._media_up else "dead" for medium in self.settings.media}
                views[name] = NodeView(self._membership.local.state_name, self._outbox.generation, links)
            else:
                links = {medium: link.state_name for medium, link in peer.links.items()}
                last_heard_ns = peer.last_status_ns or None
                views[name] = NodeView(peer.state_name, peer.tracker.generation, links, last_heard_ns)
        return views

    def _group_view(self, key: str) -> GroupView:
        machine = self._resources.groups[key]
        other = self._resources.other
        letter = other.letter(self._resources.label(machine))
        if machine.claimed or machine.moving or other.peer is None or letter not in PEER_STATES:
            holder = self.settings.node if machine.up else None
            return GroupView(key, machine.settings.preferred, holder, machine.state_name)
        holder = other.peer.name if letter != "f" else None
        return GroupView(key, machine.settings.preferred, holder, PEER_STATES[letter])
