"""The compiled parts in another of setup.py's modes, beside the ordinary ones:

    python tests/fuzz/build.py MODE [COMPILER]      prints the folder that PYTHONPATH begins with to use them

Made in a copy of the sources below build/, and made again when the sources change: what is in use stays as it is.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCES = (".py", ".pyx", ".pxd", ".pxi")
KERNEL = Path("heartbeat/kernel_build.py")  # setup.py names it


def build(mode: str, compiler: str | None = None) -> Path:
    """RuntimeError: it does not compile, and why."""
    folder = ROOT / "build" / f"ext-{mode}"
    sources = [ROOT / "setup.py", *sorted(path for path in (ROOT / "_hbfast").iterdir() if path.suffix in SOURCES)]
    stamp = folder / "made-from"
    wanted = fingerprint(sources, mode, compiler)
    if stamp.exists() and stamp.read_text() == wanted:
        return folder
    shutil.rmtree(folder, ignore_errors=True)
    for path in (*sources, ROOT / KERNEL):
        copy = folder / path.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy)
    environment = {**os.environ, "HEARTBEAT_BUILD": mode}
    if compiler:
        environment |= {"CC": compiler, "LDSHARED": f"{compiler} -shared"}
    argv = [sys.executable, "setup.py", "-q", "build_ext", "--inplace", "-j2"]
    done = subprocess.run(argv, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"HEARTBEAT_BUILD={mode} does not compile:\n{done.stdout}{done.stderr}")
    # a folder without __init__.py would still hide nothing, but its extension must not be taken for the program's
    shutil.rmtree(folder / KERNEL.parent)
    # where coverage looks for what the compiler was given: beside the source
    for made in (folder / "build" / "cython" / "_hbfast").glob("*.c"):
        shutil.copyfile(made, folder / "_hbfast" / made.name)
    stamp.write_text(wanted)
    return folder


def fingerprint(sources: list[Path], mode: str, compiler: str | None) -> str:
    digest = hashlib.sha256(f"{ROOT} {mode} {compiler} {sys.version}".encode())
    for path in sources:
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


if __name__ == "__main__":
    print(build(*sys.argv[1:]))
