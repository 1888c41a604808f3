"""What the routers' kernels hold, asked whenever one has told of a change: the one witness that knows neither program.

A process of its own asks each kernel in turn for its IPv4 addresses, through netlink sockets that were opened in the
router's network and handed over to it. It writes what changes to a file; the world reads that.

    kernel of julius ◄── netlink ──┐
                                   ├── this program, at each change and each LOOK_NS ──► one JSON object a line
    kernel of caesar ◄── netlink ──┘

Rules: it never waits for a daemon, a log or a tool. It knows only the addresses that it is told to watch. What comes
and goes before it has looked is not seen. It runs each INTERVAL_NS at least; where it did so late, that is written down
as well, so that nobody trusts what nobody saw.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import select
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from system.audit import Interval

from heartbeat.demo.clock import INSTRUMENT, MILLISECOND, SECOND, now_ns, run_real_time
from heartbeat.demo.observe import _address

INTERVAL_NS = 10 * MILLISECOND
LOOK_NS = 100 * MILLISECOND
LATE_NS = 25 * MILLISECOND

# <linux/netlink.h>, <linux/rtnetlink.h>
_RTM_NEWADDR, _RTM_GETADDR, _NLMSG_DONE, _NLMSG_ERROR = 20, 22, 3, 2
_NLM_F_REQUEST, _NLM_F_DUMP, _RTMGRP_IPV4_IFADDR = 0x1, 0x300, 0x10
_HEADER = struct.Struct("=IHHII")
_IFADDRMSG = struct.pack("=BBBBI", socket.AF_INET, 0, 0, 0, 0)
_ASK = _HEADER.pack(24, _RTM_GETADDR, _NLM_F_REQUEST | _NLM_F_DUMP, 0, 0) + _IFADDRMSG
_REQUEST_LIMIT = 4096


@dataclass(frozen=True)
class Held:
    """From that instant on this router's kernel had these of the watched addresses."""

    at_ns: int
    router: str
    addresses: frozenset[str]


def intervals(changes: Sequence[Held], address: str, holders: int, since_ns: int, until_ns: int) -> list[Interval]:
    """The times in [since, until] in which so many kernels had the address. changes: from the beginning, in order."""
    having: set[str] = set()
    found: list[Interval] = []
    begin_ns: int | None = since_ns if holders == 0 else None
    for change in (*changes, None):
        at_ns = until_ns if change is None else min(max(change.at_ns, since_ns), until_ns)
        if change is not None:
            (having.add if address in change.addresses else having.discard)(change.router)
        matches = change is not None and len(having) == holders
        if begin_ns is not None and not matches:
            if at_ns > begin_ns:
                found.append(Interval(begin_ns, at_ns, address))
            begin_ns = None
        elif begin_ns is None and matches:
            begin_ns = at_ns
    return found


class Kernels:
    """The world's handle. folder: for what the program writes; addresses: the watched ones."""

    def __init__(self, folder: Path, addresses: Sequence[str]) -> None:
        self.addresses = tuple(addresses)
        self._path = folder / "kernels"
        self._requests, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._requests.settimeout(10)
        with theirs:
            argv = [sys.executable, "-m", "interop.kernels", str(theirs.fileno()), str(self._path), *self.addresses]
            self._process = subprocess.Popen(
                argv, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL, start_new_session=True,
                env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])},
            )  # fmt: skip
        self.now()  # answered: it runs

    def watch(self, router) -> None:
        """It is on, and until `forget` it is looked at."""
        with router.inside():
            asked, telling = (
                socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) for _ in range(2)
            )
        with asked, telling:
            telling.setblocking(False)
            telling.bind((0, _RTMGRP_IPV4_IFADDR))
            self._request("watch", router.name, fds=[asked.fileno(), telling.fileno()])

    def forget(self, router) -> None:
        """It has lost its power, or is about to: from now on it has nothing."""
        self._request("forget", router.name)

    def now(self) -> dict[str, frozenset[str]]:
        """What each router's kernel has of the watched addresses, by a look of its own."""
        return {name: frozenset(held) for name, held in self._request("now").items()}

    def changes(self) -> list[Held]:
        return [Held(line["at"], line["router"], frozenset(line["held"])) for line in self._lines() if "held" in line]

    def late_ms(self, since_ns: int) -> float:
        """The longest time since then in which nobody would have looked, where it is longer than LATE_NS."""
        return max((each["late"] / MILLISECOND for each in self._lines() if each["at"] >= since_ns and "late" in each),
                   default=0.0)  # fmt: skip

    def both(self, since_ns: int, until_ns: int) -> list[Interval]:
        return self._intervals(2, since_ns, until_ns)

    def none(self, since_ns: int, until_ns: int) -> list[Interval]:
        return self._intervals(0, since_ns, until_ns)

    def _intervals(self, holders: int, since_ns: int, until_ns: int) -> list[Interval]:
        changes = self.changes()
        return [each for address in self.addresses for each in intervals(changes, address, holders, since_ns, until_ns)]

    def _lines(self) -> list[dict]:
        # the last line may be half written
        return [json.loads(line) for line in self._path.read_text().splitlines(keepends=True) if line.endswith("\n")]

    def _request(self, *words: str, fds: Sequence[int] = ()) -> dict:
        socket.send_fds(self._requests, [json.dumps(words).encode()], fds)
        answer = self._requests.recv(_REQUEST_LIMIT)
        if not answer:
            raise OSError("the program that watches the kernels is gone; its messages are above")
        return json.loads(answer)

    def close(self) -> None:
        self._requests.close()
        self._process.wait()


# What follows runs in the program.


class _Look:
    """At each watched kernel, again and again."""

    def __init__(self, addresses: Sequence[str], path: str) -> None:
        self._wanted = frozenset(addresses)
        self._asked: dict[str, socket.socket] = {}
        self.telling: dict[str, socket.socket] = {}
        self.held: dict[str, frozenset[str]] = {}
        self._file = open(path, "w", buffering=1)  # noqa: SIM115 (it ends with the process)
        self._ran_ns = self._looked_ns = now_ns()

    def watch(self, router: str, asked: int, telling: int) -> None:
        self._asked[router] = socket.socket(fileno=asked)
        self.telling[router] = socket.socket(fileno=telling)
        self.all(now_ns())

    def forget(self, router: str) -> None:
        if router in self._asked:
            self._asked.pop(router).close()
            self.telling.pop(router).close()
            self._note(router, frozenset(), now_ns())

    def runs(self, now: int) -> None:
        if now - self._ran_ns > LATE_NS:
            self._write(at=now, late=now - self._ran_ns)
        self._ran_ns = now
        told = [_told(each) for each in self.telling.values()]
        if any(told) or now - self._looked_ns >= LOOK_NS:
            self.all(now)

    def all(self, now: int) -> None:
        self._looked_ns = now
        found = self._look()
        if any(one & other for one, other in itertools.combinations(found.values(), 2)):
            # one kernel is asked after the other: between the two questions an address may have moved
            found = self._look()
        for router, held in found.items():
            if held != self.held.get(router):
                self._note(router, held, now)

    def _look(self) -> dict[str, frozenset[str]]:
        return {router: self._wanted & set(_addresses(asked)) for router, asked in self._asked.items()}

    def _note(self, router: str, found: frozenset[str], at_ns: int) -> None:
        """at_ns: one instant for all that one look has found, or what moved between two looks would be with both."""
        self.held[router] = found
        self._write(at=at_ns, router=router, held=sorted(found))

    def _write(self, **fields: object) -> None:
        self._file.write(json.dumps(fields) + "\n")


def _told(telling: socket.socket) -> bool:
    """Has its kernel told of a change? Empties the socket."""
    told = False
    while True:
        try:
            telling.recv(1 << 16)
        except BlockingIOError:
            return told
        except OSError:  # it has overflowed
            pass
        told = True


def _addresses(asked: socket.socket) -> Iterator[str]:
    asked.send(_ASK)
    done = False
    while not done:
        data = asked.recv(1 << 16)
        offset = 0
        while offset < len(data):
            length, kind, _, _, _ = _HEADER.unpack_from(data, offset)
            if kind in (_NLMSG_DONE, _NLMSG_ERROR):
                done = True
            elif kind == _RTM_NEWADDR:
                yield _address(data[offset + _HEADER.size : offset + length])
            offset += (length + 3) & ~3


def main() -> None:
    fd, path, *addresses = sys.argv[1:]
    requests = socket.socket(fileno=int(fd))
    look = _Look(addresses, path)
    run_real_time(INSTRUMENT)
    with contextlib.suppress(ConnectionError):
        while True:
            if requests in select.select([requests, *look.telling.values()], [], [], INTERVAL_NS / SECOND)[0]:
                text, fds, _, _ = socket.recv_fds(requests, _REQUEST_LIMIT, 2)
                match json.loads(text) if text else None:
                    case None:
                        return
                    case ["watch", router]:
                        look.watch(router, *fds)
                    case ["forget", router]:
                        look.forget(router)
                    case ["now"]:
                        look.all(now_ns())
                requests.send(json.dumps({name: sorted(held) for name, held in look.held.items()}).encode())
            look.runs(now_ns())


if __name__ == "__main__":
    main()
