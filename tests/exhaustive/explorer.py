"""Two nodes, and everything that can happen next: which message arrives, or is lost; whose timer fires; which agent
ends; which operator speaks; who starts and who dies. States that are equal but for the time of day are one.

Two ways to go through them, each as far as a number of states goes:

    explore   all orders of everything, breadth first: no order is left out, but the end is far away
    stray     the ordinary way to the end, all ways that leave it once, all that leave it twice, …

At every state: nothing is up on two nodes, no group's lease runs on two, an agent is not started or stopped while it is
being started or stopped. From every state where nothing is under way, and where the search ends, a life without further
faults follows; it must end with one holder for each group, both nodes stable, every operator answered.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from exhaustive.moment import Moment

# an ordinary way that is as long never ends
LONGEST = 300


class Result(NamedTuple):
    """visited: states that differ; depth: choices on the longest path, or how often a way was left; calm: states on the
    ways from where it ended; complete: no state was left unvisited."""

    visited: int
    depth: int
    calm: int
    complete: bool


Path = tuple[tuple, ...]


class Explorer:
    """From one beginning. What fails first fails by the shortest path, or by the fewest strays."""

    def __init__(self, beginning: Moment, states: int) -> None:
        self.states = states
        self.level: list[tuple[Moment, Path]] = [(beginning, ())]
        self.visited = {beginning.picture()}
        self.calm: set[bytes] = set()

    def explore(self) -> Result:
        depth = 0
        while self.level and len(self.visited) < self.states:
            depth += 1
            before, self.level = self.level, []
            for moment, path in before:
                for choice in moment.choices():
                    self._follow(moment.copy(), (*path, choice))
        return self._end(depth)

    def stray(self) -> Result:
        times = -1
        while self.level and len(self.visited) < self.states:
            times += 1
            before, self.level = self.level, []
            for moment, path in before:
                self._go(moment, path)
        return self._end(times)

    def _go(self, moment: Moment, path: Path) -> None:
        """The ordinary way: what arrives first arrives first, and no faults. What could happen instead is for later."""
        while len(path) < LONGEST and moment.sides:
            ordinary, *others = moment.choices()
            frozen = moment.copy()
            for choice in others:
                self._follow(frozen.copy(), (*path, choice))
            path = (*path, ordinary)
            if (moment.quiet and moment.settled) or not self._happen(moment, path):
                return

    def _happen(self, moment: Moment, path: Path) -> bool:
        """One choice further. False: it was seen before."""
        explain(path, moment.happen, path[-1])
        shown = moment.picture()
        if shown in self.visited:
            return False
        self.visited.add(shown)
        return True

    def _follow(self, moment: Moment, path: Path) -> None:
        """One choice further, and if it is new it stays on the list. Where nothing is left to happen it ends."""
        if not self._happen(moment, path):
            return
        if moment.quiet and moment.settled and not moment.faults.deaths:
            explain(path, moment.calm_down, self.calm)
        else:
            self.level.append((moment.copy(), path))  # which is frozen: of many, few are looked at at once

    def _end(self, depth: int) -> Result:
        for moment, path in self.level:
            explain(path, moment.copy().calm_down, self.calm)
        return Result(len(self.visited), depth, len(self.calm), not self.level)


def explain(path: Path, function: Callable[..., None], *arguments: object) -> None:
    """What fails says how it came to that."""
    try:
        function(*arguments)
    except Exception as error:
        error.add_note("by this path:\n" + "\n".join(" ".join(map(str, choice)) for choice in path))
        raise
