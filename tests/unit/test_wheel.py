"""Timers: instants are exact, arming costs the same whatever is armed, and time may jump."""

import copy
import gc
import pickle
import random
import sys

import pytest
from reference.wheel import TimerWheel as Oracle

from _hbfast.wheel import TimerWheel

MS = 1_000_000
S = 1_000 * MS
FAR = 64**4 * MS  # what the rings cover


def test_nothing_armed():
    wheel = TimerWheel(4, 0)
    assert wheel.next_due() is None
    assert wheel.due(10**18) == []


@pytest.mark.parametrize("start", [0, 1, 999_999, 3 * S + 17, FAR - 1, FAR, 10**17 + 12_345])
@pytest.mark.parametrize(
    "delay", [0, 1, 999_999, MS, 63 * MS, 64 * MS, 4095 * MS, 5 * S, FAR - 1, FAR, FAR + 1, 10**16]
)
def test_due_at_its_instant_and_not_before(start, delay):
    wheel = TimerWheel(1, start)
    at = start + delay
    wheel.arm(0, at)
    assert wheel.next_due() == at
    if delay:
        assert wheel.due(at - 1) == []
        assert wheel.next_due() == at
    assert wheel.due(at) == [0]
    assert wheel.due(at) == []
    assert wheel.next_due() is None


def test_order_of_instants_within_a_tick():
    wheel = TimerWheel(8, 0)
    for key, at in enumerate([5_000_300, 5_000_100, 5_000_200, 5_000_100, 4_999_999, 6_000_000, 5_000_301]):
        wheel.arm(key, at)
    assert wheel.due(5_000_300) == [4, 1, 3, 2, 0]
    assert wheel.due(6_000_000) == [6, 5]


def test_an_instant_that_has_passed_is_due_at_once():
    wheel = TimerWheel(3, 10 * S)
    wheel.due(20 * S)
    wheel.arm(0, 5 * S)
    wheel.arm(1, 20 * S)
    wheel.arm(2, -7)
    assert wheel.next_due() == -7
    assert wheel.due(20 * S) == [2, 0, 1]


def test_arming_again_replaces():
    wheel = TimerWheel(2, 0)
    wheel.arm(0, 1 * S)
    wheel.arm(1, 3 * S)
    assert wheel.next_due() == 1 * S
    wheel.arm(0, 9 * S)
    assert wheel.next_due() == 3 * S
    wheel.arm(1, 2 * S)
    assert wheel.next_due() == 2 * S
    assert wheel.due(8 * S) == [1]
    assert wheel.due(9 * S) == [0]


def test_disarming():
    wheel = TimerWheel(3, 0)
    for key in range(3):
        wheel.arm(key, (1 + key) * S)
    wheel.disarm(0)
    wheel.disarm(0)
    assert wheel.next_due() == 2 * S
    wheel.disarm(2)
    assert wheel.due(10 * S) == [1]
    wheel.disarm(1)
    assert wheel.next_due() is None


def test_a_jump_of_years_finds_all_in_order():
    draw = random.Random(1)
    instants = [draw.randrange(10 ** draw.randrange(1, 17)) for _ in range(500)]
    wheel = TimerWheel(500, 0)
    for key, at in enumerate(instants):
        wheel.arm(key, at)
    assert wheel.due(10**17) == sorted(range(500), key=lambda key: (instants[key], key))


def test_a_clock_that_stands_or_goes_back_harms_nothing():
    wheel = TimerWheel(2, 10 * S)
    wheel.arm(0, 11 * S)
    assert wheel.due(9 * S) == []
    assert wheel.due(10 * S + 1) == []
    wheel.arm(1, 8 * S)
    assert wheel.due(9 * S) == [1]
    assert wheel.next_due() == 11 * S
    assert wheel.due(11 * S) == [0]


@pytest.mark.parametrize("key", [-1, 4, 2**40])
def test_keys_out_of_range(key):
    wheel = TimerWheel(4, 0)
    with pytest.raises((IndexError, OverflowError)):
        wheel.arm(key, 5)
    with pytest.raises((IndexError, OverflowError)):
        wheel.disarm(key)


def test_negative_capacity_or_time():
    with pytest.raises(ValueError):
        TimerWheel(-1, 0)
    with pytest.raises(ValueError):
        TimerWheel(1, -1)


def test_arming_takes_no_memory():
    wheel = TimerWheel(1000, 0)
    keys = list(range(1000))
    instants = [10**15 + key * 7919 * MS for key in keys]

    def arm_all():
        for key in keys:
            wheel.arm(key, instants[key])

    arm_all()
    gc.collect()
    before = sys.getallocatedblocks()
    for _ in range(20):
        arm_all()
    assert sys.getallocatedblocks() - before < 50


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda wheel: pickle.loads(pickle.dumps(wheel))])
def test_a_copy_goes_on_by_itself(copied):
    wheel = TimerWheel(6, 10 * S + 1)
    for key, at in enumerate([12 * S, 11 * S, 12 * S, FAR * 3, 5 * S]):
        wheel.arm(key, at)
    assert wheel.due(9 * S) == [4]
    other = copied(wheel)
    wheel.disarm(1)
    assert other.next_due() == 11 * S
    assert other.due(FAR * 3) == [1, 0, 2, 3]
    assert wheel.due(FAR * 3) == [0, 2, 3]
    with pytest.raises(IndexError):
        other.arm(6, 1)


def test_a_long_life_against_the_oracle():
    """A keepalive, a deadtime that each message pushes away, and now and then a stall."""
    draw = random.Random(7)
    now = 10**12
    wheel, oracle = TimerWheel(64, now), Oracle(64, now)
    for _ in range(20_000):
        key = draw.randrange(64)
        at = now + draw.choice([20 * MS, 250 * MS, 15 * S, 120 * S, 3600 * S, 24 * 3600 * S]) + draw.randrange(MS)
        wheel.arm(key, at)
        oracle.arm(key, at)
        assert wheel.next_due() == oracle.next_due()
        now += draw.choice([0, 3 * MS, draw.randrange(30 * MS), 0 if draw.random() < 0.999 else 10 * 3600 * S])
        assert wheel.due(now) == oracle.due(now)
