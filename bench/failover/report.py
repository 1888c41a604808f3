"""What a run has found, as a record, raw trials and all; and of the record the tables for the terminal and the page."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from bench import tables
from bench.failover import bars, figures, grid, picture
from bench.failover.bars import Judged, Results
from bench.failover.grid import HEARTBEAT, KEEPALIVED, OURS, POWER, UCARP
from bench.picture import Picture

COLUMNS = {
    "outage_ms": "outage", "beyond_ms": "detection beyond", "takeover_ms": "take-over",
    "announced_beyond_ms": "announced beyond", "last_announced_ms": "all announced",
    "lost": "lost probes", "gap_ms": "longest gap", "service_ms": "request to service",
}  # fmt: skip
ORDER = tuple(COLUMNS)
LEGEND = """\
Milliseconds but for lost probes. Detection beyond: what is waited for when the deadtime has passed since the last
heartbeat was received. Spoilt: the machine itself stood still for more than 5 ms near the trial; such a trial is in the
figures, but not in the bars on detection. What each figure is exactly: bench/failover/figures.py; how each system is
configured, and why so: bench/rivals/systems.py. “keepalived” has VRRP's default priority, “keepalived 254” the highest
that is possible, whose waiting is shorter by 0.6 of an interval.
"""
HEAD = ("", "what", "figure", "n", "min", "median", "p95", "max", "spoilt")
RIVALS = (HEARTBEAT, KEEPALIVED, grid.HIGHEST, grid.ORDINARY, UCARP)
COMPARED = ("outage_ms", "takeover_ms")

Record = Mapping[str, Any]


# ---- the record


def record(results: Results, judged: Iterable[Judged], about: dict) -> dict:
    return {
        **about,
        "bars": [each.record() for each in judged],
        "cells": [{**described(cell), "summaries": summaries(trials), "trials": list(trials)}
                  for cell, trials in results],
    }  # fmt: skip


def described(cell: grid.Cell) -> dict:
    setting = cell.setting
    return {
        "group": cell.group, "system": cell.system, "column": grid.column(cell), "kind": cell.kind, "load": cell.load,
        "keepalive_ms": setting.keepalive_ms, "deadtime_ms": setting.deadtime_ms, "media": list(setting.media),
        "addresses": setting.addresses, "version_6": setting.version_6,
    }  # fmt: skip


def summaries(trials: Sequence[dict]) -> dict:
    """Of each kind of trial, of each of its figures."""
    found: dict[str, dict] = {}
    for kind in dict.fromkeys(each["kind"] for each in trials):
        mine = [each for each in trials if each["kind"] == kind]
        made = {name: figures.summary(bars.values(mine, name)) for name in ORDER}
        found[kind] = {name: each._asdict() for name, each in made.items() if each is not None}
    return found


# ---- and what is made of it


def rows(record: Record) -> Iterator[list[str]]:
    """A row for each figure of each cell; what is measured in milliseconds is in milliseconds."""
    for cell in record["cells"]:
        for kind, found in cell["summaries"].items():
            spoilt = sum(bool(each["stalls_ms"]) for each in cell["trials"] if each["kind"] == kind)
            what = cell["column"] if kind == POWER else f"{kind}: {cell['column']}"
            for name, summary in found.items():
                if cell["kind"] == grid.MANY and kind != POWER and name != "lost":
                    continue
                values = [tables.number(summary[each]) for each in ("least", "median", "p95", "most")]
                yield [cell["system"], what, COLUMNS[name], str(summary["n"]), *values, str(spoilt)]


def table(record: Record) -> str:
    """For the terminal: what is the same as in the line before is not said again."""
    before, lines = ["", ""], []
    for line in rows(record):
        lines.append(["", "", *line[2:]] if line[:2] == before else line)
        before = line[:2]
    return tables.aligned(HEAD, lines, words=range(3))


def tables_of(record: Record) -> list[str]:
    lines = ["Part of the rival's: medians of power failures, side by side.", ""]
    lines += tables.table(("what", "figure", "ours, ms", *RIVALS), ratios(record), words=range(2))
    return [*lines, "", *tables.table(("system", *HEAD[1:]), rows(record), words=range(3)), "", *LEGEND.splitlines()]


def ratios(record: Record) -> Iterator[list[str]]:
    """Of each of our cells, whose rivals are those of its group with the same setting and load."""
    alike = ("group", "load", "kind", "keepalive_ms", "deadtime_ms", "media", "addresses", "version_6")
    for cell in record["cells"]:
        if cell["system"] != OURS or cell["kind"] != POWER:
            continue
        beside = {each["system"]: each for each in record["cells"] if all(each[name] == cell[name] for name in alike)}
        for name in COMPARED:
            mine = median(cell, POWER, name)
            theirs = [median(beside[rival], POWER, name) if rival in beside else None for rival in RIVALS]
            if mine is not None and any(theirs):
                # ucarp says that it takes over when it has
                parts = [tables.number(mine / each) if each and each > 0 else "" for each in theirs]
                yield [cell["column"], COLUMNS[name], tables.number(mine), *parts]


def median(cell: Record | None, kind: str, name: str) -> float | None:
    found = {} if cell is None else cell["summaries"].get(kind, {}).get(name, {})
    return found.get("median")


def pictures(record: Record) -> list[Picture]:
    caption = "cumulative distribution of the outage"
    return [Picture("outage", caption, partial(picture.draw, record))] if picture.panels(record) else []


def quoted(record: Record) -> Iterator[tuple[str, dict[str, str]]]:
    fair = {HEARTBEAT: HEARTBEAT, KEEPALIVED: KEEPALIVED, UCARP: UCARP, OURS: OURS}
    for setting, rivals in ((grid.NORMAL, "advert_int 0.1 s, advbase 1 s"), (grid.FAST, "advert_int 0.01 s")):
        for load in (grid.IDLE, grid.HOGS):
            wanted = {"keepalive_ms": setting.keepalive_ms, "deadtime_ms": setting.deadtime_ms, "load": load,
                      "group": f"{'all' if setting == grid.NORMAL else 'fast'} {load}"}  # fmt: skip
            what = f"power failure at {setting.name} ({rivals}), {load}"
            yield f"{what}: outage, median", _across(record, fair, POWER, "outage_ms", "ms", wanted)
            # the others do not say when they take their peer for dead
            both = {OURS: OURS, HEARTBEAT: HEARTBEAT}
            yield f"{what}: take-over, median", _across(record, both, POWER, "takeover_ms", "ms", wanted)
    planned = {"kind": grid.PLANNED, "media": ["ucast"]}
    by_kind = {OURS: OURS, HEARTBEAT: HEARTBEAT, KEEPALIVED: grid.TRACKED, UCARP: UCARP}
    names = {OURS: "hb_standby", HEARTBEAT: "hb_standby", grid.TRACKED: "tracked file", UCARP: "SIGUSR2"}
    yield (
        "planned switch-over: lost probes, two a millisecond, median",
        {shown: text for shown, system in by_kind.items()
         if (text := _across(record, {shown: system}, names[system], "lost", "", planned).get(shown))},
    )  # fmt: skip
    yield "clean stop: the same", _across(record, fair, grid.STOP, "lost", "", planned)


def _across(
    record: Record, systems: Mapping[str, str], kind: str, name: str, unit: str, wanted: Mapping[str, object]
) -> dict[str, str]:
    """systems: column → whose figure."""
    found = {}
    for shown, system in systems.items():
        cells = [each for each in record["cells"] if each["system"] == system
                 and all(each[field] == value for field, value in wanted.items())]  # fmt: skip
        value = median(cells[0] if cells else None, kind, name)
        if value is not None:
            found[shown] = f"{tables.number(value)} {unit}".strip()
    return found
