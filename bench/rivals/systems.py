"""The systems, each with its best fair configuration (files.py has the texts), and what to ask of it.

    ours, heartbeat   the same three files, letter for letter but for `use_logd`, which is about the original's logger.
                      sha1, as on an operator's pair. The log goes to one file: no syslog daemon runs on the stage.
                      `realtime off` where real-time is not wanted
    keepalived        VRRPv3, multicast, advert_int = keepalive. Both nodes are BACKUP with `nopreempt`, as with
                      auto_failback off, and of VRRP's default priority, 100. Five announcements at once (the default),
                      no second set, no refresh. Real-time: SCHED_RR at the middle, memory locked, as ours and the
                      original do by themselves. Three lost advertisements (down_timer_adverts 3) are VRRP's rule
    keepalived 254    the same with priorities 254 and 253, the highest that VRRP leaves to who doesn't own the address:
                      the skew, which is waited for beyond three intervals, is then 0.8 % of one and not 61 %. Faster
                      keepalived cannot be told to be
    keepalived ordinary  the first without real-time and memory lock, as its defaults are
    keepalived preempt   the same, but with a tracked file that raises a node's priority above its peer's: the planned
                      switch-over that keepalived has. It can't be had together with nopreempt
    ucarp             advbase 1 s, its least; dead after three (its default); equal skews of 0; the up-script adds the
                      address by one `ip` and no shell loop. It has no real-time

`deadtime` of VRRP and CARP is what they wait for after the last advertisement: three intervals and the skew.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from interop import package
from interop.program import ORIGINAL, OURS, Program

from bench.rivals import files, install
from bench.rivals.files import NODES
from heartbeat import control
from heartbeat.demo.seed import Files

if TYPE_CHECKING:
    from bench.rivals.stage import Stage

ADDRESS = "10.0.0.254"
_ANSWER_S = 5.0
# below this keepalive a frame must leave a serial line faster
FAST_LINE_MS = 50
SLOW_BAUD, FAST_BAUD = 115_200, 460_800


@dataclass(frozen=True)
class Setting:
    """addresses: IPv4 ones of the group, the first is ADDRESS; version_6: IPv6 ones after them."""

    keepalive_ms: int = 100
    deadtime_ms: int = 500
    media: tuple[str, ...] = ("ucast",)
    realtime: bool = True
    addresses: int = 1
    version_6: int = 0

    @property
    def baud(self) -> int:
        return FAST_BAUD if self.keepalive_ms < FAST_LINE_MS else SLOW_BAUD

    @property
    def name(self) -> str:
        """As its column says."""
        return f"{self.keepalive_ms}/{self.deadtime_ms} ms"

    def virtual(self) -> list[str]:
        """The IPv4 addresses of the group, in its order; the one that is probed is the last."""
        more = [f"10.0.{number // 200 + 1}.{number % 200 + 1}" for number in range(self.addresses - 1)]
        return [*more, ADDRESS]

    def virtual_6(self) -> list[str]:
        return [f"fd00:0:0:0:0:0:1:{number:x}" for number in range(1, self.version_6 + 1)]


class System:
    """One of them. node: 0 or 1, as NODES. Everything that waits has a limit, and raises TimeoutError."""

    name = ""
    package = ""  # "" for what needs none
    boot_s = 30.0

    def obstacle(self) -> str:
        return install.obstacle(self.package) if self.package else ""

    def version(self) -> str:
        return package.installed(self.package)

    def program(self, setting: Setting, node: int) -> Program:
        raise NotImplementedError

    def files(self, setting: Setting, node: int) -> Files:
        return Files(ha_cf="", haresources="", authkeys="")

    def more(self, setting: Setting, node: int) -> dict[str, tuple[int, str]]:
        """Other files below /etc/ha.d: name → (mode, text)."""
        return {}

    def interval_ns(self, setting: Setting) -> int:
        """Between two heartbeats."""
        return setting.keepalive_ms * 1_000_000

    def deadtime_ns(self, setting: Setting, node: int) -> int:
        return setting.deadtime_ms * 1_000_000

    def ready(self, stage: Stage) -> bool:
        """Both run, know each other, and would take over at once. Who holds is asked elsewhere."""
        raise NotImplementedError

    def dead_ns(self, stage: Stage, node: int, since_ns: int) -> int | None:
        """When this node took the other for dead, by its own word."""
        return None

    def moves(self) -> dict[str, Callable[[Stage, int], None]]:
        """Planned switch-overs: name → what is done, when this node holds. They don't wait for the end."""
        return {}


class Ours(System):
    name = "ours"

    def version(self) -> str:
        from heartbeat import __version__  # noqa: PLC0415

        return __version__

    def program(self, setting: Setting, node: int) -> Program:
        return OURS

    def files(self, setting: Setting, node: int) -> Files:
        return heartbeat_files(setting)

    def ready(self, stage: Stage) -> bool:
        found = [self._status(stage, node) for node in range(2)]
        return all(
            each.get("stable") and set(each["nodes"].get(NODES[1 - node], {}).get("links", {}).values()) == {"up"}
            for node, each in enumerate(found)
        )

    def dead_ns(self, stage: Stage, node: int, since_ns: int) -> int | None:
        last = self._status(stage, node).get("last_failover") or {}
        at_ns = last.get("declared_dead_ns")
        return at_ns if at_ns and at_ns >= since_ns else None

    def moves(self) -> dict[str, Callable[[Stage, int], None]]:
        return heartbeat_moves()

    @staticmethod
    def _status(stage: Stage, node: int) -> dict[str, Any]:
        """Without starting a process. {}: nobody answers."""
        try:
            # through /proc: a socket's address holds 107 octets
            folder = os.open(stage.nodes[node].run_folder, os.O_PATH | os.O_DIRECTORY)
        except OSError:
            return {}
        try:
            path = f"/proc/self/fd/{folder}/heartbeat/control"
            return control.ask(path, {"request": "status"}, _ANSWER_S).get("status") or {}
        except (OSError, control.NotRunning):
            return {}
        finally:
            os.close(folder)


class Original(System):
    name = "heartbeat"
    package = "heartbeat"
    boot_s = 60.0
    _DEAD = re.compile(r"node \S+: is dead")

    def program(self, setting: Setting, node: int) -> Program:
        return ORIGINAL

    def files(self, setting: Setting, node: int) -> Files:
        return files.original(heartbeat_files(setting))

    def ready(self, stage: Stage) -> bool:
        for number, node in enumerate(stage.nodes):
            if node.says("rscstatus") in ("", "transition"):
                return False
            other = NODES[1 - number]
            if node.says("nodestatus", other) != "active":
                return False
            links = node.command("cl_status", "listhblinks", other).stdout.split()
            if not links or any(node.says("hblinkstatus", other, link) != "up" for link in links):
                return False
        return True

    def dead_ns(self, stage: Stage, node: int, since_ns: int) -> int | None:
        return stage.said_ns(node, self._DEAD, since_ns)

    def moves(self) -> dict[str, Callable[[Stage, int], None]]:
        return heartbeat_moves()


class Keepalived(System):
    package = "keepalived"
    _READY = re.compile(r"Entering (?:BACKUP|MASTER) STATE")
    _DEAD = re.compile(r"Entering MASTER STATE")

    def __init__(self, kind: str = "") -> None:
        """kind: of keepalived, as above."""
        self.realtime = kind != "ordinary"
        self.preempt = kind == "preempt"
        self._highest = kind == "254"
        self.name = f"keepalived {kind}".strip()

    def program(self, setting: Setting, node: int) -> Program:
        return Program(self.name, (*files.KEEPALIVED, "--log-console", "--log-detail"), {})

    def priority(self, node: int) -> int:
        return 254 - node if self._highest else 100

    def more(self, setting: Setting, node: int) -> dict[str, tuple[int, str]]:
        tracked = "    track_file {\n        wanted weight 10\n    }\n" if self.preempt else "    nopreempt\n"
        wanted = 'track_file wanted {\n    file "/etc/ha.d/wanted"\n}\n' if self.preempt else ""
        text = files.keepalived(
            node, setting.keepalive_ms / 1000, self.priority(node), [f"{ADDRESS}/24 dev eth0"],
            realtime=self.realtime and setting.realtime, before=wanted, inside=tracked,
        )  # fmt: skip
        return {files.KEEPALIVED_CONF: (0o644, text), "wanted": (0o644, "0\n")}

    def deadtime_ns(self, setting: Setting, node: int) -> int:
        interval_ns = self.interval_ns(setting)
        return 3 * interval_ns + interval_ns * (256 - self.priority(node)) // 256

    def ready(self, stage: Stage) -> bool:
        return all(stage.said_ns(node, self._READY, stage.started_ns[node]) for node in range(2))

    def dead_ns(self, stage: Stage, node: int, since_ns: int) -> int | None:
        # who has become master says so on the wire first
        found = [each for each in stage.tap.passed(since_ns) if each.card == stage.plug(node) and not each.out]
        return next((each.at_ns for each in found if each.kind == ADVERTISEMENT and each.extra), None)

    def moves(self) -> dict[str, Callable[[Stage, int], None]]:
        return {"tracked file": self._prefer} if self.preempt else {}

    def _prefer(self, stage: Stage, node: int) -> None:
        """The other. One that came to hold by itself is not told to yield: the file speaks for its peer."""
        for number in (node, 1 - node):
            path = stage.nodes[number].disk / "etc/ha.d/wanted"
            path.write_text(f"{int(number != node)}\n")


class Ucarp(System):
    name = package = "ucarp"
    _READY = re.compile(r"Switching to state: (?:BACKUP|MASTER)")
    # after a SIGUSR2 it pauses 3 s
    PAUSE_S = 4.0

    def program(self, setting: Setting, node: int) -> Program:
        return Program(
            self.name,
            ("/usr/sbin/ucarp", "--interface=eth0", f"--srcip=10.0.0.{2 + node}", "--vhid=51", "--pass=a-secret",
             f"--addr={ADDRESS}", "--upscript=/etc/ha.d/up", "--downscript=/etc/ha.d/down", "--advbase=1",
             "--advskew=0", "--shutdown", "--neutral"),
            {},
        )  # fmt: skip

    def more(self, setting: Setting, node: int) -> dict[str, tuple[int, str]]:
        return {
            "up": (0o755, f"#!/bin/sh\nexec ip address add {ADDRESS}/24 dev eth0\n"),
            "down": (0o755, f"#!/bin/sh\nexec ip address del {ADDRESS}/24 dev eth0\n"),
        }

    def interval_ns(self, setting: Setting) -> int:
        return 1_000_000_000

    def deadtime_ns(self, setting: Setting, node: int) -> int:
        return 3 * self.interval_ns(setting)

    def ready(self, stage: Stage) -> bool:
        return time.clock_gettime_ns(time.CLOCK_BOOTTIME) - max(stage.started_ns) > self.PAUSE_S * 1e9 and all(
            stage.said_ns(node, self._READY, stage.started_ns[node]) for node in range(2)
        )

    def dead_ns(self, stage: Stage, node: int, since_ns: int) -> int | None:
        found = [each for each in stage.tap.passed(since_ns) if each.card == stage.plug(node) and not each.out]
        return next((each.at_ns for each in found if each.kind == ADVERTISEMENT), None)

    def moves(self) -> dict[str, Callable[[Stage, int], None]]:
        return {"SIGUSR2": lambda stage, node: stage.signal(node, 12)}


ADVERTISEMENT = 2  # as instruments says; that module must not be loaded for a configuration


def heartbeat_moves() -> dict[str, Callable[[Stage, int], None]]:
    return {
        "hb_standby": lambda stage, node: stage.command(node, "hb_standby", "all"),
        "hb_takeover": lambda stage, node: stage.command(1 - node, "hb_takeover", "all"),
    }


def heartbeat_files(setting: Setting) -> Files:
    lines = {"ucast": files.ucast("10.0.0.2", "10.0.0.3"), "serial": files.serial(setting.baud)}
    media = "".join(lines[medium] for medium in setting.media)
    resources = [f"IPaddr::{each}/24/eth0" for each in setting.virtual()]
    resources += [f"IPv6addr::{each}/64/eth0" for each in setting.virtual_6()]
    initdead_ms = max(2 * setting.deadtime_ms, 3000)
    return files.heartbeat(
        setting.keepalive_ms, setting.deadtime_ms, initdead_ms, media, resources, realtime=setting.realtime
    )


SYSTEMS: dict[str, System] = {
    each.name: each
    for each in (Ours(), Original(), *map(Keepalived, ("", "254", "ordinary", "preempt")), Ucarp())
}
