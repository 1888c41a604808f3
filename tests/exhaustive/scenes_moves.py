"""Paths into hand-overs, into conflicts, and to the end (scenes.py)."""

from __future__ import annotations

from exhaustive.events import Speaker
from exhaustive.scenes import BOTH, FROM_CAESAR, ONE, boot_hanging, both, finish, hear, scene, unanswered
from pair import CAESAR, JULIUS

from heartbeat.core.events import Request
from heartbeat.core.settings import SECOND

# --- two that hold the same


@scene
def partition_healed_and_kept(world):
    julius, caesar = both(world)
    world.cut = set(BOTH)
    world.run(40)
    world.cut = set()
    caesar.hanging = {("stop", "b")}
    world.drop = lambda sender, message, medium: sender == JULIUS and world.now % SECOND
    world.run(6)
    return julius


@scene
def partition_healed_and_waiting_to_yield(world):
    julius, caesar = both(world)
    world.cut = set(BOTH)
    world.run(40)
    world.cut = set()
    world.drop = lambda sender, message, medium: "k" in (message.get("ext") or "")[20:]
    while not any(machine.contested_at for machine in caesar.cluster._resources.groups.values()):
        world.run(0.01)
    assert julius.up
    return caesar


@scene
def nobody_has_it(world):
    julius, _ = both(world, **ONE)
    julius.cluster._resources.disclaim(julius.cluster._resources.groups.values())
    world.run(0.01)
    return julius


# --- hand-overs


@scene
def asked(world):
    julius, _ = both(world)
    unanswered(world, julius)
    julius.tell(Request(5, "standby", "all"))
    return julius


@scene
def asked_and_second_in_name(world):
    """One whose peer's name comes first gives way when both ask."""
    julius = world.boot(JULIUS, nodes=("anna", JULIUS), **ONE)
    world.run(1)
    say = Speaker(julius.cluster, JULIUS, "ttyS0")
    nonce = julius.cluster._challenge.nonce
    julius.tell(say.message("status", ext=say.ext("u", words=f"!{nonce}")))
    say = Speaker(julius.cluster, JULIUS, "ttyS0")
    julius.tell(say.message("status", ext=say.ext("s")))
    julius.tell(Request(5, "standby", "all"))
    return julius


@scene
def asked_and_refused(world):
    julius = asked(world)
    hear(julius, "ask_resources", info="not", rsc_hold="all")
    return julius


@scene
def asked_and_gave_way(world):
    julius = asked_and_second_in_name(world)
    hear(julius, "ask_resources", info="me", rsc_hold="all")
    return julius


@scene
def takeover_requested(world):
    julius, _ = both(world)
    unanswered(world, julius)
    julius.tell(Request(5, "takeover", "all"))
    return julius


@scene
def releasing(world):
    julius, _ = both(world)
    julius.hanging = {("stop", "b")}
    julius.tell(Request(5, "standby", "all"))
    world.run(1)
    return julius


@scene
def wanted_again_while_it_stops(world):
    """The peer that was to take it is dead."""
    julius = releasing(world)
    world.kill(CAESAR)
    world.run(20)
    return julius


@scene
def wanted_again_and_the_stop_has_ended(world):
    julius = wanted_again_while_it_stops(world)
    finish(julius)
    return julius


@scene
def handed(world):
    julius, caesar = both(world)
    caesar.hanging = {("start", "a")}
    julius.tell(Request(5, "standby", "all"))
    world.run(1)
    return julius


@scene
def handed_long_ago_and_nothing_taken(world):
    julius, caesar = both(world)
    world.drop = lambda sender, message, medium: message.get("info") == "done" or message.type == "status"
    julius.tell(Request(5, "standby", "all"))
    world.run(1)
    caesar.cluster._standby._end(False, "forgotten")
    world.cut = FROM_CAESAR
    world.run(13)
    return julius


@scene
def promised(world):
    julius, caesar = both(world)
    julius.hanging = {("stop", "b")}
    julius.tell(Request(5, "standby", "all"))
    world.run(1)
    return caesar


@scene
def promised_long_ago(world):
    _, caesar = both(world)
    hear(caesar, "ask_resources", info="me", rsc_hold="all")
    world.run(16)
    return caesar


@scene
def acquiring(world):
    julius, caesar = both(world)
    caesar.hanging = {("start", "b")}
    julius.tell(Request(5, "standby", "all"))
    world.run(1)
    return caesar


# --- the end


@scene
def leaving(world):
    julius, _ = both(world)
    julius.hanging = {("stop", "b")}
    julius.tell(Request(5, "stop"))
    world.run(1)
    return julius


@scene
def leaving_before_it_settled(world):
    julius = boot_hanging(world, {("stop", "b"), ("stop", "c")}, leftovers=["a", "c"])
    julius.tell(Request(5, "stop"))
    return julius


@scene
def left(world):
    """Everything is down, and the peer has not yet said that all is its own."""
    julius, caesar = both(world)
    caesar.hanging = {("start", "a")}
    unanswered(world, julius)
    julius.tell(Request(5, "stop"))
    world.run(0.5)
    return julius


@scene
def ended(world):
    julius, _ = both(world)
    julius.tell(Request(5, "stop"))
    world.run(5)
    return julius
