"""The journal's memory in the run directory, what is left of it when the daemon ends, and when it is written out."""

import gzip
import os
import stat
import tempfile
import time
from pathlib import Path

import pytest
from pair import AUTH, JULIUS, settings

from _hbfast.codec import Decoder, Message, encode
from heartbeat import cli, journalfile, recorder
from heartbeat.core.cluster import Cluster
from heartbeat.core.events import AgentExited, MediumUp, Tick
from heartbeat.core.settings import SECOND
from heartbeat.log import Log
from heartbeat.loop import Loop
from heartbeat.paths import Paths
from heartbeat.recorder import Recorder, collect, in_memory

CHILD_S = 20.0


@pytest.fixture(params=["memory", "disk"])
def run_dir(request, tmp_path):
    """On a file system of memory, as /run is, and on another."""
    if request.param == "disk":
        assert not in_memory(str(tmp_path))
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir="/dev/shm", prefix="heartbeat-test-") as name:
        assert in_memory(name)
        yield Path(name)


@pytest.fixture
def memory():
    with tempfile.TemporaryDirectory(dir="/dev/shm", prefix="heartbeat-test-") as name:
        yield Path(name)


class Daemon:
    """As much of it as the recorder sees. divisor: everything takes no time."""

    def __init__(self, run_dir, state_dir, **changes) -> None:
        self.lines: list[str] = []
        self.paths = Paths(run_dir=str(run_dir), state_dir=str(state_dir))
        log = Log("test", foreground=False)
        log.write = lambda severity, text, **options: self.lines.append(text)
        self.loop = Loop(log)
        self.recorder = Recorder(self.paths, self.loop, {"PATH": os.environ["PATH"]}, divisor=1)
        self.now = self.loop.now()
        self.cluster = Cluster(settings(JULIUS, **changes), generation=7, seed=7, now=self.now)
        self.tell = self.recorder.start(self.cluster, self.now).tell
        self.ran = []

    def live(self, seconds: int) -> None:
        """Alone, with agents that take no time."""
        pending = [MediumUp("ttyS0")]
        end = self.now + seconds * SECOND
        while pending or self.cluster.deadline() <= end:
            if not pending:
                self.now = max(self.now, self.cluster.deadline())
                pending.append(Tick(self.now // SECOND))
            for action in self.tell(pending.pop(0), self.now):
                if hasattr(action, "verb") and action.run:
                    self.ran += [resource.word for resource in action.resources]
                    pending.append(AgentExited(action.run, 0))

    def hear(self, **fields) -> None:
        items = {"t": "status", "st": "active", "dt": "3a98", "protocol": "1", "src": "caesar", "seq": "1", "hg": "9"}
        items |= {"ts": "1", "ld": "n/a", "ttl": "3", **fields}
        message = Message([(name, 0, value.encode()) for name, value in items.items()])
        for found in Decoder("ttyS0", AUTH, stream=False).feed(encode(message, AUTH, "classic")):
            self.tell(found, self.now)

    def wait_for_children(self) -> None:
        end = time.monotonic() + CHILD_S
        while len(self.recorder._children):
            assert time.monotonic() < end, "the child does not end"
            self.loop.poller.wait(0.1)

    def due(self) -> None:
        """Everything that is scheduled."""
        while (due := self.loop.schedule.next_due()) is not None:
            self.loop.schedule.run(due)

    def written(self) -> list[str]:
        directory = Path(self.paths.state_dir, "journal")
        return sorted(map(str, directory.iterdir())) if directory.exists() else []


def lines_of(path) -> list[dict]:
    return list(journalfile.read(path))


def test_it_can_be_asked_for_while_the_daemon_lives(run_dir, tmp_path, capsys):
    daemon = Daemon(run_dir, tmp_path / "state")
    daemon.live(40)
    assert daemon.ran, "it took the group"
    assert cli.main(["journal", "--run-dir", str(run_dir), "--state-dir", str(tmp_path / "state")]) == 0
    (path,) = daemon.written()
    assert capsys.readouterr().out == f"{path}\n"
    assert cli.main(["replay", path]) == 0
    said = capsys.readouterr()
    assert "run        1 start IPaddr::10.0.0.254" in said.out
    assert "(request)" in said.err
    daemon.recorder.close(clean=True)


def test_nobody_else_may_read_it(run_dir, tmp_path):
    old = os.umask(0)
    try:
        daemon = Daemon(run_dir, tmp_path / "state")
        collect(daemon.paths, reason="request", crashed=False)
    finally:
        os.umask(old)
    modes = {stat.S_IMODE(path.stat().st_mode) for path in (run_dir / "journal").iterdir() if not path.is_symlink()}
    modes |= {stat.S_IMODE(os.stat(path).st_mode) for path in daemon.written()}
    assert modes == {0o600}
    for directory in (run_dir / "journal", tmp_path / "state/journal"):
        assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    daemon.recorder.close(clean=True)


def test_a_run_that_was_killed_is_written_out_by_the_next(memory, tmp_path, capsys):
    first = Daemon(memory, tmp_path / "state")
    first.live(40)
    second = Daemon(memory, tmp_path / "state")  # the first one never came to its close
    second.wait_for_children()
    (path,) = second.written()
    assert "journal written" in second.lines
    assert path.endswith("-julius-crash.journal.gz")
    assert cli.main(["replay", path]) == 0
    assert "start IPaddr::10.0.0.254" in capsys.readouterr().out
    assert sorted(each.name for each in memory.iterdir()) == ["journal"]
    second.recorder.close(clean=True)


def test_a_run_that_ended_as_it_should_can_still_be_asked_for(run_dir, tmp_path):
    daemon = Daemon(run_dir, tmp_path / "state")
    daemon.live(40)
    daemon.recorder.close(clean=True)
    assert [each.name for each in run_dir.iterdir() if each.name.startswith("journal")] == ["journal.ended"]
    assert cli.main(["replay", collect(daemon.paths, reason="request", crashed=False)]) == 0
    again = Daemon(run_dir, tmp_path / "state")
    again.recorder.close(clean=True)
    assert not any(line.startswith("journal") for line in again.lines), "nothing crashed"
    assert [each.name for each in run_dir.iterdir() if each.name.startswith("journal")] == ["journal.ended"]


def test_a_daemon_that_dies_by_itself_saves_what_has_no_name(run_dir, tmp_path):
    daemon = Daemon(run_dir, tmp_path / "state")
    daemon.live(40)
    daemon.recorder.close(clean=False)
    for held in daemon.recorder._maps:
        held.flush()
    assert not any(each.is_symlink() for each in (run_dir / "journal").iterdir())
    after = Daemon(run_dir, tmp_path / "state")
    after.wait_for_children()
    (path,) = after.written()
    assert cli.main(["replay", path]) == 0
    after.recorder.close(clean=True)


def test_what_died_without_a_name_is_not_missed(tmp_path):
    """RUN on a disk, and kill -9: what is left points to nothing, and holds up no start."""
    directory = tmp_path / "journal"
    directory.mkdir()
    for name in recorder.NAMES:
        (directory / name).symlink_to("/proc/1/fd/99999")
    daemon = Daemon(tmp_path, tmp_path / "state")
    daemon.live(10)
    daemon.wait_for_children()
    assert daemon.written() == []
    daemon.recorder.close(clean=True)


class Watched:
    """A cluster that tells of a fail-over."""

    def __init__(self) -> None:
        self.declared_dead_ns = None

    def view(self):
        return self

    @property
    def last_failover(self):
        return self.declared_dead_ns and {"declared_dead_ns": self.declared_dead_ns}


@pytest.fixture
def watching(memory, tmp_path, monkeypatch):
    """A daemon whose recorder only notes what it would write, and when."""
    daemon = Daemon(memory, tmp_path / "state")
    daemon.recorder._cluster = daemon.watched = Watched()
    daemon.would = []
    monkeypatch.setattr(daemon.recorder, "_write_out", daemon.would.append)
    yield daemon
    daemon.recorder.close(clean=True)


def test_a_take_over_is_written_out_a_while_after_the_last_start(watching):
    watching.watched.declared_dead_ns = 5
    watching.recorder._decided("NNRT", SECOND)
    watching.recorder._decided("R", 20 * SECOND)
    watching.loop.schedule.run(49 * SECOND)
    assert watching.would == []
    watching.loop.schedule.run(50 * SECOND)
    assert watching.would == ["take-over"]
    watching.recorder._decided("R", 400 * SECOND)
    watching.due()
    assert watching.would == ["take-over"], "a hand-over is none"
    watching.recorder._decided("TNYM", 500 * SECOND)
    assert watching.loop.schedule.next_due() is None


def test_an_alarm_is_written_out(watching):
    watching.recorder._decided("AN", SECOND)
    watching.due()
    assert watching.would == ["alarm"]
    watching.recorder._decided("R", 1000 * SECOND)
    watching.due()
    assert watching.would == ["alarm"]


def test_a_pair_that_flaps_writes_one_in_five_minutes(watching):
    for at in range(1, 3600, 20):
        watching.loop.schedule.run(at * SECOND)
        watching.watched.declared_dead_ns = at
        watching.recorder._decided("R", at * SECOND)
    assert 8 <= len(watching.would) <= 12


@pytest.mark.parametrize("run_dir", ["/nonexistent/run", "/proc"])
def test_a_run_directory_that_takes_nothing_holds_nobody_up(run_dir, tmp_path):
    daemon = Daemon(run_dir, tmp_path)
    daemon.live(40)
    assert daemon.ran
    assert daemon.lines[0].startswith(f"no journal is kept: {run_dir}/journal: ")
    daemon.recorder.close(clean=True)


def test_there_is_none(tmp_path, capsys):
    assert cli.main(["journal", "--run-dir", str(tmp_path)]) == 3
    assert "no heartbeat daemon has run here" in capsys.readouterr().err


def test_a_state_directory_that_takes_nothing(memory, tmp_path, capsys):
    daemon = Daemon(memory, tmp_path)
    assert cli.main(["journal", "--run-dir", str(memory), "--state-dir", "/proc/nowhere"]) == 1
    assert "no journal written: /proc/nowhere" in capsys.readouterr().err
    daemon.recorder.close(clean=True)


def test_no_key_and_no_signature_is_in_the_file(memory, tmp_path):
    daemon = Daemon(memory, tmp_path)
    daemon.live(10)
    daemon.hear()
    daemon.hear(seq="2")
    path = collect(daemon.paths, reason="request", crashed=False)
    with gzip.open(path, "rt") as file:
        text = file.read()
    assert "src=caesar" in text
    assert "auth" not in text.replace("authority", "")
    assert "a-secret" not in text
    assert b"auth=1 " in (memory / "journal/a").read_bytes()
    assert cli.main(["replay", path]) == 0
    daemon.recorder.close(clean=True)


def test_a_bounded_number_is_kept(tmp_path):
    content = [{"heartbeat journal": 1}]
    for number in range(journalfile.KEPT + 5):
        journalfile.write(str(tmp_path), content, name=f"{number:03}")
    (tmp_path / "by hand").touch()
    names = sorted(each.name for each in tmp_path.iterdir())
    assert names == [f"{number:03}.journal.gz" for number in range(5, journalfile.KEPT + 5)] + ["by hand"]


def test_a_write_that_fails_leaves_nothing(tmp_path):
    with pytest.raises(TypeError):
        journalfile.write(str(tmp_path), [{"a": object()}], name="x")
    assert list(tmp_path.iterdir()) == []


def test_a_name_is_made_harmless(tmp_path):
    path = journalfile.write(str(tmp_path / "journal"), [{}], name="../../x/\n")
    assert path == str(tmp_path / "journal/.._.._x__.journal.gz")
    assert (tmp_path / "journal").is_dir()
