"""The daemon's log: lines in the original's formats (protocol/behaviour.md §13), to stderr, syslog and files.

Its rules: `write` never raises and never waits, whatever becomes of the reader. Each destination keeps a bounded
number of lines that it could not deliver yet, sends them as soon as it can, and then says how many it had to drop. A
line is at most 1 KiB of printable text. The same cause is written a bounded number of times in a while, then counted.

A file on a busy disk may hold a writer for seconds, which a heartbeat cannot afford; so files are written by a small
`cat` at the other end of a pipe, and the daemon meets no disk.
"""

from __future__ import annotations

import os
import select
import stat
import time

from heartbeat.core.actions import CRIT, DEBUG, ERROR, INFO, SEVERITIES, WARN
from heartbeat.lean import deque, signal, socket

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from heartbeat.poller import Poller

# octets of one line without its newline; as short as syslog daemons of old take (RFC 3164)
LINE_OCTETS = 1024
# lines that wait for one destination; 1,000 addresses taken at once may each have something to say
WAITING_LINES = 2000
# lines of one cause in one window before they are only counted; an agent's output is one cause, and has more to say
WINDOW_S = 10.0
BURST_LINES = 20
OUTPUT_BURST_LINES = 200
# causes that are counted at one time; the oldest goes first
CAUSES = 256
# a destination that failed is tried again after so long
RETRY_S = 5.0
# at exit, for `cat` to write the last lines
CLOSE_S = 1.0
# the pipe to `cat`: a minute of a lively daemon
PIPE_OCTETS = 1 << 18

SYSLOG_SOCKET = "/dev/log"
# by core.actions' severities
SYSLOG_LEVELS = (7, 6, 5, 4, 3, 2)
FACILITIES = {
    "kern": 0, "user": 1, "mail": 2, "daemon": 3, "auth": 4, "syslog": 5, "lpr": 6, "news": 7, "uucp": 8, "cron": 9,
    "authpriv": 10, "ftp": 11, "local0": 16, "local1": 17, "local2": 18, "local3": 19, "local4": 20, "local5": 21,
    "local6": 22, "local7": 23,
}  # fmt: skip

# what would move a terminal's cursor, forge a second line, or cannot be encoded
_ESCAPES = {
    code: f"\\x{code:02x}" for code in (*range(0x20), *range(0x7F, 0xA0))
} | {0x09: "\\t", 0x0A: "\\n", 0x0D: "\\r", 0x2028: "\\u2028", 0x2029: "\\u2029"}  # fmt: skip


def printable(text: str) -> str:
    """`text` with control characters written out (`\\n`, `\\x1b`)."""
    return text.translate(_ESCAPES)


def severity_of(line: str) -> int:
    """What an agent's line of output is worth, guessed from its words as the original does."""
    for word, severity in (("ERROR", ERROR), ("WARN", WARN), ("CRIT", CRIT), ("DEBUG", DEBUG)):
        if word in line:
            return severity
    return INFO


class _Line:
    """One event, from which each destination makes its own form."""

    __slots__ = ("severity", "text", "wall_s")

    def __init__(self, severity: int, text: str, wall_s: float) -> None:
        self.severity = severity
        self.text = text
        self.wall_s = wall_s


class _Destination:
    """Where lines go. A subclass knows how to send one without waiting, and how to open again."""

    minimum = DEBUG

    def __init__(self, form: Callable[[_Line], str]) -> None:
        self._form = form
        self._waiting: deque[bytes] = deque()
        self._lost = 0
        self._retry_s = 0.0  # of the monotonic clock: not before this
        self._watch: Poller | None = None
        self._watched = -1

    # what a subclass brings; each raises OSError, BlockingIOError where it would wait

    def _send(self, line: bytes) -> None:
        raise NotImplementedError

    def _open(self) -> None:
        raise NotImplementedError

    def _close(self) -> None:
        raise NotImplementedError

    def fileno(self) -> int:
        """-1 while closed."""
        raise NotImplementedError

    # what they share

    def put(self, line: _Line) -> None:
        if len(self._waiting) >= WAITING_LINES:
            self._lost += 1
        else:
            self._waiting.append(_bounded(self._form(line)))
        self.flush()
        if self._lost and not self._waiting:
            lost, self._lost = self._lost, 0
            text = f"{lost} lines were lost here: the log could not keep up"
            self._waiting.append(_bounded(self._form(_Line(WARN, text, line.wall_s))))
            self.flush()

    def flush(self) -> None:
        """Send what waits, as far as that goes without waiting."""
        blocked = False
        while self._waiting:
            if self.fileno() < 0 and not self._reopen():
                break
            try:
                self._send(self._waiting[0])
            except BlockingIOError:
                blocked = True
                break
            except OSError:
                self._fail()
                break
            self._waiting.popleft()
        self._arm(blocked)

    def _reopen(self) -> bool:
        if time.monotonic() < self._retry_s:
            return False
        try:
            self._open()
        except OSError:
            self._fail()
            return False
        return True

    def _fail(self) -> None:
        self._arm(False)
        self._retry_s = time.monotonic() + RETRY_S
        self._close()

    def attach(self, poller: Poller) -> None:
        """From now on, lines that wait go as soon as they can, not with the next one."""
        self._watch = poller

    def _arm(self, blocked: bool) -> None:
        if self._watch is None or blocked == (self._watched >= 0):
            return
        if blocked:
            self._watched = self.fileno()
            self._watch.add(self._watched, self._ready, select.EPOLLOUT)
        else:
            self._watch.remove(self._watched)
            self._watched = -1

    def _ready(self, _events: int) -> None:
        self.flush()

    def reopen(self) -> None:
        """For logrotate. Only files care."""

    def close(self) -> None:
        self.flush()
        self._arm(False)
        self._close()


def _bounded(text: str) -> bytes:
    """One line in UTF-8, cut between two characters."""
    encoded = text.encode("utf-8", "backslashreplace")
    if len(encoded) > LINE_OCTETS:
        encoded = encoded[: LINE_OCTETS - 3].decode("utf-8", "ignore").encode() + b"..."
    return encoded


class _Stderr(_Destination):
    """The daemon's standard error: a terminal, a file, a pipe, or the journal's socket.

    Descriptor 2 is shared with whoever started us, so it is never made non-blocking itself: a socket is sent to
    without waiting, a pipe or a terminal is opened once more for ourselves.
    """

    def __init__(self, form: Callable[[_Line], str]) -> None:
        super().__init__(form)
        self._socket: socket.socket | None = None
        self._fd = -1
        self._shared: select.poll | None = None

    def _open(self) -> None:
        mode = os.fstat(2).st_mode
        if stat.S_ISSOCK(mode):
            self._socket = socket.socket(fileno=os.dup(2))
            return
        if stat.S_ISREG(mode):
            # opened again it would have a position of its own, and whoever else writes there would overwrite us
            self._fd = os.dup(2)
            return
        try:
            self._fd = os.open("/proc/self/fd/2", os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
        except OSError:
            # somebody else's pipe or terminal, or no /proc: asking first is nearly as good
            self._fd = os.dup(2)
            self._shared = select.poll()
            self._shared.register(self._fd, select.POLLOUT)

    def _send(self, line: bytes) -> None:
        if self._socket is not None:
            self._socket.send(line + b"\n", socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)
            return
        if self._shared is not None and not self._shared.poll(0):
            raise BlockingIOError
        os.write(self._fd, line + b"\n")

    def _close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
            self._shared = None

    def fileno(self) -> int:
        return self._socket.fileno() if self._socket is not None else self._fd


class _Syslog(_Destination):
    """The local syslog daemon's datagram socket. It may restart, be absent, or not read: lines wait for it."""

    def __init__(self, form: Callable[[_Line], str]) -> None:
        super().__init__(form)
        self._socket: socket.socket | None = None

    def _open(self) -> None:
        new = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            new.setblocking(False)
            new.connect(SYSLOG_SOCKET)
        except OSError:
            new.close()
            raise
        self._socket = new

    def _send(self, line: bytes) -> None:
        assert self._socket is not None
        self._socket.send(line)

    def _close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _fail(self) -> None:
        was_open = self._socket is not None
        super()._fail()
        if was_open:
            # a syslog daemon that was restarted has its new socket already: the next line tries at once
            self._retry_s = 0.0

    def reachable(self) -> bool:
        return self.fileno() >= 0 or self._reopen()

    def fileno(self) -> int:
        return -1 if self._socket is None else self._socket.fileno()


class _File(_Destination):
    """A file, mode 0640, appended to by `cat`. reopen() starts another one, for logrotate."""

    def __init__(self, form: Callable[[_Line], str], path: str, minimum: int) -> None:
        super().__init__(form)
        self.minimum = minimum
        self._path = path
        self._fd = -1

    def _open(self) -> None:
        reader, writer = os.pipe2(os.O_CLOEXEC)
        try:
            os.set_blocking(writer, False)
            _enlarge(writer)
            # The shell opens the file, so that even a hung disk holds only the shell. In its own group and with
            # default signals: neither Ctrl-C nor our own SIGTERM takes the last lines.
            cat = os.posix_spawn(
                "/bin/sh",
                ["sh", "-c", 'umask 027; exec cat >>"$1"', "sh", self._path],
                {"PATH": "/usr/bin:/bin"},
                file_actions=[(os.POSIX_SPAWN_DUP2, reader, 0)],
                setpgroup=0,
                setsigmask=(),
                setsigdef=(signal.SIGPIPE, signal.SIGTERM, signal.SIGHUP),
            )
        except OSError:
            os.close(writer)
            raise
        finally:
            os.close(reader)
        _cats.append(cat)
        self._fd = writer

    def _send(self, line: bytes) -> None:
        os.write(self._fd, line + b"\n")  # shorter than PIPE_BUF: all of it or nothing

    def _close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)  # cat reads what is left and ends
            self._fd = -1

    def reopen(self) -> None:
        self._arm(False)
        self._close()
        self._retry_s = 0.0
        self.flush()

    def fileno(self) -> int:
        return self._fd


# the processes behind pipes, of files that are written and of files that were given up
_cats: list[int] = []


def _reap_cats() -> None:
    for cat in list(_cats):
        try:
            if os.waitpid(cat, os.WNOHANG)[0] == 0:
                continue
        except ChildProcessError:
            pass  # the daemon's own wait was first
        _cats.remove(cat)


def _enlarge(pipe: int) -> None:
    import fcntl  # noqa: PLC0415  only where a file is configured

    try:  # noqa: SIM105  contextlib costs the daemon 0.1 MB
        fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, PIPE_OCTETS)
    except OSError:
        pass  # the user's share of pipe memory is used up: 64 KiB do


class _Cause:
    """How often the same thing was said lately."""

    __slots__ = ("last", "named", "repeated", "since_s", "written")

    def __init__(self, since_s: float, named: bool) -> None:
        self.since_s = since_s
        self.named = named  # lines of a named cause differ
        self.written = 0
        self.repeated = 0
        self.last: tuple[int, str] = (INFO, "")


class Log:
    """The log of one process; see the module's opening.

    entity: who speaks (`heartbeat`). logfacility, logfile, debugfile, debug, syslogmsgfmt: ha.cf's directives; without
    any of the first three, lines go to stderr when in the foreground and to syslog (`daemon`) when not. The log file
    gets all but debug lines, the others all; debug lines exist only while `debug` > 0. node: the host's name as
    `uname -n` says it.
    """

    def __init__(
        self,
        entity: str = "heartbeat",
        *,
        foreground: bool = True,
        logfacility: str | None = None,
        logfile: str | None = None,
        debugfile: str | None = None,
        debug: int = 0,
        syslogmsgfmt: bool = True,
        node: str | None = None,
    ) -> None:
        self.debug = debug
        self._entity = entity
        self._node = node or os.uname().nodename
        self._pid = os.getpid()
        self._causes: dict[str, _Cause] = {}
        self._poller: Poller | None = None
        self._destinations: list[_Destination] = []
        self.configure(
            foreground=foreground,
            logfacility=logfacility,
            logfile=logfile,
            debugfile=debugfile,
            debug=debug,
            syslogmsgfmt=syslogmsgfmt,
        )

    def configure(
        self,
        *,
        foreground: bool = True,
        logfacility: str | None = None,
        logfile: str | None = None,
        debugfile: str | None = None,
        debug: int = 0,
        syslogmsgfmt: bool = True,
    ) -> None:
        """Send lines elsewhere from now on (a reload). What waits for a place that is given up gets one last try."""
        old = self._destinations
        self.debug = debug
        self._facility = FACILITIES.get(logfacility or "", FACILITIES["daemon"])
        form = self._file_form if syslogmsgfmt else self._old_form
        new: list[_Destination] = []
        if logfacility is not None and logfacility != "none":
            syslog = _Syslog(self._syslog_form)
            new.append(syslog)
            if foreground and not syslog.reachable():
                # lines wait for it, but somebody should see them meanwhile
                new.append(self._stderr())
        if logfile is not None:
            new.append(_File(form, logfile, INFO))
        if debugfile is not None:
            new.append(_File(form, debugfile, DEBUG))
        if not new:
            new.append(self._stderr() if foreground else _Syslog(self._syslog_form))
        self._destinations = new
        if self._poller is not None:
            self.attach(self._poller)
        for destination in old:
            destination.close()

    def _stderr(self) -> _Stderr:
        return _Stderr(self._journal_form if _stderr_is_journal() else self._file_form)

    def attach(self, poller: Poller) -> None:
        """Let the daemon's loop send lines that wait."""
        self._poller = poller
        for destination in self._destinations:
            destination.attach(poller)

    def write(self, severity: int, text: str, *, cause: str | None = None, burst: int = BURST_LINES) -> None:
        """One line. severity: of heartbeat.core.actions.

        cause: what the line is about, for the limit of `burst` lines in WINDOW_S; the text itself where not given. Give
        it where the text differs each time and an outsider makes it appear.
        """
        if severity == DEBUG and self.debug <= 0:
            return
        now_s = time.monotonic()
        key = text if cause is None else cause
        known = self._causes.get(key)
        if known is not None and now_s - known.since_s >= WINDOW_S:
            self._forget(key)
            known = None
        if known is None:
            known = self._remember(key, now_s, cause is not None)
        if known.written >= burst:
            known.repeated += 1
            known.last = (severity, text)
            return
        known.written += 1
        self._put(severity, printable(text))

    def output(self, name: str, line: str) -> None:
        """One line that the agent `name` printed."""
        self.write(severity_of(line), f"{name}: {line}", cause=f"output of {name}", burst=OUTPUT_BURST_LINES)

    def _remember(self, key: str, now_s: float, named: bool) -> _Cause:
        # in order of age: the first ones are the ones that are over
        for old in list(self._causes):
            if len(self._causes) < CAUSES and now_s - self._causes[old].since_s < WINDOW_S:
                break
            self._forget(old)
        known = self._causes[key] = _Cause(now_s, named)
        return known

    def _forget(self, key: str) -> None:
        known = self._causes.pop(key)
        severity, text = known.last
        if known.repeated == 1:
            self._put(severity, printable(text))
        elif known.repeated:
            count = known.repeated
            what = f"{count} more lines like this one" if known.named else f"last line repeated {count} times"
            self._put(severity, f"{what}: {printable(text)}")

    def _put(self, severity: int, text: str) -> None:
        line = _Line(severity, text, time.time())
        for destination in self._destinations:
            if severity >= destination.minimum:
                destination.put(line)
        if len(_cats) > len(self._destinations):
            _reap_cats()

    def reopen(self) -> None:
        """SIGHUP: the files may have been rotated."""
        for destination in self._destinations:
            destination.reopen()

    def close(self) -> None:
        """Say what is still counted, let the destinations go, and wait a little until files are on disk: whoever
        stopped us may read them next."""
        for key in list(self._causes):
            self._forget(key)
        for destination in self._destinations:
            destination.close()
        self._destinations = []
        deadline_s = time.monotonic() + CLOSE_S
        _reap_cats()
        while _cats and time.monotonic() < deadline_s:
            time.sleep(0.002)
            _reap_cats()

    # the forms of protocol/behaviour.md §13

    def _file_form(self, line: _Line) -> str:
        stamp = time.strftime("%b %d %H:%M:%S", time.localtime(line.wall_s))
        return f"{stamp} {self._node} {self._entity}: [{self._pid}]: {SEVERITIES[line.severity]}: {line.text}"

    def _old_form(self, line: _Line) -> str:
        stamp = time.strftime("%Y/%m/%d_%H:%M:%S", time.localtime(line.wall_s))
        return f"{self._entity}[{self._pid}]: {stamp} {SEVERITIES[line.severity]}: {line.text}"

    def _syslog_form(self, line: _Line) -> str:
        priority = self._facility * 8 + SYSLOG_LEVELS[line.severity]
        stamp = time.strftime("%b %e %H:%M:%S", time.localtime(line.wall_s))  # RFC 3164: no leading zero
        return f"<{priority}>{stamp} {self._entity}: [{self._pid}]: {SEVERITIES[line.severity]}: {line.text}"

    def _journal_form(self, line: _Line) -> str:
        return f"<{SYSLOG_LEVELS[line.severity]}>{SEVERITIES[line.severity]}: {line.text}"


def _stderr_is_journal() -> bool:
    """Does systemd read descriptor 2?  It says so in JOURNAL_STREAM, which a child with another stderr inherits too."""
    try:
        found = os.fstat(2)
    except OSError:
        return False
    return os.environ.get("JOURNAL_STREAM") == f"{found.st_dev}:{found.st_ino}"


def emergency(entity: str, text: str) -> None:
    """A line on stderr in the log's form, from a command or before there is a log."""
    stamp = time.strftime("%b %d %H:%M:%S")
    line = f"{stamp} {os.uname().nodename} {entity}: [{os.getpid()}]: {SEVERITIES[ERROR]}: {printable(text)}\n"
    try:  # noqa: SIM105
        os.write(2, line.encode("utf-8", "backslashreplace"))
    except OSError:
        pass
