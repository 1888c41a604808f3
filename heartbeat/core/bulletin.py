"""What two of ours tell each other in every status, in the extra field `ext` (real 3.0.6 nodes ignore it).

    ext = "1" SP resources-digest SP timing-digest SP heard SP phase *( SP group )

heard: the generation, hex, in which the sender hears the receiver, 0 for not at all; so a line that carries one way
only is known at both ends. phase: u (unsettled), s (settled), l (leaving). group: four characters that name it (its
key's hash, so that nodes whose haresources differ still know each other's groups) and one for its state:

    -  not ours         x  not ours, and failed here a short while ago
    s  starting         h  held         p  stopping         f  ours, but it failed and waits

Whoever says s, h, p or f *claims* the group: it alone may start it.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

FIELD = "ext"
VERSION = "1"
UNSETTLED, SETTLED, LEAVING = "u", "s", "l"
PHASES = "usl"
CLAIMING = "shpf"
LETTERS = CLAIMING + "-x"
GROUPS_LIMIT = 256
_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"


def label(key: str) -> str:
    """Four characters for a group's key: 24 bits of FNV-1a. Two keys with one label count as claimed together."""
    value = 0x811C9DC5
    for octet in key.encode():
        value = ((value ^ octet) * 0x01000193) & 0xFFFFFFFF
    value = (value ^ value >> 24) & 0xFFFFFF
    return "".join(_ALPHABET[value >> shift & 63] for shift in (18, 12, 6, 0))


class Bulletin:
    """groups: label → state letter."""

    __slots__ = ("groups", "heard", "phase", "resources_digest", "timing_digest")

    def __init__(
        self, resources_digest: str, timing_digest: str, heard: int, phase: str, groups: dict[str, str]
    ) -> None:
        self.resources_digest = resources_digest
        self.timing_digest = timing_digest
        self.heard = heard
        self.phase = phase
        self.groups = groups

    def claims(self, group_label: str) -> bool:
        return self.groups.get(group_label, "-") in CLAIMING

    def strangers(self, known: Iterable[str]) -> bool:
        """Does the sender have groups that are not among these?"""
        return not self.groups.keys() <= set(known)

    def __str__(self) -> str:
        words = [VERSION, self.resources_digest, self.timing_digest, f"{self.heard:x}", self.phase]
        return " ".join(words + [name + letter for name, letter in self.groups.items()])


def parse(text: str | None) -> Bulletin | None:
    """None where there is none, or none that this version understands."""
    if text is None:
        return None
    words = text.split(" ", 5 + GROUPS_LIMIT)
    if len(words) < 5 or len(words) > 5 + GROUPS_LIMIT or words[0] != VERSION or words[4] not in tuple(PHASES):
        return None
    try:
        heard = int(words[3], 16)
    except ValueError:
        return None
    if any(len(word) != 5 or word[4] not in LETTERS for word in words[5:]):
        return None
    return Bulletin(words[1][:8], words[2][:8], heard, words[4], {word[:4]: word[4] for word in words[5:]})
