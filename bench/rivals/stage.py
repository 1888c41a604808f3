"""A pair of one system on the stage: switched on, mended, moved and failed; and what the instruments saw of it.

A power failure: the node's end of the cable is dead, its first process killed, and with it, by the kernel, every
process of its namespace, its plug pulled, one after the other with nothing in between. The instant is taken before the
first of these, by a thread that is real-time for so long.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator

from interop.router import Router

from bench.rivals.instruments import ADVERTISEMENT, HEARTBEAT, Canaries, Growth, Line, Probe, Tap
from bench.rivals.systems import ADDRESS, NODES, Setting, System
from heartbeat.demo.clock import INSTRUMENT, SECOND, now_ns
from heartbeat.demo.network import Interface
from heartbeat.demo.seed import SERIAL_PORT
from heartbeat.demo.world import JULIUS_AND_CAESAR, World

LOOK_S = 0.1
# for so long all must be well before it counts
QUIET_S = 0.5
PATIENCE_S = 40.0
# from the thought of a failure to the failure, at least
AHEAD_NS = 3_000_000


class Stage:
    """nodes[0] is julius, nodes[1] caesar; switched off at first. client: with the client and its probe, and a tap;
    without, who holds is what the kernels say."""

    def __init__(
        self, world: World, system: System, setting: Setting, canaries: Canaries | None, *, client: bool = True
    ) -> None:
        self.world = world
        self.system = system
        self.setting = setting
        self.canaries = canaries
        self.started_ns = [0, 0]
        self.cable = world.cable(setting.baud) if "serial" in setting.media else None
        self.nodes = [self._router(number) for number in range(2)]
        self.macs = [node.interfaces[0].mac for node in self.nodes]
        self._closing = contextlib.ExitStack()
        self.probe: Probe | None = None
        try:
            if client:
                card = Interface("eth0", f"net{JULIUS_AND_CAESAR.lan}", "10.0.0.10/24", "02:00:0a:00:00:0a")
                machine = world.machine("client", [card])
                world.power_on(machine)
                self.tap = self._instrument(Tap(world))
                self.probe = self._instrument(Probe(machine, ADDRESS))
            self._said = [[self._instrument(Growth(path)) for path in self._logs(node)] for node in self.nodes]
            # of the end that the other's octets come from
            self.lines = [self._instrument(Line(self.cable, 1 - node)) for node in range(2)] if self.cable else []
        except BaseException:
            self.close()
            raise

    def _router(self, number: int) -> Router:
        node = Router(
            NODES[number], self.world.folder, self.world.switches, JULIUS_AND_CAESAR.router_interfaces(number)[:1],
            program=self.system.program(self.setting, number), files=self.system.files(self.setting, number),
            serial={SERIAL_PORT: self.cable.ends[number]} if self.cable else {},
        )  # fmt: skip
        for name, (mode, text) in self.system.more(self.setting, number).items():
            path = node.disk / "etc/ha.d" / name
            path.write_text(text)
            path.chmod(mode)
        for path in self._logs(node):
            path.touch()
        return self.world._add(node)

    def _instrument(self, made):
        self._closing.callback(made.close)
        return made

    @staticmethod
    def _logs(node: Router) -> tuple:
        return node.log_path, node.output_path

    # asking

    def holders(self) -> list[int]:
        """Whose kernels have the address."""
        return [number for number, node in enumerate(self.nodes) if node.on and node.holds(ADDRESS)]

    def plug(self, node: int) -> int:
        """The switch's, of that node's card, as the tap knows it; 0: it is off."""
        return self.nodes[node]._plugs.get("eth0", 0)

    def said_ns(self, node: int, pattern: re.Pattern[str], since_ns: int) -> int | None:
        """When it first wrote such a line since then: to its log or to its standard output."""
        found = [growth.first(pattern, since_ns) for growth in self._said[node]]
        return min((at_ns for at_ns in found if at_ns), default=None)

    def settled(self) -> int | None:
        """Who holds, where all is well."""
        holders = self.holders()
        if len(holders) != 1 or (self.probe is not None and self.probe.answering() != self.macs[holders[0]]):
            return None
        return holders[0] if self.system.ready(self) else None

    # doing

    def up(self) -> int:
        """Both run, ready, one holds and answers. What a failure or a stop has left is started again. Who holds.
        TimeoutError."""
        self.start()
        return self.settle(now_ns() + round(self.system.boot_s * SECOND))

    def start(self) -> None:
        """What doesn't run, and wait for nothing."""
        missing = [number for number, node in enumerate(self.nodes) if not node.on or not node.running]
        for number in missing:
            if not self.nodes[number].on:
                self.world.power_on(self.nodes[number])
        for number in missing:
            self.nodes[number]._bury()
            self.started_ns[number] = now_ns()
            self.nodes[number].start_daemon()

    def settle(self, end_ns: int) -> int:
        """Until all has been well for QUIET_S. Who holds. TimeoutError."""
        before: int | None = None
        since_ns = 0
        while True:
            holder = self.settled()
            now = now_ns()
            if holder is None or holder != before:
                since_ns = now
            elif now - since_ns > QUIET_S * SECOND:
                return holder
            before = holder
            if now > end_ns:
                raise TimeoutError(f"{self.system.name}, {self.setting.name}: not ready in time: {self._trouble()}")
            time.sleep(LOOK_S)

    def _trouble(self) -> str:
        holders = " and ".join(NODES[number] for number in self.holders()) or "nobody"
        answering = "nobody" if self.probe is None else self.probe.answering() or "nobody"
        ready = "ready" if self.system.ready(self) else "not ready, by their own word"
        return f"{holders} had the address, {answering} answered, the daemons were {ready}"

    def fail(self, node: int, phase: float) -> int:
        """The power of that node fails, at this part of the time between two of its heartbeats where the tap sees them.
        Answers the instant. What is left of the node stays until `bury`."""
        failing = self.nodes[node]
        with urgent():
            time.sleep(max(0, self._instant(node, phase) - now_ns()) / SECOND)
            at_ns = now_ns()
            for end in failing.serial.values():
                end.unplug()
            os.kill(failing._pid, signal.SIGKILL)
            for plug in failing._plugs.values():
                self.world.switches.pull(plug)
        failing._pid = 0  # it is nobody's now, and may become another's
        return at_ns

    def _instant(self, node: int, phase: float) -> int:
        interval_ns = self.system.interval_ns(self.setting)
        now = now_ns()
        plug = self.plug(node)
        sent = [each.at_ns for each in self.tap.passed(now - 3 * interval_ns)
                if each.card == plug and not each.out and each.kind in (HEARTBEAT, ADVERTISEMENT)]  # fmt: skip
        return at_phase(max(sent, default=now), interval_ns, phase, now + AHEAD_NS)

    def bury(self, node: int) -> None:
        """The remains of a node that has failed. Taking a network apart holds a lock of the kernel's for long, under
        load, on which the survivor would wait to get its address: two routers have a kernel each."""
        self.world.power_off(self.nodes[node])

    def stop(self, node: int) -> threading.Thread:
        """The daemon is told to end, by SIGTERM. The thread ends when it has."""
        return _beside(self.nodes[node].stop_daemon)

    def command(self, node: int, *words: str) -> threading.Thread:
        return _beside(lambda: self.nodes[node].command(*words, timeout_s=PATIENCE_S))

    def signal(self, node: int, number: int) -> None:
        pid = self.nodes[node].main_pid()
        if pid is None:
            raise OSError(f"no {self.system.name} runs at {NODES[node]}")
        os.kill(pid, signal.Signals(number))

    def until_answers(self, node: int, patience_s: float) -> None:
        """TimeoutError."""
        end_ns = now_ns() + round(patience_s * SECOND)
        while self.probe.answering() != self.macs[node]:
            if now_ns() > end_ns:
                raise TimeoutError(f"{self.system.name}, {self.setting.name}: {NODES[node]} has not taken over within "
                                   f"{patience_s:.0f} s")  # fmt: skip
            time.sleep(0.01)

    def log(self, node: int, characters: int = 1500) -> str:
        return "".join(path.read_text(errors="replace")[-characters:] for path in self._logs(self.nodes[node]))

    def close(self) -> None:
        self._closing.close()


def at_phase(sent_ns: int, interval_ns: int, phase: float, after_ns: int) -> int:
    """The first such instant after another, of somebody who has sent at `sent_ns` and does so each interval."""
    first_ns = sent_ns + round(phase * interval_ns)
    return first_ns + max(0, -((first_ns - after_ns) // interval_ns)) * interval_ns


def _beside(what: Callable[[], object]) -> threading.Thread:
    def run() -> None:
        # who waits sees that nothing has come of it
        with contextlib.suppress(OSError, TimeoutError, subprocess.TimeoutExpired):
            what()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread


@contextlib.contextmanager
def urgent() -> Iterator[None]:
    """This thread is real-time, where that is permitted: between the instant and the deed nobody else has a turn."""
    with contextlib.suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_FIFO | os.SCHED_RESET_ON_FORK, os.sched_param(INSTRUMENT + 1))
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            os.sched_setscheduler(0, os.SCHED_OTHER | os.SCHED_RESET_ON_FORK, os.sched_param(0))


def end_whole() -> None:
    """From now on a SIGTERM or SIGHUP ends this program as a Ctrl-C does: with everything that it has started."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, frame: sys.exit(128 + number))


@contextlib.contextmanager
def staged(system: System, setting: Setting, canaries: Canaries) -> Iterator[Stage]:
    """A pair that is up, in a world of its own; everything of it is gone at the end."""
    with World() as world:
        stage = Stage(world, system, setting, canaries)
        try:
            stage.up()
            yield stage
        finally:
            stage.close()
