"""What the pages of results are made of: numbers, tables in Markdown, and bars, whose records all commands write alike:

    {"bar", "value", "limit", "unit", "verdict"}, where they say more {"at_least", "note"}

value: None where there was nothing to judge; limit: None where nothing is demanded, and the figure is told.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

OK, MISSED, UNKNOWN = "ok", "MISSED", "not judged"
BAR_HEAD, BAR_WORDS = ("demanded", "found", "limit", "verdict", ""), (0, 3, 4)


def number(value: float) -> str:
    """Three digits that count, if there are so many."""
    if value == int(value) or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}" if abs(value) >= 1 else f"{value:.3g}"


def table(head: Sequence[str], lines: Iterable[Sequence[str]], *, words: Iterable[int] = (0,)) -> list[str]:
    """Lines of Markdown. words: the columns that hold words; in the others are numbers."""
    words = set(words)
    marks = "".join("---|" if place in words else "--:|" for place in range(len(head)))
    return [f"| {' | '.join(head)} |", f"|{marks}", *(f"| {' | '.join(line)} |" for line in lines)]


def aligned(head: Sequence[str], lines: Iterable[Sequence[str]], *, words: Iterable[int] = (0,)) -> str:
    """The same for a terminal."""
    every, words = [list(head), *map(list, lines)], set(words)
    widths = [max(map(len, column)) for column in zip(*every, strict=True)]
    return "\n".join(
        "  ".join(text.ljust(width) if place in words else text.rjust(width)
                  for place, (text, width) in enumerate(zip(line, widths, strict=True))).rstrip()
        for line in every
    )  # fmt: skip


def bar_rows(bars: Iterable[Mapping[str, Any]]) -> list[list[str]]:
    return [
        [each["bar"], _amount(each["value"], each["unit"]), _limit(each), each["verdict"], each.get("note", "")]
        for each in bars
    ]


def _limit(bar: Mapping[str, Any]) -> str:
    text = _amount(bar["limit"], bar["unit"])
    return text and f"{'≥' if bar.get('at_least') else '≤'} {text}"


def _amount(value: float | None, unit: str) -> str:
    return "" if value is None else f"{number(value)} {unit}".strip()


def bar_lines(bars: Iterable[Mapping[str, Any]]) -> str:
    """For a terminal."""
    return aligned(BAR_HEAD, bar_rows(bars), words=BAR_WORDS)


def counted(bars: Iterable[Mapping[str, Any]]) -> tuple[int, int, int]:
    """(kept, missed, not judged); where nothing is demanded there is no verdict."""
    verdicts = [each["verdict"] for each in bars]
    return sum(each.startswith(OK) for each in verdicts), verdicts.count(MISSED), verdicts.count(UNKNOWN)
