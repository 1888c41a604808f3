"""Every target on its whole corpus and on 20 s of mutations, in this machine's ordinary build; the corpus and the tests
of the compiled parts once more with the address and undefined-behaviour sanitizers.

Two targets run at a time, each in a process of its own: what ends the process, or hangs, is a failure of one test. The
seed is fixed, so that a red run can be had again; `sh scripts/fuzz` is what finds new faults.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest
from fuzz import build, corpus
from fuzz.mutate import Mutator

SECONDS = 20
AT_A_TIME = 2
LONGEST_S = 240
PLAY = str(Path(__file__).parent / "play.py")
KEPT_OCTETS_MAX = 400_000

Played = subprocess.CompletedProcess[str]


def play(*arguments: str, environment: dict[str, str] | None = None) -> Played:
    argv = [sys.executable, PLAY, *arguments]
    return subprocess.run(
        argv,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=LONGEST_S,
        check=False,
    )


@pytest.fixture(scope="module")
def outcome(request) -> Iterator[Callable[[str], Played]]:
    """What came of a target. All that this run of the tests wants are started at once, for the two to choose from."""
    wanted = [
        item.callspec.params["name"]
        for item in request.session.items
        if getattr(item, "originalname", "") == test_no_input_makes_it_fail.__name__
    ]
    with ThreadPoolExecutor(AT_A_TIME) as pool:
        running: dict[str, Future[Played]] = {
            name: pool.submit(play, name, "--seconds", str(SECONDS)) for name in wanted
        }
        yield lambda name: running[name].result()


@pytest.mark.parametrize("name", corpus.TARGETS)
def test_no_input_makes_it_fail(outcome, name):
    done = outcome(name)
    assert done.returncode == 0, done.stdout[-8000:]


def test_the_corpus_is_small_and_named_by_its_content():
    assert {path.name for path in corpus.KEPT.iterdir()} == set(corpus.TARGETS)
    paths = [path for path in corpus.KEPT.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in paths) < KEPT_OCTETS_MAX
    assert [path for path in paths if corpus.name_of(path.read_bytes()) != path.name] == []


def test_the_same_seed_gives_the_same_inputs():
    def some(seed: int) -> list[bytes]:
        mutator = Mutator(seed, [b"one", b"another"], [b"word"])
        return [mutator.next() for _ in range(300)]

    assert some(1) == some(1)
    assert some(1) != some(2)
    assert len(set(some(1))) > 200


def test_a_fault_is_reported_with_its_input(tmp_path):
    """What the runs above rely on: an input that fails makes the run fail, and is kept."""
    program = f"""
import sys
sys.path[:0] = [{str(corpus.HERE.parent)!r}]
from pathlib import Path
from fuzz import corpus, play
corpus.WORKING = Path({str(tmp_path)!r})
def run(octets):
    assert b"\\x80" not in octets
corpus.target("auth").run = run
play.play("auth", 5, 1)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=LONGEST_S, check=False
    )
    assert done.returncode == 1
    failed = tmp_path / "failed" / "auth"
    [current] = failed.glob("current-*")
    [kept] = (path.read_bytes() for path in failed.iterdir() if path != current)
    assert b"\x80" in kept
    assert current.read_bytes().startswith(kept)


# ---- with sanitizers

# of the compiled parts' own tests, those that measure time or the allocator
UNFIT = "not bounded_time and not single_octets and not bomb and not is_bounded"
TESTED = ("test_codec.py", "test_auth.py", "test_repetition.py", "test_beat.py", "test_wheel.py")


@pytest.fixture(scope="module")
def sanitized() -> dict[str, str]:
    """The environment of a Python that uses the extension built with gcc's sanitizers."""
    folder = build.build("asan")
    libraries = [
        subprocess.run(["gcc", f"-print-file-name={name}"], capture_output=True, text=True, check=True).stdout.strip()
        for name in ("libasan.so", "libubsan.so")
    ]
    return {
        **os.environ,
        "LD_PRELOAD": " ".join(libraries),
        # Python itself frees nothing at its end; and without its own allocator every object is one that is watched
        "ASAN_OPTIONS": "detect_leaks=0",
        "PYTHONMALLOC": "malloc",
        "PYTHONPATH": f"{folder}:{corpus.ROOT}",
    }


def test_the_corpus_with_sanitizers(sanitized):
    done = play(*corpus.COMPILED, "--seconds", "3", environment=sanitized)
    assert done.returncode == 0, done.stdout[-8000:]


def test_the_compiled_parts_with_sanitizers(sanitized):
    unit = corpus.ROOT / "tests" / "unit"
    # -P: what lies in the working directory, the ordinary build, does not come first
    argv = [
        sys.executable,
        "-P",
        "-m",
        "pytest",
        "-p",
        "no:cacheprovider",
        "-k",
        UNFIT,
        *(str(unit / name) for name in TESTED),
    ]
    done = subprocess.run(
        argv, cwd=corpus.ROOT, env=sanitized, capture_output=True, text=True, timeout=LONGEST_S, check=False
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-8000:]


def test_the_sanitizers_watch(sanitized):
    """What the two tests above rely on: the preloaded libraries see a read behind the end of a block."""
    program = """
import ctypes
import _hbfast.codec
print(_hbfast.codec.__file__, flush=True)
process = ctypes.CDLL(None)
process.malloc.restype = ctypes.c_void_p
process.memset(ctypes.c_void_p(process.malloc(16)), 0, 17)
"""
    argv = [sys.executable, "-P", "-c", program]
    done = subprocess.run(argv, env=sanitized, capture_output=True, text=True, check=False)
    assert str(corpus.ROOT / "build" / "ext-asan") in done.stdout
    assert done.returncode != 0
    assert "heap-buffer-overflow" in done.stderr
