"""The node's state as an operator asks for it: a dict for `status --json`, and that dict as text.

The dict's keys only ever grow. The text is made from the dict alone, by the command, not by the daemon: what somebody
needs to know at three in the morning comes first, who serves and what is wrong, and the figures after it.
"""

from __future__ import annotations

import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Any, Protocol

    class NodeFacts(Protocol):
        @property
        def status(self) -> str: ...
        @property
        def generation(self) -> int: ...
        @property
        def links(self) -> Mapping[str, str]: ...
        @property
        def last_heard_ns(self) -> int | None: ...
        @property
        def kind(self) -> str: ...

    class GroupFacts(Protocol):
        @property
        def key(self) -> str: ...
        @property
        def preferred(self) -> str: ...
        @property
        def holder(self) -> str | None: ...
        @property
        def state(self) -> str: ...

    class View(Protocol):
        """What the core tells: heartbeat.core.view.ClusterView."""

        @property
        def node(self) -> str: ...
        @property
        def state(self) -> str: ...
        @property
        def generation(self) -> int: ...
        @property
        def holds(self) -> str: ...
        @property
        def stable(self) -> bool: ...
        @property
        def nodes(self) -> Mapping[str, NodeFacts]: ...
        @property
        def groups(self) -> Sequence[GroupFacts]: ...
        @property
        def warnings(self) -> Sequence[str]: ...
        @property
        def last_failover(self) -> Mapping[str, str | int | None] | None: ...
        @property
        def counts(self) -> Mapping[str, int]: ...
        @property
        def ipfail(self) -> Sequence[str]: ...

    class MediumFacts(Protocol):
        """A medium and how it fares. state: up or down; dropped, rejected: frames not written, frames not accepted;
        discarded: datagrams that the kernel did not let through."""

        @property
        def type(self) -> str: ...
        @property
        def name(self) -> str: ...
        @property
        def backend(self) -> str: ...
        @property
        def state(self) -> str: ...
        @property
        def dropped(self) -> int: ...
        @property
        def rejected(self) -> int: ...
        @property
        def discarded(self) -> int: ...


# of a group: whether its lease runs here; None where nothing is to be guarded, or nothing can guard it
LEASE_WORDS = {None: "-", True: "runs", False: "none"}
BACKENDS = {
    "nftables": "addresses silent {length:g} ms after the last sign of life, by nftables",
    "valid_lft": "addresses end seconds after the last sign of life",
    "none": "addresses are not silenced where this daemon is killed",
}


def status(
    view: View,
    media: Iterable[MediumFacts],
    *,
    lateness_ms: tuple[float, float],
    realtime: bool,
    locked: bool,
    warnings: Iterable[str] = (),
    lease: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The object of `status --json`. lateness_ms: of the daemon's own timers, worst and 99th percentile. realtime: it
    is scheduled as such; locked: its memory cannot be swapped out. warnings: the daemon's, after the core's. lease:
    backend (nftables, valid_lft or none), length_ms, interfaces, and of each guarded group whether its lease runs."""
    guard: Mapping[str, Any] = lease or {"backend": "none", "length_ms": 0, "interfaces": [], "groups": {}}
    running: Mapping[str, bool] = guard["groups"]
    return {
        "node": view.node,
        "state": view.state,
        "generation": view.generation,
        "holds": view.holds,
        "stable": view.stable,
        "nodes": {name: _node(node) for name, node in view.nodes.items()},
        "media": [
            {
                "type": medium.type,
                "name": medium.name,
                "backend": medium.backend,
                "state": medium.state,
                "dropped": medium.dropped,
                "rejected": medium.rejected,
                "discarded": medium.discarded,
            }
            for medium in media
        ],
        "groups": [
            {
                "key": group.key,
                "preferred": group.preferred,
                "holder": group.holder,
                "state": group.state,
                "lease": running.get(group.key),
            }
            for group in view.groups
        ],
        "lease": {name: guard[name] for name in ("backend", "length_ms", "interfaces")},
        "lateness_ms": {"worst": round(lateness_ms[0], 3), "p99": round(lateness_ms[1], 3)},
        "realtime": realtime,
        "locked": locked,
        # said once, by whoever said it first
        "warnings": list(dict.fromkeys([*view.warnings, *warnings])),
        "last_failover": None if view.last_failover is None else dict(view.last_failover),
        "counts": dict(view.counts),
        "ipfail": list(view.ipfail),
    }


def _node(node: NodeFacts) -> dict[str, Any]:
    return {
        "type": node.kind,
        "status": node.status,
        "generation": node.generation,
        "links": dict(node.links),
        "last_heard_ns": node.last_heard_ns,
    }


def text(status: Mapping[str, Any], now_ns: int | None = None) -> str:
    """`status` for people, a few lines with a newline at the end. now_ns: CLOCK_BOOTTIME of the daemon's machine."""
    if now_ns is None:
        now_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    parts = ["\n".join([_summary(status), *_trouble(status)])]
    last = status.get("last_failover")
    if last:
        parts.append(_failover(last, now_ns))
    parts += [_groups(status), _nodes(status, now_ns), _media(status), _daemon(status)]
    joined = "\n\n".join(part for part in parts if part) + "\n"
    # a warning may quote what came over the wire: nothing of it reaches the terminal's cursor
    return "".join(one if one == "\n" or one.isprintable() else "?" for one in joined)


def _summary(status: Mapping[str, Any]) -> str:
    holds = {
        "none": "holds nothing",
        "local": "holds its own groups",
        "foreign": "holds the other node's groups",
        "all": "holds all groups",
    }.get(status["holds"], f"holds {status['holds']}")
    settled = "stable" if status["stable"] else "NOT STABLE: groups are moving, or the peer has not been heard yet"
    return f"{status['node']} is {status['state']}, {holds}, {settled}"


def _trouble(status: Mapping[str, Any]) -> list[str]:
    """What is wrong, a line each; nothing on a good day."""
    lines = [f"WARNING: {warning}" for warning in status["warnings"]]
    for name, node in status["nodes"].items():
        if node["status"] == "dead":
            lines.append(f"WARNING: node {name} is dead")
            continue
        # links of a dead node are dead as a matter of course
        lines += [f"WARNING: link {link} to {name} is dead" for link, state in node["links"].items() if state == "dead"]
    lines += [f"WARNING: medium {one['name']} is {one['state']}" for one in status["media"] if one["state"] != "up"]
    for group in status["groups"]:
        if group["state"] == "failed":
            lines.append(f"WARNING: group {group['key']} failed to start")
        elif not group["holder"]:
            lines.append(f"WARNING: nobody holds group {group['key']}")
    # a reader's list may already say what these say
    return list(dict.fromkeys(lines))


def _failover(last: Mapping[str, Any], now_ns: int) -> str:
    parts = [f"last fail-over: {last['peer']} was declared dead {_ago(now_ns - last['declared_dead_ns'])}"]
    if last.get("last_heard_ns") is not None:
        parts.append(f"{_span(last['declared_dead_ns'] - last['last_heard_ns'])} after it was last heard")
    if last.get("completed_ns") is not None:
        parts.append(f"taken over {_span(last['completed_ns'] - last['declared_dead_ns'])} later")
    else:
        parts.append("nothing taken over yet")
    return ", ".join(parts)


def _groups(status: Mapping[str, Any]) -> str:
    rows = [
        [one["key"], one["holder"] or "nobody", one["state"], LEASE_WORDS[one.get("lease")], one["preferred"]]
        for one in status["groups"]
    ]
    return _table(["group", "holder", "state here", "lease", "preferred"], rows)


def _nodes(status: Mapping[str, Any], now_ns: int) -> str:
    rows = []
    for name, node in status["nodes"].items():
        links = [f"{link} {state}" for link, state in node["links"].items()]
        heard_ns = node.get("last_heard_ns")
        heard = "-" if heard_ns is None else _ago(now_ns - heard_ns)
        rows.append([name, node["status"], str(node["generation"] or "-"), heard, ", ".join(links) or "-"])
    return _table(["node", "status", "generation", "heard", "links"], rows)


def _media(status: Mapping[str, Any]) -> str:
    rows = [
        [one["name"], one["type"], one["state"], one["backend"],
         str(one["dropped"]), str(one["rejected"]), str(one.get("discarded", 0))]
        for one in status["media"]
    ]  # fmt: skip
    return _table(["medium", "type", "state", "through", "dropped", "rejected", "discarded"], rows)


def _daemon(status: Mapping[str, Any]) -> str:
    late = status["lateness_ms"]
    lease = status.get("lease")
    leases = BACKENDS[lease["backend"]].format(length=lease["length_ms"]) + "\n" if lease else ""
    return (
        f"{leases}timers late by {late['worst']:g} ms at worst, 99 of 100 by less than {late['p99']:g} ms; "
        f"real-time scheduling {'on' if status['realtime'] else 'off'}, "
        f"memory {'locked' if status['locked'] else 'not locked'}"
    )


def _table(heading: list[str], rows: list[list[str]]) -> str:
    """Columns two blanks apart, as wide as they must be; "" without rows."""
    if not rows:
        return ""
    widths = [max(len(row[column]) for row in [heading, *rows]) for column in range(len(heading))]
    return "\n".join(
        "  ".join(word.ljust(width) for word, width in zip(row, widths, strict=True)).rstrip()
        for row in [heading, *rows]
    )


def _span(nanoseconds: int) -> str:
    """A duration in the unit that suits it: 41.2 ms, 12.86 s, 3 h 05 min, 12 d 3 h."""
    milliseconds = nanoseconds / 1e6
    if milliseconds < 1000:
        return f"{milliseconds:.1f} ms"
    seconds = nanoseconds // 1_000_000_000
    if seconds < 60:
        return f"{milliseconds / 1000:.2f} s"
    minutes = seconds // 60
    if minutes < 60:
        return f"{minutes} min {seconds % 60:02} s"
    if minutes < 48 * 60:
        return f"{minutes // 60} h {minutes % 60:02} min"
    return f"{minutes // 1440} d {minutes // 60 % 24} h"


def _ago(nanoseconds: int) -> str:
    return f"{_span(max(0, nanoseconds))} ago"
