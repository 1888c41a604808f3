"""What a pair does, on the real core and the real frames, with a clock that only the test moves."""

import itertools

import pytest
from pair import AUTH, CAESAR, JULIUS, SEED_GROUP, MediumDown, MediumUp, Reload, World, settings

from _hbfast.codec import Message, encode
from heartbeat.core.events import Request
from heartbeat.core.settings import FAILBACK_ON, MILLISECOND, SECOND, Group, Resource

FIRST, SECOND_ADDRESS, MAIL = (resource.word for resource in SEED_GROUP.resources)
GROUP_UP = [FIRST, SECOND_ADDRESS, MAIL]


def resource(word: str, **values) -> Resource:
    return Resource(word, word, **values)


def group(key: str, preferred: str = JULIUS, *more: str) -> Group:
    return Group(key, preferred, [resource(word) for word in (key, *more)])


@pytest.fixture
def world() -> World:
    return World()


def held(*nodes) -> list[list[str]]:
    return [node.up for node in nodes]


# --- boot


def test_both_boot_and_the_preferred_node_takes_the_group(world):
    julius, caesar = world.both()
    assert held(julius, caesar) == [GROUP_UP, []]
    assert julius.view().stable
    assert caesar.view().stable
    assert (julius.view().holds, caesar.view().holds) == ("local", "none")
    assert [group.holder for group in caesar.view().groups] == [JULIUS]


def test_both_settle_within_two_keepalives_of_hearing_each_other(world):
    julius = world.boot(JULIUS)
    world.run(3)
    caesar = world.boot(CAESAR)
    world.run(2 * 5)
    assert julius.view().stable
    assert caesar.view().stable
    assert held(julius, caesar) == [GROUP_UP, []]


def test_a_node_alone_waits_for_initdead_and_not_longer(world):
    caesar = world.boot(CAESAR)
    world.run(29.9)
    assert caesar.up == []
    world.run(0.2)
    assert caesar.up == GROUP_UP
    assert caesar.view().holds == "foreign"


def test_nothing_moves_when_the_other_node_appears_later(world):
    caesar = world.boot(CAESAR)
    world.run(40)
    runs = list(caesar.runs)
    julius = world.boot(JULIUS)
    world.run(30)
    assert held(julius, caesar) == [[], GROUP_UP]
    assert caesar.runs == runs
    assert julius.view().stable


def test_leftovers_of_a_dead_run_are_stopped_before_anything_is_claimed(world):
    julius = world.boot(JULIUS, leftovers=[SEED_GROUP.key])
    world.run(1)
    assert julius.runs == [("stop", SECOND_ADDRESS), ("stop", FIRST)]  # and nobody is mailed
    world.run(31)
    assert julius.up == GROUP_UP


@pytest.mark.parametrize("delay_ms", [1, 800])
@pytest.mark.parametrize("lead_s", [-7, -5, -2, -0.3, -0.001, 0, 0.001, 0.3, 2, 5, 7])
def test_where_each_file_prefers_its_own_node_one_of_them_chooses(world, lead_s, delay_ms):
    """Whoever starts first, and however slow the line: the first by name takes what prefers it, the other the rest."""
    world.delay_ns = delay_ms * MILLISECOND
    files = {
        JULIUS: {"groups": (group("a"), group("b"), group("c", CAESAR)), "resources_digest": "11111111"},
        CAESAR: {"groups": (group("a", CAESAR), group("b"), group("c", CAESAR)), "resources_digest": "22222222"},
    }
    first, second = (JULIUS, CAESAR) if lead_s > 0 else (CAESAR, JULIUS)
    world.boot(first, **files[first])
    world.run(abs(lead_s))
    world.boot(second, **files[second])
    julius, caesar = world.nodes[JULIUS], world.nodes[CAESAR]
    for _ in range(3000):
        world.run(0.01)
        assert not set(julius.up) & set(caesar.up)
        assert not set(julius.holding) & set(caesar.holding)
    assert held(julius, caesar) == [["b"], ["a", "c"]]
    assert julius.view().stable
    assert caesar.view().stable


# --- death


@pytest.mark.parametrize("holder", [JULIUS, CAESAR])
def test_power_failure_of_the_holder(world, holder):
    julius, _ = world.both()
    other = CAESAR if holder == JULIUS else JULIUS
    if holder == CAESAR:
        assert world.ask(julius, "standby")[0]
        world.run(2)
    survivor = world.nodes[other]
    before = world.now
    world.kill(holder)
    world.run(9.9)
    assert survivor.up == []
    world.run(5.2)
    assert survivor.up == GROUP_UP
    failover = survivor.view().last_failover
    assert failover["peer"] == holder
    assert failover["declared_dead_ns"] - failover["last_heard_ns"] == 15 * SECOND
    assert failover["last_heard_ns"] <= before + 2_000_000
    assert failover["completed_ns"] == failover["declared_dead_ns"]
    assert survivor.view().nodes[holder].status == "dead"


def test_the_death_time_is_what_the_peer_announced(world):
    julius = world.boot(JULIUS, deadtime_ns=20 * SECOND)
    caesar = world.boot(CAESAR)
    world.run(12)
    world.kill(JULIUS)
    world.run(17)
    assert caesar.view().last_failover is None
    world.run(2)
    failover = caesar.view().last_failover
    assert failover["declared_dead_ns"] - failover["last_heard_ns"] == 20 * SECOND
    assert julius.cluster.settings.deadtime_ns == 20 * SECOND


@pytest.mark.parametrize(
    ("dt", "seconds"),
    [
        (b"%x" % 185_000, 185),  # ten of its own and 35 s
        (b"%x" % 184_999, 184.999),
        (b"%x" % 185_001, 185),
        (b"7fffffff", 185),
        (b"f" * 300, 185),
        (b"%x" % 1500, 1.5),  # a tenth
        (b"%x" % 1501, 1.501),
        (b"%x" % 1499, 1.5),
        (b"1", 1.5),
        (b"0", 15),
        (b"", 15),
        (b"soon", 15),
        (b"-3a98", 15),
        (b"9.5", 15),
        (b"3a98 3a98", 15),
        (None, 15),
    ],
)
def test_a_death_time_is_believed_within_reason(world, dt, seconds):
    """Neither nothing nor years; where it can't be read, it is this node's own."""
    julius, caesar = world.both()
    world.run(6)
    last = julius.sent[-1]
    assert last.type == "status"
    world.kill(JULIUS)
    fields = {"seq": b"%x" % (last.sequence + 1), "dt": dt}
    items = [(name, digit, fields.get(name, value)) for name, digit, value in last.items()]
    message = Message([item for item in items if item[2] is not None])
    world.deliver(caesar, "ttyS0", encode(message, AUTH, "netstring"))
    heard = world.now
    world.run(seconds - 0.0005)
    assert caesar.view().nodes[JULIUS].status == "active"
    world.run(0.0005)
    assert caesar.view().nodes[JULIUS].status == "dead"
    failover = caesar.view().last_failover
    assert (failover["last_heard_ns"], failover["declared_dead_ns"] - heard) == (heard, round(seconds * SECOND))


def test_the_returning_node_gets_nothing_with_auto_failback_off(world):
    world.both()
    world.kill(JULIUS)
    world.run(20)
    caesar = world.nodes[CAESAR]
    runs = list(caesar.runs)
    julius = world.boot(JULIUS)
    world.run(40)
    assert held(julius, caesar) == [[], GROUP_UP]
    assert caesar.runs == runs


@pytest.mark.parametrize("delay", [0, 7])
def test_the_returning_node_gets_its_own_with_auto_failback_on(world, delay):
    changes = {"auto_failback": FAILBACK_ON, "failback_delay_ns": delay * SECOND}
    world.boot(JULIUS, **changes)
    caesar = world.boot(CAESAR, **changes)
    world.run(10)
    world.kill(JULIUS)
    world.run(20)
    assert caesar.up == GROUP_UP
    julius = world.boot(JULIUS, **changes)
    world.run(delay - 0.1 if delay else 0)
    assert julius.up == []
    world.run(10)
    assert held(julius, caesar) == [GROUP_UP, []]


def test_after_a_manual_standby_auto_failback_leaves_it_there(world):
    julius, caesar = world.boot(JULIUS, auto_failback=FAILBACK_ON), world.boot(CAESAR, auto_failback=FAILBACK_ON)
    world.run(10)
    assert world.ask(julius, "standby") == (True, "caesar has taken over")
    world.run(60)
    assert held(julius, caesar) == [[], GROUP_UP]


def test_a_crash_and_restart_within_deadtime_moves_nothing_to_the_peer(world):
    _, caesar = world.both()
    world.kill(JULIUS)
    world.run(2)
    julius = world.boot(JULIUS, leftovers=[SEED_GROUP.key])
    world.run(20)
    assert held(julius, caesar) == [GROUP_UP, []]
    assert caesar.runs == []
    assert any("restart on node julius" in note for note in caesar.notes)


def test_a_late_heartbeat_is_logged_with_its_interval(world):
    julius, caesar = world.boot(JULIUS), world.boot(CAESAR, warntime_ns=7 * SECOND)
    world.run(12)
    dropped = []
    world.drop = lambda sender, message, medium: sender == JULIUS and not dropped and not dropped.append(1)
    world.run(15)
    assert [note for note in caesar.notes if "late" in note] == ["late heartbeat from julius: interval 10000 ms"]
    assert held(julius, caesar) == [GROUP_UP, []]


# --- links


def test_a_cut_cable_moves_nothing_while_another_medium_works(world):
    media = {"media": ("ttyS0", "eth0")}
    julius, caesar = world.boot(JULIUS, **media), world.boot(CAESAR, **media)
    world.run(10)
    world.cut = {(JULIUS, CAESAR, "ttyS0"), (CAESAR, JULIUS, "ttyS0")}
    world.run(60)
    assert held(julius, caesar) == [GROUP_UP, []]
    assert caesar.runs == []
    assert caesar.view().nodes[JULIUS].links == {"ttyS0": "dead", "eth0": "up"}
    world.cut = set()
    world.run(11)
    assert caesar.view().nodes[JULIUS].links == {"ttyS0": "up", "eth0": "up"}


def test_a_medium_that_dies_takes_its_links_down_at_once(world):
    julius, _ = world.both()
    julius.tell(MediumDown("ttyS0", "unplugged"))
    assert julius.view().nodes[CAESAR].links == {"ttyS0": "dead"}
    assert any("no working medium" in note for note in julius.notes)


def test_a_healed_partition_leaves_one_holder(world):
    julius, caesar = world.both()
    world.cut = {(JULIUS, CAESAR, "ttyS0"), (CAESAR, JULIUS, "ttyS0")}
    world.run(60)
    assert held(julius, caesar) == [GROUP_UP, GROUP_UP]
    world.cut = set()
    world.run(15)
    assert held(julius, caesar) == [GROUP_UP, []]
    assert ("announce", FIRST) in julius.runs
    assert julius.view().stable
    assert caesar.view().stable


def test_a_line_that_carries_one_way_ends_with_one_holder(world):
    """caesar no longer hears julius and takes over; julius hears that, and lets go."""
    julius, caesar = world.both()
    world.cut = {(JULIUS, CAESAR, "ttyS0")}
    world.run(60)
    assert held(julius, caesar) == [[], GROUP_UP]


# --- the operator


@pytest.mark.parametrize("holder", [JULIUS, CAESAR])
@pytest.mark.parametrize("verb", ["standby", "takeover"])
def test_standby_on_the_holder_and_takeover_on_the_other_move_the_group(world, holder, verb):
    julius, caesar = world.both()
    if holder == CAESAR:
        world.ask(julius, "standby")
        world.run(2)
    here, there = (julius, caesar) if holder == JULIUS else (caesar, julius)
    ok, _ = world.ask(here if verb == "standby" else there, verb)
    assert ok
    assert held(here, there) == [[], GROUP_UP]
    assert here.runs[-3:] == [("stop", MAIL), ("stop", SECOND_ADDRESS), ("stop", FIRST)]
    world.run(2)
    ok, _ = world.ask(there, "standby")
    assert ok
    assert held(here, there) == [GROUP_UP, []]


@pytest.mark.parametrize("verb", ["standby", "takeover"])
def test_the_other_two_change_nothing(world, verb):
    julius, caesar = world.both()
    ok, text = world.ask(caesar if verb == "standby" else julius, verb)
    assert ok
    assert "already" in text
    assert held(julius, caesar) == [GROUP_UP, []]


@pytest.mark.parametrize(
    ("argument", "moved"),
    [("all", ["a", "b"]), ("local", ["a"]), ("foreign", []), ("failback", []), ("nonsense", None)],
)
def test_standby_of_a_set(world, argument, moved):
    groups = {"groups": (group("a"), group("b", CAESAR))}
    julius, caesar = world.boot(JULIUS, **groups), world.boot(CAESAR, **groups)
    world.run(10)
    assert held(julius, caesar) == [["a"], ["b"]]
    ok, _ = world.ask(julius, "standby", argument)
    assert ok == (moved is not None)
    expected = [["b", "a"], []] if moved and "a" in moved else [["b"], ["a"]]
    assert held(caesar, julius) == expected


def test_active_active_takeover_and_failback_words(world):
    groups = {"groups": (group("a"), group("b", CAESAR))}
    julius, caesar = world.boot(JULIUS, **groups), world.boot(CAESAR, **groups)
    world.run(10)
    assert world.ask(julius, "takeover", "foreign")[0]
    assert held(julius, caesar) == [["a", "b"], []]
    assert julius.view().holds == "all"
    world.run(2)
    assert world.ask(julius, "standby", "failback")[0]
    assert held(julius, caesar) == [["a"], ["b"]]


@pytest.mark.parametrize("verb", ["standby", "takeover"])
def test_when_both_are_stable_a_hand_over_is_accepted(world, verb):
    """From the first instant on, also over a slow line."""
    world.delay_ns = 200 * MILLISECOND
    julius, _ = world.both()
    world.kill(CAESAR)
    world.run(20)
    assert julius.view().stable
    caesar = world.boot(CAESAR)
    while not (julius.view().stable and caesar.view().stable and julius.view().nodes[CAESAR].status != "dead"):
        world.run(0.001)
    assert world.ask(julius if verb == "standby" else caesar, verb)[0]
    assert held(julius, caesar) == [[], GROUP_UP]


def test_a_hand_over_without_a_peer_is_refused(world):
    julius = world.boot(JULIUS)
    world.run(40)
    ok, text = world.ask(julius, "standby")
    assert not ok
    assert "other node" in text
    assert julius.up == GROUP_UP


@pytest.mark.parametrize("word", [FIRST, SECOND_ADDRESS])
@pytest.mark.parametrize("here", [True, False], ids=["giver", "taker"])
def test_what_is_just_being_moved_is_not_there_already(world, here, word):
    """The giver has it until all is down, and then nobody: whoever asks for the way back is told that it moves."""
    julius, caesar = world.both()
    julius.slow_ns = caesar.slow_ns = {word: 5 * SECOND}
    julius.tell(Request(1, "standby", "all"))
    asked = iter(range(2, 100))
    node, verb = (julius, "takeover") if here else (caesar, "standby")
    while 1 not in julius.replies:
        number = next(asked)
        node.tell(Request(number, verb, "all"))
        if 1 not in julius.replies and node.cluster._standby.state:
            ok, text = node.replies[number]
            assert not ok
            assert "a move is under way" in text
        world.run(0.3)
    assert next(asked) > 10
    assert julius.replies[1] == (True, "caesar has taken over")
    assert held(julius, caesar) == [[], GROUP_UP]


def test_both_operators_at_once_end_with_one_holder(world):
    groups = {"groups": (group("a"), group("b", CAESAR))}
    julius, caesar = world.boot(JULIUS, **groups), world.boot(CAESAR, **groups)
    world.run(10)
    julius.tell(Request(1, "standby", "all"))
    caesar.tell(Request(1, "standby", "all"))
    world.run(20)
    assert sorted(julius.up + caesar.up) == ["a", "b"]
    assert julius.replies[1][0] != caesar.replies[1][0]
    assert julius.view().stable
    assert caesar.view().stable


@pytest.mark.parametrize("slow_ms", [0, 20, 2000])
@pytest.mark.parametrize("lead_ms", [-30, -3, -2, -1, 0, 1, 2, 3, 4, 30])
def test_standby_here_and_takeover_there_at_once_want_the_same(world, lead_ms, slow_ms):
    """In whatever order their messages cross, and however long the agents take."""
    julius, caesar = world.both()
    for node in (julius, caesar):
        node.slow_ns = dict.fromkeys((FIRST, SECOND_ADDRESS), slow_ms * MILLISECOND)
    requests = [(julius, "standby"), (caesar, "takeover")]
    first, second = requests if lead_ms >= 0 else reversed(requests)
    first[0].tell(Request(1, first[1], "all"))
    world.run(abs(lead_ms) / 1000)
    second[0].tell(Request(1, second[1], "all"))
    world.run(20)
    assert held(julius, caesar) == [[], GROUP_UP]
    assert julius.view().stable
    assert caesar.view().stable
    replies = [julius.replies[1], caesar.replies[1]]
    assert any(ok for ok, _ in replies)
    assert all(ok or "a move is under way" in text for ok, text in replies)


def test_a_promise_is_kept_while_statuses_from_before_it_arrive(world):
    """On a line so slow that several are under way when the promise is given."""
    world.delay_ns = 2 * SECOND
    media = {"media": ("ttyS0", "eth0")}
    julius, caesar = world.boot(JULIUS, **media), world.boot(CAESAR, **media)
    world.run(30)
    julius.tell(Request(1, "standby", "all"))
    for _ in range(6):
        julius.tell(MediumDown("eth0", "a loose contact"))
        julius.tell(MediumUp("eth0"))  # which is worth a status
        world.run(0.65)
    world.run(10)
    assert held(julius, caesar) == [[], GROUP_UP]
    assert julius.replies[1] == (True, "caesar has taken over")


@pytest.mark.parametrize("phase_ms", range(0, 5000, 250))
def test_what_nobody_took_comes_back_on_one_node_alone(world, phase_ms):
    """Both see that nobody has the group, in whatever order: who gave it up, and the node that it prefers."""
    world.delay_ns = 2 * SECOND
    caesar = world.boot(CAESAR)
    world.run(40 + phase_ms / 1000)
    julius = world.boot(JULIUS)
    world.run(30)
    assert held(julius, caesar) == [[], GROUP_UP]
    world.drop = lambda sender, message, medium: message.get("info") == "done"
    caesar.tell(Request(1, "standby", "all"))
    world.run(5)
    julius.cluster._standby._end(False, "forgotten")
    world.drop = None
    for _ in range(600):
        world.run(0.1)
        assert not (julius.up and caesar.up)
    assert held(julius, caesar) == [GROUP_UP, []]
    assert julius.view().stable
    assert caesar.view().stable


def test_what_was_handed_over_and_not_taken_is_taken_back(world):
    """The other has forgotten its promise, for whatever reason."""
    julius, caesar = world.both()
    world.drop = lambda sender, message, medium: message.get("info") == "done" or message.type == "status"
    julius.tell(Request(1, "standby", "all"))
    world.run(0.1)
    assert held(julius, caesar) == [[], []]
    caesar.cluster._standby._end(False, "forgotten")
    world.drop = None
    world.run(25)
    assert held(julius, caesar) == [GROUP_UP, []]
    assert julius.replies[1] == (False, "the other node did not take over")
    assert julius.view().stable
    assert caesar.view().stable


def test_a_second_request_is_not_left_without_an_answer(world):
    """hb_takeover waits for the other node, and in the meantime hb_standby begins."""
    groups = {"groups": (group("a"), group("b", CAESAR))}
    julius, caesar = world.boot(JULIUS, **groups), world.boot(CAESAR, **groups)
    world.run(10)
    julius.tell(Request(1, "takeover", "foreign"))
    julius.tell(Request(2, "standby", "local"))
    world.run(20)
    assert set(julius.replies) == {1, 2}
    assert sorted(julius.up + caesar.up) == ["a", "b"]
    assert julius.view().stable
    assert caesar.view().stable


def test_the_peer_dies_after_the_release_and_before_it_acquires(world):
    julius, caesar = world.both()
    caesar.hanging.add(("start", FIRST))
    julius.tell(Request(1, "standby", "all"))
    world.run(3)
    assert julius.up == []
    world.kill(CAESAR)
    world.run(20)
    assert julius.up == GROUP_UP
    assert julius.replies[1][0] is False


def test_the_giver_dies_while_it_releases(world):
    julius, caesar = world.both()
    julius.hanging.add(("stop", SECOND_ADDRESS))
    julius.tell(Request(1, "standby", "all"))
    world.run(3)
    world.kill(JULIUS)
    world.run(20)
    assert caesar.up == GROUP_UP
    assert caesar.view().stable


@pytest.mark.parametrize("lost", range(1, 12))
def test_a_hand_over_survives_the_loss_of_any_one_message(world, lost):
    julius, caesar = world.both()
    counter = itertools.count(1)
    world.drop = lambda sender, message, medium: next(counter) == lost
    julius.tell(Request(1, "standby", "all"))
    world.run(40)
    assert held(julius, caesar) == [[], GROUP_UP]
    assert julius.replies[1][0]
    assert caesar.view().stable


# --- stopping


def test_a_clean_stop_hands_over_without_waiting_for_deadtime(world):
    julius, caesar = world.both()
    julius.tell(Request(1, "stop"))
    world.run(0.1)
    assert held(julius, caesar) == [[], GROUP_UP]
    assert caesar.view().nodes[JULIUS].status == "dead"
    world.run(5)
    assert julius.stopped
    world.run(60)
    assert caesar.up == GROUP_UP
    assert not any("partition" in note for note in caesar.notes)


def test_the_stop_of_the_last_node_is_immediate(world):
    julius = world.boot(JULIUS)
    world.run(40)
    julius.tell(Request(1, "stop"))
    assert julius.stopped
    assert julius.up == []


def test_a_stop_before_the_start_has_ended(world):
    julius = world.boot(JULIUS)
    world.run(1)
    julius.tell(Request(1, "stop"))
    world.run(3)
    assert julius.stopped


def test_a_stop_whose_last_word_is_lost_is_repeated_on_request(world):
    julius, caesar = world.both()
    world.drop = lambda sender, message, medium: message.type == "shutdone" and world.now < 1_011 * SECOND
    julius.tell(Request(1, "stop"))
    world.run(20)
    assert caesar.up == GROUP_UP  # by deadtime at the latest


# --- groups that fail


def test_a_start_that_fails_is_released_and_handed_to_the_peer(world):
    julius, caesar = world.boot(JULIUS), world.boot(CAESAR)
    julius.failing.add(("start", SECOND_ADDRESS))
    world.run(12)
    assert held(julius, caesar) == [[], GROUP_UP]
    assert ("start", MAIL) not in julius.runs
    assert julius.view().stable
    assert caesar.view().holds == "foreign"


def test_when_both_fail_it_is_tried_again_with_back_off(world):
    julius, caesar = world.boot(JULIUS), world.boot(CAESAR)
    julius.failing.add(("start", FIRST))
    caesar.failing.add(("start", FIRST))
    world.run(300)
    starts = [node.runs.count(("start", FIRST)) for node in (julius, caesar)]
    assert 4 <= sum(starts) <= 16
    assert held(julius, caesar) == [[], []]
    caesar.failing.clear()
    julius.failing.clear()
    world.run(700)
    assert sorted(map(len, held(julius, caesar))) == [0, 3]


def test_a_failed_group_whose_hand_over_is_not_answered_is_tried_again(world):
    julius, caesar = world.boot(JULIUS), world.boot(CAESAR)
    julius.failing.add(("start", FIRST))
    world.drop = lambda sender, message, medium: message.type == "ask_resources"
    world.run(13)
    julius.failing.clear()
    world.run(30)
    assert held(julius, caesar) == [GROUP_UP, []]


def test_alone_a_failed_group_is_tried_again(world):
    julius = world.boot(JULIUS)
    julius.failing.add(("start", SECOND_ADDRESS))
    world.run(31)
    assert julius.up == []
    assert [group.state for group in julius.view().groups] == ["failed"]
    assert not julius.view().stable
    julius.failing.clear()
    world.run(6)
    assert julius.up == GROUP_UP


def test_a_start_that_hangs_is_killed_at_its_time_out_and_the_group_goes_to_the_peer(world):
    julius, caesar = world.boot(JULIUS), world.boot(CAESAR)
    julius.hanging.add(("start", SECOND_ADDRESS))
    world.run(60)
    assert julius.hung
    world.run(1)
    assert held(julius, caesar) == [[], GROUP_UP]


def test_a_stop_that_fails_or_hangs_does_not_stop_the_release(world):
    julius, caesar = world.both()
    julius.failing.add(("stop", SECOND_ADDRESS))
    julius.hanging.add(("stop", FIRST))
    assert world.ask(julius, "standby", within=60)[0]
    assert caesar.up == GROUP_UP
    assert any("the release goes on" in note for note in julius.notes)
    assert julius.rebooted is None


def test_on_stop_failure_reboot(world):
    julius, _ = world.boot(JULIUS, reboot_on_stop_failure=True), world.boot(CAESAR)
    world.run(10)
    julius.failing.add(("stop", SECOND_ADDRESS))
    julius.tell(Request(1, "standby", "all"))
    world.run(5)
    assert SECOND_ADDRESS in julius.rebooted


def test_a_stop_during_a_hanging_start_ends_within_its_grace(world):
    julius = world.boot(JULIUS)
    julius.hanging.add(("start", SECOND_ADDRESS))
    world.run(31)
    julius.tell(Request(1, "stop"))
    world.run(4.9)
    assert not julius.stopped
    world.run(0.2)
    assert julius.stopped
    assert julius.up == []


# --- reload


def lines(*texts: str) -> dict:
    """Of haresources: "julius a b"."""
    return {"groups": tuple(group(words[1], words[0], *words[2:]) for words in map(str.split, texts))}


@pytest.mark.parametrize("alone", [False, True])
@pytest.mark.parametrize(
    ("before", "after"),
    [
        (["julius a", "julius b"], ["julius a b"]),
        (["julius a b c"], ["julius a", "julius b c"]),
        (["julius a b c"], ["julius b", "julius c a"]),
        (["julius a b"], ["caesar b a"]),
        (["julius a b", "julius c d"], ["julius d", "julius a c", "julius b"]),
    ],
)
def test_resources_that_move_between_the_lines_of_one_node_are_not_touched(world, before, after, alone):
    julius, caesar = world.boot(JULIUS, **lines(*before)), world.boot(CAESAR, **lines(*before))
    world.run(10)
    if alone:
        world.kill(CAESAR)
        world.run(30)
    runs = len(julius.runs)
    for node in (julius, caesar):
        node.tell(Reload(settings(node.name, **lines(*after), resources_digest="11111111")))
        world.run(7)
    world.run(60)
    assert julius.runs[runs:] == []
    assert caesar.up == []
    assert julius.view().stable
    assert {machine.key: machine.holder for machine in julius.view().groups} == {
        line.split()[1]: JULIUS for line in after
    }


def test_a_new_line_waits_until_the_removed_one_is_down(world):
    """Its address is still being stopped as part of the old."""
    julius = world.boot(JULIUS, **lines("julius a b c"))
    world.run(31)
    julius.slow_ns = dict.fromkeys("abc", 3 * SECOND)
    julius.tell(Reload(settings(JULIUS, **lines("julius d"))))
    world.run(1)
    julius.tell(Reload(settings(JULIUS, **lines("julius d", "julius a"))))
    world.run(30)
    assert sorted(julius.up) == ["a", "d"]
    assert julius.view().stable


def test_what_is_just_being_stopped_is_moved_when_it_is_down(world):
    julius = world.boot(JULIUS, **lines("julius a b", "julius c"))
    world.run(31)
    julius.slow_ns = {"b": 3 * SECOND}
    julius.tell(Reload(settings(JULIUS, **lines("julius a", "julius c"))))
    world.run(1)
    julius.tell(Reload(settings(JULIUS, **lines("julius a", "julius c b"))))
    assert julius.runs[-1] == ("stop", "b")
    world.run(10)
    assert julius.runs[-1] == ("start", "b")
    assert sorted(julius.up) == ["a", "b", "c"]
    assert julius.view().stable


@pytest.mark.parametrize("after_s", range(1, 14, 3))
@pytest.mark.parametrize("after", [("julius b a", "julius d c"), ("julius a", "julius b", "julius c d")])
def test_a_reload_in_the_middle_of_a_hand_over(world, after, after_s):
    before, after = lines("julius a b", "julius c"), lines(*after)
    julius, caesar = world.boot(JULIUS, **before), world.boot(CAESAR, **before)
    world.run(10)
    julius.slow_ns = caesar.slow_ns = dict.fromkeys("abcd", 3 * SECOND)
    julius.tell(Request(1, "standby", "all"))
    world.run(after_s)
    for node in (julius, caesar):
        node.tell(Reload(settings(node.name, **after, resources_digest="11111111")))
    world.run(120)
    assert sorted(julius.up + caesar.up) == ["a", "b", "c", "d"]
    assert julius.view().stable
    assert caesar.view().stable


@pytest.mark.parametrize("after_s", [0.0005, 0.0015, 0.0025, 1])
def test_a_reload_that_removes_what_is_being_handed_over(world, after_s):
    both = lines("julius a", "julius b")
    julius, caesar = world.boot(JULIUS, **both), world.boot(CAESAR, **both)
    world.run(10)
    julius.slow_ns = caesar.slow_ns = {"b": 2 * SECOND}
    julius.tell(Request(1, "standby", "all"))
    world.run(after_s)
    for node in (julius, caesar):
        node.tell(Reload(settings(node.name, **lines("julius a"))))
    world.run(40)
    assert sorted(julius.up + caesar.up) == ["a"]
    assert 1 in julius.replies
    assert julius.view().stable
    assert caesar.view().stable


def changed(*keys: str) -> dict:
    return {"groups": (Group(keys[0], JULIUS, [resource(key) for key in keys]),)}


@pytest.mark.parametrize("first", [JULIUS, CAESAR])
@pytest.mark.parametrize(
    ("before", "after"),
    [
        (["a", "b", "c"], ["a", "b", "d"]),
        (["a", "b", "c"], ["d", "b", "c"]),
        (["a", "b", "c"], ["b", "c", "d"]),
        (["a", "b", "c"], ["d", "c", "b"]),
    ],
)
def test_a_reload_touches_only_what_changed(world, before, after, first):
    julius, caesar = world.boot(JULIUS, **changed(*before)), world.boot(CAESAR, **changed(*before))
    world.run(10)
    runs = len(julius.runs)
    second = CAESAR if first == JULIUS else JULIUS
    for name in (first, second):
        world.nodes[name].tell(Reload(settings(name, **changed(*after), resources_digest="11111111")))
        world.run(7)
    world.run(20)
    touched = {word for _, word in julius.runs[runs:]}
    assert touched == set(before) ^ set(after)
    assert sorted(julius.up) == sorted(after)
    assert caesar.up == []
    assert julius.view().stable


def test_a_reload_that_adds_and_removes_groups(world):
    one, two = {"groups": (group("a"), group("b"))}, {"groups": (group("b"), group("c"))}
    julius, caesar = world.boot(JULIUS, **one), world.boot(CAESAR, **one)
    world.run(10)
    for node in (julius, caesar):
        node.tell(Reload(settings(node.name, **two)))
    world.run(30)
    assert sorted(julius.up) == ["b", "c"]
    assert caesar.up == []
    assert julius.runs.count(("start", "b")) == 1


def test_a_resource_moved_to_another_line_is_not_touched(world):
    one = {"groups": (group("a", JULIUS, "x"), group("b"))}
    two = {"groups": (group("a"), group("b", JULIUS, "x"))}
    julius, caesar = world.boot(JULIUS, **one), world.boot(CAESAR, **one)
    world.run(10)
    runs = len(julius.runs)
    for node in (julius, caesar):
        node.tell(Reload(settings(node.name, **two)))
    world.run(30)
    assert julius.runs[runs:] == []
    assert sorted(julius.up) == ["a", "b", "x"]


def test_files_that_differ_are_said_on_both(world):
    julius = world.boot(JULIUS, resources_digest="11111111")
    caesar = world.boot(CAESAR, timing_digest="22220000")
    world.run(10)
    for node in (julius, caesar):
        assert len(node.view().warnings) == 2
        assert any("haresources differs" in note for note in node.notes)
    caesar.tell(Reload(settings(CAESAR, resources_digest="11111111")))
    world.run(10)
    assert julius.view().warnings == caesar.view().warnings == []


def test_lists_of_nodes_that_differ_are_said_on_both(world):
    """Also on the node whose list lacks the other, and which ignores all it says."""
    julius = world.boot(JULIUS, timing_digest="00001111")
    caesar = world.boot(CAESAR, timing_digest="00002222", nodes=(CAESAR, "brutus"), groups=())
    world.run(10)
    assert any("other times or nodes" in warning for warning in julius.view().warnings)
    assert caesar.view().warnings == [
        "'julius' speaks here and is no node of ha.cf: make the files the same and reload"
    ]
    assert any("unknown node 'julius'" in note for note in caesar.notes)


def test_a_new_group_known_to_one_node_only_is_not_started_beside_strangers(world):
    julius = world.boot(JULIUS, groups=(group("a"), group("old")))
    caesar = world.boot(CAESAR, groups=(group("a"), group("new", CAESAR)), resources_digest="11111111")
    world.run(10)
    assert julius.up == ["a"]
    assert caesar.up in ([], ["new"])


# --- many groups


def test_two_hundred_groups_fail_over(world):
    groups = {"groups": tuple(group(f"IPaddr::10.0.{n // 100}.{n % 100}") for n in range(200))}
    world.boot(JULIUS, **groups)
    caesar = world.boot(CAESAR, **groups)
    world.run(10)
    world.kill(JULIUS)
    world.run(16)
    assert len(caesar.up) == 200
