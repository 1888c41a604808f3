"""What bench.failover makes of what its instruments have seen, and in which order it plays; nothing is started here."""

import itertools
import json
import re
from dataclasses import replace
from typing import NamedTuple

import pytest

from bench.failover import bars, figures, grid, picture, report, trial
from bench.failover.grid import Cell
from bench.picture import save
from bench.rivals import instruments, stage, systems
from bench.rivals.instruments import Stall
from bench.rivals.systems import SYSTEMS, Setting

MS = 1_000_000
COMPARED = ("ours", "heartbeat", "keepalived", "ucarp")
VICTIM, SURVIVOR = "02:00:0a:00:00:02", "02:00:0a:00:00:03"


class Probe(NamedTuple):
    sent_ns: int
    arrived_ns: int = 0
    mac: str = ""


# ---- figures


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([], None),
        ([3.0], (1, 3, 3, 3, 3)),
        ([4.0, 1.0, 2.0, 3.0], (4, 1, 2.5, 4, 4)),
        (list(range(1, 21)), (20, 1, 10.5, 19, 20)),
        (list(range(1, 22)), (21, 1, 11, 20, 21)),
    ],
)
def test_a_summary(values, expected):
    assert figures.summary(values) == expected


def failure(**changed):
    """At 1000 ms; the last heartbeat at 960, dead at 1462, announced at 1463, the first answer at 1464.25."""
    probes = [Probe(999 * MS, 999 * MS + 100, VICTIM), Probe(1000 * MS, 1001 * MS, VICTIM)]
    probes += [Probe(at * MS) for at in range(1002, 1464)]
    probes += [Probe(1464 * MS, 1464 * MS + 250_000, SURVIVOR), Probe(1465 * MS, 1465 * MS + 250_000, SURVIVOR)]
    seen = {
        "failed_ns": 1000 * MS, "heard": [760 * MS, 860 * MS, 960 * MS], "deadtime_ns": 500 * MS,
        "dead_ns": 1462 * MS, "announced": [100 * MS, 1463 * MS, 1663 * MS], "probes": probes,
        "victim": VICTIM, "survivor": SURVIVOR,
    }  # fmt: skip
    return figures.power_failure(**(seen | changed))


def test_a_power_failure():
    assert failure() == {
        "outage_ms": 464.25, "beyond_ms": 2.0, "takeover_ms": 2.25, "announced_beyond_ms": 3.0,
        "still_answered_ms": 1.0, "heard_before_ms": 40.0,
    }  # fmt: skip


def test_what_was_under_way_counts_as_heard_and_what_came_later_does_not():
    assert failure(heard=[960 * MS, 1001 * MS])["beyond_ms"] == -39.0
    assert failure(heard=[960 * MS, 1500 * MS])["beyond_ms"] == 2.0


def test_what_nobody_saw_has_no_figure():
    found = failure(heard=[], dead_ns=None, announced=[], probes=[])
    assert set(found.values()) == {None}


def test_the_survivors_answers_from_before_the_failure_are_none():
    assert failure(probes=[Probe(990 * MS, 991 * MS, SURVIVOR), *[Probe(2000 * MS, 2001 * MS, SURVIVOR)]])[
        "outage_ms"
    ] == pytest.approx(1001)


def test_a_planned_move():
    probes = [Probe(at * MS, at * MS + 100_000, VICTIM) for at in range(1000, 1020)]
    probes += [Probe(at * MS) for at in range(1020, 1023)]
    probes += [Probe(at * MS, at * MS + 100_000, SURVIVOR) for at in range(1023, 1040)]
    probes += [Probe(1040 * MS, 1050 * MS, SURVIVOR), Probe(1041 * MS, 1052 * MS, SURVIVOR), Probe(2000 * MS)]
    found = figures.planned(told_ns=1000 * MS, until_ns=1500 * MS, probes=probes, survivor=SURVIVOR)
    assert found == {"lost": 4.0, "gap_ms": 10.9, "service_ms": 23.1}


def test_the_longest_gap():
    assert figures.longest_gap_ms([30 * MS, 10 * MS, 13 * MS]) == 17
    assert figures.longest_gap_ms([10 * MS]) is None


def test_a_distribution_ends_at_one():
    assert figures.distribution([3.0, 1.0]) == ([1.0, 3.0], [0.5, 1.0])


# ---- instruments


def test_a_stall_is_near_within_a_tenth_of_a_second():
    stall = Stall(1000 * MS, 1006 * MS)
    assert instruments.near(1100 * MS, 1200 * MS, [stall]) == [stall]
    assert instruments.near(1107 * MS, 1200 * MS, [stall]) == []
    assert instruments.near(500 * MS, 900 * MS, [stall]) == [stall]
    assert instruments.near(500 * MS, 899 * MS, [stall]) == []
    assert stall.ms == 6


def test_a_line_of_a_log_is_dated_by_when_it_was_whole():
    octets = b"node a: is dead\nother\nnode b: is dead\n"
    looks = [(1, 10), (2, 16), (3, 30), (4, len(octets))]
    assert instruments.first(octets, looks, re.compile("is dead"), 0) == 2
    assert instruments.first(octets, looks, re.compile("is dead"), 3) == 4
    assert instruments.first(octets, looks, re.compile("alive"), 0) is None


def test_a_status_on_the_line_has_come_when_its_end_has():
    octets = b">>>\nt=status\nst=active\n<<<\n>>>\nt=NS_ackmsg\n<<<\n>>>\nt=status\nst=act"
    whole = octets.index(b"<<<\n") + 4
    looks = [(1, 3), (2, whole - 1), (3, whole + 2), (4, len(octets))]
    assert instruments.ends(octets, looks) == [3]
    assert instruments.ends(octets + b"ive\n<<<\n", [*looks, (5, len(octets) + 8)]) == [3, 5]


def test_every_load_of_the_grid_can_be_made():
    assert {cell.load for quick in (False, True) for cell in grid.cells(quick=quick)} <= set(instruments.LOADS)


@pytest.mark.parametrize(
    ("sent", "phase", "after", "expected"),
    [(1000, 0.3, 1000, 1030), (1000, 0.3, 1030, 1030), (1000, 0.3, 1031, 1130), (1000, 0.0, 1250, 1300)],
)
def test_the_instant_of_a_failure(sent, phase, after, expected):
    assert stage.at_phase(sent, 100, phase, after) == expected


@pytest.mark.parametrize("count", [3, 5, 15])
def test_failures_are_spread_between_two_heartbeats(count):
    found = sorted(itertools.islice(trial.phases(0.9), count))
    gaps = [after - before for before, after in itertools.pairwise([*found, found[0] + 1])]
    assert max(gaps) < 2 / count
    assert all(0 <= each < 1 for each in found)


# ---- the grid


def test_the_whole_grid_has_what_is_demanded():
    every = grid.cells()
    assert len(every) == len(set(every))
    assert {cell.system for cell in every} <= set(SYSTEMS)
    for load in (grid.IDLE, grid.HOGS):
        for system in ("ours", "heartbeat", "keepalived", "ucarp"):
            assert count(every, system=system, setting=grid.NORMAL, load=load, kind=grid.POWER) >= 15
        for system in ("ours", "keepalived"):
            assert count(every, system=system, setting=grid.FAST, load=load, kind=grid.POWER) >= 15
    for system in ("ours", "heartbeat"):
        for times in ((1000, 5000), (50, 200), (20, 100), (10, 50)):
            assert count(every, system=system, setting=Setting(*times)) >= 5
        for media in (("serial",), ("serial", "ucast")):
            assert count(every, system=system, setting=replace(grid.NORMAL, media=media), kind=grid.POWER) >= 5
        for load in (grid.FEW_HOGS, grid.CHURN):
            assert count(every, system=system, setting=grid.NORMAL, load=load) >= 5
    assert count(every, system="ours", setting=grid.NORMAL, kind=grid.PLANNED) >= 30


def count(every, **wanted):
    return sum(cell.n for cell in every if all(getattr(cell, name) == value for name, value in wanted.items()))


@pytest.mark.parametrize("quick", [False, True])
def test_all_trials_are_played_and_a_group_takes_turns(quick):
    every = grid.cells(quick=quick)
    played = list(grid.blocks(every))
    assert {cell: sum(n for each, n in played if each == cell) for cell in every} == {cell: cell.n for cell in every}
    assert all(n <= grid.BLOCK for _, n in played)


def test_nobody_has_a_second_block_before_all_have_had_their_first():
    two = [Cell("g", "ours", n=7), Cell("g", "heartbeat", n=7), Cell("h", "ucarp", n=1)]
    assert [(cell.system, n) for cell, n in grid.blocks(two)] == [
        ("ours", 5), ("heartbeat", 5), ("ours", 2), ("heartbeat", 2), ("ucarp", 1),
    ]  # fmt: skip


def test_some_are_chosen():
    every = grid.cells()
    assert {cell.system for cell in grid.chosen(every, ["ours"], [])} == {"ours"}
    assert {cell.setting.deadtime_ms for cell in grid.chosen(every, [], ["10/30"])} == {30}
    assert grid.chosen(every, [], []) == every


# ---- configurations


def test_a_serial_line_is_fast_where_heartbeats_are():
    assert Setting(50, 200).baud == 115_200
    assert Setting(20, 100).baud == 460_800
    assert "baud 460800\nserial /dev/ttyS0" in systems.heartbeat_files(Setting(20, 100, media=("serial",))).ha_cf


def test_the_original_has_our_files():
    for setting in (grid.NORMAL, replace(grid.FAST, realtime=False, addresses=3)):
        ours, theirs = (SYSTEMS[name].files(setting, 0) for name in ("ours", "heartbeat"))
        assert theirs == replace(ours, ha_cf="use_logd off\n" + ours.ha_cf)


def test_the_address_that_is_probed_is_the_last_of_the_group():
    virtual = Setting(addresses=1000).virtual()
    assert len(set(virtual)) == 1000
    assert virtual[-1] == systems.ADDRESS


def test_keepalived_waits_for_three_intervals_and_a_skew():
    assert SYSTEMS["keepalived"].deadtime_ns(grid.FAST, 0) == 36_093_750
    assert SYSTEMS["keepalived 254"].deadtime_ns(grid.FAST, 0) == 30_078_125
    text = SYSTEMS["keepalived 254"].more(grid.FAST, 1)["keepalived.conf"][1]
    assert "priority 253" in text
    assert "advert_int 0.01\n    nopreempt" in text
    assert "vrrp_rt_priority" in text
    ordinary = SYSTEMS["keepalived ordinary"].more(grid.FAST, 1)["keepalived.conf"][1]
    assert "vrrp_rt_priority" not in ordinary


# ---- bars


def power(outage, beyond=0.5, takeover=1.5, stalls=()):
    return {"kind": "power failure", "outage_ms": outage, "beyond_ms": beyond, "takeover_ms": takeover,
            "stalls_ms": list(stalls)}  # fmt: skip


def results(**changed):
    made = {
        ("ours", grid.NORMAL, grid.IDLE): [power(500.0)] * 3,
        ("heartbeat", grid.NORMAL, grid.IDLE): [power(800.0, takeover=160.0)] * 3,
        ("ours", grid.NORMAL, grid.HOGS): [power(500.0)] * 3,
        ("heartbeat", grid.NORMAL, grid.HOGS): [power(1100.0)] * 3,
    }
    made |= changed.get("more", {})
    return [(Cell(f"all {load}", system, setting, load), found) for (system, setting, load), found in made.items()]


def verdicts(found):
    return {each.text: each.verdict for each in bars.judge(found)}


def test_bars_that_are_kept_and_bars_that_nobody_could_judge():
    found = verdicts(results())
    assert found["detection beyond deadtime, 100/500 ms ucast idle: median"] == "ok"
    assert found["outage, 100/500 ms ucast idle: part of heartbeat's"] == "ok"
    assert found["outage, 100/500 ms ucast 16 hogs: part of heartbeat's"] == "ok"
    assert found["take-over, one address: times as fast as heartbeat's"] == "ok"
    assert found["outage, 10/30 ms ucast idle: part of keepalived's at 0.01 s"] == "not judged"
    assert found["outage, 10/30 ms ucast idle: part of keepalived ordinary's at 0.01 s"] == ""
    assert "not judged" in {each.verdict for each in bars.missed(bars.judge(results()))}


@pytest.mark.parametrize(
    ("cell", "trials", "bar"),
    [
        (("ours", grid.NORMAL, grid.IDLE), [power(530.0)] * 3, "outage, 100/500 ms ucast idle: part of heartbeat's"),
        (("heartbeat", grid.NORMAL, grid.HOGS), [power(900.0)] * 3,
         "outage, 100/500 ms ucast 16 hogs: part of heartbeat's"),
        (("ours", grid.NORMAL, grid.HOGS), [power(500.0, 2.5)] * 3,
         "detection beyond deadtime, 100/500 ms ucast 16 hogs: median"),
        (("ours", grid.NORMAL, grid.HOGS), [power(500.0)] * 9 + [power(500.0, 11.0)],
         "detection beyond deadtime, 100/500 ms ucast 16 hogs: p95"),
        (("ours", grid.NORMAL, grid.IDLE), [power(500.0, takeover=3.3)] * 3,
         "take-over, one address: times as fast as heartbeat's"),
    ],
)  # fmt: skip
def test_a_bar_that_is_missed(cell, trials, bar):
    assert verdicts(results(more={cell: trials}))[bar] == "MISSED"


def test_what_the_machine_has_spoilt_does_not_count_for_detection():
    trials = [power(500.0), power(500.0, 40.0, stalls=[30.0])]
    text = "detection beyond deadtime, 100/500 ms ucast idle: p95"
    judged = {each.text: each for each in bars.judge(results(more={("ours", grid.NORMAL, grid.IDLE): trials}))}
    assert judged[text].verdict == "ok"
    assert judged[text].note == "2 trials, 1 set aside"


def test_a_failure_that_was_no_instant_counts_nowhere():
    trials = [power(500.0), {**power(3000.0, 40.0, 2400.0), "void": True}]
    assert bars.values(trials, "outage_ms") == [500.0]
    assert bars.values(trials, "takeover_ms") == [1.5]


def test_lost_probes_of_each_planned_move_are_judged():
    moves = [{"kind": kind, "lost": lost, "gap_ms": 1.0, "service_ms": 9.0, "stalls_ms": []}
             for kind, lost in (("hb_standby", 1.0), ("hb_standby", 0.0), ("stop", 11.0), ("stop", 0.0))]  # fmt: skip
    found = verdicts([(Cell("g", "ours", kind=grid.PLANNED), moves)])
    assert found["hb_standby, ucast: lost probes, median"] == "ok"
    assert found["stop, ucast: lost probes, most"] == "MISSED"


def test_a_thousand_addresses():
    def found(last, gap):
        trials = [{**power(32.0), "takeover_ms": 20.0, "last_announced_ms": last, "own_gap_ms": gap, "announced": 1000}]
        cell = Cell("many", "ours", replace(grid.FAST, addresses=1000), kind=grid.MANY)
        return {each.verdict for each in bars.judge([(cell, trials)]) if "1,000" in each.text and each.limit}

    assert found(59.0, 17.0) == {"ok"}
    assert found(61.0, 17.0) == {"ok", "MISSED"}
    assert found(59.0, 19.0) == {"ok", "MISSED"}


# ---- reports


def test_a_panel_has_who_was_compared():
    every = [(cell, [power(30.0)]) for cell in grid.cells()]
    every = report.record(every, (), {})
    fast = picture.curves(every, grid.FAST, grid.HOGS)
    assert [name for name, _ in fast] == ["ours", "keepalived", "keepalived 254", "keepalived ordinary"]
    assert set(COMPARED) == {name for name, _ in picture.curves(every, grid.NORMAL, grid.IDLE)}
    for setting, load in picture.PANELS:
        assert {name for name, _ in picture.curves(every, setting, load)} <= set(picture.COLOURS)


def recorded(found):
    about = {"command": "sh scripts/bench failover", "quick": False, "when": "2026-01-02T03:04:05Z"}
    return report.record(found, bars.judge(found), about)


def test_the_record_has_it_all():
    made = recorded(results())
    assert made["cells"][0]["summaries"]["power failure"]["outage_ms"]["median"] == 500.0
    assert len(made["cells"][0]["trials"]) == 3
    [times] = [each for each in made["bars"] if each["bar"] == "take-over, one address: times as fast as heartbeat's"]
    assert (times["limit"], times["at_least"], times["verdict"]) == (50, True, "ok")
    assert json.loads(json.dumps(made)) == made


def test_the_tables_are_of_the_record_alone():
    made = recorded(results())
    lines = report.tables_of(made)
    assert "| heartbeat | 100/500 ms ucast idle | outage | 3 | 800 | 800 | 800 | 800 | 0 |" in lines
    # the rivals' columns: heartbeat, keepalived three times, ucarp
    assert "| 100/500 ms ucast idle | outage | 500 | 0.625 |  |  |  |  |" in lines
    assert "| 100/500 ms ucast idle | take-over | 1.50 | 0.00937 |  |  |  |  |" in lines
    shown = report.table(made).splitlines()
    assert next(line.split()[:3] for line in shown if "take-over" in line) == ["take-over", "3", "1.50"]


def test_a_ratio_is_of_those_that_took_turns():
    more = {("keepalived", grid.FAST, grid.IDLE): [power(45.0)], ("ours", grid.FAST, grid.IDLE): [power(36.0)],
            ("ours", grid.FAST, grid.HOGS): [power(36.0)]}  # fmt: skip
    elsewhere = Cell("settings", "heartbeat", grid.FAST), [power(90.0)]
    made = recorded([*results(more=more), elsewhere])
    found = [line for line in report.ratios(made) if line[0].startswith("10/30")]
    assert found == [["10/30 ms ucast idle", "outage", "36", "", "0.8", "", "", ""],
                     ["10/30 ms ucast idle", "take-over", "1.50", "", "1", "", "", ""]]  # fmt: skip


def test_what_is_quoted_is_the_medians():
    moves = [{"kind": kind, "lost": lost, "gap_ms": 1.0, "service_ms": 9.0, "stalls_ms": []}
             for kind, lost in (("hb_standby", 1.0), ("stop", 0.0), ("hb_takeover", 7.0))]  # fmt: skip
    serial = Cell("planned", "ours", Setting(media=("serial",)), kind=grid.PLANNED), [moves[0] | {"lost": 90.0}]
    cells = [*results(), serial, (Cell("planned", "ours", kind=grid.PLANNED), moves)]
    tracked = [moves[0] | {"kind": "tracked file", "lost": 4.0}]
    cells.append((Cell("planned", "keepalived preempt", kind=grid.PLANNED), tracked))
    told = dict(report.quoted(recorded(cells)))
    found = {what.rpartition(", median")[0] or what: figures for what, figures in told.items()}
    times = "power failure at 100/500 ms (advert_int 0.1 s, advbase 1 s)"
    assert found[f"{times}, idle: outage"] == {"ours": "500 ms", "heartbeat": "800 ms"}
    assert found[f"{times}, idle: take-over"] == {"ours": "1.50 ms", "heartbeat": "160 ms"}
    assert found["planned switch-over: lost probes, two a millisecond"] == {"ours": "1", "keepalived": "4"}
    assert found["clean stop: the same"] == {"ours": "0"}


def test_the_picture_is_drawn_and_says_its_command(tmp_path):
    pytest.importorskip("matplotlib", reason="pictures need matplotlib")
    [drawn] = report.pictures(recorded(results()))
    for name in ("a.svg", "b.svg"):
        save(drawn, tmp_path / name, "sh scripts/bench failover")
    first, second = ((tmp_path / name).read_text(encoding="utf-8") for name in ("a.svg", "b.svg"))
    assert first == second
    assert {">ours<", ">heartbeat<", ">sh scripts/bench failover<"} <= set(re.findall(">[^<>]+<", first))
    assert report.pictures(recorded([])) == []
