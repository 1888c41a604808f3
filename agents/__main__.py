"""One built-in agent as a command: `python -m heartbeat.agents NAME [argument …] start|stop|status|monitor`.

Exit codes and texts are the original's (protocol/resources.md §4, §6): 0 success, 1 failure, 2 bad arguments,
3 unimplemented, 7 not running; `status` and `monitor` print one line that says running or stopped and never the
arguments, which might hold those words.
"""

from __future__ import annotations

import os
import sys
import time

from . import delay, mailto, resolve
from .address import Address
from .base import BAD_ARGUMENTS, NOT_RUNNING, SUCCESS, UNIMPLEMENTED, AgentError, Builtin, InlineAgent
from .redirect import redirect

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

# the daemon's own: for one whose address is elsewhere now
REDIRECT = "redirect"

_USAGE = """\
usage: python -m heartbeat.agents NAME [argument …] start|stop|status|monitor
NAME: IPaddr IPaddr2 IPv6addr SendArp MailTo Delay"""


def main(words: Sequence[str]) -> int:
    """The exit code."""
    if words[-1:] in (["help"], ["usage"], ["--help"], ["-h"]):
        print(_USAGE)
        return SUCCESS
    if len(words) < 2:
        print(_USAGE, file=sys.stderr)
        return BAD_ARGUMENTS
    name, *arguments, verb = words
    agent = resolve(name, arguments, config_dir="/nonexistent")
    internal = {"MailTo": mailto.ALARM}.get(name, REDIRECT if isinstance(agent, Address) else "")
    if verb not in ("start", "stop", "status", "monitor", internal):
        print(f"ERROR: {name} cannot {verb!r}\n{_USAGE}", file=sys.stderr)
        return UNIMPLEMENTED
    try:
        if isinstance(agent, Address) and verb == REDIRECT:
            redirect(agent)
            return SUCCESS
        if isinstance(agent, InlineAgent):
            agent.validate()
            return _inline(agent, verb)
        if isinstance(agent, Builtin):
            agent.validate()
            return _own_process(name, arguments, verb)
    except AgentError as error:
        print(f"ERROR: {error.text}", file=sys.stderr)
        return error.code
    print(f"ERROR: no built-in agent is called {name!r}\n{_USAGE}", file=sys.stderr)
    return BAD_ARGUMENTS


def _inline(agent: InlineAgent, verb: str) -> int:
    if verb == "start":
        agent.start()
        _announce(agent)
    elif verb == "stop":
        agent.stop()
    else:
        running = agent.status()
        print("running" if running else "stopped")
        return SUCCESS if running else NOT_RUNNING
    return SUCCESS


def _announce(agent: InlineAgent) -> None:
    """Tell the neighbours now, and again from the background for as long as the address stays. That nobody could be
    told does not mean that it was not started."""
    try:
        agent.announce()
    except AgentError as error:
        print(f"WARNING: {error.text}", file=sys.stderr)
    sys.stdout.flush()
    if os.fork():
        return
    try:
        os.setsid()
        nothing = os.open("/dev/null", os.O_RDWR)
        for fd in range(3):
            os.dup2(nothing, fd)
        said_ns = 0
        for instant_ns in agent.announcements_ns[1:]:
            time.sleep((instant_ns - said_ns) / 1e9)
            said_ns = instant_ns
            if not agent.status():
                break
            agent.announce()
    finally:
        os._exit(SUCCESS)


def _own_process(name: str, arguments: Sequence[str], verb: str) -> int:
    if verb in ("status", "monitor"):
        # neither holds anything between start and stop
        print("stopped")
        return NOT_RUNNING
    (delay.run if name == "Delay" else mailto.run)(arguments, verb)
    return SUCCESS


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
