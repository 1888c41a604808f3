"""The counts as a record with every event, and what is made of it: tables, and what was set aside."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from bench import tables
from bench.failover.bars import Judged
from bench.false.count import HOGS, Count, Event, void
from bench.picture import Picture
from bench.rivals.instruments import Stall

HEAD = ("system", "times", "load", "minutes", "false take-overs", "a minute", "set aside", "")
# of what the canaries have told, in the record
STALLS = 1000
# of one event, on the page
DELAYS = 3

Record = Mapping[str, Any]


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
        "bars": [each.record() for each in judged],
        "pairs": [{"system": each.system, "times": each.times, "load": each.load, "seconds": round(each.seconds, 1),
                   "false_takeovers": len(each.kept), "a_minute": round(each.per_minute, 3), "trouble": each.trouble,
                   "events": events(each.kept), "set_aside": events(each.aside)} for each in counts],
        "canary_delays": len(stalls),
        "canary_worst_ms": round(max((each.ms for each in stalls), default=0.0), 1),
        "canary": [{"at_s": round((each.due_ns - began_ns) / 1e9, 3), "ms": round(each.ms, 1)}
                   for each in stalls[:STALLS]],
    }  # fmt: skip


def rows(record: Record) -> Iterator[list[str]]:
    for each in record["pairs"]:
        yield [each["system"], each["times"], each["load"], f"{each['seconds'] / 60:.1f}", str(each["false_takeovers"]),
               f"{each['a_minute']:.2f}", str(len(each["set_aside"])), each["trouble"]]  # fmt: skip


def table(record: Record) -> str:
    return tables.aligned(HEAD, rows(record), words=(0, 1, 2, 7))


def said(record: Record) -> list[str]:
    """What the canaries tell, and each event that was set aside because of it."""
    number, worst_ms = record["canary_delays"], record["canary_worst_ms"]
    lines = [f"The canaries were late by more than 5 ms {number} times, at most {worst_ms:.0f} ms."]
    if record["void"]:
        lines.append("**This run is void: the machine itself had a hand in more than a fifth of the take-overs.**")
    for each in record["pairs"]:
        for event in each["set_aside"]:
            delays = ", ".join(f"{delay_ms:.0f} ms" for delay_ms in event["stalls_ms"][:DELAYS])
            lines.append(f"Set aside: {each['system']}, {each['times']}, {each['load']}: {event['node']} at "
                         f"{event['at_s']:.3f} s, near a delay of {delays}.")  # fmt: skip
    return lines


def tables_of(record: Record) -> list[str]:
    return [*(f"* {each}" for each in said(record)), "", *tables.table(HEAD, rows(record), words=range(3))]


def pictures(record: Record) -> list[Picture]:
    return []


def quoted(record: Record) -> Iterator[tuple[str, dict[str, str]]]:
    """The README names systems without what makes them different here."""
    for times in ("100/500 ms", "10/30 ms"):
        for suffix, priority in (("", "real-time"), (" ordinary", "ordinary priority")):
            found = {
                each["system"].removesuffix(suffix): str(each["false_takeovers"])
                for each in record["pairs"]
                if each["times"] == times and each["load"] == HOGS and not each["trouble"]
                and each["system"].endswith(" ordinary") == bool(suffix)
            }  # fmt: skip
            minutes = min((each["seconds"] for each in record["pairs"] if each["load"] == HOGS), default=0) / 60
            void = ", void" if record["void"] else ""
            yield f"false take-overs in {minutes:.0f} minutes at {times} under {HOGS}, {priority}{void}", found
