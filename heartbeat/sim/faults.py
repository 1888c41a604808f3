"""What befalls a pair, as plain data: a kind, an instant, a duration, and what it strikes.

A life's list is drawn from its seed, and any other list can be put in its place: that is how a failure is cut down.
Each kind is one method of `Faults`; one that makes no sense in the moment it comes (a crash of what is off) does
nothing. What a fault began it ends itself, unless all was healed meanwhile (World.epoch).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from random import Random

from heartbeat.core.settings import SECOND
from heartbeat.sim.agents import TROUBLES
from heartbeat.sim.driver import ENDING, OFF, PAUSED, RUNNING
from heartbeat.sim.edits import EDITS, edited
from heartbeat.sim.medium import Quality
from heartbeat.sim.options import make_settings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from heartbeat.sim.medium import Lane
    from heartbeat.sim.node import Node
    from heartbeat.sim.options import Options
    from heartbeat.sim.world import World

FAULTS_LEAST, FAULTS_MOST = 10, 40
UNMET_NS = 600 * SECOND  # an agent's trouble waits no longer for a run
BOTH = 2  # directions of a cut: by the sender's index, or both

# how often each is drawn
WEIGHTS = {
    "crash": 6,
    "power": 4,
    "pause": 6,
    "stop": 3,
    "cut": 8,
    "cut all": 4,
    "loss": 3,
    "noise": 2,
    "flow": 2,
    "medium down": 3,
    "lost state": 1,
    "old state": 1,
    "full disk": 1,
    "clock step": 1,
    "agent": 6,
    "command": 6,
    "amid": 4,
    "replay": 3,
    "edit": 3,
}
COMMANDS = ("standby", "takeover")
SETS = ("all", "local", "foreign", "failback")
# what befalls one of two while both have a group for a moment
AMID = ("crash", "power", "pause", "stop", "cut all")


@dataclass(frozen=True)
class Fault:
    """node: an index, or a direction by its sender; BOTH where it says so. medium: its name, or "". what: a word more,
    by kind. value: a number more, by kind."""

    kind: str
    at_ns: int
    for_ns: int = 0
    node: int = 0
    medium: str = ""
    what: str = ""
    value: float = 0.0

    def __str__(self) -> str:
        """Fixed columns: instant, duration, kind, what it strikes."""
        who = "both" if self.node == BOTH else f"node {self.node + 1}"
        value = f" {self.value:.4g}" if self.value else ""
        text = f"{self.at_ns / SECOND:>14.6f} {self.for_ns / SECOND:>12.6f}  {self.kind:<12}"
        return f"{text} {who} {self.medium} {self.what}".rstrip() + value


def draw(options: Options) -> list[Fault]:
    """A life's faults, in order. Their number, their mixture and their pace are the life's own."""
    random = Random(f"{options.seed} faults")
    weights = [weight * random.choice((0, 1, 1, 2)) for weight in WEIGHTS.values()]
    if not any(weights):
        weights = list(WEIGHTS.values())
    count = random.randrange(FAULTS_LEAST, FAULTS_MOST)
    begin = max(options.boot_ns) + 2 * options.keepalive_ns
    instants = sorted(random.randrange(begin, max(begin + 1, options.duration_ns)) for _ in range(count))
    if random.random() < 0.5:  # faults in company
        instants = [_near(random, instants, each, options.deadtime_ns) for each in instants]
    kinds = random.choices(list(WEIGHTS), weights, k=count)
    return [_draw_one(random, options, kind, at) for kind, at in zip(kinds, sorted(instants), strict=True)]


def _near(random: Random, instants: list[int], instant: int, within_ns: int) -> int:
    if random.random() < 0.5:
        return instant
    return random.choice(instants) + random.randrange(2 * within_ns)


def _draw_one(random: Random, options: Options, kind: str, at: int) -> Fault:
    # from a part of a keepalive to many deadtimes; most around the deadtime, where decisions fall
    for_ns = round(options.deadtime_ns * 10 ** random.uniform(-1.5, 1.2))
    node = random.choice((0, 1, BOTH, BOTH)) if kind in DIRECTED else random.randrange(2)
    medium = random.choice(options.media).name
    what, value = DETAILS.get(kind, _nothing)(random)
    return Fault(kind, at, for_ns, node, medium if kind in ON_A_MEDIUM else "", what, value)


def _nothing(random: Random) -> tuple[str, float]:
    return "", 0.0


ON_A_MEDIUM = ("cut", "loss", "noise", "flow", "medium down")
DIRECTED = ("cut", "cut all", "loss", "noise", "flow", "edit")
# what else is drawn for a kind: a word and a number
DETAILS: dict[str, Callable[[Random], tuple[str, float]]] = {
    "loss": lambda random: ("", random.uniform(0.1, 0.95)),
    "noise": lambda random: ("", 10 ** random.uniform(-4, -2)),
    # some in the middle of a list of actions
    "pause": lambda random: ("", random.choice((0, 0, 0, 1 + random.randrange(4)))),
    "clock step": lambda random: ("", random.choice((-1, 1)) * 10 ** random.uniform(0, 5)),
    "old state": lambda random: ("", random.randrange(1, 5)),
    "agent": lambda random: (random.choice(TROUBLES), random.randrange(64)),
    "command": lambda random: (f"{random.choice(COMMANDS)} {random.choice(SETS)}", 0.0),
    # how much of that moment has passed; most of it is over when it has hardly begun
    "amid": lambda random: (random.choice(AMID), 10 ** random.uniform(-5, 0)),
    "replay": lambda random: ("", random.randrange(1, 60)),
    "edit": lambda random: (random.choice(EDITS), random.randrange(64)),
}


class Faults:
    """Does a list of faults to a world. counts: by kind, of those that did something."""

    def __init__(self, world: World, faults: list[Fault]) -> None:
        self._world = world
        self._groups = world.options.groups
        self._changes: dict[str, int] = {}
        self.counts: dict[str, int] = {}
        self._methods: dict[str, Callable[[Fault], bool]] = {
            "crash": self._crash,
            "power": self._power,
            "pause": self._pause,
            "stop": self._stop,
            "cut": self._cut,
            "cut all": self._cut,
            "loss": self._loss,
            "noise": self._noise,
            "flow": self._flow,
            "medium down": self._medium_down,
            "lost state": self._state,
            "old state": self._state,
            "full disk": self._full_disk,
            "clock step": self._clock_step,
            "agent": self._agent,
            "command": self._command,
            "amid": self._amid,
            "edit": self._edit,
            "replay": self._replay,
        }
        for fault in faults:
            world.at(fault.at_ns, self._strike, fault)

    def _strike(self, fault: Fault) -> None:
        world = self._world
        if world.epoch:
            return
        world.note("fault", " ".join(str(fault).split()[2:]) + f" for {fault.for_ns / SECOND:.6f}")
        if self._methods[fault.kind](fault):
            self._count(fault)
        world.audit.watchful = True

    def _count(self, fault: Fault) -> None:
        self.counts[fault.kind] = self.counts.get(fault.kind, 0) + 1

    def _after(self, fault: Fault, call: Callable[[], None]) -> None:
        """Call at the fault's end, unless everything was healed before."""
        self._world.at(self._world.now + fault.for_ns, self._if_not_healed, (fault, call))

    def _if_not_healed(self, told: tuple[Fault, Callable[[], None]]) -> None:
        fault, call = told
        if not self._world.epoch:
            self._world.note("fault", f"{fault.kind} ends")
            call()
            self._world.audit.watchful = True

    def _node(self, fault: Fault) -> Node:
        return self._world.nodes[fault.node]

    def _struck(self, fault: Fault) -> list[Lane]:
        pairs = [self._world.lanes[fault.medium]] if fault.medium else list(self._world.lanes.values())
        return [lane for pair in pairs for sender, lane in enumerate(pair) if fault.node in (sender, BOTH)]

    # --- nodes

    def _crash(self, fault: Fault) -> bool:
        """Half of them start again as soon as the supervisor can, the others when the fault is over."""
        node = self._node(fault)
        ran = node.state in (RUNNING, PAUSED, ENDING)
        node.crash(self._world.options.restart_ns if fault.at_ns % 2 else fault.for_ns)
        return ran

    def _power(self, fault: Fault) -> bool:
        node = self._node(fault)
        on = node.state != OFF
        node.power_cycle(fault.for_ns)
        return on

    def _pause(self, fault: Fault) -> bool:
        node = self._node(fault)
        if node.state != RUNNING:
            return False
        node.pause(inside=int(fault.value) - 1 if fault.value else None)
        self._after(fault, node.resume)
        return True

    def _stop(self, fault: Fault) -> bool:
        node = self._node(fault)
        if node.state != RUNNING:
            return False
        node.request("stop")
        self._after(fault, node.start)
        return True

    # --- media

    def _cut(self, fault: Fault) -> bool:
        lanes = self._struck(fault)
        for lane in lanes:
            lane.cut()
            self._after(fault, lane.heal)
        return True

    def _loss(self, fault: Fault) -> bool:
        return self._burst(fault, Quality(loss=fault.value, noise=fault.value / 1000))

    def _noise(self, fault: Fault) -> bool:
        return self._burst(fault, Quality(corrupt=min(1.0, fault.value * 100), noise=fault.value))

    def _burst(self, fault: Fault, quality: Quality) -> bool:
        for lane in self._struck(fault):
            lane.burst(quality)
            self._after(fault, lambda lane=lane: lane.burst(None))  # type: ignore[misc]
        return True

    def _flow(self, fault: Fault) -> bool:
        lanes = [lane for lane in self._struck(fault) if lane.classic]
        for lane in lanes:
            lane.block("flow")
            self._after(fault, lambda lane=lane: lane.unblock("flow"))  # type: ignore[misc]
        return bool(lanes)

    def _medium_down(self, fault: Fault) -> bool:
        node = self._node(fault)
        if fault.medium in node.media_down:
            return False
        node.lose_medium(fault.medium)
        self._after(fault, lambda: node.regain_medium(fault.medium))
        return True

    # --- files and clocks

    def _state(self, fault: Fault) -> bool:
        """Seen at the next start of the daemon: half of them come with a crash."""
        node = self._node(fault)
        if fault.kind == "lost state":
            node.machine.disk.lose()
        else:
            node.machine.disk.set_back(int(fault.value))
        if fault.at_ns % 2:
            node.crash(fault.for_ns)
        return True

    def _full_disk(self, fault: Fault) -> bool:
        disk = self._node(fault).machine.disk

        def freed() -> None:
            disk.full = False

        disk.full = True
        self._after(fault, freed)
        return True

    def _clock_step(self, fault: Fault) -> bool:
        self._node(fault).wall_offset_ns += round(fault.value * SECOND)
        return True

    # --- agents and operators

    def _agent(self, fault: Fault) -> bool:
        """It waits for a run to meet it, and lasts from then on; for half of them an operator has the groups moved. It
        counts when it is met."""
        node = self._node(fault)
        agents = node.agents
        resources = [r for group in node.settings.groups for r in group.resources if not r.notifier]
        resource = resources[int(fault.value) % len(resources)] if resources else None
        if resource is None or resource in agents.trouble:
            return False
        agents.trouble[resource] = fault.what
        struck = False

        def met() -> None:
            nonlocal struck
            if not struck:
                struck = True
                self._count(fault)
                self._after(fault, well)

        def well() -> None:
            if agents.met.get(resource) is met:
                del agents.met[resource], agents.trouble[resource]

        def give_up(_: object) -> None:
            if not struck and not self._world.epoch:
                well()

        agents.met[resource] = met
        self._world.at(self._world.now + UNMET_NS, give_up)
        if fault.at_ns % 2:
            node.request("standby" if resource in node.machine.up else "takeover", "all")
        return False

    def _command(self, fault: Fault) -> bool:
        node = self._node(fault)
        node.request(*fault.what.split())
        return node.state == RUNNING

    def _amid(self, fault: Fault) -> bool:
        """An operator has one give what it has, or stop; and while both have it something befalls the one or the other.
        It counts when it does."""
        world = self._world
        giver = next((node for node in world.nodes if node.state == RUNNING and node.machine.up), None)
        if giver is None:
            return False
        struck = replace(fault, kind=fault.what, node=(giver, giver.peer)[fault.node].index)

        def strike(_: object) -> None:
            if not world.epoch and self._methods[struck.kind](struck):
                world.note("fault", f"amid a hand-over: {struck.kind}, node {struck.node + 1}")
                self._count(fault)

        def ceding() -> None:
            giver.on_ceding = None
            world.at(world.now + round(giver.settings.overlap_ns * fault.value), strike)

        giver.on_ceding = ceding
        giver.request(*("stop",) if fault.at_ns % 4 == 0 else ("standby", "all"))
        if giver.leaving:
            self._after(fault, giver.start)
        return False

    def _replay(self, fault: Fault) -> bool:
        """Somebody plays back what a node has said, on the media on which they heard it: good signatures, old news."""
        world, recorded = self._world, list(self._node(fault).recorded)
        count = min(int(fault.value), len(recorded))
        for number, (lane, frame) in enumerate(world.random.sample(recorded, count)):
            world.at(world.now + fault.for_ns * number // count, self._play_back, (lane, frame))
        return count > 0

    def _play_back(self, told: tuple[Lane, bytes]) -> None:
        lane, frame = told
        lane.receiver.hear(lane, frame)

    def _edit(self, fault: Fault) -> bool:
        """The files are edited, and one daemon is told, or both, one after the other."""
        world = self._world
        self._groups, self._changes = edited(
            self._groups, dict(self._changes), world.options, fault.what, int(fault.value)
        )
        first = world.random.randrange(2) if fault.node == BOTH else fault.node
        self.reload(world.nodes[first])
        if fault.node == BOTH:
            self._after(fault, lambda: self.reload(world.nodes[1 - first]))
        return True

    def reload(self, node: Node) -> None:
        """This node gets the newest files."""
        settings = make_settings(self._world.options, node.name, self._groups, **self._changes)
        self._world.admit(settings)
        node.reload(settings)
