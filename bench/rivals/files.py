"""What stands in the systems' files, once for all benchmarks. Who asks chooses the times, the media and the addresses,
and says why (systems.py; footprint/systems.py)."""

from __future__ import annotations

from collections.abc import Sequence

from interop.router import LOG

from heartbeat.demo.seed import SERIAL_PORT, Files

NODES = ("julius", "caesar")
KEEPALIVED_CONF = "keepalived.conf"  # below /etc/ha.d, which each router has its own of
# the pid files of the two routers are their own too: /run is
KEEPALIVED = ("/usr/sbin/keepalived", "--dont-fork", "--vrrp", "--use-file", f"/etc/ha.d/{KEEPALIVED_CONF}")


def ucast(*addresses: str) -> str:
    return "".join(f"ucast eth0 {address}\n" for address in addresses)


def serial(baud: int) -> str:
    return f"baud {baud}\nserial {SERIAL_PORT}\n"


def heartbeat(
    keepalive_ms: int, deadtime_ms: int, initdead_ms: int, media: str, resources: Sequence[str], *,
    realtime: bool = True,
) -> Files:  # fmt: skip
    """The three of the operator. media: lines; resources: words of the one group, julius' own. sha1, as on an
    operator's pair. The log goes to one file: no syslog daemon runs here."""
    ha_cf = (
        f"logfile {LOG}\n"
        f"keepalive {keepalive_ms}ms\nwarntime {deadtime_ms * 3 // 5}ms\n"
        f"deadtime {deadtime_ms}ms\ninitdead {initdead_ms}ms\nudpport 694\n"
        f"{media}auto_failback off\nnode {' '.join(NODES)}\n"
        f"{'' if realtime else f'realtime off{chr(10)}'}"
    )
    return Files(ha_cf=ha_cf, haresources=f"{NODES[0]} {' '.join(resources)}\n", authkeys="auth 1\n1 sha1 a-secret\n")


def original(files: Files) -> Files:
    """The same, letter for letter but for what is about the original's own logger."""
    return Files(ha_cf=f"use_logd off\n{files.ha_cf}", haresources=files.haresources, authkeys=files.authkeys)


def keepalived(
    node: int, interval_s: float, priority: int, addresses: Sequence[str], *, realtime: bool = False, before: str = "",
    inside: str = "",
) -> str:  # fmt: skip
    """VRRPv3, multicast, both nodes begin as BACKUP; five announcements at once (the default), no second set.
    addresses: "10.0.0.254/24 dev eth0"; realtime: SCHED_RR at the middle, memory locked, as ours and the original do
    by themselves. before, inside: lines before the instance, and in it."""
    urgent = "    vrrp_rt_priority 50\n    vrrp_no_swap\n" if realtime else ""
    virtual = "".join(f"        {each}\n" for each in addresses)
    return f"""\
global_defs {{
    router_id {NODES[node]}
    vrrp_version 3
    vrrp_garp_master_delay 0
{urgent}}}
{before}vrrp_instance pair {{
    state BACKUP
    interface eth0
    virtual_router_id 51
    priority {priority}
    advert_int {interval_s:g}
{inside}    virtual_ipaddress {{
{virtual}    }}
}}
"""
