"""The media of ha.cf: serial, bcast, ucast, mcast, and the last two by IPv6, ucast6 and mcast6.

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
# Of IPv6 groups, as the original has them: well-known or transient, and for the link, the administration, the site or
# the organisation.
GROUP_FLAGS, GROUP_SCOPES = (0, 1), (2, 4, 5, 8)
UDP_SOURCES_MAX = 16
LEARN, ANY = "learn", "any"
UCAST, MCAST, VERSION_6 = ("ucast", "ucast6"), ("mcast", "mcast6"), ("ucast6", "mcast6")
BY_UDPPORT = ("ucast", "bcast", "ucast6")  # the others' lines name their port


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
    device, host = _interface_and_host(reader, "ucast", line, rest, "10.0.0.2")
    if not device:
        return
    address = numeric(host) or (reader.known or {}).get(host)
    if address is None and reader.ask_machine:
        if reader.known is not None:
            reader.error(line, f"ucast {device}: a host name that is new: write the address, or restart")
            return
        address = machine.resolve(host)
    _add_ucast(reader, line, MediumConfig(device, "ucast", device, host=host, address=address or ""))


def ucast6(reader: Reader, line: int, rest: str) -> None:
    """In digits alone, as the original wants it; behind a link-local address its interface may stand."""
    device, host = _interface_and_host(reader, "ucast6", line, rest, "fd00::3")
    if not device:
        return
    digits, _, scope = host.partition("%")
    address = numeric_6(digits)
    if address is None or not _is_host_6(address):
        reader.refuse("ucast6", line, f"{shown(host)} is no IPv6 address of another host; names are not looked up")
    elif scope and (scope != device or not _is_link_local(address)):
        reader.refuse("ucast6", line, f"{shown(host)}: write the address alone, or %{device} behind a link-local one")
    else:
        _add_ucast(reader, line, MediumConfig(device, "ucast6", device, host=address, address=address))


def _interface_and_host(reader: Reader, name: str, line: int, rest: str, example: str) -> tuple[str, str]:
    """The two words of a ucast line; empty ones where it was refused."""
    words = split(rest)
    if len(words) < 2:
        reader.refuse(name, line, f"needs an interface and the other node's address: {name} eth0 {example}")
        return "", ""
    if len(words) > 2:
        reader.warning(line, f"{name} takes an interface and one address; {shown(' '.join(words[2:]))} is ignored")
    return (words[0], words[1]) if _is_interface(reader, name, line, words[0]) else ("", "")


def _add_ucast(reader: Reader, line: int, medium: MediumConfig) -> None:
    medium.port = reader.port(medium.type)
    if not reader.add_medium(line, medium) or not reader.ask_machine:
        return
    where = f"{medium.type} {medium.device}"
    if not medium.address:
        reader.absent.append(
            (medium, line, f"{where}: the host {shown(medium.host)} cannot be resolved; write its address")
        )
    elif machine.is_local(medium.address, medium.device):
        reader.to_self.append(medium)
    problem = machine.interface_problem(medium.device)
    if problem is not None:
        reader.absent.append((medium, line, f"{where}: {problem}"))
    elif medium.type == "ucast6":
        _warn_without_ipv6(reader, line, medium)


def _warn_without_ipv6(reader: Reader, line: int, medium: MediumConfig) -> None:
    """It need not be opened again when there is one."""
    if not machine.has_ipv6(medium.device):
        text = f"{medium.type} {medium.device} has no IPv6 address yet; nothing is sent until it has one"
        reader.warning(line, text)


def mcast(reader: Reader, line: int, rest: str) -> None:
    medium = _mcast(reader, "mcast", line, rest, "239.0.0.1", _group, "from 224.0.0.0 to 239.255.255.255")
    # the original waits two minutes for one; this medium is tried again for as long as it takes
    if medium is not None and not machine.has_ipv4(medium.device):
        reader.warning(line, f"mcast {medium.device} has no IPv4 address yet; this medium starts down")


def mcast6(reader: Reader, line: int, rest: str) -> None:
    known = "of IPv6 that begins with ff0 or ff1 and then 2, 4, 5 or 8, as ff02::694 does"
    medium = _mcast(reader, "mcast6", line, rest, "ff02::694", _group_6, known)
    if medium is not None:
        _warn_without_ipv6(reader, line, medium)


def _mcast(
    reader: Reader, name: str, line: int, rest: str, example: str, of_group: Callable[[str], str | None], known: str
) -> MediumConfig | None:
    """What was added, and has its interface on this machine. of_group: the usual form of a group, or None."""
    words = split(rest)
    if len(words) < 5:
        reader.refuse(name, line, f"needs interface, group, port, ttl and loop: {name} eth0 {example} 694 1 0")
        return None
    if len(words) > 5:
        reader.warning(line, f"{name} takes five words; {shown(' '.join(words[5:]))} is ignored")
    device, group = words[:2]
    address = of_group(group)
    good = _is_interface(reader, name, line, device)
    if address is None:
        reader.refuse(name, line, f"{shown(group)} is no group {known}")
    port, ttl, loop = (
        _number(reader, name, line, what, word, least=least, most=most)
        for what, word, least, most in zip(
            ("port", "ttl", "loop"), words[2:], (1, 0, 0), (None, MCAST_TTL_MAX, 1), strict=False
        )
    )
    if not good or address is None or port is None or ttl is None or loop is None:
        return None
    medium = MediumConfig(device, name, device, host=address, address=address, port=port, ttl=ttl, loop=bool(loop))
    if not reader.add_medium(line, medium) or not reader.ask_machine:
        return None
    warn_of_owner(reader, line, port)
    problem = machine.interface_problem(device)
    if problem is not None:
        reader.absent.append((medium, line, f"{name} {device}: {problem}"))
        return None
    return medium


def udp_sources(reader: Reader, line: int, rest: str) -> None:
    """learn, any, or the only addresses that are heard."""
    words = split(rest)
    listed = [numeric(word) or numeric_6(word) or "" for word in words]
    if words and all(listed) and len(words) <= UDP_SOURCES_MAX:
        reader.config.udp_sources = " ".join(dict.fromkeys(listed))
    elif words in ([LEARN], [ANY]):
        reader.config.udp_sources = words[0]
    else:
        reader.refuse("udp_sources", line, f"{shown(rest)}: write learn, any, or 1 to {UDP_SOURCES_MAX} addresses")


def fill_in_sources(reader: Reader) -> None:
    """Whom each UDP medium hears, when all are known. ucast media on one port of one interface hear the addresses of
    all of them: the kernel spreads what arrives over their sockets."""
    config = reader.config
    final = config.udp_sources not in (LEARN, ANY)
    for medium in config.media:
        if medium.type == "serial":
            continue
        if final:
            _fill_in_final(reader, medium)
        elif medium.type in UCAST and config.udp_sources == LEARN:
            named = [each.address for each in config.media
                     if (each.type, each.device, each.port) == (medium.type, medium.device, medium.port)]  # fmt: skip
            # one that could not be resolved may be any address
            medium.sources = tuple(dict.fromkeys(named)) if all(named) else ()


def _fill_in_final(reader: Reader, medium: MediumConfig) -> None:
    """Of the operator's list, what is of the medium's version of IP."""
    line, listed = reader.lines["udp_sources"], reader.config.udp_sources.split(" ")
    version = 6 if medium.type in VERSION_6 else 4
    medium.sources = tuple([each for each in listed if (":" in each) == (version == 6)])
    medium.sources_strict = True
    if not medium.sources:
        text = f"has no IPv{version} address, and without one {medium.type} {medium.device} would hear nobody"
        reader.refuse("udp_sources", line, text)
    elif medium.type in UCAST and medium.address and medium.address not in medium.sources:
        text = f"leaves out {medium.address}, to which a {medium.type} line sends: nothing from it is heard"
        reader.warning(line, f"udp_sources {text}")


def warn_of_owner(reader: Reader, line: int, port: int) -> None:
    if reader.ask_machine:
        owner = machine.service_owner(port)
        if owner not in (None, "ha-cluster"):
            reader.warning(line, f"UDP port {port} belongs to the service {owner}; 694 is free for heartbeats")


def numeric(text: str) -> str | None:
    """An IPv4 address in its usual form, or None."""
    return _numeric(text, _socket.AF_INET)


def numeric_6(text: str) -> str | None:
    """The same of IPv6, without a scope."""
    return _numeric(text, _socket.AF_INET6)


def _numeric(text: str, family: int) -> str | None:
    try:
        return _socket.inet_ntop(family, _socket.inet_pton(family, text))
    except (OSError, ValueError):
        return None


def _group(text: str) -> str | None:
    address = numeric(text)
    return address if address is not None and 224 <= int(address.partition(".")[0]) <= 239 else None


def _group_6(text: str) -> str | None:
    address = numeric_6(text)
    if address is None:
        return None
    first, second = _first_octets(address)
    return address if first == 0xFF and second >> 4 in GROUP_FLAGS and second & 0xF in GROUP_SCOPES else None


def _is_host_6(address: str) -> bool:
    """No group, not this machine itself, no IPv4 address in another form."""
    in_disguise = address.startswith("::ffff:")
    return _first_octets(address)[0] != 0xFF and address not in ("::", "::1") and not in_disguise


def _is_link_local(address: str) -> bool:
    first, second = _first_octets(address)
    return first == 0xFE and second & 0xC0 == 0x80


def _first_octets(address: str) -> bytes:
    return _socket.inet_pton(_socket.AF_INET6, address)[:2]


def _number(
    reader: Reader, name: str, line: int, what: str, word: str, *, least: int, most: int | None
) -> int | None:
    """A whole number within bounds; refused, None, outside. Without `most` a port: modulo 2^16, with a warning."""
    found = integer(word)
    if name == "mcast6" and most is None and not word.isdecimal():
        found = None  # it is a service's name to the original, which refuses most of them
    value = found[0] if found is not None else least - 1
    if value < least or (most is not None and value > most) or (most is None and value & 0xFFFF == 0):
        reader.refuse(name, line, f"{what} {shown(word)} is no whole number from {least} to {most or 65535}")
        return None
    if found is not None and not found[1]:
        reader.warning(line, f"{name} {what} {shown(word)} is read as {value}; write just the number")
    if most is None and value > 0xFFFF:
        reader.warning(line, f"{name} port {value} is above 65535; port {value & 0xFFFF} is used, as Heartbeat 3 does")
        value &= 0xFFFF
    return value


def _is_interface(reader: Reader, directive: str, line: int, name: str) -> bool:
    octets = name.encode("utf-8", "surrogateescape")
    if len(octets) > machine.INTERFACE_NAME_MAX or "/" in name or name in (".", "..") or not name.isprintable():
        reader.refuse(directive, line, f"{shown(name)} is no name of an interface; see `ip link`")
        return False
    return True
