"""What bounds the core's memory and its log, and what ends it: a bug of our own."""

import pytest
from pair import AUTH, CAESAR, JULIUS, World

from _hbfast.codec import Message, encode
from heartbeat.core.history import History
from heartbeat.core.outbox import Tally
from heartbeat.core.reception import WARNINGS
from heartbeat.core.timers import Timers


@pytest.fixture
def world() -> World:
    return World()


def test_any_number_of_strangers_fills_neither_memory_nor_log_nor_status(world):
    julius, _ = world.both()
    notes = len(julius.notes)
    strangers = 10 * Tally.LIMIT
    for number in range(strangers):
        fields = {"t": "status", "src": f"stranger{number}", "hg": "1", "seq": "1", "ts": "1"}
        message = Message([(name, 0, text.encode()) for name, text in fields.items()])
        world.deliver(julius, "ttyS0", encode(message, AUTH, "netstring"))
    counts = julius.view().counts
    assert sum(counts.values()) == strangers
    assert len(counts) == Tally.LIMIT + 1
    assert counts["other causes"] == strangers - Tally.LIMIT
    assert len(julius.view().warnings) == WARNINGS
    assert len(julius.notes) - notes < Tally.LIMIT + 12  # of what is counted together: at 1, 2, 4, 8, … 512


def test_a_node_that_hears_itself_says_nothing_of_it(world):
    """As on a broadcast medium. Another one of its name, it does."""
    julius, _ = world.both()
    before = julius.view().counts, len(julius.notes), len(julius.sent)
    for message in list(julius.sent):
        world.deliver(julius, "ttyS0", encode(message, AUTH, "netstring"))
    assert (julius.view().counts, len(julius.notes), len(julius.sent)) == before
    fields = {"hg": b"1"}
    again = Message([(name, digit, fields.get(name, value)) for name, digit, value in julius.sent[-1].items()])
    world.deliver(julius, "ttyS0", encode(again, AUTH, "netstring"))
    assert julius.view().counts == {"another node on medium ttyS0 calls itself julius": 1}


def test_a_number_that_does_not_follow_is_our_own_bug():
    history = History()
    history.add(1, [Message([])])
    with pytest.raises(AssertionError, match="3 does not follow"):
        history.add(3, [Message([])])


def test_a_timer_that_another_has_freed_in_its_instant_does_not_fire():
    timers = Timers(0)
    fired = []
    first = timers.new(lambda now: (fired.append("first"), timers.free(second)))
    second = timers.new(lambda now: fired.append("second"))
    timers.arm(first, 5)
    timers.arm(second, 5)
    timers.call(timers.wheel.due(5), 5)
    assert fired == ["first"]
    assert timers.next_due() is None
    assert timers.new(fired.append) == second, "its key is free for others"


@pytest.mark.parametrize("name", [JULIUS, CAESAR])
def test_a_peer_that_has_left_and_says_so_again_has_left(world, name):
    """Its last word comes by a second medium, or as a recording."""
    julius, caesar = world.both()
    leaver, other = (julius, caesar) if name == JULIUS else (caesar, julius)
    world.ask(leaver, "stop")
    world.run(3)
    last = next(message for message in leaver.sent if message.type == "shutdone")
    runs, notes = len(other.runs), len(other.notes)
    for _ in range(3):
        world.deliver(other, "ttyS0", encode(last, AUTH, "netstring"))
    assert other.view().nodes[name].status == "dead"
    assert (len(other.runs), len(other.notes)) == (runs, notes)
