"""The daemon's journal in RUN/journal, where it outlives the daemon, and when it is written to STATE/journal.

    RUN/journal/a b       of the run that lives, or was killed: found at the next start, it is written out, `crash`
    RUN/journal.crashed   while that is being done
    RUN/journal.ended     of the last run that ended as it should

The two buffers are memory files, shared with the kernel: whatever ends the process, kill -9 too, leaves them. Where RUN
lies on a disk, whose writes may hold the daemon up, the memory has no name, and what is in it is saved by a daemon that
can still do so.

Its rules: the daemon itself writes to no disk. A child does, `heartbeat journal`, a while after a take-over, so that
the journal holds what came of it. Trouble with any of this is a warning, and never holds up the cluster.
"""

from __future__ import annotations

import mmap
import os
import sys

from heartbeat import __version__
from heartbeat.children import Children
from heartbeat.core.actions import INFO, WARN
from heartbeat.journal import SIZE, Journal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from heartbeat.core.cluster import Cluster
    from heartbeat.loop import Loop
    from heartbeat.paths import Paths

NAMES = ("a", "b")
# from the last agent that was started to the file: what came of it is in it, and the take-over is not disturbed
AFTER_NS = 30_000_000_000
# a pair that flaps writes one file in so long
PAUSE_NS = 300_000_000_000
MEMORY = ("tmpfs", "ramfs")


class Recorder:
    """start: the journal, which is told events instead of the cluster. close: at the end; `clean`: it was wanted."""

    def __init__(self, paths: Paths, loop: Loop, environment: Mapping[str, str], *, divisor: int) -> None:
        self._paths = paths
        self._directory = f"{paths.run_dir}/journal"
        self._loop = loop
        self._environment = environment
        self._divisor = divisor
        self._children = Children(loop.poller, loop.log.output, self._written, loop.later)
        self._runs = 0
        self._maps: list[mmap.mmap] = []
        self._named = False
        self._cluster: Cluster | None = None
        self._failover_ns: object = None  # when the peer died whose take-over was written out last
        self._alarmed = False
        self._not_before = 0
        self._latest = 0  # when to look at the latest, 0: nothing is to be looked at

    def start(self, cluster: Cluster, now: int) -> Journal:
        """Begin to record what the cluster is told through it. Everything that goes wrong is said, and then nothing is
        recorded."""
        self._cluster = cluster
        crashed, problem = False, None
        try:
            crashed = self._set_aside("crashed")
            self._open()
        except OSError as error:
            self._maps.clear()
            problem = f"{self._directory}: {error.strerror}"
        buffers = [memoryview(each) for each in self._maps]
        journal = Journal(cluster, buffers, now=now, program=__version__, on_decision=self._decided)
        if journal.problem is not None:
            self._loop.log.write(WARN, f"no journal is kept: {problem or journal.problem}")
        if crashed:
            self._write_out("crash", "--crashed")
        return journal

    def _set_aside(self, ending: str) -> bool:
        """What is in RUN/journal goes to RUN/journal.ENDING. OSError."""
        if not os.path.lexists(self._directory):
            return False
        aside = f"{self._directory}.{ending}"
        remove(aside)
        os.rename(self._directory, aside)
        return True

    def _open(self) -> None:
        os.mkdir(self._directory, 0o700)
        self._named = in_memory(self._directory)
        for name in NAMES:
            path = f"{self._directory}/{name}"
            if self._named:
                fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            else:
                fd = os.memfd_create("heartbeat-journal", os.MFD_CLOEXEC)
                os.symlink(f"/proc/{os.getpid()}/fd/{fd}", path)
            os.posix_fallocate(fd, 0, SIZE)  # a store to a page that isn't there, and can't be had, would kill us
            self._maps.append(mmap.mmap(fd, SIZE))
            if self._named:
                os.close(fd)

    # --- writing it out

    def _decided(self, letters: str, now: int) -> None:
        """The cluster has answered something. Called within `tell`, before anything of it is done."""
        if "A" in letters:
            self._alarmed = True
        if "R" in letters or "A" in letters:
            after_ns = AFTER_NS // self._divisor
            self._latest = self._latest or now + 4 * after_ns  # where agents are started without end
            due = max(min(now + after_ns, self._latest), self._not_before)
            self._loop.schedule.at(due, "journal", self._look)

    def _look(self, now: int) -> None:
        """Was it a take-over, or does somebody have to look at it?"""
        failover = None if self._cluster is None else self._cluster.view().last_failover
        since = None if failover is None else failover["declared_dead_ns"]
        if since != self._failover_ns or self._alarmed:
            self._write_out("take-over" if since != self._failover_ns else "alarm")
            self._not_before = now + PAUSE_NS // self._divisor
        self._failover_ns = since
        self._alarmed = False
        self._latest = 0

    def _write_out(self, reason: str, *options: str) -> None:
        paths = self._paths
        argv = [sys.executable, "-I", "-m", "heartbeat.cli", "journal", "--reason", reason, *options]
        argv += ["--run-dir", paths.run_dir, "--state-dir", paths.state_dir]
        self._runs += 1
        try:
            self._children.spawn(self._runs, "journal", argv, self._environment, detached=True)
        except OSError as error:
            self._loop.log.write(WARN, f"journal of a {reason} not written: {error.strerror}")

    def _written(self, key: int, code: int, detail: str) -> None:
        self._loop.log.write(INFO if code == 0 else WARN, f"journal {'written' if code == 0 else 'not written'}")

    # --- the end

    def close(self, *, clean: bool) -> None:
        """Nothing is raised: there is nobody left to be told."""
        self._loop.schedule.cancel("journal")
        self._children.close()
        try:
            if self._maps and not self._named:
                self._save()
            if self._maps and clean:
                self._set_aside("ended")
        except OSError as error:
            self._loop.log.write(WARN, f"{self._directory}: {error.strerror}")

    def _save(self) -> None:
        """Give the memory without a name one."""
        for name, held in zip(NAMES, self._maps, strict=True):
            path = f"{self._directory}/{name}"
            os.unlink(path)
            fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            try:
                os.write(fd, held)
            finally:
                os.close(fd)


def collect(paths: Paths, *, reason: str, crashed: bool) -> str | None:
    """What `heartbeat journal` does: write what a daemon has left in the run directory to STATE/journal; the path, None
    where it has left nothing. crashed: of a run that was killed, removed when it is written; else of the run that
    lives, or of the last. OSError, ValueError.
    """
    from heartbeat import journalfile  # noqa: PLC0415  the daemon does without

    directory = f"{paths.run_dir}/journal"
    if crashed:
        directory += ".crashed"
    elif not os.path.lexists(directory):
        directory += ".ended"
    images = []
    try:
        for name in NAMES:
            with open(f"{directory}/{name}", "rb") as file:
                images.append(file.read(SIZE))
    except FileNotFoundError:
        return None
    content = journalfile.lines(images, reason=reason)
    name = f"{content[0]['written'].replace(':', '')}-{content[0]['node']}-{reason}"
    path = journalfile.write(f"{paths.state_dir}/journal", content, name=name)
    if crashed:
        remove(directory)
    return path


def remove(directory: str) -> None:
    """What this file has made, and nothing else. OSError."""
    if not os.path.lexists(directory):
        return
    for name in NAMES:
        if os.path.lexists(f"{directory}/{name}"):
            os.unlink(f"{directory}/{name}")
    os.rmdir(directory)


def in_memory(path: str) -> bool:
    """Does it lie on a file system of memory alone? False where that can't be found out."""
    device = os.stat(path).st_dev
    number = f"{os.major(device)}:{os.minor(device)}"
    try:
        with open("/proc/self/mountinfo", encoding="utf-8", errors="replace") as file:
            for line in file:
                mount, _, rest = line.partition(" - ")
                if mount.split()[2] == number:
                    return rest.split()[0] in MEMORY
    except OSError:
        pass
    return False
