"""Who is tried, and in which order.

A cell is a system with a setting under a load: so many power failures, or planned moves. Each thing is varied alone,
from 100/500 ms on ucast, idle. Cells that are compared with each other make a group, and the trials of a group take
turns: a block of one cell, a block of the next, and around again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from bench.rivals.systems import Setting

OURS, HEARTBEAT, KEEPALIVED, HIGHEST, ORDINARY, TRACKED, UCARP = (
    "ours", "heartbeat", "keepalived", "keepalived 254", "keepalived ordinary", "keepalived preempt", "ucarp",
)  # fmt: skip
POWER, PLANNED, MANY = "power failure", "planned", "1,000 addresses"
STOP = "stop"  # one of the planned moves, which every system has
NORMAL, FAST = Setting(100, 500), Setting(10, 30)
IDLE, HOGS, FEW_HOGS, CHURN = "idle", "16 hogs", "2 hogs", "churn"
OTHERS = (Setting(1000, 5000), Setting(50, 200), Setting(20, 100), Setting(10, 50), FAST)
MANY_ADDRESSES = 1000
BLOCK = 5


@dataclass(frozen=True)
class Cell:
    """n: trials; of PLANNED: of each move that the system has. group: with which others it takes turns."""

    group: str
    system: str
    setting: Setting = NORMAL
    load: str = IDLE
    kind: str = POWER
    n: int = 5

    @property
    def name(self) -> str:
        return f"{self.system}, {column(self)}"


def column(cell: Cell) -> str:
    """What the cell is but for the system: "100/500 ms ucast idle"."""
    setting = cell.setting
    # what each calls it
    times = {UCARP: "advbase 1 s"}.get(cell.system, setting.name)
    if cell.system.startswith("keepalived"):
        times = f"advert_int {setting.keepalive_ms / 1000:g} s"
    media = "+".join(setting.media) if cell.system in (OURS, HEARTBEAT) else "multicast"
    if "serial" in setting.media:
        media += f" {setting.baud}"
    more = f", {setting.addresses} IPv4" if setting.addresses > 1 else ""
    more += f", {setting.version_6} IPv6" if setting.version_6 else ""
    return f"{times} {media} {cell.load}{more}"


def cells(*, quick: bool = False) -> list[Cell]:
    return _quick() if quick else _whole()


def _whole() -> list[Cell]:
    found = []
    for load in (IDLE, HOGS):
        everybody = (OURS, HEARTBEAT, KEEPALIVED, UCARP)
        found += [Cell(f"all {load}", each, load=load, n=15) for each in everybody]
        found += [Cell(f"fast {load}", each, FAST, load, n=15) for each in (OURS, KEEPALIVED, HIGHEST, ORDINARY)]
    for setting in OTHERS:
        # at 10/30 ours has been
        found += [Cell("settings", each, setting) for each in (OURS, HEARTBEAT) if (each, setting) != (OURS, FAST)]
    slow = replace(NORMAL, media=("serial",))
    for setting in (slow, replace(slow, keepalive_ms=20, deadtime_ms=100), replace(NORMAL, media=("serial", "ucast"))):
        found += [Cell("media", each, setting) for each in (OURS, HEARTBEAT)]
    for load in (FEW_HOGS, CHURN):
        found += [Cell("loads", each, load=load) for each in (OURS, HEARTBEAT)]
    found += [Cell("planned", OURS, kind=PLANNED, n=30), Cell("planned", HEARTBEAT, kind=PLANNED, n=10)]
    found += [Cell("planned", each, kind=PLANNED, n=10) for each in (KEEPALIVED, TRACKED)]
    found += [Cell("planned", UCARP, kind=PLANNED, n=5), Cell("planned", OURS, slow, kind=PLANNED)]
    found += [Cell("many", OURS, each, kind=MANY) for each in _many()]
    return found


def _quick() -> list[Cell]:
    found = [Cell("all idle", each, n=3) for each in (OURS, HEARTBEAT, KEEPALIVED, UCARP)]
    found += [Cell("all 16 hogs", each, load=HOGS, n=2) for each in (OURS, HEARTBEAT)]
    found += [Cell(f"fast {IDLE}", each, FAST, n=3) for each in (OURS, KEEPALIVED, HIGHEST)]
    found += [Cell(f"fast {HOGS}", each, FAST, HOGS, n=3) for each in (OURS, KEEPALIVED)]
    found += [Cell("planned", OURS, kind=PLANNED, n=3), Cell("planned", HEARTBEAT, kind=PLANNED, n=2)]
    found += [Cell("many", OURS, _many()[0], kind=MANY, n=1)]
    return found


def _many() -> tuple[Setting, Setting]:
    return replace(FAST, addresses=MANY_ADDRESSES), replace(FAST, version_6=MANY_ADDRESSES)


def chosen(every: Sequence[Cell], systems: Sequence[str], settings: Sequence[str]) -> list[Cell]:
    """Of these systems, with these times ("100/500"); nothing named means all."""
    return [
        each for each in every
        if (not systems or each.system in systems)
        and (not settings or each.setting.name.removesuffix(" ms") in settings)
    ]  # fmt: skip


def blocks(every: Sequence[Cell], size: int = BLOCK) -> Iterator[tuple[Cell, int]]:
    """(cell, how many of its trials now): group by group, in each all cells in turn until all have had theirs."""
    for group in dict.fromkeys(each.group for each in every):
        left = {each: each.n for each in every if each.group == group}
        while any(left.values()):
            for cell, remaining in left.items():
                count = min(size, remaining)
                left[cell] -= count
                if count:
                    yield cell, count
