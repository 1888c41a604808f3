"""ucast, bcast and mcast between real network namespaces, and what ucast6 and mcast6 have in common with them.

The namespaces have no names: whatever happens, they are gone when their last descriptor is.
"""

import errno
import os
import select
import socket
import struct
import time
from types import SimpleNamespace

import pytest
from pyroute2 import IPRoute
from test_watch import AUTH, Station

from _hbfast.codec import Decoder, encode
from heartbeat import media
from heartbeat.core.actions import STATUS
from heartbeat.demo import namespaces
from heartbeat.media import sources, udp

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root")

PORT = 694
START = 1_000_000_000_000
GROUP, GROUP_6 = "239.1.2.3", "ff02::694"
# of the first host's media
ADDRESS = {"ucast": "10.0.0.2", "bcast": "", "mcast": GROUP, "ucast6": "fd00::2", "mcast6": GROUP_6}
IFA_F_TENTATIVE = 0x40
SETTINGS_6 = {
    "accept_dad": 0,  # an address is usable at once
    "keep_addr_on_down": 1,  # and static ones survive that their interface is down
}


class Host:
    """A network namespace. inside(): what is created there belongs to it."""

    def __init__(self):
        self.fd = namespaces.new_network()
        with self.inside():
            self.ip = IPRoute()
        for conf in ("all", "default"):
            for name, value in SETTINGS_6.items():
                self.sysctl(f"ipv6/conf/{conf}/{name}", value)
        self.ip.link("set", index=1, state="up")

    def inside(self):
        return namespaces.inside(self.fd)

    def index(self, name):
        return self.ip.link_lookup(ifname=name)[0]

    def set(self, name, state):
        self.ip.link("set", index=self.index(name), state=state)

    def sysctl(self, name, value):
        with self.inside(), open(f"/proc/sys/net/{name}", "w") as file:
            file.write(str(value))

    def address(self, name, address, verb="add", usable=True):
        """usable: wait until it can be used, of IPv6 a moment later."""
        options = {"broadcast": address.rpartition(".")[0] + ".255"} if verb == "add" and ":" not in address else {}
        self.ip.addr(verb, index=self.index(name), address=address, prefixlen=64 if ":" in address else 24, **options)
        if usable and verb == "add":
            self.await_addresses(name)

    def await_addresses(self, name):
        for _ in range(2000):
            found = self.ip.get_addr(index=self.index(name))
            if not any(each["flags"] & IFA_F_TENTATIVE for each in found):
                return
            time.sleep(0.005)
        raise AssertionError(f"addresses of {name} are not usable")

    def wire(self, other, name="eth0", net="10.0.0", net6="fd00::"):
        """A cable between two hosts; 1 here, 2 there."""
        self.ip.link("add", ifname=name, kind="veth", peer={"ifname": name, "net_ns_fd": other.fd})
        for host, last in ((self, 1), (other, 2)):
            host.address(name, f"{net}.{last}")
            host.set(name, "up")
            host.address(name, f"{net6}{last}")
        self.await_carrier(name)
        other.await_carrier(name)

    def await_carrier(self, name="eth0"):
        """The kernel works links off in the background; until then it drops what is sent. And only then an interface
        has a link-local address."""
        for _ in range(2000):
            up = self.ip.get_links(self.index(name))[0].get_attr("IFLA_OPERSTATE") == "UP"
            found = self.ip.get_addr(index=self.index(name), family=socket.AF_INET6)
            if up and any(each.get_attr("IFA_ADDRESS").startswith("fe80:") for each in found):
                self.await_addresses(name)
                return
            time.sleep(0.005)
        raise AssertionError(f"{name} does not come up")

    def open(self, kind, device="eth0", **options):
        """An open medium of this host."""
        values = {"address": "", "port": PORT, "ttl": 1, "loop": 0, "baud": 0, "rate_bits_per_s": 0}
        values |= {"sources": (), "sources_strict": False} | options
        medium = media.create(SimpleNamespace(name=device, type=kind, device=device, **values))
        with self.inside():
            medium.open()
        return medium

    def socket(self, kind=""):
        """Of the family that a medium of that kind has."""
        with self.inside():
            return socket.socket(socket.AF_INET6 if kind.endswith("6") else socket.AF_INET, socket.SOCK_DGRAM)

    def close(self):
        self.ip.close()
        os.close(self.fd)


@pytest.fixture
def hosts():
    pair = [Host(), Host()]
    pair[0].wire(pair[1])
    yield pair
    for host in pair:
        host.close()


@pytest.fixture
def opened(hosts):
    """opened(host number, type, …): an open medium, closed after the test."""
    media_open = []

    def make(number, kind, **options):
        medium = hosts[number].open(kind, **options)
        media_open.append(medium)
        return medium

    yield make
    for medium in media_open:
        medium.close()
        medium.close()
        assert medium.fileno() == -1


def await_frames(*endpoints, count=1, seconds=5):
    """Receive until `count` frames are there; what each endpoint got."""
    poller = select.poll()
    for endpoint in endpoints:
        poller.register(endpoint.fileno(), select.POLLIN)
    got = [[] for _ in endpoints]
    while sum(map(len, got)) < count and poller.poll(seconds * 1000):
        for frames, endpoint in zip(got, endpoints, strict=True):
            frames.extend(endpoint.receive())
    return got


def assert_carried(sender, receiver, frame, now):
    """A frame sent now arrives. (Of a bcast, the receiver may have heard its own before.)"""
    sender.send(frame, STATUS, now)
    heard = []
    while frame not in heard:
        (frames,) = await_frames(receiver)
        assert frames, f"{frame!r} did not arrive, only {heard!r}"
        heard += frames
    assert heard.count(frame) == 1


def pair_of(opened, kind):
    there = {"ucast": "10.0.0.1", "ucast6": "fd00::1"}.get(kind, ADDRESS[kind])
    return opened(0, kind, address=ADDRESS[kind]), opened(1, kind, address=there)


KINDS = pytest.mark.parametrize("kind", ADDRESS)


@KINDS
def test_frames_go_both_ways_between_two_hosts(kind, opened):
    ends = pair_of(opened, kind)
    for number, (sender, receiver) in enumerate((ends, ends[::-1])):
        assert (sender.type, sender.backend, sender.format, sender.stream) == (kind, "udp", "netstring", False)
        frames = [b"###\n%d %d" % (number, count) + bytes(range(256)) for count in range(3)]
        for frame in frames:
            sender.send(frame, STATUS, START)
        heard = []
        while len(heard) < 3:
            (got,) = await_frames(receiver)
            assert got
            # of a bcast, the receiver's own come back as well
            heard += [frame for frame in got if frame.startswith(b"###\n%d " % number)]
        assert heard == frames
        assert sender.dropped == 0
        assert sender.deadline() is None
        assert sender.quiet(START)


@KINDS
def test_the_largest_datagram_arrives_whole_and_a_larger_frame_is_dropped(kind, opened):
    sender, receiver = pair_of(opened, kind)
    largest = 65_527 if kind.endswith("6") else 65_507
    sender.send(bytes(largest + 1), STATUS, START)
    assert sender.dropped == 1
    sender.send(b"x" * largest, STATUS, START)
    assert await_frames(receiver) == [[b"x" * largest]]


def test_empty_datagrams_are_ignored(opened):
    sender, receiver = pair_of(opened, "ucast")
    sender.send(b"", STATUS, START)
    sender.send(b"frame", STATUS, START)
    assert await_frames(receiver) == [[b"frame"]]


def test_a_flood_is_received_in_bounded_helpings(opened, monkeypatch):
    medium = opened(0, "ucast", address="10.0.0.2")

    class Endless:
        def fileno(self):
            return -1

        def close(self):
            pass

        def recv_into(self, buffer):
            buffer[:5] = b"flood"
            return 5

    monkeypatch.setattr(medium, "_receiver", Endless())
    assert medium.receive() == [b"flood"] * udp.RECEIVE_DATAGRAMS
    monkeypatch.undo()


# what is on the wire


def listener(host, address="", port=PORT, device="eth0"):
    endpoint = host.socket()
    endpoint.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, device.encode())
    endpoint.setsockopt(socket.IPPROTO_IP, socket.IP_RECVTOS, 1)
    endpoint.setsockopt(socket.IPPROTO_IP, 12, 1)  # IP_RECVTTL
    endpoint.bind((address, port))
    endpoint.settimeout(5)
    return endpoint


def sent_with(endpoint):
    """(datagram, source, TOS, TTL)"""
    data, control, _, source = endpoint.recvmsg(65536, 256)
    values = {kind: value[0] for _, kind, value in control}
    return data, source, values[socket.IP_TOS], values[socket.IP_TTL]


def test_ucast_asks_for_low_delay_and_comes_from_an_ephemeral_port(opened, hosts):
    sender = opened(0, "ucast", address="10.0.0.2")
    with listener(hosts[1]) as endpoint:
        sender.send(b"frame", STATUS, START)
        data, source, tos, _ = sent_with(endpoint)
    assert (data, source[0], tos) == (b"frame", "10.0.0.1", 0x10)
    assert source[1] > 1023


def test_bcast_goes_to_the_interface_s_own_broadcast_address(opened, hosts):
    hosts[0].address("eth0", "10.0.0.1", "delete")
    hosts[0].ip.addr("add", index=hosts[0].index("eth0"), address="10.0.0.1", prefixlen=26, broadcast="10.0.0.63")
    hosts[1].ip.addr("add", index=hosts[1].index("eth0"), address="10.0.0.3", prefixlen=26, broadcast="10.0.0.63")
    sender = opened(0, "bcast")
    with listener(hosts[1], "10.0.0.63") as endpoint:
        sender.send(b"frame", STATUS, START)
        data, source, _, _ = sent_with(endpoint)
    assert (data, source[0]) == (b"frame", "10.0.0.1")
    assert source[1] > 1023


def test_bcast_hears_itself(opened):
    medium = opened(0, "bcast")
    medium.send(b"own", STATUS, START)
    assert await_frames(medium) == [[b"own"]]


@pytest.mark.parametrize("loop", [0, 1])
def test_mcast_hears_itself_where_it_shall(loop, opened):
    medium, other = (opened(number, "mcast", address=GROUP, loop=loop) for number in (0, 1))
    medium.send(b"own", STATUS, START)
    assert await_frames(other) == [[b"own"]]
    if loop:
        assert await_frames(medium) == [[b"own"]]
    assert medium.receive() == []


@pytest.mark.parametrize("ttl", [0, 1, 4])
def test_mcast_limits_how_far_its_frames_go(ttl, opened, hosts):
    sender = opened(0, "mcast", address=GROUP, ttl=ttl, loop=1)
    with listener(hosts[1], GROUP) as endpoint:
        membership = struct.pack("4s4si", socket.inet_aton(GROUP), bytes(4), hosts[1].index("eth0"))
        endpoint.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, membership)
        sender.send(b"frame", STATUS, START)
        if ttl:
            data, source, _, sent_ttl = sent_with(endpoint)
            assert (data, source[0], sent_ttl) == (b"frame", "10.0.0.1", ttl)
            assert source[1] > 1023
        else:
            # it stays on its own host, and has passed by the time that it is heard there
            assert await_frames(sender) == [[b"frame"]]
            endpoint.setblocking(False)
            with pytest.raises(BlockingIOError):
                endpoint.recv(100)


# two interfaces


@pytest.fixture
def two_cables(hosts):
    hosts[0].wire(hosts[1], "eth1", "10.0.1", "fd01::")
    return hosts


@KINDS
def test_each_interface_s_medium_keeps_to_its_interface(kind, two_cables, opened):
    """Also where the routes point elsewhere: on both cables the same IPv4 addresses are reachable."""
    # neighbour solicitations are answered for an interface's own addresses alone
    targets = ("fd00::2", "fd01::2") if kind == "ucast6" else (ADDRESS[kind],) * 2
    senders = [opened(0, kind, device=f"eth{number}", address=target) for number, target in enumerate(targets)]
    receivers = [opened(1, kind, device=device, address=ADDRESS[kind]) for device in ("eth0", "eth1")]
    # for ucast, the second one's target lives behind eth0; arp answers on eth1 too (arp_ignore 0)
    for name in ("eth1", "all"):
        two_cables[1].sysctl(f"ipv4/conf/{name}/rp_filter", 0)
    for number, sender in enumerate(senders):
        sender.send(b"by eth%d" % number, STATUS, START)
    got = await_frames(*receivers, count=2)
    assert got == [[b"by eth0"], [b"by eth1"]]


def test_mcast_hears_nothing_from_an_interface_on_which_somebody_else_joined(two_cables, opened):
    receiver = opened(1, "mcast", device="eth0", address=GROUP)
    with two_cables[1].socket() as other:
        membership = struct.pack("4s4si", socket.inet_aton(GROUP), bytes(4), two_cables[1].index("eth1"))
        other.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, membership)
        opened(0, "mcast", device="eth1", address=GROUP).send(b"foreign", STATUS, START)
        opened(0, "mcast", device="eth0", address=GROUP).send(b"ours", STATUS, START)
        assert await_frames(receiver) == [[b"ours"]]
        assert receiver.receive() == []


def test_mcast_hears_its_group_alone(opened):
    receiver = opened(1, "mcast", address=GROUP)
    opened(0, "ucast", address="10.0.0.2").send(b"to the host", STATUS, START)
    opened(0, "mcast", address="239.1.2.4").send(b"to another group", STATUS, START)
    opened(0, "mcast", address=GROUP).send(b"to the group", STATUS, START)
    assert await_frames(receiver) == [[b"to the group"]]


def test_several_ucast_lines_on_one_interface_share_the_port(opened):
    senders = [opened(0, "ucast", address="10.0.0.2") for _ in range(8)]
    receivers = [opened(1, "ucast", address="10.0.0.1") for _ in range(2)]
    for number, sender in enumerate(senders):
        sender.send(b"%d" % number, STATUS, START)
    got = await_frames(*receivers, count=8)
    assert sorted(got[0] + got[1]) == [b"%d" % number for number in range(8)]


# who is heard


PATIENCE_NS = 500_000_000


@pytest.fixture
def say(hosts):
    """say(source, frame): hosts[1] sends it to the heartbeat port of hosts[0], as the owner of that address."""
    for last in (3, 66):
        hosts[1].address("eth0", f"10.0.0.{last}")

    def send(source, frame, port=0):
        with hosts[1].socket() as endpoint:
            endpoint.bind((source, port))
            endpoint.sendto(frame, ("10.0.0.1", PORT))

    return send


def hears(medium):
    """The senders' last numbers, of everything that waits. What was sent over a veth has arrived."""
    return sorted(int(frame) for frame in medium.receive())


def say_all(say):
    for last in (2, 3, 66):
        say(f"10.0.0.{last}", b"%d" % last)


def test_strangers_are_kept_out_by_the_kernel_and_counted(opened, say):
    medium = opened(0, "ucast", address="10.0.0.2", sources=("10.0.0.2",))
    say_all(say)
    say_all(say)
    say("10.0.0.2", b"999", port=694)  # the original's port is any, and so is this one
    assert hears(medium) == [2, 2, 999]
    assert medium.discarded == 4
    medium.close()
    assert medium.discarded == 4


@pytest.mark.parametrize("kind", ["ucast", "mcast", "bcast"])
def test_the_operators_list_holds_for_every_medium_and_for_ever(kind, opened, say, hosts):
    addresses = ("10.0.0.9", "10.0.0.2", "10.0.0.3")
    target = {"ucast": "10.0.0.1", "mcast": GROUP, "bcast": "10.0.0.255"}[kind]
    medium = opened(0, kind, address=GROUP if kind == "mcast" else "10.0.0.2", sources=addresses, sources_strict=True)
    medium.patience_ns = PATIENCE_NS
    for now in (START, START + 10 * PATIENCE_NS):
        for last in (2, 3, 66):
            with hosts[1].socket() as endpoint:
                endpoint.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
                if kind == "mcast":
                    membership = struct.pack("4s4si", bytes(4), bytes(4), hosts[1].index("eth0"))
                    endpoint.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, membership)
                endpoint.bind((f"10.0.0.{last}", 0))
                endpoint.sendto(b"%d" % last, (target, PORT))
        (got,) = await_frames(medium, count=2)
        assert sorted(map(int, got)) == [2, 3]
        assert medium.believe(0, now) is None
        assert medium.deadline() is None
        medium.flush(now)
    assert medium.discarded == 2


def silent(medium, now):
    """Let the medium's patience run out at `now`."""
    assert medium.deadline() == now
    medium.flush(now - 1)
    medium.flush(now)
    assert medium.deadline() is None


def hearing_another(opened, say):
    """A medium whose peer was silent, and which has heard 10.0.0.66 in its place; believed is nothing yet."""
    medium = opened(0, "ucast", address="10.0.0.2", sources=("10.0.0.2",))
    medium.patience_ns = PATIENCE_NS
    medium.send(b"to the peer", STATUS, START)
    silent(medium, START + PATIENCE_NS)
    say("10.0.0.66", b"66")
    assert hears(medium) == [66]
    return medium


def test_a_silent_peer_is_looked_for_everywhere_and_the_filter_comes_back(opened, say):
    medium = opened(0, "ucast", address="10.0.0.2", sources=("10.0.0.2", "10.0.0.3"))
    medium.patience_ns = PATIENCE_NS
    assert medium.deadline() is None, "not before it has said something itself"
    medium.send(b"to the peer", STATUS, START)
    say("10.0.0.2", b"2")
    assert hears(medium) == [2]
    assert medium.believe(0, START + 100) is None
    silent(medium, START + 100 + PATIENCE_NS)
    say("10.0.0.66", b"66")  # not good: nobody believes it, and nothing changes
    say_all(say)
    assert hears(medium) == [2, 3, 66, 66]
    say("10.0.0.66", b"66")
    say("10.0.0.3", b"3")
    assert medium.receive() == [b"66", b"3"]
    assert medium.believe(1, START + 2 * PATIENCE_NS) is None
    say_all(say)
    assert hears(medium) == [2, 3]
    assert medium.deadline() == START + 3 * PATIENCE_NS


def test_a_peer_that_speaks_from_elsewhere_is_heard_and_said(opened, say):
    """Recordings that come from a named address meanwhile are never believed: they can't get it shut out again."""
    medium = hearing_another(opened, say)
    text = medium.believe(0, START + PATIENCE_NS)
    assert "10.0.0.66" in text
    assert "`udp_sources 10.0.0.2 10.0.0.66`" in text
    say_all(say)
    assert medium.receive() == [b"2", b"3", b"66"]
    for _ in range(3):
        assert medium.believe(2, START + 2 * PATIENCE_NS) is None, "said once"
    assert medium.deadline() is None
    say_all(say)
    assert hears(medium) == [2, 3, 66]


def test_the_filter_comes_back_when_a_named_address_truly_speaks_again(opened, say):
    """One message from elsewhere must not take it off until the daemon ends."""
    medium = hearing_another(opened, say)
    assert medium.believe(0, START + PATIENCE_NS)
    say_all(say)
    assert medium.receive() == [b"2", b"3", b"66"]
    assert medium.believe(0, START + 2 * PATIENCE_NS) is None
    say_all(say)
    assert hears(medium) == [2]
    silent(medium, START + 3 * PATIENCE_NS)
    say_all(say)
    assert medium.receive() == [b"2", b"3", b"66"]
    assert "10.0.0.66" in medium.believe(2, START + 3 * PATIENCE_NS), "it has moved once more"


def test_who_wonders_whether_something_has_counted(opened, say):
    """A medium without a list wonders never, one with a filter when it is about to take it off, one without at once."""
    medium = opened(0, "ucast", address="10.0.0.2", sources=("10.0.0.2",))
    medium.patience_ns = PATIENCE_NS
    assert medium.wonders(START)
    medium.believe(0, START)
    assert not medium.wonders(START + PATIENCE_NS // 2)
    assert medium.wonders(START + PATIENCE_NS // 2 + 1)
    silent(medium, START + PATIENCE_NS)
    medium._heard_at = START + PATIENCE_NS
    assert medium.wonders(START + PATIENCE_NS)
    for options in ({}, {"sources": ("10.0.0.3",), "sources_strict": True}):
        assert not opened(1, "ucast", address="10.0.0.1", **options).wonders(START)


def test_a_medium_that_was_opened_again_filters_again(opened, say, hosts):
    medium = hearing_another(opened, say)
    assert medium.believe(0, START + PATIENCE_NS)
    medium.close()
    with hosts[0].inside():
        medium.open()
    say_all(say)
    assert hears(medium) == [2]
    assert medium.deadline() is None


def test_without_patience_a_filter_stays(opened, say):
    medium = opened(0, "ucast", address="10.0.0.2", sources=("10.0.0.2",))
    medium.send(b"to the peer", STATUS, START)
    medium.flush(START + 1000 * PATIENCE_NS)
    say_all(say)
    assert hears(medium) == [2]


def test_a_kernel_without_filters_hears_everybody(opened, say, monkeypatch):
    def refuse(endpoint, addresses):
        raise OSError(errno.ENOPROTOOPT, "no filters")

    monkeypatch.setattr(sources, "attach", refuse)
    medium = opened(0, "ucast", address="10.0.0.2", sources=("10.0.0.2",))
    medium.patience_ns = PATIENCE_NS
    medium.send(b"to the peer", STATUS, START)
    say_all(say)
    assert hears(medium) == [2, 3, 66]
    assert medium.deadline() is None


def test_as_many_sources_as_a_filter_may_have(opened, say):
    many = tuple(f"10.1.0.{number}" for number in range(sources.SOURCES_MAX - 1))
    medium = opened(0, "ucast", address="10.0.0.2", sources=(*many, "10.0.0.3"))
    say_all(say)
    assert hears(medium) == [3]


def test_what_the_buffer_could_not_take_is_counted_too(opened, say):
    medium = opened(0, "ucast", address="10.0.0.2", sources=("10.0.0.2",))
    medium._receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
    for _ in range(200):
        say("10.0.0.2", bytes(1000))
    received = 0
    while got := medium.receive():
        received += len(got)
    assert 0 < received < 200
    assert received + medium.discarded == 200


# what can't be had


@KINDS
def test_a_port_that_another_program_does_not_share_is_refused_at_once_and_had_when_free(kind, opened, hosts):
    with hosts[0].socket(kind) as occupant:
        occupant.bind(("", PORT))
        with pytest.raises(OSError) as caught:
            opened(0, kind, address=ADDRESS[kind])
        assert caught.value.errno == errno.EADDRINUSE
        assert caught.value.strerror.startswith(f"{kind} eth0: ")
        assert f"UDP port {PORT}" in caught.value.strerror
    ends = pair_of(opened, kind)
    ends[1].send(b"frame", STATUS, START)
    assert await_frames(ends[0]) == [[b"frame"]]


def test_a_port_that_another_program_shares_by_so_reuseport_is_had_by_ucast_alone(opened, hosts):
    """As the original's: several of its ucast lines, and a second daemon's, use one port."""
    with hosts[0].socket() as occupant:
        occupant.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        occupant.bind(("", PORT))
        opened(0, "ucast", address="10.0.0.2")
        with pytest.raises(OSError) as caught:
            opened(0, "bcast")
        assert caught.value.errno == errno.EADDRINUSE


@KINDS
def test_an_interface_that_does_not_exist_is_named(kind, hosts):
    before = sorted(os.listdir("/proc/self/fd"))
    with pytest.raises(OSError) as caught:
        hosts[0].open(kind, device="eth9", address=ADDRESS[kind])
    assert caught.value.errno == errno.ENODEV
    assert caught.value.strerror == f"{kind} eth9: there is no such interface"
    assert sorted(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize("kind", ["bcast", "mcast"])
def test_an_interface_without_an_address_is_refused_until_it_has_one(kind, hosts, opened):
    hosts[0].address("eth0", "10.0.0.1", "delete")
    with pytest.raises(OSError, match="no IPv4 address") as caught:
        hosts[0].open(kind, address=GROUP)
    assert caught.value.errno == errno.EADDRNOTAVAIL
    hosts[0].address("eth0", "10.0.0.1")
    opened(0, kind, address=GROUP)


def test_an_interface_without_broadcast_is_refused(hosts):
    with pytest.raises(OSError, match="no broadcast address"):
        hosts[0].open("bcast", device="lo")


@pytest.mark.parametrize("kind", ["ucast", "ucast6", "mcast6"])
@pytest.mark.parametrize("address", ["", "caesar"])
def test_a_name_is_never_looked_up(kind, address, hosts):
    with pytest.raises(OSError) as caught:
        hosts[0].open(kind, address=address)
    assert caught.value.errno == errno.EDESTADDRREQ


def test_a_medium_of_an_unknown_type_is_our_own_mistake():
    with pytest.raises(ValueError, match="smoke"):
        media.create(SimpleNamespace(type="smoke"))


def test_a_closed_medium_receives_nothing_and_does_not_send():
    config = SimpleNamespace(
        name="lo", type="ucast", device="lo", address="127.0.0.1", port=PORT, sources=(), sources_strict=False
    )
    medium = media.create(config)
    assert medium.receive() == []
    with pytest.raises(OSError, match="not open"):
        medium.send(b"", STATUS, START)


# an interface that goes and comes


@KINDS
def test_an_interface_that_was_down_carries_frames_again_without_being_opened_again(kind, opened, hosts):
    ends = pair_of(opened, kind)
    hosts[0].set("eth0", "down")
    for number in range(5):
        ends[0].send(b"lost", STATUS, START + number * 2 * udp.CHECK_NS)
    assert ends[0].dropped == 5
    assert ends[0].receive() == []
    hosts[0].set("eth0", "up")
    hosts[0].await_carrier()
    hosts[1].await_carrier()
    for sender, receiver in (ends, ends[::-1]):
        assert_carried(sender, receiver, b"back to " + b"%d" % ends.index(receiver), START + 20 * udp.CHECK_NS)
    assert ends[0].dropped == 5


@KINDS
def test_it_can_be_opened_while_the_interface_is_down(kind, opened, hosts):
    hosts[0].set("eth0", "down")
    ends = pair_of(opened, kind)
    hosts[0].set("eth0", "up")
    hosts[0].await_carrier()
    hosts[1].await_carrier()
    for sender, receiver in (ends, ends[::-1]):
        assert_carried(sender, receiver, b"up to " + b"%d" % ends.index(receiver), START)


@KINDS
@pytest.mark.parametrize("anew", [False, True], ids=["deleted", "made anew"])
def test_an_interface_that_was_deleted_kills_the_medium_and_it_can_be_opened_again(kind, anew, opened, hosts):
    ends = pair_of(opened, kind)
    ends[0].send(b"before", STATUS, START)
    assert await_frames(ends[1]) == [[b"before"]]
    hosts[0].ip.link("del", index=hosts[0].index("eth0"))
    if anew:
        hosts[0].wire(hosts[1])
    for end, host in zip(ends, hosts, strict=True):
        with pytest.raises(OSError) as caught:
            end.send(b"lost", STATUS, START + 1)
        assert caught.value.errno == errno.ENODEV
        assert caught.value.strerror.startswith(f"{kind} eth0: ")
        end.close()
        if not anew:
            with host.inside(), pytest.raises(OSError, match="no such interface"):
                end.open()
    if not anew:
        hosts[0].wire(hosts[1])
    for end, host in zip(ends, hosts, strict=True):
        with host.inside():
            end.open()
    for sender, receiver in (ends, ends[::-1]):
        assert_carried(sender, receiver, b"after to " + b"%d" % ends.index(receiver), START + 2)


@KINDS
@pytest.mark.parametrize("another", [False, True], ids=["its name is free", "another has its name"])
def test_an_interface_that_was_renamed_is_found_out_though_its_sockets_still_send(kind, another, opened, hosts):
    ends = pair_of(opened, kind)
    ends[0].send(b"1", STATUS, START)
    index = hosts[0].index("eth0")
    hosts[0].set("eth0", "down")
    hosts[0].ip.link("set", index=index, ifname="lan0", state="up")
    hosts[0].await_carrier("lan0")
    if another:
        hosts[0].ip.link("add", ifname="eth0", kind="veth", peer={"ifname": "peer0"})
        hosts[0].set("eth0", "up")
    ends[0].send(b"2", STATUS, START + udp.CHECK_NS - 1)
    with pytest.raises(OSError) as caught:
        ends[0].send(b"3", STATUS, START + udp.CHECK_NS)
    assert caught.value.errno == errno.ENODEV


def test_bcast_follows_a_changed_broadcast_address(opened, hosts):
    ends = pair_of(opened, "bcast")
    ends[0].send(b"1", STATUS, START)
    assert await_frames(ends[1]) == [[b"1"]]
    hosts[0].address("eth0", "10.0.0.1", "delete")
    ends[0].send(b"nowhere", STATUS, START + udp.CHECK_NS)
    for host, last in zip(hosts, (1, 2), strict=True):
        host.address("eth0", f"10.9.9.{last}")
    ends[0].send(b"2", STATUS, START + 2 * udp.CHECK_NS)
    with hosts[1].socket() as endpoint:
        endpoint.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        endpoint.settimeout(5)
        endpoint.bind(("10.9.9.255", PORT))
        ends[0].send(b"3", STATUS, START + 2 * udp.CHECK_NS + 1)
        assert endpoint.recv(100) == b"3"


def test_mcast_survives_a_change_of_the_interface_s_address(opened, hosts):
    ends = pair_of(opened, "mcast")
    for host, last in zip(hosts, (1, 2), strict=True):
        host.address("eth0", f"10.0.0.{last}", "delete")
        host.address("eth0", f"10.9.9.{last}")
    for sender, receiver in (ends, ends[::-1]):
        sender.send(b"on", STATUS, START + 5 * udp.CHECK_NS)
        assert await_frames(receiver) == [[b"on"]]


def test_a_peer_without_a_listener_costs_nothing(opened):
    sender = opened(0, "ucast", address="10.0.0.2")
    for number in range(5):
        sender.send(b"x", STATUS, START + number * udp.CHECK_NS)
        assert sender.receive() == []
    assert sender.dropped == 0


def test_a_firewall_that_refuses_is_counted_and_survived(opened, hosts, monkeypatch):
    """EPERM from netfilter, EAGAIN and ENOBUFS from a full queue: each costs a frame."""
    ends = pair_of(opened, "ucast")
    real = ends[0]._sender

    class Refusing:
        def __getattr__(self, name):
            return getattr(real, name)

        def sendto(self, frame, target):
            raise OSError(self.number, os.strerror(self.number))

    refusing = Refusing()
    monkeypatch.setattr(ends[0], "_sender", refusing)
    numbers = [errno.EPERM, errno.EAGAIN, errno.ENOBUFS, errno.ENETDOWN, errno.EHOSTUNREACH, errno.ECONNREFUSED]
    for refusing.number in numbers:
        ends[0].send(b"lost", STATUS, START)
    assert ends[0].dropped == len(numbers)
    monkeypatch.setattr(ends[0], "_sender", real)
    ends[0].send(b"kept", STATUS, START)
    assert await_frames(ends[1]) == [[b"kept"]]


# ---- lent ----


@KINDS
def test_what_is_lent_sends_and_receives_as_the_medium_does(kind, opened):
    mine, other = pair_of(opened, kind)
    decoder = Decoder("eth0", AUTH, stream=False)
    end = mine.lend(decoder)
    assert mine.lend(decoder) is end
    end.check_ns, end.place = (1 << 63) - 1, 1
    station = Station()
    station.add(end, decoder, "netstring", mine.fileno())
    station.beat()
    station.watch.keep()
    [said] = station.own.taken()
    assert await_frames(other) == [[encode(said, AUTH, "netstring", inner_auth=False)]]
    other.send(b"something else", STATUS, START)
    while station.watch.left is None:  # of a bcast its own comes first
        assert select.select([mine.fileno()], [], [], 5)[0]
        station.watch.keep()
    assert station.watch.left[:2] == (end, b"something else")
    mine.take_back(end)
    station.timer.close()
    station.epoll.close()


@KINDS
def test_another_is_lent_where_it_would_not_serve_any_more(kind, opened):
    medium = opened(0, kind, address=ADDRESS[kind])
    decoder = Decoder("eth0", None, stream=False)
    end = medium.lend(decoder)
    assert medium.lend(Decoder("eth0", None, stream=False)) is not end  # the keys are others
    end = medium.lend(decoder)
    medium.close()
    assert medium.lend(decoder) is None


def test_a_medium_that_hears_everybody_for_a_while_is_not_lent(opened):
    """Who sends must be known then, to say so, and to hear them alone again."""
    medium = opened(0, "ucast", address="10.0.0.2", sources=("10.0.0.2",))
    medium.patience_ns = 1000
    decoder = Decoder("eth0", None, stream=False)
    assert medium.lend(decoder).patience_ns == 0  # nobody has been heard, nor has it been waited for
    medium.send(b"x", STATUS, START)
    end = medium.lend(decoder)
    assert (end.heard_ns, end.patience_ns) == (START, 1000)
    end.heard_ns = START + 500
    medium.take_back(end)
    assert medium.deadline() == START + 1500
    medium.flush(START + 1500)
    assert medium.lend(decoder) is None


def test_what_was_refused_in_its_place_counts_as_its_own(opened):
    medium = opened(0, "ucast", address="10.0.0.2")
    medium.failed(errno.ENETUNREACH, START)
    assert medium.dropped == 1
    with pytest.raises(OSError, match="ucast eth0") as error:
        medium.failed(errno.EBADF, START)
    assert error.value.errno == errno.EBADF
