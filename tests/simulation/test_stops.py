"""A daemon that is told to stop says its last words on every line, however slow; one that is killed does not."""

import pytest

from heartbeat import daemon
from heartbeat.core.actions import URGENT
from heartbeat.sim import node
from heartbeat.sim.driver import DOWN, ENDING, RUNNING
from heartbeat.sim.script import STEP_NS, Script

LINE = "/dev/ttyS0"


@pytest.fixture
def play():
    """caesar holds nothing, so it stops as soon as it is told to."""
    pair = Script()
    pair.boot()
    pair.until_stable()
    pair.run(12)
    return pair


def said(play, who, text):
    return any(teller == who and text in what for _, teller, what in play.world.transcript)


def until(play, state):
    play.until(lambda: play.node("caesar").state == state, f"state {state} of caesar", 5)


def hold_up(play):
    """The line takes nothing of caesar, which has more to say than is given up in a drain."""
    lane = play.world.lanes[LINE][1]
    lane.block("flow")
    for _ in range(8):
        lane.send(b"x" * 100, URGENT, play.world.now)
    return lane


def test_it_waits_for_its_lines_as_the_daemon_does():
    assert node.DRAIN_NS == daemon.DRAIN_NS


def test_who_stops_has_left(play):
    play.node("caesar").request("stop")
    until(play, ENDING)
    until(play, DOWN)
    play.run(20)
    assert said(play, "julius", "node caesar has left and gave up its resources")
    assert not said(play, "julius", "node caesar is dead")


@pytest.mark.parametrize("fate", ["kill", "power_off"])
def test_who_is_killed_meanwhile_has_not(play, fate):
    """Its last words wait: another frame is on the line."""
    play.world.lanes[LINE][1].send(b"x" * 100, URGENT, play.world.now)
    play.node("caesar").request("stop")
    until(play, ENDING)
    getattr(play, fate)("caesar")
    assert not play.world.lanes[LINE][1].waiting
    play.run(20)
    assert not said(play, "julius", "node caesar has left")
    assert said(play, "julius", "node caesar is dead")


def test_a_line_that_takes_nothing_is_not_waited_for_longer(play):
    lane = hold_up(play)
    play.node("caesar").request("stop")
    until(play, ENDING)
    ending = play.world.now
    until(play, DOWN)
    assert abs(play.world.now - ending - node.DRAIN_NS) <= 2 * STEP_NS
    assert not lane.busy
    lane.unblock("flow")
    play.run(20)
    assert said(play, "julius", "node caesar is dead")


def test_the_next_daemon_starts_when_the_last_has_ended(play):
    hold_up(play)
    caesar = play.node("caesar")
    caesar.request("stop")
    until(play, ENDING)
    ending = play.world.now
    caesar.start()
    assert caesar.state == ENDING
    until(play, RUNNING)
    assert abs(play.world.now - ending - node.DRAIN_NS) <= 2 * STEP_NS
