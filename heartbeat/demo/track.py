"""What became of each numbered probe or packet: when it was sent, when it arrived or was answered, through whom.

A table in memory that the world shares with the programs of `probe.py`: they write, the world reads, nobody waits.

    0   count: u64     how many were sent; the number of a probe is its index
    8   latest: u64    the latest arrival, 0 for none
    64  sent: u64  arrived: u64 (0: not yet)  mac: 6 octets, 2 of padding     one record a probe
"""

from __future__ import annotations

import bisect
import mmap
import os
import struct

_COUNT = _INSTANT = struct.Struct("<Q")
_RECORD = struct.Struct("<QQ6s2x")
_ARRIVAL = struct.Struct("<Q6s")
_LATEST_OFFSET = 8
_HEADER_OCTETS = 64
_ARRIVAL_OFFSET = 8

# Seventeen minutes of one probe a millisecond; the memory (24 MiB) is only used as far as it is written.
CAPACITY = 1 << 20


class Probe:
    """One record. arrived_ns is 0 for what has not; mac: of the last sender on its way."""

    __slots__ = ("arrived_ns", "mac", "number", "sent_ns")

    def __init__(self, number: int, sent_ns: int, arrived_ns: int, mac: str) -> None:
        self.number = number
        self.sent_ns = sent_ns
        self.arrived_ns = arrived_ns
        self.mac = mac

    def __repr__(self) -> str:
        return f"Probe({self.number}, {self.sent_ns}, {self.arrived_ns}, {self.mac!r})"


class Track:
    """fd: of the shared table, for `pass_fds`; without one a new table is made."""

    def __init__(self, fd: int | None = None) -> None:
        size = _HEADER_OCTETS + CAPACITY * _RECORD.size
        if fd is None:
            fd = os.memfd_create("track")
            os.truncate(fd, size)
        self.fd = fd
        self._table = mmap.mmap(fd, size)

    def __len__(self) -> int:
        return int(_COUNT.unpack_from(self._table)[0])

    def __getitem__(self, number: int) -> Probe:
        sent_ns, arrived_ns, mac = _RECORD.unpack_from(self._table, _offset(number))
        return Probe(number, sent_ns, arrived_ns, mac.hex(":"))

    def add(self, sent_ns: int) -> int | None:
        """A probe is about to be sent. Its number; None when the table is full."""
        number = len(self)
        if number == CAPACITY:
            return None
        _INSTANT.pack_into(self._table, _offset(number), sent_ns)
        _COUNT.pack_into(self._table, 0, number + 1)
        return number

    def arrive(self, number: int, arrived_ns: int, mac: bytes) -> None:
        """Only the first arrival counts. A number that was never sent is somebody else's traffic."""
        if number < len(self) and not self[number].arrived_ns:
            _ARRIVAL.pack_into(self._table, _offset(number) + _ARRIVAL_OFFSET, arrived_ns, mac)
            _INSTANT.pack_into(self._table, _LATEST_OFFSET, arrived_ns)

    def latest_arrival(self) -> int:
        """0 where nothing has arrived."""
        return int(_INSTANT.unpack_from(self._table, _LATEST_OFFSET)[0])

    def between(self, start_ns: int, end_ns: int) -> list[Probe]:
        """What was sent in [start, end)."""
        first = bisect.bisect_left(self, start_ns, key=_sent)
        last = bisect.bisect_left(self, end_ns, lo=first, key=_sent)
        return [self[number] for number in range(first, last)]

    def lost(self, start_ns: int, end_ns: int) -> list[Probe]:
        """What was sent in [start, end) and has not arrived; ask when the last of them had time to."""
        return [probe for probe in self.between(start_ns, end_ns) if not probe.arrived_ns]

    def first_arrival(self, after_ns: int, mac: str = "") -> int | None:
        """The first arrival after an instant, by that mac if given; of probes sent before the instant too."""
        # nothing is under way for longer than a second, but while an address is being resolved
        arrivals = (
            probe.arrived_ns
            for probe in self.between(after_ns - 1_000_000_000, 1 << 63)
            if probe.arrived_ns > after_ns and mac in ("", probe.mac)
        )
        return min(arrivals, default=None)

    def close(self) -> None:
        self._table.close()
        os.close(self.fd)


def _sent(probe: Probe) -> int:
    return probe.sent_ns


def _offset(number: int) -> int:
    return _HEADER_OCTETS + number * _RECORD.size
