"""One node: a machine, and the daemon on it, when it runs.

    OFF ──power──► DOWN ──► RUNNING ◄──► PAUSED          any ──► DOWN (crash)      any ──► OFF (power)
                     ▲         │
                     └─ENDING──┘ (told to stop)

A paused daemon (what SIGSTOP, a swap storm or a hypervisor do) does nothing; what comes for it meanwhile waits, in
buffers of a real size. One that ends decides nothing any more, but its last words are still to leave a slow line.
"""

from __future__ import annotations

from _hbfast.codec import Decoder
from heartbeat.core.events import MediumDown, MediumUp
from heartbeat.core.settings import MILLISECOND, SECOND
from heartbeat.sim.driver import DOWN, ENDING, OFF, PAUSED, RATE_SHIFT, RUNNING, UNITY, Driver
from heartbeat.sim.lease import Lease
from heartbeat.sim.medium import NEVER

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from heartbeat.core.actions import Action
    from heartbeat.core.settings import Settings
    from heartbeat.sim.medium import Format, Lane
    from heartbeat.sim.world import World

# What a paused daemon finds when it runs again. A socket's buffer of 212,992 octets counts 768 for a small datagram;
# a tty holds 4096, and then holds CTS down.
SOCKET_DATAGRAMS = 277
TTY_OCTETS = 4095
READ_DATAGRAMS = 64  # of each medium, in one turn of the daemon's loop

BOOT_NS = 10 * SECOND  # from power to daemon

# as the daemon: how long it waits for its lines when it stops, and how often it looks at them
DRAIN_NS = 2 * SECOND
DRAIN_LOOK_NS = 2 * MILLISECOND


class Node(Driver):
    """See `Driver` for what its attributes mean."""

    def __init__(self, world: World, index: int, settings: Settings, core: Callable[..., Any] | None = None) -> None:
        super().__init__(world, index, settings, core)
        self._waiting_frames: list[tuple[Lane, bytes]] = []
        self._rest: list[tuple[Any, int]] = []  # of a list of actions: what was not done when the pause began

    def start(self, _: object = None) -> None:
        """The daemon starts, unless it runs; where the disk is full it can't, and the supervisor tries again."""
        if self.state == ENDING:  # the supervisor waits for the last one's end
            self.later(DRAIN_LOOK_NS, self.start, None)
            return
        if self.state != DOWN or not self.wanted:
            return
        machine, now = self.machine, self.world.now
        generation = machine.next_generation(self.wall_s)
        if generation is None:
            self.note("cannot start: the disk is full")
            self.later(SECOND, self.start, None)
            return
        self.world.audit.before_grant(self)
        self._lease = Lease(self.world, machine.leases, machine.sign)
        self._lease.configure(self.settings, self._rate, UNITY)
        adopted, leftovers, peer_dead = machine.inherit(self.settings, self._lease, now)
        overdue = self._lease.overdue()
        text = f"starts, generation {generation}"
        for word, keys in (("adopts", adopted), ("removes", leftovers)):
            text += f", {word} {' '.join(keys)}" if keys else ""
        self.note(f"{text}, {'asks the peer' if overdue else 'knows the peer dead'}" if peer_dead else text)
        self.life += 1
        self.state = RUNNING
        self.runs_since = now
        self.leaving = False
        self.accepting.clear()
        self.agents.adopt(
            [r for group in self.settings.groups if group.key in adopted for r in group.resources if not r.notifier]
        )
        self.cluster = self._core(
            self.settings, generation=generation, seed=self._random.getrandbits(64), now=self.local(now),
            leftovers=leftovers, adopted=adopted, peer_dead=peer_dead, overdue=overdue, known=dict(machine.disk.known),
        )  # fmt: skip
        self._handle = self.cluster.handle
        self._deadline = self.cluster.deadline
        self._beat = self.cluster.beat
        self._repeats = self.cluster.hear
        for name in self.lanes_of:
            incoming = self._incoming(name)
            incoming.decoder = Decoder(name, self._auth, stream=incoming.classic)
        self._use([])
        for name, lane in self.lanes_of.items():
            lane.reset()  # what one that was killed has left
            self._incoming(name).unblock("absent")
            if name in self.media_down:
                self.tell(MediumDown(name, "gone"))
            else:
                self._use([*self._lanes, lane])
                self.tell(MediumUp(name))
        self.changed()

    def _incoming(self, medium: str) -> Lane:
        return self.world.lanes[medium][1 - self.index]

    def _finish(self) -> None:
        """What the daemon has handed to its lines leaves them first, as far as there is time for it."""
        self._halt(ENDING)
        self._drain((self.world.now + DRAIN_NS, self.life))

    def _drain(self, told: tuple[int, int]) -> None:
        until, life = told
        if life != self.life or self.state != ENDING:
            return
        if self.world.now < until and any(lane.busy for lane in self.lanes_of.values()):
            self.later(DRAIN_LOOK_NS, self._drain, told)
        else:
            self._end()

    def _end(self, *, killed: bool = False) -> None:
        """The daemon is no more, however it ended."""
        self._halt(DOWN)
        for name, lane in self.lanes_of.items():
            if killed:
                lane.abandon()
            else:
                lane.reset()
            incoming = self._incoming(name)
            incoming.block("absent")
            incoming.unblock("receiver")

    def _halt(self, state: int) -> None:
        """It decides nothing any more."""
        self.state = state
        self.life += 1
        self.due = NEVER
        self.requests.clear()
        self._waiting_frames.clear()
        self._waiting_events.clear()
        self._rest.clear()
        self._break_after = None
        self._use([])
        self.agents.die()
        self.changed()

    def crash(self, restart_ns: int) -> None:
        """kill -9. What is up stays up, and its leases run out. The supervisor starts the daemon again."""
        if self.state in (RUNNING, PAUSED, ENDING):
            self.note("killed")
            self._end(killed=True)
            self.later(restart_ns, self.start, None)

    def power_cycle(self, off_ns: int) -> None:
        """Nothing stays but the disk, and the clock starts again."""
        if self.state == OFF:
            return
        self.note("power off")
        self.world.audit.before_power_off(self)
        if self.state != DOWN:
            self._end()
        self.state = OFF
        self.machine.power_off()
        self.changed()
        self.later(off_ns, self._power_on, None)

    def _power_on(self, _: object) -> None:
        if self.state == OFF:
            self.state = DOWN
            self._offset = self._random.randrange(SECOND, BOOT_NS) - (self.world.now * self._rate >> RATE_SHIFT)
            self.note("power on")
            self.start()

    def power_on(self) -> None:
        """Now, whatever was arranged."""
        self._power_on(None)

    # --- pauses

    def pause(self, *, inside: int | None = None) -> None:
        """Stop running, now or after so many actions of the next event that has some."""
        if self.state == RUNNING:
            self.pauses += 1
            if inside is not None:
                self._break_after = inside
                return
            self.note("paused")
            self.state = PAUSED
            self.due = NEVER

    def _interrupt(self, actions: list[Action], now: int) -> None:
        count = self._break_after or 0
        self._break_after = None
        done = actions[: min(count, len(actions) - 1)]
        self._perform(done, now)
        if self.state == RUNNING:
            self.note(f"paused in the middle of {len(actions)} actions, after {len(done)}")
            self._rest = [(action, now) for action in actions[len(done) :]]
            self.state = PAUSED
            self.due = NEVER

    def resume(self, _: object = None) -> None:
        """Run again: what was begun, what waits in the sockets, what else has happened, and then the timers."""
        self._break_after = None
        if self.state != PAUSED:
            return
        self.note("runs again")
        self.state = RUNNING
        self.runs_since = self.world.now
        rest, self._rest = self._rest, []
        for action, instant in rest:
            if self.state == RUNNING:
                self._perform([action], instant)
        frames, self._waiting_frames = self._waiting_frames, []
        events, self._waiting_events = self._waiting_events, []
        for name in self.lanes_of:
            self._incoming(name).unblock("receiver")
        while self.state == RUNNING and (frames or events):
            frames = self._read(frames)
            for event in events:
                self.tell(event)
            events = []
            due = self._deadline() if self.state == RUNNING else None
            if due is not None and due <= self.local(self.world.now):
                self.tick(self.world.now)
        if self.state == RUNNING:
            self._perform([], self.world.now)

    def _read(self, frames: list[tuple[Lane, bytes]]) -> list[tuple[Lane, bytes]]:
        """One turn of the daemon's loop; returns what stays in the buffers."""
        counts = dict.fromkeys(self.lanes_of, 0)
        rest = []
        for lane, octets in frames:
            counts[lane.name] += 1
            if counts[lane.name] > READ_DATAGRAMS and not lane.classic:
                rest.append((lane, octets))
            else:
                self.hear(lane, octets)
        return rest

    def _buffer(self, lane: Lane, octets: bytes) -> None:
        waiting = [frame for other, frame in self._waiting_frames if other is lane]
        if not lane.classic:
            if len(waiting) < SOCKET_DATAGRAMS:
                self._waiting_frames.append((lane, octets))
            return
        self._waiting_frames.append((lane, octets))
        if sum(map(len, waiting)) + len(octets) > TTY_OCTETS:
            lane.block("receiver")

    # --- media

    def _use(self, lanes: list[Lane]) -> None:
        """These are open."""
        self._lanes = lanes
        classic = [lane for lane in lanes if lane.classic]
        netstring = [lane for lane in lanes if not lane.classic]
        routes: list[tuple[Format, list[Lane]]] = [("classic", classic), ("netstring", netstring)]
        self._routes = [(form, each) for form, each in routes if each]
        self._missing = [self.lanes_of[name] for name in self.lanes_of if name in self.media_down]
        self._only = lanes[0] if len(lanes) == 1 and not self._missing else None

    def lose_medium(self, name: str) -> None:
        """The interface is gone, or the port hung up."""
        if name in self.media_down:
            return
        self.media_down.add(name)
        self._incoming(name).cut()
        lane = self.lanes_of[name]
        if self.state == ENDING:
            lane.reset()
        elif lane in self._lanes:
            self._use([each for each in self._lanes if each is not lane])
            lane.reset()
            self.tell(MediumDown(name, "gone"))

    def regain_medium(self, name: str) -> None:
        if name not in self.media_down:
            return
        self.media_down.discard(name)
        self._incoming(name).heal()
        lane = self.lanes_of[name]
        if self.state in (RUNNING, PAUSED) and lane not in self._lanes:
            self._use([each for each in self.lanes_of.values() if each in self._lanes or each is lane])
            self.tell(MediumUp(name))
