"""python -m bench.micro [PART]... [--quick] [--json FILE]: the table, and exit code 1 where a bar is missed.

A bar that cannot be judged, because the original's library cannot be had, is not kept either. Where parts are named,
theirs count, and nothing is written but with --json.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from pathlib import Path

from bench.micro import ROOT, bars, measure, table
from bench.micro.case import Batch
from bench.micro.suites import PARTS, cases

RESULT = ROOT / "bench" / "results" / "micro.json"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.micro", description=__doc__.partition("\n")[0])
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}; all if none is named")
    parser.add_argument("--quick", action="store_true", help="fewer rounds")
    parser.add_argument("--json", type=Path, metavar="FILE", help=f"instead of {RESULT.relative_to(ROOT)}")
    options = parser.parse_args()
    unknown = set(options.parts) - set(PARTS)
    if unknown:
        parser.error(f"no such part: {', '.join(unknown)}")
    began = time.time()
    parts = {*options.parts, "calibration"} if options.parts else set(PARTS)
    chosen = [case for case in cases() if case.part in parts or case.name in bars.YARDSTICK]
    made = measure.make(chosen)
    batches = {name: each for name, each in made.items() if isinstance(each, Batch)}
    figures = measure.measure(batches, measure.QUICK_ROUNDS if options.quick else measure.ROUNDS)
    names = [case.name for case in chosen]
    slow = bars.slowness(figures)
    demanded = [bar for bar in (*bars.bars(), *bars.stated(names)) if bar.case in names]
    judged = [bars.judge(bar, figures, slow) for bar in demanded]
    shown = {name: figures[name] if isinstance(each, Batch) else each for name, each in made.items()}
    print(table.table(chosen, shown, judged, slow))
    missed = [each.bar for each in judged if each.verdict in (bars.MISSED, bars.UNKNOWN)]
    for bar in missed:
        print(f"not kept: {bar.case}: {table.described(bar)}")
    path = options.json or (None if options.parts else RESULT)
    if path is not None:
        about = {
            "command": " ".join(["python -m bench.micro", *sys.argv[1:]]),
            "when": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(began)),
            "seconds": round(time.time() - began),
            "python": f"{platform.python_implementation()} {platform.python_version()}",
            "machine": f"{platform.machine()}, {os.cpu_count()} processors, Linux {platform.release()}",
            "load": [round(each, 1) for each in os.getloadavg()],
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps(about | table.record(chosen, shown, judged, slow), indent=1, ensure_ascii=False)
        path.write_text(f"{text}\n", encoding="utf-8")
        print(f"written: {path}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
