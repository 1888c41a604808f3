"""ucast6 and mcast6 between real network namespaces: what they do not have in common with ucast and mcast."""

import errno
import os
import socket
import struct
from types import SimpleNamespace

import pytest
from test_media_udp import (
    ADDRESS,
    GROUP_6,
    IFA_F_TENTATIVE,
    PATIENCE_NS,
    PORT,
    START,
    assert_carried,
    await_frames,
    hears,
    hosts,
    opened,
    pair_of,
    silent,
    two_cables,
)

from heartbeat import media
from heartbeat.core.actions import STATUS
from heartbeat.media import sources, udp

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root")
__all__ = ["hosts", "opened", "two_cables"]

SITE_GROUP = "ff05::694"
KINDS_6 = pytest.mark.parametrize("kind", ["ucast6", "mcast6"])


def join(host, group, device="eth0"):
    """A socket on the group's address and the heartbeat port, that has joined it on the device."""
    endpoint = host.socket("mcast6")
    endpoint.settimeout(5)
    endpoint.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    endpoint.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVHOPLIMIT, 1)
    endpoint.bind((group, PORT, 0, host.index(device)))
    membership = struct.pack("@16sI", socket.inet_pton(socket.AF_INET6, group), host.index(device))
    endpoint.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, membership)
    return endpoint


@pytest.mark.parametrize("loop", [0, 1])
def test_mcast6_hears_itself_where_it_shall(loop, opened):
    medium, other = (opened(number, "mcast6", address=GROUP_6, loop=loop) for number in (0, 1))
    medium.send(b"own", STATUS, START)
    assert await_frames(other) == [[b"own"]]
    if loop:
        assert await_frames(medium) == [[b"own"]]
    assert medium.receive() == []


@pytest.mark.parametrize("hops", [0, 1, 4])
def test_mcast6_limits_how_far_its_frames_go(hops, opened, hosts):
    sender = opened(0, "mcast6", address=SITE_GROUP, ttl=hops, loop=1)
    with join(hosts[1], SITE_GROUP) as endpoint:
        sender.send(b"frame", STATUS, START)
        if hops:
            data, ((_, _, found),), _, (_, port, *_) = endpoint.recvmsg(100, 100)
            assert (data, struct.unpack("=i", found)[0]) == (b"frame", hops)
            assert port > 1023
        else:
            # it stays on its own host, and has passed by the time that it is heard there
            assert await_frames(sender) == [[b"frame"]]
            endpoint.setblocking(False)
            with pytest.raises(BlockingIOError):
                endpoint.recv(100)


def test_mcast6_hears_its_group_alone(opened):
    receiver = opened(1, "mcast6", address=GROUP_6)
    opened(0, "ucast6", address="fd00::2").send(b"to the host", STATUS, START)
    opened(0, "mcast6", address="ff02::695").send(b"to another group", STATUS, START)
    opened(0, "mcast6", address=GROUP_6).send(b"to the group", STATUS, START)
    assert await_frames(receiver) == [[b"to the group"]]


@pytest.mark.parametrize("group", [GROUP_6, SITE_GROUP])
def test_mcast6_hears_nothing_from_an_interface_on_which_somebody_else_joined(group, two_cables, opened):
    receiver = opened(1, "mcast6", device="eth0", address=group)
    with join(two_cables[1], group, "eth1"):
        opened(0, "mcast6", device="eth1", address=group).send(b"foreign", STATUS, START)
        opened(0, "mcast6", device="eth0", address=group).send(b"ours", STATUS, START)
        assert await_frames(receiver) == [[b"ours"]]
        assert receiver.receive() == []


@pytest.mark.parametrize("other", ["ucast", "bcast", "mcast"])
def test_media_of_both_versions_share_the_port_and_keep_to_their_own(other, opened):
    kinds = ("ucast6", other, "mcast6")
    senders, receivers = ([opened(number, kind, address=ADDRESS[kind]) for kind in kinds] for number in (0, 1))
    for sender in senders:
        sender.send(sender.type.encode(), STATUS, START)
    assert await_frames(*receivers, count=3) == [[kind.encode()] for kind in kinds]


def test_several_ucast6_lines_on_one_interface_share_the_port(opened):
    senders = [opened(0, "ucast6", address="fd00::2") for _ in range(8)]
    receivers = [opened(1, "ucast6", address="fd00::1") for _ in range(2)]
    for number, sender in enumerate(senders):
        sender.send(b"%d" % number, STATUS, START)
    got = await_frames(*receivers, count=8)
    assert sorted(got[0] + got[1]) == [b"%d" % number for number in range(8)]


# link-local addresses


def test_a_link_local_address_is_that_of_the_medium_s_own_interface(two_cables, opened):
    """The same one is behind both."""
    for device in ("eth0", "eth1"):
        two_cables[1].address(device, "fe80::2")
    receivers = [opened(1, "ucast6", device=device, address="fe80::1") for device in ("eth0", "eth1")]
    for device in ("eth1", "eth0"):
        opened(0, "ucast6", device=device, address="fe80::2").send(device.encode(), STATUS, START)
    assert await_frames(*receivers, count=2) == [[b"eth0"], [b"eth1"]]


def test_a_link_local_address_is_found_again_behind_an_interface_that_was_made_anew(opened, hosts):
    def wire():
        for host, last in zip(hosts, (1, 2), strict=True):
            host.address("eth0", f"fe80::{last}")

    wire()
    ends = [opened(number, "ucast6", address=f"fe80::{2 - number}") for number in (0, 1)]
    assert_carried(*ends, b"before", START)
    hosts[0].ip.link("del", index=hosts[0].index("eth0"))
    hosts[0].wire(hosts[1])
    wire()
    for end, host in zip(ends, hosts, strict=True):
        with pytest.raises(OSError, match="made anew"):
            end.send(b"lost", STATUS, START + udp.CHECK_NS)
        end.close()
        with host.inside():
            end.open()
    for sender, receiver in (ends, ends[::-1]):
        assert_carried(sender, receiver, b"after to " + b"%d" % ends.index(receiver), START + udp.CHECK_NS)


# who is heard


@pytest.fixture
def say(hosts):
    """say(source, frame): hosts[1] sends it to the heartbeat port of hosts[0], as the owner of that address."""
    # each differs from the peer's in one of its four words
    for address in ("fd00::3", "fd00::1:0:2", "fd00:0:0:1::2", "fe80::2"):
        hosts[1].address("eth0", address)

    def send(source, frame, target="fd00::1"):
        with hosts[1].socket("ucast6") as endpoint:
            endpoint.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, hosts[1].index("eth0"))
            endpoint.bind((source, 0, 0, hosts[1].index("eth0")))
            endpoint.sendto(frame, (target, PORT, 0, hosts[1].index("eth0")))

    return send


def test_strangers_are_kept_out_by_the_kernel_and_counted(opened, say, hosts):
    hosts[0].ip.route("add", dst="fd00::/16", oif=hosts[0].index("eth0"))
    medium = opened(0, "ucast6", address="fd00::2", sources=("fd00::9", "fd00::2", "fe80::2"))
    for number, source in enumerate(("fd00::2", "fd00::3", "fd00::1:0:2", "fd00:0:0:1::2", "fe80::2")):
        say(source, b"%d" % number)
    assert hears(medium) == [0, 4]
    assert medium.discarded == 3


def test_the_operators_list_holds_for_mcast6(opened, say):
    medium = opened(0, "mcast6", address=GROUP_6, sources=("fe80::2",), sources_strict=True)
    for number, source in enumerate(("fd00::2", "fe80::2")):
        say(source, b"%d" % number, GROUP_6)
    assert await_frames(medium) == [[b"1"]]
    assert medium.discarded == 1


def test_a_peer_that_speaks_from_elsewhere_is_heard_and_said(opened, say):
    medium = opened(0, "ucast6", address="fd00::2", sources=("fd00::2",))
    medium.patience_ns = PATIENCE_NS
    medium.send(b"to the peer", STATUS, START)
    silent(medium, START + PATIENCE_NS)
    say("fe80::2", b"1", "fd00::1")
    assert hears(medium) == [1]
    text = medium.believe(0, START + PATIENCE_NS)
    assert "no ucast6 line names" in text
    assert "`udp_sources fd00::2 fe80::2`" in text


@pytest.mark.parametrize("address", ["10.0.{}.2", "fd00::{}:2"])
def test_as_many_sources_as_a_filter_may_have(address):
    many = [address.format(number) for number in range(sources.SOURCES_MAX)]
    code = sources.program(many)
    assert len(code) // 8 <= 4096  # BPF_MAXINSNS


# addresses that come late, and go


def forget_addresses(host):
    """When an interface is down, as kernels do unless they are told otherwise."""
    for conf in ("all", "eth0"):
        host.sysctl(f"ipv6/conf/{conf}/keep_addr_on_down", 0)


@KINDS_6
def test_addresses_that_are_not_usable_yet_are_waited_for_without_opening_again(kind, opened, hosts):
    for name, value in {"accept_dad": 1, "router_solicitation_delay": 0}.items():
        hosts[0].sysctl(f"ipv6/conf/eth0/{name}", value)
    forget_addresses(hosts[0])
    hosts[0].set("eth0", "down")
    ends = pair_of(opened, kind)
    hosts[0].set("eth0", "up")
    hosts[0].address("eth0", "fd00::1", usable=False)
    (found,) = hosts[0].ip.get_addr(index=hosts[0].index("eth0"), address="fd00::1")
    assert found["flags"] & IFA_F_TENTATIVE
    ends[0].send(b"too early", STATUS, START)
    for host in hosts:
        host.await_carrier()
    for sender, receiver in (ends, ends[::-1]):
        sender.send(b"in time", STATUS, START + 2 * udp.CHECK_NS)
        assert await_frames(receiver) == [[b"in time"]]


@KINDS_6
@pytest.mark.parametrize("how", ["down", "without IPv6"])
def test_a_static_address_may_go_and_be_set_again(kind, how, opened, hosts):
    """Both ends' interfaces lose all IPv6 addresses, and have their link-local ones again by themselves."""
    ends = pair_of(opened, kind)
    for host, last in zip(hosts, (1, 2), strict=True):
        if how == "down":
            forget_addresses(host)
            host.set("eth0", "down")
            ends[0].send(b"lost", STATUS, START + last * udp.CHECK_NS)
            host.set("eth0", "up")
        else:
            host.sysctl("ipv6/conf/eth0/disable_ipv6", 1)
            ends[0].send(b"lost", STATUS, START + last * udp.CHECK_NS)
            host.sysctl("ipv6/conf/eth0/disable_ipv6", 0)
        host.address("eth0", f"fd00::{last}")
    for host in hosts:
        host.await_carrier()
    assert ends[0].dropped
    for sender, receiver in (ends, ends[::-1]):
        assert_carried(sender, receiver, b"to %d" % ends.index(receiver), START + 9 * udp.CHECK_NS)


def test_a_kernel_without_ipv6_is_named(monkeypatch):
    def refuse(*_):
        raise OSError(errno.EAFNOSUPPORT, "Address family not supported by protocol")

    monkeypatch.setattr(udp, "socket", refuse)
    config = SimpleNamespace(
        name="lo", type="ucast6", device="lo", address="fd00::2", port=PORT, sources=(), sources_strict=False
    )
    with pytest.raises(OSError, match="runs without IPv6") as caught:
        media.create(config).open()
    assert caught.value.errno == errno.EAFNOSUPPORT
    assert caught.value.strerror.startswith("ucast6 lo: ")


def test_ipv4_in_the_dress_of_ipv6_is_not_heard(opened, hosts):
    medium = opened(1, "ucast6", address="fd00::1")
    with hosts[0].socket() as endpoint:
        endpoint.sendto(b"by IPv4", ("10.0.0.2", PORT))
    opened(0, "ucast6", address="fd00::2").send(b"by IPv6", STATUS, START)
    assert await_frames(medium) == [[b"by IPv6"]]
