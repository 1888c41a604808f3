"""The leases in a real kernel: what is silent, what is not touched, who can renew, and what becomes of the table when
interfaces come and go, when somebody flushes all rules, and where there is no nftables."""

import contextlib
import os
import socket
import struct
import subprocess
import time

import pytest
from system.arping import Arping, both_ns
from system.crash import PATIENCE_S, Victims, asking, until, victims
from system.play import LAN, MILLISECOND, WAN, now_ns

from heartbeat import gate
from heartbeat.demo.namespaces import inside, new_network
from heartbeat.demo.network import netlink
from heartbeat.demo.world import World

SIX = "fd00::fe"
ADDRESSES = (socket.inet_aton(LAN), socket.inet_pton(socket.AF_INET6, SIX))
TOKEN = bytes(range(100, 116))
LEASE_MS, GRANT_MS = 400, 200
CUT_MS = 60


def nft(text: str) -> None:
    subprocess.run(["/usr/sbin/nft", "-f", "-"], input=text, text=True, check=True)


def listed() -> str:
    return subprocess.run(["/usr/sbin/nft", "list", "ruleset"], capture_output=True, text=True, check=True).stdout


def plan(**changes) -> gate.Plan:
    values = {"groups": {"a": (0, ADDRESSES), "b": (200, (socket.inet_aton(WAN),))}, "interfaces": {"eth0": 1},
              "lease_ms": LEASE_MS, "grant_ms": GRANT_MS, **changes}  # fmt: skip
    return gate.Plan(TOKEN, values.pop("groups"), values.pop("interfaces"), **values)


def send(kernel, wanted, token=TOKEN) -> None:
    for frame in gate.frames(token, wanted):
        kernel.send(frame)


@pytest.fixture
def network():
    """An empty network of a kernel: lo, and eth0 that ends in `far`. The test runs in it."""
    made = new_network()
    try:
        with inside(made):
            with netlink(made) as ip:
                ip.link("set", index=1, state="up")
                ip.link("add", ifname="eth0", kind="veth", peer="far")
                for name in ("eth0", "far"):
                    ip.link("set", index=ip.link_lookup(ifname=name)[0], state="up")
            yield made
    finally:
        os.close(made)


@pytest.fixture
def kernel(network):
    opened = gate.Kernel()
    yield opened
    opened.close()


# --- the rules, frame by frame


def test_a_renewal_starts_what_runs_anew_and_revives_nothing(kernel):
    nft(gate.text(plan()))
    assert kernel.leases() == {}
    send(kernel, {0: gate.RENEW})
    assert kernel.leases() == {}
    send(kernel, {0: gate.GRANT, 200: gate.GRANT})
    first = kernel.leases()
    assert set(first) == {0, 200}
    assert max(first.values()) <= GRANT_MS
    send(kernel, {0: gate.RENEW})
    assert kernel.leases()[0] > GRANT_MS
    time.sleep((LEASE_MS + 20) / 1000)
    assert kernel.leases() == {}
    send(kernel, {0: gate.RENEW, 200: gate.RENEW})
    assert kernel.leases() == {}
    send(kernel, {0: gate.GRANT})
    send(kernel, {0: gate.REVOKE})
    assert kernel.leases() == {}


def test_a_cut_shortens_what_runs_and_starts_nothing(kernel):
    nft(gate.text(plan(lease_ms=60_000, grant_ms=60_000, cut_ms=CUT_MS)))
    send(kernel, {0: gate.CUT})
    assert kernel.leases() == {}
    send(kernel, {0: gate.GRANT, 200: gate.GRANT})
    send(kernel, {0: gate.CUT})
    left = kernel.leases()
    assert left[0] <= CUT_MS
    assert left[200] > CUT_MS
    time.sleep((CUT_MS + 20) / 1000)
    assert set(kernel.leases()) == {200}


def test_each_of_a_thousand_groups_has_its_own_lease(kernel):
    groups = {f"group{slot}": (slot, (bytes((10, 1, *divmod(slot, 256))),)) for slot in range(1000)}
    nft(gate.text(plan(groups=groups, lease_ms=60_000, grant_ms=60_000)))
    wanted = dict.fromkeys(range(0, 1000, 7), gate.GRANT)
    sent = gate.frames(TOKEN, wanted)
    assert len(sent) == -(-1000 // gate.BLOCK_SLOTS)
    send(kernel, wanted)
    assert set(kernel.leases()) == set(wanted)


def test_a_new_table_takes_the_place_of_the_old_one_and_its_leases_go_on(kernel):
    old = plan(lease_ms=60_000, grant_ms=60_000)
    nft(gate.text(old))
    kernel.table_gone()
    send(kernel, {0: gate.GRANT})
    new = plan(groups={"a": (0, ADDRESSES), "c": (1, ())}, interfaces={"eth0": 1, "far": 2})
    nft(gate.text(new, old, [0, 1]))
    left = kernel.leases()
    assert left[0] > 50_000
    assert left[1] <= GRANT_MS // 2  # new, and held: until it can be granted
    assert not kernel.table_gone()
    assert '"far"' in listed()
    assert "group200" not in listed()
    nft(gate.text(new))
    assert kernel.leases() == {}


def test_what_the_table_says_can_be_listed_and_loaded_again(kernel):
    """Operators save their rules, ours among them."""
    nft(gate.text(plan()))
    kernel.table_gone()
    said = listed()
    assert said.count("table netdev heartbeat") == 1
    nft(f"flush ruleset\n{said}")
    assert kernel.table_gone()
    nft(gate.text(plan()))
    send(kernel, {0: gate.GRANT})
    assert set(kernel.leases()) == {0}


def test_deleting_it_leaves_the_other_tables(kernel):
    nft("table inet filter {\n chain input {\n type filter hook input priority 0; policy accept;\n }\n}\n")
    before = listed()
    nft(gate.text(plan()))
    kernel.delete_table()
    until(lambda: listed() == before, PATIENCE_S, "only ours is gone")


def test_an_interface_that_went_and_came_is_guarded_again(kernel, network):
    nft(gate.text(plan()))
    with netlink(network) as ip:
        ip.link("del", index=ip.link_lookup(ifname="eth0")[0])
        ip.link("add", ifname="eth0", kind="veth", peer="far")
    nft(gate.text(plan(interfaces={"eth0": 5}), plan()))
    said = listed()
    assert said.count('hook ingress device "eth0"') == 1
    assert said.count('hook egress device "eth0"') == 1


# --- who may renew


def privileges_dropped() -> None:
    """As a user of this machine: nobody, with no capabilities."""
    os.setgroups([])
    os.setresgid(65534, 65534, 65534)
    os.setresuid(65534, 65534, 65534)


# Every way to put something on loopback that a user has, with a frame that would grant, told its token.
ATTACKS = """
import socket, struct, sys
frame = bytes.fromhex(sys.argv[1])
def tried(family, kind, protocol, send):
    try:
        with socket.socket(family, kind, protocol) as each:
            send(each)
            print("sent")
    except OSError as error:
        print(error.errno)
tried(socket.AF_PACKET, socket.SOCK_RAW, 0, lambda s: (s.bind(("lo", 0)), s.send(frame)))
tried(socket.AF_PACKET, socket.SOCK_DGRAM, 0, lambda s: s.sendto(frame[14:], ("lo", 0x88B5, 0, 0, bytes(6))))
tried(socket.AF_INET, socket.SOCK_RAW, 255, lambda s: s.sendto(frame, ("127.0.0.1", 0)))
tried(socket.AF_INET, socket.SOCK_DGRAM, 0, lambda s: s.sendto(frame[14:], ("127.0.0.1", 0x88B5)))
tried(socket.AF_INET, socket.SOCK_DGRAM, 0, lambda s: s.sendto(frame, ("127.0.0.1", 694)))
tried(socket.AF_INET6, socket.SOCK_DGRAM, 0, lambda s: s.sendto(frame, ("::1", 694)))
"""


def test_a_user_can_grant_nothing(kernel):
    nft(gate.text(plan()))
    (frame,) = gate.frames(TOKEN, {0: gate.GRANT})
    argv = ["/usr/bin/python3", "-I", "-c", ATTACKS, frame.hex()]
    as_root = subprocess.run(argv, capture_output=True, text=True, check=True)
    assert as_root.stdout.split()[0] == "sent"
    assert set(kernel.leases()) == {0}  # so the attack is a good one
    send(kernel, {0: gate.REVOKE})
    done = subprocess.run(argv, capture_output=True, text=True, check=True, preexec_fn=privileges_dropped)
    said = done.stdout.split()
    assert said[:3] == ["1", "1", "1"]  # EPERM
    assert "sent" in said  # and what was sent has done nothing
    assert kernel.leases() == {}
    looked = subprocess.run(
        ["/usr/sbin/nft", "list", "ruleset"],
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=privileges_dropped,
    )
    assert TOKEN.hex() not in looked.stdout


def test_a_frame_without_the_token_does_nothing(kernel):
    nft(gate.text(plan()))
    for wrong in (bytes(16), TOKEN[:-1] + b"\0", b"\0" + TOKEN[1:]):
        send(kernel, {0: gate.GRANT}, wrong)
    assert kernel.leases() == {}


# --- seen from the network

FIREWALL = """
table inet filter {
  counter seen { }
  chain input {
    type filter hook input priority filter; policy drop;
    iif "lo" accept
    ct state established,related accept
    udp dport 694 accept
    icmp type echo-request counter name seen accept
    meta l4proto ipv6-icmp accept
  }
  chain forward { type filter hook forward priority filter; policy drop; }
  chain output {
    type filter hook output priority filter; policy drop;
    oif != "lo" accept
  }
}
table netdev mine {
  chain eth0 {
    type filter hook ingress device "eth0" priority -500; policy accept;
    meta mark set 0x7 counter
  }
}
table ip nat {
  chain postrouting { type nat hook postrouting priority srcnat; policy accept; oif "eth1" masquerade; }
}
"""


def nft_on(node, *words: str) -> str:
    done = node.run(["/usr/sbin/nft", *words])
    assert done.returncode == 0, done.stderr
    return done.stdout


def only_operators(ruleset: str) -> str:
    """Without our table and without counters."""
    tables = f"\n{ruleset}".split("\ntable ")
    kept = [each for each in tables if not each.startswith("netdev heartbeat")]
    return "\n".join(line for line in "\ntable ".join(kept).splitlines() if line and "packets" not in line)


def test_beside_a_full_firewall():
    """The operator's rules are as he wrote them before, during and after; the leases work all the same, though not even
    what this machine sends to itself passes his output chain."""
    with victims(500) as pair:
        for node in pair.nodes:
            (node.disk / "firewall.nft").write_text(FIREWALL)
            nft_on(node, "-f", str(node.disk / "firewall.nft"))
        holder = pair.holding()
        other = pair.peer(holder)
        written = {node.name: only_operators(nft_on(node, "list", "ruleset")) for node in pair.nodes}
        assert all("policy drop" in each for each in written.values())
        pair.probe()
        since_ns = now_ns()
        time.sleep(1.5)  # three leases
        assert holder.status()["groups"][0]["lease"] is True
        assert pair.lost(since_ns + 200 * MILLISECOND)[0] == 0
        with asking(pair) as asked:
            time.sleep(0.3)
            at_ns = pair.kill(holder)
            until(lambda: pair.held()[other.name], PATIENCE_S, "the peer has taken over")
            time.sleep(0.5)
            assert both_ns(asked.turns(at_ns)) == 0
            assert [pair.macs[turn.mac].name for turn in asked.turns(at_ns)] == [holder.name, other.name]
        assert {node.name: only_operators(nft_on(node, "list", "ruleset")) for node in pair.nodes} == written
        other.stop_daemon()
        assert "heartbeat" not in nft_on(other, "list", "ruleset")
        assert only_operators(nft_on(other, "list", "ruleset")) == written[other.name]


def test_who_flushes_all_rules_does_not_switch_the_leases_off():
    with victims(500) as pair, asking(pair) as asked:
        holder = pair.holding()
        since_ns = now_ns()
        for node in pair.nodes:
            nft_on(node, "flush", "ruleset")
            until(
                lambda node=node: "netdev heartbeat" in nft_on(node, "list", "tables"), PATIENCE_S, "it is there again"
            )
        until(lambda: holder.status()["groups"][0]["lease"], PATIENCE_S, "the lease runs")
        time.sleep(0.3)
        at_ns = pair.kill(holder)
        until(lambda: pair.held()[pair.peer(holder).name], PATIENCE_S, "the peer has taken over")
        time.sleep(0.3)
        turns = asked.turns(since_ns)
        assert [pair.macs[turn.mac].name for turn in turns] == [holder.name, pair.peer(holder).name]
        assert turns[0].last_ns < at_ns + 500 * MILLISECOND


def test_a_dead_daemon_is_silent_on_every_interface_and_towards_all_who_ask():
    """Linux answers on each interface for the addresses of the others; and it tells who sends from such an address."""
    # two colons end an argument in haresources
    line = f"julius IPaddr::{LAN} IPaddr::{WAN} IPv6addr::fd00:0:0:0:0:0:0:fe/64/eth0\n"
    with victims(500, line) as pair:
        for machine, address in ((pair.client, "fd00::a/64"), (pair.julius, "fd00::2/64"), (pair.caesar, "fd00::3/64")):
            with machine.netlink() as ip:
                index = ip.link_lookup(ifname="eth0")[0]
                ip.addr("add", index=index, address=address.partition("/")[0], prefixlen=64, flags=2)
        holder = pair.holding()
        pair.kill(pair.peer(holder))
        until(lambda: holder.status()["nodes"][pair.peer(holder).name]["status"] == "dead", PATIENCE_S, "alone")
        until(lambda: holder.status()["groups"][0]["lease"], PATIENCE_S, "the lease runs")
        assert pings(pair.client, LAN)
        assert pings(pair.client, SIX)
        assert asks(pair.client, LAN) and asks(pair.host, LAN)  # noqa: PT018
        pair.kill(holder)
        time.sleep(0.6)
        assert pair.held()[holder.name] == 2  # it has all of them, and says nothing
        assert not pings(pair.client, LAN)
        assert not pings(pair.host, WAN)
        forget(pair.client)
        assert not pings(pair.client, SIX)
        assert not asks(pair.client, LAN)
        assert not asks(pair.host, LAN)
        own = holder.interfaces[0].address.partition("/")[0]
        assert pings(pair.client, own)  # the machine's own address is nobody's business
        heard = tells(holder, pair.client, LAN)
        assert heard == []
        pair.start(holder)
        until(lambda: pings(pair.client, SIX), PATIENCE_S, "it serves again")
        assert tells(holder, pair.client, LAN) != []


def pings(machine, address: str) -> bool:
    """Is an echo request answered?"""
    six = ":" in address
    family, protocol = (socket.AF_INET6, socket.IPPROTO_ICMPV6) if six else (socket.AF_INET, socket.IPPROTO_ICMP)
    with machine.inside():
        echo = socket.socket(family, socket.SOCK_RAW, protocol)
    with echo:
        request = struct.pack("!BBHHH", 128 if six else 8, 0, 0 if six else 0xF7FF - 0x1234, 0, 0x1234)
        echo.sendto(request, (address, 0))
        end = time.monotonic() + 1
        while time.monotonic() < end:
            echo.settimeout(max(0.01, end - time.monotonic()))
            with contextlib.suppress(TimeoutError):
                packet = echo.recv(2048)
                answer = packet if six else packet[20:]
                if answer[0] == (129 if six else 0) and answer[6:8] == request[6:8]:
                    return True
    return False


def asks(machine, address: str) -> bool:
    """Does anybody answer its ARP requests?"""
    path = machine.disk / f"asked{now_ns()}"
    asked = Arping(machine, address, path)
    try:
        time.sleep(0.1)
        return bool(asked.answers())
    finally:
        asked.close()


def forget(machine) -> None:
    with machine.netlink() as ip:
        index = ip.link_lookup(ifname="eth0")[0]
        for each in ip.get_neighbours(family=socket.AF_INET6, ifindex=index):
            ip.neigh("del", family=socket.AF_INET6, ifindex=index, dst=each.get_attr("NDA_DST"))


def tells(sender, listener, address: str) -> list[bytes]:
    """The ARP packets from `address` that arrive when `sender` sends something from it."""
    with listener.inside():
        heard = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(0x0806))
        heard.bind(("eth0", 0x0806))
    with heard:
        heard.settimeout(0.5)
        with sender.inside(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
            out.bind((address, 0))
            # nobody is there, so it asks for it, and says who asks
            out.sendto(b"x", ("10.0.0.77", 9))
        found = []
        with contextlib.suppress(TimeoutError):
            while True:
                packet = heard.recv(256)
                if packet[14:18] == socket.inet_aton(address):
                    found.append(packet)
        return found


# --- what comes and goes


def test_an_interface_that_comes_back_is_guarded_by_the_daemon_itself():
    line = f"julius IPaddr::{LAN} IPaddr::{WAN} IPaddr::10.7.0.254/24/extra\n"
    with World() as world:
        pair = Victims(world, 500, line)
        for node in pair.nodes:
            world.power_on(node)
            plug(node, "extra")
        pair.up()
        holder = pair.holding()
        assert holder.status()["lease"]["interfaces"] == ["eth0", "eth1", "extra"]
        for node in pair.nodes:
            with node.netlink() as ip:
                ip.link("del", index=ip.link_lookup(ifname="extra")[0])
            plug(node, "extra")
        for node in pair.nodes:
            until(lambda node=node: guarded(node, "extra"), PATIENCE_S, "guarded again")
        until(lambda: holder.holds("10.7.0.254"), PATIENCE_S, "the address is there again")
        assert holder.status()["groups"][0]["lease"] is True
        assert not pair.peer(holder).holds("10.7.0.254")


def plug(node, name: str) -> None:
    """A network card that ends nowhere."""
    with node.netlink() as ip:
        ip.link("add", ifname=name, kind="veth", peer=f"{name}-far")
        for each in (name, f"{name}-far"):
            ip.link("set", index=ip.link_lookup(ifname=each)[0], state="up")


def guarded(node, interface: str) -> bool:
    """Is there a hook on the card that is there now?"""
    with node.netlink() as ip:
        there = bool(ip.link_lookup(ifname=interface))
    return there and f'hook ingress device "{interface}"' in nft_on(node, "list", "ruleset")


# --- without nftables


@contextlib.contextmanager
def without_nft(deadtime_ms: int):
    """A pair on machines that lack the program."""
    with World() as world:
        pair = Victims(world, deadtime_ms)
        for node in pair.nodes:
            world.power_on(node)
            assert node.run(["mount", "--bind", "/dev/null", "/usr/sbin/nft"]).returncode == 0
        pair.up()
        yield pair


def test_without_nftables_the_addresses_end_by_themselves():
    with without_nft(3000) as pair:
        holder = pair.holding()
        other = pair.peer(holder)
        assert holder.status()["lease"]["backend"] == "valid_lft"
        time.sleep(4)  # beyond a lifetime
        assert pair.held() == {holder.name: 2, other.name: 0}
        with asking(pair) as asked:
            time.sleep(0.3)
            at_ns = pair.kill(holder)
            until(lambda: pair.held()[holder.name] == 0, PATIENCE_S, "the kernel has removed them")
            until(lambda: pair.held()[other.name] == 2, PATIENCE_S, "the peer has taken over")
            time.sleep(0.3)
            turns = asked.turns(at_ns)
            assert [pair.macs[turn.mac].name for turn in turns] == [holder.name, other.name]


def test_without_nftables_a_short_deadtime_is_warned_of():
    with without_nft(2000) as pair:
        holder = pair.holding()
        status = holder.status()
        assert status["lease"]["backend"] == "none"
        assert status["groups"][0]["lease"] is None
        assert [warning for warning in status["warnings"] if "go on answering" in warning]
        assert "go on answering" in holder.command("heartbeat", "status").stdout
        # what is known by the clock alone is adopted all the same
        since_ns = now_ns()
        pair.kill(holder)
        pair.start(holder)
        pair.up()
        assert pair.moves(since_ns) == []
