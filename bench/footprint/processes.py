"""What the processes of a system use, by the kernel's own accounts.

    memory      /proc/PID/smaps_rollup, of all processes, added up: Rss counts what they share once for each of them,
                Pss once for all that share it. Who else runs on the machine makes Pss smaller, the interpreter of the
                benchmark itself above all. So the pages are looked at as well: `alone` is what Pss would be if of all
                programs that are written in Python, and of all nodes, this one alone ran
    processor   /proc/PID/task/*/schedstat, to the nanosecond, and in ticks what children used that have ended
    wake-ups    voluntary_ctxt_switches: the processor was given up, to wait
"""

from __future__ import annotations

import array
import contextlib
import os
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

PAGE = os.sysconf("SC_PAGE_SIZE")
TICK_NS = 1_000_000_000 // os.sysconf("SC_CLK_TCK")
# of an entry of /proc/PID/pagemap
_PRESENT, _FRAME = 1 << 63, (1 << 55) - 1
_PAGES_AT_ONCE = 1 << 17
_LARGEST_OCTETS = 1 << 36


class Memory(NamedTuple):
    """kB of 1,024 octets. daemon_…: of its largest process. alone_kb: None where pages must not be looked at."""

    processes: int
    rss_kb: int
    pss_kb: int
    private_dirty_kb: int
    alone_kb: int | None
    daemon_rss_kb: int
    daemon_private_dirty_kb: int


class Used(NamedTuple):
    """Since each process began. ended_ns: by children that are no more, in ticks."""

    cpu_ns: int
    ended_ns: int
    wakeups: int
    preempted: int


def memory(pids: Iterable[int]) -> Memory:
    found = [rollup(pid) for pid in pids]
    largest = max(found, key=lambda each: each["Rss"])
    total: Counter[str] = Counter()
    for each in found:
        total.update(each)
    return Memory(
        len(found), total["Rss"], total["Pss"], total["Private_Dirty"], alone(set(pids)),
        largest["Rss"], largest["Private_Dirty"],
    )  # fmt: skip


def rollup(pid: int) -> dict[str, int]:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    return {name.rstrip(":"): int(value) for name, value, _ in (line.split() for line in lines)}


def alone(pids: set[int]) -> int | None:
    """kB. Each page that these processes have, divided by all that have it but what is not counted (see above)."""
    own: Counter[int] = Counter()
    for pid in pids:
        own.update(_frames(pid))
    if not own:
        return None
    machines = {_namespace(pid) for pid in pids}
    sharing = Counter(own)
    for pid in _others(pids, machines):
        sharing.update(frame for frame in _frames(pid) if frame in own)
    return round(sum(count / sharing[frame] for frame, count in own.items()) * PAGE / 1024)


def _others(pids: set[int], machines: set[int]) -> Iterator[int]:
    """No program of Python, and none of another node's machine."""
    host = _namespace(os.getpid())
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) not in pids:
            with contextlib.suppress(OSError):
                name = os.path.basename(os.readlink(entry / "exe"))
                if not name.startswith("python") and _namespace(int(entry.name)) in {host, *machines}:
                    yield int(entry.name)


def _namespace(pid: int) -> int:
    return os.stat(f"/proc/{pid}/ns/pid").st_ino


def _frames(pid: int) -> set[int]:
    """The pages of memory that a process has, by number; empty where the kernel does not tell them."""
    found: set[int] = set()
    folder = f"/proc/{pid}"
    with contextlib.suppress(OSError), open(f"{folder}/maps") as maps, open(f"{folder}/pagemap", "rb", 0) as pages:
        for line in maps:
            first, last = (int(each, 16) for each in line.split()[0].split("-"))
            # the kernel's own (vvar, vdso, vsyscall), and what nobody can have: reserved, or a sanitizer's shadow
            if "[v" in line or " ---" in line or last - first > _LARGEST_OCTETS:
                continue
            for at in range(first // PAGE, last // PAGE, _PAGES_AT_ONCE):
                entries = array.array("Q")
                entries.frombytes(os.pread(pages.fileno(), min(_PAGES_AT_ONCE, last // PAGE - at) * 8, at * 8))
                found.update(entry & _FRAME for entry in entries if entry & _PRESENT)
    return found - {0}


def used(pids: Iterable[int]) -> dict[int, Used]:
    return {pid: each for pid in pids if (each := _used(pid)) is not None}


def _used(pid: int) -> Used | None:
    """None: it has ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ended_ns = (int(fields[13]) + int(fields[14])) * TICK_NS
        cpu_ns = wakeups = preempted = 0
        for task in Path(f"/proc/{pid}/task").iterdir():
            cpu_ns += int((task / "schedstat").read_text().split()[0])
            status = dict(line.split(":", 1) for line in (task / "status").read_text().splitlines())
            wakeups += int(status["voluntary_ctxt_switches"])
            preempted += int(status["nonvoluntary_ctxt_switches"])
    except (OSError, ProcessLookupError):
        return None
    return Used(cpu_ns, ended_ns, wakeups, preempted)


def between(before: dict[int, Used], after: dict[int, Used]) -> Used:
    """What was used, by those that have come since, too. What has ended is in its parent's account."""
    nothing = Used(0, 0, 0, 0)
    totals = [0, 0, 0, 0]
    for pid, now in after.items():
        for number, (new, old) in enumerate(zip(now, before.get(pid, nothing), strict=True)):
            totals[number] += new - old
    return Used(*totals)
