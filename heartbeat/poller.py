"""One epoll set: who is called when a descriptor is ready. Its rules: callbacks never block and never raise on trouble
that came from outside; a descriptor is removed before it is closed."""

from __future__ import annotations

import select

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

READ = select.EPOLLIN
WRITE = select.EPOLLOUT


class Poller:
    """add/change/remove descriptors; `wait` calls each ready one's callback with its event mask."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._callbacks: dict[int, Callable[[int], None]] = {}

    def add(self, fd: int, callback: Callable[[int], None], events: int = READ) -> None:
        self._epoll.register(fd, events)
        self._callbacks[fd] = callback

    def change(self, fd: int, events: int) -> None:
        self._epoll.modify(fd, events)

    def remove(self, fd: int) -> None:
        if self._callbacks.pop(fd, None) is not None:
            self._epoll.unregister(fd)

    def wait(self, timeout_s: float = -1) -> None:
        self.call(self._epoll.poll(timeout_s))

    def call(self, ready: list[tuple[int, int]]) -> None:
        """Whom these descriptors and masks are for."""
        for fd, events in ready:
            # an earlier callback of this round may have removed this one
            callback = self._callbacks.get(fd)
            if callback is not None:
                callback(events)

    def fileno(self) -> int:
        return self._epoll.fileno()

    def close(self) -> None:
        self._callbacks.clear()
        self._epoll.close()
