"""The operator's command to move groups, hb_standby or hb_takeover: may it be, and the one answer that it gets."""

from __future__ import annotations

from heartbeat.core.actions import URGENT
from heartbeat.core.settings import SECOND

TYPE_CHECKING = False
if TYPE_CHECKING:
    from heartbeat.core.outbox import Outbox
    from heartbeat.core.resources import Resources
    from heartbeat.core.standby import Standby
    from heartbeat.core.timers import Timers

REPLY_NS = 10 * SECOND  # for the other node's answer

KINDS = ("all", "local", "foreign")


class Command:
    """number: of the request that waits for its answer, 0 for none."""

    __slots__ = ("_outbox", "_resources", "_standby", "_timer", "_timers", "number")

    def __init__(self, outbox: Outbox, timers: Timers, resources: Resources, standby: Standby) -> None:
        self._outbox = outbox
        self._timers = timers
        self._timer = timers.new(self._too_late)
        self._resources = resources
        self._standby = standby
        self.number = 0

    def request(self, number: int, verb: str, argument: str) -> None:
        """standby or takeover of a set, seen from this node. Answered now, or when the move is done."""
        kind = {"": "all", "failback": "foreign" if verb == "standby" else "local"}.get(argument, argument)
        giving = verb == "standby"
        if kind not in KINDS:
            self._outbox.reply(number, False, f"no such set: {argument}; use all, local, foreign or failback")
            return
        standby = self._standby
        chosen = standby.set_of(kind)
        concerned = [m for m in chosen if m.claimed == giving]
        if not concerned and not standby.moves(chosen):
            self._outbox.reply(number, True, "nothing to move: it is there already")
            return
        trouble = standby.trouble()
        if trouble:
            self._outbox.reply(number, False, trouble)
            return
        self.answer(False, "another move was asked for")
        self.number = number
        if giving:
            standby.begin(concerned, kind)
        else:
            self._outbox.send("hb_takeover", [("rsc_hold", kind.encode())], priority=URGENT)
            self._timers.arm(self._timer, self._outbox.now + REPLY_NS // self._resources.settings.divisor)

    def answer(self, ok: bool, text: str) -> None:
        self._timers.disarm(self._timer)
        if self.number:
            self._outbox.reply(self.number, ok, text)
            self.number = 0

    def _too_late(self, now: int) -> None:
        """The other node was to begin. Where it has, the end of that is the answer."""
        if not self._resources.handing_over():
            self.answer(False, "the other node did not answer")
