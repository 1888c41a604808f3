"""The resource agents of one node: they take time, fail, hang, and are killed.

An address is set inside the daemon, in no time to speak of; a script is a process of its own. What an agent is made to
do wrong is set from outside: `trouble[resource]`, a word of TROUBLES; `met[resource]` is called when a run meets it. A
daemon that dies takes its running scripts with it, half done.

Audited here: no agent is started twice at once, none while its stop is unfinished, none that is up already.
"""

from __future__ import annotations

from heartbeat.core.actions import ANNOUNCE, REDIRECT, START, STOP
from heartbeat.core.settings import MILLISECOND
from heartbeat.sim.options import ADDRESS_AGENTS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    from heartbeat.core.actions import KillAgent, RunAgent
    from heartbeat.core.settings import Resource
    from heartbeat.sim.driver import Driver

TROUBLES = ("start fails", "stop fails", "both fail", "start hangs", "stop hangs", "slow")
INLINE_NS = MILLISECOND // 20
SPAWN_NS = 2 * MILLISECOND
SLOW = 20  # times as long
KILLED = 137


class Run:
    """An action under way. at: which of its resources is at work; code, detail, word: of the first that failed."""

    __slots__ = ("action", "at", "code", "detail", "word")

    def __init__(self, action: RunAgent) -> None:
        self.action = action
        self.at = 0
        self.code = 0
        self.detail = ""
        self.word = ""

    @property
    def resource(self) -> Resource:
        return self.action.resources[self.at]


class Agents:
    """running: by number, of the present daemon. ends: by number, when each will, at the latest by its time-out.
    failures: of a group's starts, since one has succeeded: how many, and when the last was."""

    __slots__ = ("_confirmed", "_node", "_random", "ends", "failures", "met", "running", "trouble")

    def __init__(self, node: Driver, random: Random) -> None:
        self._node = node
        self._random = random
        self.trouble: dict[Resource, str] = {}
        self.met: dict[Resource, Callable[[], None]] = {}
        self.running: dict[int, Run] = {}
        self.ends: dict[int, int] = {}
        self.failures: dict[str, tuple[int, int]] = {}
        self._confirmed: set[Resource] = set()  # this daemon was told that they are up

    def adopt(self, resources: list[Resource]) -> None:
        """A new daemon, which knows of these that they are up."""
        self._confirmed = set(resources)

    def run(self, action: RunAgent) -> None:
        """RunAgent. Its `AgentExited` follows, later."""
        node = self._node
        if action.verb in (ANNOUNCE, REDIRECT) or action.resources[0].notifier:
            for resource in action.resources:
                if action.verb == ANNOUNCE and resource.name in ADDRESS_AGENTS:
                    node.note(f"tells the neighbours again who has {resource.word}")
            return
        for resource in action.resources:
            self._check(action.verb, resource)
        if action.verb == START:
            node.machine.begun[action.group] = None
        else:
            node.machine.started.difference_update(action.resources)
            node.machine.ceded.difference_update(action.resources)
        run = self.running[action.run] = Run(action)
        limits_ns = [r.start_timeout_ns if action.verb == START else r.stop_timeout_ns for r in action.resources]
        self.ends[action.run] = node.world.now + max(limits_ns)
        self._next(run)

    def _check(self, verb: str, resource: Resource) -> None:
        node = self._node
        for other in self.running.values():
            if resource in other.action.resources:
                node.fail("agents", f"{verb} of {resource.word} while its {other.action.verb} is unfinished")
        if verb == START and resource in self._confirmed:
            node.fail("agents", f"{resource.word} is started though it is up")

    def _next(self, run: Run) -> None:
        node, action, resource = self._node, run.action, run.resource
        node.note(f"{action.verb} {resource.word}")
        node.changed()
        trouble = self._meet(action.verb, resource)
        if trouble.endswith("hangs"):
            return
        takes_ns = self._takes_ns(resource, slow=trouble == "slow")
        if resource is action.resources[-1]:
            self.ends[action.run] = min(self.ends[action.run], node.world.now + takes_ns)
        node.later(takes_ns, self._ended, (run, trouble.endswith(("fails", "fail")), node.life))

    def _meet(self, verb: str, resource: Resource) -> str:
        """The trouble of this run, a word of TROUBLES, or "". An address takes no time, so it is never slow."""
        trouble = self.trouble.get(resource, "")
        slow = trouble == "slow" and resource.name not in ADDRESS_AGENTS
        if not (slow or trouble == "both fail" or trouble.startswith(verb)):
            return ""
        if resource in self.met:
            self.met[resource]()
        return trouble

    def _takes_ns(self, resource: Resource, *, slow: bool) -> int:
        if resource.name in ADDRESS_AGENTS:
            return INLINE_NS
        usual_ns = SPAWN_NS + self._random.randrange(self._node.world.options.script_ns + 1)
        return usual_ns * SLOW if slow else usual_ns

    def _ended(self, told: tuple[Run, bool, int]) -> None:
        run, failed, life = told
        if life == self._node.life and run.action.run in self.running:
            self._done(run, int(failed), "it fails" if failed else "")

    def kill(self, action: KillAgent) -> None:
        running = self.running.get(action.run)
        if running is not None:
            self._node.note(f"kill {running.action.verb} {running.resource.word}")
            self._node.later(MILLISECOND, self._killed, (running, self._node.life))

    def _killed(self, told: tuple[Run, int]) -> None:
        run, life = told
        if life == self._node.life and run.action.run in self.running:
            self._done(run, KILLED, "killed", whole=True)

    def _done(self, run: Run, code: int, detail: str, *, whole: bool = False) -> None:
        """One of its resources; then comes the next, but after a start that failed. whole: nothing comes any more."""
        node, action, word = self._node, run.action, run.resource.word
        self._take_effect(action, run.resource, code)
        if code:
            node.note(f"{action.verb} {word} ends with {code}")
            if not run.code:
                run.code, run.detail, run.word = code, detail, word
        run.at += 1
        rest = action.resources[run.at :]
        if rest and not whole and not (code and action.verb == START):
            self._next(run)
            return
        for resource in rest:  # the kernel was told of all at once
            self._perhaps(action, resource)
        del self.running[action.run]
        del self.ends[action.run]
        node.agent_exited(action.run, run.code, run.detail, run.word)

    def _take_effect(self, action: RunAgent, resource: Resource, code: int) -> None:
        """What a run that ended so has done to the machine. A failed one may have done all of it, or nothing."""
        node = self._node
        self._confirmed.discard(resource)
        if action.verb == START and code:
            count, _ = self.failures.get(action.group, (0, 0))
            self.failures[action.group] = (count + 1, node.world.now)
        elif action.verb == START and resource == self._last_of(action.group):
            self.failures.pop(action.group, None)
        done = code == 0 or self._random.random() < 0.5
        if action.verb == START:
            if code == 0:
                self._confirmed.add(resource)
                node.machine.started.add(resource)
                node.machine.unknown.discard(resource)
            if done:
                node.machine.up[resource] = action.group
        elif action.verb == STOP:
            if done:
                node.audit_down(resource)
                node.machine.up.pop(resource, None)
            if code:
                node.machine.unknown.add(resource)
            else:
                node.machine.unknown.discard(resource)
        node.changed()

    def _perhaps(self, action: RunAgent, resource: Resource) -> None:
        """What comes after the one in which a run ended may have been done, and nobody was told."""
        self._confirmed.discard(resource)
        if self._random.random() < 0.5:
            return
        if action.verb == START:
            self._node.machine.up[resource] = action.group
        else:
            self._node.audit_down(resource)
            self._node.machine.up.pop(resource, None)
        self._node.changed()

    def _last_of(self, key: str) -> Resource | None:
        """Whose start is the end of its group's."""
        working = [r for group in self._node.settings.groups if group.key == key for r in group.resources]
        return next((each for each in reversed(working) if not each.notifier), None)

    def die(self) -> None:
        """The daemon is dead, and so are its children, wherever they were."""
        for run in list(self.running.values()):
            self._take_effect(run.action, run.resource, KILLED)
            for resource in run.action.resources[run.at + 1 :]:
                self._perhaps(run.action, resource)
        self.running.clear()
        self.ends.clear()
        self.failures.clear()
        self._confirmed.clear()
