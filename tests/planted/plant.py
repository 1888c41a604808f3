"""Plants known bugs, one at a time, in a copy of the tree, and asks the layer that must catch each for its verdict.

A `NAME.patch` is a unified diff with words before it:

    Bug: one sentence
    Layer: pytest PATH[::TEST]…          or: heartbeat simulate …

The layer must be green in the copy without the patch, and red with it: a test that fails, not one that can't be run.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).parent
ROOT = Path(__file__).parents[2]
PATCHES = sorted(HERE.glob("*.patch"))
# compiled parts are no part of the repository, and are needed in the copy
COMPILED = ("_hbfast/*.so", "heartbeat/_kernel*.so", "build/cython/_hbfast/*.c")
LIMIT_S = 600
# pytest's exit codes, and simulate's: 1 is a test that failed, or an audit; everything else is trouble of another kind
GREEN, RED = 0, 1


class Bug:
    """One patch. layer: what must catch it, as words of a command."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name = path.stem
        self.text = path.read_text(encoding="utf-8")
        words = dict(line.split(": ", 1) for line in self.text.splitlines()[:2])
        self.what = words["Bug"]
        self.layer = words["Layer"].split()

    @property
    def compiled(self) -> bool:
        """Whether parts must be built again."""
        return "\n+++ b/_hbfast/" in self.text

    def command(self) -> list[str]:
        program, *arguments = self.layer
        if program == "pytest":
            return [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *arguments]
        return [sys.executable, "-c", "import sys; from heartbeat.cli import main; sys.exit(main())", *arguments]

    def missing(self, root: Path = ROOT) -> list[str]:
        """Files of the layer that are not there."""
        if self.layer[0] != "pytest":
            return [] if (root / "heartbeat/sim").is_dir() else ["heartbeat/sim"]
        paths = [word.partition("::")[0] for word in self.layer[1:] if word.startswith("tests/")]
        return [path for path in paths if not (root / path).exists()] or ([] if paths else ["a path"])


def copy_tree(target: Path) -> None:
    """What is in the repository, as it is in the working tree, and what was compiled from it."""
    argv = ["git", "-c", f"safe.directory={ROOT}", "-C", str(ROOT), "ls-files", "-z", "-co", "--exclude-standard"]
    names = subprocess.run(argv, capture_output=True, text=True, check=True).stdout.split("\0")
    compiled = [str(path.relative_to(ROOT)) for pattern in COMPILED for path in ROOT.glob(pattern)]
    for name in filter(None, [*names, *compiled]):
        source, to = ROOT / name, target / name
        if source.is_symlink() or source.is_file():
            to.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, to, follow_symlinks=False)


def apply(bug: Bug, tree: Path, *options: str) -> str:
    """Returns why not, or nothing."""
    environment = {**os.environ, "GIT_CEILING_DIRECTORIES": str(tree.parent)}
    argv = ["git", "apply", "-C1", *options, str(bug.path)]
    done = subprocess.run(argv, cwd=tree, env=environment, capture_output=True, text=True, check=False)
    return done.stderr.strip() if done.returncode else ""


def build(tree: Path) -> str:
    argv = [sys.executable, "setup.py", "-q", "build_ext", "--inplace"]
    done = subprocess.run(argv, cwd=tree, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr if done.returncode else ""


def ask(bug: Bug, tree: Path) -> tuple[int, str]:
    """The layer's exit code and output, with the program of this tree."""
    environment = {**os.environ, "PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1"}
    try:
        done = subprocess.run(
            bug.command(), cwd=tree, env=environment, capture_output=True, text=True, check=False, timeout=LIMIT_S
        )
    except subprocess.TimeoutExpired:
        return -1, f"not done in {LIMIT_S} s"
    return done.returncode, done.stdout + done.stderr


class Garden:
    """A folder with the sound tree and, for the time of a bug, a bad one."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.sound = folder / "sound"
        copy_tree(self.sound)
        self._green: dict[str, str] = {}

    def sound_layer(self, bug: Bug) -> str:
        """Why the layer is not green without the bug, or nothing. Asked once for each layer."""
        key = " ".join(bug.layer)
        if key not in self._green:
            code, output = ask(bug, self.sound)
            self._green[key] = "" if code == GREEN else f"not green without the bug (exit {code}):\n{output[-2000:]}"
        return self._green[key]

    def try_bug(self, bug: Bug) -> tuple[str, float]:
        """(nothing or what is wrong, seconds until it was caught)"""
        if bug.missing():
            return f"its layer does not exist: {bug.missing()}", 0
        bad = self.folder / bug.name
        shutil.copytree(self.sound, bad, symlinks=True)
        try:
            wrong = apply(bug, bad) or (build(bad) if bug.compiled else "") or self.sound_layer(bug)
            if wrong:
                return wrong, 0
            start = time.monotonic()
            code, output = ask(bug, bad)
            seconds = time.monotonic() - start
            if code == RED:
                return "", seconds
            return "SURVIVES" if code == GREEN else f"no verdict (exit {code}):\n{output[-2000:]}", seconds
        finally:
            shutil.rmtree(bad)


def main(names: list[str]) -> int:
    bugs = [Bug(path) for path in PATCHES]
    unknown = set(names) - {bug.name for bug in bugs}
    if unknown:
        print(f"no such bug: {' '.join(sorted(unknown))}", file=sys.stderr)
        return 2
    chosen = [bug for bug in bugs if not names or bug.name in names]
    widest = max(len(bug.name) for bug in chosen)
    failed = 0
    with tempfile.TemporaryDirectory(prefix="planted-") as folder:
        garden = Garden(Path(folder))
        for bug in chosen:
            wrong, seconds = garden.try_bug(bug)
            failed += bool(wrong)
            verdict = wrong or f"red in {seconds:.1f} s"
            print(f"{bug.name:{widest}}  {verdict}  {' '.join(bug.layer)}", flush=True)
    print(f"{len(chosen)} bugs planted, {len(chosen) - failed} caught")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
