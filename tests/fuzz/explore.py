"""Fuzzes targets with feedback from the code, by atheris; `sh scripts/fuzz` sets up what it needs and calls it.

    explore.py [TARGET]… [--seconds N] [--keep]

One after another, each in a process of its own: from the kept corpus, the seeds and what earlier runs found (all in
build/fuzz/corpus/), for so long. Prints for each how many inputs were run, how many of them were worth keeping, and how
many branches of the extension and lines of Python they reach. --keep: what reaches code that the repository's corpus
does not is added to it. Exit code 1 where anything fails; the input is in build/fuzz/failed/TARGET/.
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

# in place of this folder, whose files are no modules of their own
if str(Path(__file__).parent) in sys.path:
    sys.path.remove(str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "unit"))
sys.path.insert(0, str(Path(__file__).parents[1]))

from fuzz import corpus

LONGEST_S = 10
OCTETS_MAX = 4096
# octets of an input that is kept in the repository
KEPT_MAX = 2048
MEMORY_MIB = 2048
# the variable that names the folder of the instrumented extension
BUILT = "HEARTBEAT_FUZZ_BUILT"
STATUS = re.compile(r"^#(\d+)\s+\w+\s+cov: (\d+) ft: (\d+) corp: (\d+)/(\S+)", re.MULTILINE)
RUNS = re.compile(r"^Done (\d+) runs", re.MULTILINE)


def child(argv: list[str]) -> None:
    """The fuzzer itself, in the process that has the sanitizers loaded."""
    import atheris  # here alone

    name = argv.pop(1)
    with atheris.instrument_imports(include=["heartbeat"]):
        target = corpus.target(name)
        target.run(b"")  # what is imported late
    # to merge, it starts itself again, by a shell
    command = " ".join(map(shlex.quote, (sys.executable, argv[0], "--child", name)))
    atheris.Setup([command, *argv[1:]], target.run)
    atheris.Fuzz()


def libfuzzer(name: str, *options: str) -> tuple[int, str]:
    """Exit code and output."""
    import atheris
    from fuzz import files  # not in the child, where the program's modules are loaded with instruments

    failed = corpus.WORKING / "failed" / name
    failed.mkdir(parents=True, exist_ok=True)
    environment = dict(os.environ)
    if name in corpus.COMPILED:
        environment |= {
            "LD_PRELOAD": f"{atheris.path()}/asan_with_fuzzer.so",
            "ASAN_OPTIONS": "detect_leaks=0:allocator_may_return_null=1",
            "UBSAN_OPTIONS": "print_stacktrace=1",
            "PYTHONMALLOC": "malloc",
            "PYTHONPATH": f"{environment[BUILT]}:{corpus.ROOT}",
        }
    argv = [sys.executable, __file__, "--child", name, f"-artifact_prefix={failed}/", f"-rss_limit_mb={MEMORY_MIB}"]
    argv += [f"-timeout={LONGEST_S}", *options]
    with tempfile.TemporaryDirectory(prefix="hb-fuzz-", dir=files.PLACE) as folder:
        environment[files.GIVEN] = folder
        done = subprocess.run(argv, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    return done.returncode, done.stdout.decode("utf-8", "replace")


def explore(name: str, seconds: int) -> bool:
    """Prints one row. False where an input failed."""
    working = corpus.WORKING / "corpus" / name
    for octets in (*corpus.kept(name), *corpus.target(name).seeds()):
        corpus.put(working, octets)
    words = corpus.WORKING / "words" / name
    words.parent.mkdir(parents=True, exist_ok=True)
    words.write_text("".join(f'"{escaped(word)}"\n' for word in corpus.target(name).WORDS if word))
    code, output = libfuzzer(
        name, f"-max_total_time={seconds}", f"-max_len={OCTETS_MAX}", f"-dict={words}", "-reload=0", str(working)
    )
    (corpus.WORKING / f"{name}.log").write_text(output)
    states, runs = STATUS.findall(output), RUNS.search(output)
    if code or not states or not runs:
        print(f"{name}: FAILED, exit code {code}\n{output[-6000:]}", flush=True)
        return False
    _, branches, features, inputs, octets = states[-1]
    print(f"{name:12} {runs[1]:>10} {inputs:>7} {octets:>8} {branches:>9} {features:>9}", flush=True)
    return True


def escaped(word: bytes) -> str:
    return "".join(chr(octet) if chr(octet).isalnum() and octet < 128 else f"\\x{octet:02x}" for octet in word)


def keep(name: str) -> None:
    """Adds to the repository's corpus what reaches more than it does, smallest inputs first."""
    kept, working = corpus.KEPT / name, corpus.WORKING / "corpus" / name
    chosen = corpus.WORKING / "chosen" / name
    for folder in (kept, chosen):
        folder.mkdir(parents=True, exist_ok=True)
    for path in chosen.iterdir():
        path.unlink()
    small = [octets for path in working.iterdir() if len(octets := path.read_bytes()) <= KEPT_MAX]
    for octets in small:
        corpus.put(chosen, octets)
    before = len(list(kept.iterdir()))
    code, output = libfuzzer(name, "-set_cover_merge=1", str(kept), str(chosen))
    if code:
        print(f"{name}: not merged\n{output[-3000:]}", flush=True)
    print(f"{name}: {before} inputs kept before, {len(list(kept.iterdir()))} now", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/fuzz")
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=", ".join(corpus.TARGETS))
    parser.add_argument("--seconds", type=int, default=60, help="for each target")
    parser.add_argument("--keep", action="store_true", help="add what reaches new code to tests/fuzz/corpus")
    chosen = parser.parse_args()
    unknown = set(chosen.targets) - set(corpus.TARGETS)
    if unknown:
        parser.error(f"no such target: {', '.join(sorted(unknown))}; there are {', '.join(corpus.TARGETS)}")
    print(f"{'target':12} {'inputs run':>10} {'corpus':>7} {'octets':>8} {'branches':>9} {'features':>9}", flush=True)
    good = True
    for name in chosen.targets or corpus.TARGETS:
        good &= explore(name, chosen.seconds)
        if chosen.keep:
            keep(name)
    return 0 if good else 1


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        child([sys.argv[0], *sys.argv[2:]])
    else:
        sys.exit(main())
