"""Who answers for the virtual addresses: a host without an address asks by ARP on both networks, every 10 ms.

A kernel may have an address and yet be silent (ours silences the addresses of a dead daemon), and what counts for
the networks is the answer. `kernels` is the other witness; where the two differ both are told.
"""

from __future__ import annotations

import time

from system.asking import Ask, Table
from system.audit import Program, none, two
from system.audit import intervals as runs

from heartbeat.demo.clock import MILLISECOND, SECOND, now_ns
from heartbeat.demo.network import Interface

INTERVAL_NS = 10 * MILLISECOND
# What has not been answered by then is not going to be.
ANSWER_NS = 100 * MILLISECOND
# So many requests in a row tell who answers now.
_RECENT = 5


class Answers:
    """addresses: of each group, on the lan and on the wan."""

    def __init__(self, world, site, routers, addresses) -> None:
        self._addresses = tuple(zip(*addresses, strict=True))
        self._names = [router.name for router in routers]
        self._programs: list[Program] = []
        self._tables: list[Table] = []
        cards = [
            Interface(f"eth{card}", f"net{network}", "", f"02:00:00:a0:00:0{card}")
            for card, network in enumerate((site.lan, site.wan))
        ]
        asking = world.machine("asking", cards)
        world.power_on(asking)
        try:
            for card, asked in enumerate(self._addresses):
                table = Table()
                self._tables.append(table)
                macs = ",".join(router.interfaces[card].mac for router in routers)
                words = ("arp", table.fd, f"eth{card}", macs, INTERVAL_NS, *asked)
                self._programs.append(Program(asking, table, *words))
        except BaseException:
            self.close()
            raise

    def now(self) -> dict[str, frozenset[str]]:
        """Router → addresses that it has answered each of the last few requests for."""
        time.sleep((ANSWER_NS + _RECENT * INTERVAL_NS) / SECOND)
        until_ns = now_ns() - ANSWER_NS
        found: dict[str, set[str]] = {name: set() for name in self._names}
        for address, asks in self._asked(until_ns - _RECENT * INTERVAL_NS, until_ns):
            for number, name in enumerate(self._names):
                if asks and all(ask[1 + number] for ask in asks):
                    found[name].add(address)
        return {name: frozenset(addresses) for name, addresses in found.items()}

    def two_ms(self, since_ns: int, until_ns: int) -> float:
        """The longest time in which both answered for one address."""
        return self._longest(two, since_ns, until_ns)

    def none_ms(self, since_ns: int, until_ns: int) -> float:
        return self._longest(none, since_ns, until_ns)

    def _longest(self, matches, since_ns: int, until_ns: int) -> float:
        time.sleep(max(0, until_ns + ANSWER_NS - now_ns()) / SECOND)
        return max(
            (each.ms for address, asks in self._asked(since_ns, until_ns) for each in runs(asks, matches, address)),
            default=0.0,
        )

    def _asked(self, since_ns: int, until_ns: int) -> list[tuple[str, list[Ask]]]:
        return [
            (address, [ask for ask in asks if ask.target == target])
            for table, addresses in zip(self._tables, self._addresses, strict=True)
            for asks in (table.between(since_ns, until_ns),)
            for target, address in enumerate(addresses)
        ]

    def close(self) -> None:
        for program in self._programs:
            program.close()
        self._programs.clear()
        for table in self._tables:
            table.close()
        self._tables.clear()
