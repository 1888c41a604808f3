"""A pair of real daemons, each node's of either program, on machines, networks and a cable of their own.

    asking ──┬── lan ── eth0 julius eth1 ──┬── wan          ttyS0 ═══ cable ═══ ttyS0
             │          ttyS0              │
             └───────── eth0 caesar eth1 ──┘

Rules: nobody's word counts for who holds what. The kernels are asked (`kernels`), and the networks (`answers`). Daemons
are asked, each by its own tools, for one thing: whether they say that they have done. Everything that is done to a
pair is one of the ACTIONS, a line of words, so that a table can hold it:

    start NODE [NODE]           power, where there is none, and the daemon; several at once
    stop NODE                   the daemon's clean end
    power-off NODE              all its processes, links and its end of the cable, in one instant
    standby NODE SET            hb_standby there
    takeover NODE SET           hb_takeover there
    kill NODE                   kill -9 of the daemon's main process
    kill-start NODE             and started again at once
    cut NUMBER                  that medium of the setting's, both ways; `all` for all
    heal                        all that was cut
    blink SECONDS               cuts all, and heals it so much later
    wait SECONDS
"""

from __future__ import annotations

import contextlib
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping

from interop.answers import Answers
from interop.kernels import Kernels
from interop.router import Router
from interop.setting import ETHERNET, NODES, Setting
from system.links import HEARTBEATS, Links, Way

from heartbeat.demo import seed
from heartbeat.demo.world import JULIUS_AND_CAESAR, World

LETTERS = {"julius": "j", "caesar": "c"}


class TroubleError(Exception):
    """An action could not be done: a command failed or hung, a daemon has not ended."""


class Pair:
    """Switched off at first."""

    def __init__(self, world: World, setting: Setting) -> None:
        self.world = world
        self.setting = setting
        self.cable = world.cable(setting.baud) if "serial" in setting.media else None
        site = JULIUS_AND_CAESAR
        self.nodes = {
            name: world._add(
                Router(
                    name, world.folder, world.switches, site.router_interfaces(number),
                    program=setting.programs[number], files=setting.files(),
                    serial={seed.SERIAL_PORT: self.cable.ends[number]} if self.cable else {},
                )
            )
            for number, name in enumerate(NODES)
        }  # fmt: skip
        self.links = Links(world)
        world._closing.callback(self.links.close)
        addresses = [address for group in setting.addresses for address in group]
        self.kernels = Kernels(world.folder, addresses)
        world._closing.callback(self.kernels.close)
        self.answers = Answers(world, site, self.nodes.values(), setting.addresses)
        world._closing.callback(self.answers.close)

    # doing

    def do(self, action: str) -> None:
        """Trouble."""
        word, *arguments = action.split()
        try:
            ACTIONS[word](self, *arguments)
        except (OSError, TimeoutError, subprocess.TimeoutExpired) as error:
            raise TroubleError(f"{action}: {error}") from error

    def start(self, *names: str) -> None:
        nodes = [self.nodes[name] for name in names]
        for node in nodes:
            if not node.on:
                self.world.power_on(node)
                self.kernels.watch(node)
        for node in nodes:
            node.start_daemon()

    def stop(self, name: str) -> None:
        code = self.nodes[name].stop_daemon()
        if code:
            raise TroubleError(f"the daemon of {name} has ended with exit code {code}")

    def power_off(self, name: str) -> None:
        if self.nodes[name].on:
            self.world.power_off(self.nodes[name])
            self.kernels.forget(self.nodes[name])

    def kill(self, name: str) -> None:
        self.nodes[name].kill_daemon()

    def kill_and_start(self, name: str) -> None:
        self.nodes[name].kill_daemon()
        self.nodes[name].start_daemon()

    def standby(self, name: str, groups: str) -> None:
        self._command(name, "hb_standby", groups)

    def takeover(self, name: str, groups: str) -> None:
        self._command(name, "hb_takeover", groups)

    def _command(self, name: str, *words: str) -> None:
        done = self.nodes[name].command(*words)
        if done.returncode:
            said = (done.stderr or done.stdout).strip()
            raise TroubleError(f"{' '.join(words)} at {name}: exit code {done.returncode}: {said}")

    def cut(self, number: str) -> None:
        for medium in self.setting.media if number == "all" else self.setting.media[int(number) - 1 :][:1]:
            if medium in ETHERNET:
                # heartbeats alone: who is asked by ARP must go on answering
                first, second = self.nodes.values()
                self.links.lose(Way(first, second, "eth0"), Way(second, first, "eth0"), what=HEARTBEATS)
            else:
                assert self.cable
                self.cable.cut()

    def heal(self) -> None:
        self.links.heal()
        if self.cable:
            self.cable.join()

    def blink(self, seconds: str) -> None:
        self.cut("all")
        time.sleep(float(seconds))
        self.heal()

    def all_off(self) -> None:
        for name in NODES:
            self.power_off(name)
        self.heal()

    # judging

    def state(self) -> str:
        """A letter a group: who has all of its addresses, by the kernels. See `letters`."""
        return self.letters(self.kernels.now())

    def answering(self) -> str:
        """The same by who answers for them."""
        return self.letters(self.answers.now())

    def letters(self, held: Mapping[str, frozenset[str]]) -> str:
        """j julius, c caesar; - nobody; + both have any of it; ? one has a part of it."""
        return "".join(self._letter({name for name in held if set(group) & held[name]}, group, held)
                       for group in self.setting.addresses)  # fmt: skip

    @staticmethod
    def _letter(having: set[str], group: tuple[str, str], held: Mapping[str, frozenset[str]]) -> str:
        if not having:
            return "-"
        if len(having) > 1:
            return "+"
        (name,) = having
        return LETTERS[name] if set(group) <= held[name] else "?"

    def done(self) -> bool:
        """Does every daemon that runs say, by its own tool, that nothing is under way?"""
        said = [node.says("rscstatus") for node in self.nodes.values() if node.running]
        return all(word not in ("", "transition") for word in said)

    def say(self) -> dict[str, str]:
        """What each node's own tool says: what it holds, and how it sees the other."""
        return {
            name: f"{node.says('rscstatus') or 'nothing'}/{node.says('nodestatus', self.other(name)) or 'nothing'}"
            if node.running else "down"
            for name, node in self.nodes.items()
        }  # fmt: skip

    def links_up(self) -> bool:
        """Does each node say that the other is active and that it hears it over every medium?"""
        for name, node in self.nodes.items():
            if node.says("nodestatus", self.other(name)) != "active":
                return False
            lines = node.command("cl_status", "listhblinks", self.other(name)).stdout.split()
            if not lines or any(node.says("hblinkstatus", self.other(name), link) != "up" for link in lines):
                return False
        return True

    @staticmethod
    def other(name: str) -> str:
        return next(each for each in NODES if each != name)

    def both_run(self) -> bool:
        return all(node.running for node in self.nodes.values())


ACTIONS: dict[str, Callable[..., None]] = {
    "start": Pair.start,
    "stop": Pair.stop,
    "power-off": Pair.power_off,
    "standby": Pair.standby,
    "takeover": Pair.takeover,
    "kill": Pair.kill,
    "kill-start": Pair.kill_and_start,
    "cut": Pair.cut,
    "heal": Pair.heal,
    "blink": Pair.blink,
    "wait": lambda _pair, seconds: time.sleep(float(seconds)),
}


@contextlib.contextmanager
def playing(setting: Setting) -> Iterator[Pair]:
    """A pair in a world of its own; everything of it is gone at the end, whatever happens."""
    with World() as world:
        yield Pair(world, setting)
