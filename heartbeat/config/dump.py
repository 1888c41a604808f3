"""The effective settings, printed as the three files: what `heartbeat check` shows, and what parses again.

Each file begins with a line `# === NAME ===`. Everything that holds is written out, defaults too; directives without
effect are left out. Keys never leave the program: authkeys is comments alone.
"""

from __future__ import annotations

from heartbeat.config.media import BY_UDPPORT, MCAST, UCAST
from heartbeat.core.settings import FAILBACK_NAMES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from heartbeat.config.record import Config, MediumConfig

HEADING = "# === {} ==="


def dump(config: Config) -> str:
    lines = [HEADING.format("ha.cf"), *_ha_cf(config)]
    lines += [HEADING.format("haresources"), *_haresources(config)]
    lines += [HEADING.format("authkeys"), *_authkeys(config)]
    return "\n".join(lines) + "\n"


def split(text: str) -> dict[str, str]:
    """A dump's text by file name."""
    files: dict[str, list[str]] = {}
    lines: list[str] = []
    for line in text.split("\n"):
        if line.startswith("# === ") and line.endswith(" ==="):
            lines = files.setdefault(line[len("# === ") : -len(" ===")], [])
        else:
            lines.append(line)
    return {name: "\n".join(lines) for name, lines in files.items()}


def _ha_cf(config: Config) -> Iterator[str]:
    yield f"node {' '.join(config.nodes)}"
    yield f"cluster {config.cluster}"
    yield f"uuidfrom {config.uuid_from}"
    yield f"hbgenmethod {config.generation_method}"
    for name in ("keepalive", "deadtime", "warntime", "initdead", "deadping", "failback_delay"):
        yield f"{name} {getattr(config, name + '_ms')}ms"
    yield f"max_rexmit_delay {config.max_rexmit_delay_ms}"
    yield from _media(config)
    yield f"hopfudge {config.hopfudge}"
    yield f"msgfmt {config.message_format}"
    yield f"authkeys_permissions {config.authkeys_permissions}"
    yield f"udp_sources {config.udp_sources}"
    yield f"strong_auth {config.strong_auth}"
    yield f"auto_failback {FAILBACK_NAMES[config.auto_failback]}"
    yield f"on_stop_failure {'reboot' if config.reboot_on_stop_failure else 'continue'}"
    yield f"builtin_agents {_flag(config.builtin_agents)}"
    yield f"mailserver {config.mailserver}"
    yield from _clients(config)
    yield f"debug {config.debug}"
    for name in ("logfacility", "logfile", "debugfile"):
        if getattr(config, name) is not None:
            yield f"{name} {getattr(config, name)}"
    yield f"use_logd {_flag(config.use_logd)}"
    yield f"syslogmsgfmt {_flag(config.syslogmsgfmt)}"
    yield f"log_badpack {_flag(config.log_badpack)}"
    yield f"realtime {_flag(config.realtime)}"
    if config.rtprio is not None:
        yield f"rtprio {config.rtprio}"
    yield f"coredumps {_flag(config.coredumps)}"


def _media(config: Config) -> Iterator[str]:
    """Media in the file's order, the first of each type below the port or rate that the type uses."""
    met: set[str] = set()
    port = 0
    for medium in config.media:
        if medium.type not in met:
            met.add(medium.type)
            if medium.type == "serial":
                yield f"baud {medium.baud}"
            elif medium.type in BY_UDPPORT and medium.port != port:
                port = medium.port
                yield f"udpport {port}"
        yield _medium(medium)
    for ping in config.pings:
        yield " ".join([ping.type, *[ping.name] * (ping.type == "ping_group"), *ping.hosts])


def _medium(medium: MediumConfig) -> str:
    if medium.type in UCAST:
        return f"{medium.type} {medium.device} {medium.host}"
    if medium.type in MCAST:
        return f"{medium.type} {medium.device} {medium.address} {medium.port} {medium.ttl} {int(medium.loop)}"
    return f"{medium.type} {medium.device}"


def _clients(config: Config) -> Iterator[str]:
    if config.ipfail:
        yield f"respawn {config.ipfail}"
    for respawn in config.respawn:
        yield f"{'failfast' if respawn.failfast else 'respawn'} {respawn.user} {respawn.command}"
    for client, (users, groups) in config.apiauth.items():
        lists = [f"uid={','.join(users)}"] * bool(users) + [f"gid={','.join(groups)}"] * bool(groups)
        yield f"apiauth {client} {' '.join(lists)}"
    for name, value in config.env.items():
        yield f"env {name}={value}"


def _haresources(config: Config) -> Iterator[str]:
    for group in config.groups:
        line = " ".join([group.preferred, *(resource.word for resource in group.resources)])
        # a last word that ends like this would continue the line, or lose its end, without a blank behind it
        yield f"{line} " if line.endswith(("\\", "\r")) else line


def _authkeys(config: Config) -> Iterator[str]:
    yield f"# auth {config.outbound}"
    for index, (method, key) in sorted(config.keys.items()):
        yield f"# {index} {method}{' (key hidden)' if key else ''}"


def _flag(value: bool) -> str:
    return "on" if value else "off"
