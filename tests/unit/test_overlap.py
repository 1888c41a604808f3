"""Make before break (core/overlap.py): which groups, with whom, and what is lost, late or of another hand-over."""

import pytest
from pair import CAESAR, JULIUS, SEED_GROUP, World, settings

from heartbeat.core.actions import ANNOUNCE, Hold, RunAgent, Transmit
from heartbeat.core.events import Reload
from heartbeat.core.settings import MILLISECOND, SECOND, Group, Resource

ABLE = {"overlapping": ("IPaddr",)}
KEY = SEED_GROUP.key
OTHER = Group("IPaddr::10.0.0.253", JULIUS, [Resource("IPaddr::10.0.0.253", "IPaddr", ["10.0.0.253"])])
MIXED = Group("IPaddr::10.0.0.252", JULIUS, [Resource("IPaddr::10.0.0.252", "IPaddr", ["x"]), Resource("web", "web")])


@pytest.fixture
def world():
    return World()


def pair(world, julius=ABLE, caesar=ABLE):
    made = world.boot(JULIUS, **julius), world.boot(CAESAR, **caesar)
    world.run(12)
    assert made[0].holding
    return made


def words(told):
    """What it said of the hand-over, in order, and when its lease was cut and its agents were run."""
    found = []
    for action in told:
        match action:
            case Transmit(message=message) if message.type == "ask_resources":
                found.append(message.get("info"))
            case Hold(keys=keys, ending=ending):
                found.append(("hold", keys, ending))
            case RunAgent(verb=verb, resources=resources):
                found += [(verb, resource.word) for resource in resources if not resource.notifier]
    return found


ADDRESSES = [each.word for each in SEED_GROUP.resources if not each.notifier]
STARTS = [("start", word) for word in ADDRESSES]
STOPS = [("stop", word) for word in reversed(ADDRESSES)]
ANNOUNCES = [(ANNOUNCE, word) for word in ADDRESSES]


def test_the_taker_has_it_before_the_giver_has_not(world):
    julius, caesar = pair(world)
    gives, takes = julius.record(), caesar.record()
    ok, text = world.ask(julius, "standby")
    assert ok, text
    # the lease is cut before the other is told to begin, and dropped before anything is stopped
    assert words(gives) == ["me", ("hold", (), (KEY,)), "make", ("hold", (), ()), *STOPS, "done"]
    # and the neighbours are told again when the giver has it no more
    assert words(takes) == ["other", ("hold", (KEY,), ()), *STARTS, "ready", *ANNOUNCES, "done"]


def test_a_clean_stop_hands_over_first(world):
    julius, caesar = pair(world)
    takes = caesar.record()
    assert world.ask(julius, "stop")[0]
    world.run(2)
    assert julius.stopped
    assert words(takes)[:4] == ["other", ("hold", (KEY,), ()), *STARTS]
    assert caesar.holding == (KEY,)
    assert [each for each in words(takes) if each in ANNOUNCES] == ANNOUNCES


def test_a_second_stop_waits_for_nothing(world):
    julius, _ = pair(world)
    world.cut = {(CAESAR, JULIUS, "ttyS0")}
    world.ask_later(julius, "stop")
    assert julius.holding == (KEY,)
    world.ask_later(julius, "stop")
    assert julius.holding == ()


def test_a_stop_waits_no_longer_for_the_other_than_an_answer_takes(world):
    julius, _ = pair(world)
    world.cut = {(CAESAR, JULIUS, "ttyS0")}
    world.ask_later(julius, "stop")
    world.run((julius.settings.overlap_ns + julius.settings.answer_ns) / SECOND + 0.001)
    assert julius.holding == ()


@pytest.mark.parametrize("name", [JULIUS, CAESAR])
def test_one_that_cannot_hands_over_as_ever(world, name):
    """An older one of ours, or one with an operator's scripts in the place of the daemon's own agents."""
    julius, caesar = pair(world, **{name: {}})
    gives = julius.record()
    assert world.ask(julius, "standby")[0]
    assert words(gives) == ["me", *STOPS, ("hold", (), ()), "done"]
    assert caesar.holding == (KEY,)
    assert all("&" not in (message.get("ext") or "") for message in world.nodes[name].sent)


def test_a_group_with_a_script_is_released_first(world):
    groups = {**ABLE, "groups": (OTHER, MIXED)}
    julius, caesar = pair(world, groups, groups)
    julius.hanging = {("stop", "web")}
    world.ask_later(julius, "standby")
    world.run(1)
    assert caesar.holding == (OTHER.key,)
    assert caesar.up == [OTHER.key]
    assert julius.holding == (MIXED.key,)


def test_a_group_that_has_a_script_on_the_other_node_is_released_first(world):
    """Their files differ: the one that takes finds that it is none for two."""
    other = Group(KEY, JULIUS, [*SEED_GROUP.resources, Resource("web", "web")])
    julius, caesar = pair(world, ABLE, {**ABLE, "groups": (other,)})
    takes = caesar.record()
    world.ask_later(julius, "standby")
    world.run(0.2)
    assert caesar.holding == ()
    world.run(1)
    assert caesar.holding == (KEY,)
    assert "ready" not in words(takes)


def test_notifiers_alone_are_nothing_to_be_on_both(world):
    groups = {**ABLE, "groups": (SEED_GROUP, Group("mail", JULIUS, [Resource("mail", "MailTo", notifier=True)]))}
    julius, _ = pair(world, groups, groups)
    gives = julius.record()
    assert world.ask(julius, "standby")[0]
    assert ("hold", (), (KEY,)) in words(gives)


def test_a_line_that_takes_a_keepalive_carries_no_such_hand_over():
    world = World(delay_ns=60 * MILLISECOND)
    times = {**ABLE, "keepalive_ns": 100 * MILLISECOND, "deadtime_ns": SECOND, "initdead_ns": 2 * SECOND}
    julius, caesar = pair(world, times, times)
    gives = julius.record()
    assert world.ask(julius, "standby")[0]
    assert "make" not in words(gives)
    assert caesar.holding == (KEY,)


@pytest.mark.parametrize("lost", ["make", "ready"])
def test_what_is_lost_only_costs_the_time_that_was_agreed(world, lost):
    julius, caesar = pair(world)
    world.drop = lambda sender, message, medium: message.get("info") == lost or message.type.startswith("NS_")
    gives = julius.record()
    world.ask_later(julius, "standby")
    world.run(julius.settings.overlap_ns / SECOND - 0.01)
    assert julius.ceding == (KEY,)
    assert caesar.holding == ((KEY,) if lost == "ready" else ())
    world.run(0.02)
    assert julius.ceding == ()
    assert words(gives)[-1] == "done"
    assert caesar.holding == (KEY,)
    assert any("not ready in time" in note for note in julius.notes)


def test_make_that_comes_when_the_hand_over_is_over_is_nothing(world):
    """The giver has released, and the taker given it back meanwhile; then what was lost is sent again."""
    julius, caesar = pair(world)
    kept = []

    def keep(sender, message, medium):
        if message.get("info") == "make" and not kept:
            kept.append(message)
            return True
        return message.type.startswith("NS_")

    world.drop = keep
    assert world.ask(julius, "standby")[0]
    assert world.ask(caesar, "standby")[0]
    world.ask_later(julius, "standby")
    world.run(0.0015)  # it has promised, and waits for `make`: of this hand-over
    assert caesar.cluster._standby.state_name == "promised"
    caesar.tell(kept[0])
    assert caesar.holding == ()


def test_both_claim_it_for_a_moment_and_that_is_no_conflict(world):
    julius, caesar = pair(world)
    caesar.hanging = {("start", ADDRESSES[1])}
    world.ask_later(julius, "standby")
    world.run(0.05)
    for node in (julius, caesar):
        node.cluster._membership.beat(world.now)
        for action in node.cluster._outbox.take():
            world.carry(node, action.message) if isinstance(action, Transmit) else None
    world.run(0.05)
    assert not any("both nodes hold it" in note for node in (julius, caesar) for note in node.notes)
    assert caesar.holding == (KEY,)


def test_no_reload_comes_into_force_in_that_moment(world):
    """It could begin a script on both."""
    julius, caesar = pair(world)
    caesar.hanging = {("start", ADDRESSES[1])}
    world.ask_later(julius, "standby")
    world.run(0.05)
    more = Group(KEY, JULIUS, [*SEED_GROUP.resources, Resource("web", "web")])
    for node in (julius, caesar):
        node.tell(Reload(settings(node.name, **ABLE, groups=(more,))))
    assert "web" not in julius.up + caesar.up


def test_what_the_taker_has_not_when_it_is_back_stays(world):
    julius, caesar = pair(world)
    caesar.hanging = {("start", ADDRESSES[0])}
    world.ask_later(julius, "standby")
    world.run(0.05)
    world.kill(CAESAR)
    world.boot(CAESAR, **ABLE)
    gives = julius.record()
    world.run(0.05)
    assert julius.holding == (KEY,)
    assert words(gives)[:3] == [("hold", (KEY,), ()), *ANNOUNCES]
    world.run(30)
    assert julius.holding == (KEY,)


def test_a_death_of_the_taker_after_the_time_is_a_death(world):
    julius, caesar = pair(world)
    caesar.hanging = {("start", ADDRESSES[0])}
    world.ask_later(julius, "standby")
    world.run(0.05)
    world.kill(CAESAR)
    world.run(20)
    assert julius.holding == (KEY,)
    assert set(ADDRESSES) <= set(julius.up)


@pytest.mark.parametrize(("keepalive_ms", "deadtime_ms", "divisor", "overlap_ms"), [
    (1000, 30_000, 1, 242),  # a margin less than 250
    (100, 500, 1, 242),
    (10, 30, 1, 12),  # a lease is 22 ms, and it is 10 after the last sign of life
    (1000, 30_000, 50, 0),  # less than the kernel can count
])  # fmt: skip
def test_for_how_long(keepalive_ms, deadtime_ms, divisor, overlap_ms):
    times = {"keepalive_ns": keepalive_ms * MILLISECOND, "deadtime_ns": deadtime_ms * MILLISECOND}
    found = settings(JULIUS, **ABLE, **times, divisor=divisor)
    assert found.overlap_ns == overlap_ms * MILLISECOND
    assert found.abilities == ("o" if overlap_ms else "")
    assert settings(JULIUS, **times).overlap_ns == 0
    with_line = settings(JULIUS, **ABLE, keepalive_ns=5 * SECOND, deadtime_ns=15 * SECOND, frame_ns=200 * MILLISECOND)
    assert with_line.overlap_ns == (250 + 3 * 200 - 8) * MILLISECOND
