"""An operator's script that misbehaves: it delays no heartbeat, and ends as docs/operating.md says. Mail nobody takes.

Heartbeats are sent every 100 ms here at any divisor. Each test ends with the question whether one was late, put to both
daemons about their own timers and about each other's heartbeats.
"""

import time

import pytest
from system.play import (
    DIVISOR,
    HAND_OVER_S,
    KEY,
    LAN,
    PATIENCE_S,
    SECOND,
    WAN,
    instant,
    mailed,
    now_ns,
    playing,
    seconds,
    seed,
    until,
)
from system.play import (
    logged as count,
)

KEEPALIVE_MS = 100
# agents' time-outs and the first pause before a retry, as docs/operating.md says
START_S, STOP_S, RETRY_S = 60, 30, 5

HA_CF = f"""\
bcast eth0
auto_failback off
node julius
node caesar
keepalive {KEEPALIVE_MS * DIVISOR}ms
warntime {KEEPALIVE_MS * DIVISOR * 3 // 2}ms
deadtime {KEEPALIVE_MS * DIVISOR * 3}ms
initdead {KEEPALIVE_MS * DIVISOR * 6}ms
"""
FILES = seed.Files(
    ha_cf=HA_CF,
    haresources=f"julius {KEY} works IPaddr::{WAN} MailTo::{seed.RECIPIENT}::{seed.SUBJECT}\n",
)

# Well-behaved: it notes each call, and is running from `start` to `stop`.
GOOD = {
    "start": "touch /run/works.up",
    "stop": "rm -f /run/works.up",
    "status": "if [ -e /run/works.up ]; then echo running; else echo stopped; fi",
}


def write_script(node, **actions):
    """resource.d/works: the shell text of each action, of the well-behaved one where none is given."""
    folder = node.config_folder / "resource.d"
    folder.mkdir(exist_ok=True)
    branches = "".join(f"{action}) {text} ;;\n" for action, text in (GOOD | actions).items())
    # renamed into place: a daemon may be about to run the old one
    script = folder / "works.new"
    script.write_text(f'#!/bin/sh\necho "$1" >>/run/works.calls\ncase $1 in\n{branches}esac\n')
    script.chmod(0o755)
    script.rename(folder / "works")


def calls(node):
    path = node.run_folder / "works.calls"
    return path.read_text().split() if path.exists() else []


def runs(node, *words):
    """How many processes of this command line the machine has."""
    return sum(tuple(found) == words for found in node.processes().values())


@pytest.fixture
def pair():
    with playing(FILES, cable=False) as made:
        for node in made.nodes:
            write_script(node)
        yield made


def no_heartbeat_was_late(pair):
    for node in pair.nodes:
        worst_ms = node.status()["lateness_ms"]["worst"]
        print(f"{node.name}: worst lateness {worst_ms} ms")
        assert worst_ms < KEEPALIVE_MS
        assert "late heartbeat" not in node.log()
        assert "is dead" not in node.log()


def never_both(pair, since_ns):
    """Replays the kernels' changes: at no instant did both hold the same address."""
    held = set()
    for change in pair.moves(since_ns):
        (held.add if change.added else held.discard)((change.machine, change.address))
        assert len({address for _, address in held}) == len(held), change


# In start


@pytest.mark.parametrize(
    ("actions", "limit_s", "logged"),
    [
        ({"start": "exec sleep 1000"}, START_S, r"ERROR: works: start takes too long, killed"),
        ({"start": "sleep 1000 & sleep 1000"}, START_S, r"ERROR: works: start takes too long, killed"),
        ({"start": "trap '' TERM INT HUP; while :; do sleep 1000; done"}, START_S, r"start takes too long, killed"),
        ({"status": "exec sleep 1000"}, START_S, r"ERROR: works: start takes too long, killed"),
        ({"start": "exit 1"}, 0, r"CRIT: works: start failed \(exit code 1\); giving up"),
        ({"start": "kill -9 $$"}, 0, r"CRIT: works: start failed \(killed by signal 9\); giving up"),
    ],
    ids=["hangs", "hangs with a child", "hangs and ignores signals", "hangs in status", "exits 1", "is killed"],
)
def test_a_start_that_fails_ends_on_the_other_node(pair, actions, limit_s, logged):
    """What is up of the group is stopped, and the other node takes it."""
    write_script(pair.julius, **actions)
    start_ns = pair.boot()
    until(lambda: calls(pair.julius), PATIENCE_S, "julius runs its script")
    began_ns = now_ns()
    pair.held_by(pair.caesar, within_s=limit_s + seed.INITDEAD_S)
    held_ns = max(pair.world.observer.first(start_ns, "caesar", address, added=True) for address in (LAN, WAN))
    assert (held_ns - began_ns) / SECOND > seconds(limit_s) - 0.1, "it has its time"
    assert count(pair.julius, logged) == 1
    assert (pair.caesar.run_folder / "works.up").exists()
    assert calls(pair.julius)[-1] == "stop", "what a failed start may have left is stopped"
    assert runs(pair.julius, "sleep", "1000") == 0, "the whole process group is killed"
    until(pair.stable, PATIENCE_S, "both stable")
    time.sleep(seconds(4 * RETRY_S))
    assert pair.holder() == "caesar"
    never_both(pair, start_ns)
    mailed(pair.caesar, "acquired", start_ns)
    no_heartbeat_was_late(pair)


def test_a_start_that_fails_on_both_is_tried_again(pair):
    """After 5 s, 10 s, …; and comes up when the operator has mended it."""
    for node in pair.nodes:
        write_script(node, start="exit 1")
    start_ns = pair.boot()

    def starts():
        return [word for node in pair.nodes for word in calls(node) if word == "start"]

    until(lambda: len(starts()) >= 4, seconds(8 * RETRY_S) + PATIENCE_S, "tried twice on one of them, or more")
    never_both(pair, start_ns)
    for node in pair.nodes:
        assert count(node, r"CRIT: works: start failed") >= 1
    for node in pair.nodes:
        write_script(node)
    until(pair.holder, seconds(300) + PATIENCE_S, "mended, it comes up")
    until(pair.stable, PATIENCE_S, "both stable")
    never_both(pair, start_ns)
    no_heartbeat_was_late(pair)


@pytest.mark.parametrize(
    "text",
    [
        "yes 'a line like many others' | head -c 1048576",
        "head -c 1048576 /dev/zero | tr '\\0' x",
        "head -c 1048576 /dev/urandom; yes | head -c 1048576 >&2",
    ],
    ids=["lines", "one long line", "noise, and lines on stderr"],
)
def test_a_megabyte_of_output(pair, text):
    """The group is up; the log has a hundred lines of it at most, and says that more was dropped."""
    write_script(pair.julius, start=f"{text}; {GOOD['start']}")
    start_ns = pair.boot()
    pair.settled(holder=pair.julius)
    assert (pair.julius.run_folder / "works.up").exists()
    until(lambda: "bytes more dropped" in pair.julius.log(), PATIENCE_S, "what was dropped is counted")
    assert len(pair.julius.log()) < 100 * 1024
    assert count(pair.julius, r"works: ") <= 110
    assert [change.machine for change in pair.moves(start_ns)] == ["julius", "julius"]
    no_heartbeat_was_late(pair)


def test_children_left_behind(pair):
    """They hold its output open; the start has ended all the same, and they live on, as daemons of init scripts do."""
    write_script(pair.julius, start=f"sleep 1000 & (sleep 1001 &) ; {GOOD['start']}")
    start_ns = pair.boot()
    pair.settled(holder=pair.julius)
    added = [change.at_ns for change in pair.moves(start_ns)]
    assert (added[1] - added[0]) / SECOND < seconds(START_S) / 2, "nobody waited for them"
    assert (runs(pair.julius, "sleep", "1000"), runs(pair.julius, "sleep", "1001")) == (1, 1)
    assert pair.julius.command("hb_standby").returncode == 0
    pair.held_by(pair.caesar)
    assert (runs(pair.julius, "sleep", "1000"), runs(pair.julius, "sleep", "1001")) == (1, 1)
    no_heartbeat_was_late(pair)
    assert pair.julius.stop_daemon() == 0, "nor does the daemon wait for them"
    assert (runs(pair.julius, "sleep", "1000"), runs(pair.julius, "sleep", "1001")) == (1, 1)


def test_a_child_left_behind_that_never_stops_printing(pair):
    write_script(pair.julius, start=f"yes & {GOOD['start']}")
    pair.boot()
    pair.settled(holder=pair.julius)
    time.sleep(20 * KEEPALIVE_MS / 1000)
    assert runs(pair.julius, "yes") == 1
    assert pair.julius.command("hb_standby").returncode == 0
    pair.held_by(pair.caesar)
    no_heartbeat_was_late(pair)


# In stop


@pytest.mark.parametrize(
    ("text", "limit_s", "logged"),
    [
        ("exec sleep 1000", STOP_S, r"ERROR: works: stop takes too long, killed"),
        ("exit 1", 0, r"ERROR: works: stop failed \(exit code 1\); the release goes on"),
        ("yes | head -c 1048576; exit 1", 0, r"ERROR: works: stop failed \(exit code 1\); the release goes on"),
    ],
    ids=["hangs", "exits 1", "prints and exits 1"],
)
@pytest.mark.parametrize("why", ["standby", "clean stop"])
def test_a_stop_that_fails_does_not_hold_the_addresses(pair, text, limit_s, logged, why):
    write_script(pair.julius, stop=text)
    pair.boot()
    pair.settled(holder=pair.julius)
    start_ns = now_ns()
    if why == "standby":
        assert pair.julius.command("hb_standby", timeout_s=seconds(limit_s) + PATIENCE_S).returncode == 0
    else:
        assert pair.julius.stop_daemon(seconds(limit_s) + PATIENCE_S) == 0
    pair.held_by(pair.caesar, within_s=limit_s + seed.DEADTIME_S)
    pair.moved(start_ns, pair.julius, pair.caesar)
    moved_ns = pair.moves(start_ns)[-1].at_ns
    assert moved_ns > instant(start_ns, seconds(limit_s) - 0.1), "it has its time"
    assert count(pair.julius, logged) == 1
    assert runs(pair.julius, "sleep", "1000") == 0
    if why == "standby":
        no_heartbeat_was_late(pair)
    assert "is dead" not in pair.caesar.log()
    assert pair.caesar.status()["lateness_ms"]["worst"] < KEEPALIVE_MS


# Mail


def test_without_sendmail_and_mail_server_the_group_is_up_all_the_same(pair):
    """At every move; and the mails arrive when there is a server, also those of a daemon that has ended."""
    for node in pair.nodes:
        node.power_on()  # and no mail server
        pair.world.observer.watch(node)
        assert node.run(["sh", "-c", "command -v sendmail"]).returncode
        pair.start(node)
    start_ns = now_ns()
    pair.settled(holder=pair.julius)
    for source, target in ((pair.julius, pair.caesar), (pair.caesar, pair.julius)):
        move_ns = now_ns()
        assert source.command("hb_standby").returncode == 0
        released_ns, acquired_ns = pair.moved(move_ns, source, target, both_s=HAND_OVER_S)
        assert (acquired_ns - released_ns) / SECOND < seconds(RETRY_S), "nobody waited for the mail"
    no_heartbeat_was_late(pair)
    until(lambda: "MailTo" in pair.caesar.log(), PATIENCE_S, "the log says that the mail is not delivered yet")
    stop_ns = now_ns()
    assert pair.julius.stop_daemon() == 0
    pair.held_by(pair.caesar)
    pair.moved(stop_ns, pair.julius, pair.caesar, both_s=HAND_OVER_S)
    for node in pair.nodes:
        node.start_mail_server()

    def subjects(node):
        return sorted(" ".join(mail.subject.split()[1:4]) for mail in node.mails(start_ns))

    expected = {
        pair.julius: ["acquired by julius"] * 2 + ["released by julius"] * 2,
        pair.caesar: ["acquired by caesar"] * 2 + ["released by caesar"],
    }
    within_s = seconds(300) + PATIENCE_S
    for node, mails in expected.items():
        until(lambda n=node, m=mails: subjects(n) == m, within_s, f"{node.name} mails it all")
