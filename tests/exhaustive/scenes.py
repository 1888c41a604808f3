"""Paths into every state of every machine. Each scene leads a pair, or a node alone, to one moment, and names the node
that is looked at then.

Most are what a real pair does. Where a state needs a peer that this program never is (an original, one whose messages
were lost in just that order), the test speaks for it.
"""

from __future__ import annotations

from collections.abc import Callable

from exhaustive.events import Speaker
from pair import CAESAR, JULIUS, MediumDown, Node, World, settings

from heartbeat.core.events import AgentExited
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
        for resource in action.resources:
            if action.verb == "stop":
                node.up.remove(resource.word)
            else:
                node.up.append(resource.word)
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
    return boot_hanging(world, {("stop", "b"), ("stop", "c")}, leftovers=["a", "c"])


def boot_hanging(world, hanging, **recalled) -> Node:
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
        caesar.cluster._steady.end()
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
