"""The operator's scripts in rc.d: which are to run, and what is wrong with the others.

Five come with the original's package. What they do is built in, so as they were installed they are not run; one that
the operator has changed is run as well, and warned about, because it may move what this program moves. Nothing is ever
read from a script but its checksum.
"""

from __future__ import annotations

import os
import stat

from heartbeat.config.problems import Problems, shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

FOLDER = "rc.d"
# SHA-256 of Debian's heartbeat 1:3.0.6
SHIPPED = {
    "ask_resources": "c152bd16f9108c8430f1d0a8f1f4615efb0f12190a56bc1e066668a4f5c19700",
    "hb_takeover": "2a867e92779ba6f0f9dc444690c9121e366466ca573a2b3d22f462d7c28b76d9",
    "ip-request": "ddcd7bd757af52b8d0d2fb9d5be88d28c4bce4992b61e0ecf43746f2c28f5ee6",
    "ip-request-resp": "fd3a080beef9bce32a206e233813680b258b0d02d5a5cc21ba1fa1d3094e4833",
    "status": "1f1d6edbf0dee327cca9d43a047cd9265ede139654e906531e5563217295b4a5",
}
# a larger file is none of the five; the original's are a tenth of it
LARGEST_OCTETS = 16384
# as the original: shorter than 32 octets, and looked for in lower case
NAME_MAX = 31
NAME_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyz0123456789_-.")
SCRIPTS_MAX = 64


def find(directory: str) -> tuple[frozenset[str], list[str]]:
    """Names of the scripts below `directory` that are to run, and warnings, `file:line: text`."""
    folder = os.path.join(directory, FOLDER)
    found: set[str] = set()
    warnings: list[str] = []
    try:
        names = sorted(os.listdir(folder))
    except FileNotFoundError:
        return frozenset(), []
    except OSError as error:
        return frozenset(), [f"{folder}:1: cannot be read: {error.strerror}; no script of it runs"]
    for name in names:
        if len(name) > NAME_MAX or name.startswith(".") or not NAME_CHARACTERS.issuperset(name):
            continue  # README, a backup: no message is called like this
        problems = Problems(os.path.join(folder, name))
        if len(found) == SCRIPTS_MAX:
            problems.warning(1, f"is not run: {SCRIPTS_MAX} scripts are enough; take out what no message is called")
            warnings += problems.warnings()
            break
        if _runs(name, problems):
            found.add(name)
        warnings += problems.warnings()
    return frozenset(found), warnings


def _runs(name: str, problems: Problems) -> bool:
    try:
        octets, status = _beginning(problems.path)
    except OSError as error:
        problems.warning(1, f"is not run: {error.strerror}; mend it, or take it out of {FOLDER}")
        return False
    if not stat.S_ISREG(status.st_mode):
        problems.warning(1, f"is not run: it is no file; take it out of {FOLDER}")
        return False
    if name in SHIPPED and _checksum(octets) == SHIPPED[name]:
        return False
    if not status.st_mode & 0o111:
        problems.warning(1, f"is not run: it is not executable; chmod 755 it, or take it out of {FOLDER}")
        return False
    if status.st_mode & 0o022 or status.st_uid not in (0, os.geteuid()):
        problems.warning(1, "is not run: others than root may write it; chown root and chmod 755 it")
        return False
    if name in SHIPPED:
        problems.warning(
            1, f"is not the script {shown(name)} of Heartbeat 3.0.6: it is run, beside what is built in here for that"
            " event; where it starts, stops or asks for resources, take it out"
        )  # fmt: skip
    return True


def _beginning(path: str) -> tuple[bytes, os.stat_result]:
    """Of what is there, more than any of the five has. OSError."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)  # of a pipe, nobody waits for the writer
    try:
        status = os.fstat(fd)
        regular = stat.S_ISREG(status.st_mode) and os.path.basename(path) in SHIPPED
        return (os.read(fd, LARGEST_OCTETS) if regular else b""), status
    finally:
        os.close(fd)


def _checksum(octets: bytes) -> str:
    """SHA-256 by Python's own, as this version calls it: hashlib would load OpenSSL into the daemon, for years."""
    sha256: Any
    try:
        from _sha2 import sha256  # type: ignore[import-not-found,no-redef]  # noqa: PLC0415
    except ImportError:
        try:
            from _sha256 import sha256  # type: ignore[import-not-found,no-redef]  # noqa: PLC0415
        except ImportError:
            from hashlib import sha256  # noqa: PLC0415
    digest: str = sha256(octets).hexdigest()
    return digest
