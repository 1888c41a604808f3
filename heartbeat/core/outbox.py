"""Everything that leaves the core in one `handle`: messages with their control fields, agent runs, notes, replies.

Numbering order is wire order: a message gets its sequence number in the moment it is put here, and the executor sends
in this order (the original numbers before it sends and inverts both; protocol: reliable delivery). Sent messages are
kept for retransmission until the peer has acknowledged them.
"""

from __future__ import annotations

from _hbfast.codec import Message
from heartbeat.core.actions import NORMAL, STATUS, Begin, Note, Reply, RunAgent, Transmit
from heartbeat.core.history import History
from heartbeat.core.hooks import Hooks

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from heartbeat.core.actions import Action
    from heartbeat.core.settings import Resource, Settings

NO_UUID = bytes(16)
# what a message says of the machine's load; the original copies /proc/loadavg, which costs line time and tells
# strangers about the box. Informational (wire format: control fields).
LOAD = b"n/a"


class Outbox:
    """Actions of the current call. `now` is the instant of the event being handled."""

    __slots__ = (
        "_actions", "_identity", "_runs", "_tail", "decided", "generation", "history", "hooks", "node", "now",
        "sequence", "status", "uuid_of", "wall_offset_s",
    )  # fmt: skip

    def __init__(self, settings: Settings, generation: int, now: int) -> None:
        self.node = settings.node
        self.generation = generation
        self.sequence = 0
        self.decided = 0  # number of the newest message that is no status
        self.now = now
        self.wall_offset_s = 0
        self.history = History()
        self.hooks = Hooks(settings, self.put)
        self.uuid_of: dict[str, bytes] = {}
        self.status: Message  # the newest that was put together
        self._actions: list[Action] = []
        self._runs = 0
        self._identity: list[tuple[str, int, bytes]] = []
        self._tail: list[tuple[str, int, bytes]] = []
        self.configure(settings)

    def configure(self, settings: Settings) -> None:
        """Build what is the same in every message."""
        self._identity = [("src", 0, self.node.encode()), ("srcuuid", 1, settings.uuid)]
        ttl = b"%d" % (settings.hopfudge + len(settings.nodes))
        self._tail = [("ttl", 0, ttl)]
        self.hooks.configure(settings)

    def renew(self) -> None:
        """Begin a new generation: its first message must be a status, and nothing of the old one is sent again."""
        self.generation += 1
        self.sequence = 0
        self.decided = 0
        self.history = History()
        self._actions.append(Begin(self.generation))

    def clock(self, wall_s: int) -> None:
        """Unix time now: `ts` of the messages to come. Nothing else depends on it."""
        self.wall_offset_s = wall_s - self.now // 1_000_000_000

    def send(
        self, kind: str, fields: Iterable[tuple[str, bytes]] = (), *, to: str | None = None, priority: int = NORMAL
    ) -> int:
        """Put a message of type `kind` on the wire; its own fields first, then the control fields in the original's
        order. Returns its sequence number, 0 for the types that carry none (NS_*)."""
        items: list[tuple[str, int, bytes]] = [("t", 0, kind.encode())]
        if to is not None:
            items.append(("dest", 0, to.encode()))
        items += [(name, 0, value) for name, value in fields]
        if to is not None:
            items.append(("destuuid", 1, self.uuid_of.get(to, NO_UUID)))
        items += self._identity
        numbered = not kind.startswith("NS_")
        if numbered:
            self.sequence += 1
            items.append(("seq", 0, b"%x" % self.sequence))
        items.append(("hg", 0, b"%x" % self.generation))
        items.append(("ts", 0, b"%x" % max(1, self.now // 1_000_000_000 + self.wall_offset_s)))
        if numbered:
            items.append(("ld", 0, LOAD))
        items += self._tail
        message = Message(items)
        self._actions.append(Transmit(message, priority))
        self.hooks.sent(kind, to, message)
        if not numbered:
            return 0
        self.history.add(self.sequence, [message])
        if kind == "status":
            self.status = message
        else:
            self.decided = self.sequence
        return self.sequence

    def send_status_again(self) -> None:
        """The newest status once more, under the next number: it says the same at another time."""
        self.sequence += 1
        message = self.status.again(self.sequence, max(1, self.now // 1_000_000_000 + self.wall_offset_s))
        self._actions.append(Transmit(message, STATUS))
        self.history.add(self.sequence, [message])

    def repeated(self, messages: list[Message], now: int, wall_s: int) -> None:
        """These statuses have been sent already, the last of them at `now`."""
        self.now = max(self.now, now)
        self.sequence += len(messages)
        self.wall_offset_s = wall_s - now // 1_000_000_000
        self.history.add(messages[0].sequence, messages)

    def send_again(self, message: Message) -> None:
        """A retransmission is the original message, on all media."""
        self._actions.append(Transmit(message, NORMAL))

    def note(self, severity: int, text: str) -> None:
        self._actions.append(Note(severity, text))

    def run(self, group: str, resources: tuple[Resource, ...], verb: str, *, answered: bool = True) -> int:
        """Ask for an agent's run; returns its number, 0 where nobody waits for the answer."""
        if answered:
            self._runs += 1
        number = self._runs if answered else 0
        self._actions.append(RunAgent(number, group, resources, verb))
        return number

    def reply(self, number: int, ok: bool, text: str) -> None:
        self._actions.append(Reply(number, ok, text))

    def put(self, action: Action) -> None:
        self._actions.append(action)

    def take(self) -> list[Action]:
        """The actions of this call, in order; the next call starts empty."""
        actions = self._actions
        self._actions = []
        return actions


class Tally:
    """Counts what is ignored, by cause, and says so at the 1st, 2nd, 4th, 8th … time: a flood can't flood the log."""

    __slots__ = ("_note", "counts")

    # causes hold names that came from outside; beyond this many they share one line
    LIMIT = 64

    def __init__(self, note: Callable[[int, str], None]) -> None:
        self._note = note
        self.counts: dict[str, int] = {}

    def add(self, severity: int, cause: str) -> None:
        if cause not in self.counts and len(self.counts) >= self.LIMIT:
            cause = "other causes"
        count = self.counts[cause] = self.counts.get(cause, 0) + 1
        if count & (count - 1) == 0:
            self._note(severity, cause if count == 1 else f"{cause} ({count} times)")
