"""Telling the neighbours where an address is, and asking who has it: the packets, and the socket that sends them.

Packets are built whole and sent through one AF_PACKET socket, opened at start and kept (closing one costs 13 ms of the
kernel's grace period): no route, rule or firewall of this machine stands between us and the wire.

IPv4, RFC 5227 §3 and RFC 2002 §4.6: a gratuitous ARP *request* (an "announcement") and a gratuitous *reply*, because
some systems update their tables from the one and some only from the other.
IPv6, RFC 4861 §7.2.6: an unsolicited neighbour advertisement to all nodes, with the override flag.
To ask means to ask as one who has no address: an ARP probe (RFC 5227 §2.1.1), and the solicitation that looks for a
duplicate address (RFC 4862 §5.4.2), which its holder answers to all nodes.
"""

from __future__ import annotations

import _socket
import struct

ETHERTYPE_ARP, ETHERTYPE_IPV4, ETHERTYPE_IPV6 = 0x0806, 0x0800, 0x86DD
_ARP_REQUEST, _ARP_REPLY = 1, 2

_ICMPV6 = 58
_NEIGHBOUR_SOLICITATION, _NEIGHBOUR_ADVERTISEMENT = 135, 136
_ROUTER, _OVERRIDE = 0x80000000, 0x20000000
_TARGET_LINK_LAYER_ADDRESS = 2
# A receiver drops an advertisement with less: it may have been forwarded (RFC 4861 §7.1.2).
_HOP_LIMIT = 255
_TRAFFIC_CLASS_CS6 = 0xC0  # network control, as the kernel marks its own
# What follows an ARP packet that says where somebody else has an address; padding to whoever receives it. By this our
# own egress rules know it from one that claims the address for this machine.
ELSEWHERE = b"heartbeat: moved"
ARP_OCTETS = 28  # on Ethernet, for IPv4

ALL_NODES = bytes.fromhex("ff020000000000000000000000000001")
ALL_NODES_ETHERNET = bytes.fromhex("333300000001")

_ARP = struct.Struct("!HHBBH")  # hardware type, protocol type, the lengths of both addresses, operation
_IPV6 = struct.Struct("!IHBB16s16s")  # version, class and flow; payload length; next header; hop limit; source; target
_NEIGHBOUR = struct.Struct("!BBHI16s")  # type, code, checksum, flags, target


def gratuitous_arp(address: bytes, hardware: bytes, hardware_type: int) -> tuple[bytes, bytes]:
    """(request, reply): ARP packets, without a link header, that bind `address` (4 octets) to `hardware`."""

    sender = hardware + address
    # nobody is asked, so a request has no target hardware; in a reply it is the address to be learned
    return (
        _arp(hardware_type, _ARP_REQUEST, sender, bytes(len(hardware)), address),
        _arp(hardware_type, _ARP_REPLY, sender, hardware, address),
    )


def _arp(hardware_type: int, operation: int, sender: bytes, target_hardware: bytes, target: bytes) -> bytes:
    """sender: both of its addresses."""
    head = _ARP.pack(hardware_type, ETHERTYPE_IPV4, len(target_hardware), len(target), operation)
    return head + sender + target_hardware + target


def arp_probe(address: bytes, hardware: bytes, hardware_type: int) -> bytes:
    """An ARP packet that asks who has `address` (4 octets), and tells nobody anything of the one who asks."""
    return _arp(hardware_type, _ARP_REQUEST, hardware + bytes(len(address)), bytes(len(hardware)), address)


def arp_holder(packet: bytes, address: bytes, hardware_type: int, hardware_size: int) -> bytes | None:
    """Whose hardware address the ARP packet, a reply, says `address` is at; None: it says nothing of that, or the
    hardware address is that of several or of none."""
    if len(packet) < _ARP.size + 2 * (hardware_size + len(address)):
        return None
    head = (hardware_type, ETHERTYPE_IPV4, hardware_size, len(address), _ARP_REPLY)
    hardware, at = packet[_ARP.size :][:hardware_size], packet[_ARP.size + hardware_size :][: len(address)]
    wrong = _ARP.unpack_from(packet) != head or at != address or hardware[0] & 1 or not any(hardware)
    return None if wrong else hardware


def neighbour_solicitation(address: bytes) -> tuple[bytes, bytes]:
    """(packet, Ethernet destination): an IPv6 packet that asks, from no address, who has `address` (16 octets)."""
    group = bytes.fromhex("ff0200000000000000000001ff") + address[-3:]
    body = _NEIGHBOUR.pack(_NEIGHBOUR_SOLICITATION, 0, 0, 0, address)
    return _icmpv6(bytes(16), group, body), bytes.fromhex("3333") + group[-4:]


def neighbour_advertisement(address: bytes, hardware: bytes, *, router: bool) -> bytes:
    """An IPv6 packet from `address` (16 octets) to all nodes that binds it to `hardware`.

    router: what hosts are told of us. Said wrongly, a host that routes through this address forgets its default route
    (RFC 4861 §7.2.5).
    """
    flags = _OVERRIDE | (_ROUTER if router else 0)
    option = bytes((_TARGET_LINK_LAYER_ADDRESS, 0)) + hardware
    option += bytes(-len(option) % 8)
    option = option[:1] + bytes((len(option) // 8,)) + option[2:]
    return _icmpv6(address, ALL_NODES, _NEIGHBOUR.pack(_NEIGHBOUR_ADVERTISEMENT, 0, 0, flags, address) + option)


def _icmpv6(source: bytes, target: bytes, body: bytes) -> bytes:
    """The whole packet; body: of an even number of octets, with no checksum yet."""
    pseudo = source + target + struct.pack("!II", len(body), _ICMPV6)
    body = body[:2] + struct.pack("!H", checksum(pseudo + body)) + body[4:]
    return _IPV6.pack(6 << 28 | _TRAFFIC_CLASS_CS6 << 20, len(body), _ICMPV6, _HOP_LIMIT, source, target) + body


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
