"""What a node must remember: its generation and uuid across restarts, its peers', its process number while it runs.

The files are the original's (names, octets, modes), so that a node can go from one program to the other and back; but
for `peers`, which it does not have. A file is replaced whole or not at all: written beside, synced, renamed, and its
directory synced; only on a disk that is full is the generation written where it stands. Everything here runs at start
and at exit, never while the node beats, so it may wait for the disk. (`peers` changes in between; then this file runs
as a program of its own, PATH CONTENT, started by heartbeat.peers.)

All functions raise OSError where a file cannot be read or written, but for one that is absent.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import sys
import time
import zlib

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

GENERATION_FILE = "hb_generation"
GENERATION_COLUMNS = 15
UUID_FILE = "hb_uuid"
UUID_OCTETS = 16
PID_COLUMNS = 10
# the main process of Heartbeat 3, as it shows in a list of processes
ORIGINAL_TITLE = b"heartbeat: master control process"
PEERS_FILE = "peers"
# what its readers take: a cluster of this program has two nodes, one of the original 100; a name has 99 characters
PEERS = 100
PEERS_OCTETS = 16384
NUMBER_MAX = (1 << 64) - 1  # `hg` and `seq` have 16 hex digits at most

# `is it locked?` takes the lock for a moment; a daemon that starts in that moment tries again
LOCK_TRIES = 25
LOCK_PAUSE_S = 0.02


def make_directory(path: str) -> None:
    """Create `path`, mode 0750, and its parents, where they are absent."""
    parent = os.path.dirname(path)
    if parent and not os.path.isdir(parent):
        os.makedirs(parent, mode=0o755, exist_ok=True)
    try:
        os.mkdir(path, mode=0o750)
    except FileExistsError:
        if not os.path.isdir(path):
            raise NotADirectoryError(errno.ENOTDIR, "is in the way and no directory", path) from None
    else:
        os.chmod(path, 0o750)  # whatever the umask


def _ignore(_text: str) -> None:
    pass


def _read(path: str, limit: int) -> bytes | None:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        return os.read(fd, limit)
    finally:
        os.close(fd)


def replace(path: str, content: bytes, mode: int = 0o644) -> None:
    """Write `path` so that a power failure at any instant leaves the old content or the new one."""
    beside = f"{path}.new"
    fd = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
    try:
        os.fchmod(fd, mode)
        if os.write(fd, content) != len(content):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)
        os.fsync(fd)
    finally:
        os.close(fd)
    os.rename(beside, path)
    directory = os.open(os.path.dirname(path) or ".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def _replace_in_any_case(path: str, content: bytes) -> None:
    """As `replace`; where the disk is full, in the place of the old content, which must have as many octets.

    That needs no room, but a power failure just then leaves a damaged file.
    """
    try:
        replace(path, content)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT) or not _overwritten(path, content):
            raise


def _overwritten(path: str, content: bytes) -> bool:
    try:
        fd = os.open(path, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        if os.fstat(fd).st_size != len(content):
            return False
        written = os.pwrite(fd, content, 0)
        os.fsync(fd)
    finally:
        os.close(fd)
    return written == len(content)


def _stored_generation(path: str, warn: Callable[[str], None]) -> int | None:
    content = _read(path, 64)
    if content is None:
        return None
    text = content.strip(b" \n")
    if len(content) == GENERATION_COLUMNS + 1 and text.isdigit():
        return int(text)
    warn(
        f"{path} holds no generation number (a power failure while it was written?): the clock is used instead. "
        "If the peer now reports a possible replay, the clock is behind: set it and start again"
    )
    return None


def generation_content(generation: int) -> bytes:
    """Sixteen octets, as the original has them."""
    return b"%*d\n" % (GENERATION_COLUMNS, generation)


def next_generation(
    state_dir: str,
    method: str,
    wall_s: int,
    *,
    run_dir: str | None = None,
    above: int = 0,
    warn: Callable[[str], None] = _ignore,
) -> int:
    """The generation of this run, higher than that of any run before (protocol/wire.md §7.1).

    method: ha.cf's hbgenmethod. `file`: one more than STATE/hb_generation says, which is written back; where the file
    is absent or damaged, one more than the clock, which no earlier run of the file can have passed unless it counted
    more than one start a second. (The original goes back to 1 over a damaged file, and its peer then rejects all it
    says.) `time`: the clock; two starts in one second would share a number, so the last one is kept in `run_dir`,
    which a reboot empties. above: a run's that has died since this machine was switched on; what it held may be here
    still, so its peer must believe this one.
    """
    if method == "time":
        path = f"{run_dir}/{GENERATION_FILE}" if run_dir else None
        last = _stored_generation(path, _ignore) if path else None
        generation = wall_s
        # only the repeat is avoided: after a clock that was far ahead, `time` means the clock again
        if last is not None and last - 60 <= wall_s <= last:
            generation = last + 1
    else:
        path = f"{state_dir}/{GENERATION_FILE}"
        last = _stored_generation(path, warn)
        generation = (wall_s if last is None else last) + 1
    if generation <= above:
        warn(f"{path}: the generation {generation - 1} is not this node's last, which was {above}: was it set back?")
        generation = above + 1
    if path:
        # a node that crashed may start again though its disk is full
        _replace_in_any_case(path, generation_content(generation))
    return generation


def node_uuid(state_dir: str, method: str, name: str, *, warn: Callable[[str], None] = _ignore) -> bytes:
    """The node's 16 octets of identity. method: ha.cf's uuidfrom, `file` or `nodename` (protocol/wire.md §12).

    `file`: STATE/hb_uuid, made (random, RFC 4122) where it is absent, damaged or all zero, which on the wire means
    unknown.
    """
    if method == "nodename":
        return uuid_from_name(name)
    path = f"{state_dir}/{UUID_FILE}"
    content = _read(path, 64)
    if content is not None and len(content) == UUID_OCTETS and any(content):
        return content
    if content is not None:
        warn(f"{path} is damaged: this node gets a new uuid")
    drawn = bytearray(os.urandom(UUID_OCTETS))
    drawn[6] = 0x40 | drawn[6] & 0x0F  # version 4
    drawn[8] = 0x80 | drawn[8] & 0x3F  # variant of RFC 4122
    replace(path, bytes(drawn))
    return bytes(drawn)


def read_peers(state_dir: str, *, warn: Callable[[str], None] = _ignore) -> dict[str, tuple[int, int]]:
    """STATE/peers: of each peer the generation and the highest sequence number that must not be believed again.

    Whatever is wrong with the file, it is said and nothing is known: then a peer counts as new.
    """
    path = f"{state_dir}/{PEERS_FILE}"
    try:
        content = _read_own(path)
    except OSError as error:
        content, problem = b"", error.strerror or str(error)
    else:
        if content is None:
            return {}
        problem = "damaged"
    known = _parse_peers(content)
    if known is None:
        warn(f"{path} is not used ({problem}): old messages of a peer may pass for new until it is heard")
        return {}
    return known


def _read_own(path: str) -> bytes | None:
    """None where it is absent. OSError, also for a file that somebody else could have written."""
    try:
        # no link of somebody's, and a FIFO must not hang the start
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode) or found.st_uid not in (0, os.geteuid()) or found.st_mode & 0o022:
            raise OSError(errno.EPERM, "others can write it", path)
        return os.read(fd, PEERS_OCTETS + 1)
    finally:
        os.close(fd)


def peers_content(peers: Mapping[str, tuple[int, int]]) -> bytes:
    """A line `NAME GENERATION SEQUENCE` for each, and a checksum: a disk may lose the middle of a file."""
    lines = [f"{name} {generation} {sequence}\n" for name, (generation, sequence) in sorted(peers.items())]
    body = "".join(lines).encode()
    return body + b"crc %08x\n" % zlib.crc32(body)


def _parse_peers(content: bytes) -> dict[str, tuple[int, int]] | None:
    """None: damaged."""
    body, _, end = content.rpartition(b"crc ")
    if len(content) > PEERS_OCTETS or end != b"%08x\n" % zlib.crc32(body) or body.count(b"\n") > PEERS:
        return None
    peers: dict[str, tuple[int, int]] = {}
    for line in body.split(b"\n")[:-1]:
        words = line.split(b" ")
        if (
            len(words) != 3
            or not words[0].isascii()
            or not all(word.isdigit() and len(word) <= 20 for word in words[1:])
        ):
            return None
        generation, sequence = int(words[1]), int(words[2])
        if max(generation, sequence) > NUMBER_MAX:
            return None
        peers[words[0].decode()] = generation, sequence
    return peers


def replace_peers(path: str, content: bytes, mode: int = 0o600) -> None:
    """OSError: the file is what it was."""
    replace(path, content, mode)


def uuid_from_name(name: str) -> bytes:
    """The uuid which the original derives from a node's name with the C library's generator (protocol/wire.md §12)."""
    seed = 0
    for octet in name.encode():
        seed = (31 * seed + octet) & 0xFFFFFFFF
    return bytes.fromhex("".join("%x" % (number % 16) for number in c_rand(seed, 2 * UUID_OCTETS)))


def c_rand(seed: int, count: int) -> list[int]:
    """The first `count` numbers that glibc's rand() gives after srand(seed).

    Its additive feedback generator over 31 words (TYPE_3): filled by a multiplicative generator modulo 2^31 - 1, then
    x[i] = x[i - 3] + x[i - 31] modulo 2^32; 310 numbers are thrown away, and of each the lowest bit.
    """
    word = seed or 1
    if word >= 1 << 31:
        word -= 1 << 32  # the C library keeps it in an int
    x = [word]
    for _ in range(30):
        # 16807 * word mod (2^31 - 1) by Schrage's method; C's division rounds towards zero, which shows in the first
        # step when the seed is negative
        high = abs(word) // 127773 * (1 if word >= 0 else -1)
        word = 16807 * (word - 127773 * high) - 2836 * high
        if word < 0:
            word += 0x7FFFFFFF
        x.append(word)
    x += x[:3]
    for i in range(34, 344 + count):
        x.append((x[i - 3] + x[i - 31]) & 0xFFFFFFFF)
    return [number >> 1 for number in x[344:]]


class AlreadyRunning(OSError):  # noqa: N818  reads as what it says
    """Another daemon holds the run directory. pid: its process, 0 where unknown."""

    def __init__(self, path: str, pid: int, *, original: bool = False) -> None:
        which, where = ("Heartbeat 3", "on this machine") if original else ("a heartbeat daemon", "in this directory")
        super().__init__(errno.EEXIST, f"{which} (process {pid}) already runs {where}", path)
        self.pid = pid

    def __str__(self) -> str:
        return f"{self.strerror}: {self.filename}"


class PidFile:
    """RUN/heartbeat.pid: eleven octets, the daemon's own process number. Locked, so that a file left by a daemon that
    was killed is known for what it is, whoever has its number now."""

    def __init__(self, path: str) -> None:
        """Write and lock it. AlreadyRunning where another daemon has, or Heartbeat 3 runs on this machine; OSError."""
        other = os.path.join(os.path.dirname(os.path.dirname(path)), os.path.basename(path))
        original = _original(other)
        if original:
            raise AlreadyRunning(other, original, original=True)
        self._path = path
        self._fd = self._lock()
        os.ftruncate(self._fd, 0)
        os.pwrite(self._fd, b"%*d\n" % (PID_COLUMNS, os.getpid()), 0)

    def _lock(self) -> int:
        for _ in range(LOCK_TRIES):
            fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                # a daemon that just ended may have removed the file between our open and our lock
                if os.path.samestat(os.fstat(fd), os.stat(self._path)):
                    return fd
            except FileNotFoundError:
                pass
            except BlockingIOError:
                time.sleep(LOCK_PAUSE_S)
            except BaseException:
                os.close(fd)
                raise
            os.close(fd)
        raise AlreadyRunning(self._path, _pid_in(self._path))

    def close(self) -> None:
        """Remove the file and give the lock up. For the end of the daemon: nothing is raised."""
        if self._fd < 0:
            return
        try:  # noqa: SIM105  contextlib costs the daemon 0.1 MB
            os.unlink(self._path)
        except OSError:
            pass  # the lock is what counts
        os.close(self._fd)
        self._fd = -1


def _pid_in(path: str) -> int:
    """0 where it names none. OSError."""
    content = (_read(path, 64) or b"").strip()
    return int(content) if content.isdigit() else 0


def _original(path: str) -> int:
    """The number of a Heartbeat 3 whose pid file this is, which would speak in this node's name as well; 0 for none.

    Its file stands above our run directory and stays there when it has ended, so the process is looked at, too.
    """
    pid = _pid_in(path)
    try:
        line = _read(f"/proc/{pid}/cmdline", len(ORIGINAL_TITLE)) if pid else None
    except ProcessLookupError:  # it has ended since
        return 0
    return pid if line == ORIGINAL_TITLE else 0


def daemon_pidfd(path: str) -> int | None:
    """A descriptor of the daemon's process that the caller closes; None where no daemon runs. OSError.

    Opened before the lock is looked at: if the file is locked then, the number in it was the daemon's all the while
    and the descriptor is of the daemon, not of somebody who got its number later.
    """
    pid = _pid_in(path)
    if not pid:
        return None
    try:
        pidfd = os.pidfd_open(pid)
    except (ProcessLookupError, OverflowError):  # the latter: no process has such a number
        return None
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.EINVAL):  # it is now the number of a thread that is no process
            return None
        raise
    try:
        if _locked(path) and _pid_in(path) == pid:
            return pidfd
    except BaseException:
        os.close(pidfd)
        raise
    os.close(pidfd)
    return None


def _locked(path: str) -> bool:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False


def _main(path: str, content: str, mode: str) -> int:
    try:
        replace_peers(path, os.fsencode(content), int(mode, 8))
    except OSError as error:
        print(error.strerror)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(_main(*sys.argv[1:]))
