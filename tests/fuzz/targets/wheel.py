"""Whatever is armed, disarmed and asked, the wheel answers what a dictionary and a minimum answer; and what is out of
range is refused and changes nothing.

    input   start of the clock, then steps: what, key, instant (how far, and the number)
"""

from __future__ import annotations

from fuzz.choices import Choices
from reference.wheel import TimerWheel as Oracle

from _hbfast.wheel import TimerWheel

CAPACITY = 12
MS = 1_000_000
STEPS_MAX = 400
# units of an instant: a tick, the rings' turns, far, and a nanosecond; with edges on either side
UNITS = (1, MS, 64 * MS, 64**2 * MS, 64**3 * MS, 64**4 * MS, 64**5 * MS)
LATEST = 2**62
WORDS = (b"\0", b"\x01", b"\x40", b"\xff\xff\xff\xff\xff\xff\xff\xff", b"\x7f\xff\xff\xff")


def instant(choices: Choices) -> int:
    off = (0, 0, 1, -1)[choices.below(4)]
    return choices.pick(UNITS) * choices.number(2) % LATEST + off


def run(octets: bytes) -> None:
    choices = Choices(octets)
    now = choices.number(8) % LATEST
    wheel, oracle = TimerWheel(CAPACITY, now), Oracle(CAPACITY, now)
    for _ in range(STEPS_MAX):
        if not choices.more:
            break
        what, key = choices.below(8), choices.octet()
        if what < 3:
            arm(wheel, oracle, key, min(LATEST, max(-LATEST, now + instant(choices) * (-1 if what == 2 else 1))))
        elif what == 3:
            disarm(wheel, oracle, key)
        elif what == 4:
            earlier = max(0, now - instant(choices))
            assert wheel.due(earlier) == oracle.due(earlier)
        else:
            later = now + instant(choices) if what < 7 else (oracle.next_due() or 0) + choices.below(3) - 1
            now = min(max(now, later), LATEST)
            assert wheel.due(now) == oracle.due(now)
        assert wheel.next_due() == oracle.next_due()


def arm(wheel: TimerWheel, oracle: Oracle, key: int, at: int) -> None:
    try:
        wheel.arm(key, at)
    except IndexError:
        assert key >= CAPACITY
    else:
        assert key < CAPACITY
        oracle.arm(key, at)


def disarm(wheel: TimerWheel, oracle: Oracle, key: int) -> None:
    try:
        wheel.disarm(key)
    except IndexError:
        assert key >= CAPACITY
    else:
        assert key < CAPACITY
        oracle.disarm(key)


def seeds() -> list[bytes]:
    steps = [bytes([what, key, off, unit, 1, 3]) for what in range(8) for key, off, unit in ((0, 0, 1), (5, 2, 4))]
    return [bytes(8) + b"".join(steps), b"\0\0\0\1\0\0\0\0" + b"".join(reversed(steps)), *(bytes(8) + s for s in steps)]
