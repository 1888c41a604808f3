"""The table of a run, and the same as a record: a line for each case with its figures, and below it what it is measured
by, where that is anything."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bench.micro.bars import Bar, Judged
from bench.micro.case import Case
from bench.micro.measure import Figure, Unavailable

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
    name = bar.rival.rpartition(": ")[2]
    if bar.less:
        name += ", the calls themselves taken off both"
    return name if bar.at_most is None else f"{name}, at most {bar.at_most:g} of it"


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
        text = f"The machine takes {slow:.2f} times what it took when the times were set, by libplumb2."
        lines.append(f"{text} What they allow is that much more: “ok, scaled”.")
    return "\n".join(lines).strip("\n")


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
        {"case": each.bar.case, "by": described(each.bar), "at_most": each.bar.at_most,
         "ratio": None if each.ratio is None else round(each.ratio, 4), "verdict": each.verdict}
        for each in judged
    ]  # fmt: skip
    return {"slowness": slow and round(slow, 3), "cases": measured, "bars": told}
