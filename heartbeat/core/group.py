"""One resource group: its order, its time-outs, and giving up.

Resources start left to right and stop right to left, one agent at a time; a notifier is told and not waited for. Of
addresses that follow each other so many are started, or stopped, AT_ONCE. The machine moves towards what is wanted:
`want(True)`, `want(False)`, or a new plan from a reload, of which it starts and stops only what differs. A start that
fails or takes too long stops what is up and ends in FAILED; a stop that fails is noted and the release goes on.

    STOPPED ──► STARTING ──► HELD ──► STOPPING ──► STOPPED
                    └────────► STOPPING ──► FAILED
"""

from __future__ import annotations

from heartbeat.core import bulletin
from heartbeat.core.actions import ANNOUNCE, CRIT, ERROR, INFO, REDIRECT, START, STOP, WARN, KillAgent, Reboot
from heartbeat.core.machine import Machine
from heartbeat.core.settings import SECOND

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from heartbeat.core.outbox import Outbox
    from heartbeat.core.settings import Group, Resource, Settings
    from heartbeat.core.timers import Timers

STOPPED, STARTING, HELD, STOPPING, FAILED = range(5)

# shared: not at all; the other node starts it, and then it goes from here; this node starts it, and then it goes there
NOT, CEDED, MADE = range(3)

# So many addresses in one run: it is over within some ten milliseconds, and then anything may be decided anew.
AT_ONCE = 256
# what looks wrong must look so in this many of the peer's statuses in a row
PATIENCE = 2
# a start that is still running when the group must go gets this long to end by itself
RELEASE_GRACE_NS = 5 * SECOND
FAILURE_MEMORY_NS = 600 * SECOND
RETRY_FIRST_NS, RETRY_MOST_NS = 5 * SECOND, 300 * SECOND


class GroupMachine(Machine):
    """claimed: this node alone may start it. up: what has been started and not yet stopped, in order of start. shared:
    for a moment both nodes claim it, as agreed (overlap.py)."""

    NAMES = ("stopped", "starting", "held", "stopping", "failed")
    ALLOWED = {
        (STOPPED, STARTING): "wanted: its first resource is started",
        (STOPPED, STOPPING): "leftovers of a dead run are removed",
        (STOPPED, HELD): "a dead run has it up, and its leases still run",
        (STARTING, HELD): "the last resource is up",
        (STARTING, STOPPING): "a start failed, or the group is no longer wanted",
        (STARTING, STOPPED): "no longer wanted, and nothing is up",
        (HELD, STARTING): "a reload adds or removes a resource",
        (HELD, STOPPING): "no longer wanted: its last resource is stopped",
        (HELD, STOPPED): "a reload moved all it has to other groups",
        (STOPPING, STOPPED): "the first resource is down",
        (STOPPING, FAILED): "what a failed start left is down",
        (STOPPING, STARTING): "wanted again, and the stop that was running has ended",
        (FAILED, STARTING): "tried again",
        (FAILED, STOPPED): "no longer wanted, or handed over",
    }

    __slots__ = (
        "_failing", "_in_order", "_on_change", "_on_retry", "_outbox", "_policy", "_quiet", "_run", "_running",
        "_runs", "_timer", "_timers", "_verb", "announced", "claimed", "contested_at", "failed_at", "failures",
        "offered", "orphaned", "retry_timer", "settings", "shared", "up", "wanted",
    )  # fmt: skip

    def __init__(
        self,
        settings: Group,
        policy: Settings,
        outbox: Outbox,
        timers: Timers,
        on_change: Callable[[GroupMachine], None],
        on_retry: Callable[[GroupMachine], None],
        runs: dict[int, GroupMachine],
    ) -> None:
        """runs: all that are under way, by number."""
        super().__init__(STOPPED)
        self.settings = settings
        self.claimed = False
        self.wanted = False
        self.shared = NOT
        self.up: list[Resource] = []
        self.failed_at: int | None = None
        self.failures = 0
        self.offered = False  # to the peer, since the last failure (resources.py)
        self.orphaned = 0  # the peer's consecutive statuses in which nobody claimed it (healing.py)
        # in a conflict with the peer (healing.py): told the neighbours again; since when it waits for the peer to
        self.announced = False
        self.contested_at: int | None = None
        self._policy = policy
        self._outbox = outbox
        self._timers = timers
        self._on_change = on_change
        self._timer = timers.new(self._too_long)
        self.retry_timer = timers.new(self._retry_due)
        self._on_retry = on_retry
        self._run = 0
        self._running: tuple[Resource, ...] = ()
        self._runs = runs
        self._verb = ""
        self._failing = False
        self._quiet = False
        self._look_at_order()

    # --- what is wanted

    def want(self, wanted: bool) -> None:
        self.wanted = wanted
        self._timers.disarm(self.retry_timer)
        if self._run:
            if not wanted and self._verb == START:
                self._timers.arm(self._timer, self._outbox.now + RELEASE_GRACE_NS // self._policy.divisor)
            return
        self._step()

    def clean(self) -> None:
        """A dead run may have left anything of this group up: stop all of it, and mail nobody."""
        self.up = [resource for resource in self.settings.resources if not resource.notifier]
        self._look_at_order()
        self._outbox.note(WARN, f"{self.settings.key}: removing what an earlier run left")
        self._quiet = True
        self._step()

    def _retry_due(self, now: int) -> None:
        self._on_retry(self)

    def adopt(self) -> None:
        """A dead run has it up, and its leases still run: all of it is ours as it is, and nobody is mailed."""
        self.up = list(self.settings.resources)
        self._look_at_order()
        self.claimed = True
        self.wanted = True
        self.enter(HELD)
        self._outbox.note(WARN, f"{self.settings.key}: taken over from an earlier run as it is")

    def replan(self, settings: Group, policy: Settings) -> None:
        """The operator's files have changed. Call `resume` when all groups are replanned."""
        self.settings = settings
        self._policy = policy
        self._look_at_order()

    def resume(self) -> None:
        if not self._run and (self.wanted or self.up):
            self._step()

    def announce(self) -> None:
        """Tell the neighbours again who holds the group's addresses."""
        self._tell(ANNOUNCE)

    def redirect(self) -> None:
        """Tell the neighbours who else answers for the group's addresses: this node is letting go, and the other, who
        has them, doesn't know that anybody was misled."""
        self._tell(REDIRECT)

    def _tell(self, verb: str) -> None:
        resources = tuple(self.up)
        at = 0
        while at < len(resources):
            together = self._together(resources[at : at + AT_ONCE])
            at += len(together)
            if not together[0].notifier:
                self._outbox.run(self.settings.key, together, verb, answered=False)

    def failed_recently(self, now: int) -> bool:
        return self.failed_at is not None and now - self.failed_at < FAILURE_MEMORY_NS // self._policy.divisor

    def letter(self, now: int, *, lapsed: bool) -> str:
        """The group's state in the bulletin."""
        if self.claimed:
            if lapsed:
                return bulletin.LAPSED
            return bulletin.KEPT if self.announced and self.state == HELD else "fshpf"[self.state]
        if self.state in (STOPPING, STARTING):
            return "p"
        return "x" if self.failed_recently(now) else "-"

    def nobodys(self, seems: bool) -> bool:
        """One more status of the peer, in which nobody seems to claim it: has it looked so for long enough?"""
        self.orphaned = self.orphaned + 1 if seems and not self.claimed and not self.moving else 0
        return self.orphaned > PATIENCE

    @property
    def moving(self) -> bool:
        return self.state in (STARTING, STOPPING)

    def retire(self) -> None:
        """Give the timers back: a reload removed the group, and it is down."""
        self._timers.free(self._timer)
        self._timers.free(self.retry_timer)

    # --- one agent after the other

    def _look_at_order(self) -> None:
        """Is what is up the beginning of the file's list? Then what comes next needs no search, and a thousand
        addresses no million of comparisons."""
        resources = self.settings.resources
        beginning = list(resources[: len(self.up)])
        self._in_order = self.up == beginning and len(set(resources)) == len(resources)

    def _together(self, resources: Sequence[Resource]) -> tuple[Resource, ...]:
        """Of these, which are one after the other, those that one run is for: the first, and the addresses that follow
        an address."""
        count = 0
        while count < len(resources) and resources[count].name in self._policy.overlapping:
            count += 1
        return tuple(resources[: count or 1])

    def _next(self) -> tuple[str, tuple[Resource, ...]] | None:
        resources, up = self.settings.resources, self.up
        plan = resources if self.wanted and not self._failing else ()
        if self._in_order:
            if not plan:
                return (STOP, self._together(up[: -AT_ONCE - 1 : -1])) if up else None
            count = len(up)
            return (START, self._together(plan[count : count + AT_ONCE])) if count < len(plan) else None
        for resource in reversed(self.up):
            if resource not in self.settings.resources:
                return STOP, (resource,)
        for resource in reversed(self.settings.resources):
            if resource in self.up and resource not in plan:
                return STOP, (resource,)
        for resource in plan:
            if resource not in self.up:
                return START, (resource,)
        return None

    def _step(self) -> None:
        while (step := self._next()) is not None:
            going = STARTING if self.wanted and not self._failing else STOPPING
            if self.state != going:
                self.enter(going)
                self._on_change(self)
            verb, resources = step
            if verb == START:
                self.up += resources
            if resources[0].notifier:
                self._outbox.run(self.settings.key, resources, verb, answered=False)
                if verb == STOP:
                    self._down(resources[0])
                continue
            self._begin(verb, resources)
            return
        self._arrive()

    def _down(self, resource: Resource) -> None:
        if self.up[-1] is resource:
            self.up.pop()
        else:
            self.up.remove(resource)
        if not self._in_order:
            self._look_at_order()

    def _begin(self, verb: str, resources: tuple[Resource, ...]) -> None:
        self._verb = verb
        self._running = resources
        self._run = self._outbox.run(self.settings.key, resources, verb)
        self._runs[self._run] = self
        limits_ns = [each.start_timeout_ns if verb == START else each.stop_timeout_ns for each in resources]
        self._timers.arm(self._timer, self._outbox.now + max(limits_ns))

    def exited(self, code: int, detail: str, word: str) -> None:
        """AgentExited, of the run that is under way."""
        why = f"{word or self._running_words()}: {self._verb} failed ({detail or f'exit code {code}'})"
        resources, self._running = self._running, ()
        self._timers.disarm(self._timer)
        self._run = 0
        if self._verb == STOP:
            for resource in resources:
                self._down(resource)
            if code:
                self._outbox.note(ERROR, f"{why}; the release goes on")
                if self._policy.reboot_on_stop_failure:
                    self._outbox.put(Reboot(why))
        elif code and self.wanted:
            self._outbox.note(CRIT, f"{why}; giving up {self.settings.key}")
            self._failing = True
        self._step()

    def _running_words(self) -> str:
        words = [resource.word for resource in self._running]
        return words[0] if len(words) == 1 else f"{words[0]} to {words[-1]}"

    def _too_long(self, now: int) -> None:
        if self._run:
            self._outbox.note(ERROR, f"{self._running_words()}: {self._verb} takes too long, killed")
            self._outbox.put(KillAgent(self._run))

    def _arrive(self) -> None:
        quiet, self._quiet = self._quiet, False
        if self._failing:
            self._failing = False
            self.wanted = False
            self.failed_at = self._outbox.now
            self.failures += 1
            self.offered = False
            self.enter(FAILED)
        elif self.wanted:
            if self.state == HELD:
                return
            if self.state == STOPPED:
                self.enter(STARTING)  # a group of no resources
            self.failures = 0
            self.failed_at = None
            self.enter(HELD)
            self._outbox.note(INFO, f"{self.settings.key}: acquired")
        else:
            if self.state == STOPPED:
                return
            moved = self.state == HELD
            self.enter(STOPPED)
            if not quiet and not moved:
                self._outbox.note(INFO, f"{self.settings.key}: released")
        self._on_change(self)

    def retry_delay_ns(self) -> int:
        return retry_delay_ns(self.failures) // self._policy.divisor


def retry_delay_ns(failures: int) -> int:
    """5 s after the first failure, doubled for each that follows, at most five minutes."""
    return min(RETRY_FIRST_NS << min(failures - 1, 10), RETRY_MOST_NS)
