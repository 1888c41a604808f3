"""A journal as a file: what the buffers held, for people and programs, and for `heartbeat replay` on another machine.

JSON lines, compressed with gzip. The first tells what it is; then snapshots and events, in order:

    {"heartbeat journal": 1, "program", "node", "reason", "written"}
    {"at", "snapshot": table}                       table: as snapshot.py has it
    {"at", "event": "Message", "medium", "frame"}   {"at", "event": "Tick", "wall_s"}
    {"at", "event": "Repeated", "medium", "frame", "count", "sequence"}
    {"at", "event": class, "table"}                 {"at", "event": "Omitted"}

`at` is an instant of the node's own clock, in nanoseconds. `actions` has a letter for each action that followed, and
`digest` eight hex digits of all they said, null where the daemon ended before it answered; both are absent where
nothing followed. `strong`: the frame had a strong signature, and it was good. Frames are written without their
signatures, octets as the characters U+0000 to U+00FF.

Its rules: no key and no signature is in it; mode 0600; written whole or not at all; a bounded number of them is kept.
What is read may be anybody's invention: ValueError, and bounded in memory.
"""

from __future__ import annotations

import gzip
import json
import os
import re
import struct
import time
import zlib

from _hbfast.codec import Message, encode
from heartbeat import journal
from heartbeat.snapshot import frame_of, message_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any, BinaryIO

    Line = dict[str, Any]

FORMAT = 1
MARK = "heartbeat journal"
SUFFIX = ".journal.gz"
# what the daemon writes by itself; the oldest goes
KEPT = 16
# of the file, of one line, and of all lines: a snapshot of 400 groups has less than 1 MiB
FILE_OCTETS, LINE_OCTETS, TEXT_OCTETS = 1 << 24, 1 << 23, 1 << 26
# of a snapshot before compression
SNAPSHOT_OCTETS = LINE_OCTETS // 2
# what reading a record raises that is not what its kind says
DAMAGES = (AttributeError, IndexError, KeyError, RecursionError, StopIteration, TypeError, struct.error)
# fields that sign a message
SIGNATURES = ("auth", "mac")


# ---- buffers → lines


def lines(images: Iterable[bytes], *, reason: str) -> list[Line]:
    """All that the buffers hold, the older one first. ValueError where they hold nothing, or something else."""
    images = sorted(filter(journal.serial_of, images), key=journal.serial_of)
    try:
        found = [line for image in images for line in _in_order(_lines(image))]
        if not found:
            raise ValueError("there is no journal in it")
        head = {MARK: FORMAT, "program": found[0]["program"], "node": _node(found[0]["snapshot"])}
    except DAMAGES as error:
        raise ValueError(f"the journal is damaged: {error}") from error
    written = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    return [{**head, "reason": reason, "written": written}, *found]


def _in_order(content: Iterable[Line]) -> Iterator[Line]:
    """Of repetitions that stand together each has the instant of its last: sorted by these, the way to the newest
    number comes first, and its copies after it."""
    waiting: list[Line] = []
    for line in content:
        if line.get("event") == "Repeated":
            waiting.append(line)
            continue
        yield from sorted(waiting, key=lambda each: each["at"])
        waiting.clear()
        yield line
    yield from sorted(waiting, key=lambda each: each["at"])


def _lines(image: bytes) -> Iterator[Line]:
    frames: dict[int, Line] = {}  # by the place of the record
    for record in journal.records(image):
        line: Line = {"at": record.instant}
        if record.kind == journal.SNAPSHOT:
            held = journal.unpacked(record.body, SNAPSHOT_OCTETS)
            line |= {"program": held["program"], "snapshot": _unsigned_table(held["table"])}
        else:
            if record.kind in (journal.MESSAGE, journal.FRAME):
                frames[record.at] = _message(record.body)
            if record.kind == journal.FRAME:
                continue
            line |= _event(record, frames)
        if record.digest == journal.UNANSWERED:
            line["digest"] = None
        elif record.digest != journal.NOTHING:
            line |= {"actions": record.letters, "digest": f"{record.digest:08x}"}
        yield line


def _event(record: journal.Record, frames: dict[int, Line]) -> Line:
    if record.kind == journal.MESSAGE:
        return {"event": "Message", **frames[record.at]}
    if record.kind == journal.AGAIN:
        return {"event": "Message", **frames[journal.place_in(record.body)]}
    if record.kind == journal.TICK:
        return {"event": "Tick", "wall_s": journal.wall_of(record.body)}
    if record.kind == journal.REPEATED:
        count, sequence, at = journal.repetition_in(record.body)
        return {"event": "Repeated", **frames[at], "count": count, "sequence": sequence}
    if record.kind == journal.OTHER:
        table = journal.unpacked(record.body, SNAPSHOT_OCTETS)
        return {"event": table[1][0].rpartition(".")[2], "table": table}
    return {"event": "Omitted"}


def _message(body: bytes) -> Line:
    medium, strong, octets = journal.message_in(body)
    line: Line = {"medium": medium, "frame": unsigned(medium, octets)}
    return {**line, "strong": True} if strong else line


def _node(table: list[Any]) -> str:
    """Whose it is: the snapshot's settings say it."""
    place = table[0]["settings.Settings"].index("node") + 1
    return str(next(each[place] for each in table[1:] if each[0] == "settings.Settings"))


def unsigned(medium: str, frame: bytes) -> str:
    """The same message without what signs it: for people where that says it all, else as a netstring."""
    message = Message([item for item in message_of(medium, frame).items() if item[0] not in SIGNATURES])
    try:
        octets = encode(message, None, "classic")
        if message_of(medium, octets) == message:
            return octets.decode("latin-1")
    except ValueError:
        pass
    return frame_of(message).decode("latin-1")


def _unsigned_table(table: list[Any]) -> list[Any]:
    for entry in table[1:]:
        if entry[0] == "Message":
            message = message_of(entry[1], entry[2].encode("latin-1"))
            kept = [item for item in message.items() if item[0] not in SIGNATURES]
            entry[2] = frame_of(Message(kept)).decode("latin-1")
    return table


# ---- lines → file


def write(directory: str, content: Iterable[Line], *, name: str) -> str:
    """A new file in the directory, which is made where it is absent; the oldest beyond KEPT go. Its path. OSError.

    name: begins with the time, and is made harmless.
    """
    name = re.sub(r"[^\w.-]", "_", name, flags=re.ASCII)[:200]
    os.makedirs(directory, mode=0o700, exist_ok=True)
    path = os.path.join(directory, name + SUFFIX)
    beside = f"{path}.{os.getpid()}"
    fd = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        with open(fd, "wb") as raw:
            with gzip.GzipFile("", "wb", 6, raw) as packed:
                for line in content:
                    packed.write(json.dumps(line, separators=(",", ":")).encode() + b"\n")
            raw.flush()
            os.fsync(fd)
        os.rename(beside, path)
    except BaseException:
        os.unlink(beside)
        raise
    _prune(directory)
    return path


def _prune(directory: str) -> None:
    """By name, which begins with the time; and what an interrupted write left."""
    names = sorted(os.listdir(directory))
    journals = [name for name in names if name.endswith(SUFFIX)]
    halves = [name for name in names if re.search(re.escape(SUFFIX) + r"\.\d+$", name)]
    for name in journals[:-KEPT] + halves[:-KEPT]:
        os.unlink(os.path.join(directory, name))


# ---- file → lines


def read(path: str) -> Iterator[Line]:
    """The lines, whose frames and tables nobody has looked at yet; compressed or not. OSError, ValueError."""
    with open(path, "rb") as file:
        if os.fstat(file.fileno()).st_size > FILE_OCTETS:
            raise ValueError(f"a journal has at most {FILE_OCTETS >> 20} MiB")
        start = file.read(2)
        file.seek(0)
        stream = gzip.GzipFile(fileobj=file) if start == b"\x1f\x8b" else file
        try:
            yield from _checked(stream)  # type: ignore[arg-type]
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise ValueError(f"the file is damaged: {error}") from error


def _checked(stream: BinaryIO) -> Iterator[Line]:
    octets = 0
    number = 0
    while line := stream.readline(LINE_OCTETS + 1):
        octets += len(line)
        number += 1
        if len(line) > LINE_OCTETS or octets > TEXT_OCTETS:
            raise ValueError("no journal is as large as this")
        try:
            record = json.loads(line)
        except (ValueError, RecursionError):
            record = None
        if not isinstance(record, dict):
            raise ValueError(f"line {number}: not a journal")
        if number == 1:
            _check_head(record)
        elif type(record.get("at")) is not int or not 0 <= record["at"] < 1 << 63:
            raise ValueError(f"line {number}: no instant")
        yield record
    if number < 2:
        raise ValueError("not a journal")


def _check_head(head: Line) -> None:
    program = head.get("program")
    if MARK not in head or not isinstance(program, str) or not re.fullmatch(r"[\w.+-]{1,40}", program, re.ASCII):
        raise ValueError("not a journal of heartbeat")
    if head[MARK] != FORMAT:
        raise ValueError(f"a journal of another format ({head[MARK]!r:.20}): replay it with heartbeat {program}")
