"""The short way of the steady state differs from the long one in nothing but time."""

import random

import pytest
from pair import CAESAR, JULIUS, World

from heartbeat.core import settings as core_settings
from heartbeat.core.cluster import Cluster
from heartbeat.core.steady import Steady

MEDIA = ("ttyS0", "eth0")


def life(seed: int) -> list:
    """What two nodes said, did and noted in a drawn life of some minutes."""
    draw = random.Random(seed)
    world = World(delay_ns=draw.choice([100_000, 1_000_000, 40_000_000]))
    changes = {
        "media": MEDIA[: draw.choice([1, 2])],
        "auto_failback": draw.choice([core_settings.FAILBACK_ON, core_settings.FAILBACK_OFF]),
    }
    loss = draw.choice([0, 0, 0.01, 0.1])
    world.drop = lambda sender, message, medium: draw.random() < loss
    record = []

    def boot(name):
        node = world.boot(name, **changes)
        record.append((name, node))

    boot(JULIUS)
    boot(CAESAR)
    world.run(300)
    for _ in range(12):
        world.run(draw.choice([0.3, 7, 7, 40, 400]))
        name = draw.choice([JULIUS, CAESAR])
        node = world.nodes.get(name)
        deed = draw.choice(["kill", "boot", "cut", "heal", "pause", "wake", "standby", "fail", "stop", "nothing"])
        if deed == "kill" and node:
            world.kill(name)
        elif deed == "boot" and (node is None or not node.alive):
            boot(name)
        elif deed == "cut":
            world.cut = {(JULIUS, CAESAR, draw.choice(MEDIA)), (CAESAR, JULIUS, draw.choice(MEDIA))}
        elif deed == "heal":
            world.cut = set()
        elif deed == "pause" and node and node.queue is None:
            world.pause(name)
        elif deed == "wake" and node and node.queue is not None:
            world.wake(name)
        elif deed in ("standby", "stop") and node and node.alive and node.queue is None:
            world.ask_later(node, deed)
        elif deed == "fail" and node:
            node.failing ^= {("start", "IPaddr::1.1.1.254")}
    world.run(60)
    return [
        (name, node.notes, node.runs, node.holding, [list(message.items()) for message in node.sent])
        for name, node in record
    ]


@pytest.mark.parametrize("seed", range(25))
def test_it_differs_in_nothing(seed, monkeypatch):
    taken, said = [], []
    take, beat = Steady.take, Cluster.beat
    monkeypatch.setattr(Steady, "take", lambda self, event, now: taken.append(take(self, event, now)) or taken[-1])
    monkeypatch.setattr(Cluster, "beat", lambda self, now, ts: said.append(beat(self, now, ts)) or said[-1])
    short = life(seed)
    assert sum(message is not None for message in said) > 20
    monkeypatch.setattr(Cluster, "beat", lambda self, now, ts: None)
    assert life(seed) == short
    monkeypatch.setattr(Cluster, "hear", lambda self, decoder, frame, now: 0)
    assert life(seed) == short
    monkeypatch.setattr(Steady, "take", lambda self, event, now: False)
    assert life(seed) == short
    assert sum(taken) > 20
