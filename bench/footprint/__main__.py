"""python -m bench.footprint [SYSTEM]... [--quick] [--json FILE]: the tables; exit code 1 where a bar is missed.

A bar that cannot be judged is not kept either. Where systems are named these alone are measured, and nothing is written
but with --json.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import platform
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from bench.footprint import ROOT, bars, play, table
from bench.footprint.play import Node
from bench.footprint.systems import INTERVALS_MS, SYSTEMS, System, UnavailableError

RESULT = ROOT / "bench" / "results" / "footprint.json"
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
        programs = {}
        for system in systems:
            try:
                programs[system.name] = system.program()
            except (UnavailableError, OSError, subprocess.CalledProcessError) as error:
                self.missing[system.name] = str(error)
        media = dict.fromkeys(medium for system in systems for medium in system.media)
        for interval_ms, medium, system in itertools.product(self._intervals, media, systems):
            if system.name not in programs or medium not in system.media:
                continue
            say(f"{system.name}, {medium}, {interval_ms} ms")
            what = system, programs[system.name], medium, interval_ms
            try:
                self.figures[system.name, medium, interval_ms] = play.steady(*what, self.seconds)
                if interval_ms == INTERVALS_MS[0]:
                    self.starts[system.name, medium] = play.starts(*what, self._starts)
            except (OSError, TimeoutError) as error:
                self.missing[f"{system.name}, {medium}, {interval_ms} ms"] = str(error)


def say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.footprint", description=__doc__.partition("\n")[0])
    parser.add_argument("systems", nargs="*", metavar="SYSTEM", help=f"of {', '.join(SYSTEMS)}; all if none is named")
    parser.add_argument("--quick", action="store_true", help="six minutes: 100 ms only, for a short time")
    parser.add_argument("--json", type=Path, metavar="FILE", help=f"instead of {RESULT.relative_to(ROOT)}")
    options = parser.parse_args()
    unknown = set(options.systems) - set(SYSTEMS)
    if unknown:
        parser.error(f"no such system: {', '.join(unknown)}")
    if os.geteuid():
        print("footprint: it needs root, for namespaces and for looking at pages of memory", file=sys.stderr)
        return 1
    began = time.time()
    run = Run(quick=options.quick)
    run.measure([SYSTEMS[name] for name in options.systems or SYSTEMS])
    judged = bars.judge(run.figures, run.starts)
    about: dict[str, Any] = {
        "command": " ".join(["sh scripts/bench footprint", *sys.argv[1:]]),
        "when": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(began)),
        "took_s": round(time.time() - began),
        "seconds": run.seconds,
        "python": platform.python_version(),
        "machine": f"{platform.machine()}, {os.cpu_count()} processors, Linux {platform.release()}",
        "load": [round(each, 1) for each in os.getloadavg()],
        "missing": run.missing,
    }
    text = table.markdown(about, run.figures, run.starts, judged)
    print(text)
    path = options.json or (None if options.systems else RESULT)
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        whole = about | table.record(run.figures, run.starts, judged)
        path.write_text(json.dumps(whole, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        path.with_suffix(".md").write_text(text, encoding="utf-8")
        print(f"written: {path} and {path.with_suffix('.md').name}")
    return 0 if bars.kept(judged) else 1


if __name__ == "__main__":
    sys.exit(main())
