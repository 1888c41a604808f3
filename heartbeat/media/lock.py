"""UUCP lock files: how programs that share a serial port tell each other that it is taken.

`LCK..ttyS0` holds its owner's process id, right-aligned in ten columns and a line feed (protocol/wire.md §10.5). It is
held for as long as the port is open, as minicom, getty, gpsd and ModemManager expect. A file whose process is gone is a
leftover and is taken over.

The file appears with its contents, by a link to one already written: another program never reads an empty lock and
takes it for a leftover.
"""

from __future__ import annotations

import errno
import fcntl
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import ClassVar

MODE = 0o644
READ_OCTETS = 64  # more than any dialect writes


def lock_name(device: str) -> str:
    """The lock file's name: `/dev/ttyS0` → `LCK..ttyS0`, `/dev/pts/2` → `LCK..pts2`."""
    return "LCK.." + "".join(c for c in device.removeprefix("/dev/") if c.isascii() and c.isalnum())


class LockFile:
    """One lock file. take() raises OSError: EBUSY where a live process holds it."""

    __slots__ = ("_device", "_directory", "path")

    # What this process holds: by the number in the file alone, a lock of ours can't be told from the leftover of an
    # earlier process that happened to have our number (usual in containers, where the daemon is always process 7).
    _held: ClassVar[set[str]] = set()

    def __init__(self, directory: str, device: str) -> None:
        # /var/lock is a link to /run/lock, which need not exist yet on a machine without systemd
        self._directory = os.path.realpath(directory)
        self._device = device
        self.path = os.path.join(self._directory, lock_name(device))

    def take(self) -> None:
        try:
            if not os.path.isdir(self._directory):
                os.makedirs(self._directory, exist_ok=True)
            # the second round finds the leftover removed
            if not self._create():
                self._remove_leftover()
                if not self._create():
                    raise self._busy(self._holder())
        except OSError as error:
            if error.errno == errno.EBUSY:
                raise
            text = f"{self._device}: cannot write the lock file {self.path}: {os.strerror(error.errno or errno.EIO)}"
            raise OSError(error.errno, text) from error
        LockFile._held.add(self.path)

    def release(self) -> None:
        """Remove the file, if this object took it and it is still ours. Never raises."""
        if self.path not in LockFile._held:
            return
        LockFile._held.discard(self.path)
        try:
            if self._read() == os.getpid():
                os.unlink(self.path)
        except OSError:
            pass  # somebody cleaned the directory: there is nothing left to give back

    def _create(self) -> bool:
        """Write the lock; False: there is one already."""
        draft = os.path.join(self._directory, f"LTMP.{os.getpid()}")
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        try:
            fd = os.open(draft, flags, MODE)
        except FileExistsError:
            os.unlink(draft)  # an earlier process with our number died between two lines of this function
            fd = os.open(draft, flags, MODE)
        try:
            os.fchmod(fd, MODE)  # whatever the umask: other programs must be able to read it
            os.write(fd, b"%10d\n" % os.getpid())
            os.link(draft, self.path)
        except FileExistsError:
            return False
        finally:
            os.close(fd)
            os.unlink(draft)
        return True

    def _remove_leftover(self) -> None:
        """Remove a lock whose process is gone; EBUSY where it lives.

        The directory is locked meanwhile: of two processes that found the same leftover, the slower would otherwise
        remove the faster one's fresh lock.
        """
        directory = os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            try:
                fcntl.flock(directory, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise self._busy(0) from None
            holder = self._holder()
            if holder is None:
                return  # whoever removed it before us is about to write its own: that one is not ours to remove
            if holder:
                raise self._busy(holder)
            try:  # noqa: SIM105  contextlib is not worth its import here
                os.unlink(self.path)
            except FileNotFoundError:
                pass
        finally:
            os.close(directory)

    def _holder(self) -> int | None:
        """The live process that holds the lock, 0 if none does; None: there is no lock file."""
        if self.path in LockFile._held:
            return os.getpid()
        try:
            pid = self._read()
        except FileNotFoundError:
            return None
        return pid if pid != os.getpid() and _lives(pid) else 0

    def _read(self) -> int:
        """The process id in the file; 0 where there is none to be read."""
        # O_NONBLOCK and O_NOFOLLOW: everybody may write to the directory, also a FIFO or a link
        fd = os.open(self.path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            data = os.read(fd, READ_OCTETS)
        finally:
            os.close(fd)
        word = data.split(maxsplit=1)[0] if data.split() else b""
        if word.isdigit():
            return int(word)
        # the older dialect: the number in binary
        return int.from_bytes(data, sys.byteorder) if len(data) == 4 else 0

    def _busy(self, holder: int | None) -> OSError:
        who = f"process {holder}{_command(holder)}" if holder else "another process"
        return OSError(errno.EBUSY, f"{self._device} is in use: {who} holds the lock file {self.path}")


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except (ProcessLookupError, OverflowError):
        return False
    return True


def _command(pid: int) -> str:
    try:
        fd = os.open(f"/proc/{pid}/comm", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return ""
    try:
        return f" ({os.read(fd, READ_OCTETS).decode('ascii', 'replace').strip()})"
    except OSError:
        return ""
    finally:
        os.close(fd)
