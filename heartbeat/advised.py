"""The smallest keepalive and deadtime that this box is good for, by what `heartbeat bench` has measured: the rule, the
file in which it is kept, and the warnings of `heartbeat check`.

    keepalive   at least 10 ms, the smallest that the program is tried with;
                at least twice as long as a status takes on the slowest line, so that half of the line is free;
                at least twice our own timers' worst lateness, so that a late heartbeat is still no missing one
    deadtime    at least two keepalives, so that one heartbeat may be lost;
                and three times all that can make the next one late, at its worst: our timers, the other node's, the
                slowest line, the slowest round trip. Three times, because what some seconds have shown is not the worst
                of a year

Rules: the file is anybody's invention until it has been looked at, and what is not as it must be is no advice; advice
never refuses anything.
"""

from __future__ import annotations

import json
import os
import stat

from heartbeat.persist import replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from heartbeat.config import Config

KEEPALIVE_LEAST_MS = 10
LATE_PART = 2  # of a keepalive, at most, may be lateness, or frame
LOST = 2
TIMES = 3
FILE = "bench.json"
FORMAT = 1
FILE_OCTETS = 4096
# beyond an hour nothing is advice
MOST_MS = 3_600_000
WHEN_CHARACTERS = 20  # 2026-11-22T10:00:00Z
# what is written in ha.cf is no stranger number than what people write: up to the next of these, below that many
STEPS_MS = ((100, 10), (1_000, 50), (10_000, 500), (MOST_MS, 1_000))


class Advice:
    """keepalive_ms: the smallest. slack_ms: what deadtime needs beyond LOST keepalives, whichever are configured.
    when: of the measurement, UTC. realtime: was it measured with the class that the daemon has?"""

    __slots__ = ("keepalive_ms", "realtime", "slack_ms", "when")

    def __init__(self, keepalive_ms: int, slack_ms: int, *, when: str, realtime: bool) -> None:
        self.keepalive_ms = keepalive_ms
        self.slack_ms = slack_ms
        self.when = when
        self.realtime = realtime

    def deadtime_ms(self, keepalive_ms: int) -> int:
        """The smallest with that keepalive."""
        return _up(LOST * keepalive_ms + self.slack_ms)


def advise(
    *, own_ms: float, other_ms: float, frame_ms: float, round_trip_ms: float, when: str, realtime: bool
) -> Advice:
    """own_ms, other_ms: the worst lateness of this node and of the other; frame_ms: of a status on the slowest line."""
    keepalive_ms = _up(max(KEEPALIVE_LEAST_MS, LATE_PART * frame_ms, LATE_PART * own_ms))
    slack_ms = TIMES * (own_ms + other_ms + frame_ms + round_trip_ms)
    return Advice(keepalive_ms, min(-(-slack_ms // 1).__int__(), MOST_MS), when=when, realtime=realtime)


def _up(milliseconds: float) -> int:
    """To the next number that people write."""
    for below, step in STEPS_MS:
        if milliseconds < below:
            return round(-(-milliseconds // step) * step)
    return MOST_MS


# ---- kept


def keep(state_dir: str, advice: Advice) -> str:
    """Write it, mode 0600, whole or not at all; the path. OSError."""
    path = f"{state_dir}/{FILE}"
    content = {"heartbeat bench": FORMAT, **{name: getattr(advice, name) for name in Advice.__slots__}}
    replace(path, json.dumps(content).encode() + b"\n", 0o600)
    return path


def kept(state_dir: str) -> tuple[Advice | None, str]:
    """What was kept, and why it cannot be used; (None, "") where nothing was."""
    path = f"{state_dir}/{FILE}"
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return None, ""
    except OSError as error:
        return None, f"{path}: {error.strerror}"
    try:
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode) or found.st_mode & 0o022 or found.st_uid not in (0, os.geteuid()):
            return None, f"{path}: not a file that root alone may write: remove it"
        octets = os.read(fd, FILE_OCTETS + 1)
    except OSError as error:
        return None, f"{path}: {error.strerror}"
    finally:
        os.close(fd)
    advice = _parsed(octets)
    return advice, "" if advice is not None else f"{path}: damaged: run `heartbeat bench` again"


def _parsed(octets: bytes) -> Advice | None:
    try:
        content: Any = json.loads(octets) if len(octets) <= FILE_OCTETS else None
    except (ValueError, RecursionError):
        return None
    if not isinstance(content, dict) or content.get("heartbeat bench") != FORMAT:
        return None
    numbers = [content.get(name) for name in ("keepalive_ms", "slack_ms")]
    when, realtime = content.get("when"), content.get("realtime")
    if not all(type(each) is int and 0 <= each <= MOST_MS for each in numbers):
        return None
    if not isinstance(when, str) or len(when) > WHEN_CHARACTERS or not (when.isascii() and when.isprintable()):
        return None
    return Advice(*numbers, when=when, realtime=realtime is True)  # type: ignore[arg-type]


# ---- heartbeat check


def below(config: Config, advice: Advice) -> list[tuple[str, str]]:
    """What is configured below it: (directive, text)."""
    found = []
    measured = f"this box was measured on {advice.when} (heartbeat bench)"
    if config.keepalive_ms < advice.keepalive_ms:
        text = f"keepalive is {config.keepalive_ms}ms; {measured}: at least {advice.keepalive_ms}ms is safe"
        found.append(("keepalive", text))
    least_ms = advice.deadtime_ms(config.keepalive_ms)
    if config.deadtime_ms < least_ms:
        text = f"deadtime is {config.deadtime_ms}ms; {measured}: with this keepalive, at least {least_ms}ms is safe"
        found.append(("deadtime", text))
    return found


def warnings(state_dir: str, config: Config) -> list[str]:
    """`file:line: …` of each directive below what was advised, or why what was kept is of no use."""
    from heartbeat.config.advice import located  # noqa: PLC0415  not for `heartbeat bench`

    advice, problem = kept(state_dir)
    if problem:
        return [problem]
    if advice is None:
        return []
    return located(os.path.join(config.directory, "ha.cf"), below(config, advice))
