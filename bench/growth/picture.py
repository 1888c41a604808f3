"""A curve for each part, on logarithmic axes, where a power is a straight line. matplotlib is for development alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bench.growth.curve import Curve


def draw(curves: Sequence[Curve], path: Path) -> None:
    """ImportError: without matplotlib."""
    import matplotlib  # noqa: PLC0415

    matplotlib.use("Agg")
    from matplotlib import pyplot  # noqa: PLC0415

    figure, axes = pyplot.subplots(figsize=(7, 4.5))
    for curve in curves:
        sizes, costs = zip(*(point for point in curve.points if point[1] > 0), strict=True)
        label = f"{curve.name}, {curve.unit}: exponent {curve.exponent:.2f}"
        axes.plot(sizes, costs, marker="o", label=label)
    first = curves[0]
    sizes = [size for size, _ in first.points]
    linear = [first.points[-1][1] * size / sizes[-1] for size in sizes]
    axes.plot(sizes, linear, linestyle=":", color="grey", label="linear")
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xticks(sizes, [str(size) for size in sizes])
    axes.minorticks_off()
    axes.set_xlabel(first.size)
    axes.set_ylabel(first.unit)
    axes.grid(True, alpha=0.3)
    axes.legend()
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)
