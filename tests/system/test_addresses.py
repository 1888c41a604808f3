"""Virtual addresses in real network namespaces, checked through pyroute2 (which the agents do not use) and by capturing
what the neighbours see. The namespaces have no names: whatever happens, they go with their last descriptor."""

import contextlib
import os
import select
import socket
import struct
import subprocess
import sys
import time

import pytest
from pyroute2 import IPRoute

from heartbeat import agents
from heartbeat.agents.address import Address, SendArp
from heartbeat.agents.base import AgentError
from heartbeat.agents.network import Network, addition
from heartbeat.agents.redirect import redirect
from heartbeat.demo import namespaces

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root"),
]

IFA_F_SECONDARY, IFA_F_NODAD, IFA_F_DEPRECATED, IFA_F_TENTATIVE, IFA_F_PERMANENT = 0x01, 0x02, 0x20, 0x40, 0x80
NODE_MAC, PEER_MAC = "02:00:00:00:00:01", "02:00:00:00:00:02"


class Namespace:
    """A network namespace without a name, its loopback up. Use `inside` to create sockets in it."""

    def __init__(self):
        self.fd = namespaces.new_network()
        with self.inside():
            self.ip = IPRoute()
            self.network = Network()
        self.ip.link("set", index=1, state="up")

    def inside(self):
        return namespaces.inside(self.fd)

    def run(self, *argv, **options):
        with self.inside():
            return subprocess.run(argv, capture_output=True, text=True, timeout=20, check=False, **options)

    def sysctl(self, path, value=None):
        with self.inside(), open(f"/proc/sys/net/{path}", "r" if value is None else "w") as file:
            return file.read().strip() if value is None else file.write(str(value))

    def index(self, name):
        return self.ip.link_lookup(ifname=name)[0]

    def set(self, text, name="eth0", **options):
        """Set an address as an administrator does."""
        address, prefix = text.split("/")
        if ":" in address:
            options.setdefault("flags", IFA_F_NODAD)
        elif "broadcast" not in options and int(prefix) < 31:
            options["broadcast"] = broadcast(address, int(prefix))
        self.ip.addr("add", index=self.index(name), address=address, prefixlen=int(prefix), **options)

    def addresses(self, name="eth0", *, local_links=False):
        """{"10.0.0.254/24": {attribute: value}}"""
        found = {}
        for message in self.ip.get_addr(index=self.index(name)):
            text = f"{message.get_attr('IFA_LOCAL') or message.get_attr('IFA_ADDRESS')}/{message['prefixlen']}"
            if local_links or not text.startswith("fe80"):
                cache = message.get_attr("IFA_CACHEINFO")
                found[text] = {
                    "label": message.get_attr("IFA_LABEL"),
                    "broadcast": message.get_attr("IFA_BROADCAST"),
                    "flags": message.get_attr("IFA_FLAGS"),
                    "scope": message["scope"],
                    "valid": cache["ifa_valid"],
                    "preferred": cache["ifa_preferred"],
                }
        return found

    def routes(self):
        """{(destination, gateway, source)} of the main table, IPv4"""
        return {
            (
                f"{message.get_attr('RTA_DST')}/{message['dst_len']}",
                message.get_attr("RTA_GATEWAY"),
                message.get_attr("RTA_PREFSRC"),
            )
            for message in self.ip.get_routes(family=socket.AF_INET, table=254)
        }

    def agent(self, argument, name="IPaddr"):
        return (SendArp if name == "SendArp" else Address)(name, [argument], self.network)

    def close(self):
        self.network.close()
        self.ip.close()
        os.close(self.fd)


def broadcast(address, prefix):
    (number,) = struct.unpack("!I", socket.inet_aton(address))
    return socket.inet_ntoa(struct.pack("!I", number | (1 << 32 - prefix) - 1))


def cable(one, name, other, other_name, mac=NODE_MAC, other_mac=PEER_MAC):
    """A veth pair between two namespaces, up at both ends when this returns."""
    peer = {"ifname": other_name, "address": other_mac, "net_ns_fd": other.fd}
    one.ip.link("add", ifname=name, kind="veth", address=mac, peer=peer)
    for end, end_name in ((one, name), (other, other_name)):
        end.ip.link("set", index=end.index(end_name), state="up")
    until(lambda: one.ip.link("get", index=one.index(name))[0].get_attr("IFLA_OPERSTATE") == "UP")


def until(condition, timeout_s=10):
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end, "never came"
        time.sleep(0.01)


@pytest.fixture
def world():
    with contextlib.ExitStack() as stack:
        node, peer = Namespace(), None
        stack.callback(node.close)
        peer = Namespace()
        stack.callback(peer.close)
        cable(node, "eth0", peer, "lan0")
        yield node, peer


@pytest.fixture
def node(world):
    return world[0]


class Capture:
    """What arrives on an interface of a namespace, from now on."""

    def __init__(self, space, name, ethertype):
        with space.inside():
            self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ethertype))
        self.socket.bind((name, ethertype))
        self.socket.setblocking(False)

    def frames(self, number, keep=lambda _frame: True, timeout_s=10):
        """The first `number` frames to come that `keep` accepts."""
        found, end = [], time.monotonic() + timeout_s
        while len(found) < number:
            ready, _, _ = select.select([self.socket], [], [], max(0, end - time.monotonic()))
            assert ready, f"{len(found)} of {number} frames came"
            frame = self.socket.recv(2048)
            if keep(frame):
                found.append(frame)
        return found

    def nothing_more(self, keep=lambda _frame: True):
        while True:
            try:
                frame = self.socket.recv(2048)
            except BlockingIOError:
                return True
            if keep(frame):
                return False

    def close(self):
        self.socket.close()


@pytest.fixture
def capture():
    with contextlib.ExitStack() as stack:

        def make(*arguments):
            made = Capture(*arguments)
            stack.callback(made.close)
            return made

        yield make


# What the kernel is told


@pytest.mark.parametrize(
    ("argument", "text", "brd", "label"),
    [
        ("10.0.0.254", "10.0.0.254/24", "10.0.0.255", "eth0"),
        ("10.0.0.254/24", "10.0.0.254/24", "10.0.0.255", "eth0"),
        ("10.0.0.254/255.255.255.0", "10.0.0.254/24", "10.0.0.255", "eth0"),
        ("10.0.0.254/0xffffff80", "10.0.0.254/25", "10.0.0.255", "eth0"),
        ("10.0.0.254/25/eth0", "10.0.0.254/25", "10.0.0.255", "eth0"),
        ("10.0.0.254/24/eth0:web", "10.0.0.254/24", "10.0.0.255", "eth0:web"),
        ("10.0.0.254/24/eth0:0/10.0.0.127", "10.0.0.254/24", "10.0.0.127", "eth0:0"),
        ("10.0.0.254/24/10.255.255.255", "10.0.0.254/24", "10.255.255.255", "eth0"),
        ("10.0.0.254//eth0", "10.0.0.254/24", "10.0.0.255", "eth0"),
        ("10.0.0.254/32/eth0", "10.0.0.254/32", None, "eth0"),
        ("10.0.0.254/31/eth0", "10.0.0.254/31", None, "eth0"),
        ("192.168.7.1/255.255.0.0/eth0:abcdefghij", "192.168.7.1/16", "192.168.255.255", "eth0:abcdefghij"),
    ],
)
def test_prefix_broadcast_and_label(node, argument, text, brd, label):
    node.set("10.0.0.1/24")
    agent = node.agent(argument)
    agent.prepare()
    assert not agent.status()
    agent.start()
    found = node.addresses()[text]
    assert (found["broadcast"], found["label"], found["scope"]) == (brd, label, 0)
    assert found["flags"] & IFA_F_PERMANENT
    assert found["valid"] == found["preferred"] == 0xFFFFFFFF
    assert agent.status()
    agent.stop()
    assert list(node.addresses()) == ["10.0.0.1/24"]
    assert not agent.status()


@pytest.mark.parametrize("name", ["IPaddr", "IPaddr2", "IPv6addr"])
def test_starting_and_stopping_twice_are_successes(node, name):
    static, virtual = ("fd00::1/64", "fd00::fe") if name == "IPv6addr" else ("10.0.0.1/24", "10.0.0.254")
    node.set(static)
    agent = node.agent(virtual, name)
    agent.stop()
    agent.start()
    agent.start()
    once = node.addresses()
    assert sorted(once) == sorted([static, f"{virtual}/{static.split('/')[1]}"])
    node.agent(virtual, name).start()
    assert node.addresses() == once
    agent.stop()
    agent.stop()
    node.agent(virtual, name).stop()
    assert list(node.addresses()) == [static]


def test_remains_of_another_run_are_stopped_wherever_they_are(world):
    node, peer = world
    cable(node, "eth1", peer, "lan1", "02:00:00:00:00:03", "02:00:00:00:00:04")
    node.set("10.0.0.1/24")
    for place in ("eth0", "eth1"):
        node.set("10.0.0.254/16", place)
        node.set("10.0.0.254/32", place)
    node.set("10.0.0.254/32", "lo")
    agent = node.agent("10.0.0.254")
    assert agent.status()
    agent.stop()
    assert list(node.addresses("eth0")) == ["10.0.0.1/24"]
    assert not node.addresses("eth1")
    assert "10.0.0.254/32" in node.addresses("lo"), "an address on loopback answers nobody and is not ours"
    assert not agent.status()


def test_with_an_interface_given_the_others_are_left_alone(world):
    node, peer = world
    cable(node, "eth1", peer, "lan1", "02:00:00:00:00:03", "02:00:00:00:00:04")
    node.set("10.0.0.254/24", "eth1")
    agent = node.agent("10.0.0.254/24/eth0")
    assert not agent.status()
    agent.start()
    agent.stop()
    assert not node.addresses("eth0")
    assert list(node.addresses("eth1")) == ["10.0.0.254/24"]


def test_stop_succeeds_when_the_interface_is_gone(node):
    node.ip.link("add", ifname="dummy", kind="veth", peer={"ifname": "dummy-end"})
    agent = node.agent("10.7.0.254/24/dummy")
    agent.start()
    node.ip.link("del", index=node.index("dummy"))
    agent.stop()
    assert not agent.status()


@pytest.mark.parametrize(("static", "virtual"), [("10.0.0.1/24", "10.0.0.254/24"), ("fd00::1/64", "fd00::fe/64")])
def test_an_address_that_was_there_for_a_time_stays_for_good(node, static, virtual):
    node.set(static)
    node.set(virtual, preferred_lft=30, valid_lft=60)
    assert node.addresses()[virtual]["valid"] <= 60
    node.agent(virtual).start()
    assert node.addresses()[virtual]["valid"] == 0xFFFFFFFF


# Which interface


def test_the_longest_connected_network_wins_and_a_default_route_never_counts(world):
    node, peer = world
    cable(node, "eth1", peer, "lan1", "02:00:00:00:00:03", "02:00:00:00:00:04")
    node.set("10.0.0.1/8", "eth0")
    node.set("10.1.0.1/16", "eth1")
    node.ip.route("add", dst="default", gateway="10.0.0.2")
    node.ip.route("add", dst="10.1.2.0/24", oif=node.index("eth0"), gateway="10.0.0.2")  # longer, but not connected
    node.ip.route("add", dst="192.0.2.0/24", oif=node.index("eth0"), scope=253)  # no address of ours in it
    agent = node.agent("10.1.2.254")
    agent.start()
    assert "10.1.2.254/16" in node.addresses("eth1")
    agent.stop()
    for foreign in ("1.1.1.254", "192.0.2.254"):
        with pytest.raises(AgentError) as caught:
            node.agent(foreign).prepare()
        assert caught.value.text == (f"no connected route for {foreign}: give the interface as {foreign}/24/eth0")


def test_an_interface_that_is_down_connects_nothing(world):
    node, peer = world
    cable(node, "eth1", peer, "lan1", "02:00:00:00:00:03", "02:00:00:00:00:04")
    node.set("10.0.0.1/16", "eth0")
    node.set("10.0.0.2/24", "eth1")
    node.ip.link("set", index=node.index("eth1"), state="down")
    agent = node.agent("10.0.0.254")
    agent.start()
    assert "10.0.0.254/16" in node.addresses("eth0")


@pytest.mark.parametrize(("metric0", "metric1", "chosen"), [(100, 200, "eth0"), (200, 100, "eth1")])
def test_of_two_interfaces_in_one_network_the_one_the_kernel_sends_through(world, metric0, metric1, chosen):
    node, peer = world
    cable(node, "eth1", peer, "lan1", "02:00:00:00:00:03", "02:00:00:00:00:04")
    node.set("10.0.0.1/24", "eth0", rt_priority=metric0)
    node.set("10.0.0.2/24", "eth1", rt_priority=metric1)
    node.agent("10.0.0.254").start()
    assert "10.0.0.254/24" in node.addresses(chosen)


def test_an_address_of_ours_does_not_say_where_it_belongs(world):
    """A remainder on the wrong interface must not attract the address there again."""
    node, peer = world
    cable(node, "eth1", peer, "lan1", "02:00:00:00:00:03", "02:00:00:00:00:04")
    node.set("10.0.0.1/24", "eth0")
    node.set("10.0.0.254/28", "eth1")
    agent = node.agent("10.0.0.254")
    agent.start()
    assert "10.0.0.254/24" in node.addresses("eth0")


def test_where_there_is_no_address_at_all(node):
    node.ip.flush_addr(index=1)
    agent = node.agent("10.0.0.254")
    with pytest.raises(AgentError, match="no connected route"):
        agent.prepare()
    assert not agent.status()
    agent.stop()


def test_prepare_reports_what_start_then_finds(node):
    agent = node.agent("10.0.0.254")
    with pytest.raises(AgentError):
        agent.prepare()
    with pytest.raises(AgentError):
        agent.start()
    node.set("10.0.0.1/24")
    agent.start()
    assert "10.0.0.254/24" in node.addresses()

    later = node.agent("10.5.0.254/24/eth5")
    with pytest.raises(AgentError, match=r"no interface eth5 for 10\.5\.0\.254"):
        later.prepare()
    node.ip.link("add", ifname="eth5", kind="veth", peer={"ifname": "eth5-end"})
    later.start()
    assert "10.5.0.254/24" in node.addresses("eth5")


def test_a_network_that_moved_since_it_was_prepared_is_followed(world):
    """As when the administrator puts an interface into a bridge and the address on the bridge."""
    node, peer = world
    cable(node, "eth1", peer, "lan1", "02:00:00:00:00:03", "02:00:00:00:00:04")
    node.set("10.0.0.1/24", "eth0")
    agent = node.agent("10.0.0.254")
    agent.prepare()
    node.ip.addr("del", index=node.index("eth0"), address="10.0.0.1", prefixlen=24)
    node.set("10.0.0.1/25", "eth1")
    node.set("10.0.0.129/25", "eth1")
    agent.start()
    assert "10.0.0.254/25" in node.addresses("eth1")
    agent.stop()
    assert sorted(node.addresses("eth1")) == ["10.0.0.1/25", "10.0.0.129/25"]


def test_a_network_that_moved_while_the_address_was_held(world, capture):
    """It is announced where it is, follows when it is started again, and leaves nothing behind."""
    node, peer = world
    cable(node, "eth1", peer, "lan1", "02:00:00:00:00:03", "02:00:00:00:00:04")
    node.set("10.0.0.1/24", "eth0")
    agent = node.agent("10.0.0.254")
    agent.start()
    node.sysctl("ipv4/conf/eth0/promote_secondaries", 1)
    node.ip.addr("del", index=node.index("eth0"), address="10.0.0.1", prefixlen=24)
    node.set("10.0.0.1/24", "eth1")
    arp = capture(peer, "lan0", 0x0806)
    agent.announce()
    assert len(arp.frames(2)) == 2
    agent.start()
    assert "10.0.0.254/24" in node.addresses("eth1")
    other = capture(peer, "lan1", 0x0806)
    agent.announce()
    assert len(other.frames(2)) == 2
    agent.stop()
    assert list(node.addresses("eth1")) == ["10.0.0.1/24"]
    assert not node.addresses("eth0")


def test_an_interface_made_anew_is_found_again(world, capture):
    node, peer = world
    node.set("10.0.0.1/24")
    agent = node.agent("10.0.0.254/24/eth0")
    agent.start()
    node.ip.link("del", index=node.index("eth0"))
    cable(node, "eth0", peer, "lan0", "02:00:00:00:00:09")
    agent.start()
    assert list(node.addresses()) == ["10.0.0.254/24"]
    arp = capture(peer, "lan0", 0x0806)
    agent.announce()
    assert all(frame[6:12] == bytes.fromhex("020000000009") == frame[22:28] for frame in arp.frames(2))


@pytest.mark.parametrize(("static", "virtual"), [("10.0.0.1/24", "10.0.0.254"), ("fd00::1/64", "fd00::fe")])
def test_our_own_changes_are_no_news(node, static, virtual):
    """Else a take-over of many addresses would look the network over for each of them."""
    node.set(static)
    agent = node.agent(virtual)
    agent.prepare()
    before = node.network.changes()
    agent.start()
    assert node.network.changes() == before
    node.set(static.replace("1/", "3/"))
    until(lambda: node.network.changes() > before)  # (the kernel tells of an IPv6 address when it gets round to it)


def test_more_notices_than_a_socket_holds_lose_nothing(world):
    node, peer = world
    cable(node, "eth1", peer, "lan1", "02:00:00:00:00:03", "02:00:00:00:00:04")
    node.set("10.0.0.1/24")
    agent = node.agent("10.0.0.254")
    agent.prepare()
    with node.inside():
        other = Network()
    eth0 = other.interface("eth0")
    for number in range(3000):
        address = socket.inet_aton(f"10.9.{number >> 8}.{number & 255}")
        other.add([(address, addition(eth0, address, 32))])
        other.remove([(eth0.index, 32, address)])
    other.close()
    # the notices of these are lost
    node.ip.addr("del", index=node.index("eth0"), address="10.0.0.1", prefixlen=24)
    node.set("10.0.0.1/24", "eth1")
    agent.start()
    assert "10.0.0.254/24" in node.addresses("eth1")


def test_a_thousand_addresses(node):
    node.set("10.0.0.1/16")
    made = [node.agent(f"10.0.{1 + number // 250}.{1 + number % 250}") for number in range(1000)]
    for agent in made:
        agent.prepare()
    for agent in made:
        agent.start()
    assert len(node.addresses()) == 1001
    assert all(agent.status() for agent in (made[0], made[-1]))
    for agent in made:
        agent.stop()
    assert list(node.addresses()) == ["10.0.0.1/16"]


# The administrator's own addresses


@pytest.mark.parametrize("promotes", [0, 1])
@pytest.mark.parametrize("argument", ["10.0.0.254/24/eth0", "10.0.0.254/24/eth0:vip", "10.0.0.254/32/eth0"])
@pytest.mark.parametrize("order", ["before", "while", "both", "again"])
def test_the_administrators_address_survives(node, order, argument, promotes):
    """Whether it was there before the virtual address, came while that was held, or came back while it was held."""
    node.sysctl("ipv4/conf/eth0/promote_secondaries", promotes)
    own = ["10.0.0.252/24"]
    if order != "while":
        node.set("10.0.0.252/24")
    agent = node.agent(argument)
    agent.prepare()
    agent.start()
    if order == "while":
        node.set("10.0.0.252/24", label="eth0:admin")
    elif order == "both":
        node.set("10.0.0.253/24", label="eth0:more")
        own.append("10.0.0.253/24")
    elif order == "again":
        node.ip.addr("del", index=node.index("eth0"), address="10.0.0.252", prefixlen=24)
        agent.start()  # without promotion the virtual address went with it
        node.set("10.0.0.252/24")
    node.ip.route("add", dst="10.99.0.0/16", gateway="10.0.0.3", prefsrc="10.0.0.252")
    node.ip.route("add", dst="default", gateway="10.0.0.4")
    before = {text: found for text, found in node.addresses().items() if text in own}
    assert len(before) == len(own)

    agent.stop()
    after = node.addresses()
    assert sorted(after) == own
    for text in own:
        for what in ("label", "broadcast", "scope", "valid", "preferred"):
            assert after[text][what] == before[text][what]
    assert not after[own[0]]["flags"] & IFA_F_SECONDARY
    assert node.routes() == {
        ("10.0.0.0/24", None, "10.0.0.252"),
        ("10.99.0.0/16", "10.0.0.3", "10.0.0.252"),
        ("None/0", "10.0.0.4", None),
    }
    assert node.sysctl("ipv4/conf/eth0/promote_secondaries") == str(promotes), "a setting of the administrator's"

    agent.start()  # and once more, the other way round
    agent.stop()
    assert sorted(node.addresses()) == own


@pytest.mark.parametrize(("static", "virtual"), [("10.0.0.252/24", "10.0.0.254/24"), ("fd00::252/64", "fd00::254/64")])
def test_an_address_that_somebody_took_away_is_restored(node, static, virtual):
    """`ip addr flush` and the like. For IPv4 it is enough to delete the administrator's: ours is its secondary."""
    node.set(static)
    agent = node.agent(virtual)
    assert not agent.restore(), "never started"
    agent.start()
    other = node.agent(virtual)  # of another group, say, and not started
    other.prepare()
    assert not agent.restore()
    assert not select.select([node.network.fileno()], [], [], 0)[0]
    node.ip.flush_addr(index=node.index("eth0"))
    assert select.select([node.network.fileno()], [], [], 10)[0]
    with pytest.raises(AgentError, match="no connected route"):
        other.restore() or agent.restore()
    node.set(static)
    assert select.select([node.network.fileno()], [], [], 10)[0]
    assert agent.restore()
    assert sorted(node.addresses()) == [static, virtual]
    assert not agent.restore()
    agent.stop()
    node.set(virtual)
    node.ip.flush_addr(index=node.index("eth0"))
    assert not agent.restore(), "stopped"
    assert not node.addresses()


def test_what_was_only_perhaps_taken_away_is_left_as_it_is(node):
    node.set("10.0.0.252/24")
    agent = node.agent("10.0.0.254")
    agent.start()
    node.network._lost |= node.network._held  # as after more notices than could be kept
    assert not agent.restore()
    assert not node.network.may_be_lost(agent.target.address)


def test_virtual_addresses_survive_each_other(node):
    """Two groups in one network: releasing the first must not take the second."""
    first, second = node.agent("10.0.0.253/24/eth0"), node.agent("10.0.0.254")
    first.start()
    second.start()
    first.stop()
    assert list(node.addresses()) == ["10.0.0.254/24"]
    second.stop()
    assert not node.addresses()


@pytest.mark.parametrize("order", ["before", "while"])
def test_the_administrators_ipv6_address_survives(node, order):
    if order == "before":
        node.set("fd00::2/64")
    agent = node.agent("fd00::fe/64/eth0", "IPv6addr")
    agent.start()
    if order == "while":
        node.set("fd00::2/64")
    before = node.addresses()["fd00::2/64"]
    agent.stop()
    assert node.addresses() == {"fd00::2/64": before}
    connected = [m.get_attr("RTA_DST") for m in node.ip.get_routes(family=socket.AF_INET6, table=254)]
    assert "fd00::" in connected


# IPv6


def test_an_ipv6_address_is_usable_at_once(node):
    node.set("fd00::2/64")
    agent = node.agent("fd00::fe")
    agent.start()
    with node.inside():
        probe = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    with probe:
        probe.bind(("fd00::fe", 5000))  # refused while duplicate address detection runs
    found = node.addresses()["fd00::fe/64"]
    assert found["flags"] & IFA_F_NODAD
    assert not found["flags"] & IFA_F_TENTATIVE
    assert found["valid"] == 0xFFFFFFFF


def test_an_ipv6_address_is_never_chosen_as_source(node):
    node.set("fd00::2/64")
    node.agent("fd00::fe/64/eth0").start()
    assert node.addresses()["fd00::fe/64"]["flags"] & IFA_F_DEPRECATED
    with node.inside():
        probe = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    with probe:
        probe.connect(("fd00::77", 5000))
        assert probe.getsockname()[0] == "fd00::2"


def test_where_ipv6_is_off_the_kernels_words_are_passed_on(node):
    node.sysctl("ipv6/conf/eth0/disable_ipv6", 1)
    with pytest.raises(AgentError) as caught:
        node.agent("fd00::fe/64/eth0").start()
    assert caught.value.text.startswith("cannot add fd00::fe/64 to eth0: ")
    assert "IPv6 is disabled" in caught.value.text


# What the neighbours are told


def test_gratuitous_arp_octet_by_octet(world, capture):
    node, peer = world
    node.set("10.0.0.1/24")
    agent = node.agent("10.0.0.254")
    agent.start()
    arp = capture(peer, "lan0", 0x0806)
    agent.announce()
    ethernet = bytes.fromhex("ffffffffffff" + "020000000001" + "0806")  # broadcast, our address, ARP
    sender = bytes.fromhex("020000000001" + "0a0000fe")
    assert arp.frames(2) == [
        # RFC 826: Ethernet, IPv4, 6, 4; RFC 5227 §3: request, both protocol addresses ours, target hardware zero
        ethernet
        + bytes.fromhex("0001" + "0800" + "06" + "04" + "0001")
        + sender
        + bytes.fromhex("000000000000" + "0a0000fe"),
        # RFC 2002 §4.6: reply, both protocol addresses ours, both hardware addresses ours
        ethernet
        + bytes.fromhex("0001" + "0800" + "06" + "04" + "0002")
        + sender
        + bytes.fromhex("020000000001" + "0a0000fe"),
    ]
    assert arp.nothing_more()


@pytest.mark.parametrize("forwarding", [0, 1])
def test_unsolicited_advertisement_octet_by_octet(world, capture, forwarding):
    node, peer = world
    node.set("fd00::2/64")
    agent = node.agent("fd00::fe", "IPv6addr")
    agent.start()
    node.sysctl("ipv6/conf/eth0/forwarding", forwarding)
    ipv6 = capture(peer, "lan0", 0x86DD)
    agent.announce()
    source = socket.inet_pton(socket.AF_INET6, "fd00::fe")
    (frame,) = ipv6.frames(1, lambda frame: frame[54] == 136 and frame[22:38] == source)
    all_nodes = socket.inet_pton(socket.AF_INET6, "ff02::1")
    # RFC 2464 §7: the multicast address ends in the last four octets of the IPv6 address
    assert frame[:14] == bytes.fromhex("333300000001" + "020000000001" + "86dd")
    # RFC 8200: version 6; 32 octets of ICMPv6; hop limit 255 (RFC 4861 §4.4)
    assert frame[14] >> 4 == 6
    assert frame[18:22] == bytes((0, 32, 58, 255))
    assert frame[22:54] == source + all_nodes
    advertisement = frame[54:86]
    assert len(frame) == 86
    # RFC 4861 §4.4: type, code, (checksum), Router and Override, not Solicited; the target; target link-layer address
    assert advertisement[:2] == bytes((136, 0))
    assert advertisement[4:8] == bytes((0xA0 if forwarding else 0x20, 0, 0, 0))
    assert advertisement[8:24] == source
    assert advertisement[24:] == bytes.fromhex("0201" + "020000000001")
    # RFC 4443 §2.3: over the pseudo-header and all of it, the sum with the checksum is all ones
    words = struct.unpack("!36H", source + all_nodes + struct.pack("!II", 32, 58) + advertisement)
    assert sum(words) % 0xFFFF == 0


@pytest.mark.parametrize(("static", "virtual"), [("10.0.0.1/24", "10.0.0.254"), ("fd00::1/64", "fd00::fe")])
def test_neighbours_that_knew_the_old_holder_learn_the_new_one(world, static, virtual):
    node, peer = world
    family = "ipv6" if ":" in virtual else "ipv4"
    peer.sysctl(f"{family}/neigh/lan0/locktime", 0)  # else an entry as young as this one is kept for a second
    peer.set(static.replace("1/", "9/"), "lan0")
    node.set(static)
    lan0 = peer.index("lan0")
    peer.ip.neigh("add", dst=virtual, lladdr="02:00:00:00:00:77", ifindex=lan0, state="reachable")
    agent = node.agent(virtual)
    agent.start()
    agent.announce()

    def known():
        entries = peer.ip.get_neighbours(ifindex=lan0, family=socket.AF_INET6 if family == "ipv6" else socket.AF_INET)
        return [entry.get_attr("NDA_LLADDR") for entry in entries if entry.get_attr("NDA_DST") == virtual]

    until(lambda: known() == [NODE_MAC])


@pytest.fixture
def lan():
    """(node, holder, client): the client knows both by a bridge of its own, `lan0`."""
    with contextlib.ExitStack() as stack:
        machines = []
        for _ in range(3):
            machines.append(Namespace())
            stack.callback(machines[-1].close)
        node, holder, client = machines
        client.ip.link("add", ifname="lan0", kind="bridge")
        client.ip.link("set", index=client.index("lan0"), state="up")
        for number, (machine, mac) in enumerate(((node, NODE_MAC), (holder, PEER_MAC))):
            cable(machine, "eth0", client, f"port{number}", mac, f"02:00:00:00:01:0{number}")
            client.ip.link("set", index=client.index(f"port{number}"), master=client.index("lan0"))
        yield node, holder, client


def neighbour(machine, address):
    """At which hardware address it believes it to be."""
    entries = machine.ip.get_neighbours(family=socket.AF_INET6 if ":" in address else socket.AF_INET)
    return [entry.get_attr("NDA_LLADDR") for entry in entries if entry.get_attr("NDA_DST") == address]


@pytest.fixture(params=[("10.0.0.1/24", "10.0.0.254"), ("fd00::1/64", "fd00::fe")], ids=["IPv4", "IPv6"])
def misled(request, lan):
    """(address): the client believes it to be at the node, and nobody has it yet."""
    static, virtual = request.param
    for machine, number in zip(lan, "123", strict=True):
        machine.set(static.replace("1/", f"{number}/"), "eth0" if machine.ip.link_lookup(ifname="eth0") else "lan0")
    client = lan[2]
    family = "ipv6" if ":" in virtual else "ipv4"
    client.sysctl(f"{family}/neigh/lan0/locktime", 0)  # else an entry as young as this one is kept for a second
    client.ip.neigh("add", dst=virtual, lladdr=NODE_MAC, ifindex=client.index("lan0"), state="reachable")
    return virtual


def test_who_was_misled_learns_who_else_answers(lan, misled):
    node, holder, client = lan
    holder.agent(misled).start()
    with node.inside():
        redirect(node.agent(misled))
    assert neighbour(client, misled) == [PEER_MAC]


def test_an_address_that_is_still_here_silently_is_no_reason_to_keep_quiet(lan, misled):
    node, holder, client = lan
    holder.agent(misled).start()
    agent = node.agent(misled)
    agent.start()
    node.sysctl("ipv4/conf/eth0/arp_ignore", 8)  # answer for nothing
    with node.inside():
        redirect(agent)
    assert neighbour(client, misled) == [PEER_MAC]


def test_nobody_is_sent_to_where_nobody_answers(lan, misled):
    node, _, client = lan
    with node.inside():
        if ":" in misled:
            redirect(node.agent(misled))
        else:
            with pytest.raises(AgentError, match=r"nobody else answers for 10\.0\.0\.254"):
                redirect(node.agent(misled))
    assert neighbour(client, misled) == [NODE_MAC]


def test_an_address_that_has_come_back_is_not_given_away(lan, misled):
    """Whoever has it, too, would answer."""
    node, holder, client = lan
    holder.agent(misled).start()
    agent = node.agent(misled)
    statuses = [False, True]
    agent.status = lambda: statuses.pop(0) if statuses else True
    with node.inside():
        redirect(agent)
    assert (statuses, neighbour(client, misled)) == ([], [NODE_MAC])


def test_sendarp_announces_without_setting(world, capture):
    node, peer = world
    agent = node.agent("10.0.0.254/eth0", "SendArp")
    agent.prepare()
    assert not agent.status()
    agent.start()
    assert agent.status()
    arp = capture(peer, "lan0", 0x0806)
    agent.announce()
    assert all(frame[28:32] == bytes((10, 0, 0, 254)) for frame in arp.frames(2))
    agent.stop()
    assert not agent.status()
    assert not node.addresses()
    with pytest.raises(AgentError, match="no interface eth9"):
        node.agent("10.0.0.254/eth9", "SendArp").start()


def test_an_announcement_on_an_interface_that_is_down_is_an_error_and_loopback_has_no_neighbours(node):
    node.set("10.0.0.1/24")
    agent = node.agent("10.0.0.254/24/eth0")
    agent.start()
    node.ip.link("set", index=node.index("eth0"), state="down")
    with pytest.raises(AgentError, match=r"cannot announce 10\.0\.0\.254"):
        agent.announce()
    loopback = node.agent("10.3.0.254/32/lo")
    loopback.start()
    loopback.announce()
    assert loopback.status()


# As a command


def command(node, *words):
    return node.run(sys.executable, "-I", "-m", "heartbeat.agents", *words)


def test_an_agent_alone_as_a_command(world, capture):
    node, peer = world
    node.set("10.0.0.1/24")
    arp = capture(peer, "lan0", 0x0806)
    done = command(node, "IPaddr", "10.0.0.254", "status")
    assert (done.returncode, done.stdout) == (7, "stopped\n")
    assert command(node, "IPaddr", "10.0.0.254", "start").returncode == 0
    assert "10.0.0.254/24" in node.addresses()
    for verb in ("status", "monitor"):
        done = command(node, "IPaddr", "10.0.0.254", verb)
        assert (done.returncode, done.stdout) == (0, "running\n")
    assert len(arp.frames(4)) == 4, "at once and, from the background, again"
    assert command(node, "IPaddr", "10.0.0.254", "stop").returncode == 0
    assert command(node, "IPaddr", "10.0.0.254", "stop").returncode == 0
    assert list(node.addresses()) == ["10.0.0.1/24"]


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["IPaddr", "10.0.0.254", "start"], 1, "ERROR: no connected route for 10.0.0.254: give the interface"),
        (["IPaddr", "10.0.0.254/24/eth7", "start"], 1, "ERROR: no interface eth7 for 10.0.0.254"),
        (["IPaddr", "10.0.0.999", "status"], 2, "ERROR: '10.0.0.999' is not an IP address"),
        (["IPaddr", "start"], 2, "ERROR: IPaddr takes one argument"),
        (["IPv6addr", "10.0.0.254", "start"], 2, "ERROR: 10.0.0.254 is not an IPv6 address"),
        (["IPaddr", "10.0.0.254", "reload"], 3, "ERROR: IPaddr cannot 'reload'"),
        (["Nobody", "start"], 2, "ERROR: no built-in agent is called 'Nobody'"),
        (["start"], 2, "usage: "),
    ],
)
def test_a_command_says_what_is_wrong(node, words, code, said):
    done = command(node, *words)
    assert done.returncode == code
    assert done.stderr.startswith(said)
    assert done.stdout == ""


def test_resolved_agents_share_the_process_sockets():
    one, two = agents.resolve("IPaddr", ["10.0.0.254"]), agents.resolve("IPaddr2", ["10.0.0.253"])
    assert one.network is two.network
