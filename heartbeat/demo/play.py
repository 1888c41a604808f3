"""One performance, from an empty stage to an empty stage: also after Ctrl-C, after a kill, and when something fails."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from typing import TYPE_CHECKING, NoReturn

from pyroute2 import NetlinkError

from heartbeat.demo.namespaces import ENDINGS
from heartbeat.demo.scenes import Scene, Stage
from heartbeat.demo.screen import Report, Screen, complain
from heartbeat.demo.world import World

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

# All times of the files and of the program run this many times faster.
_DIVISOR = 50


def play(*, json: bool, seed_times: bool) -> int:
    """As `heartbeat.demo.main`."""
    if os.geteuid():
        _become_root_of_namespaces(json, seed_times)
    for number in ENDINGS:
        signal.signal(number, _leave)
    divisor = 1 if seed_times else _DIVISOR
    screen = Report() if json else Screen()
    screen.begin(divisor)
    scenes: list[Scene] = []
    try:
        with _world(divisor) as world:
            stage = Stage(world, screen.draw)
            for scene in stage.play():
                scenes.append(scene)
                screen.show(scene)
                if scene.troubles:
                    complain(scene, stage.logs())
    except (OSError, NetlinkError) as error:
        print(f"heartbeat: {error}", file=sys.stderr)
        ok = False
    else:
        ok = not any(scene.troubles for scene in scenes)
    screen.finish(scenes, ok)
    return 0 if ok else 1


@contextlib.contextmanager
def _world(divisor: int) -> Iterator[World]:
    world = World(divisor)
    try:
        yield world
    finally:
        # a second Ctrl-C must not leave half a world behind
        for number in ENDINGS:
            signal.signal(number, signal.SIG_IGN)
        world.close()


def _become_root_of_namespaces(json: bool, seed_times: bool) -> NoReturn:
    """An ordinary user can be root in a user namespace, and nothing more is needed here (but for real-time).

    Does not return; where the machine forbids it, unshare(1) says so and ends with 1.
    """
    options = [name for name, chosen in (("--json", json), ("--seed-times", seed_times)) if chosen]
    command = [sys.executable, "-m", "heartbeat.cli", "demo", *options]
    os.execvp("unshare", ["unshare", "--user", "--map-root-user", "--net", *command])


def _leave(number: int, _frame: FrameType | None) -> NoReturn:
    sys.exit(128 + number)
