"""What an agent is. `heartbeat.agents` says how one is found.

Rules: starting what runs and stopping what does not are successes. Exit codes are OCF's (0 success, 1 failure,
2 arguments, 7 not running …), as the original's agents had them.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

SUCCESS, FAILURE, BAD_ARGUMENTS, UNIMPLEMENTED, NOT_RUNNING = 0, 1, 2, 3, 7

MILLISECOND = 1_000_000
# When a new holder of an address tells the neighbours, counted from the moment it took it: at once, and again for those
# who were just then busy, or behind a switch that was still learning. Whoever releases the address cancels the rest.
ANNOUNCEMENTS_NS = (0, 200 * MILLISECOND, 1000 * MILLISECOND, 2000 * MILLISECOND)


class AgentError(Exception):
    """An agent could not do what it was told. code: an exit code; text: for the operator, one line, whatever may stand
    in the arguments that it repeats."""

    def __init__(self, code: int, text: str) -> None:
        text = "".join(c if c.isprintable() else " " for c in text)
        super().__init__(text)
        self.code = code
        self.text = text


class Agent:
    """name, arguments: from haresources; origin: which code it is, for the log."""

    kind = ""

    def __init__(self, name: str, arguments: Sequence[str], origin: str = "built in") -> None:
        self.name = name
        self.arguments = tuple(arguments)
        self.origin = origin

    def validate(self) -> None:
        """AgentError: its arguments make no sense, on any machine. (A script's are its own business.)"""


class InlineAgent(Agent):
    """Runs inside the daemon: every method is a few system calls on sockets that are open already, and never waits.

    All but `status` raise AgentError. announcements_ns: when, after `start`, to call `announce` (counted from the
    start); to be cancelled before `stop`.
    """

    kind = "inline"
    announcements_ns: tuple[int, ...] = ANNOUNCEMENTS_NS

    def prepare(self) -> None:
        """Find and warm whatever `start` needs. What cannot be found yet, `start` looks for again."""

    def start(self) -> None:
        raise NotImplementedError

    def stop(self) -> None:
        raise NotImplementedError

    def announce(self) -> None:
        """Tell the neighbours once, now."""

    def restore(self) -> bool:
        """Start again what was started and has been taken away by somebody else. True: it had to be; announce it."""
        return False

    def adopt(self) -> bool:
        """An earlier run has started it: hold it from now on. False: it is not there."""
        return False

    def guarded(self) -> tuple[bytes, str, int] | None:
        """The address that this machine answers for where it is started, packed, and the interface that asks for it:
        name and index. None: it makes the machine answer for nothing, or nobody knows where."""
        return None

    def limit(self, seconds: int) -> None:
        """What is started ends by itself after so long, counted from now; 0: it does not."""

    def status(self) -> bool:
        raise NotImplementedError


class SpawnedAgent(Agent):
    """Runs as a child process, `command(verb)` for the verbs start, stop and status.

    detached: it outlives the daemon, and nobody waits for it. environment: what its process needs beyond what every
    child gets. asks_status: before a start, `command("status")` is run with its output captured, and the start left
    out if `running` says so.
    """

    kind = "spawned"
    detached = False
    asks_status = False

    def __init__(self, name: str, arguments: Sequence[str], origin: str = "built in") -> None:
        super().__init__(name, arguments, origin)
        self.environment: dict[str, str] = {}

    def command(self, verb: str) -> list[str]:
        """The argument list: element 0 is a path, and no shell reads it."""
        raise NotImplementedError

    def running(self, code: int, output: str) -> bool | None:
        """What the exit code and standard output of `command("status")` mean; None: this agent cannot say."""
        raise NotImplementedError


class Builtin(SpawnedAgent):
    """One of ours in an interpreter of its own. No status step: MailTo and Delay hold nothing, and an address is only
    ever redirected so."""

    def __init__(self, name: str, arguments: Sequence[str], *, detached: bool) -> None:
        super().__init__(name, arguments)
        self.detached = detached

    def validate(self) -> None:
        if self.name == "Delay":
            from .delay import seconds  # noqa: PLC0415  as the next one, not in the daemon, which never asks

            seconds(self.arguments)
        else:
            from .mailto import parse  # noqa: PLC0415

            parse(self.arguments)

    def command(self, verb: str) -> list[str]:
        return [sys.executable, "-I", "-m", "heartbeat.agents", self.name, *self.arguments, verb]

    def running(self, code: int, output: str) -> bool | None:
        return None


def is_script(path: str) -> bool:
    return os.path.isfile(path) and os.access(path, os.X_OK)
