"""What of a node survives its daemon: what is up on the machine, the kernel's leases, the run directory and the disk.

A crash of the daemon leaves all of it, a power cycle only the disk.
"""

from __future__ import annotations

from heartbeat.core.settings import MILLISECOND
from heartbeat.sim.medium import NEVER
from heartbeat.sim.options import ADDRESS_AGENTS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from heartbeat.core.settings import Group, Resource

# The kernel counts leases in ticks: one ends up to a tick after its time.
TICK_NS = 4 * MILLISECOND
SNAPSHOTS = 8


class Leases:
    """The kernel's leases, one a group. The `keys` are renewed together and end together, at `end`; those that are no
    longer renewed fade, each at its own instant."""

    __slots__ = ("_fading", "end", "keys")

    def __init__(self) -> None:
        self.keys: tuple[str, ...] = ()
        self.end = -NEVER
        self._fading: dict[str, int] = {}

    def grant(self, keys: tuple[str, ...], end: int) -> None:
        """These start now; the others run out."""
        for key in self.keys:
            if key not in keys:
                self._fading[key] = self.end
        for key in keys:
            self._fading.pop(key, None)
        self.keys = keys
        self.end = end

    def end_of(self, key: str) -> int:
        return self.end if key in self.keys else self._fading.get(key, -NEVER)

    def clear(self) -> None:
        self.keys = ()
        self.end = -NEVER
        self._fading.clear()


class Disk:
    """The state directory. generation: None where the file is lost. known: what `Remember` kept. full: nothing can be
    written: a daemon doesn't start, because it can't keep its generation; one that runs goes on, and forgets."""

    __slots__ = ("_snapshots", "full", "generation", "known")

    def __init__(self) -> None:
        self.generation: int | None = None
        self.known: dict[str, tuple[int, int]] = {}
        self.full = False
        self._snapshots: list[tuple[int | None, dict[str, tuple[int, int]]]] = []

    def next_generation(self, wall_s: int) -> int | None:
        """For a daemon that starts; None where the disk is full. One more than the clock where the file is lost."""
        if self.full:
            return None
        self._snapshots = [*self._snapshots[-SNAPSHOTS:], (self.generation, dict(self.known))]
        self.generation = (wall_s if self.generation is None else self.generation) + 1
        return self.generation

    def remember(self, node: str, generation: int, sequence: int) -> None:
        if not self.full:
            self.known[node] = (generation, sequence)

    def lose(self) -> None:
        self.generation = None
        self.known = {}

    def set_back(self, starts: int) -> None:
        """To what it was so many starts ago: a backup was played back."""
        if self._snapshots:
            self.generation, known = self._snapshots[-min(starts, len(self._snapshots))]
            self.known = dict(known)


class Machine:
    """up: what is up, and for which group. held: groups that were started and not cleanly released (run directory);
    alone: the daemon last said so, with a renewal at `renewed_at`. unknown: scripts whose stop has failed."""

    __slots__ = ("alone", "disk", "held", "leases", "renewed_at", "unknown", "up")

    def __init__(self) -> None:
        self.disk = Disk()
        self.leases = Leases()
        self.up: dict[Resource, str] = {}
        self.held: dict[str, None] = {}  # a set that keeps its order
        self.alone = False
        self.renewed_at = -NEVER
        self.unknown: set[Resource] = set()

    def power_off(self) -> None:
        self.leases.clear()
        self.up.clear()
        self.held.clear()
        self.alone = False
        self.unknown.clear()

    def answers(self, resource: Resource, now: int) -> bool:
        """Does this machine answer the neighbours for an address?"""
        key = self.up.get(resource)
        return key is not None and self.leases.end_of(key) > now

    def left_behind(self, groups: Iterable[Group], now: int) -> tuple[list[str], list[str]]:
        """(adopted, leftovers), keys, for a daemon that starts: a group whose lease runs and of which everything is up
        is adopted; of another that was held, or has an address up, whatever is there is removed."""
        adopted, leftovers = [], []
        for group in groups:
            working = [resource for resource in group.resources if not resource.notifier]
            if self.leases.end_of(group.key) > now and all(resource in self.up for resource in working):
                adopted.append(group.key)
            elif group.key in self.held or any(
                resource in self.up and resource.name in ADDRESS_AGENTS for resource in working
            ):
                leftovers.append(group.key)
        return adopted, leftovers
