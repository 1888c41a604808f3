"""What a daemon has loaded that has lived: started, taken over, been asked, moved, reloaded, stopped. tests/tidy has
the list, and looks at what is loaded at the start."""

import os
import sys
import sysconfig
from pathlib import Path

import pytest
from system import modules
from system.play import KEY, PATIENCE_S, Pair, playing, until
from tidy import test_footprint as lists
from tidy.sources import ROOT


@pytest.fixture
def pair():
    with playing() as made:
        made._wrapper = (sys.executable, "-I", "-S", str(Path(modules.__file__)))
        paths = [str(ROOT), sysconfig.get_path("purelib"), sysconfig.get_path("platlib")]
        for node in made.nodes:
            node.environment[modules.PATHS] = os.pathsep.join(paths)
            node.environment[modules.VARIABLE] = str(node.disk / "modules")
        yield made


def loaded(node) -> set[str]:
    return set((node.disk / "modules").read_text().split())


def test_the_running_daemon_has_loaded_what_is_listed_and_nothing_else(pair: Pair):
    pair.boot()
    pair.settled(holder=pair.julius)
    assert pair.julius.command("hb_standby").returncode == 0
    pair.settled(holder=pair.caesar)
    assert pair.julius.command("heartbeat", "reload").returncode == 0
    assert pair.julius.command("cl_status", "hbparameter", "-p", "keepalive").returncode == 0
    pair.world.power_off(pair.caesar)
    pair.held_by(pair.julius)
    until(lambda: (pair.julius.status() or {})["groups"][0]["state"] == "held", PATIENCE_S, f"{KEY} is held")
    assert pair.julius.stop_daemon() == 0
    found = loaded(pair.julius)
    assert {"heartbeat.daemon", "heartbeat.report", "heartbeat.media.line", "heartbeat.agents.address"} <= found
    allowed = lists.FREE | lists.OURS | lists.WITH_PYSERIAL
    assert lists.tops(found) - allowed == set()
    lists.nothing_of_other_commands(found)
