"""What every state machine of the core shares: a state, its names, and the table of allowed transitions.

Each machine keeps its table beside it, and `enter` is the one place that assigns a state. A transition that the table
does not have is our own bug and ends the daemon, which in a pair is the safe failure. docs/states.md is generated from
the tables.
"""

from __future__ import annotations


class Machine:
    """state: an index into NAMES. ALLOWED: (from, to) → what makes it happen, in words."""

    NAMES: tuple[str, ...] = ()
    ALLOWED: dict[tuple[int, int], str] = {}

    __slots__ = ("state",)

    def __init__(self, state: int) -> None:
        self.state = state

    @property
    def state_name(self) -> str:
        return self.NAMES[self.state]

    def enter(self, state: int) -> None:
        if (self.state, state) not in self.ALLOWED:
            raise AssertionError(f"{type(self).__name__}: {self.NAMES[self.state]} to {self.NAMES[state]}")
        self.state = state
