"""`heartbeat bench`: what this box and its media are good for, and the smallest keepalive and deadtime that are safe.

Its rule: whoever runs it on a router in service changes nothing. The daemon that runs is asked for what it has seen,
its line is left alone; the rest is measured beside it (measure.py). What could not be measured is said, and what is
assumed instead. advised.py has the rule by which figures become advice, and keeps it for `heartbeat check`.
"""

from __future__ import annotations

import json
import os
import time

from heartbeat import advised, measure, persist
from heartbeat.advised import Advice
from heartbeat.config import ConfigError, load
from heartbeat.config.advice import status_frame_octets
from heartbeat.control import NotRunning, ask

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from heartbeat.config import Config
    from heartbeat.config.record import MediumConfig
    from heartbeat.paths import Paths

DURATION_S, LEAST_S, MOST_S = 10.0, 1.0, 3600.0
ANSWER_S = 5.0


class Found:
    """What was measured. daemon: its status, None where none runs. media: what is known of each, by name."""

    def __init__(self, config: Config, seconds: float) -> None:
        self.config = config
        self.seconds = seconds
        self.octets = status_frame_octets(config)
        self.daemon: dict[str, Any] | None = None
        self.timers = measure.Timers([], exact=False, problem="")
        self.media: dict[str, Medium] = {}
        self.not_measured: list[str] = []

    @property
    def own_ms(self) -> float:
        """The worst lateness of our own timers that anybody has seen."""
        return max(self.timers.worst_ms, _daemon_worst(self.daemon))

    @property
    def other_ms(self) -> float:
        """Of the other node's heartbeats as they come in; where none did, as bad as our own."""
        late = [heard.late_ms for medium in self.media.values() for heard in medium.heard.values() if heard.interval_ms]
        return max(late, default=self.own_ms)

    @property
    def frame_ms(self) -> float:
        return max((medium.frame_ms for medium in self.media.values()), default=0.0)

    @property
    def round_trip_ms(self) -> float:
        return max((echo.worst_ms for medium in self.media.values() for echo in medium.echoes), default=0.0)


class Medium:
    """frame_ms: what a status takes, on a serial line; measured_ms: what as many octets took, None where not tried."""

    def __init__(self, config: MediumConfig, octets: int) -> None:
        self.config = config
        self.rate_ms = config.frame_ns(octets) / measure.MILLISECOND
        self.measured_ms: float | None = None
        self.heard: dict[str, measure.Heard] = {}
        self.echoes: list[measure.Echoes] = []

    @property
    def frame_ms(self) -> float:
        return max(self.rate_ms, self.measured_ms or 0.0)


def main(
    paths: Paths, *, seconds: float, as_json: bool, out: Callable[[str], object], complain: Callable[[str], object]
) -> int:
    """The exit code: 0 measured, 1 not."""
    try:
        config = load(paths.config_dir)
    except ConfigError as error:
        for line in error.errors:
            complain(line)
        return 1
    if os.geteuid():
        complain("bench measures with the daemon's rights: be root")
        return 1
    found = measured(config, paths, seconds)
    when = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    advice = advised.advise(
        own_ms=found.own_ms, other_ms=found.other_ms, frame_ms=found.frame_ms, round_trip_ms=found.round_trip_ms,
        when=when, realtime=not found.timers.problem,
    )  # fmt: skip
    try:
        persist.make_directory(paths.state_dir)
        kept, problem = advised.keep(paths.state_dir, advice), ""
    except OSError as error:
        kept, problem = "", f"not kept: {error}"
    out(json.dumps(record(found, advice) | {"kept": kept}) + "\n" if as_json else text(found, advice, kept))
    if problem:
        complain(problem)
    return 1 if problem else 0


def measured(config: Config, paths: Paths, seconds: float) -> Found:
    found = Found(config, seconds)
    found.media = {medium.name: Medium(medium, found.octets) for medium in config.media}
    try:
        found.daemon = ask(paths.control, {"request": "status"}, ANSWER_S).get("status")
    except NotRunning:
        found.daemon = None
    except OSError as error:
        found.daemon = {}
        found.not_measured.append(f"what the daemon has seen: {error}")
    overhearing = []
    for medium in found.media.values():
        if medium.config.type != "serial":
            try:
                overhearing.append((medium, measure.Overhearing(config, medium.config)))
            except OSError as error:
                found.not_measured.append(f"{medium.config.name}, heartbeats of the other node: {error.strerror}")
    # threads would get in each other's way: one thing after the other, and the kernel stamps what comes meanwhile
    problem = measure.become_the_daemon(wanted=config.realtime, priority=config.rtprio)
    found.timers = measure.timers(seconds, problem)
    for medium, each in overhearing:
        medium.heard = each.finish()
    for medium in found.media.values():
        if medium.config.type == "serial":
            _line(found, medium, paths)
        else:
            _round_trips(found, medium)
    return found


def _line(found: Found, medium: Medium, paths: Paths) -> None:
    name = medium.config.name
    if found.daemon is not None:
        found.not_measured.append(f"{name}: the daemon has the line; by its rate alone")
        return
    try:
        medium.measured_ms = round(measure.line(medium.config, paths.lock_dir, found.octets), 3)
    except OSError as error:
        found.not_measured.append(f"{name}: {error.strerror or error}; by its rate alone")


def _round_trips(found: Found, medium: Medium) -> None:
    """To the address that ha.cf names, or to whoever was heard."""
    config = medium.config
    addresses = [each.address for each in medium.heard.values()]
    if config.type.startswith("ucast") and config.address:
        addresses.insert(0, config.address)
    if not medium.heard:
        found.not_measured.append(f"{config.name}: no heartbeat of the other node came in")
    if not addresses:
        found.not_measured.append(f"{config.name}, round trip: nobody is known there")
    for address in dict.fromkeys(addresses):
        try:
            echoes = measure.echo(address, config.device, found.octets)
        except OSError as error:
            found.not_measured.append(f"{config.name}, round trip to {address}: {error.strerror}")
            continue
        if echoes.answered:
            medium.echoes.append(echoes)
        else:
            found.not_measured.append(f"{config.name}, round trip: {address} does not answer pings")


def _daemon_worst(daemon: dict[str, Any] | None) -> float:
    worst = ((daemon or {}).get("lateness_ms") or {}).get("worst", 0.0)
    return float(worst) if isinstance(worst, (int, float)) else 0.0


# ---- said


def record(found: Found, advice: Advice) -> dict[str, Any]:
    """For programs. Times in milliseconds."""
    config, timers = found.config, found.timers
    late = (found.daemon or {}).get("lateness_ms")
    return {
        "node": config.node,
        "when": advice.when,
        "seconds": found.seconds,
        "timers": {
            "count": timers.count, "median_ms": timers.median_ms, "p99_ms": timers.p99_ms,
            "worst_ms": timers.worst_ms, "exact": timers.exact, "realtime": not timers.problem,
        },
        "daemon": {"running": found.daemon is not None, "lateness_ms": late},
        "media": [
            {
                "name": medium.config.name,
                "type": medium.config.type,
                "frame_ms": round(medium.rate_ms, 3),
                "frame_measured_ms": medium.measured_ms,
                "heard": {
                    name: {"count": heard.count, "interval_ms": heard.interval_ms, "late_ms": heard.late_ms,
                           "lost": heard.lost}
                    for name, heard in medium.heard.items()
                },
                "round_trips": [
                    {"address": echo.address, "sent": echo.sent, "answered": echo.answered,
                     "median_ms": echo.median_ms, "worst_ms": echo.worst_ms}
                    for echo in medium.echoes
                ],
            }
            for medium in found.media.values()
        ],
        "not_measured": found.not_measured,
        "advice": {
            "keepalive_ms": advice.keepalive_ms,
            "deadtime_ms": advice.deadtime_ms(advice.keepalive_ms),
            "deadtime_with_configured_keepalive_ms": advice.deadtime_ms(config.keepalive_ms),
        },
        "configured": {"keepalive_ms": config.keepalive_ms, "deadtime_ms": config.deadtime_ms},
        "safe": not advised.below(config, advice),
    }  # fmt: skip


def text(found: Found, advice: Advice, kept: str) -> str:
    """For people."""
    config, timers = found.config, found.timers
    how = f"not real-time: {timers.problem}" if timers.problem else "in the daemon's real-time class"
    lines = [
        f"timers of this box, {found.seconds:g} s, {how}:",
        f"    late by {timers.median_ms:g} ms (median), {timers.p99_ms:g} ms (99 of 100), {timers.worst_ms:g} ms (worst"
        f" of {timers.count}){'' if timers.exact else '; rounded to milliseconds, heartbeat._kernel is missing'}",
    ]
    late = (found.daemon or {}).get("lateness_ms")
    if late:
        known = f"{late['p99']:g} ms (99 of 100), {late['worst']:g} ms (worst)"
        lines.append(f"    the daemon's own, since it runs: {known}")
    for medium in found.media.values():
        lines += _of_medium(medium, found.octets)
    lines += ["", "not measured:", *(f"    {each}" for each in found.not_measured)] if found.not_measured else []
    if not any(heard.interval_ms for medium in found.media.values() for heard in medium.heard.values()):
        lines.append("    the other node's lateness: taken to be as bad as this one's")
    keepalive_ms = advice.keepalive_ms
    lines += [
        "",
        f"safe on this box: keepalive {keepalive_ms}ms or more, and with that deadtime"
        f" {advice.deadtime_ms(keepalive_ms)}ms or more",
        f"    worst: timers here {found.own_ms:g} ms, there {found.other_ms:g} ms, a status on the line"
        f" {found.frame_ms:.1f} ms, round trip {found.round_trip_ms:g} ms",
    ]
    trouble = advised.below(config, advice)
    lines += [each for _, each in trouble] or [
        f"keepalive {config.keepalive_ms}ms and deadtime {config.deadtime_ms}ms, as configured, are safe"
        f" (with that keepalive deadtime may be {advice.deadtime_ms(config.keepalive_ms)}ms)"
    ]
    lines.append("measure both nodes, under the load that they have on a bad day, and take the larger figures")
    if kept:
        lines.append(f"kept in {kept}, for `heartbeat check`")
    return "\n".join(lines) + "\n"


def _of_medium(medium: Medium, octets: int) -> list[str]:
    config = medium.config
    lines = ["", f"medium {config.name} ({config.type}):"]
    if medium.rate_ms:
        took = "" if medium.measured_ms is None else f"; so many line feeds took {medium.measured_ms:g} ms to leave"
        lines.append(f"    a status of {octets} octets takes {medium.rate_ms:.1f} ms at {config.baud} baud{took}")
    for name, heard in medium.heard.items():
        if heard.interval_ms:
            lines.append(
                f"    {name} heard {heard.count} times, every {heard.interval_ms:g} ms, late by {heard.late_ms:g} ms at"
                f" worst, {heard.lost} lost"
            )
    lines += [
        f"    round trip to {echo.address}: {echo.median_ms:g} ms (median), {echo.worst_ms:g} ms (worst), "
        f"{echo.answered} of {echo.sent} answered"
        for echo in medium.echoes
    ]
    return lines
