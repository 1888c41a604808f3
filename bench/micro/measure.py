"""Batches, in turn: each round runs every batch once, so that what the machine does to a case it does to its rivals.

By the processor's time of this thread: what else runs on the machine lengthens that less than the time on the wall.
The garbage collector does not run, as in the steady state of a daemon.
"""

from __future__ import annotations

import gc
import sys
import time
from collections.abc import Sequence
from statistics import median
from typing import NamedTuple

from bench.micro.case import Batch, Case

ROUNDS, QUICK_ROUNDS, RARE_ROUNDS, WARM_ROUNDS = 300, 60, 5, 3


class Figure(NamedTuple):
    """Nanoseconds for one operation, of so many batches."""

    median: float
    least: float
    rounds: int


class Unavailable(NamedTuple):
    """A case that cannot be measured here, and why."""

    reason: str


def make(cases: Sequence[Case]) -> dict[str, Batch | Unavailable]:
    found: dict[str, Batch | Unavailable] = {}
    for case in cases:
        if case.name in found:
            raise AssertionError(f"two cases are called {case.name}")
        try:
            found[case.name] = case.make()
        except OSError as error:
            found[case.name] = Unavailable(str(error))
    return found


def timed(batch: Batch) -> float:
    """One run: nanoseconds for an operation."""
    if batch.prepare is not None:
        batch.prepare()
    began = time.thread_time_ns()
    batch.run()
    return (time.thread_time_ns() - began) / batch.operations


def measure(batches: dict[str, Batch], rounds: int) -> dict[str, Figure]:
    spent: dict[str, list[float]] = {name: [] for name in batches}
    rare_every = max(rounds // RARE_ROUNDS, 1)
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        for number in range(-WARM_ROUNDS, rounds):
            for name, batch in batches.items():
                if batch.rare and (number < 0 or number % rare_every):
                    continue
                each = timed(batch)
                if number >= 0:
                    spent[name].append(each)
            if number % 10 == 0 and sys.stderr.isatty():
                print(f"\r{number} of {rounds} rounds ", end="", file=sys.stderr, flush=True)
    finally:
        gc.enable()
        gc.unfreeze()
    return {name: Figure(median(each), min(each), len(each)) for name, each in spent.items()}
