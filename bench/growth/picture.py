"""A curve for each part, on logarithmic axes, where a power is a straight line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def draw(curves: Sequence[Mapping[str, Any]], pyplot: Any) -> Any:
    figure, axes = pyplot.subplots(figsize=(7, 4.5), layout="constrained")
    for curve in curves:
        sizes, costs = zip(*(point for point in curve["points"] if point[1] > 0), strict=True)
        label = f"{curve['name']}, {curve['unit']}: exponent {curve['exponent']:.2f}"
        axes.plot(sizes, costs, marker="o", label=label)
    first = curves[0]
    sizes = [size for size, _ in first["points"]]
    linear = [first["points"][-1][1] * size / sizes[-1] for size in sizes]
    axes.plot(sizes, linear, linestyle=":", color="grey", label="linear")
    axes.set(xscale="log", yscale="log", xlabel=first["size"], ylabel=first["unit"])
    axes.set_xticks(sizes, [str(size) for size in sizes])
    axes.minorticks_off()
    axes.grid(visible=True, alpha=0.3)
    figure.legend(loc="outside upper center", fontsize="small", frameon=False)
    return figure
