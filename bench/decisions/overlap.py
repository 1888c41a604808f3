"""Is what is handed over made before it is broken, and what does a line that loses much cost then? See
docs/decisions/make-before-break.md."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bench.decisions.pair import ADDRESS, ONE_GROUP, Pair, instead, mean, table
from heartbeat.core.overlap import Overlap
from heartbeat.core.settings import MILLISECOND
from heartbeat.sim.medium import Quality

if TYPE_CHECKING:
    from collections.abc import Iterable

    from heartbeat.core.group import GroupMachine

LOSSES = (0.0, 0.05, 0.1, 0.2)
MEDIA = {"Ethernet, 1 ms": "eth0", "serial, 115200 baud": "/dev/ttyS0"}
# of a frame: a serial line loses as many where the like part of its octets is damaged
OCTETS = 300


def none(self: Overlap, machines: Iterable[GroupMachine]) -> list[GroupMachine]:
    return []


RULES: dict[str, tuple[tuple[Any, str, Any], ...]] = {
    "released, then taken": ((Overlap, "may_cede", none),),
    "made, then released (in force)": (),
}


def live(seed: int, medium: str, loss: float) -> tuple[float, float]:
    """Of one hand-over, milliseconds: how long nobody answered, and how long both did."""
    play = Pair(
        keepalive_s=0.5, deadtime_s=4, warntime_s=2, initdead_s=8, seed=seed, media=(medium,), baud=115200,
        groups=ONE_GROUP,
    )  # fmt: skip
    play.settle()
    noise = 1 - (1 - loss) ** (1 / OCTETS)
    play.quality(Quality(noise=noise) if medium.startswith("/") else Quality(loss=loss))
    play.run(seed % 100 / 200)
    play.watch.begin()
    play.node("julius").request("standby", "all")
    play.until(lambda: play.holders(ADDRESS) == ["caesar"], "the hand-over", within_s=60)
    play.run(1)
    return play.watch.none_ns / MILLISECOND, play.watch.two_ns / MILLISECOND


def run(lives: int) -> str:
    rows = []
    for name, medium in MEDIA.items():
        for text, patches in RULES.items():
            with instead(*patches):
                cells = []
                for loss in LOSSES:
                    told = [live(seed, medium, loss) for seed in range(lives)]
                    silences, both = zip(*told, strict=True)
                    cells.append(f"{mean(silences):.1f}, {max(silences):.0f} ({max(both):.0f})")
                rows.append([name, text, *cells])
    return table(["medium", "rule", *(f"{loss:.0%}" for loss in LOSSES)], rows)
