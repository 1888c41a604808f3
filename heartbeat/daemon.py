"""The daemon: one thread, one epoll, one deadline.

Each turn of the loop: read what is ready and stamp it, tell the core event by event and do what it answers, then the
timers that are due. Descriptors come before timers, so that a turn which comes late finds the heartbeat that waits in
the socket before it judges who sent it. Work that piles up is cut at a quarter of a keepalive and goes on in the next
turn.
"""

from __future__ import annotations

import errno
import gc
import os
import sys
import time

from heartbeat import files, persist, precedence, privileges, realtime, report
from heartbeat.control import Control
from heartbeat.core.actions import ERROR, INFO, WARN
from heartbeat.core.cluster import Cluster
from heartbeat.core.events import LeaseLapsed, Reload, Request, Tick
from heartbeat.executor import Executor, environment
from heartbeat.lateness import Lateness
from heartbeat.lean import signal
from heartbeat.log import Log
from heartbeat.loop import Loop
from heartbeat.recorder import Recorder
from heartbeat.respawn import Respawner
from heartbeat.watch import Watch
from heartbeat.wire import Wire, busy_elsewhere

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from heartbeat.config import Config
    from heartbeat.paths import Paths

EXIT_OK, EXIT_FAILURE, EXIT_PERMISSION = 0, 1, 4
HANDLED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)
MILLISECOND = 1_000_000
FIRED = -1  # no instant: the timer is to be set, whatever is due
# the last frames get this long to leave a slow line before the daemon ends
DRAIN_NS = 2_000_000_000
# Of a keepalive: a sixteenth for events that wait, three for setting addresses, before the timers are looked at. Who
# asks for an address waits for the latter, and nobody for hearing of it.
PARTS, ADDRESSES_PARTS = 16, 3


def run(paths: Paths, config: Config, *, group: int) -> int:
    """This node, until it is told to stop, with its signals blocked until it can. group: of the control socket, -1 for
    none. Returns the exit code of `heartbeat run`."""
    try:
        for directory in (paths.run_dir, paths.state_dir):
            persist.make_directory(directory)
        pid_file = persist.PidFile(paths.pidfile)
    except OSError as error:
        print(f"heartbeat: not started: {error}", file=sys.stderr)
        return EXIT_PERMISSION if isinstance(error, persist.AlreadyRunning) or _denied(error) else EXIT_FAILURE
    try:
        return _Daemon(paths, config, group).run()
    except OSError as error:
        print(f"heartbeat: not started: {error}", file=sys.stderr)
        return EXIT_PERMISSION if _denied(error) else EXIT_FAILURE
    finally:
        pid_file.close()


def _denied(error: OSError) -> bool:
    return error.errno in (errno.EACCES, errno.EPERM, errno.EADDRINUSE, errno.EROFS)


class _Daemon:
    """Everything that lives as long as the process."""

    def __init__(self, paths: Paths, config: Config, group: int) -> None:
        self._paths = paths
        self._group = group
        self._config = config
        self._loop = Loop(Log("heartbeat", **log_options(config)))
        self._lateness = Lateness()
        self._warnings: list[str] = []
        for warning in config.warnings:
            self._loop.log.write(WARN, warning)
        self._wire = Wire(config, paths.lock_dir, self._loop)
        self._executor = Executor(config, paths.run_dir, paths.state_dir, self._loop, self._wire)
        self._uuid = persist.node_uuid(paths.state_dir, config.uuid_from, config.node, warn=self._warn)
        self._respawner = Respawner(config, self._loop)
        self._recorder = Recorder(paths, self._loop, environment(config), divisor=config.divisor)

    # --- start

    def run(self) -> int:
        config = self._config
        errors = self._wire.open_all()
        if len(errors) == len(self._wire.lines):
            for error in errors:
                self._loop.log.write(ERROR, error.strerror or str(error))
            self._loop.log.write(ERROR, "not started: no medium could be opened")
            return EXIT_PERMISSION if any(map(busy_elsewhere, errors)) else EXIT_FAILURE
        self._become_punctual()
        generation = persist.next_generation(
            self._paths.state_dir, config.generation_method, int(time.time()), run_dir=self._paths.run_dir,
            above=self._executor.sign.generation, warn=self._warn,
        )  # fmt: skip
        self._executor.sign.begin(generation)
        self._loop.log.write(INFO, f"heartbeat starting on {config.node}, generation {generation}")
        inherited = self._executor.inherit()
        now = self._loop.now()
        self._cluster = Cluster(
            config.settings(self._uuid),
            generation=generation,
            seed=int.from_bytes(os.urandom(8), "big"),
            now=now,
            leftovers=inherited.leftovers,
            adopted=inherited.adopted,
            peer_dead=inherited.peer_dead,
            overdue=inherited.overdue,
            known=self._executor.memory.read(),
        )
        self._control = Control(self._loop.poller, self._paths.control, self._ask, self._group)
        self._executor.control = self._control
        self._catch_signals()
        self._respawner.start()
        self._executor.start()
        self._journal = self._recorder.start(self._cluster, now)
        self._wire.hear = self._journal.hear
        self._wire.view = self._cluster.view
        self._give_up(privileges.hide_memory(not config.coredumps), privileges.drop_capabilities())
        gc.collect()
        gc.freeze()  # what is here now stays; a collection looks at the rest only
        try:
            self._turns()
        finally:
            self._end()
        return EXIT_OK

    def _become_punctual(self) -> None:
        """Real-time class, locked memory, a timer of nanoseconds: as far as this process may."""
        self._timer = realtime.Timer() if realtime.Timer is not None else None
        self._set_for: int | None = FIRED
        if self._timer is not None:
            self._loop.poller.add(self._timer.fileno(), self._timer_fired)
        else:
            self._warn("no exact timer (heartbeat._kernel is missing): time-outs are rounded to milliseconds")
        denied = realtime.lock_memory()
        self.locked = denied is None
        if denied:
            self._warn(denied)
        denied = realtime.go_realtime(self._config.rtprio) if self._config.realtime else precedence.go_first()
        self.realtime = self._config.realtime and denied is None
        if denied:
            self._warn(denied)

    def _give_up(self, *denied: str | None) -> None:
        for text in denied:
            if text:
                self._warn(text)

    def _warn(self, text: str) -> None:
        self._loop.log.write(WARN, text)
        self._warnings.append(text)

    def _catch_signals(self) -> None:
        reader, writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        for number in HANDLED:
            signal.signal(number, lambda number, frame: None)
        self._loop.poller.add(reader, lambda events: self._signals(os.read(reader, 64)))
        signal.pthread_sigmask(signal.SIG_UNBLOCK, HANDLED)

    def _signals(self, numbers: bytes) -> None:
        for number in numbers:
            if number in (signal.SIGTERM, signal.SIGINT):
                self._stop(0)
            elif number == signal.SIGHUP:
                self._loop.log.reopen()
                self._reload()
            elif number in (signal.SIGUSR1, signal.SIGUSR2):
                self._loop.log.debug = max(0, self._loop.log.debug + (1 if number == signal.SIGUSR1 else -1))

    # --- the loop

    def _turns(self) -> None:
        self._turn()  # what fell due while everything was made ready
        self._lateness = Lateness()  # and was late by no fault of the timers
        self._watch = None if self._timer is None else Watch(
            self._loop, self._timer.fileno(), self._cluster, self._wire, self._executor, self._journal, self._lateness
        )
        realtime.notify("READY=1")
        watchdog_ns = realtime.watchdog_interval_ns()
        next_watchdog = self._loop.now() if watchdog_ns else None
        while not self._executor.stopped:
            self._wait(next_watchdog)
            self._turn()
            if watchdog_ns and next_watchdog is not None and self._loop.now() >= next_watchdog:
                realtime.notify("WATCHDOG=1")
                next_watchdog = self._loop.now() + watchdog_ns

    def _turn(self) -> None:
        """The events that wait, then the timers that are due, then addresses. However many there are of the first and
        the last, no heartbeat is late by more than a quarter of its interval."""
        self._wire.look()
        while self._loop.inbox:
            self._tell(*self._loop.inbox.popleft())
        if self._loop.queue:
            end = self._loop.now() + self._part_ns()
            while self._loop.queue and self._loop.now() < end:
                self._tell(*self._loop.queue.popleft())
        now = self._loop.now()
        due = self._cluster.deadline()
        if due is not None and due <= now:
            self._lateness.add(now - due)
            self._tell(Tick(int(time.time())), now)
        if self._executor.addresses.waiting:
            self._executor.work(now + ADDRESSES_PARTS * self._part_ns())
        self._loop.schedule.run(now)
        self._wire.flush(now)

    def _part_ns(self) -> int:
        return max(self._config.keepalive_ms * MILLISECOND // self._config.divisor // PARTS, MILLISECOND)

    def _tell(self, event: Any, instant: int) -> None:
        if type(event) is LeaseLapsed:
            self._executor.lease.told()
        for action in self._journal.tell(event, instant):
            self._executor.do(action, instant)

    def _wait(self, watchdog: int | None) -> None:
        """Until something is ready or due."""
        if self._loop.queue or self._executor.addresses.waiting:
            self._loop.poller.wait(0)
            return
        own = _earliest(self._loop.schedule.next_due(), watchdog)
        if self._watch is not None and (set_for := self._watch.keep(own, self._set_for)) is not None:
            self._set_for = set_for
            # a timer is due that judges somebody: what has come before is heard first
            self._loop.poller.wait(0)
            return
        due = _earliest(own, self._cluster.deadline(), self._wire.deadline())
        if self._timer is not None:
            if due != self._set_for:
                self._timer.set(due)
                self._set_for = due
            self._loop.poller.wait()
        else:
            self._loop.poller.wait(-1 if due is None else max(0, due - self._loop.now()) / 1e9)

    def _timer_fired(self, events: int) -> None:
        self._set_for = FIRED  # it stays readable until it is set again, which costs no more than to read it

    # --- requests

    def _ask(self, number: int, request: dict[str, Any]) -> None:
        verb = request.get("request")
        if verb == "status":
            self._control.reply(number, {"ok": True, "status": self._status()})
        elif verb == "parameters":
            loops = [medium.name for medium in self._config.media if medium.loops]
            self._control.reply(number, {"ok": True, "parameters": self._config.parameters, "loops": loops})
        elif verb == "reload":
            errors = self._reload()
            self._control.reply(number, {"ok": True} if not errors else {"ok": False, "error": "\n".join(errors)})
        elif verb == "stop":
            self._stop(number)
        elif verb in ("standby", "takeover"):
            self._loop.push(Request(number, verb, str(request.get("set", "all"))))
        elif verb == "accept":
            self._loop.push(Request(number, verb, str(request.get("node", ""))))
        else:
            self._control.reply(number, {"ok": False, "error": f"no such request: {verb}"})

    def _status(self) -> dict[str, Any]:
        return report.status(
            self._cluster.view(),
            [*self._wire.lines.values(), *self._executor.pings.targets.values()],
            lateness_ms=self._lateness.milliseconds(),
            realtime=self.realtime,
            locked=self.locked,
            warnings=[*self._warnings, *self._config.exposed, *self._executor.lease.warnings],
            lease=self._executor.lease.status(),
        )

    def _stop(self, number: int) -> None:
        realtime.notify("STOPPING=1")
        self._loop.push(Request(number, "stop"))

    def _reload(self) -> list[str]:
        """Read the three files again; with an error in any, everything stays as it is."""
        realtime.notify(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")
        try:
            config = files.read(self._paths, divisor=self._config.divisor, previous=self._config)
        except files.WrongFilesError as error:
            for line in error.lines:
                self._loop.log.write(ERROR, line)
            self._loop.log.write(ERROR, "configuration not reloaded: the running one stays")
            return error.lines
        finally:
            realtime.notify("READY=1")
        if config.nodes != self._config.nodes:
            text = "the list of nodes cannot change while heartbeat runs: restart it"
            self._loop.log.write(ERROR, text)
            return [text]
        for warning in config.warnings:
            self._loop.log.write(WARN, warning)
        self._config = config
        privileges.hide_memory(not config.coredumps)
        self._loop.log.configure(**log_options(config))
        self._wire.configure(config)
        self._executor.configure(config)
        self._respawner.configure(config)
        self._loop.push(Reload(config.settings(self._uuid)))
        self._wire.open_all()
        self._executor.pings.open_all()
        return []

    # --- end

    def _end(self) -> None:
        self._respawner.close()
        deadline = self._loop.now() + DRAIN_NS
        while self._wire.busy and self._loop.now() < deadline:
            self._wire.flush(self._loop.now())
            self._loop.poller.wait(0.002)
        self._wire.close()
        self._executor.close()
        self._control.close()
        self._recorder.close(clean=self._executor.stopped)
        self._loop.log.close()


def _earliest(*instants: int | None) -> int | None:
    return min((instant for instant in instants if instant is not None), default=None)


def log_options(config: Config) -> dict[str, Any]:
    """Where ha.cf wants the log, as Log and its `configure` take it."""
    names = ("logfacility", "logfile", "debugfile", "debug", "syslogmsgfmt")
    return {"foreground": True, **{name: getattr(config, name) for name in names}}
