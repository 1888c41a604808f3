"""All scenes, by name."""

from __future__ import annotations

from scenarios import (
    plays_crash,
    plays_files,
    plays_groups,
    plays_media,
    plays_moves,
    plays_overlap,
    plays_partition,
    plays_reload,
    plays_stall,
    plays_start,
)
from scenarios.scene import Scene

FILES = (
    plays_start, plays_crash, plays_stall, plays_media, plays_partition, plays_moves, plays_overlap, plays_groups,
    plays_reload, plays_files,
)  # fmt: skip
SCENES = {each.name: each for file in FILES for each in vars(file).values() if isinstance(each, Scene)}
