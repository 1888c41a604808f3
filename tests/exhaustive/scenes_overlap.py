"""Paths into the moment of a hand-over in which a group is on both nodes (scenes.py)."""

from __future__ import annotations

from exhaustive.scenes import FROM_CAESAR, both, scene
from pair import CAESAR, JULIUS

from heartbeat.core.events import Request
from heartbeat.core.settings import Group, Resource

ADDRESSES = {
    "groups": (
        Group("a", JULIUS, [Resource("a", "IPaddr", ["a"]), Resource("mail", "MailTo", notifier=True)]),
        Group("c", JULIUS, [Resource("c", "c")]),
    ),
    "overlapping": ("IPaddr",),
}


def without(world, *infos):
    """Such words of a hand-over are lost."""
    world.drop = lambda sender, message, medium: message.get("info") in infos


@scene
def ceding(world):
    """The other has begun, and is not ready."""
    julius, caesar = both(world, **ADDRESSES)
    caesar.hanging = {("start", "a")}
    julius.hanging = {("stop", "c")}
    julius.tell(Request(5, "standby", "all"))
    world.run(0.1)
    return julius


@scene
def making(world):
    ceding(world)
    return world.nodes[CAESAR]


@scene
def made_and_ready(world):
    """And ready was lost."""
    julius, caesar = both(world, **ADDRESSES)
    without(world, "ready")
    julius.tell(Request(5, "standby", "all"))
    world.run(0.1)
    assert julius.up == ["c"] or "a" in caesar.up
    return caesar


@scene
def ceded_and_not_ready_in_time(world):
    julius = ceding(world)
    world.run(0.2)
    return julius


@scene
def made_and_released_in_time(world):
    made_and_ready(world)
    world.run(0.3)
    return world.nodes[CAESAR]


@scene
def making_and_the_giver_is_dead(world):
    making(world)
    world.kill(JULIUS)
    world.run(20)
    return world.nodes[CAESAR]


@scene
def ceding_and_the_taker_restarted(world):
    """It has nothing, and says so."""
    julius = ceding(world)
    world.kill(CAESAR)
    world.boot(CAESAR, **ADDRESSES)
    world.run(0.05)
    return julius


@scene
def asked_in_order_to_leave(world):
    julius, _ = both(world, **ADDRESSES)
    world.cut = FROM_CAESAR
    julius.tell(Request(5, "stop"))
    return julius


@scene
def ceding_in_order_to_leave(world):
    julius, caesar = both(world, **ADDRESSES)
    caesar.hanging = {("start", "a")}
    julius.tell(Request(5, "stop"))
    world.run(0.1)
    return julius


@scene
def left_and_made(world):
    _, caesar = both(world, **ADDRESSES)
    julius = world.nodes[JULIUS]
    julius.tell(Request(5, "stop"))
    world.run(3)
    assert julius.stopped
    return caesar
