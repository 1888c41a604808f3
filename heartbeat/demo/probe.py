"""Instruments: programs that a machine of the world runs, which send numbered packets and note what became of each.

    Ping      asks an address every interval (ICMP echo) and notes when the answer came, and from whose card
    Stream    numbered datagrams from one machine to another, end to end

Sending is on a fixed schedule: after a stall the missed ones follow at once, each with its true instant. Arrivals are
stamped by the kernel, so that a late reader bends no figure.
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import time
from typing import TYPE_CHECKING

from heartbeat.demo.clock import INSTRUMENT, MILLISECOND, SECOND, now_ns, run_real_time
from heartbeat.demo.namespaces import enlarge_receive_buffer
from heartbeat.demo.track import Track
from heartbeat.media.icmp import checksum

if TYPE_CHECKING:
    from collections.abc import Callable

    from heartbeat.demo.machine import Machine

# <asm/socket.h>, <linux/icmp.h>, <linux/if_packet.h>, <linux/if_ether.h>
_SO_TIMESTAMPNS = 35
_SOL_RAW, _ICMP_FILTER = 255, 1
_ETH_P_IP = 0x0800
_PACKET_OUTGOING = 4
_ECHO, _ECHO_REPLY = 8, 0

_TIMESPEC = struct.Struct("@ll")
_ICMP_HEADER = struct.Struct("!BBHHH")
_NUMBER = struct.Struct("!Q")
_UDP_HEADER_OCTETS = 8
# A burst after a stall must not overflow the receiver's buffer before it is read.
_RECEIVE_BUFFER_OCTETS = 1 << 22


class Instrument:
    """The world's handle of one track and the programs that write it."""

    def __init__(self) -> None:
        self.track = Track()
        self._programs: list[tuple[Machine, subprocess.Popen[str]]] = []

    def _start(self, machine: Machine, *arguments: object) -> None:
        argv = [sys.executable, "-m", "heartbeat.demo.probe", arguments[0], self.track.fd, *arguments[1:]]
        process = machine.popen([str(word) for word in argv], stdout=subprocess.PIPE, pass_fds=(self.track.fd,))
        self._programs.append((machine, process))
        assert process.stdout
        if not process.stdout.readline():
            raise OSError(f"an instrument did not start on {machine.name}; its messages are above")

    def close(self) -> None:
        for machine, process in self._programs:
            if machine.on:
                machine.kill(process, signal.SIGKILL)
            process.wait()
            assert process.stdout
            process.stdout.close()
        self._programs.clear()
        self.track.close()


class Ping(Instrument):
    """`machine` asks `address` over its first interface, every interval, until closed."""

    def __init__(self, machine: Machine, address: str, interval_ns: int = MILLISECOND) -> None:
        super().__init__()
        self._start(machine, "ping", machine.interfaces[0].name, address, interval_ns)


class Stream(Instrument):
    """UDP datagrams from `sender` to the first interface of `receiver`. `stop` ends the sending."""

    def __init__(self, sender: Machine, receiver: Machine, port: int, interval_ns: int = MILLISECOND) -> None:
        super().__init__()
        interface = receiver.interfaces[0]
        self._start(receiver, "receive", interface.name, port)
        self._start(sender, "send", interface.address.partition("/")[0], port, interval_ns)

    def stop(self) -> None:
        """Send no more; what is under way still arrives."""
        machine, process = self._programs.pop()
        machine.kill(process, signal.SIGKILL)
        process.wait()


# What follows runs on the machines.


def ping(track: Track, interface: str, address: str, interval_ns: int) -> None:
    out = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
    # answers are taken where the sender's card shows, so none need be queued here
    out.setsockopt(_SOL_RAW, _ICMP_FILTER, b"\xff\xff\xff\xff")
    # several instruments on one machine tell their answers apart by it
    identity = os.getpid() & 0xFFFF

    def send(number: int) -> None:
        out.sendto(_echo_request(identity, number), (address, 0))

    def number_of(packet: bytes) -> int | None:
        header = _payload(packet, socket.IPPROTO_ICMP)
        if header is None:
            return None
        kind, _, _, answered, _ = _ICMP_HEADER.unpack_from(packet, header)
        if kind != _ECHO_REPLY or answered != identity:
            return None
        return _number(packet, header + _ICMP_HEADER.size)

    _run(track, receive=_Receiver(track, interface, number_of), send=send, interval_ns=interval_ns)


def send_stream(track: Track, address: str, port: int, interval_ns: int) -> None:
    out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    out.connect((address, port))
    _run(track, send=lambda number: out.send(_NUMBER.pack(number)), interval_ns=interval_ns)


def receive_stream(track: Track, interface: str, port: int) -> None:
    # a socket of that port, so that the machine doesn't answer "port unreachable"
    sink = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sink.bind(("", port))

    def number_of(packet: bytes) -> int | None:
        header = _payload(packet, socket.IPPROTO_UDP)
        if header is None or int.from_bytes(packet[header + 2 : header + 4]) != port:
            return None
        return _number(packet, header + _UDP_HEADER_OCTETS)

    _run(track, receive=_Receiver(track, interface, number_of))


class _Receiver:
    """Everything that arrives on an interface, with the kernel's instant and the sender's mac."""

    def __init__(self, track: Track, interface: str, number_of: Callable[[bytes], int | None]) -> None:
        self._track = track
        self._number_of = number_of
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(_ETH_P_IP))
        self._socket.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        enlarge_receive_buffer(self._socket, _RECEIVE_BUFFER_OCTETS)
        self._socket.bind((interface, _ETH_P_IP))
        self._socket.setblocking(False)

    def fileno(self) -> int:
        return self._socket.fileno()

    def receive(self) -> None:
        while True:
            try:
                packet, stamps, _, sender = self._socket.recvmsg(2048, 64)
            except BlockingIOError:
                return
            except OSError as error:  # the card is gone: so are the answers, and this instrument soon
                if error.errno != errno.ENETDOWN:
                    raise
                return
            if sender[2] == _PACKET_OUTGOING:
                continue
            number = self._number_of(packet)
            if number is not None:
                self._track.arrive(number, _instant(stamps[0][2]), sender[4])


def _payload(packet: bytes, protocol: int) -> int | None:
    """Where the payload of an IPv4 packet begins; None for another protocol."""
    return (packet[0] & 0x0F) * 4 if packet[9] == protocol else None


def _number(packet: bytes, offset: int) -> int | None:
    """The number in what may be somebody else's packet, and too short for one."""
    return int.from_bytes(packet[offset : offset + 8]) if len(packet) >= offset + 8 else None


def _instant(stamp: bytes) -> int:
    """The kernel stamps packets with wall time; ours is that of CLOCK_BOOTTIME."""
    seconds: int
    nanoseconds: int
    seconds, nanoseconds = _TIMESPEC.unpack(stamp)
    age_ns = time.clock_gettime_ns(time.CLOCK_REALTIME) - (seconds * SECOND + nanoseconds)
    return now_ns() - age_ns


def _run(
    track: Track,
    *,
    receive: _Receiver | None = None,
    send: Callable[[int], object] | None = None,
    interval_ns: int = MILLISECOND,
) -> None:
    run_real_time(INSTRUMENT)
    with contextlib.suppress(BrokenPipeError):  # nobody waits any more: the end is near
        os.write(sys.stdout.fileno(), b"ready\n")
    watched = [receive] if receive else []
    next_ns = now_ns()
    while True:
        pause_s = max(0, next_ns - now_ns()) / SECOND if send else None
        if select.select(watched, [], [], pause_s)[0] and receive:
            receive.receive()
        now = now_ns()
        if not send or now < next_ns:
            continue
        next_ns += interval_ns
        number = track.add(now)
        if number is None:
            return
        # trouble: nobody answers for the address or the way to it; a lost probe, as its record says
        with contextlib.suppress(OSError):
            send(number)


def _echo_request(identity: int, number: int) -> bytes:
    body = _NUMBER.pack(number)
    sequence = number & 0xFFFF
    total = checksum(_ICMP_HEADER.pack(_ECHO, 0, 0, identity, sequence) + body)
    return _ICMP_HEADER.pack(_ECHO, 0, total, identity, sequence) + body


def main() -> None:
    kind, fd, *rest = sys.argv[1:]
    track = Track(int(fd))
    match kind, rest:
        case "ping", [interface, address, interval_ns]:
            ping(track, interface, address, int(interval_ns))
        case "send", [address, port, interval_ns]:
            send_stream(track, address, int(port), int(interval_ns))
        case "receive", [interface, port]:
            receive_stream(track, interface, int(port))


if __name__ == "__main__":
    main()
