"""One state of a pair, what can happen next in it, and what must hold.

What is bounded, so that what two nodes cannot know is left out: a message takes DELAY_NS at most, an agent AGENT_NS,
and no more goes wrong than `Faults` says. On one medium messages arrive in the order in which they were sent; on two,
those of one may overtake those of the other.
"""

from __future__ import annotations

import itertools
from typing import NamedTuple

from exhaustive.copies import Frozen
from exhaustive.picture import picture
from pair import AUTH, CAESAR, JULIUS, settings

from _hbfast.codec import Decoder, Message, encode
from heartbeat.core.actions import START, Hold, KillAgent, Remember, Reply, RunAgent, Stop, Transmit
from heartbeat.core.cluster import Cluster
from heartbeat.core.events import AgentExited, MediumUp, Request, Tick
from heartbeat.core.settings import MILLISECOND, SECOND, Group, Resource, Settings

DELAY_NS = 700 * MILLISECOND
AGENT_NS = SECOND
# a life without further faults has settled by then: initdead and two deadtimes
CALM_NS = 60 * SECOND
BEGINNING = 1_000 * SECOND
GROUPS = (
    Group("a", JULIUS, [Resource("a", "a"), Resource("b", "b")]),
    Group("c", CAESAR, [Resource("c", "c")]),
)
ADDRESS = "IPaddr"  # of which two nodes may have one for a moment
ADDRESSES = (
    Group("a", JULIUS, [Resource("a", ADDRESS, ["a"]), Resource("b", ADDRESS, ["b"])]),
    Group("c", JULIUS, [Resource("c", "c")]),
)


class Faults(NamedTuple):
    """How much may still go wrong: messages lost, deaths, restarts, agents that fail."""

    losses: int = 0
    deaths: int = 0
    restarts: int = 0
    failures: int = 0


class Side:
    """One node. running: run → (verb, word, the latest instant of its end). ceding: of what it holds, what it has for a
    moment only. The cluster is frozen when the state is
    copied, and thawed where something happens to it."""

    def __init__(self, name: str, configuration: Settings, generation: int, now: int, **recalled) -> None:
        self.name = name
        self.generation = generation
        self.up: set[str] = set()
        self.running: dict[int, tuple[str, tuple[str, ...], int]] = {}
        self.holding: tuple[str, ...] = ()
        self.ceding: tuple[str, ...] = ()
        self.known: dict[str, tuple[int, int]] = {}
        self.answered: set[int] = set()
        self.stopped = False
        self._live: Cluster | None = Cluster(configuration, generation=generation, seed=generation, now=now, **recalled)
        self._frozen: Frozen | None = None
        self._shown: tuple[int, bytes] = (0, b"")
        self.look()

    def look(self) -> None:
        """After something has happened to it."""
        self._frozen = None
        self._shown = (0, b"")
        self.deadline = self.cluster.deadline()
        self.stable = self.cluster.view().stable

    @property
    def cluster(self) -> Cluster:
        if self._live is None:
            assert self._frozen is not None
            self._live = self._frozen.copy()
        return self._live

    def copy(self) -> Side:
        self._frozen = self._frozen or Frozen(self._live)
        made = Side.__new__(Side)
        made.__dict__.update(self.__dict__, up=set(self.up), running=dict(self.running), known=dict(self.known))
        made.__dict__.update(answered=set(self.answered), _live=None)
        return made

    def picture(self, now: int) -> bytes:
        at, shown = self._shown
        if at != now:
            mine = [self.name, self.generation, self.running, self.holding, self.ceding, self.known, self.stopped]
            shown = picture([*mine, self.up, self.answered, self.cluster], now)
            self._shown = (now, shown)
        return shown


class Moment:
    """A state of the pair. wishes: what operators will still ask, as (node, verb, argument), each in its time. wires:
    what is under way, each with its latest instant of arrival."""

    def __init__(self, *, media: tuple[str, ...], faults: Faults, groups: tuple[Group, ...] = GROUPS) -> None:
        self.now = BEGINNING
        self.media = media
        self.groups = groups
        # they answer where their group's lease runs, wherever they are up
        self.addresses = {each.word for group in groups for each in group.resources if each.name == ADDRESS}
        self.faults = faults
        self.sides: dict[str, Side] = {}
        self.dead: dict[str, Side] = {}
        self.unborn: tuple[str, ...] = ()
        self.wishes: tuple[tuple[str, str, str], ...] = ()
        self.asked: tuple[tuple[str, int], ...] = ()
        self.wires: dict[tuple[str, str, str], tuple[tuple[Message, int], ...]] = {}

    def copy(self) -> Moment:
        made = Moment.__new__(Moment)
        made.__dict__.update(self.__dict__, wires=dict(self.wires), dead=dict(self.dead))
        made.sides = {name: side.copy() for name, side in self.sides.items()}
        return made

    def picture(self) -> bytes:
        wires = [(wire, waiting) for wire, waiting in sorted(self.wires.items()) if waiting]
        sides = [side.picture(self.now) for _, side in sorted(self.sides.items())]
        return picture([wires, sides, sorted(self.dead), self.unborn, self.wishes, self.asked, self.faults], self.now)

    # --- what can happen next

    def choices(self) -> list[tuple]:
        found: list[tuple] = []
        for wire, waiting in self.wires.items():
            if waiting:
                found.append(("deliver", *wire))
                if self.faults.losses:
                    found.append(("lose", *wire))
        for side in self.sides.values():
            for run in side.running:
                found.append(("exit", side.name, run, 0))
                if self.faults.failures:
                    found.append(("exit", side.name, run, 1))
        found += [("boot", name) for name in self.unborn]
        found += [("ask", name) for name in dict.fromkeys(name for name, _, _ in self.wishes) if name in self.sides]
        if self.faults.deaths:
            found += [("kill", name) for name in self.sides]
        if self.faults.restarts:
            found += [("restart", name) for name in self.dead]
        return found + self.ticks()

    def ticks(self) -> list[tuple]:
        """The next timers, unless something must have happened before."""
        dues = [(due, side.name) for side in self.sides.values() if (due := side.deadline) is not None]
        first = min((due for due, _ in dues), default=0)
        latest = [at for waiting in self.wires.values() for _, at in waiting]
        latest += [at for side in self.sides.values() for _, _, at in side.running.values()]
        if not dues or first > min(latest, default=first):
            return []
        return [("tick", name) for due, name in dues if due == first or due <= self.now]

    @property
    def quiet(self) -> bool:
        """Nothing is under way but time."""
        under_way = any(self.wires.values()) or any(side.running for side in self.sides.values())
        return not (under_way or self.unborn or any(name in self.sides for name, _, _ in self.wishes))

    @property
    def settled(self) -> bool:
        living = self.sides.values()
        answered = all(number in self.sides[name].answered for name, number in self.asked)
        return answered and all(side.stable for side in living) and not self.holders_wrong()

    def holders_wrong(self) -> str:
        if not self.sides:
            return ""  # one is dead, and the other was told to stop
        words = [resource.word for group in self.groups for resource in group.resources]
        ups = sorted(word for side in self.sides.values() for word in side.up)
        return "" if ups == sorted(words) else f"up: { {side.name: side.up for side in self.sides.values()} }"

    # --- what happens

    def happen(self, choice: tuple) -> None:
        what, *which = choice
        getattr(self, f"_{what}")(*which)
        self.check()

    def _deliver(self, sender: str, receiver: str, medium: str) -> None:
        (message, _), *rest = self.wires[sender, receiver, medium]
        self.wires[sender, receiver, medium] = tuple(rest)
        self.tell(self.sides[receiver], message)

    def _lose(self, sender: str, receiver: str, medium: str) -> None:
        self.wires[sender, receiver, medium] = self.wires[sender, receiver, medium][1:]
        self.faults = self.faults._replace(losses=self.faults.losses - 1)

    def _exit(self, name: str, run: int, code: int) -> None:
        side = self.sides[name]
        if code:
            self.faults = self.faults._replace(failures=self.faults.failures - 1)
        verb, words, _ = side.running.pop(run)
        if verb != START:
            side.up.difference_update(words)
        self.tell(side, AgentExited(run, code))

    def _tick(self, name: str) -> None:
        side = self.sides[name]
        self.now = max(self.now, side.deadline or 0)
        self.tell(side, Tick(self.now // SECOND))

    def _boot(self, name: str) -> None:
        self.unborn = tuple(each for each in self.unborn if each != name)
        self.born(name, generation=100)

    def _kill(self, name: str) -> None:
        """A power failure: what it had on the wires still arrives, what was for it does not."""
        self.faults = self.faults._replace(deaths=self.faults.deaths - 1)
        self._gone(name)

    def _restart(self, name: str) -> None:
        """With the power back: nothing is up, and its files say what was."""
        self.faults = self.faults._replace(restarts=self.faults.restarts - 1)
        before = self.dead.pop(name)
        leftovers = [group.key for group in self.groups if before.up & {each.word for each in group.resources}]
        self.born(name, generation=before.generation + 1, leftovers=leftovers, known=before.known)

    def _ask(self, name: str) -> None:
        mine = next(each for each in self.wishes if each[0] == name)
        self.wishes = tuple(each for each in self.wishes if each is not mine)
        number = max((number for _, number in self.asked), default=0) + 1
        self.asked = (*self.asked, (name, number))
        self.tell(self.sides[name], Request(number, *mine[1:]))

    def born(self, name: str, generation: int, **recalled) -> None:
        configuration = settings(name, media=self.media, groups=self.groups, overlapping=(ADDRESS,))
        side = self.sides[name] = Side(name, configuration, generation, self.now, **recalled)
        for medium in self.media:
            self.tell(side, MediumUp(medium))

    def tell(self, side: Side, event: object) -> None:
        """The event, and what follows from it at once."""
        for action in side.cluster.handle(event, self.now):
            match action:
                case Transmit(message=message):
                    self._send(side.name, message)
                case RunAgent(run=run, verb=verb, resources=resources) if run:
                    words = tuple(each.word for each in resources)
                    for word in words:
                        busy = any(word in others for _, others, _ in side.running.values())
                        assert not busy, f"{word}: {verb} while it is being started or stopped"
                        assert verb != START or word not in side.up, f"{word} started twice"
                    side.running[run] = (verb, words, self.now + AGENT_NS)
                    if verb == START:
                        side.up.update(words)
                case KillAgent(run=run):
                    assert run in side.running
                case Hold(keys=keys, ending=ending):
                    side.holding = keys + ending
                    side.ceding = ending
                case Remember(node=node, generation=generation, sequence=sequence):
                    side.known[node] = (generation, sequence)
                case Reply(number=number):
                    assert number not in side.answered, "an operator is answered once"
                    side.answered.add(number)
                case Stop():
                    side.stopped = True
        side.look()
        if side.stopped:
            self._gone(side.name)

    def _gone(self, name: str) -> None:
        self.dead[name] = self.sides.pop(name)
        self.asked = tuple(each for each in self.asked if each[0] != name)
        for wire in self.wires:
            if wire[1] == name:
                self.wires[wire] = ()

    def _send(self, name: str, message: Message) -> None:
        frame = encode(message, AUTH, "netstring")
        for other in self.sides:
            if other == name:
                continue
            for medium in self.media:
                received = Decoder(medium, AUTH, stream=False).feed(frame)[0]
                wire = name, other, medium
                self.wires[wire] = (*self.wires.get(wire, ()), (received, self.now + DELAY_NS))

    # --- what must hold

    def check(self) -> None:
        sides = list(self.sides.values())
        for one, other in itertools.pairwise(sides):
            up = {word for word in one.up & other.up if word not in self.addresses}
            assert not up, f"up on both: {up}"
            both = set(one.holding) & set(other.holding)
            agreed = {*one.ceding, *other.ceding}
            assert both <= agreed, f"the leases of {both} run on both, and only {agreed or 'nothing'} is agreed"

    def calm_down(self, known: set[bytes]) -> None:
        """No more faults, everything in its time, until nothing is left to do. known: pictures from which this is known
        to end well; those on the way are added."""
        self.faults = Faults()
        end = self.now + CALM_NS
        seen = []
        while not (self.quiet and self.settled):
            assert self.now <= end, f"no end: {self.describe()}"
            shown = self.picture()
            if shown in known:
                break
            seen.append(shown)
            choices = self.choices()
            assert choices, f"nothing happens any more: {self.describe()}"
            self.happen(choices[0])
        known.update(seen)

    def describe(self) -> str:
        views = [
            (side.name, view.state, view.stable, side.cluster._standby.state_name, sorted(side.up))
            for side in self.sides.values()
            for view in [side.cluster.view()]
        ]
        return f"{views} asked {self.asked} answered {[side.answered for side in self.sides.values()]}"
