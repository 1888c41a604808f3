"""The leases of this node's groups: granted, renewed with each sign of life, given up.

While the lease of a group runs, this machine answers for the group's addresses; when it has run out, the kernel drops
what asks for them (`heartbeat.gate`), whatever has become of this process. So a node that is killed, stopped or
starved has fallen silent before its peer's patience ends.

Rules:
* A lease is counted from the sign of life that earned it: the clock is read before a status is sent, and nothing is
  renewed if much time has passed since. The renewal itself cannot revive a lease that has run out meanwhile: the kernel
  looks.
* A grant comes between two signs of life, so it is good for one keepalive less than a renewal.
* The clock is looked at again behind each of them: what came too late, because this process was stopped just there, is
  taken back.
* With the last sign older than a lease nothing is granted or renewed, but told to the core (LeaseLapsed). Only a new
  `hold` grants then, which is not one from before the core was told. A node that is alone has nobody to be too late
  for.
* A lease is cut when the other node is to begin to answer, as agreed: it runs for `overlap_ns` more at most and is
  renewed no more. Only a new `hold` grants it again.
* A frame on loopback is lost when a flood has filled the processor's queue. A lost renewal is mended by the next one; a
  grant is repeated with the next two signs of life.

How it is enforced, `backend`:
    nftables   the kernel drops what is for the addresses of a group without lease
    valid_lft  without nftables, from LIFETIME_DEADTIME_NS up: the addresses are given to the kernel for whole seconds,
               again and again; left alone it removes them
    none       neither: the addresses of a daemon that is killed go on answering
"""

from __future__ import annotations

import time

from heartbeat import gate
from heartbeat.core.events import LeaseLapsed
from heartbeat.core.settings import LEASE_MARGIN_LEAST_NS, MILLISECOND, SECOND
from heartbeat.gatekeeper import Gatekeeper

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
    from typing import Any

    from _hbfast.codec import Watch
    from heartbeat.core.settings import Settings
    from heartbeat.held import LastSign
    from heartbeat.loop import Loop

NFTABLES, VALID_LFT, NONE = "nftables", "valid_lft", "none"

_CLOCK_MONOTONIC_COARSE = 6  # linux/time.h

# The kernel ends an address's life on whole seconds, up to a tenth early, and not at the instant.
LIFETIME_DEADTIME_NS = 3 * SECOND
# so many renewals of an address within its lifetime
EXTENSIONS = 4
REPEATED_GRANTS = 2
# From the decision to go on with an earlier run's leases to the first heartbeat, which must come within them. Later it
# finds them run out, and the core asks the peer: nothing worse.
ADOPTION_NS = 20 * MILLISECOND


def jiffy_ns() -> int:
    """The kernel's tick, in which it counts leases: 4 ms mostly, 10 ms at the slowest."""
    return round(time.clock_getres(_CLOCK_MONOTONIC_COARSE) * SECOND)


class Lease:
    """run: as Gatekeeper's. extend(keys, seconds): give the addresses of these groups to the kernel for so long. sign:
    where the last sign of life is kept for the next run."""

    def __init__(
        self, run_dir: str, loop: Loop, sign: LastSign,
        run: Callable[[Sequence[str], Callable[[int, str], None]], None],
        extend: Callable[[Iterable[str], int], None],
    ) -> None:  # fmt: skip
        self._loop = loop
        self._sign = sign
        self._extend = extend
        self._guard_ns = max(LEASE_MARGIN_LEAST_NS, 2 * jiffy_ns())
        self._lease_ns = self._grant_ns = self._deadtime_ns = self._slack_ns = MILLISECOND
        self._patience_ns = MILLISECOND  # a lease, as it was when the last sign of life was given
        self._unnamed: list[str] = []
        self._gate = Gatekeeper(run_dir, loop, run, self._enduring, self._table_loaded, self._table_failed)
        self._alone = False
        self._granted: dict[str, int] = {}  # key → how often the grant is still to be repeated
        self._cut: set[str] = set()
        self._lapsed = False  # and the core does not know it yet
        self._sign_ns: int | None = None
        self._extended_ns = 0

    def configure(
        self, settings: Settings, groups: Mapping[str, tuple[bytes, ...]], interfaces: Mapping[str, int]
    ) -> None:
        """groups: key → addresses on interfaces that are known; interfaces: name → index."""
        lease_ns = self._lease_ns = settings.lease_ns
        self._deadtime_ns = settings.deadtime_ns
        self._grant_ns = settings.grant_ns
        self._slack_ns = settings.lease_slack_ns
        self._unnamed = [name for name in interfaces if not gate.may_be_named(name)]
        self._gate.configure(
            {key: addresses for key, addresses in groups.items() if addresses},
            {name: index for name, index in interfaces.items() if name not in self._unnamed},
            lease_ms=max(lease_ns // MILLISECOND, 1),
            grant_ms=max(self._grant_ns // MILLISECOND, 1),
            cut_ms=max(settings.overlap_ns // MILLISECOND, 1),
        )

    def start(self, delay_ns: int = 0) -> None:
        self._gate.start(delay_ns)

    # --- what is enforced, and how

    @property
    def in_force(self) -> bool:
        return self._gate.loaded is not None

    @property
    def loading(self) -> bool:
        return self._gate.loading is not None

    @property
    def backend(self) -> str:
        if self._gate.in_place:
            return NFTABLES
        return VALID_LFT if self._deadtime_ns >= LIFETIME_DEADTIME_NS else NONE

    @property
    def lifetime_s(self) -> int:
        """For how long an address is given to the kernel; 0: for good."""
        return self._lease_ns // SECOND if self.backend == VALID_LFT else 0

    def _enduring(self) -> Collection[str]:
        """What may answer for some more milliseconds without another sign of life."""
        return self._granted if self._may_grant(self._loop.now()) else ()

    def _table_loaded(self) -> None:
        """What is held is granted now if the last sign still allows it, and in any case with the next."""
        self._granted = dict.fromkeys(self._granted, REPEATED_GRANTS)
        now = self._loop.now()
        if self._may_grant(now):
            self._grant(self._granted, now)
        self._extend(list(self._granted), 0)

    def _table_failed(self) -> None:
        if self.lifetime_s:
            self._extend(list(self._granted), self.lifetime_s)

    # --- leases

    def overdue(self) -> bool:
        """An earlier run's last sign of life is too long ago to go on from it."""
        last_ns = self._sign.last_ns
        return last_ns is None or self._loop.now() - last_ns > self._lease_ns - self._guard_ns - ADOPTION_NS

    def survivors(self, keys: Iterable[str]) -> set[str]:
        """Which of these groups of an earlier run may be renewed as if it had not ended. Where no table is in force the
        clock alone says so: the peer has been patient for less than its deadtime."""
        if self.overdue():
            return set()
        loaded, running = self._gate.loaded, self.running()
        return {key for key in keys if loaded is None or key not in loaded.groups or key in running}

    def adopt(self, keys: Iterable[str]) -> None:
        """These survivors are held: renewed from now on, not granted. What else an earlier run has granted ends."""
        self._granted = dict.fromkeys(keys, 0)
        if self._granted:
            self._sign_ns = self._sign.last_ns
            self._patience_ns = self._lease_ns
        self._gate.end_all_but(self._granted)

    @property
    def current(self) -> bool:
        """The last sign of life, if any, still keeps what is held."""
        return self._alone or self._sign_ns is None or self._loop.now() - self._sign_ns <= self._lease_ns

    def hold(self, keys: Sequence[str], *, alone: bool, instant: int, ending: Sequence[str] = ()) -> None:
        """What the core wants held from now on. instant: when it decided that. ending: of what is held, what is to run
        out soon."""
        if self._alone and not alone and self._sign_ns is not None:
            # what is handed over before the next sign of life is not this node's, should it crash
            self._sign.keep(self._sign_ns, alone=False)
        self._alone = alone
        cut = self._granted.keys() & set(ending)
        ended = (self._granted.keys() | self._cut) - {*keys, *ending}
        for key in cut | ended:
            self._granted.pop(key, None)
        self._cut = (self._cut | cut) & set(ending)
        if ended:
            self._gate.end(ended, keeping=(*keys, *ending))
        if cut:
            self._shorten(cut)
        fresh = [key for key in keys if key not in self._granted]
        if not fresh or self._lapsed:
            return
        now = self._loop.now()
        if now - instant > self._lease_ns - self._guard_ns:
            self._lapse()
            return
        self._granted |= dict.fromkeys(fresh, REPEATED_GRANTS)
        if self._may_grant(now):
            self._grant(fresh, now)

    def _shorten(self, keys: Collection[str]) -> None:
        """A cut is no longer than a grant, and like one only right while the last sign of life is not old."""
        now = self._loop.now()
        if self._may_grant(now):
            self._gate.mark(keys, gate.CUT)
        if not self._may_grant(now) or (self._loop.now() - now > self._slack_ns and not self._alone):
            self._gate.end(keys, keeping=self._granted)

    def _may_grant(self, now: int) -> bool:
        """Else the next sign of life, which is due, will bring it."""
        unsigned_ns = 0 if self._alone or self._sign_ns is None else now - self._sign_ns
        return unsigned_ns <= self._lease_ns - self._grant_ns + self._slack_ns

    def beat(self, sent_ns: int, *, taken: bool, instant: int) -> None:
        """A status was sent. sent_ns: the clock before that; taken: by a medium at least; instant: as for `hold`."""
        last_ns, patience_ns = self._sign_ns, self._patience_ns
        signed = taken or self._alone
        if signed:
            self._sign_ns = sent_ns
            self._sign.keep(sent_ns, alone=self._alone)
            self._patience_ns = self._lease_ns
        if not self._granted:
            return
        late = last_ns is not None and sent_ns - last_ns > patience_ns - self._guard_ns
        now = self._loop.now()
        if (late and not self._alone) or now - instant > self._lease_ns - self._guard_ns:
            self._lapse()
        elif signed and now - sent_ns <= self._slack_ns:
            if late:
                self._granted = dict.fromkeys(self._granted, REPEATED_GRANTS)
            self._renew(sent_ns, now)

    def lend(self, watch: Watch) -> bool:
        """To one that says the same signs of life again. False: there is more to be done with the next."""
        if self._alone or self._sign_ns is None or self._cut or any(self._granted.values()):
            return False
        if self._granted and self.lifetime_s:
            return False
        watch.holds = bool(self._granted)
        watch.signed_ns = self._sign_ns
        watch.patience_ns = self._patience_ns
        watch.lease_ns = self._lease_ns
        watch.guard_ns = self._guard_ns
        watch.slack_ns = self._slack_ns
        watch.gate, watch.renewals = self._gate.renewal(self._granted)
        watch.sign, watch.sign_at = self._sign.place()
        return True

    def take_back(self, watch: Watch) -> None:
        assert self._sign_ns is not None
        self._sign_ns = watch.signed_ns
        self._patience_ns = watch.patience_ns
        if watch.refused:
            self._gate.mark(self._granted, gate.RENEW)
        if watch.lapsed:
            self._lapse()

    def _renew(self, sent_ns: int, now: int) -> None:
        repeated = [key for key, again in self._granted.items() if again]
        if repeated:
            self._granted |= {key: self._granted[key] - 1 for key in repeated}
            self._grant(repeated, now)
        self._gate.mark(self._granted, gate.RENEW)
        if self._loop.now() - sent_ns > 2 * self._slack_ns and not self._alone:
            self._lapse()
        lifetime_s = self.lifetime_s
        if lifetime_s and now - self._extended_ns >= lifetime_s * SECOND // EXTENSIONS:
            self._extended_ns = now
            self._extend(list(self._granted), lifetime_s)

    def _grant(self, keys: Iterable[str], now: int) -> None:
        """now: the clock when that was found right. It isn't any more if this process did not run since."""
        self._gate.mark(keys, gate.GRANT)
        if self._loop.now() - now > self._slack_ns and not self._alone:
            self._lapse()

    def told(self) -> None:
        """The core is told now that the leases have lapsed."""
        self._lapsed = False

    def _lapse(self) -> None:
        self._lapsed = True
        self._gate.end((*self._granted, *self._cut), keeping=())
        self._granted = {}
        self._cut = set()
        self._loop.push(LeaseLapsed())

    # --- to be asked

    def running(self) -> set[str]:
        """The groups whose lease runs, as the kernel says."""
        return self._gate.running()

    @property
    def warnings(self) -> list[str]:
        found = [f"nothing silences the addresses on {name}: nft has no word for it" for name in self._unnamed]
        if self._gate.trouble:
            weaker = {
                NFTABLES: "the addresses are guarded as before, not as they are configured now",
                VALID_LFT: "where this daemon is killed its addresses stay for seconds",
                NONE: "where this daemon is killed its addresses go on answering",
            }[self.backend]
            found.append(f"{weaker}: {self._gate.trouble}")
        return found

    def status(self) -> dict[str, Any]:
        loaded = self._gate.loaded
        running = self.running()
        return {
            "backend": self.backend,
            "length_ms": self._lease_ns / MILLISECOND,
            "interfaces": sorted(loaded.interfaces) if loaded else [],
            "groups": {key: key in running for key in (loaded.groups if loaded else ())},
        }

    def close(self, *, clean: bool) -> None:
        """clean: nothing is held any more, and nothing of ours stays."""
        self._gate.close(clean=clean)
