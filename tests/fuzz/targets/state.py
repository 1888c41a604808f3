"""Any octets in the files that a run leaves for the next one: generation, uuid, peers, pid, held groups, last sign. The
next run starts all the same: nothing is raised, what is damaged is not believed, and what is written is read again.

    input   which file, clock (4 octets), the file
"""

from __future__ import annotations

import os
from collections.abc import Callable

from fuzz import files
from fuzz.choices import Choices

from heartbeat import held, persist

WORDS = (
    b"              1\n", b"999999999999999\n", b" ", b"\n", b"9", b"-1", b"\xd9\xa1", b"crc 00000000\n",
    b"caesar 1 2\n", b"18446744073709551615", b"18446744073709551616", b'["begun", "a"]\n', b'["up", "b"]\n',
    b'["down", "b"]\n', b"[", b"]", b"{", b'"', b"null", b"\\ud800", b"[" * 600, b"1e999", b"NaN", b"\0", b"4194304",
    b"9" * 60, b"\xff",
)  # fmt: skip
GENERATIONS = 10**persist.GENERATION_COLUMNS


def put(name: str, octets: bytes) -> str:
    path = f"{files.folder()}/{name}"
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    os.write(fd, octets)
    os.close(fd)
    return path


def run(octets: bytes) -> None:
    choices = Choices(octets)
    target, clock = choices.pick(TARGETS), choices.number(4)
    sync = os.fsync
    os.fsync = lambda fd: None
    try:
        target(choices.rest(), clock)
    finally:
        os.fsync = sync


def generation(octets: bytes, clock: int) -> None:
    """Always higher than before, and readable by the next run."""
    warnings: list[str] = []
    put(persist.GENERATION_FILE, octets)
    found = persist.next_generation(files.folder(), "file", clock, warn=warnings.append)
    sound = len(octets) == 16 and octets.strip(b" \n").isdigit()
    assert bool(warnings) != sound
    assert found == (int(octets) if sound else clock) + 1
    assert persist.next_generation(files.folder(), "file", 0, warn=warnings.append) > found or found >= GENERATIONS - 1
    put(persist.GENERATION_FILE, octets)
    persist.next_generation(files.folder(), "time", clock, run_dir=files.folder())


def uuid(octets: bytes, clock: int) -> None:
    warnings: list[str] = []
    put(persist.UUID_FILE, octets)
    found = persist.node_uuid(files.folder(), "file", "julius", warn=warnings.append)
    assert len(found) == persist.UUID_OCTETS
    assert any(found)
    assert (found == octets) != bool(warnings)
    assert persist.node_uuid(files.folder(), "file", "julius") == found


def peers(octets: bytes, clock: int) -> None:
    """Once as it is, once with the checksum that it should have."""
    warnings: list[str] = []
    put(persist.PEERS_FILE, octets)
    assert not persist.read_peers(files.folder(), warn=warnings.append) or not warnings
    body = octets.rpartition(b"crc ")[0] or octets
    checksum = b"crc %08x\n" % persist.zlib.crc32(body)
    put(persist.PEERS_FILE, body + checksum)
    warnings.clear()
    known = persist.read_peers(files.folder(), warn=warnings.append)
    assert not (known and warnings)
    assert len(known) <= persist.PEERS
    for name, (generation, sequence) in known.items():
        assert min(generation, sequence) >= 0
        assert max(generation, sequence) <= persist.NUMBER_MAX
        assert " " not in name
    put(persist.PEERS_FILE, persist.peers_content(known))
    assert persist.read_peers(files.folder()) == known


def pid(octets: bytes, clock: int) -> None:
    pidfd = persist.daemon_pidfd(put("heartbeat.pid", octets))
    assert pidfd is None  # nobody has locked it
    one = persist.PidFile(f"{files.folder()}/heartbeat.pid")
    try:
        found = persist.daemon_pidfd(f"{files.folder()}/heartbeat.pid")
        assert found is not None
        os.close(found)
    finally:
        one.close()


def groups(octets: bytes, clock: int) -> None:
    warnings: list[str] = []
    put("held", octets)
    one = held.HeldGroups(files.folder(), warnings.append)
    one.read()
    one.add("julius-group")
    one.started("IPaddr::10.0.0.1")
    other = held.HeldGroups(files.folder(), warnings.append)
    other.read()
    assert (other.begun, other.up) == (one.begun, one.up)
    other.clear()
    assert warnings == []


def sign(octets: bytes, clock: int) -> None:
    warnings: list[str] = []
    put("sign", octets)
    one = held.LastSign(files.folder(), warnings.append)
    one.keep(clock + 1, alone=bool(clock & 1))
    other = held.LastSign(files.folder(), warnings.append)
    assert (other.last_ns, other.was_alone) == (clock + 1, bool(clock & 1))
    one.clear()
    other.clear()
    assert warnings == []


TARGETS: tuple[Callable[[bytes, int], None], ...] = (generation, uuid, peers, pid, groups, sign)


def seeds() -> list[bytes]:
    known = persist.peers_content({"caesar": (1795000000, 77), "brutus": (1, 0)})
    lines = b'["begun", "IPaddr::10.0.0.254"]\n["up", "IPaddr::10.0.0.254"]\n["down", "IPaddr::10.0.0.254"]\n["up", "x"'
    contents = (b"     1795000001\n", b"0123456789abcdef", known, b"      1234\n", lines, b"x" * 36 + bytes(20))
    return [bytes([kind, 0, 0, 0, 9]) + content for kind, content in enumerate(contents)] + [
        bytes([kind, 0, 0, 0, 9]) + junk for kind in range(len(contents)) for junk in (b"", b"\xff" * 20, b"9" * 64)
    ]
