"""auto_failback on: what prefers the other node goes back to it, once it has been settled for failback_delay.

Only after it was dead: what an operator has moved stays where it is. And not to one that dies again and again
(flapping.py).
"""

from __future__ import annotations

from heartbeat.core import group
from heartbeat.core.flapping import Flapping
from heartbeat.core.settings import FAILBACK_OFF

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from heartbeat.core.group import GroupMachine
    from heartbeat.core.outbox import Outbox
    from heartbeat.core.resources import Resources
    from heartbeat.core.settings import Settings
    from heartbeat.core.timers import Timers


class Failback:
    """wanted: the other node has been dead. hand_over(groups, kind): asks standby to give them to the peer."""

    __slots__ = ("_flapping", "_hand_over", "_resources", "_settled_at", "_timer", "_timers", "wanted")

    def __init__(
        self, settings: Settings, outbox: Outbox, timers: Timers, held: Resources,
        hand_over: Callable[[list[GroupMachine], str], bool],
    ) -> None:  # fmt: skip
        self._resources = held
        self._hand_over = hand_over
        self._timers = timers
        self._timer = timers.new(self.evaluate)
        self._flapping = Flapping(settings, outbox)
        self._settled_at: int | None = None  # since when both are settled
        self.wanted = False

    def reconfigure(self, settings: Settings) -> None:
        self._flapping.reconfigure(settings)

    def died(self, *, settled: bool) -> None:
        """The other node is gone. settled: and this one was settled."""
        self._settled_at = None
        if settled:
            self._flapping.died(left=self._resources.other.left)
            self.wanted = True

    def evaluate(self, now: int) -> None:
        """After every event, once this node has settled."""
        held = self._resources
        if not held.other.ready:
            self._settled_at = None
            return
        if self._settled_at is None:
            self._settled_at = now
        if not self.wanted or held.settings.auto_failback == FAILBACK_OFF:
            return
        theirs = [machine for machine in held.groups.values() if machine.claimed and not held.local(machine)]
        ready = [m for m in theirs if m.state == group.HELD and held.other.can_take(held.label(m))]
        if not theirs:
            self.wanted = False
        due = max(self._settled_at + held.settings.failback_delay_ns, self._flapping.until)
        if now < due:
            self._timers.arm(self._timer, due)
        elif ready and held.quiet and self._hand_over(ready, "foreign"):
            self.wanted = len(ready) < len(theirs)
