"""The steady state, kept without the interpreter: the daemon's parts lend what `_hbfast.codec.Watch` needs, and take
back what it has changed.

Its rules: it is lent to for one stay, and only where every part says that it is plain. A stay ends with whatever is
not, and then the daemon's turn does everything, as it can at any time. Nobody else uses what is lent while it lasts.
"""

from __future__ import annotations

from _hbfast import codec
from heartbeat.wire import NEVER_NS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from heartbeat.core.cluster import Cluster
    from heartbeat.executor import Executor
    from heartbeat.journal import Journal
    from heartbeat.lateness import Lateness
    from heartbeat.loop import Loop
    from heartbeat.wire import Wire


class Watch:
    """timer: the daemon's descriptor of one."""

    def __init__(
        self, loop: Loop, timer: int, cluster: Cluster, wire: Wire, executor: Executor, journal: Journal,
        lateness: Lateness,
    ) -> None:  # fmt: skip
        self._loop = loop
        self._timer = timer
        self._cluster = cluster
        self._wire = wire
        self._executor = executor
        self._journal = journal
        self._lateness = lateness
        self._kept: codec.Watch | None = None  # made of what a cluster has from its beginning

    def keep(self, until: int | None, set_for: int | None) -> int | None:
        """Until something is not plain, `until` at the latest. set_for: what the timer is set for; less than 0: it is
        to be set. Returns that, for then; None: it is not plain now, and nothing was done."""
        repeats = self._cluster.repeats()
        if repeats is None or self._executor.pings.targets:
            return None
        if self._kept is None:
            self._kept = codec.Watch(*repeats, self._loop.poller.fileno(), self._timer)
        kept = self._kept
        lease, now = self._executor.lease, self._loop.now()
        if not self._wire.lend(kept) or not lease.lend(kept) or not self._journal.lend(kept, now):
            return None
        kept.until = NEVER_NS if until is None else until
        kept.set_for = NEVER_NS if set_for is None else set_for
        ready = kept.keep()
        for late_ns in kept.late:
            self._lateness.add(late_ns)
        now = self._loop.now()
        self._journal.take_back(kept, now)
        lease.take_back(kept)
        self._wire.take_back(kept, now)
        self._loop.poller.call(ready)
        return kept.set_for
