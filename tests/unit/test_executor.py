"""Which built-in agents run in one turn of the loop, and in which order."""

from collections import deque
from types import SimpleNamespace

import pytest

from heartbeat.core.actions import START, STOP
from heartbeat.executor import BACKLOG, Executor

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
