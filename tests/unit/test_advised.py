"""The rule by which figures become advice, the file in which it is kept, and what `heartbeat check` says of it."""

import json
import os

import pytest

from heartbeat import advised
from heartbeat.advised import Advice
from heartbeat.config import load

HA_CF = """\
ucast eth0 10.0.0.2
auto_failback off
node julius caesar
keepalive 100ms
deadtime 500ms
warntime 300ms
initdead 10
"""


@pytest.fixture
def config(tmp_path):
    folder = tmp_path / "ha.d"
    folder.mkdir()
    for name, text in (("ha.cf", HA_CF), ("haresources", ""), ("authkeys", "auth 1\n1 sha1 a-secret\n")):
        (folder / name).write_text(text)
        (folder / name).chmod(0o600)
    return load(str(folder), node="julius", machine=False)


def advise(own_ms=0.0, other_ms=0.0, frame_ms=0.0, round_trip_ms=0.0):
    return advised.advise(
        own_ms=own_ms, other_ms=other_ms, frame_ms=frame_ms, round_trip_ms=round_trip_ms, when="now", realtime=True
    )


# ---- the rule


@pytest.mark.parametrize(
    ("figures", "keepalive_ms", "deadtime_ms"),
    [
        ({}, 10, 20),
        ({"own_ms": 0.2, "other_ms": 0.2, "round_trip_ms": 0.3}, 10, 30),  # 20 + 3 * 0.7
        ({"own_ms": 7.0, "other_ms": 7.0}, 20, 90),  # 40 + 42
        ({"frame_ms": 24.2}, 50, 200),  # half of the line is free; 100 + 72.6
        ({"other_ms": 30.0}, 10, 150),  # ours is punctual, theirs is waited for: 20 + 90, in steps of 50 from 100 on
        ({"round_trip_ms": 400.0}, 10, 1500),
    ],
)
def test_what_may_be_late_is_waited_for(figures, keepalive_ms, deadtime_ms):
    advice = advise(**figures)
    assert advice.keepalive_ms == keepalive_ms
    assert advice.deadtime_ms(keepalive_ms) == deadtime_ms


def test_with_a_longer_keepalive_deadtime_is_longer():
    assert advise(own_ms=1.0).deadtime_ms(1_000) == 2500


def test_advice_has_an_end():
    advice = advise(own_ms=1e12, frame_ms=1e12)
    assert advice.keepalive_ms == advice.deadtime_ms(advice.keepalive_ms) == advised.MOST_MS


# ---- kept


def test_it_is_kept_for_root_alone(tmp_path):
    path = advised.keep(str(tmp_path), Advice(50, 61, when="2026-11-22T10:00:00Z", realtime=True))
    assert os.stat(path).st_mode & 0o7777 == 0o600
    advice, problem = advised.kept(str(tmp_path))
    assert problem == ""
    assert (advice.keepalive_ms, advice.slack_ms) == (50, 61)
    assert (advice.when, advice.realtime) == ("2026-11-22T10:00:00Z", True)


def test_nothing_kept_is_no_trouble(tmp_path):
    assert advised.kept(str(tmp_path)) == (None, "")


GOOD = {"heartbeat bench": 1, "keepalive_ms": 50, "slack_ms": 61, "when": "now", "realtime": True}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"{",
        b"[" * 100_000,
        b"\xff\xfe",
        json.dumps(GOOD).encode() + b" " * advised.FILE_OCTETS,
        *(json.dumps(GOOD | changed).encode() for changed in (
            {"heartbeat bench": 2}, {"keepalive_ms": "50"}, {"keepalive_ms": True}, {"slack_ms": 1e400},
            {"slack_ms": -1}, {"slack_ms": advised.MOST_MS + 1}, {"when": None}, {"when": "\x1b[2J"},
            {"when": "x" * 21},
        )),
    ],
)  # fmt: skip
def test_what_is_damaged_is_no_advice(tmp_path, content):
    (tmp_path / advised.FILE).write_bytes(content)
    advice, problem = advised.kept(str(tmp_path))
    assert advice is None
    assert problem == f"{tmp_path}/bench.json: damaged: run `heartbeat bench` again"


def test_what_others_may_write_is_no_advice(tmp_path):
    path = tmp_path / advised.FILE
    path.write_text(json.dumps(GOOD))
    assert advised.kept(str(tmp_path))[0] is not None
    path.chmod(0o666)
    assert "remove it" in advised.kept(str(tmp_path))[1]
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    assert advised.kept(str(tmp_path))[0] is None
    path.unlink()
    os.mkfifo(path)
    assert "remove it" in advised.kept(str(tmp_path))[1]


# ---- heartbeat check


@pytest.mark.parametrize(
    ("keepalive_ms", "slack_ms", "lines"),
    [(100, 300, []), (100, 301, [5]), (150, 300, [4]), (150, 301, [4, 5])],
)
def test_what_is_below_is_warned_of_with_its_line(tmp_path, config, keepalive_ms, slack_ms, lines):
    advised.keep(str(tmp_path), Advice(keepalive_ms, slack_ms, when="2026-11-22T10:00:00Z", realtime=True))
    found = advised.warnings(str(tmp_path), config)
    assert [line.partition(": ")[0] for line in found] == [f"{config.directory}/ha.cf:{number}" for number in lines]
    assert all("2026-11-22T10:00:00Z" in line for line in found)


def test_a_warning_says_what_is_safe(tmp_path, config):
    advised.keep(str(tmp_path), Advice(150, 400, when="now", realtime=True))
    keepalive, deadtime = advised.warnings(str(tmp_path), config)
    assert "keepalive is 100ms" in keepalive
    assert "at least 150ms is safe" in keepalive
    assert "deadtime is 500ms" in deadtime
    assert "at least 600ms is safe" in deadtime


def test_a_damaged_file_is_a_warning(tmp_path, config):
    (tmp_path / advised.FILE).write_text("{}")
    assert advised.warnings(str(tmp_path), config) == [f"{tmp_path}/bench.json: damaged: run `heartbeat bench` again"]
