"""The first among ordinary processes: what the daemon is while it starts, and where it is no real-time one.

Rules: it costs a start nothing, so it imports nothing that is not there already. What is denied is told, not raised.
"""

from __future__ import annotations

import os

FIRST = -20  # nice


def go_first() -> str | None:
    """Nice -20, the first among ordinary processes; children start at 0. None, or why not.

    Between sessions nice counts for nothing where the kernel groups processes by session (autogroup, sched(7)): with
    sixteen busy ones beside it a daemon had an eighth of a processor, and each delay made work that made the next one.
    So the group of its session goes first as well, unless that has a terminal: then others are in it.
    """
    try:
        os.setpriority(os.PRIO_PROCESS, 0, FIRST)
        # children of a process with this flag get nice 0 again
        os.sched_setscheduler(0, os.SCHED_OTHER | os.SCHED_RESET_ON_FORK, os.sched_param(0))
    except OSError as error:
        return f"nice {FIRST}: {error.strerror} (CAP_SYS_NICE, or LimitNICE={FIRST})"
    try:
        with open("/proc/self/stat", "rb") as stat:
            # proc(5): after the name in brackets state, ppid, pgrp, session, tty_nr
            terminal = int(stat.read().rpartition(b")")[2].split()[4])
        if not terminal:
            with open("/proc/self/autogroup", "wb", buffering=0) as group:
                group.write(b"%d" % FIRST)
    except OSError:
        pass  # a kernel without them: nice is all there is
    return None
