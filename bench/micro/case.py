"""What is measured: a case makes a batch, and a batch is run again and again.

A batch holds a fixed number of operations, as many as take about a millisecond: the clock is read twice for all of
them, and whatever interrupts the machine spoils one batch of many. The loop around the operations is part of every
batch, the rivals' too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import repeat
from typing import Any, NamedTuple


class Batch(NamedTuple):
    """run: so many operations. prepare: before each run, not timed. rare: it takes so long that few runs must do."""

    run: Callable[[], object]
    operations: int
    prepare: Callable[[], object] | None = None
    rare: bool = False


class Case(NamedTuple):
    """part: codec, auth, … name: unique. make: everything that is needed before the first run, checks included."""

    part: str
    name: str
    make: Callable[[], Batch]


def calling(function: Callable[[Any], object], argument: object, number: int) -> Batch:
    """The same call so many times."""

    def run() -> None:
        for each in repeat(argument, number):
            function(each)

    return Batch(run, number)


def calling_each(function: Callable[[Any], object], arguments: Iterable[object], times: int = 1) -> Batch:
    """A call with each of these, all of them so many times."""
    every = list(arguments) * times

    def run() -> None:
        for each in every:
            function(each)

    return Batch(run, len(every))
