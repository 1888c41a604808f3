"""RUN/held: which groups this run has started, so that the next one removes what a dead run left.

It lies in the run directory, a memory file system that a reboot empties, like the addresses and processes it speaks
of. One line is appended before a group's first agent runs, nothing in steady state; a clean stop removes the file. A
file system that is full holds up no take-over: then the next run knows the addresses that are there, but not which
scripts were started.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

LIMIT_OCTETS = 1 << 20


class HeldGroups:
    """The file, and what it says. warn: is told, once, that it cannot be written."""

    def __init__(self, run_dir: str, warn: Callable[[str], None]) -> None:
        self._path = f"{run_dir}/held"
        self._warn: Callable[[str], None] | None = warn
        self._recorded: set[str] = set()

    def read(self) -> set[str]:
        """What earlier runs had started and not cleanly released; empty where nothing is left or readable."""
        try:
            with open(self._path, "rb") as file:
                lines = file.read(LIMIT_OCTETS).decode("utf-8", "surrogateescape").split("\n")
        except OSError:
            return set()
        self._recorded.update(line for line in lines if line)
        return set(self._recorded)

    def add(self, key: str) -> None:
        """Before the group's first agent runs."""
        if key in self._recorded:
            return
        self._recorded.add(key)
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        try:
            descriptor = os.open(self._path, flags, 0o640)
            try:
                os.write(descriptor, f"{key}\n".encode("utf-8", "surrogateescape"))
            finally:
                os.close(descriptor)
        except OSError as error:
            if self._warn is not None:
                self._warn(f"{self._path}: {error.strerror}: a crash now would leave its scripts running")
                self._warn = None

    def clear(self) -> None:
        """Everything has been released."""
        self._recorded.clear()
        try:  # noqa: SIM105  contextlib is not worth its import here
            os.unlink(self._path)
        except OSError:
            pass
