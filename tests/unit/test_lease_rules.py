"""What the core does about leases: which run, when one has lapsed, what a run that died has left."""

import pytest
from pair import CAESAR, JULIUS, SEED_GROUP, World

from heartbeat.core.actions import Hold, Transmit
from heartbeat.core.events import LeaseLapsed, Request
from heartbeat.core.settings import FAILBACK_ON, SECOND, Group, Resource

KEY = SEED_GROUP.key
UP = [resource.word for resource in SEED_GROUP.resources]


@pytest.fixture
def world():
    return World()


def said(node, text: str) -> bool:
    return any(text in note for note in node.notes)


def silent_at(told) -> int:
    """The place of the action that ends all leases."""
    return next(n for n, action in enumerate(told) if isinstance(action, Hold) and not action.keys)


def sent(told):
    """(place, message) of each."""
    return [(n, action.message) for n, action in enumerate(told) if isinstance(action, Transmit)]


# --- which run


def test_only_the_holders_leases_run(world):
    julius, caesar = world.both()
    assert (julius.holding, caesar.holding) == ((KEY,), ())


def test_the_lease_runs_before_the_address_is_up(world):
    """A group whose lease starts after its address would be up and silent."""
    julius = world.boot(JULIUS)
    told = julius.record()
    world.boot(CAESAR)
    world.run(10)
    kinds = [type(action).__name__ for action in told if type(action).__name__ in ("Hold", "RunAgent")]
    assert kinds.index("Hold") < kinds.index("RunAgent")


def test_the_survivor_holds_alone(world):
    _, caesar = world.both()
    told = caesar.record()
    world.kill(JULIUS)
    world.run(20)
    assert caesar.holding == (KEY,)
    assert [action.alone for action in told if isinstance(action, Hold)][-1] is True


def test_a_release_ends_it(world):
    julius, caesar = world.both()
    assert world.ask(julius, "standby") == (True, "caesar has taken over")
    assert (julius.holding, caesar.holding) == ((), (KEY,))


# --- lapsed


@pytest.mark.parametrize("seconds", [14, 15, 16, 20, 45])
def test_a_holder_that_stalled_lets_go_of_what_was_taken(world, seconds):
    julius, caesar = world.both()
    world.pause(JULIUS)
    world.run(seconds)
    taken = caesar.holding == (KEY,)
    assert taken == (seconds > 15)
    world.wake(JULIUS)
    world.run(2)
    holders = [node.name for node in (julius, caesar) if node.holding]
    assert holders == [CAESAR if taken else JULIUS]
    assert (julius.up == UP, caesar.up == UP) == (not taken, taken)


def test_it_renews_nothing_before_the_peer_has_answered(world):
    julius, caesar = world.both()
    world.pause(JULIUS)
    world.run(14)
    world.cut = {(CAESAR, JULIUS, "ttyS0")}
    world.wake(JULIUS)
    world.run(0.4)
    assert julius.holding == ()
    assert said(julius, "asking caesar whether it has taken over")
    assert julius.up == UP
    world.run(14)
    assert julius.holding == ()
    world.run(1)
    assert said(julius, "caesar is gone")
    assert julius.holding == (KEY,)
    assert caesar.holding == ()


def test_an_answer_that_is_lost_comes_again(world):
    julius, caesar = world.both()
    world.pause(JULIUS)
    world.run(14)
    lost = []
    world.drop = lambda sender, message, medium: sender == CAESAR and len(lost) < 2 and not lost.append(1)
    world.wake(JULIUS)
    world.run(12)
    assert len(lost) == 2
    assert (julius.holding, caesar.holding) == ((KEY,), ())


def test_an_answer_from_before_the_question_does_not_count(world):
    """What lay in the queue says that the peer holds nothing; it was true then."""
    julius, caesar = world.both()
    world.pause(JULIUS)
    world.run(14)
    queue = julius.queue
    assert queue
    world.run(6)
    assert caesar.up == UP
    julius.queue = queue[:2]
    world.cut = {(CAESAR, JULIUS, "ttyS0")}
    world.wake(JULIUS)
    world.run(0.4)
    assert julius.holding == ()


def test_a_lone_holder_that_stalled_serves_on(world):
    julius, _ = world.both()
    world.kill(CAESAR)
    world.run(20)
    world.pause(JULIUS)
    world.run(25)
    world.wake(JULIUS)
    world.run(0)
    assert julius.holding == ()
    assert said(julius, "asking")
    world.run(julius.settings.answer_ns / SECOND)  # an answer would have come by then
    assert julius.holding == (KEY,)


def test_a_lone_holder_asks_where_the_other_may_have_started_meanwhile(world):
    julius, _ = world.both()
    world.kill(CAESAR)
    world.run(20)
    world.pause(JULIUS)
    caesar = world.boot(CAESAR)
    world.run(40)
    assert caesar.up == UP
    world.wake(JULIUS)
    world.run(1)
    assert (julius.holding, caesar.holding) == ((), (KEY,))
    assert julius.up == []


@pytest.mark.parametrize("known", [False, True], ids=["never heard", "dead"])
def test_where_nobody_answers_a_lone_node_serves_again(world, known):
    """It was away for so long that the other may have started, but the other has not."""
    julius = world.boot(JULIUS)
    if known:
        world.boot(CAESAR)
        world.run(10)
        world.kill(CAESAR)
    world.run(45)
    assert julius.holding == (KEY,)
    world.pause(JULIUS)
    world.run(31)
    world.wake(JULIUS)
    world.run(0)
    assert julius.holding == ()
    world.run(14.9)
    assert julius.holding == ()
    world.run(0.2)
    assert julius.holding == (KEY,)
    assert said(julius, "nobody answers")
    assert julius.view().stable


def test_one_that_came_meanwhile_answers_in_time(world):
    julius = world.boot(JULIUS)
    world.run(40)
    world.pause(JULIUS)
    world.run(31)
    world.wake(JULIUS)
    world.run(5)
    assert julius.holding == ()
    caesar = world.boot(CAESAR)
    world.run(1)
    assert said(julius, "the other node has answered")
    world.run(30)
    assert not said(julius, "nobody answers")
    assert (julius.holding, caesar.holding) == ((KEY,), ())


def test_one_that_came_meanwhile_and_hears_nobody_is_left_alone(world):
    """It beats, so it may take over in any moment, and its answer will never come."""
    julius, _ = world.both()
    world.kill(CAESAR)
    world.run(45)
    world.pause(JULIUS)
    world.run(31)
    world.wake(JULIUS)
    world.run(5)
    world.cut = {(JULIUS, CAESAR, "ttyS0")}
    caesar = world.boot(CAESAR)
    for _ in range(60):
        world.run(1)
        assert julius.holding == ()
    assert caesar.holding == (KEY,)
    world.cut = set()
    world.run(12)
    assert (julius.holding, caesar.holding) == ((), (KEY,))
    assert julius.up == []


ONE, TWO = Group("one", JULIUS, [Resource("one", "one")]), Group("two", CAESAR, [Resource("two", "two")])


def test_what_a_quarantined_node_says_now_that_it_holds_is_left_to_it(world):
    """The only thing about which it is believed: else both would answer. It has started in a generation that it had
    long ago, with files in which there was one group, and heard nobody, because caesar stood still."""
    world.boot(JULIUS, groups=(ONE, TWO))
    caesar = world.boot(CAESAR, groups=(ONE, TWO))
    world.run(10)
    world.kill(JULIUS)
    world.run(20)
    assert caesar.holding == ("one", "two")
    world.pause(CAESAR)
    julius = world.boot(JULIUS, generation=50, groups=(ONE,))
    world.run(45)
    assert julius.holding == ("one",)
    world.wake(CAESAR)
    world.run(0)
    assert caesar.holding == ()
    world.run(1)
    assert caesar.view().nodes[JULIUS].status == "quarantined"
    assert (julius.holding, caesar.holding) == (("one",), ("two",))
    assert said(caesar, "one: the other node has taken over; letting go here")
    world.run(120)
    assert (julius.holding, caesar.holding) == (("one",), ("two",))
    assert (julius.up, caesar.up) == (["one"], ["two"])
    assert caesar.view().nodes[JULIUS].status == "quarantined"


def test_where_it_does_not_answer_all_is_served_again(world):
    """After a deadtime, as where it is dead: its death is never found."""
    _, caesar = world.both()
    world.kill(JULIUS)
    world.run(20)
    world.boot(JULIUS, generation=50)
    world.run(12)
    assert caesar.view().nodes[JULIUS].status == "quarantined"
    world.kill(JULIUS)
    caesar.tell(LeaseLapsed())
    world.run(14.9)
    assert caesar.holding == ()
    world.run(0.2)
    assert caesar.holding == (KEY,)
    assert said(caesar, "nobody answers")


def test_the_daemon_may_notice_first(world):
    julius, _ = world.both()
    julius.tell(LeaseLapsed())
    assert julius.holding == ()
    world.run(1)
    assert julius.holding == (KEY,)


def test_one_that_has_no_other_node_holds_anew_what_has_lapsed(world):
    """Nobody is to be asked, and what was granted has ended."""
    julius = world.boot(JULIUS, nodes=(JULIUS,))
    world.run(60)
    assert julius.holding == (KEY,)
    julius.holding = ()
    julius.tell(LeaseLapsed())
    assert julius.holding == (KEY,)


def test_one_that_holds_nothing_asks_too(world):
    """While it did not run the other left, came back and took all; and does not run now. Its last word is old."""
    julius, caesar = world.both()
    world.pause(CAESAR)
    world.run(1)
    julius.tell(Request(1, "stop"))
    world.run(3)
    assert julius.stopped
    julius = world.boot(JULIUS)
    world.run(40)
    assert julius.holding == (KEY,)
    world.pause(JULIUS)
    world.wake(CAESAR)
    world.run(3)
    assert caesar.holding == ()
    assert caesar.up == []
    world.wake(JULIUS)
    world.run(20)
    assert (julius.holding, caesar.holding) == ((KEY,), ())
    assert caesar.view().stable


def test_it_asks_again_when_the_operator_has_accepted_the_peer(world):
    """What it asked before then is void."""
    julius, _ = world.both()
    world.kill(CAESAR)
    caesar = world.boot(CAESAR, generation=50)
    world.run(6)
    assert julius.view().nodes[CAESAR].status == "quarantined"
    world.pause(JULIUS)
    world.run(60)
    assert caesar.holding == (KEY,)
    world.wake(JULIUS)
    assert world.ask(julius, "accept", CAESAR)[0]
    world.run(10)
    assert (julius.up, caesar.up) == ([], UP)
    assert caesar.holding == (KEY,)
    assert julius.view().stable


def test_a_standby_that_stalled_finds_nobody_dead_before_it_has_listened(world):
    """What came in meanwhile was lost with the pause."""
    julius, caesar = world.both()
    world.pause(CAESAR)
    world.run(40)
    caesar.queue = []
    world.wake(CAESAR)
    world.run(12)
    assert (julius.holding, caesar.holding) == ((KEY,), ())
    assert not said(caesar, "julius is dead")


def test_both_stalled_and_each_goes_on_with_its_own(world):
    groups = {
        "groups": (
            Group("one", JULIUS, [Resource("one", "one")]),
            Group("two", CAESAR, [Resource("two", "two")]),
        ),
        "auto_failback": FAILBACK_ON,
    }
    julius, caesar = world.boot(JULIUS, **groups), world.boot(CAESAR, **groups)
    world.run(10)
    assert (julius.holding, caesar.holding) == (("one",), ("two",))
    for name in (JULIUS, CAESAR):
        world.pause(name)
    world.run(60)
    for name in (JULIUS, CAESAR):
        world.wake(name)
    world.run(3)
    assert (julius.holding, caesar.holding) == (("one",), ("two",))
    assert (julius.up, caesar.up) == (["one"], ["two"])


@pytest.mark.parametrize(
    ("preferred", "keeper"),
    [((JULIUS, JULIUS), JULIUS), ((CAESAR, CAESAR), CAESAR), ((JULIUS, CAESAR), CAESAR), ((CAESAR, JULIUS), CAESAR)],
)
def test_both_have_it_and_stalled_and_one_goes_on_with_it(world, preferred, keeper):
    """Neither has let go, and each asks the other. Where the files differ the first of their names has it."""
    digests = ("11111111", "11111111" if preferred[0] == preferred[1] else "22222222")
    changes = [
        {"groups": (Group(KEY, name, SEED_GROUP.resources),), "resources_digest": digest}
        for name, digest in zip(preferred, digests, strict=True)
    ]
    julius, caesar = world.boot(JULIUS, **changes[0]), world.boot(CAESAR, **changes[1])
    world.run(10)
    first, second = (julius, caesar) if julius.up else (caesar, julius)
    world.pause(first.name)
    world.run(20)
    assert (first.up, second.up) == (UP, UP)
    world.pause(second.name)
    world.run(60)
    for node in (first, second):
        world.wake(node.name)
    world.run(0.1)
    assert [node.name for node in (julius, caesar) if node.holding] == [keeper]
    world.run(20)
    assert [node.name for node in (julius, caesar) if node.up] == [keeper]


def test_no_move_begins_while_it_is_asked(world):
    julius, _ = world.both()
    world.cut = {(CAESAR, JULIUS, "ttyS0")}
    julius.tell(LeaseLapsed())
    assert world.ask(julius, "standby")[0] is False


def test_what_cannot_be_stopped_falls_silent_before_it_is_given(world):
    """The address stays up here, and the peer takes it: only the lease keeps the two apart."""
    julius, _ = world.both()
    julius.failing = {("stop", word) for word in UP}
    told = julius.record()
    world.ask(julius, "stop")
    assert silent_at(told) < next(n for n, message in sent(told) if message.type == "shutdone")


def test_nor_is_it_handed_over_before(world):
    julius, caesar = world.both()
    julius.failing = {("stop", word) for word in UP}
    told = julius.record()
    assert world.ask(julius, "standby")[0]
    assert silent_at(told) < next(n for n, message in sent(told) if message.get("info") == "done")
    assert caesar.holding == (KEY,)


# --- what a run that died has left


def test_a_restart_within_the_lease_moves_nothing(world):
    _, caesar = world.both()
    world.kill(JULIUS)
    world.run(3)
    julius = world.boot(JULIUS, adopted=[KEY])
    julius.up = list(UP)
    assert julius.holding == (KEY,)
    world.run(60)
    assert (julius.holding, caesar.holding) == ((KEY,), ())
    assert julius.runs == []
    assert caesar.runs == []


def test_what_was_adopted_too_late_is_let_go(world):
    _, caesar = world.both()
    world.kill(JULIUS)
    world.run(16)
    assert caesar.up == UP
    julius = world.boot(JULIUS, adopted=[KEY])
    julius.up = list(UP)
    world.run(2)
    assert (julius.holding, caesar.holding) == ((), (KEY,))
    assert julius.up == []


def test_a_lone_node_that_restarts_serves_at_once(world):
    world.both()
    world.kill(CAESAR)
    world.run(20)
    world.kill(JULIUS)
    world.run(2)
    julius = world.boot(JULIUS, leftovers=[KEY], peer_dead=True)
    world.run(0.1)
    assert julius.up == UP
    assert julius.holding == (KEY,)


def test_the_peer_that_comes_back_is_heard(world):
    julius = world.boot(JULIUS, peer_dead=True)
    world.run(1)
    caesar = world.boot(CAESAR)
    world.run(40)
    assert julius.view().nodes[CAESAR].status == "active"
    assert julius.view().stable
    assert caesar.view().stable
    assert (julius.up, caesar.up) == (UP, [])


# --- a healed partition


def test_the_one_that_lets_go_waits_until_the_neighbours_know(world):
    julius, caesar = world.both()
    both_ways = {(JULIUS, CAESAR, "ttyS0"), (CAESAR, JULIUS, "ttyS0")}
    world.cut = both_ways
    world.run(30)
    assert (julius.up, caesar.up) == (UP, UP)
    order = []
    for node in (julius, caesar):
        run = node._run
        node._run = lambda action, pending, node=node, run=run: (
            order.append((node.name, action.verb)), run(action, pending),
        )[1]  # fmt: skip
    world.cut = set()
    world.run(8)
    assert (julius.holding, caesar.holding) == ((KEY,), ())
    assert order.index((JULIUS, "announce")) < order.index((CAESAR, "stop"))
    assert (JULIUS, "stop") not in order


def test_it_does_not_wait_for_ever(world):
    """The keeper's word is lost; two may not hold for longer than a second."""
    julius, caesar = world.both()
    world.cut = {(JULIUS, CAESAR, "ttyS0"), (CAESAR, JULIUS, "ttyS0")}
    world.run(30)
    world.cut = set()
    world.drop = lambda sender, message, medium: sender == JULIUS and "k" in (message.get("ext") or "")[20:]
    world.run(7)
    assert caesar.holding == ()
    assert julius.holding == (KEY,)


@pytest.mark.parametrize("preferred", [(JULIUS, CAESAR), (CAESAR, JULIUS)])
def test_where_the_files_differ_one_of_both_still_lets_go(world, preferred):
    """Each is preferred by its own file, or neither is."""
    changes = [
        {"groups": (Group(KEY, name, SEED_GROUP.resources),), "resources_digest": digest}
        for name, digest in zip(preferred, ("11111111", "22222222"), strict=True)
    ]
    julius, caesar = world.boot(JULIUS, **changes[0]), world.boot(CAESAR, **changes[1])
    world.run(10)
    world.cut = {(JULIUS, CAESAR, "ttyS0"), (CAESAR, JULIUS, "ttyS0")}
    world.run(30)
    assert (julius.up, caesar.up) == (UP, UP)
    world.cut = set()
    world.run(11)
    assert [node.name for node in (julius, caesar) if node.holding] == [CAESAR]


# --- a peer that dies again and again


def test_a_flapping_peer_gets_nothing_back_for_a_while(world):
    changes = {"auto_failback": FAILBACK_ON}
    world.boot(JULIUS, **changes)
    caesar = world.boot(CAESAR, **changes)
    world.run(10)
    for _ in range(3):
        assert caesar.alarms == []
        world.kill(JULIUS)
        world.run(20)
        julius = world.boot(JULIUS, **changes)
        world.run(20)
    assert len(caesar.alarms) == 1
    assert (julius.up, caesar.up) == ([], UP)
    world.run(540)
    assert caesar.up == UP
    world.run(60)
    assert (julius.up, caesar.up) == (UP, [])


def test_clean_stops_are_no_flapping(world):
    changes = {"auto_failback": FAILBACK_ON}
    world.boot(JULIUS, **changes)
    caesar = world.boot(CAESAR, **changes)
    world.run(10)
    for _ in range(4):
        world.ask(world.nodes[JULIUS], "stop")
        world.run(5)
        julius = world.boot(JULIUS, **changes)
        world.run(20)
        assert (julius.up, caesar.up) == (UP, [])
    assert caesar.alarms == []


def test_deaths_far_apart_are_no_flapping(world):
    changes = {"auto_failback": FAILBACK_ON}
    world.boot(JULIUS, **changes)
    caesar = world.boot(CAESAR, **changes)
    world.run(10)
    for _ in range(4):
        world.kill(JULIUS)
        world.run(20)
        world.boot(JULIUS, **changes)
        world.run(400)
    assert caesar.alarms == []
