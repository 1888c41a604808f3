"""Heartbeats of simulated pairs, with all audits on: the pairs of bench/sim.py, which measures them for longer."""

from __future__ import annotations

from functools import partial

from bench import sim
from bench.micro.case import Batch, Case

HEARTBEATS = 10_000


def lived(name: str) -> Batch:
    return Batch(lambda: sim.lived(sim.PAIRS[name], HEARTBEATS), HEARTBEATS, rare=True)


def cases() -> list[Case]:
    return [Case("simulator", f"heartbeat of a pair: {name}", partial(lived, name)) for name in sim.PAIRS]
