"""What the next run must know of this one, if this one dies: RUN/held and RUN/sign.

They lie in the run directory, a memory file system that a reboot empties, like the addresses, processes and leases
they speak of. A clean stop removes both. A file system that is full holds up no take-over: then the next run knows
the addresses that are there, but not which scripts were started, and adopts nothing.

    held  a line for each thing that happens: ["begun", group's key] before its first agent runs, ["up", resource's
          word, …] when one has started, or several together, ["down", word, …] before they are stopped. Nothing in
          steady state.
    sign  the instant of the last sign of life that kept the leases, and whether this node was alone then: written into
          memory, without a system call, with each of them. And the generation, which the peer knows: whatever has
          become of the state directory, the next run does not begin where the peer would not believe it, and yet keep
          what is here.
"""

from __future__ import annotations

import errno
import mmap
import os
import struct

from heartbeat import jsontext

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

LIMIT_OCTETS = 1 << 20
# a file that has said so much says mostly what is over: it is written anew
COMPACT_NAMES = 4096
BEGUN, UP, DOWN = "begun", "up", "down"

_BOOT_ID = "/proc/sys/kernel/random/boot_id"
_SIGN = struct.Struct("=36s4xQQQ")  # boot id; instant, on a boundary of eight octets; alone; generation
_INSTANT, _INSTANT_AT = struct.Struct("=QQ"), 40
_GENERATION, _GENERATION_AT = struct.Struct("=Q"), 56
_PAGE_OCTETS = 4096


class HeldGroups:
    """begun: keys of the groups of which something may be up; up: words of the resources that are. Both of this run and
    of the dead ones before it. warn: is told, once, that the file cannot be written."""

    def __init__(self, run_dir: str, warn: Callable[[str], None]) -> None:
        self._path = f"{run_dir}/held"
        self._warn: Callable[[str], None] | None = warn
        self._said = 0
        self.begun: set[str] = set()
        self.up: set[str] = set()

    def read(self) -> None:
        """What earlier runs had started and not cleanly released; nothing where nothing is left or readable."""
        try:
            with open(self._path, "rb") as file:
                lines = file.read(LIMIT_OCTETS).split(b"\n")
        except OSError:
            return
        for line in lines:
            try:
                what, *names = jsontext.loads(line)
            except (TypeError, ValueError, RecursionError):
                continue  # cut short, by a file system that was full, or not ours
            self._said += len(names)
            for name in names:
                if isinstance(name, str):
                    self._apply(what, name)

    def _apply(self, what: object, name: str) -> None:
        if what == BEGUN:
            self.begun.add(name)
        elif what == UP:
            self.up.add(name)
        elif what == DOWN:
            self.up.discard(name)

    def add(self, key: str) -> None:
        """Before the group's first agent runs."""
        if key not in self.begun:
            self._append(BEGUN, key)

    def started(self, *words: str) -> None:
        self._append(UP, *[word for word in words if word not in self.up])

    def stopping(self, *words: str) -> None:
        self._append(DOWN, *[word for word in words if word in self.up])

    def _append(self, what: str, *names: str) -> None:
        """All in one: a thousand files opened would hold up the heartbeats."""
        if not names:
            return
        for name in names:
            self._apply(what, name)
        try:
            if self._said >= COMPACT_NAMES:
                self._rewrite()
            else:
                self._said += len(names)
                # the last line may have been cut short, and must not swallow this one
                _write(self._path, os.O_APPEND, b"\n" + _line(what, *names))
        except OSError as error:
            if self._warn is not None:
                self._warn(f"{self._path}: {error.strerror}: a crash now would leave its scripts running")
                self._warn = None

    def _rewrite(self) -> None:
        lines = [_line(BEGUN, key) for key in self.begun] + [_line(UP, word) for word in self.up]
        _write(f"{self._path}.new", os.O_TRUNC, b"".join(lines))
        os.rename(f"{self._path}.new", self._path)
        self._said = len(lines)

    def clear(self) -> None:
        """Everything has been released."""
        self.begun.clear()
        self.up.clear()
        self._said = 0
        _remove(self._path)


def _line(what: str, *names: str) -> bytes:
    return jsontext.dumps([what, *names]).encode() + b"\n"


def _write(path: str, flag: int, content: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | flag | os.O_NOFOLLOW | os.O_CLOEXEC, 0o640)
    try:
        if os.write(descriptor, content) != len(content):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)
    finally:
        os.close(descriptor)


def _remove(path: str) -> None:
    try:  # noqa: SIM105  contextlib is not worth its import here
        os.unlink(path)
    except OSError:
        pass


class LastSign:
    """last_ns: an earlier run's last sign of life, None where there is none of since this machine was switched on;
    was_alone: it knew its peer dead then; generation: its last, 0 where it is not known. `keep` and `begin` write
    this run's."""

    def __init__(self, run_dir: str, warn: Callable[[str], None]) -> None:
        self._path = f"{run_dir}/sign"
        self.last_ns: int | None = None
        self.was_alone = False
        self.generation = 0
        self._map: mmap.mmap | None = None
        boot_id = _boot_id()
        try:
            self._open(boot_id)
        except OSError as error:
            warn(f"{self._path}: {error.strerror}: a daemon that is started after a crash will not adopt what it left")

    def _open(self, boot_id: bytes) -> None:
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o640)
        try:
            said = os.pread(descriptor, _SIGN.size, 0)
            if len(said) == _SIGN.size:
                boot, instant_ns, alone, generation = _SIGN.unpack(said)
                if boot == boot_id:
                    self.generation = generation
                if boot == boot_id and instant_ns:
                    self.last_ns = instant_ns
                    self.was_alone = bool(alone)
            written = _SIGN.pack(boot_id, self.last_ns or 0, self.was_alone, self.generation)
            # all of the page, or a write into memory could find the file system full
            os.pwrite(descriptor, written.ljust(_PAGE_OCTETS, b"\0"), 0)
            self._map = mmap.mmap(descriptor, _PAGE_OCTETS)
        finally:
            os.close(descriptor)

    def keep(self, instant_ns: int, *, alone: bool) -> None:
        if self._map is not None:
            _INSTANT.pack_into(self._map, _INSTANT_AT, instant_ns, alone)

    def place(self) -> tuple[mmap.mmap | None, int]:
        """Where the instant is, eight octets of this machine's order; None: it is not kept."""
        return self._map, _INSTANT_AT

    def begin(self, generation: int) -> None:
        if self._map is not None:
            _GENERATION.pack_into(self._map, _GENERATION_AT, generation)

    def clear(self) -> None:
        """There is nothing to adopt."""
        if self._map is not None:
            self._map.close()
            self._map = None
        _remove(self._path)


def _boot_id() -> bytes:
    """As long as it is the same, an instant of CLOCK_BOOTTIME means the same. Zeros without /proc: each boot alike."""
    try:
        with open(_BOOT_ID, "rb") as file:
            return file.read(36)
    except OSError:
        return bytes(36)
