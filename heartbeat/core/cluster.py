"""The cluster as one node sees it: takes events, asks the small machines, answers with actions.

`handle` is total: every event in every state, and nothing that came from outside makes it raise. It does not read the
clock and keeps no state of its own but the machines. Same settings, seed and events: same actions.
"""

from __future__ import annotations

from _hbfast.codec import Message
from heartbeat.core import bulletin, resources, sequence
from heartbeat.core.actions import INFO, STATUS, Remember, Stop, Transmit
from heartbeat.core.agreement import Agreement
from heartbeat.core.carriers import Carriers
from heartbeat.core.challenge import Challenge
from heartbeat.core.events import AgentExited, LeaseLapsed, MediumDown, MediumUp, PingAnswer, Reload, Request, Tick
from heartbeat.core.ipfail import Ipfail
from heartbeat.core.lease import LAPSED, Lease
from heartbeat.core.membership import Membership
from heartbeat.core.original import Original
from heartbeat.core.outbox import Outbox, Tally
from heartbeat.core.peer import Peer
from heartbeat.core.reception import Reception
from heartbeat.core.resources import Resources
from heartbeat.core.retransmit import Retransmit
from heartbeat.core.standby import IDLE, Standby
from heartbeat.core.steady import AWAITED, Steady
from heartbeat.core.timers import Timers
from heartbeat.core.view import ClusterView, group_view, node_views, stable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from _hbfast.codec import Beat, Decoder, Repetition
    from heartbeat.core.actions import Action
    from heartbeat.core.events import Event
    from heartbeat.core.group import GroupMachine
    from heartbeat.core.settings import Settings


class Cluster:
    """generation: of this run, larger than any before. seed: for what is drawn.

    What a run of this node that died has left, as keys of groups: `adopted` are up and their leases still run, so this
    run holds them from its first instant; `leftovers` may have something up, and are stopped before anything else is
    decided. peer_dead: that run had found the peer dead, a short time ago. overdue: but its leases have run out since:
    a peer that was only not heard may have taken all, so it is asked, and the groups wait.
    known: peer → (generation, sequence) as the last `Remember` said.
    """

    def __init__(
        self, settings: Settings, *, generation: int, seed: int, now: int, leftovers: Collection[str] = (),
        adopted: Collection[str] = (), peer_dead: bool = False, overdue: bool = False,
        known: Mapping[str, tuple[int, int]] | None = None,
    ) -> None:  # fmt: skip
        self.settings = settings
        random = sequence.Random(seed)
        self._outbox = Outbox(settings, generation, now)
        self._timers = Timers(now)
        self._tally = Tally(self._outbox.note)
        self._membership = Membership(
            settings, self._outbox, self._timers, random, now, on_death=self._peer_dead, fill=self._fill,
        )  # fmt: skip
        self._challenge = Challenge(random)
        self._resources = Resources(
            settings, self._outbox, self._timers, self._membership,
            on_change=self._changed, on_claim=self._claimed, hand_over=self._hand_over, handing_over=self._handing_over,
        )  # fmt: skip
        self._lease = Lease(
            settings, self._outbox, self._timers, self._membership, self._resources, self._challenge,
            introduce=self._introduce,
        )  # fmt: skip
        self._membership.on_beat = self._lease.renewed
        self._original = Original(self._outbox, self._timers, self._resources, self._lease, renew=self._renew)
        self._standby = Standby(settings, self._outbox, self._timers, self._resources, self._original.report)
        self._ipfail = Ipfail(settings, self._outbox, self._timers, self._resources, self._standby, now)
        self._retransmit = Retransmit(
            settings, self._outbox, self._timers, self._membership, self._tally, on_late=self._original.late
        )
        self._reception = Reception(
            settings, self._outbox, self._membership, self._retransmit, self._tally, self._challenge,
            dispatch=self._dispatch, on_restart=self._restarted, on_answer=self._lease.answered,
        )  # fmt: skip
        self._steady = Steady(
            self._outbox, self._timers, self._membership, self._resources, self._standby, self._lease, self._challenge,
            self._retransmit, self._reception,
        )  # fmt: skip
        self._linger_timer = self._timers.new(self._stop)
        self._carriers = Carriers(self._outbox, self._membership)
        self._replan_due = False  # files were read whose groups are not yet in force
        self._agreement = Agreement(settings, self._outbox, self._resources.other)
        self._failover: dict[str, str | int | None] | None = None
        self._route()
        self._membership.recall(known or {}, dead=peer_dead and not overdue)
        if peer_dead and overdue:
            self._membership.hurry()
            self._lease.wait(now)
        self._resources.recall(leftovers, adopted)
        if any(not peer.proven for peer in self._membership.peers.values()):
            self._challenge.ask()

    def _route(self) -> None:
        """Who takes which event, and which type of message."""
        self._handlers = {
            Message: self._reception.message,
            MediumUp: self._carriers.appeared,
            MediumDown: self._carriers.gone,
            AgentExited: self._agent_exited,
            Request: self._request,
            Reload: self._reload,
            LeaseLapsed: self._lease_lapsed,
            PingAnswer: self._ipfail.answered,
        }
        self._kinds = {
            "ask_resources": self._standby.ask_resources, "hb_takeover": self._standby.hb_takeover,
            "starting": self._original.starting, "resource": self._original.resource,
            "reqnodes": self._original.reqnodes, "query-cstatus": self._ipfail.query_cstatus,
            "hbapi-clstat": self._ipfail.clstat, "num_ping_nodes": self._ipfail.num_ping_nodes,
            "you_are_dead": self._ipfail.you_are_dead, "abort_giveup": self._ipfail.abort_giveup,
            **self._original.legacy.kinds,
        }  # fmt: skip

    def handle(self, event: Event, now: int) -> list[Action]:
        """What to do about it, in this order."""
        outbox, steady = self._outbox, self._steady
        if type(event) is Tick and (message := self.beat(now, event.wall_s)) is not None:
            return [Transmit(message, STATUS)]
        steady.settle()
        if now > outbox.now:
            outbox.now = now
        else:
            now = outbox.now  # a message that waited may be older than a Tick
        if now > self._lease.ends:
            steady.end()
            self._lease.lapse("this node has not run for the length of its lease")
        if type(event) is Tick:
            self._tick(event, now)
        elif steady.take(event, now) or self._ipfail.same(event, now):
            return outbox.take()
        else:
            steady.end()
            self._handlers[type(event)](event, now)  # type: ignore[operator]
        if steady.peer is None:
            self._after()
            steady.look(event)
        return outbox.take()

    def beat(self, now: int, wall_s: int) -> Message | None:
        """The short way of a Tick: this node's status, to be sent as Transmit has it; None: send the Tick."""
        return self._steady.own.again(now, wall_s)

    def hear(self, decoder: Decoder, frame: bytes, now: int) -> int:
        """What was read from a medium, before it is decoded. Its number: it was the peer's status once more, verified,
        counted and taken; less than 0: look at the deadline again. 0: decode it, and `handle` what comes of it."""
        repetition = self._steady.repetition
        heard = repetition.hear(decoder, frame, now)
        if heard == AWAITED:
            return self._steady.acknowledge(now)
        return repetition.sequence if heard else 0

    def repeats(self) -> tuple[Beat, Repetition] | None:
        """Of a steady time, while there is one: to be used in the place of `beat` and `hear`, settled as they are."""
        return self._steady.repeats()

    def deadline(self) -> int | None:
        """When to send Tick at the latest."""
        return self._timers.next_due()

    def settle(self) -> None:
        """What went the short way is told to all of it: before anybody looks into it."""
        self._steady.settle()

    def view(self) -> ClusterView:
        """What an operator may see of it."""
        self.settle()
        return ClusterView(
            node=self.settings.node,
            state=self._membership.local.state_name,
            generation=self._outbox.generation,
            holds=self._resources.holds,
            stable=self._lease.state != LAPSED and stable(self._resources, self._standby),
            nodes=node_views(self.settings, self._outbox.generation, self._membership, self._carriers.up)
            | self._ipfail.pings.views(),
            groups=[group_view(self._resources, key) for key in self._resources.groups],
            warnings=[*self._agreement.warnings, *self._reception.unanswered, *self._reception.warnings],
            last_failover=self._failover,
            counts=dict(self._tally.counts),
            ipfail=self._ipfail.nodes,
        )

    # --- events

    def _tick(self, event: Tick, now: int) -> None:
        self._outbox.clock(event.wall_s)
        timers, steady = self._timers, self._steady
        due = timers.next_due()
        if due is not None and now - due > self.settings.keepalive_ns:
            self._membership.postpone(now)
        keys = timers.wheel.due(now)
        if not steady.quiet(keys):
            steady.end()
        timers.call(keys, now)
        steady.follow()

    def _agent_exited(self, event: AgentExited, now: int) -> None:
        machine = self._resources.runs.pop(event.run, None)
        if machine is not None:
            machine.exited(event.code, event.detail, event.word)

    def _request(self, event: Request, now: int) -> None:
        if event.verb == "stop":
            self._standby.retreat.stop()
            self._outbox.reply(event.number, True, "stopping")
        elif event.verb == "accept":
            refused = self._reception.accept(event.argument, now)
            self._outbox.reply(event.number, not refused, refused or f"{event.argument} is accepted")
        elif event.verb in ("standby", "takeover"):
            if self._resources.state in (resources.LEAVING, resources.LEFT):
                self._outbox.reply(event.number, False, "this node is stopping")
            else:
                self._standby.command.request(event.number, event.verb, event.argument)
        else:
            self._outbox.reply(event.number, False, f"no such request: {event.verb}")

    def _reload(self, event: Reload, now: int) -> None:
        self.settings = event.settings
        self._outbox.configure(event.settings)
        self._reception.reconfigure(event.settings)
        self._lease.reconfigure(event.settings)
        self._agreement.reconfigure(event.settings)
        self._membership.reconfigure(event.settings)
        self._retransmit.reconfigure(event.settings)
        self._ipfail.reconfigure(event.settings)
        self._carriers.reconfigure(event.settings)
        self._outbox.note(INFO, "configuration reloaded")
        self._replan_due = True

    def _lease_lapsed(self, event: LeaseLapsed, now: int) -> None:
        self._lease.lapse("the leases have run out: no medium took a status in time")

    def _replan(self) -> None:
        """The reloaded haresources. Not while anything starts or stops, which may be at work on what moves."""
        if self._replan_due and self._resources.quiet and self._resources.state < resources.LEAVING:
            self._replan_due = False
            self._resources.replan(self.settings)
            self._standby.reconfigure(self.settings)

    # --- messages

    def _restarted(self, peer: Peer) -> None:
        self._standby.peer_lost(f"{peer.name} has restarted")

    def _dispatch(self, peer: Peer, kind: str, message: Message, seen: bulletin.Bulletin | None) -> None:
        if kind == "status":
            self._membership.status(peer, message, seen, self._outbox.now)
            if seen is not None and self._challenge.answered(seen):
                self._lease.answered(seen)
                self._challenge.nonce = ""
            self._resources.peer_status()
            self._standby.peer_status()
            self._original.status()
            self._agreement.look(self._resources.other.bulletin)
        elif kind == "shutdone" and self._lease.state == LAPSED:
            self._outbox.note(INFO, f"{peer.name} had left; it may be back: its answer, or its silence, will tell")
        elif kind == "shutdone":
            self._membership.death(peer, left=True)
        elif self._resources.state in (resources.LEAVING, resources.LEFT):
            return
        elif kind in self._kinds:
            self._kinds[kind](peer, message)

    # --- what the machines tell each other

    def _changed(self) -> None:
        self._membership.trigger(self._outbox.now)

    def _claimed(self) -> None:
        self._lease.refresh()

    def _introduce(self) -> None:
        self._original.introduce()

    def _renew(self) -> None:
        """A new generation begins with a status."""
        self._steady.end()
        self._outbox.renew()
        self._membership.beat(self._outbox.now)

    def _fill(self) -> bulletin.Bulletin:
        peer = self._resources.other.peer
        heard = peer.tracker.generation if peer is not None and peer.alive and peer.heard else 0
        phase = bulletin.PHASES[min(self._resources.state, resources.LEAVING)]
        return bulletin.Bulletin(
            self.settings.resources_digest, self.settings.timing_digest, heard, phase,
            self._resources.letters(lapsed=self._lease.state == LAPSED),
            challenge=self._challenge.nonce, answer=self._challenge.answer, decided=self._outbox.decided,
            abilities=self.settings.abilities,
        )  # fmt: skip

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
        self._challenge.answer = ""
        self._standby.peer_lost(f"{peer.name} is gone")
        self._lease.resume(f"{peer.name} is gone")
        self._resources.peer_dead()
        if peer.heard and peer.bulletin is None and not peer.left:
            self._original.died(peer)

    def _after(self) -> None:
        """What any event may have made possible."""
        if self._ipfail.may_start and self._membership.communications_up():
            self._membership.trigger(self._outbox.now)
        self._replan()
        self._original.look()
        self._ipfail.look()
        self._resources.evaluate()
        self._standby.progress()
        self._lease.refresh()
        self._retransmit.schedule()
        if self._failover and self._failover["completed_ns"] is None and stable(self._resources, self._standby):
            self._failover["completed_ns"] = self._outbox.now
        if self._resources.gone():
            self._membership.silent = True
            for peer in self._membership.peers.values():
                if peer.proven:
                    self._outbox.put(Remember(peer.name, peer.tracker.generation, peer.tracker.newest))
            if self._resources.inherited():
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
