"""A serial line on the standard library's termios: what a node without pyserial uses."""

from __future__ import annotations

import os

from heartbeat.media.line import Line


class TermiosLine(Line):
    """See `Line`."""

    backend = "termios"

    def _connect(self) -> int:
        return os.open(self.device, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC)

    def _disconnect(self) -> None:
        os.close(self._fd)
