"""The medium to ping nodes, between real network namespaces whose kernels answer; and what is signed and verified."""

import os
import select
import socket
import struct
import time
from types import SimpleNamespace

import pytest
from test_media_udp import Host

from _hbfast.auth import Authenticator
from _hbfast.codec import encode
from heartbeat.config.record import PingConfig
from heartbeat.core.events import PingAnswer
from heartbeat.media import icmp
from heartbeat.media.icmp import Echo
from heartbeat.pings import Pings, Target

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="raw sockets and network namespaces need root")

# of the original, recorded: docs/protocol/wire.md, Example 11
KEY = {1: ("sha1", b"TestKey123")}
RECORDED = (
    b"###\n10:(0)t=NS_st,10:(0)st=ping,12:(0)info=ping,15:(0)src=10.9.0.2,14:(0)ts=6b02cab7,50:(0)auth=1 "
    b"e7367dcc78c99a3bc31e2519e9f264b6e9eb0b58,%%%\n42:1 271cb9a951df83c1e9a94bb03a3fc54f26e3a136,"
)
NEAR, FAR, OTHER = "10.0.0.1", "10.0.0.2", "10.0.0.3"
SECOND = 1_000_000_000


def config(*hosts, name="", kind="ping"):
    return PingConfig(name or hosts[0], kind, hosts, hosts)


def wait(medium):
    """What has come within a second, at the first look that finds something."""
    select.select([medium.fileno()], [], [], 1.0)
    return medium.receive()


def silence(medium):
    time.sleep(0.1)
    return medium.receive()


@pytest.fixture
def hosts():
    """A node, and a host on its network with two addresses."""
    node, far = Host(), Host()
    node.wire(far)
    far.address("eth0", OTHER)
    return SimpleNamespace(node=node, far=far)


@pytest.fixture
def medium(hosts):
    made = Echo(config(FAR))
    with hosts.node.inside():
        made.open()
    yield made
    made.close()


def forge(hosts, medium, frame, *, source=FAR, kind=0, number=None, identifier=None):
    """An ICMP packet from that address of the far host's, as an answer would be."""
    identifier = medium._identifier if identifier is None else identifier
    number = medium._number if number is None else number
    unsummed = struct.pack("!BBHHH", kind, 0, 0, identifier, number) + frame
    packet = struct.pack("!BBHHH", kind, 0, icmp.checksum(unsummed), identifier, number) + frame
    with hosts.far.inside(), socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as sender:
        sender.bind((source, 0))
        sender.sendto(packet, (NEAR, 0))


def deaf(hosts):
    """The far host answers nothing by itself."""
    # a setting of its network namespace: /proc/sys/net is of whoever opens it
    with hosts.far.inside(), open("/proc/sys/net/ipv4/icmp_echo_ignore_all", "w") as setting:
        setting.write("1")


# --- octets


def test_what_is_sent_is_what_the_original_sends():
    auth = Authenticator(KEY, 1)
    assert encode(Target(config("10.9.0.2"), auth).request("6b02cab7"), auth, "netstring") == RECORDED
    assert icmp.checksum(icmp.ICMP_HEADER.pack(8, 0, 0, 0x851A, 0) + RECORDED) == 0x93AF


def test_a_group_says_that_it_is_one():
    target = Target(config(FAR, OTHER, name="gateways", kind="ping_group"), Authenticator(KEY, 1))
    request = target.request("1")
    assert (request.source, request.get("info"), request.get("st")) == ("gateways", "ping_group", "ping")


def test_the_checksum_of_an_odd_number_of_octets():
    assert icmp.checksum(b"\x08\x00\x00\x00\x00\x01\x00\x01a") == icmp.checksum(b"\x08\x00\x00\x00\x00\x01\x00\x01a\0")


# --- the socket


@as_root
def test_a_host_that_answers(medium):
    medium.send(b"one")
    assert wait(medium) == [b"one"]
    medium.send(b"two")
    assert wait(medium) == [b"two"]
    assert (medium.dropped, medium.discarded) == (0, 0)


@as_root
def test_only_the_host_that_was_asked_counts(hosts, medium):
    deaf(hosts)
    medium.send(b"one")
    forge(hosts, medium, b"one", source=OTHER)
    assert silence(medium) == []
    assert medium.discarded == 0  # the kernel has kept it out
    forge(hosts, medium, b"one")
    assert wait(medium) == [b"one"]


@as_root
@pytest.mark.parametrize("wrong", [{"identifier": 0}, {"number": 0}, {"number": 9}, {"kind": 8}, {"kind": 3}], ids=str)
def test_an_answer_to_something_else_does_not_count(hosts, medium, wrong):
    deaf(hosts)
    medium.send(b"one")
    forge(hosts, medium, b"one", **wrong)
    assert silence(medium) == []


@as_root
def test_other_octets_than_were_sent_do_not_count_and_each_counts_once(hosts, medium):
    deaf(hosts)
    medium.send(b"one")
    forge(hosts, medium, b"two")
    forge(hosts, medium, b"")
    assert silence(medium) == []
    assert medium.discarded == 2
    for _ in range(3):
        forge(hosts, medium, b"one")
    assert silence(medium) == [b"one"]
    assert medium.discarded == 4


@as_root
def test_an_answer_that_is_too_late_does_not_count(hosts, medium):
    deaf(hosts)
    medium.send(b"first")
    number = medium._number
    for _ in range(icmp.WINDOW - 1):
        medium.send(b"later")
    forge(hosts, medium, b"first", number=number)
    assert wait(medium) == [b"first"]
    medium.send(b"second")
    number = medium._number
    for _ in range(icmp.WINDOW):
        medium.send(b"later")
    forge(hosts, medium, b"second", number=number)
    assert silence(medium) == []


@as_root
def test_without_the_kernels_filter_the_same_counts(hosts, monkeypatch):
    monkeypatch.setattr(Echo, "_filter", lambda self, endpoint: None)
    deaf(hosts)
    medium = Echo(config(FAR))
    with hosts.node.inside():
        medium.open()
    medium.send(b"one")
    forge(hosts, medium, b"one", source=OTHER)
    forge(hosts, medium, b"one", identifier=medium._identifier ^ 1)
    forge(hosts, medium, b"one", kind=8)
    assert silence(medium) == []
    assert medium.discarded == 3
    forge(hosts, medium, b"one")
    assert wait(medium) == [b"one"]
    medium.close()


@as_root
def test_a_flood_is_read_a_little_at_a_time(hosts, medium):
    deaf(hosts)
    medium.send(b"one")
    for _ in range(3 * icmp.RECEIVE_PACKETS):
        forge(hosts, medium, b"no")
    time.sleep(0.1)
    assert medium.receive() == []
    assert medium.discarded == icmp.RECEIVE_PACKETS


@as_root
def test_of_a_group_one_is_enough(hosts):
    medium = Echo(config("10.0.0.77", OTHER, name="gateways", kind="ping_group"))
    with hosts.node.inside():
        medium.open()
    medium.send(b"one")
    assert wait(medium) == [b"one"]
    medium.close()


@as_root
def test_of_a_group_each_number_counts_once(hosts):
    medium = Echo(config(FAR, OTHER, name="gateways", kind="ping_group"))
    with hosts.node.inside():
        medium.open()
    medium.send(b"one")
    time.sleep(0.1)
    assert medium.receive() == [b"one"]
    assert medium.discarded == 1
    medium.close()


@as_root
def test_a_host_behind_no_route_is_a_silent_one(hosts):
    medium = Echo(config("192.0.2.1"))
    with hosts.node.inside():
        medium.open()
    medium.send(b"one")
    assert medium.dropped == 1
    assert silence(medium) == []
    hosts.node.set("eth0", "down")
    medium.send(b"two")
    assert medium.dropped == 2
    medium.close()
    assert medium.fileno() == -1
    medium.send(b"three")
    assert medium.receive() == []


@as_root
def test_ping6(hosts):
    hosts.far.address("eth0", "fd00::3")
    medium = Echo(config("fd00::2", kind="ping6"))
    with hosts.node.inside():
        medium.open()
    medium.send(b"one")
    assert wait(medium) == [b"one"]
    # another host's, with the right identifier: turned away here
    medium.send(b"two")
    assert wait(medium) == [b"two"]
    with hosts.far.inside(), socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6) as sender:
        sender.bind(("fd00::3", 0))
        medium._sent.append((7, b"three"))
        for identifier in (medium._identifier, medium._identifier ^ 1):
            sender.sendto(struct.pack("!BBHHH", 129, 0, 0, identifier, 7) + b"three", ("fd00::1", 0))
    assert silence(medium) == []
    assert medium.discarded == 1
    medium.close()


def test_who_may_not_is_told_so():
    with pytest.raises(OSError, match="could be resolved"):
        Echo(PingConfig("gateways", "ping_group", ["gateway.invalid"], [])).open()


# --- what the daemon does with it


class Log(list):
    def write(self, severity, text, **_):
        self.append(text)


class Loop:
    """As much of the daemon's as Pings needs."""

    def __init__(self):
        self.log = Log()
        self.inbox = []
        self.callbacks = {}
        self.poller = SimpleNamespace(add=lambda fd, call, events: self.callbacks.update({fd: call}),
                                      remove=self.callbacks.pop)  # fmt: skip
        self.at = SECOND

    def now(self):
        return self.at


def settings(*pings, keys=KEY, divisor=1):
    return SimpleNamespace(pings=pings, keys=keys, outbound=1, message_format="classic", keepalive_ms=1000,
                           divisor=divisor)  # fmt: skip


@as_root
def test_an_answer_is_an_event_for_the_core(hosts):
    loop = Loop()
    pings = Pings(settings(config(FAR)), loop)
    with hosts.node.inside():
        pings.open_all()
    pings.beat(SECOND)
    (fd,) = loop.callbacks
    select.select([fd], [], [], 1.0)
    loop.callbacks[fd](1)
    ((event, at),) = loop.inbox
    assert (type(event), event.node, at) == (PingAnswer, FAR, loop.at)
    target = pings.targets[FAR]
    assert (target.state, target.backend, target.type, target.rejected) == ("up", "icmp", "ping", 0)
    pings.close()
    assert loop.callbacks == {}


@as_root
def test_what_was_signed_with_other_keys_is_no_answer(hosts):
    loop = Loop()
    pings = Pings(settings(config(FAR)), loop)
    with hosts.node.inside():
        pings.open_all()
    pings.beat(SECOND)
    pings.configure(settings(config(FAR), keys={1: ("sha1", b"another")}))
    (fd,) = loop.callbacks
    select.select([fd], [], [], 1.0)
    loop.callbacks[fd](1)
    assert loop.inbox == []
    assert pings.targets[FAR].rejected == 1
    pings.close()


@as_root
def test_a_burst_of_statuses_asks_once(hosts):
    pings = Pings(settings(config(FAR)), Loop())
    with hosts.node.inside():
        pings.open_all()
    for passed in (0, 10, 499, 500, 600, 1000):
        pings.beat(SECOND + passed * 1_000_000)
    assert pings.targets[FAR].medium._number == 3
    pings.close()


@as_root
def test_a_reload_opens_closes_and_keeps(hosts):
    loop = Loop()
    pings = Pings(settings(config(FAR)), loop)
    with hosts.node.inside():
        pings.open_all()
        kept = pings.targets[FAR]
        pings.configure(settings(config(FAR), config(OTHER)))
        pings.open_all()
    assert pings.targets[FAR] is kept
    assert [target.state for target in pings.targets.values()] == ["up", "up"]
    pings.configure(settings(config(OTHER)))
    assert list(pings.targets) == [OTHER]
    assert kept.medium.fileno() == -1
    assert len(loop.callbacks) == 1
    pings.close()


def test_one_that_cannot_be_opened_is_tried_again_and_again(monkeypatch):
    loop = Loop()
    tried = []

    def refused(self):
        tried.append(loop.at)
        raise PermissionError(1, f"ping {self.name}: no permission for raw sockets: run as root")

    monkeypatch.setattr(Echo, "open", refused)
    pings = Pings(settings(config(FAR)), loop)
    pings.open_all()
    assert pings.targets[FAR].state == "down"
    for _ in range(12):
        loop.at += SECOND
        pings.beat(loop.at)
    assert tried == [SECOND, 6 * SECOND, 11 * SECOND]
    assert "run as root" in loop.log[0]
