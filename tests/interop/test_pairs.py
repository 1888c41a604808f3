"""Pairs of real daemons: that originals do what the table says, and mixed pairs too.

`sh scripts/interop` plays all of the table with all settings; here are a few minutes of it.
"""

import os
from pathlib import Path

import pytest
from interop.pair import playing
from interop.program import ORIGINAL, OURS
from interop.scenarios import SCENARIOS
from interop.setting import Setting
from interop.trial import Trial
from system.play import until

SHORT = ("both boot at once", "standby julius all", "takeover julius local", "power failure of julius, return")


def chosen(*names):
    found = [each for each in SCENARIOS if each.name in names]
    assert len(found) == len(names)
    return found


@pytest.mark.parametrize(
    "setting",
    [Setting(media=("ucast",), failback="on"), Setting(media=("serial",), method="md5", failback="off", groups=1)],
    ids=str,
)
def test_a_pair_of_originals_ends_as_the_table_says(originals, setting):
    with playing(setting) as pair:
        outcomes = list(Trial(pair).play(chosen(*SHORT)))
        assert [made.story() for made in outcomes if not made.right] == []
        assert pair.links_up()
    assert len(outcomes) == len(SHORT) + 1


@pytest.mark.parametrize(
    "setting",
    [
        Setting(OURS, ORIGINAL, media=("ucast",), failback="on"),
        Setting(ORIGINAL, OURS, media=("serial",), method="md5", failback="off", groups=1),
    ],
    ids=str,
)
def test_a_mixed_pair_ends_as_a_pair_of_originals(originals, setting):
    """And at no instant have both an address."""
    with playing(setting) as pair:
        outcomes = list(Trial(pair).play(chosen(*SHORT)))
        assert [made.story() for made in outcomes if not made.right] == []
        assert pair.links_up()
    assert len(outcomes) == len(SHORT) + 1
    assert [made.story() for made in outcomes if made.both_ms or made.both_answer_ms] == []


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
