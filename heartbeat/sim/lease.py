"""The leases of one machine, as its kernel counts them, and the daemon's part: granting, renewing, letting go.

It follows the daemon's rules. A status that a medium took renews what is held, and any status does where the node is
alone; a renewal revives nothing. A grant is good for a keepalive less, because it comes between two signs of life.
With the last sign older than a lease nothing is granted or renewed, but told to the core.
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


class KernelLeases:
    """One lease a group. Those that a status has renewed share one end; one that was granted since has its own."""

    __slots__ = ("_own", "_shared", "end")

    def __init__(self) -> None:
        self.end = -NEVER
        self._shared: frozenset[str] = frozenset()
        self._own: dict[str, int] = {}

    def end_of(self, key: str) -> int:
        return self.end if key in self._shared else self._own.get(key, -NEVER)

    def grant(self, keys: Iterable[str], end: int) -> None:
        """They run from now on, whether they ran or not."""
        for key in keys:
            self._shared -= {key}
            self._own[key] = end

    def share(self, keys: Iterable[str], now: int, end: int) -> None:
        """A renewal of these, which are not all that share the end."""
        running = frozenset(key for key in keys if self.end_of(key) > now)
        for key in self._shared - running:
            self._own[key] = self.end
        for key in running:
            self._own.pop(key, None)
        self._shared = running
        self.end = end

    def drop(self, keys: Iterable[str]) -> None:
        """They end at once."""
        self._shared -= frozenset(keys)
        for key in keys:
            self._own.pop(key, None)

    def clear(self) -> None:
        self._shared = frozenset()
        self._own.clear()


class Sign:
    """What is kept of the last sign of life, for the next run; a power failure and a clean stop clear it."""

    __slots__ = ("alone", "at")

    def __init__(self) -> None:
        self.at: int | None = None
        self.alone = False


class Lease:
    """The daemon's part, of one run. Returns True where it has lapsed: the core is to be told."""

    __slots__ = (
        "_alone",
        "_grant_ns",
        "_granted",
        "_kernel",
        "_lease_ns",
        "_merged",
        "_patience_ns",
        "_sign",
        "_sign_at",
        "_slack_ns",
        "_world",
    )  # fmt: skip

    def __init__(self, world: World, kernel: KernelLeases, sign: Sign) -> None:
        self._world = world
        self._kernel = kernel
        self._sign = sign
        self._sign_at: int | None = None
        self._alone = False
        self._granted: dict[str, None] = {}
        self._merged = True  # all that is granted shares the kernel's one end
        self._lease_ns = self._grant_ns = self._patience_ns = self._slack_ns = 0

    def configure(self, settings: Settings, rate: int, unity: int) -> None:
        """rate: of this node's clock, of which `unity` is exact."""
        lease_ns = settings.lease_ns
        self._lease_ns = lease_ns * unity // rate + TICK_NS
        self._grant_ns = max(lease_ns - settings.keepalive_ns, lease_ns // 2) * unity // rate + TICK_NS
        self._patience_ns = (lease_ns - GUARD_NS) * unity // rate
        self._slack_ns = max(settings.deadtime_ns - lease_ns, MILLISECOND) // 2

    # --- after a crash

    def survivors(self, keys: Iterable[str]) -> set[str]:
        """Which of an earlier run's groups may be renewed as if it had not ended."""
        at, now = self._sign.at, self._world.now
        if at is None or now - at > self._patience_ns - ADOPTION_NS:
            return set()
        return {key for key in keys if self._kernel.end_of(key) > now}

    def adopt(self, keys: Iterable[str]) -> None:
        """These survivors are renewed from now on; what else an earlier run was granted ends."""
        self._granted = dict.fromkeys(keys)
        self._merged = False
        if self._granted:
            self._sign_at = self._sign.at
        kept = {key: self._kernel.end_of(key) for key in self._granted}
        self._kernel.clear()
        for key, end in kept.items():
            self._kernel.grant((key,), end)

    # --- while it runs

    def hold(self, keys: tuple[str, ...], instant: int, *, alone: bool) -> bool:
        """What the core wants held. instant: when it decided that."""
        self._alone = alone
        ended = [key for key in self._granted if key not in keys]
        for key in ended:
            del self._granted[key]
        self._kernel.drop(ended)
        fresh = [key for key in keys if key not in self._granted]
        if not fresh:
            return False
        now = self._world.now
        since = instant if alone or self._sign_at is None else min(self._sign_at, instant)
        if now - since > self._patience_ns:
            return self._lapse()
        self._granted |= dict.fromkeys(fresh)
        self._merged = False
        if alone or self._sign_at is None or now - self._sign_at <= self._lease_ns - self._grant_ns + self._slack_ns:
            self._kernel.grant(fresh, now + self._grant_ns)
        return False

    def beat(self, instant: int, *, taken: bool) -> bool:
        """A status was sent. taken: by a medium at least; instant: when the core decided to send it."""
        now, last = self._world.now, self._sign_at
        signed = taken or self._alone
        if signed:
            self._sign_at = self._sign.at = now
            self._sign.alone = self._alone
        if not self._granted:
            return False
        late = last is not None and now - last > self._patience_ns
        if (late and not self._alone) or now - instant > self._patience_ns:
            return self._lapse()
        if signed:
            self._renew(now, late=late)
        return False

    def _renew(self, now: int, *, late: bool) -> None:
        kernel = self._kernel
        if late or not self._merged:
            if not late:
                self._merged = True
            # what was granted lately is granted again; what was adopted is only renewed
            kernel.grant([key for key in self._granted if late or kernel.end_of(key) <= now], now + self._grant_ns)
            kernel.share(self._granted, now, now + self._lease_ns)
        elif kernel.end > now:
            kernel.end = now + self._lease_ns

    def _lapse(self) -> bool:
        self._kernel.drop(list(self._granted))
        self._granted = {}
        self._merged = True
        return True
