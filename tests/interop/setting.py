"""What a pair is made of: who runs which program, over which media, with which files; and the files themselves.

Both nodes have the same three files, letter for letter, as operators are told to. Times are short but an original's: it
waits INITDEAD for a node that it never hears, and ten seconds after it has heard one.
"""

from __future__ import annotations

import os
from collections.abc import Collection
from dataclasses import dataclass

from interop.program import ORIGINAL, OURS, Program
from interop.router import DEBUG_LOG, LOG

from heartbeat.demo.seed import SERIAL_PORT, Files

# not a part of the tests that take minutes, but all of it
LONG = os.environ.get("HEARTBEAT_TEST_LONG") == "1"
NODES = ("julius", "caesar")
KEEPALIVE_MS, WARNTIME_MS, DEADTIME_S, INITDEAD_S = 500, 2000, 4, 10
BAUD = 38400
# so long, and three frames on the slowest line, two may have what two of ours hand over (docs/protocol.md)
HAND_OVER_MS, FRAME_OCTETS = 250, 400
# By the link-local addresses that kernels make of the cards' own numbers.
VERSION_6 = {
    "ucast6": "ucast6 eth0 fe80::aff:fe00:2\nucast6 eth0 fe80::aff:fe00:3\n",
    "mcast6": "mcast6 eth0 ff02::694 694 1 0\n",
}
ETHERNET = {
    "ucast": "ucast eth0 10.0.0.2\nucast eth0 10.0.0.3\n",
    "bcast": "bcast eth0\n",
    "mcast": "mcast eth0 239.1.2.3 694 1 0\n",
    **VERSION_6,
}
MEDIA = {"serial": f"baud {{baud}}\nserial {SERIAL_PORT}\n", **ETHERNET}
# What a mixed pair is tried with: media by themselves and two together, ours at either place. Those of IPv6, of which
# nothing but the sockets differs, have a test of their own.
TOGETHER = (("serial",), ("ucast",), ("bcast",), ("mcast",), ("serial", "ucast"))
ORDERS = ((OURS, ORIGINAL), (ORIGINAL, OURS))
METHODS = {"crc": "1 crc", "md5": "1 md5 a-secret", "sha1": "1 sha1 a-secret"}
# The same, as the reference decoder wants them.
KEYS = {name: {1: (name, b"" if name == "crc" else b"a-secret")} for name in METHODS}
FAILBACKS = ("on", "off", "legacy")
# The first group prefers julius, the second caesar. The original finds no interface for the second address by itself.
GROUPS = (("julius", "10.0.0.254", "1.1.1.254"), ("caesar", "10.0.0.253", "1.1.1.253"))


@dataclass(frozen=True)
class Setting:
    """media: names from MEDIA, in the order of ha.cf; groups: 1, or 2 where each node is preferred by one."""

    julius: Program = ORIGINAL
    caesar: Program = ORIGINAL
    media: tuple[str, ...] = ("ucast",)
    method: str = "sha1"
    failback: str = "off"
    groups: int = 2
    keepalive_ms: int = KEEPALIVE_MS
    baud: int = BAUD

    def hand_over_ms(self, programs: Collection[str]) -> float:
        """How long two that run these may have what is handed over: none but ours ever does."""
        if {str(each) for each in programs} != {str(OURS)}:
            return 0.0
        return HAND_OVER_MS + (3 * FRAME_OCTETS * 10 * 1000 / self.baud if "serial" in self.media else 0.0)

    @property
    def programs(self) -> tuple[Program, Program]:
        return self.julius, self.caesar

    @property
    def addresses(self) -> tuple[tuple[str, str], ...]:
        """Of each group: on the lan, on the wan."""
        return tuple((lan, wan) for _, lan, wan in GROUPS[: self.groups])

    def files(self) -> Files:
        media = "".join(MEDIA[medium] for medium in self.media).format(baud=self.baud)
        ha_cf = (
            f"use_logd off\nlogfile {LOG}\ndebugfile {DEBUG_LOG}\n"
            f"keepalive {self.keepalive_ms}ms\nwarntime {WARNTIME_MS}ms\ndeadtime {DEADTIME_S}\ninitdead {INITDEAD_S}\n"
            f"udpport 694\n{media}auto_failback {self.failback}\n"
            f"node {' '.join(NODES)}\n"
        )
        lines = [f"{node} {lan} IPaddr::{wan}/24/eth1\n" for node, lan, wan in GROUPS[: self.groups]]
        return Files(ha_cf=ha_cf, haresources="".join(lines), authkeys=f"auth 1\n{METHODS[self.method]}\n")

    def __str__(self) -> str:
        return (
            f"{self.julius}+{self.caesar} {'+'.join(self.media)} {self.method} "
            f"failback {self.failback} groups {self.groups}"
        )
