"""The distribution of the outage, a curve for each system: which part of the failures the client had survived after so
many milliseconds. matplotlib draws it; where it isn't installed there is no picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bench.failover import bars, figures
from bench.failover.bars import Results
from bench.failover.grid import FAST, HOGS, IDLE, NORMAL, POWER, column

PANELS = ((NORMAL, IDLE), (NORMAL, HOGS), (FAST, IDLE), (FAST, HOGS))


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
    mpl.rcParams["svg.hashsalt"] = "heartbeat"  # the same figures make the same file
    figure, axes = pyplot.subplots(1, len(panels), figsize=(5 * len(panels), 4), squeeze=False, sharey=True)
    for axis, (setting, load, found) in zip(axes[0], panels, strict=True):
        for label, values in found:
            across, up = figures.distribution(values)
            axis.step([across[0], *across], [0, *up], where="post", label=label)
        axis.set_xscale("log")
        axis.set_xlabel("outage, ms")
        axis.set_title(f"{setting.name}, {load}")
        axis.grid(visible=True, which="both", alpha=0.3)
        axis.legend(fontsize="small", loc="lower right")
    axes[0][0].set_ylabel("part of the power failures")
    figure.tight_layout()
    name = f"{beside.stem}-outage.svg"
    figure.savefig(beside.with_name(name), metadata={"Date": None})
    pyplot.close(figure)
    return [name]


def curves(results: Results, setting, load: str) -> list[tuple[str, Sequence[float]]]:
    """(what stands in the legend, outages) of each system in this panel."""
    found = []
    for cell, trials in results:
        if (cell.setting, cell.load, cell.kind) != (setting, load, POWER):
            continue
        outages = bars.values(trials, "outage_ms")
        if outages:
            found.append((f"{cell.system}, {column(cell).partition(' ms ')[0].partition(' multicast')[0]}", outages))
    return found
