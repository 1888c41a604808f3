"""The table of ha.cf's directives: what each takes, refuses and does (protocol/config.md §3).

Three kinds. Those that work fill in the Config. Those that belong to Pacemaker mode, to parts that a later version
brings, or to machinery that this program does not have are accepted, their values checked as the original checks
them, with a warning that says what becomes of them. Those that would make a node behave otherwise than its operator
expects are refused.
"""

from __future__ import annotations

from heartbeat.config import clients, mailserver, media, pings
from heartbeat.config.hacf import LINE, Directive, Reader, add_node
from heartbeat.config.problems import shown
from heartbeat.config.values import TIME_MAX_MS, boolean, integer, lower, time_ms
from heartbeat.core.settings import FAILBACK_LEGACY, FAILBACK_OFF, FAILBACK_ON

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    Handler = Callable[[Reader, int, str], None]

BAUD_RATES = (9600, 19200, 38400, 57600, 115200, 230400, 460800)
RTPRIO_MIN, RTPRIO_MAX = 1, 99  # Linux: sched_get_priority_min and max of SCHED_RR
FACILITIES = (
    "kern", "user", "mail", "daemon", "auth", "security", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp",
    "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7",
)  # fmt: skip
UNITS = "seconds (2 or 0.5), milliseconds (500ms) or microseconds (500us); there is no other unit"


# ---- makers of handlers, one per kind of value


def _time(name: str, *, least_ms: int = 0) -> Handler:
    def handle(reader: Reader, line: int, word: str) -> None:
        value = _time_ms(reader, name, line, word, least_ms)
        if value is not None:
            setattr(reader.config, f"{name}_ms", value)

    return handle


def _time_ms(reader: Reader, name: str, line: int, word: str, least_ms: int) -> int | None:
    value = time_ms(word)
    if value is None or value < least_ms:
        bound = "no time above zero" if least_ms else "no time"
        reader.refuse(name, line, f"{shown(word)} is {bound}; write {UNITS}")
        return None
    if value > TIME_MAX_MS:
        reader.refuse(name, line, f"{shown(word)} is longer than the longest time, {TIME_MAX_MS}ms")
        return None
    return value


def _whole(name: str, least: int, most: int, *, attribute: str = "") -> Handler:
    def handle(reader: Reader, line: int, word: str) -> None:
        value = _integer(reader, name, line, word)
        if value is None or not least <= value <= most:
            reader.refuse(name, line, f"{shown(word)} is no whole number from {least} to {most}")
        else:
            setattr(reader.config, attribute or name, value)

    return handle


def _flag(name: str, *, attribute: str = "") -> Handler:
    def handle(reader: Reader, line: int, word: str) -> None:
        value = _boolean(reader, name, line, word)
        if value is not None:
            setattr(reader.config, attribute or name, value)

    return handle


def _choice(name: str, attribute: str, values: tuple[str, ...]) -> Handler:
    def handle(reader: Reader, line: int, word: str) -> None:
        if word in values:
            setattr(reader.config, attribute, word)
        else:
            reader.refuse(name, line, f"{shown(word)} is not known; write {' or '.join(values)}")

    return handle


def _text(name: str) -> Handler:
    def handle(reader: Reader, line: int, word: str) -> None:
        setattr(reader.config, name, word)

    return handle


def _without_effect(name: str, why: str, check: Handler | None = None) -> Handler:
    """Accepted with a warning; check: what the original would refuse is refused here too."""

    def handle(reader: Reader, line: int, word: str) -> None:
        if check is not None:
            check(reader, line, word)
        if name not in reader.lines:
            reader.warning(line, f"{name} has no effect: {why}")

    return handle


def _refused(name: str, why: str) -> Handler:
    def handle(reader: Reader, line: int, word: str) -> None:
        reader.refuse(name, line, f"is refused: {why}")

    return handle


def _boolean(reader: Reader, name: str, line: int, word: str) -> bool | None:
    value = boolean(word)
    if value is None:
        reader.refuse(name, line, f"{shown(word)} is neither on nor off")
    return value


def _integer(reader: Reader, name: str, line: int, word: str) -> int | None:
    found = integer(word)
    if found is None:
        return None
    value, whole = found
    if not whole:
        reader.warning(line, f"{name} {shown(word)} is read as {value}; write just the number")
    return value


def _a_boolean(name: str) -> Handler:
    def check(reader: Reader, line: int, word: str) -> None:
        _boolean(reader, name, line, word)

    return check


def _a_number(name: str) -> Handler:
    def check(reader: Reader, line: int, word: str) -> None:
        value = _integer(reader, name, line, word)
        if value is None or value <= 0:
            reader.refuse(name, line, f"{shown(word)} is no whole number above zero")

    return check


def _one_of(name: str, values: tuple[str, ...]) -> Handler:
    def check(reader: Reader, line: int, word: str) -> None:
        if lower(word) not in values:
            reader.refuse(name, line, f"{shown(word)} is not known; it takes {' or '.join(values)}")

    return check


# ---- handlers with a mind of their own


def _baud(reader: Reader, line: int, word: str) -> None:
    if "baud" in reader.lines:
        reader.error(line, f"baud is given already in line {reader.lines['baud']}; leave one of them")
        return
    value = _integer(reader, "baud", line, word)
    if value not in BAUD_RATES:
        reader.refuse("baud", line, f"{shown(word)} is none of {', '.join(map(str, BAUD_RATES))}")
        return
    if any(medium.type == "serial" for medium in reader.media):
        reader.warning(line, "baud stands below the first serial line and has no effect; put it above")
    reader.baud = value


def _udpport(reader: Reader, line: int, word: str) -> None:
    value = _integer(reader, "udpport", line, word)
    if value is None or value <= 0 or value & 0xFFFF == 0:
        reader.refuse("udpport", line, f"{shown(word)} is no port from 1 to 65535")
        return
    if value > 0xFFFF:
        reader.warning(line, f"udpport {value} is above 65535; port {value & 0xFFFF} is used, as Heartbeat 3 does")
    below = [medium for medium in media.BY_UDPPORT if medium in reader.ports]
    if below:
        reader.warning(
            line,
            f"udpport stands below the first {' and '.join(below)} line; all media of that type keep their port",
        )
    reader.udpport = value & 0xFFFF
    media.warn_of_owner(reader, line, reader.udpport)


def _auto_failback(reader: Reader, line: int, word: str) -> None:
    value = FAILBACK_LEGACY if lower(word) == "legacy" else boolean(word)
    if value is None:
        reader.refuse("auto_failback", line, f"{shown(word)} is neither on, off nor legacy")
    elif value is True:
        reader.config.auto_failback = FAILBACK_ON
    else:
        reader.config.auto_failback = FAILBACK_OFF if value is False else FAILBACK_LEGACY


def _nice_failback(reader: Reader, line: int, word: str) -> None:
    """Obsolete. The original ignores its value, and a mixed pair must agree: the outcome is the original's."""
    chosen = reader.config.auto_failback != FAILBACK_LEGACY
    reader.config.auto_failback = FAILBACK_OFF if chosen else FAILBACK_LEGACY
    reader.config.parameters["auto_failback"] = "off" if chosen else "legacy"
    reader.warning(
        line,
        f"nice_failback is obsolete; as with Heartbeat 3 it comes to auto_failback {'off' if chosen else 'legacy'},"
        " whatever its value: write auto_failback on or off instead",
    )


def _logfacility(reader: Reader, line: int, word: str) -> None:
    name = lower(word)
    if name == "none":
        reader.config.logfacility = None
    elif name in FACILITIES:
        reader.config.logfacility = "auth" if name == "security" else name
    else:
        reader.refuse("logfacility", line, f"{shown(word)} is not known; write daemon, local0 to local7 or none")


def _log_path(name: str) -> Handler:
    def handle(reader: Reader, line: int, word: str) -> None:
        setattr(reader.config, name, word)
        if not word.startswith("/"):
            reader.warning(line, f"{name} {shown(word)} is no absolute path; where it ends up is chance")

    return handle


def _autojoin(reader: Reader, line: int, word: str) -> None:
    if lower(word) in ("other", "any"):
        reader.refuse("autojoin", line, f"{lower(word)} does not go with haresources; name the nodes in `node` lines")
    elif lower(word) != "none":
        reader.refuse("autojoin", line, f"{shown(word)} is not known; write none")


def _pacemaker(name: str) -> Handler:
    def handle(reader: Reader, line: int, word: str) -> None:
        for other in ("pacemaker", "crm"):
            if other in reader.lines:
                reader.error(line, f"{name}: there is already {other} in line {reader.lines[other]}")
                return
        if boolean(word) is not False:
            reader.refuse(
                name,
                line,
                f"{shown(word)} is refused: this program runs haresources itself and starts no other cluster manager;"
                " take the line out, or use Pacemaker with Corosync",
            )

    return handle


def _watchdog(reader: Reader, line: int, word: str) -> None:
    if "watchdog" in reader.lines:
        reader.error(line, f"watchdog is given already in line {reader.lines['watchdog']}; leave one of them")
    else:
        reader.warning(
            line,
            "watchdog has no effect yet: it comes with a later version; systemd's RuntimeWatchdogSec= does without",
        )


def _env(reader: Reader, line: int, word: str) -> None:
    name, equals, value = word.partition("=")
    if not equals or not name or not all(c.isascii() and (c.isalnum() or c == "_") for c in name):
        reader.refuse("env", line, f"{shown(word)} is not NAME=value")
    else:
        reader.config.env[name] = value


def _mailserver(reader: Reader, line: int, rest: str) -> None:
    problem = mailserver.problem(rest)
    if problem is not None:
        reader.refuse("mailserver", line, f"{problem}; write smtp://host or smtps://user:password@host:port")
    else:
        reader.config.mailserver = rest


def _on_stop_failure(reader: Reader, line: int, word: str) -> None:
    if word in ("reboot", "continue"):
        reader.config.reboot_on_stop_failure = word == "reboot"
    else:
        reader.refuse("on_stop_failure", line, f"{shown(word)} is neither reboot nor continue")


def _max_rexmit_delay(reader: Reader, line: int, word: str) -> None:
    """Milliseconds, a plain number: the one time without a unit."""
    value = _integer(reader, "max_rexmit_delay", line, word)
    if value is None or not 0 < value <= TIME_MAX_MS:
        reader.refuse("max_rexmit_delay", line, f"{shown(word)} is no whole number of milliseconds above zero")
    else:
        reader.config.max_rexmit_delay_ms = value


def _conn_logd_time(reader: Reader, line: int, word: str) -> None:
    _time_ms(reader, "conn_logd_time", line, word, 1)


# ---- the table

NO_COMPRESSION = "messages are sent as they are; compressed ones of the other node are understood"
NO_CRM = "it belongs to Pacemaker mode, and this program runs haresources"
NO_LOGD = "there is no logging daemon; use logfacility, logfile, or neither for the journal"

TABLE: dict[str, Directive] = {
    # who
    "node": Directive(add_node, several=True, recorded=False),
    "cluster": Directive(_text("cluster")),
    "uuidfrom": Directive(_choice("uuidfrom", "uuid_from", ("file", "nodename"))),
    "hbgenmethod": Directive(_choice("hbgenmethod", "generation_method", ("file", "time"))),
    "autojoin": Directive(_autojoin),
    # when
    "keepalive": Directive(_time("keepalive", least_ms=1)),
    "deadtime": Directive(_time("deadtime")),
    "warntime": Directive(_time("warntime", least_ms=1)),
    "initdead": Directive(_time("initdead")),
    "deadping": Directive(_time("deadping")),
    "failback_delay": Directive(_time("failback_delay")),
    "max_rexmit_delay": Directive(_max_rexmit_delay),
    # media
    "baud": Directive(_baud, several=True),
    "udpport": Directive(_udpport),
    "serial": Directive(media.serial, several=True, recorded=False),
    "bcast": Directive(media.bcast, several=True, recorded=False),
    "udp": Directive(media.udp, several=True, recorded=False),
    "ucast": Directive(media.ucast, style=LINE, several=True, recorded=False),
    "mcast": Directive(media.mcast, style=LINE, several=True, recorded=False),
    "ucast6": Directive(media.ucast6, style=LINE, several=True, recorded=False),
    "mcast6": Directive(media.mcast6, style=LINE, several=True, recorded=False),
    "ping": Directive(pings.ping, several=True, recorded=False),
    "ping6": Directive(pings.ping6, several=True, recorded=False),
    "ping_group": Directive(pings.ping_group, style=LINE, several=True, recorded=False),
    "hbaping": Directive(_refused("hbaping", "no Fibre Channel pings here, as in Debian's Heartbeat 3; take it out")),
    "rds": Directive(_refused("rds", "no RDS medium here; use ucast")),
    "tipc": Directive(_refused("tipc", "no TIPC medium here; use ucast")),
    "hopfudge": Directive(_whole("hopfudge", 0, 255)),
    "msgfmt": Directive(_choice("msgfmt", "message_format", ("classic", "netstring"))),
    "compression": Directive(_without_effect("compression", NO_COMPRESSION, _one_of("compression", ("zlib", "bz2")))),
    "compression_threshold": Directive(
        _without_effect("compression_threshold", NO_COMPRESSION, _a_number("compression_threshold"))
    ),
    "traditional_compression": Directive(
        _without_effect("traditional_compression", NO_COMPRESSION, _a_boolean("traditional_compression"))
    ),
    # who is believed
    "authkeys_permissions": Directive(_choice("authkeys_permissions", "authkeys_permissions", ("strict", "warn"))),
    "udp_sources": Directive(media.udp_sources, style=LINE),
    "strong_auth": Directive(_choice("strong_auth", "strong_auth", ("auto", "required"))),
    # resources
    "auto_failback": Directive(_auto_failback),
    "nice_failback": Directive(_nice_failback, recorded=False),
    "on_stop_failure": Directive(_on_stop_failure),
    "builtin_agents": Directive(_flag("builtin_agents")),
    "mailserver": Directive(_mailserver, style=LINE, recorded=False),
    "watchdog": Directive(_watchdog, several=True),
    "stonith": Directive(clients.stonith, style=LINE, recorded=False),
    "stonith_host": Directive(clients.stonith_host, style=LINE, several=True, recorded=False),
    # beside the daemon
    "respawn": Directive(clients.respawn, style=LINE, several=True, recorded=False),
    "failfast": Directive(clients.failfast, style=LINE, several=True, recorded=False),
    "apiauth": Directive(clients.apiauth, style=LINE, several=True, recorded=False),
    "env": Directive(_env, several=True, recorded=False),
    # log
    "debug": Directive(_whole("debug", 0, 255)),
    "logfacility": Directive(_logfacility),
    "logfile": Directive(_log_path("logfile")),
    "debugfile": Directive(_log_path("debugfile")),
    "use_logd": Directive(_flag("use_logd")),
    "conn_logd_time": Directive(_without_effect("conn_logd_time", NO_LOGD, _conn_logd_time)),
    "syslogmsgfmt": Directive(_flag("syslogmsgfmt")),
    "log_badpack": Directive(_flag("log_badpack")),
    # the process
    "realtime": Directive(_flag("realtime")),
    "rtprio": Directive(_whole("rtprio", RTPRIO_MIN, RTPRIO_MAX)),
    "memreserve": Directive(
        _without_effect("memreserve", "memory is locked as it is used, nothing is set aside", _a_number("memreserve"))
    ),
    "coredumps": Directive(_flag("coredumps")),
    "coreroot": Directive(_without_effect("coreroot", "cores follow the system's settings; see core(5)")),
    "use_apphbd": Directive(
        _without_effect(
            "use_apphbd", "there is no apphbd; systemd's WatchdogSec= does its work", _a_boolean("use_apphbd")
        )
    ),
    "normalpoll": Directive(_without_effect("normalpoll", "this program does not poll", _a_boolean("normalpoll"))),
    # Pacemaker mode
    "pacemaker": Directive(_pacemaker("pacemaker"), several=True),
    "crm": Directive(_pacemaker("crm"), several=True, recorded=False),
    "crm_daemon_dir": Directive(_without_effect("crm_daemon_dir", NO_CRM)),
    "crmd_spawns_pengine": Directive(_without_effect("crmd_spawns_pengine", NO_CRM, _a_boolean("crmd_spawns_pengine"))),
    "quorum_server": Directive(_without_effect("quorum_server", NO_CRM)),
    "record_config_changes": Directive(
        _without_effect("record_config_changes", NO_CRM, _a_boolean("record_config_changes"))
    ),
    "record_pengine_inputs": Directive(
        _without_effect("record_pengine_inputs", NO_CRM, _a_boolean("record_pengine_inputs"))
    ),
    "enable_config_writes": Directive(
        _without_effect("enable_config_writes", NO_CRM, _a_boolean("enable_config_writes"))
    ),
}
