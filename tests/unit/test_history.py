"""Sent messages, kept for retransmission."""

from _hbfast.codec import Message
from heartbeat.core.history import LIMIT, TOO_LOW, History

QUIET = 240


def message(number: int) -> Message:
    return Message([("seq", 0, b"%x" % number)])


def filled(count: int) -> History:
    history = History()
    for number in range(1, count + 1):
        history.add(number, [message(number)])
    return history


def test_what_was_sent_is_found_once_in_a_while():
    history = filled(3)
    assert history.find(2, 1000, QUIET) == message(2)
    assert history.find(2, 1000 + QUIET - 1, QUIET) is None
    assert history.find(2, 1000 + QUIET, QUIET) == message(2)
    assert history.find(4, 1000, QUIET) is None


def test_acknowledged_messages_are_gone():
    history = filled(10)
    history.acknowledged(4)
    assert history.find(4, 0, QUIET) is None
    assert history.find(5, 0, QUIET) == message(5)
    history.acknowledged(3)
    assert len(history) == 6
    history.acknowledged(10)
    history.add(11, [message(11)])
    assert history.find(11, 0, QUIET) == message(11)


def test_the_newest_five_hundred_are_kept():
    history = filled(LIMIT + 20)
    assert len(history) == LIMIT == 500
    assert history.find(20, 0, QUIET) == TOO_LOW
    assert history.find(21, 0, QUIET) == message(21)
