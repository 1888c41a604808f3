"""Hand-overs, conflicts and refusals in corners that a pair seldom reaches."""

import pytest
from pair import CAESAR, JULIUS, SEED_GROUP, World

from _hbfast.codec import Decoder, encode
from heartbeat.core.actions import Hold
from heartbeat.core.events import Request

KEY = SEED_GROUP.key
UP = [resource.word for resource in SEED_GROUP.resources]


@pytest.fixture
def world() -> World:
    return World()


def received(message, medium="ttyS0"):
    """As it comes from a decoder."""
    return Decoder(medium, None, stream=False).feed(encode(message, None, "netstring"))[0]


def test_a_status_from_before_the_release_is_no_claim(world):
    """It was lost on one medium and is late on the other: the release overtook it."""
    julius, caesar = world.both()
    late = []
    world.drop = lambda sender, message, medium: (
        sender == JULIUS and message.type == "status" and not late and not late.append(message)
    )
    julius.tell(Request(1, "standby", "all"))
    world.run(0.0005)
    julius.cluster._membership.beat(world.now)
    for action in julius.cluster._outbox.take():
        world.carry(julius, action.message)
    assert len(late) == 1
    world.drop = lambda sender, message, medium: sender == JULIUS and message.type == "status"
    caesar.hanging = {("start", UP[0])}
    world.run(0.1)
    assert caesar.claims() == [KEY]
    world.drop = None
    caesar.tell(received(late[0]))
    assert caesar.cluster._resources.other.claims(caesar.cluster._resources._labels[KEY]) is False


def test_a_quarantined_peer_is_not_a_dead_one(world):
    """It may be the holder: what is held here is renewed only by what a medium took."""
    _, caesar = world.both()
    world.kill(JULIUS)
    world.run(20)
    assert caesar.holding == (KEY,)
    said: list[Hold] = []
    obey = caesar._obey
    caesar._obey = lambda action, pending: (said.append(action), obey(action, pending))[1]
    world.boot(JULIUS, generation=50)
    world.run(12)
    assert caesar.view().nodes[JULIUS].status == "quarantined"
    holds = [action for action in said if isinstance(action, Hold)]
    assert holds[-1].keys == (KEY,)
    assert holds[-1].alone is False
    assert caesar.view().stable is False
    assert world.ask(caesar, "standby")[0] is False


@pytest.mark.parametrize(("node", "verb"), [(JULIUS, "standby"), (CAESAR, "takeover")])
def test_a_second_wish_waits_for_the_first(world, node, verb):
    julius, _ = world.both()
    julius.hanging = {("stop", UP[1])}
    julius.tell(Request(1, "standby", "all"))
    world.run(1)
    world.nodes[node].tell(Request(2, verb, "all"))
    world.run(1)
    ok, text = world.nodes[node].replies[2]
    assert not ok
    assert "under way" in text or "busy" in text
