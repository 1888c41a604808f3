"""What a machine sends: a tap on its first card, stamped by the kernel as a frame leaves."""

from __future__ import annotations

import select
import socket
import struct
import time
from typing import NamedTuple

from heartbeat.demo.machine import Machine
from heartbeat.demo.namespaces import enlarge_receive_buffer

PORT, VRRP = 694, 112
CARD = "eth0"
_ETH_P_ALL = 3
_PACKET_OUTGOING = 4
_SO_TIMESTAMPNS = 35
_IPV4, _UDP, _HEADER = 0x0800, 17, 14
_BUFFER_OCTETS = 1 << 20


class Frame(NamedTuple):
    """at_ns: by the wall clock; octets: of the whole frame; payload: of what the program has written."""

    at_ns: int
    octets: int
    payload: int


class Tap:
    """On a machine that is on. Heartbeats that go out are kept, of either protocol."""

    def __init__(self, machine: Machine) -> None:
        with machine.inside():
            self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
            self._socket.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
            enlarge_receive_buffer(self._socket, _BUFFER_OCTETS)
            self._socket.bind((CARD, _ETH_P_ALL))
        self._socket.setblocking(False)

    def waiting(self) -> list[Frame]:
        """Those that have gone out since."""
        found = []
        while True:
            try:
                octets, ancillary, _, sender = self._socket.recvmsg(65536, 64)
            except BlockingIOError:
                return found
            payload = heartbeat(octets)
            if sender[2] == _PACKET_OUTGOING and payload is not None:
                seconds, ns = struct.unpack("ll", ancillary[0][2])
                found.append(Frame(seconds * 1_000_000_000 + ns, len(octets), payload))

    def first(self, patience_s: float) -> Frame | None:
        end = time.monotonic() + patience_s
        while (left_s := end - time.monotonic()) > 0:
            if select.select([self._socket], [], [], left_s)[0] and (found := self.waiting()):
                return found[0]
        return None

    def close(self) -> None:
        self._socket.close()


def heartbeat(frame: bytes) -> int | None:
    """How many octets the sender has written, if the frame is a heartbeat: a datagram to PORT, or VRRP."""
    if len(frame) < _HEADER + 20 or int.from_bytes(frame[12:14]) != _IPV4:
        return None
    begin = _HEADER + 4 * (frame[_HEADER] & 15)
    length = int.from_bytes(frame[_HEADER + 2 : _HEADER + 4]) - (begin - _HEADER)
    protocol = frame[_HEADER + 9]
    if protocol == VRRP:
        return length
    if protocol == _UDP and int.from_bytes(frame[begin + 2 : begin + 4]) == PORT:
        return length - 8
    return None
