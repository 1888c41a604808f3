"""The figures as a table for people, in Markdown that reads as text too, and as a record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from bench.footprint.bars import Figures, Judged, Starts
from bench.footprint.play import Node

HEADING = ("system", "medium", "keepalive", "node", "processes", "RSS MB", "PSS MB", "PSS alone MB", "private dirty MB",
           "CPU s/min", "wake-ups/s", "octets a heartbeat")  # fmt: skip
START_HEADING = ("system", "medium", "min ms", "median ms", "max ms", "starts")
BAR_HEADING = ("what is demanded", "figure", "at most", "verdict", "of")
MB = 1024 / 1e6


def rows(heading: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(heading, *lines, strict=True)]
    padded = [" | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True))
              for line in (heading, ["-" * width for width in widths], *lines)]  # fmt: skip
    return "\n".join(f"| {line} |" for line in padded)


def figures_table(figures: Figures) -> str:
    lines = [
        [system, medium, f"{interval_ms} ms", role, *_cells(node)]
        for (system, medium, interval_ms), nodes in figures.items()
        for role, node in nodes.items()
    ]
    return rows(HEADING, lines)


def _cells(node: Node) -> list[str]:
    memory = node.memory
    alone = "?" if memory.alone_kb is None else f"{memory.alone_kb * MB:.1f}"
    octets = f"{node.payload:.0f}" if node.datagrams_per_s else "-"
    if node.serial_octets is not None:
        octets += f", serial {node.serial_octets:.0f}"
    return [
        str(memory.processes), f"{memory.rss_kb * MB:.1f}", f"{memory.pss_kb * MB:.1f}", alone,
        f"{memory.private_dirty_kb * MB:.1f}", f"{node.cpu_s_per_min:.3f}", f"{node.wakeups_per_s:.0f}", octets,
    ]  # fmt: skip


def starts_table(starts: Starts) -> str:
    lines = [
        [system, medium, *(f"{each:.0f}" for each in (min(found), median(found), max(found))), str(len(found))]
        for (system, medium), found in starts.items()
    ]
    return rows(START_HEADING, lines)


def bars_table(judged: Sequence[Judged]) -> str:
    def number(value: float | None, unit: str) -> str:
        return "-" if value is None else f"{value:.3g} {unit}".strip()

    lines = [
        [each.bar, number(each.value, each.unit), number(each.limit, each.unit), each.verdict, each.detail]
        for each in judged
    ]
    return rows(BAR_HEADING, lines)


def markdown(about: Mapping[str, Any], figures: Figures, starts: Starts, judged: Sequence[Judged]) -> str:
    """A section of a page."""
    missing = "".join(f"* {name}: not measured, {why}\n" for name, why in about["missing"].items())
    return f"""\
## Footprint

`{about["command"]}`, {about["when"]}, {about["machine"]}, Python {about["python"]}; load {about["load"]}.

{bars_table(judged)}

Each node of a settled pair, {about["seconds"]:g} s in the steady state. Memory is that of all processes of the system;
"PSS alone": as if no other program of Python, and no second node, ran on the machine. CPU: the median of windows.

{figures_table(figures)}

From the start of the process to its first heartbeat on Ethernet, of a node that is alone, just switched on:

{starts_table(starts)}
{missing}"""


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
