"""A peer that dies again and again: nothing is given back to it for a while.

Each fail-over costs the clients its outage, and the fail-back after it a second one. After a few in a short time the
preferred node has to stay well for as long before it gets its groups back, and a person is told.
"""

from __future__ import annotations

from heartbeat.core.actions import Alarm
from heartbeat.core.settings import SECOND

TYPE_CHECKING = False
if TYPE_CHECKING:
    from heartbeat.core.outbox import Outbox
    from heartbeat.core.settings import Settings

DEATHS = 3
WINDOW_NS = 600 * SECOND


class Flapping:
    """until: no fail-back before this instant."""

    __slots__ = ("_deaths", "_outbox", "_settings", "until")

    def __init__(self, settings: Settings, outbox: Outbox) -> None:
        self._settings = settings
        self._outbox = outbox
        self._deaths: list[int] = []
        self.until = 0

    def reconfigure(self, settings: Settings) -> None:
        self._settings = settings

    def died(self, *, left: bool) -> None:
        """The peer is gone. left: it said so, which is no failure."""
        if left:
            return
        now, window_ns = self._outbox.now, WINDOW_NS // self._settings.divisor
        self._deaths = [*self._deaths[-(DEATHS - 1) :], now]
        if len(self._deaths) == DEATHS and now - self._deaths[0] <= window_ns:
            if self.until <= now:
                text = f"the other node has died {DEATHS} times in {WINDOW_NS // SECOND // 60} minutes"
                self._outbox.put(Alarm(f"{text}: what it prefers stays here until it has lived as long"))
            self.until = now + window_ns
