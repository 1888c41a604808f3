"""What the parts of the daemon share: the poller, the schedule, the log, and the queue of events for the core.

One clock for all of them: nanoseconds of CLOCK_BOOTTIME, which goes on while the machine is suspended.
"""

from __future__ import annotations

import time

from heartbeat.lean import deque
from heartbeat.poller import Poller
from heartbeat.schedule import Schedule

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from heartbeat.core.events import Event
    from heartbeat.log import Log


class Loop:
    """inbox: messages, told to the core before any timer is looked at. queue: all other events, which may wait for
    the next turn. Both hold (event, instant at which it happened), in order."""

    def __init__(self, log: Log) -> None:
        self.log = log
        self.poller = Poller()
        self.schedule = Schedule()
        self.inbox: deque[tuple[Event, int]] = deque()
        self.queue: deque[tuple[Event, int]] = deque()
        log.attach(self.poller)

    @staticmethod
    def now() -> int:
        return time.clock_gettime_ns(time.CLOCK_BOOTTIME)

    def push(self, event: Event, instant: int | None = None) -> None:
        """Hand an event to the core, in its turn. instant: when it happened, now where not given."""
        self.queue.append((event, self.now() if instant is None else instant))

    def later(self, delay_ns: int, callback: Callable[[], None]) -> None:
        """Call once, after the delay; it can't be cancelled."""
        self.schedule.at(self.now() + delay_ns, object(), lambda now: callback())
