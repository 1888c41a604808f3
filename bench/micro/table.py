"""The table of a run: a line for each case with its figures, and below it what it is measured by, where that is
anything. The same as a record, and what the page shows of that."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from bench import tables
from bench.micro.bars import PLUMB, Bar, Judged
from bench.micro.case import Case
from bench.micro.inputs import FORMS
from bench.micro.measure import Figure, Unavailable
from bench.picture import Picture

WIDTHS = (52, 12, 12, 14)


def duration(ns: float) -> str:
    """Three digits that count, in the unit that fits."""
    for unit, size in (("s", 1e9), ("ms", 1e6), ("µs", 1e3)):
        if ns >= size:
            return f"{ns / size:.3g} {unit}" if ns / size < 1_000 else f"{ns / size:,.0f} {unit}"
    return f"{ns:.1f} ns"


def described(bar: Bar) -> str:
    """What is measured by, and the limit."""
    if bar.rival is None:
        assert bar.at_most is not None
        return f"at most {duration(bar.at_most)}"
    return rival(bar) if bar.at_most is None else f"{rival(bar)}, at most {bar.at_most:g} of it"


def rival(bar: Bar) -> str:
    """Or the time."""
    if bar.rival is None:
        return duration(bar.at_most or 0)
    return bar.rival.rpartition(": ")[2] + (", the calls themselves taken off both" if bar.less else "")


def row(*cells: str) -> str:
    first, *others = cells
    return (first.ljust(WIDTHS[0]) + "".join(c.rjust(w) for c, w in zip(others, WIDTHS[1:], strict=False))).rstrip()


def table(
    cases: Sequence[Case], figures: Mapping[str, Figure | Unavailable], judged: Sequence[Judged], slow: float | None
) -> str:
    lines = []
    part = ""
    for case in cases:
        if case.part != part:
            part = case.part
            lines += ["", row(part, "median", "min", "a second")]
        figure = figures[case.name]
        if isinstance(figure, Unavailable):
            lines.append(f"  {case.name}: {figure.reason}")
            continue
        a_second = f"{1e9 / figure.median:,.0f}"
        lines.append(row(f"  {case.name}", duration(figure.median), duration(figure.least), a_second))
        lines += [verdict(each) for each in judged if each.bar.case == case.name]
    lines.append("")
    if slow is not None:
        lines.append(slowness(slow))
    return "\n".join(lines).strip("\n")


def slowness(slow: float) -> str:
    text = f"The machine takes {slow:.2f} times what it took when the times were set, by libplumb2."
    return f"{text} What they allow is that much more: “ok, scaled”."


def verdict(judged: Judged) -> str:
    ratio = "" if judged.ratio is None else f"{judged.ratio:.3f}"
    return f"      {described(judged.bar):<58}{ratio:>8}   {judged.verdict}".rstrip()


def record(
    cases: Sequence[Case], figures: Mapping[str, Figure | Unavailable], judged: Sequence[Judged], slow: float | None
) -> dict[str, object]:
    """Nanoseconds."""
    measured = {
        case.name: {"part": case.part, "median_ns": round(figure.median, 1), "min_ns": round(figure.least, 1),
                    "rounds": figure.rounds}
        for case in cases
        if isinstance(figure := figures[case.name], Figure)
    }  # fmt: skip
    told = [
        {"bar": f"{each.bar.case}: ratio to {rival(each.bar)}",
         "value": None if each.ratio is None else round(each.ratio, 4),
         "limit": each.bar.at_most if each.bar.rival else 1.0, "unit": "", "verdict": each.verdict}
        for each in judged
    ]  # fmt: skip
    missing = {case.name: figure.reason for case in cases if isinstance(figure := figures[case.name], Unavailable)}
    return {"slowness": slow and round(slow, 3), "cases": measured, "bars": told, "missing": missing}


# ---- and what is made of it


def tables_of(record: Mapping[str, Any]) -> list[str]:
    lines = [] if record["slowness"] is None else [slowness(record["slowness"]), ""]
    lines += ["Of one operation, by the processor's time."]
    cases = record["cases"]
    for part in dict.fromkeys(each["part"] for each in cases.values()):
        rows = [
            [name, duration(each["median_ns"]), duration(each["min_ns"]), f"{1e9 / each['median_ns']:,.0f}"]
            for name, each in cases.items()
            if each["part"] == part
        ]
        lines += ["", *tables.table((part, "median", "min", "a second"), rows)]
    return lines


def pictures(record: Mapping[str, Any]) -> list[Picture]:
    return []


def quoted(record: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, str]]]:
    """The original's column: its own library of C."""
    for form in FORMS:
        names = {"ours": f"decode {form}", "heartbeat": PLUMB[form]}
        yield f"a status decoded, {form}: median", _times(record, names)
    names = {"ours": "decode + verify netstring sha1"}
    yield "a status decoded and its sha1 verified, netstring: median", _times(record, names)
    yield "a heartbeat heard, from octets to armed timers, netstring and sha1: median", _times(
        record, {"ours": "heard netstring sha1"}
    )


def _times(record: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, str]:
    cases = record["cases"]
    return {column: duration(cases[name]["median_ns"]) for column, name in names.items() if name in cases}
