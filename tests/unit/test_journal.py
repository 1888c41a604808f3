"""What is recorded, in how much memory, and that recording changes nothing."""

import gc
from types import SimpleNamespace

import pytest
from journalled import Keeping, World, replayed
from pair import AUTH, CAESAR, JULIUS, MediumDown, settings
from pair import World as PlainWorld

from _hbfast.codec import Decoder, Message, encode
from heartbeat import journal, journalfile
from heartbeat.core.cluster import Cluster
from heartbeat.core.events import PingAnswer, Tick
from heartbeat.core.settings import SECOND
from heartbeat.journal import AGAIN, FRAME, MESSAGE, NOTHING, OTHER, SIZE, SNAPSHOT, TICK, UNANSWERED, Journal


def buffers(size=SIZE):
    return [memoryview(bytearray(size)), memoryview(bytearray(size))]


def cluster(**changes) -> Cluster:
    return Cluster(settings(JULIUS, **changes), generation=5, seed=7, now=SECOND)


def kinds(image) -> list[int]:
    return [record.kind for record in journal.records(image)]


@pytest.fixture
def pair():
    world = World()
    julius, caesar = world.both()
    return world, julius, caesar


def test_a_recorded_cluster_does_what_another_does():
    plain, recorded = PlainWorld(), World(every=1)
    for world in (plain, recorded):
        julius, _ = world.both()
        assert world.ask(julius, "standby")[0]
        world.kill(CAESAR)
        world.run(60)
    assert plain.nodes[JULIUS].notes == recorded.nodes[JULIUS].notes
    assert plain.nodes[JULIUS].sent == recorded.nodes[JULIUS].sent


def test_a_record_for_each_event_and_letters_for_what_came_of_it(pair):
    world, julius, _ = pair
    image = world.journals[JULIUS][0].images()[-1]
    found = kinds(image)
    assert found[0] == SNAPSHOT
    assert {MESSAGE, TICK, OTHER} <= set(found)
    records = list(journal.records(image))
    assert "".join(record.letters for record in records).count("T") == len(julius.sent)
    assert "".join(record.letters for record in records).count("N") == len(julius.notes)
    assert all((record.digest == NOTHING) == (record.letters == "") for record in records)


def test_the_memory_is_bounded_and_half_of_it_is_past(pair):
    world, _, _ = pair
    kept = world.journals[JULIUS][0]
    world.run(3600 * 10)
    assert kept.problem is None
    assert {len(each) for each in kept.buffers} == {SIZE}
    assert len(kept.images()) > 3
    events = [len(kinds(image)) for image in kept.images()]
    assert min(events[:-1]) > 400
    live = sorted(kept.buffers, key=journal.serial_of)
    lines = journalfile.lines(map(bytes, live), reason="test")
    assert lines[-1]["at"] - lines[1]["at"] >= 1000 * SECOND
    assert [step.trouble for step in replayed(lines) if step.trouble] == []


def test_an_event_that_nobody_answered_is_in_the_record():
    kept = Keeping(cluster(), now=SECOND)

    def broken(event, now):
        raise AssertionError("planted")

    kept.tell(MediumDown("ttyS0", "gone"), SECOND)
    kept._handle = broken
    with pytest.raises(AssertionError, match="planted"):
        kept.tell(Tick(100), 2 * SECOND)
    last = list(journal.records(kept.images()[-1]))[-1]
    assert (last.kind, last.instant, last.digest) == (TICK, 2 * SECOND, UNANSWERED)
    assert kept.lines()[-1] == {"at": 2 * SECOND, "event": "Tick", "wall_s": 100, "digest": None}


def test_a_copy_made_at_any_instant_is_whole(pair):
    """Its end may be in the middle of a record; what is before it counts."""
    world, _, _ = pair
    image = world.journals[JULIUS][0].images()[-1]
    whole = kinds(image)
    used = len(image.rstrip(b"\0"))
    for end in range(0, used, 97):
        torn = image[:end] + bytes(SIZE - end)
        if journal.serial_of(torn):
            found = kinds(torn)
            assert found == whole[: len(found)]
        assert kinds(image[:end]) == whole[: len(kinds(image[:end]))]


def test_nothing_is_left_of_what_a_buffer_held_before(pair):
    world, _, _ = pair
    kept = world.journals[JULIUS][0]
    while kept._serial < 4:
        world.run(600)
    assert not any(kept._buffer[kept._at :])


def test_a_message_that_no_buffer_has_room_for(pair):
    world, julius, caesar = pair
    kept = world.journals[JULIUS][0]
    large = Message([*caesar.sent[-1].items(), ("load", 0, b"x" * (SIZE - 2000))])
    world.deliver(julius, "ttyS0", encode(large, AUTH, "netstring"))
    world.run(30)
    lines = kept.lines()
    assert [line["event"] for line in lines if line.get("event") == "Omitted"] == ["Omitted"]
    steps = replayed(lines)
    assert [step.trouble for step in steps if step.trouble] == []
    assert len(steps) > 10


def test_a_cluster_too_large_to_be_journalled_is_said_and_told():
    kept = Journal(cluster(), buffers(4096), now=SECOND, program="4")
    assert "too large" in kept.problem
    assert kept.tell(Tick(1), 2 * SECOND)
    kept.repeated("ttyS0", 2, 3 * SECOND)
    assert list(journal.records(bytes(kept._buffer))) == []


def test_what_no_snapshot_has_a_word_for_is_said_and_told():
    broken = cluster()
    broken.surprise = object()
    kept = Journal(broken, buffers(), now=SECOND, program="4")
    assert "cannot be journalled" in kept.problem
    assert kept.tell(Tick(1), 2 * SECOND)


def test_a_record_makes_nothing_for_the_collector(pair):
    world, julius, _ = pair
    kept = world.journals[JULIUS][0]
    message = julius.decoders["ttyS0"].feed(encode(world.nodes[CAESAR].sent[-1], AUTH, "netstring"))[0]
    answer = []
    kept._handle = lambda event, now: answer
    kept.tell(message, world.now)  # whatever is made once
    gc.collect()
    gc.disable()
    try:
        before = gc.get_count()[0]
        for _ in range(100):
            kept.tell(message, world.now)
        assert gc.get_count()[0] - before < 10
    finally:
        gc.enable()


# --- recordings: messages that lead to nothing


def recordings(world, count: int) -> list[bytes]:
    """Statuses that caesar has sent, and julius has heard."""
    sent = [message for message in world.nodes[CAESAR].sent if message.type == "status"]
    return [encode(message, AUTH, "netstring") for message in sent[:count]]


def test_recordings_take_little_room_and_each_is_told_again():
    """However often they come, a minute of the past outlives them; and what the core has counted comes out the same."""
    world = World()
    julius, _ = world.both()
    world.run(120)
    kept = world.journals[JULIUS][0]
    kept._begin(world.now)
    before = kept._at
    frames = recordings(world, 5)
    for number in range(2000):
        world.deliver(julius, "ttyS0", frames[number % len(frames)])
    assert len(kept.kept) == 1
    assert (kept._at - before) / 2000 < 30, "octets; a frame alone has 300"
    kept._begin(world.now)
    world.run(60)
    lines = kept.lines()
    assert sum(line.get("event") == "Message" for line in lines) > 2000
    steps = replayed(lines)
    assert [step.trouble for step in steps if step.trouble] == []
    assert sum(isinstance(step.event, Message) for step in steps) > 2000


@pytest.mark.parametrize("every", [3000, SIZE])
def test_what_is_recorded_as_the_place_of_another_is_in_the_same_buffer(every):
    """Buffers begin anew among recordings, heartbeats and their repetitions; it can be told from each snapshot on."""
    world = World(every=every)
    julius, _ = world.both()
    world.run(120)
    for _ in range(20):
        for one in recordings(world, 7):
            world.deliver(julius, "ttyS0", one)
            world.deliver(julius, "ttyS0", one)
        world.run(7)
    kept = world.journals[JULIUS][0]
    found = [kinds(image) for image in kept.images()]
    assert any(AGAIN in each for each in found)
    head, *lines = kept.lines()
    for begin in [number for number, line in enumerate(lines) if "snapshot" in line]:
        assert [step.trouble for step in replayed([head, *lines[begin:]]) if step.trouble] == []


def test_a_buffer_stands_for_no_more_than_a_file_may_hold(monkeypatch):
    world = World()
    julius, _ = world.both()
    world.run(120)
    kept = world.journals[JULIUS][0]
    kept._begin(world.now)
    monkeypatch.setattr(journal, "AGAIN_OCTETS", 3000)
    (one,) = recordings(world, 1)
    for _ in range(100):
        world.deliver(julius, "ttyS0", one)
    found = kinds(kept.images()[-1])
    assert 2500 < found.count(AGAIN) * len(one) < 4000
    assert found.count(MESSAGE) > 50
    assert [step.trouble for step in replayed(kept.lines()) if step.trouble] == []


# --- repetitions: the core hears them by their octets alone


@pytest.mark.parametrize("every", [SIZE, 1])
def test_repetitions_are_one_record_and_told_one_by_one(every):
    """caesar beats four times between two beats of julius, on two media; the frames of one come later."""
    world = World(every=every)
    media = ("ttyS0", "eth0")
    world.boot(JULIUS, media=media)
    caesar = world.boot(CAESAR, media=media, keepalive_ns=SECOND)
    deliver = world.deliver

    def late(receiver, medium, frame):
        if medium == "eth0":
            world.later(SECOND // 10, lambda: deliver(receiver, medium, frame))
        else:
            deliver(receiver, medium, frame)

    world.deliver = late
    world.run(120)
    kept = world.journals[JULIUS][0]
    lines = kept.lines()
    repeated = [line for line in lines if line.get("event") == "Repeated"]
    assert {line["medium"] for line in repeated} == set(media)
    assert sum(line["count"] for line in repeated) > 100
    assert max(line["count"] for line in repeated) > 3
    world.cut.add((CAESAR, JULIUS, "ttyS0"))  # whose link dies first depends on when each was heard last
    world.run(40.55)
    world.kill(CAESAR)
    world.run(60)
    assert len(caesar.sent) > 100
    steps = replayed(kept.lines())
    assert [(step.number, step.trouble) for step in steps if step.trouble] == []
    assert sum("dead" in str(getattr(action, "text", "")) for step in steps for action in step.actions) == 3


def test_a_repetition_takes_little_room():
    world = World()
    world.both()
    world.run(120)
    kept = world.journals[JULIUS][0]
    before, number = kept._at, len(kept.lines())
    world.run(100)
    events = len(kept.lines()) - number
    assert events >= 40
    assert (kept._at - before) / events < 80, "octets; a frame alone has 300"


def test_answers_of_ping_nodes_are_told_again_and_cost_little():
    world = World(every=4000)
    julius = world.boot(JULIUS, ping_nodes=("10.0.0.9", "gateways"), deadping_ns=20 * SECOND, ipfail=True)
    for name in ("10.0.0.9", "gateways", "10.0.0.9") * 50:
        julius.tell(PingAnswer(name))
        world.run(1)
    (kept,) = world.journals[JULIUS]
    told = [step.event.node for step in replayed(kept.lines()) if isinstance(step.event, PingAnswer)]
    assert told == ["10.0.0.9", "gateways", "10.0.0.9"] * 50
    assert [step.trouble for step in replayed(kept.lines()) if step.trouble] == []
    assert len(kept._answers) <= 2


def watch_of(kept, *media):
    """What is lent of a journal, None: nothing."""
    watch = SimpleNamespace(ends=[SimpleNamespace(medium=medium, place=0) for medium in media])
    return watch if kept.lend(watch, 7) else None


def place(kept, medium):
    """(kind, type of the message) where its repetitions are said to be of."""
    at = watch_of(kept, medium).ends[0].place
    [found] = [each for each in journal.records(kept.images()[-1]) if each.at == at]
    name, _, octets = journal.message_in(found.body)
    assert name == medium
    return found.kind, Decoder(medium, None, stream=False).feed(octets)[0].type


def test_who_goes_on_with_it_knows_where_the_newest_status_is(pair):
    world, _, _ = pair
    kept = world.journals[JULIUS][0]
    medium = next(iter(kept._newest))
    assert place(kept, medium) == (MESSAGE, "status")
    kept._begin(world.now)
    assert place(kept, medium) == (FRAME, "status")  # it is brought along
    assert watch_of(kept, medium).at == watch_of(kept, medium).at  # once
    assert watch_of(kept, "eth9") is None


def test_what_another_has_written_is_in_it(pair):
    world, _, _ = pair
    kept = world.journals[JULIUS][0]
    watch = watch_of(kept)
    watch.at += 1
    kept.take_back(watch, world.now)
    assert watch_of(kept).at == watch.at
    serial = journal.serial_of(kept.images()[-1])
    watch.at = watch.half + 1
    kept.take_back(watch, world.now)
    assert journal.serial_of(kept.images()[-1]) == serial + 1
    assert watch_of(kept).at < watch.at


def test_nothing_is_written_where_nothing_is_kept():
    kept = Journal(cluster(), [], now=SECOND, program="")
    watch = watch_of(kept, "eth0")
    assert watch.journal is None
    kept.take_back(watch, SECOND)
