"""Is what we hear of this moment? A nonce in our statuses, which the peer's next status must repeat.

No recording can: a nonce is drawn once and never again. It is asked where being wrong would matter: after this node's
own start (it cannot know what it has missed), after a lease has lapsed (has the other taken over meanwhile?), and when
the peer speaks in a generation that is lower than one it has had (a recording, or a node whose files were set back?).

The peer answers at once, with a status out of its turn, and repeats the nonce as long as it is asked.
"""

from __future__ import annotations

from heartbeat.core.bulletin import NONCE_DIGITS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from heartbeat.core.bulletin import Bulletin
    from heartbeat.core.sequence import Random

WORD = 1 << 16


class Challenge:
    """nonce: what the peer must repeat now, empty where nothing is asked. answer: what it asks us to repeat."""

    __slots__ = ("_random", "answer", "nonce")

    def __init__(self, random: Random) -> None:
        self._random = random
        self.nonce = ""
        self.answer = ""

    def ask(self) -> None:
        """A fresh nonce: an answer to an earlier one proves nothing any more."""
        digits = "".join(f"{self._random.below(WORD):04x}" for _ in range(NONCE_DIGITS // 4))
        self.nonce = digits

    def answered(self, seen: Bulletin) -> bool:
        """Does this repeat what is asked?"""
        return bool(self.nonce) and seen.answer == self.nonce

    def asked(self, seen: Bulletin) -> bool:
        """Take over what the peer asks. True: it is new, and wants a status at once."""
        new = seen.challenge not in ("", self.answer)
        self.answer = seen.challenge
        return new
