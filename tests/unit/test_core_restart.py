"""A daemon that starts again after another of this node had found the peer dead: was it? Where the leases have run out
meanwhile, a peer that was only not heard may have taken everything."""

import pytest
from pair import CAESAR, JULIUS, SEED_GROUP, World

from _hbfast.codec import Decoder, Message, encode
from heartbeat.core.actions import Hold
from heartbeat.core.bulletin import SETTLED, parse
from heartbeat.core.events import Request
from heartbeat.core.settings import ANSWER_NS, SECOND

KEY = SEED_GROUP.key
UP = [resource.word for resource in SEED_GROUP.resources]
BACK = {(CAESAR, JULIUS, "ttyS0")}


@pytest.fixture
def world():
    return World()


def cut_off(world, *, heals: bool):
    """julius, which held, does not hear caesar and finds it dead; then it crashes, and caesar takes over."""
    julius, caesar = world.both()
    world.cut = BACK
    world.run(16)
    assert julius.view().nodes[CAESAR].status == "dead"
    world.kill(JULIUS)
    world.run(16)
    assert (caesar.up, caesar.holding) == (UP, (KEY,))
    if heals:
        world.cut = set()
    return caesar


def again(world):
    julius = world.boot(JULIUS, adopted=[KEY], peer_dead=True, overdue=True)
    julius.up = list(UP)
    return julius


def test_a_peer_that_was_only_not_heard_is_asked_and_keeps_what_it_has(world):
    caesar = cut_off(world, heals=True)
    julius = again(world)
    told = julius.record()
    world.run(60)
    assert [action for action in told if isinstance(action, Hold) and action.keys] == []
    assert (julius.up, julius.holding) == ([], ())
    assert (caesar.up, caesar.holding) == (UP, (KEY,))
    assert julius.view().stable
    assert caesar.view().stable


def test_one_that_does_not_answer_is_dead_and_what_was_held_is_held_on(world):
    """Nothing is stopped or started for it."""
    world.both()
    world.kill(CAESAR)
    world.run(16)
    world.kill(JULIUS)
    world.run(16)
    julius = again(world)
    told = julius.record()
    limit_s = max(ANSWER_NS, julius.settings.keepalive_ns // 4) / SECOND
    world.run(limit_s - 0.01)
    assert julius.holding == ()
    world.run(0.02)
    assert julius.holding == (KEY,)
    assert julius.view().nodes[CAESAR].status == "dead"
    assert [type(action).__name__ for action in told if type(action).__name__ == "RunAgent"] == []
    world.run(1)
    assert julius.view().stable


def test_the_longest_answer_grows_with_the_line(world):
    julius = world.boot(JULIUS, frame_ns=SECOND, keepalive_ns=SECOND // 10, peer_dead=True, overdue=True)
    world.run(3)
    assert julius.view().nodes[CAESAR].status != "dead"
    world.run(0.1)
    assert julius.view().nodes[CAESAR].status == "dead"


def test_an_original_that_speaks_is_not_waited_for_without_end(world):
    """It cannot be asked; what it does about a node that was silent, it has done by then."""
    julius = world.boot(JULIUS, adopted=[KEY], peer_dead=True, overdue=True)
    julius.up = list(UP)
    fields = {"t": "status", "st": "active", "dt": "3a98", "src": CAESAR, "seq": "9", "hg": "5", "ts": "5f3759df"}
    status = Message([(name, 0, text.encode()) for name, text in fields.items()])
    julius.tell(*Decoder("ttyS0", None, stream=False).feed(encode(status, None, "netstring")))
    world.run(2.4)
    assert julius.holding == ()
    world.run(0.2)
    assert julius.holding == (KEY,)


def test_what_was_adopted_too_late_is_let_go_though_the_peer_has_this_node_quarantined(world):
    """It holds it, and tells so, whatever it thinks of a node whose files were set back."""
    julius, caesar = world.both()
    world.kill(JULIUS)
    world.run(20)
    julius = world.boot(JULIUS, adopted=[KEY], generation=1)
    julius.up = list(UP)
    world.run(6)
    assert caesar.view().nodes[JULIUS].status == "quarantined"
    assert (julius.up, caesar.up) == ([], UP)


def test_a_word_of_leaving_that_waited_while_this_node_stalled_proves_nothing(world):
    """The peer left, started again and took everything meanwhile; its first message in the queue is the oldest."""
    julius, caesar = world.both()
    world.ask(caesar, "takeover")
    assert caesar.holding == (KEY,)
    world.pause(CAESAR)
    world.run(16)
    assert julius.holding == (KEY,)
    julius.tell(Request(9, "stop"))
    world.run(3)
    assert julius.stopped
    julius = world.boot(JULIUS)
    world.run(31)
    assert julius.holding == (KEY,)
    told = caesar.record()
    world.wake(CAESAR)
    world.run(10)
    assert any("had left; it may be back" in note for note in caesar.notes)
    assert [action for action in told if isinstance(action, Hold) and action.keys] == []
    assert (julius.up, caesar.up) == (UP, [])


def test_with_a_quarantined_peer_it_settles_on_what_it_has(world):
    """The peer, which is not heard, lets go of what it took in a cut: that takes two who have settled."""
    julius, caesar = world.both()
    world.kill(CAESAR)
    world.run(20)
    world.boot(CAESAR, generation=1)
    world.run(20)
    assert julius.view().nodes[CAESAR].status == "quarantined"
    world.kill(JULIUS)
    world.run(1)
    known = {CAESAR: (caesar.cluster.view().generation, 0)}
    julius = world.boot(JULIUS, adopted=[KEY], known=known)
    julius.up = list(UP)
    world.run(20)
    assert julius.view().nodes[CAESAR].status == "quarantined"
    assert julius.holding == (KEY,)
    assert parse(julius.sent[-1].get("ext")).phase == SETTLED
