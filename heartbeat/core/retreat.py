"""A clean stop: what can be is made by the other node before this one goes.

The groups that two may have for a moment (overlap.py) are handed over first, by the usual way; whatever becomes of
that, this node leaves when its part in it is over: it has released them, or the other doesn't answer at once, or won't.
Who is told to stop a second time leaves at once.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from heartbeat.core.original import Report
    from heartbeat.core.outbox import Outbox
    from heartbeat.core.resources import Resources
    from heartbeat.core.standby import Standby


class Retreat:
    """under_way: this node hands over in order to leave."""

    __slots__ = ("_outbox", "_report", "_resources", "_standby", "under_way")

    def __init__(self, outbox: Outbox, resources: Resources, standby: Standby, report: Report) -> None:
        self._outbox = outbox
        self._resources = resources
        self._standby = standby
        self._report = report
        self.under_way = False

    def stop(self) -> None:
        """This node is told to stop."""
        standby, held = self._standby, self._resources
        idle = not self.under_way and standby.trouble() is None
        able = standby.overlap.may_cede(held.groups.values()) if idle else []
        machines = [machine for machine in able if held.other.can_take(held.label(machine))]
        if machines:
            self.under_way = True
            standby.command.answer(False, "this node is stopping")
            settings = held.settings
            standby.begin(machines, "all", settings.overlap_ns + settings.answer_ns)
        else:
            self.leave()

    def leave(self) -> None:
        """Now, with everything that is still here."""
        self.under_way = False
        self._standby.leaving()
        self._resources.leave()
        self._report(without="all", info="shutdown")

    def peer_lost(self) -> None:
        """Whatever was agreed is void, and nothing of the other's is taken any more."""
        if self.under_way:
            self.leave()

    def progress(self) -> None:
        """The other may have them now, or may never have them."""
        if self.under_way and (not self._standby.ceding or not self._resources.other.ready):
            self.leave()
