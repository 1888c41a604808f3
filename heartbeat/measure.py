"""What `heartbeat bench` measures of this box. Nothing here disturbs a cluster, whether its daemons run or not:

    timers      how late an absolute timer fires, in the class that the daemon would have, but one step below it
    heard       the other node's heartbeats, overheard beside the daemon on the interface, verified, with the kernel's
                own stamps: how regularly they come
    echo        ICMP echo of a status's size; the other machine's kernel answers, whatever runs there
    line        a serial line that no daemon has: as many line feeds as a status has octets, and how long they take to
                leave; whoever listens skips them (docs/protocol.md)

Rules: whatever comes from a network is bounded and may be anybody's; only what is signed with our key is counted.
"""

from __future__ import annotations

import errno
import fcntl
import os
import select
import socket
import struct
import sys
import termios
import time
from array import array

from _hbfast.auth import Authenticator
from _hbfast.codec import Decoder
from heartbeat import media, realtime

TYPE_CHECKING = False
if TYPE_CHECKING:
    from heartbeat.config import Config
    from heartbeat.config.record import MediumConfig

MILLISECOND = 1_000_000
SECOND = 1_000_000_000
TIMER_INTERVAL_NS = 5 * MILLISECOND
ECHOES, ECHO_INTERVAL_S, ECHO_PATIENCE_S = 40, 0.05, 1.0
# datagrams of one medium that are kept for a look; a peer sends 100 a second at most
DATAGRAMS, DATAGRAM_OCTETS = 20_000, 65536
RECEIVE_BUFFER_OCTETS = 1 << 20
# of a line: it may be slower than it says, or stand still
LINE_PATIENCE = 4
LINE_LEAST_S = 0.5
# linux/if_ether.h, asm-generic/socket.h, netinet/icmp6.h
_ETH_P_IP, _ETH_P_IPV6 = 0x0800, 0x86DD
_SO_ATTACH_FILTER, _SO_TIMESTAMPNS = 26, 35
_ECHO_REQUEST, _ECHO_REPLY = 8, 0
_ECHO6_REQUEST, _ECHO6_REPLY = 128, 129
UDP = 17


class Timers:
    """Of so many. exact: nanoseconds, and not the milliseconds of epoll. problem: why not in the daemon's class."""

    def __init__(self, late_ns: list[int], *, exact: bool, problem: str) -> None:
        ordered = sorted(late_ns)
        self.count = len(ordered)
        self.median_ms, self.p99_ms, self.worst_ms = (
            round(ordered[min(self.count * part // 100, self.count - 1)] / MILLISECOND, 3) if ordered else 0.0
            for part in (50, 99, 100)
        )
        self.exact = exact
        self.problem = problem


def become_the_daemon(*, wanted: bool, priority: int | None) -> str:
    """Its class, one step below, so that a daemon that runs goes first; its locked memory. What was denied."""
    if not wanted:
        return "realtime is off in ha.cf"
    if priority is None:
        priority = (os.sched_get_priority_min(os.SCHED_RR) + os.sched_get_priority_max(os.SCHED_RR)) // 2
    denied = realtime.go_realtime(priority - 1)
    realtime.lock_memory()  # where it may not, it is not
    return denied or ""


def timers(seconds: float, problem: str) -> Timers:
    """How late they fire, for so long."""
    late_ns = []
    timer = realtime.Timer() if realtime.Timer is not None else None
    with select.epoll() as poller:
        if timer is not None:
            poller.register(timer.fileno(), select.EPOLLIN)
        now = _now()
        end, due = now + round(seconds * SECOND), now + TIMER_INTERVAL_NS
        while due < end:
            if timer is not None:
                timer.set(due)
                poller.poll()
                timer.clear()
            else:
                poller.poll((due - now) / SECOND)
            now = _now()
            late_ns.append(max(0, now - due))
            due = max(due + TIMER_INTERVAL_NS, now + MILLISECOND)
    if timer is not None:
        timer.close()
    return Timers(late_ns, exact=timer is not None, problem=problem)


def _now() -> int:
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


# ---- the other node's heartbeats


def _filter(medium: MediumConfig) -> bytes:
    """Classic BPF on a packet from its network header on: datagrams to the medium's port, whole or the first piece."""
    code = [
        (0x30, 0, 0, 9), (0x15, 0, 6, UDP), (0x28, 0, 0, 6), (0x45, 4, 0, 0x1FFF), (0xB1, 0, 0, 0),
        (0x48, 0, 0, 2), (0x15, 0, 1, medium.port),
    ]  # fmt: skip
    if medium.type.endswith("6"):
        code = [(0x30, 0, 0, 6), (0x15, 0, 3, UDP), (0x28, 0, 0, 42), (0x15, 0, 1, medium.port)]
    code += [(0x06, 0, 0, DATAGRAM_OCTETS), (0x06, 0, 0, 0)]
    return b"".join(struct.pack("=HBBI", *each) for each in code)


class Heard:
    """Of one node on one medium. late_ms: the longest interval between two that follow each other, less the usual."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.count = self.lost = 0
        self.interval_ms = self.late_ms = 0.0
        self._stamps: list[tuple[int, int, int]] = []

    def add(self, generation: int, sequence: int, at_ns: int) -> None:
        if not self._stamps or (generation, sequence) > self._stamps[-1][:2]:
            self._stamps.append((generation, sequence, at_ns))

    def finish(self) -> None:
        """Two with another generation between them tell nothing, nor do two between which one was lost."""
        self.count = len(self._stamps)
        pairs = [
            (second[2] - first[2]) / MILLISECOND
            for first, second in zip(self._stamps, self._stamps[1:], strict=False)
            if first[0] == second[0] and second[2] > first[2]
        ]
        if not pairs:
            return
        usual = sorted(pairs)[len(pairs) // 2]
        self.interval_ms = round(usual, 3)
        whole = [each for each in pairs if each < 1.9 * usual]
        self.lost = sum(round(each / usual) - 1 for each in pairs if each >= 1.9 * usual)
        self.late_ms = round(max(0.0, max(whole, default=usual) - usual), 3)


class Overhearing:
    """Of a medium of UDP, until it is closed. OSError: it may not be."""

    def __init__(self, config: Config, medium: MediumConfig) -> None:
        self.medium = medium
        self._own = config.node
        self._nodes = config.nodes
        auth = Authenticator(config.keys, config.outbound, strong=True)
        self._decoder = Decoder(medium.name, auth, stream=False)
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK, 0)
        try:
            code = array("B", _filter(medium))
            address, size = code.buffer_info()
            self._socket.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("@HP", size // 8, address))
            self._socket.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_OCTETS)
            kind = _ETH_P_IPV6 if medium.type.endswith("6") else _ETH_P_IP  # this way only what comes in is seen
            self._socket.bind((medium.device, kind))
        except OSError:
            self._socket.close()
            raise

    def finish(self) -> dict[str, Heard]:
        """By node: what has come in since."""
        found: dict[str, Heard] = {}
        for _ in range(DATAGRAMS):
            try:
                packet, ancillary, _, _ = self._socket.recvmsg(DATAGRAM_OCTETS, 64)
            except OSError:
                break
            seconds, ns = struct.unpack("ll", ancillary[0][2]) if ancillary else (0, 0)
            self._take(packet, seconds * SECOND + ns, found)
        self._socket.close()
        for each in found.values():
            each.finish()
        return found

    def _take(self, packet: bytes, at_ns: int, found: dict[str, Heard]) -> None:
        six = self.medium.type.endswith("6")
        if len(packet) < 48:
            return
        head = 40 if six else 4 * (packet[0] & 15)
        length = int.from_bytes(packet[head + 4 : head + 6], "big")
        for message in self._decoder.feed(packet[head + 8 : head + length]):
            name = message.source or ""
            if message.type != "status" or name == self._own or name not in self._nodes:
                continue
            family, source = (socket.AF_INET6, packet[8:24]) if six else (socket.AF_INET, packet[12:16])
            heard = found.setdefault(name, Heard(socket.inet_ntop(family, source)))
            heard.add(message.generation, message.sequence, at_ns)


# ---- round trips


class Echoes:
    """Milliseconds, of those that were answered."""

    def __init__(self, address: str, sent: int, round_trips_ms: list[float]) -> None:
        ordered = sorted(round_trips_ms)
        self.address = address
        self.sent = sent
        self.answered = len(ordered)
        self.median_ms = round(ordered[self.answered // 2], 3) if ordered else 0.0
        self.worst_ms = round(ordered[-1], 3) if ordered else 0.0


def echo(address: str, device: str, octets: int) -> Echoes:
    """ECHOES requests, through that interface. OSError."""
    six = ":" in address
    family = socket.AF_INET6 if six else socket.AF_INET
    protocol = socket.IPPROTO_ICMPV6 if six else socket.IPPROTO_ICMP
    with socket.socket(family, socket.SOCK_RAW | socket.SOCK_NONBLOCK, protocol) as channel:
        channel.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, device.encode() + b"\0")
        target = (address, 0, 0, socket.if_nametoindex(device)) if six else (address, 0)
        identifier, token = int.from_bytes(os.urandom(2), "big"), os.urandom(16)
        sent: dict[int, int] = {}
        round_trips: list[float] = []
        for number in range(ECHOES):
            sent[number] = _now()
            try:
                channel.sendto(_request(six, identifier, number, token.ljust(octets, b"\0")), target)
            except BlockingIOError:
                del sent[number]
            end = _now() + round((ECHO_INTERVAL_S if number < ECHOES - 1 else ECHO_PATIENCE_S) * SECOND)
            while (left_ns := end - _now()) > 0 and not (number == ECHOES - 1 and not sent):
                if not select.select([channel], [], [], left_ns / SECOND)[0]:
                    break
                now = _now()
                answered = _answered(channel, six, identifier, token)
                if answered is not None and answered in sent:
                    round_trips.append((now - sent.pop(answered)) / MILLISECOND)
    return Echoes(address, ECHOES, round_trips)


def _request(six: bool, identifier: int, number: int, payload: bytes) -> bytes:
    head = struct.pack(">BBHHH", _ECHO6_REQUEST if six else _ECHO_REQUEST, 0, 0, identifier, number)
    if six:
        return head + payload  # the kernel knows the addresses that its sum is over
    octets = head + payload + b"\0" * (len(payload) % 2)
    total = sum(struct.unpack(f">{len(octets) // 2}H", octets))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return head[:2] + struct.pack(">H", ~total & 0xFFFF) + head[4:] + payload


def _answered(channel: socket.socket, six: bool, identifier: int, token: bytes) -> int | None:
    """The number of the request that this answers; None for anything else that comes by ICMP."""
    try:
        packet = channel.recv(DATAGRAM_OCTETS)
    except OSError:
        return None
    icmp = packet if six else packet[4 * (packet[0] & 15) if packet else 0 :]
    if len(icmp) < 8 + len(token) or icmp[0] != (_ECHO6_REPLY if six else _ECHO_REPLY):
        return None
    its, number = struct.unpack(">HH", icmp[4:8])
    return number if its == identifier and icmp[8 : 8 + len(token)] == token else None


# ---- a serial line


def line(medium: MediumConfig, lock_dir: str, octets: int) -> float:
    """Milliseconds that so many octets take to leave. OSError: somebody has the port, or nothing leaves."""
    port = media.create(medium, lock_dir)
    port.open()
    fd = port.fileno()
    patience_ns = max(LINE_PATIENCE * medium.frame_ns(octets), round(LINE_LEAST_S * SECOND))
    rest = b"\n" * octets
    try:
        began = _now()
        while rest or _queued(fd):
            rest = rest[_written(fd, rest) :] if rest else rest
            if _now() - began > patience_ns:
                text = f"{medium.device}: nothing leaves: is the cable in, and the other machine on?"
                raise OSError(errno.ETIMEDOUT, text)
            time.sleep(0.0005)
        return (_now() - began) / MILLISECOND
    except termios.error as error:
        raise OSError(*error.args) from error
    finally:
        port.close()  # what has not left is thrown away


def _written(fd: int, octets: bytes) -> int:
    try:
        return os.write(fd, octets)
    except BlockingIOError:
        return 0


def _queued(fd: int) -> int:
    return int.from_bytes(fcntl.ioctl(fd, termios.TIOCOUTQ, bytes(4)), sys.byteorder)
