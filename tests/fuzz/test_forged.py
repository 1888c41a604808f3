"""A hundred thousand messages that are not of this peer, of this moment or whole: a node that hears them lives on as
its twin does that never heard them. Counters, and what the log says of them, are all that differs.

One kind makes it ask: a recorded status of an ended generation may be the peer with its files set back. Then a nonce
stands in the node's next statuses, sent in their turn, and the peer answers at once; still nothing is decided by it.
"""

from __future__ import annotations

import random

from fuzz.mutate import Mutator
from pair import AUTH, CAESAR, JULIUS, World

from _hbfast.auth import Authenticator
from _hbfast.codec import Decoder, Message, encode
from heartbeat.core.events import MediumDown, MediumUp

MEDIA = ("ttyS0", "eth0")
HOSTILE, RECORDINGS = 100_000, 20_000
BURST = 1000  # between two steps of time
FORGER = Authenticator({1: ("sha1", b"a-secreT"), 2: ("crc", b"")}, 1)
UNPROVEN = Authenticator({2: ("crc", b"")}, 2)


def paired() -> tuple[World, list[bytes], list[bytes]]:
    """A pair of which one has restarted; what went over the wire in the ended generation, and since."""
    world = World()
    recorded: list[bytes] = []
    carry = world.carry

    def record(sender, message):
        recorded.append(encode(message, AUTH, "netstring"))
        recorded.append(encode(message, AUTH, "classic"))
        carry(sender, message)

    world.carry = record
    world.boot(CAESAR, media=MEDIA)
    world.boot(JULIUS, media=MEDIA)
    world.run(30)
    assert world.ask(world.nodes[CAESAR], "standby")[0]
    world.run(20)
    world.kill(CAESAR)
    world.run(40)
    ended = recorded.copy()
    recorded.clear()
    world.boot(CAESAR, media=MEDIA)
    world.run(60)
    for name in (JULIUS, CAESAR):
        assert world.ask(world.nodes[name], "standby")[0]
        world.run(20)
    return world, ended, recorded


def hostile(ended: list[bytes], recorded: list[bytes], newest: dict[str, int], count: int) -> list[bytes]:
    """So many, of all kinds in equal parts, in a random order."""
    chance = random.Random(3)
    own = [frame for frame in recorded if is_old(frame, newest)]
    genuine = [Decoder("m", AUTH, stream=False).feed(frame)[0] for frame in [*ended, *recorded]]
    mutator = Mutator(3, recorded, [b">>>\n", b"<<<\n", b"###\n", b"%%%\n", b"\0", b"\n"])

    def forged() -> bytes:
        fields = dict.fromkeys(("hg", "seq"), b"%x" % chance.getrandbits(40))
        message = changed(chance.choice(genuine), fields)
        return encode(message, chance.choice((FORGER, UNPROVEN, None)), chance.choice(("classic", "netstring")))

    def damaged() -> bytes:
        frame = bytearray(chance.choice(recorded))
        frame[chance.randrange(len(frame))] ^= 1 << chance.randrange(8)
        return bytes(frame)

    def foreign() -> bytes:
        names = (b"brutus", b"", b"JULIUS", b"caesar ", b"x" * 200, b"%d" % chance.getrandbits(16))
        message = changed(chance.choice(genuine), {"src": chance.choice(names)})
        return encode(message, AUTH, chance.choice(("classic", "netstring")))

    kinds = (forged, damaged, foreign, lambda: chance.choice(ended), lambda: chance.choice(own), mutator.next)
    made = (chance.choice(kinds)() for _ in range(2 * count))
    known = set(recorded)
    found = [frame for frame in made if frame not in known or is_old(frame, newest)]
    return found[:count]


def changed(message: Message, fields: dict[str, bytes]) -> Message:
    return Message([(name, kind, fields.get(name, value)) for name, kind, value in message.items() if name != "auth"])


def is_old(frame: bytes, newest: dict[str, int]) -> bool:
    """The newest is heard again on every medium, and proves that it works; one without a number is of its moment."""
    [message] = Decoder("m", AUTH, stream=False).feed(frame)
    return 0 < message.sequence < newest[message.source]


def state(world: World) -> object:
    """All that is seen of julius but for counters."""
    node = world.nodes[JULIUS]
    view = node.view()
    return (
        decided(world), node.cluster.deadline(), node.known, view.last_failover,
        [each.last_heard_ns for each in view.nodes.values()], [message.items() for message in node.sent],
    )  # fmt: skip


def decided(world: World) -> object:
    """What has become of the groups and the nodes, and how."""
    node = world.nodes[JULIUS]
    view = node.view()
    return (
        [(name, each.status, each.generation, each.links) for name, each in view.nodes.items()],
        [(each.key, each.preferred, each.holder, each.state) for each in view.groups],
        view.state, view.generation, view.holds, view.stable, node.runs, node.up, node.holding, node.alarms,
        list(node.replies.values()), node.stopped, node.rebooted,
        {name: generation for name, (generation, _) in node.known.items()},
    )  # fmt: skip


def flooded(*, asks: bool) -> tuple[World, World, int]:
    """A pair that has heard it all, its twin that has not, and how many lines julius wrote meanwhile. asks: with such
    recordings as may be the peer, and no comparison but at the end."""
    world, ended, recorded = paired()
    twin, *_ = paired()
    assert state(world) == state(twin)
    newest = {name: node.sent[-1].sequence or 1 for name, node in world.nodes.items()}
    if not asks:
        ended = [frame for frame in ended if b"=status" not in frame or b"src=julius" in frame]
    count = RECORDINGS if asks else HOSTILE
    frames = hostile(ended, recorded, newest, count)
    assert len(frames) == count
    julius = world.nodes[JULIUS]
    said = len(julius.notes)
    chance = random.Random(4)
    for start in range(0, len(frames), BURST):
        for frame in frames[start : start + BURST]:
            world.deliver(julius, chance.choice(MEDIA), frame)
        assert asks or state(world) == state(twin)
        span = chance.choice((0.0, 0.001, 0.5, 1.7))
        for each in (world, twin):
            each.run(span)
        assert decided(world) == decided(twin)
    return world, twin, len(julius.notes) - said


def further(world: World, twin: World) -> None:
    """What comes after is what would have come."""
    for each in (world, twin):
        assert each.ask(each.nodes[JULIUS], "standby")[0]
        each.run(7)
        assert each.ask(each.nodes[JULIUS], "takeover")[0]
        each.nodes[JULIUS].tell(MediumDown("eth0", "gone"))
        each.run(20)
        each.nodes[JULIUS].tell(MediumUp("eth0"))
        each.kill(CAESAR)
        each.run(60)
        each.boot(CAESAR, media=MEDIA, generation=900)
        each.run(60)
    assert world.nodes[JULIUS].view().stable


def test_hostile_messages_change_nothing_but_counters():
    world, twin, lines = flooded(asks=False)
    julius = world.nodes[JULIUS]
    assert state(world) == state(twin)
    # each was counted, by the decoder or by the core, but for the node's own that came back to it and what it has had
    counters = [decoder.counters for decoder in julius.decoders.values()]
    rejected = sum(each[name] for each in counters for name in ("bad_auth", "malformed", "oversize"))
    assert rejected > HOSTILE // 3
    assert sum(julius.view().counts.values()) > HOSTILE // 8
    # and none of it fills the log: what is said again is said rarely
    assert lines < HOSTILE // 100
    further(world, twin)
    assert state(world) == state(twin)


def test_recordings_that_may_be_the_peer_decide_nothing():
    world, twin, lines = flooded(asks=True)
    asked = [message for message in world.nodes[JULIUS].sent if "?" in (message.get("ext") or "")]
    assert asked
    # a flood makes it send no more than its heartbeats
    assert len(world.nodes[JULIUS].sent) <= len(twin.nodes[JULIUS].sent) + len(asked) + 5
    assert sum(world.nodes[JULIUS].view().counts.values()) > RECORDINGS // 8
    assert lines < RECORDINGS // 100
    further(world, twin)
    assert decided(world) == decided(twin)
