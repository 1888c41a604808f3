"""The demonstration: what it promises a program that runs it, that it leaves nothing behind, and that its instruments
and its judgement can be trusted: they see what happens in a world without any daemon, and they see what goes wrong."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
import smtplib
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from heartbeat.demo import pair as pair_module
from heartbeat.demo import seed
from heartbeat.demo.clock import MILLISECOND, SECOND, now_ns
from heartbeat.demo.machine import add_address
from heartbeat.demo.node import Node
from heartbeat.demo.observe import Observer
from heartbeat.demo.pair import Pair
from heartbeat.demo.scenes import Stage
from heartbeat.demo.world import World, until

SCENES = ["boot", "power-failure", "return", "standby", "takeover", "cable-cut", "clean-stop"]
HOLDERS = ["julius", "caesar", "caesar", "julius", "caesar", "julius", "caesar"]
DEMO = [sys.executable, "-m", "heartbeat.cli", "demo"]
LIMIT_S = 60
PR_SET_CHILD_SUBREAPER = 36
DATA = Path(__file__).parents[1] / "data/seed"


class Surroundings:
    """What the demonstration must not touch. Orphans of any process started within become this process's children."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = os.environ | {"TMPDIR": str(folder)}
        self._before = self._look()

    def _look(self) -> tuple[object, ...]:
        mounts = Path("/proc/self/mountinfo").read_text()
        interfaces = sorted(name for _, name in socket.if_nameindex())
        return mounts, interfaces, os.uname().nodename, self.descendants()

    def descendants(self) -> set[int]:
        """Every process below this one."""
        parents: dict[int, int] = {}
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                with contextlib.suppress(OSError):
                    parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
        found = {os.getpid()}
        while more := {pid for pid, parent in parents.items() if parent in found} - found:
            found |= more
        return found - {os.getpid()}

    def check(self, *, folder_too: bool = True) -> None:
        """All is as it was before; processes may take a moment to be gone."""
        until(self._bury, 10, "every process is gone")
        assert self._look() == self._before
        if folder_too:
            assert list(self.folder.iterdir()) == []

    def check_interrupted(self, code: int, errors: str, number: signal.Signals) -> None:
        if number == signal.SIGKILL:
            # nothing can be done about files then; processes, namespaces and mounts go all the same
            assert code == -number
            self.check(folder_too=False)
        else:
            assert (code, errors) == (128 + number, "")
            self.check()

    def newcomers(self) -> set[int]:
        """Processes below this one that were not there before."""
        before = self._before[3]
        assert isinstance(before, set)
        return self.descendants() - before

    def _bury(self) -> bool:
        for pid in self.newcomers():
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)
        return not self.newcomers()


@pytest.fixture
def surroundings(tmp_path: Path) -> Iterator[Surroundings]:
    prctl = ctypes.CDLL(None).prctl
    prctl(PR_SET_CHILD_SUBREAPER, 1)
    yield Surroundings(tmp_path)
    prctl(PR_SET_CHILD_SUBREAPER, 0)


def play(surroundings: Surroundings, *options: str, before: Sequence[str] = ()) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*before, *DEMO, *options],
        env=surroundings.environment,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )


def test_for_a_program(surroundings: Surroundings) -> None:
    done = play(surroundings, "--json")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    report = json.loads(done.stdout)
    assert report.keys() == {"ok", "scenes"}
    assert report["ok"] is True
    scenes = report["scenes"]
    figures = {"outage_ms", "detection_ms", "takeover_ms", "lost"}
    assert all(scene.keys() == {"name", "holder"} | figures for scene in scenes)
    assert [scene["name"] for scene in scenes] == SCENES
    assert [scene["holder"] for scene in scenes] == HOLDERS
    there = {scene["name"]: {name for name in figures if scene[name] is not None} for scene in scenes}
    assert there == {
        "boot": set(),
        "power-failure": figures,
        "return": {"lost"},
        "standby": {"outage_ms", "lost"},
        "takeover": {"outage_ms", "lost"},
        "cable-cut": {"lost"},
        "clean-stop": {"outage_ms", "lost"},
    }
    by_name = {scene["name"]: scene for scene in scenes}
    failure = by_name["power-failure"]
    deadtime_ms, keepalive_ms = seed.DEADTIME_S * 1000 / 50, seed.KEEPALIVE_S * 1000 / 50
    assert deadtime_ms - keepalive_ms <= failure["outage_ms"] <= deadtime_ms + 100
    assert failure["detection_ms"] >= deadtime_ms
    assert failure["takeover_ms"] > 0
    # one probe a millisecond: the two figures measure the same gap
    assert 0.5 * failure["outage_ms"] < failure["lost"] < 1.2 * failure["outage_ms"] + 5
    assert by_name["return"]["lost"] == by_name["cable-cut"]["lost"] == 0
    surroundings.check()


def test_for_a_person(surroundings: Surroundings) -> None:
    done = play(surroundings)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert [line.split()[:2] for line in lines[2:-1]] == [list(pair) for pair in zip(SCENES, HOLDERS, strict=True)]
    assert lines[-1] == "all held"
    assert "\033" not in done.stdout, "a live line is for terminals"
    surroundings.check()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
@pytest.mark.parametrize("processes", [1, 2, 4, 7, 10])
def test_interrupted_it_leaves_nothing_behind(
    surroundings: Surroundings, number: signal.Signals, processes: int
) -> None:
    """At any stage of building its world, by how many processes there are besides it."""
    # in a process group of its own: what it kills by mistake is then not this test
    with subprocess.Popen(
        DEMO, env=surroundings.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, process_group=0
    ) as demo:
        until(lambda: len(surroundings.newcomers()) > processes, LIMIT_S, "it is building its world")
        demo.send_signal(number)
        _, errors = demo.communicate(timeout=LIMIT_S)
    surroundings.check_interrupted(demo.returncode, errors, number)


def test_interrupted_in_a_scene_it_leaves_nothing_behind(surroundings: Surroundings) -> None:
    with subprocess.Popen(
        DEMO, env=surroundings.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, process_group=0
    ) as demo:
        assert demo.stdout
        while not demo.stdout.readline().startswith("power-failure"):
            assert demo.poll() is None
        demo.send_signal(signal.SIGINT)
        _, errors = demo.communicate(timeout=LIMIT_S)
    surroundings.check_interrupted(demo.returncode, errors, signal.SIGINT)


def test_an_ordinary_user_can_play_it() -> None:
    nobody = 65534
    as_nobody = ["setpriv", f"--reuid={nobody}", f"--regid={nobody}", "--clear-groups"]
    for needed in (["unshare", "--user", "--net", "true"], [*DEMO[:3], "--version"]):
        if subprocess.run([*as_nobody, *needed], capture_output=True, check=False).returncode:
            pytest.skip(f"closed to ordinary users here: {needed[0]}")
    # not tmp_path: its parents are closed to others
    with tempfile.TemporaryDirectory() as folder:
        os.chown(folder, nobody, nobody)
        surroundings = Surroundings(Path(folder))
        done = play(surroundings, "--json", before=as_nobody)
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["ok"] is True
        surroundings.check()


def test_it_plays_the_seed_s_files() -> None:
    files = seed.Files()
    for name, text in (("ha.cf", files.ha_cf), ("haresources", files.haresources), ("authkeys", files.authkeys)):
        assert (DATA / name).read_text() == text
    words = dict(line.split(maxsplit=1) for line in files.ha_cf.splitlines())
    times = [int(words[word]) for word in ("keepalive", "deadtime", "warntime", "initdead")]
    assert times == [seed.KEEPALIVE_S, seed.DEADTIME_S, seed.WARNTIME_S, seed.INITDEAD_S]


# Its judgement: what goes wrong is seen.


def first_scene(stage: Stage) -> list[str]:
    scenes = list(stage.play())
    assert len(scenes) == 1, "the first trouble ends the play"
    return scenes[0].troubles


@pytest.fixture
def stage(make_world: Callable[..., World], monkeypatch: pytest.MonkeyPatch) -> Stage:
    stage = Stage(make_world(), lambda _text: None)
    monkeypatch.setattr(pair_module, "PATIENCE_S", 3.0)
    return stage


def install(stage: Stage, files: seed.Files) -> None:
    for node in stage.pair.nodes:
        node.install(files)


def test_one_address_of_two_is_a_trouble(stage: Stage) -> None:
    install(stage, seed.Files(haresources=seed.HARESOURCES.replace("IPaddr::1.1.1.254 ", "")))
    assert "julius alone holds 10.0.0.254 and 1.1.1.254" in first_scene(stage)[0]


def test_a_mail_that_does_not_come_is_a_trouble(stage: Stage) -> None:
    install(stage, seed.Files(haresources=seed.HARESOURCES.rpartition(" ")[0] + "\n"))
    assert "a mail of julius" in first_scene(stage)[0]


def test_a_daemon_that_does_not_start_is_a_trouble_and_its_log_says_why(stage: Stage) -> None:
    install(stage, seed.Files(ha_cf=seed.HA_CF + "nonsense\n"))
    assert first_scene(stage)
    assert all("ha.cf:9" in log for log in stage.logs().values())


def test_an_outage_out_of_bounds_is_a_trouble(stage: Stage) -> None:
    install(
        stage, seed.Files(ha_cf=seed.HA_CF.replace("deadtime 15", "deadtime 30").replace("initdead 30", "initdead 60"))
    )
    scenes = list(stage.play())
    assert [scene.name for scene in scenes] == ["boot", "power-failure"]
    assert "the outage is not between 200 and 400 ms" in scenes[-1].troubles[0]
    assert scenes[-1].outage_ms is not None
    assert scenes[-1].outage_ms > 400


# Its instruments, in a world where no daemon runs: the test moves the addresses.


@pytest.fixture
def pair(make_world: Callable[..., World]) -> Pair:
    pair = Pair(make_world())
    pair.probe()
    for node in pair.nodes:
        pair.world.power_on(node)
    return pair


def take(node: Node, pair: Pair) -> None:
    """Add both virtual addresses and tell the neighbours, as the daemon would."""
    with node.netlink() as ip:
        for interface, address in zip(node.interfaces, pair.site.addresses, strict=True):
            add_address(ip, ip.link_lookup(ifname=interface.name)[0], f"{address}/24")
    with node.inside():
        for interface, address in zip(node.interfaces, pair.site.addresses, strict=True):
            announce(interface.name, bytes.fromhex(interface.mac.replace(":", "")), socket.inet_aton(address))


def announce(interface: str, mac: bytes, address: bytes) -> None:
    everyone = b"\xff" * 6
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as sender:
        sender.bind((interface, 0x0806))
        ethernet = everyone + mac + bytes.fromhex("0806")
        sender.send(ethernet + bytes.fromhex("0001080006040001") + mac + address + everyone + address)


def assert_all_answered(pair: Pair) -> None:
    start_ns = now_ns()
    time.sleep(0.3)
    assert pair.lost(start_ns) == [0, 0]
    assert all(len(ping.track.between(start_ns, now_ns())) > 100 for ping in pair.pings), "the instruments stand still"


def test_the_probes_tell_one_holder_from_the_next(pair: Pair) -> None:
    take(pair.first, pair)
    taken_ns = now_ns()
    until(lambda: None not in pair.first_answers(pair.first, taken_ns), 10, "the first node answers")
    assert_all_answered(pair)
    assert pair.holder() == "julius"

    failure_ns = pair.world.power_off(pair.first)
    time.sleep(0.3)
    assert pair.first_answers(pair.second, failure_ns) == [None, None]
    take(pair.second, pair)
    until(lambda: None not in pair.first_answers(pair.second, failure_ns), 10, "the second node answers")
    assert pair.holder() == "caesar"
    for ping, answer_ns in zip(pair.pings, pair.first_answers(pair.second, failure_ns), strict=True):
        assert answer_ns is not None
        assert answer_ns - failure_ns >= 300 * MILLISECOND
        # nearly every probe of the gap is lost, and none that was sent well after it
        gap = ping.track.between(failure_ns + 50 * MILLISECOND, failure_ns + 300 * MILLISECOND)
        assert len(gap) > 100
        assert not any(probe.arrived_ns for probe in gap)
    assert_all_answered(pair)


def test_two_holders_are_no_holder(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pair_module, "PATIENCE_S", 0.5)
    for node in pair.nodes:
        take(node, pair)
    assert pair.held() == {"julius": 2, "caesar": 2}
    assert pair.holder() is None
    with pytest.raises(TimeoutError, match="julius alone holds"):
        pair.settle(pair.first)


def test_the_observer_tells_when_a_kernel_changed(pair: Pair) -> None:
    before_ns = now_ns()
    take(pair.second, pair)
    after_ns = now_ns()
    until(lambda: len(pair.moves(before_ns)) == 2, 10, "both changes are seen")
    assert [(move.machine, move.added, move.address) for move in pair.moves(before_ns)] == [
        ("caesar", True, "10.0.0.254"),
        ("caesar", True, "1.1.1.254"),
    ]
    assert all(before_ns < move.at_ns < after_ns + SECOND for move in pair.moves(before_ns))
    assert pair.world.observer.first(before_ns, "caesar", "10.0.0.254", added=False) is None


def test_the_observer_knows_what_a_kernel_was_asked_about_however_late_its_thread_is(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Observer, "_run", lambda observer: None)
    observer = Observer()
    try:
        observer.watch(pair.second)
        before_ns = now_ns()
        take(pair.second, pair)
        assert pair.held()["caesar"] == 2
        assert [move.added for move in observer.since(before_ns)] == [True, True]
    finally:
        observer.close()


def test_a_power_failure_ends_every_process_and_forgets_all_but_the_disk(pair: Pair) -> None:
    node = pair.first
    with node.inside(), smtplib.SMTP("127.0.0.1", 25, timeout=10) as server:
        server.sendmail("daemon@julius", ["alerts@example.org"], "Subject: hello\n\nfirst\n.\n..second\n")
    (mail,) = node.mails()
    assert (mail.subject, mail.recipients) == ("hello", ["alerts@example.org"])
    assert mail.data.endswith("first\n.\n..second\n")
    take(node, pair)
    # in a session of its own, its parent gone: nothing but the power failure reaches it
    node.run(["sh", "-c", "setsid sleep 1000 >/dev/null 2>&1 </dev/null & : >/run/here"])

    def orphans() -> list[int]:
        return [pid for pid, words in node.processes().items() if words[0] == "sleep"]

    until(orphans, 10, "it runs")
    (orphan,) = orphans()
    pair.world.power_off(node)
    assert not Path(f"/proc/{orphan}").exists()
    pair.world.power_on(node)
    assert not any(node.holds(address) for address in pair.site.addresses)
    assert node.run(["test", "-e", "/run/here"]).returncode == 1
    assert [each.subject for each in node.mails()] == ["hello"]


def test_machines_are_apart(pair: Pair) -> None:
    names = [node.run(["uname", "-n"]).stdout.strip() for node in pair.nodes]
    assert names == ["julius", "caesar"]
    assert os.uname().nodename not in names
    pair.first.run(["sh", "-c", "echo mine >/run/file; kill -9 -1"])
    assert pair.second.run(["cat", "/run/file"]).returncode != 0
    assert pair.second.processes(), "its mail server lives"
    assert not Path("/run/file").exists()


def test_a_stream_crosses_the_routers(pair: Pair) -> None:
    take(pair.first, pair)
    assert pair.host
    streams = [pair.world.stream(pair.client, pair.host, 7000), pair.world.stream(pair.host, pair.client, 7000)]
    start_ns = now_ns()
    time.sleep(1)
    for stream in streams:
        stream.stop()
    time.sleep(0.3)
    for stream in streams:
        # but for the first, which waited for the neighbours' answers
        assert len(stream.track.between(start_ns, now_ns())) > 500
        assert stream.track.lost(start_ns + 300 * MILLISECOND, now_ns()) == []
