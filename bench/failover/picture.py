"""The distribution of the outage, a curve for each system: which part of the failures the client had survived after so
many milliseconds. matplotlib draws it; where it isn't installed there is no picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bench.failover import bars, figures
from bench.failover.bars import Results
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


def draw(results: Results, beside: Path) -> list[str]:
    """Names of the files that were made in the folder of `beside`."""
    try:
        import matplotlib as mpl  # noqa: PLC0415

        mpl.use("svg")
        from matplotlib import pyplot  # noqa: PLC0415
    except ImportError:
        return []
    panels = [(setting, load, found) for setting, load in PANELS if (found := curves(results, setting, load))]
    if not panels:
        return []
    # the same figures make the same file, and letters stay letters
    mpl.rcParams.update({"svg.hashsalt": "heartbeat", "svg.fonttype": "none"})
    figure, axes = pyplot.subplots(
        (len(panels) + 1) // 2, 2, figsize=(10, 3.5 * ((len(panels) + 1) // 2)), squeeze=False, layout="constrained"
    )
    labels = {}
    for axis, (setting, load, found) in zip(axes.flat, panels, strict=False):
        for system, values in found:
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
    for axis in axes.flat[len(panels) :]:
        axis.remove()
    figure.legend(list(labels.values()), list(labels), loc="outside lower center", ncols=len(labels), frameon=False)
    name = f"{beside.stem}-outage.svg"
    figure.savefig(beside.with_name(name), metadata={"Date": None})
    pyplot.close(figure)
    return [name]


def curves(results: Results, setting: Setting, load: str) -> list[tuple[str, Sequence[float]]]:
    """(system, its outages) of each in this panel."""
    found = []
    for cell, trials in results:
        # beside each other is who was compared: those of one group, that took turns
        compared = cell.group in (f"all {load}", f"fast {load}")
        if compared and (cell.setting, cell.load, cell.kind) == (setting, load, POWER):
            outages = bars.values(trials, "outage_ms")
            if outages:
                found.append((cell.system, outages))
    return found
