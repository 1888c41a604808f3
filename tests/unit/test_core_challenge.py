"""Nonces: only the answer to the question that is open now proves anything."""

import pytest
from pair import CAESAR, JULIUS, SEED_GROUP, World

from _hbfast.codec import Message
from heartbeat.core.bulletin import parse
from heartbeat.core.challenge import Challenge
from heartbeat.core.events import LeaseLapsed
from heartbeat.core.sequence import Random

KEY = SEED_GROUP.key


@pytest.fixture
def challenge() -> Challenge:
    return Challenge(Random(7))


def said(words: str):
    return parse(f"1 00000000 00000000 0 s {words}".rstrip())


def test_only_the_open_question_is_answered(challenge):
    assert not challenge.answered(said("")), "nothing is asked, and nothing answered"
    challenge.ask()
    first = challenge.nonce
    assert challenge.answered(said(f"!{first}"))
    assert not challenge.answered(said(""))
    assert not challenge.answered(said(f"?{first}"))
    challenge.ask()
    assert challenge.nonce != first
    assert not challenge.answered(said(f"!{first}"))


def test_a_question_wants_an_answer_at_once_and_only_once(challenge):
    assert not challenge.asked(said(""))
    assert challenge.asked(said("?0123456789abcdef"))
    assert challenge.answer == "0123456789abcdef"
    assert not challenge.asked(said("?0123456789abcdef"))
    assert challenge.asked(said("?1123456789abcdef"))
    assert not challenge.asked(said(""))
    assert challenge.answer == ""


def test_what_answered_the_last_stall_does_not_answer_this_one():
    """The peer's answer of a minute ago, in a status that nobody has heard yet."""
    world = World()
    julius, caesar = world.both()
    julius.tell(LeaseLapsed())
    asked = next(w for w in julius.sent[-1].get("ext").split() if w.startswith("?"))
    world.run(1)
    assert julius.holding == (KEY,)
    world.run(60)
    world.cut = {(CAESAR, JULIUS, "ttyS0")}
    julius.tell(LeaseLapsed())
    answer = next(message for message in caesar.sent if f"!{asked[1:]}" in (message.get("ext") or ""))
    number = julius.cluster._membership.peers[CAESAR].tracker.last + 1
    fields = {"seq": b"%x" % number, "ts": b"5f3759df"}
    julius.tell(Message([(name, digit, fields.get(name, value)) for name, digit, value in answer.items()]))
    assert julius.holding == ()
    world.cut = set()
    world.run(6)
    assert julius.holding == (KEY,)
