"""What drives one real `Cluster`: its clocks, its frames, and every action done as the daemon's executor does it.

It obeys in the order given: send first, then renew. A node (node.py) is a driver with a life of its own.

Clocks: local = offset + world * rate / 2**20, nanoseconds.
"""

from __future__ import annotations

from collections import deque
from random import Random

from _hbfast.auth import Authenticator
from _hbfast.codec import Decoder, encode
from heartbeat.core.actions import (
    SEVERITIES,
    STATUS,
    WARN,
    Alarm,
    Begin,
    Hold,
    Hook,
    KillAgent,
    Note,
    Reboot,
    Remember,
    Reply,
    RunAgent,
    Stop,
    Transmit,
)
from heartbeat.core.cluster import Cluster
from heartbeat.core.events import AgentExited, LeaseLapsed, Reload, Request, Tick
from heartbeat.core.settings import SECOND
from heartbeat.sim.agents import Agents
from heartbeat.sim.lease import Lease
from heartbeat.sim.machine import Machine
from heartbeat.sim.medium import NEVER

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from _hbfast.codec import Message
    from heartbeat.core.actions import Action
    from heartbeat.core.events import Event
    from heartbeat.core.settings import Resource, Settings
    from heartbeat.core.view import ClusterView
    from heartbeat.sim.medium import Format, Lane
    from heartbeat.sim.world import World

OFF, DOWN, RUNNING, PAUSED, ENDING = range(5)

EPOCH_S = 1_600_000_000  # Unix time of the world's instant 0
RATE_SHIFT = 20
UNITY = 1 << RATE_SHIFT

REBOOT_NS = 30 * SECOND
# Of the frames that were not sent in the steady state: those that may have changed something.
RECORDED = 200


def _not_running(*event: object) -> Any:
    raise AssertionError("no daemon runs")


def _never() -> int | None:
    return None


class Driver:
    """life: counts the daemons; whatever belongs to an earlier one is void. due: when the daemon next wants a Tick,
    an instant of the world."""

    def __init__(self, world: World, index: int, settings: Settings, core: Callable[..., Any] | None = None) -> None:
        self.world = world
        self.index = index
        self.name = settings.node
        self.settings = settings
        self.peer: Driver = self
        self.state = DOWN
        self.life = 0
        self.due = NEVER
        self.heartbeats = 0
        self.machine = Machine()
        self.lanes_of: dict[str, Lane] = {}
        self.media_down: set[str] = set()
        self.cluster: Any = None
        self.requests: dict[int, str] = {}  # that have no reply yet
        self.runs_since = 0  # without a pause
        self.leaving = False  # it was told to stop
        self.wanted = True  # the supervisor keeps it running
        self.pauses = 0
        self.on_ceding: Callable[[], None] | None = None  # for a moment two are to have something
        self.accepting: set[str] = set()  # the operator has accepted these, of this daemon
        self.wall_offset_ns = EPOCH_S * SECOND - index * SECOND  # the second node's is late
        self._core = core or Cluster
        self._random = Random(f"{world.options.seed} node {index}")
        self.agents = Agents(self, Random(f"{world.options.seed} agents {index}"))
        self._rate = UNITY + world.options.rates[index]
        self._offset = self._random.randrange(10 * SECOND, 100_000 * SECOND)
        self._handle: Callable[[Any, int], list[Action]] = _not_running
        self._deadline: Callable[[], int | None] = _never
        self._beat: Callable[[int, int], Message | None] = _not_running
        self._lanes: list[Lane] = []
        self.recorded: deque[tuple[Lane, bytes]] = deque(maxlen=RECORDED)  # frames that somebody may play back
        self._routes: list[tuple[Format, list[Lane]]] = []
        self._only: Lane | None = None  # that is open, where none is missing
        self._missing: list[Lane] = []  # of media that this node has lost
        self._repeats: Callable[[Decoder, bytes, int], int] = _not_running
        self._tick = Tick(0)
        self._auth = Authenticator(world.options.keys, min(world.options.keys), strong=world.options.strong)
        self._waiting_events: list[Event] = []
        self._break_after: int | None = None
        self._inner_auth = world.options.inner_auth
        self._lease = Lease(world, self.machine.leases, self.machine.sign)
        self._methods: dict[type, Callable[[Any], None]] = {
            RunAgent: self.agents.run,
            KillAgent: self.agents.kill,
            Note: self._note,
            Reply: self._reply,
            Remember: self._remember,
            Begin: self._begin,
            Alarm: self._alarm,
            Hook: self._hook,
            Stop: self._stop,
            Reboot: self._reboot,
        }

    # --- clocks

    def local(self, instant: int) -> int:
        return self._offset + (instant * self._rate >> RATE_SHIFT)

    @property
    def wall_s(self) -> int:
        return (self.world.now + self.wall_offset_ns) // SECOND

    # --- the daemon's loop

    def tick(self, alone_until: int) -> None:
        """The deadline has come. alone_until: before then nothing happens anywhere, but for what this leads to."""
        now = self.world.now
        local = self._offset + (now * self._rate >> RATE_SHIFT)
        wall_s = (now + self.wall_offset_ns) // SECOND
        message = self._beat(local, wall_s) if self._break_after is None else None
        if message is None:
            self._tick.wall_s = wall_s
            actions = self._handle(self._tick, local)
            if len(actions) != 1 or self._break_after is not None or type(actions[0]) is not Transmit:
                self._perform(actions, now)
                return
            self._transmit(actions[0].message, actions[0].priority, now)
            self._look()
            return
        lane, lease = self._only, self._lease
        if lane is None or not lease.calm or now - lease.sign.at > lease.patience_ns:
            self._transmit(message, STATUS, now)
            self._look()
            return
        # nearly always, over one medium
        self._look()
        frame = encode(message, self._auth, lane.form, inner_auth=self._inner_auth)
        lands = lane.carry(frame, now, min(alone_until, self.due))
        if not lands:
            self._beaten(now, now, taken=lane.send(frame, STATUS, now))
            return
        self.heartbeats += 1
        lease.sign.at = now
        self.world.now = lands
        self.world.events += 1
        lane.receiver.hear(lane, frame)

    def _look(self) -> None:
        """When is the next deadline: the first instant at which this node's clock shows as much."""
        due = self._deadline()
        self.due = NEVER if due is None else -((self._offset - due << RATE_SHIFT) // self._rate)

    def hear(self, lane: Lane, octets: bytes) -> None:
        """A medium delivers: the whole of a datagram, or some octets of a stream."""
        if self.state == RUNNING:
            now = self.world.now
            local = self._offset + (now * self._rate >> RATE_SHIFT)
            decoder = lane.decoder
            number = self._repeats(decoder, octets, local)
            if number > 0:
                return  # a repeated status moves no timer of this node's own, so `due` stays as it is
            if number < 0:
                self._perform([], now)
                return
            for message in decoder.feed(octets):
                self._perform(self._handle(message, local), now)
        elif self.state == PAUSED:
            self._buffer(lane, octets)

    def tell(self, event: Event) -> None:
        """Anything else that happens to the daemon. It waits while the daemon is paused."""
        if self.state == RUNNING:
            now = self.world.now
            self._perform(self._handle(event, self.local(now)), now)
        elif self.state == PAUSED:
            self._waiting_events.append(event)

    def _perform(self, actions: list[Action], now: int) -> None:
        """Obey, in order. `now`: of the event; leases count from it, however late their renewal."""
        if self._break_after is not None and actions:
            self._interrupt(actions, now)
            return
        for action in actions:
            if type(action) is Transmit:
                self._transmit(action.message, action.priority, now, record=True)
            else:
                self._obey(action, now)
                if self.state != RUNNING:
                    return  # that was its end
        if self.state == RUNNING:
            self._look()

    def _transmit(self, message: Message, priority: int, now: int, *, record: bool = False) -> None:
        """Encode, sign and send."""
        sent_at = self.world.now
        taken = False
        for form, lanes in self._routes:
            frame = encode(message, self._auth, form, inner_auth=self._inner_auth)
            for lane in lanes:
                taken |= lane.send(frame, priority, sent_at)
                if record:
                    self.recorded.append((lane, frame))
        if priority == STATUS:
            self._beaten(now, sent_at, taken=taken)

    def _beaten(self, now: int, sent_at: int, *, taken: bool) -> None:
        """A status was sent: a sign of life, which renews leases."""
        self.heartbeats += 1
        for lane in self._missing:
            lane.missed(sent_at)
        lease = self._lease
        sign = lease.sign
        if taken and lease.calm and sent_at == now and now - sign.at <= lease.patience_ns:
            sign.at = now
            return
        # this may end leases, renew them, or revive what has run out
        self.world.audit.before_grant(self)
        if lease.beat(now, taken=taken):
            self._lapsed()

    def _lapsed(self) -> None:
        self.note("lease lapsed")
        self.changed()
        self.later(0, self._tell_lapsed, self.life)

    def _tell_lapsed(self, life: int) -> None:
        if life == self.life:
            self._lease.told()
            self.tell(LeaseLapsed())

    # --- actions

    def _obey(self, action: Action, now: int) -> None:
        if type(action) is Hold:
            self._hold(action, now)
        else:
            self._methods[type(action)](action)
        self.changed()

    def _note(self, action: Note) -> None:
        text = f"{SEVERITIES[action.severity]}: {action.text}" if action.severity >= WARN else action.text
        self.note(text)

    def _remember(self, action: Remember) -> None:
        self.machine.disk.remember(action.node, action.generation, action.sequence)

    def _begin(self, action: Begin) -> None:
        self.note(f"begins generation {action.generation}")
        self.machine.begin(action.generation)

    def _alarm(self, action: Alarm) -> None:
        self.note(f"ALARM: {action.text}")
        self.accepting.clear()  # the operator looks again

    def _hook(self, action: Hook) -> None:
        """No operator has scripts here."""

    def _stop(self, action: Stop) -> None:
        self.note("stopped")
        self.machine.stopped()
        self._finish()
        self.world.audit.stopped(self)

    def _reboot(self, action: Reboot) -> None:
        self.note(f"rebooting: {action.reason}")
        self.power_cycle(REBOOT_NS)

    def _hold(self, action: Hold, now: int) -> None:
        ending = f", {' '.join(action.ending)} for a moment" if action.ending else ""
        self.note(f"hold {' '.join(action.keys) or 'nothing'}{' (alone)' if action.alone else ''}{ending}")
        self.world.audit.before_grant(self)
        self.machine.keep(action.keys, action.ending)
        if self._lease.hold(action.keys, now, alone=action.alone, ending=action.ending):
            self._lapsed()
        if action.ending and self.on_ceding is not None:
            self.on_ceding()

    def _reply(self, action: Reply) -> None:
        if action.number == 0:
            return  # a signal asked
        verb = self.requests.pop(action.number, None)
        if verb is None:
            self.fail("replies", f"a second reply to request {action.number}: {action.text}")
        self.note(f"reply to {verb}: {'done' if action.ok else 'refused'}: {action.text}")

    def request(self, verb: str, argument: str = "") -> None:
        """An operator's command."""
        if self.state in (RUNNING, PAUSED):
            number = self.world.number() + 1
            self.requests[number] = f"{verb} {argument}".strip()
            self.leaving |= verb == "stop"
            self.note(f"operator: {verb} {argument}".rstrip())
            self.tell(Request(number, verb, argument))

    def reload(self, settings: Settings) -> None:
        """The operator has edited the files, and says so to the daemon, where one runs."""
        self.settings = settings
        if self.state in (RUNNING, PAUSED):
            self.note("operator: reload")
            self._lease.configure(settings, self._rate, UNITY)
            self.tell(Reload(settings))

    def agent_exited(self, run: int, code: int, detail: str, word: str) -> None:
        self.tell(AgentExited(run, code, detail, word))

    def later(self, delay_ns: int, call: Callable[[Any], None], argument: Any) -> None:
        self.world.at(self.world.now + delay_ns, call, argument)

    def _tell_if_alive(self, told: tuple[Event, int]) -> None:
        event, life = told
        if life == self.life:
            self.tell(event)

    # --- what a node does

    def _finish(self) -> None:
        """The core has said that this is the end."""
        raise NotImplementedError

    def _interrupt(self, actions: list[Action], now: int) -> None:
        """The pause that was to come inside a list of actions."""
        raise NotImplementedError

    def _buffer(self, lane: Lane, octets: bytes) -> None:
        """Octets for a daemon that is paused."""
        raise NotImplementedError

    def power_cycle(self, off_ns: int) -> None:
        """Nothing stays but the disk, and the clock starts again."""
        raise NotImplementedError

    # --- for the audit

    def view(self) -> ClusterView:
        view: ClusterView = self.cluster.view()
        return view

    def note(self, text: str) -> None:
        self.world.note(self.name, text)

    def changed(self) -> None:
        """Something has happened that the audit must look at."""
        self.world.audit.watchful = True

    def audit_down(self, resource: Resource) -> None:
        self.world.audit.before_down(self, resource)

    def fail(self, rule: str, text: str) -> None:
        self.world.audit.fail(rule, f"{self.name}: {text}")
