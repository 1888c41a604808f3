"""Two routers with what is before and behind them, and the questions that one asks about them.

client ──── lan ──┬── first ──┬── wan ──── wan host         both hosts can probe the pair's address on
                  └── second ─┘                             their side, every millisecond
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from heartbeat.demo import seed
from heartbeat.demo.clock import MILLISECOND, SECOND, now_ns
from heartbeat.demo.world import JULIUS_AND_CAESAR, until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from heartbeat.demo.node import Node
    from heartbeat.demo.observe import Change
    from heartbeat.demo.probe import Ping
    from heartbeat.demo.world import Site, World

# Beyond what the cluster's own times allow: a busy machine, Python starting up.
PATIENCE_S = 8.0
# A probe that has found no answer by then finds none.
_ANSWER_NS = 200 * MILLISECOND


class Pair:
    """The routers are switched off, the hosts on. files: other than the seed's; serial: is there a cable?

    meanwhile: called at each look while something is waited for.
    """

    def __init__(
        self,
        world: World,
        site: Site = JULIUS_AND_CAESAR,
        *,
        files: seed.Files | None = None,
        serial: bool = True,
    ) -> None:
        self.world = world
        self.site = site
        self.cable = world.cable() if serial else None
        self.nodes = world.pair(site, files, cable=self.cable)
        self.first, self.second = self.nodes
        self.client = world.client(site)
        self.host = world.wan_host(site)
        self.pings: list[Ping] = []
        self.meanwhile: Callable[[], object] | None = None

    def probe(self) -> None:
        """The hosts ask for the virtual addresses from now on: in the order of the group's addresses and of a router's
        interfaces."""
        probes = ((self.client, self.site.lan_address), (self.host, self.site.wan_address))
        self.pings = [self.world.ping(host, address) for host, address in probes]

    def seconds(self, seconds: float) -> float:
        """A time of the operator's files or of the program, as it passes here."""
        return seconds / self.world.divisor

    def peer(self, node: Node) -> Node:
        return self.second if node is self.first else self.first

    def held(self) -> dict[str, int]:
        """How many of the virtual addresses each node's kernel has."""
        wanted = set(self.site.addresses)
        return {
            node.name: len(wanted & {address.partition("/")[0] for address in node.addresses()}) for node in self.nodes
        }

    def holder(self) -> str | None:
        """The node that holds both addresses while the other holds none, as their kernels say."""
        held = self.held()
        holders = [name for name, count in held.items() if count]
        return holders[0] if len(holders) == 1 and held[holders[0]] == len(self.site.addresses) else None

    def stable(self, nodes: Iterable[Node] | None = None) -> bool:
        """Do these daemons, both where none are named, call the cluster stable?"""
        return all(node.is_stable() for node in nodes or self.nodes)

    def until(self, condition: Callable[[], object], timeout_s: float, what: str) -> None:
        """Wait for it; TimeoutError. Beyond `timeout_s` there is patience for a busy machine."""
        until(condition, timeout_s + PATIENCE_S, what, meanwhile=self.meanwhile)

    def settle(self, holder: Node, timeout_s: float = 0, *, without: Node | None = None) -> None:
        """Wait until `holder` alone holds both addresses, answers for them, and every running daemon calls it stable.

        without: a node whose daemon was stopped. TimeoutError says what did not come about.
        """
        addresses = " and ".join(self.site.addresses)
        self.until(lambda: self.holder() == holder.name, timeout_s, f"{holder.name} alone holds {addresses}")
        settled_ns = now_ns()
        self.until(
            lambda: None not in self.first_answers(holder, settled_ns), 0, f"{holder.name} answers for {addresses}"
        )
        running = [node for node in self.nodes if node.on and node is not without]
        names = " and ".join(node.name for node in running)
        self.until(lambda: self.stable(running), timeout_s, f"stable, say {names}")

    def until_mailed(self, node: Node, what: str, start_ns: int) -> None:
        """Wait for a mail since then at `node` that says that it "acquired" or "released"."""
        words = (seed.SUBJECT, what, node.name)

        def mailed() -> bool:
            return any(
                seed.RECIPIENT in mail.recipients and all(word in mail.subject for word in words)
                for mail in node.mails(start_ns)
            )

        self.until(mailed, 0, f"a mail of {node.name} says that it {what}")

    def first_answers(self, node: Node, after_ns: int) -> list[int | None]:
        """When `node` first answered each probing host after an instant; None: not yet."""
        return [
            ping.track.first_arrival(after_ns, interface.mac)
            for ping, interface in zip(self.pings, node.interfaces, strict=True)
        ]

    def lost(self, start_ns: int) -> list[int]:
        """How many of each host's probes since then were not answered. Waits for those that may still be."""
        end_ns = now_ns()
        time.sleep(_ANSWER_NS / SECOND)
        return [len(ping.track.lost(start_ns, end_ns)) for ping in self.pings]

    def moves(self, start_ns: int) -> list[Change]:
        """Every virtual address that came or went since then."""
        return [change for change in self.world.observer.since(start_ns) if change.address in self.site.addresses]
