"""When does a fail-back wait, where the preferred node dies again and again? See docs/decisions/flapping.md."""

from __future__ import annotations

from random import Random
from typing import Any

from bench.decisions.pair import Pair, instead, mean, table
from heartbeat.core import flapping, resources
from heartbeat.core.flapping import Flapping
from heartbeat.core.settings import SECOND

PERIODS_MIN = (1, 2, 5, 10)
OFF_S = 10.0  # from a death to the daemon's next start
HOUR_S = 3600.0


class ForEver(Flapping):
    """Until a person gives it back."""

    def died(self, *, left: bool) -> None:
        super().died(left=left)
        if self.until:
            self.until = 1 << 62


class AfterOne(Flapping):
    """Each death makes the fail-back wait."""

    def died(self, *, left: bool) -> None:
        self.until = self._outbox.now + flapping.WINDOW_NS


RULES: dict[str, tuple[tuple[Any, str, Any], ...]] = {
    "gives back at once": ((flapping, "DEATHS", 1 << 30),),
    "1 death: 10 min": ((resources, "Flapping", AfterOne),),
    "3 in 10 min: 10 min (in force)": (),
    "3 in 30 min: 30 min": ((flapping, "WINDOW_NS", 1800 * SECOND),),
    "3 in 10 min: a person": ((resources, "Flapping", ForEver),),
}


def live(seed: int, period_min: int) -> tuple[float, float, float]:
    """(moves, seconds without a holder, minutes of the hour with the preferred node)"""
    random = Random(f"{seed} flapping")
    play = Pair(keepalive_s=1, deadtime_s=5, warntime_s=3, initdead_s=10, auto_failback="on", seed=seed)
    play.settle()
    play.watch.begin()
    began = play.world.now
    while True:
        play.run(60 * period_min * random.uniform(0.8, 1.2))
        if play.world.now - began >= HOUR_S * SECOND:
            break
        play.kill("julius", restart_s=OFF_S)
    hours = (play.world.now - began) / SECOND / HOUR_S
    watch = play.watch
    return watch.moves / hours, play.none_s / hours, watch.by_ns[0] / SECOND / 60 / hours


def once(seed: int) -> float:
    """A single death: minutes until the preferred node has the address back."""
    play = Pair(keepalive_s=1, deadtime_s=5, warntime_s=3, initdead_s=10, auto_failback="on", seed=seed)
    play.settle()
    play.kill("julius", restart_s=OFF_S)
    play.run(HOUR_S)
    return (HOUR_S - play.watch.by_ns[0] / SECOND) / 60


def run(lives: int) -> str:
    rows = []
    for text, patches in RULES.items():
        with instead(*patches):
            cells = []
            for period_min in PERIODS_MIN:
                told = [live(seed, period_min) for seed in range(lives)]
                moves, silent_s, preferred = (mean([each[index] for each in told]) for index in range(3))
                cells.append(f"{moves:.1f}, {silent_s:.0f} s, {preferred:.0f} min")
            rows.append((text, *cells, f"{once(0):.1f} min"))
    head = ("rule", *(f"dies every {period} min" for period in PERIODS_MIN), "away after one death")
    return table(head, rows)
