"""The table of scenarios in itself: that it can be played, and that its planned moves follow one rule."""

import pytest
from interop.pair import ACTIONS, LETTERS, Pair
from interop.scenarios import AT_HOME, OFF, SCENARIOS, WAYS
from interop.setting import FAILBACKS, NODES, Setting

PLANNED = [each for each in SCENARIOS if each.steps[0].action.startswith(("standby ", "takeover "))]
# whose group is the first, and the second
PREFERRED = "jc"


def moved(state: str, action: str) -> str:
    """Who stands by gives its groups of the set to the other, and who takes over takes those of its set: `local` are
    the groups that prefer the node that is asked, `foreign` the others. Who already has them keeps them."""
    word, node, groups = action.split()
    asked = LETTERS[node]
    to = asked if word == "takeover" else LETTERS[Pair.other(node)]
    others = PREFERRED.replace(asked, "")
    wanted = {"all": PREFERRED, "local": asked, "foreign": others, "failback": others}
    return "".join(to if prefers in wanted[groups] else has for prefers, has in zip(PREFERRED, state, strict=True))


@pytest.mark.parametrize("scenario", PLANNED, ids=lambda each: each.name)
def test_a_planned_move_follows_the_rule(scenario):
    (step,) = scenario.steps
    assert step.on == step.off == moved(scenario.start, step.action)


def test_every_set_is_asked_of_either_node_and_moves_something():
    effective = {each.steps[0].action for each in PLANNED if each.steps[0].on != each.start}
    wanted = {f"standby {node} {groups}" for node in NODES for groups in ("all", "local", "foreign", "failback")}
    wanted |= {f"takeover {node} {groups}" for node in NODES for groups in ("all", "local", "foreign")}
    assert effective == wanted


def test_every_scenario_can_be_begun():
    starts = {each.start for each in SCENARIOS} - {OFF}
    assert all((AT_HOME, start) in WAYS for start in starts - {AT_HOME})
    assert all(moved(before, action) == after for (before, after), action in WAYS.items())


def test_names_and_actions_are_what_they_should_be():
    names = [each.name for each in SCENARIOS]
    assert len(set(names)) == len(names)
    steps = [step for each in SCENARIOS for step in each.steps]
    assert {step.action.split()[0] for step in steps} <= set(ACTIONS)
    for step in steps:
        for state in (step.on, step.off, *(step.ours or ()), *(step.mixed or ())):
            assert len(state) == 2
            assert set(state) <= set("jc-+o" if state in (step.mixed or ()) else "jc-+")
    assert {failback for each in SCENARIOS for failback in each.failbacks} <= set(FAILBACKS)


def test_both_nodes_have_the_same_files_and_the_second_address_names_its_interface():
    files = Setting(media=("serial", "ucast"), groups=2).files()
    assert "serial /dev/ttyS0\nucast eth0 10.0.0.2\nucast eth0 10.0.0.3\n" in files.ha_cf
    assert files.haresources.splitlines() == [
        "julius 10.0.0.254 IPaddr::1.1.1.254/24/eth1", "caesar 10.0.0.253 IPaddr::1.1.1.253/24/eth1",
    ]  # fmt: skip
