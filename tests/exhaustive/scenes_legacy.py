"""Paths of a node beside one that runs Heartbeat 3.0.6 with `auto_failback legacy` (scenes.py)."""

from __future__ import annotations

from exhaustive.scenes import GROUPS, scene, speaker
from original_legacy import LegacyNode
from pair import CAESAR, JULIUS, settings

from heartbeat.core.events import Request
from heartbeat.core.settings import FAILBACK_LEGACY, SECOND

LEGACY = {**GROUPS, "auto_failback": FAILBACK_LEGACY}


def original(world, generation=300):
    return LegacyNode(world, CAESAR, generation, settings(CAESAR, **LEGACY))


def beside(world):
    julius = world.boot(JULIUS, **LEGACY)
    caesar = original(world)
    world.run(30)
    assert julius.view().stable
    return julius, caesar


@scene
def legacy_has_its_own(world):
    return beside(world)[0]


@scene
def legacy_is_asked(world):
    caesar = original(world)
    world.run(60)
    caesar.release_ns = 100 * SECOND
    julius = world.boot(JULIUS, **LEGACY)
    world.run(15)
    return julius


@scene
def legacy_dies_while_it_is_asked(world):
    julius = legacy_is_asked(world)
    world.kill(CAESAR)
    world.run(25)
    return julius


@scene
def legacy_has_died(world):
    julius, _ = beside(world)
    world.kill(CAESAR)
    world.run(20)
    return julius


@scene
def legacy_has_found_this_node_dead(world):
    julius, _ = beside(world)
    world.drop = lambda sender, message, medium: message.type == "ip-request"
    julius.tell(speaker(julius).message("stonith", node=JULIUS, result="n_stnth"))
    return julius


@scene
def legacy_has_asked(world):
    """For a group that does not stop."""
    julius = world.boot(JULIUS, **LEGACY)
    world.run(60)
    julius.hanging = {("stop", "c")}
    original(world)
    world.run(10)
    return julius


@scene
def legacy_has_not_asked(world):
    julius = world.boot(JULIUS, **LEGACY)
    world.run(60)
    world.drop = lambda sender, message, medium: message.type == "ip-request"
    caesar = original(world)
    world.run(6)
    assert caesar.status == "active"
    return julius


@scene
def legacy_is_back_after_a_cut(world):
    julius, _ = beside(world)
    world.cut = {(JULIUS, CAESAR, "ttyS0"), (CAESAR, JULIUS, "ttyS0")}
    world.run(30)
    world.cut = set()
    world.run(5.2)
    return julius


@scene
def stalled_beside_legacy(world):
    julius, _ = beside(world)
    world.pause(JULIUS)
    world.run(14)
    world.wake(JULIUS)
    world.run(0.01)
    return julius


@scene
def leaving_beside_legacy(world):
    julius, _ = beside(world)
    julius.hanging = {("stop", "b")}
    julius.tell(Request(5, "stop"))
    world.run(1)
    return julius
