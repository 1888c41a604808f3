"""Agents that misbehave: a fault of theirs waits for a run and counts when one meets it; and how long they may keep a
pair from converging."""

import pytest

from heartbeat.core.settings import SECOND
from heartbeat.sim.agents import Agents
from heartbeat.sim.faults import UNMET_NS, Fault, Faults
from heartbeat.sim.life import Life
from heartbeat.sim.script import Script
from simulation.test_audits import options

KEY = "service0"


@pytest.fixture
def play():
    """julius holds one script."""
    pair = Script(media=("eth0",), groups={"julius": KEY}, script_s=1)
    pair.boot()
    pair.until_stable()
    pair.run(12)
    return pair


def up(play):
    return [node.name for node in play.world.nodes if play.resource(KEY) in node.machine.up]


def struck(play, what, *, node=0, moved=False, for_s=1):
    """An agent's fault begins now."""
    at = play.world.now // 2 * 2 + moved
    faults = Faults(play.world, [Fault("agent", at, for_s * SECOND, node, what=what)])
    play.run(0.001)
    return faults


def test_a_trouble_waits_for_a_run_and_counts_then(play):
    faults = struck(play, "start fails")
    play.run(100)
    assert faults.counts == {}
    play.ask("julius", "standby")
    assert faults.counts == {}
    play.ask("julius", "takeover")
    play.until(lambda: faults.counts == {"agent": 1}, "a start that fails", 200)
    play.run(2)
    assert not play.agents("julius").trouble


def test_a_trouble_that_no_run_meets_ends_and_never_counts(play):
    faults = struck(play, "start fails")
    play.run(UNMET_NS / SECOND - 1)
    assert play.agents("julius").trouble
    play.run(2)
    assert not play.agents("julius").trouble
    assert faults.counts == {}


@pytest.mark.parametrize(("what", "node"), [("stop fails", 0), ("start fails", 1), ("both fail", 0)])
def test_half_of_the_troubles_come_with_a_move(play, what, node):
    faults = struck(play, what, node=node, moved=True)
    play.run(10)
    assert faults.counts == {"agent": 1}


def test_the_stop_that_succeeds_makes_known_what_is_up(play):
    trouble = play.agents("julius").trouble
    trouble[play.resource(KEY)] = "stop fails"
    play.ask("julius", "standby")
    machine = play.node("julius").machine
    assert machine.unknown == {play.resource(KEY)}
    trouble.clear()
    play.kill("julius", restart_s=1)  # the next daemon stops what is left
    play.run(60)
    assert machine.unknown == set()


def test_what_is_off_is_neither_killed_nor_switched_off():
    faults = [
        Fault("power", 50 * SECOND, 100 * SECOND, 0),
        Fault("power", 60 * SECOND, 10 * SECOND, 0),
        Fault("crash", 70 * SECOND, 10 * SECOND, 0),
    ]
    assert Life(options(), faults).run().counts == {"power": 1}


def test_what_agents_need_is_what_is_under_way():
    """Nothing where there are no scripts; else one move, what still runs, and the delay of a failed start."""
    calm = Life(options(groups=()), [])
    calm.run()
    assert calm._agents_need() == (0, "")
    life = Life(
        options(script_ns=SECOND), [Fault("agent", 100 * SECOND, 300 * SECOND, 1, what="start hangs", value=1.0)]
    )
    world = life.world
    for node in world.nodes:
        world.at(0, node.start)
    world.run(80 * SECOND)
    move_ns = 2 * (SECOND + 2_000_000)
    assert life._agents_need()[0] == move_ns
    world.run(100 * SECOND + 1)
    world.nodes[1].request("takeover", "all")
    while not world.nodes[1].agents.running:
        world.run(world.now + SECOND // 10)
    world.run(world.now + 20 * SECOND)
    needed_ns, why = life._agents_need()
    assert "service0 on caesar is at work (+3" in why or "service0 on caesar is at work (+4" in why
    assert needed_ns < move_ns + 40 * SECOND + 5 * SECOND + 1


def test_the_failed_starts_of_a_group_are_counted_until_one_succeeds(play):
    agents: Agents = play.agents("julius")
    trouble = agents.trouble
    trouble[play.resource(KEY)] = "start fails"
    play.ask("julius", "standby")
    play.ask("julius", "takeover")
    play.until(lambda: KEY in agents.failures, "a failed start", 60)
    assert agents.failures[KEY][0] >= 1
    trouble.clear()
    play.run(30)
    play.ask("julius", "takeover")
    play.until(lambda: up(play) == ["julius"], "a start that succeeds", 700)
    play.run(3)
    assert agents.failures == {}
