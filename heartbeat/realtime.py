"""What makes the loop punctual, and what tells the supervisor that it is: timer, memory lock, scheduling, systemd.

Rules: each of these may be denied to us (no privilege, a container, no `heartbeat._kernel`). Then the function says
why in one line for the log and the daemon works on; nothing here raises for want of a right.
"""

from __future__ import annotations

import _socket
import os

from heartbeat.precedence import FIRST, go_first

try:
    from heartbeat._kernel import lib as _kernel
except ImportError:
    _kernel = None

TYPE_CHECKING = False
if TYPE_CHECKING:
    import _typeshed


class _Timer:
    """One absolute timer on CLOCK_BOOTTIME, for an epoll set: exact to the kernel's high-resolution timers (an epoll
    time-out is rounded up to a whole millisecond), and an instant already past fires at once."""

    def __init__(self) -> None:
        self._fd = _checked(_kernel.timer_create_boottime())

    def fileno(self) -> int:
        return self._fd

    def set(self, instant_ns: int | None) -> None:
        """Readable from `instant_ns` on; None: never. Replaces what was set before."""
        # 0 and less would disarm or be refused; 1 ns after boot is past and fires at once
        _checked(_kernel.timer_set_absolute(self._fd, 0 if instant_ns is None else max(instant_ns, 1)))

    def clear(self) -> None:
        """Take note that it fired: until then, or until it is set again, the descriptor stays readable."""
        try:
            os.read(self._fd, 8)
        except BlockingIOError:
            return  # set again since it fired

    def close(self) -> None:
        os.close(self._fd)


# None: this installation has no `heartbeat._kernel`, the loop has to use epoll time-outs.
Timer: type[_Timer] | None = None if _kernel is None else _Timer


def _checked(result: int) -> int:
    if result < 0:
        raise OSError(-result, os.strerror(-result))
    return result


def lock_memory() -> str | None:
    """Keep what this process has touched and will touch in memory. None, or why not."""
    if _kernel is None:
        return "memory is not locked: no heartbeat._kernel (it needs the package cffi)"
    if not _may_lock_without_limit():
        # The call might succeed under a finite limit, and an allocation fail later, in the middle of a take-over.
        return "memory is not locked: it needs CAP_IPC_LOCK or an unlimited RLIMIT_MEMLOCK (LimitMEMLOCK=infinity)"
    _kernel.forget_code()  # or what only the start has run would be locked, and all that lies beside what runs
    result = _kernel.lock_memory()
    if result < 0:
        return f"memory is not locked: {os.strerror(-result)}"
    return None


def _may_lock_without_limit() -> bool:
    cap_ipc_lock = 14
    try:
        with open("/proc/self/status", "rb") as status:
            for line in status:
                if line.startswith(b"CapEff:"):
                    if int(line.split()[1], 16) >> cap_ipc_lock & 1:
                        return True
                    break
        with open("/proc/self/limits", "rb") as limits:
            return any(line.startswith(b"Max locked memory") and b"unlimited" in line.split()[3] for line in limits)
    except OSError:
        return True  # no /proc: let the kernel decide


def go_realtime(priority: int | None = None) -> str | None:
    """SCHED_RR at `priority` (default: the middle of the range, as the original); children start as ordinary
    processes. None, or why not: then `go_first`."""
    lowest, highest = os.sched_get_priority_min(os.SCHED_RR), os.sched_get_priority_max(os.SCHED_RR)
    wanted = (lowest + highest) // 2 if priority is None else min(max(priority, lowest), highest)
    try:
        os.sched_setscheduler(0, os.SCHED_RR | os.SCHED_RESET_ON_FORK, os.sched_param(wanted))
    except OSError as error:
        reason = f"no real-time scheduling: {error.strerror} (CAP_SYS_NICE, or LimitRTPRIO={wanted})"
    else:
        return None
    denied = go_first()
    return f"{reason}; {f'nor {denied}' if denied else f'running at nice {FIRST} instead'}"


def notify(state: str) -> bool:
    """Tell the supervisor, as sd_notify(3): `READY=1`, `STOPPING=1`, `WATCHDOG=1`, `STATUS=…`, one assignment a line.

    False: nobody asked to be told, or it could not be told now. Never blocks.
    """
    path = os.environ.get("NOTIFY_SOCKET", "")
    if not path.startswith(("/", "@")):
        return False
    # "@name" is the abstract socket "\0name"
    address: _typeshed.ReadableBuffer | str = b"\0" + os.fsencode(path[1:]) if path[0] == "@" else path
    channel = _socket.socket(_socket.AF_UNIX, _socket.SOCK_DGRAM)
    try:
        channel.setblocking(False)
        channel.sendto(state.encode(), address)
    except OSError:
        return False
    finally:
        channel.close()
    return True


def watchdog_interval_ns() -> int | None:
    """How often the supervisor's watchdog wants `WATCHDOG=1` from this process: half of its time-out, as
    sd_watchdog_enabled(3) advises. None: there is no watchdog."""
    environment = os.environ
    try:
        timeout_us = int(environment["WATCHDOG_USEC"])
        pid = int(environment.get("WATCHDOG_PID", os.getpid()))
    except (KeyError, ValueError):
        return None
    if timeout_us <= 0 or pid != os.getpid():
        return None
    return timeout_us * 1000 // 2
