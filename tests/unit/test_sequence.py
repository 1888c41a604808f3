"""What is fresh, what is missing, what is acknowledged (protocol: reliable delivery)."""

from itertools import pairwise

import pytest

from heartbeat.core.sequence import (
    ACK_EVERY,
    ACK_EVERY_OURS,
    ASKS_LIMIT,
    DUPLICATE,
    FRESH,
    GAP_LIMIT,
    MISSING_LIMIT,
    OLD,
    REPLAYED,
    RESTARTED,
    Random,
    Tracker,
)

DELAY = 250_000_000


@pytest.fixture
def tracker() -> Tracker:
    return Tracker(Random(7))


def take(tracker: Tracker, sequence: int, generation: int = 5, now: int = 0) -> int:
    verdict = tracker.judge(generation, sequence)
    if verdict == FRESH and tracker.newest_gap:
        tracker.open_gap(sequence, sequence - 1, now, DELAY)
    return verdict


def test_the_first_number_may_be_any(tracker):
    assert take(tracker, 57) == FRESH
    assert (tracker.last, tracker.missing) == (57, {})


def test_in_order_duplicate_and_old(tracker):
    assert [take(tracker, n) for n in (1, 2, 2, 1, 3)] == [FRESH, FRESH, DUPLICATE, OLD, FRESH]


def test_a_gap_is_filled_once(tracker):
    assert [take(tracker, n) for n in (1, 4, 2, 2, 3, 3)] == [FRESH, FRESH, FRESH, OLD, FRESH, OLD]
    assert tracker.missing == {}


def test_an_ended_generation_is_a_replay_and_a_new_one_starts_anew(tracker):
    take(tracker, 9)
    assert take(tracker, 10, generation=4) == REPLAYED
    assert take(tracker, 1, generation=6) == RESTARTED
    assert take(tracker, 10, generation=5) == REPLAYED
    assert take(tracker, 2, generation=6) == FRESH


def test_after_death_only_newer_numbers_count(tracker):
    take(tracker, 9)
    tracker.forget()
    assert [take(tracker, n) for n in (8, 9, 12, 11)] == [OLD, OLD, FRESH, OLD]


def test_requests_are_asked_after_the_floor_and_repeated(tracker):
    take(tracker, 1)
    take(tracker, 4)
    assert set(tracker.missing) == {2, 3}
    assert all(50_000_000 <= at < DELAY for at in tracker.missing.values())
    assert tracker.asks(49_999_999, DELAY, 50) == ([], [])
    assert not tracker.given_up(2)  # nobody has asked
    assert tracker.asks(DELAY, DELAY, 50) == ([2, 3], [])
    assert tracker.asks(DELAY, DELAY, 50) == ([], [])
    assert tracker.next_ask() == 2 * DELAY
    assert tracker.given_up(2)
    assert not tracker.given_up(2)


def test_requests_become_rare_and_end(tracker):
    take(tracker, 1)
    take(tracker, 3)
    now, asked = 0, []
    while tracker.missing:
        now = tracker.next_ask()
        again, lost = tracker.asks(now, DELAY, 50)
        asked += [now] * len(again)
    assert lost == [2]
    intervals = [later - earlier for earlier, later in pairwise(asked)]
    assert intervals == [DELAY << n for n in range(ASKS_LIMIT - 1)]


def test_only_so_many_are_asked_for_at_once(tracker):
    take(tracker, 1)
    take(tracker, 101)
    assert tracker.asks(DELAY, DELAY, 50)[0] == list(range(2, 52))
    assert tracker.asks(DELAY, DELAY, 50)[0] == list(range(52, 101))


def test_only_what_is_needed_is_missing(tracker):
    take(tracker, 1)
    assert tracker.judge(5, 9) == FRESH
    assert tracker.open_gap(9, 3, 0, DELAY)
    assert set(tracker.missing) == {2, 3}
    assert take(tracker, 10) == FRESH


def test_a_gap_too_large_is_not_asked_for(tracker):
    take(tracker, 1)
    take(tracker, 3)
    assert tracker.judge(5, 4 + GAP_LIMIT + 1) == FRESH
    assert not tracker.open_gap(4 + GAP_LIMIT + 1, 4 + GAP_LIMIT, 0, DELAY)
    assert tracker.missing == {}
    assert take(tracker, 4 + GAP_LIMIT + 2) == FRESH


def test_what_is_missing_has_a_limit(tracker):
    take(tracker, 1)
    for step in range(1, 9):
        take(tracker, 1 + 200 * step)
    assert len(tracker.missing) == MISSING_LIMIT
    assert min(tracker.missing) > 1000  # the oldest were given up


@pytest.mark.parametrize("every", [ACK_EVERY, ACK_EVERY_OURS])
def test_one_in_so_many_is_acknowledged_and_only_what_is_contiguous(tracker, every):
    acknowledged = []
    for number in range(1, 10 * every + 1):
        take(tracker, number)
        acknowledged.append(tracker.acknowledge(number, every))
    due = [number for number in acknowledged if number]
    assert len(due) == 10
    assert {number % every for number in due} == {due[0] % every}
    missing, newest = 10 * every + 1, 12 * every + 1
    take(tracker, newest)
    assert tracker.acknowledge(newest, every) == 0
    for number in range(missing + 1, newest):
        take(tracker, number)
        tracker.acknowledge(number, every)
    take(tracker, missing)
    assert tracker.acknowledge(missing, every) in range(newest - every + 1, newest + 1)


@pytest.mark.parametrize("every", [ACK_EVERY, ACK_EVERY_OURS])
def test_which_number_is_acknowledged_next_is_known_before(tracker, every):
    take(tracker, 1)
    promised = tracker.next_acknowledged(every)
    for number in range(2, promised):
        take(tracker, number)
        assert tracker.acknowledge(number, every) == 0
    take(tracker, promised)
    assert tracker.acknowledge(promised, every) == promised


def test_the_random_numbers_are_reproducible_and_spread():
    one, two = Random(1), Random(1)
    drawn = [one.below(10) for _ in range(1000)]
    assert drawn == [two.below(10) for _ in range(1000)]
    assert set(drawn) == set(range(10))
    assert Random(0).below(1 << 60) != 0
