"""What a run has found: a table for the terminal, a section of a page, and the record as JSON, raw trials and all."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from bench.failover import bars, figures
from bench.failover.bars import Judged, Results
from bench.failover.grid import MANY, POWER, Cell, column

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


def rows(results: Results) -> list[list[str]]:
    """A row for each figure of each cell; what is measured in milliseconds is in milliseconds."""
    found = []
    for cell, trials in results:
        for kind in dict.fromkeys(each["kind"] for each in trials):
            mine = [each for each in trials if each["kind"] == kind]
            for name in ORDER:
                summary = figures.summary(bars.values(mine, name))
                if summary is None or (cell.kind == MANY and kind != POWER and name != "lost"):
                    continue
                spoilt = sum(bool(each["stalls_ms"]) for each in mine)
                cells = [f"{each:.0f}" if name == "lost" else number(each) for each in summary[1:]]
                what = column(cell) if kind == POWER else f"{kind}: {column(cell)}"
                found.append([cell.system, what, COLUMNS[name], str(summary.n), *cells, str(spoilt)])
    return found


def number(value: float) -> str:
    return f"{value:.2f}" if abs(value) < 10 else f"{value:.1f}" if abs(value) < 100 else f"{value:,.0f}"


def table(results: Results) -> str:
    lines = [list(HEAD), *rows(results)]
    widths = [max(len(line[place]) for line in lines) for place in range(len(HEAD))]
    shown = []
    before = ["", ""]
    for line in lines:
        texts = ["" if place < 2 and line[:2] == before else text for place, text in enumerate(line)]
        before = line[:2]
        cells = zip(texts, widths, strict=True)
        shown.append("  ".join(text.ljust(width) if place < 3 else text.rjust(width)
                               for place, (text, width) in enumerate(cells)).rstrip())  # fmt: skip
    return "\n".join(shown)


def verdicts(judged: Iterable[Judged]) -> list[list[str]]:
    """(what, found, demanded, verdict)"""
    found = []
    for each in judged:
        value = "" if each.value is None else f"{number(each.value)} {each.unit}".strip()
        value += f" ({each.note})" if each.note else ""
        limit = "" if each.limit is None else f"{'≥' if each.at_least else '≤'} {each.limit:g} {each.unit}".strip()
        found.append([each.text, value.strip(), limit, each.verdict])
    return found


def verdict_lines(judged: Iterable[Judged]) -> str:
    lines = verdicts(judged)
    width = max((len(line[0]) for line in lines), default=0)
    return "\n".join(f"{text.ljust(width)}  {found}  {limit}   {verdict}".rstrip()
                     for text, found, limit, verdict in lines)  # fmt: skip


def markdown(results: Results, judged: Iterable[Judged], about: dict, *, pictures: Sequence[str] = ()) -> str:
    """One section of a page: every figure stands under the command that made it. pictures: as links."""
    lines = ["## Fail-over, side by side", "", *said(about), ""]
    lines += page_table(("demanded", "found", "limit", ""), verdicts(judged))
    lines += ["", *(f"![cumulative distribution of the outage]({each})" for each in pictures), ""]
    lines += page_table(("system", *HEAD[1:]), rows(results))
    return "\n".join([*lines, "", LEGEND])


def said(about: dict) -> list[str]:
    systems = ", ".join(f"{name} {version}" for name, version in about.get("versions", {}).items())
    lines = [f"`{about['command']}`, {about['when']}, {about['took_s']} s; {about['machine']}; {systems}."]
    lines += [f"**Not judged: {name}: {reason}.**" for name, reason in about.get("unavailable", {}).items()]
    lines += [f"Trouble: {each}" for each in about.get("troubles", ())]
    return lines


def page_table(head: Sequence[str], lines: Iterable[Sequence[str]]) -> list[str]:
    return [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}", *(f"| {' | '.join(line)} |" for line in lines)]


def record(results: Results, judged: Iterable[Judged], about: dict) -> dict:
    return {
        **about,
        "bars": judged_bars(judged),
        "cells": [{**described(cell), "summaries": summaries(trials), "trials": list(trials)}
                  for cell, trials in results],
    }  # fmt: skip


def judged_bars(judged: Iterable[Judged]) -> list[dict]:
    return [{"bar": each.text, "value": each.value, "limit": each.limit, "verdict": each.verdict, "note": each.note}
            for each in judged]  # fmt: skip


def described(cell: Cell) -> dict:
    setting = cell.setting
    return {
        "system": cell.system, "column": column(cell), "kind": cell.kind, "load": cell.load,
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
