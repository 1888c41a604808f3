"""What the configuration asks this machine, and what `heartbeat check` warns of, against real kernels' answers.

Interfaces, routes and switches are real, in a network namespace that belongs to a thread: the kernel drops it, and all
in it, when the thread ends, whatever happens.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
from pathlib import Path
from socket import AF_INET
from typing import TYPE_CHECKING, Any

import pytest

from _hbfast.codec import Message
from heartbeat.config import ConfigError, advice, check, load, machine
from heartbeat.demo import namespaces

if TYPE_CHECKING:
    from collections.abc import Callable

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs the right to make network namespaces")

HA_CF = "logfacility local0\nkeepalive 2\ndeadtime 10\nbcast eth0\n{more}auto_failback off\nnode julius caesar\n"


def in_namespace(function: Callable[[Any], Any]) -> Any:
    """function(IPRoute) in a new network namespace with eth0 and eth1, up and joined by a cable; lo is up as well."""
    from pyroute2 import IPRoute

    outcome: list[Any] = []

    def run() -> None:
        try:
            namespaces.unshare(namespaces.CLONE_NEWNET)
            with IPRoute() as ip:
                ip.link("add", ifname="eth0", kind="veth", peer="eth1")
                for name in ("lo", "eth0", "eth1"):
                    ip.link("set", index=ip.link_lookup(ifname=name)[0], state="up")
                outcome.append((function(ip), None))
        except BaseException as error:  # an assertion of the test: it is raised again below
            outcome.append((None, error))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    result, error = outcome[0]
    if error is not None:
        raise error
    return result


def add(ip: Any, device: str, address: str, **options: Any) -> None:
    text, _, prefix = address.partition("/")
    ip.addr("add", index=ip.link_lookup(ifname=device)[0], address=text, prefixlen=int(prefix), **options)


def set_switch(name: str, value: str) -> None:
    with open(f"/proc/sys/net/{name}", "w", encoding="ascii") as file:
        file.write(value)


@pytest.fixture
def files(tmp_path: Path) -> Callable[..., str]:
    def write(resources: str = "julius 10.0.0.254\n", *, more: str = "", keys: str = "auth 1\n1 sha1 s\n") -> str:
        (tmp_path / "ha.cf").write_text(HA_CF.format(more=more))
        (tmp_path / "haresources").write_text(resources)
        (tmp_path / "authkeys").write_text(keys)
        (tmp_path / "authkeys").chmod(0o600)
        return os.fspath(tmp_path)

    return write


# ---- facts


@needs_root
def test_interfaces() -> None:
    def facts(ip: Any) -> None:
        assert machine.interface_problem("eth0") is None
        assert machine.interface_problem("eth7") == "there is no interface eth7"
        assert machine.broadcast_problem("eth7") == "there is no interface eth7"
        assert machine.broadcast_problem("eth0") == "eth0 has no IPv4 broadcast address"
        assert machine.broadcast_problem("lo") == "lo cannot broadcast"
        assert not machine.has_ipv4("eth0")
        add(ip, "eth0", "10.0.0.1/24", broadcast="10.0.0.255")
        add(ip, "eth1", "10.0.1.1/32")
        assert machine.has_ipv4("eth0")
        assert machine.broadcast_problem("eth0") is None
        assert machine.has_ipv4("eth1")
        assert machine.broadcast_problem("eth1") == "eth1 has no IPv4 broadcast address"

    in_namespace(facts)


@needs_root
def test_own_addresses_of_ipv6(files: Callable[..., str]) -> None:
    """Also while the kernel still asks whether somebody else has them, and would not send to them as to its own."""

    def facts(ip: Any) -> None:
        set_switch("ipv6/conf/eth1/disable_ipv6", "1")
        set_switch("ipv6/conf/eth0/accept_dad", "1")
        add(ip, "eth0", "fd00::1/64")
        add(ip, "eth0", "fe80::1/64")
        assert machine.has_ipv6("eth0")
        assert not machine.has_ipv6("eth1")
        assert not machine.has_ipv6("eth7")
        for address in ("fd00::1", "fe80::1"):
            assert machine.is_local(address, "eth0")
            assert not machine.is_local(address, "eth1")
        assert not machine.is_local("fd00::2", "eth0")
        two = files(more="ucast6 eth0 fd00::1\nucast6 eth0 fd00::2\nbcast eth1\n")
        assert [medium.host for medium in load(two, node="julius").media if medium.type == "ucast6"] == ["fd00::2"]

    in_namespace(facts)


@needs_root
def test_media_of_a_real_machine(files: Callable[..., str]) -> None:
    def read(ip: Any) -> list[str]:
        add(ip, "eth0", "10.0.0.1/24", broadcast="10.0.0.255")
        directory = files(more="mcast eth1 239.0.0.1 694 1 0\nucast eth2 10.0.0.2\nbcast lo\n")
        return [text.rpartition("/")[2] for text in load(directory, node="julius").warnings]

    assert in_namespace(read) == [
        "ha.cf:5: mcast eth1 has no IPv4 address yet; this medium starts down",
        "ha.cf:6: ucast eth2: there is no interface eth2; this medium starts down",
        "ha.cf:7: bcast lo: lo cannot broadcast; this medium starts down",
    ]


@needs_root
def test_the_only_medium_must_be_there(files: Callable[..., str]) -> None:
    with pytest.raises(ConfigError, match="eth0 has no IPv4 broadcast address, and no other medium can work"):
        in_namespace(lambda ip: load(files(), node="julius"))


def test_ttys(tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.write_text("")
    master, slave = os.openpty()
    try:
        path = os.ttyname(slave)
        assert machine.tty_problem(path) is None
        link = tmp_path / "ttyS9"
        link.symlink_to(path)
        assert machine.tty_problem(os.fspath(link)) is None
    finally:
        os.close(master)
        os.close(slave)
    assert machine.tty_problem(os.fspath(plain)) == "is not a character device"
    assert machine.tty_problem("/dev/null") == "is not a tty"
    assert machine.tty_problem("/dev/nosuchtty") == "cannot be opened: No such file or directory"
    assert machine.tty_problem("/dev/\0") == "is no path"


@needs_root
def test_a_tty_in_use_or_not_ours_is_no_mistake() -> None:
    import fcntl
    import termios

    master, slave = os.openpty()
    path = os.ttyname(slave)
    try:
        fcntl.ioctl(slave, termios.TIOCEXCL)
        os.chmod(path, 0)
        child = os.fork()
        if child == 0:
            os.setgroups([])
            os.setuid(65534)
            os._exit(0 if machine.tty_problem(path) is None else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    finally:
        os.close(master)
        os.close(slave)


def test_accounts_and_programs(tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.write_text("")
    plain.chmod(0o644)
    assert machine.user_known("root", number=False)
    assert not machine.user_known("0", number=False)
    assert machine.user_known("0", number=True)
    assert not machine.user_known("9" * 30, number=True)
    assert not machine.user_known("nosuchuser", number=True)
    assert machine.group_known("root")
    assert machine.group_known("0")
    assert not machine.group_known("nosuchgroup")
    assert machine.executable_problem("/bin/sh") is None
    assert machine.executable_problem("/bin") == "is not a file"
    assert machine.executable_problem(os.fspath(plain)) == "is not executable"
    assert machine.executable_problem("/nosuch") == "cannot be run: No such file or directory"


def test_names() -> None:
    hosts = Path("/etc/hosts")  # which a bare root directory may not have
    if hosts.exists() and "127.0.0.1 localhost" in hosts.read_text().replace("\t", " "):
        assert machine.resolve("localhost") == "127.0.0.1"
    assert machine.resolve("10.0.0.2") == "10.0.0.2"
    assert machine.resolve("") is None
    assert machine.resolve("\0") is None
    assert machine.resolve("x" * 300) is None


def test_no_services(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "SERVICES", "/nosuch")
    assert machine.service_port("domain") is None
    assert machine.service_owner(53) is None


def test_the_daemon_loads_little(files: Callable[..., str]) -> None:
    """What `load` brings into the daemon's memory, beyond a bare interpreter."""
    script = (
        "import sys; before = set(sys.modules); import heartbeat.config as c; c.load(sys.argv[1], machine=False)\n"
        "print(*sorted(name for name in set(sys.modules) - before if not name.startswith('heartbeat')))"
    )
    found = subprocess.run(
        [sys.executable, "-I", "-c", script, files()], capture_output=True, text=True, check=True
    ).stdout.split()
    assert set(found) <= {"_socket", "errno", "fcntl", "zlib", "os", "stat", "posixpath", "genericpath", "_stat"}


# ---- check


def warnings(directory: str) -> list[str]:
    report = check(directory, node="julius")
    assert report.errors == ()
    assert report.config is not None
    return [text.removeprefix(f"{directory}/") for text in report.warnings]


@needs_root
def test_nothing_to_say(files: Callable[..., str]) -> None:
    def look(ip: Any) -> list[str]:
        add(ip, "eth0", "10.0.0.1/24", broadcast="10.0.0.255")
        add(ip, "eth1", "2001:db8::2/64")
        set_switch("ipv4/ip_forward", "1")
        set_switch("ipv6/conf/all/forwarding", "1")
        return warnings(files("julius 10.0.0.254 IPv6addr::[2001:db8::1]\n", more="ucast eth1 10.1.1.1\n"))

    assert in_namespace(look) == []


@needs_root
@pytest.mark.parametrize(
    ("resource", "texts"),
    [
        ("10.0.0.254", []),
        ("10.0.0.254/24/eth0", []),
        ("IPaddr2::10.0.0.254/24/10.0.0.255", []),
        ("1.1.1.254", ["no connected route to 1.1.1.254, and a default route does not count"]),
        ("1.1.1.254/24", ["no connected route to 1.1.1.254, and a default route does not count"]),
        ("10.2.0.254", ["no connected route to 10.2.0.254"]),  # there is a route, by a gateway
        ("10.3.0.254", ["this machine has no address of its own on the network of 10.3.0.254"]),
        ("1.1.1.254/24/eth0:0", ["this machine has no address of its own on the network of 1.1.1.254"]),
        ("10.0.0.254/24/eth9", ["there is no interface eth9"]),
        ("10.0.0.1", []),  # wrong in another way: it is the machine's own, but some other address may be there
        ("IPv6addr::[2001:db8::1]", []),
        ("IPv6addr::[2001:db8:1::1]", ["no connected route to 2001:db8:1::1"]),
    ],
)
def test_routes(files: Callable[..., str], resource: str, texts: list[str]) -> None:
    def look(ip: Any) -> list[str]:
        add(ip, "eth0", "10.0.0.1/24", broadcast="10.0.0.255")
        add(ip, "eth0", "10.0.0.2/24")
        add(ip, "eth1", "2001:db8::2/64")
        set_switch("ipv4/ip_forward", "1")
        set_switch("ipv6/conf/all/forwarding", "1")
        ip.route("add", dst="default", gateway="10.0.0.9")
        ip.route("add", family=AF_INET, dst="default", oif=ip.link_lookup(ifname="eth1")[0], priority=50)
        ip.route("add", dst="10.2.0.0/24", gateway="10.0.0.9")
        ip.route("add", dst="10.3.0.0/24", oif=ip.link_lookup(ifname="eth0")[0])
        return warnings(files(f"# one\njulius {resource}\n", more="ucast eth1 10.0.0.2\n"))

    found = in_namespace(look)
    assert len(found) == len(texts), found
    for warning, text in zip(found, texts, strict=True):
        assert warning.startswith(f"haresources:2: {text}")


@needs_root
def test_a_virtual_address_does_not_make_its_own_route(files: Callable[..., str]) -> None:
    """The daemon runs and holds the address: what will be left when it is gone is what counts."""

    def look(ip: Any) -> list[str]:
        add(ip, "eth1", "10.0.0.254/24", broadcast="10.0.0.255")
        add(ip, "eth1", "2001:db8::1/64")
        add(ip, "eth0", "10.1.0.1/24", broadcast="10.1.0.255")
        set_switch("ipv4/ip_forward", "1")
        set_switch("ipv6/conf/all/forwarding", "1")
        add(ip, "eth1", "10.2.0.254/24")
        resources = "julius 10.0.0.254 IPv6addr::[2001:db8::1] 10.2.0.254/24/eth1\n"
        return warnings(files(resources, more="ucast eth1 10.0.0.2\n"))

    found = in_namespace(look)
    assert [re.split("[,:] ", text)[1] for text in found] == [
        "no connected route to 10.0.0.254",
        "no connected route to 2001:db8::1",
        "this machine has no address of its own on the network of 10.2.0.254",
    ]


@needs_root
@pytest.mark.parametrize(
    ("switches", "texts"),
    [
        ({}, ["net.ipv4.ip_forward is 0", "net.ipv6.conf.all.forwarding is 0"]),
        ({"ipv4/ip_forward": "1"}, ["net.ipv6.conf.all.forwarding is 0"]),
        ({"ipv4/ip_forward": "1", "ipv6/conf/all/forwarding": "1"}, []),
        (
            {"ipv4/ip_forward": "1", "ipv6/conf/all/forwarding": "1", "ipv4/conf/eth0/rp_filter": "1"},
            ["rp_filter on eth0"],
        ),
        (
            {"ipv4/ip_forward": "1", "ipv6/conf/all/forwarding": "1", "ipv4/conf/all/rp_filter": "1"},
            ["rp_filter on eth0"],
        ),
        (
            {
                "ipv4/ip_forward": "1",
                "ipv6/conf/all/forwarding": "1",
                "ipv4/conf/all/rp_filter": "1",
                "ipv4/conf/eth0/rp_filter": "2",
            },
            [],
        ),
        ({"ipv4/ip_forward": "1", "ipv6/conf/all/forwarding": "1", "ipv4/conf/eth1/rp_filter": "1"}, []),
    ],
)
def test_switches(files: Callable[..., str], switches: dict[str, str], texts: list[str]) -> None:
    def look(ip: Any) -> list[str]:
        add(ip, "eth0", "10.0.0.1/24", broadcast="10.0.0.255")
        add(ip, "eth1", "2001:db8::2/64")
        for name in ("all", "eth0", "eth1"):
            set_switch(f"ipv4/conf/{name}/rp_filter", "0")
        for name, value in switches.items():
            set_switch(name, value)
        return warnings(files("julius 10.0.0.254 10.0.0.253 IPv6addr::[2001:db8::1]\n", more="ucast eth1 10.0.0.2\n"))

    found = in_namespace(look)
    assert len(found) == len(texts), found
    for warning, text in zip(found, texts, strict=True):
        assert warning.startswith(f"haresources:1: {text}")


@needs_root
def test_without_pyroute2_the_rest_is_checked(files: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> None:
    def look(ip: Any) -> list[str]:
        add(ip, "eth0", "10.0.0.1/24", broadcast="10.0.0.255")
        monkeypatch.setitem(sys.modules, "pyroute2", None)
        return warnings(files(more="ucast eth1 10.0.0.2\n"))

    first, second = in_namespace(look)
    assert first == "haresources:1: this machine's addresses and routes were not looked at: pyroute2 cannot be used"
    assert second.startswith("haresources:1: net.ipv4.ip_forward is 0")


def offline(files: Callable[..., str], resources: str = "", **options: str) -> list[str]:
    directory = files(resources, **options)
    return [text.removeprefix(f"{directory}/") for text in check(directory, machine=False).warnings]


def test_one_medium_and_shared_interfaces(files: Callable[..., str]) -> None:
    assert offline(files) == [
        "ha.cf:4: eth0 is the only medium: when it fails, both nodes take everything; add another"
    ]
    assert offline(files, more="ucast eth0 10.0.0.2\nserial /dev/ttyS0\n") == [
        "ha.cf:4: 2 media on eth0 fail together; put one on another interface or a serial line"
    ]
    assert offline(files, more="serial /dev/ttyS0\n") == []


@pytest.mark.parametrize(
    ("keepalive", "baud", "text"),
    [
        ("2", 9600, None), ("300ms", 19200, None), ("250ms", 19200, "fill more than half"), ("150ms", 38400, None),
        ("100ms", 19200, "shorter than one and a half"), ("20ms", 115200, "shorter than one and a half"),
        ("50ms", 115200, None),
    ],
)  # fmt: skip
def test_serial_lines_have_room(files: Callable[..., str], keepalive: str, baud: int, text: str | None) -> None:
    # a status of this node has some 270 octets: 140 ms at 19200 baud
    found = offline(files, more=f"keepalive {keepalive}\nbaud {baud}\nserial /dev/ttyS0\n")
    found = [line for line in found if "is also in line" not in line]
    if text is None:
        assert found == []
    else:
        (line,) = found
        assert line.startswith(f"ha.cf:7: at {baud} baud a status of ")
        assert text in line


def test_more_groups_need_more_room(files: Callable[..., str]) -> None:
    more = "keepalive 400ms\nserial /dev/ttyS0\n"
    assert not any("baud" in text for text in offline(files, "julius a\n", more=more))
    many = "".join(f"julius r{number}\n" for number in range(20))
    assert any("fill more than half" in text for text in offline(files, many, more=more))


def test_weak_keys_are_warned_of(files: Callable[..., str]) -> None:
    found = offline(files, keys="auth 1\n1 md5 s\n2 crc\n", more="serial /dev/ttyS0\n")
    assert [text.split(" ")[:2] for text in found] == [["authkeys:2:", "md5"], ["authkeys:3:", "left-over"]]


def test_one_address_twice(files: Callable[..., str]) -> None:
    found = offline(files, "julius 10.0.0.254\ncaesar IPaddr2::10.0.0.254/24/eth0\n", more="serial /dev/ttyS0\n")
    assert found == ["haresources:2: 10.0.0.254 is the address of '10.0.0.254' as well; one of them is too many"]


def test_errors_come_alone(files: Callable[..., str]) -> None:
    directory = files("brutus a\n", more="frobnicate\n", keys="")
    report = check(directory, node="julius", machine=False)
    assert report.config is None
    assert report.text == ""
    assert [text.removeprefix(f"{directory}/").split(" ")[0] for text in report.errors] == [
        "ha.cf:5:", "haresources:1:", "authkeys:1:"
    ]  # fmt: skip


def test_the_text_is_the_dump(files: Callable[..., str]) -> None:
    report = check(files(), machine=False)
    assert report.config is not None
    assert report.text == report.config.dump()


def nonces(status: Message) -> list[str]:
    return [word for word in (status.get("ext") or "").split() if word[0] in "?!"]


@pytest.mark.parametrize("method", ["crc", "md5", "sha1", "sha256", "blake2s"])
@pytest.mark.parametrize("groups", [0, 1, 9])
def test_the_estimate_is_what_the_core_sends(files: Callable[..., str], method: str, groups: int) -> None:
    from _hbfast.auth import Authenticator
    from _hbfast.codec import encode
    from heartbeat.core.actions import Transmit
    from heartbeat.core.cluster import Cluster
    from heartbeat.core.events import MediumUp, Tick
    from heartbeat.core.settings import status_octets

    resources = "".join(f"julius r{number}\n" for number in range(groups))
    config = load(files(resources, keys=f"auth 1\n1 {method}{' s' * (method != 'crc')}\n"), machine=False)
    cluster = Cluster(config.settings(b"u" * 16), generation=0x65000000, seed=1, now=0)
    actions = cluster.handle(MediumUp("eth0"), 0)
    for _ in range(20):
        now = cluster.deadline()
        assert now is not None
        actions += cluster.handle(Tick(1_700_000_000), now)
    authenticator = Authenticator(config.keys, config.outbound, strong=True)
    statuses = [
        action.message for action in actions if isinstance(action, Transmit) and action.message.type == "status"
    ]
    # until the peer is heard, each asks it for a nonce
    lengths = [
        len(encode(message, authenticator, "classic")) - sum(1 + len(word) for word in nonces(message))
        for message in statuses
    ]
    # not yet at their longest are the sequence number and the generation in which the peer is heard
    assert 0 <= advice.status_frame_octets(config) - max(lengths) <= 12
    # the longest that there can be, with a nonce of each side: what the core and the simulator reckon with
    longest = max(len(encode(message, authenticator, "classic")) for message in statuses) + 18 + 12
    assert longest <= status_octets(groups) < longest + 300


@pytest.mark.parametrize(("groups", "octets"), [(1, 406), (100, 1000)])
def test_an_answer_with_many_groups_takes_long_on_a_slow_line(
    files: Callable[..., str], groups: int, octets: int
) -> None:
    """Three statuses, besides the time in which the other node is woken."""
    resources = "".join(f"julius r{number}\n" for number in range(groups))
    directory = files(resources, more="baud 9600\nserial /dev/ttyS0\n")
    made = load(directory, machine=False).settings(b"u" * 16)
    assert made.frame_ns == octets * 10 * 1_000_000_000 // 9600
    assert made.answer_ns == made.keepalive_ns // 4 + 3 * made.frame_ns
