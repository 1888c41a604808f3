"""Ping nodes: hosts that answer, and are no members of the cluster. Is each of them there?

What one of them says is that it has answered (media/icmp.py), nothing else, and what follows from that is ipfail's
(ipfail.py): the death of a ping node moves nothing by itself, and no start waits for one but beside an original.

    init ──► ping ◄──► dead        init ──► dead
"""

from __future__ import annotations

from heartbeat.core.actions import INFO, WARN
from heartbeat.core.machine import Machine
from heartbeat.core.view import NodeView

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from heartbeat.core.outbox import Outbox
    from heartbeat.core.settings import Settings
    from heartbeat.core.timers import Timers

INIT, PING, DEAD = range(3)


class PingNode(Machine):
    """One host, or one group of hosts of which one is enough. due: when it is dead if it has not answered."""

    NAMES = ("init", "ping", "dead")
    ALLOWED = {
        (INIT, PING): "it has answered",
        (INIT, DEAD): "it has not answered before initdead was over",
        (PING, DEAD): "it has not answered for deadping",
        (DEAD, PING): "it answers again",
    }

    __slots__ = ("due", "last_ns", "timer")

    def __init__(self, timer: int) -> None:
        super().__init__(INIT)
        self.timer = timer
        self.due = 0
        self.last_ns = 0


class PingNodes:
    """on_change(): one has come, or is gone. Without ping nodes there is no timer, and nothing happens."""

    __slots__ = ("_on_change", "_outbox", "_settings", "_timers", "nodes")

    def __init__(
        self, settings: Settings, outbox: Outbox, timers: Timers, now: int, *, on_change: Callable[[], None]
    ) -> None:
        self._settings = settings
        self._outbox = outbox
        self._timers = timers
        self._on_change = on_change
        self.nodes: dict[str, PingNode] = {}
        self._name(now + settings.initdead_ns)

    def reconfigure(self, settings: Settings) -> None:
        """A reload. One that is new has deadping to answer; a running timer keeps its instant until the next answer."""
        self._settings = settings
        for name in [name for name in self.nodes if name not in settings.ping_nodes]:
            self._timers.free(self.nodes.pop(name).timer)
        self._name(self._outbox.now + settings.deadping_ns)

    def _name(self, due: int) -> None:
        kept = self.nodes
        self.nodes = {}
        for name in self._settings.ping_nodes:
            node = self.nodes[name] = kept.get(name) or PingNode(0)
            if name not in kept:
                node.timer = self._timers.new(self._silent, node, name)
                self._arm(node, due)

    def _arm(self, node: PingNode, due: int) -> None:
        node.due = due
        self._timers.arm(node.timer, due)

    def again(self, name: str, now: int) -> bool:
        """It has answered. True: as before, and nothing follows from it."""
        node = self.nodes.get(name)
        if node is None or node.state != PING:
            return node is None  # of a medium that a reload has just taken away
        node.last_ns = now
        self._arm(node, now + self._settings.deadping_ns)
        return True

    def answered(self, name: str, now: int) -> None:
        """It has answered, for the first time or after its death."""
        node = self.nodes.get(name)
        if node is not None and node.state != PING:
            node.enter(PING)
            self._outbox.note(INFO, f"status update for node {name}: ping")
            self.again(name, now)
            self._on_change()

    def _silent(self, now: int, node: PingNode, name: str) -> None:
        """Where this node itself did not run, nobody was asked."""
        if now - node.due > self._settings.keepalive_ns:
            self._arm(node, now + self._settings.deadping_ns)
            return
        node.enter(DEAD)
        self._outbox.note(WARN, f"node {name} is dead")
        self._on_change()

    @property
    def known(self) -> bool:
        """Of each: it has answered, or is dead."""
        return all(node.state != INIT for node in self.nodes.values())

    @property
    def count(self) -> int:
        """Of those that answer."""
        return sum(node.state == PING for node in self.nodes.values())

    def views(self) -> dict[str, NodeView]:
        """A ping node's one link has its name, and is up while it answers."""
        return {
            name: NodeView(
                node.state_name, 0, {name: "up" if node.state == PING else "dead"}, node.last_ns or None, kind="ping"
            )
            for name, node in self.nodes.items()
        }
