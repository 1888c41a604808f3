"""The audit from outside: who answers for the virtual addresses, how long two nodes do or none, what a client loses.

    auditor    a machine with a card on the lan and one on the wan, but no address: asks for each virtual address each
               millisecond (ARP), and knows of every request who has answered it
    client     sends a datagram a millisecond to the lan's address, through its own neighbour table; the routers echo

Nothing here trusts what the daemons say. Where the machine itself stood still (a canary on each processor, more urgent
than anything else, was late), what overlaps is set aside, and counted.
"""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from system.asking import CAPACITY, Ask, Table

from heartbeat.demo.clock import MILLISECOND, SECOND, now_ns
from heartbeat.demo.network import Interface

INTERVAL_NS = MILLISECOND
# A stall shorter than this bends no figure that anybody asserts on.
LONG_STALL_NS = 20 * MILLISECOND
# What a stall has held up comes late behind it.
AFTER_STALL_NS = 100 * MILLISECOND
# What has not been answered by then is lost.
ANSWER_NS = 200 * MILLISECOND
PROGRAM = str(Path(__file__).with_name("asking.py"))


@dataclass(frozen=True)
class Interval:
    """A time in which something held for one address: from the first request to the first one of which it did not."""

    begin_ns: int
    end_ns: int
    address: str

    @property
    def ms(self) -> float:
        return (self.end_ns - self.begin_ns) / MILLISECOND


@dataclass
class Findings:
    """two, none: when both nodes answered ARP for an address, or neither. lost: the client's datagrams; gap_ms: its
    longest time without an answer. stalls: of the machine, in ms; aside: intervals that overlap one, of either kind."""

    two: list[Interval] = field(default_factory=list)
    none: list[Interval] = field(default_factory=list)
    lost: int = 0
    sent: int = 0
    gap_ms: float = 0.0
    stalls: list[float] = field(default_factory=list)
    aside: list[Interval] = field(default_factory=list)

    @property
    def two_ms(self) -> float:
        return max((each.ms for each in self.two), default=0.0)

    @property
    def none_ms(self) -> float:
        return max((each.ms for each in self.none), default=0.0)


def intervals(asks: list[Ask], matches, address: str) -> list[Interval]:
    """asks: of one address, in order."""
    found = []
    for wanted, run in itertools.groupby(enumerate(asks), key=lambda one: matches(one[1])):
        if wanted:
            numbers = [number for number, _ in run]
            after = min(numbers[-1] + 1, len(asks) - 1)
            found.append(Interval(asks[numbers[0]].sent_ns, asks[after].sent_ns, address))
    return found


def two(ask: Ask) -> bool:
    return bool(ask.first_ns and ask.second_ns)


def none(ask: Ask) -> bool:
    return not ask.first_ns and not ask.second_ns


class Program:
    """One of `asking`, on a machine or, without one, here. OSError: it did not start."""

    def __init__(self, machine, table: Table | None, *words: object) -> None:
        self._machine = machine
        fds = () if table is None else (table.fd,)
        argv = [sys.executable, PROGRAM, *map(str, words)]
        if machine is None:
            self._process = subprocess.Popen(argv, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, pass_fds=fds)
        else:
            self._process = machine.popen(argv, stdout=subprocess.PIPE, pass_fds=fds)
        assert self._process.stdout
        if not self._process.stdout.readline():
            raise OSError(f"the program {words[0]} did not start")

    def close(self) -> None:
        if self._machine is None:
            self._process.kill()
        elif self._machine.on:
            self._machine.kill(self._process, signal.SIGKILL)
        self._process.wait()
        assert self._process.stdout
        self._process.stdout.close()


class Audit:
    """Of a pair that is switched on. addresses: of the lan and of the wan, those of the site unless others are named;
    interval_ns: between two requests for each of them."""

    def __init__(self, pair, *, addresses=None, interval_ns: int = INTERVAL_NS) -> None:
        self._pair = pair
        site = pair.site
        self.addresses = addresses or ([site.lan_address], [site.wan_address])
        self._interval_ns = interval_ns
        self._auditor = pair.world.machines.get("auditor")
        if self._auditor is None:
            cards = [
                Interface(f"eth{card}", f"net{network}", "", f"02:00:00:a0:00:0{card}")
                for card, network in enumerate((site.lan, site.wan))
            ]
            self._auditor = pair.world.machine("auditor", cards)
            pair.world.power_on(self._auditor)
        self._programs: list[Program] = []
        self._canaries: list[Table] = []
        self._asked: list[Table] = []
        try:
            self._begin()
        except BaseException:
            self.close()
            raise

    def _begin(self) -> None:
        for cpu in sorted(os.sched_getaffinity(0)):
            self._canaries.append(Table())
            self._programs.append(Program(None, self._canaries[-1], "canary", self._canaries[-1].fd, cpu))
        for node in self._pair.nodes:
            self.echo(node)
        for card, addresses in enumerate(self.addresses):
            table = Table()
            self._asked.append(table)
            if addresses:
                words = ("arp", table.fd, f"eth{card}", self._macs(card), self._interval_ns, *addresses)
                self._programs.append(Program(self._auditor, table, *words))
        self._talked = Table()
        words = ("udp", self._talked.fd, "eth0", self._macs(0), self._interval_ns, self.addresses[0][0])
        self._programs.append(Program(self._pair.client, self._talked, *words))

    def _macs(self, card: int) -> str:
        return ",".join(node.interfaces[card].mac for node in self._pair.nodes)

    def echo(self, node) -> None:
        """Again where its machine was switched off."""
        self._programs.append(Program(node, None, "echo"))

    def look(self, since_ns: int, until_ns: int | None = None) -> Findings:
        """What was between them. Waits for answers that may still come."""
        if until_ns is None:
            until_ns = now_ns()
        time.sleep(max(0, until_ns + ANSWER_NS - now_ns()) / SECOND)
        stalls = [
            stall
            for table in self._canaries
            for stall in table.between(since_ns - AFTER_STALL_NS, until_ns)
            if stall.first_ns - stall.sent_ns > LONG_STALL_NS
        ]
        found = Findings(stalls=[(stall.first_ns - stall.sent_ns) / MILLISECOND for stall in stalls])

        def keep(kept: list[Interval], one: Interval) -> None:
            late = any(
                one.begin_ns < stall.first_ns + AFTER_STALL_NS and stall.sent_ns < one.end_ns for stall in stalls
            )
            (found.aside if late else kept).append(one)

        for table, addresses in zip(self._asked, self.addresses, strict=True):
            asks = table.between(since_ns, until_ns)
            for target, address in enumerate(addresses):
                mine = [ask for ask in asks if ask.target == target]
                assert len(mine) > 1, f"nobody has asked for {address}"
                for one in intervals(mine, two, address):
                    keep(found.two, one)
                for one in intervals(mine, none, address):
                    keep(found.none, one)
        talked = self._talked.between(since_ns, until_ns)
        found.sent = len(talked)
        found.lost = sum(map(none, talked))
        arrivals = sorted(at_ns for ask in talked for at_ns in ask[1:3] if at_ns)
        gaps: list[Interval] = []
        for before, after in itertools.pairwise([since_ns, *arrivals, until_ns]):
            if after - before > 2 * self._interval_ns:
                keep(gaps, Interval(before, after, "client"))
        found.gap_ms = max((each.ms for each in gaps), default=self._interval_ns / MILLISECOND)
        return found

    def holders(self, since_ns: int) -> dict[str, set[str]]:
        """address → names of the nodes that have answered for it since then; "" where a request had no answer."""
        time.sleep(20 * MILLISECOND / SECOND)
        names = [node.name for node in self._pair.nodes]
        found: dict[str, set[str]] = {address: set() for addresses in self.addresses for address in addresses}
        for table, addresses in zip(self._asked, self.addresses, strict=True):
            for ask in table.between(since_ns, now_ns() - 10 * MILLISECOND):
                answering = {name for name, at_ns in zip(names, ask[1:3], strict=True) if at_ns}
                found[addresses[ask.target]] |= answering or {""}
        return found

    def client_hears(self, since_ns: int) -> set[str]:
        """Names of the nodes whose cards have answered the client since then."""
        asks = self._talked.between(since_ns, now_ns())
        return {node.name for number, node in enumerate(self._pair.nodes) for ask in asks if ask[1 + number]}

    @property
    def worn(self) -> bool:
        """Its tables are nearly full: make another."""
        return any(len(table) > CAPACITY * 3 // 4 for table in self._asked)

    def close(self) -> None:
        for program in self._programs:
            program.close()
        self._programs.clear()
        for table in (*self._canaries, *self._asked, self._talked) if hasattr(self, "_talked") else ():
            table.close()
        self._canaries, self._asked = [], []
