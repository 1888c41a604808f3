"""Who answers for an address, each millisecond: ARP requests from a machine's first interface, and every reply to them.

As a program: `arping.py INTERFACE OWN ADDRESS FILE` asks until it is killed, and writes each reply's instant
(CLOCK_BOOTTIME, by the kernel's stamp) and sender to FILE. `Answers` reads them: two nodes that answer at the same time
are two holders, whatever their daemons say, and a time without answers has none.
"""

import itertools
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from heartbeat.demo.clock import INSTRUMENT, MILLISECOND, SECOND, now_ns, run_real_time
from heartbeat.demo.namespaces import enlarge_receive_buffer

_SO_TIMESTAMPNS = 35
_ETH_P_ARP = 0x0806
_REPLY = 2
_ARP = struct.Struct("!HHBBH6s4s6s4s")
_RECORD = struct.Struct("<Q6s2x")
_TIMESPEC = struct.Struct("@ll")
_BROADCAST = b"\xff" * 6


@dataclass(frozen=True)
class Turn:
    """One node's answers, from the first to the last before another's."""

    mac: str
    first_ns: int
    last_ns: int


class Arping:
    """`machine` asks for `address` until `close`."""

    def __init__(self, machine, address: str, path: Path) -> None:
        self._machine = machine
        self._path = path
        interface = machine.interfaces[0]
        own = interface.address.partition("/")[0]
        argv = [sys.executable, __file__, interface.name, own, address, str(path)]
        self._process = machine.popen(argv, stdout=subprocess.PIPE)
        assert self._process.stdout
        if not self._process.stdout.readline():
            raise OSError("the prober did not start")

    def answers(self, since_ns: int = 0) -> list[tuple[int, str]]:
        """(instant, mac) of each reply since then, in order."""
        data = self._path.read_bytes()
        data = data[: len(data) // _RECORD.size * _RECORD.size]
        found = [(at_ns, mac.hex(":")) for at_ns, mac in _RECORD.iter_unpack(data)]
        return sorted(answer for answer in found if answer[0] >= since_ns)

    def turns(self, since_ns: int = 0) -> list[Turn]:
        """Two that alternate have held the address both: a clean take-over is two turns."""
        turns = []
        for mac, run in itertools.groupby(self.answers(since_ns), key=lambda answer: answer[1]):
            instants = [at_ns for at_ns, _ in run]
            turns.append(Turn(mac, instants[0], instants[-1]))
        return turns

    def longest_silence_ns(self, since_ns: int, until_ns: int) -> int:
        instants = [since_ns, *(at_ns for at_ns, _ in self.answers(since_ns) if at_ns <= until_ns), until_ns]
        return max(after - before for before, after in itertools.pairwise(instants))

    def close(self) -> None:
        if self._machine.on:
            self._machine.kill(self._process, signal.SIGKILL)
        self._process.wait()
        assert self._process.stdout
        self._process.stdout.close()


def both_ns(turns: list[Turn]) -> int:
    """For how long two nodes answered: from where the second had begun to where the first had not ended."""
    return sum(
        max(
            0,
            max(one.last_ns for one in turns if one.mac == mac)
            - min(one.first_ns for one in turns if one.mac == other),
        )
        for mac, other in itertools.pairwise(dict.fromkeys(turn.mac for turn in turns))
    )


# What follows runs on the machine.


def _instant(stamp: bytes) -> int:
    seconds, nanoseconds = _TIMESPEC.unpack(stamp)
    return now_ns() - (time.clock_gettime_ns(time.CLOCK_REALTIME) - (seconds * SECOND + nanoseconds))


def main() -> None:
    interface, own, address, path = sys.argv[1:]
    asking = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(_ETH_P_ARP))
    asking.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
    enlarge_receive_buffer(asking, 1 << 22)
    asking.bind((interface, _ETH_P_ARP))
    asking.setblocking(False)
    hardware = asking.getsockname()[4]
    target = socket.inet_aton(address)
    request = _ARP.pack(1, 0x0800, 6, 4, 1, hardware, socket.inet_aton(own), bytes(6), target)
    out = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o600)
    run_real_time(INSTRUMENT)
    os.write(1, b"ready\n")
    due = now_ns()
    while True:
        select.select([asking], [], [], max(0, due - now_ns()) / SECOND)
        records = b""
        while True:
            try:
                packet, stamps, _, _ = asking.recvmsg(256, 64)
            except BlockingIOError:
                break
            if len(packet) < _ARP.size:
                continue
            *_, operation, sender, from_ip, wanted, _ = _ARP.unpack_from(packet)
            # to us and not to all: what a new holder tells everybody is no answer
            if operation == _REPLY and from_ip == target and wanted == hardware:
                records += _RECORD.pack(_instant(stamps[0][2]), sender)
        if records:
            os.write(out, records)
        if now_ns() >= due:
            # what a stall has kept is not made up for: an answer now says nothing about then
            due = max(due + MILLISECOND, now_ns())
            asking.sendto(request, (interface, _ETH_P_ARP, 0, 0, _BROADCAST))


if __name__ == "__main__":
    main()
