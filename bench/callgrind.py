"""Instructions counted by callgrind (Debian's package valgrind): how many a program executes, whatever else runs on the
machine and however fast it is.

The counted process calls `stretches`: it does some work, then more of it. What one operation executes is the
difference, by the number that were more: start-up is outside, and what it takes to begin cancels. Hashes have a seed,
and addresses are not randomised, so that two runs differ in next to nothing.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
PACKAGE = "valgrind"
MARK = "getppid"  # a function of the C library that nobody else calls: callgrind writes down what it has at each call
HASH_SEED = {"PYTHONHASHSEED": "0"}
LONGEST_S = 600


class CallgrindError(Exception):
    """Why nothing was counted."""


class Counts(NamedTuple):
    """Of a stretch, or of an operation: instructions, and by (object file, function) those of the function itself."""

    total: float
    functions: Mapping[tuple[str, str], float]

    def most(self, number: int) -> list[tuple[float, str, str]]:
        """(instructions, object file, function), the most first."""
        return sorted(((cost, *name) for name, cost in self.functions.items()), reverse=True)[:number]

    def files(self) -> dict[str, float]:
        """Instructions by object file, the most first."""
        found: dict[str, float] = {}
        for (file, _), cost in self.functions.items():
            found[file] = found.get(file, 0) + cost
        return dict(sorted(found.items(), key=lambda each: -each[1]))


def stretches(work: Callable[[int], object], few: int, more: int) -> None:
    """In the counted process. work: is told how many operations to do."""
    os.getppid()
    work(few)
    os.getppid()
    work(few + more)
    os.getppid()


def per_operation(few: Counts, many: Counts, more: int) -> Counts:
    names = {*few.functions, *many.functions}
    functions = {name: (many.functions.get(name, 0) - few.functions.get(name, 0)) / more for name in names}
    return Counts((many.total - few.total) / more, functions)


def count(module: str, *arguments: str, more: int) -> Counts:
    """Of one operation of what `python -m module` does in its stretches. CallgrindError where it cannot be counted, or
    the program fails."""
    if shutil.which(PACKAGE) is None:
        _install()
    with tempfile.TemporaryDirectory() as folder:
        valgrind = [PACKAGE, "--tool=callgrind", f"--dump-before={MARK}", f"--callgrind-out-file={folder}/out"]
        _run([*_fixed_addresses(), *valgrind, sys.executable, "-m", module, *arguments])
        # the first is the start, and the one without a number is the end
        parts = [Path(folder) / f"out.{number}" for number in (2, 3)]
        if not parts[-1].exists():
            raise CallgrindError(f"callgrind has not seen the calls of {MARK}")
        few, many = (parse(part.read_text(encoding="utf-8", errors="replace")) for part in parts)
        return per_operation(few, many, more)


def _run(argv: Sequence[str]) -> None:
    done = subprocess.run(
        argv, cwd=ROOT, env=os.environ | HASH_SEED, capture_output=True, text=True, check=False, timeout=LONGEST_S
    )
    if done.returncode:
        raise CallgrindError(f"{' '.join(argv)} failed:\n{done.stdout[-500:]}{done.stderr[-2000:]}")


def _fixed_addresses() -> list[str]:
    """Where a container forbids it, they differ: that is a few instructions."""
    argv = ["setarch", "--addr-no-randomize"]
    if shutil.which("setarch") is None or subprocess.run([*argv, "true"], capture_output=True, check=False).returncode:
        return []
    return argv


def _install() -> None:
    command = ["apt-get", "-qq", "install", "-y", "--no-install-recommends", PACKAGE]
    if os.geteuid() or shutil.which("apt-get") is None:
        raise CallgrindError(f"{PACKAGE} is missing; this installs it: sudo {' '.join(command)}")
    print(f"installing {PACKAGE}", file=sys.stderr)
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    for argv in (["apt-get", "-qq", "update"], command):
        done = subprocess.run(argv, env=environment, capture_output=True, text=True, check=False, timeout=LONGEST_S)
        if done.returncode:
            raise CallgrindError(f"{' '.join(argv)} failed: {done.stderr.strip()[-500:]}")


# ---- its file (valgrind's manual, "Callgrind Format Specification")

# a name is given once with a number, and by the number from then on
_NAME = re.compile(r"(c?)(ob|fn)=(?:\((\d+)\))? ?(.*)")
_COST = re.compile(r"[+\-*\d]\S* (\d+)")
_TOTAL = re.compile(r"^(?:totals|summary): (\d+)$", re.MULTILINE)


def parse(text: str) -> Counts:
    """CallgrindError where it isn't such a file, of one event and with lines as positions."""
    total = _TOTAL.search(text)
    if total is None or "events: Ir\n" not in text or "positions: line\n" not in text:
        raise CallgrindError("callgrind has written something else than instructions by line")
    names: dict[tuple[str, str], str] = {}
    here = {"ob": "", "fn": ""}
    costs: Counter[tuple[str, str]] = Counter()
    called = False
    for line in text.splitlines():
        if cost := _COST.fullmatch(line):
            # what follows a call is what the called function has cost, which is counted there
            if not called:
                costs[here["ob"], here["fn"]] += int(cost[1])
            called = False
        elif line.startswith("calls="):
            called = True
        elif named := _NAME.fullmatch(line):
            of_callee, kind, number, name = named.groups()
            name = _known(names, kind, number, name)
            if not of_callee:
                here[kind] = name
    return Counts(int(total[1]), costs)


def _known(names: dict[tuple[str, str], str], kind: str, number: str | None, name: str) -> str:
    if number is None:
        return name
    if name:
        names[kind, number] = name
    elif (kind, number) not in names:
        raise CallgrindError(f"callgrind has written a number that it has not explained: {kind}=({number})")
    return names[kind, number]
