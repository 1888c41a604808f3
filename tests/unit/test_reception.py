"""What is believed of what comes in: after a start, of a lower generation, of a recording."""

import pair
import pytest
from pair import AUTH, CAESAR, JULIUS, SEED_GROUP, World

from _hbfast.auth import Authenticator
from _hbfast.codec import Decoder, Message, encode

UP = [resource.word for resource in SEED_GROUP.resources]
PATH = {(JULIUS, CAESAR, "ttyS0"), (CAESAR, JULIUS, "ttyS0")}


@pytest.fixture
def world():
    return World()


def changed(message: Message, **values: bytes) -> Message:
    """The message with other values; None takes the field out."""
    items = [(name, digit, values.get(name, value)) for name, digit, value in message.items()]
    return Message([item for item in items if item[2] is not None])


def play(world, receiver, messages) -> None:
    """A recording, frame by frame, as if it came over the wire."""
    for message in messages:
        world.deliver(receiver, "ttyS0", encode(message, AUTH, "netstring"))


def outward(node):
    view = node.view()
    nodes = [(each.status, each.generation, dict(each.links)) for each in view.nodes.values()]
    return view.state, view.holds, view.stable, nodes, [(g.holder, g.state) for g in view.groups], node.holding


# --- after this node's own start


def test_a_recording_brings_nobody_to_life(world):
    """All that julius ever said, played to a caesar that has just started and knows nothing."""
    julius, _ = world.both()
    world.run(30)
    recording = list(julius.sent)
    world.kill(JULIUS)
    world.kill(CAESAR)
    caesar = world.boot(CAESAR)
    for _ in range(6):
        play(world, caesar, recording)
        world.run(5)
    assert caesar.view().nodes[JULIUS].status in ("init", "dead")
    world.run(1)
    assert caesar.up == UP


def test_nor_does_its_last_word_give_anything(world):
    julius, _ = world.both()
    world.ask(julius, "stop")
    world.run(2)
    recording = list(julius.sent)
    assert recording[-1].type == "shutdone"
    world.kill(CAESAR)
    caesar = world.boot(CAESAR)
    play(world, caesar, recording)
    world.run(10)
    assert caesar.up == []
    assert caesar.view().nodes[JULIUS].status == "init"


def test_a_peer_that_answers_counts_at_once(world):
    world.both()
    world.kill(CAESAR)
    world.run(1)
    caesar = world.boot(CAESAR)
    world.run(0.1)
    assert caesar.view().nodes[JULIUS].status == "active"


def test_one_that_does_not_hear_this_node_is_told_of(world):
    world.both()
    world.kill(CAESAR)
    world.cut = {(CAESAR, JULIUS, "ttyS0")}
    caesar = world.boot(CAESAR)
    world.run(12)
    assert any("does not answer" in warning for warning in caesar.view().warnings)
    world.cut = set()
    world.run(12)
    assert caesar.view().warnings == []


def test_an_original_counts_from_its_first_status(world):
    """It knows no nonces, and its pair must work."""
    caesar = world.boot(CAESAR)
    julius = world.boot(JULIUS)
    world.cut = PATH
    world.run(1)
    play(world, caesar, [changed(message, ext=None) for message in julius.sent])
    assert caesar.view().nodes[JULIUS].status in ("init", "up")
    assert caesar.cluster._membership.peers[JULIUS].heard


# --- what is kept across a restart


def test_the_generation_is_kept_when_it_changes_and_nothing_in_between(world):
    _, caesar = world.both()
    first = dict(caesar.known)
    assert first == {JULIUS: (100, first[JULIUS][1])}
    caesar.known.clear()
    world.run(600)
    assert caesar.known == {}
    world.kill(JULIUS)
    world.run(2)
    world.boot(JULIUS)
    world.run(2)
    assert caesar.known[JULIUS][0] == 102


def test_the_sequence_is_kept_when_a_message_moves_something(world):
    julius, caesar = world.both()
    caesar.known.clear()
    world.ask(julius, "standby")
    moving = [message.sequence for message in julius.sent if message.type == "ask_resources"]
    assert caesar.known == {JULIUS: (100, moving[-1])}


def test_a_clean_stop_keeps_the_newest(world):
    julius, caesar = world.both()
    world.run(22)
    world.ask(caesar, "stop")
    assert caesar.known == {JULIUS: (100, julius.cluster._outbox.sequence)}


def test_what_was_known_is_not_believed_again(world):
    """The hand-over of the run before, played to a caesar that remembers: counted, and nothing else."""
    julius, caesar = world.both()
    world.ask(julius, "standby")
    known = dict(caesar.known)
    recording = [message for message in julius.sent if message.sequence <= known[JULIUS][1]]
    world.kill(CAESAR)
    world.kill(JULIUS)
    caesar = world.boot(CAESAR, known=known)
    before = outward(caesar)
    play(world, caesar, recording)
    assert outward(caesar) == before
    assert sum(caesar.view().counts.values()) == len([m for m in recording if not m.type.startswith("NS_")])


# --- a lower generation


def quarantine(world):
    """julius comes back with a generation that it had long ago."""
    _, caesar = world.both()
    world.kill(JULIUS)
    world.run(3)
    julius = world.boot(JULIUS, generation=50)
    world.run(40)
    return julius, caesar


def test_a_node_whose_files_were_set_back_is_quarantined_and_nothing_is_taken(world):
    julius, caesar = quarantine(world)
    assert caesar.view().nodes[JULIUS].status == "quarantined"
    assert len(caesar.alarms) == 1
    assert "heartbeat accept julius" in caesar.alarms[0]
    assert (julius.up, caesar.up) == ([], [])
    world.kill(JULIUS)
    world.run(600)
    assert caesar.view().nodes[JULIUS].status == "quarantined"
    assert caesar.up == []


def test_the_operator_accepts_it(world):
    julius, caesar = quarantine(world)
    assert world.ask(caesar, "accept", JULIUS) == (True, "julius is accepted")
    assert caesar.known[JULIUS][0] == 50
    world.run(12)
    assert caesar.view().nodes[JULIUS].status == "active"
    assert (julius.up, caesar.up) == (UP, [])
    world.kill(JULIUS)
    world.run(20)
    assert caesar.up == UP


def test_an_accepted_one_that_is_silent_is_dead(world):
    _, caesar = quarantine(world)
    world.kill(JULIUS)
    world.ask(caesar, "accept", JULIUS)
    world.run(20)
    assert caesar.view().nodes[JULIUS].status == "dead"
    assert caesar.up == UP


def test_its_own_generation_ends_the_quarantine(world):
    _, caesar = quarantine(world)
    world.kill(JULIUS)
    julius = world.boot(JULIUS, generation=200)
    world.run(20)
    assert caesar.view().nodes[JULIUS].status == "active"
    assert julius.up == UP


def test_a_generation_that_is_used_again_is_no_better(world):
    """The file was set back by one: the next run has the number of the last."""
    _, caesar = world.both()
    world.run(60)
    world.kill(JULIUS)
    world.run(3)
    julius = world.boot(JULIUS, generation=100)
    world.run(25)
    assert caesar.view().nodes[JULIUS].status == "quarantined"
    assert (julius.up, caesar.up) == ([], [])
    assert world.ask(caesar, "accept", JULIUS)[0]
    world.run(12)
    assert (julius.up, caesar.up) == (UP, [])


def test_also_where_the_other_had_to_be_remembered(world):
    _, caesar = world.both()
    world.run(60)
    world.kill(JULIUS)
    world.ask(caesar, "stop")
    world.run(3)
    known = dict(caesar.known)
    caesar = world.boot(CAESAR, known=known)
    world.boot(JULIUS, generation=100)
    world.run(25)
    assert caesar.view().nodes[JULIUS].status == "quarantined"


def test_copies_that_a_slow_line_brings_late_are_no_recordings(world):
    """The serial line brings each frame seconds after the Ethernet."""
    frames = []
    carry = world.carry
    world.carry = lambda sender, message: (frames.append((world.now, sender, message)), carry(sender, message))[1]
    julius, caesar = world.both()
    for _ in range(30):
        world.run(1)
        for at, sender, message in list(frames):
            if world.now - at > 4_000_000_000:
                frames.remove((at, sender, message))
                play(world, caesar if sender is julius else julius, [message])
    for node in (julius, caesar):
        assert node.alarms == []
        assert not any("replay" in note for note in node.notes)


@pytest.mark.parametrize("name", [JULIUS, CAESAR, "brutus"])
def test_only_what_is_quarantined_can_be_accepted(world, name):
    _, caesar = world.both()
    assert world.ask(caesar, "accept", name)[0] is False


def test_a_recording_of_an_ended_generation_prolongs_nobodys_life(world):
    julius, _ = world.both()
    recording = list(julius.sent)
    world.kill(JULIUS)
    julius = world.boot(JULIUS)
    world.run(20)
    caesar = world.nodes[CAESAR]
    sent = len(caesar.sent)
    world.kill(JULIUS)
    for _ in range(15):
        play(world, caesar, recording)
        world.run(1.1)
    assert caesar.view().nodes[JULIUS].status == "dead"
    assert caesar.alarms == []
    assert caesar.up == UP
    assert len(caesar.sent) - sent < 20  # no status for each that is played


# --- plausible answers only


def test_a_refusal_that_nobody_asked_for_gives_nothing_up(world):
    julius, caesar = world.both()
    world.drop = lambda sender, message, medium: sender == JULIUS and message.type == "status"
    world.run(5)
    world.drop = None
    number = julius.cluster._outbox.sequence
    nak = [message for message in julius.sent if message.type == "status"][-1]
    fields = [("t", 0, b"NS_nak_rexmit"), ("dest", 0, b"caesar"), ("firstseq", 0, b"%x" % number)]
    items = [item for item in nak.items() if item[0] in ("src", "srcuuid", "hg", "ts")]
    play(world, caesar, [Message([*fields, *items])])
    assert not any("irretrievably" in note for note in caesar.notes)


def test_a_copy_of_this_nodes_identity_is_told_of(world):
    uuid = b"the same".ljust(16, b".")
    julius, caesar = world.boot(JULIUS, uuid=uuid), world.boot(CAESAR, uuid=uuid)
    world.run(10)
    for node in (julius, caesar):
        assert any("hb_uuid" in warning for warning in node.view().warnings)


# --- signed strongly


STRONG = Authenticator({1: ("sha1", b"a-secret")}, 1, strong=True)


def strongly(monkeypatch):
    """From now on the nodes sign as the daemon does."""
    monkeypatch.setattr(pair, "AUTH", STRONG)


def test_who_signs_strongly_does_so_to_the_end_of_its_generation(world, monkeypatch):
    """A sender who knows only the old signature's weaknesses gets nowhere."""
    strongly(monkeypatch)
    julius, caesar = world.both()
    assert caesar.cluster._membership.peers[JULIUS].strong
    before = outward(caesar)
    weak = changed(julius.sent[-1], seq=b"%x" % (julius.cluster._outbox.sequence + 1), st=b"up")
    play(world, caesar, [weak])
    assert outward(caesar) == before
    assert any("strong signature" in cause for cause in caesar.view().counts)


def test_a_new_generation_may_go_back(world, monkeypatch):
    """To the original, which signs as it always did."""
    strongly(monkeypatch)
    _, caesar = world.both()
    world.kill(JULIUS)
    world.run(2)
    monkeypatch.setattr(pair, "AUTH", AUTH)
    world.boot(JULIUS)
    world.run(12)
    assert caesar.view().nodes[JULIUS].status == "active"
    assert not caesar.cluster._membership.peers[JULIUS].strong


def test_unless_it_is_required(world):
    world.boot(JULIUS)
    caesar = world.boot(CAESAR, strong_required=True)
    world.run(12)
    assert caesar.view().nodes[JULIUS].status == "init"
    assert any("strong signature" in cause for cause in caesar.view().counts)


# --- in bulk


def test_what_is_forged_damaged_replayed_or_foreign_changes_nothing_but_counters(world):
    julius, caesar = world.both()
    old = list(julius.sent)
    world.kill(JULIUS)
    world.run(1)
    julius = world.boot(JULIUS)
    world.run(30)
    world.cut = PATH  # nothing new while they play
    before = outward(caesar)
    known = list(julius.sent)
    foreign = [changed(message, src=b"brutus") for message in known]
    damaged = [changed(message, hg=b"") for message in known]
    for message in (*old, *known, *foreign, *damaged):
        play(world, caesar, [message])
    other = Authenticator({1: ("sha1", b"another")}, 1)
    decoder = Decoder("ttyS0", AUTH, stream=False)
    for message in known:
        assert decoder.feed(encode(message, other, "netstring")) == []
    assert outward(caesar) == before
    assert caesar.alarms == []
