"""A curve: cost over size, and how fast it grows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from bench import tables

OK, MISSED, STATED = tables.OK, tables.MISSED, ""


class Curve(NamedTuple):
    """points: (size, cost), sizes rising. at_most: of the exponent, and of that of the upper half; None: it is told."""

    part: str
    name: str
    size: str
    unit: str
    points: tuple[tuple[int, float], ...]
    at_most: float | None = None

    @property
    def exponent(self) -> float:
        return slope(self.points)

    @property
    def upper(self) -> float:
        """Of the upper half, three points at least."""
        return slope(self.points[min(len(self.points) // 2, max(len(self.points) - 3, 0)) :])

    @property
    def verdict(self) -> str:
        if self.at_most is None:
            return STATED
        return OK if max(self.exponent, self.upper) <= self.at_most else MISSED


def slope(points: Sequence[tuple[int, float]]) -> float:
    """Of the line through the logarithms, by least squares; 0 of a point alone."""
    logs = [(math.log(size), math.log(cost)) for size, cost in points if size > 0 and cost > 0]
    if len(logs) < 2:
        return 0.0
    middle_x, middle_y = (sum(each) / len(logs) for each in zip(*logs, strict=True))
    across = sum((x - middle_x) ** 2 for x, _ in logs)
    return sum((x - middle_x) * (y - middle_y) for x, y in logs) / across
