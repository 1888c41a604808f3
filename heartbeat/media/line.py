"""A serial line: everything but how its port is opened, which is the backends' (serial.py, tty.py).

The rules:

* Never more than one frame in the port's output queue, so that what is urgent or newer never waits behind more than
  one frame. The next is given when the line's rate says that the last has left (10 bits an octet) *and* the port's
  queue is empty. A pty has no rate and reports no queue: there, time alone keeps the pace.
* A frame that was begun is finished before anything else. Where the line does not move for STALL_NS (the peer holds
  CTS down: it is switched off, or does not read), the frame is dropped, the queue discarded, and the next frame
  preceded by RESYNC.
* No call here may wait. Three that look harmless do: `tcdrain` and everything built on it (TCSADRAIN, TCSAFLUSH), a
  `close` with octets queued (up to 30 s while CTS is down), `tcsendbreak` (250 ms).

One frame's way:

    waiting ──begin──► writing ──all taken──► leaving ──queue empty──► (next frame)
                          └──── no progress for STALL_NS ────► dropped
"""

from __future__ import annotations

import errno
import fcntl
import os
import sys
import termios

from _hbfast.codec import End
from heartbeat.media.lock import LockFile
from heartbeat.media.outbox import Outbox

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _hbfast.codec import Decoder
    from heartbeat.media import MediumConfig

SPEEDS = {
    9600: termios.B9600,
    19200: termios.B19200,
    38400: termios.B38400,
    57600: termios.B57600,
    115200: termios.B115200,
    230400: termios.B230400,
    460800: termios.B460800,
}
OCTET_BITS = 10  # start bit, eight data bits, stop bit

# The original guards each write by as much (protocol/wire.md §10.2). These two run as much faster as the line does.
STALL_NS = 500_000_000
BREAK_NS = 250_000_000  # what tcsendbreak(fd, 0) takes

# While the queue is looked at, not oftener than this: 33 ms at 19200 baud, 1.4 ms at 460800.
LOOK_OCTETS = 64
READ_OCTETS = 4096  # a tty hands out no more at once

# Ends a frame that was cut short. The line feed ends its last line; the end marker makes the original discard it now
# instead of together with the next, good frame: it looks for a start only after an end (protocol/wire.md §10.3).
RESYNC = b"\n<<<\n"

# asm-generic/ioctls.h; the standard library lacks them
TIOCSBRK = 0x5427
TIOCCBRK = 0x5428

# Line._greeting: the BREAK that precedes the first frame
NONE, WANTED, ON = 0, 1, 2

ADVICE = {
    errno.ENOENT: "there is no such device: is it plugged in, is the path right?",
    errno.ENXIO: "this machine has no such port",
    errno.ENODEV: "this machine has no such port",
    errno.EIO: "this machine has no such port, or it hung up",
    errno.EACCES: "no permission to open it: run as root",
    errno.EPERM: "no permission to open it: run as root",
    errno.EBUSY: "another program has it open for itself alone",
    errno.EAGAIN: "another program has it open and locked",
    errno.ENOTTY: "not a serial port (tty)",
    errno.EINVAL: "the port refuses these settings",
}


class Line:
    """A serial medium. A backend says in `_connect` and `_disconnect` how the port is opened and closed."""

    type = "serial"
    format = "classic"
    stream = True
    backend = ""
    discarded = 0  # a tty has no stranger at its other end

    def __init__(self, config: MediumConfig, lock_dir: str) -> None:
        self.name = config.name
        self.device = config.device
        self._lock_dir = lock_dir
        self._baud = config.baud
        rate_bits_per_s = config.rate_bits_per_s
        self._octet_ns = -(-OCTET_BITS * 1_000_000_000 // rate_bits_per_s)
        self._stall_ns = STALL_NS * self._baud // rate_bits_per_s
        self._break_ns = BREAK_NS * self._baud // rate_bits_per_s
        self._locks: list[LockFile] = []
        self._fd = -1
        self._outbox = Outbox()
        self._cut = 0  # frames dropped after they were begun
        self._end: End | None = None
        self._lent: object = None  # what that was made of
        self._resync = False
        self._reset()

    def _reset(self) -> None:
        self._greeting = NONE
        self._rest = b""  # of the frame begun: what the port has not taken yet
        self._left = 0  # of the frame begun: what the port has taken and not yet sent, when last looked at
        self._moved_at = 0  # when the frame begun last made progress
        self._clear_at = 0  # when, by the line's rate, all that the port has taken will have left
        self._wake_at = 0  # before this, flush() has nothing to do

    @property
    def dropped(self) -> int:
        return self._outbox.dropped + self._cut

    # opening and closing

    def open(self) -> None:
        self._reset()
        try:
            self._lock()
            self._fd = self._connect()
            claim(self._fd)
            set_up(self._fd, self._baud)
        except (OSError, termios.error) as error:
            self.close()
            if isinstance(error, OSError) and error.strerror and error.strerror.startswith(self.device):
                raise
            number = _errno(error)
            text = f"{self.device}: {ADVICE.get(number, os.strerror(number))}"
            raise OSError(number, text) from error
        self._greeting = WANTED

    def _lock(self) -> None:
        # A link is locked by both its names: other programs will know the port by the one the kernel gave it.
        for path in dict.fromkeys((self.device, os.path.realpath(self.device))):
            lock = LockFile(self._lock_dir, path)
            if lock.path not in [held.path for held in self._locks]:
                lock.take()
                self._locks.append(lock)

    def _connect(self) -> int:
        """Open the port, non-blocking, not as controlling terminal; returns its descriptor."""
        raise NotImplementedError

    def _disconnect(self) -> None:
        """Close what `_connect` opened."""
        raise NotImplementedError

    def close(self) -> None:
        if self._rest:
            self._cut += 1
            self._resync = True
        self._outbox.clear()
        if self._fd >= 0:
            self._let_go()
            self._fd = -1
        self._reset()
        while self._locks:
            self._locks.pop().release()

    def _let_go(self) -> None:
        try:
            if self._greeting == ON:
                fcntl.ioctl(self._fd, TIOCCBRK)
            fcntl.ioctl(self._fd, termios.TIOCNXCL)
            if self._unsent():
                self._resync = True
                termios.tcflush(self._fd, termios.TCOFLUSH)
        except (OSError, termios.error):
            pass  # it hung up: nothing to tidy
        try:  # noqa: SIM105  contextlib is not worth its import here
            self._disconnect()
        except OSError:
            pass

    def fileno(self) -> int:
        return self._fd

    # lent

    def lend(self, decoder: Decoder) -> End | None:
        """What is needed to receive and to send without this object; None: now it is needed."""
        if self._fd < 0 or self._greeting != NONE or self._resync or self._rest or self._outbox:
            return None
        end = self._end
        if end is None or self._lent != (decoder, self._fd):
            self._lent = decoder, self._fd
            end = self._end = End(decoder, self._fd, self._fd, netstring=False)
        end.octet_ns = self._octet_ns
        end.wake_ns = self._wake_at
        end.clear_ns = self._clear_at
        end.moved_ns = self._moved_at
        end.unsent = self._left
        end.rest = b""
        return end

    def take_back(self, end: End) -> None:
        self._wake_at = end.wake_ns
        self._clear_at = end.clear_ns
        self._moved_at = end.moved_ns
        self._left = end.unsent
        self._rest = end.rest

    def failed(self, number: int, now: int) -> None:
        """What was written in its place was refused. OSError: the medium died."""
        raise self._hung_up(OSError(number, os.strerror(number)))

    # receiving

    def receive(self) -> list[bytes]:
        try:
            data = os.read(self._fd, READ_OCTETS)
        except BlockingIOError:
            return []
        except OSError as error:
            raise self._hung_up(error) from error
        if not data:
            raise self._hung_up(None)
        return [data]

    def _hung_up(self, error: Exception | None) -> OSError:
        self._resync = True  # who knows how far the last frame came
        number = _errno(error) if error else errno.EIO
        return OSError(number, f"{self.device}: the port hung up ({os.strerror(number)}): is it unplugged?")

    # sending

    def send(self, frame: bytes, priority: int, now: int) -> None:
        self._outbox.put(frame, priority)
        self.flush(now)

    def deadline(self) -> int | None:
        return self._wake_at if self._rest or self._outbox or self._greeting == ON else None

    def quiet(self, now: int) -> bool:
        if self._rest or self._outbox or self._greeting == ON or now < self._clear_at:
            return False
        try:
            return self._fd < 0 or not self._unsent()
        except OSError:
            return True  # it hung up: nothing more will leave

    def flush(self, now: int) -> None:
        # Each step either moves `_wake_at` beyond now or brings the frame one stage on, so this ends.
        while now >= self._wake_at and (self._rest or self._outbox or self._greeting == ON):
            if self._greeting != NONE:
                self._greet(now)
            elif self._rest:
                self._write(now)
            else:
                left = self._unsent()
                if left:
                    self._watch(left, now)
                else:
                    self._begin(now)

    def _greet(self, now: int) -> None:
        """A BREAK makes the far end's driver forget what it holds. TIOCSBRK waits for queued octets: there are none."""
        try:
            fcntl.ioctl(self._fd, TIOCSBRK if self._greeting == WANTED else TIOCCBRK)
        except OSError as error:
            if error.errno in (errno.EIO, errno.ENODEV, errno.ENXIO):
                raise self._hung_up(error) from error
            self._greeting = NONE  # this port can't: the greeting is a courtesy
            return
        if self._greeting == WANTED:
            self._greeting = ON
            self._wake_at = now + self._break_ns
        else:
            self._greeting = NONE

    def _begin(self, now: int) -> None:
        frame = self._outbox.take() or b""
        self._rest = RESYNC + frame if self._resync else frame
        self._resync = False
        self._left = 0
        self._moved_at = now

    def _write(self, now: int) -> None:
        try:
            taken = os.write(self._fd, self._rest)
        except BlockingIOError:
            taken = 0
        except OSError as error:
            raise self._hung_up(error) from error
        self._rest = self._rest[taken:]
        self._left += taken
        self._clear_at = max(self._clear_at, now) + taken * self._octet_ns
        if taken:
            self._moved_at = now
        if not self._rest:
            self._wake_at = self._clear_at
        else:
            # the port's queue is full: come back when half of it has left, so that the line never idles
            self._wait(max(taken // 2, LOOK_OCTETS), now)

    def _watch(self, left: int, now: int) -> None:
        """The line's rate says that the frame has left, the port says that `left` octets have not."""
        if left < self._left:
            self._left = left
            self._moved_at = now
        self._wait(max(left, LOOK_OCTETS), now)

    def _wait(self, octets: int, now: int) -> None:
        """Look again when `octets` may have left, or give the frame up."""
        stalled_at = self._moved_at + self._stall_ns
        if now >= stalled_at:
            self._give_up(now)
        else:
            self._wake_at = min(now + octets * self._octet_ns, stalled_at)

    def _give_up(self, now: int) -> None:
        try:
            termios.tcflush(self._fd, termios.TCOFLUSH)
        except termios.error as error:
            raise self._hung_up(error) from error
        self._cut += 1
        self._resync = True
        self._rest = b""
        self._left = 0
        self._clear_at = self._wake_at = now

    def _unsent(self) -> int:
        """Octets in the port's output queue; 0 where the driver does not say."""
        try:
            data = fcntl.ioctl(self._fd, termios.TIOCOUTQ, bytes(4))
        except OSError as error:
            if error.errno in (errno.ENOTTY, errno.EINVAL):
                return 0
            raise self._hung_up(error) from error
        return int.from_bytes(data, sys.byteorder)


def claim(fd: int) -> None:
    """Make the port ours alone. flock keeps out whoever asks, also root; TIOCEXCL whoever does not, but root."""
    if not os.isatty(fd):
        raise OSError(errno.ENOTTY, os.strerror(errno.ENOTTY))
    fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    fcntl.ioctl(fd, termios.TIOCEXCL)


def set_up(fd: int, baud: int) -> None:
    """The line settings of protocol/wire.md §10.1: raw 8N1, RTS/CTS, seven bits in, no CR. Both queues are emptied."""
    iflag, oflag, cflag, lflag, _, _, cc = termios.tcgetattr(fd)
    iflag &= ~(
        termios.IGNBRK | termios.IUCLC | termios.IXANY | termios.IXOFF | termios.IXON | termios.ICRNL | termios.INLCR
        | termios.PARMRK
    )  # fmt: skip
    iflag |= termios.INPCK | termios.ISTRIP | termios.IGNCR | termios.BRKINT
    oflag &= ~termios.OPOST
    cflag &= ~(termios.CSIZE | termios.CSTOPB | termios.PARENB)
    cflag |= termios.CS8 | termios.CREAD | termios.CLOCAL | termios.CRTSCTS
    lflag &= ~(termios.ICANON | termios.ECHO | termios.ISIG | termios.IEXTEN)
    # with VMIN 0, a read that returns nothing could be either an idle line or a hang-up
    cc[termios.VMIN] = 1
    cc[termios.VTIME] = 1
    speed = SPEEDS[baud]
    # not TCSAFLUSH: it waits until the output has left
    termios.tcsetattr(fd, termios.TCSANOW, [iflag, oflag, cflag, lflag, speed, speed, cc])
    if termios.tcgetattr(fd)[4:6] != [speed, speed]:
        # tcsetattr succeeds if it could make *any* of the changes
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
    termios.tcflush(fd, termios.TCIOFLUSH)


def _errno(error: BaseException | None) -> int:
    """The number of an OSError or a termios.error, or of what it was raised from: pyserial may give only text."""
    while error is not None:
        if error.args and isinstance(error.args[0], int):
            return error.args[0]
        error = error.__context__
    return errno.EIO
