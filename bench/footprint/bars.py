"""What is demanded of ours, and what comes of it.

Against the original: on the same medium, in the same run, and of both nodes. The limits of memory are of the daemon
with termios, in MB of 1,000,000 octets. A goal is told and missed without consequence.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from statistics import median
from typing import NamedTuple

from bench import tables
from bench.footprint.play import ROLES, Node
from bench.footprint.systems import KEEPALIVED_NAME, LEAST_NAME, MEDIA, OURS, OURS_PYSERIAL, THEIRS, UCAST

OK, MISSED, UNKNOWN, STATED = tables.OK, tables.MISSED, tables.UNKNOWN, ""
FAST_MS = 100
RSS_MB, PRIVATE_DIRTY_MB = 12.0, 5.0
CPU_PART = 0.25
START_MS = 150.0

# (system, medium, interval_ms) → by role
Figures = Mapping[tuple[str, str, int], Mapping[str, Node]]
# (system, medium) → milliseconds
Starts = Mapping[tuple[str, str], list[float]]


class Judged(NamedTuple):
    """value, limit: in unit. note: of what it is made."""

    bar: str
    value: float | None
    limit: float | None
    unit: str
    verdict: str
    note: str = ""


def judge(figures: Figures, starts: Starts) -> list[Judged]:
    return [*_memory(figures), *_daemon(figures), *_processor(figures), *_start(starts)]


def kept(judged: list[Judged]) -> bool:
    """What could not be judged is not kept."""
    return all(each.verdict in (OK, STATED) for each in judged)


def _verdict(value: float | None, limit: float) -> str:
    return UNKNOWN if value is None else OK if value <= limit else MISSED


def _ratios(figures: Figures, rival: str, medium: str, of: str) -> dict[str, float]:
    """Ours to the rival's, by role; empty where one of them is not there."""
    ours, theirs = figures.get((OURS, medium, FAST_MS)), figures.get((rival, medium, FAST_MS))
    if ours is None or theirs is None:
        return {}
    return {role: ratio for role in ROLES if (ratio := _ratio(ours[role], theirs[role], of)) is not None}


def _ratio(ours: Node, theirs: Node, of: str) -> float | None:
    first, second = (getattr(node.memory if of.endswith("_kb") else node, of) for node in (ours, theirs))
    return None if first is None or not second else first / second


def _told(ratios: Mapping[str, float]) -> str:
    return ", ".join(f"{role} {ratio:.2f}" for role, ratio in ratios.items())


def _memory(figures: Figures) -> Iterator[Judged]:
    for medium in MEDIA:
        for of, name in (("pss_kb", "PSS of all processes"), ("alone_kb", "PSS, no other Python on the machine")):
            ratios = _ratios(figures, THEIRS, medium, of)
            worst = max(ratios.values(), default=None)
            yield Judged(f"{name}, {medium}, to the original's", worst, 1.0, "", _verdict(worst, 1.0), _told(ratios))


def _daemon(figures: Figures) -> Iterator[Judged]:
    for of, name, limit in (
        ("daemon_rss_kb", "RSS of the daemon", RSS_MB),
        ("daemon_private_dirty_kb", "private dirty of the daemon", PRIVATE_DIRTY_MB),
    ):
        for system in (OURS, OURS_PYSERIAL):
            sizes = {
                medium: max(getattr(node.memory, of) for node in nodes.values()) * 1024 / 1e6
                for (whose, medium, interval_ms), nodes in figures.items()
                if whose == system and interval_ms == FAST_MS
            }
            worst = max(sizes.values(), default=None)
            told = ", ".join(f"{medium} {size:.1f}" for medium, size in sizes.items())
            verdict = _verdict(worst, limit) if system == OURS else STATED
            yield Judged(f"{name}, {system}", worst, limit if system == OURS else None, "MB", verdict, told)


def _processor(figures: Figures) -> Iterator[Judged]:
    for medium in MEDIA:
        ratios = _ratios(figures, THEIRS, medium, "cpu_s_per_min")
        worst = max(ratios.values(), default=None)
        name = f"processor time at {FAST_MS} ms, {medium}, to the original's"
        yield Judged(name, worst, CPU_PART, "", _verdict(worst, CPU_PART), _told(ratios))
    for rival, name in ((KEEPALIVED_NAME, "keepalived's (goal: 1)"), (LEAST_NAME, "what nobody can save")):
        ratios = _ratios(figures, rival, UCAST, "cpu_s_per_min")
        worst = max(ratios.values(), default=None)
        yield Judged(f"processor time at {FAST_MS} ms, {UCAST}, to {name}", worst, None, "", STATED, _told(ratios))


def _start(starts: Starts) -> Iterator[Judged]:
    for medium in MEDIA:
        found = starts.get((OURS, medium))
        value = median(found) if found else None
        told = f"min {min(found):.0f}, max {max(found):.0f}, of {len(found)}" if found else ""
        yield Judged(f"start to first heartbeat, {medium}", value, START_MS, "ms", _verdict(value, START_MS), told)
