"""One input made of others, by a seeded generator: what fuzzing does where there is no feedback from the code."""

from __future__ import annotations

import random
from collections.abc import Sequence

CHANGES_MAX = 6
OCTETS_MAX = 4096
REPEATS = (2, 3, 8, 64)
EDGES = (0, 1, 0x0A, 0x0D, 0x20, 0x2F, 0x3A, 0x7F, 0x80, 0xFE, 0xFF)


class Mutator:
    def __init__(self, seed: int, inputs: Sequence[bytes], words: Sequence[bytes]) -> None:
        self.random = random.Random(seed)
        self.inputs = inputs or [b""]
        self.words = words or [b"\0"]
        self.changes = (self.flip, self.replace, self.remove, self.word, self.word, self.copy, self.splice, self.repeat)

    def next(self) -> bytes:
        octets = bytearray(self.random.choice(self.inputs))
        for _ in range(self.random.randint(1, CHANGES_MAX)):
            self.random.choice(self.changes)(octets)
        return bytes(octets[:OCTETS_MAX])

    def span(self, octets: Sequence[int], longest: int = 64) -> slice:
        start = self.random.randint(0, len(octets))
        return slice(start, min(len(octets), start + self.random.randint(1, longest)))

    def flip(self, octets: bytearray) -> None:
        if octets:
            octets[self.random.randrange(len(octets))] ^= 1 << self.random.randrange(8)

    def replace(self, octets: bytearray) -> None:
        if octets:
            octets[self.random.randrange(len(octets))] = self.random.choice((*EDGES, self.random.randrange(256)))

    def remove(self, octets: bytearray) -> None:
        del octets[self.span(octets)]

    def word(self, octets: bytearray) -> None:
        """Put in, or over what is there."""
        word = self.random.choice(self.words)
        start = self.random.randint(0, len(octets))
        octets[start : start + len(word) * self.random.randrange(2)] = word

    def copy(self, octets: bytearray) -> None:
        at = self.random.randint(0, len(octets))
        octets[at:at] = octets[self.span(octets)]

    def splice(self, octets: bytearray) -> None:
        """The rest of another input, or a part of it."""
        other = self.random.choice(self.inputs)
        at = self.random.randint(0, len(octets))
        if self.random.randrange(2):
            octets[at:] = other[self.random.randint(0, len(other)) :]
        else:
            octets[at:at] = other[self.span(other, 256)]

    def repeat(self, octets: bytearray) -> None:
        part = self.span(octets, 16)
        octets[part] = octets[part] * self.random.choice(REPEATS)
