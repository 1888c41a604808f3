# ruff: noqa: F811  (fixtures are imported, and arguments have their names)
"""Journals of real daemons: after a take-over, a kill and a failed assertion, and on request. Each is replayed here, on
another machine than its own, and must decide what the daemon has decided."""

import contextlib
import io
import json
import os
import signal
import subprocess
import sys
import tempfile

import pytest
from system.play import (
    KEY,
    LAN,
    PATIENCE_S,
    WAN,
    logged,
    pair,  # noqa: F401
    play,  # noqa: F401
    settled,  # noqa: F401
    until,
)

from heartbeat import cli, journalfile

# a core that has a bug: it dies when the other node does
# what `run` begins anew as
BROKEN = """
import sys
sys.path += [*sys.argv[7:]]
from heartbeat.core.membership import Membership
def death(self, peer, **options):
    raise AssertionError("planted")
Membership.death = death
from heartbeat import anew
sys.exit(anew.main(sys.argv[1:]))
"""
BEGIN = """
import sys
from heartbeat import cli, launch
launch.PROGRAM = "-c", f"import sys; sys.path.append({launch.OWN!r})" + sys.argv.pop()
sys.exit(cli.main())
"""


@pytest.fixture(autouse=True)
def memory(tmp_path, monkeypatch):
    """The machines' /run in memory, as it is on a real one."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=700,size=64m", "heartbeat-test", str(tmp_path)], check=True)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    yield
    subprocess.run(["umount", "--lazy", str(tmp_path)], check=True)


def journals(node, reason):
    folder = node.state_folder / "journal"
    return sorted(folder.glob(f"*-{node.name}-{reason}{journalfile.SUFFIX}")) if folder.exists() else []


def written(node, reason, count=1):
    until(lambda: len(journals(node, reason)) >= count, PATIENCE_S, f"{node.name} has written its journal: {reason}")
    found = journals(node, reason)
    assert len(found) == count
    return found[-1]


def replay(path, *options):
    """(exit code, JSON lines, summary)"""
    out, error = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(error):
        code = cli.main(["replay", str(path), "--json", *options])
    return code, [json.loads(line) for line in out.getvalue().splitlines()], error.getvalue()


def decided(lines):
    return [action for line in lines for action in line["actions"]]


def test_a_take_over_is_written_out_and_can_be_replayed(settled):
    julius, caesar = settled.julius, settled.caesar
    settled.world.power_off(julius)
    settled.held_by(caesar)
    code, lines, summary = replay(written(caesar, "take-over"))
    assert (code, summary[-16:]) == (0, "all as recorded\n")
    actions = decided(lines)
    dead = actions.index("note WARN: node julius is dead")
    assert next(each for each in actions[dead:] if each.startswith("run")) == f"run 1 start IPaddr::{LAN} IPaddr::{WAN}"
    assert any(action.startswith("send status") for action in actions[:dead]), "and what came before"
    assert journals(caesar, "crash") == []


def test_a_killed_daemon_leaves_what_it_was_told(settled):
    """kill -9: the next run writes it out."""
    julius = settled.julius
    julius.signal_daemon(signal.SIGKILL)
    julius.daemon.wait()
    settled.start(julius)
    path = written(julius, "crash")
    assert os.stat(path).st_mode & 0o7777 == 0o600
    code, lines, summary = replay(path)
    assert (code, summary[-16:]) == (0, "all as recorded\n")
    assert f"note info: {KEY}: acquired" in decided(lines)
    settled.settled()
    assert logged(julius, "journal written")


def test_a_core_that_fails_leaves_the_event_that_it_failed_in(pair):
    pair.boot(pair.julius)
    pair.world.power_on(pair.caesar)
    argv = [sys.executable, "-c", BEGIN, "run", "--time-divisor", str(pair.world.divisor), BROKEN]
    with pair.caesar.log_path.open("a") as log:
        pair.caesar.daemon = pair.caesar.popen(argv, stdout=log, stderr=log)
    pair.settled(holder=pair.julius)
    pair.world.power_off(pair.julius)
    assert pair.caesar.daemon.wait(PATIENCE_S) != 0
    assert logged(pair.caesar, "AssertionError: planted")
    pair.start(pair.caesar)
    path = written(pair.caesar, "crash")
    last = list(journalfile.read(str(path)))[-1]
    assert (last["event"], last["digest"]) == ("Tick", None)
    # the core that is right decides what the other should have
    code, lines, _ = replay(path)
    assert code == 0
    assert "note WARN: node julius is dead" in lines[-1]["actions"]


def test_on_request_while_it_runs_and_when_it_has_stopped(settled):
    caesar = settled.caesar
    done = caesar.command("heartbeat", "journal")
    assert done.returncode == 0, done.stderr
    path = written(caesar, "request")
    assert done.stdout == f"{path}\n"
    assert replay(path)[0] == 0
    assert caesar.command("heartbeat", "replay", str(path)).returncode == 0, "there, too"
    assert caesar.stop_daemon() == 0
    path.unlink()
    done = caesar.command("heartbeat", "journal", "--reason", "after the stop")
    assert done.returncode == 0, done.stderr
    code, lines, summary = replay(written(caesar, "after_the_stop"))
    assert (code, summary[-16:]) == (0, "all as recorded\n")
    assert "stop" in decided(lines)
