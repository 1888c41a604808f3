"""A seed decides everything, a failure can be cut down and lived again, and the pair lives through its faults."""

import dataclasses
import json
import os
import re
import subprocess
import sys

import pytest

from heartbeat.core.settings import SECOND
from heartbeat.sim import command, faults, life, options, report, shrink
from heartbeat.sim.ethernet import EthernetLane
from heartbeat.sim.faults import Fault
from heartbeat.sim.life import Life
from heartbeat.sim.medium import Quality
from heartbeat.sim.script import Script
from heartbeat.sim.serial import SerialLane
from heartbeat.sim.years import Circumstances
from simulation import stub

# Lives of the swarm in CI; the long form sets more.
LIVES = int(os.environ.get("HEARTBEAT_SWARM_LIVES", "60"))
FIRST_SEED = int(os.environ.get("HEARTBEAT_SWARM_SEED", "1000"))

SEED_FILES = {
    "ha.cf": "serial /dev/ttyS0\nauto_failback off\nnode julius\nnode caesar\nkeepalive 5\ndeadtime 15\n"
    "warntime 10\ninitdead 30\n",
    "haresources": "julius IPaddr::10.0.0.254 IPaddr::1.1.1.254 MailTo::alerts@myworkaddress.com::JuliusCaesar\n",
    "authkeys": "auth 1\n1 sha1 a-secret\n",
}


@pytest.fixture
def directory(tmp_path):
    for name, text in SEED_FILES.items():
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o600)
    return tmp_path


PROGRAM = """
import json, sys
from heartbeat.core.settings import SECOND
from heartbeat.sim import life
lived = [life.run(seed, keep_transcript=True) for seed in (3, 4)]
print(json.dumps([[each.digest, each.lines] for each in lived]))
"""


def test_the_same_seed_gives_the_same_life_in_any_process():
    """Also where another process orders its sets of text in another way."""
    lived = [life.run(seed, keep_transcript=True) for seed in (3, 4)]
    assert all(len(each.lines) > 100 for each in lived)
    assert lived[0].digest != lived[1].digest
    for hash_seed in ("1", "2"):
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM], env={**os.environ, "PYTHONHASHSEED": hash_seed},
            capture_output=True, text=True, timeout=300, check=True,
        )  # fmt: skip
        assert json.loads(done.stdout) == [[each.digest, each.lines] for each in lived]


def test_a_life_can_be_lived_again_from_its_list_of_faults():
    drawn = options.draw(5)
    first = life.run(5)
    again = life.run(5, faults.draw(drawn), options=drawn)
    assert again.digest == first.digest
    other = life.run(5, faults.draw(drawn)[:-1], options=drawn)
    assert other.digest != first.digest


@pytest.mark.parametrize(("medium", "lane"), [("/dev/ttyS0", SerialLane), ("eth0", EthernetLane)])
def test_what_is_carried_at_once_might_as_well_be_under_way(medium, lane, monkeypatch):
    """The simulator's short way, through an outage with noise or loss on the medium."""
    script = Script(media=(medium,)).options
    quality = Quality(noise=0.0001) if lane is SerialLane else Quality(loss=0.02)
    lossy = tuple(dataclasses.replace(each, quality=quality) for each in script.media)
    pair = dataclasses.replace(
        script, media=lossy, boot_ns=(0, script.keepalive_ns // 3), rates=(31, -17), duration_ns=2_000 * SECOND
    )
    struck = [
        Fault("cut", 300 * SECOND, 100 * SECOND, medium=script.media[0].name),
        Fault("power", 900 * SECOND, 60 * SECOND),
    ]
    carried = []
    carry = lane.carry
    monkeypatch.setattr(lane, "carry", lambda *told: carried.append(carry(*told)) or carried[-1])
    short = Life(pair, struck, keep_transcript=True).run()
    assert short.take_overs
    assert sum(lands > 0 for lands in carried) > 400
    monkeypatch.setattr(lane, "carry", lambda *told: 0)
    long = Life(pair, struck, keep_transcript=True).run()
    assert long.lines == short.lines
    assert long.digest == short.digest


def test_every_life_draws_its_own_odds():
    drawn = [options.draw(seed) for seed in range(50)]
    assert len({each.keepalive_ns for each in drawn}) > 40
    assert all(SECOND // 10 <= each.keepalive_ns <= 5.02 * SECOND for each in drawn)
    assert {bool(medium.baud) for each in drawn for medium in each.media} == {True, False}
    assert len({next(iter(each.keys.values()))[0] for each in drawn}) == 5
    kinds = {fault.kind for each in drawn for fault in faults.draw(each)}
    assert kinds == set(faults.WEIGHTS)


class Fragile(stub.Stub):
    """Raises when its operator asks for a standby after it has lost a medium."""

    lost = False

    def handle(self, event, now):
        if type(event).__name__ == "MediumDown":
            self.lost = True
        return super().handle(event, now)

    def asked(self, request):
        assert not (self.lost and request.verb == "standby")
        return super().asked(request)


Fragile.__module__ = "heartbeat.core.stub"


def test_a_failure_is_cut_down_to_the_faults_that_it_needs():
    drawn = dataclasses.replace(options.draw(1), duration_ns=600 * SECOND, groups=())
    medium = drawn.media[0].name
    needed = [
        Fault("medium down", 200 * SECOND, 90 * SECOND, 0, medium),
        Fault("command", 320 * SECOND, 0, 0, "", "standby all"),
    ]
    harmless = [Fault("clock step", at * SECOND, 0, at % 2, "", "", 9.0) for at in range(20, 580, 20)]
    listed = sorted([*needed, *harmless], key=lambda fault: fault.at_ns)
    outcome = Life(drawn, listed, core=Fragile).run()
    assert outcome.rule == "core"
    found, lives = shrink.shrink(outcome, core=Fragile)
    assert [(fault.kind, fault.at_ns) for fault in found] == [(fault.kind, fault.at_ns) for fault in needed]
    assert found[0].for_ns < needed[0].for_ns
    assert 0 < lives < 100


def test_a_failure_is_reported_with_all_that_shows_it_again():
    """The seed, what was drawn, the shortest list of faults, the last changes and the command."""
    outcome = Life(dataclasses.replace(options.draw(7), duration_ns=600 * SECOND), [], core=stub.Restless).run()
    outcome.lines = [f"change {number}" for number in range(80)]
    task = command.Task(7)
    fault = Fault("crash", SECOND, 2 * SECOND, 1)
    lines = report.failure(outcome, task.again(), [fault])
    assert lines[0].startswith("FAILED, seed 7: convergence: after ")
    assert all(f"    {line}" in lines for line in outcome.options.describe())
    assert "  1 of its 0 faults are enough:" in lines
    assert f"    {fault}" in lines
    assert lines[-51:] == [
        *(f"    change {number}" for number in range(30, 80)),
        "  again: heartbeat simulate --lives 1 --seed 7",
    ]


def test_a_failure_is_printed_and_ends_with_an_error(monkeypatch):
    """What the command itself writes, of a life that fails."""
    broken = Life(dataclasses.replace(options.draw(7), duration_ns=600 * SECOND), [], core=stub.Broken).run()
    monkeypatch.setattr(command, "_outcomes", lambda tasks: iter([broken] * len(tasks)))
    monkeypatch.setattr(shrink, "shrink", lambda outcome, most: ([], 1))
    written = []
    assert command.main([command.Task(7)], written.append) == command.FAILED
    text = "".join(written)
    assert "FAILED, seed 7: core: AssertionError: our own bug" in text
    changes = [line for line in text.splitlines() if re.match(r" {4} *\d+\.\d{6}  ", line)]
    assert len(changes) == min(len(broken.lines), 50) > 0
    assert "  again: heartbeat simulate --lives 1 --seed 7\n" in text
    assert text.splitlines()[-1].startswith("1 of 1 lives failed: ")


def test_a_pair_takes_over_and_the_dead_answer_no_more():
    play = Script()
    play.boot()
    play.until_stable()
    key = "IPaddr::10.0.0.254"
    assert play.holders(key) == ["julius"]
    play.kill("julius")
    killed = play.world.now
    play.until(lambda: not play.holders(key), "the end of the lease")
    assert play.world.now - killed < 13.6 * SECOND
    play.until(lambda: play.holders(key) == ["caesar"], "the take-over")
    assert 9 * SECOND < play.world.now - killed < 15.2 * SECOND
    assert not play.node("caesar").media_down
    lines = play.lines()
    assert all(re.fullmatch(r" *\d+\.\d{6}  \S+ +\S.*", line) for line in lines)
    assert any(line[18:].split()[:2] == ["julius", "killed"] for line in lines)


def test_swarm():
    """Drawn pairs under drawn faults. The command that repeats a failure is printed with it."""
    done = subprocess.run(
        [sys.executable, "-m", "heartbeat.cli", "simulate", "--lives", str(LIVES), "--seed", str(FIRST_SEED)],
        capture_output=True, text=True, timeout=7200, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    last = done.stdout.splitlines()[-1]
    assert last.startswith(f"{LIVES} lives, no failure")
    medians = re.search(r"faults in a life: median (\S+); take-overs: median (\S+)", done.stdout)
    assert float(medians[1]) >= 10
    assert float(medians[2]) >= 1


def test_years_of_the_operators_own_files(directory, heartbeat_command):
    code, out, err = heartbeat_command("simulate", "--years", "0.004", "--lives", "2", "--power-failures", "2000")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0].endswith("in 2 lives, seeds from 0:")
    assert "keepalive 5 deadtime 15 warntime 10 initdead 30" in out
    assert "power failures 2000" in out
    assert re.search(r"^deadtime fired falsely not once", out, re.MULTILINE)
    assert re.search(r"^nobody answered .*: \d+ times, median \S+ s, 95 of 100", out, re.MULTILINE)
    assert re.fullmatch(r"2 lives, no failure: \d+ heartbeats in \d+ s, \d+ a second", lines[-1])
    heartbeats = int(re.search(r"(\d+) heartbeats in", lines[-1])[1])
    assert heartbeats > 0.004 * 365 * 86400 / 5  # at least one node's


@pytest.fixture
def heartbeat_command(directory):
    def run(*words: str) -> tuple[int, str, str]:
        done = subprocess.run(
            [sys.executable, "-m", "heartbeat.cli", *words, "--config-dir", str(directory)],
            capture_output=True, text=True, timeout=300, check=False,
        )  # fmt: skip
        return done.returncode, done.stdout, done.stderr

    return run


def test_files_that_are_wrong_are_refused(directory, heartbeat_command):
    (directory / "ha.cf").write_text("keepalive fast\n")
    code, out, err = heartbeat_command("simulate", "--years", "0.001")
    assert (code, out) == (1, "")
    assert f"{directory}/ha.cf:1" in err


def test_one_node_is_no_pair(directory, heartbeat_command):
    text = SEED_FILES["ha.cf"].replace("node caesar\n", "")
    (directory / "ha.cf").write_text(text)
    code, out, err = heartbeat_command("simulate", "--years", "0.001")
    assert (code, out) == (1, "")
    assert "names 1 nodes" in err


def test_what_the_operator_expects_is_what_is_drawn():
    assert Circumstances().describe().startswith("loss 0.0001, noise 1e-07, outages 6,")
