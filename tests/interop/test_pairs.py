"""Pairs of real daemons: that originals do what the table says, and that mixed pairs do the same.

`sh scripts/interop` plays all of the table with all settings; here are settings that cover each other (`cover`), each
scenario on one of them.
"""

import os
from pathlib import Path

import pytest
from interop.cover import settings, shared_out
from interop.pair import playing
from interop.program import ORIGINAL
from interop.scenarios import SCENARIOS
from interop.setting import NODES, Setting
from interop.trial import Trial
from system.play import until

SHORT = ("both boot at once", "standby julius all", "takeover julius local", "power failure of julius, return")
SHARES = shared_out(settings())


def test_a_pair_of_originals_ends_as_the_table_says(originals):
    with playing(Setting(failback="on")) as pair:
        outcomes = list(Trial(pair).play(each for each in SCENARIOS if each.name in SHORT))
        assert [made.story() for made in outcomes if not made.right] == []
        assert pair.links_up()
    assert len(outcomes) == len(SHORT) + 1


def two_ms(made):
    """The longest time in which both had an address, but for what may be: while every medium is cut, until that is
    healed; and what an original that was killed has left is as it is left. What ours leaves then stands in its kernel,
    and answers nobody."""
    if made.scenario == "all media are cut and healed":
        return 0
    if made.scenario.startswith("kill -9 of "):
        killed = made.scenario.split()[3].rstrip(",")
        return 0 if made.setting.programs[NODES.index(killed)] == ORIGINAL else made.both_answer_ms
    return max(made.both_ms, made.both_answer_ms)


@pytest.mark.parametrize("setting", SHARES, ids=str)
def test_a_mixed_pair_ends_as_a_pair_of_originals(originals, setting):
    """And at no instant have both an address."""
    with playing(setting) as pair:
        outcomes = list(Trial(pair).play(SHARES[setting]))
        assert [made.story() for made in outcomes if not made.right] == []
    assert len(outcomes) == sum(len(each.steps) for each in SHARES[setting])
    assert [made.story() for made in outcomes if two_ms(made)] == []


def test_nothing_is_left_of_a_pair_whose_test_has_failed(originals):
    left: list[Path] = []

    def fail():
        with playing(Setting(media=("serial", "ucast"))) as pair:
            pair.do("start julius caesar")
            until(lambda: all(node.processes() for node in pair.nodes.values()), 20, "both daemons")
            pids = [pid for node in pair.nodes.values() for pid in node.processes()]
            left.extend([pair.world.folder, *(Path(f"/proc/{pid}") for pid in pids)])
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert [path for path in left if path.exists()] == []
    mounted = Path("/proc/self/mounts").read_text()
    assert str(left[0]) not in mounted
    assert not os.path.exists("/run/heartbeat/register")
