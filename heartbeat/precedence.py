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
    So it begins a session of its own, unless it has a terminal, and the group of that goes first as well.
    """
    try:
        os.setpriority(os.PRIO_PROCESS, 0, FIRST)
        # children of a process with this flag get nice 0 again
        os.sched_setscheduler(0, os.SCHED_OTHER | os.SCHED_RESET_ON_FORK, os.sched_param(0))
    except OSError as error:
        return f"nice {FIRST}: {error.strerror} (CAP_SYS_NICE, or LimitNICE={FIRST})"
    try:
        if not _has_terminal():
            if os.getsid(0) != os.getpid():
                os.setsid()  # its other processes are not to go first
            with open("/proc/self/autogroup", "wb", buffering=0) as group:
                group.write(b"%d" % FIRST)
    except OSError:
        pass  # the leader of a process group stays where it is; a kernel without such groups has nice alone
    return None


def _has_terminal() -> bool:
    with open("/proc/self/stat", "rb") as stat:
        # proc(5): after the name in brackets state, ppid, pgrp, session, tty_nr
        return stat.read().rpartition(b")")[2].split()[4] != b"0"
