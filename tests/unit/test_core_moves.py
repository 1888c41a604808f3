"""Hand-overs, conflicts and refusals in corners that a pair seldom reaches."""

import pytest
from pair import CAESAR, JULIUS, SEED_GROUP, World, settings

from _hbfast.codec import Decoder, Message, encode
from heartbeat.core.actions import Hold
from heartbeat.core.events import Reload, Request
from heartbeat.core.settings import SECOND, Group, Resource

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


def test_a_promise_ends_when_the_giver_keeps_what_it_has(world):
    """It never heard the promise, and has given up asking."""
    julius, caesar = world.both()
    world.drop = lambda sender, message, medium: message.get("info") == "other"
    julius.tell(Request(1, "standby", "all"))
    world.run(11)
    assert julius.replies[1] == (False, "the other node did not answer in time")
    assert caesar.view().stable is False
    world.run(15)
    assert (julius.up, caesar.up) == (UP, [])
    assert julius.view().stable
    assert caesar.view().stable
    world.drop = None
    assert world.ask(julius, "standby") == (True, "caesar has taken over")


def test_what_the_node_that_prefers_it_did_not_take_is_left_to_it(world):
    """It may be starting it in this moment; here it is not taken back. (It does not hear that nobody has it.)"""
    caesar = world.boot(CAESAR, deadtime_ns=60 * SECOND)
    world.run(40)
    julius = world.boot(JULIUS, deadtime_ns=60 * SECOND)
    world.run(20)
    assert caesar.up == UP
    world.drop = lambda sender, message, medium: message.get("info") == "done"
    caesar.tell(Request(1, "standby", "all"))
    world.run(0.1)
    assert (julius.up, caesar.up) == ([], [])
    julius.cluster._standby._end(False, "forgotten")
    world.drop = lambda sender, message, medium: sender == CAESAR
    runs = len(caesar.runs)
    world.run(25)
    world.drop = None
    world.run(40)
    assert (julius.up, caesar.up) == (UP, [])
    assert caesar.runs[runs:] == []
    assert caesar.replies[1] == (False, "the other node did not take over")


def test_an_original_may_give_what_it_does_not_have(world):
    """It says nothing of its groups; its words are followed, and nothing is started twice."""
    julius = world.boot(JULIUS)
    world.run(40)
    assert julius.up == UP
    runs = list(julius.runs)
    said = {"src": CAESAR, "hg": "1f4", "ts": "5f3759df", "ttl": "3"}
    steps = [{"t": "status", "st": "active", "dt": "3a98"}]
    steps += [{"t": "ask_resources", "info": info, "rsc_hold": "all"} for info in ("me", "done")]
    for number, step in enumerate(steps, 1):
        fields = {**step, **said, "seq": f"{number:x}"}
        julius.tell(received(Message([(name, 0, text.encode()) for name, text in fields.items()])))
    assert julius.runs == runs
    assert julius.up == UP
    assert [message.get("info") for message in julius.sent if message.type == "ask_resources"] == ["other", "done"]


@pytest.mark.parametrize("alone", [False, True])
def test_what_fails_before_the_node_has_settled_is_tried_again(world, alone):
    """A group that a crashed run left, to which a reload adds a resource."""
    late = Resource("late", "late")
    after = {"groups": (Group(KEY, JULIUS, [*SEED_GROUP.resources, late]),)}
    if not alone:
        world.boot(CAESAR, **after)
        world.run(6)
        world.cut = {(CAESAR, JULIUS, "ttyS0"), (JULIUS, CAESAR, "ttyS0")}
    julius = world.boot(JULIUS, adopted=[KEY])
    julius.up = list(UP)
    julius.failing = {("start", "late")}
    julius.tell(Reload(settings(JULIUS, **after)))
    world.run(1)
    assert julius.view().groups[0].state == "failed"
    julius.failing = set()
    world.cut = set()
    world.run(120)
    assert sorted(word for node in world.nodes.values() for word in node.up) == sorted([*UP, "late"])
