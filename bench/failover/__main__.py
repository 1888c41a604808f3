"""python -m bench.failover [--quick] [--system NAME]… [--setting KEEPALIVE/DEADTIME]… [--trials N] [--json FILE]

The whole grid, and the verdict on each bar; the record, and the page (bench/command.py). Exit code 1 where a bar is
missed or could not be judged. Where systems, settings or a number of trials are named, those alone are played, and
nothing is written but with --json.
"""

from __future__ import annotations

import argparse
import dataclasses
import random
import sys
import time
from collections.abc import Iterator

from bench import command, tables
from bench.failover import bars, grid, report, trial
from bench.rivals.instruments import Canaries
from bench.rivals.stage import end_whole, staged
from bench.rivals.systems import SYSTEMS

# a block whose daemons did not do what they must is tried once more
TRIES = 2
# the last block may begin so late: all of it is to take an hour, or five minutes
WHOLE_S, QUICK_S = 57 * 60.0, 4.25 * 60


def main() -> int:
    options = arguments()
    end_whole()
    every = grid.chosen(grid.cells(quick=options.quick), options.system, options.setting)
    if options.trials:
        every = [dataclasses.replace(cell, n=options.trials) for cell in every]
    if not every:
        print("no cell of the grid has such a system with such a setting", file=sys.stderr)
        return 2
    run = command.Run("failover")
    names = list(dict.fromkeys(cell.system for cell in every))
    unavailable = {name: reason for name in names if (reason := SYSTEMS[name].obstacle())}
    for name, reason in unavailable.items():
        print(f"*** NOT JUDGED: {name} cannot be had here: {reason}", file=sys.stderr)
    end_s = time.monotonic() + (QUICK_S if options.quick else WHOLE_S)
    results, troubles = play([cell for cell in every if cell.system not in unavailable], options.seed, end_s)
    judged = bars.judge(results)
    some = bool(options.system or options.setting or options.trials)
    judged = [each for each in judged if each.value is not None or not (some or each.limit is None)]
    about = run.about(quick=options.quick) | {
        "seed": options.seed,
        "versions": {name: SYSTEMS[name].version() for name in names if name not in unavailable},
        "unavailable": unavailable,
        "troubles": troubles,
    }
    record = report.record(results, judged, about)
    print(report.table(record), "", tables.bar_lines(record["bars"]), sep="\n")
    path = command.target("failover", quick=options.quick, part=some, given=options.json)
    if path is not None:
        command.write(path, record)
    return 1 if bars.missed(judged) else 0


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.failover", description=__doc__.partition("\n\n")[2])
    parser.add_argument("--quick", action="store_true", help="a part of the grid, few trials: at most five minutes")
    parser.add_argument("--system", action="append", default=[], choices=list(SYSTEMS), help="this one alone")
    parser.add_argument("--setting", action="append", default=[], metavar="100/500", help="these times alone, in ms")
    parser.add_argument("--trials", type=int, metavar="N", help="so many of each cell")
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32), help="of the instants of the failures")
    command.add_json(parser, "failover")
    return parser.parse_args()


def play(every: list[grid.Cell], seed: int, end_s: float) -> tuple[list[tuple[grid.Cell, list[dict]]], list[str]]:
    """All blocks, in turn: (results, what went wrong). end_s: what has not begun by then, by the monotonic clock, is
    not played any more, and that is said."""
    dice = random.Random(seed)
    results: dict[grid.Cell, list[dict]] = {cell: [] for cell in every}
    spreads = {cell: trial.phases(dice.random()) for cell in every}
    troubles: list[str] = []
    canaries = Canaries()
    try:
        for cell, count in grid.blocks(every):
            if time.monotonic() > end_s:
                troubles.append(f"{cell.name}: {count} trials not played, the time is up")
                print(f"*** {troubles[-1]}", file=sys.stderr)
                continue
            _block(cell, count, results[cell], troubles, canaries, dice, spreads[cell], end_s)
    finally:
        canaries.close()
    return list(results.items()), troubles


def _block(
    cell: grid.Cell, count: int, found: list[dict], troubles: list[str], canaries: Canaries, dice: random.Random,
    spread: Iterator[float], end_s: float,
) -> None:  # fmt: skip
    began = time.monotonic()
    moves = len(SYSTEMS[cell.system].moves()) + 1 if cell.kind == grid.PLANNED else 1
    left = count
    for _ in range(TRIES):
        played: list[dict] = []
        try:
            with staged(SYSTEMS[cell.system], cell.setting, canaries) as stage:
                for each in trial.play(stage, cell, left, dice, spread):
                    played.append(each)
                    found.append(each)
                    if each.get("void"):
                        took = f"the failure took {each['still_answered_ms']:.0f} ms"
                        troubles.append(f"{cell.name}: {took}, and the trial is not counted")
        except (OSError, TimeoutError) as error:
            troubles.append(f"{cell.name}: {error}")
            print(f"*** {troubles[-1]}", file=sys.stderr)
            left -= len(played) // moves
            if left > 0 and time.monotonic() < end_s:
                continue
        break
    print(f"{cell.name}: {count} trials in {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
