"""What looks at a pair: the client's probe, the tap in the switch, the canaries; and what is set against it: loads.

The instruments write tables of memory, and are read when what they have seen is over. The tap sees what the switch
hands to a node's card just before the node does, and what comes from a card just after it was sent.
"""

from __future__ import annotations

import bisect
import contextlib
import mmap
import os
import re
import struct
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from system import audit
from system.asking import Table

from bench.rivals import program
from heartbeat.demo import namespaces
from heartbeat.demo.track import CAPACITY, Track

PROBE_NS = 500_000
# a line's octets; a log's lines
GROWTH_NS, LOG_NS = 250_000, 1_000_000
# a heartbeat is a status; what else the original's protocol says is a message
HEARTBEAT, ADVERTISEMENT, ANNOUNCEMENT, NEIGHBOUR, MESSAGE = 1, 2, 3, 4, 5
# of the classic form, as both programs speak on a line
_STATUS = re.compile(rb">>>\nt=status\n(?:(?!>>>\n).)*?\n<<<\n", re.DOTALL)
# what a stall of the machine has held up comes late behind it
CANARY_NS, NEAR_NS = 5_000_000, 100_000_000


class Passed(NamedTuple):
    """at_ns; card: the switch's plug, as its kernel numbers it; out: towards the node of that plug, else from it; kind;
    mac: who speaks; address: whose it is that is announced, or the sender's; extra: an advertisement's priority."""

    at_ns: int
    card: int
    out: bool
    kind: int
    mac: str
    address: str
    extra: int


class Stall(NamedTuple):
    """A processor was not to be had, for the most urgent of all, from `due` to `woke`."""

    due_ns: int
    woke_ns: int

    @property
    def ms(self) -> float:
        return (self.woke_ns - self.due_ns) / 1e6


class _Memory:
    """A table of records that a program writes. The records begin with their instant."""

    HEADER_OCTETS = 64
    RECORD = struct.Struct("<Q")

    def __init__(self) -> None:
        size = self.HEADER_OCTETS + CAPACITY * self.RECORD.size
        self.fd = os.memfd_create("instrument")
        os.truncate(self.fd, size)
        self._map = mmap.mmap(self.fd, size)

    def __len__(self) -> int:
        return int(struct.unpack_from("<Q", self._map)[0])

    def __getitem__(self, number: int) -> tuple:
        return self.RECORD.unpack_from(self._map, self.HEADER_OCTETS + number * self.RECORD.size)

    def between(self, since_ns: int, until_ns: int = 1 << 63) -> Iterator[tuple]:
        # of several interfaces, so nearly in order
        first = bisect.bisect_left(self, since_ns - NEAR_NS, key=lambda each: each[0])
        for number in range(first, len(self)):
            record = self[number]
            if record[0] > until_ns + NEAR_NS:
                return
            if since_ns <= record[0] <= until_ns:
                yield record

    def close(self) -> None:
        self._map.close()
        os.close(self.fd)


class _Packets(_Memory):
    RECORD = struct.Struct("<QI?B6s4sII")


class _Growth(_Memory):
    RECORD = struct.Struct("<QQ")


class Probe:
    """`machine` asks `address`, through its first interface, each PROBE_NS."""

    def __init__(self, machine, address: str) -> None:
        self._machine = machine
        self.track = Track()
        words = ("probe", self.track.fd, machine.interfaces[0].name, address, PROBE_NS)
        argv = [str(program.path()), *map(str, words)]
        self._process = machine.popen(argv, stdout=subprocess.PIPE, pass_fds=(self.track.fd,))
        _ready(self._process, "probe")

    def answering(self) -> str:
        """Whose card has answered one of the last probes; "" for nobody's."""
        count = len(self.track)
        last = (self.track[number] for number in range(count - 1, max(count - 20, 0) - 1, -1))
        return next((probe.mac for probe in last if probe.arrived_ns), "")

    def close(self) -> None:
        if self._machine.on:
            self._machine.kill(self._process, 9)
        _end(self._process)
        self.track.close()


class Tap:
    """In a world's switch."""

    def __init__(self, world) -> None:
        self._seen = _Packets()
        with namespaces.inside(world.switches._namespace):
            self._process = _start(("tap", self._seen.fd), fds=(self._seen.fd,))

    def passed(self, since_ns: int, until_ns: int = 1 << 63) -> list[Passed]:
        return [
            Passed(at_ns, card, out, kind, mac.hex(":"), ".".join(map(str, address)), extra)
            for at_ns, card, out, kind, mac, address, extra, _ in self._seen.between(since_ns, until_ns)
        ]

    def close(self) -> None:
        _end(self._process)
        self._seen.close()


class Growth:
    """When a file has grown. It is watched from now on, and may be written by anybody."""

    def __init__(self, file: Path | int, interval_ns: int = LOG_NS) -> None:
        """file: or a descriptor of it, which is then this object's."""
        self._file = os.open(file, os.O_RDONLY) if isinstance(file, Path) else file
        self._seen = _Growth()
        words = ("growth", self._seen.fd, self._file, interval_ns)
        self._process = _start(words, fds=(self._seen.fd, self._file))

    def octets(self) -> bytes:
        return os.pread(self._file, os.fstat(self._file).st_size, 0)

    def looks(self, since_ns: int = 0, until_ns: int = 1 << 63) -> list[tuple[int, int]]:
        """(instant, octets), of each look that has found it grown."""
        return list(self._seen.between(since_ns, until_ns))

    def first(self, pattern: re.Pattern[str], since_ns: int) -> int | None:
        """When the first line that has it, of those since then, was there."""
        return first(self.octets(), self.looks(), pattern, since_ns)

    def close(self) -> None:
        _end(self._process)
        self._seen.close()
        os.close(self._file)


class Line(Growth):
    """What has arrived at an end of a cable, and when. The pump copies it to a file of memory that is watched."""

    def __init__(self, cable, source: int) -> None:
        """source: the number of the end that sends."""
        sent, arrived = os.memfd_create("sent"), os.memfd_create("arrived")
        cable.tap(source, sent, arrived)
        os.close(sent)  # the pump has its own
        super().__init__(arrived, GROWTH_NS)

    def heard(self) -> list[int]:
        """The instants at which a whole status had arrived."""
        return ends(self.octets(), self.looks())


def first(octets: bytes, looks: Sequence[tuple[int, int]], pattern: re.Pattern[str], since_ns: int) -> int | None:
    before = max((size for at_ns, size in looks if at_ns < since_ns), default=0)
    # a log is ASCII but for what somebody else has written into it
    match = pattern.search(octets.decode("latin-1"), before)
    if match is None:
        return None
    return next((at_ns for at_ns, size in looks if size >= match.end() and at_ns >= since_ns), None)


def ends(octets: bytes, looks: Sequence[tuple[int, int]]) -> list[int]:
    """looks: (instant, how many octets there were then). The instants at which a whole status was there first."""
    sizes = [size for _, size in looks]
    places = (bisect.bisect_left(sizes, match.end()) for match in _STATUS.finditer(octets))
    return [looks[place][0] for place in places if place < len(looks)]


class Canaries:
    """One on each processor, more urgent than anything else: when it could not run, nobody could."""

    def __init__(self) -> None:
        self._tables: list[Table] = []
        self._programs: list[audit.Program] = []
        for cpu in sorted(os.sched_getaffinity(0)):
            self._tables.append(Table())
            self._programs.append(audit.Program(None, self._tables[-1], "canary", self._tables[-1].fd, cpu))

    def stalls(self, since_ns: int, until_ns: int) -> list[Stall]:
        """That touch this time, longer than CANARY_NS."""
        found = [Stall(each.sent_ns, each.first_ns) for table in self._tables
                 for each in table.between(since_ns - NEAR_NS - 1_000_000_000, until_ns)]  # fmt: skip
        return sorted(each for each in found if each.woke_ns - each.due_ns > CANARY_NS and each.woke_ns >= since_ns)

    def close(self) -> None:
        for each in self._programs:
            each.close()
        for table in self._tables:
            table.close()


def near(begin_ns: int, end_ns: int, stalls: Sequence[Stall]) -> list[Stall]:
    """Those within NEAR_NS of what was between."""
    return [each for each in stalls if each.due_ns - NEAR_NS <= end_ns and begin_ns <= each.woke_ns + NEAR_NS]


# a load's name → the programs that make it
LOADS: dict[str, tuple[tuple[str, int], ...]] = {
    "idle": (),
    "2 hogs": (("hog", 2),),
    "16 hogs": (("hog", 16),),
    "churn": (("churn", 4),),
}
LONGEST_LOAD_S = 3600


@contextlib.contextmanager
def load(name: str, folder: object) -> Iterator[None]:
    """Ordinary processes (SCHED_OTHER, nice 0), each of a session of its own, so that where the kernel shares the
    processors among sessions each has its share. folder: for what churn writes."""
    running = []
    try:
        for kind, count in LOADS[name]:
            words = (kind, LONGEST_LOAD_S, *([folder] if kind == "churn" else []))
            running += [_start(words) for _ in range(count)]
        yield
    finally:
        for process in running:
            process.kill()
        for process in running:
            _end(process)


def _start(words: Sequence[object], fds: Sequence[int] = ()) -> subprocess.Popen:
    argv = [str(program.path()), *map(str, words)]
    process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, pass_fds=fds,
                               start_new_session=True)  # fmt: skip
    _ready(process, words[0])
    return process


def _ready(process: subprocess.Popen, what: object) -> None:
    assert process.stdout
    if not process.stdout.readline():
        process.wait()
        raise OSError(f"the instrument {what} did not start; its messages are above")


def _end(process: subprocess.Popen) -> None:
    process.kill()
    process.wait()
    assert process.stdout
    process.stdout.close()
