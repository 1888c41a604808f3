"""Telling the neighbours that an address has moved here: the packets, and the socket that sends them.

Packets are built whole and sent through one AF_PACKET socket, opened at start and kept (closing one costs 13 ms of the
kernel's grace period): no route, rule or firewall of this machine stands between us and the wire.

IPv4, RFC 5227 §3 and RFC 2002 §4.6: a gratuitous ARP *request* (an "announcement") and a gratuitous *reply*, because
some systems update their tables from the one and some only from the other.
IPv6, RFC 4861 §7.2.6: an unsolicited neighbour advertisement to all nodes, with the override flag.
"""

from __future__ import annotations

import _socket
import struct

ETHERTYPE_ARP, ETHERTYPE_IPV4, ETHERTYPE_IPV6 = 0x0806, 0x0800, 0x86DD
_ARP_REQUEST, _ARP_REPLY = 1, 2

_ICMPV6 = 58
_NEIGHBOUR_ADVERTISEMENT = 136
_ROUTER, _OVERRIDE = 0x80000000, 0x20000000
_TARGET_LINK_LAYER_ADDRESS = 2
# A receiver drops an advertisement with less: it may have been forwarded (RFC 4861 §7.1.2).
_HOP_LIMIT = 255
_TRAFFIC_CLASS_CS6 = 0xC0  # network control, as the kernel marks its own
ALL_NODES = bytes.fromhex("ff020000000000000000000000000001")
ALL_NODES_ETHERNET = bytes.fromhex("333300000001")

_ARP = struct.Struct("!HHBBH")  # hardware type, protocol type, the lengths of both addresses, operation
_IPV6 = struct.Struct("!IHBB16s16s")  # version, class and flow; payload length; next header; hop limit; source; target
_ADVERTISEMENT = struct.Struct("!BBHI16s")  # type, code, checksum, flags, target


def gratuitous_arp(address: bytes, hardware: bytes, hardware_type: int) -> tuple[bytes, bytes]:
    """(request, reply): ARP packets, without a link header, that bind `address` (4 octets) to `hardware`."""

    def packet(operation: int, target: bytes) -> bytes:
        head = _ARP.pack(hardware_type, ETHERTYPE_IPV4, len(hardware), len(address), operation)
        return head + hardware + address + target + address

    # nobody is asked, so a request has no target hardware; in a reply it is the address to be learned
    return packet(_ARP_REQUEST, bytes(len(hardware))), packet(_ARP_REPLY, hardware)


def neighbour_advertisement(address: bytes, hardware: bytes, *, router: bool) -> bytes:
    """An IPv6 packet from `address` (16 octets) to all nodes that binds it to `hardware`.

    router: what hosts are told of us. Said wrongly, a host that routes through this address forgets its default route
    (RFC 4861 §7.2.5).
    """
    flags = _OVERRIDE | (_ROUTER if router else 0)
    option = bytes((_TARGET_LINK_LAYER_ADDRESS, 0)) + hardware
    option += bytes(-len(option) % 8)
    option = option[:1] + bytes((len(option) // 8,)) + option[2:]
    body = _ADVERTISEMENT.pack(_NEIGHBOUR_ADVERTISEMENT, 0, 0, flags, address) + option
    pseudo = address + ALL_NODES + struct.pack("!II", len(body), _ICMPV6)
    body = body[:2] + struct.pack("!H", checksum(pseudo + body)) + body[4:]
    head = _IPV6.pack(6 << 28 | _TRAFFIC_CLASS_CS6 << 20, len(body), _ICMPV6, _HOP_LIMIT, address, ALL_NODES)
    return head + body


def checksum(data: bytes) -> int:
    """The internet checksum (RFC 1071) of an even number of octets."""
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


class PacketSocket:
    """Sends packets; the kernel puts the link header before them. It receives nothing (protocol 0)."""

    def __init__(self) -> None:
        self._socket = _socket.socket(_socket.AF_PACKET, _socket.SOCK_DGRAM, 0)
        self._socket.setblocking(False)

    def send(self, packet: bytes, ethertype: int, interface: str, destination: bytes) -> None:
        """OSError: the interface is gone or down, or its queue is full."""
        self._socket.sendto(packet, (interface, ethertype, 0, 0, destination))

    def close(self) -> None:
        self._socket.close()
