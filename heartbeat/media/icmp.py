"""The medium to a ping node: ICMP echo, by a raw socket, as protocol/wire.md §11.5. Nothing else goes by it.

What is sent is a message that this node has signed itself, and an answer is the same octets, from the host that was
asked, with the identifier of this socket and the number of one of the last WINDOW requests. Each number counts once,
whichever of a group's members is the first. The kernel turns everything else away before it costs anything: raw sockets
are handed all the ICMP that a machine receives.

Rules: as for the other media (media/__init__.py), but that `receive` returns no frame that was not sent here. A host
that is unreachable is an answer that does not come, and counted in `dropped` where the kernel says so.
"""

from __future__ import annotations

import array
import errno
import os
import struct

# not `socket`: its enums and selectors cost 1.5 MB
from _socket import (
    AF_INET,
    AF_INET6,
    AI_NUMERICHOST,
    IPPROTO_ICMP,
    IPPROTO_ICMPV6,
    SO_RCVBUF,
    SOCK_CLOEXEC,
    SOCK_NONBLOCK,
    SOCK_RAW,
    SOL_SOCKET,
    getaddrinfo,
    inet_aton,
    socket,
)

from heartbeat.lean import deque
from heartbeat.media import sources
from heartbeat.media.udp import BUFFER

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from heartbeat.config.record import PingConfig

# of the last requests; with a keepalive of 50 ms an answer may take three seconds
WINDOW = 64
RECEIVE_PACKETS = 64  # per call
# in the kernel: what comes of one round, and far more
BUFFER_OCTETS = 65_536

ECHO = {AF_INET: (8, 0), AF_INET6: (128, 129)}  # request, reply
ICMP_HEADER = struct.Struct("!BBHHH")  # type, code, checksum, identifier, number
IP_HEADER_LEAST = 20
# linux/filter.h, beside what sources.py has
LOAD_BYTE_AT, LOAD_HALF_AT, LOAD_HALF, LOAD_IP_LENGTH = 0x50, 0x48, 0x28, 0xB1


class Echo:
    """One ping node: one host, or several of which one is enough. hosts: addresses in digits."""

    backend = "icmp"
    format = "netstring"
    stream = False

    def __init__(self, config: PingConfig) -> None:
        self.name = config.name
        self.type = config.type
        self.hosts = config.addresses
        self.dropped = 0
        self.discarded = 0  # packets that no filter has kept out, and that are no answer
        self._family = AF_INET6 if config.type == "ping6" else AF_INET
        self._socket: socket | None = None
        self._identifier = 0
        self._number = 0
        self._targets: list[tuple[Any, ...]] = []
        self._sent: deque[tuple[int, bytes]] = deque(maxlen=WINDOW)

    def open(self) -> None:
        """OSError: not permitted, or no such protocol here."""
        if not self.hosts:
            text = f"{self.type} {self.name}: no host's name could be resolved when ha.cf was read: write the address"
            raise OSError(errno.EDESTADDRREQ, text)
        protocol = IPPROTO_ICMP if self._family == AF_INET else IPPROTO_ICMPV6
        try:
            # in digits, perhaps with a scope, fe80::1%eth0: nothing is looked up; octets, or the IDNA tables are loaded
            self._targets = [
                getaddrinfo(host.encode(), None, self._family, SOCK_RAW, protocol, AI_NUMERICHOST)[0][4]
                for host in self.hosts
            ]
            self._socket = socket(self._family, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol)
            # somebody who has seen another's requests knows nothing of ours
            self._identifier = int.from_bytes(os.urandom(2))
            self._sent.clear()
            self._socket.setsockopt(SOL_SOCKET, SO_RCVBUF, BUFFER_OCTETS)
            self._filter(self._socket)
        except OSError as error:
            self.close()
            denied = error.errno in (errno.EPERM, errno.EACCES)
            reason = "no permission for raw sockets: run as root" if denied else error.strerror or str(error)
            raise OSError(error.errno, f"{self.type} {self.name}: {reason}") from error

    def _filter(self, endpoint: socket) -> None:
        """Without filters in this kernel every ICMP packet is read, and thrown away here."""
        hosts = self.hosts if self._family == AF_INET else ()
        code = array.array("B", program(self._identifier, hosts))
        address, size = code.buffer_info()
        try:
            endpoint.setsockopt(SOL_SOCKET, sources.SO_ATTACH_FILTER, struct.pack("@HP", size // 8, address))
        except OSError:
            return

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
        self._socket = None

    def fileno(self) -> int:
        return -1 if self._socket is None else self._socket.fileno()

    def send(self, frame: bytes) -> None:
        """Ask every host. Never blocks, never raises."""
        if self._socket is None:
            return
        self._number = (self._number + 1) & 0xFFFF
        self._sent.append((self._number, frame))
        request, _ = ECHO[self._family]
        unsummed = ICMP_HEADER.pack(request, 0, 0, self._identifier, self._number) + frame
        # of ICMPv6 the kernel makes the sum, which has the addresses in it
        total = checksum(unsummed) if self._family == AF_INET else 0
        packet = ICMP_HEADER.pack(request, 0, total, self._identifier, self._number) + frame
        for target in self._targets:
            try:
                self._socket.sendto(packet, target)
            except OSError:
                self.dropped += 1  # no route, no neighbour, no room: of this moment, and the host's silence tells

    def receive(self) -> list[bytes]:
        """What was sent, of each request that has now been answered. Never raises."""
        frames: list[bytes] = []
        for _ in range(RECEIVE_PACKETS):
            if self._socket is None:
                break
            try:
                size, sender = self._socket.recvfrom_into(BUFFER)
            except BlockingIOError:
                break
            except OSError:
                continue  # about something sent earlier, and now reported
            frame = self._answer(bytes(BUFFER[:size]), sender[0])
            if frame is None:
                self.discarded += 1
            else:
                frames.append(frame)
        return frames

    def _answer(self, packet: bytes, sender: str) -> bytes | None:
        """The frame that came back, if it is the answer to a request that has none yet."""
        if self._family == AF_INET:
            length = (packet[0] & 0x0F) * 4 if packet else 0
            packet = packet[max(length, IP_HEADER_LEAST) :]
        if len(packet) < ICMP_HEADER.size or all(sender != target[0] for target in self._targets):
            return None
        kind, code, _, identifier, number = ICMP_HEADER.unpack_from(packet)
        asked = number, packet[ICMP_HEADER.size :]
        if (kind, code, identifier) != (ECHO[self._family][1], 0, self._identifier) or asked not in self._sent:
            return None
        self._sent.remove(asked)
        return asked[1]


def checksum(data: bytes) -> int:
    """The Internet's (RFC 1071)."""
    words = struct.unpack(f"!{len(data) // 2}H", data[: len(data) & ~1])
    total: int = sum(words) + (data[-1] << 8 if len(data) & 1 else 0)
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def program(identifier: int, hosts: Sequence[str]) -> bytes:
    """Instructions that keep echo replies with this identifier and drop everything else. hosts: IPv4 addresses that
    they must come from, at most sources.SOURCES_MAX; none for ICMPv6, where the packet begins behind the IP header."""
    count = len(hosts)
    instructions = []
    if hosts:
        instructions.append((sources.LOAD_WORD, 0, 0, sources.NETWORK_HEADER + sources.SOURCE_ADDRESS))
        for number, host in enumerate(hosts):
            (address,) = struct.unpack("!I", inet_aton(host))
            instructions.append((sources.JUMP_IF_EQUAL, count - number, 0, address))
        instructions += [(sources.RETURN, 0, 0, 0), (LOAD_IP_LENGTH, 0, 0, 0)]
        kind, name, reply = (LOAD_BYTE_AT, 0, 0, 0), (LOAD_HALF_AT, 0, 0, 4), ECHO[AF_INET][1]
    else:
        kind, name, reply = (0x30, 0, 0, 0), (LOAD_HALF, 0, 0, 4), ECHO[AF_INET6][1]
    instructions += [
        kind, (sources.JUMP_IF_EQUAL, 0, 2, reply),
        name, (sources.JUMP_IF_EQUAL, 1, 0, identifier),
        (sources.RETURN, 0, 0, 0), (sources.RETURN, 0, 0, sources.WHOLE),
    ]  # fmt: skip
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in instructions)
