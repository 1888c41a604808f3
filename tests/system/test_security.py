"""What whole daemons do with what comes from outside: recordings, hostile fields, hostile files. docs/security.md."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import struct
import time
import zlib
from pathlib import Path

import pytest
from system.play import DIVISOR, LAN, PATIENCE_S, playing, seed, until

from _hbfast.auth import Authenticator
from _hbfast.codec import Message, encode

KEEPALIVE_MS = 100
HA_CF = f"""\
ucast eth0 10.0.0.2
ucast eth0 10.0.0.3
auto_failback off
node julius
node caesar
keepalive {KEEPALIVE_MS * DIVISOR}ms
deadtime {KEEPALIVE_MS * DIVISOR * 4}ms
warntime {KEEPALIVE_MS * DIVISOR * 2}ms
initdead {KEEPALIVE_MS * DIVISOR * 10}ms
"""
JULIUS, CAESAR, PORT = "10.0.0.2", "10.0.0.3", 694
DEADTIME_S, INITDEAD_S = 0.4, 1.0
# what a shell, or something that makes a path or a pattern of it, would run, read or remove
HOSTILE = (
    "$(touch${IFS}/run/pwned)",
    "`touch${IFS}/run/pwned`",
    ";touch${IFS}/run/pwned;",
    "../../run/pwned",
    "-rf",
    "*",
)
WORD = "::".join(("works", *HOSTILE))
FILES = seed.Files(ha_cf=HA_CF, haresources=f"julius {WORD} IPaddr::{LAN} MailTo::{seed.RECIPIENT}::{seed.SUBJECT}\n")

# notes how it was called, and what it was told and may do
SCRIPT = """\
#!/bin/sh
for word; do printf '%s\\n' "$word" >>/run/works.words; done
env >>/run/works.environment
grep Cap /proc/self/status >/run/works.rights
for last; do :; done
case $last in
start) touch /run/works.up ;;
stop) rm -f /run/works.up ;;
status) [ -e /run/works.up ] && echo running || echo stopped ;;
esac
"""


@pytest.fixture
def pair():
    with playing(FILES, cable=False) as made:
        for node in made.nodes:
            folder = node.config_folder / "resource.d"
            folder.mkdir()
            (folder / "works").write_text(SCRIPT)
            (folder / "works").chmod(0o755)
        yield made


def boot(pair):
    pair.boot()
    until(pair.stable, PATIENCE_S, "both stable")


def daemon_pid(node) -> int:
    (pid,) = [pid for pid, words in node.processes().items() if "run" in words]
    return pid


def rights(text: str) -> dict[str, int]:
    return {name: int(value, 16) for name, value in (line.split(":\t") for line in text.splitlines() if "Cap" in line)}


def remembered(node) -> dict[str, tuple[int, int]]:
    """STATE/peers, read by hand; nothing where it is not there yet."""
    path = node.state_folder / "peers"
    if not path.exists():
        return {}
    body, _, end = path.read_bytes().rpartition(b"crc ")
    assert end == b"%08x\n" % zlib.crc32(body)
    lines = [line.split() for line in body.decode().splitlines()]
    return {name: (int(generation), int(sequence)) for name, generation, sequence in lines}


def generation(node) -> int:
    return int((node.state_folder / "hb_generation").read_text())


# ---- what a node remembers


def test_a_peer_is_remembered_while_it_lives_and_at_a_clean_stop(pair):
    boot(pair)
    for node, other in (pair.nodes, pair.nodes[::-1]):
        path = node.state_folder / "peers"
        until(path.exists, PATIENCE_S, f"{node.name} remembers its peer")
        assert path.stat().st_mode & 0o7777 == 0o600
        assert remembered(node)[other.name][0] == generation(other)
    time.sleep(1)
    before = remembered(pair.julius)["caesar"]
    written = (pair.julius.state_folder / "peers").stat().st_mtime_ns
    time.sleep(1)
    assert (pair.julius.state_folder / "peers").stat().st_mtime_ns == written, "nothing is written in steady state"
    assert pair.julius.stop_daemon() == 0
    after = remembered(pair.julius)["caesar"]
    assert after[0] == before[0]
    assert after[1] > before[1], "how far the peer had come is remembered at a clean stop"


def test_a_peers_new_generation_is_on_disk_before_long(pair):
    boot(pair)
    first = generation(pair.caesar)
    pair.caesar.stop_daemon()
    pair.start(pair.caesar)
    until(lambda: remembered(pair.julius).get("caesar", (0, 0))[0] == first + 1, PATIENCE_S, "it is remembered")


# ---- recordings


@contextlib.contextmanager
def recording(node):
    """A list that holds, afterwards, every datagram that the node sent from its address on the lan meanwhile."""
    frames: list[bytes] = []
    with node.inside():
        endpoint = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(3))  # ETH_P_ALL: outgoing ones too
    with endpoint:
        endpoint.bind(("eth0", 3))
        endpoint.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        endpoint.setblocking(False)
        yield frames
        while True:
            try:
                packet, address = endpoint.recvfrom(65536)
            except BlockingIOError:
                return
            source, target_port = socket.inet_ntoa(packet[12:16]), struct.unpack("!H", packet[22:24])[0]
            ours = address[2] == socket.PACKET_OUTGOING and packet[9] == socket.IPPROTO_UDP
            if ours and (source, target_port) == (CAESAR, PORT):
                frames.append(packet[28:])


def replay(node, frames):
    """From the machine and the address that they came from, in their order, to julius."""
    with node.inside():
        endpoint = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with endpoint:
        endpoint.bind((CAESAR, 0))
        for frame in frames:
            endpoint.sendto(frame, (JULIUS, PORT))


@pytest.mark.parametrize("lost", [False, True], ids=["remembered", "forgotten"])
@pytest.mark.parametrize("ending", ["stopped", "killed"])
def test_a_recording_of_a_whole_life_gives_a_restarted_node_nothing_to_believe(pair, ending, lost):
    """caesar's life from its start over hand-overs to its clean stop, played again, for as long as julius watches."""
    for node in pair.nodes:
        pair.world.power_on(node)
    with recording(pair.caesar) as frames:
        for node in pair.nodes:
            pair.start(node)
        until(pair.stable, PATIENCE_S, "both stable")
        assert pair.julius.command("hb_standby").returncode == 0
        assert pair.caesar.command("hb_standby").returncode == 0
        pair.caesar.stop_daemon()
    # how many statuses that were is the machine's business
    words = (b"st=init", b"st=active", b"ask_resources", b"shutdone")
    assert [word for word in words if not any(word in frame for frame in frames)] == []
    if ending == "stopped":
        pair.julius.stop_daemon()
    else:
        os.kill(daemon_pid(pair.julius), 9)
        pair.julius.daemon.wait()
        pair.julius.daemon = None
    if lost:
        (pair.julius.state_folder / "peers").unlink()
    pair.start(pair.julius)
    until(lambda: pair.julius.status() is not None, PATIENCE_S, "julius runs")
    end = time.monotonic() + 6 * DEADTIME_S + INITDEAD_S
    while time.monotonic() < end:
        replay(pair.caesar, frames)
        status = pair.julius.status()
        assert status["nodes"]["caesar"]["status"] in ("init", "dead")
        time.sleep(0.05)
    assert pair.julius.holds(LAN)
    assert pair.julius.is_stable()
    assert "status update for node caesar: active" not in pair.julius.log().rpartition("heartbeat starting")[2]
    # and the node itself is believed when it is back
    pair.start(pair.caesar)
    until(lambda: pair.julius.status()["nodes"]["caesar"]["status"] == "active", PATIENCE_S, "caesar is believed")


def original_status(number: int, generation: int = 5) -> bytes:
    """A status of Heartbeat 3, which has no nonce and answers none."""
    fields = [("t", "status"), ("st", "active"), ("dt", "190"), ("protocol", "1"), ("src", "caesar"),
              ("seq", f"{number:x}"), ("hg", f"{generation:x}"), ("ts", f"{int(time.time()):x}"),
              ("ld", "0.00 0.00 0.00 1/100 1"), ("ttl", "3")]  # fmt: skip
    message = Message([(name, 0, value.encode()) for name, value in fields])
    return encode(message, Authenticator({1: ("sha1", b"a-secret")}, 1), "netstring")


def believes(pair, frames, seconds: float) -> bool:
    """Does julius ever count caesar as there while these are sent, one each 50 ms?"""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for frame in frames:
            replay(pair.caesar, [frame])
            time.sleep(0.05)
            if pair.julius.status()["nodes"]["caesar"]["status"] not in ("init", "dead"):
                return True
            if time.monotonic() > end:
                break
    return False


def test_of_an_original_only_what_is_newer_is_believed_after_a_restart(pair):
    pair.boot(pair.julius)
    pair.world.power_on(pair.caesar)
    until(lambda: pair.julius.status() is not None, PATIENCE_S, "julius runs")
    life = [original_status(number) for number in range(1, 21)]
    assert believes(pair, life, PATIENCE_S)
    assert pair.julius.stop_daemon() == 0
    assert remembered(pair.julius)["caesar"][0] == 5
    pair.start(pair.julius)
    until(lambda: pair.julius.status() is not None, PATIENCE_S, "julius runs again")
    newest = remembered(pair.julius)["caesar"][1]
    assert not believes(pair, life[:newest], 2 * INITDEAD_S)
    assert not believes(pair, [original_status(number, generation=4) for number in range(1, 5)], INITDEAD_S)
    assert believes(pair, [original_status(number) for number in range(newest + 1, newest + 20)], PATIENCE_S)


# ---- files that were set back

QUARANTINE_DEADTIME_S = 4.0  # a daemon has started again within it, also on a busy machine
QUARANTINE = seed.Files(
    ha_cf=HA_CF.replace(
        f"deadtime {KEEPALIVE_MS * DIVISOR * 4}ms", f"deadtime {round(QUARANTINE_DEADTIME_S * 1000 * DIVISOR)}ms"
    ).replace(f"initdead {KEEPALIVE_MS * DIVISOR * 10}ms", f"initdead {round(5000 * DIVISOR)}ms"),
    haresources=f"julius IPaddr::{LAN} MailTo::{seed.RECIPIENT}::{seed.SUBJECT}\n",
)


def test_a_node_whose_files_were_set_back_is_quarantined_until_the_operator_accepts_it():
    """caesar, who holds the group, loses its power, and comes back with a disk from before."""
    with playing(QUARANTINE, cable=False) as pair:
        julius, caesar = pair.nodes
        boot(pair)
        until(lambda: julius.holds(LAN), PATIENCE_S, "julius holds")
        assert julius.command("hb_standby").returncode == 0
        until(lambda: caesar.holds(LAN), PATIENCE_S, "caesar holds")
        last = generation(caesar)
        since_ns = pair.world.power_off(caesar)
        pair.world.power_on(caesar)
        stored = caesar.state_folder / "hb_generation"
        stored.write_text(f"{last - 2:{len(stored.read_text()) - 1}}\n")
        pair.start(caesar)
        until(lambda: julius.status()["nodes"]["caesar"]["status"] == "quarantined", PATIENCE_S, "it is quarantined")
        assert generation(caesar) == last - 1

        def told() -> list[list[str]]:
            mails = julius.mails(since_ns)
            return [mail.recipients for mail in mails if "heartbeat accept caesar" in " ".join(mail.data.split())]

        until(told, PATIENCE_S, "the operator is mailed")
        assert told() == [[seed.RECIPIENT]]
        assert "quarantined" in julius.command("heartbeat", "status").stdout
        time.sleep(1.5 * QUARANTINE_DEADTIME_S)
        assert not any(change.added for change in pair.moves(since_ns)), "nobody takes what the other may have"
        assert julius.status()["nodes"]["caesar"]["status"] == "quarantined"
        assert not julius.is_stable()
        done = julius.command("heartbeat", "accept", "caesar")
        assert (done.returncode, done.stdout) == (0, "caesar is accepted\n")
        until(pair.stable, PATIENCE_S, "both stable")
        assert [node.holds(LAN) for node in pair.nodes].count(True) == 1
        until(lambda: remembered(julius)["caesar"][0] == last - 1, PATIENCE_S, "it is remembered")
        holder = next(node for node in pair.nodes if node.holds(LAN))
        assert holder.command("hb_standby").returncode == 0
        assert not holder.holds(LAN)


# ---- hostile text


def hostile_messages(number: int):
    """What a holder of the key could say in caesar's name, field for field what the original made variables of."""
    texts = [("FUNCS", "/run/evil"), ("DIR", "/run"), ("PATH", "/run"), ("LD_PRELOAD", "/run/evil.so"),
             ("HA_FUNCS", "/run/evil"), ("CURHOST", "hostile"), ("LOGFILE", "/run/pwned"), ("IFS", "/"),
             ("ipaddr", HOSTILE[0]), ("groups", ",".join(HOSTILE)), ("rsc_hold", HOSTILE[1]), ("info", HOSTILE[2]),
             ("resource_manager", "/run/evil"), ("nodename", HOSTILE[0]), ("ext", f"1 {HOSTILE[0]}")]  # fmt: skip
    for kind in ("status", "ip-request", "ip-request-resp", "resource", "ask_resources", "hb_takeover", "starting",
                 "mach_down", "req_our_resources", "shutdone-req", "harc", HOSTILE[0], "../../run/evil"):  # fmt: skip
        number += 1
        fields = [("t", kind), ("st", "active"), ("dt", "190"), ("protocol", "1"), ("src", "caesar"),
                  ("seq", f"{number:x}"), ("hg", "7fffffff"), ("ts", f"{int(time.time()):x}"), ("ttl", "3"),
                  *texts]  # fmt: skip
        message = Message([(name, 0, f"{value} hostile".encode()) if (name, value) in texts else
                           (name, 0, value.encode()) for name, value in fields])  # fmt: skip
        yield encode(message, Authenticator({1: ("sha1", b"a-secret")}, 1), "netstring")


def test_neither_the_operators_words_nor_a_peers_reach_a_shell_or_a_variable(pair):
    """The key of the group is hostile, and so is the peer, who has the key of the cluster."""
    evil = pair.julius
    pair.boot(pair.julius)
    pair.world.power_on(pair.caesar)
    (evil.run_folder / "evil").write_text("touch /run/pwned\n")
    until(lambda: evil.status() is not None, PATIENCE_S, "julius runs")
    end = time.monotonic() + 2 * INITDEAD_S
    number = 0
    heard = set()
    while time.monotonic() < end:
        replay(pair.caesar, list(hostile_messages(number)))
        number += 100
        time.sleep(0.02)
        heard.add(evil.status()["nodes"]["caesar"]["status"])
    assert "active" in heard, "it was believed"
    until(evil.is_stable, PATIENCE_S, "julius serves alone")
    assert evil.command("hb_standby").returncode == 1, "there is nobody to take it"
    words = (evil.run_folder / "works.words").read_text().split("\n")
    assert words[: len(HOSTILE) + 1] == [*HOSTILE, "status"], "each word whole, and no word more"
    assert not (evil.run_folder / "pwned").exists()
    assert set(HOSTILE) <= set(words)
    told = (evil.run_folder / "works.environment").read_text()
    assert "hostile" not in told
    assert "evil" not in told
    names = {line.partition("=")[0] for line in told.splitlines() if "=" in line}
    assert "HA_FUNCS" in names
    assert not names & {"HA_PATH", "HA_LD_PRELOAD", "HA_HA_FUNCS", "HA_IFS", "HA_ipaddr", "HA_groups", "HA_info",
                        "HA_rsc_hold", "HA_nodename", "HA_resource_manager", "HA_t", "HA_src", "HA_ext"}  # fmt: skip
    assert any(group["key"] == WORD for group in evil.status()["groups"])


# ---- what the daemon's process may do


def test_the_daemon_gives_up_what_its_scripts_keep(pair):
    boot(pair)
    pid = daemon_pid(pair.julius)
    with open(f"/proc/{pid}/status") as status:
        ours = rights(status.read())
    until((pair.julius.run_folder / "works.rights").exists, PATIENCE_S, "the script has run")
    scripts = rights((pair.julius.run_folder / "works.rights").read_text())
    assert ours["CapEff"] == ours["CapPrm"]
    assert ours["CapEff"] & 1 << 21 == 0, "CAP_SYS_ADMIN"
    assert scripts["CapEff"] == scripts["CapBnd"] == ours["CapBnd"]
    # a file of a process that may be dumped belongs to its user; root looks from outside, so ask the kernel's flag
    with open(f"/proc/{pid}/coredump_filter"):
        pass
    assert pair.julius.stop_daemon() == 0
    assert not pair.julius.holds(LAN)


# the drop-in for a pair that serves addresses alone
PAGE = (Path(__file__).parents[2] / "docs/security.md").read_text()
(ADDRESSES_ONLY,) = re.findall(r"^    CapabilityBoundingSet=(.*)$", PAGE, re.MULTILINE)


def test_a_pair_of_addresses_needs_no_more_than_is_documented():
    files = seed.Files(ha_cf=HA_CF, haresources=f"julius IPaddr::{LAN} MailTo::{seed.RECIPIENT}::{seed.SUBJECT}\n")
    bounding = "-all," + ",".join(f"+{name.removeprefix('CAP_').lower()}" for name in ADDRESSES_ONLY.split())
    wrapper = ("setpriv", f"--bounding-set={bounding}", f"--inh-caps={bounding}", "--no-new-privs")
    with playing(files, cable=False, wrapper=wrapper) as pair:
        boot(pair)
        until(lambda: pair.julius.holds(LAN), PATIENCE_S, "julius holds")
        assert pair.julius.command("hb_standby").returncode == 0
        until(lambda: pair.caesar.holds(LAN), PATIENCE_S, "caesar holds")
        until(pair.caesar.mails, PATIENCE_S, "it is mailed")
        assert pair.julius.status()["warnings"] == []
        assert "ERROR" not in pair.julius.log() + pair.caesar.log()


# ---- files


def test_keys_that_others_can_reach_are_refused_by_a_reload_and_the_running_ones_stay(pair):
    boot(pair)
    authkeys = pair.julius.config_folder / "authkeys"
    authkeys.write_text("auth 1\n1 sha1 another-secret\n")
    authkeys.chmod(0o620)
    done = pair.julius.command("heartbeat", "reload")
    assert done.returncode == 1
    assert "authkeys:1: others have access to the keys (mode 620): chmod 600" in done.stderr
    time.sleep(3 * DEADTIME_S)
    assert all(node.status()["nodes"][other]["status"] == "active"
               for node, other in ((pair.julius, "caesar"), (pair.caesar, "julius")))  # fmt: skip
    ha_cf = pair.julius.config_folder / "ha.cf"
    authkeys.write_text(seed.AUTHKEYS)
    ha_cf.write_text(ha_cf.read_text() + "authkeys_permissions warn\n")
    assert pair.julius.command("heartbeat", "reload").returncode == 0
    (warning,) = pair.julius.status()["warnings"]
    assert "others have access to the keys (mode 620)" in warning
    authkeys.chmod(0o600)
    assert pair.julius.command("heartbeat", "reload").returncode == 0
    assert pair.julius.status()["warnings"] == []
