"""ha.cf: lines, order, defaults, every directive, and that all errors come at once."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

import pytest

from heartbeat import log
from heartbeat.config import Config, ConfigError, load, machine
from heartbeat.config.directives import FACILITIES, TABLE
from heartbeat.config.dump import split
from heartbeat.config.record import MediumConfig, PingConfig, Respawn
from heartbeat.core.settings import FAILBACK_LEGACY, FAILBACK_OFF, FAILBACK_ON, MILLISECOND, SECOND

if TYPE_CHECKING:
    from conftest import Files

SEED = os.path.join(os.path.dirname(__file__), "..", "..", "data", "seed")


def medium(config: Config, number: int = 0) -> MediumConfig:
    return config.media[number]


# ---- the seed's own files


def test_the_seed(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "tty_problem", lambda path: None)
    for name in ("ha_cf", "haresources", "authkeys"):
        with open(os.path.join(SEED, name.replace("_", ".")), encoding="ascii") as file:
            setattr(files, name, file.read())
    config = files.load()
    assert config.warnings == ()
    assert (config.node, config.nodes) == ("julius", ("julius", "caesar"))
    assert (config.keepalive_ms, config.deadtime_ms, config.warntime_ms, config.initdead_ms) == (
        5000, 15_000, 10_000, 30_000
    )  # fmt: skip
    assert [(m.name, m.type, m.device, m.baud, m.rate_bits_per_s, m.frame_format) for m in config.media] == [
        ("/dev/ttyS0", "serial", "/dev/ttyS0", 19200, 19200, "classic")
    ]
    assert (config.keys, config.outbound) == ({1: ("sha1", b"a-secret")}, 1)
    assert config.auto_failback == FAILBACK_OFF
    assert config.use_logd
    assert config.logfacility is None
    (group,) = config.groups
    assert (group.key, group.preferred) == ("IPaddr::10.0.0.254", "julius")
    assert [(r.name, r.arguments, r.notifier) for r in group.resources] == [
        ("IPaddr", ("10.0.0.254",), False),
        ("IPaddr", ("1.1.1.254",), False),
        ("MailTo", ("alerts@myworkaddress.com", "JuliusCaesar"), True),
    ]


# ---- lines


def test_comments_blanks_and_line_ends(files: Files) -> None:
    files.ha_cf = (
        "# all of it\n"
        "\t \f\n"
        "\r\n"
        "logfacility local0#glued\r\n"
        " \f\tkeepalive\t2 # two\n"
        "deadtime 10\rinitdead 1\n"
        "bcast eth0,eth1 , ,\n"
        "#node x\n"
        "node julius,caesar # and no line end"
    )
    config = files.load()
    assert (config.keepalive_ms, config.deadtime_ms, config.initdead_ms) == (2000, 10_000, 20_000)
    assert config.logfacility == "local0"
    assert [m.name for m in config.media] == ["eth0", "eth1"]
    assert config.nodes == ("julius", "caesar")


def test_a_comma_is_no_blank_before_the_rest(files: Files) -> None:
    files.add("keepalive,5")
    assert files.errors() == ["ha.cf:11: unknown directive 'keepalive,5'; did you mean keepalive?"]


def test_only_the_files_own_blanks_divide_words(files: Files) -> None:
    files.ha_cf = files.ha_cf.replace("node caesar", "node cae\u00a0sar")
    assert "is no node name" in files.errors()[0]


def test_line_length_counts_octets(files: Files) -> None:
    files.add("# " + "x" * 5117, "# " + "x" * 5118, "# " + "ä" * 2560)
    assert files.errors() == [
        "ha.cf:12: the line is longer than 5119 octets; shorten or split it",
        "ha.cf:13: the line is longer than 5119 octets; shorten or split it",
    ]


def test_last_value_wins(files: Files) -> None:
    files.add("deadtime 15 20", "keepalive 3")
    config = files.load()
    assert (config.deadtime_ms, config.keepalive_ms) == (20_000, 3000)
    texts = files.bare(config.warnings)
    assert [text for text in texts if "takes one value" in text] == [
        "ha.cf:11: deadtime takes one value; the last one counts"
    ]
    assert "ha.cf:12: keepalive is also in line 2; this one counts" in texts


def test_all_errors_of_all_files_at_once(files: Files) -> None:
    files.ha_cf = (
        "KeepAlive 1\nkeepalive 10s\nudpport 0\nbaud 1\nserial ttyS0\nucast eth0\n"
        "node julius\nnode caesar\nnode brutus\nmsgfmt xx\nfrobnicate\n"
    )
    files.haresources = "brutus 10.0.0.1\njulius ::x 10.0.0.2\ncaesar 10.0.0.2 ../evil\n"
    files.authkeys = "auth 3\n17 sha1 x\n1 rot13 x\n2 sha1\n"
    files.authkeys_mode = 0o644
    places = [tuple(text.split(":")[:2]) for text in files.errors()]
    assert places == (
        [("ha.cf", str(line)) for line in (1, 2, 3, 4, 5, 6, 9, 10, 11)]
        + [("haresources", "1"), ("haresources", "2"), ("haresources", "3")]
        + [("authkeys", str(line)) for line in (1, 2, 3, 4)]
    )


def test_junk_is_bounded(files: Files) -> None:
    files.add(*["junk"] * 5000)
    errors = files.errors()
    assert len(errors) == 201
    assert "the rest is not shown" in errors[-1]


def test_missing_files(files: Files) -> None:
    files.ha_cf = files.haresources = files.authkeys = None
    assert [text.split(";")[0] for text in files.errors()] == [
        f"{name}:1: is not there" for name in ("ha.cf", "haresources", "authkeys")
    ]
    with pytest.raises(ConfigError, match="cannot be read: embedded null byte"):
        load("/etc/ha.d\0", node="julius")
    with pytest.raises(ConfigError, match="cannot be read: Not a directory"):
        load("/dev/null", node="julius")


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to be somebody else")
def test_somebody_else_is_told_to_be_root(files: Files) -> None:
    directory = files.write()
    child = os.fork()
    if child == 0:
        files.directory.chmod(0o711)
        os.setgroups([])
        os.setuid(65534)
        told = False
        try:
            load(directory, node="julius")
        except ConfigError as error:
            told = any("permission denied; run this as root" in text for text in error.errors)
        finally:
            os._exit(0 if told else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_a_fifo_or_directory_is_no_file(files: Files) -> None:
    directory = files.write()
    os.unlink(os.path.join(directory, "ha.cf"))
    os.mkfifo(os.path.join(directory, "ha.cf"))
    with pytest.raises(ConfigError, match=r"ha\.cf:1: is not a file"):
        load(directory, node="julius")


def test_latin_1_is_understood_and_said(files: Files) -> None:
    files.ha_cf = files.ha_cf.encode() + b"logfile /var/log/h\xf6rbar\n"
    config = files.load()
    assert config.logfile == "/var/log/hörbar"
    assert "ha.cf:11: the line is not UTF-8" in files.bare(config.warnings)[0]


# ---- the nodes


def test_own_name_comes_from_nodeinfo_or_uname(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    nodeinfo = files.directory / "nodeinfo"
    monkeypatch.setattr(machine.os, "uname", lambda: os.uname_result(("Linux", "CAESAR", "", "", "")))
    assert files.load(node=None).node == "caesar"
    nodeinfo.write_text("Julius\nmore\n")
    assert files.load(node=None).node == "julius"
    nodeinfo.write_text("julius")  # without its newline it does not count
    assert files.load(node=None).node == "caesar"
    nodeinfo.write_text("brutus\n")
    assert files.errors(node=None) == [
        "ha.cf:10: this machine's name 'brutus' is in no node line;"
        " add it, or put one of the nodes' names into nodeinfo"
    ]


def test_another_machines_files(files: Files) -> None:
    files.replace("bcast", "serial /dev/nosuchtty")
    files.add("ucast nosuch0 nosuchhost", "respawn nosuchuser /nosuch", "apiauth x uid=nosuchuser", "bcast nosuch1")
    config = files.load(node=None, machine=False)
    assert config.node == "julius"
    assert [m.name for m in config.media] == ["/dev/nosuchtty", "nosuch0", "nosuch1"]
    assert medium(config, 1).address == ""


def test_third_node_is_refused(files: Files) -> None:
    files.add("node brutus cassius")
    assert files.errors() == [
        f"ha.cf:11: node {name} is one too many: a cluster with haresources has two nodes"
        for name in ("brutus", "cassius")
    ]


def test_a_single_node_is_warned_of(files: Files) -> None:
    files.ha_cf = files.ha_cf.replace("node caesar\n", "")
    assert files.warnings() == ["ha.cf:9: julius is the only node; nobody takes over from it"]


@pytest.mark.parametrize("name", ["ju=lius", "jülius", "x" * 100, "ju\x7flius"])
def test_names_that_the_wire_cannot_carry(files: Files, name: str) -> None:
    files.ha_cf = files.ha_cf.replace("caesar", name)
    assert "is no node name" in files.errors()[0]


# ---- times


@pytest.mark.parametrize(
    ("deadtime", "warntime_ms", "initdead_ms"),
    [
        ("5.999", 2999, 12_000),
        ("6", 3000, 12_000),
        ("10", 5000, 20_000),
        ("10.001", 5000, 10_001),
        ("30", 15_000, 30_000),
    ],
)
def test_computed_times(files: Files, deadtime: str, warntime_ms: int, initdead_ms: int) -> None:
    files.ha_cf = files.ha_cf.replace("warntime 5\n", "").replace("initdead 20\n", "")
    files.replace("deadtime", f"deadtime {deadtime}")
    config = files.load()
    assert (config.warntime_ms, config.initdead_ms) == (warntime_ms, initdead_ms)
    assert config.parameters["warntime"] == f"{warntime_ms}ms"
    assert config.parameters["initdead"] == f"{initdead_ms}ms"


def test_all_defaults(files: Files) -> None:
    files.ha_cf = "bcast eth0\nnode julius caesar\n"
    config = files.load()
    assert (config.keepalive_ms, config.deadtime_ms, config.warntime_ms, config.initdead_ms) == (
        1000, 30_000, 15_000, 30_000
    )  # fmt: skip
    assert (config.auto_failback, config.failback_delay_ms) == (FAILBACK_LEGACY, 0)
    assert (config.hopfudge, config.max_rexmit_delay_ms, config.message_format) == (1, 250, "classic")
    assert (config.realtime, config.rtprio, config.debug) == (True, None, 0)
    assert (config.builtin_agents, config.mailserver) == (True, "smtp://localhost:25")
    assert not config.reboot_on_stop_failure
    assert (config.generation_method, config.uuid_from, config.cluster) == ("file", "file", "linux-ha")
    assert (config.logfacility, config.logfile, config.debugfile, config.use_logd) == (None, None, None, True)
    assert config.syslogmsgfmt
    assert config.log_badpack
    assert medium(config).port == 694


@pytest.mark.parametrize(
    "line",
    ["keepalive 0", "warntime 0", "keepalive 3s", "deadtime -1", "initdead 5m", "deadping x", "failback_delay 1h",
     "conn_logd_time 0", "deadtime 2147484", "keepalive 99999999999999999999999999ms", "max_rexmit_delay 1.5ms.x-",
     "max_rexmit_delay -1", "max_rexmit_delay x"],
)  # fmt: skip
def test_no_such_time(files: Files, line: str) -> None:
    files.add(line)
    if line == "max_rexmit_delay 1.5ms.x-":
        assert files.load().max_rexmit_delay_ms == 1  # as atoi reads it
    else:
        assert [text for text in files.errors() if text.startswith("ha.cf:11: ")]


def test_units_are_named(files: Files) -> None:
    files.replace("keepalive", "keepalive 10s")
    (text,) = files.errors()
    assert text.startswith("ha.cf:2: keepalive '10s' is no time above zero; write seconds (2 or 0.5)")


def test_our_own_directives(files: Files) -> None:
    files.add(
        "builtin_agents off",
        "mailserver smtps://me:hunter2@mail.example:465",
        "on_stop_failure reboot",
        "failback_delay 90",
    )
    config = files.load()
    assert config.warnings == ()
    assert not config.builtin_agents
    assert config.mailserver == "smtps://me:hunter2@mail.example:465"
    assert config.reboot_on_stop_failure
    assert config.failback_delay_ms == 90_000
    files.add("builtin_agents maybe", "mailserver ftp://me:hunter2@x", "on_stop_failure panic", "mailserver")
    errors = files.errors()
    assert [text.split(":")[1] for text in errors] == ["15", "16", "17", "18"]
    assert not any("hunter2" in text for text in errors)


# ---- media


def test_serial_media(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "tty_problem", lambda path: None)
    files.ha_cf += "baud 38400\nserial /dev/ttyS0 /dev/ttyS1\nserial /dev/ttyS0\n"
    config = files.load(divisor=50)
    serial = config.media[1:]
    assert [(m.name, m.baud, m.rate_bits_per_s) for m in serial] == [
        ("/dev/ttyS0", 38400, 1_920_000), ("/dev/ttyS1", 38400, 1_920_000)
    ]  # fmt: skip
    assert files.bare(config.warnings) == ["ha.cf:13: serial '/dev/ttyS0' is there already; this one is ignored"]


@pytest.mark.parametrize("rate", [9600, 19200, 38400, 57600, 115200, 230400, 460800])
def test_baud_rates(files: Files, monkeypatch: pytest.MonkeyPatch, rate: int) -> None:
    monkeypatch.setattr(machine, "tty_problem", lambda path: None)
    files.replace("bcast", f"baud {rate}\nserial /dev/ttyS0")
    assert medium(files.load()).baud == rate


def test_baud_counts_once_and_above_serial(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "tty_problem", lambda path: None)
    files.replace("bcast", "serial /dev/ttyS0")
    files.add("baud 9600", "serial /dev/ttyS1")
    config = files.load()
    assert [m.baud for m in config.media] == [19200, 19200]
    assert "below the first serial" in files.bare(config.warnings)[0]
    assert config.parameters["baud"] == "9600"
    files.add("baud 9600")
    assert files.errors() == ["ha.cf:13: baud is given already in line 11; leave one of them"]
    files.ha_cf = files.ha_cf.replace("baud 9600\n", "") + "baud 9600 19200\n"
    assert "ha.cf:12: baud is given already" in files.errors()[0]


def test_udpport_holds_for_what_follows(files: Files) -> None:
    files.ha_cf = files.ha_cf.replace("udpport 694\n", "").replace("bcast eth0\n", "")
    files.add("ucast eth0 10.0.0.2", "udpport 700", "bcast eth0", "ucast eth1 10.0.0.3", "udpport 800", "bcast eth1")
    config = files.load()
    # each type keeps the port that it was first met with
    assert [(m.type, m.port) for m in config.media] == [("ucast", 694), ("bcast", 700), ("ucast", 694), ("bcast", 700)]
    assert [m.name for m in config.media] == ["eth0", "eth0#2", "eth1", "eth1#2"]
    texts = files.bare(config.warnings)
    assert any("stands below the first ucast line" in text for text in texts)
    assert any("belongs to the service ha-odd" in text for text in texts)
    assert config.parameters["udpport"] == "800"


def test_the_default_port_is_the_services(files: Files) -> None:
    (files.directory / "services").write_text("ha-cluster 701/tcp\nheart 701/udp ha-cluster\n")
    files.ha_cf = files.ha_cf.replace("udpport 694\n", "")
    assert medium(files.load()).port == 701
    assert medium(files.load(machine=False)).port == 694


@pytest.mark.parametrize(("value", "port"), [("70000", 4464), ("65535", 65535), ("694x", 694)])
def test_odd_ports(files: Files, value: str, port: int) -> None:
    files.replace("udpport", f"udpport {value}")
    config = files.load()
    assert medium(config).port == port
    assert bool(config.warnings) == (value != "65535")


@pytest.mark.parametrize("value", ["65536", "131072", "-694", "x694"])
def test_no_ports(files: Files, value: str) -> None:
    files.replace("udpport", f"udpport {value}")
    assert files.errors() == [f"ha.cf:6: udpport '{value}' is no port from 1 to 65535"]


def test_udp_media(files: Files) -> None:
    files.add(
        "ucast eth0 10.0.0.2", "ucast eth1 caesar.example", "mcast eth0 239.0.0.1 695 2 1", "ucast eth0 10.0.0.3 x"
    )
    config = files.load()
    assert [(m.name, m.type, m.address, m.port, m.ttl, m.loop) for m in config.media] == [
        ("eth0", "bcast", "", 694, 0, False),
        ("eth0#2", "ucast", "10.0.0.2", 694, 0, False),
        ("eth1", "ucast", "10.0.0.2", 694, 0, False),
        ("eth0#3", "mcast", "239.0.0.1", 695, 2, True),
        ("eth0#4", "ucast", "10.0.0.3", 694, 0, False),
    ]
    assert {m.frame_format for m in config.media} == {"netstring"}
    assert {m.rate_bits_per_s for m in config.media} == {0}
    assert files.bare(config.warnings) == ["ha.cf:14: ucast takes an interface and one address; 'x' is ignored"]


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("bcast nosuch0", "bcast nosuch0: there is no interface nosuch0"),
        ("bcast ppp0", "bcast ppp0: ppp0 cannot broadcast"),
        ("ucast eth0 nosuchhost", "ucast eth0: the host 'nosuchhost' cannot be resolved"),
        ("ucast nosuch0 10.0.0.2", "ucast nosuch0: there is no interface nosuch0"),
        ("mcast nosuch0 239.0.0.1 694 1 0", "mcast nosuch0: there is no interface nosuch0"),
        ("ucast6 nosuch0 fd00::3", "ucast6 nosuch0: there is no interface nosuch0"),
        ("mcast6 nosuch0 ff02::694 694 1 0", "mcast6 nosuch0: there is no interface nosuch0"),
        ("serial /dev/nosuchtty", "serial '/dev/nosuchtty' cannot be opened: No such file or directory"),
        ("serial /dev/null", "serial '/dev/null' is not a tty"),
        ("serial /dev", "serial '/dev' is not a character device"),
    ],
)
def test_what_is_absent_refuses_only_while_nothing_else_can_work(files: Files, line: str, text: str) -> None:
    files.replace("bcast", line)
    (error,) = files.errors()
    assert error.startswith(f"ha.cf:7: {text}")
    assert "no other medium can work" in error
    files.add("bcast eth1")
    config = files.load()
    assert len(config.media) == 2
    (warning,) = files.bare(config.warnings)
    assert warning.startswith(f"ha.cf:7: {text}")
    assert warning.endswith("this medium starts down")


def test_two_absent_media_do_not_excuse_each_other(files: Files) -> None:
    files.replace("bcast", "bcast nosuch0 nosuch1")
    assert len(files.errors()) == 2


def test_a_group_without_an_address_starts_down(files: Files) -> None:
    files.replace("bcast", "mcast ppp0 239.0.0.1 694 1 0")
    assert files.warnings() == ["ha.cf:7: mcast ppp0 has no IPv4 address yet; this medium starts down"]


@pytest.mark.parametrize(("name", "rest"), [("ucast6", "fd00::3"), ("mcast6", "ff02::694 694 1 0")])
def test_an_interface_without_ipv6_is_warned_of(files: Files, name: str, rest: str) -> None:
    files.replace("bcast", f"{name} ppp0 {rest}")
    assert files.warnings() == [f"ha.cf:7: {name} ppp0 has no IPv6 address yet; nothing is sent until it has one"]


@pytest.mark.parametrize(
    "line",
    [
        "bcast eth0/1", "bcast abcdefghijklmnop", "ucast eth0/1 10.0.0.2", "ucast", "mcast",
        "mcast eth0 239.0.0.1 694 1",
        "mcast eth0 239.0.0.1 0 1 0", "mcast eth0 239.0.0.1 65536 1 0", "mcast eth0 240.0.0.1 694 1 0",
        "mcast eth0 223.255.255.255 694 1 0", "mcast eth0 239.1 694 1 0", "mcast eth0 239.0.0.1 694 5 0",
        "mcast eth0 239.0.0.1 694 -1 0", "mcast eth0 239.0.0.1 694 1 2", "mcast eth0 239.0.0.1 694 1 yes",
        "ucast6", "ucast6 eth0", "ucast6 eth0/1 fd00::3", "ucast6 eth0 10.0.0.3", "ucast6 eth0 caesar.example",
        "ucast6 eth0 fe80::3%eth1", "ucast6 eth0 ::", "ucast6 eth0 ::1", "ucast6 eth0 ::ffff:10.0.0.3",
        "ucast6 eth0 ff02::1", "ucast6 eth0 fd00::3/64", "ucast6 eth0 [fd00::3]",
        "mcast6", "mcast6 eth0 ff02::1", "mcast6 eth0 ff02::694 694 1", "mcast6 eth0/1 ff02::694 694 1 0",
        "mcast6 eth0 fd00::3 694 1 0", "mcast6 eth0 239.0.0.1 694 1 0", "mcast6 eth0 ff02::694%eth0 694 1 0",
        "mcast6 eth0 ff01::694 694 1 0", "mcast6 eth0 ff0e::694 694 1 0", "mcast6 eth0 ff32::694 694 1 0",
        "mcast6 eth0 ff02::694 0 1 0", "mcast6 eth0 ff02::694 65536 1 0", "mcast6 eth0 ff02::694 ntp 1 0",
        "mcast6 eth0 ff02::694 694 5 0", "mcast6 eth0 ff02::694 694 -1 0", "mcast6 eth0 ff02::694 694 1 2",
        "mcast eth0 ff02::694 694 1 0", "ping_group gateways", "serial ttyS0", "hbaping 1", "rds 1", "tipc 1",
    ],
)  # fmt: skip
def test_mistakes_in_a_medium_refuse_although_another_works(files: Files, line: str) -> None:
    files.add(line)
    (error,) = files.errors()
    assert error.startswith("ha.cf:11: ")


def test_media_of_ipv6(files: Files) -> None:
    files.add(
        "ucast6 eth0 FE80:0::3", "ucast6 eth1 fe80::3%eth1", "udpport 700", "mcast6 eth0 ff15::0694 70000 4 1",
        "ucast6 eth1 fd00::3 x", "ucast6 eth0 fe80::3%eth0",
    )  # fmt: skip
    config = files.load()
    assert [(m.name, m.type, m.host, m.address, m.port, m.ttl, m.loop, m.loops) for m in config.media[1:]] == [
        ("eth0#2", "ucast6", "fe80::3", "fe80::3", 694, 0, False, False),
        ("eth1", "ucast6", "fe80::3", "fe80::3", 694, 0, False, False),
        ("eth0#3", "mcast6", "ff15::694", "ff15::694", 4464, 4, True, True),
        ("eth1#2", "ucast6", "fd00::3", "fd00::3", 694, 0, False, False),
    ]
    assert {m.frame_format for m in config.media} == {"netstring"}
    texts = files.bare(config.warnings)
    assert "ha.cf:13: udpport stands below the first bcast and ucast6 line; all media of that type keep their port" in (
        texts
    )
    assert "ha.cf:14: mcast6 port 70000 is above 65535; port 4464 is used, as Heartbeat 3 does" in texts
    assert "ha.cf:15: ucast6 takes an interface and one address; 'x' is ignored" in texts
    assert "ha.cf:16: ucast6 'eth0' is there already; this one is ignored" in texts


@pytest.mark.parametrize("flag", range(16))
def test_groups_of_ipv6_as_the_original_has_them(files: Files, flag: int) -> None:
    """As it answered where it was tried: every scope of flag 0, eight of flag 1, one or more of most other flags."""
    good = []
    for scope in range(16):
        files.replace("bcast", f"mcast6 eth0 ff{flag:x}{scope:x}::694 694 1 0")
        with contextlib.suppress(ConfigError):
            good.append((files.load().media[0].address, scope))
        files.replace("mcast6", "bcast eth0")
    assert [scope for _, scope in good] == ([2, 4, 5, 8] if flag in (0, 1) else [])


@pytest.mark.parametrize(("name", "rest"), [("ucast6", "fd00::3"), ("mcast6", "ff02::694 694 1 0")])
def test_a_medium_of_ipv6_is_enough(files: Files, name: str, rest: str) -> None:
    files.replace("bcast", f"{name} eth0 {rest}")
    assert files.warnings() == []
    files.replace(name, f"{name} eth0")
    (error,) = files.errors()  # and none that there is no medium
    assert error.startswith(f"ha.cf:7: {name} needs ")


def test_too_many_media(files: Files) -> None:
    files.add(*(f"ucast eth0 10.0.1.{number}" for number in range(1, 65)))
    assert files.errors() == ["ha.cf:74: more than 64 media"]


def test_known_names_are_not_asked_for_again(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    files.add("ucast eth1 caesar.example")
    config = files.load()
    monkeypatch.setattr(machine, "resolve", lambda host: pytest.fail(f"asked for {host}"))
    assert medium(files.load(previous=config), 1).address == "10.0.0.2"
    files.add("ucast eth1 new.example")
    (error,) = files.errors(previous=config)
    assert error.startswith("ha.cf:12: ucast eth1: a host name that is new")


def test_an_address_of_ipv6_is_no_name_that_ucast_would_know(files: Files) -> None:
    files.add("ucast6 eth0 fd00::3")
    config = files.load()
    files.replace("ucast6", "ucast eth0 fd00::3")
    (error,) = files.errors(previous=config)
    assert error.startswith("ha.cf:11: ucast eth0: a host name that is new")


def test_a_node_does_not_beat_to_itself(files: Files) -> None:
    """The same ha.cf on both nodes names both. 127.0.0.1 is this machine's own address in every namespace."""
    files.replace("bcast", "ucast eth1 127.0.0.1")
    files.add("ucast eth1 10.0.0.2")
    config = files.load()
    assert [(medium.name, medium.host) for medium in config.media] == [("eth1", "10.0.0.2")]
    assert config.warnings == ()
    files.ha_cf = files.ha_cf.replace("ucast eth1 10.0.0.2", "")
    assert [medium.host for medium in files.load().media] == ["127.0.0.1"]  # better than none


def test_a_node_does_not_beat_to_itself_by_ipv6(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    """The address is not usable yet, and the other interface's is another one."""
    monkeypatch.setattr(machine, "is_local", lambda *asked: asked == ("fe80::2", "eth0"))
    files.replace("bcast", "ucast6 eth0 fe80::2")
    files.add("ucast6 eth0 fe80::3", "ucast6 eth1 fe80::2")
    found = [(medium.name, medium.host, medium.loops) for medium in files.load().media]
    assert found == [("eth0", "fe80::3", True), ("eth1", "fe80::2", False)]


def test_where_an_original_hears_itself(files: Files) -> None:
    files.add("ucast eth1 10.0.0.2", "mcast eth2 239.1.2.3 694 1 0", "mcast eth3 239.1.2.3 694 1 1")
    assert [medium.loops for medium in files.load().media] == [True, False, False, True]
    files.add("ucast eth1 127.0.0.1")
    assert [(medium.name, medium.loops) for medium in files.load().media][:2] == [("eth0", True), ("eth1", True)]


# ---- fail-back


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ([], FAILBACK_LEGACY), (["auto_failback legacy"], FAILBACK_LEGACY), (["auto_failback on"], FAILBACK_ON),
        (["auto_failback OFF"], FAILBACK_OFF), (["nice_failback on"], FAILBACK_LEGACY),
        (["nice_failback off"], FAILBACK_LEGACY), (["auto_failback on", "nice_failback off"], FAILBACK_OFF),
        (["auto_failback off", "nice_failback on"], FAILBACK_OFF),
        (["nice_failback on", "auto_failback on"], FAILBACK_ON),
    ],
)  # fmt: skip
def test_fail_back(files: Files, lines: list[str], expected: int) -> None:
    files.replace("auto_failback", "\n".join(lines) or "#")
    config = files.load()
    assert config.auto_failback == expected
    assert ("HA_NICEFAILBACK" in config.environment) == (expected != FAILBACK_LEGACY)
    assert any("legacy" in text for text in config.warnings) == (expected == FAILBACK_LEGACY) or "nice_failback" in str(
        lines
    )


# ---- programs beside the daemon


def test_respawn(files: Files) -> None:
    files.add("respawn root  /bin/sh -c 'exit 100,  1'", "failfast root /bin/true")
    config = files.load()
    assert config.respawn == (
        Respawn("root", "/bin/sh -c 'exit 100,  1'"), Respawn("root", "/bin/true", failfast=True)
    )  # fmt: skip
    assert config.respawn[0].argv() == ["/bin/sh", "-c", "exec /bin/sh -c 'exit 100,  1'"]
    (text,) = files.bare(config.warnings)
    assert "the machine is not rebooted" in text


def test_ipfail_needs_nothing_of_the_original(files: Files) -> None:
    files.add("respawn hacluster /usr/lib/nowhere/heartbeat/ipfail", "apiauth ipfail gid=haclient uid=hacluster")
    files.add("ping 10.0.0.1")
    config = files.load()
    assert config.respawn == ()
    assert config.ipfail == "hacluster /usr/lib/nowhere/heartbeat/ipfail"
    assert config.settings(bytes(16)).ipfail
    assert config.apiauth == {"ipfail": (("hacluster",), ("haclient",))}
    assert files.bare(config.warnings) == ["ha.cf:12: apiauth 'ipfail' has no effect: it is built in"]


@pytest.mark.parametrize(
    ("lines", "warning"),
    [
        (["auto_failback off"], "ha.cf:12: ipfail does nothing without a ping node: add a line ping ADDRESS"),
        (["auto_failback legacy", "ping 10.0.0.1"],
         "ha.cf:12: ipfail does nothing with auto_failback legacy: write on or off"),
    ],
)  # fmt: skip
def test_where_ipfail_does_nothing(files: Files, lines: list[str], warning: str) -> None:
    files.add(lines[0], "respawn hacluster /usr/libexec/heartbeat/ipfail", *lines[1:])
    config = files.load()
    assert warning in files.bare(config.warnings)
    assert not config.settings(bytes(16)).ipfail


def test_ipfail_is_named_by_an_absolute_path(files: Files) -> None:
    files.add("respawn hacluster ipfail")
    assert files.errors() == ["ha.cf:11: respawn 'ipfail' is no absolute path"]


# ---- ping nodes


def test_ping_nodes(files: Files) -> None:
    files.add("ping 10.0.0.1,caesar.example", "ping6 FD00::1", "ping_group Gateways 10.0.0.3 caesar.example 10.0.0.3")
    files.add("deadping 7")
    config = files.load()
    assert config.warnings == ()
    assert [(each.name, each.type, each.hosts, each.addresses) for each in config.pings] == [
        ("10.0.0.1", "ping", ("10.0.0.1",), ("10.0.0.1",)),
        ("caesar.example", "ping", ("caesar.example",), ("10.0.0.2",)),
        ("fd00::1", "ping6", ("FD00::1",), ("fd00::1",)),
        ("gateways", "ping_group", ("10.0.0.3", "caesar.example"), ("10.0.0.3", "10.0.0.2")),
    ]
    settings = config.settings(bytes(16))
    assert settings.ping_nodes == ("10.0.0.1", "caesar.example", "fd00::1", "gateways")
    assert settings.deadping_ns == 7 * SECOND
    assert len(config.media) == 1  # heartbeats do not go there
    files.replace("bcast", "# none")
    assert "no medium to send heartbeats on" in files.errors()[0]


def test_deadping_is_deadtime_unless_it_is_given(files: Files) -> None:
    assert files.load().settings(bytes(16)).deadping_ns == 10 * SECOND


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ("ping nosuchhost.invalid", "ping 'nosuchhost.invalid' is no host: write its address"),
        ("ping 300.1.1.1", "ping '300.1.1.1' is no host: write its address"),
        ("ping fe80::1", "ping 'fe80::1' is no host: write its address; for an IPv6 address write ping6"),
        ("ping6 10.0.0.1", "ping6 '10.0.0.1' is no host: write its address"),
        ("ping_group", "ping_group needs a name and at least one host: ping_group gateways 10.0.0.1 10.0.0.3"),
        ("ping_group gateways", "ping_group needs a name and at least one host: ping_group gateways 10.0.0.1 10.0.0.3"),
        ("ping_group a=b 10.0.0.1", "ping_group 'a=b' is no name for a ping node"),
        ("ping_group g " + " ".join(f"10.0.1.{last}" for last in range(65)), "ping_group 'g' has more than 64 hosts"),
    ],
)
def test_what_is_no_ping_node(files: Files, line: str, error: str) -> None:
    files.add(line)
    assert files.errors() == [f"ha.cf:11: {error}"]


@pytest.mark.parametrize(
    ("lines", "warning", "names"),
    [
        (["ping 10.0.0.1", "ping_group 10.0.0.1 10.0.0.3"], "ha.cf:12: ping node 10.0.0.1 is there already; this one is"
         " ignored", ["10.0.0.1"]),
        (["ping 10.0.0.3", "ping_group Caesar 10.0.0.1"], "ha.cf:12: caesar is a node of the cluster, and cannot be a"
         " ping node as well; the line is ignored", ["10.0.0.3"]),
        (["ping_group g nosuchhost.invalid 10.0.0.1"], "ha.cf:11: ping_group 'g': 'nosuchhost.invalid' cannot be"
         " resolved, and is not asked", ["g"]),
    ],
)  # fmt: skip
def test_ping_nodes_that_are_warned_of(files: Files, lines: list[str], warning: str, names: list[str]) -> None:
    files.add(*lines)
    config = files.load()
    assert files.bare(config.warnings) == [warning]
    assert [ping.name for ping in config.pings] == names


def test_too_many_ping_nodes(files: Files) -> None:
    files.add(*(f"ping 10.1.0.{number}" for number in range(1, 100)))
    assert files.errors() == ["ha.cf:109: more than 100 nodes, ping nodes included"]


def test_a_reload_asks_no_name_server_for_ping_nodes(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    files.add("ping caesar.example", "ping_group g caesar.example")
    config = files.load()
    for name in ("resolve", "resolve_6"):
        monkeypatch.setattr(machine, name, lambda host: pytest.fail(f"asked for {host}"))
    assert files.load(previous=config).pings == config.pings
    files.add("ping new.example")
    assert files.errors(previous=config) == [
        "ha.cf:13: ping 'new.example' is new, and the name server is not asked at a reload: write its address"
    ]


def test_ping_nodes_in_the_dump_parse_again(files: Files) -> None:
    files.add("ping 10.0.0.1", "ping6 fd00::1", "ping_group g 10.0.0.1 10.0.0.3", "deadping 7")
    files.add("respawn hacluster /usr/libexec/heartbeat/ipfail")
    config = files.load()
    files.ha_cf = split(config.dump())["ha.cf"]
    assert files.load() == config


@pytest.mark.parametrize(
    "line",
    ["respawn", "respawn root", "respawn 0 /bin/true", "respawn root bin/true", "respawn root /nosuch/program",
     "respawn root /bin", "failfast nosuchuser /bin/true", "apiauth", "apiauth x", "apiauth x uid=",
     "apiauth x foo=root",
     "apiauth x root", "apiauth x gid=nosuchgroup", "apiauth x uid=root,nosuchuser", "stonith", "stonith null",
     "stonith nosuchtype /etc/passwd", "stonith_host *", "stonith_host * nosuchtype x", "env NAME", "env =value",
     "env A=1 B", "env A-B=1"],
)  # fmt: skip
def test_refused_lines(files: Files, line: str) -> None:
    files.add(line)
    (error,) = files.errors()
    assert error.startswith("ha.cf:11: ")


def test_accepted_accounts(files: Files) -> None:
    files.add("apiauth x uid=0,root gid=0", "apiauth y gid=root uid=root uid=0")
    assert files.load().apiauth == {"x": (("0", "root"), ("0",)), "y": (("root", "0"), ("root",))}


def test_stonith_is_accepted_and_warned_of(files: Files, tmp_path: object) -> None:
    files.add(
        f"stonith null {files.directory}/ha.cf", "stonith_host * external/ipmi a b", "stonith_host brutus nosuchtype"
    )
    texts = files.warnings()
    assert [text.split(":")[1] for text in texts] == ["11", "12", "13"]
    assert "fencing comes with a later version" in texts[0]
    assert "about another machine" in texts[2]


# ---- what is exported


def test_environment(files: Files) -> None:
    files.add("env STOPRETRYMAX=3 A=x=y,B=", "debug 2")
    environment = files.load().environment
    assert environment["HA_keepalive"] == "1"
    assert environment["HA_max_rexmit_delay"] == "250"
    assert environment["HA_CURHOST"] == "julius"
    assert environment["HA_DIR"] == os.fspath(files.directory)
    assert environment["HA_FUNCS"] == f"{files.directory}/shellfuncs"
    assert environment["HA_DATEFMT"] == "%Y/%m/%d_%T\t"
    assert environment["OCF_ROOT"] == "/usr/lib/ocf"
    assert environment["HA_LOGFACILITY"] == "local0"
    # with syslog alone, scripts write to nowhere
    assert (environment["HA_LOGFILE"], environment["HA_DEBUGLOG"]) == ("/dev/null", "/dev/null")
    assert environment["HA_LOGD"] == "no"
    assert environment["HA_debug"] == "2"
    assert (environment["HA_STOPRETRYMAX"], environment["HA_A"], environment["HA_B"]) == ("3", "x=y", "")
    assert not any("secret" in value for value in environment.values())


def test_no_debug_no_variable(files: Files) -> None:
    assert "HA_debug" not in files.load().environment


def test_parameters_are_as_written(files: Files) -> None:
    files.replace("keepalive", "keepalive 1000ms")
    parameters = files.load().parameters
    assert parameters["keepalive"] == "1000ms"
    assert parameters["deadtime"] == "10"
    assert parameters["deadping"] == "10000ms"
    assert parameters["compression"] == "zlib"
    assert "node" not in parameters
    assert "bcast" not in parameters


# ---- logging


@pytest.mark.parametrize(
    ("lines", "use_logd", "warned"),
    [
        (["logfile /var/log/ha-log"], False, False), (["logfacility none"], True, False),
        (["use_logd on"], True, False),
        (["debugfile /x", "use_logd yes"], True, True), (["logfacility daemon", "use_logd off"], False, False),
        (["logfile ha-log"], False, True),
    ],
)  # fmt: skip
def test_logging(files: Files, lines: list[str], use_logd: bool, warned: bool) -> None:
    files.replace("logfacility", "\n".join(lines))
    config = files.load()
    assert config.use_logd == use_logd
    assert bool(config.warnings) == warned


@pytest.mark.parametrize("word", FACILITIES)
def test_facilities_are_the_logs(files: Files, word: str) -> None:
    files.replace("logfacility", f"logfacility {word.upper()}")
    facility = files.load().logfacility
    assert facility in log.FACILITIES
    assert word in (facility, "security")


def test_no_log_at_all(files: Files) -> None:
    files.replace("logfacility", "logfacility none\nuse_logd off")
    (error,) = files.errors()
    assert error.startswith("ha.cf:2: use_logd is off")


# ---- whom UDP media hear


TWO_UCASTS = ("ucast eth0 10.0.0.2", "ucast eth0 10.0.0.3", "ucast eth1 10.0.1.2", "mcast eth0 239.0.0.1 694 1 0")


def sources_of(files: Files) -> dict[str, tuple[tuple[str, ...], bool]]:
    return {medium.name: (medium.sources, medium.sources_strict) for medium in files.load().media}


@pytest.mark.parametrize("lines", [(), ("udp_sources learn",)])
def test_ucast_hears_the_addresses_that_share_its_port(files: Files, lines: tuple[str, ...]) -> None:
    files.add(*TWO_UCASTS, *lines)
    both = ("10.0.0.2", "10.0.0.3")
    assert sources_of(files) == {
        "eth0": ((), False), "eth0#2": (both, False), "eth0#3": (both, False), "eth1": (("10.0.1.2",), False),
        "eth0#4": ((), False),
    }  # fmt: skip


def test_an_address_that_is_not_known_lets_everybody_in(files: Files) -> None:
    files.add("ucast eth0 10.0.0.2", "ucast eth0 nobody.example")
    assert set(sources_of(files).values()) == {((), False)}


def test_every_source_may_be_heard(files: Files) -> None:
    files.add(*TWO_UCASTS, "udp_sources any")
    assert set(sources_of(files).values()) == {((), False)}


def test_a_list_holds_for_every_udp_medium_and_is_final(files: Files) -> None:
    files.add("ucast eth0 10.0.0.2", "mcast eth0 239.0.0.1 694 1 0", "udp_sources 10.0.0.2  10.0.0.3 10.0.0.2")
    assert set(sources_of(files).values()) == {(("10.0.0.2", "10.0.0.3"), True)}
    assert files.warnings() == []


def test_a_list_without_the_peer_is_warned_of(files: Files) -> None:
    files.add("ucast eth0 10.0.0.2", "udp_sources 10.0.0.3")
    (warning,) = files.warnings()
    assert "udp_sources leaves out 10.0.0.2" in warning


LISTED_6 = ("ucast6 eth0 fd00::3", "mcast6 eth0 ff02::694 694 1 0")


def test_of_a_list_each_medium_hears_what_is_of_its_version(files: Files) -> None:
    files.add(*LISTED_6, "udp_sources 10.0.0.2 FD00::3 fe80::3")
    both = (("fd00::3", "fe80::3"), True)
    assert sources_of(files) == {"eth0": (("10.0.0.2",), True), "eth0#2": both, "eth0#3": both}
    assert files.warnings() == []


def test_ucast6_hears_the_addresses_that_share_its_port(files: Files) -> None:
    files.add("ucast eth0 10.0.0.2", *LISTED_6, "ucast6 eth0 fe80::3%eth0")
    both = (("fd00::3", "fe80::3"), False)
    assert sources_of(files) == {
        "eth0": ((), False), "eth0#2": (("10.0.0.2",), False), "eth0#3": both, "eth0#4": ((), False), "eth0#5": both,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("media", "listed", "text"),
    [
        (["mcast6 eth0 ff02::694 694 1 0"], "10.0.0.2", "no IPv6 address, and without one mcast6 eth0"),
        ([], "fd00::3", "no IPv4 address, and without one bcast eth0"),
    ],
)
def test_a_list_without_an_address_of_a_medium_s_version_is_refused(
    files: Files, media: list[str], listed: str, text: str
) -> None:
    files.add(*media, f"udp_sources {listed}")
    assert files.errors() == [f"ha.cf:{11 + len(media)}: udp_sources has {text} would hear nobody"]


@pytest.mark.parametrize(
    "words", ["", "learn 10.0.0.2", "everybody", "10.0.0", "fe80::1%eth0", " ".join(f"10.0.0.{n}" for n in range(17))]
)
def test_what_is_no_list_of_sources(files: Files, words: str) -> None:
    files.add(f"udp_sources {words}")
    (error,) = files.errors()
    assert "udp_sources" in error


# ---- each directive, once right


RIGHT = {
    "node": "julius", "cluster": "rome", "uuidfrom": "nodename", "hbgenmethod": "time", "autojoin": "none",
    "keepalive": "500ms", "deadtime": "9", "warntime": "4", "initdead": "25", "deadping": "20", "failback_delay": "1",
    "max_rexmit_delay": "100", "baud": "9600", "udpport": "694", "serial": "/dev/ptmx-will-be-made-up", "bcast": "eth1",
    "udp": "eth1", "ucast": "eth1 10.0.0.2", "mcast": "eth1 239.0.0.1 694 1 0", "ucast6": "eth1 fe80::1",
    "mcast6": "eth1 ff02::1 694 1 0", "ping": "10.0.0.1", "ping6": "fe80::1", "ping_group": "g 10.0.0.1",
    "hopfudge": "2", "msgfmt": "netstring", "compression": "bz2", "compression_threshold": "2",
    "traditional_compression": "on", "auto_failback": "off", "nice_failback": "on", "on_stop_failure": "continue",
    "builtin_agents": "on", "mailserver": "smtp://localhost", "watchdog": "/dev/watchdog",
    "stonith": "null /etc/passwd", "stonith_host": "* null x", "respawn": "root /bin/true",
    "failfast": "root /bin/true",
    "apiauth": "x uid=root", "env": "A=1", "debug": "1", "logfacility": "daemon", "logfile": "/var/log/ha-log",
    "debugfile": "/var/log/ha-debug", "use_logd": "off", "conn_logd_time": "30", "syslogmsgfmt": "false",
    "log_badpack": "off", "realtime": "off", "rtprio": "50", "memreserve": "100", "coredumps": "on",
    "coreroot": "/tmp", "use_apphbd": "off", "normalpoll": "on", "pacemaker": "off", "crm": "no",
    "crm_daemon_dir": "/usr/lib", "crmd_spawns_pengine": "yes", "quorum_server": "q", "record_config_changes": "on",
    "record_pengine_inputs": "off", "enable_config_writes": "on", "authkeys_permissions": "warn",
    "strong_auth": "required", "udp_sources": "10.0.0.2 10.0.0.3",
}  # fmt: skip
REFUSED = ("hbaping", "rds", "tipc")
EFFECTIVE = {
    "cluster": ("cluster", "rome"), "uuidfrom": ("uuid_from", "nodename"), "hbgenmethod": ("generation_method", "time"),
    "keepalive": ("keepalive_ms", 500), "deadtime": ("deadtime_ms", 9000), "warntime": ("warntime_ms", 4000),
    "initdead": ("initdead_ms", 25_000), "failback_delay": ("failback_delay_ms", 1000),
    "max_rexmit_delay": ("max_rexmit_delay_ms", 100), "hopfudge": ("hopfudge", 2),
    "msgfmt": ("message_format", "netstring"), "auto_failback": ("auto_failback", FAILBACK_OFF), "debug": ("debug", 1),
    "logfacility": ("logfacility", "daemon"), "logfile": ("logfile", "/var/log/ha-log"),
    "debugfile": ("debugfile", "/var/log/ha-debug"), "syslogmsgfmt": ("syslogmsgfmt", False),
    "log_badpack": ("log_badpack", False), "realtime": ("realtime", False), "rtprio": ("rtprio", 50),
    "authkeys_permissions": ("authkeys_permissions", "warn"), "strong_auth": ("strong_auth", "required"),
    "udp_sources": ("udp_sources", "10.0.0.2 10.0.0.3"), "coredumps": ("coredumps", True),
    "deadping": ("deadping_ms", 20_000), "ping": ("pings", (PingConfig("10.0.0.1", "ping", *[["10.0.0.1"]] * 2),)),
    "ping6": ("pings", (PingConfig("fe80::1", "ping6", *[["fe80::1"]] * 2),)),
    "ping_group": ("pings", (PingConfig("g", "ping_group", *[["10.0.0.1"]] * 2),)),
}  # fmt: skip
# these change nothing when they say what holds anyway
QUIET = ("node", "autojoin", "baud", "udpport", "on_stop_failure", "builtin_agents", "mailserver", "use_logd",
         "pacemaker", "crm", "env", "respawn", "serial", "bcast", "ucast", "mcast", "ucast6", "mcast6")  # fmt: skip


def test_the_table_is_covered() -> None:
    assert set(RIGHT) | set(REFUSED) == set(TABLE)


@pytest.mark.parametrize("name", RIGHT)
def test_each_directive_works_or_is_warned_of(files: Files, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "tty_problem", lambda path: None)
    kept = [line for line in files.ha_cf.splitlines() if line.split()[0] != name or name in ("node", "bcast")]
    files.ha_cf = "\n".join([*kept, f"{name} {RIGHT[name]}"]) + "\n"
    config = files.load()
    mine = [text for text in files.bare(config.warnings) if text.startswith(f"ha.cf:{len(kept) + 1}: ")]
    if name in EFFECTIVE:
        attribute, value = EFFECTIVE[name]
        assert getattr(config, attribute) == value
        assert getattr(config, attribute) != getattr(Config("/"), attribute)
    elif name not in QUIET:
        assert mine, "a directive that does nothing must say so"
    assert config.parameters.get(name, RIGHT[name]) == RIGHT[name]


@pytest.mark.parametrize("name", RIGHT)
def test_each_directive_without_a_value(files: Files, name: str) -> None:
    files.ha_cf += f"{name}\n"
    number = files.ha_cf.count("\n")
    if TABLE[name].style:
        (error,) = files.errors()
        assert error.startswith(f"ha.cf:{number}: ")
    else:
        assert f"ha.cf:{number}: {name} has no value; the line is ignored" in files.warnings()


BOOLEANS = [name for name, value in RIGHT.items() if value in ("on", "off", "yes", "no", "true", "false")]


@pytest.mark.parametrize("name", BOOLEANS)
def test_each_boolean_takes_nothing_else(files: Files, name: str) -> None:
    if name == "nice_failback":
        return  # its value never mattered
    files.add(f"{name} perhaps")
    (error,) = files.errors()
    assert error.startswith(f"ha.cf:11: {name} 'perhaps' ")


@pytest.mark.parametrize(
    "line",
    ["rtprio 0", "rtprio 100", "rtprio x", "debug -1", "debug 256", "hopfudge x", "memreserve -5", "compression gzip",
     "compression_threshold 0", "autojoin other", "crm yes", "pacemaker respawn", "pacemaker manual", "baud 300",
     "logfacility local8"],
)  # fmt: skip
def test_values_out_of_bounds(files: Files, line: str) -> None:
    files.add(line)
    (error,) = files.errors()
    assert error.startswith(f"ha.cf:11: {line.split(maxsplit=1)[0]} ")


def test_given_twice(files: Files) -> None:
    files.add("watchdog /dev/a", "watchdog /dev/b", "crm off", "pacemaker off")
    assert [text.split(":")[1] for text in files.errors()] == ["12", "14"]


# ---- for the core


def test_settings_are_divided(files: Files) -> None:
    files.add(
        "failback_delay 60", "max_rexmit_delay 100", "hopfudge 3", "on_stop_failure reboot", "ucast eth0 10.0.0.2"
    )
    files.haresources = "julius Delay::5::7 10.0.0.254 httpd\n"
    plain, divided = files.load().settings(b"u" * 16), files.load(divisor=50).settings(b"u" * 16)
    assert plain.keepalive_ns == SECOND
    assert divided.keepalive_ns == 20 * MILLISECOND
    assert divided.deadtime_ns == 200 * MILLISECOND
    assert divided.warntime_ns == 100 * MILLISECOND
    assert divided.initdead_ns == 400 * MILLISECOND
    assert divided.failback_delay_ns == 1200 * MILLISECOND
    assert divided.max_rexmit_delay_ns == 2 * MILLISECOND
    assert (plain.divisor, divided.divisor) == (1, 50)
    assert (divided.hopfudge, divided.reboot_on_stop_failure, divided.auto_failback) == (3, True, FAILBACK_ON)
    assert (divided.node, divided.nodes, divided.uuid) == ("julius", ("julius", "caesar"), b"u" * 16)
    assert divided.media == ("eth0", "eth0#2")
    for settings, divisor in ((plain, 1), (divided, 50)):
        delay, address, script = settings.groups[0].resources
        assert (delay.start_timeout_ns, delay.stop_timeout_ns) == (35 * SECOND // divisor, 37 * SECOND // divisor)
        assert (script.start_timeout_ns, script.stop_timeout_ns) == (60 * SECOND // divisor, 30 * SECOND // divisor)
        assert address == files.load().groups[0].resources[1]
    # digests are of the files, not of how fast the clock runs
    assert plain.timing_digest == divided.timing_digest
    assert plain.resources_digest == divided.resources_digest


@pytest.mark.parametrize(
    ("old", "new", "differs"),
    [
        ("keepalive 1\n", "keepalive 1000ms\n", False), ("keepalive 1\n", "keepalive 2\n", True),
        ("deadtime 10\n", "deadtime 11\n", True), ("warntime 5\n", "warntime 6\n", True),
        ("initdead 20\n", "initdead 21\n", True), ("node caesar\n", "node marcus\n", True),
        ("node julius\nnode caesar\n", "node CAESAR julius\n", False), ("bcast eth0\n", "bcast eth1\n", False),
        ("udpport 694\n", "failback_delay 3\n", True), ("logfacility local0\n", "# comment\n", False),
    ],
)  # fmt: skip
def test_timing_digest(files: Files, old: str, new: str, differs: bool) -> None:
    before = files.load().timing_digest()
    files.ha_cf = files.ha_cf.replace(old, new)
    after = files.load().timing_digest()
    assert (before != after) == differs
    assert (before[4:] != after[4:]) == (differs and old.startswith("node ")), "the list of nodes has a part of its own"
    assert len(before) == 8
    assert int(before, 16) >= 0
