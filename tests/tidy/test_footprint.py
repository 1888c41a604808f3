"""What the daemon's process loads, and what a short command does not. Each module of the standard library costs memory
for years and milliseconds at a restart, so the daemon's are listed, each with its reason."""

import shutil
import subprocess
import sys
import sysconfig

import pytest
from tidy.sources import ROOT

# Compiled into the interpreter, or a few kilobytes each.
FREE = {
    "__future__", "_collections", "_heapq", "_json", "_posixsubprocess", "_sha2", "_sha256",
    "_signal", "_socket", "_stat", "_struct", "array", "errno", "fcntl", "gc", "genericpath", "itertools", "mmap", "os",
    "posixpath", "pwd", "select", "stat", "struct", "termios", "zlib",
}  # fmt: skip
# pyserial brings it, where it is installed: 2 MB
WITH_PYSERIAL = {
    "serial", "_collections_abc", "_functools", "_operator", "_sre", "abc", "collections", "contextlib", "copyreg",
    "enum", "functools", "importlib", "io", "keyword", "operator", "re", "reprlib", "types", "warnings",
}  # fmt: skip
OURS = {"heartbeat", "_hbfast", "_cffi_backend", "cython_runtime"}

# Everything on the daemon's way from its start through years, but the system calls.
DAEMON = """
sys.modules["serial"] = None  # so serial lines are driven through termios
from heartbeat import anew
anew.stand_in()
from heartbeat import config, files
loaded = config.load({seed!r}, node="julius", machine=False)
files.let_go()
del config
from heartbeat import agents, daemon, media
for each in loaded.media:
    media.create(each, "/nonexistent")
for group in loaded.groups:
    for resource in group.resources:
        assert agents.resolve(resource.name, resource.arguments, builtin_first=True, config_dir={seed!r})
"""
COMMAND = """
import heartbeat.cli
sys.argv = {argv!r}
try:
    code = heartbeat.cli.{function}()
except SystemExit as exit:
    code = exit.code
"""


def modules_of(program: str) -> set[str]:
    """What is loaded after `program`, in an interpreter that loads nothing unasked."""
    paths = [str(ROOT), sysconfig.get_path("purelib"), sysconfig.get_path("platlib")]
    whole = f"import sys; sys.path += {paths!r}\n{program}\nprint('\\n' + ' '.join(sys.modules))"
    argv = [sys.executable, "-I", "-S", "-c", whole]
    done = subprocess.run(argv, check=False, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.splitlines()[-1].split())


def tops(modules: set[str]) -> set[str]:
    return {module.partition(".")[0] for module in modules} - {"__main__"}


def command(*argv: str, function: str = "main") -> set[str]:
    return modules_of(COMMAND.format(argv=list(argv), function=function))


@pytest.fixture(scope="module")
def daemon(tmp_path_factory) -> set[str]:
    """What the daemon has loaded, with the seed's files."""
    folder = shutil.copytree(ROOT / "tests/data/seed", tmp_path_factory.mktemp("ha.d"), dirs_exist_ok=True)
    (folder / "authkeys").chmod(0o600)
    return modules_of(DAEMON.format(seed=str(folder)))


def test_the_daemon_loads_what_is_listed_and_nothing_else(daemon):
    assert {"heartbeat.daemon", "heartbeat.media.line", "heartbeat.agents.address"} <= daemon
    unasked = tops(modules_of(""))
    assert tops(daemon) - unasked - FREE - OURS - {"serial"} == set()


def test_the_readers_of_the_files_are_let_go(daemon):
    assert {name for name in daemon if name.startswith("heartbeat.config")} == {"heartbeat.config.record"}


def nothing_of_other_commands(daemon: set[str]) -> None:
    theirs = ("decode", "pcap", "bench", "clstatus", "replay", "journalfile", "config.advice")
    assert not daemon & {f"heartbeat.{each}" for each in theirs}
    assert not {name for name in daemon if name.startswith(("heartbeat.demo", "heartbeat.sim"))}
    assert "heartbeat.agents.delivery" not in daemon  # it sends mail, with ssl and all, in a process of its own


def test_the_parts_that_other_commands_need_stay_out_of_the_daemon(daemon):
    nothing_of_other_commands(daemon)


def test_agents_that_nobody_has_configured_are_not_loaded(daemon):
    assert not daemon & {f"heartbeat.agents.{each}" for each in ("delay", "mailto", "script", "redirect")}


def test_asking_for_the_status_does_not_load_the_daemon():
    nowhere = ("--run-dir", "/nonexistent")
    for loaded in (
        command("heartbeat", "status", "--json", *nowhere),
        command("heartbeat", "reload", *nowhere),
        command("heartbeat", "--version"),
        command("cl_status", "hbstatus", function="cl_status"),
    ):
        ours = {name for name in loaded if tops({name}) <= OURS}
        assert "heartbeat.cli" in ours
        assert not {name for name in ours if name.startswith(("_hbfast", "heartbeat.core.cluster", "heartbeat.daemon"))}
        assert not ours & {f"heartbeat.{part}" for part in ("executor", "agents", "media", "config", "wire", "demo")}


def test_the_compiled_parts_do_not_load_inspect():
    loaded = modules_of("import _hbfast.codec, _hbfast.auth, _hbfast.wheel")
    assert "_hbfast.wheel" in loaded
    assert "inspect" not in loaded


def test_the_core_loads_next_to_nothing():
    before = modules_of("import collections, _hbfast.codec, _hbfast.auth, _hbfast.wheel")
    loaded = modules_of("import heartbeat.core.cluster")
    assert {name for name in loaded - before if not name.startswith("heartbeat")} <= {"__future__"}
