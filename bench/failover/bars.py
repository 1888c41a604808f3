"""What is demanded, and what comes of it: each bar is about the trials of one run, and ratios are of medians."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from bench import tables
from bench.failover import figures
from bench.failover.grid import (
    FAST,
    HEARTBEAT,
    HIGHEST,
    HOGS,
    IDLE,
    KEEPALIVED,
    MANY,
    NORMAL,
    ORDINARY,
    OURS,
    PLANNED,
    POWER,
    Cell,
)  # fmt: skip

OK, MISSED, UNKNOWN, STATED = tables.OK, tables.MISSED, tables.UNKNOWN, ""
# "a heartbeat is late" is what warntime says
WARNTIME_PART = 3 / 5
RUNS = 30


@dataclass(frozen=True)
class Judged:
    """value: what was found, in the bar's own unit; None: it could not be. limit None: nothing is demanded."""

    text: str
    value: float | None
    limit: float | None
    unit: str = ""
    at_least: bool = False
    note: str = ""

    @property
    def verdict(self) -> str:
        if self.limit is None:
            return STATED
        if self.value is None:
            return UNKNOWN
        return OK if (self.value >= self.limit if self.at_least else self.value <= self.limit) else MISSED

    def record(self) -> dict[str, object]:
        return {"bar": self.text, "value": self.value, "limit": self.limit, "unit": self.unit,
                "at_least": self.at_least, "verdict": self.verdict, "note": self.note}  # fmt: skip


Results = Sequence[tuple[Cell, Sequence[dict]]]


def trials(results: Results, **wanted: object) -> list[dict]:
    """Of the cells that have these fields."""
    return [
        each
        for cell, found in results
        if all(getattr(cell, name) == value for name, value in wanted.items())
        for each in found
    ]


def values(found: Iterable[dict], name: str, *, clean: bool = False) -> list[float]:
    """clean: those that the machine has not spoilt. A void trial has none."""
    return [
        each[name]
        for each in found
        if each.get(name) is not None and not each.get("void") and not (clean and each["stalls_ms"])
    ]


def judge(results: Results) -> list[Judged]:
    return [*_detection(results), *_outage(results), *_takeover(results), *_many(results), *_moves(results)]


def _detection(results: Results) -> list[Judged]:
    found = []
    for load in (IDLE, HOGS):
        mine = trials(results, system=OURS, setting=NORMAL, load=load, kind=POWER)
        beyond = figures.summary(values(mine, "beyond_ms", clean=True))
        note = f"{len(mine)} trials, {sum(bool(each['stalls_ms']) for each in mine)} set aside"
        text = f"detection beyond deadtime, 100/500 ms ucast {load}"
        found += [
            Judged(f"{text}: median", beyond and beyond.median, 2, "ms", note=note),
            Judged(f"{text}: p95", beyond and beyond.p95, 10, "ms", note=note),
        ]
    return found


def _outage(results: Results) -> list[Judged]:
    found = []
    for load, limit in ((IDLE, 0.65), (HOGS, 0.5)):
        text = f"outage, 100/500 ms ucast {load}: part of heartbeat's"
        found.append(_ratio(results, text, "outage_ms", limit, HEARTBEAT, setting=NORMAL, load=load))
    for load in (IDLE, HOGS):
        for rival, bound in ((KEEPALIVED, 0.9), (HIGHEST, None), (ORDINARY, None)):
            text = f"outage, 10/30 ms ucast {load}: part of {rival}'s at 0.01 s"
            found.append(_ratio(results, text, "outage_ms", bound, rival, setting=FAST, load=load))
    return found


def _ratio(results: Results, text: str, name: str, limit: float | None, rival: str, **wanted: object) -> Judged:
    sides = [figures.summary(values(trials(results, system=system, kind=POWER, **wanted), name))
             for system in (OURS, rival)]  # fmt: skip
    if None in sides:
        return Judged(text, None, limit)
    mine, theirs = (side.median for side in sides)
    return Judged(text, mine / theirs, limit, note=f"{mine:.1f} ms of {theirs:.1f} ms")


def _takeover(results: Results) -> list[Judged]:
    wanted = {"setting": NORMAL, "load": IDLE, "kind": POWER}
    mine, theirs = (
        figures.summary(values(trials(results, system=system, **wanted), "takeover_ms"))
        for system in (OURS, HEARTBEAT)
    )
    times = theirs.median / mine.median if mine and theirs else None
    note = f"{mine.median:.2f} ms and {theirs.median:.0f} ms" if mine and theirs else ""
    return [
        Judged("take-over, one address, 100/500 ms ucast idle: median", mine and mine.median, 3, "ms"),
        Judged("take-over, one address: times as fast as heartbeat's", times, 50, at_least=True, note=note),
    ]


def _many(results: Results) -> list[Judged]:
    found = trials(results, system=OURS, kind=MANY)
    takes = [each for each in found if each["kind"] == POWER]
    gaps = values(found, "own_gap_ms")
    four = [trial for cell, each in results if cell.kind == MANY and cell.setting.addresses > 1
            for trial in each if trial["kind"] == POWER]  # fmt: skip
    six = [each for each in takes if each not in four]
    # who asks for the last one is answered, and so is, at the latest, who has heard of the last
    last_4 = [max(each["takeover_ms"], each["last_announced_ms"]) for each in four
              if each["takeover_ms"] is not None and each["last_announced_ms"] is not None]  # fmt: skip
    late_ms = FAST.deadtime_ms * WARNTIME_PART
    told = figures.summary(values(six, "last_announced_ms"))
    return [
        Judged("1,000 IPv4 addresses at 10/30 ms: dead to the last one: most", max(last_4, default=None), 60, "ms",
               note=f"{sum(each.get('announced') or 0 for each in four)} announced in {len(four)} trials"),
        Judged("1,000 IPv6 addresses at 10/30 ms: dead to the last announced: median", told and told.median, None,
               "ms"),
        Judged("taking and releasing 1,000 at 10/30 ms: longest time between two own heartbeats",
               max(gaps, default=None), late_ms, "ms", note=f"late is later than warntime, {late_ms:.0f} ms"),
    ]  # fmt: skip


def _moves(results: Results) -> list[Judged]:
    found = []
    mine = trials(results, system=OURS, setting=NORMAL, kind=PLANNED)
    for name in dict.fromkeys(each["kind"] for each in mine):
        lost = figures.summary(values([each for each in mine if each["kind"] == name], "lost"))
        note = f"{lost.n} runs" + ("" if lost.n >= RUNS else f", of {RUNS} that are demanded") if lost else ""
        found += [
            Judged(f"{name}, ucast: lost probes, median", lost and lost.median, 1, "", note=note),
            Judged(f"{name}, ucast: lost probes, most", lost and lost.most, 10, "", note=note),
        ]
    if not mine:
        found.append(Judged("planned switch-over and clean stop, ucast: lost probes", None, 1))
    return found


def missed(judged: Iterable[Judged]) -> list[Judged]:
    """Neither kept nor merely told."""
    return [each for each in judged if each.verdict in (MISSED, UNKNOWN)]
