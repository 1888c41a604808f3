"""`heartbeat simulate`: many lives, on all processors, and what they have shown.

`--lives N` alone lives N lives of drawn configurations under drawn faults, of the seeds SEED, SEED + 1 and so on.
`--years Y` lives the operator's own files for so long, in as many lives as are asked for or else one for each month.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import time
from dataclasses import dataclass, fields

from heartbeat.config import ConfigError
from heartbeat.sim import life, options, report, shrink, years
from heartbeat.sim.report import Summary
from heartbeat.sim.years import Circumstances

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from heartbeat.sim.life import Outcome

FAILED, OK, USAGE = 1, 0, 2
FAILURES_SHOWN = 5
# A shortest list of faults is sought for the first failure alone, in so many lives.
SHRINK_LIVES = 150

USUAL = Circumstances()
CIRCUMSTANCES = tuple(f"--{each.name.replace('_', '-')}" for each in fields(Circumstances))
VALUED = ("--years", "--lives", "--seed", *CIRCUMSTANCES)


@dataclass(frozen=True)
class Task:
    """One life: of the swarm, where directory is empty; else of the operator's files, for so long."""

    seed: int
    directory: str = ""
    duration_ns: int = 0
    circumstances: Circumstances = USUAL

    def live(self) -> Outcome:
        if not self.directory:
            return life.run(self.seed)
        drawn = years.options(self.directory, self.seed, self.duration_ns, self.circumstances)
        return life.run(self.seed, years.draw(drawn, self.circumstances), options=drawn)

    def again(self) -> str:
        """The command that lives it again."""
        if not self.directory:
            return f"heartbeat simulate --lives 1 --seed {self.seed}"
        words = "".join(
            f" --{each.name.replace('_', '-')} {getattr(self.circumstances, each.name)!r}"
            for each in fields(Circumstances)
            if getattr(self.circumstances, each.name) != getattr(USUAL, each.name)
        )
        share = self.duration_ns / years.YEAR_NS
        return f"heartbeat simulate --config-dir {self.directory} --years {share!r} --lives 1 --seed {self.seed}{words}"


def main(tasks: list[Task], write: Callable[[str], object]) -> int:
    """Live them all, and tell. Exit code."""
    try:
        heading = _heading(tasks)
    except ConfigError as error:
        for line in error.errors:
            print(line, file=sys.stderr)
        return FAILED
    except ValueError as error:
        print(f"heartbeat: {error}", file=sys.stderr)
        return FAILED
    report.show(write, heading)
    summary = Summary()
    began = time.monotonic()
    for task, outcome in zip(tasks, _outcomes(tasks), strict=True):
        summary.add(outcome)
        _progress(summary.lives, len(tasks))
        if not outcome.good and summary.failed <= FAILURES_SHOWN:
            first = summary.failed == 1
            shortest = shrink.shrink(outcome, most=SHRINK_LIVES)[0] if first else None
            report.show(write, report.failure(outcome, task.again(), shortest))
    report.show(write, summary.lines())
    if tasks[0].directory:
        report.show(write, summary.service())
    report.show(write, [summary.verdict(time.monotonic() - began)])
    return FAILED if summary.failed else OK


def _number(flags: dict[str, str], name: str, least: float, most: float) -> float | None:
    """ValueError."""
    if name not in flags:
        return None
    try:
        value = float(flags[name])
    except ValueError:
        value = -1.0
    if not least <= value <= most:
        raise ValueError(f"{name} takes a number from {least:g} to {most:g}")
    return value


def _whole(flags: dict[str, str], name: str, least: int, most: int) -> int | None:
    """ValueError."""
    value = flags.get(name)
    if value is None:
        return None
    if not (value.isascii() and value.isdigit() and least <= int(value) <= most):
        raise ValueError(f"{name} takes a whole number from {least} to {most}")
    return int(value)


def tasks_of(flags: dict[str, str], directory: str) -> list[Task]:
    """flags: option → value, of VALUED. ValueError: one that makes no sense."""
    lives = _whole(flags, "--lives", 1, 10_000_000)
    seed = _whole(flags, "--seed", 0, 1 << 63) or 0
    length = _number(flags, "--years", 1e-6, 10_000)
    expected = {}
    for name, each in zip(CIRCUMSTANCES, fields(Circumstances), strict=True):
        value = _number(flags, name, 0.0, 1.0 if each.name in ("loss", "noise") else 1e6)
        if value is not None:
            expected[each.name] = value
    if length is None and lives is not None:
        if expected:
            raise ValueError("what troubles the operator's own pair goes with --years")
        return [Task(seed + number) for number in range(lives)]
    circumstances = Circumstances(**expected)
    shares = years.shares(1.0 if length is None else length, lives, seed)
    return [Task(each, directory, duration_ns, circumstances) for each, duration_ns in shares]


def _heading(tasks: list[Task]) -> list[str]:
    """What is about to be lived. ConfigError, ValueError."""
    first = tasks[0]
    if not first.directory:
        drawn = options.draw(first.seed)
        return [
            f"{len(tasks)} lives of drawn pairs, seeds from {first.seed}; the first is:",
            *_indented(drawn.describe()),
        ]
    pair = years.options(first.directory, first.seed, first.duration_ns, first.circumstances)
    total = report.duration(sum(task.duration_ns for task in tasks))
    return [
        f"{first.directory} for {total}, in {len(tasks)} lives, seeds from {first.seed}:",
        *_indented(pair.describe()),
        f"  a year, of each node or medium: {first.circumstances.describe()}",
    ]


def _progress(lived: int, lives: int) -> None:
    """For who waits at a terminal."""
    if sys.stderr.isatty():
        end = "\r" if lived < lives else "\r\033[K"
        print(f"{lived} of {lives} lives", end=end, file=sys.stderr, flush=True)


def _indented(lines: list[str]) -> list[str]:
    return [f"  {line}" for line in lines]


def _live(task: Task) -> Outcome:
    """In a worker. What nobody will print stays there."""
    outcome = task.live()
    if outcome.good:
        outcome.lines = []
        outcome.faults = []
    return outcome


def _outcomes(tasks: list[Task]) -> Iterator[Outcome]:
    """In the order of the tasks, whoever is ready first."""
    workers = min(len(tasks), len(os.sched_getaffinity(0)))
    if workers == 1:
        yield from map(_live, tasks)
        return
    with multiprocessing.Pool(workers) as pool:
        yield from pool.imap(_live, tasks, chunksize=1)
