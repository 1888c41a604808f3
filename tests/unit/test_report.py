"""The status object, whose keys programs rely on, and the text made from it."""

from __future__ import annotations

import copy
import json
from types import SimpleNamespace
from typing import Any

import pytest
import tiny_daemon

from heartbeat import report
from heartbeat.core.view import ClusterView, GroupView, NodeView

SECOND = 1_000_000_000


def view(**changes: Any) -> ClusterView:
    facts: dict[str, Any] = {
        "node": "julius",
        "state": "active",
        "generation": 7,
        "holds": "all",
        "stable": True,
        "nodes": {
            "julius": NodeView("active", 7, {}),
            "caesar": NodeView("dead", 3, {"/dev/ttyS0": "dead"}, 5),
        },
        "groups": [GroupView("IPaddr::10.0.0.254", "julius", "julius", "held")],
        "warnings": ["haresources differ"],
        "last_failover": None,
        "counts": {"bad": 2},
        "ipfail": ["caesar"],
    }
    return ClusterView(**{**facts, **changes})


MEDIUM = SimpleNamespace(
    type="serial", name="/dev/ttyS0", backend="pyserial", state="up", dropped=1, rejected=2, discarded=3
)


LEASE = {"backend": "nftables", "length_ms": 450.0, "interfaces": ["eth0"], "groups": {"IPaddr::10.0.0.254": True}}


def status(**changes: Any) -> dict[str, Any]:
    return report.status(
        view(**changes), [MEDIUM], lateness_ms=(1.23456, 0.1), realtime=True, locked=False, warnings=["not locked"],
        lease=LEASE,
    )  # fmt: skip


def test_the_object_is_the_documented_one_and_json():
    assert json.loads(json.dumps(status())) == {
        "node": "julius",
        "state": "active",
        "generation": 7,
        "holds": "all",
        "stable": True,
        "nodes": {
            "julius": {
                "type": "normal", "status": "active", "generation": 7, "links": {}, "last_heard_ns": None,
            },
            "caesar": {
                "type": "normal", "status": "dead", "generation": 3, "links": {"/dev/ttyS0": "dead"},
                "last_heard_ns": 5,
            },
        },
        "media": [
            {
                "type": "serial",
                "name": "/dev/ttyS0",
                "backend": "pyserial",
                "state": "up",
                "dropped": 1,
                "rejected": 2,
                "discarded": 3,
            }
        ],
        "groups": [
            {"key": "IPaddr::10.0.0.254", "preferred": "julius", "holder": "julius", "state": "held", "lease": True}
        ],
        "lease": {"backend": "nftables", "length_ms": 450.0, "interfaces": ["eth0"]},
        "lateness_ms": {"worst": 1.235, "p99": 0.1},
        "realtime": True,
        "locked": False,
        "warnings": ["haresources differ", "not locked"],
        "last_failover": None,
        "counts": {"bad": 2},
        "ipfail": ["caesar"],
    }


def test_a_warning_is_said_once():
    assert status(warnings=["not locked", "a"])["warnings"] == ["not locked", "a"]


def test_nothing_in_the_object_is_the_cores_own():
    """The core goes on changing its view; what was answered stays."""
    links: dict[str, str] = {"eth0": "up"}
    made = status(nodes={"caesar": NodeView("up", 1, links)})
    links["eth0"] = "dead"
    assert made["nodes"]["caesar"]["links"] == {"eth0": "up"}


GOOD = tiny_daemon.STATUS


def good(**changes: Any) -> dict[str, Any]:
    """A day on which nothing is wrong, but for `changes`."""
    made = copy.deepcopy(GOOD)
    made["nodes"] = {
        "julius": {"status": "active", "generation": 7, "links": {}},
        "caesar": {"status": "active", "generation": 3, "links": {"/dev/ttyS0": "up"}, "last_heard_ns": SECOND},
    }
    return {**made, **changes}


def test_a_good_day_in_full():
    lease = {name: LEASE[name] for name in ("backend", "length_ms", "interfaces")}
    groups = [{**GOOD["groups"][0], "lease": True}]
    assert report.text(good(lease=lease, groups=groups), 3 * SECOND) == (
        "julius is active, holds its own groups, stable\n"
        "\n"
        "group               holder  state here  lease  preferred\n"
        "IPaddr::10.0.0.254  julius  held        runs   julius\n"
        "\n"
        "node    status  generation  heard       links\n"
        "julius  active  7           -           -\n"
        "caesar  active  3           2.00 s ago  /dev/ttyS0 up\n"
        "\n"
        "medium      type    state  through  dropped  rejected  discarded\n"
        "/dev/ttyS0  serial  up     termios  0        2         0\n"
        "\n"
        "addresses silent 450 ms after the last sign of life, by nftables\n"
        "timers late by 1.5 ms at worst, 99 of 100 by less than 0.25 ms; real-time scheduling on, memory locked\n"
    )


def trouble(**changes: Any) -> list[str]:
    return [line for line in report.text(good(**changes), 0).splitlines() if line.startswith("WARNING: ")]


def test_what_is_wrong_comes_first_and_once():
    assert trouble() == []
    assert trouble(warnings=["files differ", "node caesar is dead"])[0] == "WARNING: files differ"
    dead = {"caesar": {"status": "dead", "generation": 3, "links": {"/dev/ttyS0": "dead", "eth0": "dead"}}}
    assert trouble(nodes=dead, warnings=["node caesar is dead"]) == ["WARNING: node caesar is dead"]
    half = {"caesar": {"status": "active", "generation": 3, "links": {"/dev/ttyS0": "dead", "eth0": "up"}}}
    assert trouble(nodes=half) == ["WARNING: link /dev/ttyS0 to caesar is dead"]
    medium = {**GOOD["media"][0], "state": "down"}
    assert trouble(media=[medium]) == ["WARNING: medium /dev/ttyS0 is down"]
    group = GOOD["groups"][0]
    assert trouble(groups=[{**group, "holder": None, "state": "stopped"}]) == [
        "WARNING: nobody holds group IPaddr::10.0.0.254"
    ]
    assert trouble(groups=[{**group, "holder": None, "state": "failed"}]) == [
        "WARNING: group IPaddr::10.0.0.254 failed to start"
    ]


def test_the_first_line_says_who_serves():
    assert report.text(good(holds="none", stable=False), 0).startswith("julius is active, holds nothing, NOT STABLE")
    assert report.text(good(holds="foreign"), 0).startswith("julius is active, holds the other node's groups, stable")


def test_the_last_fail_over():
    last = {
        "peer": "caesar",
        "last_heard_ns": 100 * SECOND,
        "declared_dead_ns": 115 * SECOND + 2_000_000,
        "completed_ns": 115 * SECOND + 43_200_000,
    }
    shown = report.text(good(last_failover=last), 115 * SECOND + 7500 * SECOND + 2_000_000)
    assert "\nlast fail-over: caesar was declared dead 2 h 05 min ago, 15.00 s after it was last heard, " in shown
    assert "last heard, taken over 41.2 ms later\n" in shown
    last |= {"completed_ns": None, "last_heard_ns": None}
    assert "caesar was declared dead 0.0 ms ago, nothing taken over yet\n" in report.text(good(last_failover=last), 0)


@pytest.mark.parametrize(
    ("nanoseconds", "shown"),
    [
        (41_200_000, "41.2 ms"),
        (12_860_000_000, "12.86 s"),
        (61 * SECOND, "1 min 01 s"),
        (3 * 3600 * SECOND, "3 h 00 min"),
        (50 * 3600 * SECOND, "2 d 2 h"),
    ],
)
def test_spans(nanoseconds, shown):
    assert report._span(nanoseconds) == shown


def test_the_lease_as_it_is_kept():
    rows = [{**GOOD["groups"][0], "key": str(lease), "lease": lease} for lease in (True, False, None)]
    shown = report.text(good(groups=rows), 0)
    assert [line.split()[0] for line in shown.splitlines() if " runs " in line] == ["True"]
    assert [line.split()[0] for line in shown.splitlines() if " none " in line] == ["False"]
    weaker = {"length_ms": 450.0, "interfaces": []}
    assert "addresses are not silenced" in report.text(good(lease={**weaker, "backend": "none"}), 0)
    assert "addresses end seconds after" in report.text(good(lease={**weaker, "backend": "valid_lft"}), 0)


def test_nothing_moves_the_terminals_cursor():
    shown = report.text(good(warnings=["bad packet from \x1b[2J\rfoo\nbar"]), 0)
    assert "bad packet from ?[2J?foo\nbar" in shown


def test_a_node_without_groups_and_an_older_daemon():
    bare = good(groups=[], media=[], nodes={})
    del bare["last_failover"], bare["counts"]
    assert report.text(bare, 0).count("\n\n") == 1
