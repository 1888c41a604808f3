"""A hundred thousand messages that are not of this peer, of this moment or whole: a node that hears them lives on as
its twin does that never heard them. Counters, and what the log says of them, are all that differs.

Some make it ask, or answer: a recorded status may be the peer, after this node's own start, with its files set back,
or in a generation that the operator gave up. Then a nonce stands in the node's next statuses, and the peer answers at
once; who asks is answered, a few times in a keepalive. Still nothing is decided by it.

Each is played twice: with the original's signature alone, and with the strong one, where messages that are signed well,
but weakly, are hostile too.
"""

from __future__ import annotations

import random

import pair
import pytest
from fuzz.mutate import Mutator
from pair import AUTH, CAESAR, JULIUS, World

from _hbfast.auth import Authenticator
from _hbfast.codec import Decoder, Message, encode
from heartbeat.core.events import MediumDown, MediumUp
from heartbeat.core.membership import ANSWERS_MOST, TRIGGERED_PART

NAMES = JULIUS, CAESAR
MEDIA = ("ttyS0", "eth0")
HOSTILE, RECORDINGS = 100_000, 20_000
BURST = 1000  # between two steps of time
STRONG = Authenticator({1: ("sha1", b"a-secret")}, 1, strong=True)
FORGER = Authenticator({1: ("sha1", b"a-secreT"), 2: ("crc", b"")}, 1)
UNPROVEN = Authenticator({2: ("crc", b"")}, 2)
EDITED = "11110000"
WEAK = "without its strong signature"


@pytest.fixture(params=[False, True], ids=["plain", "strong"], autouse=True)
def strong(request, monkeypatch) -> bool:
    """Do the nodes sign strongly?"""
    monkeypatch.setattr(pair, "AUTH", STRONG if request.param else AUTH)
    return request.param


def paired(**changes) -> tuple[World, list[bytes], list[bytes]]:
    """A pair of which one has restarted; what went over the wire in the ended generation, and since. What julius
    said in the first hand-over did not come before caesar had asked for it again."""
    world = World()
    recorded: list[bytes] = []
    carry = world.carry
    lost = set()
    world.drop = lambda sender, message, medium: (
        message.type == "ask_resources"
        and sender == JULIUS
        and (message.sequence, medium) not in lost
        and not lost.add((message.sequence, medium))
    )

    def record(sender, message):
        recorded.append(encode(message, pair.AUTH, "netstring"))
        recorded.append(encode(message, pair.AUTH, "classic"))
        carry(sender, message)

    world.carry = record
    world.boot(CAESAR, media=MEDIA, **changes)
    world.boot(JULIUS, media=MEDIA, **changes)
    world.run(30)
    assert world.ask(world.nodes[JULIUS], "standby") == (True, "caesar has taken over")
    world.run(20)
    world.drop = None
    world.kill(CAESAR)
    world.run(40)
    ended = recorded.copy()
    assert any(b"=NS_rexmit" in frame and b"src=caesar" in frame for frame in ended)
    recorded.clear()
    world.boot(CAESAR, media=MEDIA, **changes)
    world.run(60)
    for name in (JULIUS, CAESAR):
        assert world.ask(world.nodes[name], "standby")[0]
        world.run(20)
    return world, ended, recorded


# --- where the recordings may be the peer. Each gives what was recorded when its peer was in no state to be believed,
# and what it says now.


def unproven(**changes) -> tuple[World, list[bytes], list[bytes]]:
    """julius has just started; caesar, whose life was recorded, is gone."""
    world, ended, recorded = paired(**changes)
    everything = [*ended, *recorded]
    known = dict(world.nodes[JULIUS].known)
    world.kill(CAESAR)
    world.kill(JULIUS)
    recorded.clear()
    world.boot(JULIUS, media=MEDIA, known=known, **changes)
    world.run(0.5)
    return world, everything, recorded


def edited(**changes) -> tuple[World, list[bytes], list[bytes]]:
    """The same, after an edit of the times on both nodes; and julius has lost what it knew."""
    world, everything, recorded = unproven(**changes)
    world.kill(JULIUS)
    recorded.clear()
    world.boot(JULIUS, media=MEDIA, timing_digest=EDITED, **changes)
    world.run(0.5)
    return world, everything, recorded


def quarantined(**changes) -> tuple[World, list[bytes], list[bytes]]:
    """caesar has stopped where julius did not hear it, and runs in a generation that it had long ago."""
    world, ended, recorded = paired(**changes)
    world.cut = {(source, target, medium) for source, target in (NAMES, NAMES[::-1]) for medium in MEDIA}
    world.ask_later(world.nodes[CAESAR], "stop")
    world.run(3)
    world.cut = set()
    everything = [*ended, *recorded]
    assert b"=shutdone" in everything[-2]
    world.kill(CAESAR)
    recorded.clear()
    world.boot(CAESAR, media=MEDIA, generation=50, **changes)
    world.run(40)
    assert world.nodes[JULIUS].view().nodes[CAESAR].status == "quarantined"
    return world, everything, recorded


def accepted(**changes) -> tuple[World, list[bytes], list[bytes]]:
    """The operator knows that one for the right one: what was recorded is of higher generations."""
    world, everything, recorded = quarantined(**changes)
    assert world.ask(world.nodes[JULIUS], "accept", CAESAR)[0]
    world.run(1)
    return world, everything, recorded


# --- what is hostile


def hostile(ended: list[bytes], recorded: list[bytes], newest: dict[str, int], count: int, *, strong: bool):
    """So many, of all kinds in equal parts, in a random order. ended: any of them is old."""
    chance = random.Random(3)
    own = [frame for frame in recorded if is_old(frame, newest)] or ended
    genuine = [Decoder("m", AUTH, stream=False).feed(frame)[0] for frame in [*ended, *recorded]]
    mutator = Mutator(3, recorded or ended, [b">>>\n", b"<<<\n", b"###\n", b"%%%\n", b"\0", b"\n"])

    def forged() -> bytes:
        fields = dict.fromkeys(("hg", "seq"), b"%x" % chance.getrandbits(40))
        message = changed(chance.choice(genuine), fields)
        return encode(message, chance.choice((FORGER, UNPROVEN, None)), chance.choice(("classic", "netstring")))

    def damaged() -> bytes:
        frame = bytearray(chance.choice(recorded or ended))
        frame[chance.randrange(len(frame))] ^= 1 << chance.randrange(8)
        return bytes(frame)

    def foreign() -> bytes:
        names = (b"brutus", b"", b"JULIUS", b"caesar ", b"x" * 200, b"%d" % chance.getrandbits(16))
        message = changed(chance.choice(genuine), {"src": chance.choice(names)})
        return encode(message, pair.AUTH, chance.choice(("classic", "netstring")))

    def weak() -> bytes:
        """Of who has broken the old signature: it goes on where the peer is, or begins anew; as one of ours or as an
        original, which has no field of ours."""
        message = chance.choice(genuine)
        fields = {"seq": b"%x" % max(1, newest.get(message.source, 1) + chance.randrange(-9, 9)), "src": b"caesar"}
        if chance.randrange(2):
            fields["hg"] = b"%x" % chance.choice((50, 101, 102, 103, chance.getrandbits(30) + 1))
        without = ("ext",) if chance.randrange(2) else ()
        return encode(changed(message, fields, without), AUTH, chance.choice(("classic", "netstring")))

    kinds = [forged, damaged, foreign, lambda: chance.choice(ended), lambda: chance.choice(own), mutator.next]
    kinds += [weak] if strong else []
    made = (chance.choice(kinds)() for _ in range(2 * count))
    known = set(recorded)
    found = [frame for frame in made if frame not in known or is_old(frame, newest)]
    return found[:count]


def continued(world: World) -> list[bytes]:
    """The peer's newest status again, under the next number, signed weakly: what a steady node takes in the short way,
    if it takes it at all."""
    sent = world.nodes[CAESAR].sent if CAESAR in world.nodes else []
    last = [message for message in sent[-1:] if message.type == "status"]
    return [encode(changed(each, {"seq": b"%x" % (each.sequence + 1)}), AUTH, "netstring") for each in last]


def changed(message: Message, fields: dict[str, bytes], without: tuple[str, ...] = ()) -> Message:
    items = [(name, kind, fields.get(name, value)) for name, kind, value in message.items()]
    return Message([item for item in items if item[0] not in ("auth", "mac", *without)])


def is_old(frame: bytes, newest: dict[str, int]) -> bool:
    """The newest is heard again on every medium, and proves that it works. Of those without a number an
    acknowledgement says nothing new; others are of their moment."""
    [message] = Decoder("m", AUTH, stream=False).feed(frame)
    return 0 < message.sequence < newest[message.source] or message.type == "NS_ackmsg"


# --- what is seen


def state(world: World) -> object:
    """All that is seen of julius but for counters, and what it keeps for its peer."""
    node = world.nodes[JULIUS]
    view = node.view()
    return (
        decided(world), node.cluster.deadline(), node.known, view.last_failover,
        [each.last_heard_ns for each in view.nodes.values()], [message.items() for message in node.sent],
        len(node.outbox.history),
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
        [message.type for message in node.sent if message.type not in ("status", "NS_ackmsg")],
    )  # fmt: skip


def deliver(world: World, frames: list[bytes], twin: World, *, same: bool, strong: bool) -> int:
    """All of it to julius, in bursts, while its twin hears nothing; how many lines it wrote meanwhile. same: the two
    are to differ in nothing but counters at any time; else in nothing that was decided."""
    julius = world.nodes[JULIUS]
    said = len(julius.notes)
    chance = random.Random(4)
    for start in range(0, len(frames), BURST):
        for frame in [*(continued(world) if strong else []), *frames[start : start + BURST]]:
            world.deliver(julius, chance.choice(MEDIA), frame)
        assert not same or state(world) == state(twin)
        span = chance.choice((0.0, 0.001, 0.5, 1.7))
        for each in (world, twin):
            each.run(span)
        assert decided(world) == decided(twin)
    return len(julius.notes) - said


def flooded(make, count: int, *, strong: bool, asks: bool) -> tuple[World, World, int]:
    """Such a pair that has heard it all, its twin that has not, and how many lines julius wrote meanwhile. asks: with
    such recordings as may be the peer."""
    world, ended, recorded = make()
    twin, *_ = make()
    assert state(world) == state(twin)
    newest = {name: node.sent[-1].sequence or 1 for name, node in world.nodes.items()}
    if not asks:
        ended = [frame for frame in ended if b"=status" not in frame or b"src=julius" in frame]
    frames = hostile(ended, recorded, newest, count, strong=strong)
    assert len(frames) == count
    return world, twin, deliver(world, frames, twin, same=not asks, strong=strong)


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


def test_hostile_messages_change_nothing_but_counters(strong):
    world, twin, lines = flooded(paired, HOSTILE, strong=strong, asks=False)
    julius = world.nodes[JULIUS]
    assert state(world) == state(twin)
    # each was counted, by the decoder or by the core, but for the node's own that came back to it and what it has had
    counters = [decoder.counters for decoder in julius.decoders.values()]
    rejected = sum(each[name] for each in counters for name in ("bad_auth", "malformed", "oversize"))
    assert rejected > HOSTILE // 3
    counts = julius.view().counts
    assert sum(counts.values()) > HOSTILE // 8
    assert sum(number for cause, number in counts.items() if WEAK in cause) > (HOSTILE // 16 if strong else -1)
    # and none of it fills the log: what is said again is said rarely
    assert lines < HOSTILE // 100
    further(world, twin)
    assert state(world) == state(twin)


def test_recordings_that_may_be_the_peer_decide_nothing(strong):
    world, twin, lines = flooded(paired, RECORDINGS, strong=strong, asks=True)
    asked = [message for message in world.nodes[JULIUS].sent if "?" in (message.get("ext") or "")]
    assert asked
    # a flood makes it send no more than its heartbeats
    assert len(world.nodes[JULIUS].sent) <= len(twin.nodes[JULIUS].sent) + len(asked) + 5
    assert sum(world.nodes[JULIUS].view().counts.values()) > RECORDINGS // 8
    assert lines < RECORDINGS // 100
    further(world, twin)
    assert decided(world) == decided(twin)


@pytest.mark.parametrize("start", [unproven, edited, quarantined, accepted])
def test_nor_where_the_peer_has_to_prove_who_it_is(start, strong):
    """What its peer said before is all that a node hears then, or hears beside it."""
    began = {}

    def made():
        world, ended, recorded = start(strong_required=strong)
        julius = world.nodes[JULIUS]
        began[id(world)] = world.now, len(julius.sent)
        return world, ended, recorded

    world, twin, lines = flooded(made, RECORDINGS, strong=strong, asks=True)
    julius = world.nodes[JULIUS]
    at, sent = began[id(world)]
    keepalives = (world.now - at) // julius.settings.keepalive_ns + 2
    assert len(julius.sent) - sent <= keepalives * (1 + ANSWERS_MOST + TRIGGERED_PART)
    assert sum(julius.view().counts.values()) > RECORDINGS // 8
    assert lines < RECORDINGS // 100
    for each in (world, twin):
        each.run(60)
    assert decided(world) == decided(twin)
    for each in (world, twin):
        if CAESAR in each.nodes:
            each.kill(CAESAR)
            each.run(60)
        each.boot(CAESAR, media=MEDIA, generation=900, strong_required=strong)
        each.run(60)
    assert decided(world) == decided(twin)
    assert julius.view().stable
