"""Scripted scenarios: a few words to play a pair with, and the transcript that comes of it.

    play = Script(keepalive_s=1, deadtime_s=5, groups={"julius": "IPaddr::10.0.0.254 web"})
    play.boot()
    play.until_stable()
    play.kill("julius")
    play.run(10)
    print(play.transcript())

All audits run meanwhile; what they find is an AuditFailure out of the word during which it happened. Times are seconds.
The clocks of both nodes are exact and media lose nothing, unless the script says otherwise, so a transcript changes
only with what the nodes decide.
"""

from __future__ import annotations

from dataclasses import replace

from heartbeat.core.settings import FAILBACK_NAMES, MILLISECOND, SECOND, Group, Resource
from heartbeat.sim.driver import DOWN, OFF, PAUSED, RUNNING
from heartbeat.sim.medium import Quality
from heartbeat.sim.options import ADDRESS_AGENTS, NAMES, MediumOptions, Options, make_settings
from heartbeat.sim.world import World

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from heartbeat.sim.agents import Agents
    from heartbeat.sim.medium import Lane
    from heartbeat.sim.node import Node

SERIAL = ("/dev/ttyS0",)
PATIENCE_S = 3600.0  # of `until`
STEP_NS = 10 * MILLISECOND


class Script:
    """groups: preferred node → its lines of haresources, each the words of one group; names that are no addresses are
    scripts, MailTo is a notifier. media: device paths are serial lines, other names Ethernet interfaces."""

    def __init__(
        self, *, groups: Mapping[str, str | tuple[str, ...]] | None = None, media: tuple[str, ...] = SERIAL,
        keepalive_s: float = 5.0, deadtime_s: float = 15.0, warntime_s: float = 10.0, initdead_s: float = 30.0,
        auto_failback: str = "off", failback_delay_s: float = 0.0, baud: int = 19200, delay_s: float = 0.001,
        script_s: float = 0.0, reboot_on_stop_failure: bool = False, seed: int = 1,
        keys: tuple[str, bytes] = ("sha1", b"a-secret"),
    ) -> None:  # fmt: skip
        usual = {"julius": "IPaddr::10.0.0.254 IPaddr::1.1.1.254 MailTo::alerts@myworkaddress.com::JuliusCaesar"}
        self.options = Options(
            seed=seed,
            media=tuple(
                MediumOptions(name, baud, Quality())
                if name.startswith("/")
                else MediumOptions(name, 0, Quality(), delay_ns=round(delay_s * SECOND))
                for name in media
            ),
            keys={1: keys},
            keepalive_ns=round(keepalive_s * SECOND),
            deadtime_ns=round(deadtime_s * SECOND),
            warntime_ns=round(warntime_s * SECOND),
            initdead_ns=round(initdead_s * SECOND),
            auto_failback=FAILBACK_NAMES.index(auto_failback),
            failback_delay_ns=round(failback_delay_s * SECOND),
            groups=make_groups(usual if groups is None else groups),
            script_ns=round(script_s * SECOND),
            reboot_on_stop_failure=reboot_on_stop_failure,
        )
        settings = (self.options.settings(0), self.options.settings(1))
        self.world = World(self.options, settings, keep_transcript=True)

    # --- whom

    def node(self, name: str) -> Node:
        return self.world.nodes[NAMES.index(name)]

    def agents(self, name: str) -> Agents:
        """A node's: `trouble[resource]` makes one misbehave (TROUBLES in agents.py)."""
        return self.node(name).agents

    def resource(self, word: str) -> Resource:
        return next(each for group in self.options.groups for each in group.resources if each.word == word)

    def holders(self, key: str) -> list[str]:
        """Who answers for a group's addresses, all of them."""
        group = next(each for each in self.options.groups if each.key == key)
        addresses = [each for each in group.resources if each.name in ADDRESS_AGENTS]
        now = self.world.now
        return [node.name for node in self.world.nodes if all(node.machine.answers(each, now) for each in addresses)]

    def _say(self, text: str) -> None:
        self.world.note("script", text)
        self.world.audit.watchful = True

    # --- time

    def run(self, seconds: float) -> None:
        self.world.run(self.world.now + round(seconds * SECOND))

    def until(self, met: Callable[[], bool], what: str, within_s: float = PATIENCE_S) -> None:
        """Until a condition is met. AssertionError where it is not in time."""
        if not self.world.run_until(met, self.world.now + round(within_s * SECOND), STEP_NS):
            raise AssertionError(f"waited {within_s:g} s for {what}\n{self.transcript()}")

    def until_stable(self, within_s: float = PATIENCE_S) -> None:
        """Until every daemon that runs says that it is stable."""
        self.until(self.stable, "stability", within_s)

    def stable(self) -> bool:
        running = [node for node in self.world.nodes if node.state == RUNNING]
        return bool(running) and all(node.view().stable for node in running)

    # --- nodes

    def boot(self, *names: str) -> None:
        """Start the daemons of these nodes, or of both, in one instant."""
        for name in names or NAMES:
            self._say(f"start {name}")
            node = self.node(name)
            node.wanted = True
            node.power_on()
            node.start()

    def kill(self, name: str, *, restart_s: float | None = None) -> None:
        """kill -9 of the daemon. restart_s: when the supervisor starts it again; None: never."""
        self._say(f"kill {name}")
        node = self.node(name)
        node.wanted = restart_s is not None
        node.crash(round((restart_s or 0.0) * SECOND))

    def power_off(self, name: str, *, off_s: float | None = None) -> None:
        """off_s: when it comes back; None: `boot` does it."""
        self._say(f"power off {name}")
        node = self.node(name)
        node.power_cycle(round((PATIENCE_S * 1e6 if off_s is None else off_s) * SECOND))

    def stall(self, name: str, seconds: float) -> None:
        """Stop the daemon from running for so long; time passes meanwhile."""
        self._say(f"stall {name} for {seconds:g} s")
        node = self.node(name)
        node.pause()
        self.run(seconds)
        node.resume()

    def stop(self, name: str) -> None:
        """`heartbeat stop`: until its daemon has ended."""
        self.node(name).request("stop")
        self.until(lambda: self.node(name).state in (DOWN, OFF), f"the end of {name}")

    def ask(self, name: str, verb: str, argument: str = "all") -> None:
        """An operator's command, until it is answered: standby, takeover, accept."""
        node = self.node(name)
        node.request(verb, argument)
        self.until(lambda: not node.requests or node.state not in (RUNNING, PAUSED), f"the answer to {verb}")

    def reload(self, *names: str, groups: Mapping[str, str | tuple[str, ...]] | None = None, **changes: int) -> None:
        """New files on these nodes, or on both. changes: of Settings, in its own units."""
        if groups is not None:
            self.options = replace(self.options, groups=make_groups(groups))
        for name in names or NAMES:
            settings = make_settings(self.options, name, self.options.groups, **changes)
            self.world.admit(settings)
            self.node(name).reload(settings)

    # --- media

    def cut(self, *media: str, sender: str | None = None) -> None:
        """These media, or all; sender: only what this node says."""
        self._say(f"cut {' '.join(media) or 'all media'}{f' from {sender}' if sender else ''}")
        for lane in self._lanes(media, sender):
            lane.cut()

    def heal(self, *media: str, sender: str | None = None) -> None:
        self._say(f"heal {' '.join(media) or 'all media'}{f' from {sender}' if sender else ''}")
        for lane in self._lanes(media, sender):
            lane.heal()

    def quality(self, quality: Quality | None, *media: str, sender: str | None = None) -> None:
        """None: nothing is lost or damaged any more."""
        self._say(f"{' '.join(media) or 'all media'}: {quality or 'as usual'}")
        for lane in self._lanes(media, sender):
            lane.burst(quality)

    def _lanes(self, media: tuple[str, ...], sender: str | None) -> list[Lane]:
        pairs = [self.world.lanes[name] for name in media or self.world.lanes]
        return [lane for pair in pairs for name, lane in zip(NAMES, pair, strict=True) if sender in (None, name)]

    # --- what came of it

    def lines(self) -> list[str]:
        return self.world.lines()

    def transcript(self) -> str:
        """Fixed columns: instant in seconds, who, what."""
        return "\n".join([*self.lines(), ""])


def make_groups(lines: Mapping[str, str | tuple[str, ...]]) -> tuple[Group, ...]:
    """Of haresources: preferred node → words, or several strings of words."""
    groups = []
    for name, texts in lines.items():
        for text in (texts,) if isinstance(texts, str) else texts:
            resources = [make_resource(word) for word in text.split()]
            groups.append(Group(resources[0].word, name, resources))
    return tuple(groups)


def make_resource(word: str) -> Resource:
    name, *arguments = word.split("::")
    return Resource(word, name, arguments, notifier=name == "MailTo")
