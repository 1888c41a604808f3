"""Whatever operators and accidents do, in any order and at the same time: it ends with one holder of each address.

Each round does every deed once, in an order drawn from a seed, and audits after each. More, or another seed:
    HEARTBEAT_TEST_ROUNDS=20 HEARTBEAT_TEST_SEED=7 pytest -s tests/system/test_random.py
"""

import os
import random
import signal
import threading
import time

import pytest
from system.play import HAND_OVER_S, LAN, PATIENCE_S, SECOND, WAN, now_ns, playing, seconds, seed, stopped, until

ROUNDS = int(os.environ.get("HEARTBEAT_TEST_ROUNDS", "1"))
SEED = int(os.environ.get("HEARTBEAT_TEST_SEED", "1"))

CAESARS = "10.0.0.253"
PASSIVE = (seed.Files(), (LAN, WAN))
ACTIVE = (
    seed.Files(
        ha_cf=seed.HA_CF.replace("auto_failback off", "auto_failback on"),
        haresources=f"{seed.HARESOURCES}caesar IPaddr::{CAESARS}\n",
    ),
    (LAN, WAN, CAESARS),
)


class Play:
    """The deeds. Each leaves both machines on and both daemons started."""

    def __init__(self, pair, dice):
        self._pair = pair
        self._dice = dice

    def _pause(self, at_most_s):
        time.sleep(self._dice.random() * seconds(at_most_s))

    def _together(self, *deeds):
        threads = [threading.Thread(target=deed) for deed in deeds]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    # no two may hold at once in these

    def standby(self, node, other):
        node.command("hb_standby")

    def takeover(self, node, other):
        node.command("hb_takeover")

    def standby_on_both(self, node, other):
        self._together(lambda: node.command("hb_standby"), lambda: other.command("hb_standby"))

    def takeover_on_both(self, node, other):
        self._together(lambda: node.command("hb_takeover"), lambda: other.command("hb_takeover"))

    def standby_and_takeover(self, node, other):
        self._together(lambda: node.command("hb_standby"), lambda: other.command("hb_takeover"))

    def stop(self, node, other):
        assert node.stop_daemon() == 0
        self._pause(30)
        self._pair.start(node)

    def stop_both(self, node, other):
        self._together(node.stop_daemon, other.stop_daemon)
        self._pair.start(node)
        self._pause(30)
        self._pair.start(other)

    def stop_while_the_other_gives(self, node, other):
        def soon():
            time.sleep(0.1)
            self._pause(10)
            node.stop_daemon()

        self._together(lambda: other.command("hb_standby"), soon)
        self._pair.start(node)

    def reload(self, node, other):
        assert node.command("heartbeat", "reload").returncode == 0

    def lose_a_heartbeat(self, node, other):
        self._pair.cable.cut()
        self._pause(0.7 * seed.KEEPALIVE_S)
        self._pair.cable.join()

    # two may, for as long as neither can know

    def power_failure(self, node, other):
        self._pair.world.power_off(node)
        self._pause(40)
        self._pair.boot(node)

    def power_failure_of_both(self, node, other):
        self._pair.world.power_off(node)
        self._pair.world.power_off(other)
        self._pair.boot(node)
        self._pause(40)
        self._pair.boot(other)

    def power_failure_while_the_other_gives(self, node, other):
        def soon():
            time.sleep(0.1)
            self._pause(10)
            self._pair.world.power_off(node)

        self._together(lambda: other.command("hb_standby"), soon)
        self._pair.boot(node)

    def kill(self, node, other):
        node.signal_daemon(signal.SIGKILL)
        node.daemon.wait()
        self._pause(40)
        self._pair.start(node)

    def cut_longer_than_deadtime(self, node, other):
        self._pair.cable.cut()
        time.sleep(seconds(seed.DEADTIME_S + seed.KEEPALIVE_S))
        self._pause(15)
        self._pair.cable.join()

    def cut_while_it_gives(self, node, other):
        def soon():
            time.sleep(0.1)
            self._pause(10)
            self._pair.cable.cut()
            self._pause(20)
            self._pair.cable.join()

        self._together(lambda: node.command("hb_standby"), soon)

    def stand_still(self, node, other):
        with stopped(node):
            self._pause(2 * seed.DEADTIME_S)

    def noise(self, node, other):
        self._pair.cable.noise(0.002, self._dice.randrange(1 << 30))
        self._pause(60)
        self._pair.cable.noise(0, 0)


HAND_OVERS = (
    Play.standby, Play.takeover, Play.standby_on_both, Play.takeover_on_both, Play.standby_and_takeover, Play.stop,
    Play.stop_both, Play.stop_while_the_other_gives, Play.reload, Play.lose_a_heartbeat,
)  # fmt: skip
ACCIDENTS = (
    Play.power_failure, Play.power_failure_of_both, Play.power_failure_while_the_other_gives, Play.kill,
    Play.cut_longer_than_deadtime, Play.cut_while_it_gives, Play.stand_still, Play.noise,
)  # fmt: skip


def holders(pair, addresses):
    """(address, node) of all that the kernels hold."""
    held = {(text.partition("/")[0], node.name) for node in pair.nodes for text in node.addresses()}
    return {(address, name) for address, name in held if address in addresses}


def one_each(pair, addresses):
    return sorted(address for address, _ in holders(pair, addresses)) == sorted(addresses)


def shuffled(dice, deeds):
    return dice.sample(deeds, k=len(deeds))


def never_two_for_long(pair, held, since_ns):
    """But for as long as is agreed."""
    both: dict[str, int] = {}  # address → since when it is on both
    for change in pair.world.observer.since(since_ns):
        if change.address in {address for address, _ in held} | {LAN, WAN, CAESARS}:
            (held.add if change.added else held.discard)((change.address, change.machine))
            if sum(address == change.address for address, _ in held) > 1:
                both.setdefault(change.address, change.at_ns)
            elif change.address in both:
                assert change.at_ns - both.pop(change.address) <= HAND_OVER_S * SECOND, change
    assert both == {}


@pytest.mark.parametrize(("files", "addresses"), [PASSIVE, ACTIVE], ids=["one group", "a group each, auto_failback"])
def test_it_ends_with_one_holder(files, addresses):
    dice = random.Random(SEED)
    with playing(files) as pair:
        play = Play(pair, dice)
        pair.boot()
        pair.settled()
        deeds = [deed for _ in range(ROUNDS) for deed in shuffled(dice, HAND_OVERS + ACCIDENTS)]
        for number, deed in enumerate(deeds):
            node = dice.choice(pair.nodes)
            what = f"deed {number} of seed {SEED}: {deed.__name__} {node.name}"
            print(what)
            held, start_ns = holders(pair, addresses), now_ns()
            deed(play, node, pair.peer(node))
            # what is under way when a command has been refused
            time.sleep(seconds(seed.KEEPALIVE_S))
            until(pair.stable, seconds(120) + PATIENCE_S, f"stable after {what}")
            until(lambda: one_each(pair, addresses), PATIENCE_S, f"one holder of each after {what}")
            if deed in HAND_OVERS:
                never_two_for_long(pair, held, start_ns)
