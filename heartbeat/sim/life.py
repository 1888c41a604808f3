"""One life of a pair: boot, a time of faults, then everything is healed and convergence demanded.

Converged means: both daemons run and are stable, each has the other for active, and each group is held exactly once.
It may take initdead and two deadtimes from the healing, and what agents still need: the time-outs of runs that hang,
the runs of slow ones, and the delay after which a failed start is tried again.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from heartbeat.core.group import FAILURE_MEMORY_NS, RETRY_MOST_NS
from heartbeat.core.settings import SECOND
from heartbeat.sim import faults as fault_list
from heartbeat.sim import options as drawn
from heartbeat.sim.agents import SLOW
from heartbeat.sim.audit import AuditFailure
from heartbeat.sim.driver import DOWN, OFF, RUNNING
from heartbeat.sim.faults import Fault, Faults
from heartbeat.sim.node import BOOT_NS
from heartbeat.sim.options import ADDRESS_AGENTS, Options
from heartbeat.sim.world import World

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from heartbeat.sim.node import Node

START_TIMEOUT_NS = 60 * SECOND  # as options.script
STOP_TIMEOUT_NS = 30 * SECOND
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
            node.machine.disk.full = False
            for name in list(node.media_down):
                node.regain_medium(name)
            if node.state == OFF:
                node.power_on()
            node.resume()
            if node.leaving and node.state != DOWN:
                world.at(world.now + STOP_TIMEOUT_NS, node.start)
            node.start()
        if len({(node.settings.resources_digest, node.settings.timing_digest) for node in world.nodes}) > 1:
            for node in world.nodes:
                self._injector.reload(node)
        world.audit.watchful = True

    def _agents_need(self) -> tuple[int, str]:
        """How much longer than usual the agents may keep the pair from being stable, and why, in words."""
        needed: dict[str, int] = {}
        script_ns = self.options.script_ns
        for node in self.world.nodes:
            for run in node.agents.running.values():
                limit_ns = run.resource.start_timeout_ns if run.verb == "start" else run.resource.stop_timeout_ns
                needed[f"{run.resource.word} on {node.name} is at work"] = limit_ns
            if node.agents.trouble or node.agents.failed_since(self.world.now - FAILURE_MEMORY_NS):
                needed[f"failed starts on {node.name} are tried again"] = RETRY_MOST_NS + START_TIMEOUT_NS
            if node.leaving and node.state != DOWN:
                needed[f"{node.name} is stopping"] = STOP_TIMEOUT_NS * (1 + self._scripts(node)) + BOOT_NS
        scripts = max(map(self._scripts, self.world.nodes))
        if scripts:
            # both nodes' scripts, stopped and started, and one hand-over on the way
            needed["scripts"] = 4 * scripts * (script_ns + script_ns * SLOW)
        needed["daemons start"] = self.options.restart_ns + BOOT_NS
        why = "".join(f", {text} (+{value / SECOND:.3f} s)" for text, value in needed.items())
        return sum(needed.values()), why

    @staticmethod
    def _scripts(node: Node) -> int:
        return sum(
            resource.name not in ADDRESS_AGENTS and not resource.notifier
            for group in node.settings.groups
            for resource in group.resources
        )

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
