"""python -m bench.micro [PART]... [--quick] [--json FILE]: the table, and exit code 1 where a bar is missed.

A bar that cannot be judged, because the original's library cannot be had, is not kept either. Where parts are named,
theirs count, and nothing is written but with --json.
"""

from __future__ import annotations

import sys

from bench import command
from bench.micro import bars, measure, table
from bench.micro.case import Batch
from bench.micro.suites import PARTS, cases


def main() -> int:
    options = command.options("micro", __doc__, "PART", PARTS, "fewer rounds")
    run = command.Run("micro")
    parts = {*options.chosen, "calibration"}
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
    if options.path is not None:
        command.write(options.path, run.about(quick=options.quick) | table.record(chosen, shown, judged, slow))
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
