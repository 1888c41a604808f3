"""What the daemon's own process gives up once it has started, and what it cannot.

The daemon starts operators' scripts, as root and with everything that root may do: so nothing here may reach a child,
and whoever runs code of his own inside the daemon can start one too. What is given up guards against the step before
that, a mistake of ours that somebody steers: the process itself can no longer load modules, mount, trace, or change its
user or the clock. Root gets all of it back with exec, as far as the bounding set allows.

* Capabilities that stay: CAP_NET_ADMIN, CAP_NET_RAW and CAP_NET_BIND_SERVICE (addresses, ARP, sockets bound to an
  interface and to port 694, opened again whenever a medium fails), CAP_IPC_LOCK (memory that grows stays locked),
  CAP_SYS_NICE (children start in real time and are made ordinary), CAP_KILL (children that are another user),
  CAP_DAC_OVERRIDE and CAP_FOWNER (files and locks that the original, or another program, left as another user).
* The memory holds the keys: no core dump, and no other process of the same user looks into it. `coredumps on` in ha.cf
  leaves that out.
* The umask is 022 at least, for what scripts make. The daemon's own files have modes of their own.

No PR_SET_NO_NEW_PRIVS: mail programs are setuid or setgid. Where nothing can be given up it is said and nothing breaks.
"""

from __future__ import annotations

import os

try:
    from heartbeat._kernel import lib as _kernel
except ImportError:
    _kernel = None

UMASK = 0o022


def mask_files() -> None:
    """Whatever whoever started us had."""
    os.umask(os.umask(UMASK) | UMASK)


def hide_memory(hidden: bool = True) -> str | None:
    """Before any key is read. None, or why not: a line for the log."""
    if _kernel is None:
        if not hidden:
            return None
        return "a core dump of this process would hold the keys: no heartbeat._kernel (it needs the package cffi)"
    return _denied(_kernel.hide_memory(hidden), "a core dump of this process would hold the keys")


def drop_capabilities() -> str | None:
    """When everything is open. None, or why not: a line for the log. Who is not root keeps what he was given."""
    if os.geteuid() != 0:
        return None
    if _kernel is None:
        return "capabilities are not dropped: no heartbeat._kernel (it needs the package cffi)"
    return _denied(_kernel.drop_capabilities(), "capabilities are not dropped")


def _denied(result: int, what: str) -> str | None:
    return None if result == 0 else f"{what}: {os.strerror(-result)}"
