"""Every fault once, on real daemons: never two holders where a medium works, and one in the end.

`sh scripts/faults` plays each ten times and prints the table; HEARTBEAT_TEST_LONG=1 plays them as often here.
"""

import contextlib
import os

import pytest
from system import stages
from system.catalogue import FAULTS
from system.faults import attempt
from system.table import by_stage

TIMES = 10 if os.environ.get("HEARTBEAT_TEST_LONG") == "1" else 1


@pytest.fixture(scope="module")
def on():
    """on(name): the stage of that name, made once."""
    with contextlib.ExitStack() as closing:
        made = stages.Stages(closing)
        yield made.get


@pytest.mark.parametrize("name", [each.name for each in by_stage(FAULTS.values())])
def test_fault(on, name):
    played = FAULTS[name]
    stage = on(played.stage)
    start = stage.dice.randrange(played.steps)
    for number in range(start, start + TIMES):
        made = attempt(stage, played, number)
        print(name, number, made)
        assert not made.troubles, (name, number, made)
