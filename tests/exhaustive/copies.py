"""Clusters that can be copied and compared, so that a test can go on from one state in many ways.

The wheel is the plain one of `reference/`: what is in it can be seen, and it can be pickled. With it goes the short way
for frames that repeat the last one, which works on the compiled wheel: every message comes decoded. Messages and
settings never change, so copies share them.
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


class Unlearned:
    """In the place of a Repetition: is taught and hears nothing."""

    count = 0

    def __init__(self, wheel: TimerWheel) -> None:
        self.wheel = wheel

    def teach(self, message: Message, now: int, link: int = -1) -> bool:
        return False

    def forget(self, medium: str | None = None) -> None:
        pass

    def hear(self, decoder: Decoder, frame: bytes, now: int) -> int:
        return 0


def use_plain_parts(monkeypatch) -> None:
    monkeypatch.setattr(timers, "TimerWheel", TimerWheel)
    monkeypatch.setattr(steady, "Repetition", Unlearned)
    monkeypatch.setattr(timers, "CAPACITY", CAPACITY)


class _Pickler(pickle.Pickler):
    def __init__(self, file, shared: list[object]) -> None:
        super().__init__(file, 5)
        self._shared = shared

    def persistent_id(self, thing: object) -> int | None:
        if type(thing) not in SHARED:
            return None
        self._shared.append(thing)
        return len(self._shared) - 1


class _Unpickler(pickle.Unpickler):
    def __init__(self, file, shared: list[object]) -> None:
        super().__init__(file)
        self._shared = shared

    def persistent_load(self, number: int) -> object:
        return self._shared[number]


class Frozen:
    """Anything picklable, as it is now. copy(): the same again, of which nothing is shared but what never changes."""

    __slots__ = ("_data", "_shared")

    def __init__(self, thing: object) -> None:
        self._shared: list[object] = []
        file = io.BytesIO()
        _Pickler(file, self._shared).dump(thing)
        self._data = file.getvalue()

    def copy(self):
        return _Unpickler(io.BytesIO(self._data), self._shared).load()
