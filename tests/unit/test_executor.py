"""What begins to be the other node's, and which agents a reload finds anew."""

from types import SimpleNamespace

import pytest
from pair import SEED_GROUP

from heartbeat import agents
from heartbeat.core.actions import STOP, Hold, RunAgent
from heartbeat.executor import Executor
from heartbeat.held import HeldGroups

ADDRESSES = [each for each in SEED_GROUP.resources if not each.notifier]
WORDS = sorted(each.word for each in ADDRESSES)


class Holding(Executor):
    """Of the seed's group, which is up, and of which the neighbours are to be told once more."""

    def __init__(self, run_dir):
        self.hushed = []
        self.addresses = SimpleNamespace(hush=self.hushed.extend, run=lambda action, found: None, held={})
        self._config = SimpleNamespace(groups=[SEED_GROUP])
        self._ending = ()
        self._held = HeldGroups(run_dir, pytest.fail)
        self._starting = {}
        self._agents = {}
        self.lease = SimpleNamespace(hold=lambda *_, **told: self.said.append(told["ending"]))
        self.said = []
        self._actions = {Hold: self._hold, RunAgent: self._run_agent}
        for each in ADDRESSES:
            self._held.started(each.word)
            self.addresses.held[each] = self._agents[each] = agents.resolve(each.name, each.arguments)

    def adoptable(self, run_dir):
        """By the next run."""
        found = HeldGroups(run_dir, pytest.fail)
        found.read()
        return sorted(found.up)


@pytest.fixture
def run_dir(tmp_path):
    return str(tmp_path)


def test_what_begins_to_be_the_others_is_told_to_nobody_any_more_and_not_adopted(run_dir):
    executor = Holding(run_dir)
    assert executor.adoptable(run_dir) == WORDS
    executor.do(Hold((), alone=False, ending=(SEED_GROUP.key,)), 0)
    assert executor.said == [(SEED_GROUP.key,)]
    assert executor.adoptable(run_dir) == []
    assert set(ADDRESSES) <= set(executor.hushed)


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


def test_what_is_to_be_stopped_is_not_adopted_though_the_stop_waits_for_its_turn(run_dir):
    executor = Holding(run_dir)
    executor.do(RunAgent(1, SEED_GROUP.key, tuple(ADDRESSES[:1]), STOP), 0)
    assert executor.adoptable(run_dir) == sorted(each.word for each in ADDRESSES[1:])


def test_an_address_that_was_a_scripts_is_found_anew_where_it_may_be_set_together_with_others(run_dir):
    executor = Holding(run_dir)
    address = ADDRESSES[0]
    script = agents.SpawnedAgent(address.name, address.arguments)
    executor._settings = SimpleNamespace(overlapping={address.name})
    assert executor._outdated(address, script)
    assert not executor._outdated(address, executor._agents[address])
    executor._settings.overlapping = set()
    assert not executor._outdated(address, script)
