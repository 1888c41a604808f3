"""What an operator may see of the cluster: plain records, read-only, made anew for each question."""

from __future__ import annotations

from heartbeat.core import resources
from heartbeat.core.standby import IDLE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection

    from heartbeat.core.membership import Membership
    from heartbeat.core.resources import Resources
    from heartbeat.core.settings import Settings
    from heartbeat.core.standby import Standby

# a peer's group, as its bulletin's letter says
PEER_STATES = {"s": "starting", "h": "held", "p": "stopping", "f": "failed", "l": "held"}


class NodeView:
    """status: init, up, active, dead or quarantined; of a ping node init, ping or dead. links: medium → up or dead.
    last_heard_ns: when its newest heartbeat, or answer, came, None for this node itself and for one never heard in its
    generation. kind: normal or ping."""

    __slots__ = ("generation", "kind", "last_heard_ns", "links", "status")

    def __init__(
        self, status: str, generation: int, links: dict[str, str], last_heard_ns: int | None = None,
        *, kind: str = "normal",
    ) -> None:  # fmt: skip
        self.kind = kind
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
    peer's latest death, instants of CLOCK_BOOTTIME. counts: what was ignored, by cause. ipfail: the nodes on which it
    is known to run."""

    __slots__ = (
        "counts", "generation", "groups", "holds", "ipfail", "last_failover", "node", "nodes", "stable", "state",
        "warnings",
    )  # fmt: skip

    def __init__(
        self, *, node: str, state: str, generation: int, holds: str, stable: bool, nodes: dict[str, NodeView],
        groups: list[GroupView], warnings: list[str], last_failover: dict[str, str | int | None] | None,
        counts: dict[str, int], ipfail: list[str],
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
        self.ipfail = ipfail


def node_views(
    settings: Settings, generation: int, membership: Membership, media_up: Collection[str]
) -> dict[str, NodeView]:
    views = {}
    for name in settings.nodes:
        peer = membership.peers.get(name)
        if peer is None:
            links = {medium: "up" if medium in media_up else "dead" for medium in settings.media}
            views[name] = NodeView(membership.local.state_name, generation, links)
        else:
            links = {medium: link.state_name for medium, link in peer.links.items()}
            views[name] = NodeView(peer.state_name, peer.tracker.generation, links, peer.last_status_ns or None)
    return views


def stable(held: Resources, standby: Standby) -> bool:
    """Nothing moves, and a hand-over would be accepted now, if there is somebody to take it."""
    other = held.other
    if not (other.alone or other.ready):
        return False
    settled = held.state == resources.SETTLED and held.quiet
    groups = held.groups.values()
    failed = any(machine.claimed and not machine.up for machine in groups)
    nobodys = any(not machine.claimed and not other.claims(held.label(machine)) for machine in groups)
    return settled and not failed and not nobodys and standby.state == IDLE


def group_view(held: Resources, key: str) -> GroupView:
    machine, other = held.groups[key], held.other
    letter = other.letter(held.label(machine))
    if machine.claimed or machine.moving or other.peer is None or letter not in PEER_STATES:
        holder = held.settings.node if machine.up else None
        return GroupView(key, machine.settings.preferred, holder, machine.state_name)
    holder = other.peer.name if letter != "f" else None
    return GroupView(key, machine.settings.preferred, holder, PEER_STATES[letter])
