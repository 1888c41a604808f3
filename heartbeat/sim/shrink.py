"""The shortest list of faults that still fails: a failing life is cut down until each fault that is left is needed.

Delta debugging over the list, then over what each fault is: shorter, of round numbers, plain instead of clever. What
the seed has drawn apart from the list (loss in the media, how agents end) stays as it was, so now and then a shorter
list fails by another rule; such a list does not count.
"""

from __future__ import annotations

from dataclasses import replace

from heartbeat.sim import life

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from heartbeat.sim.faults import Fault
    from heartbeat.sim.life import Outcome
    from heartbeat.sim.options import Options

LIVES_MOST = 400


class Shrinker:
    """lives: how many were lived for it."""

    def __init__(
        self, options: Options, rule: str, *, most: int = LIVES_MOST, core: Callable[..., Any] | None = None
    ) -> None:
        self.lives = 0
        self._most = most
        self._options = options
        self._rule = rule
        self._core = core

    def fails(self, faults: list[Fault]) -> bool:
        """Does a life with these faults, and nothing more after the last, break the same rule?"""
        if self.lives >= self._most:
            return False
        self.lives += 1
        return life.Life(self._options, faults, core=self._core).run().rule == self._rule

    def shrink(self, faults: list[Fault]) -> list[Fault]:
        """faults: a list that fails."""
        faults = self._fewer(faults)
        return self._simplified(faults)

    def _fewer(self, faults: list[Fault]) -> list[Fault]:
        """Leave out halves, quarters, and so on, as long as it still fails."""
        size = max(1, len(faults) // 2)
        while faults:
            start = 0
            while start < len(faults):
                shorter = faults[:start] + faults[start + size :]
                if self.fails(shorter):
                    faults = shorter
                else:
                    start += size
            if size == 1:
                break
            size = max(1, size // 2)
        return faults

    def _simplified(self, faults: list[Fault]) -> list[Fault]:
        for index in range(len(faults)):
            faults = [*faults[:index], self._plainer(faults, index), *faults[index + 1 :]]
        return faults

    def _plainer(self, faults: list[Fault], index: int) -> Fault:
        """The fault of this index, as plain as it may be while the list fails."""
        fault = faults[index]
        for change in ({"value": 0.0}, {"for_ns": fault.for_ns // 4}, {"for_ns": fault.for_ns // 2}):
            plainer = replace(fault, **change)
            if plainer != fault and self.fails([*faults[:index], plainer, *faults[index + 1 :]]):
                fault = plainer
        return fault


def shrink(
    outcome: Outcome, *, most: int = LIVES_MOST, core: Callable[..., Any] | None = None
) -> tuple[list[Fault], int]:
    """The shortest list of faults that breaks the same rule in the same options, and how many lives it took."""
    shrinker = Shrinker(outcome.options, outcome.rule, most=most, core=core)
    return shrinker.shrink(list(outcome.faults)), shrinker.lives
