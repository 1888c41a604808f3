"""What was lost is asked for and sent again, under the number that it had."""

import pytest
from pair import CAESAR, JULIUS, World

from _hbfast.codec import Message
from heartbeat.core.retransmit import BATCH_LIMIT
from heartbeat.core.sequence import ACK_EVERY_OURS, GAP_LIMIT

BOTH = {(JULIUS, CAESAR, "ttyS0"), (CAESAR, JULIUS, "ttyS0")}


@pytest.fixture
def world() -> World:
    return World()


def say(world, node, count: int = 1) -> list[int]:
    """Messages that are no statuses: those are asked for again in any case. Returns their numbers."""
    node.cluster._steady.end()  # as before whatever is no heartbeat
    outbox = node.outbox
    said = [outbox.send("resource") for _ in range(count)]
    for action in outbox.take():
        node.sent.append(action.message)
        world.carry(node, action.message)
    return said


def lose(world, node, count: int = 1) -> list[int]:
    """Said, and lost on the way; the next status, which shows that something is missing, comes."""
    cut, world.cut = world.cut, set(BOTH)
    lost = say(world, node, count)
    world.cut = cut
    return lost


def asked(node) -> list[int]:
    return [int(message.get("firstseq")) for message in node.sent if message.type == "NS_rexmit"]


def missing(node) -> set[int]:
    return set(node.cluster._membership.peers[JULIUS].tracker.missing)


def sent_again(node) -> list[int]:
    seen, again = set(), []
    for message in node.sent:
        if message.type.startswith("NS_"):
            continue
        (again.append if message.sequence in seen else seen.add)(message.sequence)
    return again


@pytest.mark.parametrize("count", [1, 3, 30])
def test_exactly_what_was_lost_is_sent_again(world, count):
    """With numbers that are not the same in decimal and in hex."""
    julius, caesar = world.both()
    world.run(100)
    lost = lose(world, julius, count)
    assert min(lost) > 16
    world.run(6)
    assert sorted(sent_again(julius)) == lost
    assert missing(caesar) == set()
    assert len(asked(caesar)) == 1


def test_a_request_is_repeated_until_it_is_answered(world):
    julius, caesar = world.both()
    (lost,) = lose(world, julius)
    world.drop = lambda sender, message, medium: message.type == "NS_rexmit"
    world.run(8)
    assert len(asked(caesar)) > 2
    assert set(asked(caesar)) == {lost}
    world.drop = None
    world.run(1)
    assert sent_again(julius) == [lost]


def test_what_is_sent_again_is_not_sent_twice_within_the_delay(world):
    """Two requests that cross: as with two media, by each of which one comes."""
    julius, _ = world.both()
    (number,) = say(world, julius)
    for _ in range(2):
        julius.tell(request(world, julius, str(number), str(number)))
    assert sent_again(julius) == [number]
    world.run(1)
    julius.tell(request(world, julius, str(number), str(number)))
    assert sent_again(julius) == [number] * 2


def request(world, node, first: str, last: str):
    """NS_rexmit of the peer, as it makes one."""
    peer = world.nodes[CAESAR].cluster._membership.peers[JULIUS]
    retransmit = world.nodes[CAESAR].cluster._retransmit
    retransmit._send("NS_rexmit", peer, [("firstseq", first.encode()), ("lastseq", last.encode())])
    return world.nodes[CAESAR].outbox.take()[0].message


def test_a_request_for_very_many_is_answered_in_part(world):
    julius, _ = world.both()
    said = lose(world, julius, 80)
    julius.tell(request(world, julius, str(said[0]), str(said[-1])))
    assert sent_again(julius) == said[:BATCH_LIMIT]


def test_what_is_too_old_is_refused_and_given_up(world):
    """Nobody waits for ever for what nobody has any more."""
    julius, caesar = world.both()
    (lost,) = lose(world, julius)
    world.drop = lambda sender, message, medium: message.type == "NS_rexmit"
    world.run(6)
    assert missing(caesar) == {lost}
    history = julius.outbox.history
    history._messages.clear()
    history._first = julius.outbox.sequence + 1
    world.drop = None
    world.run(1)
    assert sent_again(julius) == []
    assert f"message {lost} of julius is irretrievably lost" in caesar.notes
    assert missing(caesar) == set()


def test_a_late_request_for_what_was_acknowledged_since_is_not_answered(world):
    """Nor refused: the original would log as lost what it has."""
    julius, _ = world.both()
    (number,) = say(world, julius)
    world.run(300)
    assert julius.outbox.history._first > number
    julius.tell(request(world, julius, str(number), str(number)))
    world.run(1)
    assert sent_again(julius) == []
    assert not any(message.type == "NS_nak_rexmit" for message in julius.sent)


def test_after_a_very_long_gap_nothing_is_asked_for(world):
    julius, caesar = world.both()
    lose(world, julius, GAP_LIMIT + 50)
    world.run(10)
    assert any("lost a lot of packets of julius" in note for note in caesar.notes)
    assert asked(caesar) == []
    assert caesar.view().nodes[JULIUS].status == "active"


def test_acknowledgements_trim_what_is_kept(world):
    julius, caesar = world.both()
    world.run(2000)
    sent = len([message for message in caesar.sent if message.type == "NS_ackmsg"])
    assert sent == pytest.approx(julius.outbox.sequence / ACK_EVERY_OURS, abs=1)
    assert len(julius.outbox.history) < ACK_EVERY_OURS + 2 < julius.outbox.sequence / 5


def test_a_dead_node_is_asked_for_nothing(world):
    julius, caesar = world.both()
    lose(world, julius)
    world.drop = lambda sender, message, medium: message.type == "NS_rexmit"
    world.run(6)
    world.kill(JULIUS)
    world.run(20)
    assert caesar.view().nodes[JULIUS].status == "dead"
    before = len(asked(caesar))
    assert before > 2
    world.run(20)
    assert len(asked(caesar)) == before


@pytest.mark.parametrize("fields", [{"firstseq": "0"}, {"firstseq": "9", "lastseq": "3"}, {"firstseq": "x"}, {}])
def test_a_request_without_a_range_is_counted(world, fields):
    julius, _ = world.both()
    julius.tell(request(world, julius, fields.get("firstseq", ""), fields.get("lastseq", "")))
    assert sent_again(julius) == []
    assert julius.view().counts == {"retransmission request of caesar without a valid range ignored": 1}


def test_what_is_due_together_is_asked_for_together(world):
    """After a pause, in which the instants of several requests have passed."""
    julius, caesar = world.both()
    world.run(1)
    lost = lose(world, julius, 8)
    world.drop = lambda sender, message, medium: message.type == "NS_rexmit"
    while not missing(caesar):
        world.run(0.001)
    world.pause(CAESAR)
    world.run(0.3)
    world.wake(CAESAR)
    before = len(asked(caesar))
    world.run(0.001)
    requests = [message for message in caesar.sent if message.type == "NS_rexmit"][before:]
    assert [(int(each.get("firstseq")), int(each.get("lastseq"))) for each in requests] == [(lost[0], lost[-1])]
    world.drop = None
    world.run(1)
    assert sorted(sent_again(julius)) == lost


@pytest.mark.parametrize(("generation_less", "counted"), [(0, 0), (1, 1)])
def test_an_original_s_recorded_acknowledgement_is_counted(world, generation_less, counted):
    """It names no run of this node, so its sender's generation is all that tells."""
    julius, _ = world.both()
    peer = julius.cluster._membership.peers[CAESAR]
    made = request(world, julius, "1", "1")
    peer.bulletin = None
    older = b"%x" % (peer.tracker.generation - generation_less)
    items = [(name, digit, older if name == "hg" else value) for name, digit, value in made.items()]
    julius.tell(Message(items))
    text = f"possible replay: a message of an ended generation of {CAESAR}"
    assert julius.view().counts.get(text, 0) == counted
