"""Ping nodes and ipfail: pairs of originals, mixed pairs and pairs of ours come to the same ends.

The ping node is a third machine on the lan. What is cut is the way between it and a node; heartbeats go on all the
while, so that nothing but ipfail can be why a group moves.

    lose NODE [NODE]    the ping node, both ways
    find                what was lost
"""

import contextlib
from dataclasses import dataclass

import pytest
from interop.pair import Pair
from interop.program import ORIGINAL, OURS
from interop.scenarios import OFF, Scenario, Step
from interop.setting import LONG, NODES, Setting
from interop.trial import Trial
from system.links import Way

from heartbeat.demo.network import Interface
from heartbeat.demo.seed import Files
from heartbeat.demo.world import World

GATEWAY = "10.0.0.9"
DEADPING_S = 2
# deadping, two keepalives, what a hand-over takes two originals, and more
LEAST_S = DEADPING_S + 6.0


@dataclass(frozen=True)
class Watched(Setting):
    """As an operator of the original writes it."""

    def files(self) -> Files:
        return super().files().with_lines(
            f"deadping {DEADPING_S}", f"ping {GATEWAY}", "respawn hacluster /usr/libexec/heartbeat/ipfail",
            "apiauth ipfail uid=hacluster",
        )  # fmt: skip


class WatchedPair(Pair):
    def __init__(self, world, setting) -> None:
        super().__init__(world, setting)
        self.gateway = world.machine("gateway", [Interface("eth0", "net10.0.0", f"{GATEWAY}/24", "02:00:0a:00:00:09")])
        world.power_on(self.gateway)

    def do(self, action: str) -> None:
        word, *names = action.split()
        if word == "lose":
            for node in map(self.nodes.get, names):
                self.links.lose(Way(node, self.gateway, "eth0"), Way(self.gateway, node, "eth0"))
        elif word == "find":
            self.links.heal()
        else:
            super().do(action)

    def seen(self) -> str:
        """How each sees the ping node, and its link."""
        return " ".join(
            f"{node.says('nodestatus', GATEWAY)}/{node.says('hblinkstatus', GATEWAY, GATEWAY)}"
            for node in self.nodes.values()
        )


class WatchingTrial(Trial):
    """seen: as at the end of each step."""

    def __init__(self, pair) -> None:
        super().__init__(pair)
        self.seen: list[str] = []

    def _step(self, *told):
        made = super()._step(*told)
        self.seen.append(self.pair.seen())
        return made


@contextlib.contextmanager
def playing(setting):
    with World() as world:
        yield WatchedPair(world, setting)


SCENARIO = Scenario("ipfail", OFF, (
    Step("start julius caesar", "jc", "jc", least_s=12),
    Step("lose julius", "cc", "cc", least_s=LEAST_S),
    Step("find", "jc", "cc", least_s=LEAST_S),
    Step("lose julius caesar", "jc", "cc", least_s=LEAST_S),
    Step("find", "jc", "cc", least_s=LEAST_S),
    Step("lose caesar", "jj", "jj", least_s=LEAST_S),
    Step("find", "jc", "jj", least_s=LEAST_S),
))  # fmt: skip
SEEN = ["ping/up ping/up", "dead/dead ping/up", "ping/up ping/up", "dead/dead dead/dead", "ping/up ping/up",
        "ping/up dead/dead", "ping/up ping/up"]  # fmt: skip


SETTINGS = [
    Watched(OURS, ORIGINAL, media=("serial",), failback="off"),
    Watched(ORIGINAL, OURS, media=("ucast",), failback="on"),
    Watched(OURS, OURS, media=("ucast",), failback="off"),
    Watched(ORIGINAL, ORIGINAL, media=("ucast",), failback="on"),
]


# HEARTBEAT_TEST_LONG=1 has a pair of originals, too, where the table comes from
@pytest.mark.parametrize("setting", SETTINGS if LONG else SETTINGS[:3], ids=str)
def test_who_sees_fewer_ping_nodes_gives_its_groups_up(originals, setting):
    """And nobody else, and nothing flaps. At no instant have both an address, but for what two of ours hand over."""
    with playing(setting) as pair:
        trial = WatchingTrial(pair)
        outcomes = list(trial.play([SCENARIO]))
        assert [made.story() for made in outcomes if not made.right] == []
        assert trial.seen[-len(SEEN) :] == SEEN  # of the last try
        assert [pair.nodes[name].says("listnodes", "-p") for name in NODES] == [GATEWAY, GATEWAY]
    if OURS in setting.programs:
        most_ms = setting.hand_over_ms(setting.programs)
        assert [made.story() for made in outcomes if max(made.both_ms, made.both_answer_ms) > most_ms] == []
