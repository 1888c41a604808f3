"""The transcripts in this folder: compares them with what the scenes give now, and writes them anew.

    scripts/scenarios [NAME]... [--rewrite]

A scene whose asserts or audits fail writes nothing. The commit that rewrites a transcript says why each line moved.
"""

from __future__ import annotations

import difflib
import os
import sys
from pathlib import Path

from scenarios.plays import SCENES

from heartbeat.sim.audit import AuditFailure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from scenarios.scene import Scene

HERE = Path(__file__).parent
COMMAND = "sh scripts/scenarios --rewrite"


def path_of(name: str) -> Path:
    return HERE / f"{name}.txt"


def kept(name: str) -> str:
    path = path_of(name)
    return path.read_text(encoding="utf-8") if path.exists() else ""


def difference(name: str, text: str) -> str:
    """A unified diff from what is kept to this text; nothing where they are equal."""
    lines = difflib.unified_diff(
        kept(name).splitlines(keepends=True), text.splitlines(keepends=True), f"{name}.txt", f"{name} now"
    )
    return "".join(lines)


def write(name: str, text: str) -> None:
    path = path_of(name)
    beside = path.with_suffix(".new")
    beside.write_text(text, encoding="utf-8")
    os.replace(beside, path)


def go_through(scene: Scene, *, rewrite: bool) -> bool:
    """True where nothing is wrong."""
    try:
        text = scene.play()
    except (AssertionError, AuditFailure) as failure:
        print(f"{scene.name}: {type(failure).__name__}: {failure}")
        return False
    found = difference(scene.name, text)
    print(found, end="")
    if found and rewrite:
        write(scene.name, text)
    return rewrite or not found


def main(words: list[str]) -> int:
    names = [word for word in words if word != "--rewrite"]
    unknown = [name for name in names if name not in SCENES]
    if unknown:
        print(f"no such scene: {' '.join(unknown)}; there are {' '.join(SCENES)}", file=sys.stderr)
        return 2
    chosen = [scene for name, scene in SCENES.items() if not names or name in names]
    good = [go_through(scene, rewrite="--rewrite" in words) for scene in chosen]
    print(f"{len(good)} scenes, {good.count(False)} of them not as they should be")
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
