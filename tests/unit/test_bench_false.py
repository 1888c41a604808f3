"""The rule by which bench.false counts take-overs, and what it makes of the counts; nothing is started here."""

import pytest

from bench.false import __main__ as program
from bench.false import count, report
from bench.false.count import HOGS, IDLE, Count, Event
from bench.rivals.instruments import Stall
from bench.rivals.systems import SYSTEMS

MS = 1_000_000
JULIUS, CAESAR = "julius", "caesar"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ([], []),
        ([(1, CAESAR, True)], [1]),
        # back again is another
        ([(1, CAESAR, True), (2, JULIUS, False), (3, JULIUS, True), (4, CAESAR, False)], [1, 3]),
        # told once more of what it has, for longer or not
        ([(1, JULIUS, True), (2, CAESAR, True), (3, CAESAR, True)], [2]),
        ([(1, JULIUS, False)], []),
    ],
)
def test_an_address_that_comes_to_a_kernel_is_a_take_over(changes, expected):
    assert [each.at_ns for each in count.takeovers(changes, [JULIUS])] == expected


def test_what_the_machine_has_done_is_set_aside():
    stall = Stall(1000 * MS, 1010 * MS)
    events = [Event(at * MS, CAESAR) for at in (899, 900, 1110, 1111)]
    kept, aside = count.sort(events, [stall])
    assert [each.at_ns // MS for each in kept] == [899, 1111]
    assert [(each.at_ns // MS, each.stalls) for each in aside] == [(900, (stall,)), (1110, (stall,))]


def made(system="ours", times="10/30 ms", load=HOGS, kept=0, aside=0, seconds=600.0, trouble=""):
    return Count(system, times, load, seconds, [Event(n, CAESAR) for n in range(kept)],
                 [Event(n, CAESAR, (Stall(0, 9 * MS),)) for n in range(aside)], trouble)  # fmt: skip


@pytest.mark.parametrize(("kept", "aside", "void"), [(0, 0, False), (4, 1, False), (3, 1, True), (0, 1, True)])
def test_a_run_is_void_above_a_fifth(kept, aside, void):
    assert count.void([made(kept=kept), made("keepalived", aside=aside)]) is void


def verdicts(*counts):
    return [each.verdict for each in count.judge(counts)]


def all_four(ours=0, ordinary=0, rival=0, rival_ordinary=9, **more):
    names = ("ours", "ours ordinary", "keepalived", "keepalived ordinary")
    kept = (ours, ordinary, rival, rival_ordinary)
    return [made(name, kept=number, **more) for name, number in zip(names, kept, strict=True)]


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        (all_four(), ["ok", "ok", "", ""]),
        (all_four(ours=1), ["MISSED", "ok", "", ""]),
        (all_four(ordinary=9), ["ok", "ok", "", ""]),
        (all_four(ordinary=10), ["ok", "MISSED", "", ""]),
        (all_four()[:2], ["ok", "not judged", "", ""]),
        (all_four(load=IDLE), ["not judged", "not judged", "", ""]),
        (all_four(trouble="a daemon has ended"), ["not judged", "not judged", "", ""]),
        ([*all_four(), made("ucarp", aside=4)], ["not judged", "not judged", "", ""]),
    ],
)
def test_bars(counts, expected):
    assert verdicts(*counts) == expected


def test_a_short_run_says_so():
    assert count.judge(all_four())[0].note == "10.0 minutes"
    assert count.judge(all_four(seconds=30.0))[0].note == "0.5 minutes, of 10 that are demanded"


def test_reports():
    counts = [made(kept=5), made("keepalived", aside=1, seconds=30.0)]
    made_of = report.record(counts, count.judge(counts), [Stall(0, 9 * MS)], 0, {"quick": False})
    assert made_of["void"] is False
    assert [len(each["set_aside"]) for each in made_of["pairs"]] == [0, 1]
    lines = report.tables_of(made_of)
    assert lines[0] == "* The canaries were late by more than 5 ms 1 times, at most 9 ms."
    assert lines[1] == "* Set aside: keepalived, 10/30 ms, 16 hogs: caesar at 0.000 s, near a delay of 9 ms."
    assert "| ours | 10/30 ms | 16 hogs | 10.0 | 5 | 0.50 | 0 |  |" in lines
    assert "ours" in report.table(made_of)


def test_what_is_quoted_sets_like_beside_like():
    counts = [*all_four(), made("ucarp", "advbase 1 s"), made("ours", load=IDLE, kept=3),
              made("heartbeat", trouble="x")]  # fmt: skip
    told = dict(report.quoted(report.record(counts, (), (), 0, {})))
    what = "false take-overs in 10 minutes at 10/30 ms under 16 hogs"
    assert told[f"{what}, real-time"] == {"ours": "0", "keepalived": "0"}
    assert told[f"{what}, ordinary priority"] == {"ours": "0", "keepalived": "9"}
    void = report.record([*counts, made("ucarp", aside=9)], (), (), 0, {})
    assert all("void" in what for what, _ in report.quoted(void))


def test_every_pair_is_one_of_the_systems():
    assert {each.system for each in program.PAIRS} <= set(SYSTEMS)
    labels = [(each.label, each.times) for each in program.PAIRS]
    assert len(labels) == len(set(labels))
    for label in ("ours", "ours ordinary", "keepalived", "keepalived ordinary"):
        assert {(label, "100/500 ms"), (label, "10/30 ms")} <= set(labels)
