"""The commands: what they ask for, what they print, and the exit codes that other programs rely on."""

from __future__ import annotations

import configparser
import json
import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest
import tiny_daemon

from heartbeat import __version__, advised, cli, config
from heartbeat.paths import Paths

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def no_variables(monkeypatch):
    """The operator's own environment has no say in the tests."""
    for name in ("CONFIG", "RUN", "STATE", "LOCK"):
        monkeypatch.delenv(f"HEARTBEAT_{name}_DIR", raising=False)


@pytest.fixture
def run_dir(tmp_path, monkeypatch):
    """Where every command of the test looks for its daemon."""
    monkeypatch.setenv("HEARTBEAT_RUN_DIR", str(tmp_path))
    return str(tmp_path)


@pytest.fixture
def heartbeat(capfd):
    """The command line as one string → exit code, stdout, stderr."""

    def heartbeat(line: str, entry=cli.main) -> tuple[int, str, str]:
        code = entry(line.split())
        return (code, *capfd.readouterr())

    return heartbeat


# --- where the files are


def directories(paths: Paths) -> list[str]:
    return [paths.config_dir, paths.run_dir, paths.state_dir, paths.lock_dir]


def test_the_directories_of_an_operator():
    paths, rest = cli.find_paths(["status", "--json"])
    assert directories(paths) == ["/etc/ha.d", "/run/heartbeat", "/var/lib/heartbeat", "/var/lock"]
    assert rest == ["status", "--json"]
    assert paths.control == "/run/heartbeat/control"
    assert paths.pidfile == "/run/heartbeat/heartbeat.pid"


def test_an_option_beats_a_variable_and_stands_anywhere(monkeypatch):
    for name in ("CONFIG", "RUN", "STATE", "LOCK"):
        monkeypatch.setenv(f"HEARTBEAT_{name}_DIR", f"/variable/{name.lower()}")
    argv = ["--config-dir", "/a", "status", "--run-dir=/b", "--json", "--lock-dir", "/c/../d"]
    paths, rest = cli.find_paths(argv)
    assert directories(paths) == ["/a", "/b", "/variable/state", "/d"]
    assert rest == ["status", "--json"]


def test_an_empty_variable_is_none(monkeypatch):
    monkeypatch.setenv("HEARTBEAT_RUN_DIR", "")
    assert cli.find_paths([])[0].run_dir == "/run/heartbeat"


def test_relative_directories_are_made_absolute(monkeypatch, tmp_path):
    """The daemon may not stay where it was started."""
    monkeypatch.chdir(tmp_path)
    assert cli.find_paths(["--run-dir", "run"])[0].run_dir == f"{tmp_path}/run"


def test_after_two_dashes_everything_is_a_word():
    arguments = cli.parse(["a", "--authkeys", "k", "--", "--authkeys"], valued=("--authkeys",))
    assert arguments.words == ["a", "--authkeys"]
    assert arguments.flags == {"--authkeys": "k"}
    assert cli.find_paths(["decode", "--", "--run-dir", "x"])[1] == ["decode", "--", "--run-dir", "x"]


# --- usage


@pytest.mark.parametrize(
    "line",
    [
        "frobnicate",
        "--json status",
        "status --jsn",
        "status now",
        "status --run-dir",
        "run now",
        "run --time-divisor",
        "run --time-divisor 0",
        "run --time-divisor -1",
        "run --time-divisor 1001",
        "run --time-divisor fast",
        "standby everything",
        "standby all local",
        "takeover ALL",
        "stop now",
        "reload now",
        "accept",
        "accept caesar brutus",
        "accept --all",
        "check haresources",
        "decode",
        "decode --authkeys",
        "demo fast",
        "simulate now",
        "simulate --years",
        "simulate --years soon",
        "simulate --years 0",
        "simulate --years nan",
        "simulate --lives 0",
        "simulate --lives 1.5",
        "simulate --seed -1",
        "simulate --loss 2",
        "simulate --lives 1 --crashes 3",
    ],
)
def test_what_makes_no_sense_is_2_and_starts_nothing(heartbeat, line, monkeypatch):
    for module in ("heartbeat.daemon", "heartbeat.demo", "heartbeat.decode"):
        monkeypatch.setitem(sys.modules, module, None)  # importing it now fails
    code, out, err = heartbeat(line)
    assert (code, out) == (2, "")
    assert err.startswith("heartbeat: ")
    assert "--help" in err


def test_without_a_command_the_help_is_on_stderr(heartbeat):
    assert heartbeat("") == (2, "", cli.HELP)


@pytest.mark.parametrize("line", ["--help", "-h", "status --help", "run -h"])
def test_help(heartbeat, line):
    assert heartbeat(line) == (0, cli.HELP, "")


def test_help_names_every_command_and_no_divisor():
    assert all(re.search(rf"^  {name} ", cli.HELP, re.MULTILINE) for name in cli.COMMANDS)
    assert "divisor" not in cli.HELP
    assert all(len(line) <= 80 for line in cli.HELP.splitlines())


def test_the_manual_page_knows_every_command():
    page = (ROOT / "man" / "heartbeat.8").read_text()
    assert all(re.search(rf"^\.BR? {name}\b", page, re.MULTILINE) for name in cli.COMMANDS)


def test_the_unit_runs_the_daemon_for_ever_but_not_against_a_wall():
    unit = configparser.ConfigParser(strict=False)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read(ROOT / "heartbeat" / "data" / "heartbeat.service")
    service = unit["Service"]
    assert service["ExecStart"].split()[1] in cli.COMMANDS
    assert service["ExecReload"].split()[1] in cli.COMMANDS
    assert (service["Type"], service["Restart"]) == ("notify", "always")
    # stopped, a command line or a configuration that must be mended; all else is tried again without end
    assert service["RestartPreventExitStatus"].split() == ["0", "2", "6"]
    assert unit["Unit"]["StartLimitIntervalSec"] == "0"


def test_version(heartbeat):
    assert heartbeat("--version") == (0, f"heartbeat {__version__}\n", "")


# --- run, check, decode, demo: handed to others


@pytest.fixture
def others(monkeypatch):
    """Stand-ins for the modules behind these commands, which keep what they were called with."""
    calls = []

    def put(name: str, **functions):
        module = SimpleNamespace(**functions)
        monkeypatch.setitem(sys.modules, f"heartbeat.{name}", module)
        monkeypatch.setattr(f"heartbeat.{name}", module, raising=False)

    def daemon(paths, time_divisor):
        calls.append(("run", paths.config_dir, time_divisor))
        return 6

    def decode(paths, keys, out):
        calls.append(("decode", paths, keys))
        out.write("{}\n")
        return 1

    def demo(*, json, seed_times):
        calls.append(("demo", json, seed_times))
        return 0

    put("launch", begin_anew=daemon)
    put("decode", main=decode)
    put("demo", main=demo)
    return calls


def test_run(heartbeat, others):
    assert heartbeat("run --config-dir /a")[0] == 6
    assert heartbeat("--config-dir /a run --time-divisor 50")[0] == 6
    assert heartbeat("run --config-dir /a --time-divisor=1000")[0] == 6
    assert others == [("run", "/a", 1), ("run", "/a", 50), ("run", "/a", 1000)]


def test_decode(heartbeat, others, tmp_path):
    keys, bad = tmp_path / "keys", tmp_path / "bad"
    keys.write_text("auth 1\n1 sha1 secret\n")
    keys.chmod(0o644)
    bad.write_text("1 rot13 secret\n")
    assert heartbeat("decode a b") == (1, "{}\n", "")
    assert heartbeat(f"decode --authkeys {keys} a")[0] == 1
    assert others == [("decode", ["a", "b"], None), ("decode", ["a"], {1: ("sha1", b"secret")})]
    for path in (bad, tmp_path / "absent"):
        code, output, errors = heartbeat(f"decode --authkeys {path} a")
        assert (code, output) == (1, "")
        assert str(path) in errors
        assert "secret" not in errors


def test_demo(heartbeat, others):
    assert heartbeat("demo") == (0, "", "")
    assert heartbeat("demo --json")[0] == 0
    assert heartbeat("demo --seed-times --json")[0] == 0
    assert others == [("demo", False, False), ("demo", True, False), ("demo", True, True)]


def test_check_prints_settings_on_stdout_and_warnings_on_stderr(monkeypatch, capfdbinary):
    report = SimpleNamespace(text="node caf\udce9\n", errors=(), warnings=("ha.cf:1: old",), config=None)
    monkeypatch.setattr(config, "check", lambda directory: report)
    assert cli.main(["check"]) == 0
    # an octet that is no UTF-8 comes out as it went in
    assert capfdbinary.readouterr() == (b"node caf\xe9\n", b"ha.cf:1: old\n")


def good_files(folder: Path, *lines: str) -> None:
    """lines: more of ha.cf's, which has three."""
    node = os.uname().nodename.lower()
    (folder / "haresources").write_text("")
    (folder / "authkeys").write_text("auth 1\n1 sha1 secret\n")
    (folder / "authkeys").chmod(0o600)
    ha_cf = ["ucast lo 127.0.0.1", f"node {node} caesar", "auto_failback off", *lines]
    (folder / "ha.cf").write_text("".join(f"{line}\n" for line in ha_cf))


def test_check_of_good_and_of_bad_files(heartbeat, tmp_path):
    """Through the real reader: the exit code is its verdict."""
    good_files(tmp_path)
    code, out, _ = heartbeat(f"check --config-dir {tmp_path}")
    assert code == 0
    assert "auto_failback" in out
    (tmp_path / "ha.cf").write_text("frobnicate 1\n")
    code, out, err = heartbeat(f"check --config-dir {tmp_path}")
    assert (code, out) == (1, "")
    assert "ha.cf:1:" in err


def test_check_warns_of_what_is_below_the_advice_of_bench(heartbeat, tmp_path):
    good_files(tmp_path, "deadtime 3")
    command = f"check --config-dir {tmp_path} --state-dir {tmp_path}"
    assert "heartbeat bench" not in heartbeat(command)[2]
    advised.keep(str(tmp_path), advised.Advice(10, 2_000, when="now", realtime=True))
    code, _, err = heartbeat(command)
    assert code == 0
    assert f"{tmp_path}/ha.cf:4: deadtime is 3000ms" in err


@pytest.mark.parametrize("line", ["bench --seconds", "bench --seconds 0", "bench --seconds nan", "bench now"])
def test_bench_with_arguments_that_make_no_sense(heartbeat, line):
    assert heartbeat(line)[0] == cli.USAGE


def test_bench_of_bad_files_measures_nothing(heartbeat, tmp_path):
    code, out, err = heartbeat(f"bench --config-dir {tmp_path} --state-dir {tmp_path}")
    assert (code, out) == (1, "")
    assert f"{tmp_path}/ha.cf" in err
    assert list(tmp_path.iterdir()) == []


# --- status


def test_status_as_json_is_what_the_daemon_said(heartbeat, run_dir):
    with tiny_daemon.running(run_dir):
        code, out, err = heartbeat("status --json")
        assert (code, err) == (0, "")
        assert json.loads(out) == tiny_daemon.STATUS
        assert out.count("\n") == 1


def test_status_for_people(heartbeat, run_dir):
    with tiny_daemon.running(run_dir):
        code, out, err = heartbeat("status")
        assert (code, err) == (0, "")
        assert out.startswith("julius is active, holds its own groups, stable\n")


def test_status_1_while_it_is_not_stable(heartbeat, run_dir):
    status = {"ok": True, "status": {**tiny_daemon.STATUS, "stable": False}}
    with tiny_daemon.running(run_dir, answers={"status": status}):
        assert heartbeat("status --json")[0] == 1
        assert heartbeat("status")[0] == 1


def test_status_of_a_daemon_that_is_silent(heartbeat, run_dir, monkeypatch):
    monkeypatch.setattr(cli, "STATUS_TIMEOUT_S", 0.05)
    with tiny_daemon.running(run_dir, "silent"):
        code, out, err = heartbeat("status --json")
        assert (code, out) == (1, "")
        assert "0.05 s" in err


@pytest.mark.parametrize("line", ["status", "status --json", "standby", "takeover local", "reload", "accept caesar"])
def test_3_where_no_daemon_runs(heartbeat, run_dir, line):
    code, out, err = heartbeat(line)
    assert (code, out) == (3, "")
    assert err.startswith("heartbeat: not running")
    assert f"{run_dir}/control" in err


def test_3_after_a_daemon_was_killed(heartbeat, run_dir):
    with tiny_daemon.running(run_dir) as process:
        process.kill()
        process.wait()
        assert os.path.exists(f"{run_dir}/control")
        assert heartbeat("status")[0] == 3


# --- standby, takeover, reload


@pytest.mark.parametrize("verb", ["standby", "takeover"])
def test_hand_over(heartbeat, run_dir, verb):
    with tiny_daemon.running(run_dir):
        assert heartbeat(verb) == (0, "done\n", "")
        for word in cli.SETS:
            assert heartbeat(f"{verb} {word}")[0] == 0
    assert tiny_daemon.asked(run_dir) == [
        {"request": verb, "set": which} for which in ("all", "all", "local", "foreign", "failback")
    ]


def test_1_when_it_is_refused_with_the_reason(heartbeat, run_dir):
    refusal = {"ok": False, "error": "other side in flux"}
    with tiny_daemon.running(run_dir, answers={"standby": refusal, "reload": {"ok": False, "error": "a:1: b\na:2: c"}}):
        assert heartbeat("standby") == (1, "", "heartbeat: other side in flux\n")
        assert heartbeat("reload") == (1, "", "heartbeat: a:1: b\na:2: c\n")


def test_1_when_it_takes_too_long(heartbeat, run_dir, monkeypatch):
    monkeypatch.setattr(cli, "HANDOVER_TIMEOUT_S", 0.05)
    with tiny_daemon.running(run_dir, "silent"):
        assert heartbeat("takeover")[0] == 1


def test_1_when_the_daemon_ends_meanwhile(heartbeat, run_dir):
    with tiny_daemon.running(run_dir, "dying"):
        code, _, err = heartbeat("standby")
        assert code == 1
        assert "ended" in err


def test_reload(heartbeat, run_dir):
    with tiny_daemon.running(run_dir):
        assert heartbeat("reload") == (0, "", "")


# --- stop


def test_stop_where_none_runs(heartbeat, run_dir):
    assert heartbeat("stop") == (0, "", "")
    with tiny_daemon.running(run_dir) as process:
        process.kill()
        process.wait()
        assert heartbeat("stop") == (0, "", "")


def test_stop_returns_when_the_process_is_gone(heartbeat, run_dir):
    """Its socket goes half a second earlier."""
    with tiny_daemon.running(run_dir, "stubborn") as process:
        # who started it has to bury it, or it is gone only for pidfds
        thread = threading.Thread(target=process.wait)
        thread.start()
        assert heartbeat("stop") == (0, "", "")
        assert not os.path.exists(f"{run_dir}/heartbeat.pid")
        thread.join()
        assert process.returncode == 0


def test_stop_1_when_it_stays(heartbeat, run_dir, monkeypatch):
    monkeypatch.setattr(cli, "STOP_TIMEOUT_S", 0.1)
    with tiny_daemon.running(run_dir, "deaf") as process:
        code, out, err = heartbeat("stop")
        assert (code, out) == (1, "")
        assert "still there" in err
        assert process.poll() is None


def test_stop_spares_who_has_the_number_now(heartbeat, run_dir):
    bystander = subprocess.Popen(["sleep", "60"])
    try:
        with open(f"{run_dir}/heartbeat.pid", "w") as file:
            file.write(f"{bystander.pid:10}\n")
        assert heartbeat("stop")[0] == 0
        assert bystander.poll() is None
    finally:
        bystander.kill()
        assert bystander.wait() == -signal.SIGKILL


# --- the original's commands


def test_accept_names_the_node_as_the_files_do(heartbeat, run_dir):
    answer = {"ok": True, "text": "caesar is accepted"}
    with tiny_daemon.running(run_dir, answers={"accept": answer}):
        assert heartbeat("accept Caesar") == (0, "caesar is accepted\n", "")
        assert tiny_daemon.asked(run_dir) == [{"request": "accept", "node": "caesar"}]
        tiny_daemon.write_answers(run_dir, {"accept": {"ok": False, "error": "caesar is not quarantined"}})
        assert heartbeat("accept caesar") == (1, "", "heartbeat: caesar is not quarantined\n")


@pytest.mark.parametrize(("entry", "verb"), [(cli.hb_standby, "standby"), (cli.hb_takeover, "takeover")])
class TestOriginal:
    def test_nothing_is_printed_on_success(self, heartbeat, run_dir, entry, verb):
        with tiny_daemon.running(run_dir):
            for line in ("", "all", "local", "foreign", "failback"):
                assert heartbeat(line, entry) == (0, "", "")
        assert [request["set"] for request in tiny_daemon.asked(run_dir)] == [
            "all", "all", "local", "foreign", "failback"
        ]  # fmt: skip
        assert {request["request"] for request in tiny_daemon.asked(run_dir)} == {verb}

    def test_usage(self, heartbeat, run_dir, entry, verb):
        with tiny_daemon.running(run_dir):
            for line in ("some", "all all", "local foreign", "-h", "--help", "ALL", "--run-dir"):
                code, out, err = heartbeat(line, entry)
                assert (code, out) == (1, "")
                assert err
        assert tiny_daemon.asked(run_dir) == []

    def test_1_at_once_where_no_daemon_runs(self, heartbeat, run_dir, entry, verb):
        code, out, err = heartbeat("all", entry)
        assert (code, out) == (1, "")
        assert err.startswith(f"hb_{verb}: not running")

    def test_1_when_refused(self, heartbeat, run_dir, entry, verb):
        with tiny_daemon.running(run_dir, answers={verb: {"ok": False, "error": "in flux"}}):
            assert heartbeat("", entry) == (1, "", f"hb_{verb}: in flux\n")

    def test_the_directory_options(self, heartbeat, tmp_path, entry, verb):
        with tiny_daemon.running(f"{tmp_path}/elsewhere"):
            assert heartbeat(f"all --run-dir {tmp_path}/elsewhere", entry) == (0, "", "")


def test_cl_status_finds_its_daemon(heartbeat, run_dir, tmp_path):
    with tiny_daemon.running(run_dir):
        assert heartbeat("rscstatus", cli.cl_status) == (0, "local\n", "")
        assert heartbeat(f"--run-dir {tmp_path}/none hbstatus", cli.cl_status)[0] == 1
        assert heartbeat("hbstatus --run-dir", cli.cl_status)[0] == 11
        assert heartbeat("", cli.cl_status)[0] == 0


# --- as processes


def process(*argv: str, **options) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *argv], capture_output=True, text=True, check=False, **options)


def test_as_a_module(run_dir):
    result = process("-m", "heartbeat.cli", "status")
    assert result.returncode == 3
    assert result.stderr.startswith("heartbeat: not running")


def test_a_reader_that_has_seen_enough(run_dir):
    """`heartbeat status | head -1` ends without a traceback."""
    with tiny_daemon.running(run_dir):
        reader, writer = os.pipe()
        os.close(reader)
        result = subprocess.run(
            [sys.executable, "-m", "heartbeat.cli", "status"], stdout=writer, stderr=subprocess.PIPE, check=False
        )
        os.close(writer)
    assert (result.returncode, result.stderr) == (1, b"")


LOADED = (
    "import sys\nfrom heartbeat import cli\ncode = cli.main(sys.argv[1:])\n"
    "print('\\n'.join(sorted(sys.modules)), file=sys.stderr)\nsys.exit(code)\n"
)


@pytest.mark.parametrize("line", ["status", "status --json", "standby", "stop"])
def test_a_command_loads_nothing_of_the_daemon(run_dir, line):
    with tiny_daemon.running(run_dir):
        result = process("-c", LOADED, *line.split())
    assert result.returncode == 0
    loaded = {name for name in result.stderr.split() if name.split(".")[0] in ("heartbeat", "_hbfast")}
    allowed = {"cli", "paths", "control", "jsontext", "lean", "poller", "report", "persist"}
    assert loaded <= {"heartbeat", *(f"heartbeat.{name}" for name in allowed)}
    assert "argparse" not in result.stderr


def test_run_comes_to_the_daemon_with_empty_hands(tmp_path):
    """Nothing of what `run` and its launcher load on the way stays in the daemon's memory for years, and its number and
    its descriptors are the same."""
    program = tmp_path / "program.py"
    program.write_text("import os, sys\nprint(os.getpid(), *sys.argv[1:])\nprint(*sys.modules)\n")
    code = (
        f"import os, re, sys\nfrom heartbeat import cli, launch\nlaunch.PROGRAM = ({str(program)!r},)\n"
        "print(os.getpid(), flush=True)\n"
        f"sys.exit(cli.main(['run', '--time-divisor', '7', '--run-dir', {str(tmp_path)!r}]))\n"
    )
    result = process("-c", code)
    assert result.returncode == 0, result.stderr
    before, words, modules = result.stdout.splitlines()
    pid, _config, run_dir, _state, _lock, divisor, _group, *_paths = words.split()
    assert (pid, run_dir, divisor) == (before, str(tmp_path), "7")
    assert {"os", "sys"} <= set(modules.split())
    assert not {name for name in modules.split() if name.partition(".")[0] in ("heartbeat", "re", "site")}
