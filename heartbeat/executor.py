"""Does what the core wants done: one method an action. The only caller of media, agents and control.

Addresses run inline, through sockets that were opened at start, when everything else that follows from an event is
done (addresses.py); everything else is a child process, and nothing here waits for one. What comes back is an event:
`push` hands it to the loop.
"""

from __future__ import annotations

import os

from heartbeat import agents
from heartbeat.addresses import Addresses
from heartbeat.alarm import Alarms
from heartbeat.children import KILLED, Children
from heartbeat.core.actions import (
    ANNOUNCE,
    CRIT,
    ERROR,
    INFO,
    REDIRECT,
    START,
    STATUS,
    STOP,
    WARN,
    Alarm,
    Begin,
    Hold,
    Hook,
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
from heartbeat.held import HeldGroups, LastSign
from heartbeat.hooks import Hooks
from heartbeat.lease import Lease
from heartbeat.peers import GenerationMemory, PeerMemory
from heartbeat.pings import Pings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from heartbeat.addresses import Ended
    from heartbeat.agents.base import Agent, SpawnedAgent
    from heartbeat.config import Config
    from heartbeat.control import Control
    from heartbeat.core.actions import Action
    from heartbeat.core.settings import Group, Resource
    from heartbeat.loop import Loop
    from heartbeat.wire import Wire

NOT_FOUND = 127
LOOK_NS = 500_000_000  # from one look at all addresses to the next, at least
# what a program of the daemon's own is called in the log
PROGRAM = "nft"
# at once, without asking services to stop: one of them is what hangs
REBOOT = ("/sbin/reboot", "-f")
# Where an earlier run's table is in force, loading it anew can wait until the first heartbeats are out; where none is,
# the first heartbeat waits for it, so that nothing is announced that nobody could answer for. It takes 20 ms.
TABLE_CAN_WAIT_NS = 200_000_000
TABLE_WAITED_FOR_NS = 1_000_000_000


class Inherited:
    """What an earlier run of this node has left, as Cluster wants to know it: keys of groups."""

    def __init__(self, leftovers: set[str], adopted: set[str], *, peer_dead: bool, overdue: bool) -> None:
        self.leftovers = leftovers
        self.adopted = adopted
        self.peer_dead = peer_dead
        self.overdue = overdue


class Executor:
    """stopped: the core has said Stop."""

    def __init__(self, config: Config, run_dir: str, state_dir: str, loop: Loop, wire: Wire) -> None:
        self.stopped = False
        self.control: Control | None = None
        self._loop = loop
        self._wire = wire
        self.pings = Pings(config, loop)
        self._children = Children(loop.poller, self._output, self._child_exited, loop.later)
        self._held = HeldGroups(run_dir, self._warn)
        self.sign = LastSign(run_dir, self._warn)
        self._agents: dict[Resource, Agent | None] = {}
        self.addresses = Addresses(loop, self._addresses_ended, lambda: self.lease.lifetime_s)
        self._looked_ns = 0
        self._looked_at = 0  # agents.disturbances(), then
        self._places: dict[Resource, tuple[bytes, str]] = {}  # of addresses: where they were last known to be
        self._serial = 0  # keys of children that no run of the core's waits for
        self._programs: dict[int, Callable[[int, str], None]] = {}  # told of such a child's end
        self._starting: dict[int, list[str]] = {}  # runs that start something: the words
        self._ending: tuple[str, ...] = ()  # groups that begin to be the other node's
        self.memory = PeerMemory(state_dir, loop)
        kept_in = run_dir if config.generation_method == "time" else state_dir
        self.generation = GenerationMemory(f"{kept_in}/hb_generation", loop)
        self._alarms = Alarms(loop)
        self._hooks = Hooks(loop)
        self.lease = Lease(run_dir, loop, self.sign, self._run_program, self._extend)
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
            Begin: self._begin,  # type: ignore[dict-item]
            Alarm: self._alarm,  # type: ignore[dict-item]
            Hook: self._hook,  # type: ignore[dict-item]
        }
        self.configure(config)
        loop.poller.add(agents.notices(), self._noticed)

    def _warn(self, text: str) -> None:
        self._loop.log.write(WARN, text)

    def do(self, action: Action, now: int) -> None:
        self._actions[type(action)](action, now)

    # --- agents, found and warmed before they are needed

    def configure(self, config: Config) -> None:
        """Find every resource's agent; those already known stay as they are."""
        self._config = config
        self._environment = environment(config)
        self._settings = config.settings(bytes(16))
        self.addresses.divisor = config.divisor
        known = {resource: agent for resource, agent in self._agents.items() if not self._outdated(resource, agent)}
        outdated = self._agents.keys() - known
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
        for resource in outdated - self._agents.keys():
            self._agents[resource] = self._find(resource)
        mailing = {**self._environment, "HA_mailserver": config.mailserver}
        self._alarms.configure(config.groups, mailing, config.divisor)
        self._hooks.configure(config.directory, self._environment, config.divisor)
        self.pings.configure(config)
        self._guard()

    def _outdated(self, resource: Resource, agent: Agent | None) -> bool:
        """The core takes it for an address that is set together with others, and it was the operator's script's."""
        return resource.name in self._settings.overlapping and not isinstance(agent, agents.Address)

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
        if isinstance(agent, agents.Address):
            try:
                agent.prepare()
            except agents.AgentError as error:
                self._loop.log.write(WARN, f"{resource.word}: {error.text}")
        return agent

    # --- leases

    def _guard(self) -> None:
        """Tell the lease which addresses the groups have, and on which interfaces they are asked for."""
        groups: dict[str, tuple[bytes, ...]] = {}
        interfaces: dict[str, int] = {}
        for group in self._config.groups:
            addresses = []
            for resource in group.resources:
                agent = self._agents.get(resource)
                found = agent.guarded() if isinstance(agent, agents.Address) else None
                if found is not None:
                    interfaces[found[1]] = found[2]
                    self._places[resource] = found[:2]
                # an interface that has just lost its network still has its neighbours
                if resource in self._places:
                    addresses.append(self._places[resource][0])
            groups[group.key] = tuple(addresses)
        self.lease.configure(self._settings, groups, interfaces)

    def _extend(self, keys: Iterable[str], seconds: int) -> None:
        """Without a table: the addresses of these groups end by themselves after so long; 0: they do not."""
        groups = [group for group in self._config.groups if group.key in keys]
        self.addresses.extend([resource for group in groups for resource in group.resources], seconds)

    def _run_program(self, argv: Sequence[str], done: Callable[[int, str], None]) -> None:
        """OSError."""
        self._serial -= 1
        self._children.spawn(self._serial, PROGRAM, argv, self._environment)
        self._programs[self._serial] = done

    def _output(self, name: str, line: str) -> None:
        # nft repeats the line in which it has found an error, and the log is not for what our table says
        if name != PROGRAM or "Error:" in line:
            self._loop.log.output(name, line)

    # --- what an earlier run has left

    def inherit(self) -> Inherited:
        """Look at it, before anything is decided. What is adopted is held from here on."""
        self._held.read()
        now = self._loop.now()
        last_ns = self.sign.last_ns
        peer_dead = last_ns is not None and self.sign.was_alone and now - last_ns < self._settings.alone_ns
        # a peer that has been dead all the while has taken nothing, whether the leases still run or not
        overdue = self.lease.overdue()
        surviving = self.lease.survivors(self._held.begun)
        adopted = {
            group.key
            for group in self._config.groups
            if group.key in (self._held.begun if peer_dead else surviving) and self._adopt(group)
        }
        for group in self._config.groups:
            if group.key in adopted:
                for resource in group.resources:
                    agent = self._agents.get(resource)
                    if isinstance(agent, agents.Address):
                        self.addresses.held[resource] = agent
        self.lease.adopt(adopted & surviving)
        leftovers = {
            group.key
            for group in self._config.groups
            if group.key not in adopted
            and (group.key in self._held.begun or any(self._is_up(resource) for resource in group.resources))
        }
        return Inherited(leftovers, adopted, peer_dead=peer_dead, overdue=overdue)

    def _adopt(self, group: Group) -> bool:
        """Has all of it been started, and are its addresses there?"""
        for resource in group.resources:
            if resource.notifier:
                continue
            agent = self._agents.get(resource)
            if resource.word not in self._held.up or agent is None:
                return False
            if isinstance(agent, agents.Address) and not agent.adopt():
                return False
        return True

    def _is_up(self, resource: Resource) -> bool:
        agent = self._agents.get(resource)
        return isinstance(agent, agents.Address) and agent.status()

    def start(self) -> None:
        """Load the table, and open what ping nodes are asked through."""
        self.pings.open_all()
        if self.lease.in_force:
            self.lease.start(TABLE_CAN_WAIT_NS)
            return
        self.lease.start()
        end = self._loop.now() + TABLE_WAITED_FOR_NS
        while self.lease.loading and self._loop.now() < end:
            self._loop.poller.wait(0.05)

    # --- actions

    def _transmit(self, action: Transmit, now: int) -> None:
        sent_ns = self._loop.now()
        taken = self._wire.send(action.message, action.priority, now)
        if action.priority == STATUS:
            self.lease.beat(sent_ns, taken=taken, instant=now)
            self.pings.beat(now)

    def _note(self, action: Note, now: int) -> None:
        self._loop.log.write(action.severity, action.text)

    def _hold(self, action: Hold, now: int) -> None:
        if action.ending != self._ending:
            before, self._ending = set(self._ending), action.ending
            began, kept = set(action.ending) - before, before.intersection(action.keys)
            self._cede([each for group in self._config.groups if group.key in began for each in group.resources])
            self._keep([each for group in self._config.groups if group.key in kept for each in group.resources])
        self.lease.hold(action.keys, alone=action.alone, instant=now, ending=action.ending)

    def _cede(self, resources: Sequence[Resource]) -> None:
        """The other node begins to have them: it alone tells the neighbours from here on, and after a crash nothing of
        them is adopted."""
        self.addresses.hush(resources)
        self._held.stopping(*[resource.word for resource in resources])

    def _keep(self, resources: Sequence[Resource]) -> None:
        """They stay here after all."""
        self._held.started(*[resource.word for resource in resources if resource in self.addresses.held])

    def _remember(self, action: Remember, now: int) -> None:
        self.memory.remember(action.node, action.generation, action.sequence)

    def _begin(self, action: Begin, now: int) -> None:
        self.generation.begin(action.generation)
        self.sign.begin(action.generation)

    def _alarm(self, action: Alarm, now: int) -> None:
        self._alarms.sound(action.text)

    def _hook(self, action: Hook, now: int) -> None:
        self._hooks.run(action)

    def _reply(self, action: Reply, now: int) -> None:
        if self.control is not None:
            answer = {"ok": True, "text": action.text} if action.ok else {"ok": False, "error": action.text}
            self.control.reply(action.number, answer)

    def _stop(self, action: Stop, now: int) -> None:
        self._held.clear()
        self.sign.clear()
        self.stopped = True

    def _reboot(self, action: Reboot, now: int) -> None:
        self._loop.log.write(CRIT, f"rebooting: {action.reason}")
        self._serial -= 1
        try:
            self._children.spawn(self._serial, "reboot", REBOOT, self._environment, detached=True)
        except OSError as error:
            self._loop.log.write(CRIT, f"cannot reboot: {error.strerror}")

    def _run_agent(self, action: RunAgent, now: int) -> None:
        resources = action.resources
        if action.verb == START and not resources[0].notifier:
            self._held.add(action.group)
            self._starting[action.run] = [resource.word for resource in resources]
        elif action.verb == STOP:
            self._held.stopping(*[resource.word for resource in resources])
        agent = self._agents.get(resources[0])
        if isinstance(agent, agents.Address):  # and so are all of them
            found = ((resource, self._agents.get(resource)) for resource in resources)
            self._run_addresses({each: agent for each, agent in found if isinstance(agent, agents.Address)}, action)
        elif agent is None:
            # nothing was ever started with it, so there is nothing to stop
            code = 0 if action.verb == STOP else NOT_FOUND
            self._done(action.run, code, "no agent of this name was found")
        elif isinstance(agent, agents.SpawnedAgent) and action.verb not in (ANNOUNCE, REDIRECT):
            self._run_child(agent, action)

    def _run_addresses(self, found: dict[Resource, agents.Address], action: RunAgent) -> None:
        if action.verb == REDIRECT:
            for resource, agent in found.items():
                self._run_child(agents.aside(agent), RunAgent(action.run, action.group, (resource,), REDIRECT))
        elif action.verb == ANNOUNCE:
            self.addresses.announce(found)
        else:
            self.addresses.run(action, found)

    def _done(self, run: int, code: int, detail: str) -> None:
        self._addresses_ended([(run, code, detail, "")])

    def _addresses_ended(self, ended: Sequence[Ended]) -> None:
        """All that is up is written down at once."""
        up: list[str] = []
        for run, code, detail, word in ended:
            words = self._starting.pop(run, [])
            up += words if code == 0 else ()
            if run:
                self._loop.push(AgentExited(run, code, detail, word))
        self._held.started(*up)

    def work(self, until: int) -> None:
        """What waits of the addresses, until then."""
        self.addresses.work(until)
        self._look_where_disturbed()

    # --- what somebody else does to the addresses

    def _noticed(self, events: int) -> None:
        """Somebody changed this machine's links or addresses, perhaps this daemon."""
        agents.take_notices()
        self._look_where_disturbed()

    def _look_where_disturbed(self) -> None:
        """It costs a look at each address, so where many are changed it is not done for each of them."""
        if agents.disturbances() != self._looked_at:
            due = max(self._loop.now(), self._looked_ns + LOOK_NS)
            self._loop.schedule.at(due, "addresses", self._look_after_addresses)

    def _look_after_addresses(self, now: int) -> None:
        """What was taken from us is set again."""
        self._looked_ns = now
        self._looked_at = agents.disturbances()
        self._guard()
        if self.lease.current:  # what has ended by itself is not set again
            self.addresses.restore()

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
                run, action.resources[0].name, agent.command(verb), {**self._environment, **agent.environment},
                capture=capture, detached=detached,
            )  # fmt: skip
        except OSError as error:
            self._asking.pop(run, None)
            self._loop.log.write(ERROR, f"{action.resources[0].word}: cannot run {agent.origin}: {error.strerror}")
            self._done(action.run, NOT_FOUND, error.strerror or "cannot be run")

    def _child_exited(self, run: int, code: int, detail: str) -> None:
        asking = self._asking.pop(run, None)
        if asking is None:
            program = self._programs.pop(run, None)
            if program is not None:
                program(code, detail)
            elif run > 0:
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
        self.lease.close(clean=self.stopped)
        self._alarms.close()
        self._hooks.close()
        self.pings.close()
        self._children.close()
        self.generation.close()
        self.memory.close()  # last: it may wait for the disk


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
