"""The operator's scripts in CONFIG/rc.d, run as the original runs them: one after the other, in the order of events,
with the script's name as the only argument and what it is told as HA_* in the environment.

Rules: nothing waits for a script. One that does not end in time is killed, with all of its process group, and the next
has its turn; where more events wait than the queue holds, the newest are dropped, and that is said. What a message says
reaches a script by its environment alone, and only what the core has let through (core/hooks.py).
"""

from __future__ import annotations

from heartbeat.children import KILLED, Children
from heartbeat.core.actions import ERROR, INFO, WARN
from heartbeat.lean import deque

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from heartbeat.core.actions import Hook
    from heartbeat.loop import Loop

TIMEOUT_NS = 60_000_000_000  # as a resource's start
# events that wait for a script, a link that comes and goes once a second for as long as one script may hang
WAITING = 64
NAME = "rc.d/"


class Hooks:
    """configure, at start and at a reload; run; close, which ends what runs."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._children = Children(loop.poller, loop.log.output, self._ended, loop.later)
        self._waiting: deque[Hook] = deque()
        self._folder = ""
        self._environment: Mapping[str, str] = {}
        self._timeout_ns = TIMEOUT_NS
        self._runs = 0
        self._running = ""  # the script

    def configure(self, directory: str, environment: Mapping[str, str], divisor: int) -> None:
        """directory: of the operator's files. environment: what every script is told."""
        self._folder = f"{directory}/rc.d"
        self._environment = {**environment, "HA_RCDIR": self._folder, "HA_RESOURCEDIR": f"{directory}/resource.d"}
        self._timeout_ns = TIMEOUT_NS // divisor

    def run(self, hook: Hook) -> None:
        """When those before it have ended."""
        if len(self._waiting) >= WAITING:
            text = f"{NAME}{hook.name}: not run: {WAITING} events wait for {self._running}"
            self._loop.log.write(ERROR, text, cause=f"{NAME}full", burst=3)
            return
        self._waiting.append(hook)
        self._next()

    def _next(self) -> None:
        while self._waiting and not self._running:
            hook = self._waiting.popleft()
            name = f"{NAME}{hook.name}"
            path = f"{self._folder}/{hook.name}"
            self._runs += 1
            self._loop.log.write(INFO, f"running {path} {hook.name}", cause=name)
            told = {f"HA_{field}": value for field, value in hook.fields}
            try:
                self._children.spawn(self._runs, name, [path, hook.name], {**self._environment, **told})
            except OSError as error:
                # a script that has no #! line, for example
                self._loop.log.write(ERROR, f"{name}: cannot be run: {error.strerror}", cause=name)
                continue
            self._running = name
            self._loop.schedule.at(self._loop.now() + self._timeout_ns, self, self._too_long)

    def _too_long(self, now: int) -> None:
        seconds = self._timeout_ns / 1_000_000_000
        self._loop.log.write(ERROR, f"{self._running}: killed, for it has not ended within {seconds:g} s")
        self._children.kill(self._runs)

    def _ended(self, key: int, code: int, detail: str) -> None:
        self._loop.schedule.cancel(self)
        if code not in (0, KILLED):
            self._loop.log.write(WARN, f"{self._running}: {detail}", cause=self._running)
        self._running = ""
        self._next()

    def close(self) -> None:
        self._loop.schedule.cancel(self)
        self._waiting.clear()
        self._children.close()
