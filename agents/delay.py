"""Delay[::start[::stop]]: waits, in seconds, before what stands to its right starts, and after it has stopped."""

from __future__ import annotations

import os
import time

from .base import BAD_ARGUMENTS, AgentError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

START_S, STOP_S = 10.0, 30.0  # as the original's: protocol/resources.md §6
_LONGEST_S = 86400.0


def run(arguments: Sequence[str], verb: str) -> None:
    """Return when the time of `verb` is over. AgentError: a bad argument."""
    start_s, stop_s = seconds(arguments)
    if verb in ("start", "stop"):
        time.sleep((start_s if verb == "start" else stop_s) / divisor())


def seconds(arguments: Sequence[str]) -> tuple[float, float]:
    """(start, stop). AgentError."""
    if len(arguments) > 2:
        raise AgentError(BAD_ARGUMENTS, "Delay takes at most two arguments: start and stop, in seconds")
    values = [START_S, STOP_S]
    for position, text in enumerate(arguments):
        if not text:
            continue
        if not text.isascii() or not text.replace(".", "", 1).isdigit() or float(text) > _LONGEST_S:
            raise AgentError(BAD_ARGUMENTS, f"Delay: {text!r} is not a number of seconds up to {_LONGEST_S:.0f}")
        values[position] = float(text)
    return values[0], values[1]


def divisor() -> float:
    """How many times faster than the operator's files say this cluster runs: 1, but for demonstrations and tests."""
    try:
        return max(float(os.environ.get("HEARTBEAT_TIME_DIVISOR", "1")), 1.0)
    except ValueError:
        return 1.0
