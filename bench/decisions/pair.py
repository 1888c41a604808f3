"""A pair that is watched and never judged: how long did two machines answer for the address, how long none, for how
long was a client sent to a machine that did not answer, and how often did the address move?

Nothing is sampled. A machine begins to answer at an event alone, and ends at an event or with its lease, whose end is
known at the event before.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from heartbeat.core.actions import ANNOUNCE, RunAgent
from heartbeat.core.settings import SECOND
from heartbeat.sim.audit import Audit
from heartbeat.sim.medium import NEVER
from heartbeat.sim.script import Script

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from heartbeat.core.actions import Action
    from heartbeat.sim.node import Node
    from heartbeat.sim.world import World

ADDRESS = "IPaddr::10.0.0.254"
ONE_GROUP = {"julius": ADDRESS}
LAN = ("eth0",)


class Watch(Audit):
    """two_ns, none_ns, by_ns: since `begin`. clients: to which machine the neighbours of each one were last told to
    talk; away_ns: for how long that machine did not answer. moves: of the address, from one machine to the other."""

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._until = [-NEVER, -NEVER]
        self._since = 0
        self._up = [False, False]
        self._holder: int | None = None
        self.clients = [0, 1]
        self.begin()

    def begin(self) -> None:
        """Count from now on, with a client on either side."""
        self._since = self.world.now
        self.two_ns = self.none_ns = self.moves = 0
        self.by_ns = [0, 0]
        self.away_ns = [0, 0]
        self.clients = [0, 1]

    def wake(self, _: object = None) -> None:
        pass

    def look(self) -> None:
        """After every event: the time since the last one is accounted for."""
        now, since = self.world.now, self._since
        if now > since:
            ends = [min(now, max(since, until)) for until in self._until]
            self.two_ns += min(ends) - since
            self.none_ns += now - max(ends)
            for index in (0, 1):
                self.by_ns[index] += ends[index] - since
                self.away_ns[index] += now - ends[self.clients[index]]
        self._since = now
        for node in self.world.nodes:
            self._look_at(node)
        answering = [index for index in (0, 1) if self._until[index] > now]
        if len(answering) == 1 and answering[0] != self._holder:
            self.moves += self._holder is not None
            self._holder = answering[0]

    def _look_at(self, node: Node) -> None:
        index = node.index
        key = next((key for resource, key in node.machine.up.items() if resource.word == ADDRESS), None)
        if (key is not None) != self._up[index]:
            self._up[index] = key is not None
            if key is not None:
                self.told(index)
        self._until[index] = -NEVER if key is None else node.machine.leases.end_of(key)

    def told(self, index: int) -> None:
        """A machine has told the neighbours that the address is its own."""
        self.clients = [index, index]


class Pair(Script):
    """A Script whose world is watched by a Watch."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"groups": ONE_GROUP, "media": LAN, **options})
        self.watch = self.world.audit = Watch(self.world)
        for node in self.world.nodes:
            node._methods[RunAgent] = self._announcing(node)

    def _announcing(self, node: Node) -> Any:
        obey = node.agents.run

        def run(action: Action) -> None:
            announced = isinstance(action, RunAgent) and action.verb == ANNOUNCE and action.resources
            if any(resource.word == ADDRESS for resource in announced or ()):
                self.watch.told(node.index)
            obey(action)  # type: ignore[arg-type]

        return run

    def settle(self) -> None:
        """Both are up, and the preferred node holds the address."""
        self.boot()
        self.until_stable()
        self.run(2)

    def run(self, seconds: float) -> None:
        super().run(seconds)
        self.watch.look()

    @property
    def two_s(self) -> float:
        return self.watch.two_ns / SECOND

    @property
    def none_s(self) -> float:
        return self.watch.none_ns / SECOND


class Always:
    """A value of `Watch.watchful` that nothing changes."""

    def __get__(self, instance: object, owner: object) -> bool:
        return True

    def __set__(self, instance: object, value: bool) -> None:
        pass


Watch.watchful = Always()  # type: ignore[assignment]


@contextmanager
def instead(*patches: tuple[Any, str, Any]) -> Iterator[None]:
    """Within, each (owner, name, value) is in the place of what the product has there."""
    if not patches:
        yield
        return
    owner, name, value = patches[0]
    with patch.object(owner, name, value), instead(*patches[1:]):
        yield


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """As Markdown."""
    lines = [list(head), *map(list, rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    text = ["| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |"
            for line in lines]  # fmt: skip
    text.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(text)


def mean(values: list[float]) -> float:
    return sum(values) / len(values) if values else 0.0


def figures(values: list[float], digits: int = 2) -> str:
    """Mean and worst."""
    return f"{mean(values):.{digits}f} / {max(values, default=0.0):.{digits}f}"
