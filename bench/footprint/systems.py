"""The systems that are measured, each in its best fair configuration, which stands here.

Two addresses, the first node holds them. One `ucast` line in each node's file, of the other node: with the same file on
both, as is usual, the original starts two processes more, for its own address. keepalived has no serial line, and is
run without what serves load balancing (--vrrp).
"""

from __future__ import annotations

from dataclasses import dataclass

from interop.program import ORIGINAL, Program

from bench.footprint import installed
from bench.rivals import install
from heartbeat.demo.seed import SERIAL_PORT, Files
from heartbeat.demo.world import JULIUS_AND_CAESAR

BAUD = 115200
UCAST, BOTH = "ucast", "serial + ucast"
MEDIA = (UCAST, BOTH)
INTERVALS_MS = (100, 1000)
LAN, WAN = JULIUS_AND_CAESAR.addresses
HARESOURCES = f"julius IPaddr::{LAN}/24/eth0 IPaddr::{WAN}/24/eth1\n"
HA_CF = """\
use_logd off
logfile /var/log/ha-log
keepalive {interval_ms}ms
warntime {warntime_ms}ms
deadtime {deadtime_ms}ms
initdead {initdead_s}
udpport 694
{media}auto_failback off
node julius caesar
"""
INITDEAD_S = 6
KEEPALIVED_CONF = "keepalived.conf"
KEEPALIVED = """\
global_defs {{
    vrrp_version 3
}}
vrrp_instance pair {{
    state BACKUP
    interface eth0
    virtual_router_id 51
    priority {priority}
    advert_int {interval_s}
    virtual_ipaddress {{
        {lan}/24 dev eth0
        {wan}/24 dev eth1
    }}
}}
"""


class UnavailableError(Exception):
    """Why a system cannot be measured here."""


@dataclass(frozen=True)
class System:
    """kind: ours, original or keepalived; environment: of ours. media: those that it can be given."""

    name: str
    kind: str
    media: tuple[str, ...]
    environment: str = ""

    def program(self) -> Program:
        """What its machines run. UnavailableError, OSError."""
        if self.kind == "ours":
            return installed.program(self.environment)
        if reason := install.obstacle("heartbeat" if self.kind == "original" else self.kind):
            raise UnavailableError(reason)
        if self.kind == "original":
            return ORIGINAL
        argv = ("/usr/sbin/keepalived", "--dont-fork", "--vrrp", "--use-file", f"/etc/ha.d/{KEEPALIVED_CONF}",
                "--pid", "/run/keepalived.pid", "--vrrp_pid", "/run/vrrp.pid")  # fmt: skip
        return Program("keepalived", argv, {})


OURS, OURS_PYSERIAL = "ours", "ours, pyserial"
THEIRS, KEEPALIVED_NAME = "heartbeat 3.0.6", "keepalived"
SYSTEMS = {
    system.name: system
    for system in (
        System(OURS, "ours", MEDIA, "termios"),
        System(OURS_PYSERIAL, "ours", (BOTH,), "pyserial"),
        System(THEIRS, "original", MEDIA),
        System(KEEPALIVED_NAME, "keepalived", (UCAST,)),
    )
}


def files(medium: str, interval_ms: int, number: int) -> Files:
    """The operator's three, of the first node (0) or the second."""
    peer = f"{JULIUS_AND_CAESAR.lan}.{JULIUS_AND_CAESAR.node_numbers[1 - number]}"
    lines = f"baud {BAUD}\nserial {SERIAL_PORT}\n" if medium == BOTH else ""
    ha_cf = HA_CF.format(
        interval_ms=interval_ms, warntime_ms=3 * interval_ms, deadtime_ms=5 * interval_ms, initdead_s=INITDEAD_S,
        media=f"{lines}ucast eth0 {peer}\n",
    )  # fmt: skip
    return Files(ha_cf=ha_cf, haresources=HARESOURCES, authkeys="auth 1\n1 sha1 a-secret\n")


def keepalived_conf(interval_ms: int, number: int) -> str:
    return KEEPALIVED.format(priority=150 - 50 * number, interval_s=interval_ms / 1000, lan=LAN, wan=WAN)
