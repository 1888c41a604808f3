"""What many lives have shown, in words: what was drawn, what happened, what failed and how to see it again."""

from __future__ import annotations

from collections import Counter
from statistics import median

from heartbeat.core.settings import SECOND
from heartbeat.sim.audit import FALSE
from heartbeat.sim.faults import WEIGHTS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from heartbeat.sim.faults import Fault
    from heartbeat.sim.life import Outcome

YEAR_NS = 365 * 86_400 * SECOND
OUTAGES_MOST = 1_000_000  # of which the lengths are kept


class Summary:
    """Counts outcomes as they come. Outcomes themselves are not kept: a swarm has ten thousand."""

    def __init__(self) -> None:
        self.lives = 0
        self.failed = 0
        self.heartbeats = 0
        self.simulated_ns = 0
        self.counts: Counter[str] = Counter()
        self.faults: list[int] = []
        self.take_overs: list[int] = []
        self.deaths: Counter[str] = Counter()
        self.outages: list[int] = []
        self.first_seed: int | None = None
        self.last_seed = 0

    def add(self, outcome: Outcome) -> None:
        self.lives += 1
        self.failed += not outcome.good
        self.heartbeats += outcome.heartbeats
        self.simulated_ns += outcome.simulated_ns
        self.counts.update(outcome.counts)
        self.faults.append(sum(outcome.counts.values()))
        self.take_overs.append(outcome.take_overs)
        self.deaths.update(outcome.deaths)
        self.outages += outcome.outages[: OUTAGES_MOST - len(self.outages)]
        self.first_seed = outcome.seed if self.first_seed is None else min(self.first_seed, outcome.seed)
        self.last_seed = max(self.last_seed, outcome.seed)

    def lines(self) -> list[str]:
        """Everything but the last line."""
        if not self.lives:
            return []
        kinds = ", ".join(f"{kind} {self.counts[kind]}" for kind in WEIGHTS if self.counts[kind])
        return [
            f"seeds {self.first_seed} to {self.last_seed}; simulated {duration(self.simulated_ns)}; "
            f"{self.heartbeats} heartbeats",
            f"faults: {kinds or 'none'}",
            f"faults in a life: median {median(self.faults):g}; take-overs: median {median(self.take_overs):g}",
        ]

    def service(self) -> list[str]:
        """What an operator wants to know of a pair: does it fire falsely, and how long is nobody there?"""
        years = self.simulated_ns / YEAR_NS
        false = self.deaths[FALSE]
        # of a rare event that was not seen in some time, 95 times in 100 less than three happen in as long
        rate = f"{false / years:.3g} times a year" if false else f"not once (less than {3 / years:.2g} times a year)"
        why = ", ".join(f"{cause} {count}" for cause, count in sorted(self.deaths.items()))
        lines = [
            f"deadtime fired falsely {rate}",
            f"a node found the other dead: {why or 'never'}; take-overs: {sum(self.take_overs)}",
        ]
        if self.outages:
            ordered = sorted(self.outages)
            middle, most, worst = (ordered[min(int(len(ordered) * part), len(ordered) - 1)] for part in (0.5, 0.95, 1))
            lines.append(
                f"nobody answered for an address after a failure: {len(ordered)} times, median "
                f"{middle / SECOND:.3f} s, 95 of 100 within {most / SECOND:.3f} s, longest {worst / SECOND:.3f} s"
            )
        return lines

    def verdict(self, elapsed_s: float) -> str:
        """The last line."""
        failed = f"{self.failed} of {self.lives} lives failed" if self.failed else f"{self.lives} lives, no failure"
        rate = self.heartbeats / elapsed_s if elapsed_s else 0.0
        return f"{failed}: {self.heartbeats} heartbeats in {elapsed_s:.0f} s, {rate:.0f} a second"


def duration(nanoseconds: int) -> str:
    """In the unit that fits."""
    for unit, length_ns in (("years", YEAR_NS), ("days", 86_400 * SECOND), ("hours", 3600 * SECOND)):
        if nanoseconds >= length_ns:
            return f"{nanoseconds / length_ns:.2f} {unit}"
    return f"{nanoseconds / SECOND:.0f} s"


def failure(outcome: Outcome, repeat: str, shortest: list[Fault] | None = None) -> list[str]:
    """What failed, in what, after what, and the command that shows it again."""
    lines = [f"FAILED, seed {outcome.seed}: {outcome.rule}: {outcome.text}"]
    lines += [f"    {line}" for line in outcome.options.describe()]
    if shortest is not None:
        lines.append(f"  {len(shortest)} of its {len(outcome.faults)} faults are enough:")
        lines += [f"    {fault}" for fault in shortest]
    lines.append("  the last state changes:")
    lines += [f"    {line}" for line in outcome.lines[-50:]]
    lines.append(f"  again: {repeat}")
    return lines


def show(write: Callable[[str], object], lines: list[str]) -> None:
    for line in lines:
        write(f"{line}\n")
