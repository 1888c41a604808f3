"""Which built-in agents run in one turn of the loop, and in which order; and what begins to be the other node's."""

from collections import deque
from types import SimpleNamespace

import pytest
from pair import SEED_GROUP

from heartbeat.core.actions import START, STOP, Hold, RunAgent
from heartbeat.executor import BACKLOG, Executor
from heartbeat.held import HeldGroups
from heartbeat.schedule import Schedule

COST = 10


class Working(Executor):
    """Each run takes COST of the clock's time, and its end waits for the core."""

    def __init__(self, *verbs):
        self._loop = SimpleNamespace(now=lambda: self.clock, queue=deque())
        self.clock = 0
        self.waiting = deque((number, SimpleNamespace(verb=verb)) for number, verb in enumerate(verbs))
        self.ran = []

    def _run_inline(self, agent, action):
        self.clock += COST
        self.ran.append(agent)
        self._loop.queue.append((agent, self.clock))


def worked(until, *verbs):
    executor = Working(*verbs)
    executor.work(until)
    return executor


@pytest.mark.parametrize(("until", "count"), [(0, 1), (1, 1), (10, 1), (11, 2), (25, 3), (1000, 5)])
def test_starts_run_in_order_until_the_time_is_over_and_one_in_any_case(until, count):
    executor = worked(until, *[START] * 5)
    assert executor.ran == [0, 1, 2, 3, 4][:count]
    assert [number for number, _ in executor.waiting] == [0, 1, 2, 3, 4][count:]


def test_stops_run_from_the_last_one_on():
    assert worked(1000, STOP, STOP, STOP).ran == [2, 1, 0]


def test_starts_among_stops_keep_their_order():
    assert worked(1000, START, STOP, START, STOP, STOP).ran == [4, 3, 0, 1, 2]


def test_stops_wait_for_the_core_to_hear_of_them_and_starts_do_not():
    assert len(worked(10**6, *[STOP] * 3 * BACKLOG).ran) == BACKLOG
    assert len(worked(10**6, *[START] * 3 * BACKLOG).ran) == 3 * BACKLOG


def test_a_long_queue_holds_up_no_stop_for_ever():
    executor = Working(STOP, STOP)
    executor._loop.queue.extend(range(10 * BACKLOG))
    executor.work(10**6)
    assert executor.ran == [1]


def test_with_nothing_to_do_the_clock_is_not_even_read():
    executor = Working()
    executor._loop = None
    executor.work(0)
    assert executor.ran == []


# --- what begins to be the other node's


class Holding(Executor):
    """Of the seed's group, which is up, and of which the neighbours are to be told once more."""

    def __init__(self, run_dir):
        self._loop = SimpleNamespace(now=lambda: 0, schedule=Schedule())
        self._config = SimpleNamespace(groups=[SEED_GROUP])
        self._ending = ()
        self._held = HeldGroups(run_dir, pytest.fail)
        self._addresses = {each: None for each in SEED_GROUP.resources if not each.notifier}
        self._agents = {}
        self.lease = SimpleNamespace(hold=lambda *_, **told: self.said.append(told["ending"]))
        self.said = []
        self.told = []
        self._actions = {Hold: self._hold, RunAgent: self._run_agent}
        for each in self._addresses:
            self._held.started(each.word)
            self._loop.schedule.at(10, ("announce", each), self.told.append)

    def adoptable(self, run_dir):
        """By the next run."""
        found = HeldGroups(run_dir, pytest.fail)
        found.read()
        return sorted(found.up)


@pytest.fixture
def run_dir(tmp_path):
    return str(tmp_path)


WORDS = sorted(each.word for each in SEED_GROUP.resources if not each.notifier)


def test_what_begins_to_be_the_others_is_told_to_nobody_any_more_and_not_adopted(run_dir):
    executor = Holding(run_dir)
    assert executor.adoptable(run_dir) == WORDS
    executor.do(Hold((), alone=False, ending=(SEED_GROUP.key,)), 0)
    assert executor.said == [(SEED_GROUP.key,)]
    assert executor.adoptable(run_dir) == []
    executor._loop.schedule.run(10)
    assert executor.told == []


def test_what_stays_after_all_may_be_adopted_again(run_dir):
    executor = Holding(run_dir)
    executor.do(Hold((), alone=False, ending=(SEED_GROUP.key,)), 0)
    executor.do(Hold((SEED_GROUP.key,), alone=False), 0)
    assert executor.adoptable(run_dir) == WORDS


def test_what_has_gone_may_not(run_dir):
    executor = Holding(run_dir)
    executor.do(Hold((), alone=False, ending=(SEED_GROUP.key,)), 0)
    executor.do(Hold((), alone=False), 0)
    executor.do(Hold((SEED_GROUP.key,), alone=False), 0)
    assert executor.adoptable(run_dir) == []


def test_a_stop_that_waits_for_its_turn_ends_what_the_neighbours_were_to_be_told(run_dir):
    executor = Holding(run_dir)
    resource = next(iter(executor._addresses))
    executor._done = lambda *_: None
    executor.do(RunAgent(1, SEED_GROUP.key, resource, STOP), 0)
    executor._loop.schedule.run(10)
    assert len(executor.told) == len(WORDS) - 1
