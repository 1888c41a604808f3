"""The operator's own files, for years: their times, media and groups, and the troubles that they expect of their boxes
and cables.

Troubles come at random and singly, so many a year; how long each lasts is spread widely around a usual length.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from random import Random

from heartbeat.config import load
from heartbeat.core.settings import MILLISECOND, SECOND
from heartbeat.sim.faults import BOTH, Fault
from heartbeat.sim.medium import Quality
from heartbeat.sim.options import ADDRESS_AGENTS, MediumOptions, Options

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from heartbeat.config import Config
    from heartbeat.core.settings import Resource

DAY_NS = 86_400 * SECOND
YEAR_NS = 365 * DAY_NS
# A life of a year would use one processor only, and tell late of what fails early.
LIVES_A_YEAR = 12
ETHERNET_DELAY_NS, ETHERNET_JITTER_NS = MILLISECOND // 10, 2 * MILLISECOND
SCRIPT_NS = 500 * MILLISECOND


@dataclass(frozen=True)
class Circumstances:
    """What the operator expects. loss: of each datagram; noise: of each octet on a serial line, a probability; the
    others: how many a year, of each medium (outages) or node."""

    loss: float = 1e-4
    noise: float = 1e-7
    outages: float = 6.0
    stalls: float = 12.0
    crashes: float = 2.0
    power_failures: float = 2.0
    restarts: float = 4.0

    def describe(self) -> str:
        return ", ".join(f"{each.name.replace('_', ' ')} {getattr(self, each.name):g}" for each in fields(self))


# kind of fault → (the circumstance that says how many, usual length in seconds, how widely it is spread: the tenth
# part lasts longer than usual times this)
TROUBLES = {
    "cut": ("outages", 30.0, 20.0),
    "pause": ("stalls", 0.3, 10.0),
    "crash": ("crashes", 0.1, 3.0),
    "power": ("power_failures", 120.0, 10.0),
    "stop": ("restarts", 20.0, 5.0),
}
TENTH = 1.2816  # of a normal distribution: a tenth lies beyond so many deviations


def options(directory: str, seed: int, duration_ns: int, circumstances: Circumstances) -> Options:
    """ConfigError; ValueError where the files are for one node, or for more than two."""
    first = load(directory, machine=False)
    if len(first.nodes) != 2:
        raise ValueError(f"a pair is simulated, and ha.cf names {len(first.nodes)} nodes: {' '.join(first.nodes)}")
    pair = [load(directory, node=name, machine=False) for name in first.nodes]
    one, other = (config.settings(config.node.encode().ljust(16, b".")[:16]) for config in pair)
    random = Random(f"{seed} options")
    return Options(
        seed=seed,
        media=_media(first, circumstances),
        keys=first.keys,
        keepalive_ns=one.keepalive_ns,
        deadtime_ns=one.deadtime_ns,
        warntime_ns=one.warntime_ns,
        initdead_ns=one.initdead_ns,
        auto_failback=one.auto_failback,
        failback_delay_ns=one.failback_delay_ns,
        groups=one.groups,
        rates=(random.randrange(-50, 51), random.randrange(-50, 51)),
        boot_ns=(0, random.randrange(one.keepalive_ns)),
        script_ns=SCRIPT_NS if any(_scripts(each.resources) for each in one.groups) else 0,
        inner_auth=first.message_format == "classic",
        reboot_on_stop_failure=one.reboot_on_stop_failure,
        duration_ns=duration_ns,
        names=(one.node, other.node),
        files=(one, other),
    )


def _scripts(resources: Iterable[Resource]) -> bool:
    return any(each.name not in ADDRESS_AGENTS and not each.notifier for each in resources)


def _media(config: Config, circumstances: Circumstances) -> tuple[MediumOptions, ...]:
    return tuple(
        MediumOptions(medium.name, medium.baud, Quality(noise=circumstances.noise))
        if medium.type == "serial"
        else MediumOptions(
            medium.name, 0, Quality(loss=circumstances.loss), delay_ns=ETHERNET_DELAY_NS, jitter_ns=ETHERNET_JITTER_NS
        )
        for medium in config.media
    )


def draw(pair: Options, circumstances: Circumstances) -> list[Fault]:
    """The troubles of one life."""
    random = Random(f"{pair.seed} troubles")
    found: list[Fault] = []
    for kind, (name, usual_s, spread) in TROUBLES.items():
        a_year = getattr(circumstances, name)
        struck = [medium.name for medium in pair.media] if kind == "cut" else ["", ""]
        for index, medium in enumerate(struck):
            node = BOTH if kind == "cut" else index
            for at in _instants(random, a_year, pair.duration_ns):
                length_s = usual_s * math.exp(random.gauss(0.0, 1.0) * math.log(spread) / TENTH)
                # a crash ends when the fault does at an even instant, when the supervisor can at an odd one
                found.append(Fault(kind, at // 2 * 2, round(length_s * SECOND), node, medium))
    return sorted(found, key=lambda fault: fault.at_ns)


def _instants(random: Random, a_year: float, duration_ns: int) -> list[int]:
    """Of a Poisson process."""
    found: list[int] = []
    at = 0.0
    while a_year > 0.0:
        at += random.expovariate(a_year / YEAR_NS)
        if at >= duration_ns:
            break
        found.append(int(at))
    return found


def shares(years: float, lives: int | None, seed: int) -> list[tuple[int, int]]:
    """(seed, length in nanoseconds) of each life: whole seconds, so that a life can be asked for again by its years."""
    lives = lives or max(1, math.ceil(years * LIVES_A_YEAR))
    seconds = max(1, round(years * YEAR_NS / SECOND / lives))
    return [(seed + number, seconds * SECOND) for number in range(lives)]
