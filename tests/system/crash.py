"""Pairs at deadtimes of a second and less, killed and stopped, and what a client saw of it: who answered ARP, when."""

import contextlib
import os
import signal
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass

from system.arping import Arping, both_ns
from system.play import LAN, MILLISECOND, Pair, now_ns, seed, until

from heartbeat.demo.world import World

LONG = os.environ.get("HEARTBEAT_TEST_LONG") == "1"
HOGS = 16
PATIENCE_S = 20.0

HA_CF = """\
keepalive {keepalive}ms
deadtime {deadtime}ms
warntime {warntime}ms
initdead {initdead}ms
udpport 694
ucast eth0 10.0.0.2
ucast eth0 10.0.0.3
auto_failback off
node julius
node caesar
"""
INITDEAD_MS = 3000


def files(deadtime_ms: int, haresources: str = f"julius IPaddr::{LAN} IPaddr::1.1.1.254\n") -> seed.Files:
    times = {"keepalive": deadtime_ms // 5, "deadtime": deadtime_ms, "warntime": deadtime_ms * 3 // 5}
    return seed.Files(ha_cf=HA_CF.format(**times, initdead=INITDEAD_MS), haresources=haresources)


def margin_ms(deadtime_ms: int) -> float:
    """Between the end of a lease and the peer's patience's."""
    return max(deadtime_ms / 10, 8)


@contextlib.contextmanager
def hogs(count: int = HOGS):
    """Processes that want all of the machine."""
    running = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for process in running:
            process.kill()
        for process in running:
            process.wait()


class Victims(Pair):
    """A pair on ucast, and a client that asks for the address on its LAN each millisecond."""

    def __init__(self, world: World, deadtime_ms: int, haresources: str | None = None) -> None:
        given = files(deadtime_ms) if haresources is None else files(deadtime_ms, haresources)
        super().__init__(world, given, cable=False)
        self.deadtime_ms = deadtime_ms
        self.macs = {node.interfaces[0].mac: node for node in self.nodes}

    def ask(self) -> Arping:
        return Arping(self.client, LAN, self.world.folder / f"answers{now_ns()}")

    def up(self) -> None:
        """Both run, settled, one of them holds. What is left of an earlier round is started."""
        for node in self.nodes:
            if not node.on:
                self.world.power_on(node)
            if node.daemon is None:
                self.start(node)
        until(lambda: self.stable() and self.holder(), PATIENCE_S, "both stable, one holds")

    def holding(self):
        return self.world.nodes[self.holder()]

    def kill(self, node) -> int:
        """kill -9 of the daemon and of all that it has started. Answers the instant."""
        ours = ("heartbeat.cli", "heartbeat.anew")
        lines = node.processes().items()
        pids = [pid for pid, line in lines if any(each in word for each in ours for word in line)]
        assert pids
        at_ns = now_ns()
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        node.daemon.wait()
        node.daemon = None
        return at_ns

    def pid(self, node) -> int:
        pid = node.pid_of(node.daemon)
        assert pid is not None
        return pid


@contextlib.contextmanager
def victims(deadtime_ms: int, haresources: str | None = None):
    with World() as world:
        pair = Victims(world, deadtime_ms, haresources)
        try:
            pair.up()
            yield pair
        except BaseException:
            for node in pair.nodes:
                print(f"--- log of {node.name}\n{node.log()}")
            raise


@contextlib.contextmanager
def asking(pair: Victims):
    asked = pair.ask()
    try:
        yield asked
    finally:
        asked.close()


@dataclass
class Round:
    """What the client saw of one fail-over, in milliseconds."""

    both_ms: float
    gap_ms: float
    after_kill_ms: float


def killed(pair: Victims) -> Round:
    """kill -9 of the holder's daemon, until the peer has answered for a while."""
    victim = pair.holding()
    other = pair.peer(victim)
    with asking(pair) as asked:
        # somewhere between two heartbeats
        time.sleep(0.3 + now_ns() % (pair.deadtime_ms // 5 * MILLISECOND) / 1e9)
        at_ns = pair.kill(victim)
        until(lambda: pair.held()[other.name], PATIENCE_S, "the peer has taken over")
        time.sleep(0.2 + pair.deadtime_ms / 1000)
        turns = asked.turns(at_ns - 100 * MILLISECOND)
        named = [pair.macs[turn.mac].name for turn in turns]
        assert victim.name in named, named
        assert other.name in named, named
        last = max(turn.last_ns for turn in turns if pair.macs[turn.mac] is victim)
        first = min(turn.first_ns for turn in turns if pair.macs[turn.mac] is other)
        return Round(both_ns(turns) / 1e6, (first - last) / 1e6, (first - at_ns) / 1e6)


def table(title: str, rows: dict[str, list[float]]) -> str:
    lines = [title]
    for name, figures in rows.items():
        lines.append(
            f"  {name:32} n {len(figures):3}  median {statistics.median(figures):7.1f}  worst {max(figures):7.1f}  "
            f"least {min(figures):7.1f}"
        )
    return "\n".join(lines)


def restarted(pair: Victims) -> tuple[float, str]:
    """kill -9 of the holder's daemon, and a start at once: the longest time without an answer, and who answered."""
    victim = pair.holding()
    with asking(pair) as asked:
        time.sleep(0.3)
        at_ns = pair.kill(victim)
        pair.start(victim)
        until(lambda: (victim.status() or {}).get("stable"), PATIENCE_S, "the new daemon is settled")
        time.sleep(2 * pair.deadtime_ms / 1000)
        names = " ".join(pair.macs[turn.mac].name for turn in asked.turns(at_ns - 100 * MILLISECOND))
        silence_ns = asked.longest_silence_ns(at_ns - 100 * MILLISECOND, now_ns() - 20 * MILLISECOND)
        return silence_ns / 1e6, f"{victim.name}: {names}"


@dataclass
class Pause:
    """What a client saw of a holder that was stopped; holders: who holds a second after it woke."""

    both_ms: float
    none_ms: float
    holders: list[str]
    answering: list[str]


def paused(pair: Victims, stop_s: float) -> Pause:
    """SIGSTOP of the holder's daemon, SIGCONT after so long."""
    victim = pair.holding()
    with asking(pair) as asked:
        time.sleep(0.3 + now_ns() % (pair.deadtime_ms // 5 * MILLISECOND) / 1e9)
        at_ns = now_ns()
        os.kill(pair.pid(victim), signal.SIGSTOP)
        time.sleep(stop_s)
        victim.signal_daemon(signal.SIGCONT)
        time.sleep(1)
        second_ns = now_ns()
        held = pair.held()
        time.sleep(0.2)
        turns = asked.turns(at_ns - 100 * MILLISECOND)
        answering = {pair.macs[turn.mac].name for turn in asked.turns(second_ns)}
        return Pause(
            both_ns(turns) / 1e6,
            asked.longest_silence_ns(at_ns - 100 * MILLISECOND, now_ns() - 20 * MILLISECOND) / 1e6,
            [name for name, count in held.items() if count],
            sorted(answering),
        )
