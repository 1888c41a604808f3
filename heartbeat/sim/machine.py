"""What of a node survives its daemon: what is up on the machine, the kernel's leases, the run directory and the disk.

A crash of the daemon leaves all of it, a power cycle only the disk.
"""

from __future__ import annotations

from heartbeat.sim.lease import KernelLeases, Sign
from heartbeat.sim.options import ADDRESS_AGENTS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from heartbeat.core.settings import Group, Resource, Settings
    from heartbeat.sim.lease import Lease

SNAPSHOTS = 8


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

    def begin(self, generation: int) -> None:
        if not self.full:
            self.generation = generation

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
    """up: what is up, and for which group. unknown: scripts whose stop has failed. begun, started: groups, and
    resources of which the daemon has seen the start succeed, as the run directory has it. ceded: of these, what begins
    to be the other node's."""

    __slots__ = ("begun", "ceded", "disk", "leases", "sign", "started", "unknown", "up")

    def __init__(self) -> None:
        self.disk = Disk()
        self.sign = Sign()
        self.leases = KernelLeases(self.sign)
        self.up: dict[Resource, str] = {}
        self.unknown: set[Resource] = set()
        self.begun: dict[str, None] = {}  # a set that keeps its order
        self.started: set[Resource] = set()
        self.ceded: set[Resource] = set()

    def next_generation(self, wall_s: int) -> int | None:
        """For a daemon that starts; None where the disk is full."""
        generation = self.disk.next_generation(wall_s)
        if generation is not None:
            self.begin(max(generation, self.sign.generation + 1))
            return self.sign.generation
        return None

    def begin(self, generation: int) -> None:
        self.disk.begin(generation)
        self.sign.generation = generation

    def power_off(self) -> None:
        self.leases.clear()
        self.up.clear()
        self.unknown.clear()
        self.stopped()

    def stopped(self) -> None:
        """A clean end: the run directory is empty."""
        self.leases.detach()
        self.sign.clear()
        self.begun.clear()
        self.started.clear()
        self.ceded.clear()

    def keep(self, keys: tuple[str, ...], ending: tuple[str, ...]) -> None:
        """What a daemon that starts may adopt of these: all of it, or nothing, because it begins to be the other's."""
        for resource, key in self.up.items():
            if key in ending and resource in self.started:
                self.started.discard(resource)
                self.ceded.add(resource)
            elif key in keys and resource in self.ceded:
                self.started.add(resource)
                self.ceded.discard(resource)

    def answers(self, resource: Resource, now: int) -> bool:
        """Does this machine answer the neighbours for an address?"""
        key = self.up.get(resource)
        return key is not None and self.leases.end_of(key) > now

    def inherit(self, settings: Settings, lease: Lease, now: int) -> tuple[list[str], list[str], bool]:
        """(adopted, leftovers, peer_dead), for a daemon that starts, as the daemon's executor finds it."""
        sign = self.sign
        peer_dead = sign.alone and now - sign.at < settings.alone_ns
        surviving = lease.survivors(self.begun)
        candidates = set(self.begun) if peer_dead else surviving
        adopted = [group.key for group in settings.groups if group.key in candidates and self._whole(group)]
        lease.adopt([key for key in adopted if key in surviving])
        leftovers = [
            group.key
            for group in settings.groups
            if group.key not in adopted and (group.key in self.begun or any(map(self._address_up, group.resources)))
        ]
        return adopted, leftovers, peer_dead

    def _whole(self, group: Group) -> bool:
        working = [resource for resource in group.resources if not resource.notifier]
        return all(resource in self.started and resource in self.up for resource in working)

    def _address_up(self, resource: Resource) -> bool:
        return resource.name in ADDRESS_AGENTS and resource in self.up
