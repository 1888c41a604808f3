"""A serial line on pyserial, where that is installed.

pyserial opens the port, brings the adapter into a known state and closes it. The octets go through its descriptor
directly, in `Line`: pyserial's `write` turns in a loop for as long as a full output queue takes nothing (a peer that
holds CTS down), write_timeout=0 or not, and at real-time priority that would be the end of the node.
"""

from __future__ import annotations

from serial import Serial

from heartbeat.media.line import Line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from heartbeat.media import MediumConfig


class PyserialLine(Line):
    """See `Line`."""

    backend = "pyserial"

    def __init__(self, config: MediumConfig, lock_dir: str) -> None:
        super().__init__(config, lock_dir)
        self._port = Serial()  # closed: it has no name yet
        self._port.port = config.device
        self._port.baudrate = config.baud
        self._port.rtscts = True
        self._port.timeout = 0
        self._port.write_timeout = 0
        self._port.exclusive = True  # flock, before it touches any setting

    def _connect(self) -> int:
        self._port.open()
        fd: int = self._port.fileno()
        return fd

    def _disconnect(self) -> None:
        self._port.close()
