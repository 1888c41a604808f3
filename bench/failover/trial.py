"""One trial on the stage: the power of the holder fails, or it is told to yield or to stop; and what was seen of it.

The load is there from LOADED_S before until the end of the trial, and not while the pair is mended. The instants of a
cell's failures are spread evenly between two heartbeats, from a place that is drawn: with few trials the median would
else say where they happened to fall.
"""

from __future__ import annotations

import contextlib
import math
import random
import time
from collections.abc import Callable, Iterator

from bench.failover import figures
from bench.failover.grid import MANY, PLANNED, STOP, Cell
from bench.rivals import instruments
from bench.rivals.instruments import ADVERTISEMENT, ANNOUNCEMENT, HEARTBEAT, NEIGHBOUR
from bench.rivals.stage import Stage
from bench.rivals.systems import NODES
from heartbeat.demo.clock import MILLISECOND, SECOND, now_ns

LOADED_S, BEFORE_S, AFTER_S, ANSWER_S = 1.0, 0.3, 0.3, 0.2
# beyond the deadtime; the original's scripts under load take seconds
PATIENCE_S = 20.0
MOVE_S = 15.0
# a failure that took longer was none of one instant, and its outage means nothing
INSTANT_MS = 20
# so often it is tried once more
AGAIN = 2
# an original that is busy with itself drops a request
ATTEMPTS = 3


def phases(start: float) -> Iterator[float]:
    """Parts of an interval, without end: however many are taken, they lie as evenly as can be."""
    while True:
        yield start % 1
        start += (math.sqrt(5) - 1) / 2


def play(stage: Stage, cell: Cell, count: int, dice: random.Random, spread: Iterator[float]) -> Iterator[dict]:
    """So many trials of the cell. The pair is up before each. spread: the cell's own `phases`."""
    if cell.kind == PLANNED:
        moves = {**stage.system.moves(), STOP: Stage.stop}
        for _ in range(count):
            for name, move in moves.items():
                yield planned(stage, name, move, dice)
        return
    for _ in range(count):
        for _ in range(1 + AGAIN):
            made = power_failure(stage, cell, next(spread))
            yield made
            if not made["void"]:
                break
        if cell.kind == MANY:
            # releasing them makes no heartbeat late either
            name, move = next(iter(stage.system.moves().items()))
            yield planned(stage, name, move, dice)


def power_failure(stage: Stage, cell: Cell, phase: float) -> dict:
    victim = stage.up()
    survivor = 1 - victim
    with instruments.load(cell.load, stage.world.folder):
        time.sleep(LOADED_S if cell.load != "idle" else BEFORE_S)
        plug = stage.plug(survivor)
        failed_ns = stage.fail(victim, phase)
        try:
            stage.until_answers(survivor, cell.setting.deadtime_ms / 1000 + PATIENCE_S)
            if cell.kind == MANY:
                _until_all_announced(stage, plug, failed_ns)
            time.sleep(AFTER_S)
        finally:
            stage.bury(victim)
    until_ns = now_ns()
    begin_ns = failed_ns - 3 * cell.setting.keepalive_ms * MILLISECOND - SECOND
    seen = stage.tap.passed(begin_ns, until_ns)
    mine = [each for each in seen if each.card == plug]
    probes = stage.probe.track.between(failed_ns - SECOND, until_ns)
    heard = [each.at_ns for each in mine if each.out and each.kind in (HEARTBEAT, ADVERTISEMENT)]
    # with both, the copy on the line comes later than the other, and is no sign of life of its own
    for line in stage.lines[survivor : survivor + 1] if cell.setting.media == ("serial",) else ():
        heard += line.heard()
    dead_ns = stage.system.dead_ns(stage, survivor, failed_ns)
    announced = [each for each in mine if not each.out and each.kind in (ANNOUNCEMENT, NEIGHBOUR)]
    found = figures.power_failure(
        failed_ns=failed_ns, heard=heard, deadtime_ns=stage.system.deadtime_ns(stage.setting, survivor),
        dead_ns=dead_ns, announced=[each.at_ns for each in announced], probes=probes,
        victim=stage.macs[victim], survivor=stage.macs[survivor],
    )  # fmt: skip
    answered_ns = figures.first_answer(probes, failed_ns, stage.macs[survivor]) or until_ns
    trial = {"kind": "power failure", "victim": NODES[victim], **found, **_stalls(stage, failed_ns, answered_ns)}
    trial["void"] = (found["still_answered_ms"] or 0) > INSTANT_MS
    if cell.kind == MANY:
        # of each address, when it was announced first
        firsts = {each.address: each.at_ns for each in reversed(announced)}
        trial["announced"] = len(firsts)
        trial["last_announced_ms"] = figures.ms(dead_ns, max(firsts.values(), default=None))
        trial["own_gap_ms"] = _own_gap_ms(mine, failed_ns)
    return trial


def _until_all_announced(stage: Stage, plug: int, since_ns: int) -> None:
    """Or until it is clear that they aren't: the record says how many were."""
    wanted = stage.setting.addresses + stage.setting.version_6
    end_ns = now_ns() + 5 * SECOND
    while now_ns() < end_ns:
        seen = stage.tap.passed(since_ns)
        if len({each.address for each in seen if each.card == plug and not each.out and each.kind in
                (ANNOUNCEMENT, NEIGHBOUR)}) >= wanted:  # fmt: skip
            return
        time.sleep(0.05)


def _own_gap_ms(mine, since_ns: int) -> float | None:
    """The longest time between two heartbeats that this node has sent."""
    return figures.longest_gap_ms(
        each.at_ns for each in mine if not each.out and each.kind == HEARTBEAT and each.at_ns >= since_ns - 100_000_000
    )


def planned(stage: Stage, name: str, move: Callable[[Stage, int], object], dice: random.Random) -> dict:
    holder = stage.up()
    other = 1 - holder
    plug = stage.plug(holder)
    for attempt in range(ATTEMPTS):
        time.sleep(BEFORE_S + dice.random() * stage.system.interval_ns(stage.setting) / SECOND)
        told_ns = now_ns()
        moving = move(stage, holder)
        try:
            stage.until_answers(other, MOVE_S)
            break
        except TimeoutError:
            if attempt == ATTEMPTS - 1 or name == STOP:
                raise
    time.sleep(AFTER_S)
    until_ns = now_ns()
    time.sleep(ANSWER_S)
    probes = stage.probe.track.between(told_ns, until_ns)
    found = figures.planned(told_ns=told_ns, until_ns=until_ns, probes=probes, survivor=stage.macs[other])
    with contextlib.suppress(AttributeError):
        moving.join(MOVE_S)  # type: ignore[attr-defined]
    mine = [each for each in stage.tap.passed(told_ns - 100_000_000, until_ns) if each.card == plug]
    trial = {"kind": name, "holder": NODES[holder], **found, **_stalls(stage, told_ns, until_ns)}
    if stage.setting.addresses + stage.setting.version_6 > 1:
        trial["own_gap_ms"] = _own_gap_ms(mine, told_ns)
    return trial


def _stalls(stage: Stage, begin_ns: int, end_ns: int) -> dict:
    near_ns = instruments.NEAR_NS
    found = instruments.near(begin_ns, end_ns, stage.canaries.stalls(begin_ns - near_ns, end_ns + near_ns))
    return {"stalls_ms": [round(each.ms, 3) for each in found]}
