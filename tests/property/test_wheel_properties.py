"""Whatever is armed, disarmed and asked, the wheel answers what a dictionary and a minimum answer."""

import pickle

from hypothesis import given, settings
from hypothesis import strategies as st
from reference.wheel import TimerWheel as Oracle

from _hbfast.wheel import TimerWheel

CAPACITY = 12
MS = 1_000_000
FAR = 64**4 * MS

delays = st.one_of(
    st.integers(-2 * MS, 2 * MS),
    st.integers(0, 64 * MS),
    st.integers(0, 64**2 * MS),
    st.integers(0, 64**3 * MS),
    st.integers(0, 3 * FAR),
    st.integers(0, 2**60),
    # edges of the rings
    st.builds(
        lambda ring, turns, off: 64**ring * turns * MS + off, st.integers(0, 4), st.integers(1, 3), st.integers(-2, 2)
    ),
)
keys = st.integers(0, CAPACITY - 1)
steps = st.one_of(
    st.tuples(st.just("arm"), keys, delays),
    st.tuples(st.just("arm"), keys, delays),
    st.tuples(st.just("disarm"), keys, st.just(0)),
    st.tuples(st.just("pass"), st.just(0), delays.map(abs)),
    st.tuples(st.just("until"), st.just(0), st.integers(-1, 1)),
    st.tuples(st.just("back"), st.just(0), st.integers(0, 5 * MS)),
    st.tuples(st.just("copy"), st.just(0), st.just(0)),
)


@settings(max_examples=400, deadline=None)
@given(st.one_of(st.integers(0, 3 * MS), st.integers(0, 2**60), st.just(FAR - 1)), st.lists(steps, max_size=60))
def test_the_wheel_equals_the_oracle(now, script):
    wheel, oracle = TimerWheel(CAPACITY, now), Oracle(CAPACITY, now)
    for what, key, amount in script:
        if what == "arm":
            wheel.arm(key, now + amount)
            oracle.arm(key, now + amount)
        elif what == "disarm":
            wheel.disarm(key)
            oracle.disarm(key)
        elif what == "copy":
            wheel = pickle.loads(pickle.dumps(wheel))
        elif what == "back":
            earlier = max(0, now - amount)
            assert wheel.due(earlier) == oracle.due(earlier)
        else:
            later = now + amount if what == "pass" else (oracle.next_due() or 0) + amount
            now = min(max(now, later), 2**62)
            assert wheel.due(now) == oracle.due(now)
        assert wheel.next_due() == oracle.next_due()


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(0, 2**60), max_size=CAPACITY))
def test_following_next_due_wakes_exactly_once_for_each_instant(instants):
    wheel = TimerWheel(CAPACITY, 0)
    for key, at in enumerate(instants):
        wheel.arm(key, at)
    seen = []
    while (at := wheel.next_due()) is not None:
        due = wheel.due(at)
        assert due
        assert all(instants[key] == at for key in due)
        seen += due
    assert sorted(seen) == list(range(len(instants)))
