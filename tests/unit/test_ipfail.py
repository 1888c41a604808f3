"""Ping nodes and ipfail in the core: two nodes of ours, and one of ours beside a model of an original."""

import pytest
from original import OriginalNode
from pair import CAESAR, JULIUS, Reload, World, settings

from _hbfast.codec import Message
from heartbeat.core import ipfail
from heartbeat.core.events import PingAnswer, Tick
from heartbeat.core.settings import FAILBACK_OFF, FAILBACK_ON, SECOND, Group, Resource

GATEWAY, SWITCH = "10.0.0.1", "gateways"
GROUPS = (
    Group("one", JULIUS, [Resource("one", "one")]),
    Group("two", CAESAR, [Resource("two", "two")]),
)
HOME, ALL_CAESAR = {"one": JULIUS, "two": CAESAR}, {"one": CAESAR, "two": CAESAR}
OPTIONS = {
    "keepalive_ns": SECOND, "deadtime_ns": 5 * SECOND, "warntime_ns": 3 * SECOND, "initdead_ns": 10 * SECOND,
    "groups": GROUPS, "ping_nodes": (GATEWAY, SWITCH), "deadping_ns": 4 * SECOND, "ipfail": True,
}  # fmt: skip


class Pinged(World):
    """answering: (node, ping node) that are answered, four times a second."""

    def __init__(self, auto_failback=FAILBACK_OFF, **more) -> None:
        super().__init__()
        self.options = OPTIONS | {"auto_failback": auto_failback} | more
        self.answering = {(node, ping) for node in (JULIUS, CAESAR) for ping in (GATEWAY, SWITCH)}

    def start(self, *names):
        for name in names:
            self.boot(name, **self.options)
        return self

    def run(self, seconds):
        end = self.now + round(seconds * SECOND)
        while self.now < end:
            super().run(min(0.25, (end - self.now) / SECOND))
            for name, ping in sorted(self.answering):
                if name in self.nodes:
                    self.nodes[name].tell(PingAnswer(ping))

    def both(self):
        self.start(JULIUS, CAESAR).run(15)
        assert self.held() == HOME
        return self

    def lose(self, *nodes, ping=GATEWAY):
        self.answering -= {(node, ping) for node in nodes}

    def find(self, *nodes, ping=GATEWAY):
        self.answering |= {(node, ping) for node in nodes}

    def held(self):
        return {word: node.name for node in self.nodes.values() if node.alive for word in node.up}

    def seen(self, name, ping=GATEWAY):
        return self.nodes[name].view().nodes[ping].status

    def said(self, name, kind):
        return [message for message in self.nodes[name].sent if message.type == kind]


# --- ping nodes


def test_a_ping_node_is_a_node_of_its_own_kind_and_no_more():
    world = Pinged(ipfail=False).both()
    found = world.nodes[JULIUS].view().nodes
    assert list(found) == [JULIUS, CAESAR, GATEWAY, SWITCH]
    assert [node.kind for node in found.values()] == ["normal", "normal", "ping", "ping"]
    assert (found[GATEWAY].status, found[GATEWAY].links) == ("ping", {GATEWAY: "up"})
    world.lose(JULIUS)
    world.run(3.9)
    assert world.seen(JULIUS) == "ping"
    world.run(0.2)
    found = world.nodes[JULIUS].view().nodes
    assert (found[GATEWAY].status, found[GATEWAY].links) == ("dead", {GATEWAY: "dead"})
    assert world.seen(JULIUS, SWITCH) == world.seen(CAESAR) == "ping"
    world.run(30)
    assert world.held() == HOME  # nobody asked for ipfail
    assert world.said(JULIUS, "num_ping_nodes") == world.said(JULIUS, "hbapi-clstat") == []
    world.find(JULIUS)
    world.run(1)
    assert world.seen(JULIUS) == "ping"


def test_one_that_never_answers_is_dead_after_initdead():
    world = Pinged()
    world.lose(JULIUS, CAESAR)
    world.start(JULIUS, CAESAR).run(9)
    assert world.seen(JULIUS) == "init"
    world.run(2)
    assert world.seen(JULIUS) == "dead"


def test_no_start_of_two_of_ours_waits_for_a_ping_node():
    world = Pinged()
    world.lose(JULIUS, CAESAR)
    world.start(JULIUS, CAESAR).run(3)
    assert world.held() == HOME
    assert world.said(JULIUS, "hbapi-clstat") == []  # what is not known is not counted
    world.run(9)
    assert len(world.said(JULIUS, "hbapi-clstat")) == 1


def test_an_answer_of_nobody_is_nothing():
    world = Pinged().both()
    before = len(world.nodes[JULIUS].sent)
    assert world.nodes[JULIUS].cluster.handle(PingAnswer("10.9.9.9"), world.now) == []
    assert len(world.nodes[JULIUS].sent) == before


def test_an_answer_does_not_end_the_steady_state():
    world = Pinged().both()
    cluster = world.nodes[JULIUS].cluster
    assert cluster._steady.peer is not None
    assert cluster.handle(PingAnswer(GATEWAY), world.now) == []
    assert cluster._steady.peer is not None


def test_a_node_that_did_not_run_has_not_asked():
    world = Pinged().both()
    world.pause(JULIUS)
    world.now += 6 * SECOND
    world.wake(JULIUS)
    world.nodes[JULIUS].tell(Tick(world.now // SECOND))
    assert world.seen(JULIUS) == "ping"


def test_without_ping_nodes_nothing_is_there():
    world = World()
    julius, _ = world.both()
    assert julius.cluster._ipfail.state == ipfail.ABSENT
    assert julius.cluster._ipfail.pings.nodes == {}


def test_a_reload_brings_ping_nodes_and_ipfail_and_takes_them_away():
    world = Pinged(ping_nodes=(), ipfail=False).both()
    world.options |= {"ping_nodes": (GATEWAY, SWITCH), "ipfail": True}
    for node in world.nodes.values():
        node.tell(Reload(settings(node.name, **world.options)))
    world.run(2)
    assert world.nodes[CAESAR].cluster._ipfail.state == ipfail.WATCHING
    world.lose(JULIUS)
    world.run(10)
    assert world.held() == ALL_CAESAR
    world.options |= {"ping_nodes": (SWITCH,), "ipfail": False}
    for node in world.nodes.values():
        node.tell(Reload(settings(node.name, **world.options)))
    world.run(1)
    assert list(world.nodes[JULIUS].view().nodes) == [JULIUS, CAESAR, SWITCH]
    assert world.nodes[CAESAR].cluster._ipfail.state == ipfail.ABSENT


def test_a_reload_of_one_and_then_the_other_moves_nothing():
    world = Pinged(ping_nodes=(GATEWAY,)).both()
    for pings in ((GATEWAY, SWITCH), (SWITCH,)):
        world.options |= {"ping_nodes": pings}
        for node in world.nodes.values():
            node.tell(Reload(settings(node.name, **world.options)))
            world.run(15)
            assert world.held() == HOME
            assert node.cluster._ipfail.state == ipfail.WATCHING
    assert any("not compared" in text for text in world.nodes[CAESAR].notes)
    world.lose(JULIUS, ping=SWITCH)
    world.run(10)
    assert world.held() == ALL_CAESAR


def test_what_is_not_known_yet_is_not_compared():
    """Both have a new ping node, and caesar's has answered first."""
    world = Pinged(ping_nodes=(GATEWAY,)).both()
    world.lose(JULIUS, ping=SWITCH)
    world.options |= {"ping_nodes": (GATEWAY, SWITCH)}
    for node in world.nodes.values():
        node.tell(Reload(settings(node.name, **world.options)))
    world.run(3)
    assert (world.seen(JULIUS, SWITCH), world.seen(CAESAR, SWITCH)) == ("init", "ping")
    assert world.held() == HOME
    world.find(JULIUS, ping=SWITCH)
    world.run(10)
    assert world.held() == HOME


# --- ipfail between two of ours


@pytest.mark.parametrize("loser", [JULIUS, CAESAR])
def test_who_sees_fewer_gives_all_to_the_other(loser):
    world = Pinged().both()
    other = CAESAR if loser == JULIUS else JULIUS
    world.lose(loser)
    world.run(5.9)
    assert world.seen(loser) == "dead"
    assert world.held() == HOME  # not yet: two keepalives
    world.run(0.2)
    assert world.held() == dict.fromkeys(HOME, other)
    assert [message.get("num_ping") for message in world.said(loser, "num_ping_nodes")][-1] == "1"
    assert len(world.said(other, "you_are_dead")) == 1
    world.run(30)
    assert world.held() == dict.fromkeys(HOME, other)
    world.find(loser)
    world.run(30)
    assert world.held() == dict.fromkeys(HOME, other)  # nothing flaps with auto_failback off
    assert all(node.view().stable for node in world.nodes.values())


def test_back_again_with_auto_failback_on():
    world = Pinged(FAILBACK_ON).both()
    world.lose(JULIUS)
    world.run(10)
    assert world.held() == ALL_CAESAR
    world.find(JULIUS)
    world.run(10)
    assert world.held() == HOME


@pytest.mark.parametrize("failback", [FAILBACK_OFF, FAILBACK_ON])
def test_gone_for_both_and_back_for_both_moves_nothing(failback):
    world = Pinged(failback).both()
    runs = len(world.nodes[JULIUS].runs)
    world.lose(JULIUS)
    world.run(1)
    world.lose(CAESAR)  # a moment later: the two keepalives are there for this
    world.run(15)
    assert world.seen(JULIUS) == world.seen(CAESAR) == "dead"
    assert any(message.type == "you_are_dead" for message in world.nodes[CAESAR].sent)
    world.find(CAESAR)
    world.run(1)
    world.find(JULIUS)
    world.run(15)
    assert world.held() == HOME
    assert len(world.nodes[JULIUS].runs) == runs


def test_one_of_two_ping_nodes_lost_by_each_is_as_many():
    world = Pinged().both()
    world.lose(JULIUS, ping=GATEWAY)
    world.lose(CAESAR, ping=SWITCH)
    world.run(20)
    assert world.held() == HOME


def test_who_has_nothing_gives_nothing():
    world = Pinged().both()
    assert world.ask(world.nodes[JULIUS], "standby", "all")[0]
    world.lose(JULIUS)
    before = len(world.said(JULIUS, "ask_resources"))
    world.run(15)
    assert world.held() == ALL_CAESAR
    assert len(world.said(JULIUS, "ask_resources")) == before
    assert world.nodes[JULIUS].cluster._ipfail.state == ipfail.WATCHING


def test_a_give_up_ends_when_the_other_node_is_gone():
    world = Pinged().both()
    julius = world.nodes[JULIUS].cluster
    world.kill(CAESAR)
    world.run(4)
    julius._ipfail.you_are_dead(julius._membership.peers[CAESAR], speak(CAESAR, "you_are_dead"))  # its last words
    assert julius._ipfail.state == ipfail.GIVING_UP
    world.run(10)
    assert julius._ipfail.state == ipfail.WATCHING
    assert world.held() == dict.fromkeys(HOME, JULIUS)


def test_it_waits_for_what_moves():
    """A give-up that is due while a group starts slowly is not lost."""
    world = Pinged().both()
    caesar = world.nodes[CAESAR]
    world.lose(JULIUS)
    world.run(4.5)
    caesar.slow_ns["two"] = 8 * SECOND
    world.ask_later(caesar, "standby", "all")
    world.run(1.5)
    assert world.nodes[JULIUS].cluster._ipfail.state == ipfail.GIVING_UP
    caesar.slow_ns.clear()
    world.run(40)
    assert world.held() == ALL_CAESAR


def test_whoever_comes_later_is_told_the_count():
    """julius boots without the gateway, beside caesar that sees it."""
    world = Pinged().both()
    world.kill(JULIUS)
    world.run(15)
    world.lose(JULIUS)
    world.start(JULIUS).run(40)
    assert world.held() == ALL_CAESAR
    world.kill(CAESAR)
    world.run(10)
    world.find(CAESAR)
    world.start(CAESAR).run(40)  # julius holds all, and sees fewer
    assert world.held() == ALL_CAESAR


def test_a_count_that_is_none_is_ignored():
    world = Pinged().both()
    julius = world.nodes[JULIUS].cluster._ipfail
    peer = world.nodes[JULIUS].cluster._membership.peers[CAESAR]
    for text in ("", "-1", "1000", "101", "2.0", "x", "٣"):
        message = speak(CAESAR, "num_ping_nodes", num_ping=text)
        julius.num_ping_nodes(peer, message)
    assert julius.state == ipfail.WATCHING
    assert julius._outbox.take() == []


def speak(name, kind, **fields):
    texts = {"t": kind, "src": name, **fields}
    return Message([(field, 0, text.encode()) for field, text in texts.items()])


def test_a_ping_nodes_own_message_over_another_medium_is_a_strangers():
    """Only what the ICMP medium has sent itself counts."""
    world = Pinged().both()
    world.lose(JULIUS)
    world.run(10)
    julius = world.nodes[JULIUS]
    for source in (GATEWAY, CAESAR):
        julius.tell(speak(source, "NS_st", st="ping", info="ping", ts="5f3759df"))
    assert world.seen(JULIUS) == "dead"


# --- beside an original


class Talking(OriginalNode):
    """Its ipfail, as the real one's: see docs/protocol/behaviour.md §10. counting: the ping nodes that it sees."""

    def __init__(self, world, name, generation, options, counting) -> None:
        super().__init__(world, name, generation, options)
        self.counting = counting
        self.heard: list[tuple[str, str]] = []

    def client(self, kind, **fields):
        self.send(kind, dest=self.peer, from_id="ipfail", to_id="ipfail", client_gen="0", **fields)

    def _on_num_ping_nodes(self, message):
        theirs = int(message.get("num_ping"))
        self.heard.append(("num_ping_nodes", message.get("num_ping")))
        if self.counting != theirs:
            if self.counting > theirs:
                self.client("you_are_dead")
            else:
                self.world.later(2 * SECOND, lambda: self.go_standby("all"))
        else:
            self.client("abort_giveup")

    def _on_you_are_dead(self, message):
        self.heard.append(("you_are_dead", ""))
        self.world.later(2 * SECOND, lambda: self.go_standby("all"))

    def _on_abort_giveup(self, message):
        self.heard.append(("abort_giveup", ""))


class Mixed(Pinged):
    def start_both(self, counting=2):
        self.start(JULIUS)
        self.theirs = Talking(self, CAESAR, 2000, settings(CAESAR, **self.options), counting)
        self.run(40)
        assert self.held() == HOME
        return self


def test_ours_says_that_it_is_there_and_answers_the_originals_count():
    world = Mixed().start_both()
    (join,) = world.said(JULIUS, "hbapi-clstat")
    assert [join.get(name) for name in ("st", "from_id", "to_id", "info")] == ["join", "ipfail", "ipfail", "signon"]
    for count, answer in (("1", "you_are_dead"), ("2", "abort_giveup")):
        world.theirs.heard.clear()
        world.theirs.client("num_ping_nodes", num_ping=count)
        world.run(0.5)
        assert world.theirs.heard == [(answer, "")]


def state_of(world, client):
    """What an original is told of a client of ours."""
    world.theirs.send("query-cstatus", dest=JULIUS, cn=client, from_id="4711")
    world.run(0.1)
    return world.said(JULIUS, "respond-cstatus")[-1].get("cs")


def test_an_original_is_told_that_ipfail_runs_here_until_it_does_not():
    world = Mixed().start_both()
    assert (state_of(world, "ipfail"), state_of(world, "crmd")) == ("online", "offline")
    julius = world.nodes[JULIUS]
    world.ask(julius, "stop")
    assert [message.get("st") for message in world.said(JULIUS, "hbapi-clstat")] == ["join", "leave"]
    assert julius.view().ipfail == []


@pytest.mark.parametrize("kind", ["num_ping_nodes", "you_are_dead", "abort_giveup"])
def test_the_originals_ipfail_runs_where_it_has_spoken_until_it_leaves_or_its_node_does(kind):
    world = Mixed().start_both()
    julius = world.nodes[JULIUS]
    assert julius.view().ipfail == [JULIUS]
    world.theirs.client(kind, num_ping="2")
    world.run(0.1)
    assert julius.view().ipfail == [JULIUS, CAESAR]
    world.theirs.client("hbapi-clstat", st="leave", info="disconnect")
    world.run(0.1)
    assert julius.view().ipfail == [JULIUS]
    world.theirs.client("hbapi-clstat", st="join", info="signon")
    world.run(0.1)
    assert julius.view().ipfail == [JULIUS, CAESAR]
    world.kill(CAESAR)
    world.run(15)
    assert julius.view().ipfail == [JULIUS]


def test_two_of_ours_know_that_the_other_has_ipfail():
    world = Pinged().both()
    assert world.nodes[JULIUS].view().ipfail == [JULIUS, CAESAR]
    world.options |= {"ping_nodes": (), "ipfail": False}
    world.nodes[CAESAR].tell(Reload(settings(CAESAR, **world.options)))
    world.run(0.1)
    assert world.nodes[JULIUS].view().ipfail == [JULIUS]
    assert world.nodes[CAESAR].view().ipfail == [JULIUS]


def test_ours_gives_up_beside_an_original_that_sees_more():
    world = Mixed().start_both()
    world.lose(JULIUS)
    world.run(20)
    assert ("num_ping_nodes", "1") in world.theirs.heard
    assert world.held() == ALL_CAESAR


def test_an_original_that_finds_a_ping_node_later_than_ours_gives_nothing_up():
    world = Mixed().start_both()
    world.lose(JULIUS)
    world.theirs.counting = 1
    world.run(20)
    assert world.held() == HOME
    world.find(JULIUS)
    world.run(3)
    world.theirs.counting = 2
    world.run(20)
    assert ("num_ping_nodes", "2") in world.theirs.heard
    assert world.held() == HOME


def test_an_original_that_does_not_find_it_gives_up():
    world = Mixed().start_both()
    world.lose(JULIUS)
    world.theirs.counting = 1
    world.run(20)
    world.find(JULIUS)
    world.run(20)
    assert world.held() == dict.fromkeys(HOME, JULIUS)


def test_an_original_gives_up_to_ours():
    world = Mixed().start_both()
    world.theirs.counting = 1
    world.theirs.client("num_ping_nodes", num_ping="1")
    world.run(20)
    assert world.held() == dict.fromkeys(HOME, JULIUS)


def test_beside_an_original_the_start_waits_until_initdead():
    world = Mixed()
    world.lose(JULIUS)
    world.start(JULIUS)
    world.theirs = Talking(world, CAESAR, 2000, settings(CAESAR, **world.options), 2)
    world.run(8)
    assert world.nodes[JULIUS].view().state == "up"
    world.run(4)
    assert world.nodes[JULIUS].view().state == "active"


def test_who_finds_the_ping_node_itself_before_it_has_given_up_keeps_what_it_has():
    """The original says only later that both see as many."""
    world = Mixed().start_both()
    world.lose(JULIUS)
    world.theirs.counting = 1
    world.run(20)
    world.theirs.client("num_ping_nodes", num_ping="2")
    world.run(1)
    assert world.nodes[JULIUS].cluster._ipfail.state == ipfail.GIVING_UP
    world.find(JULIUS)
    world.run(0.5)
    assert world.nodes[JULIUS].cluster._ipfail.state == ipfail.WATCHING
    world.theirs.counting = 2
    world.run(20)
    assert world.held() == HOME
