"""The systems that are measured, each in its best fair configuration; the texts are those of rivals/files.py.

Two addresses, the first node holds them. One `ucast` line in each node's file, of the other node: with the same file on
both, as is usual, the original starts two processes more, for its own address. keepalived has no serial line, is run
without what serves load balancing (--vrrp), and without memory lock, as its defaults are: it is smallest so. And what
nobody can do without (least.c): how much of a processor's time is the machine's own.
"""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from interop.program import ORIGINAL, Program

from bench.footprint import installed
from bench.rivals import files as rivals
from bench.rivals import install
from heartbeat.demo.seed import Files
from heartbeat.demo.world import JULIUS_AND_CAESAR

BAUD = 115200
UCAST, BOTH = "ucast", "serial + ucast"
MEDIA = (UCAST, BOTH)
INTERVALS_MS = (100, 1000)
LAN, WAN = JULIUS_AND_CAESAR.addresses
INITDEAD_S = 6
LEAST_SOURCE = Path(__file__).with_name("least.c")
LEAST_BUILT = Path(__file__).parents[2] / "build/least"


class UnavailableError(Exception):
    """Why a system cannot be measured here."""


@dataclass(frozen=True)
class System:
    """kind: ours, original, keepalived or least; environment: of ours. media: those that it can be given."""

    name: str
    kind: str
    media: tuple[str, ...]
    environment: str = ""

    def program(self, interval_ms: int) -> Program:
        """What its machines run. UnavailableError, OSError, CalledProcessError."""
        if self.kind == "ours":
            return installed.program(self.environment)
        if self.kind == "least":
            return Program("least", (str(_compiled()), str(interval_ms)), {})
        if reason := install.obstacle("heartbeat" if self.kind == "original" else self.kind):
            raise UnavailableError(reason)
        if self.kind == "original":
            return ORIGINAL
        return Program("keepalived", rivals.KEEPALIVED, {})


def _compiled() -> Path:
    compiler = shutil.which("cc")
    if compiler is None:
        raise UnavailableError("there is no C compiler")
    LEAST_BUILT.parent.mkdir(exist_ok=True)
    argv = [compiler, "-O2", "-Wall", "-Werror", "-o", LEAST_BUILT, LEAST_SOURCE]
    subprocess.run(argv, check=True, capture_output=True, timeout=60)
    return LEAST_BUILT


OURS, OURS_PYSERIAL = "ours", "ours, pyserial"
THEIRS, KEEPALIVED_NAME = "heartbeat 3.0.6", "keepalived"
LEAST_NAME = "a read and a write in C"
SYSTEMS = {
    system.name: system
    for system in (
        System(OURS, "ours", MEDIA, "termios"),
        System(OURS_PYSERIAL, "ours", (BOTH,), "pyserial"),
        System(THEIRS, "original", MEDIA),
        System(KEEPALIVED_NAME, "keepalived", (UCAST,)),
        System(LEAST_NAME, "least", (UCAST,)),
    )
}


def files(kind: str, medium: str, interval_ms: int, number: int) -> Files:
    """The operator's three, of the first node (0) or the second."""
    peer = f"{JULIUS_AND_CAESAR.lan}.{JULIUS_AND_CAESAR.node_numbers[1 - number]}"
    media = (rivals.serial(BAUD) if medium == BOTH else "") + rivals.ucast(peer)
    resources = [f"IPaddr::{LAN}/24/eth0", f"IPaddr::{WAN}/24/eth1"]
    made = rivals.heartbeat(interval_ms, 5 * interval_ms, 1000 * INITDEAD_S, media, resources)
    return rivals.original(made) if kind == "original" else made


def keepalived_conf(interval_ms: int, number: int) -> str:
    """The first node preempts."""
    addresses = [f"{LAN}/24 dev eth0", f"{WAN}/24 dev eth1"]
    return rivals.keepalived(number, interval_ms / 1000, 150 - 50 * number, addresses)
