"""The two programs that a node of a pair can run: `ORIGINAL`, as Debian ships it, and `OURS`, of this clone.

Both find their files at the usual places; each is asked by its own tools only.
"""

from __future__ import annotations

import sys
import sysconfig
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Program:
    """daemon: what stays in the foreground until it is told to end; folders: of its commands, name → folder."""

    name: str
    daemon: tuple[str, ...]
    folders: dict[str, str] = field(hash=False)

    def command(self, *words: str) -> list[str]:
        """One of its commands, as an operator types it."""
        name, *arguments = words
        return [str(Path(self.folders[name], name)), *arguments]

    def __str__(self) -> str:
        return self.name


ORIGINAL = Program(
    "original",
    ("/usr/libexec/heartbeat/heartbeat", "-f"),
    {"cl_status": "/usr/bin", "hb_standby": "/usr/share/heartbeat", "hb_takeover": "/usr/share/heartbeat"},
)
OURS = Program(
    "ours",
    (sys.executable, "-m", "heartbeat.cli", "run"),
    dict.fromkeys(("heartbeat", "cl_status", "hb_standby", "hb_takeover"), sysconfig.get_path("scripts")),
)
PROGRAMS = {program.name: program for program in (ORIGINAL, OURS)}
