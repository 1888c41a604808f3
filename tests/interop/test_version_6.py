"""Mixed pairs whose only medium is of IPv6, each medium with ours at either place."""

import pytest
from interop.pair import playing
from interop.scenarios import SCENARIOS
from interop.setting import LONG, ORDERS, VERSION_6, Setting
from interop.trial import Trial

PLAYED = ("both boot at once", "takeover caesar all", "power failure of julius, return")
EVERY = [Setting(*order, media=(medium,), failback="on") for medium in VERSION_6 for order in ORDERS]


@pytest.mark.parametrize("setting", EVERY if LONG else [EVERY[0], EVERY[3]], ids=str)
def test_a_mixed_pair_on_ipv6(originals, setting):
    """It ends as a pair of originals; at no instant have both an address, and each says that it hears the other."""
    with playing(setting) as pair:
        trial = Trial(pair)
        outcomes = list(trial.play(each for each in SCENARIOS if each.name in PLAYED))
        assert [made.story() for made in outcomes if not made.right] == []
        assert {made.links for made in outcomes if "power-off" not in made.action} == {"up"}
        assert pair.links_up()
    assert len(outcomes) == len(PLAYED) + 1
    assert [made.story() for made in outcomes if made.both_ms or made.both_answer_ms] == []
