"""A pair of daemons with so many addresses, in one group or each in its own, at 100/500 ms: the holder's power fails.

    take-over        by the daemon's own stamps: from the peer's death to the last address set
    its cost         the processor time of the daemon that takes over, over what it uses anyhow
    a second         the processor time of the holder's daemon, in the steady state
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from system.play import PATIENCE_S, Pair, until
from system.stage import HA_CF

from bench.growth.curve import Curve
from heartbeat.demo.clock import now_ns
from heartbeat.demo.node import Node
from heartbeat.demo.seed import Files
from heartbeat.demo.world import World

SIZES, QUICK_SIZES = (1, 3, 10, 30, 100, 300, 1000), (1, 10, 100, 1000)
STEADY_S, QUICK_STEADY_S = 5.0, 2.0
# after the last address there is still to announce
AFTER_S = 3.0
UCAST = "".join(f"{line}\n" for line in HA_CF.splitlines() if line.split()[0] not in ("serial", "baud"))


def curves(*, quick: bool) -> tuple[list[Curve], dict[str, str]]:
    """And why a size is missing: the curves end before it. OSError: no namespaces here."""
    found: list[Curve] = []
    missing: dict[str, str] = {}
    for size, haresources in SHAPES.items():
        points: dict[str, list[tuple[int, float]]] = {name: [] for name in FIGURES}
        for number in QUICK_SIZES if quick else SIZES:
            try:
                figures = _play(haresources(number), QUICK_STEADY_S if quick else STEADY_S)
            except TimeoutError as error:
                missing[f"{number} {size}"] = str(error)
                break
            for name, value in zip(FIGURES, figures, strict=True):
                points[name].append((number, value))
        found += [Curve(f"addresses, {size}", name, size, "ms", tuple(each)) for name, each in points.items() if each]
    return found, missing


def _words(number: int) -> list[str]:
    return [f"IPaddr::10.9.{each // 250}.{1 + each % 250}/16/eth0" for each in range(number)]


FIGURES = (
    "take-over, from the peer's death to the last address", "processor time of a take-over",
    "processor time of a holder's second",
)  # fmt: skip
SHAPES: dict[str, Callable[[int], str]] = {
    "groups of one address": lambda number: "".join(f"julius {word}\n" for word in _words(number)),
    "addresses in one group": lambda number: f"julius {' '.join(_words(number))}\n",
}


def _play(haresources: str, steady_s: float) -> tuple[float, float, float]:
    """FIGURES; 0 where a cost is lost in the noise, and counts for no exponent. TimeoutError."""
    with World() as world:
        pair = Pair(world, Files(ha_cf=UCAST, haresources=haresources))
        pair.boot()
        pair.settled()
        until(lambda: _held(pair.julius), PATIENCE_S, "julius holds all of them")
        time.sleep(AFTER_S)
        holder = _cpu_ns(pair.julius), now_ns()
        time.sleep(steady_s)
        second_ms = (_cpu_ns(pair.julius) - holder[0]) / (now_ns() - holder[1]) * 1e3
        before = _cpu_ns(pair.caesar), now_ns()
        pair.world.power_off(pair.julius)
        until(lambda: _completed(pair.caesar), PATIENCE_S, "caesar has taken over")
        time.sleep(AFTER_S)
        spent_ms = (_cpu_ns(pair.caesar) - before[0]) / 1e6 - (now_ns() - before[1]) / 1e9 * second_ms
        last = (pair.caesar.status() or {})["last_failover"]
        return (last["completed_ns"] - last["declared_dead_ns"]) / 1e6, max(spent_ms, 0.0), second_ms


def _held(node: Node) -> bool:
    groups = (node.status() or {}).get("groups", ())
    return bool(groups) and all(group["state"] == "held" for group in groups)


def _completed(node: Node) -> bool:
    return bool(((node.status() or {}).get("last_failover") or {}).get("completed_ns"))


def _cpu_ns(node: Node) -> int:
    assert node.daemon is not None
    return int(Path(f"/proc/{node.pid_of(node.daemon)}/schedstat").read_text().split()[0])
