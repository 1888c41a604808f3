"""ha.cf: lines, order and defaults (protocol/config.md §2, §3.2). What each directive means is in directives.py.

A line is cut at the first `#`, wherever it stands, and at the first CR. Its first word is the directive. Two styles:
LIST   the rest is split at blanks and commas, and the handler runs once per word, not at all without one;
LINE   the handler runs once with the rest of the line, "" where there is none.
Handlers run in the order of the file, because `udpport` and `baud` hold for what follows them. Defaults and what must
fit together come after the last line.
"""

from __future__ import annotations

from heartbeat.config import machine
from heartbeat.config.problems import shown
from heartbeat.config.record import BAUD, UDP_PORT, MediumConfig
from heartbeat.config.values import BLANKS, lower
from heartbeat.core.settings import FAILBACK_LEGACY

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from heartbeat.config.problems import Problems
    from heartbeat.config.record import Config, PingConfig, Respawn

MEDIA = {"serial", "ucast", "bcast", "mcast", "ucast6", "mcast6"}
MEDIA_MAX = 64
SERVICE = "ha-cluster"

LIST, LINE = range(2)
BLANK_LIST = str.maketrans(dict.fromkeys(BLANKS + ",", " "))
BLANK_LINE = str.maketrans(dict.fromkeys(BLANKS, " "))


class Directive:
    """A row of the table. several: more than one word or line of it has a meaning. recorded: hbparameter knows it."""

    __slots__ = ("handle", "recorded", "several", "style")

    def __init__(
        self,
        handle: Callable[[Reader, int, str], None],
        *,
        style: int = LIST,
        several: bool = False,
        recorded: bool = True,
    ) -> None:
        self.handle = handle
        self.style = style
        self.several = several
        self.recorded = recorded


class Reader:
    """Fills a Config from the lines of ha.cf, and knows what the finished file must still be checked for.

    known: host names resolved before, name to address; then the resolver is not asked. None: it is.
    """

    def __init__(self, config: Config, problems: Problems, known: dict[str, str] | None, *, ask_machine: bool) -> None:
        self.config = config
        self.problems = problems
        self.known = known
        self.ask_machine = ask_machine
        self.lines: dict[str, int] = {}  # directive -> line of its last use
        self.udpport = UDP_PORT
        self.ports: dict[str, int] = {}  # medium type -> UDP port, fixed when the first of its type is met
        self.baud = BAUD
        self.serial_baud: int | None = None  # likewise, for all serial media
        self.nodes: list[str] = []
        self.media: list[MediumConfig] = []
        self.to_self: list[MediumConfig] = []  # ucast to an address of this machine
        self.respawn: list[Respawn] = []
        self.pings: dict[str, tuple[PingConfig, int]] = {}  # name -> and its line
        self.absent: list[tuple[MediumConfig, int, str]] = []
        self.invalid: set[str] = set()  # directives whose value was refused: nothing is concluded from their defaults
        if ask_machine:
            self.udpport = machine.service_port(SERVICE) or UDP_PORT

    def error(self, line: int, text: str) -> None:
        self.problems.error(line, text)

    def warning(self, line: int, text: str) -> None:
        self.problems.warning(line, text)

    def refuse(self, directive: str, line: int, text: str) -> None:
        self.invalid.add(directive)
        self.problems.error(line, f"{directive} {text}")

    # ---- lines

    def read(self, lines: list[str], table: dict[str, Directive]) -> None:
        for number, raw in enumerate(lines, 1):
            if self.problems.full:
                break
            line = raw.partition("\r")[0].partition("#")[0].strip(BLANKS)
            if line:
                self._line(number, line, table)

    def _line(self, number: int, line: str, table: dict[str, Directive]) -> None:
        name = line.translate(BLANK_LINE).partition(" ")[0]
        # the rest as written: blanks inside a command are the command's
        rest = line[len(name) :].strip(BLANKS)
        directive = table.get(name)
        if directive is None:
            self.error(number, f"unknown directive {shown(name)}; {_hint(name, table)}")
            return
        words = split(rest, BLANK_LIST) if directive.style == LIST else [rest]
        if not words:
            self.warning(number, f"{name} has no value; the line is ignored")
            return
        if not directive.several:
            self._warn_of_repetition(name, number, len(words))
        for word in words:
            directive.handle(self, number, word)
            if directive.recorded:
                self.config.parameters[name] = word
            self.lines[name] = number

    def _warn_of_repetition(self, name: str, number: int, words: int) -> None:
        if words > 1:
            self.warning(number, f"{name} takes one value; the last one counts")
        if name in self.lines:
            self.warning(number, f"{name} is also in line {self.lines[name]}; this one counts")

    # ---- media, for directives.py

    def port(self, type: str) -> int:  # noqa: A002  the operator's word
        """The port of all media of a type: udpport as it stood above the first of them."""
        return self.ports.setdefault(type, self.udpport)

    def line_rate(self) -> int:
        """The baud of all serial media: as it stood above the first of them."""
        if self.serial_baud is None:
            self.serial_baud = self.baud
        return self.serial_baud

    def add_medium(self, line: int, medium: MediumConfig) -> bool:
        """False, said why, where it is the same as one before or one too many."""
        for other in self.media:
            if (other.type, other.device, other.host, other.port) == (
                medium.type, medium.device, medium.host, medium.port
            ):  # fmt: skip
                self.warning(line, f"{medium.type} {shown(medium.device)} is there already; this one is ignored")
                return False
        if len(self.media) == MEDIA_MAX:
            self.error(line, f"more than {MEDIA_MAX} media")
            return False
        self.media.append(medium)
        return True

    def _name_media(self) -> None:
        """Leave out what would beat to this node itself (the same ha.cf on both nodes names both): with two sockets on
        one port the kernel would hand the peer's messages to either. Number what shares an interface."""
        if len(self.to_self) < len(self.media):
            self.media = [medium for medium in self.media if medium not in self.to_self]
        for medium in self.media:
            medium.loop |= any((each.type, each.device) == (medium.type, medium.device) for each in self.to_self)
        seen: dict[str, int] = {}
        for medium in self.media:
            count = seen[medium.device] = seen.get(medium.device, 0) + 1
            if count > 1:
                medium.name = f"{medium.device}#{count}"

    # ---- after the last line

    def computed(self) -> dict[str, str]:
        """The recorded text of each default that depends on other directives or on the machine."""
        config = self.config
        times = {"warntime": config.warntime_ms, "initdead": config.initdead_ms, "deadping": config.deadping_ms}
        return {
            **{name: f"{value}ms" for name, value in times.items()},
            "baud": str(self.baud),
            "udpport": str(self.udpport),
            "use_logd": "yes" if config.use_logd else "no",
        }

    def finish(self) -> None:
        config = self.config
        config.nodes = tuple(self.nodes)
        self._name_media()
        config.media = tuple(self.media)
        config.respawn = tuple(self.respawn)
        for medium in self.media:
            medium.rate_bits_per_s = medium.baud * config.divisor
        self._fill_in_times()
        self._check_media()
        self._check_nodes()
        self._check_times()
        self._check_logging()
        if config.auto_failback == FAILBACK_LEGACY and "auto_failback" not in self.invalid:
            self.warning(
                self.lines.get("auto_failback", self.problems.last_line),
                "auto_failback is legacy, which is deprecated; write auto_failback on or off, the same on both nodes",
            )

    def _fill_in_times(self) -> None:
        config = self.config
        deadtime_ms = config.deadtime_ms
        if "warntime" not in self.lines:
            config.warntime_ms = deadtime_ms // 2
        if "initdead" not in self.lines:
            if deadtime_ms > 10_000:
                config.initdead_ms = deadtime_ms
            else:
                config.initdead_ms = 12_000 if deadtime_ms < 6_000 else 2 * deadtime_ms
        if "deadping" not in self.lines:
            config.deadping_ms = deadtime_ms

    def _check_media(self) -> None:
        """What is absent refuses the file only where no other medium can work: else it starts down, and is retried."""
        if not self.media and not self.invalid & MEDIA:
            self.error(
                self.problems.last_line,
                "no medium to send heartbeats on; add a line serial, ucast, bcast or mcast",
            )
        absent = {medium.name for medium, _, _ in self.absent}
        others_work = len(absent) < len(self.media)
        for _, line, text in self.absent:
            if others_work:
                self.warning(line, f"{text}; this medium starts down")
            else:
                self.error(line, f"{text}, and no other medium can work; correct the line or add a medium")

    def _check_nodes(self) -> None:
        nodes, config = self.nodes, self.config
        line = self.lines.get("node", self.problems.last_line)
        if not nodes:
            if "node" not in self.invalid:
                self.error(line, "no node; add `node NAME NAME` with what `uname -n` says on each")
            return
        if config.node and config.node not in nodes:
            self.error(
                line,
                f"this machine's name {shown(config.node)} is in no node line;"
                " add it, or put one of the nodes' names into nodeinfo",
            )
        if len(nodes) == 1:
            self.warning(line, f"{nodes[0]} is the only node; nobody takes over from it")

    def _check_times(self) -> None:
        config, last = self.config, self.problems.last_line
        if not self.invalid & {"keepalive", "deadtime"} and config.deadtime_ms <= 2 * config.keepalive_ms:
            self.error(
                self.lines.get("deadtime", self.lines.get("keepalive", last)),
                f"deadtime {config.deadtime_ms}ms must be more than twice keepalive {config.keepalive_ms}ms",
            )
        if "initdead" in self.lines and not self.invalid & {"initdead", "deadtime"}:
            if config.initdead_ms < config.deadtime_ms:
                self.error(
                    self.lines["initdead"],
                    f"initdead {config.initdead_ms}ms must not be less than deadtime {config.deadtime_ms}ms",
                )
            elif config.initdead_ms < 10_000:
                self.warning(
                    self.lines["initdead"],
                    f"initdead {config.initdead_ms}ms is short: networks and switches may need longer after a boot,"
                    " and then both nodes start alone",
                )
        if (
            "deadping" in self.lines
            and not self.invalid & {"deadping", "keepalive"}
            and config.deadping_ms <= 2 * config.keepalive_ms
        ):
            self.error(
                self.lines["deadping"],
                f"deadping {config.deadping_ms}ms must be more than twice keepalive {config.keepalive_ms}ms",
            )
        if not self.invalid & {"warntime", "deadtime"} and config.warntime_ms >= config.deadtime_ms:
            self.warning(
                self.lines.get("warntime", last),
                f"warntime {config.warntime_ms}ms is not below deadtime {config.deadtime_ms}ms;"
                " no late heartbeat is ever warned of",
            )

    def _check_logging(self) -> None:
        config, line = self.config, self.lines.get("use_logd", 0)
        if config.logfacility is config.logfile is config.debugfile is None:
            if line and not config.use_logd:
                self.error(
                    line, "use_logd is off and nothing else is logged to; add logfacility daemon or logfile PATH"
                )
        elif not line:
            config.use_logd = False
        elif config.use_logd:
            self.warning(line, "use_logd has no effect beside logfacility, logfile and debugfile, which are used")


def add_node(reader: Reader, line: int, word: str) -> None:
    """One name of a node line. Two nodes: haresources knows a node's own resources and the others', and no more."""
    name = lower(word)
    if name in reader.nodes:
        reader.warning(line, f"node {name} is there already; it is counted once")
    elif len(name) > 99 or not all("!" <= c <= "~" and c != "=" for c in name):
        reader.refuse("node", line, f"{shown(word)} is no node name; use what `uname -n` says on that machine")
    elif len(reader.nodes) == 2:
        reader.error(line, f"node {name} is one too many: a cluster with haresources has two nodes")
    else:
        reader.nodes.append(name)


def split(text: str, blanks: dict[int, str] = BLANK_LINE) -> list[str]:
    """Words between the file's blanks alone: str.split() without an argument knows others, such as a no-break space."""
    return [word for word in text.translate(blanks).split(" ") if word]


def _hint(name: str, table: dict[str, Directive]) -> str:
    if lower(name) in table:
        return f"directives are lower case: {lower(name)}"
    near = [known for known in table if known[:4] == lower(name)[:4]]
    return f"did you mean {near[0]}?" if near else "see ha.cf(5)"
