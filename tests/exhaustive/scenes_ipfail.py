"""Paths of a node that has ping nodes, and plays ipfail's part (scenes.py)."""

from __future__ import annotations

from exhaustive.scenes import GROUPS, both, hear, scene
from pair import JULIUS, settings

from heartbeat.core.events import PingAnswer, Reload
from heartbeat.core.settings import SECOND

GATEWAY, SWITCH = "10.0.0.9", "switch"
WATCHED = {**GROUPS, "ping_nodes": (GATEWAY, SWITCH), "deadping_ns": 20 * SECOND, "ipfail": True}


def answer(*nodes):
    for node in nodes:
        for name in (GATEWAY, SWITCH):
            node.tell(PingAnswer(name))


def watching(world):
    """Both see both."""
    julius, caesar = both(world, **WATCHED)
    answer(julius, caesar)
    world.run(1)
    assert julius.cluster._ipfail.state_name == "watching"
    return julius


def giving_up(world):
    julius = watching(world)
    hear(julius, "you_are_dead", from_id="ipfail", to_id="ipfail")
    assert julius.cluster._ipfail.state_name == "giving up"
    return julius


@scene
def ping_nodes_have_not_answered(world):
    return both(world, **WATCHED)[0]


@scene
def ping_nodes_never_answer(world):
    julius, _ = both(world, **WATCHED)
    world.run(30)
    return julius


@scene
def ping_nodes_answer(world):
    return watching(world)


@scene
def a_ping_node_is_dead(world):
    """And caesar sees it no more, either."""
    julius = watching(world)
    for _ in range(5):
        world.run(5)
        julius.tell(PingAnswer(SWITCH))
    assert julius.view().nodes[GATEWAY].status == "dead"
    return julius


@scene
def a_ping_node_answers_again(world):
    julius = a_ping_node_is_dead(world)
    julius.tell(PingAnswer(GATEWAY))
    return julius


@scene
def a_give_up_is_due(world):
    return giving_up(world)


@scene
def a_give_up_has_begun(world):
    julius = giving_up(world)
    julius.hanging = {("stop", "a")}
    world.run(11)
    assert julius.cluster._standby.state_name == "releasing"
    return julius


@scene
def a_give_up_is_aborted(world):
    julius = giving_up(world)
    hear(julius, "abort_giveup", from_id="ipfail", to_id="ipfail")
    return julius


@scene
def ipfail_is_taken_out_while_it_watches(world):
    julius = watching(world)
    julius.tell(Reload(settings(JULIUS, **{**WATCHED, "ipfail": False})))
    return julius


@scene
def ipfail_is_taken_out_while_a_give_up_is_due(world):
    julius = giving_up(world)
    julius.tell(Reload(settings(JULIUS, **{**WATCHED, "ipfail": False, "ping_nodes": ()})))
    return julius
