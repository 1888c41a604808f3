"""Mixed pairs talk over every kind of medium, signed by every method: here each medium, each method and either place of
ours. `sh scripts/interop --conversations` has all of the table, and five hundred messages each way."""

import pytest
from interop.conversation import converse, settings
from interop.setting import LONG, METHODS, ORDERS, TOGETHER

MESSAGES = 80
# of thirty; the next has the next medium, and another method or order
FEW = settings()[:: len(METHODS) * len(ORDERS) + 1]


def test_there_is_one_of_each():
    assert len(set(map(str, settings()))) == len(TOGETHER) * len(METHODS) * len(ORDERS)
    assert [each.media for each in FEW] == list(TOGETHER)
    assert {each.method for each in FEW} == set(METHODS)
    assert {each.programs for each in FEW} == set(ORDERS)


@pytest.mark.parametrize("setting", settings() if LONG else FEW, ids=str)
def test_a_mixed_pair_talks_and_nothing_is_lost_refused_or_held_back(originals, setting):
    made = converse(setting, MESSAGES)
    assert made.right, made.story()
