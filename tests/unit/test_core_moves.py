"""Hand-overs, conflicts and refusals in corners that a pair seldom reaches."""

import pytest
from pair import CAESAR, JULIUS, SEED_GROUP, World, settings

from _hbfast.codec import Decoder, Message, encode
from heartbeat.core.actions import Hold
from heartbeat.core.events import AgentExited, Reload, Request
from heartbeat.core.settings import SECOND, Group, Resource

KEY = SEED_GROUP.key
UP = [resource.word for resource in SEED_GROUP.resources]


@pytest.fixture
def world() -> World:
    return World()


def received(message, medium="ttyS0"):
    """As it comes from a decoder."""
    return Decoder(medium, None, stream=False).feed(encode(message, None, "netstring"))[0]


def test_a_status_from_before_the_release_is_no_claim(world):
    """It was lost on one medium and is late on the other: the release overtook it."""
    julius, caesar = world.both()
    late = []
    world.drop = lambda sender, message, medium: (
        sender == JULIUS and message.type == "status" and not late and not late.append(message)
    )
    julius.tell(Request(1, "standby", "all"))
    world.run(0.0005)
    julius.cluster._membership.beat(world.now)
    for action in julius.outbox.take():
        world.carry(julius, action.message)
    assert len(late) == 1
    world.drop = lambda sender, message, medium: sender == JULIUS and message.type == "status"
    caesar.hanging = {("start", UP[0])}
    world.run(0.1)
    assert caesar.claims() == [KEY]
    world.drop = None
    caesar.tell(received(late[0]))
    assert caesar.cluster._resources.other.claims(caesar.cluster._resources._labels[KEY]) is False


def test_a_quarantined_peer_is_not_a_dead_one(world):
    """It may be the holder: what is held here is renewed only by what a medium took."""
    _, caesar = world.both()
    world.kill(JULIUS)
    world.run(20)
    assert caesar.holding == (KEY,)
    said: list[Hold] = []
    obey = caesar._obey
    caesar._obey = lambda action, pending: (said.append(action), obey(action, pending))[1]
    world.boot(JULIUS, generation=50)
    world.run(12)
    assert caesar.view().nodes[JULIUS].status == "quarantined"
    holds = [action for action in said if isinstance(action, Hold)]
    assert holds[-1].keys == (KEY,)
    assert holds[-1].alone is False
    assert caesar.view().stable is False
    assert world.ask(caesar, "standby")[0] is False


@pytest.mark.parametrize(("node", "verb"), [(JULIUS, "standby"), (CAESAR, "takeover")])
def test_a_second_wish_waits_for_the_first(world, node, verb):
    julius, _ = world.both()
    julius.hanging = {("stop", UP[1])}
    julius.tell(Request(1, "standby", "all"))
    world.run(1)
    world.nodes[node].tell(Request(2, verb, "all"))
    world.run(1)
    ok, text = world.nodes[node].replies[2]
    assert not ok
    assert "under way" in text or "busy" in text


def test_a_promise_ends_when_the_giver_keeps_what_it_has(world):
    """It never heard the promise, and has given up asking."""
    julius, caesar = world.both()
    world.drop = lambda sender, message, medium: message.get("info") == "other"
    julius.tell(Request(1, "standby", "all"))
    world.run(11)
    assert julius.replies[1] == (False, "the other node did not answer in time")
    assert caesar.view().stable is False
    world.run(15)
    assert (julius.up, caesar.up) == (UP, [])
    assert julius.view().stable
    assert caesar.view().stable
    world.drop = None
    assert world.ask(julius, "standby") == (True, "caesar has taken over")


def test_what_the_node_that_prefers_it_did_not_take_is_left_to_it(world):
    """It may be starting it in this moment; here it is not taken back. (It does not hear that nobody has it.)"""
    caesar = world.boot(CAESAR, deadtime_ns=60 * SECOND)
    world.run(40)
    julius = world.boot(JULIUS, deadtime_ns=60 * SECOND)
    world.run(20)
    assert caesar.up == UP
    world.drop = lambda sender, message, medium: message.get("info") == "done" or message.type == "status"
    caesar.tell(Request(1, "standby", "all"))
    world.run(0.1)
    assert (julius.up, caesar.up) == ([], [])
    julius.cluster._standby._end(False, "forgotten")
    world.drop = lambda sender, message, medium: sender == CAESAR
    runs = len(caesar.runs)
    world.run(25)
    world.drop = None
    world.run(40)
    assert (julius.up, caesar.up) == (UP, [])
    assert caesar.runs[runs:] == []
    assert caesar.replies[1] == (False, "the other node did not take over")


def test_an_original_may_give_what_it_does_not_have(world):
    """It says nothing of its groups; its words are followed, and nothing is started twice."""
    julius = world.boot(JULIUS)
    world.run(40)
    assert julius.up == UP
    runs = list(julius.runs)
    said = {"src": CAESAR, "hg": "1f4", "ts": "5f3759df", "ttl": "3"}
    steps = [{"t": "status", "st": "active", "dt": "3a98"}]
    steps += [{"t": "ask_resources", "info": info, "rsc_hold": "all"} for info in ("me", "done")]
    for number, step in enumerate(steps, 1):
        fields = {**step, **said, "seq": f"{number:x}"}
        julius.tell(received(Message([(name, 0, text.encode()) for name, text in fields.items()])))
    assert julius.runs == runs
    assert julius.up == UP
    assert [message.get("info") for message in julius.sent if message.type == "ask_resources"] == ["other", "done"]


@pytest.mark.parametrize("alone", [False, True])
def test_what_fails_before_the_node_has_settled_is_tried_again(world, alone):
    """A group that a crashed run left, to which a reload adds a resource."""
    late = Resource("late", "late")
    after = {"groups": (Group(KEY, JULIUS, [*SEED_GROUP.resources, late]),)}
    if not alone:
        world.boot(CAESAR, **after)
        world.run(6)
        world.cut = {(CAESAR, JULIUS, "ttyS0"), (JULIUS, CAESAR, "ttyS0")}
    julius = world.boot(JULIUS, adopted=[KEY])
    julius.up = list(UP)
    julius.failing = {("start", "late")}
    julius.tell(Reload(settings(JULIUS, **after)))
    world.run(1)
    assert julius.view().groups[0].state == "failed"
    julius.failing = set()
    world.cut = set()
    world.run(120)
    assert sorted(word for node in world.nodes.values() for word in node.up) == sorted([*UP, "late"])


# --- several groups, of which one hangs

OTHER = Group("IPaddr::10.0.0.253", JULIUS, [Resource("IPaddr::10.0.0.253", "IPaddr", ["10.0.0.253"])])
TWO = {"groups": (SEED_GROUP, OTHER)}


@pytest.fixture
def hanging(world):
    """julius gives both to caesar; what is first to be stopped of one of them hangs."""
    julius, caesar = world.boot(JULIUS, **TWO), world.boot(CAESAR, **TWO)
    world.run(10)
    assert julius.up == [UP[0], OTHER.key, *UP[1:]]
    julius.hanging = {("stop", UP[1])}
    julius.tell(Request(1, "standby", "all"))
    world.run(0.5)
    assert (julius.up, caesar.up) == (UP[:2], [OTHER.key])
    return julius, caesar


def end_of_the_hanging(node, *, up=False):
    """It was slow, and is down, or up."""
    node.hanging = set()
    while node.hung:
        run, action = node.hung.popitem()
        for resource in action.resources:
            (node.up.append if up else node.up.remove)(resource.word)
        node.tell(AgentExited(run, 0, ""))


def test_a_group_that_is_down_does_not_wait_for_one_that_hangs(world, hanging):
    julius, caesar = hanging
    assert 1 not in julius.replies
    assert julius.holding == (KEY,)
    assert caesar.holding == (OTHER.key,)
    world.run(5)
    end_of_the_hanging(julius)
    world.run(5)
    assert caesar.up == [OTHER.key, *UP]
    assert julius.replies[1] == (True, "caesar has taken over")
    assert julius.view().stable
    assert caesar.view().stable


def test_the_taker_dies_with_what_it_has_taken_early(world, hanging):
    julius, _ = hanging
    world.kill(CAESAR)
    world.run(5)
    end_of_the_hanging(julius)
    world.run(60)
    assert sorted(julius.up) == sorted([*UP, OTHER.key])
    assert julius.view().stable


def test_the_giver_dies_and_the_rest_is_taken(world, hanging):
    _, caesar = hanging
    world.kill(JULIUS)
    world.run(60)
    assert sorted(caesar.up) == sorted([*UP, OTHER.key])
    assert caesar.runs.count(("start", OTHER.key)) == 1
    assert caesar.view().stable


def test_the_taker_restarts_and_what_was_not_given_stays(world, hanging):
    julius, _ = hanging
    world.kill(CAESAR)
    caesar = world.boot(CAESAR, adopted=[OTHER.key], **TWO)
    caesar.up = [OTHER.key]
    world.run(5)
    end_of_the_hanging(julius)
    world.run(90)
    assert (sorted(julius.up), caesar.up) == (sorted(UP), [OTHER.key])
    assert julius.view().stable
    assert caesar.view().stable


def test_a_status_from_before_the_offer_is_no_release(world):
    """It comes late, when the group that it does not claim yet has been offered. That it is claimed was lost."""
    julius, caesar = world.both()
    added = Group("service", JULIUS, [Resource("service", "service", [])])
    late = []
    for node in (caesar, julius):
        node.tell(Reload(settings(node.name, groups=(SEED_GROUP, added))))
    world.drop = lambda sender, message, medium: (
        sender == JULIUS and message.type == "status" and not late.append(message)
    )
    julius.cluster._membership.beat(world.now)
    for action in julius.outbox.take():
        world.carry(julius, action.message)
    assert julius.claims() == [KEY]
    while added.key not in julius.up:
        world.run(0.1)
    julius.hanging = {("stop", added.key)}
    number = world.ask_later(julius, "standby")
    world.run(0.5)
    assert number not in julius.replies
    caesar.tell(received(late[0]))
    world.run(0.1)
    assert added.key not in caesar.up
    world.drop = None
    end_of_the_hanging(julius)
    world.run(60)
    assert (julius.up, sorted(caesar.up)) == ([], sorted([*UP, added.key]))


def test_a_status_from_before_it_has_taken_over_is_no_release(world):
    """The taker's statuses come late, from when it had not heard yet that all is released."""
    julius, caesar = world.both()
    late = []

    def drop(sender, message, medium):
        if sender == CAESAR and message.type == "status":
            late.append(message)
            return True
        return sender == JULIUS and (message.type == "status" or message.get("info") == "done") and caesar.up == []

    julius.tell(Request(1, "standby", "all"))
    world.run(0.0005)
    world.drop = drop
    for _ in range(4):
        world.run(1)
        caesar.cluster._membership.beat(world.now)
        for action in caesar.outbox.take():
            world.carry(caesar, action.message)
    waited = list(late)
    assert len(waited) >= 4
    assert (julius.up, caesar.up) == ([], [])
    world.drop = lambda sender, message, medium: sender == CAESAR and message.type == "status"
    world.run(6)
    assert caesar.up == UP
    assert julius.replies[1][0]
    for message in waited:
        julius.tell(received(message))
        world.run(0.5)
    assert (julius.up, caesar.up) == ([], UP)
    world.drop = None
    world.run(20)
    assert (julius.up, caesar.up) == ([], UP)


@pytest.mark.parametrize("lost", [False, True])
def test_the_word_that_all_is_released_may_be_lost_for_ever(world, lost):
    """Its giver's statuses say it too."""
    julius, caesar = world.both()
    world.drop = lambda sender, message, medium: (
        message.get("info") == "done" or (lost and sender == CAESAR and message.type == "status")
    )
    julius.tell(Request(1, "standby", "all"))
    world.run(1)
    assert (julius.up, caesar.up) == ([], UP)
    world.run(13)
    world.drop = None
    world.run(20)
    assert julius.replies[1][0]
    assert (julius.up, caesar.up) == ([], UP)
    assert julius.view().stable
    assert caesar.view().stable


def test_a_word_that_comes_late_ends_no_other_hand_over(world):
    """julius has released, and that word comes when caesar gives the groups back."""
    julius, caesar = world.both()
    late = []
    world.drop = lambda sender, message, medium: (
        sender == JULIUS and message.get("info") == "done" and not late.append(message)
    )
    assert world.ask(julius, "standby")[0]
    assert caesar.up == UP
    julius.hanging = {("start", UP[1])}
    number = world.ask_later(caesar, "standby")
    world.run(1)
    assert (julius.up, caesar.up) == (UP[:1], [])
    caesar.tell(received(late[0]))
    world.run(5)
    assert number not in caesar.replies
    end_of_the_hanging(julius, up=True)
    world.drop = None
    world.run(5)
    assert caesar.replies[number][0]


def test_what_a_leaving_node_has_stopped_does_not_wait_for_what_hangs(world):
    julius, caesar = world.boot(JULIUS, **TWO), world.boot(CAESAR, **TWO)
    world.run(10)
    julius.hanging = {("stop", UP[1])}
    julius.tell(Request(1, "stop"))
    world.run(0.5)
    assert (julius.up, caesar.up) == (UP[:2], [OTHER.key])
    assert not julius.stopped
    end_of_the_hanging(julius)
    world.run(5)
    assert julius.stopped
    assert sorted(caesar.up) == sorted([*UP, OTHER.key])
    assert caesar.view().nodes[JULIUS].status == "dead"


def test_a_group_that_a_reload_removes_while_it_is_offered_is_not_started_before_it_is_down(world):
    """The giver's statuses do not tell of it any more."""
    julius, caesar = world.boot(JULIUS, **TWO), world.boot(CAESAR, **TWO)
    world.run(10)
    julius.hanging = {("stop", OTHER.key)}
    julius.tell(Request(1, "standby", "all"))
    julius.tell(Reload(settings(JULIUS)))
    world.run(5)
    assert OTHER.key in julius.up
    assert OTHER.key not in caesar.up
    end_of_the_hanging(julius)
    world.run(20)
    assert julius.up == []
    assert set(UP) < set(caesar.up)


def test_what_is_offered_and_unknown_to_the_taker_is_waited_for(world):
    """It hangs. What the taker knows of is up for long, and the giver has not yet released all."""
    julius, caesar = world.boot(JULIUS, **TWO), world.boot(CAESAR)
    world.run(10)
    assert OTHER.key in julius.up
    julius.hanging = {("stop", OTHER.key)}
    julius.tell(Request(1, "standby", "all"))
    world.run(25)
    assert caesar.up == UP
    assert caesar.view().stable is False
    end_of_the_hanging(julius)
    world.run(1)
    assert julius.replies[1] == (True, "caesar has taken over")
    assert caesar.view().stable


def test_what_the_taker_does_not_know_stays_here_though_nobody_says_that_all_is_taken(world):
    """The giver is no longer heard from when it has been promised the take-over, so the taker finds it dead, takes all
    that it knows of, and has nothing to say when it hears it again."""
    julius, caesar = world.boot(JULIUS, **TWO), world.boot(CAESAR)
    world.run(10)
    promised = []

    def drop(sender, message, medium):
        if sender == CAESAR and message.get("info") == "other":
            promised.append(message)
            world.cut.add((JULIUS, CAESAR, "ttyS0"))
        return False

    world.drop = drop
    julius.tell(Request(1, "standby", "all"))
    world.run(40)
    assert promised
    assert (julius.holding, caesar.up) == ((), UP)
    world.cut.clear()
    world.run(20)
    assert julius.replies[1][0] is False
    assert (julius.up, caesar.up) == ([OTHER.key], UP)
    assert (julius.view().stable, caesar.view().stable) == (True, True)


def test_a_leaving_node_lets_go_of_what_the_other_has_taken(world):
    """It was cut off while a script of its hangs in the stop, and is heard again."""
    julius, caesar = world.both()
    julius.hanging = {("stop", UP[0])}
    julius.tell(Request(1, "stop"))
    world.cut = {(JULIUS, CAESAR, "ttyS0"), (CAESAR, JULIUS, "ttyS0")}
    world.run(20)
    assert (julius.holding, caesar.holding) == ((KEY,), (KEY,))
    world.cut = set()
    world.run(7)
    assert (julius.holding, caesar.holding) == ((), (KEY,))
    assert not julius.stopped


def test_a_hand_over_ends_when_its_taker_is_quarantined(world):
    """It has restarted, with files that were set back, and never took over. When it is accepted it takes what nobody
    has; the giver does not, too."""
    julius, _ = world.both()
    world.drop = lambda sender, message, medium: message.get("info") == "done" or message.type == "status"
    julius.tell(Request(1, "standby", "all"))
    world.run(0.1)
    world.kill(CAESAR)
    world.drop = None
    caesar = world.boot(CAESAR, generation=50)
    world.run(40)
    assert julius.view().nodes[CAESAR].status == "quarantined"
    assert julius.replies[1][0] is False
    assert world.ask(julius, "accept", CAESAR)[0]
    for _ in range(3000):
        world.run(0.01)
        assert not (julius.up and caesar.up)
    assert [node.name for node in (julius, caesar) if node.up] == [JULIUS] or caesar.up == UP
    assert julius.view().stable
    assert caesar.view().stable


def test_what_still_starts_on_one_goes_where_it_is_up(world):
    """Each file prefers its own node, and of these it would be the first one's; where it hangs, though."""
    own = {node: Group(KEY, node, SEED_GROUP.resources) for node in (JULIUS, CAESAR)}
    julius = world.boot(JULIUS, groups=(own[JULIUS],))
    world.run(60)
    caesar = world.boot(CAESAR, groups=(own[CAESAR],))
    world.run(20)
    assert (julius.up, caesar.up) == (UP, [])
    world.drop = lambda sender, message, medium: True
    caesar.hanging = {("start", UP[1])}
    world.run(20)
    assert (julius.up, caesar.up) == (UP, UP[:1])
    world.drop = None
    world.run(15)
    assert (julius.claims(), caesar.claims()) == ([KEY], [])
    end_of_the_hanging(caesar)
    world.run(10)
    assert (julius.up, caesar.up) == (UP, [])
