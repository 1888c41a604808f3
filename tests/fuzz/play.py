"""Runs a target on its corpus and on mutations of it, with nothing but Python:

    python tests/fuzz/play.py TARGET… [--seconds N] [--seed N] [--input FILE] [--patient]

The last line says how many inputs there were. Exit code 1, and the input in build/fuzz/failed/TARGET/, where one fails,
takes longer than 10 s (--patient: a minute) or ends the process. The same seed gives the same inputs; how many, the
time decides.
"""

from __future__ import annotations

import argparse
import faulthandler
import mmap
import os
import sys
import time
import traceback
from pathlib import Path

# in place of this folder, whose files are no modules of their own
if str(Path(__file__).parent) in sys.path:
    sys.path.remove(str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "unit"))
sys.path.insert(0, str(Path(__file__).parents[1]))

from fuzz import corpus
from fuzz.mutate import Mutator

LONGEST_S, PATIENT_S = 10, 60
SEED = 1
ROOM = 1 << 20


class Current:
    """A file that holds the input that is being run, whatever becomes of the process. Removed where all went well."""

    def __init__(self, name: str) -> None:
        self.path = corpus.WORKING / "failed" / name / f"current-{os.getpid()}"
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.write_bytes(bytes(ROOM))
        with self.path.open("r+b") as file:
            self._octets = mmap.mmap(file.fileno(), ROOM)
        self._size = 0

    def hold(self, octets: bytes) -> None:
        self._octets[: self._size] = bytes(self._size)
        self._size = min(len(octets), ROOM)
        self._octets[: self._size] = octets[: self._size]

    def close(self) -> None:
        self._octets.close()
        self.path.unlink()


def play(name: str, seconds: float, seed: int, inputs: list[bytes] | None = None, longest_s: int = LONGEST_S) -> int:
    """How many inputs were run. What a target raises comes through, with the input kept."""
    target = corpus.target(name)
    begin = [b"", *corpus.kept(name), *target.seeds()] if inputs is None else inputs
    mutator = Mutator(seed, begin, target.WORDS)
    current = Current(name)
    count = 0
    end = time.monotonic() + seconds
    while count < len(begin) or time.monotonic() < end:
        octets = begin[count] if count < len(begin) else mutator.next()
        count += 1
        current.hold(octets)
        faulthandler.dump_traceback_later(longest_s, exit=True)
        try:
            target.run(octets)
        except BaseException:
            path = corpus.put(corpus.WORKING / "failed" / name, octets)
            print(f"{name}: failed on {path}: {octets[:400]!r}", file=sys.stderr)
            raise
        finally:
            faulthandler.cancel_dump_traceback_later()
    current.close()
    return count


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("targets", nargs="*", metavar="TARGET")
    parser.add_argument("--seconds", type=float, default=0.0)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--input", type=Path)
    parser.add_argument("--patient", action="store_true")
    chosen = parser.parse_args()
    inputs = [chosen.input.read_bytes()] if chosen.input else None
    longest_s = PATIENT_S if chosen.patient else LONGEST_S
    failed = 0
    for name in chosen.targets or corpus.TARGETS:
        try:
            count = play(name, chosen.seconds, chosen.seed, inputs, longest_s)
        except Exception:
            traceback.print_exc()
            failed = 1
        else:
            print(f"{name}: {count} inputs, seed {chosen.seed}", flush=True)
    return failed


if __name__ == "__main__":
    sys.exit(main())
