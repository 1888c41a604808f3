"""What passes on the wires of a pair: every message that each node sends, and every one that reaches it.

    Ethernet   a socket on each router's plug in the switch: what comes in there the router has sent, what goes out has
               passed whatever befalls frames (system/links) and reaches it
    serial     the cable's pump copies both ends of each direction to files in memory

Rules: a message is what the reference decoder says (tests/reference, written from the protocol): neither program is
asked. A router must be on, and stay so; what was sent before the tap was set is not seen.
"""

from __future__ import annotations

import array
import contextlib
import os
import re
import select
import socket
import struct
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from interop.setting import KEYS, NODES
from reference import codec

from heartbeat.demo.clock import now_ns
from heartbeat.demo.namespaces import enlarge_receive_buffer

if TYPE_CHECKING:
    from interop.pair import Pair
    from reference.auth import Keys

PORT = 694
CARD = "eth0"
_ETH_P_ALL = 3
_PACKET_OUTGOING = 4
_SO_ATTACH_FILTER = 26
_RECEIVE_BUFFER_OCTETS = 1 << 22
# Of classic BPF (linux/filter.h): code, where to jump if so, if not, operand. UDP over IPv4 to PORT, and nothing else.
_HEARTBEATS = (
    (0x28, 0, 0, 12), (0x15, 0, 6, 0x0800),
    (0x30, 0, 0, 23), (0x15, 0, 4, socket.IPPROTO_UDP),
    (0xB1, 0, 0, 14), (0x48, 0, 0, 16), (0x15, 0, 1, PORT),
    (0x06, 0, 0, 0xFFFFFFFF), (0x06, 0, 0, 0),
)  # fmt: skip
# Both programs' lines strip the eighth bit, and with it one noise in 256.
_SEVEN_BITS = bytes(octet & 0x7F for octet in range(256))
# Up to a line that begins with the end's mark: for the original noise behind that spoils nothing.
_CLASSIC = re.compile(rb">>>\n(?:(?!>>>\n).)*?\n<<<", re.DOTALL)


@dataclass(frozen=True)
class Passed:
    """One message. at_ns: when, 0 on the serial line; sequence: 0 where it has none."""

    kind: str
    source: str
    generation: int
    sequence: int
    at_ns: int
    fields: dict[str, str] = field(repr=False)


class _Side:
    """Of one router: what it has sent, or what has reached it. serial: a file of memory, -1 where there is no line."""

    def __init__(self) -> None:
        self.datagrams: list[tuple[int, bytes]] = []
        self.serial = -1
        self._read = self._read_octets = 0
        self._messages: list[Passed | None] = []

    def messages(self, keys: Keys) -> list[Passed | None]:
        """Each is decoded once. None for one that is not signed as it should be."""
        until = len(self.datagrams)
        self._messages += [_message(payload, at_ns, keys) for at_ns, payload in self.datagrams[self._read : until]]
        self._read = until
        if self.serial >= 0:
            octets = os.pread(self.serial, os.fstat(self.serial).st_size, self._read_octets)
            end = 0
            for match in _CLASSIC.finditer(octets.translate(_SEVEN_BITS)):
                self._messages.append(_message(match[0] + b"\n", 0, keys))
                end = match.end()
            self._read_octets += end
        return self._messages


def _message(octets: bytes, at_ns: int, keys: Keys) -> Passed | None:
    fields = codec.message_of_datagram(octets, keys)
    if fields is None:
        return None
    texts = {name.decode(): value.decode(errors="replace") for name, digit, value in fields if digit == 0}
    return Passed(texts["t"], texts["src"], int(texts["hg"], 16), int(texts.get("seq", "0"), 16), at_ns, texts)


class Tap:
    """On the wires of a pair that is on, until it is closed."""

    def __init__(self, pair: Pair) -> None:
        self._keys = KEYS[pair.setting.method]
        self._sent = {name: _Side() for name in NODES}
        self._arrived = {name: _Side() for name in NODES}
        self._sockets: dict[int, tuple[socket.socket, str]] = {}
        if pair.cable:
            for number, name in enumerate(NODES):
                sides = self._sent[name], self._arrived[pair.other(name)]
                for side in sides:
                    side.serial = os.memfd_create("tap")
                pair.cable.tap(number, *(side.serial for side in sides))
        for name, node in pair.nodes.items():
            with pair.links._inside():
                found = listener(pair.links._plug(node, CARD))
            self._sockets[found.fileno()] = found, name
        self._end, self._ended = os.pipe()
        self._thread = threading.Thread(target=self._listen)
        self._thread.start()

    def sent(self, name: str) -> list[Passed]:
        return self._good(self._sent[name])

    def arrived(self, name: str) -> list[Passed]:
        """At that node; whoever has sent it."""
        return self._good(self._arrived[name])

    def unsigned(self, name: str) -> int:
        """Whole messages that it has sent and whose signature is not good."""
        return self._sent[name].messages(self._keys).count(None)

    def datagrams(self, name: str) -> list[bytes]:
        """That it has sent."""
        return [payload for _, payload in self._sent[name].datagrams]

    def close(self) -> None:
        os.write(self._ended, b"\n")
        self._thread.join()
        for end in (self._end, self._ended):
            os.close(end)
        for listener, _ in self._sockets.values():
            listener.close()
        for side in (*self._sent.values(), *self._arrived.values()):
            if side.serial >= 0:
                os.close(side.serial)

    def _good(self, side: _Side) -> list[Passed]:
        return [passed for passed in side.messages(self._keys) if passed is not None]

    def _listen(self) -> None:
        while True:
            ready, _, _ = select.select([self._end, *self._sockets], [], [])
            if self._end in ready:
                return
            for fd in ready:
                listener, name = self._sockets[fd]
                with contextlib.suppress(OSError):
                    frame, sender = listener.recvfrom(65536)
                    begin = 14 + 4 * (frame[14] & 15)
                    length = int.from_bytes(frame[begin + 4 : begin + 6])
                    sides = self._arrived if sender[2] == _PACKET_OUTGOING else self._sent
                    sides[name].datagrams.append((now_ns(), frame[begin + 8 : begin + length]))


def listener(plug: str) -> socket.socket:
    """Of heartbeats, both ways, in the network where this is called."""
    made = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    code = array.array("B", b"".join(struct.pack("=HBBI", *each) for each in _HEARTBEATS))
    address, size = code.buffer_info()
    made.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("@HP", size // 8, address))
    enlarge_receive_buffer(made, _RECEIVE_BUFFER_OCTETS)
    made.bind((plug, _ETH_P_ALL))
    return made


def sequences(messages: Iterable[Passed], source: str) -> set[tuple[int, int]]:
    """(generation, number) of each numbered message of that node."""
    return {(each.generation, each.sequence) for each in messages if each.source == source and each.sequence}


def count(messages: Iterable[Passed], kind: str, source: str) -> int:
    return sum(each.kind == kind and each.source == source for each in messages)


@contextlib.contextmanager
def tapped(pair: Pair) -> Iterator[Tap]:
    tap = Tap(pair)
    try:
        yield tap
    finally:
        tap.close()
