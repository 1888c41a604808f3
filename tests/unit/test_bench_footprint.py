"""What bench/footprint counts, demands and shows; nothing is measured here but this process."""

import os
import struct
import subprocess
from dataclasses import replace

import pytest

from bench.footprint import bars, processes, systems, table, wire
from bench.footprint.bars import Judged
from bench.footprint.play import ROLES, Node
from bench.footprint.processes import Memory, Used
from bench.footprint.systems import BOTH, OURS, OURS_PYSERIAL, THEIRS, UCAST
from heartbeat import config

# ---- the kernel's accounts


def test_memory_is_that_of_all_processes():
    child = subprocess.Popen(["sleep", "60"])
    try:
        found = processes.memory([os.getpid(), child.pid])
        own = processes.rollup(os.getpid())
    finally:
        child.kill()
        child.wait()
    assert found.processes == 2
    assert found.daemon_rss_kb == pytest.approx(own["Rss"], rel=0.1)
    assert found.rss_kb > found.daemon_rss_kb
    assert found.private_dirty_kb > found.daemon_private_dirty_kb > 0


def test_a_page_is_shared_with_those_that_count(monkeypatch):
    frames = {1: {10, 11, 12, 13}, 2: {12, 13, 14, 15}, 3: {13, 99}}
    monkeypatch.setattr(processes, "_frames", frames.get)
    monkeypatch.setattr(processes, "_namespace", lambda pid: 0)
    monkeypatch.setattr(processes, "_others", lambda pids, machines: [3])
    # six pages, one of them a third another's
    assert processes.alone({1, 2}) == round((5 + 2 / 3) * processes.PAGE / 1024)
    monkeypatch.setattr(processes, "_frames", lambda pid: set())
    assert processes.alone({1}) is None


def test_what_began_and_what_ended_is_counted():
    before = {1: Used(100, 0, 5, 1), 2: Used(1_000, 0, 7, 0)}
    after = {1: Used(130, 10_000_000, 9, 1), 3: Used(7, 0, 1, 2)}
    assert processes.between(before, after) == Used(37, 10_000_000, 5, 2)


def test_a_process_that_is_gone_has_used_nothing():
    child = subprocess.Popen(["true"])
    child.wait()
    assert processes.used([child.pid]) == {}
    [own] = processes.used([os.getpid()]).values()
    assert own.cpu_ns > 0


# ---- the wire


def ip(protocol, payload, options=b""):
    head = bytes((0x45 + len(options) // 4, 0)) + struct.pack(">H", 20 + len(options) + len(payload))
    return bytes(12) + b"\x08\x00" + head + bytes(5) + bytes((protocol,)) + bytes(10) + options + payload


def udp(port, octets):
    return struct.pack(">HHHH", 4000, port, 8 + octets, 0) + bytes(octets)


@pytest.mark.parametrize(
    ("frame", "octets"),
    [
        (ip(17, udp(694, 210)), 210),
        (ip(17, udp(694, 210), options=bytes(8)), 210),
        (ip(17, udp(694, 1)) + bytes(20), 1),  # a short frame is filled up
        (ip(17, udp(53, 30)), None),
        (ip(112, bytes(16)), 16),
        (ip(6, bytes(40)), None),
        (bytes(12) + b"\x08\x06" + bytes(46), None),
        (b"", None),
    ],
)
def test_a_heartbeat_is_known_by_its_frame(frame, octets):
    assert wire.heartbeat(frame) == octets


# ---- the files


@pytest.mark.parametrize("medium", systems.MEDIA)
@pytest.mark.parametrize("number", [0, 1])
def test_the_files_are_good_and_mean_what_is_measured(tmp_path, medium, number):
    made = systems.files("ours", medium, 100, number)
    for name in ("ha_cf", "haresources", "authkeys"):
        path = tmp_path / name.replace("_", ".")
        path.write_text(getattr(made, name))
        path.chmod(0o600)
    loaded = config.load(str(tmp_path), node=("julius", "caesar")[number], machine=False)
    assert loaded.keepalive_ms * 5 == loaded.deadtime_ms == 500
    assert [each.type for each in loaded.media] == (["serial"] if medium == BOTH else []) + ["ucast"]
    assert f"10.0.0.{3 - number}" in made.ha_cf
    assert [group.preferred for group in loaded.groups] == ["julius"]


# ---- bars


def node(rss_kb=11_000, pss_kb=6_000, alone_kb=7_000, dirty_kb=4_000, cpu=0.1):
    memory = Memory(2, rss_kb + 1_000, pss_kb, dirty_kb + 100, alone_kb, rss_kb, dirty_kb)
    return Node(memory, ["heartbeat run", "cat"], cpu, cpu, 20.0, 0.0, 10.0, 388.0, 430.0, None)


def pair(**options):
    return {role: node(**options) for role in ROLES}


def everything():
    figures = {(name, medium, 100): pair() for name in (OURS, THEIRS) for medium in systems.MEDIA}
    for medium in systems.MEDIA:
        figures[THEIRS, medium, 100] = pair(cpu=0.5)
    figures[systems.KEEPALIVED_NAME, UCAST, 100] = pair(cpu=0.05)
    figures[OURS_PYSERIAL, BOTH, 100] = pair(dirty_kb=99_000)
    return figures, {(OURS, medium): [90.0, 100.0, 400.0] for medium in systems.MEDIA}


def missed(figures, starts):
    return [each.bar for each in bars.judge(figures, starts) if each.verdict not in (bars.OK, bars.STATED)]


def test_what_keeps_every_bar_is_kept():
    figures, starts = everything()
    assert missed(figures, starts) == []
    assert bars.kept(bars.judge(figures, starts))


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"pss_kb": 6_001}, "PSS of all"),
        ({"alone_kb": 7_001}, "no other Python"),
        ({"rss_kb": 11_719}, "RSS of the daemon"),
        ({"dirty_kb": 4_883}, "private dirty"),
        ({"cpu": 0.126}, "processor time"),
    ],
)
@pytest.mark.parametrize("role", ROLES)
def test_either_node_misses_a_bar(options, word, role):
    figures, starts = everything()
    figures[OURS, UCAST, 100] = pair() | {role: node(**options)}
    [bar] = missed(figures, starts)
    assert word in bar
    assert not bars.kept(bars.judge(figures, starts))


def test_the_median_of_the_starts_counts():
    figures, starts = everything()
    starts[OURS, BOTH] = [90.0, 151.0, 151.0]
    assert missed(figures, starts) == [f"start to first heartbeat, {BOTH}"]


def test_what_is_not_there_is_not_kept():
    figures, starts = everything()
    del figures[THEIRS, UCAST, 100]
    judged = bars.judge(figures, starts)
    assert [each.verdict for each in judged].count(bars.UNKNOWN) == 3
    assert not bars.kept(judged)


# ---- the tables


def test_the_tables_are_of_the_record_alone():
    figures, starts = everything()
    judged = [Judged("a bar", 1.25, 1.0, "MB", bars.MISSED, "ucast 1.2")]
    made = {"seconds": 15.0} | table.record(figures, starts, judged)
    lines = table.tables_of(made)
    assert f"| {OURS} | {UCAST} | 100 ms | holder | 2 | 12.3 | 6.1 | 7.2 | 4.2 | 0.100 | 20 | 388 |" in lines
    assert f"| {OURS} | {UCAST} | 90 | 100 | 400 | 3 |" in lines
    assert "a bar     1.25 MB  ≤ 1 MB  MISSED   ucast 1.2" in table.terminal(made)
    assert made["figures"][0]["pss_kb"] == 6_000
    assert made["figures"][0]["payload"] == 388
    assert made["bars"][0]["verdict"] == bars.MISSED


def test_what_is_quoted_is_of_the_holder():
    figures, starts = everything()
    figures[OURS, UCAST, 100]["standby"] = node(pss_kb=1, cpu=9.0)
    figures[OURS, UCAST, 1000] = pair(pss_kb=1, cpu=9.0)
    told = dict(table.quoted(table.record(figures, starts, ())))
    memory = {"ours": "6.1 MB", "heartbeat": "6.1 MB", "keepalived": "6.1 MB"}
    assert told["a holder at 100 ms, ucast: memory (PSS) of all processes"] == memory
    cpu = {"ours": "0.100 s", "heartbeat": "0.500 s", "keepalived": "0.050 s"}
    assert told["a holder at 100 ms, ucast: processor time a minute"] == cpu
    assert told["start to first heartbeat, ucast, median"] == {"ours": "100 ms"}


def test_the_original_has_our_files_and_keepalived_prefers_the_first():
    ours, theirs = (systems.files(kind, BOTH, 100, 0) for kind in ("ours", "original"))
    assert theirs == replace(ours, ha_cf=f"use_logd off\n{ours.ha_cf}")
    first, second = (systems.keepalived_conf(1000, number) for number in range(2))
    assert "priority 150\n    advert_int 1\n    virtual" in first
    assert "priority 100\n" in second
    assert first.count("/24 dev eth") == 2
