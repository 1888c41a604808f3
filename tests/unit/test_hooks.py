"""Scripts of rc.d as processes: real ones, one after the other. Tested are order and consequences, not milliseconds."""

import time

import pytest

from heartbeat.core.actions import Hook
from heartbeat.hooks import WAITING, Hooks
from heartbeat.log import Log
from heartbeat.loop import Loop

ENVIRONMENT = {"PATH": "/usr/bin:/bin", "HA_DIR": "/etc/ha.d", "HA_keepalive": "1"}


class Runner:
    """Scripts in a folder, and what came of them."""

    def __init__(self, folder, monkeypatch):
        self.folder = folder
        (folder / "rc.d").mkdir()
        self.loop = Loop(Log())
        self.logged = []
        self.closed = False
        monkeypatch.setattr(self.loop.log, "write", lambda severity, text, **rest: self.logged.append(text))
        self.hooks = Hooks(self.loop)
        self.hooks.configure(str(folder), ENVIRONMENT, 1)

    def script(self, name, text, first="#!/bin/sh"):
        path = self.folder / "rc.d" / name
        path.write_text(f"{first}\n{text}\n")
        path.chmod(0o755)

    def until(self, condition, timeout_s=20):
        end = time.monotonic() + timeout_s
        while not condition():
            assert time.monotonic() < end, f"never came; so far: {self.logged}"
            self.loop.poller.wait(0.05)
            self.loop.schedule.run(self.loop.now())

    def said(self, text):
        return text in self.logged


@pytest.fixture
def runner(tmp_path, monkeypatch):
    made = Runner(tmp_path, monkeypatch)
    yield made
    if not made.closed:
        made.hooks.close()
    made.loop.log.close()


def test_a_script_gets_its_name_and_what_it_is_told(runner):
    runner.script("status", 'echo "$# $1 $HA_st $HA_src ${HA_info-unset} $HA_DIR $HA_keepalive $HA_RCDIR"; echo no >&2')
    runner.hooks.run(Hook("status", (("st", "dead"), ("src", "caesar"))))
    runner.until(lambda: runner.said("rc.d/status: no"))
    folder = f"{runner.folder}/rc.d"
    assert runner.said(f"running {folder}/status status")
    assert runner.said(f"rc.d/status: 1 status dead caesar unset /etc/ha.d 1 {folder}")


def test_what_it_is_told_is_one_word_whatever_is_in_it(runner):
    runner.script("mytype", 'echo "<$HA_info>"')
    runner.hooks.run(Hook("mytype", (("info", "a $(echo b) `echo c`"),)))
    runner.until(lambda: runner.said("rc.d/mytype: <a $(echo b) `echo c`>"))


def test_one_runs_at_a_time_in_the_order_of_events(runner):
    runner.script("slow", 'echo begin $HA_st; sleep 0.2; echo end $HA_st')
    runner.script("quick", "echo quick")
    for name, st in (("slow", "1"), ("quick", ""), ("slow", "2")):
        runner.hooks.run(Hook(name, (("st", st),)))
    runner.until(lambda: runner.said("rc.d/slow: end 2"))
    lines = [line for line in runner.logged if not line.startswith("running")]
    assert lines == ["rc.d/slow: begin 1", "rc.d/slow: end 1", "rc.d/quick: quick", "rc.d/slow: begin 2",
                     "rc.d/slow: end 2"]  # fmt: skip


def test_one_that_hangs_is_killed_with_all_that_it_has_started(runner):
    runner.script("hangs", f"sleep 1000 & echo $! > {runner.folder}/pid; wait")
    runner.script("next", "echo its turn")
    runner.hooks._timeout_ns = 300_000_000
    runner.hooks.run(Hook("hangs", ()))
    runner.hooks.run(Hook("next", ()))
    runner.until(lambda: runner.said("rc.d/next: its turn"))
    assert any(line.startswith("rc.d/hangs: killed") for line in runner.logged)
    pid = int((runner.folder / "pid").read_text())

    def gone():
        try:
            with open(f"/proc/{pid}/stat") as file:
                return file.read().rpartition(")")[2].split()[0] == "Z"
        except FileNotFoundError:
            return True

    runner.until(gone)


def test_one_that_has_ended_in_time_is_not_killed_later(runner):
    runner.script("quick", "echo quick")
    runner.hooks._timeout_ns = 200_000_000
    runner.hooks.run(Hook("quick", ()))
    runner.until(lambda: runner.said("rc.d/quick: quick") and not runner.hooks._running)
    assert runner.loop.schedule.next_due() is None


def test_one_that_fails_is_said_and_the_next_runs(runner):
    runner.script("fails", "exit 3")
    runner.script("noshebang", "", first="echo no")
    runner.script("next", "echo its turn")
    for name in ("fails", "gone", "noshebang", "next"):
        runner.hooks.run(Hook(name, ()))
    runner.until(lambda: runner.said("rc.d/next: its turn"))
    assert runner.said("rc.d/fails: exit code 3")
    assert runner.said("rc.d/gone: cannot be run: No such file or directory")
    assert runner.said("rc.d/noshebang: cannot be run: Exec format error")


def test_no_more_events_wait_than_the_queue_holds(runner):
    runner.script("hangs", "sleep 1000")
    for _ in range(WAITING + 1):
        runner.hooks.run(Hook("hangs", ()))
    assert not any("not run" in line for line in runner.logged)
    runner.hooks.run(Hook("status", ()))
    assert runner.logged[-1] == f"rc.d/status: not run: {WAITING} events wait for rc.d/hangs"
    assert len(runner.hooks._waiting) == WAITING


def test_the_end_of_the_daemon_is_the_end_of_what_runs(runner):
    runner.script("hangs", f"echo $$ > {runner.folder}/pid; exec sleep 1000")
    runner.hooks.run(Hook("hangs", ()))
    runner.until(lambda: (runner.folder / "pid").exists() and (runner.folder / "pid").read_text().endswith("\n"))
    child = next(iter(runner.hooks._children._running.values()))
    runner.closed = True
    runner.hooks.close()
    assert child.killed
