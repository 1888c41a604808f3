"""What a state looks like, as octets: equal pictures, equal futures.

Instants count from now, so that the same situation an hour later is the same. What only tells (logs, counts, views) is
left out, and so is the wall clock.
"""

from __future__ import annotations

import hashlib
import marshal
from collections import deque
from types import MethodType

from _hbfast.codec import Message
from heartbeat.core.sequence import Random
from heartbeat.core.settings import Group, Resource, Settings
from heartbeat.core.timers import Timers

# An integer as large as this is an instant, or a duration without end; none of a test's durations is.
INSTANT = 5 * 10**11
NEVER = 1 << 62
# what has no say in what happens next
TELLING = {
    "_actions", "_failover", "_handlers", "_tally", "_warnings", "counts", "unanswered", "wall_offset_s", "warnings",
}  # fmt: skip
CONSTANT = (Settings, Group, Resource)
PLAIN = (str, bytes, bool, float, type(None))

_names: dict[type, tuple[str, ...]] = {}
_messages: dict[int, tuple[Message, bytes]] = {}


def picture(thing: object, now: int) -> bytes:
    # version 2 of the format says nothing of which objects are the same
    return hashlib.blake2b(marshal.dumps(_Painter(now).paint(thing), 2), digest_size=16).digest()


def _names_of(kind: type) -> tuple[str, ...]:
    found = _names.get(kind)
    if found is None:
        slots = [name for base in kind.__mro__ for name in getattr(base, "__slots__", ())]
        found = _names[kind] = tuple(name for name in slots if name not in TELLING and not name.startswith("__"))
    return found


def _message(message: Message) -> bytes:
    """By what it says; it never changes, so once is enough. It is kept, so that no other takes its address."""
    known = _messages.get(id(message))
    if known is None:
        said = [message.medium, *(item for item in message.items() if item[0] != "ts")]
        known = _messages[id(message)] = message, hashlib.blake2b(repr(said).encode(), digest_size=8).digest()
    return known[1]


class _Painter:
    def __init__(self, now: int) -> None:
        self._now = now
        self._met: dict[int, int] = {}

    def paint(self, thing: object) -> object:
        kind = type(thing)
        if kind is int:
            return thing if thing < INSTANT else "never" if thing > NEVER else ("at", thing - self._now)
        if kind in PLAIN:
            return thing
        if kind is Message:
            return _message(thing)
        if kind in (list, tuple, deque):
            return [self.paint(each) for each in thing]
        if kind in (set, frozenset):
            return sorted(thing)
        met = self._met.setdefault(id(thing), len(self._met))
        return self._object(thing, kind) if met == len(self._met) - 1 else ("met", met)

    def _object(self, thing: object, kind: type) -> object:
        if kind is dict:
            return [(key, self.paint(thing[key])) for key in sorted(thing)]
        if kind is Random:
            return hex(thing._state)
        if kind is Timers:
            return sorted([(key, at - self._now) for key, at in thing.wheel.armed.items()])
        if kind is MethodType:
            return self.paint(thing.__self__)
        if isinstance(thing, tuple):
            return [self.paint(each) for each in thing]
        found = [kind.__name__]
        values = getattr(thing, "__dict__", None)
        names = _names_of(kind) if values is None else (*_names_of(kind), *(n for n in values if n not in TELLING))
        for name in names:
            value = getattr(thing, name, None)
            if type(value) in CONSTANT or type(value) is MethodType:
                continue  # the same in all states
            found.append(self.paint(value))
        return found
