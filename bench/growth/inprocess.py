"""What a second costs a node, of the core and the codec alone, by the processor's time of this thread.

    nodes   every other node's statuses are decoded, verified and handled, and the own beat is sent. They are of a kind
            that an original sends: two of ours prove each other, which is for pairs alone
    media   the other node's status comes once on each medium, as octets, the way the daemon takes it
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterable
from statistics import median

import pair

from _hbfast.auth import Authenticator
from _hbfast.codec import Decoder, Message, encode
from bench.growth.curve import Curve
from heartbeat.core.actions import Transmit
from heartbeat.core.cluster import Cluster
from heartbeat.core.events import MediumUp, Tick
from heartbeat.core.settings import MILLISECOND, SECOND

NODES = (2, 4, 8, 16, 32, 64)
MEDIA = (1, 2, 3, 4, 6, 8)
LINEAR_AT_MOST = 1.15
MEDIUM = "eth0"
KEEPALIVE_NS = 100 * MILLISECOND
BEATS = SECOND // KEEPALIVE_NS
TIMES = {
    "groups": (), "keepalive_ns": KEEPALIVE_NS, "deadtime_ns": 10 * SECOND, "warntime_ns": 5 * SECOND,
    "initdead_ns": 2 * SECOND,
}  # fmt: skip
SETTLED_S = 15
BATCHES, QUICK_BATCHES = 30, 8
AUTH = Authenticator({1: ("sha1", b"a key of the cluster")}, 1)
# (octets on the medium of that decoder, when they come)
Second = list[tuple[Decoder, bytes, int]]


def curves(*, quick: bool) -> list[Curve]:
    batches = QUICK_BATCHES if quick else BATCHES
    return [
        Curve("nodes", "processor time of a node-second", "nodes on one broadcast medium", "µs",
              _measured(NODES, Crowd, batches), LINEAR_AT_MOST),
        Curve("media", "processor time of a node-second", "media of a pair", "µs", _measured(MEDIA, Pair, batches)),
    ]  # fmt: skip


def _measured(sizes: Iterable[int], make: Callable[[int], Crowd | Pair], batches: int) -> tuple[tuple[int, float], ...]:
    """All sizes in turn, so that a machine that is now fast and now slow is so for all."""
    worlds = {size: make(size) for size in sizes}
    spent: dict[int, list[float]] = {size: [] for size in worlds}
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        for number in range(-1, batches):
            for size, world in worlds.items():
                second = world.second()
                began = time.thread_time_ns()
                world.live(second)
                if number >= 0:
                    spent[size].append((time.thread_time_ns() - began) / 1e3)
    finally:
        gc.enable()
        gc.unfreeze()
    return tuple((size, median(each)) for size, each in spent.items())


class _Node:
    """The one that is measured. now: its clock."""

    def __init__(self, cluster: Cluster, now: int) -> None:
        self.cluster = cluster
        self.now = now

    def live(self, second: Second) -> None:
        """As the daemon does it: what comes in, its own beats in between, and what these send is encoded once."""
        cluster = self.cluster
        hear, handle, deadline = cluster.hear, cluster.handle, cluster.deadline
        for decoder, octets, now in second:
            while (due := deadline()) is not None and due <= now:
                for action in handle(Tick(due // SECOND), due):
                    if type(action) is Transmit:
                        encode(action.message, AUTH, "netstring")
            if not hear(decoder, octets, now):
                for message in decoder.feed(octets):
                    handle(message, now)
            self.now = now


class Crowd(_Node):
    """So many nodes, of which all but one are made up."""

    def __init__(self, nodes: int) -> None:
        self.others = [f"node{number}" for number in range(1, nodes)]
        configuration = pair.settings("node0", nodes=("node0", *self.others), media=(MEDIUM,), **TIMES)
        super().__init__(Cluster(configuration, generation=7, seed=7, now=1_000 * SECOND), 1_000 * SECOND)
        self.decoder = Decoder(MEDIUM, AUTH, stream=False)
        self.sequence = 0
        self.cluster.handle(MediumUp(MEDIUM), self.now)
        for _ in range(SETTLED_S):
            self.live(self.second())
        alive = [name for name, node in self.cluster.view().nodes.items() if node.status == "active"]
        assert len(alive) == nodes, f"{len(alive)} of {nodes} are alive"

    def second(self) -> Second:
        found = []
        apart = KEEPALIVE_NS // (len(self.others) + 1)
        for beat in range(BEATS):
            self.sequence += 1
            start = self.now + beat * KEEPALIVE_NS
            found += [
                (self.decoder, self._status(name, start), start + number * apart)
                for number, name in enumerate(self.others, 1)
            ]
        return found

    def _status(self, name: str, now: int) -> bytes:
        texts = {
            "t": "status", "st": "active", "dt": "2710", "protocol": "1", "src": name, "seq": f"{self.sequence:x}",
            "hg": "5", "ts": f"{now // SECOND:x}", "ld": "0.00 0.00 0.00 1/100 1000", "ttl": "3",
        }  # fmt: skip
        message = Message([(field, 0, text.encode()) for field, text in texts.items()])
        return encode(message, AUTH, "netstring")


class Pair(_Node):
    """Two of ours on so many media."""

    def __init__(self, media: int) -> None:
        world = pair.World()
        names = tuple(f"eth{number}" for number in range(media))
        node = world.boot(pair.CAESAR, media=names, **TIMES)
        peer = world.boot(pair.JULIUS, media=names, **TIMES)
        world.run(SETTLED_S)
        assert node.view().stable
        super().__init__(node.cluster, world.now + MILLISECOND)
        self.decoders = [Decoder(name, AUTH, stream=False) for name in names]
        self._last: Message = [message for message in peer.sent if message.type == "status"][-1]
        self._number: int = peer.sent[-1].sequence

    def second(self) -> Second:
        found = []
        for beat in range(1, BEATS + 1):
            self._number += 1
            at = self.now + beat * KEEPALIVE_NS
            octets = encode(self._last.again(self._number, at // SECOND), AUTH, "netstring")
            found += [(decoder, octets, at + number) for number, decoder in enumerate(self.decoders)]
        return found
