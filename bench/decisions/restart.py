"""How long to wait for a peer that announced a restart? See docs/decisions/announced-restart.md."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

from bench.decisions.pair import ADDRESS, Pair, instead, mean, table
from heartbeat.core import cluster
from heartbeat.core.membership import Membership
from heartbeat.core.peer import Peer
from heartbeat.core.settings import SECOND

if TYPE_CHECKING:
    from collections.abc import Callable

RESTARTS_S = (0.02, 0.1, 0.5, 1.0, 2.0, 5.0)
DEADTIMES_S = (0.1, 0.5, 2.0, 15.0)
WAIT_NS = 5 * SECOND


class Waits(Membership):
    """A peer that falls silent has announced it: it gets 5 s more."""

    waited = False

    def _silent(self, now: int, peer: Peer) -> None:
        if self.waited or not peer.heard:
            super()._silent(now, peer)
            return
        self.waited = True
        self._timers.arm(peer.timer, now + WAIT_NS)


def pair(seed: int, deadtime_s: float) -> tuple[Pair, Random]:
    random = Random(f"{seed} restart")
    play = Pair(
        keepalive_s=deadtime_s / 5, deadtime_s=deadtime_s, warntime_s=deadtime_s / 2, initdead_s=2 * deadtime_s,
        delay_s=0.0002, seed=seed,
    )  # fmt: skip
    play.settle()
    play.run(random.uniform(0, deadtime_s))
    play.watch.begin()
    return play, random


def crash(seed: int, deadtime_s: float, restart_s: float) -> tuple[float, int]:
    """Killed, and started again after restart_s. (seconds without a holder, moves)"""
    play, _ = pair(seed, deadtime_s)
    play.kill("julius", restart_s=restart_s)
    play.run(restart_s + 4 * deadtime_s + 6)
    return play.none_s, play.watch.moves


def there_and_back(seed: int, deadtime_s: float, restart_s: float) -> tuple[float, int]:
    """Stopped, which hands over; started after restart_s, and given the address back."""
    play, _ = pair(seed, deadtime_s)
    play.stop("julius")
    play.run(restart_s)
    play.boot("julius")
    play.until_stable()
    play.ask("julius", "takeover")
    play.until(lambda: play.holders(ADDRESS) == ["julius"], "the hand-over back")
    play.run(deadtime_s)
    return play.none_s, play.watch.moves


def run(lives: int) -> str:
    ways: dict[str, tuple[Callable[[int, float, float], tuple[float, int]], type[Membership]]] = {
        "killed, restarts (in force)": (crash, Membership),
        "announced, waits 5 s more": (crash, Waits),
        "stop, and take back (in force)": (there_and_back, Membership),
    }
    rows = []
    for deadtime_s in DEADTIMES_S:
        for text, (live, membership) in ways.items():
            cells = []
            for restart_s in RESTARTS_S:
                with instead((cluster, "Membership", membership)):
                    told = [live(seed, deadtime_s, restart_s) for seed in range(lives)]
                silent_ms = mean([silent for silent, _ in told]) * 1000
                cells.append(f"{silent_ms:.1f} ({mean([float(moves) for _, moves in told]):.1f})")
            rows.append((f"{deadtime_s:g}", text, *cells))
    head = ("deadtime, s", "rule", *(f"{restart_s:g} s" for restart_s in RESTARTS_S))
    return table(head, rows)
