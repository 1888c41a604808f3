"""The demonstration's clock: CLOCK_BOOTTIME in nanoseconds, as the daemon's own instants; it is one in all namespaces.

Parts that stand for hardware (the cable) or for an instrument (probes, observer) run real-time, so that a busy machine
bends neither the line's rate nor a figure; where that is forbidden they run as they can.
"""

from __future__ import annotations

import os
import time

MILLISECOND = 1_000_000
SECOND = 1_000_000_000

# An instrument yields to the daemons (whose rtprio is the middle of the range); one that is seldom used costs them
# nothing, and must not wait until they have done a thousand things; hardware yields to nobody.
INSTRUMENT, SELDOM, HARDWARE = 1, 60, 90


def now_ns() -> int:
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


def run_real_time(priority: int) -> bool:
    """Make the calling thread SCHED_FIFO; its children are ordinary again. False where it is not permitted."""
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO | os.SCHED_RESET_ON_FORK, os.sched_param(priority))
    except OSError:
        return False
    return True
