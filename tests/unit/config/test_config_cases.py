"""Every row of the table of configurations that were tried on the running original (tests/data/config-cases.md).

What the original refused is refused here; what it started on starts here, with a warning where it is nonsense. The one
exception is said below.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Files

    Change = Callable[[Files], None]

TABLE = Path(__file__).parents[2] / "data" / "config-cases.md"


def rows() -> list[tuple[str, str, str]]:
    lines = [line for line in TABLE.read_text().splitlines() if line.startswith("|")][2:]
    return [tuple(cell.strip() for cell in line.split("|")[1:4]) for line in lines]


def instead(directive: str, line: str) -> Change:
    return lambda files: files.replace(directive, line)


def without(*directives: str) -> Change:
    return lambda files: [files.replace(directive, "# none") for directive in directives]


def more(*lines: str) -> Change:
    return lambda files: files.add(*lines)


def both(*changes: Change) -> Change:
    return lambda files: [change(files) for change in changes]


def keys(content: str | None, mode: int = 0o600) -> Change:
    def change(files: Files) -> None:
        files.authkeys, files.authkeys_mode = content, mode

    return change


def resources(content: str | None) -> Change:
    def change(files: Files) -> None:
        files.haresources = content

    return change


def regular_file(files: Files) -> None:
    path = files.directory / "plain"
    path.write_text("")
    files.replace("bcast", f"serial {path}")


def not_executable(files: Files) -> None:
    path = files.directory / "plain"
    path.write_text("")
    path.chmod(0o644)
    files.add(f"respawn root {path}")


def no_nodes(files: Files) -> None:
    files.ha_cf = files.ha_cf.replace("node", "# node")


def not_in_nodes(files: Files) -> None:
    files.ha_cf = files.ha_cf.replace("julius", "marcus")
    files.haresources = "marcus 10.0.0.254\n"


def upper_case_nodes(files: Files) -> None:
    files.ha_cf = files.ha_cf.replace("julius", "JULIUS").replace("caesar", "Caesar")


# one entry a row, in the table's order: what is changed in the sound files
CHANGES: list[tuple[str, Change]] = [
    ("base ok", lambda files: None),
    ("keepalive 0", instead("keepalive", "keepalive 0")),
    ("keepalive -1", instead("keepalive", "keepalive -1")),
    ("keepalive 500ms", instead("keepalive", "keepalive 500ms")),
    ("keepalive 0.5", instead("keepalive", "keepalive 0.5")),
    ("keepalive 1500 ms", instead("keepalive", "keepalive 1500 ms")),
    ("keepalive 10s", instead("keepalive", "keepalive 10s")),
    ("keepalive abc", instead("keepalive", "keepalive abc")),
    ("keepalive 100us", instead("keepalive", "keepalive 100us")),
    ("keepalive 1m", instead("keepalive", "keepalive 1m")),
    ("deadtime 2 (= 2*keepalive)", instead("deadtime", "deadtime 2")),
    ("deadtime 2001ms", both(instead("deadtime", "deadtime 2001ms"), instead("warntime", "warntime 1"))),
    ("warntime 0", instead("warntime", "warntime 0")),
    ("warntime 20 > deadtime", instead("warntime", "warntime 20")),
    ("no warntime/initdead", without("warntime", "initdead")),
    ("initdead 5 < deadtime", instead("initdead", "initdead 5")),
    ("initdead 9 deadtime 4", both(instead("initdead", "initdead 9"), instead("deadtime", "deadtime 4"))),
    ("deadping 1", more("deadping 1")),
    ("ping", more("ping 10.0.0.1")),
    ("ping two hosts", more("ping 10.0.0.1 10.0.0.3")),
    ("ping two hosts, with a comma", more("ping 10.0.0.1,10.0.0.3")),
    ("ping the same twice", more("ping 10.0.0.1", "ping 10.0.0.1")),
    ("ping unknown host", more("ping nosuchhost.invalid")),
    ("ping no address", more("ping 300.1.1.1")),
    ("ping IPv6", more("ping fe80::1")),
    ("ping6", more("ping6 ::1")),
    ("ping6 IPv4", more("ping6 10.0.0.1")),
    ("ping_group alone", more("ping_group")),
    ("ping_group no host", more("ping_group gateways")),
    ("ping_group", more("ping_group gateways 10.0.0.1 10.0.0.3")),
    ("ping_group one unknown host", more("ping_group gateways 10.0.0.1 nosuchhost.invalid")),
    ("ping_group only unknown hosts", more("ping_group gateways nosuchhost.invalid")),
    ("ping_group with a comma", more("ping_group gateways 10.0.0.1,10.0.0.3")),
    ("ping_group named as a node", more("ping_group caesar 10.0.0.1")),
    ("ping_group named as a ping node", more("ping_group 10.0.0.1 10.0.0.3", "ping 10.0.0.1")),
    ("ipfail at another path", more("ping 10.0.0.1", "respawn hacluster /usr/lib/heartbeat/ipfail")),
    ("auto_failback missing", without("auto_failback")),
    ("auto_failback legacy", instead("auto_failback", "auto_failback legacy")),
    ("auto_failback maybe", instead("auto_failback", "auto_failback maybe")),
    ("nice_failback on", instead("auto_failback", "nice_failback on")),
    ("nice_failback off", instead("auto_failback", "nice_failback off")),
    ("no media", without("bcast")),
    ("bad iface", instead("bcast", "bcast nosuch0")),
    ("two on bcast line, one bad", instead("bcast", "bcast eth0 nosuch0")),
    ("no nodes", no_nodes),
    ("not in nodes", not_in_nodes),
    ("unknown directive", more("frobnicate 1")),
    ("udp alias", instead("bcast", "udp eth0")),
    ("udpport 0", instead("udpport", "udpport 0")),
    ("udpport abc", instead("udpport", "udpport abc")),
    ("udpport 53", instead("udpport", "udpport 53")),
    ("baud 12345", more("baud 12345")),
    ("serial missing dev", instead("bcast", "serial /dev/nosuchtty")),
    ("serial relative", instead("bcast", "serial ttyS0")),
    ("serial regular file", regular_file),
    ("ucast no addr", instead("bcast", "ucast eth0")),
    ("ucast bad host", instead("bcast", "ucast eth0 nosuchhost.invalid")),
    ("mcast missing", instead("bcast", "mcast eth0 239.0.0.1 694 1")),
    ("mcast not mc", instead("bcast", "mcast eth0 10.0.0.1 694 1 0")),
    ("mcast ttl 9", instead("bcast", "mcast eth0 239.0.0.1 694 9 0")),
    ("mcast loop 2", instead("bcast", "mcast eth0 239.0.0.1 694 1 2")),
    ("mcast dev", instead("bcast", "mcast nosuch0 239.0.0.1 694 1 0")),
    ("ucast6", instead("bcast", "ucast6 eth0 fd00::3")),
    ("ucast6 no addr", instead("bcast", "ucast6 eth0")),
    ("ucast6 link-local", instead("bcast", "ucast6 eth0 fe80::aa")),
    ("ucast6 link-local, its interface", instead("bcast", "ucast6 eth0 fe80::aa%eth0")),
    ("ucast6 link-local, its interface's number", instead("bcast", "ucast6 eth0 fe80::aa%2")),
    ("ucast6 link-local, another interface", instead("bcast", "ucast6 eth0 fe80::aa%eth1")),
    ("ucast6 not link-local, its interface", instead("bcast", "ucast6 eth0 fd00::3%eth0")),
    ("ucast6 IPv4", instead("bcast", "ucast6 eth0 10.0.0.3")),
    ("ucast6 IPv4 mapped", instead("bcast", "ucast6 eth0 ::ffff:10.0.0.3")),
    ("ucast6 name", instead("bcast", "ucast6 eth0 localhost")),
    ("ucast6 loopback", instead("bcast", "ucast6 eth0 ::1")),
    ("ucast6 any", instead("bcast", "ucast6 eth0 ::")),
    ("ucast6 a group", instead("bcast", "ucast6 eth0 ff02::1")),
    ("ucast6 a word too many", instead("bcast", "ucast6 eth0 fd00::3 x")),
    ("ucast6 dev", instead("bcast", "ucast6 nosuch0 fd00::3")),
    ("mcast6", instead("bcast", "mcast6 eth0 ff02::694 694 1 0")),
    ("mcast6 missing", instead("bcast", "mcast6 eth0 ff02::694 694 1")),
    ("mcast6 not mc", instead("bcast", "mcast6 eth0 fd00::5 694 1 0")),
    ("mcast6 IPv4 group", instead("bcast", "mcast6 eth0 239.1.2.3 694 1 0")),
    ("mcast6 with an interface", instead("bcast", "mcast6 eth0 ff02::694%eth0 694 1 0")),
    ("mcast6 interface-local group", instead("bcast", "mcast6 eth0 ff01::694 694 1 0")),
    ("mcast6 global group", instead("bcast", "mcast6 eth0 ff0e::694 694 4 1")),
    ("mcast6 transient group", instead("bcast", "mcast6 eth0 ff18::694 694 1 0")),
    ("mcast6 group by a prefix", instead("bcast", "mcast6 eth0 ff38::694 694 1 0")),
    ("mcast6 hops 5", instead("bcast", "mcast6 eth0 ff05::694 694 5 1")),
    ("mcast6 hops 0", instead("bcast", "mcast6 eth0 ff05::694 694 0 1")),
    ("mcast6 hops -1", instead("bcast", "mcast6 eth0 ff05::694 694 -1 1")),
    ("mcast6 hops 256", instead("bcast", "mcast6 eth0 ff05::694 694 256 1")),
    ("mcast6 hops x", instead("bcast", "mcast6 eth0 ff05::694 694 x 1")),
    ("mcast6 loop 2", instead("bcast", "mcast6 eth0 ff05::694 694 1 2")),
    ("mcast6 loop 1x", instead("bcast", "mcast6 eth0 ff05::694 694 1 1x")),
    ("mcast6 port 0", instead("bcast", "mcast6 eth0 ff05::694 0 1 0")),
    ("mcast6 port 70000", instead("bcast", "mcast6 eth0 ff05::694 70000 1 1")),
    ("mcast6 port x", instead("bcast", "mcast6 eth0 ff05::694 x 1 0")),
    ("mcast6 port 694x", instead("bcast", "mcast6 eth0 ff05::694 694x 1 1")),
    ("mcast6 port by name", instead("bcast", "mcast6 eth0 ff05::694 ntp 3 0")),
    ("mcast6 a word too many", instead("bcast", "mcast6 eth0 ff02::694 694 1 0 extra")),
    ("mcast6 dev", instead("bcast", "mcast6 nosuch0 ff02::694 694 1 0")),
    ("hopfudge 300", more("hopfudge 300")),
    ("hopfudge -1", more("hopfudge -1")),
    ("logfacility bogus", instead("logfacility", "logfacility bogus")),
    ("no logging", without("logfacility")),
    ("no logging use_logd off", instead("logfacility", "use_logd off")),
    ("autojoin any with haresources", more("autojoin any")),
    ("autojoin bogus", more("autojoin bogus")),
    ("debug 300", more("debug 300")),
    ("msgfmt xx", more("msgfmt xx")),
    ("hbgenmethod x", more("hbgenmethod x")),
    ("compression foo", more("compression foo")),
    ("watchdog none", more("watchdog /dev/nosuchdog")),
    ("respawn bad user", more("respawn nosuchuser /bin/true")),
    ("respawn rel", more("respawn root true")),
    ("respawn noexec", not_executable),
    ("apiauth bad", more("apiauth client")),
    ("apiauth dup", more("apiauth client uid=root", "apiauth client uid=root")),
    ("apiauth baduid", more("apiauth client uid=nosuchuser")),
    ("rtprio 500", more("rtprio 500")),
    ("realtime x", more("realtime x")),
    ("use_logd x", more("use_logd x")),
    ("stonith bad", more("stonith nosuchtype /etc/nosuchfile")),
    ("uuidfrom x", more("uuidfrom x")),
    ("memreserve 0", more("memreserve 0")),
    ("max_rexmit_delay 0", more("max_rexmit_delay 0")),
    ("crm on dup", more("crm on", "crm on")),
    ("node dup", more("node caesar")),
    ("NODE uppercase", upper_case_nodes),
    ("empty value", instead("keepalive", "keepalive")),
    ("Directive uppercase", instead("keepalive", "KeepAlive 1")),
    ("authkeys missing", keys(None)),
    ("authkeys 644", keys("auth 1\n1 sha1 secret\n", 0o644)),
    ("authkeys 640", keys("auth 1\n1 sha1 secret\n", 0o640)),
    ("authkeys 622", keys("auth 1\n1 sha1 secret\n", 0o622)),
    ("no auth line", keys("1 sha1 secret\n")),
    ("auth not found", keys("auth 2\n1 sha1 secret\n")),
    ("auth after", keys("1 sha1 secret\nauth 1\n")),
    ("no key", keys("auth 1\n1 sha1\n")),
    ("crc with key", keys("auth 1\n1 crc secret\n")),
    ("crc", keys("auth 1\n1 crc\n")),
    ("bad method", keys("auth 1\n1 rot13 secret\n")),
    ("index 16", keys("auth 16\n16 sha1 secret\n")),
    ("index 0", keys("auth 0\n0 sha1 secret\n")),
    ("garbage", keys("auth 1\n1 sha1 secret\ngarbage\n")),
    ("a..", keys("auth 1\n1 sha1 secret\na..\n")),
    ("key with spaces", keys("auth 1\n1 sha1 two words\n")),
    ("auth x", keys("auth x\n1 sha1 secret\n")),
    ("trailing comment", keys("auth 1 # which\n1 sha1 secret # what\n")),
    ("empty", keys("")),
    ("missing", resources(None)),
    ("bad node", resources("brutus 10.0.0.254\n")),
    ("empty", resources("")),
    ("continuation", resources("julius \\\n  10.0.0.254 \\\n  MailTo::root\n")),
    ("node only", resources("julius\n")),
    ("indented + upper", resources("  JULIUS 10.0.0.254\n")),
]

# the original refuses; here one working medium suffices, and the other starts down; and ipfail is built in
STARTS_HERE = ("two on bcast line, one bad", "ipfail at another path")
# the original starts; here keys that others may write are refused like keys that others may read, and of IPv6 what only
# looks like an address or a number, or is one that changes at a boot
REFUSED_HERE = (
    "authkeys 622", "ucast6 link-local, its interface's number", "ucast6 IPv4 mapped", "mcast6 hops 256",
    "mcast6 hops x", "mcast6 port 0", "mcast6 port by name",
)  # fmt: skip
# nonsense that the original starts on, mostly without a word
NONSENSE = (
    "warntime 20 > deadtime", "watchdog none", "node dup", "empty value", "key with spaces", "crc",
    "node only", "two on bcast line, one bad", "ping the same twice", "ping_group one unknown host",
    "ping_group only unknown hosts", "ping_group with a comma", "ping_group named as a node",
    "ping_group named as a ping node", "ucast6 a word too many", "mcast6 a word too many", "mcast6 port 70000",
    "mcast6 loop 1x",
)  # fmt: skip
# what the original warns of and is no trouble here: without a log directive the journal is used
SILENT_HERE = ("no logging",)


def test_every_row_has_a_file() -> None:
    assert [name for name, _, _ in rows()] == [name for name, _ in CHANGES]


FIRST_OF_AUTHKEYS = [name for name, _ in CHANGES].index("authkeys missing")
FIRST_OF_HARESOURCES = [name for name, _ in CHANGES].index("missing")


@pytest.mark.parametrize("number", range(len(CHANGES)), ids=[name for name, _ in CHANGES])
def test_row(files: Files, number: int) -> None:
    name, result, logged = rows()[number]
    assert result in ("starts", "exit 6")
    CHANGES[number][1](files)
    if (result == "exit 6" and name not in STARTS_HERE) or name in REFUSED_HERE:
        errors = files.errors()
        file = "ha.cf" if number < FIRST_OF_AUTHKEYS else "authkeys" if number < FIRST_OF_HARESOURCES else "haresources"
        assert {error.partition(":")[0] for error in errors} == {file}
        # one mistake, one error: nothing is concluded from it; three rows have two mistakes
        assert len(errors) == (2 if name in ("stonith bad", "crm on dup", "index 16") else 1), errors
    else:
        warned = name in NONSENSE or ("WARN" in logged and name not in SILENT_HERE)
        assert bool(files.warnings()) == warned
