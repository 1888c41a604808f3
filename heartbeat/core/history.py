"""Our sent messages, kept for retransmission.

The newest 500 (the original's size; wire format: sizes). An acknowledgement trims it: a request for what the
peer has was late on its way, and an original that is told that this can't be sent again logs it as lost. Nothing waits
for an acknowledgement, so a peer that never sends one costs nothing but memory.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _hbfast.codec import Message

LIMIT = 500

# find(): why a message can't be sent again, in the original's words
TOO_LOW = "seqno too low"


class History:
    """Sequence numbers are added in order, without holes."""

    __slots__ = ("_acknowledged", "_first", "_messages", "_sent_again")

    def __init__(self) -> None:
        self._messages: list[Message] = []
        self._acknowledged = 0  # the peer has everything up to here
        self._first = 1  # sequence number of _messages[0]
        self._sent_again: dict[int, int] = {}  # sequence number → instant of its last retransmission

    def add(self, sequence: int, messages: list[Message]) -> None:
        """sequence: of the first of these."""
        if sequence != self._first + len(self._messages):
            raise AssertionError(f"history: {sequence} does not follow")
        self._messages += messages
        self._forget(len(self._messages) - LIMIT)

    def acknowledged(self, sequence: int) -> None:
        """The peer has everything up to here."""
        self._acknowledged = max(self._acknowledged, sequence)
        self._forget(min(sequence + 1 - self._first, len(self._messages)))

    def _forget(self, number: int) -> None:
        """The oldest ones."""
        if number <= 0:
            return
        del self._messages[:number]
        self._first += number
        if self._sent_again:
            self._sent_again = {each: at for each, at in self._sent_again.items() if each >= self._first}

    def find(self, sequence: int, now: int, quiet_ns: int) -> Message | str | None:
        """The message; or why it is gone, to tell the asker; or None where there is nothing to say: the peer has
        acknowledged it, it was sent again less than quiet_ns ago, or does not exist yet."""
        if sequence <= self._acknowledged:
            return None
        if sequence < self._first:
            return TOO_LOW
        index = sequence - self._first
        if index >= len(self._messages):
            return None
        last = self._sent_again.get(sequence)
        if last is not None and now - last < quiet_ns:
            return None
        self._sent_again[sequence] = now
        return self._messages[index]

    def __len__(self) -> int:
        return len(self._messages)
