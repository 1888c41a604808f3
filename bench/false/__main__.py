"""python -m bench.false [--minutes M] [--quick] [--json FILE]

Take-overs that nothing called for, of all pairs at the same time; the record, and the page (bench/command.py). Exit
code 1 where a bar is missed, could not be judged, or the run is void. A run that is shorter than is demanded writes
nothing but with --json.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from bench import command, tables
from bench.failover import bars
from bench.false import count, report
from bench.false.count import Count
from bench.rivals import instruments
from bench.rivals.instruments import Canaries
from bench.rivals.stage import Stage, end_whole
from bench.rivals.systems import ADDRESS, NODES, SYSTEMS, Setting
from heartbeat.demo.clock import SECOND, now_ns
from heartbeat.demo.world import World

QUICK_MINUTES, IDLE_PART = 0.5, 0.2
# for all pairs to be ready, and after that; who is looked at last must have time to show it
BOOT_S, CALM_S = 40.0, 3.0
LAST_LOOK_NS = 3 * SECOND
NORMAL, FAST = Setting(100, 500), Setting(10, 30)


@dataclass(frozen=True)
class Pair:
    """label: as the table says."""

    label: str
    system: str
    setting: Setting

    @property
    def times(self) -> str:
        return "advbase 1 s" if self.system == "ucarp" else self.setting.name


PAIRS = (
    *(Pair("ours", "ours", each) for each in (NORMAL, FAST)),
    *(Pair("ours ordinary", "ours", replace(each, realtime=False)) for each in (NORMAL, FAST)),
    *(Pair(name, name, each) for name in ("keepalived", "keepalived ordinary") for each in (NORMAL, FAST)),
    # at 10/30 ms it takes half a processor, which all the others would miss
    Pair("heartbeat", "heartbeat", NORMAL),
    Pair("ucarp", "ucarp", NORMAL),
)


def main() -> int:
    options = arguments()
    end_whole()
    playing = command.Run("false")
    names = list(dict.fromkeys(each.system for each in PAIRS))
    unavailable = {name: reason for name in names if (reason := SYSTEMS[name].obstacle())}
    for name, reason in unavailable.items():
        print(f"*** NOT JUDGED: {name} cannot be had here: {reason}", file=sys.stderr)
    minutes = QUICK_MINUTES if options.quick else options.minutes
    began_ns = now_ns()
    counts, stalls, troubles = run([each for each in PAIRS if each.system not in unavailable], minutes)
    judged = count.judge(counts)
    about = playing.about(quick=options.quick) | {
        "versions": {name: SYSTEMS[name].version() for name in names if name not in unavailable},
        "unavailable": unavailable,
        "troubles": troubles,
    }
    made = report.record(counts, judged, stalls, began_ns, about)
    print(report.table(made), *report.said(made), "", tables.bar_lines(made["bars"]), sep="\n")
    short = minutes < count.MINUTES and not options.quick
    path = command.target("false", quick=options.quick, part=short, given=options.json)
    if path is not None:
        command.write(path, made)
    return 1 if count.void(counts) or bars.missed(judged) else 0


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.false", description=__doc__.partition("\n\n")[2])
    parser.add_argument("--minutes", type=float, default=float(count.MINUTES), metavar="M", help="under the hogs")
    parser.add_argument("--quick", action="store_true", help="half a minute")
    command.add_json(parser, "false")
    return parser.parse_args()


def run(pairs: Sequence[Pair], minutes: float) -> tuple[list[Count], list[instruments.Stall], list[str]]:
    """(a count for each pair and load, the canaries' delays while they were counted, what was wrong before)."""
    counts: list[Count] = []
    troubles: list[str] = []
    stalls: list[instruments.Stall] = []
    with contextlib.ExitStack() as closing:
        canaries = Canaries()
        closing.callback(canaries.close)
        stages = [(pair, _stage(pair, closing)) for pair in pairs]
        for load, seconds in ((count.IDLE, minutes * IDLE_PART * 60), (count.HOGS, minutes * 60)):
            troubles += [f"before {load}: {each}" for each in _up(stages)]
            found, delays = _phase(stages, load, seconds, canaries)
            counts += found
            stalls += delays
    return counts, stalls, troubles


def _up(stages: Sequence[tuple[Pair, Stage]]) -> list[str]:
    """All at the same time, the slowest first; one that isn't ready in time goes on as it is. What is wrong."""
    for _, stage in sorted(stages, key=lambda each: -each[1].system.boot_s):
        stage.start()
    troubles = []
    end_ns = now_ns() + round(BOOT_S * SECOND)
    for pair, stage in stages:
        try:
            stage.settle(max(end_ns, now_ns() + LAST_LOOK_NS))
        except TimeoutError as error:
            troubles.append(f"{pair.label}: {error}")
            print(f"*** {troubles[-1]}", file=sys.stderr)
    time.sleep(CALM_S)
    return troubles


def _stage(pair: Pair, closing: contextlib.ExitStack) -> Stage:
    world = closing.enter_context(World())
    stage = Stage(world, SYSTEMS[pair.system], pair.setting, None, client=False)
    closing.callback(stage.close)
    return stage


def _phase(
    stages: Sequence[tuple[Pair, Stage]], load: str, seconds: float, canaries: Canaries
) -> tuple[list[Count], list[instruments.Stall]]:
    holders = [[NODES[number] for number in stage.holders()] for _, stage in stages]
    folder = stages[0][1].world.folder
    begin_ns = now_ns()
    with instruments.load(load, folder):
        time.sleep(seconds)
    until_ns = now_ns()
    stalls = canaries.stalls(begin_ns - instruments.NEAR_NS, until_ns)
    found = []
    for (pair, stage), had in zip(stages, holders, strict=True):
        changes = [(each.at_ns, each.machine, each.added) for each in stage.world.observer.since(begin_ns)
                   if each.address == ADDRESS and each.at_ns <= until_ns]  # fmt: skip
        kept, aside = count.sort(count.takeovers(changes, had), stalls)
        made = Count(pair.label, pair.times, load, (until_ns - begin_ns) / 1e9, kept, aside)
        if len(had) != 1:
            made.trouble = f"{len(had)} held at the beginning"
        elif not stage.nodes[0].running or not stage.nodes[1].running:
            made.trouble = "a daemon has ended"
        elif (hold := len(stage.holders())) != 1:
            made.trouble = f"{hold} hold at the end"
        found.append(made)
    return found, stalls


if __name__ == "__main__":
    sys.exit(main())
