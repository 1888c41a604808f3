"""The table of faults: plays each fault so many times, and prints the worst of what the audit has seen, as Markdown.

two     ms, for how long two nodes answered for one address; where no medium works, from when one does again
none    ms, for how long nobody did; where an interface was down, from when it was up again
lost    the client's datagrams in one attempt, one a millisecond
aside   intervals that are not judged, because the machine itself stood still
"""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from system.catalogue import FAULTS
from system.faults import Attempt, Fault, attempt
from system.stages import Stages

HEAD = ("fault", "tries", "two, ms", "none, ms", "lost", "aside", "measured besides")


@dataclass
class Row:
    """The worst of all attempts at one fault; of a figure called "…, least" the least."""

    name: str
    tries: int = 0
    two_ms: float = 0.0
    none_ms: float = 0.0
    lost: int = 0
    aside: int = 0
    figures: dict[str, float] = field(default_factory=dict)
    troubles: list[str] = field(default_factory=list)

    def add(self, made: Attempt) -> None:
        self.tries += 1
        self.two_ms = max(self.two_ms, made.two_ms)
        self.none_ms = max(self.none_ms, made.none_ms)
        self.lost = max(self.lost, made.lost)
        self.aside += made.aside
        self.troubles += made.troubles
        for name, figure in made.figures.items():
            worse = min if name.endswith("least") else max
            self.figures[name] = worse(figure, self.figures.get(name, figure))

    def cells(self) -> list[str]:
        besides = [f"{name} {figure:,.0f}" for name, figure in self.figures.items()] + self.troubles
        return [self.name, str(self.tries), f"{self.two_ms:.0f}", f"{self.none_ms:.0f}", str(self.lost),
                str(self.aside), "; ".join(besides)]  # fmt: skip


def markdown(rows: Iterable[Row]) -> str:
    table = [HEAD, ["---", *["---:"] * 5, "---"], *(row.cells() for row in rows)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in table)


def play(stages: Stages, played: Fault, times: int) -> Row:
    row = Row(played.name)
    for number in range(max(times, played.steps)):
        began = time.monotonic()
        try:
            made = attempt(stages.get(played.stage), played, number)
        except (AssertionError, OSError, TimeoutError) as error:
            made = Attempt(troubles=[f"attempt {number}: {type(error).__name__}: {error}"])
            stages.drop()
        row.add(made)
        took_s = time.monotonic() - began
        print(f"{took_s:5.1f} s  {played.name} {number}: two {made.two_ms:.0f}, none {made.none_ms:.0f}, "
              f"lost {made.lost} {made.figures or ''} {made.troubles or ''}", file=sys.stderr, flush=True)  # fmt: skip
    return row


def by_stage(faults: Iterable[Fault]) -> list[Fault]:
    """Those of one stage together, so that it is made once."""
    found: dict[str, list[Fault]] = {}
    for each in faults:
        found.setdefault(each.stage, []).append(each)
    return [each for those in found.values() for each in those]


def main() -> int:
    options = argparse.ArgumentParser(prog="faults", description="Every fault, many times over, as a table.")
    options.add_argument("--times", type=int, default=10, help="attempts at each fault (10)")
    options.add_argument("--only", default="", help="faults whose name has this word")
    options.add_argument("--json", type=Path, help="write the rows to this file, too")
    told = options.parse_args()
    began = time.monotonic()
    with contextlib.ExitStack() as closing:
        stages = Stages(closing)
        wanted = [each for each in by_stage(FAULTS.values()) if told.only in each.name]
        rows = [play(stages, each, told.times) for each in wanted]
    print(markdown(rows))
    print(f"\n{sum(row.tries for row in rows)} attempts in {(time.monotonic() - began) / 60:.1f} minutes")
    if told.json is not None:
        told.json.write_text(json.dumps([vars(row) for row in rows], indent=1) + "\n")
    return 1 if any(row.troubles for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
