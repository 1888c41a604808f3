"""Paths into the states of groups and leases, and to a peer that should not be (scenes.py)."""

from __future__ import annotations

from exhaustive.scenes import (
    GROUPS,
    MAIL,
    ONE,
    A,
    B,
    C,
    alone,
    both,
    finish,
    hear,
    peer_is_up,
    scene,
    speaker,
    unanswered,
)
from exhaustive.scenes_moves import releasing
from pair import CAESAR, JULIUS, Node, Reload, settings

from heartbeat.core.events import LeaseLapsed, Request
from heartbeat.core.settings import Group, Resource

# --- groups


@scene
def starting(world):
    julius = world.boot(JULIUS, **GROUPS)
    julius.hanging = {("start", "b")}
    world.boot(CAESAR, **GROUPS)
    world.run(10)
    return julius


@scene
def failed_and_offered(world):
    julius = world.boot(JULIUS, **GROUPS)
    julius.failing = {("start", "b")}
    caesar = world.boot(CAESAR, **GROUPS)
    caesar.hanging = {("start", "a")}
    world.run(10)
    return julius


@scene
def failed_on_both(world):
    julius, caesar = world.boot(JULIUS, **ONE), world.boot(CAESAR, **ONE)
    julius.failing = caesar.failing = {("start", "a"), ("start", "b")}
    world.run(14)
    return julius


@scene
def failed_here_alone(world):
    julius = world.boot(JULIUS, **GROUPS)
    julius.failing = {("start", "b"), ("start", "c")}
    world.run(32)
    return julius


@scene
def failed_start_is_cleared_away(world):
    julius = world.boot(JULIUS, **GROUPS)
    julius.failing = {("start", "b")}
    julius.hanging = {("stop", "b"), ("stop", "a")}
    world.run(32)
    return julius


@scene
def stop_after_a_start_that_hung(world):
    julius = starting(world)
    julius.tell(Request(5, "stop"))
    world.run(1)
    return julius


@scene
def reload_adds_a_resource(world):
    julius, _ = both(world)
    julius.hanging = {("start", "late")}
    late = Resource("late", "late")
    julius.tell(Reload(settings(JULIUS, groups=(Group("a", JULIUS, [A, MAIL, B, late]), GROUPS["groups"][1]))))
    world.run(1)
    return julius


@scene
def reload_replaces_all_resources(world):
    julius, _ = both(world, **ONE)
    julius.hanging = {("stop", "a"), ("stop", "b")}
    julius.tell(Reload(settings(JULIUS, groups=(Group("a", JULIUS, [C]),))))
    world.run(1)
    return julius


@scene
def reload_dissolves_a_group(world):
    julius, _ = both(world, groups=(Group("a", JULIUS, [A]), Group("b", JULIUS, [B])))
    julius.tell(Reload(settings(JULIUS, groups=(Group("a", JULIUS, [A, B]),))))
    assert julius.up == ["a", "b"]
    return julius


@scene
def no_longer_wanted_while_a_reload_stops_the_last(world):
    one = {"groups": (Group("k", JULIUS, [A]),)}
    julius, _ = both(world, **one)
    julius.hanging = {("stop", "a")}
    julius.tell(Reload(settings(JULIUS, groups=(Group("k", JULIUS, [C]),))))
    julius.tell(Request(5, "stop"))
    world.run(1)
    return julius


@scene
def no_longer_wanted_and_nothing_is_up(world):
    julius = no_longer_wanted_while_a_reload_stops_the_last(world)
    finish(julius)
    return julius


@scene
def reload_moved_everything_away(world):
    julius, _ = both(world, groups=(Group("a", JULIUS, [A]), Group("b", JULIUS, [B])))
    after = (Group("a", JULIUS, [A, B]), Group("b", CAESAR, [C]))
    julius.hanging = {("start", "c")}
    julius.tell(Reload(settings(JULIUS, groups=after)))
    world.run(1)
    return julius


@scene
def reload_retires_a_group(world):
    julius, _ = both(world)
    julius.hanging = {("stop", "b")}
    julius.tell(Reload(settings(JULIUS, groups=GROUPS["groups"][1:])))
    world.run(1)
    return julius


@scene
def reload_waits_for_a_start(world):
    julius = starting(world)
    julius.tell(Reload(settings(JULIUS, groups=GROUPS["groups"][1:])))
    return julius


# --- leases


@scene
def lapsed(world):
    julius, _ = both(world)
    unanswered(world, julius)
    julius.tell(LeaseLapsed())
    return julius


@scene
def lapsed_and_nobody_has_answered(world):
    julius = lapsed(world)
    world.run(20)
    return julius


@scene
def lapsed_in_a_hand_over(world):
    julius = releasing(world)
    unanswered(world, julius)
    julius.tell(LeaseLapsed())
    return julius


@scene
def lapsed_and_told_to_stop(world):
    julius, _ = both(world)
    julius.hanging = {("stop", "b")}
    unanswered(world, julius)
    julius.tell(LeaseLapsed())
    julius.tell(Request(5, "stop"))
    return julius


# --- a peer that should not be


def _set_back(world, node: Node, **fields) -> None:
    """The peer, alive in a lower generation: it answers the nonce that the first such status makes us ask."""
    lower = f"{speaker(node).generation - 20:x}"
    hear(node, "status", **{"st": "up", **fields}, hg=lower, seq="1", ext=speaker(node).ext("u"))
    nonce = node.cluster._challenge.nonce
    hear(node, "status", **{"st": "up", **fields}, hg=lower, seq="2", ext=speaker(node).ext("u", words=f"!{nonce}"))


@scene
def quarantined(world):
    julius, _ = both(world)
    world.kill(CAESAR)
    _set_back(world, julius)
    return julius


@scene
def quarantined_from_the_start(world):
    julius = world.boot(JULIUS, known={CAESAR: (200, 5)}, **GROUPS)
    world.run(1)
    _set_back(world, julius)
    return julius


@scene
def quarantined_while_up(world):
    julius = peer_is_up(world)
    _set_back(world, julius)
    return julius


@scene
def quarantined_after_its_death(world):
    julius = alone(world)
    _set_back(world, julius)
    return julius


@scene
def accepted(world):
    julius = quarantined(world)
    julius.tell(Request(5, "accept", CAESAR))
    return julius
