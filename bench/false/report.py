"""The counts as a table, as a section of a page, and as a record with every event."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from bench.failover import report
from bench.failover.bars import Judged
from bench.false.count import Count, Event, void
from bench.rivals.instruments import Stall

HEAD = ("system", "times", "load", "minutes", "false take-overs", "a minute", "set aside", "")
# of what the canaries have told, in the record
STALLS = 1000


def rows(counts: Iterable[Count]) -> list[list[str]]:
    return [[each.system, each.times, each.load, f"{each.seconds / 60:.1f}", str(len(each.kept)),
             f"{each.per_minute:.2f}", str(len(each.aside)), each.trouble] for each in counts]  # fmt: skip


def table(counts: Iterable[Count]) -> str:
    lines = [list(HEAD), *rows(counts)]
    widths = [max(len(line[place]) for line in lines) for place in range(len(HEAD))]
    return "\n".join("  ".join(text.ljust(width) if place < 3 or place == 7 else text.rjust(width)
                               for place, (text, width) in enumerate(zip(line, widths, strict=True))).rstrip()
                     for line in lines)  # fmt: skip


def said(counts: Sequence[Count], stalls: Sequence[Stall], began_ns: int) -> list[str]:
    """What the canaries tell, and each event that was set aside because of it."""
    worst = max((each.ms for each in stalls), default=0.0)
    lines = [f"The canaries were late by more than 5 ms {len(stalls)} times, at most {worst:.0f} ms."]
    if void(counts):
        lines.append("**This run is void: the machine itself had a hand in more than a fifth of the take-overs.**")
    for each in counts:
        for event in each.aside:
            delays = ", ".join(f"{stall.ms:.0f} ms" for stall in event.stalls[:3])
            lines.append(f"Set aside: {each.system}, {each.times}, {each.load}: {event.node} at "
                         f"{(event.at_ns - began_ns) / 1e9:.3f} s, near a delay of {delays}.")  # fmt: skip
    return lines


def markdown(counts: Sequence[Count], judged: Iterable[Judged], told: Sequence[str], about: dict) -> str:
    lines = ["## Take-overs that nothing called for", "", *report.said(about), "", *told, ""]
    lines += report.page_table(("demanded", "found", "limit", ""), report.verdicts(judged))
    lines += ["", *report.page_table(HEAD, rows(counts)), ""]
    return "\n".join(lines)


def record(
    counts: Iterable[Count], judged: Iterable[Judged], stalls: Sequence[Stall], began_ns: int, about: dict
) -> dict:
    counts = list(counts)

    def events(found: Iterable[Event]) -> list[dict]:
        return [{"at_s": round((each.at_ns - began_ns) / 1e9, 3), "node": each.node,
                 "stalls_ms": [round(stall.ms, 1) for stall in each.stalls]} for each in found]  # fmt: skip

    return {
        **about,
        "void": void(counts),
        "bars": report.judged_bars(judged),
        "pairs": [{"system": each.system, "times": each.times, "load": each.load, "seconds": round(each.seconds, 1),
                   "false_takeovers": len(each.kept), "a_minute": round(each.per_minute, 3), "trouble": each.trouble,
                   "events": events(each.kept), "set_aside": events(each.aside)} for each in counts],
        "canary_delays": len(stalls),
        "canary": [{"at_s": round((each.due_ns - began_ns) / 1e9, 3), "ms": round(each.ms, 1)}
                   for each in stalls[:STALLS]],
    }  # fmt: skip
