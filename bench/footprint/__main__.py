"""python -m bench.footprint [SYSTEM]... [--quick] [--json FILE]: the tables; exit code 1 where a bar is missed.

A bar that cannot be judged is not kept either. Where systems are named these alone are measured, and nothing is written
but with --json.
"""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import time

from bench import command
from bench.footprint import bars, play, table
from bench.footprint.play import Node
from bench.footprint.systems import INTERVALS_MS, SYSTEMS, System, UnavailableError

SECONDS, QUICK_SECONDS = 60.0, 15.0
STARTS, QUICK_STARTS = 15, 5


class Run:
    """What has been measured so far."""

    def __init__(self, *, quick: bool) -> None:
        self.seconds = QUICK_SECONDS if quick else SECONDS
        self._starts = QUICK_STARTS if quick else STARTS
        self._intervals = INTERVALS_MS[:1] if quick else INTERVALS_MS
        self.figures: dict[tuple[str, str, int], dict[str, Node]] = {}
        self.starts: dict[tuple[str, str], list[float]] = {}
        self.missing: dict[str, str] = {}

    def measure(self, systems: list[System]) -> None:
        """On one medium at one interval all systems follow each other closely: the machine is the same for them."""
        media = dict.fromkeys(medium for system in systems for medium in system.media)
        for interval_ms, medium, system in itertools.product(self._intervals, media, systems):
            if system.name in self.missing or medium not in system.media:
                continue
            say(f"{system.name}, {medium}, {interval_ms} ms")
            try:
                what = system, system.program(interval_ms), medium, interval_ms
            except (UnavailableError, OSError, subprocess.CalledProcessError) as error:
                self.missing[system.name] = str(error)
                continue
            try:
                self.figures[system.name, medium, interval_ms] = play.steady(*what, self.seconds)
                if interval_ms == INTERVALS_MS[0]:
                    self.starts[system.name, medium] = play.starts(*what, self._starts)
            except (OSError, TimeoutError) as error:
                self.missing[f"{system.name}, {medium}, {interval_ms} ms"] = str(error)


def say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


def main() -> int:
    found = command.options("footprint", __doc__, "SYSTEM", SYSTEMS, "six minutes: 100 ms only, for a short time")
    if os.geteuid():
        print("footprint: it needs root, for namespaces and for looking at pages of memory", file=sys.stderr)
        return 1
    playing = command.Run("footprint")
    run = Run(quick=found.quick)
    run.measure([SYSTEMS[name] for name in found.chosen])
    judged = bars.judge(run.figures, run.starts)
    about = playing.about(quick=found.quick) | {"seconds": run.seconds, "missing": run.missing}
    record = about | table.record(run.figures, run.starts, judged)
    print(table.terminal(record))
    if found.path is not None:
        command.write(found.path, record)
    return 0 if bars.kept(judged) else 1


if __name__ == "__main__":
    sys.exit(main())
