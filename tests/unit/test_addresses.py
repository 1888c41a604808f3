"""Which addresses are set, removed and announced in one turn of the loop, and in which order."""

from collections import deque
from types import SimpleNamespace

import pytest

from heartbeat import addresses, agents
from heartbeat.addresses import BACKLOG, BATCH_FIRST, BATCH_MOST, BATCH_MOST_6, BATCH_NS, Addresses
from heartbeat.core.actions import START, STOP, RunAgent
from heartbeat.core.settings import Resource
from heartbeat.schedule import Schedule

COST_NS = 10
SECOND = 1_000_000_000


class Agent:
    """Of the address that its name says."""

    def __init__(self, name, *, fails=()):
        self.name = name
        self.fails = fails

    def limit(self, seconds):
        pass


class Bench:
    """The clock shows what the agents cost. kernel: what it was told, a list for each batch; told: what the neighbours
    were; ended: as the core hears of it, which answers none of it until it is asked to."""

    def __init__(self, monkeypatch, cost_ns=COST_NS):
        self.clock = 0
        self.cost_ns = cost_ns
        self.kernel = []
        self.told = []
        self.ended = []
        self.errors = []
        self.schedule = Schedule()
        self.queue = deque()
        log = SimpleNamespace(write=lambda severity, text, **_: self.errors.append(text))
        loop = SimpleNamespace(now=lambda: self.clock, queue=self.queue, schedule=self.schedule, log=log)
        self.addresses = Addresses(loop, self._hear, lambda: 0)
        self.runs = 0
        monkeypatch.setattr(addresses.time, "thread_time_ns", lambda: self.clock)
        for verb in (START, STOP):
            monkeypatch.setattr(agents, verb, lambda some, verb=verb: self._work(verb, some))
        monkeypatch.setattr(agents, "announce", self._announce)

    def _hear(self, ended):
        self.ended += ended
        self.queue.extend(ended)

    def _work(self, verb, some):
        self.clock += self.cost_ns * len(some)
        self.kernel.append([each.name for each in some])
        return [agents.AgentError(1, "no") if verb in each.fails else None for each in some]

    def _announce(self, some, part=agents.WHOLE):
        word = "first" if part == agents.FIRST else "rest" if part == agents.REST else "all"
        self.told.append((word, [each.name for each in some]))
        return [None] * len(some)

    def run(self, verb, *names, fails=()):
        self.runs += 1
        found = {resource(name): Agent(name, fails=(verb,) if name in fails else ()) for name in names}
        self.addresses.run(RunAgent(self.runs, "group", tuple(found), verb), found)

    def names(self):
        return [name for batch in self.kernel for name in batch]

    def turns(self, count):
        for _ in range(count):
            self.queue.clear()
            self.addresses.work(self.clock)


def resource(name):
    return Resource(f"IPaddr::{name}", "IPaddr", (str(name),))


@pytest.fixture
def bench(monkeypatch):
    return Bench(monkeypatch)


# --- order


def test_starts_wait_behind_each_other_and_go_to_the_kernel_together(bench):
    for name in range(5):
        bench.run(START, name)
    bench.addresses.work(0)
    assert bench.kernel == [[0, 1, 2, 3, 4]]
    assert [number for number, *_ in bench.ended] == [1, 2, 3, 4, 5]


def test_stops_go_from_the_last_one_on(bench):
    for name in range(3):
        bench.run(STOP, name)
    bench.addresses.work(0)
    assert bench.kernel == [[2, 1, 0]]


def test_starts_among_stops_keep_their_order(bench):
    for name, verb in enumerate((START, STOP, START, STOP, STOP)):
        bench.run(verb, name)
    bench.addresses.work(SECOND)
    assert bench.kernel == [[4, 3], [0], [1], [2]]


def test_stops_wait_for_the_core_to_hear_of_them_and_starts_do_not(bench):
    for name in range(3 * BACKLOG):
        bench.run(STOP, name)
    bench.addresses.work(SECOND)
    assert len(bench.names()) == BACKLOG


def test_starts_do_not(bench):
    for name in range(3 * BACKLOG):
        bench.run(START, name)
    bench.addresses.work(SECOND)
    assert bench.names() == list(range(3 * BACKLOG))


def test_a_long_queue_holds_up_no_stop_for_ever(bench):
    bench.run(STOP, 0)
    bench.run(STOP, 1)
    bench.queue.extend(range(10 * BACKLOG))
    bench.addresses.work(SECOND)
    assert bench.names() == [1]


def test_with_nothing_to_do_the_clock_is_not_even_read(bench):
    bench.addresses._loop = None
    bench.addresses.work(0)
    assert bench.kernel == []
    assert not bench.addresses.waiting


# --- as many as the heartbeats can bear


def test_a_large_run_is_done_in_parts_and_ends_once(bench):
    bench.run(START, *range(BATCH_FIRST + 2 * BATCH_MOST))
    sizes = []
    while not bench.ended:
        bench.addresses.work(0)
        sizes.append(len(bench.kernel[-1]))
        assert bench.addresses.waiting
    assert sizes == [BATCH_FIRST, BATCH_MOST, BATCH_MOST]
    assert bench.names() == list(range(BATCH_FIRST + 2 * BATCH_MOST))
    assert bench.ended == [(1, 0, "", "")]


@pytest.mark.parametrize(("cost_ns", "size"), [(BATCH_NS // 7, 7), (3 * BATCH_NS, 1), (1, BATCH_MOST)])
def test_batches_are_as_large_as_their_cost_allows(monkeypatch, cost_ns, size):
    bench = Bench(monkeypatch, cost_ns)
    bench.run(START, *range(500))
    bench.turns(4)
    assert [len(batch) for batch in bench.kernel] == [BATCH_FIRST, size, size, size]


def test_of_version_6_there_are_fewer(bench):
    bench.run(START, *(f"fd00::{number}" for number in range(100)))
    bench.turns(2)
    assert [len(batch) for batch in bench.kernel] == [BATCH_MOST_6, BATCH_MOST_6]


def test_work_ends_with_its_time(bench):
    bench.run(START, *range(1000))
    bench.addresses.work((BATCH_FIRST + BATCH_MOST) * COST_NS)
    assert len(bench.kernel) == 2


# --- failures


def test_of_a_start_that_fails_the_rest_is_not_tried(bench):
    bench.run(START, *range(BATCH_FIRST + 1), fails=(3, 5))
    bench.run(START, "other")
    bench.turns(2)
    assert bench.kernel == [list(range(BATCH_FIRST)), ["other"]]
    assert bench.ended == [(1, 1, "no", "IPaddr::3"), (2, 0, "", "")]
    assert bench.errors == ["IPaddr::5: no"]
    assert bench.told[0] == ("first", [name for name in range(BATCH_FIRST) if name not in (3, 5)])


def test_a_stop_that_fails_stops_nothing_else(bench):
    bench.run(STOP, *range(BATCH_FIRST + 1), fails=(3,))
    bench.turns(2)
    assert bench.names() == list(range(BATCH_FIRST + 1))
    assert bench.ended == [(1, 1, "no", "IPaddr::3")]


# --- the neighbours


def test_the_neighbours_hear_most_at_once_and_the_rest_when_the_core_has_nothing_to_add(bench):
    bench.run(START, 1)
    bench.addresses.work(SECOND)
    assert bench.told == [("first", [1])]
    bench.run(START, 2)
    bench.addresses.work(SECOND)
    assert bench.told == [("first", [1]), ("first", [2])]
    bench.addresses.work(SECOND)
    assert bench.told[2:] == [("rest", [1]), ("rest", [2])]
    assert not bench.addresses.waiting


def test_they_hear_it_again_while_it_is_held(bench):
    bench.run(START, 1, 2)
    bench.turns(2)
    bench.told.clear()
    for instant in agents.ANNOUNCEMENTS_NS[1:-1]:
        bench.schedule.run(bench.clock + instant)
        bench.turns(1)
    assert bench.told == [("all", [1, 2])] * 2
    bench.run(STOP, 2)  # it need not have come to that yet
    bench.schedule.run(bench.clock + agents.ANNOUNCEMENTS_NS[-1])
    bench.turns(2)
    assert bench.told[2:] == [("all", [1])]
    assert bench.schedule.next_due() is None
    assert not bench.addresses._told


def test_what_begins_to_be_the_others_is_told_to_nobody_any_more(bench):
    bench.run(START, 1)
    bench.turns(1)
    bench.addresses.hush([resource(1)])
    bench.turns(2)
    assert bench.told == [("first", [1])]


def test_what_is_to_be_told_does_not_hold_up_what_is_to_be_run(bench):
    bench.addresses.announce({resource(0): Agent(0)})
    bench.run(START, 1)
    bench.turns(2)
    assert bench.told == [("first", [1]), ("all", [0])]
