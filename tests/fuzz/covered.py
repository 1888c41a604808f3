"""How much of the core and of the compiled parts the tests reach; `sh scripts/coverage` calls it.

    covered.py [core] [hbfast]        both where none is named

core    branches and lines of heartbeat/core, by the tests in exhaustive/, unit/, property/ and simulation/ that have to
        do with it
hbfast  lines of _hbfast in the build with line tracing, by its unit tests and the fuzzing corpus. Tests that take every
        recorded message, every bit or a megabyte are left out: a trace call for each line makes hours of them

Prints both figures and what was not reached. Exit code 1 below the bars, or where a test fails.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import coverage

sys.path.insert(0, str(Path(__file__).parents[1]))

from fuzz import build

ROOT = Path(__file__).parents[2]
TESTS = ROOT / "tests"
WORKING = ROOT / "build" / "coverage"
CORE_BAR, HBFAST_BAR = 98.0, 95.0
# what a test of the core has in it
ABOUT_THE_CORE = ("heartbeat.core", "from pair ", "heartbeat.sim", "from journalled ")
COMPILED = ("test_codec.py", "test_auth.py", "test_wheel.py", "test_repetition.py", "test_beat.py", "test_watch.py")
LONG = (
    "recorded", "serial_session", "each_capture", "damaged_bit", "every_bit", "bounded", "bomb", "single_octets",
    "long_life", "long_body", "cut_anywhere", "memory", "captures_are_all", "beginnings", "no_other_library",
    "leading_zeros", "test_what_can_be_sent and (field23 or field24)",
)  # fmt: skip
CORPUS = ("decoder", "auth", "wheel")


def run(name: str, settings: str, imported: str, cwd: Path, *programs: list[str]) -> tuple[coverage.Coverage, bool]:
    """What these programs reach together, and whether all of them ended well."""
    WORKING.mkdir(parents=True, exist_ok=True)
    config, data = WORKING / f"{name}.ini", WORKING / f"{name}.data"
    # what tests start counts too: each process has a file of its own
    config.write_text(f"[run]\ndata_file = {data}\nparallel = true\n{settings}\n")
    for path in WORKING.glob(f"{name}.data*"):
        path.unlink()
    # the tracer written in C: it alone has plug-ins, and in newer Pythons it must be asked for
    environment = {**os.environ, "COVERAGE_CORE": "ctrace", "PYTHONPATH": imported}
    good = True
    for program in programs:
        argv = [sys.executable, "-P", "-m", "coverage", "run", f"--rcfile={config}", *program]
        good &= subprocess.run(argv, cwd=cwd, env=environment, check=False).returncode == 0
    # file names in the data are relative to where it was run
    os.chdir(cwd)
    found = coverage.Coverage(config_file=str(config))
    found.combine()
    found.save()
    return found, good


def pytest(*arguments: str) -> list[str]:
    options = ["-q", "-p", "no:cacheprovider", "-c", str(ROOT / "pyproject.toml"), "--rootdir", str(ROOT)]
    return ["-m", "pytest", *options, *arguments]


def core() -> bool:
    # a process for each folder: a test that goes too deep on purpose ends the tracing of all that follow it
    chosen = [
        [
            str(path)
            for path in sorted((TESTS / folder).glob("test_*.py"))
            if any(word in path.read_text() for word in ABOUT_THE_CORE)
        ]
        for folder in ("exhaustive", "unit", "property", "simulation")
    ]
    programs = [pytest(*each) for each in chosen]
    settings = "branch = true\npatch = subprocess\nsource = heartbeat.core"
    found, good = run("core", settings, str(ROOT), ROOT, *programs)
    share = found.report(show_missing=True, skip_covered=True)
    lines, branches = totals(found)
    print(f"heartbeat/core: {share:.2f} % of lines and branches, {branches:.2f} % of branches, {lines:.2f} % of lines")
    return good and branches >= CORE_BAR


def totals(found: coverage.Coverage) -> tuple[float, float]:
    """Percentages of lines and of branches."""
    statements = missing = branches = reached = 0
    for name in found.get_data().measured_files():
        numbers = found._analyze(name).numbers
        statements += numbers.n_statements
        missing += numbers.n_missing
        branches += numbers.n_branches
        reached += numbers.n_executed_branches
    return 100 * (1 - missing / statements), 100 * reached / branches


def hbfast() -> bool:
    folder = build.build("debug")
    keywords = " and ".join(f"not ({word})" for word in LONG)
    tests = pytest("-k", keywords, *(str(TESTS / "unit" / name) for name in COMPILED))
    corpus = [str(TESTS / "fuzz" / "play.py"), "--patient", *CORPUS]
    settings = "plugins = Cython.Coverage\nsource = _hbfast"
    # Cython's plug-in looks for the compiler's input below the working directory
    found, good = run("hbfast", settings, f"{folder}:{ROOT}", folder, tests, corpus)
    reached = whole = 0
    for name in sorted(found.get_data().measured_files()):
        source = Path(name)
        if source.suffix not in (".pyx", ".pxi"):
            continue
        text = source.read_text().split("\n")
        _, statements, _, missing, _ = found.analysis2(name)
        # the head of a function is no line that is reached by itself, and no trace tells of it in a .pxi
        inside = [line for line in statements if not text[line - 1].lstrip().startswith(("cdef ", "def ", "@"))]
        left = [line for line in missing if line in inside]
        whole += len(inside)
        reached += len(inside) - len(left)
        for line in left:
            print(f"_hbfast/{source.name}:{line}: {text[line - 1].strip()}")
    share = 100 * reached / whole
    print(f"_hbfast: {share:.2f} % of {whole} lines")
    return good and share >= HBFAST_BAR


def main() -> int:
    parts = {"core": core, "hbfast": hbfast}
    results = [parts[name]() for name in sys.argv[1:] or parts]
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
