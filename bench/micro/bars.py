"""What is demanded of the figures, and what comes of it.

A bar is a ratio to a rival of the same run, or a time. The times were set on a certain machine at its best, on which
libplumb2 took BEST_NS for the recorded statuses. Where it takes longer than that, calls from Python taken off, the
machine is slower by so much, and is allowed as much more time; what the clock says is shown all the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from bench import tables
from bench.micro.inputs import FORMS
from bench.micro.measure import Figure

OK, SCALED, MISSED, UNKNOWN, STATED = tables.OK, "ok, scaled", tables.MISSED, tables.UNKNOWN, ""
BEST_NS = {"classic": 900, "netstring": 1_000}
CALLS_ALONE, FEED_ALONE = "calls of libplumb2 alone", "feed of nothing"
PLUMB = {form: f"decode {form}: libplumb2" for form in FORMS}
YARDSTICK = (CALLS_ALONE, *PLUMB.values())  # without these no slowness is known


class Bar(NamedTuple):
    """rival: at most so many times its median. None: at most so many nanoseconds. at_most: None where nothing is
    demanded, and the ratio is told. less, rival_less: a case whose median is taken off first."""

    case: str
    rival: str | None
    at_most: float | None
    less: str | None = None
    rival_less: str | None = None


class Judged(NamedTuple):
    """limit: nanoseconds, as they are allowed here. ratio: to the rival, or to the unscaled time."""

    bar: Bar
    verdict: str
    ratio: float | None = None


def bars() -> list[Bar]:
    found = []
    for form in FORMS:
        decode = f"decode {form}"
        found += [
            Bar(decode, PLUMB[form], 1.0),
            Bar(decode, PLUMB[form], None, less=FEED_ALONE, rival_less=CALLS_ALONE),
            Bar(decode, f"decode {form}: reference", 0.1),
            # or else it would be no feat
            Bar(f"decode {form}: reference", None, 60_000),
            Bar(f"decode + verify {form} sha1", None, 3_000),
            Bar(f"decode + verify {form} crc", None, 1_200),
            *(Bar(f"decode + verify {form} {each}", f"decode + verify {form} {each}: reference", 0.1)
              for each in ("crc", "md5", "sha1")),
            # what is written all the time; the rest is written when something happens
            Bar(f"encode {form} sha1, repeated", f"encode {form} sha1: reference", 0.1),
            Bar(f"encode {form} sha1", f"encode {form} sha1: reference", None),
        ]  # fmt: skip
    found.append(Bar("decode + verify noisy stream", "decode + verify noisy stream: reference", 0.1))
    found.append(Bar("handle a status", None, 3_000))
    return found


def against(cases: Sequence[str], mark: str, rival: str) -> list[Bar]:
    """Of cases that differ in the end of their names: the one beside the other, nothing demanded."""
    pairs = [(name, name.removesuffix(mark) + rival) for name in cases if name.endswith(mark)]
    return [Bar(name, other, None) for name, other in pairs if name != other and other in cases]


def stated(cases: Sequence[str]) -> list[Bar]:
    return against(cases, ": wheel", ": heapq") + against(cases, "", ": hmac")


def slowness(figures: Mapping[str, Figure]) -> float | None:
    """How many times slower than at its best: the less of what both forms say, at least 1. None: nobody knows."""
    if not set(YARDSTICK) <= set(figures):
        return None
    calls = figures[CALLS_ALONE].median
    return max(1.0, min((figures[name].median - calls) / BEST_NS[form] for form, name in PLUMB.items()))


def judge(bar: Bar, figures: Mapping[str, Figure], slow: float | None) -> Judged:
    needed = {bar.case, bar.rival, bar.less, bar.rival_less} - {None}
    if not needed <= set(figures):
        return Judged(bar, STATED if bar.at_most is None else UNKNOWN)
    value = figures[bar.case].median - (figures[bar.less].median if bar.less else 0)
    if bar.rival is None:
        assert bar.at_most is not None
        ratio = value / bar.at_most
        verdict = OK if ratio <= 1 else SCALED if ratio <= (slow or 1) else MISSED
        return Judged(bar, verdict, ratio)
    ratio = value / (figures[bar.rival].median - (figures[bar.rival_less].median if bar.rival_less else 0))
    return Judged(bar, STATED if bar.at_most is None else OK if ratio <= bar.at_most else MISSED, ratio)
