"""Decisions read from octets, so that one input is one play, whichever engine made it up. When they run out, the rest
of the decisions is 0."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")

# What parts an input into pieces. Two octets that no UTF-8 text has, so that mutated texts rarely fall apart.
SEPARATOR = b"\xfe\xfd"


class Choices:
    def __init__(self, octets: bytes) -> None:
        self.octets = octets
        self.at = 0

    @property
    def more(self) -> bool:
        return self.at < len(self.octets)

    def octet(self) -> int:
        self.at += 1
        return self.octets[self.at - 1] if self.at <= len(self.octets) else 0

    def number(self, size: int) -> int:
        """Of `size` octets, big end first."""
        found = int.from_bytes(self.octets[self.at : self.at + size].ljust(size, b"\0"))
        self.at += size
        return found

    def below(self, limit: int) -> int:
        """0 to limit - 1, of one octet."""
        return self.octet() % limit

    def pick(self, choices: Sequence[T]) -> T:
        return choices[self.octet() % len(choices)]

    def piece(self, longest: int) -> bytes:
        """Up to `longest` octets: their number comes first."""
        size = self.octet() % (longest + 1)
        self.at += size
        return self.octets[self.at - size : self.at]

    def rest(self) -> bytes:
        found = self.octets[self.at :]
        self.at = len(self.octets)
        return found
