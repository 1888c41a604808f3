"""The daemon's own timers, its record of started groups, and its lateness."""

import os

from heartbeat.held import HeldGroups
from heartbeat.lateness import NEWEST, Lateness
from heartbeat.schedule import Schedule


def test_what_is_due_is_called_in_order_and_once():
    schedule, called = Schedule(), []
    for instant in (30, 10, 20):
        schedule.at(instant, instant, called.append)
    assert schedule.next_due() == 10
    schedule.run(20)
    assert called == [20, 20]
    schedule.run(40)
    assert called == [20, 20, 40]
    assert schedule.next_due() is None


def test_a_key_set_again_replaces_and_a_cancelled_one_is_silent():
    schedule, called = Schedule(), []
    schedule.at(10, "a", lambda now: called.append("old"))
    schedule.at(20, "a", lambda now: called.append("new"))
    schedule.at(5, "b", lambda now: called.append("b"))
    schedule.cancel("b")
    schedule.cancel("never set")
    assert schedule.next_due() == 20
    schedule.run(100)
    assert called == ["new"]


def test_a_callback_may_set_and_cancel():
    schedule, called = Schedule(), []
    schedule.at(10, "a", lambda now: (schedule.cancel("b"), schedule.at(15, "a", called.append)))
    schedule.at(11, "b", called.append)
    schedule.run(20)
    assert called == [20]


def remembered(directory, warned) -> HeldGroups:
    held = HeldGroups(str(directory), warned.append)
    held.read()
    return held


def test_groups_that_a_dead_run_had_started_are_known_to_the_next(tmp_path):
    warned = []
    first = remembered(tmp_path, warned)
    assert first.begun == set()
    first.add("IPaddr::10.0.0.254")
    first.add("a key with blanks")
    second = remembered(tmp_path, warned)
    assert second.begun == {"IPaddr::10.0.0.254", "a key with blanks"}
    second.add("another")  # and dies before it has cleaned up
    third = remembered(tmp_path, warned)
    assert len(third.begun) == 3
    third.clear()
    assert os.listdir(tmp_path) == []
    assert remembered(tmp_path, warned).begun == set()
    third.clear()
    assert warned == []


def test_a_record_that_cannot_be_written_is_said_once_and_holds_up_nothing(tmp_path):
    warned = []
    held = HeldGroups(str(tmp_path / "absent"), warned.append)
    held.add("a")
    held.add("b")
    held.clear()
    assert len(warned) == 1


def test_lateness_keeps_the_worst_and_the_newest_percentile():
    lateness = Lateness()
    assert lateness.milliseconds() == (0.0, 0.0)
    lateness.add(50_000_000)
    for _ in range(NEWEST):
        lateness.add(1_000_000)
    assert lateness.milliseconds() == (50.0, 1.0)
    for _ in range(20):
        lateness.add(3_000_000)
    assert lateness.milliseconds() == (50.0, 3.0)
