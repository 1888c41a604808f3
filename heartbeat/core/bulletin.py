"""What two of ours tell each other in every status, in the extra field `ext` (real 3.0.6 nodes ignore it).

    ext = "1" SP resources-digest SP timing-digest SP heard SP phase *( SP other ) *( SP group )
    other = "?" nonce | "!" nonce | "#" number | "&" abilities

heard: the generation, hex, in which the sender hears the receiver, 0 for not at all; so a line that carries one way
only is known at both ends. phase: u (unsettled), s (settled), l (leaving). ?: a nonce, 16 hex digits; the receiver's
next statuses repeat it after !, which no recording can. #: the sequence number, hex, of the sender's newest message
that is no status: statuses behind it that were lost need not come again, this one says it all. &: what the sender can,
a letter each: o, what is handed over may be on both nodes for a moment (overlap.py). A later version's words begin with
another such character and are skipped. group: four characters that name it (its key's hash, so that nodes
whose haresources differ still know each other's groups) and one for its state:

    -  not ours         x  not ours, and failed here a short while ago
    s  starting         h  held         p  stopping         f  ours, but it failed and waits
    k  held, and the neighbours have been told again: who holds it too lets go
    l  held, but silent: its lease has lapsed, and whether the other has taken over is the question

Whoever says s, h, p, f, k or l *claims* the group: it alone may start it. One that lapsed contests nothing.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

FIELD = "ext"
VERSION = "1"
UNSETTLED, SETTLED, LEAVING = "u", "s", "l"
PHASES = "usl"
CLAIMING = "shpfkl"
KEPT, LAPSED = "k", "l"
MOVING = frozenset("sp")
LETTERS = CLAIMING + "-x"
GROUPS_LIMIT = 1024
OTHERS_LIMIT = 8  # words that are no groups
NONCE_DIGITS = 16
ABILITIES_LIMIT = 16
_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"


def label(key: str) -> str:
    """Four characters for a group's key: 24 bits of FNV-1a. Two keys with one label count as claimed together."""
    value = 0x811C9DC5
    for octet in key.encode():
        value = ((value ^ octet) * 0x01000193) & 0xFFFFFFFF
    value = (value ^ value >> 24) & 0xFFFFFF
    return "".join(_ALPHABET[value >> shift & 63] for shift in (18, 12, 6, 0))


class Bulletin:
    """groups: label → state letter. challenge, answer: nonces, empty for none. decided: the number after #, 0: none.
    abilities: the letters after &."""

    __slots__ = (
        "abilities", "answer", "challenge", "decided", "groups", "heard", "phase", "resources_digest", "timing_digest",
    )  # fmt: skip

    def __init__(
        self, resources_digest: str, timing_digest: str, heard: int, phase: str, groups: dict[str, str],
        *, challenge: str = "", answer: str = "", decided: int = 0, abilities: str = "",
    ) -> None:  # fmt: skip
        self.resources_digest = resources_digest
        self.timing_digest = timing_digest
        self.heard = heard
        self.phase = phase
        self.groups = groups
        self.challenge = challenge
        self.answer = answer
        self.decided = decided
        self.abilities = abilities

    def claims(self, group_label: str) -> bool:
        return self.groups.get(group_label, "-") in CLAIMING

    def contests(self, group_label: str) -> bool:
        """Claims it, and answers for it or is about to."""
        letter = self.groups.get(group_label, "-")
        return letter in CLAIMING and letter != LAPSED

    def strangers(self, known: Iterable[str]) -> bool:
        """Does the sender have groups that are not among these?"""
        return not self.groups.keys() <= set(known)

    def __str__(self) -> str:
        words = [VERSION, self.resources_digest, self.timing_digest, f"{self.heard:x}", self.phase]
        if self.challenge:
            words.append("?" + self.challenge)
        if self.answer:
            words.append("!" + self.answer)
        if self.decided:
            words.append(f"#{self.decided:x}")
        if self.abilities:
            words.append("&" + self.abilities)
        return " ".join(words + [name + letter for name, letter in self.groups.items()])


def parse(text: str | None) -> Bulletin | None:
    """None where there is none, or none that this version understands."""
    if text is None:
        return None
    limit = 5 + OTHERS_LIMIT + GROUPS_LIMIT
    words = text.split(" ", limit)
    if len(words) < 5 or len(words) > limit or words[0] != VERSION or words[4] not in tuple(PHASES):
        return None
    heard = _number(words[3])
    if heard < 0:
        return None
    said: dict[str, str] = {}
    groups = {}
    others = 0
    for word in words[5:]:
        if word[:1] not in _ALPHABET:
            others += 1
            said[word[:1]] = word[1:]
        elif len(word) == 5 and word[4] in LETTERS:
            groups[word[:4]] = word[4]
        else:
            return None
    if others > OTHERS_LIMIT or len(words) - 5 - others > GROUPS_LIMIT:
        return None
    return Bulletin(
        words[1][:8],
        words[2][:8],
        heard,
        words[4],
        groups,
        challenge=_nonce(said.get("?", "")),
        answer=_nonce(said.get("!", "")),
        decided=max(0, _number(said.get("#", ""))),
        abilities=said.get("&", "")[:ABILITIES_LIMIT],
    )


def _nonce(digits: str) -> str:
    return digits if len(digits) == NONCE_DIGITS else ""


def _number(digits: str) -> int:
    """-1 where it is none."""
    try:
        return int(digits, 16) if len(digits) <= NONCE_DIGITS else -1
    except ValueError:
        return -1
