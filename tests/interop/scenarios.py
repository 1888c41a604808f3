"""The list of situations, and the end state that each must have: that of a pair of originals.

A state is a letter a group, of the group that prefers julius and of the one that prefers caesar: who has it.

    j julius   c caesar   - nobody   + both   ? somebody has only a part of it

With one group the second letter counts for nothing. A scenario begins with both nodes running (or both off, OFF) and
the state `start`; each step is an action (see `pair`) and the state in which it ends, with auto_failback on and off;
legacy ends as on does, and knows no planned moves. Not asked for with legacy: a daemon that is killed, and started when
the other has taken over. Two originals end with the group on both then.
Where a step's end depends on which program its node runs (a daemon of the original that is killed leaves its addresses
behind), `ours` has the end with ours: then it is judged by who answers, and not by what a dead daemon's kernel has.
`mixed` has that of a mixed pair, where it is another: o there is the node of the original.
"""

from __future__ import annotations

from dataclasses import dataclass

from interop.setting import DEADTIME_S, Setting

OFF = "--"
NICE = ("on", "off")
ALWAYS = (*NICE, "legacy")
AT_HOME = "jc"


@dataclass(frozen=True)
class Step:
    """ours, mixed: (on, off), see above; least_s: earlier no end is believed; patience_s: after
    that, so long an end is waited for."""

    action: str
    on: str
    off: str
    ours: tuple[str, str] | None = None
    mixed: tuple[str, str] | None = None
    least_s: float = 3.0
    # an original starts within fifteen seconds, and moves its groups within five; on a busy machine its scripts have
    # been seen to stand still for twenty-five
    patience_s: float = 60.0

    def end(self, failback: str, *, ours: bool, original: str = "") -> str:
        """ours: does its node run ours? original: the letter of the original's node in a mixed pair."""
        on, off = self.on, self.off
        if ours and self.ours is not None:
            on, off = self.ours
        if original and self.mixed is not None:
            on, off = (end.replace("o", original) for end in self.mixed)
        return off if failback == "off" else on

    @property
    def node(self) -> str:
        """Whom it is done to; the first, where it is both."""
        return [*self.action.split(), ""][1]


@dataclass(frozen=True)
class Scenario:
    """media: only where there are so many; failbacks: only with these. name: what is found by `--only`, too."""

    name: str
    start: str
    steps: tuple[Step, ...]
    failbacks: tuple[str, ...] = NICE
    media: int = 0

    def suits(self, setting: Setting) -> bool:
        """Can it be played with this setting?"""
        return setting.failback in self.failbacks and len(setting.media) >= self.media


def _planned(name: str, start: str, end: str) -> Scenario:
    """What an operator wants and gets; auto_failback changes nothing about it. name: the action, and a word on it."""
    return Scenario(name, start, (Step(name.partition(",")[0], end, end),))


# Nobody believes that a node's death had no consequences before it can have been noticed.
_DEATH_S = DEADTIME_S + 2.0

SCENARIOS = (
    Scenario("both boot at once", OFF, (Step("start julius caesar", "jc", "jc", least_s=12),), ALWAYS),
    # planned moves: asked of the node that gives, or of the one that takes; the set is as that node sees it
    _planned("standby julius all", "jc", "cc"),
    _planned("standby caesar foreign", "cc", "jc"),
    _planned("standby julius local", "jc", "cc"),
    _planned("standby caesar failback", "cc", "jc"),
    _planned("standby caesar all", "jc", "jj"),
    _planned("standby julius foreign", "jj", "jc"),
    _planned("standby caesar local", "jc", "jj"),
    _planned("standby julius failback", "jj", "jc"),
    _planned("takeover caesar all", "jc", "cc"),
    _planned("takeover julius local", "cc", "jc"),
    _planned("takeover caesar foreign", "jc", "cc"),
    _planned("takeover julius all", "cc", "jj"),
    _planned("takeover caesar local", "jj", "jc"),
    _planned("takeover julius foreign", "jc", "jj"),
    # and back again, by the node that gives
    _planned("standby julius all, of everything", "jj", "cc"),
    _planned("standby caesar all, of everything", "cc", "jj"),
    # what is asked for is so already
    _planned("standby julius foreign, of nothing", "jc", "jc"),
    _planned("takeover caesar local, of nothing", "jc", "jc"),
    # the unplanned
    Scenario("power failure of julius, return", "jc", (
        Step("power-off julius", "cc", "cc", least_s=_DEATH_S),
        Step("start julius", "jc", "cc"),
    ), ALWAYS),
    Scenario("power failure of caesar, return", "jc", (
        Step("power-off caesar", "jj", "jj", least_s=_DEATH_S),
        Step("start caesar", "jc", "jj"),
    ), ALWAYS),
    Scenario("power failure of julius that has nothing, return", "cc", (
        Step("power-off julius", "cc", "cc", least_s=_DEATH_S),
        Step("start julius", "jc", "cc"),
    )),
    Scenario("clean stop of julius, return", "jc", (
        Step("stop julius", "cc", "cc", least_s=_DEATH_S),
        Step("start julius", "jc", "cc"),
    ), ALWAYS),
    Scenario("clean stop of caesar, return", "jc", (
        Step("stop caesar", "jj", "jj", least_s=_DEATH_S),
        Step("start caesar", "jc", "jj"),
    ), ALWAYS),
    Scenario("one boots, then the other: julius first", OFF, (
        Step("start julius", "jj", "jj", least_s=12),
        Step("start caesar", "jc", "jj"),
    ), ALWAYS),
    Scenario("one boots, then the other: caesar first", OFF, (
        Step("start caesar", "cc", "cc", least_s=12),
        Step("start julius", "jc", "cc"),
    ), ALWAYS),
    # cables
    Scenario("one of two media is cut and healed", "jc", (
        Step("cut 1", "jc", "jc", least_s=2 * DEADTIME_S),
        Step("heal", "jc", "jc", least_s=_DEATH_S),
        Step("cut 2", "jc", "jc", least_s=2 * DEADTIME_S),
        Step("heal", "jc", "jc", least_s=_DEATH_S),
    ), media=2),
    Scenario("all media are cut for a moment", "jc", (
        # well within the death time, counted from the last message that was heard
        Step(f"blink {DEADTIME_S / 2}", "jc", "jc", least_s=DEADTIME_S + _DEATH_S),
    ), ALWAYS),
    Scenario("all media are cut and healed", "jc", (
        Step("cut all", "++", "++", least_s=2 * DEADTIME_S),
        # originals restart both: the death time, a second, a start, and ten seconds more; ours lets go instead
        Step("heal", "jc", "jc", mixed=("jc", "oo"), least_s=_DEATH_S),
    ), ALWAYS),
    # daemons that are killed
    Scenario("kill -9 of julius, started at once", "jc", (
        Step("kill-start julius", "jc", "jc", least_s=_DEATH_S),
    ), ALWAYS),
    Scenario("kill -9 of caesar, started at once", "jc", (
        Step("kill-start caesar", "jc", "jc", least_s=_DEATH_S),
    ), ALWAYS),
    Scenario("kill -9 of julius, started later", "jc", (
        Step("kill julius", "+c", "+c", ours=("cc", "cc"), least_s=_DEATH_S),
        Step("start julius", "jc", "+c", ours=("jc", "cc")),
    )),
    Scenario("kill -9 of caesar, started later", "jc", (
        Step("kill caesar", "j+", "j+", ours=("jj", "jj"), least_s=_DEATH_S),
        Step("start caesar", "jc", "j+", ours=("jc", "jj")),
    )),
    # the end of all
    Scenario("clean stop of both", "jc", (
        Step("stop julius", "cc", "cc"),
        Step("stop caesar", "--", "--"),
    ), ALWAYS),
)  # fmt: skip

# How to come from one state, both running, to another: commands of an operator's.
WAYS = {
    ("cc", "jc"): "takeover julius local",
    ("jj", "jc"): "takeover caesar local",
    ("jc", "cc"): "takeover caesar all",
    ("jj", "cc"): "takeover caesar all",
    ("jc", "jj"): "takeover julius all",
    ("cc", "jj"): "takeover julius all",
}
