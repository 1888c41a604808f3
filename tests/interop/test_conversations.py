"""Mixed pairs talk over every kind of medium, signed by every method. `sh scripts/interop --conversations` has all of
the table, and five hundred messages each way."""

from itertools import product

import pytest
from interop.conversation import MEDIA, converse, covering, settings
from interop.program import PROGRAMS
from interop.setting import METHODS

MESSAGES = 80


def test_every_medium_meets_every_method_and_either_place_and_every_method_either_place():
    made = covering()
    assert {(each.media, each.method) for each in made} == set(product(MEDIA, METHODS))
    first = [each.julius.name for each in made]
    assert {(each.media, name) for each, name in zip(made, first, strict=True)} == set(product(MEDIA, PROGRAMS))
    assert {(each.method, name) for each, name in zip(made, first, strict=True)} == set(product(METHODS, PROGRAMS))
    assert len(set(map(str, settings()))) == 30


@pytest.mark.parametrize("setting", covering(), ids=str)
def test_a_mixed_pair_talks_and_nothing_is_lost_refused_or_held_back(originals, setting):
    made = converse(setting, MESSAGES)
    assert made.right, made.story()
