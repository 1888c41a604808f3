"""From what the instruments have seen to figures. Pure: instants are nanoseconds of one clock, answers are records.

    failure            the power fails: every process killed, links down, the serial line dead
    last heard         the last heartbeat (or advertisement) that the survivor was handed
    dead               when the survivor takes the other for dead. Ours says when it has judged (`declared_dead_ns` of
                       its status); the original by the line in its log, seen within a millisecond; keepalived and
                       ucarp by their first own advertisement, which they send first of all
    announced          the survivor's first gratuitous ARP on the wire
    answered           the first probe that the survivor has answered

    outage             failure → answered          the client's, and all that counts in the end
    detection beyond   dead - (last heard + deadtime)
    take-over          dead → answered
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple, Protocol

MILLISECOND = 1_000_000
# what was sent before the failure has arrived by then
UNDER_WAY_NS = 20 * MILLISECOND
# for a probe on an Ethernet
LATE_NS = 10 * MILLISECOND


class Answered(Protocol):
    """A probe. arrived_ns: 0 for never."""

    sent_ns: int
    arrived_ns: int
    mac: str


class Summary(NamedTuple):
    n: int
    least: float
    median: float
    p95: float
    most: float


def summary(values: Iterable[float]) -> Summary | None:
    """None of nothing. p95: the least of the values that no more than a twentieth are above."""
    found = sorted(values)
    if not found:
        return None
    middle = len(found) // 2
    median = found[middle] if len(found) % 2 else (found[middle - 1] + found[middle]) / 2
    return Summary(len(found), found[0], median, found[math.ceil(len(found) * 0.95) - 1], found[-1])


def ms(begin_ns: int | None, end_ns: int | None) -> float | None:
    return None if begin_ns is None or end_ns is None else (end_ns - begin_ns) / MILLISECOND


def first_answer(probes: Iterable[Answered], since_ns: int, mac: str) -> int | None:
    """By that card; of probes that were sent before, too."""
    return min((each.arrived_ns for each in probes if each.mac == mac and each.arrived_ns > since_ns), default=None)


def last_answer(probes: Iterable[Answered], mac: str) -> int | None:
    return max((each.arrived_ns for each in probes if each.mac == mac and each.arrived_ns), default=None)


def power_failure(
    *,
    failed_ns: int,
    heard: Sequence[int],
    deadtime_ns: int,
    dead_ns: int | None,
    announced: Sequence[int],
    probes: Sequence[Answered],
    victim: str,
    survivor: str,
) -> dict[str, float | None]:
    """heard: instants at which the survivor was handed what the victim beats with; announced: of its announcements;
    victim, survivor: their cards. In milliseconds; None where something wasn't seen."""
    answered_ns = first_answer(probes, failed_ns, survivor)
    last_ns = max((at_ns for at_ns in heard if at_ns <= failed_ns + UNDER_WAY_NS), default=None)
    announced_ns = min((at_ns for at_ns in announced if at_ns > failed_ns), default=None)
    due_ns = None if last_ns is None else last_ns + deadtime_ns
    silent_ns = last_answer(probes, victim)
    return {
        "outage_ms": ms(failed_ns, answered_ns),
        "beyond_ms": ms(due_ns, dead_ns),
        "takeover_ms": ms(dead_ns, answered_ns),
        # from outside alone: the announcement is a part of the take-over
        "announced_beyond_ms": ms(due_ns, announced_ns),
        # the failure is one instant: the victim has not answered for longer
        "still_answered_ms": ms(failed_ns, silent_ns),
        "heard_before_ms": ms(last_ns, failed_ns),
    }


def planned(
    *, told_ns: int, until_ns: int, probes: Sequence[Answered], survivor: str
) -> dict[str, float | None]:
    """A move or a stop that was asked for at `told_ns`. probes: those that were sent between the two instants, and had
    time to be answered. lost: not answered within LATE_NS. A router that holds the address no more may forward what is
    still sent to it, and keep it until somebody does hold it: such an answer is of no use to the client either. gap:
    the longest time between two answers; service: from the request to the first answer of who holds afterwards."""
    sent = [each for each in probes if told_ns <= each.sent_ns < until_ns]
    arrivals = sorted(each.arrived_ns for each in sent if each.arrived_ns)
    gap_ns = max((after - before for before, after in itertools.pairwise([told_ns, *arrivals])), default=None)
    return {
        "lost": float(sum(not 0 < each.arrived_ns <= each.sent_ns + LATE_NS for each in sent)),
        "gap_ms": ms(0, gap_ns),
        "service_ms": ms(told_ns, first_answer(sent, told_ns, survivor)),
    }


def longest_gap_ms(instants: Iterable[int]) -> float | None:
    """Between two that follow each other."""
    found = sorted(instants)
    return max((ms(before, after) for before, after in itertools.pairwise(found)), default=None)


def distribution(values: Iterable[float]) -> tuple[list[float], list[float]]:
    """Cumulative: which part of all values is no greater than each."""
    found = sorted(values)
    return found, [(number + 1) / len(found) for number in range(len(found))]
