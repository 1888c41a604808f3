"""Our program as a router has it: the wheel of this tree, in an environment made by the system's own Python.

Two of them: with all dependencies, and with cffi alone, so that serial ports are driven through termios. They are kept
in build/ and made again when anything that goes into the wheel has changed.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

from interop.program import Program

from bench.footprint import ROOT

FOLDER = ROOT / "build" / "footprint"
INTO_THE_WHEEL = ("heartbeat", "agents", "_hbfast", "man", "pyproject.toml", "setup.py", "README.md", "LICENSE")
COMMANDS = ("heartbeat", "cl_status", "hb_standby", "hb_takeover")
# name → the packages beside the wheel; None: all that it asks for
ENVIRONMENTS: dict[str, tuple[str, ...] | None] = {"termios": ("cffi>=1.15",), "pyserial": None}


def program(name: str) -> Program:
    """Of that environment, which is made if need be. subprocess.CalledProcessError."""
    commands = _environment(name) / "bin"
    return Program(f"ours, {name}", (str(commands / "heartbeat"), "run"), dict.fromkeys(COMMANDS, str(commands)))


def _environment(name: str) -> Path:
    folder, made_from = FOLDER / name, _fingerprint()
    stamp = folder / "made-from"
    if stamp.exists() and stamp.read_text() == made_from:
        return folder
    wheel = _wheel(made_from)
    shutil.rmtree(folder, ignore_errors=True)
    # as an operator does it: the system's Python, not the one with which this clone is tested
    _run(Path(sys.base_prefix, "bin", f"python3.{sys.version_info.minor}"), "-I", "-m", "venv", folder)
    packages = ENVIRONMENTS[name]
    pip = (folder / "bin/python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
    _run(*pip, *(() if packages is None else ("--no-deps",)), wheel)
    if packages:
        _run(*pip, *packages)
    stamp.write_text(made_from)
    return folder


def _wheel(made_from: str) -> Path:
    """Of a copy: what an earlier build has left in the tree is not in it."""
    wheels = FOLDER / "wheels"
    found = list(wheels.glob("*.whl"))
    stamp = wheels / "made-from"
    if found and stamp.exists() and stamp.read_text() == made_from:
        return found[0]
    for folder in (wheels, FOLDER / "tree"):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
    for name in _files():
        target = FOLDER / "tree" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, target, follow_symlinks=False)
    options = ("--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", wheels)
    _run(sys.executable, "-m", "pip", "wheel", *options, ".", cwd=FOLDER / "tree")
    shutil.rmtree(FOLDER / "tree")
    stamp.write_text(made_from)
    (built,) = wheels.glob("*.whl")
    return built


def _files() -> list[str]:
    """Those that git knows or would know, so that what has been compiled here is left out."""
    argv = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *INTO_THE_WHEEL]
    names = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0")
    return sorted(name for name in names if name and (ROOT / name).exists())


def _fingerprint() -> str:
    whole = hashlib.sha256(sys.version.encode())
    for name in _files():
        path = ROOT / name
        if not path.is_dir():  # the link to the agents' folder
            whole.update(name.encode() + b"\0" + path.read_bytes())
    return whole.hexdigest()


def _run(*argv: object, cwd: Path | None = None) -> None:
    done = subprocess.run([str(word) for word in argv], cwd=cwd, capture_output=True, text=True, check=False)
    if done.returncode:
        raise OSError(f"{' '.join(map(str, argv))} failed: {(done.stderr or done.stdout).strip()[-500:]}")
