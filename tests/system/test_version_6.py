"""A pair whose heartbeats go by IPv6, on a network of their own (eth2); a serial cable beside it, cut at first.

The link-local addresses are those that the kernel makes of the cards' own numbers. Static ones are set by the
operator's tools each time that the card has come up: the kernel forgets them when it goes down.
"""

import pytest
from system.play import DIVISOR, now_ns

from heartbeat.demo import seed
from heartbeat.demo.machine import add_address
from heartbeat.demo.pair import Pair
from heartbeat.demo.world import Site

CARD = "eth2"
SITE = Site(links=("10.1.1",))
STATIC = "fd00::{}"
MEDIA = {
    "ucast6 to link-local addresses": ("ucast6 eth2 fe80::aff:fe01:102", "ucast6 eth2 fe80::aff:fe01:103%eth2"),
    "ucast6 to static addresses": ("ucast6 eth2 fd00::2", "ucast6 eth2 fd00::3"),
    "mcast6": ("mcast6 eth2 ff02::694 694 1 0",),
    "mcast6 to a site's group, loop": ("mcast6 eth2 ff15::694 700 4 1",),
}


class Routers(Pair):
    """lines: of ha.cf, beside the serial one's."""

    def __init__(self, world, lines):
        super().__init__(world, SITE, files=seed.Files().with_lines(*lines))
        self.cable.cut()
        self.kind = lines[0].split(maxsplit=1)[0]

    def boot(self):
        for node in self.nodes:
            self.world.power_on(node)
            self.set_address(node)
        for node in self.nodes:
            node.start_daemon()

    def set_address(self, node):
        with node.netlink() as ip:
            number = SITE.node_numbers[self.nodes.index(node)]
            add_address(ip, ip.link_lookup(ifname=CARD)[0], f"{STATIC.format(number)}/64")

    def set_link(self, node, state):
        with node.netlink() as ip:
            ip.link("set", index=ip.link_lookup(ifname=CARD)[0], state=state)

    def take_card_out(self, node):
        node._switches.remove(node._plugs.pop(CARD))

    def put_card_in(self, node):
        (interface,) = (each for each in node.interfaces if each.name == CARD)
        node._plugs[CARD] = node._switches.plug(interface, node._pid)
        self.set_link(node, "up")
        self.set_address(node)

    def held_by(self, node, after_s=0.0):
        """The seconds are those of the files."""
        running = [each for each in self.nodes if each.on]
        self.until(
            lambda: self.holder() == node.name and self.stable(running), self.seconds(after_s), f"{node.name} holds"
        )

    def links(self, medium, state):
        """Until each says so of what it hears of the other."""
        self.until(
            lambda: all(node.link(self.peer(node).name, medium) == state for node in self.nodes),
            self.seconds(seed.DEADTIME_S), f"{medium} is {state} for both",
        )  # fmt: skip


@pytest.fixture(params=MEDIA)
def routers(request, make_world):
    return Routers(make_world(DIVISOR), MEDIA[request.param])


def test_a_pair_on_ipv6(routers):
    """It finds itself and moves what it holds by this medium alone; then the interface goes and comes."""
    routers.boot()
    routers.held_by(routers.first, seed.INITDEAD_S)
    routers.links(CARD, "up")
    routers.links(seed.SERIAL_PORT, "dead")
    for node in routers.nodes:
        assert (routers.kind, "up") in {(medium["type"], medium["state"]) for medium in node.status()["media"]}
        # and not, where both nodes' addresses are named, the one that beats to itself
        assert node.command("heartbeat", "check").stdout.count(f"\n{routers.kind} {CARD} ") == 1
    assert routers.second.command("hb_takeover", "all").returncode == 0
    routers.held_by(routers.second)

    routers.cable.join()
    routers.links(seed.SERIAL_PORT, "up")
    since_ns = now_ns()
    routers.set_link(routers.first, "down")
    routers.links(CARD, "dead")
    routers.set_link(routers.first, "up")
    routers.set_address(routers.first)
    routers.links(CARD, "up")
    assert routers.first.log().count(f"medium {CARD} ") == 1, "it was opened once"
    routers.take_card_out(routers.first)
    routers.links(CARD, "dead")
    routers.put_card_in(routers.first)
    routers.links(CARD, "up")
    assert routers.moves(since_ns) == []
    assert routers.stable()

    routers.cable.cut()
    routers.world.power_off(routers.second)
    routers.held_by(routers.first, seed.DEADTIME_S)
