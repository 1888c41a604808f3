"""The audit sees two that answer, nobody who answers, and what a client loses: on machines whose addresses are set by
hand, with no daemon."""

import pytest
from system.audit import Audit
from system.play import LAN, MILLISECOND, WAN, Pair, now_ns
from system.stage import pause

from heartbeat.demo.world import World


@pytest.fixture
def pair():
    with World() as world:
        made = Pair(world, cable=False)
        for node in made.nodes:
            world.power_on(node)
        # before anybody asks: a host that had no answer asks again after a second only
        add(made.julius)
        add(made.julius, WAN, "eth1")
        yield made


@pytest.fixture
def audit(pair):
    made = Audit(pair)
    yield made
    made.close()


def add(node, address=LAN, card="eth0"):
    assert node.run(["ip", "address", "add", f"{address}/24", "dev", card]).returncode == 0


def remove(node, address=LAN, card="eth0"):
    assert node.run(["ip", "address", "del", f"{address}/24", "dev", card]).returncode == 0


def test_two_that_answer_and_nobody_are_seen(pair, audit):
    since_ns = now_ns()
    pause(0.1)
    add(pair.caesar)
    began_ns = now_ns()
    pause(0.2)
    ended_ns = now_ns()
    remove(pair.caesar)
    pause(0.1)
    remove(pair.julius, WAN, "eth1")
    gone_ns = now_ns()
    pause(0.2)
    found = audit.look(since_ns)
    everything = found.two + found.none + found.aside
    # the kernels have changed before the answers, or the want of them, arrive
    meanwhile_ns = (began_ns + ended_ns) // 2
    assert any(each.address == LAN and each.begin_ns <= meanwhile_ns <= each.end_ns for each in everything)
    assert any(each.address == WAN and each.begin_ns <= gone_ns + 100 * MILLISECOND for each in everything)
    if not found.stalls:
        assert {each.address for each in found.two} == {LAN}
        assert {each.address for each in found.none} == {WAN}
        assert found.lost == 0
    assert audit.holders(gone_ns) == {LAN: {"julius"}, WAN: {""}}


def test_what_the_client_loses_is_seen(pair, audit):
    since_ns = now_ns()
    pause(0.1)
    assert audit.client_hears(since_ns) == {"julius"}
    # its neighbour table still says julius
    remove(pair.julius)
    pair.julius.run(["sh", "-c", "echo 0 >/proc/sys/net/ipv4/ip_forward"])
    began_ns = now_ns()
    pause(0.2)
    ended_ns = now_ns()
    add(pair.julius)
    pause(0.2)
    found = audit.look(since_ns)
    assert found.sent > 400
    assert found.lost >= 100
    if not found.stalls:
        assert found.gap_ms >= (ended_ns - began_ns) / MILLISECOND
    assert audit.look(ended_ns + 200 * MILLISECOND).lost == 0


def test_where_the_machine_stood_still_nothing_is_judged(pair, audit):
    since_ns = now_ns()
    pause(0.05)
    # what a canary writes when its processor was away
    audit._canaries[0].add(now_ns(), now_ns() + 30 * MILLISECOND)
    remove(pair.julius)
    pause(0.05)
    add(pair.julius)
    pause(0.1)
    found = audit.look(since_ns)
    assert found.stalls
    assert LAN in {each.address for each in found.aside}
    assert LAN not in {each.address for each in found.none}
