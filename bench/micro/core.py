"""The core of a node whose peer beats: what it costs to take a status and to be told the time.

    heard      a status that repeats the last, as octets: verified, accounted, timers armed again. Nine of ten are taken
               without being decoded; the tenth is acknowledged, and goes the way of the next. This is a heartbeat
    whole      every status decoded, verified and told to the core
    handle     of that, what the core does with the decoded message
    original   the same from a node that runs the original: it never goes the short way
    tick       its own beat: the deadline, and what is done then

The node hears two of the other's statuses in a millisecond, so that many fit between two of its own beats; its times
are long, and nothing else ever happens.
"""

from __future__ import annotations

from functools import partial

import pair
from original import OriginalNode

from _hbfast.auth import Authenticator
from _hbfast.codec import Decoder, Message, encode
from bench.micro.case import Batch, Case
from bench.micro.inputs import Form
from heartbeat.core.actions import Transmit
from heartbeat.core.cluster import Cluster
from heartbeat.core.events import Tick
from heartbeat.core.settings import MILLISECOND, SECOND

MEDIUM = "eth0"
LONG_NS = 100_000 * SECOND  # the machine is at work on a case for minutes of the node's time
TIMES = {
    "media": (MEDIUM,), "keepalive_ns": SECOND, "deadtime_ns": LONG_NS, "warntime_ns": LONG_NS // 2,
    "initdead_ns": 2 * SECOND,
}  # fmt: skip
SETTLED_S = 60
BETWEEN_NS = MILLISECOND // 2
NUMBER, TICKS = 200, 50
SHA1, CRC = ("sha1", b"a key of the cluster"), ("crc", b"")


class Listener:
    """A node, settled, that hears the other one."""

    def __init__(self, method: tuple[str, bytes] = SHA1, form: Form = "netstring", *, original: bool = False) -> None:
        world = pair.World()
        node = world.boot(pair.CAESAR, **TIMES)
        if original:
            peer = OriginalNode(world, pair.JULIUS, 50, pair.settings(pair.JULIUS, **TIMES))
        else:
            peer = world.boot(pair.JULIUS, **TIMES)
        world.run(SETTLED_S)
        assert node.view().stable
        self.cluster: Cluster = node.cluster
        self.form = form
        self.auth = Authenticator({1: method}, 1)
        self.decoder = Decoder(MEDIUM, self.auth, stream=form == "classic")
        self.now: int = world.now + pair.MILLISECOND
        self._last: Message = [message for message in peer.sent if message.type == "status"][-1]
        self._number: int = peer.sent[-1].sequence
        self.tell(10)

    def frames(self, number: int) -> list[tuple[bytes, int]]:
        """The other's next statuses, and when they come."""
        self._beat()
        found = []
        for _ in range(number):
            self._number += 1
            self.now += BETWEEN_NS
            message = self._last.again(self._number, self.now // SECOND)
            found.append((encode(message, self.auth, self.form), self.now))
        return found

    def messages(self, number: int) -> list[tuple[Message, int]]:
        feed = self.decoder.feed
        return [(message, at) for frame, at in self.frames(number) for message in feed(frame)]

    def tell(self, number: int) -> None:
        """They are heard, and nothing is timed."""
        for message, at in self.messages(number):
            self.cluster.handle(message, at)

    def _beat(self) -> None:
        """Its own timers, on time."""
        while (due := self.cluster.deadline()) is not None and due <= self.now + NUMBER * BETWEEN_NS:
            self.now = max(self.now, due)
            self.cluster.handle(Tick(self.now // SECOND), self.now)

    def hear(self, frames: list[tuple[bytes, int]]) -> int:
        """As the daemon does it. How many need not be decoded."""
        hear, feed, handle, decoder = self.cluster.hear, self.decoder.feed, self.cluster.handle, self.decoder
        short = 0
        for frame, now in frames:
            if hear(decoder, frame, now):
                short += 1
            else:
                for message in feed(frame):
                    handle(message, now)
        return short

    def decode(self, frames: list[tuple[bytes, int]]) -> int:
        """Each one whole. How many were messages."""
        feed, handle = self.decoder.feed, self.cluster.handle
        found = 0
        for frame, now in frames:
            for message in feed(frame):
                handle(message, now)
                found += 1
        return found


def heard(method: tuple[str, bytes], form: Form) -> Batch:
    listener = Listener(method, form)
    assert listener.hear(listener.frames(100)) == 100
    frames: list[tuple[bytes, int]] = []

    def prepare() -> None:
        frames[:] = listener.frames(NUMBER)

    return Batch(lambda: listener.hear(frames), NUMBER, prepare)


def whole(method: tuple[str, bytes], form: Form) -> Batch:
    listener = Listener(method, form)
    assert listener.decode(listener.frames(100)) == 100
    frames: list[tuple[bytes, int]] = []

    def prepare() -> None:
        frames[:] = listener.frames(NUMBER)

    return Batch(lambda: listener.decode(frames), NUMBER, prepare)


def handle(original: bool) -> Batch:
    listener = Listener(original=original)
    handle = listener.cluster.handle
    messages: list[tuple[Message, int]] = []

    def prepare() -> None:
        messages[:] = listener.messages(NUMBER)

    def run() -> None:
        for message, now in messages:
            handle(message, now)

    prepare()
    assert len(messages) == NUMBER
    run()
    [peer] = [each for name, each in listener.cluster.view().nodes.items() if name != pair.CAESAR]
    assert peer.last_heard_ns == messages[-1][1]
    return Batch(run, NUMBER, prepare)


def tick() -> Batch:
    listener = Listener()
    cluster = listener.cluster

    def run() -> None:
        for _ in range(TICKS):
            now = cluster.deadline()
            assert now is not None
            cluster.handle(Tick(now // SECOND), now)
            listener.now = now

    due = cluster.deadline()
    assert due is not None
    assert any(type(action) is Transmit for action in cluster.handle(Tick(due // SECOND), due))
    # the other one goes on, or the next batch would be of a node that is alone
    return Batch(run, TICKS, lambda: listener.tell(10))


def cases() -> list[Case]:
    found = []
    pairs: tuple[tuple[tuple[str, bytes], Form], ...] = (SHA1, "netstring"), (CRC, "classic")
    for method, form in pairs:
        found.append(Case("core", f"heard {form} {method[0]}", partial(heard, method, form)))
        found.append(Case("core", f"whole {form} {method[0]}", partial(whole, method, form)))
    found += [
        Case("core", "handle a status", partial(handle, False)),
        Case("core", "handle a status of an original", partial(handle, True)),
        Case("core", "handle a tick", tick),
    ]
    return found
