"""What a group does next, found without a search where what is up is the beginning of its list; and the same as the
search finds."""

import random

import pytest
from pair import JULIUS, World

from heartbeat.core.events import Request
from heartbeat.core.group import START, STOP
from heartbeat.core.settings import Group, Resource

MANY = 300


def addresses(number: int, first: int = 0) -> list[Resource]:
    return [Resource(f"IPaddr::10.9.0.{each}", "IPaddr", [f"10.9.0.{each}"]) for each in range(first, first + number)]


def searched(resources, up, wanted):
    """The rule, word for word: what is no longer in the file goes first, then what is not wanted, both from the last
    on; then the first that is not up comes."""
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
        assert step == searched(machine.settings.resources, machine.up, machine.wanted)
        if step is not None:
            verb, resource = step
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


