"""Every event in every state: handled, nothing that a table forbids, nothing that an executor could not obey; and the
paths and events together make every transition of every table.

HEARTBEAT_TEST_LONG=1 lets more timers fire after each event.
"""

from __future__ import annotations

import os

import pytest
from exhaustive import (
    scenes,
    scenes_groups,
    scenes_ipfail,
    scenes_legacy,
    scenes_moves,
    scenes_original,
    scenes_overlap,
)
from exhaustive.copies import Frozen, use_plain_parts
from exhaustive.events import describe, events
from pair import World
from tidy import states

from _hbfast.codec import encode
from heartbeat.core.actions import (
    CRIT,
    URGENT,
    Alarm,
    Begin,
    Hold,
    Hook,
    KillAgent,
    Note,
    Reboot,
    Remember,
    Reply,
    RunAgent,
    Stop,
    Transmit,
)
from heartbeat.core.events import AgentExited, Tick
from heartbeat.core.machine import Machine
from heartbeat.core.settings import SECOND

FILES = (scenes, scenes_groups, scenes_moves, scenes_overlap, scenes_original, scenes_legacy, scenes_ipfail)
SCENES = [each for file in FILES for each in scenes.SCENES if each.__module__ == file.__name__]
LONG = os.environ.get("HEARTBEAT_TEST_LONG") == "1"
# how many timers may fire after an event
TIMERS = 30 if LONG else 2
# a due timer may arm another one that is due at once; not for ever
AT_ONCE = 10


class Executor:
    """Obeys like the daemon's: what it could not obey is an assertion. Agents end at once, and well."""

    def __init__(self, node) -> None:
        self.running = dict(node.hung)
        self.newest = node.outbox._runs
        self.sequence = node.outbox.sequence

    def obey(self, cluster, actions, now) -> list[AgentExited]:
        ended = []
        for action in actions:
            match action:
                case Transmit(message=message, priority=priority):
                    assert 0 <= priority <= URGENT
                    self._transmit(message)
                case RunAgent():
                    ended += self._run(action)
                case KillAgent(run=run):
                    assert run in self.running
                    ended.append(AgentExited(run, 137, "killed"))
                case Hold(keys=keys, ending=ending):
                    assert {*keys, *ending} <= set(cluster._resources.groups)
                    assert not set(keys) & set(ending)
                case Begin(generation=generation):
                    assert generation == cluster._outbox.generation
                    self.sequence = 0
                case Remember(node=node, generation=generation, sequence=sequence):
                    assert node in cluster._membership.peers
                    assert generation > 0
                    assert sequence >= 0
                case Note(severity=severity, text=text):
                    assert 0 <= severity <= CRIT
                    printable(text)
                case Reply(number=number, text=text):
                    assert number in (901, 5)
                    printable(text)
                case Hook():
                    assert action.name in cluster.settings.hooks
                case Alarm(text=text) | Reboot(reason=text):
                    printable(text)
                case _:
                    assert isinstance(action, Stop), action
        return ended

    def _transmit(self, message) -> None:
        for form in ("classic", "netstring"):
            assert encode(message, None, form)
        if not message.type.startswith("NS_") and message.sequence > self.sequence:
            assert message.sequence == self.sequence + 1, "numbers have no holes"
            self.sequence = message.sequence

    def _run(self, action) -> list[AgentExited]:
        if not action.run:
            return []
        assert action.run == self.newest + 1, "a number is used once"
        self.newest = action.run
        running = {resource for each in self.running.values() for resource in each.resources}
        assert not running & set(action.resources), "nothing is started or stopped while it is being started or stopped"
        self.running[action.run] = action
        return [AgentExited(action.run, 0)]

    def exited(self, event) -> None:
        self.running.pop(event.run, None)


def printable(text: str) -> None:
    assert text.isprintable(), repr(text)
    text.encode()


def step(cluster, executor, event, now) -> None:
    """The event, and the ends of the agents that it lets run."""
    pending = [event]
    while pending:
        event = pending.pop(0)
        if isinstance(event, AgentExited):
            executor.exited(event)
        pending += executor.obey(cluster, cluster.handle(event, now), now)


def live(cluster, executor, now) -> None:
    """Let timers fire, each in its instant."""
    cluster.view()
    at_once = 0
    for _ in range(TIMERS):
        due = cluster.deadline()
        if due is None:
            return
        at_once = at_once + 1 if due <= now else 0
        assert at_once < AT_ONCE, "a timer that is due again and again"
        now = max(now, due)
        step(cluster, executor, Tick(now // SECOND), now)


@pytest.fixture(autouse=True)
def _plain_parts(monkeypatch):
    use_plain_parts(monkeypatch)


@pytest.mark.parametrize("scene", SCENES, ids=lambda each: each.__name__)
def test_every_event_is_taken(scene):
    world = World()
    node = scene(world)
    now = node.world.now
    frozen = Frozen(node.cluster)
    for event, at in events(node.cluster, now):
        cluster, executor = frozen.copy(), Executor(node)
        try:
            step(cluster, executor, event, at)
            live(cluster, executor, max(at, now))
        except Exception as error:
            error.add_note(f"after {scene.__name__}: {describe(event)} at {(at - now) / SECOND:+} s")
            raise


def test_the_paths_go_through_every_state_and_transition(monkeypatch):
    """A row of a table that none reaches is a row that nothing tests, or that nothing needs."""
    went: set[tuple[type[Machine], int, int]] = set()
    enter = Machine.enter

    def note(machine, state):
        went.add((type(machine), machine.state, state))
        enter(machine, state)

    monkeypatch.setattr(Machine, "enter", note)
    for scene in SCENES:
        scene(World())
    rows = {(machine, *pair) for machine in states.machines() for pair in machine.ALLOWED}
    missing = {f"{machine.__name__}: {machine.NAMES[old]} to {machine.NAMES[new]}" for machine, old, new in rows - went}
    assert missing == set()


def test_each_state_of_each_machine_is_one_in_which_every_event_comes():
    """Where a path only passes through a state, nothing has been handed in there."""
    missing = {(machine.__name__, name) for machine in states.machines() for name in machine.NAMES}
    for scene in SCENES:
        cluster = scene(World()).cluster
        missing -= {(type(each).__name__, each.state_name) for each in machines_of(cluster)}
    assert missing == set()


def machines_of(cluster) -> list[Machine]:
    peers = list(cluster._membership.peers.values())
    links = [link for peer in peers for link in peer.links.values()]
    alone = [
        cluster._membership.local, cluster._lease, cluster._resources, cluster._standby, cluster._standby.overlap,
        cluster._original, cluster._original.legacy, cluster._ipfail,
    ]  # fmt: skip
    groups = [*cluster._resources.groups.values(), *cluster._resources._retiring]
    return [*alone, *peers, *links, *groups, *cluster._ipfail.pings.nodes.values()]
