"""What belongs to the administrator: addresses of his own beside the virtual ones, and a reload that serves on."""

import time

import pytest
from system.play import (
    LAN,
    SITE,
    WAN,
    mailed,
    now_ns,
    playing,
    seconds,
    seed,
    until,
)

from heartbeat.demo.machine import add_address

OWN = "10.0.0.252"


def set_address(node, address, interface="eth0"):
    """As `ip address add` does."""
    with node.netlink() as ip:
        add_address(ip, ip.link_lookup(ifname=interface)[0], address)


def delete_address(node, address, interface="eth0"):
    with node.netlink() as ip:
        host, _, length = address.partition("/")
        ip.addr("del", index=ip.link_lookup(ifname=interface)[0], address=host, prefixlen=int(length))


def facts(node, address):
    """All that its kernel says of an address, but how long ago it was set."""
    with node.netlink() as ip:
        (found,) = [one for one in ip.get_addr() if one.get_attr("IFA_LOCAL") == address]
    return {
        "prefix": found["prefixlen"], "scope": found["scope"], "label": found.get_attr("IFA_LABEL"),
        "broadcast": found.get_attr("IFA_BROADCAST"), "valid": found.get_attr("IFA_CACHEINFO")["ifa_valid"],
    }  # fmt: skip


def never_removed(pair, node, address, since_ns):
    assert [c for c in pair.world.observer.since(since_ns) if (c.machine, c.address) == (node.name, address)] == []


# With no address of the router's own on the lan, the first address that is there is the one whose removal takes all
# that came after it
@pytest.mark.parametrize(
    ("moment", "static"),
    [
        ("before", "no static address"),
        ("while", "no static address"),
        ("after", "no static address"),
        ("while", "a static address beside it"),
    ],
)
def test_the_administrators_address_survives(moment, static):
    """Set before, while and after the virtual address is held: take-over, release and clean stop leave it alone."""
    files = seed.Files()
    if static == "no static address":
        files = files.replaced({f"IPaddr::{LAN}": f"IPaddr::{LAN}/24/eth0"})
    with playing(files) as pair:
        julius, caesar = pair.nodes
        for node in pair.nodes:
            pair.world.power_on(node)
            if static == "no static address":
                delete_address(node, f"10.0.0.{SITE.node_numbers[pair.nodes.index(node)]}/24")
            if moment == "before":
                set_address(node, f"{OWN}/{24 if node is julius else 32}")
            pair.start(node)
        pair.settled(holder=julius)
        if moment == "while":
            set_address(julius, f"{OWN}/24")
        hand_over(pair, julius, caesar)  # a release on julius
        if moment == "after":
            set_address(julius, f"{OWN}/24")
        set_ns = now_ns()
        before = facts(julius, OWN)

        hand_over(pair, caesar, julius)  # a hand-over to julius
        pair.world.power_off(caesar)
        time.sleep(seconds(2 * seed.DEADTIME_S))
        assert facts(julius, OWN) == before
        pair.boot(caesar)
        pair.settled(holder=julius)
        hand_over(pair, julius, caesar)
        pair.world.power_off(caesar)  # a take-over by julius
        pair.held_by(julius)
        assert facts(julius, OWN) == before
        assert julius.stop_daemon() == 0  # and a clean stop
        until(lambda: not {LAN, WAN} & {text.partition("/")[0] for text in julius.addresses()}, 5, "all are released")
        assert facts(julius, OWN) == before
        never_removed(pair, julius, OWN, set_ns)


def hand_over(pair, source, target):
    done = source.command("hb_standby")
    assert (done.returncode, done.stderr) == (0, "")
    pair.held_by(target)


# `x` is the word that another replaces. The first word of a line names its group
@pytest.mark.parametrize(
    ("line", "first"),
    [
        (f"IPaddr::{LAN} IPaddr::{WAN} x", "julius"),
        (f"IPaddr::{LAN} x IPaddr::{WAN}", "caesar"),
        (f"x IPaddr::{LAN} IPaddr::{WAN}", "julius"),
    ],
)
def test_a_reload_serves_on(line, first):
    """One address added and one removed on both nodes: no probe of the others is lost, and a take-over takes the new.
    first: which node reloads first."""
    old, new = line.replace("x", "IPaddr::10.0.0.253"), line.replace("x", "IPaddr::10.0.0.251")
    files = seed.Files(haresources=f"julius {old} MailTo::{seed.RECIPIENT}::{seed.SUBJECT}\n")
    with playing(files) as pair:
        julius, caesar = pair.nodes
        pair.boot()
        pair.settled(holder=julius)
        pair.probe()
        pair.answered(julius, 0)
        assert julius.holds("10.0.0.253")

        reload_ns = now_ns()
        reloaded = seed.Files(haresources=files.haresources.replace(old, new))
        for node in pair.nodes:
            node.install(reloaded)
        for node in (pair.world.nodes[first], pair.peer(pair.world.nodes[first])):
            done = node.command("heartbeat", "reload")
            assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
        until(lambda: julius.holds("10.0.0.251") and not julius.holds("10.0.0.253"), 5, "julius has reloaded")
        pair.settled(holder=julius)
        time.sleep(seconds(2 * seed.DEADTIME_S))
        pair.nothing_moved(reload_ns)
        for change in pair.world.observer.since(reload_ns):
            assert (change.machine, change.address) in (("julius", "10.0.0.251"), ("julius", "10.0.0.253"))
        for node in pair.nodes:
            assert node.status()["warnings"] == [], "their files are the same again"
            assert [group["holder"] for group in node.status()["groups"]] == ["julius"]
        assert len(julius.mails()) <= 1, "a reload is no acquisition"

        failure_ns = pair.world.power_off(julius)
        pair.held_by(caesar)
        assert caesar.holds("10.0.0.251")
        assert not caesar.holds("10.0.0.253")
        pair.answered(caesar, failure_ns)
        mailed(caesar, "acquired", failure_ns)
