"""What the demonstration says: to a person as it goes, or to a program at the end. Troubles always go to stderr."""

from __future__ import annotations

import json
import sys
import time
from typing import TYPE_CHECKING

from heartbeat.demo import seed

if TYPE_CHECKING:
    from heartbeat.demo.scenes import Scene

_REDRAW_S = 0.1
_ERASE = "\r\033[K"
_LOG_LINES = 30


class Screen:
    """For a person: a live line while a scene plays (on a terminal), then the scene's figures. `finish` closes it."""

    def __init__(self) -> None:
        self._terminal = sys.stdout.isatty()
        self._drawn_s = 0.0

    def begin(self, divisor: int) -> None:
        keepalive, deadtime = (_time(seconds, divisor) for seconds in (seed.KEEPALIVE_S, seed.DEADTIME_S))
        print(f"julius and caesar share 10.0.0.254 and 1.1.1.254; keepalive {keepalive}, deadtime {deadtime}")
        print(f"{'scene':14} {'holder':8} {'outage':>11} {'detection':>11} {'take-over':>11} {'lost':>7}")

    def draw(self, text: str) -> None:
        now_s = time.monotonic()
        if self._terminal and now_s - self._drawn_s > _REDRAW_S:
            self._drawn_s = now_s
            sys.stdout.write(f"{_ERASE}{text}")
            sys.stdout.flush()

    def show(self, scene: Scene) -> None:
        self._erase()
        figures = " ".join(f"{_duration(ms):>11}" for ms in (scene.outage_ms, scene.detection_ms, scene.takeover_ms))
        lost = "-" if scene.lost is None else scene.lost
        print(f"{scene.name:14} {scene.holder or '-':8} {figures} {lost:>7}", flush=True)

    def finish(self, scenes: list[Scene], ok: bool) -> None:
        self._erase()
        print("all held" if ok else "NOT all held", flush=True)

    def _erase(self) -> None:
        if self._terminal:
            sys.stdout.write(_ERASE)


class Report:
    """For a program: one JSON object when all is over, nothing before."""

    def begin(self, divisor: int) -> None:
        pass

    def draw(self, text: str) -> None:
        pass

    def show(self, scene: Scene) -> None:
        pass

    def finish(self, scenes: list[Scene], ok: bool) -> None:
        print(json.dumps({"ok": ok, "scenes": [scene.figures() for scene in scenes]}), flush=True)


def complain(scene: Scene, logs: dict[str, str]) -> None:
    """Say what went wrong and what the daemons said last."""
    for trouble in scene.troubles:
        print(f"heartbeat: {scene.name}: {trouble}", file=sys.stderr)
    for name, log in logs.items():
        print(f"---- the end of {name}'s log", *log.splitlines()[-_LOG_LINES:], sep="\n", file=sys.stderr)


def _duration(ms: float | None) -> str:
    return "-" if ms is None else f"{ms:,.1f} ms"


def _time(seconds: float, divisor: int) -> str:
    return f"{seconds} s" if divisor == 1 else f"{seconds} s / {divisor} = {seconds * 1000 / divisor:g} ms"
