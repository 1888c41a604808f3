"""The wheel: built from a clean clone, installed in a fresh environment of every Python there is on this machine.

Without its dependencies too: a router that has no network gets the wheel alone, and the daemon runs on the standard
library, termios and epoll time-outs.
"""

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from heartbeat.demo import seed
from heartbeat.demo.node import Node
from heartbeat.demo.world import JULIUS_AND_CAESAR, World, until

ROOT = Path(__file__).parents[2]
DIVISOR = 50
OLDEST, NEWEST_TRIED = 11, 19
BUILD_TIMEOUT_S, TIMEOUT_S = 300, 120


def run(*argv: object, timeout_s: float = TIMEOUT_S, **options) -> str:
    """Standard output. Where it fails: everything it said."""
    words = [str(word) for word in argv]
    done = subprocess.run(words, check=False, capture_output=True, text=True, timeout=timeout_s, **options)
    assert done.returncode == 0, f"{argv}: {done.returncode}\n{done.stdout}{done.stderr}"
    return done.stdout


def find_pythons() -> dict[str, Path]:
    """Version, as 3.11 → an interpreter of it that starts: on PATH, or one of pyenv's."""
    minors = range(OLDEST, NEWEST_TRIED)
    candidates = [Path(sys.base_prefix, "bin", f"python3.{sys.version_info.minor}")]
    candidates += [Path(found) for minor in minors if (found := shutil.which(f"python3.{minor}"))]
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    candidates += [path for minor in minors for path in sorted(pyenv.glob(f"versions/3.{minor}.*/bin/python"))]
    found: dict[str, Path] = {}
    for candidate in candidates:
        question = "import sys; print('%d.%d' % sys.version_info[:2])"
        try:
            answer = subprocess.run([candidate, "-c", question], capture_output=True, text=True, check=True, timeout=30)
        except (OSError, subprocess.CalledProcessError):
            continue  # pyenv has a command for every version that it could have
        found.setdefault(answer.stdout.strip(), candidate)
    return found


PYTHONS = find_pythons()


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    run("git", "clone", "--quiet", ROOT, folder / "clone")
    run(
        sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", folder / "wheels", ".",
        cwd=folder / "clone", timeout_s=BUILD_TIMEOUT_S,
    )  # fmt: skip
    (built,) = (folder / "wheels").iterdir()
    return built


def environment(base: Path, folder: Path, wheel: Path, *options: str) -> Path:
    """A fresh environment with the wheel in it. The folder of its commands."""
    # with its own pip: another Python's may be too old to work on it
    run(base, "-I", "-m", "venv", folder)
    run(folder / "bin/python", "-I", "-m", "pip", "install", "--quiet", *options, wheel)
    return folder / "bin"


@pytest.fixture(scope="module", params=sorted(PYTHONS, key=len))
def alone(request, wheel, tmp_path_factory) -> Path:
    """Commands of an environment with nothing but the wheel, for each Python."""
    folder = tmp_path_factory.mktemp("alone")
    return environment(PYTHONS[request.param], folder, wheel, "--no-deps", "--no-index")


@pytest.fixture(scope="module")
def complete(wheel, tmp_path_factory) -> Path:
    """Commands of an environment with the wheel and its dependencies."""
    return environment(PYTHONS["3.11"], tmp_path_factory.mktemp("complete"), wheel)


@pytest.fixture
def world(make_world) -> World:
    """julius and caesar, switched on, without daemons."""
    world = make_world(DIVISOR)
    for node in world.pair(JULIUS_AND_CAESAR, cable=world.cable()):
        world.power_on(node)
    return world


def start(node: Node, commands: Path) -> None:
    with node.log_path.open("a") as log:
        argv = [str(commands / "heartbeat"), "run", "--time-divisor", str(DIVISOR)]
        node.daemon = node.popen(argv, stdout=log, stderr=log)


def test_the_oldest_python_is_here():
    assert "3.11" in PYTHONS


def test_one_wheel_for_all_pythons(wheel):
    name, version, python, abi, platform = wheel.stem.split("-")
    assert name == "heartbeat_ha"
    assert (python, abi) == ("cp311", "abi3")
    assert platform.startswith("linux_")
    assert version == run(sys.executable, "-c", "import heartbeat; print(heartbeat.__version__)").strip()
    assert wheel.stat().st_size < 2 << 20  # a few MiB, and the wheel of today is a third of one


def test_the_wheel_holds_the_program_and_nothing_else(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    suffixes = {Path(name).suffix for name in names if ".dist-info/" not in name}
    assert suffixes <= {".py", ".pyi", ".so", ".typed", ".service", ".1", ".5", ".8"}
    assert {name.partition("/")[0].partition("-")[0] for name in names} == {"_hbfast", "heartbeat", "heartbeat_ha"}
    assert not [name for name in names if "test" in name or "build" in name or "setup" in name]
    for module in ("auth", "codec", "wheel"):
        assert f"_hbfast/{module}.abi3.so" in names
        assert f"_hbfast/{module}.pyi" in names
    assert {"_hbfast/py.typed", "heartbeat/_kernel.abi3.so"} <= set(names)
    assert "heartbeat/data/heartbeat.service" in names
    pages = {Path(name).name for name in names if "/share/man/" in name}
    assert pages == {path.name for path in (ROOT / "man").iterdir()}


def test_every_module_of_the_clone_is_in_the_wheel(wheel):
    """A package that pyproject.toml forgets is found here and not on a router."""
    names = set(zipfile.ZipFile(wheel).namelist())
    tracked = run("git", "-C", ROOT, "ls-tree", "-r", "--name-only", "HEAD", "heartbeat/", "agents/", "_hbfast/")
    sources = {line.replace("agents/", "heartbeat/agents/", 1) if line.startswith("agents/") else line
               for line in tracked.splitlines() if line.endswith((".py", ".pyi"))}  # fmt: skip
    assert sources - names == {"heartbeat/kernel_build.py", "heartbeat/source_build.py"}


def test_a_module_of_the_wheel_is_that_of_the_clone_without_docstrings_and_annotations(wheel):
    with zipfile.ZipFile(wheel) as archive:
        found = archive.read("heartbeat/core/cluster.py").decode()
    assert "class Cluster" in found
    assert '"""' not in found
    assert "->" not in found
    source = (ROOT / "heartbeat/core/cluster.py").read_text()
    assert found.count("\n") == source.count("\n")  # a traceback's lines are the clone's


def test_the_commands_are_there(alone):
    assert run(alone / "heartbeat", "--version").startswith("heartbeat ")
    for command in ("hb_standby", "hb_takeover", "cl_status"):
        assert (alone / command).exists()


def test_the_codec_works_and_does_not_load_inspect(alone):
    program = """
import sys
from _hbfast.auth import Authenticator
from _hbfast.codec import Decoder, Message, encode
from _hbfast.wheel import TimerWheel
loaded = "inspect" in sys.modules
auth = Authenticator({1: ("sha1", b"a-secret")}, 1)
fields = {"t": b"status", "st": b"active", "src": b"julius", "seq": b"1f", "hg": b"2"}
message = Message([(name, 0, value) for name, value in fields.items()])
again = []
for form in ("classic", "netstring"):
    decoder = Decoder("line", auth, stream=True)
    frame = encode(message, auth, form)
    for octet in frame:
        again += decoder.feed(bytes([octet]))
assert [{name: each.get(name).encode() for name in fields} for each in again] == [fields] * 2, again
assert (again[0].sequence, again[0].generation) == (31, 2)
wheel = TimerWheel(4, 1000)
wheel.arm(3, 5000)
assert wheel.next_due() == 5000 and wheel.due(4999) == [] and wheel.due(5000) == [3]
print("loaded" if loaded else "not loaded")
"""
    assert run(alone / "python", "-I", "-c", program) == "not loaded\n"


def test_check_reads_the_seeds_files(alone, world):
    julius = world.nodes["julius"]
    done = julius.run([str(alone / "heartbeat"), "check", "--config-dir", str(julius.config_folder)])
    assert done.returncode == 0, done.stderr
    for line in seed.HA_CF.splitlines():
        assert line.split()[0] in done.stdout


def test_a_pair_without_any_dependency_boots_and_survives_a_power_failure(alone, world):
    julius, caesar = pair = list(world.nodes.values())
    for node in pair:
        start(node, alone)
    addresses = JULIUS_AND_CAESAR.addresses
    until(lambda: all(node.is_stable() for node in pair), 20, "both nodes are stable")
    until(lambda: all(map(julius.holds, addresses)), 20, "julius holds both addresses")
    state = caesar.status()
    assert [medium["backend"] for medium in state["media"]] == ["termios"]
    assert not state["locked"]
    for text in ("no exact timer", "memory is not locked"):  # each said once
        assert len([warning for warning in state["warnings"] if text in warning]) == 1
    world.power_off(julius)
    until(lambda: all(map(caesar.holds, addresses)), 10, "caesar holds both addresses")
    assert caesar.stop_daemon() == 0
    assert not any(map(caesar.holds, addresses))


def test_with_its_dependencies_nothing_is_missing(complete, world):
    pair = list(world.nodes.values())
    for node in pair:
        start(node, complete)
    until(lambda: all(node.is_stable() for node in pair), 20, "both nodes are stable")
    state = json.loads(pair[0].run([str(complete / "heartbeat"), "status", "--json"]).stdout)
    assert [medium["backend"] for medium in state["media"]] == ["pyserial"]
    assert not [warning for warning in state["warnings"] if "missing" in warning]
    for node in pair:
        assert node.stop_daemon() == 0
