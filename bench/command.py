"""What the commands of whole parts have in common: options, what a run was like, and where its results go."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Collection
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"


def options(name: str, doc: str, word: str, choices: Collection[str], quick: str) -> argparse.Namespace:
    """chosen: of `choices`, as named, or all; quick; path: of the record, None where nothing is to be written."""
    result = RESULTS / f"{name}.json"
    parser = argparse.ArgumentParser(prog=f"python -m bench.{name}", description=doc.partition("\n")[0])
    parser.add_argument("chosen", nargs="*", metavar=word, help=f"of {', '.join(choices)}; all if none is named")
    parser.add_argument("--quick", action="store_true", help=quick)
    parser.add_argument("--json", type=Path, metavar="FILE", help=f"instead of bench/results/{result.name}")
    found = parser.parse_args()
    if unknown := set(found.chosen) - set(choices):
        parser.error(f"no such {word.lower()}: {', '.join(sorted(unknown))}")
    found.path = found.json or (None if found.chosen else result)
    found.chosen = found.chosen or list(choices)
    return found


def about(name: str, began_s: float) -> dict[str, Any]:
    """Of a run that began then and is over."""
    return {
        "command": " ".join([f"sh scripts/bench {name}", *sys.argv[1:]]),
        "when": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(began_s)),
        "took_s": round(time.time() - began_s),
        "python": platform.python_version(),
        "machine": f"{platform.machine()}, {os.cpu_count()} processors, Linux {platform.release()}",
        "load": [round(each, 1) for each in os.getloadavg()],
    }


def write(path: Path, whole: dict[str, Any], page: str) -> None:
    """The record, and beside it the page."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(whole, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    path.with_suffix(".md").write_text(page, encoding="utf-8")
    print(f"written: {path} and {path.with_suffix('.md').name}")
