"""A few settings that stand for all: every value of every parameter meets every value of every other one at least once.

A few scenarios go with each, all of them with some. `sh scripts/interop` plays what is left out.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from interop.program import ORIGINAL
from interop.scenarios import OFF, SCENARIOS, Scenario
from interop.setting import FAILBACKS, METHODS, NODES, ORDERS, TOGETHER, Setting

PARAMETERS: dict[str, tuple[Any, ...]] = {
    "media": TOGETHER,
    "method": tuple(METHODS),
    "programs": ORDERS,
    "failback": FAILBACKS,
    "groups": (1, 2),
}

Row = tuple[Any, ...]


def pairs_of(row: Row) -> set[tuple[int, Any, int, Any]]:
    return {
        (one, row[one], other, row[other]) for one, other in itertools.combinations(range(len(row)), 2)
    }  # fmt: skip


def covering(parameters: Mapping[str, Sequence[Any]]) -> list[Row]:
    """Rows of values, in the order of the parameters: the one that has most pairs that are in none yet, and again."""
    every = list(itertools.product(*parameters.values()))
    missing = set().union(*map(pairs_of, every))
    rows = []
    while missing:
        best = max(every, key=lambda row: len(pairs_of(row) & missing))
        rows.append(best)
        missing -= pairs_of(best)
    return rows


def _in_vain(scenario: Scenario, setting: Setting) -> bool:
    """An original that boots alone sometimes never starts its own groups: two of its scripts, which ask for them at the
    same time, spoil each other's words. That is nothing of ours to be tested every time."""
    first = scenario.steps[0].action.removeprefix("start ") if scenario.start == OFF else ""
    return first in NODES and setting.programs[NODES.index(first)] == ORIGINAL


def settings() -> list[Setting]:
    found = []
    for row in covering(PARAMETERS):
        told = dict(zip(PARAMETERS, row, strict=True))
        julius, caesar = told.pop("programs")
        found.append(Setting(julius, caesar, **told))
    return found


def shared_out(chosen: Sequence[Setting], scenarios: Iterable[Scenario] = SCENARIOS) -> dict[Setting, list[Scenario]]:
    """Each scenario to one setting that it suits: to the one that has least."""
    shares: dict[Setting, list[Scenario]] = {setting: [] for setting in chosen}
    for scenario in scenarios:
        suited = [each for each in chosen if scenario.suits(each) and not _in_vain(scenario, each)]
        shares[min(suited, key=lambda each: len(shares[each]))].append(scenario)
    return shares
