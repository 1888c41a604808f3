"""`heartbeat replay`: tells the core what a journal's node was told, and shows every decision again.

The same core, from the journal's first snapshot on. Each answer is compared with the digest of what was answered then,
and each later snapshot with the state that the replay has arrived at. Its rules: nothing is done of what the core
wants done; a journal may come from a stranger, and can at worst waste time.
"""

from __future__ import annotations

import json
import sys
import time

from _hbfast.codec import Message
from heartbeat import __version__, journal, journalfile
from heartbeat.core import actions as wanted
from heartbeat.core import events
from heartbeat.core.cluster import Cluster
from heartbeat.log import printable
from heartbeat.snapshot import frame_of, freeze, message_of, thaw

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any, TextIO

    from heartbeat.core.actions import Action
    from heartbeat.core.events import Event
    from heartbeat.journalfile import Line

SECOND = 1_000_000_000
# events of one record: a day of heartbeats, ten a second
REPEATED_LIMIT = 1_000_000
# fields that are in every message and say nothing of what it wants
CONTROL = ("t", "src", "srcuuid", "seq", "hg", "ts", "ld", "ttl")


class Refused(Exception):  # noqa: N818  reads as what it says
    """This journal cannot be replayed here; the text says why, and what to do."""


class Step:
    """One event told again. number: from 1. actions: None where the core raised error. trouble: how it differs from
    what is recorded, None where it doesn't."""

    __slots__ = ("actions", "at", "error", "event", "number", "trouble")

    def __init__(self, number: int, at: int, event: Event | str) -> None:
        self.number = number
        self.at = at
        self.event = event
        self.actions: list[Action] = []
        self.error: Exception | None = None
        self.trouble: str | None = None


class Replay:
    """The journal in a file, or in lines that did not come from one (the simulator's). debug: the number of the event
    before which to stop in a debugger, 0 for none."""

    def __init__(self, content: Iterator[Line], *, debug: int = 0) -> None:
        self.head = next(content)
        self.start: int | None = None  # the instant of the first snapshot
        self.snapshots = 0
        self._content = content
        self._debug = debug
        self._cluster: Cluster | None = None
        self._number = 0
        self._repeated = 0  # the newest number of repetitions, while they last

    @property
    def foreign(self) -> bool:
        """Written by another version of the program."""
        return self.head.get("program") != __version__

    def steps(self) -> Iterator[Step]:
        """Every event, told. Refused; ValueError for a damaged file."""
        for line in self._content:
            if "snapshot" in line:
                yield from self._snapshot(line)
            elif self._cluster is None:
                raise ValueError("the journal does not begin with a snapshot")
            elif line.get("event") == "Omitted":
                self._cluster = None  # until the next snapshot, which follows
            else:
                yield from self._told(line, self._cluster)

    def _snapshot(self, line: Line) -> Iterator[Step]:
        self.snapshots += 1
        if self.start is None:
            self.start = line["at"]
        try:
            cluster = thaw(line["snapshot"])
        except ValueError as error:
            raise Refused(self._cannot(str(error))) from error
        if not isinstance(cluster, Cluster):
            raise ValueError("the snapshot is of something else than a cluster")
        if self._cluster is None:
            self._cluster = cluster
            return
        try:
            self._cluster.settle()
            same = freeze(thaw(freeze(self._cluster))) == freeze(cluster)
        except Exception:  # of a damaged state anything may come
            same = False
        if not same:
            self._cluster = cluster
            step = Step(self._number, line["at"], "snapshot")
            step.trouble = "the cluster is not in the state that was recorded here; going on with the recorded one"
            yield step

    def _cannot(self, why: str) -> str:
        if not self.foreign:
            return f"the snapshot is damaged: {why}"
        program = self.head["program"]
        return (
            f"written by heartbeat {program}, and the core of this one, {__version__}, is another ({why}).\n"
            f"Replay it with that version: pip install heartbeat-ha=={program} in an environment of its own"
        )

    def _told(self, line: Line, cluster: Cluster) -> Iterator[Step]:
        repeats = line.get("event") == "Repeated"
        for event in _events(line, self._repeated):
            self._number += 1
            self._repeated = event.sequence if repeats and isinstance(event, Message) else 0
            step = Step(self._number, line["at"], event)
            found = journal.NOTHING
            try:
                step.actions = self._handle(cluster, event, line["at"])
                found = journal.digest(step.actions)  # of a damaged state anything may come
            except Exception as error:
                step.actions, step.error = [], error
            step.trouble = _compared(step, found, line)
            yield step

    def _handle(self, cluster: Cluster, event: Event, now: int) -> list[Action]:
        if self._number != self._debug:
            return cluster.handle(event, now)
        import pdb  # noqa: PLC0415

        actions = pdb.Pdb().runcall(cluster.handle, event, now)
        if actions is None:  # the answer to `quit`
            raise KeyboardInterrupt
        return actions


def _events(line: Line, told: int) -> Iterator[Event]:
    """What the line tells of. told: the newest number of the repetitions just before it. ValueError."""
    kind = line.get("event")
    try:
        if kind == "Message":
            yield message_of(line["medium"], line["frame"].encode("latin-1"), strong=line.get("strong") is True)
        elif kind == "Tick":
            yield events.Tick(int(line["wall_s"]))
        elif kind == "Repeated":
            yield from _repetitions(line, told)
        else:
            event = thaw(line["table"])
            if type(event).__module__ != events.__name__:
                raise ValueError(f"{kind!r:.40} is no event")
            yield event
    except (KeyError, AttributeError, TypeError, OverflowError) as error:
        raise ValueError(f"an event is damaged: {error}") from error


def _repetitions(line: Line, told: int) -> Iterator[Message]:
    """The message with each of its numbers above `told`, the last as recorded; that one alone where it is a copy."""
    message = message_of(line["medium"], line["frame"].encode("latin-1"))
    count, last = int(line["count"]), int(line["sequence"])
    if not 0 < count <= REPEATED_LIMIT:
        raise ValueError("as many repetitions are in no journal")
    first = max(message.sequence + 1, last - count + 1, told + 1)
    for number in range(min(first, last), last + 1):
        items = [(name, digit, b"%x" % number if name == "seq" else value) for name, digit, value in message.items()]
        yield message_of(message.medium, frame_of(Message(items)), strong=line.get("strong") is True)


def _compared(step: Step, found: int, line: Line) -> str | None:
    recorded = line.get("digest", "")
    if recorded is None:
        return None  # the daemon ended in this event, whether the core raised or something else happened
    if step.error is not None:
        return f"the core raises {type(step.error).__name__} where it answered"
    if recorded == (f"{found:08x}" if found != journal.NOTHING else ""):
        return None
    then, now = str(line.get("actions", "")), journal.letters(step.actions)
    return f"another decision than recorded: {_counted(then)}, now {_counted(now)}"


def _counted(letters: str) -> str:
    return f"actions {printable(letters[:40])}" if letters else "nothing"


# ---- what is printed


def event_text(event: Event | str) -> str:
    if isinstance(event, str):
        return event
    if isinstance(event, Message):
        return f"{event.source} on {event.medium}: {message_text(event)}"
    return record_text(event)


def message_text(message: Message) -> str:
    said = [f"{name}={_value(value)}" for name, _, value in message.items() if name not in CONTROL]
    return " ".join([f"{message.type} {message.sequence}", *said])


def _value(value: object) -> str:
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    return str(value)


def record_text(record: Any) -> str:
    """An event or an action that is a plain record: its class and what is in it."""
    said = [f"{name}={getattr(record, name)!s}" for name in record.__slots__ if name != "settings"]
    return " ".join([type(record).__name__, *said])


def action_text(action: Action) -> str:
    if isinstance(action, wanted.Transmit):
        return f"send {message_text(action.message)}"
    if isinstance(action, wanted.Note):
        return f"note {wanted.SEVERITIES[action.severity]}: {action.text}"
    if isinstance(action, wanted.RunAgent):
        return f"run {action.run} {action.verb} {' '.join(resource.word for resource in action.resources)}"
    word, blank, rest = record_text(action).partition(" ")
    return f"{word.lower()}{blank}{rest}"


class Printer:
    """Fixed columns, or JSON lines. first, last: seconds from the beginning of the journal."""

    def __init__(self, out: TextIO, *, as_json: bool, everything: bool, first: float, last: float) -> None:
        self._out = out
        self._json = as_json
        self._everything = everything
        self._first = first
        self._last = last

    def show(self, step: Step, start: int) -> None:
        seconds = (step.at - start) / SECOND
        if step.trouble is None and not self._first <= seconds <= self._last:
            return
        if not (self._everything or step.actions or step.error or step.trouble):
            return
        actions = [action_text(action) for action in step.actions]
        error = None if step.error is None else f"{type(step.error).__name__}: {step.error}"
        if self._json:
            line = {
                "number": step.number, "seconds": round(seconds, 9), "event": event_text(step.event),
                "actions": actions, "error": error, "trouble": step.trouble,
            }  # fmt: skip
            self._out.write(json.dumps(line) + "\n")
            return
        self._line(step.number, seconds, "told", event_text(step.event))
        for action in actions:
            word, _, text = action.partition(" ")
            self._line(step.number, seconds, f"  {word}", text)
        for word, trouble in (("  raises", error), ("DIFFERS", step.trouble)):
            if trouble is not None:
                self._line(step.number, seconds, word, trouble)

    def _line(self, number: int, seconds: float, word: str, text: str) -> None:
        self._out.write(f"{number:7} {seconds:14.6f}  {word:12} {printable(text)}\n")


def main(path: str, out: TextIO, *, as_json: bool, everything: bool, first: float, last: float, debug: int) -> int:
    """0 where every decision was the recorded one, else, or where the file cannot be replayed, 1."""
    try:
        return _main(Replay(journalfile.read(path), debug=debug), Printer(
            out, as_json=as_json, everything=everything, first=first, last=last
        ))  # fmt: skip
    except StopIteration:
        why = "not a journal"
    except OSError as error:
        why = error.strerror or str(error)
    except (ValueError, Refused) as error:
        why = str(error)
    sys.stderr.write(f"heartbeat replay: {path}: {why}\n")
    return 1


def _main(replay: Replay, printer: Printer) -> int:
    told = differing = 0
    began = ""
    for step in replay.steps():
        told = step.number
        if isinstance(step.event, events.Tick) and not began:
            began = _wall_clock(step.event.wall_s - (step.at - (replay.start or 0)) // SECOND)
        differing += step.trouble is not None
        printer.show(step, replay.start or 0)
        if step.error is not None and step.trouble is None:
            break  # here the daemon ended
    head = {name: printable(str(replay.head.get(name, "?"))[:80]) for name in ("node", "program", "reason", "written")}
    result = f"{differing} not as recorded" if differing else "all as recorded"
    sys.stderr.write(
        f"{head['node']}, heartbeat {head['program']}, written {head['written']} ({head['reason']}){began}: "
        f"events {told}, snapshots {replay.snapshots}, {result}\n"
    )
    if differing and replay.foreign:
        sys.stderr.write(f"This is heartbeat {__version__}, which may decide otherwise on purpose: use the other one\n")
    return 1 if differing or not replay.snapshots else 0


def _wall_clock(wall_s: int) -> str:
    """When the journal begins, by the clock on the wall of its node."""
    try:
        return time.strftime(", 0 is %Y-%m-%dT%H:%M:%SZ", time.gmtime(wall_s))
    except (OverflowError, ValueError, OSError):
        return ""
