"""A running cluster as plain data, and back: the beginning of a journal.

The data are what JSON can hold. They name objects and their attributes and nothing else: making objects of them calls
no constructor and no function, so a file from a stranger can describe a nonsensical cluster, but not make this process
do anything. Only classes of the core can be named, and methods that they have.

    table    [{class: [attribute…]}, object…]; the first object is the one that was asked for
    object   [class, value…]  ["list", value…]  ["dict", key, value, …]  ["set", value…]  ["frozenset", value…]
             ["deque", limit, value…]  ["Message", medium, frame, strong]
             ["TimerWheel", capacity, now, key, instant, …]
    value    number, text, true, false, null, [number] an object, ["b", octets], ["t", value…] a tuple, ["c", class],
             ["m", number, name] an object's method

A class of the core that has `__getstate__` is written as [class, what that answers], and `__setstate__` is told that:
the one code that a table can make run. An attribute without a value is ["u", 0]. Octets are written as the characters
U+0000 to U+00FF. Two snapshots of the same state are equal, once both have been thawed.
"""

from __future__ import annotations

import sys

from _hbfast.codec import Decoder, Message, encode
from _hbfast.wheel import TimerWheel
from heartbeat.lean import BuiltinMethodType, FunctionType, MethodDescriptorType, MethodType, deque

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    Table = list[Any]

CORE = "heartbeat.core."
# timers of the largest wheel that is made for a file; the core's own has 4096
WHEEL_LIMIT = 16384

PLAIN = frozenset((int, str, bool, float, type(None)))
BOUND = (MethodType, BuiltinMethodType)
METHODS = (FunctionType, MethodDescriptorType)
# the attributes of a class that says itself what it is made of
OWN: list[str] = []
UNSET = object()


def freeze(root: object) -> Table:
    """What `root` is made of. TypeError where it holds something that no snapshot has a word for."""
    return _Freezer().table(root)


def thaw(table: Table) -> Any:
    """The object again, of which the table may be somebody's invention. ValueError."""
    try:
        return _Thawer(table).root()
    except (TypeError, KeyError, IndexError, AttributeError, OverflowError, RecursionError) as error:
        raise ValueError(f"no snapshot of this program's cluster: {error}") from error


def frame_of(message: Message) -> bytes:
    """Its fields as octets, as they are: nothing is added or signed. ValueError where no frame can hold them."""
    return encode(message, None, "netstring", inner_auth=False)


def message_of(medium: str, frame: bytes, *, strong: bool = False) -> Message:
    """The message in a frame of either format, signed or not. strong: it had come with a strong signature, and that was
    found good. ValueError where there is none."""
    found = Decoder(medium, None, stream=False).feed(frame)
    if not found:
        raise ValueError("a frame that is no message")
    if strong:
        found[0].__setstate__((medium, b"", None, True))  # type: ignore[attr-defined]
    return found[0]


def class_name(kind: type) -> str:
    """TypeError for one that is not the core's."""
    if kind is Message:
        return "Message"
    module = kind.__module__
    if not module.startswith(CORE):
        raise TypeError(f"a snapshot has no word for {module}.{kind.__qualname__}")
    return f"{module.removeprefix(CORE)}.{kind.__qualname__}"


def class_of(name: str) -> type:
    """The core's class of this name. ValueError."""
    if name == "Message":
        return Message
    module, _, word = name.rpartition(".")
    kind = getattr(sys.modules.get(CORE + module), word, None)
    if not isinstance(kind, type) or kind.__module__ != CORE + module:
        raise ValueError(f"this program's core has no {name}")
    return kind


class _Freezer:
    """Numbers the objects in the order in which they are met."""

    def __init__(self) -> None:
        self._numbers: dict[int, int] = {}  # id of an object → its number
        self._objects: list[object] = []
        self._attributes: dict[type, tuple[str, list[str]]] = {}

    def table(self, root: object) -> Table:
        self._number(root)
        objects = [self._object(each) for each in self._objects]  # which grows meanwhile
        return [dict(self._attributes.values()), *objects]

    def _number(self, thing: object) -> int:
        number = self._numbers.get(id(thing))
        if number is None:
            number = self._numbers[id(thing)] = len(self._objects)
            self._objects.append(thing)
        return number

    def _values(self, values: Iterable[object]) -> list[object]:
        return [value if type(value) in PLAIN else self._value(value) for value in values]

    def _value(self, value: object) -> list[object]:
        if isinstance(value, tuple):
            return ["t", *self._values(value)]
        if isinstance(value, bytes):
            return ["b", value.decode("latin-1")]
        if isinstance(value, BOUND):
            return ["m", self._number(value.__self__), value.__name__]
        if value is UNSET:
            return ["u", 0]
        if isinstance(value, type):
            return ["c", class_name(value)]
        return [self._number(value)]

    def _object(self, thing: object) -> list[object]:
        if isinstance(thing, Message):
            return ["Message", thing.medium, frame_of(thing).decode("latin-1"), thing.strong]
        if isinstance(thing, list):
            # most lists are of nothing else
            return ["list", *thing] if PLAIN.issuperset(map(type, thing)) else ["list", *self._values(thing)]
        if isinstance(thing, dict):
            return ["dict", *self._values(each for pair in thing.items() for each in pair)]
        if isinstance(thing, (set, frozenset)):
            return [type(thing).__name__, *sorted(self._values(thing), key=repr)]
        if isinstance(thing, deque):
            return ["deque", thing.maxlen, *self._values(thing)]
        if isinstance(thing, TimerWheel):
            return ["TimerWheel", *wheel_state(thing)]
        name, attributes = self._class(thing)
        if attributes is OWN:
            return [name, self._value(thing.__getstate__())]
        return [name, *self._values([getattr(thing, attribute, UNSET) for attribute in attributes])]

    def _class(self, thing: object) -> tuple[str, list[str]]:
        kind = type(thing)
        known = self._attributes.get(kind)
        if known is None:
            attributes = OWN if has_own_state(kind) else [*slots_of(kind), *getattr(thing, "__dict__", ())]
            known = self._attributes[kind] = class_name(kind), attributes
        return known


def has_own_state(kind: type) -> bool:
    return any("__getstate__" in each.__dict__ for each in kind.__mro__[:-1])


def slots_of(kind: type) -> list[str]:
    return sorted(slot for each in kind.__mro__ for slot in each.__dict__.get("__slots__", ()))


def wheel_state(wheel: TimerWheel) -> list[int]:
    """capacity, now, and key and instant of each timer that is armed, by key."""
    reduced: Any = wheel.__reduce__()
    _, (capacity, now), armed = reduced
    return [capacity, now, *(number for pair in sorted(armed) for number in pair)]


class _Thawer:
    """First every object, empty; then what is in the instances; then the containers, for which keys must be whole; and
    at last those that say themselves what they are made of, of which the later may look at the earlier."""

    def __init__(self, table: Table) -> None:
        if not isinstance(table, list) or len(table) < 2:
            raise ValueError("a snapshot is a list of objects")
        self._attributes = {name: _attributes(name, listed) for name, listed in table[0].items()}
        self._table = table[1:]
        self._objects = [self._shell(*each) for each in self._table]

    def root(self) -> object:
        pairs = list(zip(self._objects, self._table, strict=True))
        own = [(thing, entry) for thing, entry in pairs if entry[0] in self._attributes and has_own_state(type(thing))]
        for thing, entry in pairs:
            if entry[0] in self._attributes and not has_own_state(type(thing)):
                for name, value in zip(self._attributes[entry[0]], entry[1:], strict=True):
                    if value != ["u", 0]:
                        object.__setattr__(thing, name, self._value(value))
        for thing, entry in pairs:
            self._fill(thing, entry)
        for thing, (_, state) in own:
            type(thing).__setstate__(thing, self._value(state))  # type: ignore[attr-defined]
        return self._objects[0]

    def _shell(self, name: str, *rest: Any) -> object:
        if name in ("list", "dict", "set"):
            return {"list": list, "dict": dict, "set": set}[name]()
        if name == "frozenset":
            return frozenset(_plain(rest))
        if name == "deque":
            return deque(maxlen=rest[0])
        if name == "Message":
            medium, frame, strong = rest
            return message_of(medium, frame.encode("latin-1"), strong=strong is True)
        if name == "TimerWheel":
            return _wheel(rest)
        if name not in self._attributes:
            raise ValueError(f"no attributes are listed of {name!r:.80}")
        return object.__new__(class_of(name))

    def _value(self, value: Any) -> Any:
        if not isinstance(value, list):
            if type(value) not in PLAIN:
                raise ValueError(f"no value: {value!r:.80}")
            return value
        if len(value) == 1:
            return self._reference(value[0])
        kind, *rest = value
        if kind == "t":
            return tuple(map(self._value, rest))
        if kind == "b":
            return rest[0].encode("latin-1")
        if kind == "c":
            return class_of(rest[0])
        if kind == "m":
            return self._method(*rest)
        raise ValueError(f"no kind of value: {kind!r:.80}")

    def _reference(self, number: object) -> object:
        if number == "t":
            return ()
        if type(number) is not int or number < 0:
            raise ValueError(f"no reference: {number!r:.80}")
        return self._objects[number]

    def _method(self, number: object, name: str) -> object:
        thing = self._reference(number)
        own = type(thing).__module__.startswith(CORE) or isinstance(thing, TimerWheel)
        found = next((each.__dict__[name] for each in type(thing).__mro__ if name in each.__dict__), None)
        if not own or name.startswith("__") or not isinstance(found, METHODS):
            raise ValueError(f"{type(thing).__qualname__} has no method {name!r:.80}")
        return getattr(thing, name)

    def _fill(self, thing: object, entry: list[Any]) -> None:
        if isinstance(thing, list):
            thing.extend(map(self._value, entry[1:]))
        elif isinstance(thing, set):
            thing.update(map(self._value, entry[1:]))
        elif isinstance(thing, deque):
            thing.extend(map(self._value, entry[2:]))
        elif isinstance(thing, dict):
            values = list(map(self._value, entry[1:]))
            thing.update(zip(values[::2], values[1::2], strict=True))


def _plain(values: Iterable[Any]) -> list[Any]:
    """Of what can't be filled later. ValueError where it would have to be."""
    found = list(values)
    if not PLAIN.issuperset(map(type, found)):
        raise ValueError("more than words and numbers in what never changes")
    return found


def _attributes(name: str, listed: list[str]) -> list[str]:
    """Those of a class, as the file has them. ValueError where this program's have others."""
    kind = class_of(name)
    if has_own_state(kind):
        return []
    slots = slots_of(kind)
    free = kind.__dictoffset__ != 0
    if sorted(set(listed)) != sorted(listed) or not set(slots) <= set(listed):
        raise ValueError(f"{name} has other attributes here")
    if any(each not in slots and (not free or each.startswith("__")) for each in listed):
        raise ValueError(f"{name} has other attributes here")
    return listed


def _wheel(numbers: tuple[Any, ...]) -> TimerWheel:
    capacity, now, *armed = numbers
    if any(type(number) is not int for number in numbers) or capacity > WHEEL_LIMIT:
        raise ValueError("no wheel of timers")
    wheel = TimerWheel(capacity, now)
    for key, at in zip(armed[::2], armed[1::2], strict=True):
        wheel.arm(key, at)
    return wheel
