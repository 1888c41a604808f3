"""The leases of one machine, as its kernel counts them, and the daemon's part: granting, renewing, letting go.

It follows the daemon's rules. A status that a medium took renews what is held, and any status does where the node is
alone; a renewal revives nothing. A grant is good for a keepalive less, because it comes between two signs of life.
With the last sign older than a lease nothing is granted or renewed, but told to the core; and until it is told,
nothing that it says is of now.
"""

from __future__ import annotations

from heartbeat.core.settings import LEASE_MARGIN_LEAST_NS, MILLISECOND
from heartbeat.sim.medium import NEVER

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from heartbeat.core.settings import Settings
    from heartbeat.sim.world import World

# The kernel counts leases in ticks: one ends up to a tick after its time.
TICK_NS = 4 * MILLISECOND
GUARD_NS = max(LEASE_MARGIN_LEAST_NS, 2 * TICK_NS)
# from the decision to go on with an earlier run's leases to the first heartbeat
ADOPTION_NS = 15 * MILLISECOND


class Sign:
    """What is kept of the last sign of life and of the generation, for the next run; a power failure and a clean stop
    clear it."""

    __slots__ = ("alone", "at", "generation")

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        self.at = -NEVER
        self.alone = False
        self.generation = 0


class KernelLeases:
    """One lease a group. Those that the last sign of life has renewed end together, `length_ns` after it; one that was
    granted since has an end of its own, and so has one that was cut: its group begins to be the other node's."""

    __slots__ = ("_cut", "_own", "_shared", "_sign", "length_ns")

    def __init__(self, sign: Sign) -> None:
        self.length_ns = 0
        self._sign = sign
        self._shared: frozenset[str] = frozenset()
        self._own: dict[str, int] = {}
        self._cut: set[str] = set()

    def end_of(self, key: str) -> int:
        return self._sign.at + self.length_ns if key in self._shared else self._own.get(key, -NEVER)

    def running(self, keys: Iterable[str], now: int) -> list[str]:
        return [key for key in keys if self.end_of(key) > now]

    def grant(self, keys: Iterable[str], end: int) -> None:
        """They run from now on, whether they ran or not."""
        for key in keys:
            self._shared -= {key}
            self._own[key] = end
            self._cut.discard(key)

    def cut(self, keys: Iterable[str], end: int) -> None:
        """They run no longer than that."""
        for key in keys:
            self._own[key] = min(self.end_of(key), end)
            self._shared -= {key}
            self._cut.add(key)

    def is_cut(self, key: str) -> bool:
        return key in self._cut

    def share(self, keys: Iterable[str], length_ns: int) -> None:
        """These run, and the sign of life of this instant has renewed them, as the following will."""
        self._shared = frozenset(keys)
        self.length_ns = length_ns
        for key in self._shared:
            self._own.pop(key, None)

    def drop(self, keys: Iterable[str]) -> None:
        """They end at once."""
        self._shared -= frozenset(keys)
        for key in keys:
            self._own.pop(key, None)
            self._cut.discard(key)

    def detach(self) -> None:
        """No sign of life renews anything any more."""
        for key in self._shared:
            self._own[key] = self._sign.at + self.length_ns
        self._shared = frozenset()

    def clear(self) -> None:
        self._shared = frozenset()
        self._own.clear()
        self._cut.clear()


class Lease:
    """The daemon's part, of one run. What returns a bool returns True where it has lapsed: the core is to be told.

    calm: a sign of life that comes within patience_ns of the last one, and is no older itself, does nothing but set
    `sign.at`; so the driver does that without asking.
    """

    __slots__ = (
        "_cut", "_cut_ns", "_grant_ns", "_granted", "_kernel", "_lapsed", "_length_ns", "_signed", "_slack_ns",
        "_world", "alone", "calm", "patience_ns", "sign",
    )  # fmt: skip

    def __init__(self, world: World, kernel: KernelLeases, sign: Sign) -> None:
        self.sign = sign
        self.alone = False
        self.calm = False
        self.patience_ns = 0
        self._world = world
        self._kernel = kernel
        self._signed = False  # this run has given a sign of life, or has taken over the last one's
        self._granted: dict[str, None] = {}
        self._cut: set[str] = set()
        self._lapsed = False  # and the core does not know it yet
        self._length_ns = self._grant_ns = self._slack_ns = self._cut_ns = 0

    def configure(self, settings: Settings, rate: int, unity: int) -> None:
        """rate: of this node's clock, of which `unity` is exact."""
        self._length_ns = settings.lease_ns * unity // rate + TICK_NS
        self._grant_ns = settings.grant_ns * unity // rate + TICK_NS
        self.patience_ns = (settings.lease_ns - GUARD_NS) * unity // rate
        self._slack_ns = settings.lease_slack_ns
        self._cut_ns = settings.overlap_ns * unity // rate + TICK_NS
        self.calm = False  # the next sign of life is the first of the new length
        self._kernel.detach()

    # --- after a crash

    def overdue(self) -> bool:
        """An earlier run's last sign of life is too long ago to go on from it."""
        return self._world.now - self.sign.at > self.patience_ns - ADOPTION_NS

    def survivors(self, keys: Iterable[str]) -> set[str]:
        """Which of an earlier run's groups may be renewed as if it had not ended."""
        return set() if self.overdue() else set(self._kernel.running(keys, self._world.now))

    def adopt(self, keys: Iterable[str]) -> None:
        """These survivors are renewed from now on; what else an earlier run was granted ends."""
        self._granted = dict.fromkeys(keys)
        self._signed = bool(self._granted)
        kept = {key: self._kernel.end_of(key) for key in self._granted}
        self._kernel.clear()
        for key, end in kept.items():
            self._kernel.grant((key,), end)

    # --- while it runs

    def hold(self, keys: tuple[str, ...], instant: int, *, alone: bool, ending: tuple[str, ...] = ()) -> bool:
        """What the core wants held. instant: when it decided that. ending: of what is held, what is to run out soon."""
        if not alone:
            self.sign.alone = False  # the next run must not think so before the next sign of life either
        self.alone = alone
        self.calm = False
        cut = [key for key in ending if key in self._granted]
        ended = [key for key in (*self._granted, *self._cut) if key not in keys and key not in ending]
        for key in (*ended, *cut):
            self._granted.pop(key, None)
        self._cut = {key for key in (*self._cut, *cut) if key in ending}
        self._kernel.drop(ended)
        self._kernel.cut(cut, self._world.now + self._cut_ns)
        fresh = [key for key in keys if key not in self._granted]
        if not fresh or self._lapsed:
            return False
        now = self._world.now
        since = min(self.sign.at, instant) if self._signed and not alone else instant
        if now - since > self.patience_ns:
            return self._lapse()
        self._granted |= dict.fromkeys(fresh)
        if alone or not self._signed or now - self.sign.at <= self._length_ns - self._grant_ns + self._slack_ns:
            self._kernel.grant(fresh, now + self._grant_ns)
        return False

    def beat(self, instant: int, *, taken: bool) -> bool:
        """A status was sent. taken: by a medium at least; instant: when the core decided to send it."""
        now = self._world.now
        signed = taken or self.alone
        late = self._signed and now - self.sign.at > self.patience_ns
        lapsed = bool(self._granted) and ((late and not self.alone) or now - instant > self.patience_ns)
        if lapsed:
            self._lapse()
        # what was granted lately is granted once more, which revives; what was adopted is renewed, which does not
        running = list(self._granted) if self.alone or not late else []
        if signed:
            self._kernel.detach()
            self.sign.at = now
            self.sign.alone = self.alone
            self._signed = True
            self._kernel.share(running, self._length_ns)
            self.calm = True
        return lapsed

    def told(self) -> None:
        """The core is told now that it has lapsed."""
        self._lapsed = False

    def _lapse(self) -> bool:
        self._lapsed = True
        self._kernel.drop([*self._granted, *self._cut])
        self._granted = {}
        self._cut = set()
        return True
