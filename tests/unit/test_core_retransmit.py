"""What was lost is asked for and sent again, under the number that it had."""

import pytest
from pair import CAESAR, JULIUS, World

from heartbeat.core.history import LIMIT
from heartbeat.core.retransmit import BATCH_LIMIT
from heartbeat.core.settings import MILLISECOND, SECOND

BOTH = {(JULIUS, CAESAR, "ttyS0"), (CAESAR, JULIUS, "ttyS0")}


@pytest.fixture
def world() -> World:
    return World()


def numbers(node, kind: str) -> list[int]:
    return [message.sequence for message in node.sent if message.type == kind]


def sent_again(node) -> list[int]:
    seen, again = set(), []
    for message in node.sent:
        if message.type.startswith("NS_"):
            continue
        (again.append if message.sequence in seen else seen.add)(message.sequence)
    return again


@pytest.mark.parametrize("count", [1, 2])
def test_exactly_what_was_lost_is_sent_again(world, count):
    """With numbers that are not the same in decimal and in hex."""
    julius, caesar = world.both()
    world.run(100)
    lost: list[int] = []

    def drop(sender, message, medium):
        if sender == JULIUS and not message.type.startswith("NS_") and len(lost) < count:
            lost.append(message.sequence)
            return True
        return False

    world.drop = drop
    world.run(5 * count + 6)
    world.drop = None
    assert min(lost) > 16
    assert sent_again(julius) == lost
    assert caesar.cluster._membership.peers[JULIUS].tracker.missing == {}


def test_a_request_is_repeated_until_it_is_answered(world):
    julius, caesar = world.both()
    world.drop = lambda sender, message, medium: sender == JULIUS and message.type == "status"
    world.run(5)
    world.drop = lambda sender, message, medium: message.type == "NS_rexmit"
    world.run(6)
    asked = [message.get("firstseq") for message in caesar.sent if message.type == "NS_rexmit"]
    assert len(asked) > 2
    assert len(set(asked)) == 1
    world.drop = None
    world.run(1)
    assert len(sent_again(julius)) == 1


def test_what_is_sent_again_is_not_sent_twice_within_the_delay(world):
    """Two requests that cross: as with two media, by each of which one comes."""
    julius, _ = world.both()
    world.run(20)
    number = str(numbers(julius, "status")[-1])
    for _ in range(2):
        julius.tell(request(world, julius, number, number))
    assert len(sent_again(julius)) == 1
    world.run(1)
    julius.tell(request(world, julius, number, number))
    assert len(sent_again(julius)) == 2


def request(world, node, first: str, last: str):
    """NS_rexmit of the peer, as it makes one."""
    peer = world.nodes[CAESAR].cluster._membership.peers[JULIUS]
    retransmit = world.nodes[CAESAR].cluster._retransmit
    retransmit._send("NS_rexmit", peer, [("firstseq", first.encode()), ("lastseq", last.encode())])
    return world.nodes[CAESAR].cluster._outbox.take()[0].message


def test_a_request_for_very_many_is_answered_in_part(world):
    julius, _ = world.both()
    world.cut = set(BOTH)
    for _ in range(80):
        julius.cluster._outbox.send("resource")
    julius.tell(request(world, julius, "1", str(julius.cluster._outbox.sequence)))
    assert sent_again(julius) == list(range(1, 1 + BATCH_LIMIT))


def test_what_is_too_old_is_refused_and_given_up(world):
    """Nobody waits for ever for what nobody has any more."""
    julius, caesar = world.both()
    world.run(20)
    world.drop = lambda sender, message, medium: sender == JULIUS and message.type == "status"
    world.run(5)
    world.drop = lambda sender, message, medium: message.type == "NS_rexmit"
    world.run(5.5)
    missing = set(caesar.cluster._membership.peers[JULIUS].tracker.missing)
    assert len(missing) == 1
    for _ in range(LIMIT):
        julius.cluster._outbox.send("resource")
    julius.cluster._outbox.take()
    world.drop = None
    world.run(0.4)
    assert f"message {missing.pop()} of julius is irretrievably lost" in caesar.notes
    assert caesar.cluster._membership.peers[JULIUS].tracker.missing == {}


def test_after_a_very_long_gap_nothing_is_asked_for(world):
    julius, caesar = world.both()
    world.run(20)
    for _ in range(300):
        julius.cluster._outbox.send("resource")
    julius.cluster._outbox.take()
    world.run(10)
    assert any("lost a lot of packets of julius" in note for note in caesar.notes)
    assert numbers(caesar, "NS_rexmit") == []
    assert caesar.view().nodes[JULIUS].status == "active"


def test_an_acknowledgement_waits_for_half_a_keepalive_and_trims(world):
    julius, caesar = world.both()
    world.run(120)
    assert any(message.type == "NS_ackmsg" for message in caesar.sent)
    assert len(julius.cluster._outbox.history) < 20 < julius.cluster._outbox.sequence


def test_a_dead_node_is_asked_for_nothing(world):
    julius, caesar = world.both()
    world.run(3)
    world.drop = lambda sender, message, medium: sender == JULIUS and message.type == "status"
    world.run(5)
    world.drop = lambda sender, message, medium: message.type == "NS_rexmit"
    world.run(5.01)
    assert caesar.cluster._membership.peers[JULIUS].tracker.missing
    world.kill(JULIUS)
    world.run(14.5)
    before = len([message for message in caesar.sent if message.type == "NS_rexmit"])
    world.run(30)
    after = [message for message in caesar.sent if message.type == "NS_rexmit"]
    assert caesar.view().nodes[JULIUS].status == "dead"
    assert len(after) - before <= 1.5 * SECOND // (250 * MILLISECOND)
    assert julius.alive is False
