"""Paths into every state of every machine. Each scene leads a pair, or a node alone, to one moment, and names the node
that is looked at then.

Most are what a real pair does. Where a state needs a peer that this program never is (an original, one whose messages
were lost in just that order), the test speaks for it.
"""

from __future__ import annotations

from collections.abc import Callable

from exhaustive.events import Speaker
from pair import CAESAR, JULIUS, MediumDown, Node, Reload, World, settings

from heartbeat.core.events import AgentExited, LeaseLapsed, Request
from heartbeat.core.settings import FAILBACK_ON, SECOND, Group, Resource

BOTH = {(JULIUS, CAESAR, "ttyS0"), (CAESAR, JULIUS, "ttyS0")}
FROM_CAESAR = {(CAESAR, JULIUS, "ttyS0")}
A, B, C = (Resource(word, word) for word in "abc")
MAIL = Resource("mail", "MailTo", notifier=True)
# one group a node, so that sets, sides and orders are distinct
GROUPS = {"groups": (Group("a", JULIUS, [A, MAIL, B]), Group("c", CAESAR, [C]))}
ONE = {"groups": (Group("a", JULIUS, [A, B]),)}

SCENES: list[Callable[[World], Node]] = []


def scene(function: Callable[[World], Node]) -> Callable[[World], Node]:
    SCENES.append(function)
    return function


def both(world: World, **changes) -> tuple[Node, Node]:
    changes = {**GROUPS, **changes}
    julius, caesar = world.boot(JULIUS, **changes), world.boot(CAESAR, **changes)
    world.run(10)
    return julius, caesar


def speaker(node: Node) -> Speaker:
    return Speaker(node.cluster, node.name, "ttyS0")


def hear(node: Node, kind: str, **fields) -> None:
    node.tell(speaker(node).message(kind, **fields))


def unanswered(world: World, node: Node) -> None:
    """Nothing that its peer says arrives any more."""
    other = CAESAR if node.name == JULIUS else JULIUS
    world.cut = {(other, node.name, medium) for medium in node.settings.media}


def finish(node: Node) -> None:
    """What hangs ends, and well."""
    node.hanging = set()
    while node.hung:
        run, action = node.hung.popitem()
        if action.verb == "stop":
            node.up.remove(action.resource.word)
        else:
            node.up.append(action.resource.word)
        node.tell(AgentExited(run, 0))


# --- the start


@scene
def first_instant(world):
    return world.boot(JULIUS, **GROUPS)


@scene
def first_status_is_out(world):
    julius = world.boot(JULIUS, **GROUPS)
    world.run(1)
    return julius


@scene
def peer_speaks_and_does_not_answer(world):
    julius = world.boot(JULIUS, **GROUPS)
    world.boot(CAESAR, **GROUPS)
    world.cut = {(JULIUS, CAESAR, "ttyS0")}
    world.run(6)
    return julius


@scene
def peer_is_init(world):
    """It answers, and its next words are lost."""
    julius = world.boot(JULIUS, **GROUPS)
    world.run(1)
    nonce = julius.cluster._challenge.nonce
    hear(julius, "status", st="init", ext=speaker(julius).ext("u", words=f"!{nonce}"))
    return julius


@scene
def peer_is_up(world):
    julius = peer_is_init(world)
    hear(julius, "status", st="up", ext=speaker(julius).ext("u", heard=0))
    return julius


@scene
def active_and_unsettled(world):
    """The peer does not yet say that it hears us."""
    julius = peer_is_up(world)
    hear(julius, "status", ext=speaker(julius).ext("u", heard=0))
    return julius


@scene
def peer_is_an_original(world):
    julius = world.boot(JULIUS, **GROUPS)
    world.run(1)
    hear(julius, "status", st="up")
    hear(julius, "status", st="active")
    return julius


@scene
def leftovers_are_stopped(world):
    return _boot_hanging(world, {("stop", "b"), ("stop", "c")}, leftovers=["a", "c"])


def _boot_hanging(world, hanging, **recalled) -> Node:
    """Booted by hand: what its first instant starts shall hang."""
    node = Node(world, JULIUS, 500, settings(JULIUS, **GROUPS), **recalled)
    node.hanging = hanging
    world.nodes[JULIUS] = node
    world.run(1)
    return node


@scene
def adopted_and_unsettled(world):
    caesar = world.boot(CAESAR, **GROUPS)
    world.run(1)
    caesar.alive = False
    return world.boot(JULIUS, adopted=["a"], leftovers=["a", "c"], **GROUPS)


@scene
def peer_known_to_be_dead(world):
    return world.boot(JULIUS, peer_dead=True, known={CAESAR: (90, 12)}, **GROUPS)


@scene
def peer_known_and_not_heard(world):
    julius = world.boot(JULIUS, known={CAESAR: (90, 12)}, **GROUPS)
    world.run(3)
    return julius


@scene
def node_without_a_peer(world):
    julius = world.boot(JULIUS, nodes=(JULIUS,), **GROUPS)
    world.run(1)
    return julius


@scene
def node_without_groups(world):
    julius, _ = both(world, groups=())
    return julius


# --- settled


@scene
def steady_holder(world):
    julius, _ = both(world)
    world.run(60)
    return julius


@scene
def settled_and_nothing_held(world):
    _, caesar = both(world, **ONE)
    world.run(12)
    return caesar


@scene
def two_media(world):
    julius, _ = both(world, media=("ttyS0", "eth0"))
    world.cut = {(CAESAR, JULIUS, "eth0")}
    world.run(20)
    return julius


@scene
def all_media_down(world):
    julius, _ = both(world)
    julius.tell(MediumDown("ttyS0", "unplugged"))
    world.run(1)
    return julius


@scene
def messages_are_missing(world):
    julius, caesar = both(world)
    world.cut = FROM_CAESAR
    for name in ("reqnodes", "x", "y"):
        caesar.cluster._outbox.send(name)
    world.run(5)
    world.cut = set()
    world.run(5.0005)
    hear(julius, "status", seq=f"{speaker(julius).next + 3:x}", ext=speaker(julius).ext(letter=""))
    unanswered(world, julius)
    world.run(0.2)
    return julius


@scene
def peer_has_just_died(world):
    julius, _ = both(world)
    world.kill(CAESAR)
    julius.hanging = {("start", "c")}
    world.run(20)
    return julius


@scene
def alone(world):
    julius, _ = both(world)
    world.kill(CAESAR)
    world.run(60)
    return julius


@scene
def peer_has_left(world):
    julius, caesar = both(world)
    world.ask(caesar, "stop")
    world.run(3)
    return julius


@scene
def peer_has_restarted(world):
    julius, _ = both(world)
    world.kill(CAESAR)
    world.run(2)
    world.boot(CAESAR, **GROUPS)
    world.run(0.01)
    return julius


@scene
def peer_died_before_it_was_up(world):
    julius = peer_is_init(world)
    world.run(45)
    return julius


@scene
def peer_died_while_up(world):
    julius = peer_is_up(world)
    world.run(45)
    return julius


@scene
def peer_is_back_with_its_first_status(world):
    """Its later words were lost: a new generation, init."""
    julius = alone(world)
    hear(julius, "status", st="init", hg="1f4", seq="1", ext=speaker(julius).ext("u", heard=0))
    return julius


@scene
def peer_is_back_and_up(world):
    julius = alone(world)
    hear(julius, "status", st="up", hg="1f4", seq="2", ext=speaker(julius).ext("u", heard=0))
    return julius


@scene
def peer_restarted_while_up(world):
    julius = peer_is_up(world)
    hear(julius, "status", st="init", hg="1f4", seq="1", ext=speaker(julius).ext("u", heard=0))
    return julius


@scene
def flapping(world):
    changes = {"auto_failback": FAILBACK_ON}
    _, caesar = both(world, **changes)
    for _ in range(3):
        world.kill(JULIUS)
        world.run(20)
        world.boot(JULIUS, **changes, **GROUPS)
        world.run(20)
    return caesar


@scene
def fail_back_waits(world):
    changes = {"auto_failback": FAILBACK_ON, "failback_delay_ns": 30 * SECOND}
    julius, _ = both(world, **changes)
    world.kill(CAESAR)
    world.run(20)
    world.boot(CAESAR, **changes, **GROUPS)
    world.run(15)
    return julius


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
    world.run(1)
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
    world.drop = lambda sender, message, medium: message.get("info") == "done"
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
    julius = _boot_hanging(world, {("stop", "b"), ("stop", "c")}, leftovers=["a", "c"])
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
