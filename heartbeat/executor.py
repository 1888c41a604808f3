"""Does what the core wants done: one method an action. The only caller of media, agents and control.

Addresses run inline, through sockets that were opened at start; everything else is a child process, and nothing here
waits for one. What comes back is an event: `push` hands it to the loop.
"""

from __future__ import annotations

import os

from heartbeat import agents
from heartbeat.children import KILLED, Children
from heartbeat.core.actions import (
    ANNOUNCE,
    CRIT,
    ERROR,
    INFO,
    START,
    STOP,
    WARN,
    Alarm,
    Hold,
    KillAgent,
    Note,
    Reboot,
    Remember,
    Reply,
    RunAgent,
    Stop,
    Transmit,
)
from heartbeat.core.events import AgentExited
from heartbeat.held import HeldGroups

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from heartbeat.agents.base import Agent, InlineAgent, SpawnedAgent
    from heartbeat.config import Config
    from heartbeat.control import Control
    from heartbeat.core.actions import Action
    from heartbeat.core.settings import Resource
    from heartbeat.loop import Loop
    from heartbeat.wire import Wire

NOT_FOUND = 127
# at once, without asking services to stop: one of them is what hangs
REBOOT = ("/sbin/reboot", "-f")


class Executor:
    """stopped: the core has said Stop."""

    def __init__(self, config: Config, run_dir: str, loop: Loop, wire: Wire) -> None:
        self.stopped = False
        self.control: Control | None = None
        self._loop = loop
        self._wire = wire
        self._children = Children(loop.poller, loop.log.output, self._child_exited, loop.later)
        self._held = HeldGroups(run_dir, lambda text: loop.log.write(WARN, text))
        self._agents: dict[Resource, Agent | None] = {}
        self._addresses: dict[Resource, InlineAgent] = {}  # started, not stopped
        self._serial = 0  # keys of children that nobody waits for
        # runs whose `status` is asked first: what to do when it has answered
        self._asking: dict[int, tuple[RunAgent, SpawnedAgent]] = {}
        self._actions: dict[type, Callable[[Action, int], None]] = {
            Transmit: self._transmit,  # type: ignore[dict-item]
            Note: self._note,  # type: ignore[dict-item]
            RunAgent: self._run_agent,  # type: ignore[dict-item]
            KillAgent: self._kill_agent,  # type: ignore[dict-item]
            Reply: self._reply,  # type: ignore[dict-item]
            Stop: self._stop,  # type: ignore[dict-item]
            Reboot: self._reboot,  # type: ignore[dict-item]
            Hold: self._hold,  # type: ignore[dict-item]
            Remember: self._remember,  # type: ignore[dict-item]
            Alarm: self._alarm,  # type: ignore[dict-item]
        }
        self.configure(config)
        loop.poller.add(agents.notices(), self._addresses_changed)

    def do(self, action: Action, now: int) -> None:
        self._actions[type(action)](action, now)

    # --- agents, found and warmed before they are needed

    def configure(self, config: Config) -> None:
        """Find every resource's agent; those already known stay as they are."""
        self._config = config
        self._environment = environment(config)
        known = self._agents
        self._agents = {}
        for group in config.groups:
            for resource in group.resources:
                agent = known.get(resource) or self._find(resource)
                self._agents[resource] = agent
                if isinstance(agent, agents.SpawnedAgent) and resource.name == "MailTo":
                    # it may hold a password, so no other child is told
                    agent.environment["HA_mailserver"] = config.mailserver
        # what a removed resource still needs to be stopped with
        for resource, agent in known.items():
            self._agents.setdefault(resource, agent)

    def _find(self, resource: Resource) -> Agent | None:
        try:
            agent = agents.resolve(
                resource.name,
                resource.arguments,
                builtin_first=self._config.builtin_agents,
                config_dir=self._config.directory,
            )
        except agents.AgentError as error:
            self._loop.log.write(ERROR, f"{resource.word}: {error.text}")
            return None
        if agent is None:
            self._loop.log.write(ERROR, f"{resource.word}: no agent of this name, built in or of yours")
            return None
        self._loop.log.write(INFO, f"{resource.word}: {agent.origin}")
        if isinstance(agent, agents.InlineAgent):
            try:
                agent.prepare()
            except agents.AgentError as error:
                self._loop.log.write(WARN, f"{resource.word}: {error.text}")
        return agent

    def leftovers(self) -> set[str]:
        """Keys of the groups of which an earlier run has left something up: recorded, or an address that is there."""
        recorded = self._held.read()
        return {
            group.key
            for group in self._config.groups
            if group.key in recorded or any(self._is_up(resource) for resource in group.resources)
        }

    def _is_up(self, resource: Resource) -> bool:
        agent = self._agents.get(resource)
        return isinstance(agent, agents.InlineAgent) and agent.status()

    # --- actions

    def _transmit(self, action: Transmit, now: int) -> None:
        self._wire.send(action.message, action.priority, now)

    def _note(self, action: Note, now: int) -> None:
        self._loop.log.write(action.severity, action.text)

    def _hold(self, action: Hold, now: int) -> None:
        pass

    def _remember(self, action: Remember, now: int) -> None:
        pass

    def _alarm(self, action: Alarm, now: int) -> None:
        self._loop.log.write(CRIT, action.text)

    def _reply(self, action: Reply, now: int) -> None:
        if self.control is not None:
            answer = {"ok": True, "text": action.text} if action.ok else {"ok": False, "error": action.text}
            self.control.reply(action.number, answer)

    def _stop(self, action: Stop, now: int) -> None:
        self._held.clear()
        self.stopped = True

    def _reboot(self, action: Reboot, now: int) -> None:
        self._loop.log.write(CRIT, f"rebooting: {action.reason}")
        self._serial -= 1
        try:
            self._children.spawn(self._serial, "reboot", REBOOT, self._environment, detached=True)
        except OSError as error:
            self._loop.log.write(CRIT, f"cannot reboot: {error.strerror}")

    def _run_agent(self, action: RunAgent, now: int) -> None:
        agent = self._agents.get(action.resource)
        if action.verb == START and not action.resource.notifier:
            self._held.add(action.group)
        if agent is None:
            # nothing was ever started with it, so there is nothing to stop
            code = 0 if action.verb == STOP else NOT_FOUND
            self._done(action.run, code, "no agent of this name was found")
        elif isinstance(agent, agents.InlineAgent):
            self._run_inline(agent, action, now)
        elif isinstance(agent, agents.SpawnedAgent) and action.verb != ANNOUNCE:
            self._run_child(agent, action)

    def _done(self, run: int, code: int, detail: str) -> None:
        if run:
            self._loop.push(AgentExited(run, code, detail))

    def _run_inline(self, agent: InlineAgent, action: RunAgent, now: int) -> None:
        resource = action.resource
        try:
            if action.verb == START:
                self._addresses[resource] = agent
                agent.start()
                self._announce(resource, agent)
            elif action.verb == STOP:
                self._addresses.pop(resource, None)
                self._loop.schedule.cancel(("announce", resource))
                agent.stop()
            else:
                self._announce(resource, agent)
        except agents.AgentError as error:
            self._done(action.run, error.code or 1, error.text)
        else:
            self._done(action.run, 0, "")

    def _announce(self, resource: Resource, agent: InlineAgent) -> None:
        """Tell the neighbours now, and again while the address is held."""
        since = self._loop.now()

        def tell(index: int) -> None:
            try:
                agent.announce()
            except agents.AgentError as error:
                self._loop.log.write(WARN, f"{resource.word}: {error.text}")
            if index + 1 < len(agent.announcements_ns):
                due = since + agent.announcements_ns[index + 1] // self._config.divisor
                self._loop.schedule.at(due, ("announce", resource), lambda now: tell(index + 1))

        tell(0)

    def _addresses_changed(self, events: int) -> None:
        """Somebody changed this machine's links or addresses: what was taken from us is set again."""
        agents.take_notices()
        for resource, agent in self._addresses.items():
            try:
                if agent.restore():
                    self._loop.log.write(WARN, f"{resource.word}: somebody removed it: set again")
                    self._announce(resource, agent)
            except agents.AgentError as error:
                self._loop.log.write(ERROR, f"{resource.word}: somebody removed it: {error.text}")

    def _run_child(self, agent: SpawnedAgent, action: RunAgent) -> None:
        run = action.run
        if not run:
            self._serial -= 1
            run = self._serial
        if action.verb == START and agent.asks_status and action.run:
            self._asking[run] = (action, agent)
            self._spawn(run, agent, "status", action, capture=True)
        else:
            self._spawn(run, agent, action.verb, action)

    def _spawn(self, run: int, agent: SpawnedAgent, verb: str, action: RunAgent, *, capture: bool = False) -> None:
        detached = agent.detached or not action.run
        try:
            self._children.spawn(
                run, action.resource.name, agent.command(verb), {**self._environment, **agent.environment},
                capture=capture, detached=detached,
            )  # fmt: skip
        except OSError as error:
            self._asking.pop(run, None)
            self._loop.log.write(ERROR, f"{action.resource.word}: cannot run {agent.origin}: {error.strerror}")
            self._done(action.run, NOT_FOUND, error.strerror or "cannot be run")

    def _child_exited(self, run: int, code: int, detail: str) -> None:
        asking = self._asking.pop(run, None)
        if asking is None:
            if run > 0:
                self._done(run, code, detail)
            return
        action, agent = asking
        if code == KILLED:  # its time was up
            self._done(run, code, "status was killed")
        elif agent.running(code, detail):
            self._done(run, 0, "it runs already")
        else:
            self._spawn(run, agent, START, action)

    def _kill_agent(self, action: KillAgent, now: int) -> None:
        self._children.kill(action.run)

    def close(self) -> None:
        self._children.close()


def environment(config: Config) -> dict[str, str]:
    """What every child is told. Nothing in it came over the wire."""
    path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    told = {
        **config.environment,
        "PATH": path,
        "LC_ALL": "C",
        "HA_CURHOST": config.node,
        "HA_DIR": config.directory,
        "HA_FUNCS": f"{config.directory}/shellfuncs",
        "HEARTBEAT_TIME_DIVISOR": str(config.divisor),
    }
    for name in ("LANG", "TZ", "SSL_CERT_FILE", "SSL_CERT_DIR"):
        if name in os.environ:
            told[name] = os.environ[name]
    return told
