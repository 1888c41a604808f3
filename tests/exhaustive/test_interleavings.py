"""All orders in which a pair's start and its hand-overs can happen, with losses and deaths in between.

Each scene says how many states it has met, and how deep. HEARTBEAT_TEST_LONG=1 takes about a minute for each.
"""

from __future__ import annotations

import os

import pytest
from exhaustive.copies import use_plain_parts
from exhaustive.explorer import Explorer, Result
from exhaustive.moment import ADDRESSES, GROUPS, Faults, Moment
from pair import CAESAR, JULIUS

from heartbeat.core.settings import Group

LONG = os.environ.get("HEARTBEAT_TEST_LONG") == "1"
STATES = 8_000 if LONG else 200
ONE, TWO = ("ttyS0",), ("ttyS0", "eth0")


@pytest.fixture(autouse=True)
def _plain_parts(monkeypatch):
    use_plain_parts(monkeypatch)


def both_start(media: tuple[str, ...], faults: Faults) -> Moment:
    """julius first; caesar at any moment after."""
    moment = Moment(media=media, faults=faults)
    moment.born(JULIUS, 100)
    moment.unborn = (CAESAR,)
    return moment


def settled(
    media: tuple[str, ...], faults: Faults, *wishes: tuple[str, str, str], groups: tuple[Group, ...] = GROUPS
) -> Moment:
    """A pair that is well, and what its operators will ask in the next moments."""
    moment = Moment(media=media, faults=faults, groups=groups)
    moment.born(JULIUS, 100)
    moment.born(CAESAR, 101)
    moment.calm_down(set())
    moment.faults = faults
    moment.wishes = wishes
    return moment


def explore(capsys, moment: Moment) -> None:
    every = Explorer(moment.copy(), STATES).explore()
    astray = Explorer(moment, STATES).stray()
    with capsys.disabled():
        print(f"\n{every.visited} states to depth {every.depth}{whole(every)}", end="; ")
        print(f"{astray.visited} by up to {astray.depth} strays{whole(astray)}", end="; ")
        print(f"{every.calm + astray.calm} from there to the end", end=" ")
    assert every.complete or every.depth >= 4
    assert astray.complete or astray.depth >= 1


def whole(found: Result) -> str:
    return ", which are all" if found.complete else ""


FAULTS = {
    "no": Faults(),
    "one message lost": Faults(losses=1),
    "two messages lost": Faults(losses=2),
    "one agent fails": Faults(failures=1),
    "one dies": Faults(deaths=1),
    "one dies and returns": Faults(deaths=1, restarts=1),
}


@pytest.mark.parametrize("faults", ["no", "one message lost", "one dies and returns"])
@pytest.mark.parametrize("media", [ONE, TWO], ids=len)
def test_both_start(capsys, media, faults):
    explore(capsys, both_start(media, FAULTS[faults]))


HERE, BACK, THERE = (JULIUS, "standby", "all"), (CAESAR, "standby", "all"), (CAESAR, "takeover", "all")


@pytest.mark.parametrize("faults", FAULTS)
@pytest.mark.parametrize(
    "asked", [(HERE,), (HERE, BACK), (HERE, THERE), (THERE,)],
    ids=["standby", "standby on both", "standby and takeover", "takeover"],
)  # fmt: skip
def test_hand_overs(capsys, asked, faults):
    explore(capsys, settled(ONE, FAULTS[faults], *asked))


STOP = (JULIUS, "stop", "")


@pytest.mark.parametrize("faults", FAULTS)
@pytest.mark.parametrize(
    "asked", [(HERE,), (HERE, BACK), (STOP,), (STOP, THERE)],
    ids=["standby", "standby on both", "stop", "stop and takeover"],
)  # fmt: skip
def test_what_may_be_on_both(capsys, asked, faults):
    """A group of addresses is made before it is broken, beside one that is not."""
    explore(capsys, settled(ONE, FAULTS[faults], *asked, groups=ADDRESSES))


@pytest.mark.parametrize("faults", ["no", "one message lost"])
def test_a_hand_over_by_two_media(capsys, faults):
    explore(capsys, settled(TWO, FAULTS[faults], HERE))
