"""What of a peer's numbered messages is fresh, duplicated, replayed, missing (wire format: reliable delivery).

One Tracker a peer. It knows nothing of the meaning of messages: it is given (generation, sequence) and answers with a
verdict, keeps the set of missing numbers, and says which to ask for and what to acknowledge.

    FRESH      in order, or ahead of a gap, or fills one: deliver it
    DUPLICATE  the newest again, by another medium: proves that medium's link, nothing else
    OLD        known already: ignore
    REPLAYED   of a generation that has ended: ignore, count
    RESTARTED  the first of a higher generation: everything known is forgotten, deliver it
"""

from __future__ import annotations

FRESH, DUPLICATE, OLD, REPLAYED, RESTARTED = range(5)

MISSING_LIMIT = 499  # the original's; beyond it the lowest is given up
GAP_LIMIT = 250  # a larger gap is not worth asking for: start again behind it
ACK_EVERY = 10  # an original's messages: with 250 that are not acknowledged it pauses its clients
ACK_EVERY_OURS = 50  # nothing waits for these: they trim what is kept, 500 at most
ASKS_LIMIT = 6  # for one number
FIRST_ASK_MIN_NS = 50_000_000  # original peers invert neighbours on purpose; they arrive within this


class Tracker:
    """generation 0: nothing heard yet. missing: sequence → instant of the next request for it."""

    __slots__ = ("_ack_phase", "_asked", "_floor", "_random", "generation", "last", "missing", "newest_gap")

    def __init__(self, random: Random) -> None:
        self.generation = 0
        self.last = 0  # 0: none yet in this generation
        self.missing: dict[int, int] = {}
        self.newest_gap = 0  # size of the gap the last FRESH verdict opened
        self._asked: dict[int, int] = {}  # how often, of the missing
        self._floor = 0  # known when it died: what is not newer is a late copy
        self._random = random
        self._ack_phase = random.below(ACK_EVERY)

    def start(self, generation: int, sequence: int) -> None:
        """What is known from elsewhere: of this generation nothing counts that is not newer."""
        self.generation = generation
        self.last = 0
        self.missing.clear()
        self._floor = sequence

    @property
    def newest(self) -> int:
        """The highest number heard of this generation."""
        return max(self.last, self._floor)

    def forget(self) -> None:
        """The peer is dead: the next number is the first, if it is newer. Its generation stays known."""
        self._floor = max(self._floor, self.last)
        self.last = 0
        self.missing.clear()

    def judge(self, generation: int, sequence: int) -> int:
        self.newest_gap = 0
        if generation < self.generation:
            return REPLAYED
        if generation > self.generation:
            first_ever = self.generation == 0
            self.generation = generation
            self.missing.clear()
            self._floor = 0
            self.last = sequence
            return FRESH if first_ever else RESTARTED
        if sequence <= self._floor:
            return OLD
        if self.last == 0 or sequence == self.last + 1:
            self.last = sequence
            return FRESH
        if sequence == self.last:
            return DUPLICATE
        if sequence < self.last:
            return FRESH if self.missing.pop(sequence, None) is not None else OLD
        self.newest_gap = sequence - self.last - 1
        return FRESH

    def open_gap(self, sequence: int, needed: int, now: int, max_delay_ns: int) -> bool:
        """After a FRESH verdict with newest_gap: note what is missing, as far as the number `needed`; False where it is
        too much to ask for."""
        first = self.last + 1
        self.last = sequence
        end = min(sequence, needed + 1)
        if end - first > GAP_LIMIT:
            self.missing.clear()
            return False
        floor = FIRST_ASK_MIN_NS if max_delay_ns >= 2 * FIRST_ASK_MIN_NS else 0
        # all at once: a slow line has no room for a request for each
        due = now + floor + self._random.below(max(1, max_delay_ns - floor))
        self.missing |= dict.fromkeys(range(first, end), due)
        while len(self.missing) > MISSING_LIMIT:
            del self.missing[min(self.missing)]
        return True

    def given_up(self, sequence: int) -> bool:
        """The peer cannot send this one again, it says. True if it was asked for, and is missing still."""
        return self._asked.pop(sequence, 0) > 0 and self.missing.pop(sequence, None) is not None

    def asks(self, now: int, repeat_ns: int, limit: int) -> tuple[list[int], list[int]]:
        """(the missing numbers whose request is due, those that were asked for in vain, and are missing no longer).
        Each will be due again after repeat_ns, and after twice as long each time, so that requests cannot fill a line
        that lost messages because it is full."""
        due = sorted(number for number, at in self.missing.items() if at <= now)[:limit]
        asked = {number: count for number, count in self._asked.items() if number in self.missing}
        lost = [number for number in due if asked.get(number, 0) >= ASKS_LIMIT]
        for number in lost:
            del self.missing[number], asked[number]
        again = [number for number in due if number in self.missing]
        for number in again:
            count = asked[number] = asked.get(number, 0) + 1
            self.missing[number] = now + (repeat_ns << count - 1)
        self._asked = asked
        return again, lost

    def next_ask(self) -> int | None:
        return min(self.missing.values()) if self.missing else None

    def next_acknowledged(self, every: int) -> int:
        """The number after `last` that will be acknowledged, where nothing is missing."""
        return self.last + every - (self.last - self._ack_phase) % every

    def acknowledge(self, sequence: int, every: int) -> int:
        """The number to acknowledge after accepting this one, 0 for none: one in `every`, and only what is
        contiguous."""
        contiguous = min(self.missing) - 1 if self.missing else self.last
        candidate = contiguous - (contiguous - self._ack_phase) % every
        return candidate if candidate >= sequence and candidate > 0 else 0


class Random:
    """xorshift64*: reproducible from its seed, no module. Good enough to spread requests, not for secrets."""

    __slots__ = ("_state",)

    def __init__(self, seed: int) -> None:
        self._state = (seed & 0xFFFFFFFFFFFFFFFF) or 0x9E3779B97F4A7C15

    def below(self, limit: int) -> int:
        """0 … limit-1."""
        x = self._state
        x ^= x >> 12
        x ^= (x << 25) & 0xFFFFFFFFFFFFFFFF
        x ^= x >> 27
        self._state = x
        return ((x * 0x2545F4914F6CDD1D) & 0xFFFFFFFFFFFFFFFF) % limit
