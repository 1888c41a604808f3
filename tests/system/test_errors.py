# ruff: noqa: F811  (fixtures are imported, and arguments have their names)
"""What does not start, with which exit code, and what it leaves behind, which is nothing; and what starts in spite of
trouble and says so. Only `heartbeat run` itself is asked here: what the files may say is `tests/unit/config`'s."""

import re
import socket
import subprocess
import sys
import time

import pytest
from system.play import (
    DIVISOR,
    PATIENCE_S,
    SITE,
    logged,
    now_ns,
    pair,  # noqa: F401
    play,  # noqa: F401
    playing,
    seconds,
    seed,
    until,
)

PERMISSION, CONFIGURATION = 4, 6
PEER = "10.0.0.3"
SERIAL = f"serial {seed.SERIAL_PORT}\n"
NOWHERE = seed.HA_CF.replace(SERIAL, "")  # no medium yet


@pytest.fixture(scope="module")
def bench():
    """A pair of which julius is on, without a daemon."""
    with playing() as made:
        made.world.power_on(made.julius)
        yield made.julius


def run(node, *options, timeout_s=10):
    """`heartbeat run`, which should not stay. (exit code, lines on stderr)"""
    argv = [sys.executable, "-m", "heartbeat.cli", "run", "--time-divisor", str(DIVISOR), *options]
    done = node.run(argv, timeout_s=timeout_s)
    assert done.stdout == ""
    return done.returncode, done.stderr.splitlines()


def traces(node):
    """All that a start could leave on the machine: files, addresses, processes, sockets."""
    folders = (node.run_folder, node.disk / "var", node.config_folder)
    # of links the links themselves: a journal in memory is one into the node's own /proc
    files = sorted((str(path), path.lstat().st_mtime_ns) for folder in folders for path in folder.rglob("*"))
    sockets = node.run(["cat", *(f"/proc/net/{kind}" for kind in ("udp", "udp6", "packet"))]).stdout.splitlines()
    return files, node.addresses(), sorted(node.processes()), [line.split()[1] for line in sockets]


def refused(node, files, *, mode=0o600):
    """Its complaints, as (file, line, text). Exit code 6, and nothing half-started."""
    node.install(files)
    (node.config_folder / "authkeys").chmod(mode)
    before, start_ns = traces(node), now_ns()
    code, lines = run(node)
    assert code == CONFIGURATION, lines
    assert traces(node) == before
    assert lines.pop() == "heartbeat: not started: configuration error"
    assert now_ns() > start_ns
    complaints = [
        re.fullmatch(rf"{re.escape(str(node.config_folder))}/(\w+\.?\w*):(\d+): (.+)", line) for line in lines
    ]
    assert all(complaints), lines
    return [(found[1], int(found[2]), found[3]) for found in complaints]


def ha_cf(old, new):
    assert old in seed.HA_CF
    return seed.Files(ha_cf=seed.HA_CF.replace(old, new))


REFUSED = {
    "own name in no node line": (ha_cf("node julius", "node brutus"), ("ha.cf", 4, "this machine's name 'julius'")),
    "no medium": (ha_cf(SERIAL, ""), ("ha.cf", 7, "no medium")),
    "deadtime is twice keepalive": (
        ha_cf("deadtime 15\nwarntime 10", "deadtime 10\nwarntime 5"),
        ("ha.cf", 6, "deadtime"),
    ),
    "deadtime below twice keepalive": (
        ha_cf("deadtime 15\nwarntime 10", "deadtime 9\nwarntime 5"),
        ("ha.cf", 6, "deadtime"),
    ),
    "unknown directive": (ha_cf("warntime 10", "wartime 10"), ("ha.cf", 7, "unknown directive 'wartime'")),
    "resource for an unknown node": (
        seed.Files(haresources="brutus IPaddr::10.0.0.254\n"),
        ("haresources", 1, "'brutus' is no node"),
    ),
    "serial device absent": (ha_cf("ttyS0", "ttyS7"), ("ha.cf", 1, "No such file or directory")),
    "serial device no tty": (ha_cf("/dev/ttyS0", "/dev/null"), ("ha.cf", 1, "serial '/dev/null'")),
    "serial device a regular file": (ha_cf("/dev/ttyS0", "/etc/passwd"), ("ha.cf", 1, "serial '/etc/passwd'")),
    "interface absent": (ha_cf(SERIAL, "bcast eth7\n"), ("ha.cf", 1, "eth7")),
    "keepalive 0": (ha_cf("keepalive 5", "keepalive 0"), ("ha.cf", 5, "keepalive")),
    "initdead below deadtime": (ha_cf("initdead 30", "initdead 14"), ("ha.cf", 8, "initdead")),
    "auto_failback maybe": (ha_cf("auto_failback off", "auto_failback maybe"), ("ha.cf", 2, "auto_failback")),
    "baud 12345": (ha_cf(SERIAL, f"baud 12345\n{SERIAL}"), ("ha.cf", 1, "baud")),
    "ucast without an address": (ha_cf(SERIAL, "ucast eth0\n"), ("ha.cf", 1, "ucast")),
    "mcast to no group": (ha_cf(SERIAL, "mcast eth0 10.0.0.1 694 1 0\n"), ("ha.cf", 1, "mcast")),
    "autojoin any": (ha_cf("initdead 30\n", "initdead 30\nautojoin any\n"), ("ha.cf", 9, "autojoin")),
    "unknown method": (seed.Files(authkeys="auth 1\n1 sha9 a-secret\n"), ("authkeys", 2, "method")),
    "the outbound key is missing": (seed.Files(authkeys="auth 2\n1 sha1 a-secret\n"), ("authkeys", 1, "2")),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_configuration_error_is_exit_6_and_starts_nothing(bench, case):
    files, (file, line, text) = REFUSED[case]
    found = refused(bench, files)
    assert (file, line) in [(f, n) for f, n, _ in found], found
    assert text in " ".join(said for f, n, said in found if (f, n) == (file, line)), found


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604])
def test_keys_that_others_can_read_are_exit_6(bench, mode):
    ((file, _, text),) = refused(bench, seed.Files(), mode=mode)
    assert file == "authkeys"
    assert "chmod 600" in text


@pytest.mark.parametrize("name", ["ha.cf", "haresources", "authkeys"])
def test_a_missing_file_is_exit_6(bench, name):
    bench.install(seed.Files())
    (bench.config_folder / name).unlink()
    before = traces(bench)
    code, lines = run(bench)
    assert code == CONFIGURATION
    assert traces(bench) == before
    assert any(f"{bench.config_folder}/{name}" in line for line in lines), lines


def test_all_errors_are_said_at_once(bench):
    """Of all three files."""
    files = seed.Files(
        ha_cf="serial /dev/ttyS7\nfrobnicate\nnode caesar\nnode brutus\nkeepalive abc\ndeadtime 15\nbaud 3\n",
        haresources="julius IPaddr::10.0.0.254\n\naugustus IPaddr::1.1.1.254\n",
        authkeys="auth 1\n1 sha9 a-secret\n",
    )
    found = {(file, line) for file, line, _ in refused(bench, files)}
    assert found >= {
        ("ha.cf", 1), ("ha.cf", 2), ("ha.cf", 4), ("ha.cf", 5), ("ha.cf", 7), ("haresources", 1), ("haresources", 3),
        ("authkeys", 2),
    }  # fmt: skip


# What is only wrong while there is no other medium


def medium(node, kind):
    """The medium of that type, as status has it; None while no daemon answers."""
    status = node.status()
    return next((one for one in status["media"] if one["type"] == kind), None) if status else None


def is_in_state(node, kind, state):
    found = medium(node, kind)
    return found is not None and found["state"] == state


@pytest.fixture
def node(pair):
    """julius on, without a daemon; caesar off."""
    pair.world.power_on(pair.julius)
    return pair.julius


def start(node):
    node.start_daemon()


@pytest.mark.parametrize(
    ("line", "kind"),
    [("serial /dev/ttyS7", "serial"), ("serial /dev/null", "serial"), ("bcast eth7", "bcast")],
)
def test_an_absent_device_beside_another_medium_is_down_and_shown(node, line, kind):
    other = f"ucast eth0 {PEER}\n"
    node.install(seed.Files(ha_cf=f"{line}\n{other}{NOWHERE}"))
    start(node)
    until(lambda: is_in_state(node, kind, "down") and is_in_state(node, "ucast", "up"), PATIENCE_S, "one up, one down")
    assert logged(node, rf"ERROR: medium {line.split()[1]} down: ")
    assert any(line.split()[1] in warning for warning in node.command("heartbeat", "status").stdout.splitlines())
    until(lambda: node.holds("10.0.0.254"), seconds(seed.INITDEAD_S) + PATIENCE_S, "it serves")
    assert node.stop_daemon() == 0


def test_an_interface_that_comes_later_is_used(node):
    node.install(seed.Files(ha_cf=f"bcast eth7\nucast eth0 {PEER}\n{NOWHERE}"))
    start(node)
    until(lambda: is_in_state(node, "bcast", "down"), PATIENCE_S, "eth7 is down")
    with node.netlink() as ip:
        ip.link("add", ifname="eth7", kind="veth", peer={"ifname": "eth8"})
        for name in ("eth7", "eth8"):
            ip.link("set", index=ip.link_lookup(ifname=name)[0], state="up")
        ip.addr("add", index=ip.link_lookup(ifname="eth7")[0], address="10.7.0.1", prefixlen=24, broadcast="10.7.0.255")
    until(lambda: is_in_state(node, "bcast", "up"), seconds(10) + PATIENCE_S, "eth7 is up")


# Taken by another program


class Holder:
    """A process on the machine that holds something: it says `held` and waits to be ended."""

    def __init__(self, node, program, *arguments):
        self._node = node
        argv = [sys.executable, "-c", f"{program}\nprint('held', flush=True)\nimport time\ntime.sleep(3600)"]
        self._process = node.popen([*argv, *arguments], stdout=subprocess.PIPE)
        assert self._process.stdout.readline() == "held\n"

    def end(self):
        self._node.kill(self._process, 9)
        self._process.wait()
        self._process.stdout.close()


LOCKED = """
import fcntl, os, sys
tty = os.open(sys.argv[1], os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
fcntl.flock(tty, fcntl.LOCK_EX)
"""
LOCK_FILE = """
import os, sys
with open("/run/lock/LCK..ttyS0", "w") as file:
    file.write(f"{os.getpid():10}\\n")
"""
PORT = """
import socket
taken = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
taken.bind(("", 694))
"""

TAKEN = {
    "device locked by flock": (LOCKED, "serial", SERIAL, f"ucast eth0 {PEER}\n"),
    "device locked by a lock file": (LOCK_FILE, "serial", SERIAL, f"ucast eth0 {PEER}\n"),
    "port held by a ucast's owner": (PORT, "ucast", f"ucast eth0 {PEER}\n", SERIAL),
    "port held by a bcast's owner": (PORT, "bcast", "bcast eth0\n", SERIAL),
    "port held by an mcast's owner": (PORT, "mcast", "mcast eth0 225.0.0.1 694 1 0\n", SERIAL),
}


@pytest.mark.parametrize("what", TAKEN)
def test_what_another_program_holds(node, what):
    """Exit code 4 where it is the only medium; beside another the daemon starts, shows it down, and takes it later."""
    program, kind, line, other = TAKEN[what]
    holder = Holder(node, program, seed.SERIAL_PORT)
    node.install(seed.Files(ha_cf=line + NOWHERE))
    code, lines = run(node)
    assert code == PERMISSION, lines
    assert any(line.split()[1] in text for text in lines), lines
    assert not (node.run_folder / "heartbeat/control").exists()
    assert not (node.run_folder / "heartbeat/heartbeat.pid").exists()
    assert not any("10.0.0.254" in address for address in node.addresses())

    node.install(seed.Files(ha_cf=line + other + NOWHERE))
    start(node)
    until(lambda: is_in_state(node, kind, "down"), PATIENCE_S, f"{kind} is down")
    assert {one["state"] for one in node.status()["media"] if one["type"] != kind} == {"up"}
    until(lambda: node.holds("10.0.0.254"), seconds(seed.INITDEAD_S) + PATIENCE_S, "it serves")
    assert is_in_state(node, kind, "down")
    assert logged(node, rf"ERROR: medium {line.split()[1]} down: ") == 1, "said once"
    holder.end()
    until(lambda: is_in_state(node, kind, "up"), seconds(10) + PATIENCE_S, f"{kind} is retried")
    assert node.stop_daemon() == 0


def test_a_second_daemon_on_the_same_run_directory_is_exit_4(node):
    start(node)
    until(lambda: node.holds("10.0.0.254"), seconds(seed.INITDEAD_S) + PATIENCE_S, "the first serves")
    before = traces(node)
    second = node.disk / "second"
    (second / "state").mkdir(parents=True)
    # its own state and its own medium: nothing but the run directory is shared
    node.install(seed.Files(ha_cf=f"ucast eth0 {PEER}\n{NOWHERE}"))
    code, lines = run(node, "--state-dir", str(second / "state"))
    assert code == PERMISSION
    assert any("already runs in this directory" in line for line in lines), lines
    assert list((second / "state").iterdir()) == []
    node.install(seed.Files())
    files, addresses, _, sockets = traces(node)
    assert ([path for path, _ in files], addresses, sockets) == ([path for path, _ in before[0]], before[1], before[3])
    assert node.status()["groups"][0]["holder"] == "julius"
    assert node.stop_daemon() == 0


# Two of ours whose files differ


DIFFERENT = {
    "haresources": (seed.Files(haresources=seed.HARESOURCES.replace("JuliusCaesar", "Other")), "haresources"),
    "another group": (seed.Files(haresources=seed.HARESOURCES + "caesar IPaddr::10.0.0.253\n"), "haresources"),
    "deadtime": (ha_cf("deadtime 15", "deadtime 16"), "times or nodes"),
    "warntime": (ha_cf("warntime 10", "warntime 11"), "times or nodes"),
    "both": (
        seed.Files(
            ha_cf=seed.HA_CF.replace("initdead 30", "initdead 31"),
            haresources=seed.HARESOURCES.replace("JuliusCaesar", "Other"),
        ),
        "haresources",
    ),
}


@pytest.mark.parametrize("what", DIFFERENT)
def test_files_that_differ_are_logged_and_in_status_on_both(pair, what):
    files, text = DIFFERENT[what]
    pair.caesar.install(files)
    pair.boot()
    pair.held_by(pair.julius)
    for node in pair.nodes:
        other = pair.peer(node)
        until(lambda n=node: n.status()["warnings"], PATIENCE_S, f"{node.name} warns")
        warnings = node.status()["warnings"]
        assert any(text in warning and other.name in warning for warning in warnings)
        assert len(warnings) == (2 if what == "both" else 1)
        shown = node.command("heartbeat", "status").stdout
        for warning in warnings:
            assert logged(node, re.escape(f"WARN: {warning}")) == 1, "logged, once"
            assert f"WARNING: {warning}" in shown
    pair.caesar.install(seed.Files())
    assert pair.caesar.command("heartbeat", "reload").returncode == 0
    for node in pair.nodes:
        until(lambda n=node: n.status()["warnings"] == [], PATIENCE_S, f"{node.name} is content")
    assert pair.holder() == "julius"


def test_lists_of_nodes_that_differ_are_logged_and_in_status_on_both(pair):
    """caesar's names another, so that it ignores julius, and says so; what both can hear keeps one from taking."""
    pair.caesar.install(seed.Files().replaced({"julius": "brutus"}))
    start_ns = pair.boot()
    until(lambda: all(node.status() and node.status()["warnings"] for node in pair.nodes), PATIENCE_S, "both warn")
    time.sleep(seconds(2 * seed.INITDEAD_S))
    warnings = {node.name: " ".join(node.status()["warnings"]) for node in pair.nodes}
    assert "ha.cf on caesar has other times or nodes" in warnings["julius"]
    assert "'julius' speaks here and is no node of ha.cf" in warnings["caesar"]
    assert logged(pair.julius, "ha.cf on caesar has other times or nodes")
    assert logged(pair.caesar, "unknown node 'julius'")
    held = {(change.machine, change.address) for change in pair.moves(start_ns) if change.added}
    assert held == {("caesar", address) for address in SITE.addresses}, "one holder even so"


def test_a_socket_in_the_way_is_no_obstacle(node):
    """The control socket of a daemon that was killed."""
    folder = node.run_folder / "heartbeat"
    folder.mkdir()
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(folder / "control"))
    start(node)
    until(node.status, PATIENCE_S, "the daemon answers")
    assert node.stop_daemon() == 0
