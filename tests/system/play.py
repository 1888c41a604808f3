"""What the system tests play: julius and caesar on the seed's files, a client, a host on the wan, and instruments.

Judged from outside: what the kernels hold, what the probes were answered, which mails arrived, how commands ended.
All times of the files are divided by DIVISOR, so that the tests take minutes; HEARTBEAT_TEST_DIVISOR=1 plays the same
at the seed's own times. Bounds are the seed's seconds, divided; a divided run adds what a busy machine may stall.
"""

import contextlib
import os
import re
import signal
import sys
import time

import pytest

from heartbeat.demo import pair as pair_of_routers
from heartbeat.demo import seed
from heartbeat.demo.clock import MILLISECOND, SECOND, now_ns
from heartbeat.demo.world import JULIUS_AND_CAESAR, World, until

DIVISOR = int(os.environ.get("HEARTBEAT_TEST_DIVISOR", "50"))

# Beyond the cluster's own times: Python starting up several times over on a busy machine.
PATIENCE_S = 10.0
# What a busy machine may stall; at the seed's own times it is nothing to speak of.
STALL_S = 0.0 if DIVISOR == 1 else 0.5

# So long two may have what is handed over: 250 ms and three frames of 400 octets on the seed's line.
HAND_OVER_S = (0.25 + 3 * 400 * 10 / 19200) / DIVISOR + STALL_S

SITE = JULIUS_AND_CAESAR
LAN, WAN = SITE.addresses
KEY = f"IPaddr::{LAN}"


def seconds(of_the_files: float) -> float:
    """So long do so many of the configuration's seconds take here."""
    return of_the_files / DIVISOR


def instant(start_ns: int, after_s: float) -> int:
    return start_ns + round(after_s * SECOND)


def sleep_until(instant_ns: int) -> None:
    time.sleep(max(0, instant_ns - now_ns()) / SECOND)


class Pair(pair_of_routers.Pair):
    """The two nodes, switched off, and all that stands around them. python: the daemons' interpreter; wrapper: words
    before it."""

    def __init__(self, world: World, files=None, *, python=sys.executable, wrapper=(), cable=True):
        super().__init__(world, SITE, files=files, serial=cable)
        self.julius, self.caesar = self.nodes
        self._python = python
        self._wrapper = wrapper

    # doing

    def boot(self, *nodes) -> int:
        """Switch on and start the daemon, of both where none is named. Answers the instant of the daemons' start."""
        nodes = nodes or self.nodes
        for node in nodes:
            self.world.power_on(node)
        start_ns = now_ns()
        for node in nodes:
            self.start(node)
        return start_ns

    def start(self, node) -> None:
        """`heartbeat run`, by this pair's interpreter."""
        argv = [*self._wrapper, self._python, "-m", "heartbeat.cli", "run", "--time-divisor", str(self.world.divisor)]
        with node.log_path.open("a") as log:
            node.daemon = node.popen(argv, stdout=log, stderr=log)

    def settled(self, *nodes, holder=None, within_s=30.0) -> None:
        """Both are up and done; `holder`, by its kernel, holds both addresses."""
        until(lambda: self.stable(nodes), within_s / self.world.divisor + PATIENCE_S, "both stable")
        if holder is not None:
            self.held_by(holder, within_s)

    def held_by(self, node, within_s=30.0) -> None:
        """Until `node` alone holds both addresses."""
        within_s = within_s / self.world.divisor + PATIENCE_S
        until(lambda: self.holder() == node.name, within_s, f"{node.name} alone holds both addresses")

    # judging

    def moved(self, since_ns: int, source, target, patience_s=1.0, *, both_s=0.0) -> tuple[int, int]:
        """The instants of the last removal by `source` and of the last adding by `target`; each address left the one
        before it came to the other, or so long after that at most, and nothing else happened to any."""
        until(lambda: len(self.moves(since_ns)) >= 2 * len(SITE.addresses), patience_s, "both kernels changed")
        changes = self.moves(since_ns)
        found = {(change.machine, change.added, change.address): change.at_ns for change in changes}
        expected = {(source.name, False, address) for address in SITE.addresses}
        expected |= {(target.name, True, address) for address in SITE.addresses}
        assert set(found) == expected, changes
        assert len(changes) == len(expected), changes
        for address in SITE.addresses:
            both_ns = found[source.name, False, address] - found[target.name, True, address]
            assert both_ns < both_s * SECOND, changes
        removed = max(found[source.name, False, address] for address in SITE.addresses)
        return removed, max(found[target.name, True, address] for address in SITE.addresses)

    def answered(self, node, since_ns: int) -> list[int]:
        """Each prober's first answer from `node`'s cards after an instant."""
        until(lambda: None not in self.first_answers(node, since_ns), PATIENCE_S, f"{node.name} answers")
        return self.first_answers(node, since_ns)

    def nothing_moved(self, since_ns: int) -> None:
        """No kernel changed a virtual address, and every probe was answered."""
        assert self.moves(since_ns) == []
        end_ns = now_ns()
        assert self.lost(since_ns) == [0, 0]
        assert all(len(ping.track.between(since_ns, end_ns)) > 10 for ping in self.pings), "the instruments stand still"


def mailed(node, event: str, since_ns: int) -> None:
    """The operator was told by mail that `node` has "acquired" or "released" the group."""
    pattern = re.compile(rf"{seed.SUBJECT} {event} by {node.name} at \d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d")

    def arrived():
        return [mail for mail in node.mails(since_ns) if pattern.fullmatch(mail.subject)]

    until(arrived, PATIENCE_S, f"the mail that {node.name} has {event} the group")
    time.sleep(0.1)
    assert [mail.recipients for mail in arrived()] == [[seed.RECIPIENT]]


def logged(node, pattern: str) -> int:
    """How often that is in the node's log, once it is there: who writes it may be a moment behind."""
    until(lambda: re.search(pattern, node.log()), PATIENCE_S, f"{node.name} logs {pattern!r}")
    return len(re.findall(pattern, node.log()))


@contextlib.contextmanager
def stopped(node):
    """SIGSTOP for the daemon as long as the `with` lasts."""
    node.signal_daemon(signal.SIGSTOP)
    try:
        yield
    finally:
        node.signal_daemon(signal.SIGCONT)


@contextlib.contextmanager
def playing(files=None, *, divisor=DIVISOR, **options):
    """A pair in a world of its own, switched off. Where a test fails, the logs of both are shown."""
    with World(divisor=divisor) as world:
        pair = Pair(world, files, **options)
        try:
            yield pair
        except BaseException:
            for node in pair.nodes:
                print(f"--- log of {node.name}\n{node.log()}")
            raise


@pytest.fixture
def play():
    """What makes a pair; a class that plays the tests of another module has its own."""
    return playing


@pytest.fixture
def pair(play):
    with play() as made:
        yield made


@pytest.fixture
def settled(pair):
    """Both have booted, julius holds, and probes have been answered for a while."""
    pair.boot()
    pair.settled(holder=pair.julius)
    pair.probe()
    pair.answered(pair.julius, 0)
    mailed(pair.julius, "acquired", 0)
    return pair


__all__ = [
    "DIVISOR", "HAND_OVER_S", "KEY", "LAN", "MILLISECOND", "PATIENCE_S", "SECOND", "SITE", "STALL_S", "WAN", "Pair",
    "instant", "logged", "mailed", "now_ns", "pair", "play", "playing", "seconds", "seed", "settled", "sleep_until",
    "stopped", "until",
]  # fmt: skip
