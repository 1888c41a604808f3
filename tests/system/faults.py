"""What befalls daemons, their processes, files and clocks; what an attempt is, and what must hold in each.

An attempt: the pair is up; the fault is played; the pair is up again, by an operator's means if need be; then the audit
says what was between. In every one of them:
* no address is ever answered for by two, but where no medium works both ways, and in a hand-over for as long as that is
  agreed;
* in the end one node answers for all of them, and it is the same.
Faults are counted from 0, so that one with `steps` plays each of them in turn.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass, field

from system.audit import Findings, Interval
from system.play import MILLISECOND, now_ns, until
from system.stage import BAUD, DEADTIME_S, PATIENCE_S, Stage, pause

Figures = dict[str, float]
# three frames of 400 octets, and what the kernel and the instruments count
HAND_OVER_MS = 250 + 3 * 400 * 10_000 / BAUD


@dataclass(frozen=True)
class Fault:
    """play(stage, number): what it measures itself, by name. steps: how many kinds of it there are; two: no medium
    works both ways meanwhile; hand_over: something is moved as planned; stage: the name of the stage it needs."""

    name: str
    play: Callable[[Stage, int], Figures | None]
    steps: int = 1
    two: bool = False
    hand_over: bool = False
    stage: str = "pair"


@dataclass
class Attempt:
    """two_ms, none_ms: the worst interval. excused: when nobody could answer, or nobody could know."""

    two_ms: float = 0.0
    none_ms: float = 0.0
    gap_ms: float = 0.0
    lost: int = 0
    aside: int = 0
    figures: Figures = field(default_factory=dict)
    troubles: list[str] = field(default_factory=list)


FAULTS: dict[str, Fault] = {}


def fault(name: str, **options):
    def keep(play):
        FAULTS[name] = Fault(name, play, **options)
        return play

    return keep


def attempt(stage: Stage, played: Fault, number: int) -> Attempt:
    """TimeoutError: what did not come about."""
    stage.up()
    stage.excused = []
    since_ns = now_ns()
    pause(0.1)
    figures = played.play(stage, number) or {}
    stage.up()
    settled_ns = now_ns()
    pause(0.2)
    holders = stage.audit.holders(settled_ns)
    found = stage.audit.look(since_ns)
    made = Attempt(
        two_ms=_worst(found.two, stage.excused), none_ms=_worst(found.none, stage.excused), gap_ms=found.gap_ms,
        lost=found.lost, aside=len(found.aside), figures=figures,
    )  # fmt: skip
    if played.two:
        made.figures["two while cut, ms"] = found.two_ms
    _judge(made, played, found, holders)
    return made


def _judge(made: Attempt, played: Fault, found: Findings, holders: dict[str, set[str]]) -> None:
    answering = set().union(*holders.values())
    # a machine that stood still proves nothing
    if len(answering) != 1 and not found.stalls:
        made.troubles.append(f"in the end: {holders}")
    if made.two_ms > (HAND_OVER_MS if played.hand_over else 0) and not played.two:
        made.troubles.append(f"two holders for {made.two_ms:.1f} ms")


def _worst(found: list[Interval], excused: list[tuple[int, int]]) -> float:
    """ms; of an interval that began while it was excused, what lies behind that."""
    worst = 0.0
    for each in found:
        ends = (end for begin, end in excused if begin <= each.end_ns and each.begin_ns <= end)
        begin_ns = max([each.begin_ns, *ends])
        worst = max(worst, (each.end_ns - begin_ns) / MILLISECOND)
    return worst


@contextlib.contextmanager
def excused(stage: Stage):
    """Meanwhile nobody can answer, or nobody can know who does."""
    begin_ns = now_ns()
    try:
        yield
    finally:
        stage.excused.append((begin_ns, now_ns()))


# --- processes


@fault("kill -9 of the holder's daemon")
def kill_holder(stage: Stage, number: int) -> None:
    _at_any_instant(stage)
    victim = stage.holding()
    stage.kill(victim)
    stage.taken_over(stage.peer(victim))
    pause(DEADTIME_S)


@fault("kill -9 of the standby's daemon")
def kill_standby(stage: Stage, number: int) -> None:
    _at_any_instant(stage)
    stage.kill(stage.standing_by())
    pause(2 * DEADTIME_S)


@fault("kill -9 of the holder's daemon, started again at once")
def restart(stage: Stage, number: int) -> None:
    _at_any_instant(stage)
    victim = stage.holding()
    stage.kill(victim)
    stage.start(victim)
    pause(2 * DEADTIME_S)


@fault("kill -9, started again, SIGTERM at once", hand_over=True)
def crash_and_stop(stage: Stage, number: int) -> Figures:
    victim = stage.holding()
    stage.kill(victim)
    stage.start(victim)
    until(lambda: victim.pid_of(victim.daemon), PATIENCE_S, "the new process")
    pause(stage.dice.random() * 0.3)
    # before it can take signals, or after
    victim.signal_daemon(signal.SIGTERM)
    victim.daemon.wait(PATIENCE_S)
    victim.daemon = None
    stage.taken_over(stage.peer(victim))
    pause(2 * DEADTIME_S)
    return {"addresses left behind": stage.held()[victim.name]}


@fault("power failure of the holder")
def power_failure(stage: Stage, number: int) -> None:
    _at_any_instant(stage)
    victim = stage.holding()
    stage.world.power_off(victim)
    victim.daemon = None
    stage.taken_over(stage.peer(victim))


# of deadtime
PARTS = [part / 4 for part in range(2, 13)]


def _stop(stage: Stage, node, number: int) -> None:
    _at_any_instant(stage)
    os.kill(stage.pid(node), signal.SIGSTOP)
    try:
        pause(PARTS[number % len(PARTS)] * DEADTIME_S)
    finally:
        node.signal_daemon(signal.SIGCONT)
    pause(2 * DEADTIME_S)


@fault("SIGSTOP of the holder's daemon, 0.5 to 3 deadtimes", steps=len(PARTS))
def stop_holder(stage: Stage, number: int) -> None:
    _stop(stage, stage.holding(), number)


@fault("SIGSTOP of the standby's daemon, 0.5 to 3 deadtimes", steps=len(PARTS))
def stop_standby(stage: Stage, number: int) -> None:
    _stop(stage, stage.standing_by(), number)


def _at_any_instant(stage: Stage) -> None:
    """Somewhere between two heartbeats."""
    pause(stage.dice.random() * 0.2)
