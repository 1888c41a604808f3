"""What the audit runs on the machines: programs that ask, answer, or watch the machine itself, each until it is killed.

    arp FD INTERFACE MACS INTERVAL ADDRESS…   asks each address each interval (ns): who has it?
    udp FD INTERFACE MACS INTERVAL ADDRESS    sends it a numbered datagram each interval, as any program of a host does
    echo                                      answers these, from the address that was asked
    canary FD CPU                             notes when that processor was not to be had for STALL_NS

MACS: of the first node's card and the second's, between them a comma. FD: of a `Table`, which the audit reads. Missed
sendings are not made up for: an answer now says nothing about then.

An ARP request names no sender's address (RFC 5227), so that it changes nobody's neighbour table, and a hardware address
that is its number: whoever answers, answers that one, and two answers to one request are two holders at one instant.
"""

from __future__ import annotations

import bisect
import contextlib
import mmap
import os
import select
import socket
import struct
import sys
import time
from typing import NamedTuple

from heartbeat.demo.clock import HARDWARE, INSTRUMENT, MILLISECOND, SECOND, SELDOM, now_ns, run_real_time
from heartbeat.demo.namespaces import enlarge_receive_buffer

STALL_NS = 5 * MILLISECOND
PORT = 7007
# Half an hour of two addresses, a request a millisecond each; memory is used as far as it is written.
CAPACITY = 1 << 22

# <linux/if_packet.h>, <asm/socket.h>, <linux/in.h>, <linux/if_ether.h>
_SOL_PACKET, _ADD_MEMBERSHIP, _PROMISCUOUS = 263, 1, 1
_SO_TIMESTAMPNS = 35
_IP_PKTINFO = 8
_ETH_P_IP, _ETH_P_ARP = 0x0800, 0x0806
_PACKET_OUTGOING = 4
_REQUEST, _REPLY = 1, 2
_ARP = struct.Struct("!HHBBH6s4s6s4s")
_TIMESPEC = struct.Struct("@ll")
_PKTINFO = struct.Struct("=I4s4s")
_BROADCAST = b"\xff" * 6
_NUMBERED = b"\x02\xa5"
_RECEIVE_BUFFER_OCTETS = 1 << 22
_CANARY_NS = 2 * MILLISECOND


class Ask(NamedTuple):
    """sent_ns; when the first node answered, and the second, 0 for not; which address. A canary's: from, to, 0, 0."""

    sent_ns: int
    first_ns: int
    second_ns: int
    target: int


class Table:
    """Asks in memory that the programs share with the audit: they write, it reads, nobody waits."""

    _RECORD = struct.Struct("<QQQQ")
    _COUNT = struct.Struct("<Q")
    _HEADER_OCTETS = 64

    def __init__(self, fd: int | None = None) -> None:
        size = self._HEADER_OCTETS + CAPACITY * self._RECORD.size
        if fd is None:
            fd = os.memfd_create("asks")
            os.truncate(fd, size)
        self.fd = fd
        self._map = mmap.mmap(fd, size)

    def __len__(self) -> int:
        return self._COUNT.unpack_from(self._map)[0]

    def __getitem__(self, number: int) -> Ask:
        return Ask(*self._RECORD.unpack_from(self._map, self._HEADER_OCTETS + number * self._RECORD.size))

    def add(self, sent_ns: int, first_ns: int = 0, target: int = 0) -> int:
        number = len(self)
        if number == CAPACITY:
            sys.exit("the table of asks is full")
        offset = self._HEADER_OCTETS + number * self._RECORD.size
        self._RECORD.pack_into(self._map, offset, sent_ns, first_ns, 0, target)
        self._COUNT.pack_into(self._map, 0, number + 1)
        return number

    def answered(self, number: int, node: int, at_ns: int) -> None:
        if number < len(self) and not self[number][1 + node]:
            offset = self._HEADER_OCTETS + number * self._RECORD.size + 8 * (1 + node)
            self._COUNT.pack_into(self._map, offset, at_ns)

    def between(self, since_ns: int, until_ns: int) -> list[Ask]:
        """Sent in [since, until)."""
        begin = bisect.bisect_left(range(len(self)), since_ns, key=lambda number: self[number].sent_ns)
        end = bisect.bisect_left(range(len(self)), until_ns, key=lambda number: self[number].sent_ns)
        return [self[number] for number in range(begin, end)]

    def close(self) -> None:
        self._map.close()
        os.close(self.fd)


# What follows runs on the machines.


def _every(interval_ns: int, endpoint: socket.socket, receive, send) -> None:
    """Send on a schedule, receive in between."""
    run_real_time(INSTRUMENT if interval_ns <= MILLISECOND else SELDOM)
    os.write(1, b"ready\n")
    due = now_ns()
    while True:
        if select.select([endpoint], [], [], max(0, due - now_ns()) / SECOND)[0]:
            with contextlib.suppress(BlockingIOError):
                while True:
                    receive()
        now = now_ns()
        if now >= due:
            due = due + interval_ns if now < due + interval_ns else now + interval_ns
            # nobody has it, or no way leads to it: lost, as its record says
            with contextlib.suppress(OSError):
                send(now)


def _listener(interface: str, protocol: int) -> socket.socket:
    listener = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(protocol))
    enlarge_receive_buffer(listener, _RECEIVE_BUFFER_OCTETS)
    listener.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
    listener.bind((interface, protocol))
    listener.setblocking(False)
    return listener


def ask(table: Table, interface: str, macs: list[bytes], interval_ns: int, addresses: list[bytes]) -> None:
    endpoint = _listener(interface, _ETH_P_ARP)
    # the answers go to hardware addresses that are no card's
    wish = struct.pack("=iHH8s", socket.if_nametoindex(interface), _PROMISCUOUS, 0, b"")
    endpoint.setsockopt(_SOL_PACKET, _ADD_MEMBERSHIP, wish)

    def receive() -> None:
        packet = endpoint.recv(256)
        if len(packet) < _ARP.size:
            return
        *_, operation, sender, address, asked, _ = _ARP.unpack_from(packet)
        number = int.from_bytes(asked[2:])
        known = operation == _REPLY and asked[:2] == _NUMBERED and sender in macs and number < len(table)
        if known and addresses[table[number].target] == address:
            table.answered(number, macs.index(sender), now_ns())

    def send(now: int) -> None:
        for target, address in enumerate(addresses):
            hardware = _NUMBERED + table.add(now, target=target).to_bytes(4)
            request = _ARP.pack(1, _ETH_P_IP, 6, 4, _REQUEST, hardware, bytes(4), bytes(6), address)
            endpoint.sendto(request, (interface, _ETH_P_ARP, 0, 0, _BROADCAST))

    _every(interval_ns, endpoint, receive, send)


def talk(table: Table, interface: str, macs: list[bytes], interval_ns: int, address: str) -> None:
    """A host's own socket: its kernel decides, as for any program, whose card it goes to."""
    out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    out.connect((address, PORT))
    endpoint = _listener(interface, _ETH_P_IP)
    own_port = out.getsockname()[1]

    def receive() -> None:
        packet, stamps, _, sender = endpoint.recvmsg(2048, 64)
        offset = (packet[0] & 0x0F) * 4
        if sender[2] == _PACKET_OUTGOING or packet[9] != socket.IPPROTO_UDP or len(packet) < offset + 16:
            return
        source, target = struct.unpack_from("!HH", packet, offset)
        if (source, target) == (PORT, own_port) and sender[4] in macs:
            number = int.from_bytes(packet[offset + 8 : offset + 16])
            table.answered(number, macs.index(sender[4]), _instant(stamps[0][2]))

    def send(now: int) -> None:
        out.send(table.add(now).to_bytes(8))

    _every(interval_ns, endpoint, receive, send)


def _instant(stamp: bytes) -> int:
    """The kernel stamps packets with wall time; ours is that of CLOCK_BOOTTIME."""
    seconds, nanoseconds = _TIMESPEC.unpack(stamp)
    return now_ns() - (time.clock_gettime_ns(time.CLOCK_REALTIME) - (seconds * SECOND + nanoseconds))


def echo() -> None:
    endpoint = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    endpoint.setsockopt(socket.IPPROTO_IP, _IP_PKTINFO, 1)
    enlarge_receive_buffer(endpoint, _RECEIVE_BUFFER_OCTETS)
    endpoint.bind(("", PORT))
    run_real_time(INSTRUMENT)
    os.write(1, b"ready\n")
    while True:
        data, ancillary, _, client = endpoint.recvmsg(64, 64)
        _, _, asked = _PKTINFO.unpack(ancillary[0][2][: _PKTINFO.size])
        reply = (socket.IPPROTO_IP, _IP_PKTINFO, _PKTINFO.pack(0, asked, bytes(4)))
        with contextlib.suppress(OSError):  # the address went meanwhile
            endpoint.sendmsg([data], [reply], 0, client)


def canary(table: Table, cpu: int) -> None:
    """What not even the most urgent process is given, nobody can use: the machine stood still."""
    os.sched_setaffinity(0, {cpu})
    run_real_time(HARDWARE)
    os.write(1, b"ready\n")
    before = now_ns()
    while True:
        time.sleep(_CANARY_NS / SECOND)
        now = now_ns()
        if now - before - _CANARY_NS > STALL_NS:
            table.add(before, now)
        before = now


def main() -> None:
    match sys.argv[1:]:
        case ["arp", fd, interface, macs, interval_ns, *addresses]:
            packed = [socket.inet_aton(address) for address in addresses]
            ask(Table(int(fd)), interface, _packed(macs), int(interval_ns), packed)
        case ["udp", fd, interface, macs, interval_ns, address]:
            talk(Table(int(fd)), interface, _packed(macs), int(interval_ns), address)
        case ["echo"]:
            echo()
        case ["canary", fd, cpu]:
            canary(Table(int(fd)), int(cpu))


def _packed(macs: str) -> list[bytes]:
    return [bytes.fromhex(mac.replace(":", "")) for mac in macs.split(",")]


if __name__ == "__main__":
    main()
