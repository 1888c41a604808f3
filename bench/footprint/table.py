"""The figures as a record, and what is made of it: tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from statistics import median
from typing import Any

from bench import tables
from bench.footprint.bars import FAST_MS, Figures, Judged, Starts
from bench.footprint.systems import BOTH, KEEPALIVED_NAME, OURS, THEIRS, UCAST
from bench.picture import Picture

HEADING = ("system", "medium", "keepalive", "node", "processes", "RSS MB", "PSS MB", "PSS alone MB", "private dirty MB",
           "CPU s/min", "wake-ups/s", "octets a heartbeat")  # fmt: skip
START_HEADING = ("system", "medium", "min ms", "median ms", "max ms", "starts")
MB = 1024 / 1e6
COLUMNS = {OURS: "ours", THEIRS: "heartbeat", KEEPALIVED_NAME: "keepalived"}

Record = Mapping[str, Any]


def record(figures: Figures, starts: Starts, judged: Sequence[Judged]) -> dict[str, Any]:
    return {
        "figures": [
            {"system": system, "medium": medium, "interval_ms": interval_ms, "node": role,
             **{name: round(value, 4) if isinstance(value, float) else value
                for name, value in node._asdict().items() if name != "memory"},
             **node.memory._asdict()}
            for (system, medium, interval_ms), nodes in figures.items()
            for role, node in nodes.items()
        ],
        "starts": [
            {"system": system, "medium": medium, "ms": [round(each, 2) for each in found]}
            for (system, medium), found in starts.items()
        ],
        "bars": [each._asdict() for each in judged],
    }  # fmt: skip


def rows(record: Record) -> Iterator[list[str]]:
    for node in record["figures"]:
        alone = "?" if node["alone_kb"] is None else f"{node['alone_kb'] * MB:.1f}"
        octets = f"{node['payload']:.0f}" if node["datagrams_per_s"] else "-"
        if node["serial_octets"] is not None:
            octets += f", serial {node['serial_octets']:.0f}"
        yield [
            node["system"], node["medium"], f"{node['interval_ms']} ms", node["node"], str(node["processes"]),
            f"{node['rss_kb'] * MB:.1f}", f"{node['pss_kb'] * MB:.1f}", alone, f"{node['private_dirty_kb'] * MB:.1f}",
            f"{node['cpu_s_per_min']:.3f}", f"{node['wakeups_per_s']:.0f}", octets,
        ]  # fmt: skip


def start_rows(record: Record) -> Iterator[list[str]]:
    for each in record["starts"]:
        times = each["ms"]
        figures = [f"{found:.0f}" for found in (min(times), median(times), max(times))]
        yield [each["system"], each["medium"], *figures, str(len(times))]


def terminal(record: Record) -> str:
    return "\n\n".join([
        tables.aligned(HEADING, rows(record), words=range(4)),
        tables.aligned(START_HEADING, start_rows(record), words=range(2)),
        tables.bar_lines(record["bars"]),
    ])  # fmt: skip


def tables_of(record: Record) -> list[str]:
    return [
        f"Each node of a settled pair, {record['seconds']:g} s in the steady state. Memory is that of all processes of",
        'the system; "PSS alone": as if no other program of Python, and no second node, ran on the machine. CPU: the',
        "median of windows. How each is configured, and why so: bench/footprint/systems.py.", "",
        *tables.table(HEADING, rows(record), words=range(4)), "",
        "From the start of the process to its first heartbeat on Ethernet, of a node that is alone, just switched on:",
        "",
        *tables.table(START_HEADING, start_rows(record), words=range(2)),
    ]  # fmt: skip


def pictures(record: Record) -> list[Picture]:
    return []


def quoted(record: Record) -> Iterator[tuple[str, dict[str, str]]]:
    for medium in (UCAST, BOTH):
        of_holder = {
            COLUMNS[each["system"]]: each
            for each in record["figures"]
            if each["system"] in COLUMNS and (each["medium"], each["interval_ms"], each["node"])
            == (medium, FAST_MS, "holder")
        }  # fmt: skip
        where = f"a holder at {FAST_MS} ms, {medium}"
        yield (f"{where}: memory (PSS) of all processes",
               {name: f"{each['pss_kb'] * MB:.1f} MB" for name, each in of_holder.items()})  # fmt: skip
        yield (f"{where}: processor time a minute",
               {name: f"{each['cpu_s_per_min']:.3f} s" for name, each in of_holder.items()})  # fmt: skip
    yield (
        f"start to first heartbeat, {UCAST}, median",
        {COLUMNS[each["system"]]: f"{median(each['ms']):.0f} ms" for each in record["starts"]
         if each["system"] in COLUMNS and each["medium"] == UCAST},
    )  # fmt: skip
