"""What does a node do that did not run for longer than its lease? See docs/decisions/stalled-node.md."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

from bench.decisions.pair import Pair, figures, instead, table
from heartbeat.core import cluster
from heartbeat.core.lease import LAPSED, RUNNING, Lease
from heartbeat.core.membership import Membership
from heartbeat.core.settings import MILLISECOND
from heartbeat.sim.medium import Quality

FIRST_PLAN_NS = 500 * MILLISECOND


class ServesOn(Lease):
    """As if nothing had been."""

    def lapse(self, why: str) -> None:
        if self.state == LAPSED or not self._keys or self._resources.other.peer is None:
            return
        self.enter(LAPSED)
        self.refresh()
        self._membership.beat(self._outbox.now)
        self.enter(RUNNING)
        self.refresh()


class ServesSoon(Lease):
    """Asks, and serves on where nobody has answered for 500 ms."""

    def lapse(self, why: str) -> None:
        before = self.state
        super().lapse(why)
        if before == RUNNING and self.state == LAPSED:
            self._timers.arm(self._timer, self._outbox.now + FIRST_PLAN_NS)

    def _unanswered(self, now: int) -> None:
        self.resume("nobody answers")


class Hasty(Membership):
    """A node that was late gives its peer two keepalives to be heard."""

    def postpone(self, now: int) -> None:
        for peer in self.peers.values():
            if peer.alive and peer.heard:
                until = max(now + 2 * self.settings.keepalive_ns, peer.last_status_ns + peer.deadtime_ns)
                self._timers.arm(peer.timer, until)


RULES: dict[str, type[Lease]] = {
    "serves on at once": ServesOn,
    "asks, serves on after 500 ms": ServesSoon,
    "asks, silent for two keepalives": Lease,
    "asks, silent for a deadtime (in force)": Lease,
}


def wake(play: Pair, *, buffered: bool = False) -> None:
    """buffered: what the peer has said meanwhile waits in the sockets, as where the daemon alone was stopped; where
    the whole machine was, nothing does."""
    node = play.node("julius")
    if not buffered:
        node._waiting_frames.clear()
    node.resume()


def clean(play: Pair, deadtime_s: float) -> None:
    wake(play)


def stopped(play: Pair, deadtime_s: float) -> None:
    wake(play, buffered=True)


def lossy(loss: float) -> Callable[[Pair, float], None]:
    def waking(play: Pair, deadtime_s: float) -> None:
        play.quality(Quality(loss=loss))
        wake(play)
        play.run(2 * deadtime_s)
        play.quality(None)

    return waking


def cut(play: Pair, deadtime_s: float) -> None:
    play.cut()
    wake(play)
    play.run(0.7 * deadtime_s)
    play.heal()


WAKES: dict[str, Any] = {
    "clean, daemon stopped": stopped,
    "clean": clean,
    "30 % lost": lossy(0.3),
    "50 % lost": lossy(0.5),
    "cut for 0.7 deadtime": cut,
    "peer died meanwhile": clean,
}


def live(seed: int, medium: str) -> tuple[float, float]:
    """Seconds with two holders; seconds with none after waking."""
    random = Random(f"{seed} stalled")
    deadtime_s = 10 ** random.uniform(-0.3, 1.2)  # 0.5 to 15
    stall_s = deadtime_s * random.uniform(0.9, 3)
    play = Pair(
        keepalive_s=deadtime_s / 5, deadtime_s=deadtime_s, warntime_s=deadtime_s / 2, initdead_s=2 * deadtime_s,
        seed=seed,
    )  # fmt: skip
    play.settle()
    play.run(random.uniform(0, deadtime_s))
    play.watch.begin()
    if medium == "peer died meanwhile":
        play.power_off("caesar")
    play.node("julius").pause()
    play.run(stall_s)
    silent_s = play.none_s
    WAKES[medium](play, deadtime_s)
    play.run(4 * deadtime_s + 2)
    return play.two_s, play.none_s - silent_s


def run(lives: int) -> str:
    rows = []
    for medium in WAKES:
        for text, rule in RULES.items():
            membership = Membership if "deadtime" in text else Hasty
            with instead((cluster, "Lease", rule), (cluster, "Membership", membership)):
                told = [live(seed, medium) for seed in range(lives)]
            rows.append((medium, text, figures([two for two, _ in told], 3), figures([none for _, none in told], 3)))
    return table(("medium at the waking", "rule", "two holders, s", "none after waking, s"), rows)
