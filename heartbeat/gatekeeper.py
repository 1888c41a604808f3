"""The table of `heartbeat.gate` in this machine's kernel: loaded, looked after, loaded again, removed.

Rules:
* Loading takes a program (`nft`), some twenty milliseconds of it, so nothing waits for it: until it has ended, what was
  loaded before is in force.
* It is loaded at start, when the operator's files or this machine's interfaces have changed, and when somebody has
  deleted it (`nft flush ruleset`, which many a firewall's reload begins with).
* What is in force is also in RUN/lease.nft, for the next run: with the same token and slots it can go on renewing.
* A table of ours that somebody saved and loads at boot is as good as none: it is made anew.
"""

from __future__ import annotations

import itertools
import os

from heartbeat import gate
from heartbeat.core.actions import ERROR, INFO, WARN
from heartbeat.core.settings import MILLISECOND, SECOND

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

    from heartbeat.gate import Plan
    from heartbeat.loop import Loop

# A change of interfaces comes as a burst of notices.
SETTLE_NS = 10 * MILLISECOND
# Beyond that many loads in that time somebody works against us, or nft fails: the next one waits as long.
LOADS_AT_ONCE, RETRY_NS = 5, 30 * SECOND
# Groups that the files had once and the core may still hold: a reload waits until nothing moves.
FORMER_GROUPS = 4096


class Gatekeeper:
    """run(argv, done): a program, done(code, output) at its end; OSError. held(): keys of the groups that may answer
    now. on_loaded(): a table is in force in which their leases may have to be granted. on_failed(): none could be
    loaded, `trouble` says why.

    loaded: what is in force; loading: what nft is at work on."""

    def __init__(
        self, run_dir: str, loop: Loop, run: Callable[[Sequence[str], Callable[[int, str], None]], None],
        held: Callable[[], Collection[str]], on_loaded: Callable[[], None], on_failed: Callable[[], None],
    ) -> None:  # fmt: skip
        self._path = f"{run_dir}/lease.nft"
        self._loop = loop
        self._run = run
        self._held = held
        self._on_loaded = on_loaded
        self._on_failed = on_failed
        self.trouble = ""
        self._kernel = self._open()
        self._wanted: Plan | None = None
        self.loading: Plan | None = None
        self.loaded = self._recall()
        self._token = os.urandom(gate.TOKEN_OCTETS) if self.loaded is None else self.loaded.token
        self._attempts: list[tuple[Plan, Plan | None]] = []
        self._loads: list[int] = []  # the instants of the latest
        self._started = False
        self._former: dict[str, tuple[bytes, ...]] = {}
        self._said: object = None  # by the last `mark`
        self._frames: list[bytes] = []

    def _open(self) -> gate.Kernel | None:
        try:
            kernel = gate.Kernel()
        except OSError as error:
            self.trouble = f"no nftables for this process: {error.strerror}"
            return None
        self._loop.poller.add(kernel.fileno(), lambda _events: self._noticed(kernel))
        return kernel

    def _recall(self) -> Plan | None:
        """What an earlier run has loaded, if a table is still there."""
        if self._kernel is None:
            return None
        try:
            with open(self._path, encoding="utf-8", errors="replace") as file:
                said = file.read()
            return None if self._kernel.leases() is None else gate.recorded(said)
        except OSError:
            return None

    # --- what is wanted

    @property
    def in_place(self) -> bool:
        """The kernel guards the addresses, or will in a moment."""
        return self._kernel is not None and not (self.trouble and self.loaded is None)

    def configure(
        self, groups: Mapping[str, tuple[bytes, ...]], interfaces: Mapping[str, int],
        *, lease_ms: int, grant_ms: int, cut_ms: int,
    ) -> None:  # fmt: skip
        """groups: key → its addresses; interfaces: name → index, on which they are asked for. All as nft can say it."""
        slots = self._assign(groups)
        for plan in (self.loaded, self._wanted):
            self._former |= {} if plan is None else plan.addresses
        while len(self._former) > FORMER_GROUPS:
            del self._former[next(iter(self._former))]
        self._wanted = gate.Plan(
            self._token, {key: (slots[key], addresses) for key, addresses in groups.items()}, interfaces,
            lease_ms=lease_ms, grant_ms=grant_ms, cut_ms=cut_ms,
        )  # fmt: skip
        self._said = None
        if self._started:
            self._soon(SETTLE_NS)

    def _assign(self, groups: Mapping[str, tuple[bytes, ...]]) -> dict[str, int]:
        """A slot for each. What runs in the kernel goes on: a group keeps its slot, and a new one that has an address
        of one that went (its first resource was exchanged) inherits that one's."""
        known: dict[str, int] = {}
        went: dict[bytes, int] = {}
        for plan in (self.loaded, self.loading, self._wanted):
            for key, (slot, addresses) in ({} if plan is None else plan.groups).items():
                known[key] = slot
                went |= {} if key in groups else dict.fromkeys(addresses, slot)
        slots = {key: known[key] for key in groups if key in known}
        taken = {*known.values()}
        for key, addresses in groups.items():
            if key not in slots:
                inherited = [went[each] for each in addresses if each in went and went[each] not in slots.values()]
                unused = (slot for slot in itertools.count() if slot not in taken)
                slots[key] = inherited[0] if inherited else next(unused)
                taken.add(slots[key])
        return slots

    def _slots(self, keys: Iterable[str]) -> set[int]:
        """Of these groups. The core may hold on to one that the operator's files have no more, until it has replanned:
        then those that have its addresses now."""
        if self._wanted is None:
            return set()
        found = set()
        for key in keys:
            if key in self._wanted.groups:
                found.add(self._wanted.groups[key][0])
            else:
                former = self._former.get(key, ())
                found |= {slot for slot, addresses in self._wanted.groups.values() if set(addresses) & set(former)}
        return found

    def start(self, delay_ns: int = 0) -> None:
        """Load the table. It may wait where an earlier run's is in force."""
        self._started = True
        if delay_ns:
            self._soon(delay_ns, self._load)
        else:
            self._load()

    def _soon(self, delay_ns: int, what: Callable[[], None] | None = None) -> None:
        callback = what or self._catch_up
        self._loop.schedule.at(self._loop.now() + delay_ns, "gatekeeper", lambda _now: callback())

    def _catch_up(self) -> None:
        if not self._is_wanted(self.loaded):
            self._load()

    def _is_wanted(self, plan: Plan | None) -> bool:
        return plan is not None and self._wanted == plan.watching(egress=True)

    # --- loading

    def _load(self) -> None:
        plan, now = self._wanted, self._loop.now()
        if self.loading is not None or plan is None or self._kernel is None:
            return  # the end of the load looks again
        if not plan.groups and self.loaded is None:
            return  # nothing to guard
        self._loads = [instant for instant in self._loads if now - instant < RETRY_NS]
        if len(self._loads) >= LOADS_AT_ONCE:
            self._soon(RETRY_NS, self._load)
            return
        self._loads.append(now)
        # old kernels have no egress; what should be there of ours may not be, and then all is made anew
        self._attempts = [(plan, None), (plan.watching(egress=False), None)]
        if self.loaded is not None:
            self._attempts.insert(0, (plan, self.loaded))
        self._attempt()

    def _attempt(self) -> None:
        plan, loaded = self._attempts.pop(0)
        program = next((path for path in gate.NFT if os.access(path, os.X_OK)), None)
        if program is None:
            self._failed("no program nft")
            return
        self.loading = plan
        if loaded is not None:
            # while there is still a rule for it: a slot that nobody has may be another group's one day
            self._send(dict.fromkeys(set(loaded.slots.values()) - set(plan.slots.values()), gate.REVOKE))
        try:
            _write(self._path, gate.text(plan, loaded, self._slots(self._held())))
            self._run([program, "-f", self._path], self._ended)
        except OSError as error:
            self._failed(f"{self._path}: {error.strerror}")

    def _ended(self, code: int, _output: str) -> None:
        # what nft writes about an error quotes the line, and a line has the token: it is not for the log
        plan, self.loading = self.loading, None
        if code and self._attempts:
            self._attempt()
        elif code or plan is None:
            self._failed(f"nft refuses it with exit code {code}; `nft -c -f {self._path}` says why")
        else:
            self._succeeded(plan)

    def _succeeded(self, plan: Plan) -> None:
        if self.loaded is None or self.trouble:
            interfaces = " ".join(plan.interfaces) or "no interface"
            self._loop.log.write(INFO, f"leases: {len(plan.groups)} groups guarded on {interfaces}")
        self.loaded = plan
        self.trouble = ""
        self._on_loaded()
        if not self._is_wanted(plan):
            self._soon(SETTLE_NS)

    def _failed(self, why: str) -> None:
        self.loading = None
        self._attempts = []
        if why != self.trouble:
            self._loop.log.write(WARN, f"leases: the table cannot be loaded: {why}")
        self.trouble = why
        self._on_failed()
        self._soon(RETRY_NS, self._load)

    def _noticed(self, kernel: gate.Kernel) -> None:
        """Somebody has changed the rules of this machine; perhaps he has flushed all of them."""
        if not kernel.table_gone() or self.loaded is None:
            return
        try:
            if kernel.leases() is not None:
                return  # and made anew, as we do it ourselves
        except OSError:
            return
        self._loop.log.write(WARN, f"leases: somebody deleted the table {gate.TABLE}: loading it again")
        self.loaded = None
        self._load()

    # --- leases

    def mark(self, keys: Iterable[str], what: int) -> None:
        """gate.RENEW, GRANT or CUT for the leases of these groups; a group without one is passed over."""
        self._send_frames(self._prepared(keys, what))

    def renewal(self, keys: Iterable[str]) -> tuple[int, list[bytes]]:
        """The socket and the frames with which `mark` renews them."""
        return (-1, []) if self._kernel is None else (self._kernel.outlet(), self._prepared(keys, gate.RENEW))

    def _prepared(self, keys: Iterable[str], what: int) -> list[bytes]:
        # most often it is what the last one said: a renewal with each sign of life
        said = tuple(keys), what, self.loaded, self._wanted
        if said != self._said:
            self._said = said
            self._frames = self._frames_of(dict.fromkeys(self._slots(said[0]), what))
        return self._frames

    def end(self, keys: Iterable[str], keeping: Iterable[str]) -> None:
        """End the leases of `keys`, but for what these share with `keeping`."""
        self._send(dict.fromkeys(self._slots(keys) - self._slots(keeping), gate.REVOKE))

    def end_all_but(self, keeping: Iterable[str]) -> None:
        if self.loaded is not None:
            self._send(dict.fromkeys({*self.loaded.slots.values()} - self._slots(keeping), gate.REVOKE))

    def _send(self, wanted: Mapping[int, int]) -> None:
        self._send_frames(self._frames_of(wanted))

    def _frames_of(self, wanted: Mapping[int, int]) -> list[bytes]:
        return gate.frames(self.loaded.token, wanted) if self.loaded is not None else []

    def _send_frames(self, frames: Sequence[bytes]) -> None:
        if self._kernel is None:
            return
        try:
            for frame in frames:
                self._kernel.send(frame)
        except OSError as error:
            text = f"leases: nothing can be sent on lo ({error.strerror}): the addresses fall silent"
            self._loop.log.write(ERROR, text, cause="leases lo", burst=1)

    def running(self) -> set[str]:
        """The groups whose lease runs, as the kernel says."""
        if self._kernel is None or self.loaded is None:
            return set()
        try:
            left = self._kernel.leases() or {}
        except OSError:
            return set()
        return {key for key, slot in self.loaded.slots.items() if slot in left}

    def close(self, *, clean: bool) -> None:
        """clean: nothing is held any more, and nothing of ours stays."""
        self._loop.schedule.cancel("gatekeeper")
        if self._kernel is None:
            return
        self._loop.poller.remove(self._kernel.fileno())
        if clean:
            try:
                self._kernel.delete_table()
                os.unlink(self._path)
            except OSError:
                pass  # it was never loaded
        self._kernel.close()
        self._kernel = None


def _write(path: str, content: str) -> None:
    """Whole, and for its owner alone: it holds the token. OSError."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(f"{path}.new", flags, 0o600)
    try:
        os.fchmod(descriptor, 0o600)
        with open(descriptor, "w", encoding="utf-8", closefd=False) as file:
            file.write(content)
    finally:
        os.close(descriptor)
    os.rename(f"{path}.new", path)
