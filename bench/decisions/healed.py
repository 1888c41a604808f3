"""Who keeps the address after a healed partition, and when does the other let go? See
docs/decisions/healed-partition.md."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

from bench.decisions.pair import ADDRESS, Pair, figures, instead, table
from heartbeat.core import healing, resources
from heartbeat.core.bulletin import KEPT, UNSETTLED
from heartbeat.core.healing import PATIENCE, YIELD_NS, Healing
from heartbeat.core.settings import SECOND
from heartbeat.sim.medium import Quality

if TYPE_CHECKING:
    from heartbeat.core.bulletin import Bulletin
    from heartbeat.core.group import GroupMachine


class AtOnce(Healing):
    """The preferred node keeps it, and the other lets go as soon as it sees that both hold it."""

    patient = False

    def keeps(self, machine: GroupMachine) -> bool:
        return self._resources.local(machine)

    def _resolve_conflicts(self, seen: Bulletin) -> None:
        if 0 < self._deaf < PATIENCE or seen.phase == UNSETTLED:
            return
        yielding = []
        now = self._outbox.now
        for key, machine in self._resources.groups.items():
            label = self._resources.label(machine)
            if not machine.claimed or not seen.contests(label):
                if machine.announced and machine.claimed:
                    machine.announce()
                machine.announced = False
                machine.contested_at = None
            elif self._deaf:
                yielding.append(machine)
            elif self.keeps(machine):
                self._keep(key, machine)
            elif seen.groups[label] == KEPT or not self.patient:
                yielding.append(machine)
            elif machine.contested_at is None:
                machine.contested_at = now
                self._timers.arm(self._timer, now + YIELD_NS)
        self._yield(yielding)


class FormerHolder(AtOnce):
    """Who held it when it lost sight of the other keeps it."""

    patient = True
    had = False

    def forget(self) -> None:
        self.had = any(machine.claimed for machine in self._resources.groups.values())
        super().forget()

    def keeps(self, machine: GroupMachine) -> bool:
        return self.had


class LowerName(AtOnce):
    patient = True

    def keeps(self, machine: GroupMachine) -> bool:
        return self._first


class TellsAgain(Healing):
    """As in force, and who comes out of a partition holding it tells the neighbours, whatever the other claims by
    then: one that was not heard has let go unseen."""

    returned = False

    def forget(self) -> None:
        super().forget()
        self.returned = True

    def look(self, seen: Bulletin) -> None:
        super().look(seen)
        claimed = [machine for machine in self._resources.groups.values() if machine.claimed]
        if self.returned and not any(seen.contests(self._resources.label(machine)) for machine in claimed):
            self.returned = False
            for machine in claimed:
                machine.announce()


RULES: dict[str, type[Healing]] = {
    "preferred node (in force)": Healing,
    "preferred, tells again": TellsAgain,
    "preferred, other at once": AtOnce,
    "who held it before": FormerHolder,
    "lower name": LowerName,
}


def live(seed: int, failback: str, loss: float) -> tuple[float, float, int, bool]:
    """(worst gap of a client in seconds, seconds with two holders after healing, moves of the address afterwards, is
    its holder another than before the partition?)"""
    random = Random(f"{seed} healed")
    deadtime_s = 10 ** random.uniform(-0.3, 1.2)
    preferred = random.choice(("julius", "caesar"))
    play = Pair(
        keepalive_s=deadtime_s / 5, deadtime_s=deadtime_s, warntime_s=deadtime_s / 2, initdead_s=2 * deadtime_s,
        seed=seed, groups={preferred: ADDRESS}, auto_failback=failback,
    )  # fmt: skip
    play.settle()
    if failback == "off" and random.random() < 0.5:
        play.ask(preferred, "standby")
        play.until_stable()
        play.run(deadtime_s)
    before = play.holders(ADDRESS)
    play.cut()
    play.run(deadtime_s * random.uniform(1.5, 4))
    play.quality(Quality(loss=loss))
    play.heal()
    play.watch.begin()
    play.run(2 * deadtime_s + 3)
    play.quality(None)
    play.until_stable()
    play.run(2)
    after = play.holders(ADDRESS)
    return max(play.watch.away_ns) / SECOND, play.two_s, play.watch.moves, before != after


def run(lives: int) -> str:
    rows = []
    for failback in ("off", "on"):
        for loss in (0.0, 0.2):
            for text, rule in RULES.items():
                with instead((healing, "Healing", rule), (resources, "Healing", rule)):
                    told = [live(seed, failback, loss) for seed in range(lives)]
                rows.append((
                    failback, f"{loss:.0%}", text, figures([each[0] * 1000 for each in told], 1),
                    figures([each[1] for each in told], 3), f"{sum(each[2] for each in told) / lives:.2f}",
                    f"{sum(each[3] for each in told) / lives:.0%}",
                ))  # fmt: skip
    head = (
        "auto_failback", "lost", "who keeps it", "client's gap, ms", "two holders, s", "moves", "elsewhere than before"
    )  # fmt: skip
    return table(head, rows)
