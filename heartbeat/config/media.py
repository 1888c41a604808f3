"""The media of ha.cf: serial, bcast, ucast, mcast; what is said to IPv6 lines until their media come.

A mistake in the line refuses the file. A device, interface or host that is not there refuses it only while no other
medium can work (`Reader.absent`): a pair with a serial cable must start though its second network card is broken.
"""

from __future__ import annotations

import _socket

from heartbeat.config import machine
from heartbeat.config.hacf import Reader, split
from heartbeat.config.problems import shown
from heartbeat.config.record import MediumConfig
from heartbeat.config.values import integer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

MCAST_TTL_MAX = 4
UDP_SOURCES_MAX = 16
LEARN, ANY = "learn", "any"


def serial(reader: Reader, line: int, word: str) -> None:
    if not word.startswith("/"):
        reader.refuse("serial", line, f"{shown(word)} is no absolute path; write /dev/ttyS0 or the like")
        return
    medium = MediumConfig(word, "serial", word, baud=reader.line_rate())
    if reader.add_medium(line, medium) and reader.ask_machine:
        problem = machine.tty_problem(word)
        if problem is not None:
            reader.absent.append((medium, line, f"serial {shown(word)} {problem}"))


def bcast(reader: Reader, line: int, word: str) -> None:
    if not _is_interface(reader, "bcast", line, word):
        return
    medium = MediumConfig(word, "bcast", word, port=reader.port("bcast"))
    if reader.add_medium(line, medium) and reader.ask_machine:
        problem = machine.broadcast_problem(word)
        if problem is not None:
            reader.absent.append((medium, line, f"bcast {word}: {problem}"))


def udp(reader: Reader, line: int, word: str) -> None:
    reader.warning(line, f"udp is an old word for bcast; write bcast {shown(word)}")
    bcast(reader, line, word)


def ucast(reader: Reader, line: int, rest: str) -> None:
    words = split(rest)
    if len(words) < 2:
        reader.refuse("ucast", line, "needs an interface and the other node's address: ucast eth0 10.0.0.2")
        return
    if len(words) > 2:
        reader.warning(line, f"ucast takes an interface and one address; {shown(' '.join(words[2:]))} is ignored")
    device, host = words[:2]
    if not _is_interface(reader, "ucast", line, device):
        return
    address = numeric(host) or (reader.known or {}).get(host)
    if address is None and reader.ask_machine:
        if reader.known is not None:
            reader.error(line, f"ucast {device}: a host name that is new: write the address, or restart")
            return
        address = machine.resolve(host)
    medium = MediumConfig(device, "ucast", device, host=host, address=address or "", port=reader.port("ucast"))
    if not reader.add_medium(line, medium) or not reader.ask_machine:
        return
    if address is not None and machine.is_local(address):
        reader.to_self.append(medium)
    if address is None:
        reader.absent.append(
            (medium, line, f"ucast {device}: the host {shown(host)} cannot be resolved; write its address")
        )
    problem = machine.interface_problem(device)
    if problem is not None:
        reader.absent.append((medium, line, f"ucast {device}: {problem}"))


def mcast(reader: Reader, line: int, rest: str) -> None:
    words = split(rest)
    if len(words) < 5:
        reader.refuse("mcast", line, "needs interface, group, port, ttl and loop: mcast eth0 239.0.0.1 694 1 0")
        return
    if len(words) > 5:
        reader.warning(line, f"mcast takes five words; {shown(' '.join(words[5:]))} is ignored")
    device, group = words[:2]
    address = numeric(group)
    good = _is_interface(reader, "mcast", line, device)
    if address is None or not 224 <= int(address.partition(".")[0]) <= 239:
        reader.refuse("mcast", line, f"{shown(group)} is no group from 224.0.0.0 to 239.255.255.255")
        good = False
    port, ttl, loop = (
        _number(reader, line, name, word, least=least, most=most)
        for name, word, least, most in zip(
            ("port", "ttl", "loop"), words[2:], (1, 0, 0), (None, MCAST_TTL_MAX, 1), strict=False
        )
    )
    if not good or address is None or port is None or ttl is None or loop is None:
        return
    medium = MediumConfig(device, "mcast", device, host=address, address=address, port=port, ttl=ttl, loop=bool(loop))
    if reader.add_medium(line, medium) and reader.ask_machine:
        warn_of_owner(reader, line, port)
        problem = machine.interface_problem(device)
        if problem is not None:
            reader.absent.append((medium, line, f"mcast {device}: {problem}"))
        elif not machine.has_ipv4(device):
            # the original waits two minutes for one; this medium is tried again for as long as it takes
            reader.warning(line, f"mcast {device} has no IPv4 address yet; this medium starts down")


def udp_sources(reader: Reader, line: int, rest: str) -> None:
    """learn, any, or the only addresses that are heard."""
    words = split(rest)
    if words and all(numeric(word) for word in words) and len(words) <= UDP_SOURCES_MAX:
        reader.config.udp_sources = " ".join(dict.fromkeys(numeric(word) or "" for word in words))
    elif words in ([LEARN], [ANY]):
        reader.config.udp_sources = words[0]
    else:
        reader.refuse("udp_sources", line, f"{shown(rest)}: write learn, any, or 1 to {UDP_SOURCES_MAX} IPv4 addresses")


def fill_in_sources(reader: Reader) -> None:
    """Whom each UDP medium hears, when all are known. ucast media on one port of one interface hear the addresses of
    all of them: the kernel spreads what arrives over their sockets."""
    config = reader.config
    listed = () if config.udp_sources in (LEARN, ANY) else tuple(config.udp_sources.split(" "))
    for medium in config.media:
        if medium.type == "serial":
            continue
        medium.sources, medium.sources_strict = listed, bool(listed)
        if medium.type != "ucast" or config.udp_sources == ANY:
            continue
        if listed:
            if medium.address and medium.address not in listed:
                reader.warning(
                    reader.lines["udp_sources"],
                    f"udp_sources leaves out {medium.address}, to which a ucast line sends: nothing from it is heard",
                )
            continue
        named = [each.address for each in config.media if each.type == "ucast"
                 and (each.device, each.port) == (medium.device, medium.port)]  # fmt: skip
        # one that could not be resolved may be any address
        medium.sources = tuple(dict.fromkeys(named)) if all(named) else ()


def version_6(name: str, words: int) -> Callable[[Reader, int, str], None]:
    def handle(reader: Reader, line: int, rest: str) -> None:
        if len(split(rest)) < words:
            reader.refuse(name, line, f"needs {words} words")
        else:
            reader.warning(line, f"{name} is not opened: it comes with a later version; use {name[:-1]} beside it")

    return handle


def warn_of_owner(reader: Reader, line: int, port: int) -> None:
    if reader.ask_machine:
        owner = machine.service_owner(port)
        if owner not in (None, "ha-cluster"):
            reader.warning(line, f"UDP port {port} belongs to the service {owner}; 694 is free for heartbeats")


def numeric(text: str) -> str | None:
    """An IPv4 address in its usual form, or None."""
    try:
        return _socket.inet_ntop(_socket.AF_INET, _socket.inet_pton(_socket.AF_INET, text))
    except (OSError, ValueError):
        return None


def _number(reader: Reader, line: int, what: str, word: str, *, least: int, most: int | None) -> int | None:
    """A whole number within bounds; refused, None, outside. Without `most` a port: modulo 2^16, with a warning."""
    found = integer(word)
    value = found[0] if found is not None else least - 1
    if value < least or (most is not None and value > most) or (most is None and value & 0xFFFF == 0):
        reader.refuse("mcast", line, f"{what} {shown(word)} is no whole number from {least} to {most or 65535}")
        return None
    if found is not None and not found[1]:
        reader.warning(line, f"mcast {what} {shown(word)} is read as {value}; write just the number")
    if most is None and value > 0xFFFF:
        reader.warning(line, f"mcast port {value} is above 65535; port {value & 0xFFFF} is used, as Heartbeat 3 does")
        value &= 0xFFFF
    return value


def _is_interface(reader: Reader, directive: str, line: int, name: str) -> bool:
    octets = name.encode("utf-8", "surrogateescape")
    if len(octets) > machine.INTERFACE_NAME_MAX or "/" in name or name in (".", "..") or not name.isprintable():
        reader.refuse(directive, line, f"{shown(name)} is no name of an interface; see `ip link`")
        return False
    return True
