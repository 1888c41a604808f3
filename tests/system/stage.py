"""The stage on which daemons are mistreated: a pair on a serial cable and on Ethernet, an audit, and small disks.

Each node keeps its state on a disk of its own of DISK_OCTETS, and its wall clock is `wallclock`'s, which can be set
without touching the machine's. `up` mends whatever a fault has left behind, with an operator's means.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import time
from pathlib import Path

from system import wallclock
from system.audit import Audit
from system.links import Links, Way
from system.play import LAN, WAN, Pair, now_ns, seed, until

from heartbeat.demo.cable import Cable
from heartbeat.demo.world import World

BAUD = 115200
KEEPALIVE_MS, DEADTIME_MS, INITDEAD_MS = 100, 500, 1500
DEADTIME_S = DEADTIME_MS / 1000
PATIENCE_S = 20.0
DISK_OCTETS = 1 << 20
LONG = os.environ.get("HEARTBEAT_TEST_LONG") == "1"
CARDS = ("eth0", "eth1")
MEDIA = ("serial", "eth0")
HARESOURCES = f"julius IPaddr::{LAN} IPaddr::{WAN}\n"
HA_CF = f"""\
baud {BAUD}
serial {seed.SERIAL_PORT}
ucast eth0 10.0.0.2
ucast eth0 10.0.0.3
auto_failback off
node julius
node caesar
keepalive {KEEPALIVE_MS}ms
deadtime {DEADTIME_MS}ms
warntime {DEADTIME_MS * 3 // 5}ms
initdead {INITDEAD_MS}ms
"""


class _World(World):
    """Its cables have the rate that HA_CF says."""

    def cable(self, baud: int = BAUD) -> Cable:
        return super().cable(baud)


class Stage(Pair):
    """haresources, ha_cf: the operator's; virtual: the addresses in them; asked: (on the lan, on the wan), those that
    the audit asks for, each interval_ns."""

    def __init__(
        self, world: World, *, haresources=HARESOURCES, ha_cf=HA_CF, virtual=(LAN, WAN), asked=None, interval_ns=None
    ) -> None:
        super().__init__(world, seed.Files(ha_cf=ha_cf, haresources=haresources))
        self.virtual = frozenset(virtual)
        self.links = Links(world)
        self.dice = random.Random(now_ns())
        self._audited = {} if asked is None else {"addresses": asked}
        if interval_ns is not None:
            self._audited["interval_ns"] = interval_ns
        self._clocks = {node.name: wallclock.Offset(world.folder / f"{node.name}.clock") for node in self.nodes}
        self.audit: Audit | None = None
        self.excused: list[tuple[int, int]] = []  # see faults.attempt

    def start(self, node) -> None:
        node.environment[wallclock.VARIABLE] = self._clocks[node.name].path
        self._wrapper = ("env", f"LD_PRELOAD={wallclock.library()}")
        super().start(node)

    def power_on(self, node) -> None:
        self.world.power_on(node)
        disk = ["mount", "-t", "tmpfs", "-o", f"size={DISK_OCTETS},mode=0755", "none", str(node.state_folder)]
        assert node.run(disk).returncode == 0

    def up(self) -> None:
        """Both run, all is settled, one of them holds everything, and the audit asks."""
        for node in self.nodes:
            if not node.on:
                self.power_on(node)
                if self.audit is not None:
                    self.audit.echo(node)
            if node.daemon is not None and node.daemon.poll() is not None:
                node.daemon = None
            if node.daemon is None:
                self.start(node)
        until(lambda: self.stable() and self.links_up(), PATIENCE_S, "both stable, all links up")
        if self.holder() is None and all(self.held().values()):
            self.nodes[0].command("hb_takeover")  # a start that failed has divided the groups
        until(self.settled_down, PATIENCE_S, "both stable, all links up, one holds")
        if self.audit is not None and self.audit.worn:
            self.audit.close()
            self.audit = None
        if self.audit is None:
            self.audit = Audit(self, **self._audited)

    def held(self) -> dict[str, int]:
        found = {node.name: {address.partition("/")[0] for address in node.addresses()} for node in self.nodes}
        return {name: len(self.virtual & addresses) for name, addresses in found.items()}

    def holder(self) -> str | None:
        held = self.held()
        return next((name for name, count in held.items() if count == sum(held.values()) == len(self.virtual)), None)

    def settled_down(self) -> bool:
        """Do both daemons call it stable, and does one kernel alone have the addresses?"""
        return self.stable() and self.holder() is not None and self.links_up()

    def links_up(self) -> bool:
        return all(
            set(((node.status() or {}).get("nodes") or {}).get(self.peer(node).name, {}).get("links", {}).values())
            == {"up"}
            for node in self.nodes
        )

    def holding(self):
        return self.world.nodes[self.holder()]

    def standing_by(self):
        return self.peer(self.holding())

    # what is done to them

    def pid(self, node) -> int:
        """Of the daemon: `env` has become it."""
        pid = node.pid_of(node.daemon)
        assert pid is not None
        return pid

    def kill(self, node) -> int:
        """kill -9 of the daemon and of all that it has started. Answers the instant."""
        pids = [pid for pid, line in node.processes().items() if any("heartbeat" in word for word in line)]
        pids = [pid for pid in pids if pid == self.pid(node) or _ours(pid)]
        at_ns = now_ns()
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        node.daemon.wait()
        node.daemon = None
        return at_ns

    def taken_over(self, node) -> None:
        """Until its kernel has the addresses."""
        until(lambda: self.held()[node.name] == len(self.virtual), PATIENCE_S, f"{node.name} takes over")

    def ways(self, card: str, *sources) -> list[Way]:
        """From these nodes, both where none is named, to the other."""
        return [Way(node, self.peer(node), card) for node in sources or self.nodes]

    def end_of(self, node) -> int:
        """Which of the cable's ends it has."""
        return self.nodes.index(node)

    def step_clock(self, node, seconds: float) -> None:
        """Its daemon's wall clock, from now on, against the machine's."""
        self._clocks[node.name].set(seconds)

    def sees_clock(self, node) -> float:
        """By how many seconds the stamps of its daemon's log differ from the machine's clock."""
        node.ask("reload")  # it writes a line
        said = time.strptime(node.log().splitlines()[-1][:15], "%b %d %H:%M:%S")
        now = time.localtime()
        day_s = 86400
        seconds = (said.tm_hour - now.tm_hour) * 3600 + (said.tm_min - now.tm_min) * 60 + said.tm_sec - now.tm_sec
        return (seconds + day_s / 2) % day_s - day_s / 2

    def memory_kb(self, node) -> int:
        """What of the daemon is in memory."""
        for line in Path(f"/proc/{self.pid(node)}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1])
        return 0

    def cpu_s(self, node) -> float:
        """What the daemon has used of the processors so far."""
        fields = Path(f"/proc/{self.pid(node)}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def close(self) -> None:
        self.links.close()
        if self.audit is not None:
            self.audit.close()


def _ours(pid: int) -> bool:
    """Started by a daemon or one itself: no program of the world's."""
    with contextlib.suppress(OSError):
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        programs = b"persist.py", b"journalfile.py"
        ours = b"heartbeat.cli", b"heartbeat.anew"
        return any(word.endswith(programs) or any(each in word for each in ours) for word in words)
    return False


@contextlib.contextmanager
def stage(prepare=None, *, divisor: int = 1, **options):
    """A pair that is up; prepare(stage) before its nodes are on. Where something fails, the logs of both are shown."""
    with _World(divisor) as world:
        made = Stage(world, **options)
        try:
            if prepare is not None:
                prepare(made)
            made.up()
            yield made
        except BaseException:
            for node in made.nodes:
                print(f"--- log of {node.name}\n{node.log()[-20000:]}")
            raise
        finally:
            made.close()


def pause(seconds: float) -> None:
    time.sleep(seconds)
