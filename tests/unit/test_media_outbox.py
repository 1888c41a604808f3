"""Frames that wait for a slow line: order, replacement, limits."""

from hypothesis import given
from hypothesis import strategies as st

from heartbeat.core.actions import NORMAL, STATUS, URGENT
from heartbeat.media.outbox import STATUS_OVERTAKEN_FRAMES, WAITING_FRAMES, WAITING_OCTETS, Outbox


def drained(outbox):
    frames = []
    while outbox:
        frames.append(outbox.take())
    assert outbox.take() is None
    return frames


def test_urgent_goes_first_and_of_normal_one_before_a_status():
    outbox = Outbox()
    for frame, priority in [(b"s", STATUS), (b"n1", NORMAL), (b"u1", URGENT), (b"n2", NORMAL), (b"u2", URGENT)]:
        outbox.put(frame, priority)
    assert drained(outbox) == [b"u1", b"u2", b"n1", b"s", b"n2"]
    assert outbox.dropped == 0


def test_the_newest_status_replaces_the_one_that_waits():
    outbox = Outbox()
    for frame in (b"s1", b"s2", b"s3"):
        outbox.put(frame, STATUS)
    assert outbox.dropped == 2
    assert drained(outbox) == [b"s3"]


def test_a_burst_cannot_silence_the_heartbeat():
    outbox = Outbox()
    outbox.put(b"s", STATUS)
    for _ in range(3 * STATUS_OVERTAKEN_FRAMES):
        outbox.put(b"n", NORMAL)
    assert drained(outbox).index(b"s") == STATUS_OVERTAKEN_FRAMES


def test_a_replaced_status_keeps_its_predecessors_turn():
    outbox = Outbox()
    outbox.put(b"s1", STATUS)
    sent = []
    for number in range(STATUS_OVERTAKEN_FRAMES + 1):
        outbox.put(b"n", NORMAL)
        outbox.put(b"s%d" % number, STATUS)
        sent.append(outbox.take())
    assert sent[-1] == b"s%d" % STATUS_OVERTAKEN_FRAMES


def test_too_many_frames_push_out_the_oldest_of_their_class():
    outbox = Outbox()
    outbox.put(b"u", URGENT)
    for number in range(WAITING_FRAMES + 3):
        outbox.put(b"%d" % number, NORMAL)
    assert outbox.dropped == 3
    assert drained(outbox) == [b"u", *(b"%d" % number for number in range(3, WAITING_FRAMES + 3))]


def test_too_many_octets_push_out_the_oldest_of_their_class():
    outbox = Outbox()
    outbox.put(b"small", URGENT)
    outbox.put(bytes(WAITING_OCTETS), URGENT)
    assert outbox.dropped == 1
    assert drained(outbox) == [bytes(WAITING_OCTETS)]


def test_a_frame_larger_than_any_message_is_dropped_alone():
    outbox = Outbox()
    outbox.put(b"n", NORMAL)
    outbox.put(bytes(WAITING_OCTETS + 1), NORMAL)
    assert outbox.dropped == 1
    assert drained(outbox) == [b"n"]


@given(st.lists(st.one_of(st.none(), st.tuples(st.sampled_from([STATUS, NORMAL, URGENT]), st.integers(0, 90_000)))))
def test_every_frame_is_either_taken_or_counted_once_and_the_limits_hold(steps):
    outbox = Outbox()
    put = taken = 0
    for step in steps:
        if step is None:
            taken += outbox.take() is not None
        else:
            priority, size = step
            outbox.put(bytes(size), priority)
            put += 1
        waiting = put - taken - outbox.dropped
        assert 0 <= waiting <= 2 * WAITING_FRAMES + 1
        assert bool(outbox) == (waiting > 0)
    outbox.clear()
    assert put == taken + outbox.dropped
    assert not outbox
