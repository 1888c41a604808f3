"""What a life is drawn with: everything that is fixed before it begins. Printed first, whatever follows.

A swarm's life draws from its seed; `heartbeat simulate --years` makes them of the operator's files and words.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field
from random import Random

from heartbeat.core.settings import (
    FAILBACK_NAMES,
    FAILBACK_OFF,
    FAILBACK_ON,
    MILLISECOND,
    SECOND,
    Group,
    Resource,
    Settings,
    status_octets,
)
from heartbeat.sim.medium import Quality

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

NAMES = ("julius", "caesar")
# agents that the daemon runs inline, and whose work answers the neighbours only while a lease runs
ADDRESS_AGENTS = frozenset(("IPaddr", "IPaddr2", "IPv6addr"))

METHODS = ("crc", "md5", "sha1", "sha256", "blake2s")
BAUDS = (19200, 38400, 57600, 115200, 460800)

LIFE_HEARTBEATS = 20_000
LIFE_NS = 3600 * SECOND


@dataclass(frozen=True)
class MediumOptions:
    """baud: of a serial line, 0 for Ethernet."""

    name: str
    baud: int
    quality: Quality
    delay_ns: int = 0
    jitter_ns: int = 0

    def frame_ns(self, octets: int) -> int:
        """What a frame takes on a serial line, as the daemon knows it; 0 on Ethernet."""
        return octets * 10 * SECOND // self.baud if self.baud else 0

    def __str__(self) -> str:
        what = f"{self.baud} baud" if self.baud else f"{self.delay_ns / 1e6:.3g}+{self.jitter_ns / 1e6:.3g} ms"
        return f"{self.name}: {what} {self.quality}".rstrip()


@dataclass(frozen=True)
class Options:
    """rates: of each node's clock, in parts of 2**20 too many. restart_ns: what the supervisor waits.

    script_ns: how long a script takes, at most. What happens while a life runs (what a killed agent has done, say) is
    drawn from the seed too. files: the operator's, one for each node, where not all is drawn.
    """

    seed: int
    media: tuple[MediumOptions, ...]
    keys: dict[int, tuple[str, bytes]] = field(hash=False)
    keepalive_ns: int
    deadtime_ns: int
    warntime_ns: int
    initdead_ns: int
    auto_failback: int = FAILBACK_OFF
    failback_delay_ns: int = 0
    groups: tuple[Group, ...] = ()
    rates: tuple[int, int] = (0, 0)
    boot_ns: tuple[int, int] = (0, 0)
    restart_ns: int = 100 * MILLISECOND
    script_ns: int = 0
    inner_auth: bool = True
    strong: bool = True
    reboot_on_stop_failure: bool = False
    duration_ns: int = LIFE_NS
    names: tuple[str, str] = NAMES
    files: tuple[Settings, Settings] | None = None

    @property
    def frame_octets(self) -> int:
        return status_octets(len(self.groups))

    def settings(self, index: int) -> Settings:
        """Of one node, when the life begins."""
        return self.files[index] if self.files else make_settings(self, self.names[index], self.groups)

    def describe(self) -> list[str]:
        """All that was drawn, a line for each kind."""
        times = (self.keepalive_ns, self.deadtime_ns, self.warntime_ns, self.initdead_ns, self.failback_delay_ns)
        names = ("keepalive", "deadtime", "warntime", "initdead", "failback_delay")
        groups = "; ".join(
            f"{group.preferred} {' '.join(resource.word for resource in group.resources)}" for group in self.groups
        )
        return [
            " ".join(f"{name} {value / SECOND:.4g}" for name, value in zip(names, times, strict=True))
            + f" auto_failback {FAILBACK_NAMES[self.auto_failback]}"
            + f" signed with {self.keys[min(self.keys)][0]}"
            + (" and strongly" if self.strong else ""),
            *map(str, self.media),
            f"haresources: {groups}",
            f"clocks fast by {self.rates[0] / 1.048576:.0f} and {self.rates[1] / 1.048576:.0f} ppm, "
            f"started at {self.boot_ns[0] / SECOND:.3f} and {self.boot_ns[1] / SECOND:.3f} s, "
            f"daemons start again after {self.restart_ns / SECOND:.3f} s, scripts take up to "
            f"{self.script_ns / SECOND:.3f} s, {self.duration_ns / SECOND:.0f} s of faults"
            + (", on_stop_failure reboot" if self.reboot_on_stop_failure else ""),
        ]


def make_settings(options: Options, name: str, groups: tuple[Group, ...], **changes: int) -> Settings:
    """One node's settings; `changes` are times and the like that an operator has edited."""
    values: dict[str, Any] = {
        "keepalive_ns": options.keepalive_ns,
        "deadtime_ns": options.deadtime_ns,
        "warntime_ns": options.warntime_ns,
        "initdead_ns": options.initdead_ns,
        "auto_failback": options.auto_failback,
        "failback_delay_ns": options.failback_delay_ns,
        "frame_ns": max((each.frame_ns(options.frame_octets) for each in options.media), default=0),
        **changes,
    }
    described = ";".join(f"{group.key} {group.preferred} {group.resources}" for group in groups)
    return Settings(
        node=name,
        nodes=options.names,
        uuid=name.encode().ljust(16, b"."),
        media=[medium.name for medium in options.media],
        groups=groups,
        reboot_on_stop_failure=options.reboot_on_stop_failure,
        overlapping=ADDRESS_AGENTS,
        resources_digest=f"{zlib.crc32(described.encode()):08x}",
        timing_digest=f"{zlib.crc32(str(sorted(values.items())).encode()):08x}"[:4] + "0000",
        **values,
    )


def address(number: int) -> Resource:
    word = f"IPaddr::10.0.0.{number}"
    return Resource(word, "IPaddr", (word.rpartition(":")[2],))


def script(number: int) -> Resource:
    return Resource(f"service{number}", f"service{number}", start_timeout_ns=60 * SECOND, stop_timeout_ns=30 * SECOND)


MAIL = Resource("MailTo::root", "MailTo", ("root",), notifier=True)


def draw_groups(random: Random) -> tuple[Group, ...]:
    """One to four groups: addresses, scripts among them, a notifier at the end."""
    groups = []
    for number in range(random.choice((1, 1, 2, 2, 3, 4))):
        resources = [address(10 * number + each + 1) for each in range(random.choice((1, 1, 2, 3)))]
        for each in range(random.choice((0, 0, 1, 2))):
            resources.insert(random.randrange(len(resources) + 1), script(10 * number + each))
        if random.random() < 0.5:
            resources.append(MAIL)
        groups.append(Group(resources[0].word, random.choice(NAMES), resources))
    return tuple(groups)


def draw_media(random: Random, keepalive_ns: int, frame_octets: int) -> tuple[MediumOptions, ...]:
    media = []
    for number in range(random.choice((1, 1, 2, 2, 3))):
        if random.random() < 0.5:
            # a status must leave before the next: the operator is told as much by `heartbeat check`
            fit = [baud for baud in BAUDS if frame_octets * 10 * SECOND // baud < keepalive_ns // 2]
            noise = 10 ** random.uniform(-7, -5) if random.random() < 0.5 else 0.0
            baud = random.choice(fit or BAUDS[-1:])
            media.append(MediumOptions(f"/dev/ttyS{number}", baud, Quality(noise=noise)))
        else:
            quality = Quality(
                loss=10 ** random.uniform(-5, -1.5) if random.random() < 0.6 else 0.0,
                duplicate=10 ** random.uniform(-5, -1.5) if random.random() < 0.4 else 0.0,
                reorder=10 ** random.uniform(-5, -1.5) if random.random() < 0.4 else 0.0,
                corrupt=10 ** random.uniform(-5, -2) if random.random() < 0.3 else 0.0,
            )
            delay_ns = round(10 ** random.uniform(4.5, 6.5))
            jitter_ns = min(round(10 ** random.uniform(4, 7)), keepalive_ns // 10)
            media.append(MediumOptions(f"eth{number}", 0, quality, delay_ns, jitter_ns))
    return tuple(media)


def draw(seed: int) -> Options:
    """The options of a swarm's life."""
    random = Random(f"{seed} options")
    keepalive_ns = round(10 ** random.uniform(-1, 0.7) * 1000) * MILLISECOND
    deadtime_ns = keepalive_ns * random.randrange(300, 800) // 100 // MILLISECOND * MILLISECOND
    groups = draw_groups(random)
    media = draw_media(random, keepalive_ns, 300 + 6 * len(groups))
    method = random.choice(METHODS)
    return Options(
        seed=seed,
        media=media,
        keys={1: (method, b"" if method == "crc" else b"a-secret")},
        keepalive_ns=keepalive_ns,
        deadtime_ns=deadtime_ns,
        warntime_ns=deadtime_ns * random.randrange(40, 90) // 100,
        initdead_ns=deadtime_ns * random.randrange(150, 400) // 100,
        auto_failback=random.choice((FAILBACK_OFF, FAILBACK_ON)),
        failback_delay_ns=random.choice((0, 0, deadtime_ns, 30 * SECOND)),
        groups=groups,
        rates=(random.randrange(-210, 211), random.randrange(-210, 211)),
        boot_ns=(0, random.choice((0, random.randrange(keepalive_ns), random.randrange(3 * deadtime_ns)))),
        restart_ns=random.choice((20 * MILLISECOND, 100 * MILLISECOND, SECOND, 5 * SECOND)),
        script_ns=round(10 ** random.uniform(-2, 0.7) * 1000) * MILLISECOND,
        inner_auth=random.random() < 0.7,
        strong=random.random() < 0.7,
        reboot_on_stop_failure=random.random() < 0.1,
        duration_ns=min(LIFE_NS, LIFE_HEARTBEATS // 2 * keepalive_ns),
    )
