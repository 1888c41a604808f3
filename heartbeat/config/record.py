"""What the three files say, checked and complete: `Config` and its parts.

Filled in by the readers of this package and never changed afterwards. Times are whole milliseconds as the files have
them; `settings` alone turns them into the core's nanoseconds and divides them. Two configurations are equal when they
make a node behave alike: where they were read from, warnings and the recorded texts don't count.
"""

from __future__ import annotations

import zlib

from heartbeat.core.settings import FAILBACK_LEGACY, MILLISECOND, SECOND, Group, Resource, Settings, status_octets

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

ADDRESS_AGENTS = ("IPaddr", "IPaddr2", "IPv6addr")
INLINE_AGENTS = (*ADDRESS_AGENTS, "SendArp")  # they run within the daemon, in no time to speak of
UDP_PORT = 694  # IANA's ha-cluster
BAUD = 19200
MAILSERVER = "smtp://localhost:25"
BITS_PER_OCTET = 10  # on a serial line: start bit, eight data bits, stop bit


class MediumConfig:
    """One medium of ha.cf.

    name: the link's name, unique: device path or interface, `eth0#2` for the second medium on eth0.
    type: serial, ucast, bcast, mcast, ucast6 or mcast6. device: tty or interface. port: UDP; 0 for serial.
    host: as written (ucast: name or address; mcast: the group). address: its numeric form, of IPv6 without a scope, ""
    where it could not be resolved; broadcast addresses are looked up when the medium opens.
    sources: the addresses that a UDP medium hears, none for whoever sends; sources_strict: never any other.
    ttl: mcast. loop: mcast; of ucast, whether ha.cf names an address of this machine there, too.
    baud: serial; rate_bits_per_s: what the line carries in real time, baud times the divisor; 0 for others.
    frame_format: what is written; both formats are understood on every medium (protocol/wire.md §3.2).
    """

    __slots__ = (
        "address", "baud", "device", "frame_format", "host", "loop", "name", "port", "rate_bits_per_s", "sources",
        "sources_strict", "ttl", "type",
    )  # fmt: skip

    def __init__(
        self,
        name: str,
        type: str,  # noqa: A002  the operator's word
        device: str,
        *,
        host: str = "",
        address: str = "",
        port: int = 0,
        ttl: int = 0,
        loop: bool = False,
        baud: int = 0,
        rate_bits_per_s: int = 0,
    ) -> None:
        self.name = name
        self.type = type
        self.device = device
        self.host = host
        self.address = address
        self.port = port
        self.ttl = ttl
        self.loop = loop
        self.baud = baud
        self.rate_bits_per_s = rate_bits_per_s
        self.sources: tuple[str, ...] = ()
        self.sources_strict = False
        self.frame_format = "classic" if type == "serial" else "netstring"

    def frame_ns(self, octets: int) -> int:
        """What so many octets take on a serial line; 0 for others."""
        return octets * BITS_PER_OCTET * SECOND // self.rate_bits_per_s if self.rate_bits_per_s else 0

    @property
    def loops(self) -> bool:
        """An original hears its own messages on it, and counts its own link as up."""
        return self.loop or self.type == "bcast"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, MediumConfig) and _values(self, MEDIUM_COMPARED) == _values(other, MEDIUM_COMPARED)

    def __hash__(self) -> int:
        return hash((self.name, self.type, self.device))

    def __repr__(self) -> str:
        return f"MediumConfig({self.name!r}, {self.type!r}, {self.host!r})"


class PingConfig:
    """One ping node. name: as written, or a group's own, in lower case. type: ping, ping6 or ping_group. hosts: as
    written; addresses: the same in digits, without those of a group that could not be resolved."""

    __slots__ = ("addresses", "hosts", "name", "type")

    def __init__(self, name: str, type: str, hosts: Iterable[str], addresses: Iterable[str]) -> None:  # noqa: A002
        self.name = name
        self.type = type
        self.hosts = tuple(hosts)
        self.addresses = tuple(addresses)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PingConfig) and _values(self, PingConfig.__slots__) == _values(other, self.__slots__)

    def __hash__(self) -> int:
        return hash((self.name, self.type))

    def __repr__(self) -> str:
        return f"PingConfig({self.name!r}, {self.type!r}, {self.hosts!r})"


# the rate follows from the divisor, which is no part of the files
MEDIUM_COMPARED = tuple(slot for slot in MediumConfig.__slots__ if slot != "rate_bits_per_s")


class Respawn:
    """A command that runs beside the daemon, as `user`, and is started again unless it exits 100.

    command: as written, an absolute path first. failfast: it came from a `failfast` line.
    """

    __slots__ = ("command", "failfast", "user")

    def __init__(self, user: str, command: str, *, failfast: bool = False) -> None:
        self.user = user
        self.command = command
        self.failfast = failfast

    def argv(self) -> list[str]:
        """For the shell, which splits and unquotes `command` as it did for the original."""
        return ["/bin/sh", "-c", f"exec {self.command}"]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Respawn) and _values(self, Respawn.__slots__) == _values(other, Respawn.__slots__)

    def __hash__(self) -> int:
        return hash((self.user, self.command))

    def __repr__(self) -> str:
        return f"Respawn({self.user!r}, {self.command!r})"


class Config:
    """The configuration of one node. Attributes begin with the defaults of protocol/config.md §3.

    nodes: ha.cf's order. environment: HA_* and OCF_ROOT for children, names to values, the operator's `env` lines
    included. parameters: the recorded directives as written, for `cl_status hbparameter`. env: the `env` lines alone.
    apiauth: client name to (uids, gids) as written. ipfail: what its `respawn` line says, "" without one.
    udp_sources: learn, any, or addresses divided by blanks. hooks: the scripts in rc.d that are to run (scripts.py).
    exposed: what keeps the keys from protecting anything, for as long as it does; a subset of the warnings.
    """

    __slots__ = (
        "apiauth", "authkeys_permissions", "auto_failback", "builtin_agents", "cluster", "coredumps", "deadping_ms",
        "deadtime_ms", "debug", "debugfile", "directory", "divisor", "env", "environment", "exposed",
        "failback_delay_ms", "generation_method", "groups", "hooks", "hopfudge", "initdead_ms", "ipfail",
        "keepalive_ms", "keys", "log_badpack", "logfacility", "logfile", "mailserver", "max_rexmit_delay_ms", "media",
        "message_format", "node", "nodes", "outbound", "parameters", "pings", "realtime", "reboot_on_stop_failure",
        "respawn", "rtprio", "strong_auth", "syslogmsgfmt", "udp_sources", "use_logd", "uuid_from", "warnings",
        "warntime_ms",
    )  # fmt: skip

    def __init__(self, directory: str, *, divisor: int = 1) -> None:
        self.directory = directory
        self.divisor = divisor
        self.warnings: tuple[str, ...] = ()
        # who
        self.node = ""
        self.nodes: tuple[str, ...] = ()
        self.cluster = "linux-ha"
        self.uuid_from = "file"
        self.generation_method = "file"
        # when
        self.keepalive_ms = 1000
        self.deadtime_ms = 30_000
        self.warntime_ms = 15_000
        self.initdead_ms = 30_000
        self.deadping_ms = 30_000
        self.failback_delay_ms = 0
        self.max_rexmit_delay_ms = 250
        # by which way
        self.media: tuple[MediumConfig, ...] = ()
        self.pings: tuple[PingConfig, ...] = ()
        self.ipfail = ""
        self.hopfudge = 1
        self.message_format = "classic"
        # who is believed
        self.keys: dict[int, tuple[str, bytes]] = {}
        self.outbound = -1
        self.authkeys_permissions = "strict"
        self.strong_auth = "auto"
        self.udp_sources = "learn"
        self.exposed: tuple[str, ...] = ()
        # what
        self.groups: tuple[Group, ...] = ()
        self.auto_failback = FAILBACK_LEGACY
        self.reboot_on_stop_failure = False
        self.builtin_agents = True
        self.mailserver = MAILSERVER
        # how it runs
        self.realtime = True
        self.rtprio: int | None = None
        self.coredumps = False
        self.respawn: tuple[Respawn, ...] = ()
        self.apiauth: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {}
        self.hooks: frozenset[str] = frozenset()
        self.env: dict[str, str] = {}
        self.environment: dict[str, str] = {}
        self.parameters: dict[str, str] = {}
        # what it says
        self.logfacility: str | None = None
        self.logfile: str | None = None
        self.debugfile: str | None = None
        self.use_logd = True
        self.syslogmsgfmt = True
        self.log_badpack = True
        self.debug = 0

    def settings(self, uuid: bytes) -> Settings:
        """What the core must know, times in nanoseconds and divided. uuid: 16 octets."""
        return Settings(
            node=self.node,
            nodes=self.nodes,
            uuid=uuid,
            media=[medium.name for medium in self.media],
            groups=[self._divided(group) for group in self.groups],
            keepalive_ns=self._ns(self.keepalive_ms),
            deadtime_ns=self._ns(self.deadtime_ms),
            warntime_ns=self._ns(self.warntime_ms),
            initdead_ns=self._ns(self.initdead_ms),
            auto_failback=self.auto_failback,
            failback_delay_ns=self._ns(self.failback_delay_ms),
            max_rexmit_delay_ns=self._ns(self.max_rexmit_delay_ms),
            hopfudge=self.hopfudge,
            frame_ns=max((medium.frame_ns(status_octets(len(self.groups))) for medium in self.media), default=0),
            reboot_on_stop_failure=self.reboot_on_stop_failure,
            ping_nodes=[ping.name for ping in self.pings],
            deadping_ns=self._ns(self.deadping_ms),
            # the original's ends itself where there is nothing that it can do
            ipfail=bool(self.ipfail and self.pings) and self.auto_failback != FAILBACK_LEGACY,
            strong_required=self.strong_auth == "required",
            resources_digest=self.resources_digest(),
            timing_digest=self.timing_digest(),
            hooks=self.hooks,
            overlapping=INLINE_AGENTS if self.builtin_agents else (),
            divisor=self.divisor,
        )

    def resources_digest(self) -> str:
        """Eight hex digits over what haresources means: comments, blanks and spelling of arguments don't count.

        A group's key does: the nodes name groups to each other by it.
        """
        lines = []
        for group in self.groups:
            lines += [group.preferred, group.key]
            for resource in group.resources:
                lines += ["", resource.name, *resource.arguments]
            lines.append("\n")
        return _digest(lines)

    def timing_digest(self) -> str:
        """Four hex digits over the times that two nodes must agree on, then four over the nodes; their order in the
        file is free."""
        times = (self.keepalive_ms, self.deadtime_ms, self.warntime_ms, self.initdead_ms, self.failback_delay_ms)
        return _digest(map(str, times))[:4] + _digest(sorted(self.nodes))[:4]

    def dump(self) -> str:
        """The effective settings, file by file, in a form that parses again (`dump.split`). Keys are hidden."""
        from heartbeat.config.dump import dump  # noqa: PLC0415  only `heartbeat check` asks for it

        return dump(self)

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Config)
            and _values(self, CONFIG_COMPARED) == _values(other, CONFIG_COMPARED)
            and _spelled(self.groups) == _spelled(other.groups)
        )

    def __hash__(self) -> int:
        return hash((self.node, self.nodes))

    def _ns(self, milliseconds: int) -> int:
        return milliseconds * MILLISECOND // self.divisor

    def _divided(self, group: Group) -> Group:
        if self.divisor == 1:
            return group
        return Group(
            group.key,
            group.preferred,
            [
                Resource(
                    resource.word,
                    resource.name,
                    resource.arguments,
                    notifier=resource.notifier,
                    start_timeout_ns=resource.start_timeout_ns // self.divisor,
                    stop_timeout_ns=resource.stop_timeout_ns // self.divisor,
                )
                for resource in group.resources
            ],
        )


NOT_COMPARED = ("directory", "divisor", "environment", "exposed", "groups", "hooks", "parameters", "warnings")
CONFIG_COMPARED = tuple(slot for slot in Config.__slots__ if slot not in NOT_COMPARED)


def _values(record: object, slots: Iterable[str]) -> list[object]:
    return [getattr(record, slot) for slot in slots]


def _spelled(groups: Iterable[Group]) -> list[object]:
    return [
        (group.key, group.preferred, [(resource.word, resource.arguments) for resource in group.resources])
        for group in groups
    ]


def _digest(texts: Iterable[str]) -> str:
    return f"{zlib.crc32(chr(0).join(texts).encode()):08x}"
