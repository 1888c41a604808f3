"""Whatever the three files hold, `load` answers with a Config or with ConfigError; and what it prints parses again."""

from __future__ import annotations

import os
import tempfile
from typing import TYPE_CHECKING

from hypothesis import example, given, settings
from hypothesis import strategies as st

from heartbeat.config import Config, ConfigError, load
from heartbeat.config.directives import TABLE
from heartbeat.config.dump import split

if TYPE_CHECKING:
    from collections.abc import Mapping

SOUND = {
    "ha.cf": b"bcast eth0\nnode julius caesar\nauto_failback off\n",
    "haresources": b"julius 10.0.0.254\n",
    "authkeys": b"auth 1\n1 sha1 secret\n",
}


def read(files: Mapping[str, bytes], *, machine: bool = False) -> Config:
    with tempfile.TemporaryDirectory() as directory:
        for name, octets in files.items():
            path = os.path.join(directory, name)
            with open(path, "wb") as file:
                file.write(octets)
            os.chmod(path, 0o600)
        return load(directory, node="julius", machine=machine)


def attempt(files: Mapping[str, bytes], *, machine: bool = False) -> Config | ConfigError:
    try:
        return read(files, machine=machine)
    except ConfigError as error:
        return error


# ---- hostile files

WORDS = [
    *TABLE, "julius", "caesar", "eth0", "10.0.0.1", "239.0.0.1", "5", "0", "-1", "1e9", "500ms", "on", "off", "auth",
    "1", "sha1", "crc", "secret", "::", "'", '"', "[", "]", "[::1]", "#", "\\", "=", ",", "/", "uid=", "gid=root", "*",
    "\t", " ", "\r", "\f", "\v", "\0", "\x85", "\u2028", "ä", "İ", "A=1", "9" * 400, "IPaddr", "IPv6addr::", "Delay::",
    "smtp://", "@", ":", "%",
]  # fmt: skip
SOUP = st.lists(st.sampled_from([*WORDS, "\n", " "]) | st.text(max_size=5), max_size=80).map(
    lambda parts: "".join(parts).encode("utf-8", "surrogatepass")
)
HOSTILE = st.binary(max_size=300) | SOUP


@settings(max_examples=120, deadline=None)
@given(ha_cf=HOSTILE, haresources=HOSTILE, authkeys=HOSTILE)
@example(ha_cf=b"debug " + b"9" * 5000, haresources=b"", authkeys=b"auth " + b"9" * 5000)
@example(
    ha_cf=b"keepalive " + b"9" * 5000, haresources=b"julius Delay::" + b"9" * 5000, authkeys=b"9" * 5000 + b" sha1 x"
)
@example(ha_cf=b"\xff" * 6000, haresources=b"julius " + b"a" * 100_000, authkeys=b"\0" * 300)
@example(ha_cf=b"serial /dev/\0", haresources=b"\\\n" * 1000, authkeys=b"a")
def test_only_config_error_comes_of_anything(ha_cf: bytes, haresources: bytes, authkeys: bytes) -> None:
    for files in (
        {"ha.cf": ha_cf, "haresources": haresources, "authkeys": authkeys},
        {**SOUND, "ha.cf": ha_cf},
        {**SOUND, "ha.cf": SOUND["ha.cf"] + ha_cf},
        {**SOUND, "haresources": b"julius " + haresources},
        {**SOUND, "authkeys": SOUND["authkeys"] + authkeys},
    ):
        outcome = attempt(files)
        assert all(text.isprintable() for text in outcome.warnings)
        if isinstance(outcome, ConfigError):
            assert outcome.errors
            assert all(text.isprintable() for text in outcome.errors)
        else:
            assert_parses_again(outcome, files["authkeys"])


def assert_parses_again(config: Config, authkeys: bytes) -> None:
    text = config.dump()
    printed = split(text)
    assert set(printed) == {"ha.cf", "haresources", "authkeys"}
    again = read(
        {"ha.cf": printed["ha.cf"].encode(), "haresources": printed["haresources"].encode(), "authkeys": authkeys}
    )
    assert again == config
    assert again.dump() == text
    assert (again.resources_digest(), again.timing_digest()) == (config.resources_digest(), config.timing_digest())
    one, other = again.settings(b"u" * 16), config.settings(b"u" * 16)
    for slot in type(one).__slots__:
        if slot != "groups":
            assert getattr(one, slot) == getattr(other, slot), slot
    # nothing but comments is left of the keys
    assert all(line.startswith("#") for line in printed["authkeys"].splitlines())


# ---- sound files

WORD = st.text(st.characters(codec="utf-8", exclude_characters=" \t\r\f\n,#\0\\"), min_size=1, max_size=12)
PATH = WORD.map(lambda word: "/" + word)
DEVICE = st.sampled_from(["eth0", "eth1", "wan", "bond0.7"])
HOST = st.sampled_from(["10.0.0.2", "caesar", "10.0.0.3"])
PORT = st.integers(1, 70_000).filter(lambda port: port & 0xFFFF)
MEDIUM = st.one_of(
    st.builds("bcast {}".format, DEVICE),
    st.builds("bcast {},{}".format, DEVICE, DEVICE),
    st.builds("serial {}".format, PATH),
    st.builds("ucast {} {}".format, DEVICE, HOST),
    st.builds("mcast {} 239.0.0.{} {} {} {}".format, DEVICE, st.integers(1, 9), PORT, st.integers(0, 4),
              st.integers(0, 1)),
    st.builds("ucast6 {} fd00::{}".format, DEVICE, st.integers(1, 9)),
    st.builds("mcast6 {} ff02::{} {} {} {}".format, DEVICE, st.integers(1, 9), PORT, st.integers(0, 4),
              st.integers(0, 1)),
    st.builds("udpport {}".format, st.integers(1, 65_535)),
)  # fmt: skip
FLAG = st.sampled_from(["on", "off", "yes", "N", "1", "FALSE"])
OTHER = st.one_of(
    st.builds("{} {}".format, st.sampled_from(["realtime", "builtin_agents", "syslogmsgfmt", "log_badpack"]), FLAG),
    st.builds("auto_failback {}".format, st.sampled_from(["on", "off", "legacy"])),
    st.builds("{} {}".format, st.sampled_from(["logfile", "debugfile"]), PATH),
    st.builds("logfacility {}".format, st.sampled_from(["daemon", "local7", "none"])),
    st.builds("use_logd {}".format, st.just("on")),
    st.builds("cluster {}".format, WORD),
    st.builds("env {}={}".format, st.from_regex("[A-Za-z0-9_]{1,9}", fullmatch=True), WORD),
    st.builds("respawn root /bin/{}".format, WORD),
    st.builds("failfast nobody /bin/{}  {}\t{}".format, WORD, WORD, WORD),
    st.builds("msgfmt {}".format, st.sampled_from(["classic", "netstring"])),
    st.builds("hbgenmethod {}".format, st.sampled_from(["file", "time"])),
    st.builds("uuidfrom {}".format, st.sampled_from(["file", "nodename"])),
    st.builds("hopfudge {}".format, st.integers(0, 255)),
    st.builds("debug {}".format, st.integers(0, 255)),
    st.builds("rtprio {}".format, st.integers(1, 99)),
    st.builds("max_rexmit_delay {}".format, st.integers(1, 10**6)),
    st.builds("failback_delay {}us".format, st.integers(0, 10**9)),
    st.builds("on_stop_failure {}".format, st.sampled_from(["reboot", "continue"])),
    st.builds("mailserver smtps://u:{}@h:{}".format, st.text("az%09", min_size=1, max_size=9), st.integers(1, 65_535)),
    st.just("memreserve 7"),
    st.just("nice_failback on"),
)  # fmt: skip
TIMES = st.integers(1, 10**6).flatmap(
    lambda keepalive: st.tuples(
        st.just(keepalive), st.integers(2 * keepalive + 1, 10**7), st.integers(1, 10**7), st.integers(0, 10**6)
    )
)


@st.composite
def ha_cfs(draw: st.DrawFn) -> str:
    keepalive, deadtime, warntime, more = draw(TIMES)
    lines = draw(st.lists(MEDIUM | OTHER, max_size=14))
    lines += [f"keepalive {keepalive}ms", f"deadtime {deadtime}ms", "node Julius", "node caesar", "bcast last"]
    lines += draw(st.sampled_from([[], [f"warntime 7 {warntime}ms"], [f"initdead {deadtime + more}ms"]]))
    serial = any(line.startswith("serial") for line in lines)
    if draw(st.booleans()):
        lines.insert(draw(st.integers(0, len(lines))) if serial else 0, "baud 9600")
    return "\n".join(f"{line}{draw(st.sampled_from(['', ' # why', '	']))}" for line in lines)


ARGUMENT = st.one_of(
    WORD,
    st.text(st.characters(codec="utf-8", exclude_characters="'\n\0\r"), max_size=12).map("'{}'".format),
    st.text(st.characters(codec="utf-8", exclude_characters='"\n\0\r'), max_size=12).map('"{}"'.format),
    st.sampled_from(["[::1]", "[2001:db8::1]/64/eth0", "[x]", "'", '"', "'a'b", ""]),
)
NAME = st.from_regex("[A-Za-z][A-Za-z0-9_.-]{0,8}", fullmatch=True) | st.sampled_from(["IPaddr", "Delay", "MailTo"])
RESOURCE = st.builds(lambda name, arguments: "::".join([name, *arguments]), NAME, st.lists(ARGUMENT, max_size=3))


@st.composite
def haresources(draw: st.DrawFn) -> str:
    lines = []
    for number in range(draw(st.integers(0, 4))):
        words = [
            draw(st.sampled_from(["julius", "CAESAR"])),
            f"10.0.{number}.254/24",
            *draw(st.lists(RESOURCE, max_size=4)),
        ]
        lines.append(
            draw(st.sampled_from([" ", "\t ", " \\\n "])).join(words) + draw(st.sampled_from(["", " ", " # x"]))
        )
    return "\n".join(lines)


@settings(max_examples=100, deadline=None)
@given(ha_cf=ha_cfs(), resources=haresources())
@example(ha_cf=SOUND["ha.cf"].decode(), resources="julius 10.0.0.1 a\\ ")
@example(ha_cf=SOUND["ha.cf"].decode(), resources="julius 10.0.0.1 a\r ")
@example(ha_cf="udpport 1\nucast eth0 a\nudpport 2\nbcast eth0\nudpport 3\n" + SOUND["ha.cf"].decode(), resources="")
@example(ha_cf="serial /x\nbaud 9600\n" + SOUND["ha.cf"].decode(), resources="julius a::'b  c'::\"#\"::[::1]")
def test_the_dump_of_a_sound_configuration_parses_again(ha_cf: str, resources: str) -> None:
    config = read({**SOUND, "ha.cf": ha_cf.encode(), "haresources": resources.encode()})
    assert config.media
    assert_parses_again(config, SOUND["authkeys"])


@settings(max_examples=60, deadline=None)
@given(ha_cf=HOSTILE)
def test_the_machine_is_asked_nothing_that_it_cannot_answer(ha_cf: bytes) -> None:
    """Paths, names and numbers of a hostile file reach system calls; name servers are left out."""
    from heartbeat.config import machine

    resolve = machine._resolve
    machine._resolve = lambda host, family: None
    try:
        attempt({**SOUND, "ha.cf": ha_cf}, machine=True)
    finally:
        machine._resolve = resolve
