"""A scene: a pair, what befalls it, and what must come of it; and the words that scenes have beyond a script's.

    @scene(groups=PAIR)
    def split_brain(play: Play) -> None:
        '''What happens, and what must come of it.'''
        play.boot()
        ...
        play.served_by("julius", FIRST)

The function's name gives the scene's, SplitBrain, and that of its transcript, SplitBrain.txt. What the decorator is
given are the options of the script, the seed's own files where it is given nothing. A scene ends with who must serve
what, so that a transcript is never just whatever came out.
"""

from __future__ import annotations

import inspect

from heartbeat.core.settings import FAILBACK_NAMES, SECOND
from heartbeat.sim.options import NAMES
from heartbeat.sim.script import Script

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

# the seed's group, and a pair of which each prefers one
HOME = "IPaddr::10.0.0.254"
FIRST, OTHER = "IPaddr::10.0.0.254", "IPaddr::10.0.0.253"
PAIR = {"julius": FIRST, "caesar": OTHER}
TWO_MEDIA = ("/dev/ttyS0", "eth1")


class Play(Script):
    """A script with a few more faults, and with what is asked at the end."""

    def settle(self) -> None:
        """Both boot together, and some time passes."""
        self.boot()
        self.until_stable()
        self.run(12)

    def order(self, name: str, verb: str, argument: str = "") -> None:
        """An operator's command, without waiting for the answer."""
        self.node(name).request(verb, argument)

    def run_to(self, instant_s: float) -> None:
        """Of the world, where it matters what of a keepalive has passed."""
        self.run(instant_s - self.world.now / SECOND)

    def remark(self, text: str) -> None:
        """What an operator would see now, and no daemon says."""
        self._say(text)

    def amid(self, name: str, seconds: float, call: Callable[[], None]) -> None:
        """So long after this node has let the other begin to have what it has."""
        node = self.node(name)

        def ceding() -> None:
            node.on_ceding = None
            self.world.at(self.world.now + round(seconds * SECOND), lambda _: call())

        node.on_ceding = ceding

    # --- faults

    def trouble(self, name: str, word: str, what: str) -> None:
        """A resource's agent does something wrong from now on (TROUBLES in agents.py); "": it is well again."""
        self._say(f"{word} on {name}: {what or 'well again'}")
        self.agents(name).trouble[self.resource(word)] = what

    def unplug(self, name: str, *media: str) -> None:
        """The interface or the port of this node is gone, and the daemon sees it go."""
        for medium in media:
            self._say(f"unplug {medium} of {name}")
            self.node(name).lose_medium(medium)

    def plug(self, name: str, *media: str) -> None:
        for medium in media:
            self._say(f"plug {medium} of {name} in again")
            self.node(name).regain_medium(medium)

    def block(self, medium: str, sender: str, *, blocked: bool = True) -> None:
        """Somebody holds the flow control of this node's serial port down."""
        self._say(f"{medium} takes nothing of {sender}" if blocked else f"{medium} takes everything again")
        (lane,) = self._lanes((medium,), sender)
        if blocked:
            lane.block("flow")
        else:
            lane.unblock("flow")

    def set_back(self, name: str, starts: int) -> None:
        self._say(f"the state files of {name} are those of {starts} starts ago")
        self.node(name).machine.disk.set_back(starts)

    def lose_state(self, name: str) -> None:
        self._say(f"the state files of {name} are lost")
        self.node(name).machine.disk.lose()

    def fill_disk(self, name: str, *, full: bool = True) -> None:
        self._say(f"the disk of {name} is {'full' if full else 'free again'}")
        self.node(name).machine.disk.full = full

    def step_clock(self, name: str, seconds: float) -> None:
        self._say(f"the wall clock of {name} is set {seconds:+,.0f} s")
        self.node(name).wall_offset_ns += round(seconds * SECOND)

    def play_back(self, name: str, seconds: float) -> None:
        """All that was recorded of what a node said, other than repeated statuses: its peer hears it again, evenly
        spread over this time."""
        recorded = list(self.node(name).recorded)
        self._say(f"what {name} has said is played back, {len(recorded)} frames in {seconds:g} s")
        for number, (lane, frame) in enumerate(recorded):
            at = self.world.now + round(seconds * SECOND) * number // len(recorded)
            self.world.at(at, lambda heard: heard[0].receiver.hear(*heard), (lane, frame))
        self.run(seconds)

    # --- what must have come of it

    def served_by(self, name: str, *keys: str) -> None:
        """These groups are answered for by this node, and by it alone. AssertionError."""
        for key in keys:
            holders = self.holders(key)
            assert holders == [name], f"{key} is held by {holders}, not by {name}\n{self.transcript()}"

    def up(self, name: str) -> list[str]:
        """What is up on a machine, in the order in which it came up."""
        return [resource.word for resource in self.node(name).machine.up]

    def said(self, text: str, who: str = "") -> bool:
        """Does a line of the transcript have this?"""
        return any(text in line and who in ("", teller) for _, teller, line in self.world.transcript or [])

    def silence_s(self) -> float:
        """The longest time in which nobody answered for an address that was answered for before and after."""
        return max((gap.ended - gap.began for gap in self.world.audit.gaps), default=0) / SECOND

    @property
    def unnoticed(self) -> bool:
        """No client was without an answer, for however short a time."""
        return not self.world.audit.gaps

    @property
    def take_overs(self) -> int:
        """Of groups that their holder had not released."""
        return self.world.audit.take_overs

    def footer(self) -> list[str]:
        """Who serves what at the end, and what the clients of an address have seen of it all."""
        now = self.world.now
        serves = []
        for node in self.world.nodes:
            words = [each.word for each in node.machine.up if node.machine.answers(each, now)]
            serves.append(f"{node.name} answers for {' '.join(words) or 'nothing'}")
        return [f"at the end: {', '.join(serves)}", f"longest silence of an address: {self.silence_s():.3f} s"]


class Scene:
    """name: CamelCase, as the original's cluster tests have it where they have it. text: what it is about."""

    def __init__(self, function: Callable[[Play], None], options: dict[str, Any]) -> None:
        self.name = "".join(part.capitalize() for part in function.__name__.split("_"))
        self.text = inspect.cleandoc(function.__doc__ or "")
        self._function = function
        self._options = options

    def play(self) -> str:
        """The transcript. AssertionError or AuditFailure where it did not end as it must."""
        play = Play(**self._options)
        header = [self.name, "", *self.text.splitlines(), "", *describe(play)]
        self._function(play)
        comments = ["\n".join(f"# {line}".rstrip() for line in lines) for lines in (header, play.footer())]
        return f"{comments[0]}\n\n{play.transcript()}\n{comments[1]}\n"


def scene(**options: Any) -> Callable[[Callable[[Play], None]], Scene]:
    return lambda function: Scene(function, options)


def describe(play: Play) -> list[str]:
    """The pair's files, in the words that they have."""
    options = play.options
    times = [
        f"{name} {getattr(options, f'{name}_ns') / SECOND:g}"
        for name in ("keepalive", "deadtime", "warntime", "initdead", "failback_delay")
        if name != "failback_delay" or options.failback_delay_ns
    ]
    flags = [f"auto_failback {FAILBACK_NAMES[options.auto_failback]}"]
    flags += ["on_stop_failure reboot"] * options.reboot_on_stop_failure
    lines = [f"ha.cf: {', '.join([*times, *flags])}", f"media: {', '.join(map(str, options.media))}"]
    lines += [
        f"haresources: {group.preferred} {' '.join(each.word for each in group.resources)}" for group in options.groups
    ]
    if options.script_ns:
        lines.append(f"scripts take up to {options.script_ns / SECOND:g} s")
    assert options.names == NAMES
    return lines
