"""Any octets as a journal for `heartbeat replay`, and as the memory that a dead daemon left: what cannot be read is
said, and what can is told again; nothing is raised but what says so, whatever cluster the file invents.

    input   what (0 a file, 1 a file made of a sound one, 2 the memory made of a sound one), then the file; or changes:
            where (3 octets), how much goes (1), how much comes (1), and that

A sound one is recorded by this very program, so the same input may mean another file in the next version.
"""

from __future__ import annotations

import contextlib
import io
import json
from functools import cache

from fuzz import files
from fuzz.choices import Choices
from journalled import World
from pair import CAESAR, JULIUS

from heartbeat import journalfile, replay

CHANGES_MAX = 12
# events of one repetition, and of one file: nonsense may well take long
REPEATED_MAX, STEPS_MAX = 50, 300
WORDS = (
    b'"at":', b'"event":"Tick"', b'"event":"Repeated"', b'"event":"Message"', b'"count":', b'"sequence":',
    b'"wall_s":', b'"frame":"', b'"medium":"', b'"snapshot":', b'"table":', b'"digest":null', b'["m",', b'["t"]',
    b'["c","', b'["b","', b'["u",0]', b"[0]", b"[1]", b"[999999]", b"-1", b"9223372036854775807", b"9" * 25, b"null",
    b"true", b'""', b"{", b"}", b"[", b"]", b",", b"\n", b"TimerWheel", b"deque", b"Message", b"core.", b"handle",
    b"__init__", b"\\ud800", b"\0", b"settings.Settings", b"cluster.Cluster", b"events.Request", b"1e999",
    b'"strong":true', b"[" * 900, b"HBJRNL1\n",
)  # fmt: skip


@cache
def sound() -> tuple[bytes, bytes]:
    """A file's lines, and a buffer of memory."""
    world = World(size=64 * 1024)
    world.boot(JULIUS)
    world.boot(CAESAR)
    world.run(12)
    world.ask(world.nodes[JULIUS], "standby")
    world.run(6)
    [journal] = world.journals[JULIUS]
    image = next(image for image in journal.images() if len(image.rstrip(b"\0")) > 20)
    lines = journal.lines()
    for line in lines:
        line.pop("written", None)
    return "".join(json.dumps(line, separators=(",", ":")) + "\n" for line in lines).encode(), image.rstrip(
        b"\0"
    ) + bytes(8)


def changed(whole: bytes, choices: Choices) -> bytes:
    octets = bytearray(whole)
    for _ in range(CHANGES_MAX):
        if not choices.more:
            break
        at = choices.number(3) % (len(octets) + 1)
        gone = choices.octet()
        octets[at : at + gone] = choices.piece(200)
    return bytes(octets)


def run(octets: bytes) -> None:
    choices = Choices(octets)
    what = choices.octet() % 3
    if what == 2:
        recovered(changed(sound()[1], choices))
        return
    path = f"{files.folder()}/journal"
    with open(path, "wb") as file:
        file.write(choices.rest() if what == 0 else changed(sound()[0], choices))
    limit, replay.REPEATED_LIMIT = replay.REPEATED_LIMIT, REPEATED_MAX
    try:
        replayed(path)
    finally:
        replay.REPEATED_LIMIT = limit


def replayed(path: str) -> None:
    try:
        told = replay.Replay(journalfile.read(path))
        for count, step in enumerate(told.steps(), 1):
            assert step.number <= count + told.snapshots
            with contextlib.redirect_stdout(io.StringIO()):
                str(step.event), str(step.actions)
            if count >= STEPS_MAX:
                break
    except (replay.Refused, ValueError):
        return


def recovered(image: bytes) -> None:
    try:
        lines = journalfile.lines([image], reason="crash")
    except ValueError:
        return
    json.dumps(lines)


def seeds() -> list[bytes]:
    at = 300
    places = [(at * 97 * i % 60_000).to_bytes(3) for i in range(1, 12)]
    return [
        b"\0{}", b"\0" + b'{"heartbeat journal":1,"program":"1.0","node":"a"}\n{"at":1,"snapshot":[{},["list"]]}\n',
        b"\x01", b"\x02", *(b"\x01" + place + b"\x02\x01" + b"7" for place in places),
        *(b"\x02" + place + b"\x04\x04" + b"\0\xff\0\1" for place in places), b"\x01\0\0\0\xff\0",
    ]  # fmt: skip
