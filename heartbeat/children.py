"""Agents that run as processes: spawned, listened to, killed; their ends are events of the poller.

Rules:
* Nothing here waits. Spawned with `posix_spawn` (the daemon's memory is never copied), ended through a pidfd.
* A child starts clean: a session of its own, no descriptor of ours but its output, default signals, only the
  environment it was given.
* What it writes goes to the log line by line, within limits per run; beyond them it is read and thrown away, so that
  its log never drowns ours. One read of at most READ_BYTES for each wake-up, and then one in FLOOD_PAUSE_NS: a child
  that prints for ever waits for us, instead of taking the real-time daemon's processor.
* A run ends when its process does. What it leaves behind is left alone: init scripts leave daemons behind on purpose.
  They may go on writing to the same pipe, within the same limits; it stays open as long as they and we live.
* A kill is final: SIGKILL for the whole process group, and the end is reported at once. A process that is stuck inside
  the kernel (a dead NFS server) runs no more of its own instructions, so nobody needs to wait for its burial.
"""

from __future__ import annotations

import os

from heartbeat.poller import READ

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    from heartbeat.poller import Poller

READ_BYTES = 65536  # a pipe holds as much
LINE_BYTES = 512  # of a longer line the rest is dropped: syslog itself cuts at 1 KiB
LINES_PER_RUN = 100
CAPTURE_BYTES = 4096
FLOOD_PAUSE_NS = 10_000_000
PIPES_LEFT_BEHIND = 64  # beyond that the oldest is closed, and whoever still writes to it gets SIGPIPE

KILLED = 128 + 9  # the exit code of a killed run, as a shell gives it
_SIGKILL = 9
# what heartbeat.realtime makes of the daemon
_REAL_TIME = os.SCHED_RR | os.SCHED_RESET_ON_FORK
_SIGNALS = [number for number in range(1, 32) if number not in (_SIGKILL, 19)]


class Children:
    """on_output(name, line): a line for the log, without its end. on_exit(key, code, detail): the run `key` has ended;
    a signal n is code 128 + n; detail: its standard output if it was captured, else how it ended ("" for code 0).

    Both are called from `Poller.wait`, never from within `spawn` or `kill`. later(delay_ns, callback): calls it once,
    after the delay; without it floods are read as they come.
    """

    def __init__(
        self,
        poller: Poller,
        on_output: Callable[[str, str], None],
        on_exit: Callable[[int, int, str], None],
        later: Callable[[int, Callable[[], None]], None] | None = None,
    ) -> None:
        self._poller = poller
        self._later = later
        self._on_output = on_output
        self._on_exit = on_exit
        self._running: dict[int, _Child] = {}
        self._unburied: dict[int, _Child] = {}  # killed and reported, but still a process: by pidfd
        self._pipes: dict[int, _Pipe] = {}  # all that are open, oldest first: by descriptor
        self._killed: list[_Child] = []
        _keep_to_ourselves()
        self._wake = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        poller.add(self._wake, self._report_killed)

    def __len__(self) -> int:
        return len(self._running)

    def spawn(
        self,
        key: int,
        name: str,
        argv: Sequence[str],
        environment: Mapping[str, str],
        *,
        capture: bool = False,
        detached: bool = False,
    ) -> None:
        """Start `argv` (element 0 is the path) as run `key`, a number never used before.

        capture: keep the first CAPTURE_BYTES of its standard output for on_exit instead of logging it.
        detached: `close` leaves it alone. OSError: it could not be started; nothing is left and nothing is reported.
        """
        assert key not in self._running, key
        child = _Child(key, name, detached)
        try:
            # both ends are close-on-exec; only ours is non-blocking, the flag is the pipe end's and not ours to give
            output, output_end = child.open_pipe(capture=capture)
            error_end = child.open_pipe(capture=False)[1] if capture else output_end
            child.start(argv, environment, output_end, error_end)
        except OSError:
            child.abandon()
            raise
        child.captured = output if capture else None
        for pipe in child.pipes:
            self._listen(pipe)
        self._running[key] = child
        self._poller.add(child.pidfd, lambda _events: self._exited(child))
        while len(self._pipes) > PIPES_LEFT_BEHIND + 2 * len(self._running):
            self._close_pipe(next(pipe for pipe in self._pipes.values() if pipe.child.ended))

    def kill(self, key: int) -> None:
        """SIGKILL to everything in the run's process group. A run that has ended already is none of our business."""
        child = self._running.get(key)
        if child is None or child.killed:
            return
        child.kill()
        self._killed.append(child)
        os.eventfd_write(self._wake, 1)

    def close(self) -> None:
        """The daemon ends: kill what is not detached, report nothing more."""
        for child in self._running.values():
            if not child.detached:
                child.kill()
            self._poller.remove(child.pidfd)
            child.bury()
        for pidfd in self._unburied:
            self._poller.remove(pidfd)
            os.close(pidfd)
        for pipe in list(self._pipes.values()):
            self._close_pipe(pipe)
        self._poller.remove(self._wake)
        os.close(self._wake)
        self._running.clear()
        self._unburied.clear()

    def _listen(self, pipe: _Pipe) -> None:
        self._pipes[pipe.fd] = pipe
        self._poller.add(pipe.fd, lambda _events: self._read(pipe))

    def _read(self, pipe: _Pipe) -> None:
        open_still = pipe.read()
        self._log(pipe, pipe.lines())
        if not open_still:
            self._log(pipe, pipe.rest())
            self._close_pipe(pipe)
        elif pipe.floods and self._later is not None:
            self._poller.change(pipe.fd, 0)
            self._later(FLOOD_PAUSE_NS, lambda: self._listen_again(pipe))

    def _listen_again(self, pipe: _Pipe) -> None:
        if self._pipes.get(pipe.fd) is pipe:
            self._poller.change(pipe.fd, READ)

    def _log(self, pipe: _Pipe, lines: list[str]) -> None:
        for line in lines:
            self._on_output(pipe.child.name, line)

    def _close_pipe(self, pipe: _Pipe) -> None:
        del self._pipes[pipe.fd]
        self._poller.remove(pipe.fd)
        os.close(pipe.fd)

    def _exited(self, child: _Child) -> None:
        self._poller.remove(child.pidfd)
        code = child.bury()
        self._unburied.pop(child.pidfd, None)
        if not child.ended:
            self._report(child, code)

    def _report_killed(self, _events: int) -> None:
        os.eventfd_read(self._wake)
        killed, self._killed = self._killed, []
        for child in killed:
            if not child.ended:
                self._unburied[child.pidfd] = child
                self._report(child, KILLED)

    def _report(self, child: _Child, code: int) -> None:
        child.ended = True
        del self._running[child.key]
        for pipe in child.pipes:
            if pipe.fd in self._pipes:
                self._read(pipe)  # what it wrote last: a pipe holds no more than one read takes
                self._log(pipe, pipe.rest())
        detail = _how_it_ended(code) if child.captured is None else child.captured.text()
        self._on_exit(child.key, code, detail)


class _Child:
    """One run."""

    def __init__(self, key: int, name: str, detached: bool) -> None:
        self.key = key
        self.name = name
        self.detached = detached
        self.pipes: list[_Pipe] = []
        self.captured: _Pipe | None = None
        self.pid = self.pidfd = -1
        self.killed = False
        self.ended = False  # reported
        self._ends: list[int] = []  # the child's ends of the pipes, until it has them

    def open_pipe(self, *, capture: bool) -> tuple[_Pipe, int]:
        ours, theirs = os.pipe2(os.O_CLOEXEC)
        os.set_blocking(ours, False)
        pipe = _Pipe(ours, self, capture)
        self.pipes.append(pipe)
        self._ends.append(theirs)
        return pipe, theirs

    def start(self, argv: Sequence[str], environment: Mapping[str, str], output: int, error: int) -> None:
        self.pid = _spawn(
            argv[0],
            list(argv),
            environment,
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
                (os.POSIX_SPAWN_DUP2, output, 1),
                (os.POSIX_SPAWN_DUP2, error, 2),
            ],
            setsid=True,
            setsigmask=[],
            setsigdef=_SIGNALS,
        )
        try:
            self.pidfd = os.pidfd_open(self.pid)
        except OSError:
            self.kill()
            os.waitpid(self.pid, 0)
            raise
        for end in self._ends:
            os.close(end)
        self._ends.clear()

    def abandon(self) -> None:
        for fd in (*self._ends, *(pipe.fd for pipe in self.pipes)):
            os.close(fd)

    def kill(self) -> None:
        """Its pid cannot be another's by now: it is ours until `bury`."""
        self.killed = True
        try:
            os.killpg(self.pid, _SIGKILL)
        except (ProcessLookupError, PermissionError):
            return  # it has ended, and what is left of its group, if anything, has become another user's

    def bury(self) -> int:
        """The exit code; that of a process which still lives, KILLED."""
        os.close(self.pidfd)
        try:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
        except ChildProcessError:
            return KILLED
        if pid == 0:
            return KILLED
        code = os.waitstatus_to_exitcode(status)
        return code if code >= 0 else 128 - code


class _Pipe:
    """One output of a run: lines for the log, or its beginning for whoever asked. `read` fills, `lines` empties."""

    def __init__(self, fd: int, child: _Child, capture: bool) -> None:
        self.fd = fd
        self.child = child
        self._capture = capture
        self._buffer = b""
        self._lines_left = LINES_PER_RUN
        self._in_long_line = False
        self._dropped_bytes = 0

    def read(self) -> bool:
        """False: nobody writes to it any more."""
        try:
            data = os.read(self.fd, READ_BYTES)
        except BlockingIOError:
            return True
        if self._capture:
            self._buffer = (self._buffer + data)[:CAPTURE_BYTES]
        elif self._lines_left:
            self._buffer += data
        else:
            self._dropped_bytes += len(data)
        return bool(data)

    @property
    def floods(self) -> bool:
        """Nothing of what it still writes is of use to anybody."""
        return len(self._buffer) >= CAPTURE_BYTES if self._capture else not self._lines_left

    def text(self) -> str:
        return self._buffer.decode("utf-8", "replace")

    def lines(self) -> list[str]:
        """The whole lines that have come since the last call."""
        if self._capture or not self._buffer:
            return []
        *whole, self._buffer = self._buffer.split(b"\n", self._lines_left)
        lines = []
        for line in whole:
            self._lines_left -= 1
            lines.extend(self._line(line))
        if not self._lines_left:
            self._dropped_bytes += len(self._buffer)
            self._buffer = b""
        elif len(self._buffer) > LINE_BYTES:
            # a line without an end: its beginning is logged now, the rest is dropped when it comes
            lines.extend(self._line(self._buffer))
            self._in_long_line = True
            self._buffer = b""
        return lines

    def rest(self) -> list[str]:
        """At an end: what is there of the last line, and a word about what was dropped since this was last asked."""
        lines = []
        if not self._capture and self._buffer:
            lines.extend(self._line(self._buffer))
            self._buffer = b""
        if self._dropped_bytes:
            lines.append(f"… {self._dropped_bytes} bytes more dropped")
            self._dropped_bytes = 0
        return lines

    def _line(self, line: bytes) -> list[str]:
        if self._in_long_line:
            self._dropped_bytes += len(line)
            self._in_long_line = False
            return []
        text = line[:LINE_BYTES].decode("utf-8", "replace").rstrip()
        if not text.isprintable():
            # a control character could forge another line, or worse, on the operator's terminal
            text = "".join(c if c.isprintable() else " " if c == "\t" else "?" for c in text)
        if len(line) > LINE_BYTES:
            self._dropped_bytes += len(line) - LINE_BYTES
            text += " …"
        return [text] if text else []


def _spawn(path: str, argv: list[str], environment: Mapping[str, str], **options: Any) -> int:
    """os.posix_spawn, which returns when the child has become another program: and on a busy machine an ordinary child
    takes 15 to 30 ms to get there, while a real-time daemon waits for it. So the child of one gets that far in real
    time, below the daemon (0.5 ms), and is made an ordinary process then, with what it has started meanwhile."""
    parameter = os.sched_getparam(0)
    if os.sched_getscheduler(0) != _REAL_TIME or parameter.sched_priority <= os.sched_get_priority_min(os.SCHED_RR):
        return os.posix_spawn(path, argv, environment, **options)
    try:
        os.sched_setscheduler(0, os.SCHED_RR, parameter)
    except PermissionError:
        return os.posix_spawn(path, argv, environment, **options)
    try:
        below = os.sched_param(parameter.sched_priority - 1)
        pid = os.posix_spawn(path, argv, environment, scheduler=(os.SCHED_RR, below), **options)
        _make_ordinary(pid)
    finally:
        os.sched_setscheduler(0, _REAL_TIME, parameter)
    return pid


def _make_ordinary(pid: int) -> None:
    """It first: what it starts from then on is ordinary anyway."""
    try:
        os.sched_setscheduler(pid, os.SCHED_OTHER, os.sched_param(0))
        with open(f"/proc/{pid}/task/{pid}/children", "rb") as file:
            started = file.read().split()
    except (ProcessLookupError, FileNotFoundError):
        return  # it has ended already
    for child in started:
        _make_ordinary(int(child))


def _keep_to_ourselves() -> None:
    """Whoever started the daemon may have left it descriptors that pass on to children. (Ours never do.)"""
    for name in os.listdir("/proc/self/fd"):
        if int(name) > 2:
            try:
                os.set_inheritable(int(name), False)
            except OSError:
                continue  # the one that the list was read through


def _how_it_ended(code: int) -> str:
    if code == 0:
        return ""
    return f"killed by signal {code - 128}" if code > 128 else f"exit code {code}"
