"""One life of a pair: boot, a time of faults, then everything is healed and convergence demanded.

Converged means: both daemons run and are stable, each has the other for active, and each group is held exactly once.
It may take initdead and two deadtimes from the healing, and what agents still need: the rest of the runs that are under
way (what hangs is killed in time), the delay after which a failed start is tried again, and the scripts of one move.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from heartbeat.core.actions import START
from heartbeat.core.group import retry_delay_ns
from heartbeat.core.settings import SECOND
from heartbeat.sim import faults as fault_list
from heartbeat.sim import options as drawn
from heartbeat.sim.agents import SPAWN_NS
from heartbeat.sim.audit import AuditFailure
from heartbeat.sim.driver import DOWN, OFF, REBOOT_NS, RUNNING
from heartbeat.sim.faults import Fault, Faults
from heartbeat.sim.node import DRAIN_NS
from heartbeat.sim.options import ADDRESS_AGENTS, Options
from heartbeat.sim.world import World

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from heartbeat.core.settings import Group
    from heartbeat.sim.node import Node

# After convergence it must stay so for as long.
AFTERWARDS_DEADTIMES = 2


@dataclass
class Outcome:
    """What became of a life. rule: the audit that failed, "convergence", "core" (an assertion or an exception out of
    the core), or "" where all held. lines: of the transcript, its end or all of it. deaths: how often a node found
    the other dead, by cause; outages: how long nobody answered for an address that nobody had released, nanoseconds."""

    seed: int
    options: Options
    faults: list[Fault]
    rule: str = ""
    text: str = ""
    lines: list[str] = field(default_factory=list)
    simulated_ns: int = 0
    heartbeats: int = 0
    events: int = 0
    take_overs: int = 0
    deaths: dict[str, int] = field(default_factory=dict)
    outages: list[int] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    converged_ns: int = 0
    digest: str = ""

    @property
    def good(self) -> bool:
        return not self.rule


class Life:
    """A world, and what happens to it in which order. faults: instead of those the seed draws."""

    def __init__(
        self, options: Options, faults: list[Fault] | None = None, *, keep_transcript: bool = False,
        core: Callable[..., Any] | None = None,
    ) -> None:  # fmt: skip
        self.options = options
        self.faults = fault_list.draw(options) if faults is None else faults
        settings = (options.settings(0), options.settings(1))
        self.world = World(options, settings, keep_transcript=keep_transcript, core=core)
        self.outcome = Outcome(options.seed, options, self.faults)
        self._injector = Faults(self.world, self.faults)

    def run(self) -> Outcome:
        outcome, world = self.outcome, self.world
        try:
            for node, at in zip(world.nodes, self.options.boot_ns, strict=True):
                world.at(at, node.start)
            world.run(self.options.duration_ns)
            self._converge()
            world.audit.measure()
        except AuditFailure as failure:
            outcome.rule, outcome.text = failure.rule, failure.text
        except Exception as error:  # whatever comes out of the core is a finding, not the end of a swarm
            outcome.rule, outcome.text = "core", f"{type(error).__name__}: {error} ({_where(error)})"
        self._sum_up()
        return outcome

    # --- healing

    def _converge(self) -> None:
        world = self.world
        needed_ns, why = self._agents_need()
        self._heal()
        began = world.now
        settings = [node.settings for node in world.nodes]
        allowed_ns = max(each.initdead_ns for each in settings) + 2 * max(each.deadtime_ns for each in settings)
        allowed_ns += needed_ns
        met = world.run_until(lambda: not self.waits_for(), began + allowed_ns, world.keepalive_ns // 2)
        if not met:
            text = f"after {allowed_ns / SECOND:.3f} s{why}: {'; '.join(self.waits_for())}"
            world.audit.fail("convergence", text)
        self.outcome.converged_ns = world.now - began
        world.run(world.now + AFTERWARDS_DEADTIMES * max(each.deadtime_ns for each in settings))
        # a fail-back may be under way, which is a hand-over like any other
        if not world.run_until(lambda: not self.waits_for(), world.now + allowed_ns, world.keepalive_ns // 2):
            world.audit.fail("convergence", f"it was, and is no more: {'; '.join(self.waits_for())}")

    def _heal(self) -> None:
        """Nothing is wrong from now on; the operator gives both the same files, and accepts who was quarantined."""
        world = self.world
        world.epoch += 1
        world.note("fault", "everything is healed")
        for pair in world.lanes.values():
            for lane in pair:
                lane.restore()
        for node in world.nodes:
            node.agents.trouble.clear()
            node.agents.met.clear()
            node.machine.disk.full = False
            for name in list(node.media_down):
                node.regain_medium(name)
            if node.state == OFF:
                node.power_on()
            node.resume()
            if node.leaving and node.state != DOWN:
                self._start_after(node)
            node.start()
        if len({(node.settings.resources_digest, node.settings.timing_digest) for node in world.nodes}) > 1:
            for node in world.nodes:
                self._injector.reload(node)
        world.audit.watchful = True

    def _start_after(self, node: Node) -> None:
        """When a daemon that was told to stop has ended."""
        if node.leaving and node.state != DOWN:
            self.world.at(self.world.now + SECOND // 10, self._start_after, node)
        else:
            node.start()

    def _agents_need(self) -> tuple[int, str]:
        """How much longer the agents may keep the pair from being stable, and why, in words. Groups don't wait for each
        other: the one that needs most counts."""
        moving_ns = [self._moving_ns(group) for group in self._groups()]
        needed = {"a move": 2 * max(moving_ns, default=0)}
        if any(node.leaving and node.state != DOWN for node in self.world.nodes):
            needed["a daemon stops first"] = max(moving_ns, default=0) + DRAIN_NS
        waits = [self._waits(group.key) for group in self._groups()]
        worst: dict[str, int] = max(waits, key=lambda each: sum(each.values()), default={})
        needed |= worst
        why = "".join(f", {text} (+{value / SECOND:.3f} s)" for text, value in needed.items() if value)
        return sum(needed.values()), why

    def _groups(self) -> list[Group]:
        return [group for node in self.world.nodes for group in node.settings.groups]

    def _moving_ns(self, group: Group) -> int:
        """What a group's scripts take to start, or to stop, at most."""
        scripts = sum(each.name not in ADDRESS_AGENTS and not each.notifier for each in group.resources)
        return scripts * (SPAWN_NS + self.options.script_ns)

    def _waits(self, key: str) -> dict[str, int]:
        """For what a group waits: runs that are under way, and the delay after a failed start."""
        now = self.world.now
        found = {}
        for node in self.world.nodes:
            agents = node.agents
            count, failed_at = agents.failures.get(key, (0, 0))
            for number, run in agents.running.items():
                if run.action.group == key:
                    found[f"{run.resource.word} on {node.name} is at work"] = max(0, agents.ends[number] - now)
                    if run.action.verb == START:  # it may fail yet
                        count, failed_at = count + 1, agents.ends[number]
                    elif self.options.reboot_on_stop_failure:
                        found[f"{node.name} may reboot for it"] = REBOOT_NS + self.options.restart_ns
            if count:
                delay_ns = retry_delay_ns(count)
                found[f"{key} on {node.name} is tried again"] = max(0, delay_ns - max(0, now - failed_at))
        return found

    # --- converged?

    def waits_for(self) -> list[str]:
        """What is missing, in words; empty where the pair has converged."""
        missing = []
        for node in self.world.nodes:
            if node.state != RUNNING:
                missing.append(f"{node.name}'s daemon does not run")
                continue
            view = node.view()
            for name, each in view.nodes.items():
                if each.status != "active":
                    missing.append(f"{node.name} has {name} for {each.status}")
                if each.status == "quarantined" and name not in node.accepting:
                    node.accepting.add(name)
                    node.request("accept", name)
            if not view.stable:
                missing.append(f"{node.name} is not stable")
        for group in self.world.nodes[0].settings.groups:
            trouble = self.world.audit.trouble_of(group)
            if trouble:
                missing.append(f"{group.key}: {trouble}")
        for node in self.world.nodes:
            missing += [f"{node.name} has not answered {verb!r}" for verb in node.requests.values()]
        return missing

    # --- the end

    def _sum_up(self) -> None:
        outcome, world = self.outcome, self.world
        outcome.lines = world.lines()
        outcome.simulated_ns = world.now
        outcome.heartbeats = world.heartbeats
        outcome.events = world.events
        outcome.take_overs = world.audit.take_overs
        outcome.deaths = dict(world.audit.deaths)
        outcome.outages = [gap.ended - gap.began for gap in world.audit.gaps if not gap.released]
        outcome.counts = self._injector.counts
        outcome.digest = world.digest()


def _where(error: Exception) -> str:
    """File and line of the innermost frame."""
    trace = error.__traceback__
    where = ""
    while trace is not None:
        code = trace.tb_frame.f_code
        where = f"{code.co_filename.rpartition('/')[2]}:{trace.tb_lineno} in {code.co_name}"
        trace = trace.tb_next
    return where


def run(
    seed: int, faults: list[Fault] | None = None, *, options: Options | None = None, keep_transcript: bool = False,
    core: Callable[..., Any] | None = None,
) -> Outcome:  # fmt: skip
    """The life of a seed, or of given options and faults."""
    return Life(options or drawn.draw(seed), faults, keep_transcript=keep_transcript, core=core).run()
