"""The ping nodes of ha.cf: ping, ping6, ping_group.

A host's name is looked up once, when the file is read: one of `ping` and `ping6` that cannot be refuses the file, as
the original does; of a group's hosts it is left out. A node that is asked less would count less than the other.
"""

from __future__ import annotations

from heartbeat.config import machine
from heartbeat.config.hacf import Reader, split
from heartbeat.config.media import numeric, numeric_6
from heartbeat.config.problems import shown
from heartbeat.config.record import PingConfig
from heartbeat.config.values import lower
from heartbeat.core.settings import FAILBACK_LEGACY, NODES_MOST

TYPE_CHECKING = False
if TYPE_CHECKING:
    from heartbeat.config.record import Config

NAME_MAX = 99
# a filter of the kernel's has a jump for each
GROUP_HOSTS_MAX = 64


def ping(reader: Reader, line: int, word: str) -> None:
    _host(reader, line, "ping", word)


def ping6(reader: Reader, line: int, word: str) -> None:
    _host(reader, line, "ping6", word)


def _host(reader: Reader, line: int, directive: str, word: str) -> None:
    address = _address(reader, word, 4 if directive == "ping" else 6)
    if address is None and reader.ask_machine:
        known = "is new, and the name server is not asked at a reload" if reader.known is not None else "is no host"
        other = "" if directive == "ping6" else "; for an IPv6 address write ping6"
        reader.refuse(directive, line, f"{shown(word)} {known}: write its address{other if ':' in word else ''}")
        return
    _add(reader, line, PingConfig(lower(word), directive, [word], [address] if address else []))


def ping_group(reader: Reader, line: int, rest: str) -> None:
    words = split(rest)
    if len(words) < 2:
        reader.refuse("ping_group", line, "needs a name and at least one host: ping_group gateways 10.0.0.1 10.0.0.3")
        return
    name, hosts = words[0], list(dict.fromkeys(words[1:]))
    if len(hosts) > GROUP_HOSTS_MAX:
        reader.refuse("ping_group", line, f"{shown(name)} has more than {GROUP_HOSTS_MAX} hosts")
        return
    addresses = []
    for host in hosts:
        address = _address(reader, host, 4)
        if address is not None:
            addresses.append(address)
        elif reader.ask_machine:
            reader.warning(line, f"ping_group {shown(name)}: {shown(host)} cannot be resolved, and is not asked")
    _add(reader, line, PingConfig(lower(name), "ping_group", hosts, dict.fromkeys(addresses)))


def _address(reader: Reader, host: str, version: int) -> str | None:
    digits = numeric(host) if version == 4 else _scoped(host)
    found = digits or (reader.known or {}).get(f"{host}/{version}")
    if found is None and reader.ask_machine and reader.known is None:
        found = machine.resolve(host) if version == 4 else machine.resolve_6(host)
    return found


def _scoped(text: str) -> str | None:
    """An IPv6 address in its usual form, with its scope if it has one, or None."""
    address, percent, scope = text.partition("%")
    digits = numeric_6(address)
    return digits and f"{digits}{percent}{scope}"


def _add(reader: Reader, line: int, ping: PingConfig) -> None:
    if len(ping.name) > NAME_MAX or not all("!" <= c <= "~" and c != "=" for c in ping.name):
        reader.refuse(ping.type, line, f"{shown(ping.name)} is no name for a ping node")
    elif ping.name in reader.pings:
        reader.warning(line, f"ping node {ping.name} is there already; this one is ignored")
    else:
        reader.pings[ping.name] = ping, line


def finish(reader: Reader) -> None:
    """After the last line."""
    config = reader.config
    for name in [name for name in reader.pings if name in reader.nodes]:
        _, line = reader.pings.pop(name)
        reader.warning(line, f"{name} is a node of the cluster, and cannot be a ping node as well; the line is ignored")
    config.pings = tuple(ping for ping, _ in reader.pings.values())
    if len(config.pings) + len(config.nodes) > NODES_MOST:
        _, line = reader.pings[config.pings[-1].name]
        reader.error(line, f"more than {NODES_MOST} nodes, ping nodes included")
    if config.ipfail and config.auto_failback == FAILBACK_LEGACY:
        reader.warning(reader.lines["ipfail"], "ipfail does nothing with auto_failback legacy: write on or off")
    elif config.ipfail and not config.pings:
        reader.warning(reader.lines["ipfail"], "ipfail does nothing without a ping node: add a line ping ADDRESS")


def resolved(config: Config) -> dict[str, str]:
    """host → address of an earlier configuration; a ping node's host has /4 or /6 behind its name."""
    found = {medium.host: medium.address for medium in config.media if medium.type == "ucast" and medium.address}
    for ping in config.pings:
        version = 6 if ping.type == "ping6" else 4
        if len(ping.hosts) == len(ping.addresses):  # else of a group it is not known whose they are
            found.update(zip((f"{host}/{version}" for host in ping.hosts), ping.addresses, strict=True))
    return found
