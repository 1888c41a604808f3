"""This node's own status, said again without anybody being asked."""

import pytest

from _hbfast.codec import Beat, Message
from _hbfast.wheel import TimerWheel

MS = 1_000_000
TIMER, TRIGGERED, ANOTHER = range(3)
STATUS = Message([("t", 0, b"status"), ("seq", 0, b"5"), ("ts", 0, b"64"), ("ttl", 0, b"3")])


class Speaker:
    """Has said number 5 at 0, and beats every 100 ms."""

    def __init__(self):
        self.wheel = TimerWheel(4, 0)
        self.beat = Beat(self.wheel, TIMER, TRIGGERED)
        self.beat.ends = 1000 * MS
        self.beat.length_ns = 1000 * MS
        self.wheel.arm(TIMER, 100 * MS)
        self.beat.follow(STATUS, 5, 0, 100 * MS, 100 * MS)

    def again(self, now_ms, ts=0x65):
        """The number and `ts` of what was said, None for nothing."""
        message = self.beat.again(now_ms * MS, ts)
        return message and (message.sequence, message.get("ts"))


@pytest.fixture
def speaker():
    return Speaker()


def test_the_status_is_said_under_its_next_number(speaker):
    assert speaker.again(100) == (6, "65")
    assert speaker.again(201, 0x66) == (7, "66")
    said = speaker.beat.taken()
    assert [message.items() for message in said] == [
        (("t", 0, b"status"), ("seq", 0, number), ("ts", 0, ts), ("ttl", 0, b"3"))
        for number, ts in ((b"6", b"65"), (b"7", b"66"))
    ]
    assert (speaker.beat.last_ns, speaker.beat.ts, speaker.beat.next_ns) == (201 * MS, 0x66, 300 * MS)
    assert speaker.beat.taken() == []
    assert speaker.again(300) == (8, "65")


def test_there_is_something_to_say_until_it_is_stopped(speaker):
    assert speaker.beat.follows
    assert speaker.again(100) == (6, "65")
    speaker.beat.stop()
    assert not speaker.beat.follows
    assert speaker.again(200) is None
    assert [message.sequence for message in speaker.beat.taken()] == [6]


def test_what_was_said_of_one_status_is_kept_when_another_follows(speaker):
    assert speaker.again(100) == (6, "65")
    other = Message([("t", 0, b"other"), ("seq", 0, b"9"), ("ts", 0, b"64")])
    speaker.beat.follow(other, 9, 110 * MS, 200 * MS, 100 * MS)
    assert speaker.again(200) == (10, "65")
    assert [(message.type, message.sequence) for message in speaker.beat.taken()] == [("status", 6), ("other", 10)]


def test_it_has_a_ts(speaker):
    assert speaker.again(100, 0) == (6, "1")
    assert speaker.beat.ts == 0


def test_it_keeps_to_its_grid_but_after_a_stall(speaker):
    speaker.again(130)
    assert speaker.wheel.next_due() == speaker.beat.next_ns == 200 * MS
    assert speaker.again(300) == (7, "65")
    assert speaker.wheel.next_due() == 400 * MS


def test_not_before_its_time(speaker):
    assert speaker.again(99) is None
    assert speaker.wheel.next_due() == 100 * MS
    assert speaker.again(100) is not None


def test_not_where_more_is_due(speaker):
    speaker.wheel.arm(ANOTHER, 90 * MS)
    assert speaker.again(100) is None
    # nothing has happened: both are due still
    assert speaker.wheel.next_due() == 90 * MS
    assert speaker.wheel.due(100 * MS) == [ANOTHER, TIMER]


def test_not_where_another_is_due(speaker):
    speaker.wheel.arm(ANOTHER, 90 * MS)
    assert speaker.again(95) is None
    assert speaker.wheel.due(95 * MS) == [ANOTHER]


def test_one_that_was_to_come_soon_need_not(speaker):
    speaker.wheel.arm(TRIGGERED, 110 * MS)
    assert speaker.again(100) is not None
    assert speaker.wheel.next_due() == 200 * MS


def test_not_after_a_stall(speaker):
    assert speaker.again(201) is None
    assert speaker.again(200) is not None


def test_not_after_the_leases_end(speaker):
    speaker.beat.length_ns = 90 * MS
    assert speaker.again(100) is not None
    assert speaker.beat.ends == 190 * MS
    assert speaker.again(200) is None
    speaker.beat.ends = 200 * MS
    assert speaker.again(200) is not None


def test_time_does_not_go_back(speaker):
    speaker.beat.follow(STATUS, 5, 150 * MS, 100 * MS, 100 * MS)
    assert speaker.again(149) is None
    assert speaker.again(150) is not None


def test_not_where_nobody_takes_what_was_said(speaker):
    speaker.beat.length_ns = 10_000 * MS
    assert all(speaker.again(100 * number) for number in range(1, 257))
    assert speaker.again(25_700) is None
    assert len(speaker.beat.taken()) == 256
    assert speaker.again(25_700) == (262, "65")


def test_not_once_it_has_stopped(speaker):
    speaker.beat.stop()
    assert speaker.again(100) is None
    assert speaker.wheel.next_due() == 100 * MS


@pytest.mark.parametrize("keys", [(-1, 0), (0, -1), (4, 0), (0, 4)])
def test_its_timers_are_some(keys):
    with pytest.raises(IndexError, match="not 0 to 3"):
        Beat(TimerWheel(4, 0), *keys)
