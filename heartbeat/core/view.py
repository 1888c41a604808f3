"""What an operator may see of the cluster: plain records, read-only, made anew for each question."""

from __future__ import annotations


class NodeView:
    """status: init, up, active or dead. links: medium → up or dead. last_heard_ns: when its newest heartbeat came,
    None for this node itself and for one never heard in its generation."""

    __slots__ = ("generation", "last_heard_ns", "links", "status")

    def __init__(self, status: str, generation: int, links: dict[str, str], last_heard_ns: int | None = None) -> None:
        self.status = status
        self.generation = generation
        self.links = links
        self.last_heard_ns = last_heard_ns


class GroupView:
    """holder: the node on which it is up or coming up, None for nobody. state: as the group machine names it."""

    __slots__ = ("holder", "key", "preferred", "state")

    def __init__(self, key: str, preferred: str, holder: str | None, state: str) -> None:
        self.key = key
        self.preferred = preferred
        self.holder = holder
        self.state = state


class ClusterView:
    """holds: none, local, foreign or all. last_failover: peer, last_heard_ns, declared_dead_ns, completed_ns of the
    peer's latest death, instants of CLOCK_BOOTTIME. counts: what was ignored, by cause."""

    __slots__ = (
        "counts", "generation", "groups", "holds", "last_failover", "node", "nodes", "stable", "state", "warnings",
    )  # fmt: skip

    def __init__(
        self, *, node: str, state: str, generation: int, holds: str, stable: bool, nodes: dict[str, NodeView],
        groups: list[GroupView], warnings: list[str], last_failover: dict[str, str | int | None] | None,
        counts: dict[str, int],
    ) -> None:  # fmt: skip
        self.node = node
        self.state = state
        self.generation = generation
        self.holds = holds
        self.stable = stable
        self.nodes = nodes
        self.groups = groups
        self.warnings = warnings
        self.last_failover = last_failover
        self.counts = counts
