"""The targets, and the inputs that are kept for each.

A target is a module of `targets/` with `run(octets)`, which raises where the program does what it must not; `seeds()`,
inputs to begin with; and `WORDS`, octets that mean something to it. `tests/fuzz/corpus/TARGET/` holds inputs that reach
different code, each in a file named by the SHA-1 of its octets; among them whatever once found a fault.
"""

from __future__ import annotations

import hashlib
import importlib
from pathlib import Path
from types import ModuleType

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
KEPT = HERE / "corpus"
# what runs leave: inputs that were worth keeping meanwhile, and those that failed
WORKING = ROOT / "build" / "fuzz"
# those that are about the compiled parts, and worth the time that sanitizers take
COMPILED = ("auth", "capture", "cluster", "decoder", "wheel")
TARGETS = tuple(sorted(path.stem for path in (HERE / "targets").glob("*.py")))


def target(name: str) -> ModuleType:
    return importlib.import_module(f"fuzz.targets.{name}")


def kept(name: str) -> list[bytes]:
    return [path.read_bytes() for path in sorted((KEPT / name).glob("*"))]


def name_of(octets: bytes) -> str:
    return hashlib.sha1(octets, usedforsecurity=False).hexdigest()


def put(folder: Path, octets: bytes) -> Path:
    """Keep an input under its name."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name_of(octets)
    path.write_bytes(octets)
    return path
