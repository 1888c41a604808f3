"""The journal: what the core was told, in a bounded memory, from a snapshot on; so that it can be told again.

The core is deterministic, so a snapshot of the cluster and the events since are a complete record of its decisions. Two
buffers take turns: each begins with a snapshot; when one is half full and nothing happens, or is full, the other is
begun anew, so that there is always at least half a buffer of past. An event is written before the core is told, and a
digest of what the core answered after: what ends this process in between is in the record.

A message that changed nothing that anybody sees, and comes again octet by octet, is recorded as the place of the first:
whoever repeats it can't push the past out of the buffers.

A buffer is memory that outlives the process where the recorder found such (recorder.py), and is always fit to be
copied: it holds whole records from its beginning, then a zero. Nothing here opens a file or reads a clock.

    buffer   MAGIC serial(4)  record…
    record   octets of body(4)  instant(8)  digest(4)  letters(1)  kind(1)  body  a letter for each action

A record costs 1 µs and no object that the collector of garbage has to look at.
"""

from __future__ import annotations

import gc
import struct
import zlib

from _hbfast.codec import Message
from heartbeat import jsontext
from heartbeat.core import actions as action_module
from heartbeat.core.events import PingAnswer, Tick
from heartbeat.snapshot import frame_of, freeze

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import Any

    from _hbfast.codec import Decoder, Watch
    from heartbeat.core.actions import Action
    from heartbeat.core.cluster import Cluster
    from heartbeat.core.events import Event

# octets of each of the two buffers: 900 statuses of a slow line, more than an hour at a keepalive of 5 s; at a
# keepalive of 100 ms on two media half a minute
SIZE = 256 * 1024

MAGIC = b"HBJRNL1\n"
_SERIAL = struct.Struct("<I")
_HEAD = struct.Struct("<IqIBB")
_INSTANT, _INSTANT_AT = struct.Struct("<q"), 4
_DIGEST, _DIGEST_AT = struct.Struct("<IB"), 12
_WALL = struct.Struct("<q")
_REPEATED = struct.Struct("<IQI")
_PLACE = struct.Struct("<I")
RECORDS_AT = len(MAGIC) + _SERIAL.size

# kinds of records. FRAME: not told, but meant by a later REPEATED; OMITTED: an event that no buffer has room for, so
# that what follows it cannot be told again before the next snapshot; AGAIN: the MESSAGE at that place, told once more
END, SNAPSHOT, MESSAGE, TICK, OTHER, FRAME, REPEATED, OMITTED, AGAIN = range(9)

# octets that the AGAIN records of one buffer may stand for: as a file, where each is written out, it must still be one
# that is read (journalfile.py)
AGAIN_OCTETS = 8 * 1024 * 1024

# of zlib, for what is compressed here: 40 kB
WINDOW_BITS, MEMORY_LEVEL = 12, 5

# digests of no action, and of an event that was not answered yet
NOTHING, UNANSWERED = 0, 0xFFFFFFFF
LETTERS_LIMIT = 255

_LETTERS = {
    kind: letter
    for letter, name in (
        ("T", "Transmit"), ("R", "RunAgent"), ("K", "KillAgent"), ("H", "Hold"), ("M", "Remember"), ("G", "Begin"),
        ("A", "Alarm"), ("C", "Hook"), ("Y", "Reply"), ("N", "Note"), ("S", "Stop"), ("B", "Reboot"),
    )
    if (kind := getattr(action_module, name, None)) is not None
}  # fmt: skip


def letters(actions: Sequence[Action]) -> str:
    """One for each action, in order, of as many as are kept."""
    if len(actions) == 1:  # as a heartbeat's
        return _LETTERS.get(type(actions[0]), "?")
    return "".join([_LETTERS.get(type(action), "?") for action in actions[:LETTERS_LIMIT]])


def digest(actions: Sequence[Action]) -> int:
    """32 bits of all that the actions say."""
    if not actions:
        return NOTHING
    value = 1
    for action in actions:
        value = zlib.crc32(_octets(action), value)
    return min(max(value, NOTHING + 1), UNANSWERED - 1)


def _octets(action: Any) -> bytes:
    if type(action) is action_module.Transmit:
        try:
            return b"%d" % action.priority + frame_of(action.message)
        except ValueError:
            return repr(action.message).encode()
    return repr([type(action).__name__, *(getattr(action, name) for name in action.__slots__)]).encode()


class Journal:
    """Between the daemon and its cluster: `tell` in the place of `Cluster.handle`. problem: why nothing is recorded."""

    def __init__(
        self, cluster: Cluster, buffers: Sequence[memoryview], *, now: int, program: str,
        on_decision: Callable[[str, int], None] | None = None,
    ) -> None:  # fmt: skip
        """buffers: two, writable, zero, of one size; none: nothing is recorded. program: its version.
        on_decision(letters, now): called with the letters of each answer that is not empty."""
        self.problem: str | None = None if buffers else "there is no memory for it"
        self._on_decision = on_decision
        self._cluster = cluster
        self._handle = cluster.handle
        self._buffers = buffers
        self._buffer = buffers[0] if buffers else memoryview(b"")
        self._used = [0, 0]  # octets of each that are not zero
        self._program = program
        self._serial = 0
        self._at = 0  # where the next record goes
        self._prefixes: dict[tuple[str, bool], bytes] = {}  # how the records of messages begin
        self._newest: dict[str, int] = {}  # medium → where its newest status is, if in this buffer
        self._older: dict[str, bytes] = {}  # medium → the body of its newest status in an earlier one
        self._repeated: dict[str, int] = {}  # medium → its REPEATED record, as long as nothing else is recorded
        self._idle: dict[int, int] = {}  # hash of a body → where the MESSAGE is, in this buffer, that led to nothing
        self._again = 0  # octets that stand for others so far
        self._answers: dict[str, bytes] = {}  # ping node → the body of its answer, which comes with every heartbeat
        if self.problem is None:
            self._begin(now)

    def tell(self, event: Event, now: int) -> list[Action]:
        """What the cluster answers. Raises what it raises, when that is recorded."""
        if self.problem is not None:
            return self._handle(event, now)
        code, body = self._encoded(event)
        if not self._room(len(body), now):
            return self._tell_unrecorded(event, now)
        at, buffer = self._at, self._buffer
        if code == MESSAGE:
            place = self._place(body)
            if event.type == "status":  # type: ignore[union-attr]
                self._newest[event.medium] = place or at  # type: ignore[union-attr]
            if place:
                code, body = AGAIN, _PLACE.pack(place)
        end = at + _HEAD.size + len(body)
        buffer[at + _HEAD.size : end] = body
        _HEAD.pack_into(buffer, at, len(body), now, UNANSWERED, 0, code)
        if self._repeated:
            self._repeated.clear()
        actions = self._handle(event, now)
        if actions:
            self._answered(at, end, actions, now)
        else:
            _DIGEST.pack_into(buffer, at + _DIGEST_AT, NOTHING, 0)
            self._at = end
            if code == MESSAGE:
                self._idle[hash(body)] = at
            if end > self._half:
                self._begin(now)
        return actions

    def hear(self, medium: str, decoder: Decoder, frame: bytes, now: int) -> int:
        """In the place of Cluster.hear."""
        number = self._cluster.hear(decoder, frame, now)
        if number > 0:
            self.repeated(medium, number, now)
        elif number < 0:  # it stands alone: what follows from it counts from its own instant
            self._repeated.clear()
            self.repeated(medium, -number, now)
            self._repeated.clear()
        return number

    def repeated(self, medium: str, sequence: int, now: int) -> None:
        """The newest status of this medium came again under its next number, or under the same, and changed nothing but
        when its sender was heard last; so the core was not told."""
        at = self._repeated.get(medium)
        if at is not None:
            count, _, newest = _REPEATED.unpack_from(self._buffer, at + _HEAD.size)
            _REPEATED.pack_into(self._buffer, at + _HEAD.size, count + 1, sequence, newest)
            _INSTANT.pack_into(self._buffer, at + _INSTANT_AT, now)
            return
        most = 2 * _HEAD.size + _REPEATED.size + len(self._older.get(medium, b""))
        if self.problem is not None or not self._room(most, now):
            return
        if medium not in self._newest:
            self._newest[medium] = self._put(FRAME, self._older[medium], now)
        self._repeated[medium] = self._put(REPEATED, _REPEATED.pack(1, sequence, self._newest[medium]), now)

    def lend(self, watch: Watch, now: int) -> bool:
        """To one that records repetitions and the Ticks of a steady time itself. False: it has to be done here."""
        watch.journal = None
        if self.problem is not None:
            return True
        for end in watch.ends:
            if end.medium not in self._newest:
                body = self._older.get(end.medium)
                if body is None or self._at + _HEAD.size + len(body) > self._half:
                    return False
                self._newest[end.medium] = self._put(FRAME, body, now)
            end.place = self._newest[end.medium]
        self._repeated.clear()
        watch.journal = self._buffer
        watch.at = self._at
        watch.half = self._half
        return True

    def take_back(self, watch: Watch, now: int) -> None:
        if watch.journal is not None:
            self._at = watch.at
            if self._at > self._half:
                self._begin(now)

    # --- records

    def _answered(self, at: int, end: int, actions: list[Action], now: int) -> None:
        """Complete the record that begins at `at`, and whose body ends at `end`."""
        said = letters(actions)
        self._buffer[end : end + len(said)] = said.encode()
        _DIGEST.pack_into(self._buffer, at + _DIGEST_AT, digest(actions), len(said))
        self._at = end + len(said)
        if self._on_decision is not None:
            self._on_decision(said, now)

    def _encoded(self, event: Event) -> tuple[int, bytes]:
        """The kind of its record, and the body."""
        kind = type(event)
        if kind is Message:
            return MESSAGE, self._message(event)  # type: ignore[arg-type]
        if kind is Tick:
            return TICK, _WALL.pack(event.wall_s)  # type: ignore[union-attr]
        if kind is PingAnswer:
            return OTHER, self._answer(event)  # type: ignore[arg-type]
        return OTHER, _packed(freeze(event))

    def _answer(self, event: PingAnswer) -> bytes:
        body = self._answers.get(event.node)
        if body is None:
            body = self._answers[event.node] = _packed(freeze(event))
        return body

    def _place(self, body: bytes) -> int:
        """Where the same message is that led to nothing; 0: it is recorded as it is."""
        place = self._idle.get(hash(body), 0)
        if not place or self._again >= AGAIN_OCTETS or self._body(place) != body:
            return 0
        self._again += len(body)
        return place

    def _message(self, message: Message) -> bytes:
        """Its medium, a zero, whether its strong signature was good, and its octets."""
        key = message.medium, message.strong
        prefix = self._prefixes.get(key)
        if prefix is None:
            name = message.medium.encode("utf-8", "surrogateescape")
            prefix = self._prefixes[key] = name + (b"\0!" if message.strong else b"\0.")
        return prefix + (message.raw or frame_of(message))

    def _tell_unrecorded(self, event: Event, now: int) -> list[Action]:
        if self.problem is None:
            self._put(OMITTED, b"", now)
        actions = self._handle(event, now)
        if self.problem is None:
            self._begin(now)
        return actions

    def _room(self, octets: int, now: int) -> bool:
        """For a body, its actions' letters, and the zero behind it; in the other buffer if need be."""
        most = len(self._buffer) - 2 * _HEAD.size - LETTERS_LIMIT - octets
        if self._at > most:
            self._begin(now)
        return self.problem is None and self._at <= most

    def _body(self, at: int) -> bytes:
        """Of the record that begins there."""
        start = at + _HEAD.size
        return bytes(self._buffer[start : start + _HEAD.unpack_from(self._buffer, at)[0]])

    def _put(self, code: int, body: bytes, now: int) -> int:
        """A record that is not told, and has no answer; where it begins."""
        at = self._at
        start = at + _HEAD.size
        self._buffer[start : start + len(body)] = body
        _HEAD.pack_into(self._buffer, at, len(body), now, NOTHING, 0, code)
        self._at = start + len(body)
        return at

    def _begin(self, now: int) -> None:
        """The other buffer, with what the cluster is now."""
        snapshot = self._snapshot()
        for medium, at in self._newest.items():
            self._older[medium] = self._body(at)
        if RECORDS_AT + 2 * _HEAD.size + len(snapshot) > len(self._buffer) // 2:
            self.problem = f"the cluster is too large to be journalled: {len(snapshot)} octets"
        if self.problem is not None:
            return
        self._used[(self._serial - 1) % 2] = self._at
        buffer = self._buffer = self._buffers[self._serial % 2]
        buffer[: len(MAGIC)] = bytes(len(MAGIC))  # first: it does not count any more
        buffer[: self._used[self._serial % 2]] = bytes(self._used[self._serial % 2])
        self._half = len(buffer) // 2
        self._serial += 1
        self._newest.clear()
        self._repeated.clear()
        self._idle.clear()
        self._answers.clear()
        self._again = 0
        self._at = RECORDS_AT
        self._put(SNAPSHOT, snapshot, now)
        _SERIAL.pack_into(buffer, len(MAGIC), self._serial)
        buffer[: len(MAGIC)] = MAGIC  # last: now it counts

    def _snapshot(self) -> bytes:
        self._cluster.settle()
        collecting = gc.isenabled()
        gc.disable()  # what is made here goes at once, and is much
        try:
            return _packed({"program": self._program, "table": freeze(self._cluster)})
        except (TypeError, ValueError) as error:
            self.problem = f"the cluster cannot be journalled: {error}"
            return b""
        finally:
            if collecting:
                gc.enable()


def _packed(value: object) -> bytes:
    # with the usual window, a quarter of a megabyte would be taken and given back each time
    stream = zlib.compressobj(1, zlib.DEFLATED, WINDOW_BITS, MEMORY_LEVEL)
    return stream.compress(jsontext.dumps(value).encode()) + stream.flush()


class Record:
    """What a buffer holds of one event, from its octet `at` on. body: as its kind has it; letters: of its actions, in
    order."""

    __slots__ = ("at", "body", "digest", "instant", "kind", "letters")

    def __init__(self, at: int, kind: int, instant: int, body: bytes, answer: int, said: str) -> None:
        self.at = at
        self.kind = kind
        self.instant = instant
        self.body = body
        self.digest = answer
        self.letters = said


def serial_of(image: bytes) -> int:
    """Which of two buffers is the newer; 0 for one that holds nothing whole."""
    if len(image) < RECORDS_AT or image[: len(MAGIC)] != MAGIC:
        return 0
    serial: int = _SERIAL.unpack_from(image, len(MAGIC))[0]
    return serial


def records(image: bytes) -> Iterator[Record]:
    """The whole records of a buffer, or of a copy of one."""
    at = RECORDS_AT
    while at + _HEAD.size <= len(image):
        length, instant, answer, count, kind = _HEAD.unpack_from(image, at)
        start = at + _HEAD.size
        end = start + length + count
        if kind == END or end > len(image):
            return
        body = image[start : start + length]
        yield Record(at, kind, instant, body, answer, image[start + length : end].decode("latin-1"))
        at = end


def unpacked(body: bytes, limit: int) -> Any:
    """The value in a SNAPSHOT or an OTHER record. ValueError where it is none, or has more octets."""
    stream = zlib.decompressobj()
    try:
        text = stream.decompress(body, limit)
    except zlib.error as error:
        raise ValueError(f"a record is damaged: {error}") from error
    if not stream.eof:
        raise ValueError("a record is cut short, or too large")
    return jsontext.loads(text)


def wall_of(body: bytes) -> int:
    """Of a TICK."""
    wall_s: int = _WALL.unpack(body)[0]
    return wall_s


def message_in(body: bytes) -> tuple[str, bool, bytes]:
    """(medium, strong, octets) of a MESSAGE or a FRAME."""
    medium, _, rest = body.partition(b"\0")
    return medium.decode("utf-8", "surrogateescape"), rest[:1] == b"!", rest[1:]


def place_in(body: bytes) -> int:
    """Where the MESSAGE is that an AGAIN means."""
    at: int = _PLACE.unpack(body)[0]
    return at


def repetition_in(body: bytes) -> tuple[int, int, int]:
    """(how often, the last number, where the record of the status is) of a REPEATED."""
    count, sequence, at = _REPEATED.unpack(body)
    return count, sequence, at
