"""RUN/held: which groups this run has started, so that the next one removes what a dead run left.

It lies in the run directory, a memory file system that a reboot empties, like the addresses and processes it speaks
of. Written before a group's first agent runs, not in steady state. One key a line.
"""

from __future__ import annotations

import contextlib
import os

LIMIT_OCTETS = 1 << 20


class HeldGroups:
    """The file, and what it says."""

    def __init__(self, run_dir: str) -> None:
        self._path = f"{run_dir}/held"
        self._keys: set[str] = set()

    def read(self) -> set[str]:
        """What earlier runs had started and not cleanly released; empty where nothing is left or readable. It stays
        recorded until `clear`."""
        try:
            with open(self._path, "rb") as file:
                lines = file.read(LIMIT_OCTETS).decode("utf-8", "surrogateescape").split("\n")
        except OSError:
            return set()
        self._keys.update(line for line in lines if line)
        return set(self._keys)

    def add(self, key: str) -> None:
        """Before the group's first agent runs."""
        if key not in self._keys:
            self._keys.add(key)
            self._write()

    def clear(self) -> None:
        """Everything has been released."""
        self._keys.clear()
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._path)

    def _write(self) -> None:
        descriptor = os.open(f"{self._path}.new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o640)
        try:
            os.write(descriptor, "".join(f"{key}\n" for key in sorted(self._keys)).encode("utf-8", "surrogateescape"))
        finally:
            os.close(descriptor)
        os.rename(f"{self._path}.new", self._path)
