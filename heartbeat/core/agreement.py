"""Do both nodes run on the same files, and is the other one of ours at all? What differs is a warning in status."""

from __future__ import annotations

from heartbeat.core.actions import WARN

TYPE_CHECKING = False
if TYPE_CHECKING:
    from heartbeat.core.bulletin import Bulletin
    from heartbeat.core.counterpart import Counterpart
    from heartbeat.core.outbox import Outbox
    from heartbeat.core.settings import Settings


class Agreement:
    """warnings: of the peer's newest status; a new one is also noted."""

    __slots__ = ("_other", "_outbox", "_settings", "warnings")

    def __init__(self, settings: Settings, outbox: Outbox, other: Counterpart) -> None:
        self._settings = settings
        self._outbox = outbox
        self._other = other
        self.warnings: list[str] = []

    def reconfigure(self, settings: Settings) -> None:
        self._settings = settings

    def look(self, seen: Bulletin | None) -> None:
        """At a fresh status of the peer."""
        found = self._differences(seen)
        for warning in found:
            if warning not in self.warnings:
                self._outbox.note(WARN, warning)
        self.warnings = found

    def _differences(self, seen: Bulletin | None) -> list[str]:
        peer = self._other.peer
        if peer is None or not peer.alive:
            return []
        if seen is None:
            return [f"{peer.name} runs Heartbeat 3.0.6: groups move by sets, and both are slower than two of ours"]
        found = []
        if seen.resources_digest != self._settings.resources_digest:
            found.append(f"haresources differs from {peer.name}'s: make them the same and reload")
        if seen.timing_digest != self._settings.timing_digest:
            found.append(f"ha.cf on {peer.name} has other times or nodes: make them the same and reload")
        return found
