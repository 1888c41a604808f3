"""The few system calls that Python 3.11 lacks, on namespaces above all. Only the calling thread changes its namespace.

Nothing here has a name in the file system (no /run/netns): a namespace lives as long as a process in it or a
descriptor of it, so that even a SIGKILL of the demonstration leaves none behind.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import socket
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

# linux/sched.h, linux/mount.h, linux/prctl.h
CLONE_NEWNS, CLONE_NEWUTS, CLONE_NEWIPC, CLONE_NEWPID = 0x2_0000, 0x400_0000, 0x800_0000, 0x2000_0000
CLONE_NEWNET = 0x4000_0000
MS_BIND = 0x1000
MS_MOVE = 0x2000
MS_REC = 0x4000
MS_PRIVATE = 0x4_0000
_PR_SET_PDEATHSIG = 1
_SO_RCVBUFFORCE = 33  # asm/socket.h

# what ends a program from outside, and may be waited for
ENDINGS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

_libc = ctypes.CDLL(None, use_errno=True)


def _checked(result: int, what: str) -> None:
    if result:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def unshare(kinds: int) -> None:
    """unshare(2): new namespaces of these kinds; a new pid namespace is for children."""
    _checked(_libc.unshare(kinds), "new namespaces")


def die_with_parent() -> None:
    """Be killed when the *thread* that started this process ends: start such processes from the main thread."""
    _checked(_libc.prctl(_PR_SET_PDEATHSIG, ctypes.c_ulong(signal.SIGKILL)), "prctl")


def mount(source: str, target: str, kind: str = "", flags: int = 0, options: str = "") -> None:
    """mount(2). OSError names the target."""
    arguments = [text.encode() or None for text in (source, target, kind)]
    _checked(_libc.mount(*arguments, ctypes.c_ulong(flags), options.encode() or None), f"mount on {target}")


def new_network() -> int:
    """A descriptor of a new, empty network namespace; it is gone when the last descriptor is closed."""
    home = current_network()
    try:
        unshare(CLONE_NEWNET)
        try:
            return current_network()
        finally:
            _checked(_libc.setns(home, CLONE_NEWNET), "setns")
    finally:
        os.close(home)


def current_network() -> int:
    return os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)


def network_of(pid: int) -> int:
    return os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)


@contextlib.contextmanager
def inside(network: int) -> Iterator[None]:
    """Sockets that this thread opens within belong to that network namespace, and stay there.

    Ctrl-C and its like wait until the end: half a netlink dialogue would be taken for the answer to the next request.
    """
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, ENDINGS)
    home = current_network()
    try:
        _checked(_libc.setns(network, CLONE_NEWNET), "setns")
        try:
            yield
        finally:
            _checked(_libc.setns(home, CLONE_NEWNET), "setns")
    finally:
        os.close(home)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def enlarge_receive_buffer(receiver: socket.socket, octets: int) -> None:
    """Beyond the system's limit, where that is permitted, so that a reader that comes late misses nothing."""
    try:
        receiver.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, octets)
    except PermissionError:
        receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, octets)
