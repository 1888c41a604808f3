"""Pictures of results. matplotlib draws them, which is for development alone: only who draws imports it.

The same figures make the same file, letters stay letters, and every picture says which run it is of.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

STYLE = {"svg.hashsalt": "heartbeat", "svg.fonttype": "none"}


class Picture(NamedTuple):
    """name: what follows the record's in the file's. draw: of matplotlib's pyplot it makes a figure, with constrained
    layout."""

    name: str
    caption: str
    draw: Callable[[Any], Any]

    def file(self, stem: str) -> str:
        return f"{stem}-{self.name}.svg"


def save(picture: Picture, path: Path, said: str) -> None:
    """ImportError: without matplotlib."""
    import matplotlib as mpl  # noqa: PLC0415

    mpl.use("svg")
    from matplotlib import pyplot  # noqa: PLC0415

    with mpl.rc_context(STYLE):
        figure = picture.draw(pyplot)
        figure.supxlabel(said, fontsize="x-small", color="grey")
        figure.savefig(path, metadata={"Date": None, "Creator": None})
        pyplot.close(figure)
