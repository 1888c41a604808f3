"""What a group does next, found without a search where what is up is the beginning of its list; and the same as the
search finds."""

import random

import pytest
from pair import JULIUS, World

from heartbeat.core.actions import RunAgent
from heartbeat.core.events import Request
from heartbeat.core.group import AT_ONCE, START, STOP
from heartbeat.core.settings import Group, Resource

MANY = 300


def addresses(number: int, first: int = 0) -> list[Resource]:
    return [Resource(f"IPaddr::10.9.0.{each}", "IPaddr", [f"10.9.0.{each}"]) for each in range(first, first + number)]


def searched(resources, up, wanted):
    """The rule, word for word, for one after the other: what is no longer in the file goes first, then what is not
    wanted, both from the last on; then the first that is not up comes."""
    plan = resources if wanted else ()
    for resource in [*reversed(up)]:
        if resource not in resources:
            return STOP, resource
    for resource in reversed(resources):
        if resource in up and resource not in plan:
            return STOP, resource
    for resource in plan:
        if resource not in up:
            return START, resource
    return None


@pytest.mark.parametrize("seed", range(20))
def test_the_same_comes_next_as_by_a_search(seed):
    dice = random.Random(seed)
    [machine] = World().boot(JULIUS).cluster._resources.groups.values()
    everything = addresses(8)
    machine._run = 1  # an agent is at work: nothing is begun from here
    for _ in range(200):
        what = dice.randrange(5)
        if what == 0:
            chosen = dice.sample(everything, dice.randrange(len(everything) + 1))
            machine.replan(Group("a", JULIUS, chosen), machine._policy)
        elif what == 1:
            machine.wanted = not machine.wanted
        step = machine._next()
        if step is None:
            assert searched(machine.settings.resources, machine.up, machine.wanted) is None
            continue
        verb, resources = step
        for resource in resources:
            assert searched(machine.settings.resources, machine.up, machine.wanted) == (verb, resource)
            if verb == START:
                machine.up.append(resource)
            else:
                machine._down(resource)


def test_many_addresses_are_not_compared_with_each_other(monkeypatch):
    compared = 0
    equal = Resource.__eq__

    def counting(self, other):
        nonlocal compared
        compared += 1
        return equal(self, other)

    group = Group("IPaddr::10.9.0.0", JULIUS, addresses(MANY))
    world = World()
    node = world.boot(JULIUS, groups=(group,))
    monkeypatch.setattr(Resource, "__eq__", counting)
    world.run(60)
    assert len(node.up) == MANY
    node.tell(Request(1, "stop"))
    world.run(60)
    assert node.up == []
    assert compared < 20 * MANY


# --- several in one run


def runs(told) -> list[tuple[str, tuple[str, ...]]]:
    return [(each.verb, tuple(r.word for r in each.resources)) for each in told if isinstance(each, RunAgent)]


def held(resources) -> tuple:
    """A node that has come to hold such a group, and what it did for that."""
    world = World()
    node = world.boot(JULIUS, groups=(Group("group", JULIUS, resources),), overlapping=("IPaddr",))
    told = node.record()
    world.run(60)
    assert node.up == [each.word for each in resources]
    return world, node, runs(told)


def test_addresses_that_follow_each_other_are_started_and_stopped_together():
    resources = addresses(AT_ONCE + 10)
    words = [each.word for each in resources]
    world, node, started = held(resources)
    assert started == [("start", tuple(words[:AT_ONCE])), ("start", tuple(words[AT_ONCE:]))]
    told = node.record()
    node.tell(Request(1, "stop"))
    world.run(60)
    words.reverse()
    assert runs(told) == [("stop", tuple(words[:AT_ONCE])), ("stop", tuple(words[AT_ONCE:]))]


def test_what_is_no_address_is_run_alone():
    script, other = Resource("database", "database"), Resource("webserver", "webserver")
    first, second = addresses(2), addresses(2, 10)
    _, _, started = held([*first, script, other, *second])
    assert started == [
        ("start", tuple(each.word for each in first)), ("start", (script.word,)), ("start", (other.word,)),
        ("start", tuple(each.word for each in second)),
    ]  # fmt: skip


def test_the_one_that_failed_is_named_and_all_are_stopped():
    resources = addresses(5)
    world = World()
    node = world.boot(JULIUS, groups=(Group("group", JULIUS, resources),), overlapping=("IPaddr",))
    node.failing.add(("start", resources[3].word))
    told = node.record()
    world.run(31)
    assert any(note.startswith(f"{resources[3].word}: start failed") for note in node.notes)
    assert runs(told)[:2] == [
        ("start", tuple(each.word for each in resources)), ("stop", tuple(each.word for each in reversed(resources))),
    ]  # fmt: skip
    assert node.up == []


def test_the_neighbours_are_told_of_many_together():
    resources = addresses(AT_ONCE + 1)
    _, node, _ = held(resources)
    [machine] = node.cluster._resources.groups.values()
    machine.announce()
    told = runs(node.outbox.take())
    assert [len(words) for _, words in told] == [AT_ONCE, 1]
