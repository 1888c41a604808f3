"""Clusters that can be copied and compared, so that a test can go on from one state in many ways.

The wheel is the plain one of `reference/`: what is in it can be seen, and it can be pickled. With it go the short ways
of the steady state, which work on the compiled wheel: every message comes decoded, and every beat from a Tick. Messages
and settings never change, so copies share them.
"""

from __future__ import annotations

import io
import pickle

from reference.wheel import TimerWheel

from _hbfast.codec import Decoder, Message
from heartbeat.core import steady, timers
from heartbeat.core.settings import Group, Resource, Settings

SHARED = (Message, Settings, Group, Resource)
# of a cluster with a few groups and media: copying one is mostly copying its timers
CAPACITY = 64


class Silent:
    """In the place of a Beat: follows, and says nothing again."""

    ends = length_ns = 0

    def __init__(self, wheel: TimerWheel, timer: int, other: int) -> None:
        pass

    def follow(self, status: Message, sequence: int, now: int, next_ns: int, keepalive_ns: int) -> None:
        pass

    def stop(self) -> None:
        pass

    def again(self, now: int, ts: int) -> None:
        pass

    def taken(self) -> list[Message]:
        return []


class Unlearned:
    """In the place of a Repetition: is taught and hears nothing."""

    count = 0

    def __init__(self, wheel: TimerWheel, own: Silent) -> None:
        self.wheel = wheel

    def teach(self, message: Message, now: int, link: int = -1) -> bool:
        return False

    def forget(self, medium: str | None = None) -> None:
        pass

    def hear(self, decoder: Decoder, frame: bytes, now: int) -> int:
        return 0

    def take(self, message: Message, now: int) -> int:
        return 0


def use_plain_parts(monkeypatch) -> None:
    monkeypatch.setattr(timers, "TimerWheel", TimerWheel)
    monkeypatch.setattr(steady, "Beat", Silent)
    monkeypatch.setattr(steady, "Repetition", Unlearned)
    monkeypatch.setattr(timers, "CAPACITY", CAPACITY)


# What never changes is in a copy itself, by its number here.
_shared: dict[int, object] = {}


def _fetch(number: int) -> object:
    return _shared[number]


def _share(thing: object) -> tuple:
    _shared[id(thing)] = thing
    return _fetch, (id(thing),)


class _Pickler(pickle.Pickler):
    dispatch_table = dict.fromkeys(SHARED, _share)


class Frozen:
    """Anything picklable, as it is now. copy(): the same again, of which nothing is shared but what never changes."""

    __slots__ = ("_data",)

    def __init__(self, thing: object) -> None:
        file = io.BytesIO()
        _Pickler(file, 5).dump(thing)
        self._data = file.getvalue()

    def copy(self):
        return pickle.loads(self._data)
