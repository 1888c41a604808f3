"""The core's state machines: their tables make sense, and docs/states.md says what they say."""

import ast

import pytest
from pair import World
from tidy import states
from tidy.sources import python_files, text, tree

from heartbeat.core.machine import Machine

MACHINES = pytest.mark.parametrize("machine", states.machines(), ids=lambda machine: machine.__name__)


def test_the_page_is_what_the_tables_say():
    assert text("docs/states.md") == states.page(), "python tests/tidy/states.py >docs/states.md"


def test_every_machine_is_on_the_page():
    assert {machine.__name__ for machine in states.machines()} == {
        "GroupMachine", "Ipfail", "Lease", "Legacy", "Link", "Local", "Original", "Overlap", "Peer", "PingNode",
        "Resources", "Standby",
    }  # fmt: skip


@MACHINES
def test_a_table_is_of_known_states_and_every_state_can_be_reached(machine):
    known = range(len(machine.NAMES))
    assert {state for pair in machine.ALLOWED for state in pair} <= set(known)
    assert all(old != new and why.strip() for (old, new), why in machine.ALLOWED.items())
    reached, before = {0}, set()
    while reached != before:
        before, reached = reached, reached | {new for old, new in machine.ALLOWED if old in reached}
    assert reached == set(known)


@MACHINES
def test_what_a_table_does_not_allow_ends_the_daemon(machine):
    known = range(len(machine.NAMES))
    made = machine.__new__(machine)
    for old in known:
        for new in known:
            made.state = old
            if (old, new) in machine.ALLOWED:
                made.enter(new)
                assert made.state_name == machine.NAMES[new]
            else:
                with pytest.raises(AssertionError, match=machine.__name__):
                    made.enter(new)


def test_every_machine_begins_in_its_first_state(monkeypatch):
    made = []
    initialise = Machine.__init__

    def note(machine, state):
        made.append((type(machine), state))
        initialise(machine, state)

    monkeypatch.setattr(Machine, "__init__", note)
    World().boot("julius", ping_nodes=("10.0.0.9",))
    assert {kind for kind, _ in made} == set(states.machines())
    assert [(kind, state) for kind, state in made if state != 0] == []


# a view is a picture of states in words
EXCEPT = ("heartbeat/core/machine.py", "heartbeat/core/view.py")


@pytest.mark.parametrize("name", [name for name in python_files("heartbeat/core") if name not in EXCEPT])
def test_nothing_assigns_a_state_but_enter(name):
    assigned = [
        target.lineno
        for node in ast.walk(tree(name))
        for target in getattr(node, "targets", [getattr(node, "target", None)])
        if isinstance(target, ast.Attribute) and target.attr == "state"
    ]
    assert assigned == [], f"{name}: lines {assigned}"
