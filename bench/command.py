"""What the commands have in common: options, what a run was like, and where its results go.

Whole runs write bench/results/NAME.json and make the page of all results anew (page.py). Quick ones write
NAME-quick.json, which the page shows where there is no whole one; what is a part of a run writes nothing but with
--json. So no run replaces what a longer one has found.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shlex
import subprocess
import sys
import time
from collections.abc import Collection
from pathlib import Path
from typing import Any

from bench import page
from bench.page import RESULTS, ROOT


def target(name: str, *, quick: bool, part: bool, given: Path | None) -> Path | None:
    """Where the record goes; None: nowhere."""
    return given or (None if part else RESULTS / f"{name}{page.QUICK if quick else ''}.json")


def add_json(parser: argparse.ArgumentParser, name: str) -> None:
    parser.add_argument("--json", type=Path, metavar="FILE", help=f"instead of bench/results/{name}.json")


def options(name: str, doc: str, word: str, choices: Collection[str], quick: str) -> argparse.Namespace:
    """chosen: of `choices`, as named, or all; quick; path: of the record, None where nothing is to be written."""
    parser = argparse.ArgumentParser(prog=f"python -m bench.{name}", description=doc.partition("\n")[0])
    parser.add_argument("chosen", nargs="*", metavar=word, help=f"of {', '.join(choices)}; all if none is named")
    parser.add_argument("--quick", action="store_true", help=quick)
    add_json(parser, name)
    found = parser.parse_args()
    if unknown := set(found.chosen) - set(choices):
        parser.error(f"no such {word.lower()}: {', '.join(sorted(unknown))}")
    found.path = target(name, quick=found.quick, part=bool(found.chosen), given=found.json)
    found.chosen = found.chosen or list(choices)
    return found


class Run:
    """Of this command, from now on."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._began_s = time.time()
        self._load = os.getloadavg()[0]
        self._spent = _spent()
        self._revision = revision()

    def about(self, *, quick: bool) -> dict[str, Any]:
        """What it was like, at its end. busy, stolen: parts of the processors' time since, that of all programs, and
        what the machine's host kept."""
        whole, idle, stolen = (now - before for now, before in zip(_spent(), self._spent, strict=True))
        return {
            "command": shlex.join(["sh", "scripts/bench", self._name, *sys.argv[1:]]),
            "quick": quick,
            "when": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self._began_s)),
            "took_s": round(time.time() - self._began_s),
            "revision": self._revision,
            "python": platform.python_version(),
            "machine": f"{platform.machine()}, {os.cpu_count()} processors, Linux {platform.release()}",
            "load_before": round(self._load, 1),
            "load": [round(each, 1) for each in os.getloadavg()],
            "busy": round(1 - (idle + stolen) / whole, 3) if whole else None,
            "stolen": round(stolen / whole, 3) if whole else None,
        }


def _spent() -> tuple[int, int, int]:
    """Ticks of all processors: all, those in which nothing ran, those that the host kept."""
    fields = Path("/proc/stat").read_text(encoding="ascii").partition("\n")[0].split()[1:9]
    user, nice, system, idle, waiting, interrupts, soft, stolen = map(int, fields)
    return user + nice + system + idle + waiting + interrupts + soft + stolen, idle + waiting, stolen


def revision() -> str:
    """Of this tree; with a plus where something of the program or the benchmarks has changed since; "": no git."""
    git = ("git", "-c", f"safe.directory={ROOT}", "-C", str(ROOT))
    made = [":!bench/results", ":!bench/RESULTS.md", ":!README.md"]
    try:
        found = [
            subprocess.run([*git, *words], capture_output=True, text=True, check=True).stdout.strip()
            for words in (["rev-parse", "--short=10", "HEAD"], ["status", "--porcelain", "-uno", "--", ".", *made])
        ]
    except (OSError, subprocess.CalledProcessError):
        return ""
    return found[0] + ("+" if found[1] else "")


def write(path: Path, record: dict[str, Any]) -> None:
    """The record; after a whole run the page too."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(f"written: {path}")
    if path.parent == RESULTS and not record["quick"]:
        page.write()
