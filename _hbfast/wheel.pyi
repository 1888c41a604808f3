"""Timers without a clock."""

class TimerWheel:
    """Holds at most one instant for each of the keys 0 to capacity - 1.

    Passive: it has no clock and calls nobody. Instants are integers, nanoseconds of any clock that doesn't go back.
    All memory is taken at the start; arm, re-arm and disarm are O(1) and take none. No instant is rounded: no timer is
    due before its own, and none is late for the wheel's sake.

    It can be copied and pickled: what is armed, and for when.
    """

    def __init__(self, capacity: int, now: int) -> None:
        """ValueError where either is negative."""

    def arm(self, key: int, at: int) -> None:
        """Make key due at this instant, instead of any earlier arrangement. An instant that has passed is fine: due at
        once. IndexError for a key out of range."""

    def disarm(self, key: int) -> None:
        """Forget key's instant, if it has one. IndexError for a key out of range."""

    def due(self, now: int) -> list[int]:
        """The keys whose instant is now or earlier, in the order of their instants, lower keys first among equal ones.
        They are disarmed. However long ago the last call was, empty time costs nothing."""

    def next_due(self) -> int | None:
        """The earliest instant, exactly; None where nothing is armed."""
