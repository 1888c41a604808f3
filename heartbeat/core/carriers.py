"""Which media can carry what this node says, as the daemon tells it.

Whether anybody hears it there is another matter: that is a link's (membership.py).
"""

from __future__ import annotations

from heartbeat.core.actions import CRIT, ERROR, INFO

TYPE_CHECKING = False
if TYPE_CHECKING:
    from heartbeat.core.events import MediumDown, MediumUp
    from heartbeat.core.membership import Membership
    from heartbeat.core.outbox import Outbox
    from heartbeat.core.settings import Settings


class Carriers:
    """up: names of the media that work."""

    __slots__ = ("_membership", "_outbox", "up")

    def __init__(self, outbox: Outbox, membership: Membership) -> None:
        self._outbox = outbox
        self._membership = membership
        self.up: set[str] = set()

    def reconfigure(self, settings: Settings) -> None:
        self.up &= set(settings.media)

    def appeared(self, event: MediumUp, now: int) -> None:
        if event.medium not in self.up:
            self.up.add(event.medium)
            self._outbox.note(INFO, f"medium {event.medium} up")
            self._membership.trigger(now)

    def gone(self, event: MediumDown, now: int) -> None:
        self._outbox.note(ERROR, f"medium {event.medium} down: {event.reason}")
        self.up.discard(event.medium)
        self._membership.medium_down(event.medium)
        if not self.up:
            self._outbox.note(CRIT, "no working medium: nobody hears this node")
