"""What is believed of what comes in: after a start, of a lower generation, of a recording."""

import pair
import pytest
from pair import AUTH, CAESAR, JULIUS, SEED_GROUP, World

from _hbfast.auth import Authenticator
from _hbfast.codec import Decoder, Message, encode
from heartbeat.core.bulletin import SETTLED, parse
from heartbeat.core.membership import ANSWERS_MOST, TRIGGERED_PART
from heartbeat.core.reception import DECIDING
from heartbeat.core.settings import MILLISECOND, SECOND

UP = [resource.word for resource in SEED_GROUP.resources]
PATH = {(JULIUS, CAESAR, "ttyS0"), (CAESAR, JULIUS, "ttyS0")}


@pytest.fixture
def world():
    return World()


def changed(message: Message, **values: bytes) -> Message:
    """The message with other values; None takes the field out."""
    items = [(name, digit, values.get(name, value)) for name, digit, value in message.items()]
    return Message([item for item in items if item[2] is not None])


def made(node, kind: str, **fields: bytes) -> Message:
    """What the node could say next; a type NS_* has no number, to the others one is given."""
    known = ("src", "srcuuid", "hg", "ts", "ttl")
    items = [item for item in node.sent[-1].items() if item[0] in known and item[0] not in fields]
    return Message([("t", 0, kind.encode()), *((name, 0, value) for name, value in fields.items()), *items])


def statuses(messages) -> list[Message]:
    return [message for message in messages if message.type == "status"]


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


def test_nor_does_one_from_before_an_edit_of_the_times(world):
    """The peer would answer, whatever times it runs with."""
    julius, _ = world.both()
    world.run(30)
    recording = list(julius.sent)
    world.kill(JULIUS)
    world.kill(CAESAR)
    caesar = world.boot(CAESAR, timing_digest="11110000")
    for _ in range(6):
        play(world, caesar, recording)
        assert caesar.view().nodes[JULIUS].status in ("init", "dead")
        world.run(5)
    world.run(1)
    assert caesar.up == UP


def test_with_other_times_it_answers_and_counts(world):
    world.both()
    world.kill(CAESAR)
    world.run(1)
    caesar = world.boot(CAESAR, timing_digest="11110000")
    world.run(0.1)
    assert caesar.view().nodes[JULIUS].status == "active"
    assert caesar.cluster._membership.peers[JULIUS].proven


def unlisted(world):
    """julius, on whose list of nodes caesar is missing: it lives, and cannot answer."""
    julius = world.boot(JULIUS, nodes=(JULIUS, "brutus"), timing_digest="00002222")
    caesar = world.boot(CAESAR, timing_digest="00001111")
    world.run(12)
    return julius, caesar


@pytest.mark.parametrize("kind", [*DECIDING, "NS_ackmsg", "NS_rexmit"])
def test_on_another_list_of_nodes_it_lives_and_nothing_more(world, kind):
    """Its statuses may be recordings as well, so what would move something is not believed."""
    julius, caesar = unlisted(world)
    peer = caesar.cluster._membership.peers[JULIUS]
    assert caesar.view().nodes[JULIUS].status in ("up", "active")
    assert not peer.proven
    before, sent, kept = outward(caesar), len(caesar.sent), len(caesar.outbox.history)
    known = dict(caesar.known)
    fields = {"ackseq": b"1", "firstseq": b"1", "lastseq": b"9", "desthg": b"%x" % caesar.outbox.generation,
              "dest": b"caesar", "info": b"me", "rsc_hold": b"all", "st": b"dead"}  # fmt: skip
    if not kind.startswith("NS_"):
        fields["seq"] = b"%x" % (peer.tracker.last + 1)
    play(world, caesar, [made(julius, kind, **fields)])
    assert (outward(caesar), len(caesar.sent), len(caesar.outbox.history)) == (before, sent, kept)
    assert caesar.known == known


def flood(world, receiver, status: Message) -> int:
    """A thousand recorded statuses, each with a question of its own, in nine tenths of a keepalive; how many statuses
    the receiver sent meanwhile."""
    before = len(receiver.sent)
    ext = status.get("ext").split(" ")
    for number in range(1000):
        asking = " ".join([*ext[:5], f"?{number:016x}", *[word for word in ext[5:] if word[0] not in "?!"]])
        play(world, receiver, [changed(status, ext=asking.encode())])
        world.run(0.0045)
    return len(receiver.sent) - before


@pytest.mark.parametrize("start", ["unproven", "abandoned"])
def test_a_thousand_questions_get_few_answers(world, start):
    """Who has not answered is not known, so everybody who asks is answered, within reason."""
    if start == "unproven":
        julius, _ = world.both()
        recorded = list(julius.sent)
        world.kill(JULIUS)
        world.kill(CAESAR)
        caesar = world.boot(CAESAR)
    else:
        recorded, _, caesar = abandoned(world)
    keepalive_ns = caesar.settings.keepalive_ns
    world.run((keepalive_ns - world.now % keepalive_ns) / SECOND + 0.01)  # its regular one has just gone out
    sent = flood(world, caesar, statuses(recorded)[-1])
    assert ANSWERS_MOST <= sent <= ANSWERS_MOST + TRIGGERED_PART


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


@pytest.mark.parametrize(
    ("kind", "holder", "verb"),
    [("ask_resources", JULIUS, "standby"), ("hb_takeover", CAESAR, "takeover"), ("shutdone", JULIUS, "stop")],
)
def test_it_is_kept_as_soon_as_it_has_moved_something(world, kind, holder, verb):
    julius, caesar = world.both()
    if holder == CAESAR:
        world.ask(julius, "standby")
    world.run(6)
    caesar.known.clear()
    world.ask_later(julius, verb)
    world.run(0.0015)  # so that it has arrived, and the next one of the exchange has not
    (number,) = [message.sequence for message in julius.sent[-3:] if message.type == kind]
    assert caesar.known == {JULIUS: (100, number)}


def test_a_clean_stop_keeps_the_newest(world):
    julius, caesar = world.both()
    world.run(22)
    world.ask(caesar, "stop")
    assert caesar.known == {JULIUS: (100, julius.outbox.sequence)}


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


def test_what_is_played_back_before_the_operator_accepts_it_makes_nothing_new_again(world):
    """An answer of the quarantined node, recorded, while it says more: what it has said since is old all the same."""
    julius, caesar = quarantine(world)
    world.run(1)
    answers = [each for each in statuses(julius.sent) if caesar.cluster._challenge.nonce in each.get("ext")]
    assert len(answers) > 1
    play(world, caesar, answers[:1])
    assert world.ask(caesar, "accept", JULIUS)[0]
    assert caesar.known[JULIUS] == (50, answers[-1].sequence)


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


def lost_words(world):
    """julius stops where caesar does not hear it, and comes back with a generation that it had long ago; what it said
    in the known one, also after what caesar heard of it."""
    julius, caesar = world.both()
    assert world.ask(julius, "standby")[0]
    assert world.ask(caesar, "standby")[0]
    world.run(12)
    world.cut = PATH
    number = julius.outbox.sequence
    world.ask_later(julius, "stop")
    world.run(6)
    world.cut = set()
    world.run(1)
    world.boot(JULIUS, generation=50)
    world.run(30)
    assert caesar.view().nodes[JULIUS].status == "quarantined"
    said = [message for message in julius.sent if not message.type.startswith("NS_")]
    assert "shutdone" in [message.type for message in said if message.sequence > number]
    status = statuses(said)[-1]
    later = [changed(status, seq=b"%x" % (said[-1].sequence + more)) for more in range(1, 20)]
    moves = [message for message in said if message.type == "ask_resources"]
    again = [changed(message, seq=b"%x" % (said[-1].sequence + 20)) for message in moves]
    return [*said, *later, *again], caesar


def test_what_it_said_in_the_known_generation_ends_no_quarantine(world):
    """Not even what had not been heard yet: that it leaves, for example, and so gives up what it has."""
    recording, caesar = lost_words(world)
    before, exchanged = outward(caesar), [m.type for m in caesar.sent if m.type not in ("status", "NS_ackmsg")]
    counted = sum(caesar.view().counts.values())
    for message in recording:
        play(world, caesar, [message])
        assert outward(caesar) == before, message
    world.run(40)
    assert outward(caesar) == before
    assert [m.type for m in caesar.sent if m.type not in ("status", "NS_ackmsg")] == exchanged
    assert len(caesar.alarms) == 1
    # what the living peer says while a recorded start makes caesar ask anew is counted, too
    assert 0 <= sum(caesar.view().counts.values()) - counted - len(recording) <= 4


def test_one_that_starts_again_in_the_generation_of_its_quarantine_is_accepted(world):
    """Its numbers begin again, and not below those that were heard before."""
    julius, caesar = world.both()
    world.kill(JULIUS)
    world.run(20)
    world.boot(JULIUS, generation=50)
    world.run(60)
    world.kill(JULIUS)
    julius = world.boot(JULIUS, generation=50)
    world.run(20)
    assert caesar.view().nodes[JULIUS].status == "quarantined"
    assert world.ask(caesar, "accept", JULIUS)[0]
    world.run(30)
    assert caesar.view().nodes[JULIUS].status == "active"
    assert julius.view().stable


def abandoned(world):
    """The operator has accepted julius in a lower generation. What it said in the higher one, over hand-overs, to its
    end; julius and caesar."""
    first, caesar = world.both()
    assert world.ask(first, "standby")[0]
    assert world.ask(caesar, "standby")[0]
    world.run(12)
    said = list(first.sent)
    world.kill(JULIUS)
    world.run(3)
    julius = world.boot(JULIUS, generation=50)
    world.run(40)
    assert world.ask(caesar, "accept", JULIUS)[0]
    world.run(12)
    assert caesar.view().nodes[JULIUS].generation == 50
    assert (julius.up, caesar.up) == (UP, [])
    return said, julius, caesar


def test_generations_that_the_operator_gave_up_are_not_believed(world):
    """They are higher than the present one, and whoever has recorded them may play them."""
    recording, julius, caesar = abandoned(world)
    shut = made(julius, "shutdone", st=b"dead", seq=b"ff", hg=b"63")
    before = outward(caesar)
    for message in [*recording, shut]:
        play(world, caesar, [message])
        assert outward(caesar) == before, message
    world.run(12)
    assert outward(caesar) == before
    world.kill(JULIUS)
    for _ in range(16):
        world.run(1)
        play(world, caesar, recording)
    assert caesar.view().nodes[JULIUS].status == "dead"
    assert caesar.up == UP
    assert len(caesar.alarms) == 1


def test_unless_the_peer_itself_comes_back_in_one_and_answers(world):
    recording, _, caesar = abandoned(world)
    world.kill(JULIUS)
    world.run(2)
    julius = world.boot(JULIUS, generation=90)
    world.run(15)
    seen = caesar.view().nodes[JULIUS]
    assert (seen.status, seen.generation) == ("active", 90)
    assert (julius.up, caesar.up) == (UP, [])
    before = outward(caesar)
    for message in recording:
        play(world, caesar, [message])
        assert outward(caesar) == before, message
    assert caesar.cluster._membership.peers[JULIUS].proven


def test_a_node_that_goes_on_where_its_set_back_files_say_is_quarantined(world):
    """By its answer, though it has adopted what it held and does not look like one that begins."""
    julius, caesar = world.both()
    world.run(60)
    world.kill(JULIUS)
    world.run(3)
    julius = world.boot(JULIUS, generation=100, adopted=[SEED_GROUP.key], peer_dead=True)
    julius.up = list(UP)
    world.run(3.1)
    assert parse(julius.sent[-1].get("ext")).phase == SETTLED
    world.run(6)
    assert caesar.view().nodes[JULIUS].status == "quarantined"
    assert (julius.up, caesar.up) == (UP, [])
    world.run(60)
    assert (julius.up, caesar.up) == (UP, [])


LATE = "late status of julius"


def test_a_late_status_on_a_line_that_loses_much_is_only_counted(world):
    """It was sent again, or took another way, while the peer's beat is missing."""
    julius, caesar = world.both()
    world.run(60)
    late = statuses(julius.sent)[-3]
    world.cut = PATH
    world.run(7)
    play(world, caesar, [late, late])
    assert caesar.view().counts == {LATE: 2}
    assert caesar.view().nodes[JULIUS].status == "active"
    world.cut = set()
    world.run(20)
    assert caesar.view().nodes[JULIUS].status == "active"
    assert caesar.alarms == []
    assert not any("replay" in note for note in caesar.notes)


def test_a_late_status_that_was_missing_is_taken(world):
    """It was lost before a message that is none, so it was asked for, and comes while the beat is missing."""
    julius, caesar = world.both()
    world.run(60)
    peer = caesar.cluster._membership.peers[JULIUS]
    number = julius.outbox.sequence + 1
    world.drop = lambda sender, message, medium: sender == JULIUS and message.sequence == number
    world.run(6)
    assert julius.sent[-1].sequence == number
    world.run(caesar.view().nodes[JULIUS].last_heard_ns / SECOND + 6.2 - world.now / SECOND)
    julius.cluster._steady.end()
    julius.outbox.send("resource")
    world.carry(julius, julius.outbox.take()[0].message)
    world.run(0.002)
    assert set(peer.tracker.missing) == {number}
    world.drop = lambda sender, message, medium: sender == JULIUS and message.sequence > number
    world.run(0.5)
    assert peer.tracker.missing == {}
    assert peer.last_status_sequence == number
    assert caesar.view().counts == {"lost packets of julius": 1}


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
    number = julius.outbox.sequence
    nak = [message for message in julius.sent if message.type == "status"][-1]
    fields = [("t", 0, b"NS_nak_rexmit"), ("dest", 0, b"caesar"), ("firstseq", 0, b"%x" % number)]
    items = [item for item in nak.items() if item[0] in ("src", "srcuuid", "hg", "ts")]
    play(world, caesar, [Message([*fields, *items])])
    assert not any("irretrievably" in note for note in caesar.notes)


ACKNOWLEDGES, ASKS = {"ackseq": b"1"}, {"firstseq": b"2", "lastseq": b"3"}


def unnumbered(julius, caesar, kind: str, **changes: bytes | None) -> Message:
    """Of julius to caesar, as it should be but for the changes."""
    fields = {"dest": b"caesar", "desthg": b"%x" % caesar.outbox.generation}
    fields |= ACKNOWLEDGES if kind == "NS_ackmsg" else ASKS
    return made(julius, kind, **{name: value for name, value in {**fields, **changes}.items() if value is not None})


def delivered(world, caesar, message) -> tuple[int, int]:
    """How many messages of its history that took away, and how many it made this node send."""
    kept, sent = len(caesar.outbox.history), len(caesar.sent)
    play(world, caesar, [message])
    return kept - len(caesar.outbox.history), len(caesar.sent) - sent


EACH = pytest.mark.parametrize(("kind", "effect"), [("NS_ackmsg", (1, 0)), ("NS_rexmit", (0, 2))])


@EACH
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"hg": b"63"},
        {"hg": b"65"},
        {"hg": b"0"},
        {"dest": b"julius"},
        {"dest": b""},
        {"dest": None},
        {"desthg": b"64"},
        {"desthg": b""},
        {"desthg": None},
        {"ackseq": b"7fffffff", "firstseq": b"5000", "lastseq": b"5001"},
        {"ackseq": b"-1", "firstseq": b"-2", "lastseq": b"-1"},
        {"src": b"brutus"},
    ],
    ids=str,
)
def test_what_has_no_number_counts_where_it_fits(world, kind, effect, changes):
    """Of this generation of the sender's, to this run of this node, about what was sent."""
    julius, caesar = world.both()
    before = outward(caesar)
    assert delivered(world, caesar, unnumbered(julius, caesar, kind, **changes)) == ((0, 0) if changes else effect)
    assert outward(caesar) == before


def test_an_acknowledgement_of_more_than_was_sent_takes_nothing_away(world):
    """By one; what was sent up to now may be acknowledged."""
    julius, caesar = world.both()
    sent, kept = caesar.outbox.sequence, len(caesar.outbox.history)
    assert delivered(world, caesar, unnumbered(julius, caesar, "NS_ackmsg", ackseq=b"%x" % (sent + 1))) == (0, 0)
    assert delivered(world, caesar, unnumbered(julius, caesar, "NS_ackmsg", ackseq=b"%x" % sent)) == (kept, 0)


@EACH
def test_nor_does_it_count_of_a_peer_that_has_not_answered(world, kind, effect):
    """Its generation is known from the run before, and that this one is meant it need not say: who knows whether it
    could?"""
    julius, caesar = world.both()
    known = dict(caesar.known)
    world.kill(CAESAR)
    world.cut = {(CAESAR, JULIUS, "ttyS0")}
    caesar = world.boot(CAESAR, known=known)
    world.run(2)
    assert delivered(world, caesar, unnumbered(julius, caesar, kind, desthg=None)) == (0, 0)
    world.cut = set()
    world.run(6)
    assert delivered(world, caesar, unnumbered(julius, caesar, kind)) == effect


@EACH
@pytest.mark.parametrize("desthg", [True, False], ids=["to this run", "to any"])
@pytest.mark.parametrize("state", ["dead", "quarantined"])
def test_nor_of_one_that_is_dead_or_quarantined(world, state, desthg, kind, effect):
    """It may have been recorded: a missing message would be sent no more."""
    julius, caesar = world.both()
    recorded = unnumbered(julius, caesar, kind, **({} if desthg else {"desthg": None}))
    world.kill(JULIUS)
    world.run(3)
    if state == "quarantined":
        world.boot(JULIUS, generation=50)
    world.run(25)
    assert caesar.view().nodes[JULIUS].status == state
    assert caesar.view().nodes[JULIUS].generation == recorded.generation
    assert delivered(world, caesar, recorded) == (0, 0)


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
    weak = changed(julius.sent[-1], seq=b"%x" % (julius.outbox.sequence + 1), st=b"up")
    play(world, caesar, [weak])
    assert outward(caesar) == before
    assert any("strong signature" in cause for cause in caesar.view().counts)


WEAK = "message of julius without its strong signature ignored"


@pytest.mark.parametrize("required", [True, False], ids=["required", "learned"])
def test_weak_statuses_that_go_on_where_the_peer_died_keep_nobody_alive(world, monkeypatch, required):
    """Each repeats the last one, so it would be taken in the short way."""
    strongly(monkeypatch)
    julius = world.boot(JULIUS, strong_required=required)
    caesar = world.boot(CAESAR, strong_required=required)
    world.run(60)
    last = julius.sent[-1]
    assert last.type == "status"
    assert caesar.cluster._steady.peer is not None
    world.kill(JULIUS)
    for number in range(1, 7):
        world.run(2.5)
        play(world, caesar, [changed(last, seq=b"%x" % (last.sequence + number))])
    world.run(1)
    assert caesar.view().nodes[JULIUS].status == "dead"
    assert caesar.up == UP
    assert caesar.view().counts == {WEAK: 6}


@pytest.mark.parametrize(("silent_ms", "taken"), [(0, False), (6249, False), (6251, True)])
def test_a_weak_new_generation_is_none_while_the_strong_one_goes_on(world, monkeypatch, silent_ms, taken):
    strongly(monkeypatch)
    julius, caesar = world.both()
    began = changed(statuses(julius.sent)[0], seq=b"1", hg=b"ff", ext=None)
    for _ in range(30):
        world.run(1)
        play(world, caesar, [began])
    assert caesar.view().nodes[JULIUS].generation == 100
    assert caesar.view().counts == {WEAK: 30}
    if silent_ms:
        world.run(0.1)
        world.cut = PATH
        until = caesar.view().nodes[JULIUS].last_heard_ns + silent_ms * MILLISECOND
        world.run((until - world.now) / SECOND)
    play(world, caesar, [began])
    assert caesar.view().nodes[JULIUS].generation == (255 if taken else 100)
    assert caesar.view().counts == {WEAK: 30 if taken else 31}


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
