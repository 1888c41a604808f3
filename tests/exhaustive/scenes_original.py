"""Paths of a node beside one that runs Heartbeat 3.0.6 (scenes.py)."""

from __future__ import annotations

from exhaustive.scenes import BOTH, FROM_CAESAR, GROUPS, hear, scene
from original import OriginalNode
from pair import CAESAR, JULIUS, settings

from heartbeat.core.events import Request
from heartbeat.core.settings import FAILBACK_ON


def beside(world, **changes):
    """Both boot and settle."""
    options = {**GROUPS, **changes}
    julius = world.boot(JULIUS, **options)
    caesar = OriginalNode(world, CAESAR, 300, settings(CAESAR, **options))
    world.run(30)
    assert julius.view().stable
    return julius, caesar


@scene
def original_is_greeted(world):
    julius = world.boot(JULIUS, **GROUPS)
    caesar = OriginalNode(world, CAESAR, 300, settings(CAESAR, **GROUPS))
    world.drop = lambda sender, message, medium: sender == CAESAR and message.type in ("starting", "resource")
    world.run(8)
    assert caesar.status == "active"
    return julius


@scene
def original_has_its_own(world):
    return beside(world)[0]


@scene
def original_has_died(world):
    julius, _ = beside(world)
    world.kill(CAESAR)
    world.run(20)
    return julius


@scene
def original_has_left(world):
    julius, caesar = beside(world)
    caesar.stop()
    world.run(1)
    return julius


@scene
def original_has_restarted(world):
    julius, _ = beside(world)
    world.kill(CAESAR)
    OriginalNode(world, CAESAR, 400, settings(CAESAR, **GROUPS))
    world.run(2)
    return julius


@scene
def original_is_greeted_and_dies(world):
    julius = original_is_greeted(world)
    world.kill(CAESAR)
    world.run(20)
    return julius


@scene
def original_came_first(world):
    OriginalNode(world, CAESAR, 300, settings(CAESAR, **GROUPS))
    world.run(60)
    julius = world.boot(JULIUS, **GROUPS)
    world.run(10)
    return julius


@scene
def original_speaks_first(world):
    """Its word comes before it is known to be active."""
    julius = world.boot(JULIUS, **GROUPS)
    world.run(1)
    hear(julius, "status", st="up")
    hear(julius, "starting")
    return julius


@scene
def original_found_this_node_dead(world):
    julius, _ = beside(world)
    world.cut = set(BOTH)
    world.run(30)
    world.cut = set()
    world.run(5.5)
    return julius


@scene
def original_took_over_unheard(world):
    """It does not hear this node, and this node hears it."""
    julius, _ = beside(world)
    world.cut = {(JULIUS, CAESAR, "ttyS0")}
    world.run(17)
    assert julius.generations
    return julius


@scene
def stalled_beside_an_original(world):
    julius, _ = beside(world)
    world.pause(JULIUS)
    world.run(14)
    world.cut = FROM_CAESAR
    world.wake(JULIUS)
    world.run(0.01)
    return julius


@scene
def asked_an_original(world):
    julius, _ = beside(world)
    world.cut = FROM_CAESAR
    julius.tell(Request(5, "standby", "all"))
    world.run(0.5)
    return julius


@scene
def releasing_to_an_original(world):
    julius, _ = beside(world)
    julius.hanging = {("stop", "b")}
    julius.tell(Request(5, "standby", "all"))
    world.run(1)
    return julius


@scene
def handed_to_an_original(world):
    julius, _ = beside(world)
    world.drop = lambda sender, message, medium: sender == CAESAR and message.get("info") == "done"
    julius.tell(Request(5, "standby", "all"))
    world.run(1)
    return julius


@scene
def promised_to_an_original(world):
    julius, caesar = beside(world)
    world.drop = lambda sender, message, medium: sender == CAESAR and message.get("info") == "done"
    caesar.go_standby("all")
    world.run(1)
    return julius


@scene
def acquiring_from_an_original(world):
    julius, caesar = beside(world)
    julius.hanging = {("start", "c")}
    caesar.go_standby("all")
    world.run(1)
    return julius


@scene
def failing_back_to_an_original(world):
    julius = world.boot(JULIUS, **GROUPS, auto_failback=FAILBACK_ON)
    world.run(60)
    julius.hanging = {("stop", "c")}
    OriginalNode(world, CAESAR, 300, settings(CAESAR, **GROUPS, auto_failback=FAILBACK_ON))
    world.run(25)
    return julius


@scene
def leaving_beside_an_original(world):
    julius, _ = beside(world)
    julius.hanging = {("stop", "b")}
    julius.tell(Request(5, "stop"))
    world.run(1)
    return julius


@scene
def nobody_has_a_set_beside_an_original(world):
    julius, _ = beside(world)
    julius.cluster._resources.disclaim(julius.cluster._resources.groups.values())
    world.run(6)
    return julius
