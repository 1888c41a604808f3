"""Which events call for a script in rc.d, in which order, and what it is told: as Heartbeat 3.0.6 was seen to do it."""

import pytest
from pair import CAESAR, JULIUS, SEED_GROUP, World, settings

from _hbfast.codec import Message
from heartbeat.core.actions import Hook
from heartbeat.core.events import Reload, Request
from heartbeat.core.hooks import FIELDS, HANDLED, VALUE_LIMIT
from heartbeat.core.settings import FAILBACK_LEGACY, FAILBACK_OFF, Group, Resource
from heartbeat.journal import digest, letters
from heartbeat.snapshot import freeze, thaw

ALL = ("status", "ifstat", "stonith", "hb_takeover", "ip-request-resp", "mytype", *HANDLED)
CAESARS = Group("10.0.0.253", CAESAR, [Resource("10.0.0.253", "IPaddr", ["10.0.0.253"])])


@pytest.fixture
def world():
    return World()


def both(world, hooks=ALL, **changes):
    changes = {"hooks": hooks, "groups": (SEED_GROUP, CAESARS), **changes}
    julius, caesar = world.boot(JULIUS, **changes), world.boot(CAESAR, **changes)
    world.run(15)
    assert julius.view().stable
    assert caesar.view().stable
    return julius, caesar


def brief(node, *names):
    """What was called for, and of what it was told these fields."""
    found = [(hook, *(told.get(name) for name in names)) for hook, told in node.hooks]
    node.hooks.clear()
    return found


def receive(world, node, kind, *, sender=CAESAR, fields=()):
    """A message of the other node."""
    other = world.nodes[sender]
    other.cluster._steady.end()  # it says something behind its back
    other.cluster._outbox.send(kind, fields)
    for action in other.cluster._outbox.take():
        other._obey(action, [])
    world.run(1)


def test_a_start(world):
    julius, caesar = both(world)
    assert sorted(brief(julius, "src", "st", "node", "ifname", "ipaddr", "weown", "ok", "dest"), key=str) == sorted([
        ("ifstat", None, "up", CAESAR, "ttyS0", None, None, None, None),
        ("status", CAESAR, "up", None, None, None, None, None, None),
        ("status", CAESAR, "active", None, None, None, None, None, None),
        ("ip-request-resp", JULIUS, None, None, None, SEED_GROUP.key, "yes", "OK", JULIUS),
    ], key=str)  # fmt: skip
    assert [told["ipaddr"] for hook, told in caesar.hooks if hook == "ip-request-resp"] == [CAESARS.key]


def test_what_is_told_of_a_status(world):
    julius, _ = both(world)
    hook, told = next(each for each in julius.hooks if each[1].get("st") == "active")
    assert hook == "status"
    assert told["OSTATUS"] in ("up", "active")
    assert (told["t"], told["src"], told["dt"], told["protocol"], told["ttl"]) == ("status", CAESAR, "3a98", "1", "3")
    assert set(told) == {"t", "src", "st", "seq", "hg", "ts", "dt", "protocol", "ttl", "OSTATUS"}


def test_a_power_failure_of_who_holds(world):
    julius, _ = both(world)
    julius.hooks.clear()
    world.kill(CAESAR)
    world.run(20)
    assert brief(julius, "src", "st", "node", "result") == [
        ("stonith", JULIUS, None, CAESAR, "n_stnth"), ("status", CAESAR, "dead", None, None),
        ("ifstat", None, "dead", CAESAR, None),
    ]  # fmt: skip


def test_a_power_failure_of_who_has_nothing(world):
    julius, caesar = both(world)
    assert world.ask(caesar, "standby")[0]
    julius.hooks.clear()
    world.kill(CAESAR)
    world.run(20)
    assert brief(julius, "result") == [("stonith", "unneeded"), ("ifstat", None)]


def test_a_peer_that_is_never_heard(world):
    julius = world.boot(JULIUS, hooks=ALL, groups=(SEED_GROUP, CAESARS))
    world.run(40)
    assert brief(julius, "result", "st", "ipaddr") == [
        ("stonith", "n_stnth", None, None), ("status", None, "dead", None),
        ("ip-request-resp", None, None, SEED_GROUP.key),
    ]  # fmt: skip


def test_a_clean_stop_and_a_return(world):
    julius, caesar = both(world)
    julius.hooks.clear()
    caesar.hooks.clear()
    caesar.tell(Request(5, "stop"))
    world.run(5)
    assert caesar.stopped
    assert caesar.hooks == []
    assert brief(julius, "st", "result") == [
        ("status", "dead", None), ("stonith", None, "unneeded"), ("ifstat", "dead", None),
    ]  # fmt: skip
    world.boot(CAESAR, hooks=ALL, groups=(SEED_GROUP, CAESARS))
    world.run(15)
    assert [each for each in brief(julius, "st") if each[0] == "status"] == [
        ("status", "init"), ("status", "up"), ("status", "active"),
    ]  # fmt: skip


def test_own_groups_that_come_back_by_a_death(world):
    """Not by a hand-over: for that the original runs nothing."""
    julius, _ = both(world)
    julius.hooks.clear()
    assert world.ask(julius, "standby")[0]
    assert world.ask(julius, "takeover", "local")[0]
    assert SEED_GROUP.key in julius.claims()
    assert brief(julius) == [("hb_takeover",)]
    assert world.ask(julius, "standby")[0]
    world.kill(CAESAR)
    world.run(20)
    assert ("ip-request-resp", SEED_GROUP.key) in brief(julius, "ipaddr")


def test_a_takeover_is_told_on_both_nodes(world):
    julius, caesar = both(world)
    julius.hooks.clear()
    caesar.hooks.clear()
    assert world.ask(julius, "takeover", "foreign")[0]
    for node in (julius, caesar):
        assert brief(node, "t", "src", "rsc_hold") == [("hb_takeover", "hb_takeover", JULIUS, "foreign")]


def test_a_restart_within_the_deadtime(world):
    julius, _ = both(world)
    julius.hooks.clear()
    world.kill(CAESAR)
    world.boot(CAESAR, hooks=ALL, groups=(SEED_GROUP, CAESARS))
    world.run(10)
    assert [each for each in brief(julius, "st") if each[0] != "ip-request-resp"] == [
        ("status", "init"), ("status", "up"), ("status", "active"),
    ]  # fmt: skip


def test_a_message_of_a_type_that_nobody_knows(world):
    julius, caesar = both(world)
    julius.hooks.clear()
    caesar.hooks.clear()
    receive(world, julius, "mytype", fields=[("info", b"hello"), ("foo", b"bar"), ("DIR", b"/tmp"), ("FUNCS", b"/x")])
    ((hook, told),) = julius.hooks
    assert (hook, told["info"], told["src"]) == ("mytype", "hello", CAESAR)
    assert set(told) <= {*FIELDS, "OSTATUS"}
    assert brief(caesar) == [("mytype",)], "its own messages, too"


def test_a_script_is_looked_for_in_lower_case(world):
    julius, _ = both(world)
    julius.hooks.clear()
    receive(world, julius, "MyType")
    assert brief(julius, "t") == [("mytype", "MyType")]


@pytest.mark.parametrize("kind", sorted(HANDLED))
def test_what_is_the_clusters_own_affair_runs_nothing(world, kind):
    julius, _ = both(world)
    julius.hooks.clear()
    receive(world, julius, kind, fields=[("st", b"active"), ("rsc_hold", b"none"), ("node", b"nero")])
    assert [each for each in brief(julius, "node") if each[0] == kind and each[1] == "nero"] == []
    assert kind in ("status", "shutdone") or julius.hooks == []


def test_no_script_runs_without_being_there(world):
    julius, caesar = both(world, hooks=("status",))
    receive(world, julius, "mytype")
    world.ask(julius, "takeover", "foreign")
    world.kill(CAESAR)
    world.run(20)
    assert {hook for hook, _ in julius.hooks} == {"status"}
    assert {hook for hook, _ in caesar.hooks} == {"status"}


@pytest.mark.parametrize(
    "value",
    [b"$(id)", b"a;b", b"a\nb", b"`id`", b"a'b", b'a"b', b"a|b", b"a&b", b"a>b", b"*", b"a\\b", b"-rf", b"\xc3\xa4",
     b"x" * (VALUE_LIMIT + 1)],
    ids=repr,
)  # fmt: skip
def test_a_value_that_could_do_harm_is_left_out(world, value):
    julius, _ = both(world)
    julius.hooks.clear()
    receive(world, julius, "mytype", fields=[("info", value), ("node", b"nero")])
    ((_, told),) = julius.hooks
    assert "info" not in told
    assert told["node"] == "nero"
    receive(world, julius, "mytype", fields=[("info", b"x" * VALUE_LIMIT), ("ipaddr", b"IPaddr::10.0.0.1/24/eth0:0")])
    told = julius.hooks[-1][1]
    assert (told["info"], told["ipaddr"]) == ("x" * VALUE_LIMIT, "IPaddr::10.0.0.1/24/eth0:0")


def test_a_message_for_another_node_runs_nothing(world):
    julius, _ = both(world)
    julius.hooks.clear()
    receive(world, julius, "mytype", fields=[("dest", b"nero")])
    receive(world, julius, "ip-request-resp", fields=[("dest", b"nero"), ("ipaddr", b"10.0.0.254"), ("ok", b"OK")])
    assert julius.hooks == []


def test_a_reload_finds_other_scripts(world):
    julius, _ = both(world, hooks=())
    assert julius.hooks == []
    receive(world, julius, "mytype")
    assert julius.hooks == []
    julius.tell(Reload(settings(JULIUS, hooks=ALL, groups=(SEED_GROUP, CAESARS))))
    receive(world, julius, "mytype")
    world.run(12)
    assert brief(julius) == [("mytype",)], "what was so before the reload is no news"


def test_a_legacy_node_asks_the_other(world):
    """So beside another node nothing is said of its own groups but in the messages."""
    hooks = world.boot(JULIUS, hooks=ALL, auto_failback=FAILBACK_LEGACY).cluster._outbox.hooks
    hooks.acquire(SEED_GROUP.key, asked=True)
    assert [type(each).__name__ for each in world.nodes[JULIUS].outbox.take()] == []
    hooks.acquire(SEED_GROUP.key, asked=False)
    assert [each.name for each in world.nodes[JULIUS].outbox.take()] == ["ip-request-resp"]


def test_it_is_in_the_journal(world):
    """A snapshot of a cluster that wants scripts is a cluster that wants them."""
    julius, _ = both(world, auto_failback=FAILBACK_OFF)
    again = thaw(freeze(julius.cluster))
    assert freeze(again) == freeze(thaw(freeze(again)))
    told = Message([("t", 0, b"mytype"), ("info", 0, b"x")])
    again._outbox.hooks.received("mytype", told)
    assert [each.name for each in again._outbox.take()] == ["mytype"]


def test_it_has_a_letter_and_counts_in_the_journal():
    """What a replay must decide again, name and fields."""
    hooks = [Hook("status", (("st", "dead"),)), Hook("status", (("st", "up"),)), Hook("ifstat", (("st", "up"),))]
    assert letters(hooks) == "CCC"
    assert len({digest([hook]) for hook in hooks}) == 3
