"""That the few settings stand for all, and that no scenario is left out."""

import itertools

from interop.cover import PARAMETERS, covering, settings, shared_out
from interop.scenarios import SCENARIOS
from interop.setting import MEDIA, METHODS, VERSION_6


def test_every_value_meets_every_other():
    rows = covering(PARAMETERS)
    for one, other in itertools.combinations(range(len(PARAMETERS)), 2):
        values = list(PARAMETERS.values())
        assert {(row[one], row[other]) for row in rows} == set(itertools.product(values[one], values[other]))


def test_they_are_few():
    """No cover has fewer than the two longest parameters have pairs."""
    longest, second, *_ = sorted(map(len, PARAMETERS.values()), reverse=True)
    assert longest * second <= len(covering(PARAMETERS)) <= longest * second + 3
    assert len(set(settings())) == len(settings())


def test_each_scenario_is_played_once_where_it_suits():
    shares = shared_out(settings())
    assert sorted(each.name for share in shares.values() for each in share) == sorted(each.name for each in SCENARIOS)
    assert all(scenario.suits(setting) for setting, share in shares.items() for scenario in share)


def test_all_media_and_methods_are_parameters():
    assert {medium for media in PARAMETERS["media"] for medium in media} == set(MEDIA) - set(VERSION_6)
    assert set(PARAMETERS["method"]) == set(METHODS)
