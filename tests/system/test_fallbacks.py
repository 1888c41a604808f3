# ruff: noqa: F811  (fixtures are imported, and arguments have their names)
"""What the daemon does without: pyserial, cffi, the right to real-time scheduling, the right to lock memory.

The same tests as on the seed's files, by an interpreter of a second environment that has no more than this program, or
with rights taken away for good.
"""

import functools
import re
import shutil
import subprocess
import sys
import time
from importlib.metadata import distribution
from pathlib import Path

import pytest
from system import test_seed
from system.play import logged, now_ns, pair, play, playing, seconds, seed, settled  # noqa: F401

WITHOUT_RIGHTS = ("setpriv", "--bounding-set=-sys_nice,-ipc_lock", "prlimit", "--rtprio=0", "--memlock=65536")


def environment(folder: Path, *packages: str) -> str:
    """The interpreter of a fresh environment that has nothing but these packages, as they are installed here."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    (site,) = folder.glob("lib/python*/site-packages")
    for package in packages:
        for file in distribution(package).files or ():
            if ".." not in file.parts and "__pycache__" not in file.parts:
                target = site / file
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(file.locate(), target)
    return str(folder / "bin/python")


@pytest.fixture(scope="module")
def without_pyserial(tmp_path_factory):
    return environment(tmp_path_factory.mktemp("without-pyserial") / "venv", "heartbeat-ha", "cffi")


@pytest.fixture(scope="module")
def without_cffi(tmp_path_factory):
    return environment(tmp_path_factory.mktemp("without-cffi") / "venv", "heartbeat-ha", "pyserial")


@pytest.fixture(scope="module")
def without_anything(tmp_path_factory):
    return environment(tmp_path_factory.mktemp("alone") / "venv", "heartbeat-ha")


def missing(python, *modules):
    """Which of these cannot be imported by it."""
    question = "import importlib.util, sys; print(*[m for m in sys.argv[1:] if not importlib.util.find_spec(m)])"
    return subprocess.check_output([python, "-c", question, *modules], text=True, cwd="/").split()


def test_the_second_environments_are_what_they_say(without_pyserial, without_cffi, without_anything):
    modules = ("_hbfast", "heartbeat", "serial", "_cffi_backend", "pyroute2")
    assert missing(sys.executable, *modules) == []
    assert missing(without_pyserial, *modules) == ["serial", "pyroute2"]
    assert missing(without_cffi, *modules) == ["_cffi_backend", "pyroute2"]
    assert missing(without_anything, *modules) == ["serial", "_cffi_backend", "pyroute2"]


def backends(pair):
    return {medium["backend"] for node in pair.nodes for medium in node.status()["media"]}


def said_once(node, text):
    assert logged(node, re.escape(text)) == 1, node.log()


def works(pair):
    """A hand-over, a hand-over back, a power failure."""
    for source, target in (pair.nodes, reversed(pair.nodes)):
        assert source.command("hb_standby").returncode == 0
        pair.held_by(target)
    failure_ns = pair.world.power_off(pair.julius)
    pair.held_by(pair.caesar, within_s=2 * seed.DEADTIME_S)
    pair.answered(pair.caesar, failure_ns)


def test_status_says_pyserial(settled):
    assert backends(settled) == {"pyserial"}
    for node in settled.nodes:
        status = node.status()
        assert (status["realtime"], status["locked"], status["warnings"]) == (True, True, [])


class TestWithoutPyserial:
    """The serial tests, over termios."""

    @pytest.fixture
    def play(self, without_pyserial):
        return functools.partial(playing, python=without_pyserial)

    def test_status_says_termios(self, settled):
        assert backends(settled) == {"termios"}
        for node in settled.nodes:
            status = node.status()
            assert (status["realtime"], status["locked"], status["warnings"]) == (True, True, [])

    test_boot = staticmethod(test_seed.test_both_boot_and_julius_holds_both_addresses)
    test_power_failure = staticmethod(test_seed.test_power_failure_of_the_holder)
    test_return = staticmethod(test_seed.test_a_returned_node_moves_nothing)
    test_standby_and_takeover = staticmethod(test_seed.test_standby_and_takeover_whichever_node_holds)
    test_next_command = staticmethod(test_seed.test_the_next_command_is_accepted_two_seconds_after_a_move)
    test_clean_stop_of_the_other = staticmethod(test_seed.test_a_clean_stop_of_the_other_node_moves_nothing)

    # one each: the other way, or the other node, has nothing to do with the medium

    def test_clean_stop(self, settled):
        test_seed.test_a_clean_stop_hands_over_at_once(settled, "signal")

    def test_alone(self, pair):
        test_seed.test_one_node_alone_takes_the_resources_after_initdead(pair, "julius")

    def test_late(self, play):
        test_seed.test_a_heartbeat_later_than_warntime_is_logged_with_its_interval(play, "julius")


class TestWithoutCffi:
    """No exact timer, no memory lock, addresses by the standard library: said once, and it works."""

    @pytest.fixture(params=["without_cffi", "without_anything"])
    def play(self, request):
        self.backend = "pyserial" if request.param == "without_cffi" else "termios"
        return functools.partial(playing, python=request.getfixturevalue(request.param))

    def test_it_says_so_once_and_works(self, settled):
        assert backends(settled) == {self.backend}
        for node in settled.nodes:
            status = node.status()
            assert (status["realtime"], status["locked"]) == (True, False)
            assert len(status["warnings"]) == 4
            said_once(node, "WARN: no exact timer")
            said_once(node, "WARN: memory is not locked")
            said_once(node, "WARN: a core dump of this process would hold the keys")
            said_once(node, "WARN: capabilities are not dropped")
        works(settled)
        said_once(settled.caesar, "WARN: memory is not locked")


class TestWithoutRights:
    """Neither CAP_SYS_NICE nor CAP_IPC_LOCK, nor a limit that would do instead: said once, and it works."""

    @pytest.fixture
    def play(self):
        return functools.partial(playing, wrapper=WITHOUT_RIGHTS)

    def test_it_says_so_once_and_works(self, settled):
        for node in settled.nodes:
            status = node.status()
            assert (status["realtime"], status["locked"]) == (False, False)
            assert len(status["warnings"]) == 2
            said_once(node, "WARN: no real-time scheduling")
            said_once(node, "WARN: memory is not locked")
            assert scheduling_of(node) == ("0", "0"), "nice and SCHED_OTHER"
        # heartbeats may come late under load; not as late as deadtime on an idle machine
        start_ns = now_ns()
        time.sleep(seconds(4 * seed.DEADTIME_S))
        settled.nothing_moved(start_ns)
        works(settled)
        said_once(settled.caesar, "WARN: no real-time scheduling")
        said_once(settled.caesar, "WARN: memory is not locked")


def test_without_real_time_it_is_the_first_of_the_others(play):
    with play(seed.Files().with_lines("realtime off")) as pair:
        pair.boot()
        pair.settled(holder=pair.julius)
        for node in pair.nodes:
            status = node.status()
            assert (status["realtime"], status["locked"], status["warnings"]) == (False, True, [])
            assert scheduling_of(node) == ("-20", "0"), "nice and SCHED_OTHER"
            group = Path(f"/proc/{node.pid_of(node.daemon)}/autogroup")
            if group.exists() and (words := group.read_text().split()):  # a kernel that groups by session
                assert words[-1] == "-20"


def scheduling_of(node):
    """The daemon's nice and policy, as the kernel has them: fields 19 and 41 of proc(5)'s stat."""
    fields = Path(f"/proc/{node.pid_of(node.daemon)}/stat").read_text().rpartition(")")[2].split()
    return fields[16], fields[38]
