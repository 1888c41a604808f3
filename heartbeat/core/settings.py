"""What the core must know of the operator's configuration, in the core's own units.

Built once by `heartbeat.config` (at start and at each reload) and never changed afterwards. Times are nanoseconds and
are already divided where a demonstration runs the clock faster; names are lower case.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

MILLISECOND = 1_000_000
SECOND = 1_000_000_000
NEVER = 1 << 63  # an instant

# auto_failback
FAILBACK_OFF, FAILBACK_ON, FAILBACK_LEGACY = 0, 1, 2
FAILBACK_NAMES = ("off", "on", "legacy")

# nodes of a cluster, ping nodes included (wire format: sizes)
NODES_MOST = 100

# A lease ends this part of deadtime, and at least this time, before the peer may take over. The kernel counts leases
# in its own ticks, of 4 ms where it counts coarsely: a lease starts and ends on one.
LEASE_MARGIN_PART = 10
LEASE_MARGIN_LEAST_NS = 8 * MILLISECOND

# what an operator's other node is told that this one can, a letter each (bulletin.py)
OVERLAP = "o"
# What is handed over may be on two nodes for so long, and three frames on the slowest line; the kernel, which counts
# leases in its own ticks, is told a margin less.
OVERLAP_NS = 250 * MILLISECOND
OVERLAP_FRAMES = 3

# A process at real-time priority answers in far less, also on a machine that stalls now and then.
ANSWER_NS = 50 * MILLISECOND


def status_octets(groups: int) -> int:
    """A generous size of a status with so many groups, signed by any method, on any medium."""
    return 400 + 6 * groups


class Resource:
    """One word of a haresources line.

    word: as the operator wrote it (`IPaddr::10.0.0.254`); name: the agent's; arguments: after it, unquoted.
    notifier: neither its failure nor its slowness ever touches the group (MailTo).
    """

    __slots__ = ("arguments", "name", "notifier", "start_timeout_ns", "stop_timeout_ns", "word")

    def __init__(
        self,
        word: str,
        name: str,
        arguments: Sequence[str] = (),
        *,
        notifier: bool = False,
        start_timeout_ns: int = 60 * SECOND,
        stop_timeout_ns: int = 30 * SECOND,
    ) -> None:
        self.word = word
        self.name = name
        self.arguments = tuple(arguments)
        self.notifier = notifier
        self.start_timeout_ns = start_timeout_ns
        self.stop_timeout_ns = stop_timeout_ns

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Resource) and (self.name, self.arguments) == (other.name, other.arguments)

    def __hash__(self) -> int:
        return hash((self.name, self.arguments))

    def __repr__(self) -> str:
        return f"Resource({self.word!r})"


class Group:
    """One line of haresources: resources that move together. key: its first resource word, unique in the file."""

    __slots__ = ("key", "preferred", "resources")

    def __init__(self, key: str, preferred: str, resources: Sequence[Resource]) -> None:
        self.key = key
        self.preferred = preferred
        self.resources = tuple(resources)

    def __repr__(self) -> str:
        return f"Group({self.key!r}, {self.preferred!r}, {self.resources!r})"


class Settings:
    """Everything the core needs. See the module's opening for units; `media` are unique names in ha.cf's order.

    resources_digest: eight hex digits over the normalised haresources. timing_digest: four over the times of ha.cf,
    then four over its list of nodes. Two nodes whose digests differ run on different files.
    answer_ns: how long the other node's answer to a question takes at most, with one status lost. frame_ns: what a
    status takes on the slowest line.
    lease_ns: how long this node answers for a group's addresses after the last sign of life that it sent. grant_ns: the
    same for what is granted between two of them. lease_slack_ns: what may pass between a look at the clock and either,
    half of the margin. alone_ns: for so long a run that had found the peer dead may be continued by the next one.
    ping_nodes: names; deadping_ns: silent for so long is dead. ipfail: they are counted, and that counts (ipfail.py).
    hooks: names of the operator's scripts in rc.d that are to run (hooks.py).
    overlapping: names of the agents of which two nodes may have one up for a moment, where they have agreed to; none
    where that may be an operator's script. overlap_ns: for so long, after what was agreed; 0: never. It is a grant's
    length at most, because it begins between two signs of life. abilities: what this node tells the other that it can
    (bulletin.py).
    strong_required: a message without the strong signature (docs/protocol.md) is nobody's.
    divisor: all times, the core's own constants too, run this many times faster (1 for operators).
    """

    __slots__ = (
        "alone_ns", "answer_ns", "auto_failback", "deadping_ns", "deadtime_ns", "divisor",
        "failback_delay_ns", "frame_ns", "grant_ns", "groups", "hooks", "hopfudge", "initdead_ns", "ipfail",
        "keepalive_ns", "lease_ns", "lease_slack_ns", "max_rexmit_delay_ns", "media", "node", "nodes", "overlap_ns",
        "overlapping", "ping_nodes", "reboot_on_stop_failure", "resources_digest", "strong_required", "timing_digest",
        "uuid", "warntime_ns",
    )  # fmt: skip

    def __init__(
        self,
        *,
        node: str,
        nodes: Sequence[str],
        uuid: bytes,
        media: Sequence[str],
        groups: Sequence[Group] = (),
        keepalive_ns: int = SECOND,
        deadtime_ns: int = 30 * SECOND,
        warntime_ns: int = 15 * SECOND,
        initdead_ns: int = 30 * SECOND,
        auto_failback: int = FAILBACK_OFF,
        failback_delay_ns: int = 0,
        max_rexmit_delay_ns: int = 250 * MILLISECOND,
        hopfudge: int = 1,
        frame_ns: int = 0,
        reboot_on_stop_failure: bool = False,
        ping_nodes: Sequence[str] = (),
        deadping_ns: int = 30 * SECOND,
        ipfail: bool = False,
        strong_required: bool = False,
        resources_digest: str = "00000000",
        timing_digest: str = "00000000",
        hooks: Collection[str] = (),
        overlapping: Collection[str] = (),
        divisor: int = 1,
    ) -> None:
        self.node = node
        self.nodes = tuple(nodes)
        self.uuid = uuid
        self.media = tuple(media)
        self.groups = tuple(groups)
        self.keepalive_ns = keepalive_ns
        self.deadtime_ns = deadtime_ns
        self.warntime_ns = warntime_ns
        self.initdead_ns = initdead_ns
        self.auto_failback = auto_failback
        self.failback_delay_ns = failback_delay_ns
        self.max_rexmit_delay_ns = max_rexmit_delay_ns
        self.hopfudge = hopfudge
        self.frame_ns = frame_ns
        self.ping_nodes = tuple(ping_nodes)
        self.deadping_ns = deadping_ns
        self.ipfail = ipfail
        self.reboot_on_stop_failure = reboot_on_stop_failure
        self.strong_required = strong_required
        self.resources_digest = resources_digest
        self.timing_digest = timing_digest
        self.hooks = frozenset(hooks)
        self.overlapping = frozenset(overlapping)
        self.divisor = divisor
        margin_ns = max(deadtime_ns // LEASE_MARGIN_PART, LEASE_MARGIN_LEAST_NS)
        self.lease_ns = max(deadtime_ns - margin_ns, MILLISECOND)
        self.grant_ns = max(self.lease_ns - keepalive_ns, self.lease_ns // 2)
        self.lease_slack_ns = max(deadtime_ns - self.lease_ns, MILLISECOND) // 2
        self.alone_ns = initdead_ns // 2
        # a process that is woken, two statuses there for one back, sent together or soon after each other
        self.answer_ns = max(ANSWER_NS, keepalive_ns // 4) + 3 * frame_ns
        self.overlap_ns = self._overlap_ns()

    @property
    def abilities(self) -> str:
        return OVERLAP if self.overlap_ns else ""

    def _overlap_ns(self) -> int:
        """None where it would be no more than a few of the kernel's ticks."""
        most_ns = OVERLAP_NS // self.divisor + OVERLAP_FRAMES * self.frame_ns - LEASE_MARGIN_LEAST_NS
        found_ns = min(most_ns, self.grant_ns)
        return found_ns if self.overlapping and found_ns >= LEASE_MARGIN_LEAST_NS else 0
