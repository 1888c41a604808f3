"""Which of what a line has lost is asked for again, and how often? See docs/decisions/retransmission.md."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bench.decisions.pair import ADDRESS, Pair, instead, mean, table
from heartbeat.core import cluster, membership, sequence
from heartbeat.core.retransmit import Retransmit
from heartbeat.core.settings import SECOND
from heartbeat.sim.medium import Quality

if TYPE_CHECKING:
    from _hbfast.codec import Message
    from heartbeat.core.bulletin import Bulletin
    from heartbeat.core.peer import Peer

LINE = "/dev/ttyS0"
BAUD = 19200
NOISES = (0.0, 3e-4, 1e-3, 3e-3)
NOISY_S = 300.0


class AsksForAll(Retransmit):
    """Statuses too."""

    def judge(self, peer: Peer, message: Message, seen: Bulletin | None) -> int:
        return super().judge(peer, message, None)


class Insists(sequence.Tracker):
    """A request is repeated every max_rexmit_delay until it is answered."""

    def asks(self, now: int, repeat_ns: int, limit: int) -> tuple[list[int], list[int]]:
        due = sorted(number for number, at in self.missing.items() if at <= now)[:limit]
        for number in due:
            self.missing[number] = now + repeat_ns
            self._asked[number] = 1
        return due, []


RULES: dict[str, tuple[tuple[Any, str, Any], ...]] = {
    "all, every 250 ms until answered": ((cluster, "Retransmit", AsksForAll), (membership, "Tracker", Insists)),
    "all, backing off, six times": ((cluster, "Retransmit", AsksForAll),),
    "no statuses, backing off (in force)": (),
}


def live(seed: int, noise: float) -> tuple[float, float, int]:
    """(the line's use, 0 to 1, of the busier direction; seconds from a hand-over's command to the other's address
    up; false deaths), for five minutes of noise with a hand-over in the midst."""
    play = Pair(
        keepalive_s=0.5, deadtime_s=4, warntime_s=2, initdead_s=8, seed=seed, media=(LINE,), baud=BAUD,
        groups={"julius": ADDRESS},
    )  # fmt: skip
    play.settle()
    lanes = play.world.lanes[LINE]
    before = [lane.octets for lane in lanes]
    began = play.world.now
    play.quality(Quality(noise=noise))
    play.run(NOISY_S / 2)
    holder = (play.holders(ADDRESS) or ["julius"])[0]
    asked = play.world.now
    play.node(holder).request("standby", "all")
    play.until(lambda: play.holders(ADDRESS) not in ([], [holder]), "the hand-over")
    taken_s = (play.world.now - asked) / SECOND
    play.run(NOISY_S / 2)
    octets = max(lane.octets - sent for lane, sent in zip(lanes, before, strict=True))
    use = octets * 10 * SECOND / BAUD / (play.world.now - began)
    deaths = sum("is dead" in line and "node" in line for line in play.lines())
    return use, taken_s, deaths


def run(lives: int) -> str:
    rows = []
    for text, patches in RULES.items():
        with instead(*patches):
            cells = []
            for noise in NOISES:
                told = [live(seed, noise) for seed in range(lives)]
                use, taken_s, deaths = (mean([float(each[index]) for each in told]) for index in range(3))
                cells.append(f"{use:.0%}, {taken_s:.1f} s, {deaths:.1f}")
            rows.append((text, *cells))
    return table(("asked for", *(f"noise {noise:g}" for noise in NOISES)), rows)
