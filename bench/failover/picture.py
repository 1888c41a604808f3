"""The distribution of the outage, a curve for each system: which part of the failures the client had survived after so
many milliseconds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bench.failover import bars, figures
from bench.failover.grid import FAST, HOGS, IDLE, NORMAL, POWER
from bench.rivals.systems import Setting

PANELS = ((NORMAL, IDLE), (NORMAL, HOGS), (FAST, IDLE), (FAST, HOGS))
COLOURS = {
    "ours": "C0", "heartbeat": "C1", "keepalived": "C2", "keepalived 254": "C8", "keepalived ordinary": "C7",
    "ucarp": "C3",
}  # fmt: skip
TITLES = {
    NORMAL: "100/500 ms, advert_int 0.1 s, advbase 1 s",
    FAST: "10/30 ms, advert_int 0.01 s",
}
# of the wide axis, whose systems are as far apart as 0.3 s and 7 s
TICKS_MS = (200, 300, 500, 1000, 2000, 3000, 5000, 10000)

Record = Mapping[str, Any]


def draw(record: Record, pyplot: Any) -> Any:
    found = panels(record)
    down = (len(found) + 1) // 2
    figure, axes = pyplot.subplots(down, 2, figsize=(10, 3.5 * down), squeeze=False, layout="constrained")
    labels = {}
    for axis, (setting, load, systems) in zip(axes.flat, found, strict=False):
        for system, values in systems:
            across, up = figures.distribution(values)
            (line,) = axis.step([across[0], *across], [0, *up], where="post", color=COLOURS.get(system))
            labels[system] = line
        if setting == NORMAL:
            axis.set_xscale("log")
            axis.set_xticks(TICKS_MS, [f"{each:,}" for each in TICKS_MS])
            axis.minorticks_off()
        else:
            axis.set_xlim(left=0)
        axis.set(xlabel="outage, ms", ylabel="part of the power failures", title=f"{TITLES[setting]}, {load}")
        axis.grid(visible=True, alpha=0.3)
    for axis in axes.flat[len(found) :]:
        axis.remove()
    figure.legend(list(labels.values()), list(labels), loc="outside upper center", ncols=len(labels), frameon=False)
    return figure


def panels(record: Record) -> list[tuple[Setting, str, list[tuple[str, Sequence[float]]]]]:
    """Those of PANELS that there is something for."""
    return [(*each, found) for each in PANELS if (found := curves(record, *each))]


def curves(record: Record, setting: Setting, load: str) -> list[tuple[str, Sequence[float]]]:
    """(system, its outages) of each in this panel: beside each other is who was compared, those of one group, that took
    turns."""
    wanted = {"keepalive_ms": setting.keepalive_ms, "deadtime_ms": setting.deadtime_ms, "load": load, "kind": POWER}
    return [
        (cell["system"], outages)
        for cell in record["cells"]
        if cell["group"] in (f"all {load}", f"fast {load}")
        and all(cell[name] == value for name, value in wanted.items())
        and (outages := bars.values(cell["trials"], "outage_ms"))
    ]
