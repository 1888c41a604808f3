"""A pair of one system in namespaces, settled, and what each node's machine spends on it in the steady state.

Rules: the first node holds the addresses, the second stands by, before anything is counted. Everything that runs on a
machine but its first process is the system's. Nobody asks it anything while it is measured.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import NamedTuple

from interop.program import Program
from interop.router import Router

from bench.footprint import processes, wire
from bench.footprint.processes import Memory, Used
from bench.footprint.systems import BAUD, BOTH, INITDEAD_S, LAN, WAN, System, files, keepalived_conf
from bench.rivals.files import KEEPALIVED_CONF
from heartbeat.demo.seed import SERIAL_PORT
from heartbeat.demo.world import JULIUS_AND_CAESAR, World, until

ROLES = ("holder", "standby")
# the original waits initdead and ten seconds more, and its scripts take their time on a busy machine
PATIENCE_S = INITDEAD_S + 50.0
# after a start there is more to do than in the steady state
QUIET_S = 8.0
WINDOW_S = 5.0
START_PATIENCE_S = 20.0
MINUTE_NS = 60_000_000_000


class Node(NamedTuple):
    """Of one node in the steady state. cpu_s_per_min: the median of windows of WINDOW_S; cpu_mean_…: of all.
    payload, frame: octets of a datagram. serial_octets: of a heartbeat there, None without a line."""

    memory: Memory
    commands: list[str]
    cpu_s_per_min: float
    cpu_mean_s_per_min: float
    wakeups_per_s: float
    preempted_per_s: float
    datagrams_per_s: float
    payload: float
    frame: float
    serial_octets: float | None


class Machines:
    """Two routers that are off; the addresses are kept at the places where the program looks for its files."""

    def __init__(self, world: World, system: System, program: Program, medium: str, interval_ms: int) -> None:
        self.world = world
        self.kind = system.kind
        self.cable = world.cable(BAUD) if medium == BOTH else None
        self.nodes = []
        for number, name in enumerate(JULIUS_AND_CAESAR.nodes):
            node = world._add(
                Router(
                    name, world.folder, world.switches, JULIUS_AND_CAESAR.router_interfaces(number), program=program,
                    files=files(system.kind, medium, interval_ms, number),
                    serial={SERIAL_PORT: self.cable.ends[number]} if self.cable else {},
                )
            )  # fmt: skip
            (node.disk / "etc/ha.d" / KEEPALIVED_CONF).write_text(keepalived_conf(interval_ms, number))
            self.nodes.append(node)

    def settled(self) -> bool:
        holder, standby = self.nodes
        if self.kind == "least":
            return holder.running and standby.running
        if not all(holder.holds(address) for address in (LAN, WAN)) or standby.holds(LAN):
            return False
        return self.kind == "keepalived" or all(
            node.says("rscstatus") not in ("", "transition") and node.says("nodestatus", other.name) == "active"
            for node, other in ((holder, standby), (standby, holder))
        )


@contextlib.contextmanager
def machines(system: System, program: Program, medium: str, interval_ms: int) -> Iterator[Machines]:
    with World() as world:
        yield Machines(world, system, program, medium, interval_ms)


def steady(system: System, program: Program, medium: str, interval_ms: int, seconds: float) -> dict[str, Node]:
    """By role. TimeoutError where the pair does not settle."""
    with machines(system, program, medium, interval_ms) as pair, contextlib.ExitStack() as closing:
        for node in pair.nodes:
            pair.world.power_on(node)
        for node in pair.nodes:
            node.start_daemon()
        what = f"{system.name}: {pair.nodes[0].name} holds, both are settled"
        try:
            until(pair.settled, PATIENCE_S, what)
        except TimeoutError as error:
            logs = "\n".join(node.log()[-2000:] + node.output_path.read_text()[-2000:] for node in pair.nodes)
            raise TimeoutError(f"{error}\n{logs}") from error
        time.sleep(QUIET_S)
        taps = []
        for node in pair.nodes:
            taps.append(wire.Tap(node))
            closing.callback(taps[-1].close)
        pids = [list(node.processes()) for node in pair.nodes]
        carried = [each.carried for each in pair.cable.counters()] if pair.cable else []
        began_ns = time.monotonic_ns()
        windows = [_now(node) for node in pair.nodes]
        spent: list[list[tuple[int, Used]]] = [[], []]
        since_ns = began_ns
        while (time.monotonic_ns() - began_ns) / 1e9 < seconds:
            time.sleep(WINDOW_S)
            now_ns, later = time.monotonic_ns(), [_now(node) for node in pair.nodes]
            for number in range(len(pair.nodes)):
                spent[number].append((now_ns - since_ns, processes.between(windows[number], later[number])))
            since_ns, windows = now_ns, later
        whole_s = (since_ns - began_ns) / 1e9
        octets = [each.carried for each in pair.cable.counters()] if pair.cable else []
        found = {}
        for number, (role, node) in enumerate(zip(ROLES, pair.nodes, strict=True)):
            serial = (octets[number] - carried[number]) / whole_s * interval_ms / 1000 if octets else None
            lines = node.processes()
            alive = [pid for pid in pids[number] if pid in lines]
            found[role] = _node(alive, lines, spent[number], taps[number].waiting(), whole_s, serial)
        return found


def _now(node: Router) -> dict[int, Used]:
    return processes.used(node.processes())


def _node(
    pids: list[int], lines: dict[int, list[str]], spent: list[tuple[int, Used]], frames: list[wire.Frame],
    whole_s: float, serial: float | None,
) -> Node:  # fmt: skip
    wall_ns = sum(each for each, _ in spent)
    cpu_ns = sum(each.cpu_ns + each.ended_ns for _, each in spent)
    return Node(
        memory=processes.memory(pids),
        commands=[" ".join(map(_short, lines[pid]))[:80] for pid in pids],
        cpu_s_per_min=median((each.cpu_ns + each.ended_ns) / ns for ns, each in spent) * MINUTE_NS / 1e9,
        cpu_mean_s_per_min=cpu_ns / wall_ns * MINUTE_NS / 1e9,
        wakeups_per_s=sum(each.wakeups for _, each in spent) / wall_ns * 1e9,
        preempted_per_s=sum(each.preempted for _, each in spent) / wall_ns * 1e9,
        datagrams_per_s=len(frames) / whole_s,
        payload=_mean(each.payload for each in frames),
        frame=_mean(each.octets for each in frames),
        serial_octets=serial,
    )


def _short(word: str) -> str:
    """Where it is installed is no matter."""
    return Path(word).name if word.startswith("/") else word


def _mean(values: Iterator[int]) -> float:
    listed = list(values)
    return sum(listed) / len(listed) if listed else 0.0


def starts(system: System, program: Program, medium: str, interval_ms: int, times: int) -> list[float]:
    """Milliseconds from the start of the process to its first heartbeat on the card, of a node that is alone and was
    just switched on. TimeoutError."""
    found = []
    with machines(system, program, medium, interval_ms) as pair:
        node, other = pair.nodes
        pair.world.power_on(other)  # without a daemon: it answers ARP, or no datagram would leave
        for _ in range(times):
            pair.world.power_on(node)
            tap = wire.Tap(node)
            try:
                began_ns = time.time_ns()
                node.start_daemon()
                first = tap.first(START_PATIENCE_S)
            finally:
                tap.close()
            pair.world.power_off(node)
            if first is None:
                raise TimeoutError(f"{system.name}: no heartbeat within {START_PATIENCE_S:g} s")
            found.append((first.at_ns - began_ns) / 1e6)
    return found
