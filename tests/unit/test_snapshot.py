"""A cluster as plain data and back; and tables that a stranger made up."""

import json

import pytest
from pair import JULIUS, World

from _hbfast.codec import Message
from _hbfast.wheel import TimerWheel
from heartbeat.core.actions import Note
from heartbeat.core.cluster import Cluster
from heartbeat.core.peer import Peer
from heartbeat.snapshot import frame_of, freeze, message_of, thaw

NOTE = {"actions.Note": ["severity", "text"]}


def read_back(thing):
    return thaw(json.loads(json.dumps(freeze(thing))))


@pytest.fixture(scope="module")
def cluster():
    world = World()
    julius, _ = world.both()
    world.run(100)
    return julius.cluster


def test_a_cluster_is_the_same_again(cluster):
    again = read_back(cluster)
    assert isinstance(again, Cluster)
    assert again is not cluster
    assert freeze(again) == freeze(read_back(again)) == json.loads(json.dumps(freeze(again)))
    assert again.deadline() == cluster.deadline()
    assert again.view().groups[0].holder == JULIUS


def test_statuses_of_which_the_rest_of_the_core_was_not_told_yet_are_in_it():
    world = World()
    julius, _ = world.both()
    world.run(100)
    julius.cluster.settle()
    last = julius.cluster._outbox.sequence
    world.run(20)
    assert julius.cluster._outbox.sequence == last
    julius.cluster.settle()
    again = read_back(julius.cluster)
    assert again._outbox.sequence == julius.cluster._outbox.sequence > last
    assert freeze(read_back(again)) == freeze(again)


def test_what_is_shared_stays_shared(cluster):
    again = read_back(cluster)
    assert again._resources._outbox is again._outbox
    assert again._timers.wheel is again._steady.repetition.wheel
    assert again._timers.arm.__self__ is again._timers.wheel
    twice = [["x"]] * 2
    assert read_back([twice, twice[0]])[0][0] is not twice[0]
    copy = read_back([twice, twice[0]])
    assert copy[0][0] is copy[0][1] is copy[1]


@pytest.mark.parametrize(
    "value",
    [
        None, True, 0, -1, 2**64, 1.5, "", "\u00e4\u20ac\ud800", b"", bytes(range(256)), (), (1,), ((), (b"x", ("y",))),
        [], [[]], {}, {"a": 1, (1, "b"): [2]}, set(), {"b", "a"}, frozenset(), frozenset(("b", "a")),
        Message, Peer,
    ],
    ids=lambda value: "".join(sorted(repr(value))) if isinstance(value, set | frozenset) else repr(value),
)  # fmt: skip
def test_a_value_is_the_same_again(value):
    assert read_back([value]) == [value]
    assert type(read_back([value])[0]) is type(value)


def test_a_message_is_the_same_again():
    message = Message([("t", 0, b"status"), ("srcuuid", 1, bytes(16)), ("list", 3, [b"a", b"b"]), ("t", 0, b"again")])
    received = message_of("eth0", frame_of(message), strong=True)
    assert (received, received.medium, received.strong) == (message, "eth0", True)
    again = read_back(received)
    assert (again, again.medium, again.strong) == (message, "eth0", True)
    assert not message_of("eth0", frame_of(message)).strong


def test_a_wheel_is_the_same_again():
    wheel = TimerWheel(100, 5 * 10**9)
    for key, at in ((3, 7 * 10**9 + 1), (5, 1), (7, 10**18)):
        wheel.arm(key, at)
    again = read_back(wheel)
    assert again.next_due() == wheel.next_due() == 1
    assert again.due(10**19 // 2) == [5, 3, 7]


@pytest.mark.parametrize("thing", [object(), len, print, open, lambda: 0, range(3), json])
def test_what_it_has_no_word_for_is_a_type_error(thing):
    with pytest.raises(TypeError):
        freeze([thing])


TABLES = [
    None, 5, "x", {}, [], [1], [{}], [[], []], [{}, 5], [{}, []], [{}, ["nothing"]], [{}, [5]], [{}, ["list", {}]],
    # classes that are not the core's
    [{"os.system": []}, ["os.system"]], [{"cluster.bulletin": []}, ["cluster.bulletin"]],
    [{"..cli.UsageError": []}, ["..cli.UsageError"]], [{}, ["list", ["c", "builtins.eval"]]], [{}, ["list", ["c", ""]]],
    [{"cluster.Message": []}, ["cluster.Message"]], [{"Message": []}, ["Message", "", "", False]],
    [{"cluster.Nothing": []}, ["cluster.Nothing"]], [{}, ["list", ["c", "history.deque"]]],
    [{}, ["list", ["c", "cluster.Peer"]]], [{}, ["list", ["c", "cluster.Message"]]],
    # attributes that it does not have, or lacks
    [{"actions.Note": ["text"]}, ["actions.Note", "x"]],
    [{"actions.Note": ["severity", "text", "more"]}, ["actions.Note"]],
    [{"actions.Note": ["severity", "text", "text"]}, ["actions.Note", 1, 2, 3]],
    [{"cluster.Cluster": ["__class__"]}, ["cluster.Cluster", ["c", "peer.Peer"]]],
    [{"cluster.Cluster": ["__dict__"]}, ["cluster.Cluster", [1]], ["dict"]],
    [NOTE, ["actions.Note", 1]], [NOTE, ["actions.Note", 1, 2, 3]], [{}, ["actions.Note", 1, 2]],
    # references to nowhere
    [{}, ["list", [5]]], [{}, ["list", [-1]]], [{}, ["list", [True]]], [{}, ["list", ["x"]]], [{}, ["list", [None]]],
    # methods that are none
    [NOTE, ["list", ["m", 1, "__init__"]], ["actions.Note", 1, 2]],
    [NOTE, ["list", ["m", 1, "text"]], ["actions.Note", 1, 2]],
    [{}, ["list", ["m", 0, "append"]]], [{}, ["list", ["m", 1, "get"]], ["Message", "", ">>>\nt=x\n<<<\n", False]],
    [{}, ["list", ["m", 0]]], [{}, ["list", ["m", 0, 5]]],
    # values of the wrong kind
    [{}, ["list", ["b", "\u20ac"]]], [{}, ["list", ["b", 5]]], [{}, ["list", ["z", 5]]], [{}, ["list", []]],
    [{}, ["dict", 1]], [{}, ["dict", [0], 1]], [{}, ["set", [0]]], [{}, ["set", [1]], ["list"]],
    [{}, ["frozenset", [0]]], [{}, ["frozenset", ["t", 1]]],
    [{}, ["deque", "x"]], [{}, ["deque", -1]], [{}, ["deque"]], [{}, ["deque", [0]]],
    [{}, ["Message", "eth0", "nothing", False]], [{}, ["Message", "eth0", "\u20ac", False]],
    [{}, ["Message", 5, "", False]],
    [{}, ["TimerWheel"]], [{}, ["TimerWheel", 1]], [{}, ["TimerWheel", 1, "x"]], [{}, ["TimerWheel", -1, 0]],
    [{}, ["TimerWheel", 10**9, 0]], [{}, ["TimerWheel", 4, 0, 1]], [{}, ["TimerWheel", 4, 0, 9, 5]],
    [{}, ["TimerWheel", 4, 10**30]], [{}, ["TimerWheel", 4, 0, 1, 2**70]], [{}, ["TimerWheel", True, 0]],
    # what says itself what it is made of
    [{"timers.Timers": []}, ["timers.Timers", 5]], [{"timers.Timers": []}, ["timers.Timers", ["t", 1, 2, 3]]],
    [{"timers.Timers": []}, ["timers.Timers"]], [{"steady.Steady": []}, ["steady.Steady", [1]], ["dict", "x", 1]],
    [{"steady.Steady": []}, ["steady.Steady", [1]], ["dict", "_timers", 1]],
]  # fmt: skip


@pytest.mark.parametrize("table", TABLES, ids=lambda table: json.dumps(table)[:60])
def test_a_made_up_table_is_a_value_error(table):
    with pytest.raises(ValueError):
        thaw(json.loads(json.dumps(table)))


def test_a_deep_table_is_a_value_error():
    value = 1
    for _ in range(100_000):
        value = ["t", value]
    with pytest.raises(ValueError):
        thaw([{}, ["list", value]])


def test_a_made_up_record_is_no_more_than_that():
    note = thaw([NOTE, ["actions.Note", 1, ["c", "peer.Peer"]]])
    assert type(note) is Note
    assert note.text is Peer
