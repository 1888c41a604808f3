"""Media: the ways on which nodes hear each other.

A medium moves whole frames out and whatever arrived in; what the octets mean is the codec's. The rules that hold for
every medium:

* Nothing here blocks, sleeps or reads a clock: `now` is an argument, and `deadline()` says when to come back.
* Trouble that passes by itself (an interface that is down, a line that does not move) is counted in `dropped`. Trouble
  that needs a new descriptor (a hang-up, an interface that was made anew) is an OSError out of `receive`, `send` or
  `flush`. Then the owner closes the medium and opens it again later; how much later is the owner's to choose.
* An OSError's `strerror` is a line for the operator: what is wrong and, where there is one, what to do.
"""

from __future__ import annotations

from heartbeat.media.udp import Bcast, Datagrams, Mcast, Ucast

__all__ = ["Datagrams", "Owned", "create"]

UDP = {medium.type: medium for medium in (Ucast, Bcast, Mcast)}
UDP_6 = ("ucast6", "mcast6")

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

    from _hbfast.codec import Decoder, End

    class MediumConfig(Protocol):
        """What a medium is made from: one medium of ha.cf, names and numbers already checked.

        device: the tty's path or the interface's name; address: in digits (ucast, mcast; of ucast6 and mcast6
        an IPv6 address, without a scope: it is the interface's);
        rate_bits_per_s: what the cable really carries, `baud` but for a demonstration that runs faster.
        sources: the addresses, of its family, that a UDP medium hears, none for all; strict: never any other.
        A medium reads only what concerns its type.
        """

        @property
        def name(self) -> str: ...
        @property
        def type(self) -> str: ...
        @property
        def device(self) -> str: ...
        @property
        def address(self) -> str: ...
        @property
        def port(self) -> int: ...
        @property
        def ttl(self) -> int: ...
        @property
        def loop(self) -> int: ...
        @property
        def baud(self) -> int: ...
        @property
        def rate_bits_per_s(self) -> int: ...
        @property
        def sources(self) -> tuple[str, ...]: ...
        @property
        def sources_strict(self) -> bool: ...

    class Told(Protocol):
        """What is told of any medium, one to a ping node included.

        name: the link's name in status, unique; backend: pyserial | termios | udp | icmp;
        type: serial | ucast | bcast | mcast | ucast6 | mcast6, or ping | ping6 | ping_group;
        dropped: frames that were never written, or not wholly; discarded: datagrams that the kernel kept out.
        """

        @property
        def name(self) -> str: ...
        @property
        def type(self) -> str: ...
        @property
        def backend(self) -> str: ...
        @property
        def dropped(self) -> int: ...
        @property
        def discarded(self) -> int: ...

    class Medium(Told, Protocol):
        """One way to the other nodes; see the rules in the module's opening.

        format: what to write to it, "classic" | "netstring";
        stream: True where `receive` returns a stream in arbitrary pieces, False where it returns whole datagrams.
        UDP media have more, which only the wire uses: `heartbeat.media.udp.Datagrams`.
        """

        @property
        def format(self) -> str: ...
        @property
        def stream(self) -> bool: ...

        def open(self) -> None:
            """Take the device. OSError: it can't be had now (EBUSY, EAGAIN, EADDRINUSE: somebody else has it)."""

        def fileno(self) -> int:
            """The descriptor to watch for reading; -1 while closed."""

        def receive(self) -> list[bytes]:
            """What is waiting, a bounded amount (watch the descriptor level-triggered). OSError: the medium died."""

        def send(self, frame: bytes, priority: int, now: int) -> None:
            """Write or queue one frame; priority as `core.actions`. OSError: the medium died."""

        def flush(self, now: int) -> None:
            """Write what the line's rate allows at `now`. OSError: the medium died."""

        def deadline(self) -> int | None:
            """The instant at which to call `flush`; None: not before the next `send`."""

        def lend(self, decoder: Decoder) -> End | None:
            """What is needed to receive and to send in its place; None: now it does this itself."""

        def take_back(self, end: End) -> None:
            """What has become of it."""

        def failed(self, number: int, now: int) -> None:
            """What was sent in its place was refused. OSError: the medium died."""

        def quiet(self, now: int) -> bool:
            """Has everything left the machine? `close` discards what has not, so a clean stop waits for this."""

        def close(self) -> None:
            """Give the device back. Never raises, and may be called at any time, also twice."""


class Owned:
    """A configured medium in its owner's hands, open or not, and what is told of it. state: up or down."""

    def __init__(self, medium: Told) -> None:
        self.medium = medium
        self.state = "down"

    @property
    def name(self) -> str:
        return self.medium.name

    @property
    def type(self) -> str:
        return self.medium.type

    @property
    def backend(self) -> str:
        return self.medium.backend

    @property
    def dropped(self) -> int:
        return self.medium.dropped

    @property
    def discarded(self) -> int:
        return self.medium.discarded


def create(medium: MediumConfig, lock_dir: str = "/var/lock") -> Medium:
    """The medium that `medium` describes, still closed. lock_dir: where serial ports' UUCP lock files go."""
    if medium.type == "serial":
        return _serial(medium, lock_dir)
    if medium.type in UDP:
        return UDP[medium.type](medium)
    if medium.type in UDP_6:
        # as the next one, only where it is used
        from heartbeat.media.udp6 import Mcast6, Ucast6  # noqa: PLC0415

        return Mcast6(medium) if medium.type == Mcast6.type else Ucast6(medium)
    raise ValueError(f"there is no medium of type {medium.type!r}")


def _serial(medium: MediumConfig, lock_dir: str) -> Medium:
    # imported here, so that a node without a serial line does not carry pyserial
    try:
        from heartbeat.media.serial import PyserialLine  # noqa: PLC0415
    except ImportError:
        from heartbeat.media.tty import TermiosLine  # noqa: PLC0415

        return TermiosLine(medium, lock_dir)
    return PyserialLine(medium, lock_dir)
