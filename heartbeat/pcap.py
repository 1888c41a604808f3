"""pcap files: the UDP and ICMP echo payloads in them that are, or should be, messages of a cluster.

Layers are looked through as far as that needs; nothing is verified that a receiver's kernel would verify. Fragments of
IPv4 and IPv6 are put together again. What is neither UDP nor an echo, or cut too short to tell, is passed over.
"""

from __future__ import annotations

import struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import BinaryIO

PORT = 694
MARKERS = (b">>>", b"###")

ENDIANNESS = {
    b"\xd4\xc3\xb2\xa1": "<",  # times in microseconds
    b"\x4d\x3c\xb2\xa1": "<",  # in nanoseconds
    b"\xa1\xb2\xc3\xd4": ">",
    b"\xa1\xb2\x3c\x4d": ">",
}
PCAPNG = b"\x0a\x0d\x0d\x0a"

IPV4, IPV6, VLAN, PROVIDER_VLAN = 0x0800, 0x86DD, 0x8100, 0x88A8
ICMP, UDP, ICMPV6 = 1, 17, 58
HOP_OPTIONS, ROUTING, FRAGMENT, DESTINATION_OPTIONS = 0, 43, 44, 60
ECHOES = {(ICMP, 0), (ICMP, 8), (ICMPV6, 128), (ICMPV6, 129)}

PACKET_MAX = 1 << 20  # octets of one packet; libpcap's own limit is a quarter of that
REASSEMBLIES_MAX = 64  # datagrams of which fragments are missing, the oldest given up first
FRAGMENTS_MAX = 128  # of one datagram: 64 KiB over a link of 576 octets take 120


def is_pcap(start: bytes) -> bool:
    """Do the first four octets of a file say so? Of pcapng too, which `payloads` then refuses."""
    return start in ENDIANNESS or start == PCAPNG


def payloads(file: BinaryIO) -> Iterator[tuple[str, bytes]]:
    """(medium, payload) of all that concerns a cluster: what begins like a message, and all to or from port 694.

    medium is udp or icmp. ValueError: the file is damaged, or of a kind that is not known.
    """
    fragments = Fragments()
    link, packets = _open(file)
    for packet in packets:
        try:
            protocol, payload = fragments.complete(link(packet))
            if protocol == UDP:
                source, destination, size = struct.unpack_from(">HHH", payload)
                # a length of 0 is that of a packet which the capturing machine had not cut up yet
                octets = payload[8 : size or None]
                if PORT in (source, destination) or octets.startswith(MARKERS):
                    yield "udp", octets
            elif payload and (protocol, payload[0]) in ECHOES and payload[8:].startswith(MARKERS):
                yield "icmp", payload[8:]
        except (struct.error, IndexError):
            continue  # cut too short


def _open(file: BinaryIO) -> tuple[Callable[[bytes], IP], Iterator[bytes]]:
    """What takes the link layer off, and the packets."""
    header = file.read(24)
    if header[:4] == PCAPNG:
        raise ValueError("pcapng is not read; make a pcap file of it: editcap -F pcap IN OUT")
    if len(header) < 24:
        raise ValueError("the file ends in its header")
    order = ENDIANNESS[header[:4]]
    kind = struct.unpack(order + "I", header[20:])[0] & 0xFFFF
    if kind not in LINKS:
        raise ValueError(f"link type {kind} is not known; Ethernet, Linux cooked and raw IP are")
    return LINKS[kind], _packets(file, order)


def _packets(file: BinaryIO, order: str) -> Iterator[bytes]:
    while header := file.read(16):
        size = struct.unpack(order + "8xI4x", header)[0] if len(header) == 16 else -1
        if size > PACKET_MAX:
            raise ValueError(f"a packet of {size} octets: the file is damaged")
        packet = file.read(size) if size >= 0 else b""
        if len(packet) != size:
            raise ValueError("the file ends in the middle of a packet")
        yield packet


# ---- from the link to the transport layer ----


class IP:
    """What one IP packet carries. more, offset: of a fragment; a whole datagram has neither."""

    __slots__ = ("key", "more", "offset", "payload", "protocol")

    def __init__(self, protocol: int, payload: bytes, *, key: bytes = b"", offset: int = 0, more: bool = False) -> None:
        self.protocol = protocol
        self.payload = payload
        self.key = key
        self.offset = offset
        self.more = more


NOTHING = IP(-1, b"")


def _ethernet(packet: bytes) -> IP:
    at = 12
    while struct.unpack_from(">H", packet, at)[0] in (VLAN, PROVIDER_VLAN):
        at += 4
    return _network(struct.unpack_from(">H", packet, at)[0], packet[at + 2 :])


def _cooked(packet: bytes) -> IP:
    return _network(struct.unpack_from(">H", packet, 14)[0], packet[16:])


def _cooked_2(packet: bytes) -> IP:
    return _network(struct.unpack_from(">H", packet)[0], packet[20:])


def _raw(packet: bytes) -> IP:
    return _network(IPV6 if packet[0] >> 4 == 6 else IPV4, packet)


# numbers of https://www.tcpdump.org/linktypes.html; 12 and 14 are raw IP in older files
LINKS: dict[int, Callable[[bytes], IP]] = {
    1: _ethernet, 113: _cooked, 276: _cooked_2, 12: _raw, 14: _raw, 101: _raw, 228: _raw, 229: _raw,
}  # fmt: skip


def _network(kind: int, packet: bytes) -> IP:
    if kind == IPV4:
        return _ipv4(packet)
    return _ipv6(packet) if kind == IPV6 else NOTHING


def _ipv4(packet: bytes) -> IP:
    first, size, identity, fragment, protocol = struct.unpack_from(">BxHHHxB", packet)
    header = (first & 15) * 4
    return IP(
        protocol,
        packet[header : size or None],
        key=packet[12:20] + struct.pack(">BH", protocol, identity),
        offset=(fragment & 0x1FFF) * 8,
        more=bool(fragment & 0x2000),
    )


def _ipv6(packet: bytes) -> IP:
    size, protocol = struct.unpack_from(">4xHB", packet)
    addresses = packet[8:40]
    payload = packet[40 : 40 + size] if size else packet[40:]
    while protocol in (HOP_OPTIONS, ROUTING, DESTINATION_OPTIONS):
        protocol, payload = payload[0], payload[8 + 8 * payload[1] :]
    if protocol != FRAGMENT:
        return IP(protocol, payload)
    protocol, fragment, identity = struct.unpack_from(">BxH4s", payload)
    return IP(protocol, payload[8:], key=addresses + identity, offset=fragment & 0xFFF8, more=bool(fragment & 1))


class Fragments:
    """Datagrams of which parts are missing."""

    def __init__(self) -> None:
        self._parts: dict[bytes, list[IP]] = {}

    def complete(self, packet: IP) -> tuple[int, bytes]:
        """The protocol and payload of a datagram that this packet is, or completes; else (-1, nothing)."""
        if not packet.more and packet.offset == 0:
            return packet.protocol, packet.payload
        parts = self._parts.setdefault(packet.key, [])
        parts.append(packet)
        parts.sort(key=lambda part: part.offset)
        payload = b""
        for part in parts:
            if part.offset > len(payload):
                break
            payload = payload[: part.offset] + part.payload
            if not part.more:
                del self._parts[packet.key]
                return parts[0].protocol, payload
        if len(parts) > FRAGMENTS_MAX:
            del self._parts[packet.key]
        if len(self._parts) > REASSEMBLIES_MAX:
            del self._parts[next(iter(self._parts))]
        return -1, b""
