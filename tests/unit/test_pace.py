"""A serial line is left alone while a frame is on its way: how often it is read, and how late that may be."""

import random

import pytest

from heartbeat.pace import END, FRAMES, LEAST_OCTETS, LONGEST_NS, Pace

OCTET_NS = 86_806  # 115200 baud


def frame(octets: int) -> bytes:
    return b">>>\n" + b"x" * (octets - 9) + b"\n" + END


def rest_ns(pace: Pace, octets: bytes) -> int:
    pace.take(octets)
    return pace.rest_ns


def read(pace: Pace, octets: bytes, helping: int = 12, octet_ns: int = OCTET_NS) -> tuple[list[int], int]:
    """The line brings them in helpings, and is read when it is ready and does not rest: (sizes of what was read,
    how long after the last octet came it was read)."""
    arrivals = [(min(at + helping, len(octets)) * octet_ns, octets[at : at + helping])
                for at in range(0, len(octets), helping)]  # fmt: skip
    reads, queue, told, rested_until = [], b"", b"", None
    now = 0
    while arrivals or queue:
        if rested_until is not None:
            now = max(now, rested_until)
        elif not queue:
            now = max(now, arrivals[0][0])
        while arrivals and arrivals[0][0] <= now:
            queue += arrivals.pop(0)[1]
        reads.append(len(queue))
        told += pace.take(queue)
        queue = b""
        rested_until = now + pace.rest_ns if pace.rest_ns else None
    assert told == octets
    return reads, now - len(octets) * octet_ns


def test_a_frame_like_those_before_is_read_in_few_helpings():
    pace = Pace(OCTET_NS)
    first, _ = read(pace, frame(279))
    assert len(first) == 24
    for _ in range(5):
        reads, late_ns = read(pace, frame(279))
        assert len(reads) <= 4
        assert late_ns <= LEAST_OCTETS * OCTET_NS
        assert sum(reads) == 279


def test_a_shorter_one_waits_no_longer_than_allowed():
    pace = Pace(OCTET_NS * 10)
    for _ in range(FRAMES):
        read(pace, frame(279), octet_ns=OCTET_NS * 10)
    _, late_ns = read(pace, frame(40), octet_ns=OCTET_NS * 10)
    assert 0 < late_ns <= LONGEST_NS


def test_a_longer_one_rests_as_the_shorter_ones_do_and_is_then_read_as_it_comes():
    pace = Pace(OCTET_NS)
    for _ in range(FRAMES):
        read(pace, frame(200))
    reads, late_ns = read(pace, frame(500))
    assert sum(reads) == 500
    assert max(reads) >= 180
    assert late_ns <= 0


def test_the_shortest_of_the_last_few_counts():
    pace = Pace(OCTET_NS)
    for size in (60, *[300] * FRAMES):
        read(pace, frame(size))
    assert rest_ns(pace, b">>>\n") > 100 * OCTET_NS
    pace.take(frame(300)[4:])
    read(pace, frame(60))
    assert rest_ns(pace, b">>>\n") < 60 * OCTET_NS


def test_an_idle_line_does_not_rest_and_nothing_is_known_at_first():
    pace = Pace(OCTET_NS)
    assert rest_ns(pace, b">>>\nt=st") == 0
    assert rest_ns(pace, b"atus\n" + END) == 0
    assert rest_ns(pace, b"\n") > 0
    assert rest_ns(pace, b"") == 0  # the sender stopped: read what comes, when it comes


@pytest.mark.parametrize("at", range(1, len(END)))
def test_an_end_may_come_in_two_helpings(at):
    pace = Pace(OCTET_NS)
    whole = frame(100)
    rest_ns(pace, whole[: -len(END)])
    rest_ns(pace, END[:at])
    assert rest_ns(pace, END[at:]) == 0
    assert rest_ns(pace, whole[:50]) == 50 * OCTET_NS


def test_several_frames_in_one_helping():
    pace = Pace(OCTET_NS)
    assert rest_ns(pace, frame(100) + frame(90) + frame(80)) == 0
    assert rest_ns(pace, frame(100)[:10]) == 90 * OCTET_NS  # of the first; those behind it came together


def test_what_is_handed_on_is_whole():
    pace = Pace(OCTET_NS)
    first, second = frame(100), frame(90)
    pace.take(first)
    assert pace.take(second[:40]) == b""
    assert pace.take(second[40:] + first[:10]) == second
    assert pace.take(first[10:]) == first
    pace.take(second[:40])
    assert pace.take(b"") == second[:40]  # and when nothing more comes it is handed on as it is


def test_noise_is_read_as_it_comes():
    dice = random.Random(7)
    pace = Pace(OCTET_NS)
    read(pace, frame(279))
    rests = [rest_ns(pace, dice.randbytes(12).replace(b"<", b"-")) for _ in range(200)]
    assert all(0 <= rest <= LONGEST_NS for rest in rests)
    assert not any(rests[279 // 12 + 1 :])


def test_no_rest_is_longer_than_the_longest():
    pace = Pace(OCTET_NS * 100, longest_ns=5)
    read(pace, frame(279))
    assert rest_ns(pace, b">") == 5
