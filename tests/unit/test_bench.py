"""What the benchmarks of bench/ count, compare and show; no time is measured here."""

import random

import pytest
from reference.wheel import TimerWheel as Oracle

from bench import callgrind, instructions
from bench.callgrind import CallgrindError, Counts
from bench.micro import bars, inputs, measure, table, wheel
from bench.micro.bars import Bar
from bench.micro.case import Batch, Case, calling, calling_each
from bench.micro.measure import Figure, Unavailable
from bench.micro.suites import PARTS, cases

# ---- callgrind's file

HEAD = "version: 1\npositions: line\nevents: Ir\nsummary: {}\n\n"
# names by number, one of a callee that is explained before its own costs, positions that are differences
BODY = """ob=(1) /usr/lib/one.so
fl=(1) one.c
fn=(1) first
16 400
+3 5
cob=(2) /usr/lib/two.so
cfi=(2) two.c
cfn=(2) second
calls=3 7
+1 9000
* 20

ob=(2)
fl=(2)
fn=(2)
7 8900
-2 100

ob=(1)
fl=(1)
fn=(1)
0x10 75
fn=(3) without number
1 1
"""


def file(total=9501, body=BODY):
    return HEAD.format(total) + body


def test_costs_are_those_of_the_function_itself():
    counts = callgrind.parse(file())
    assert counts.total == 9501
    assert counts.functions == {
        ("/usr/lib/one.so", "first"): 500,
        ("/usr/lib/two.so", "second"): 9000,
        ("/usr/lib/one.so", "without number"): 1,
    }
    assert sum(counts.functions.values()) == counts.total
    assert counts.files() == {"/usr/lib/two.so": 9000, "/usr/lib/one.so": 501}
    assert counts.most(1) == [(9000, "/usr/lib/two.so", "second")]


@pytest.mark.parametrize(
    "text",
    [
        "",
        BODY,
        file().replace("events: Ir", "events: Ir Dr"),
        file().replace("positions: line", "positions: instr line"),
        file().replace("fn=(1) first", "fn=(1)"),
    ],
)
def test_another_file_is_refused(text):
    with pytest.raises(CallgrindError):
        callgrind.parse(text)


def test_what_it_takes_to_begin_cancels():
    def stretch(number):
        """1,000 to begin, and 30 each, of which 10 in g."""
        functions = {("o", "f"): 1_000 + 20 * number, ("o", "g"): 10 * number, ("o", str(number)): 4}
        return Counts(1_000 + 30 * number, functions)

    found = callgrind.per_operation(stretch(100), stretch(1_100), 1_000)
    assert found.total == 30
    assert found.functions[("o", "f")] == 20
    assert found.functions[("o", "g")] == 10
    assert found.functions[("o", "1100")] == 0.004


def test_a_stretch_stands_between_two_marks(monkeypatch):
    done = []
    monkeypatch.setattr(callgrind.os, callgrind.MARK, lambda: done.append("mark"))
    callgrind.stretches(done.append, 3, 10)
    assert done == ["mark", 3, "mark", 13, "mark"]


# ---- instructions


def test_only_what_is_dearer_than_allowed_is_told():
    kept = {"a": 1_000, "b": 1_000, "c": 1_000}
    assert instructions.compare(kept, {"a": 1_050, "b": 700, "new": 9_999}) == []
    [line] = instructions.compare(kept, {"a": 1_051, "b": 1_000})
    assert line == "a: 1,051 instructions, +5.1% of what is kept"


def test_there_is_something_to_compare_with():
    """Of one machine's kind at least, for all that is ours."""
    everything = instructions.read_kept()
    assert everything
    ours = {name for name in instructions.COUNTED if not instructions.rival(name)}
    assert all(set(kept) == ours for kept in everything.values())


@pytest.mark.parametrize(
    "name", ["heard netstring sha1", "whole classic crc", "original netstring sha1", "decode classic"]
)
def test_what_is_counted_does_what_it_says(name, monkeypatch):
    stretches = []
    monkeypatch.setattr(callgrind, "stretches", lambda work, few, more: stretches.extend([work(few), work(few + more)]))
    monkeypatch.setattr(instructions, "MORE", 100)
    instructions.run(name)
    assert stretches == [100, 200]


def test_a_row_says_how_far_it_is_from_what_is_kept():
    assert instructions.row("a", 1_234.4, None).split() == ["a", "1,234"]
    assert instructions.row("a", 900, 1_000).split() == ["a", "900", "1,000", "-10.0%"]


def test_the_record_of_instructions_has_the_rival_beside_what_is_judged():
    kept = dict.fromkeys(instructions.COUNTED, 1_000)
    del kept["decode classic: libplumb2"]
    counted = dict.fromkeys(instructions.COUNTED, 1_049.8) | {"decode classic": 1_051.0}
    made = instructions.record(counted, kept, {"decode netstring: libplumb2": "none"})
    verdicts = {each["bar"]: each["verdict"] for each in made["bars"]}
    assert "decode classic: libplumb2" not in verdicts
    assert {name for name, verdict in verdicts.items() if verdict != "ok"} == {"decode classic"}
    assert "| decode classic: libplumb2 | 1,050 |" in instructions.tables_of(made)
    first, second = (figures for _, figures in instructions.quoted(made))
    assert (first, second) == ({"ours": "1,051", "heartbeat": "1,050"}, {"ours": "1,050"})


# ---- times


def test_batches_run_in_turn_and_are_prepared_each_time():
    told = []
    batches = {
        "a": Batch(lambda: told.append("a"), 1, lambda: told.append("prepare a")),
        "b": Batch(lambda: told.append("b"), 1),
        "rare": Batch(lambda: told.append("rare"), 1, rare=True),
    }
    rounds = 2 * measure.RARE_ROUNDS
    figures = measure.measure(batches, rounds)
    each = ["prepare a", "a", "b"]
    assert told == each * measure.WARM_ROUNDS + [*each, "rare", *each] * measure.RARE_ROUNDS
    assert {name: figure.rounds for name, figure in figures.items()} == {"a": rounds, "b": rounds, "rare": rounds // 2}
    assert all(0 <= figure.least <= figure.median for figure in figures.values())


def test_a_figure_is_of_one_operation(monkeypatch):
    clock = iter([0, 1_000, 0, 5_000, 0, 3_000])
    monkeypatch.setattr(measure, "WARM_ROUNDS", 0)
    monkeypatch.setattr(measure.time, "thread_time_ns", lambda: next(clock))
    assert measure.measure({"a": Batch(lambda: None, 100)}, 3) == {"a": Figure(30, 10, 3)}


def test_a_batch_does_as_many_operations_as_it_says():
    for batch, expected in ((calling, [7] * 3), (calling_each, [1, 2, 1, 2, 1, 2])):
        told = []
        made = batch(told.append, 7 if batch is calling else [1, 2], 3)
        made.run()
        assert told == expected
        assert made.operations == len(expected)


def unavailable():
    raise OSError("it is not installed")


def test_what_cannot_be_had_is_no_case_of_silence():
    made = measure.make([Case("p", "a", unavailable), Case("p", "b", lambda: Batch(list, 1))])
    assert made["a"] == Unavailable("it is not installed")
    assert isinstance(made["b"], Batch)
    with pytest.raises(AssertionError, match="two cases"):
        measure.make([Case("p", "a", unavailable), Case("q", "a", unavailable)])


# ---- bars


def figures(**medians):
    return {name: Figure(median, median / 2, 9) for name, median in medians.items()}


@pytest.mark.parametrize(
    ("bar", "slow", "expected"),
    [
        (Bar("ours", "theirs", 0.5), None, (bars.OK, 0.5)),
        (Bar("ours", "theirs", 0.49), 9.0, (bars.MISSED, 0.5)),  # a rival is as slow as we are
        (Bar("ours", "theirs", None), None, (bars.STATED, 0.5)),
        (Bar("ours", "theirs", 0.5, less="few", rival_less="some"), None, (bars.OK, 0.45)),
        (Bar("ours", None, 1_000), None, (bars.OK, 1.0)),
        (Bar("ours", None, 500), 2.0, (bars.SCALED, 2.0)),
        (Bar("ours", None, 500), 1.9, (bars.MISSED, 2.0)),
        (Bar("ours", None, 500), None, (bars.MISSED, 2.0)),
        (Bar("ours", "missing", 0.5), None, (bars.UNKNOWN, None)),
        (Bar("ours", "missing", None), None, (bars.STATED, None)),
    ],
)
def test_a_bar_is_judged_by_medians(bar, slow, expected):
    found = bars.judge(bar, figures(ours=1_000, theirs=2_000, few=550, some=1_000), slow)
    assert (found.verdict, found.ratio) == expected


def test_slowness_is_told_by_the_library_with_the_calls_taken_off():
    times = {bars.CALLS_ALONE: 400, "decode classic: libplumb2": 400 + 3 * 900, "decode netstring: libplumb2": 2_400}
    assert bars.slowness(figures(**times)) == 2.0
    times["decode netstring: libplumb2"] = 500
    assert bars.slowness(figures(**times)) == 1.0
    del times[bars.CALLS_ALONE]
    assert bars.slowness(figures(**times)) is None


def test_every_bar_is_of_cases_that_there_are():
    names = [case.name for case in cases()]
    assert len(set(names)) == len(names)
    every = [*bars.bars(), *bars.stated(names)]
    assert {each for bar in every for each in (bar.case, bar.rival, bar.less, bar.rival_less) if each} <= set(names)
    assert sum(bar.rival is not None and bar.rival.endswith("heapq") for bar in every) == 9
    assert {bar.case.partition(":")[0] for bar in bars.stated(names) if bar.rival.endswith("hmac")} == {
        "sign md5", "sign sha1", "sign sha256", "sign blake2s",
    }  # fmt: skip


# ---- the table


def test_the_table_says_what_was_measured_and_what_came_of_it():
    chosen = [Case("codec", "ours", list), Case("codec", "theirs: rival", list), Case("wheel", "gone", list)]
    measured = {"ours": Figure(1_234.5, 1_200, 9), "theirs: rival": Figure(2_469, 2_400, 9)}
    shown = {**measured, "gone": Unavailable("no library")}
    demanded = Bar("ours", "theirs: rival", 0.4), Bar("ours", None, 500)
    judged = [bars.judge(bar, measured, 2.5) for bar in demanded]
    lines = [line.split() for line in table.table(chosen, shown, judged, 2.5).splitlines()]
    at = lines.index(["ours", "1.23", "µs", "1.2", "µs", "810,045"])
    assert lines[at + 1] == ["rival,", "at", "most", "0.4", "of", "it", "0.500", "MISSED"]
    assert lines[at + 2] == ["at", "most", "500.0", "ns", "2.469", "ok,", "scaled"]
    assert lines[at + 3][:2] == ["theirs:", "rival"]
    assert ["gone:", "no", "library"] in lines
    assert [line[0] for line in lines if line[-1:] == ["second"]] == ["codec", "wheel"]
    told = table.record(chosen, shown, judged, 2.5)
    assert told["cases"]["ours"] == {"part": "codec", "median_ns": 1234.5, "min_ns": 1200, "rounds": 9}
    assert set(told["cases"]) == {"ours", "theirs: rival"}
    assert [tuple(each[name] for name in ("bar", "value", "limit", "verdict")) for each in told["bars"]] == [
        ("ours: ratio to rival", 0.5, 0.4, "MISSED"), ("ours: ratio to 500.0 ns", 2.469, 1, "ok, scaled"),
    ]  # fmt: skip
    assert told["missing"] == {"gone": "no library"}
    assert "| ours | 1.23 µs | 1.2 µs | 810,045 |" in table.tables_of(told)


def test_what_is_quoted_of_the_parts_is_there():
    """A case that is called otherwise now would be missing from the README, and nobody would see it."""
    names = [case.name for case in cases()]
    made = {"cases": {name: {"median_ns": 1_500.0} for name in names}}
    told = [figures for _, figures in table.quoted(made)]
    assert [list(each) for each in told] == [["ours", "heartbeat"]] * 2 + [["ours"]] * 2


@pytest.mark.parametrize(
    ("ns", "text"),
    [(3.14159, "3.1 ns"), (999.94, "999.9 ns"), (1_000, "1 µs"), (1_234_567, "1.23 ms"), (5.4321e12, "5,432 s")],
)
def test_durations(ns, text):
    assert table.duration(ns) == text


# ---- what is compared does the same


def test_every_part_has_cases():
    assert {case.part for case in cases()} == set(PARTS)


@pytest.mark.parametrize("case", [pytest.param(case, id=case.name) for case in PARTS["core"]() + PARTS["auth"]()])
def test_a_case_runs_more_than_once(case):
    """It checks itself when it is made; a second batch follows the first."""
    batch = case.make()
    for _ in range(2):
        if batch.prepare is not None:
            batch.prepare()
        batch.run()


def test_heap_timers_do_what_the_wheel_does():
    draw = random.Random(7)
    heap, oracle = wheel.HeapTimers(20, 0), Oracle(20, 0)
    now = 0
    for _ in range(20_000):
        key, at = draw.randrange(20), now + draw.randrange(-50, 1_000)
        what = draw.randrange(8)
        if what < 5:
            heap.arm(key, at)
            oracle.arm(key, at)
        elif what == 5:
            heap.disarm(key)
            oracle.disarm(key)
        else:
            now += draw.randrange(60)
            assert sorted(heap.due(now)) == sorted(oracle.due(now))
        assert heap.next_due() == oracle.next_due()


def test_what_is_armed_again_leaves_not_too_much_behind():
    heap = wheel.HeapTimers(2, 0)
    for at in range(1_000):
        heap.arm(0, at)
    assert len(heap._heap) <= 2 + heap.ROOM
    assert heap.due(2_000) == [0]


@pytest.mark.parametrize("size", [10, 200])
def test_the_same_timers_expire_in_both(size):
    runs = [wheel.expiring(*wheel.armed(kind, size), 300) for kind in wheel.KINDS]
    for _ in range(3):
        first, second = (run() for run in runs)
        assert first == second
        assert 300 <= len(first) < 300 + size


@pytest.mark.parametrize("kind", wheel.KINDS)
def test_what_is_armed_again_in_time_never_expires(kind):
    batch = wheel.rearm(kind, 10_000)
    for _ in range(12):
        batch.prepare()
        batch.run()


def test_a_noisy_line_has_noise_and_the_same_noise_each_time():
    octets, keys = inputs.noisy_line()
    assert inputs.noisy_line() == (octets, keys)
    assert inputs.noisy_line(2)[0] != octets
    assert b"".join(inputs.reads(octets)) == octets
    assert max(octets) < 128
    # the line is no mere string of frames
    assert octets.count(b"<<<\n>>>\n") < inputs.FRAMES_ON_THE_LINE // 2
