"""STATE/peers: what it says, what is believed of it, and how it is kept without the loop's meeting a disk."""

from __future__ import annotations

import os
import resource
import signal
import stat
import subprocess
import sys
import time
import zlib

import pytest

from heartbeat import peers, persist
from heartbeat.log import Log
from heartbeat.loop import Loop
from heartbeat.peers import GenerationMemory, PeerMemory

CAESAR = ("caesar", 1795000001, 123)
GOOD = b"caesar 1795000001 123\n"


def sealed(body: bytes) -> bytes:
    return body + b"crc %08x\n" % zlib.crc32(body)


@pytest.fixture
def directory(tmp_path):
    return str(tmp_path)


def content(directory: str) -> bytes | None:
    try:
        with open(f"{directory}/peers", "rb") as file:
            return file.read()
    except FileNotFoundError:
        return None


# ---- the file


def put(directory: str, octets: bytes, mode: int = 0o600) -> None:
    with open(f"{directory}/peers", "wb") as file:
        file.write(octets)
    os.chmod(f"{directory}/peers", mode)


def read(directory: str) -> tuple[dict[str, tuple[int, int]], list[str]]:
    warnings: list[str] = []
    return persist.read_peers(directory, warn=warnings.append), warnings


def test_no_file_is_no_trouble(directory):
    assert read(directory) == ({}, [])


def test_what_is_written_is_read(directory):
    known = {"caesar": (1795000001, 123), "a" * 99: (2**64 - 1, 2**64 - 1), "brutus": (1, 0)}
    persist.replace_peers(f"{directory}/peers", persist.peers_content(known))
    assert read(directory) == (known, [])
    assert stat.S_IMODE(os.stat(f"{directory}/peers").st_mode) == 0o600
    assert os.listdir(directory) == ["peers"]


def test_as_many_as_there_may_be(directory):
    known = {f"{number:02}{'n' * 97}": (2**64 - 1, 2**64 - 1) for number in range(persist.PEERS)}
    persist.replace_peers(f"{directory}/peers", persist.peers_content(known))
    assert read(directory) == (known, [])


def test_its_octets(directory):
    put(directory, sealed(b"brutus 7 1\n" + GOOD))
    assert read(directory)[0] == {"brutus": (7, 1), "caesar": (1795000001, 123)}
    assert persist.peers_content({"caesar": (1795000001, 123), "brutus": (7, 1)}) == sealed(b"brutus 7 1\n" + GOOD)


DAMAGED = {
    "empty": b"", "no end": GOOD, "cut": sealed(GOOD)[:-1], "more behind it": sealed(GOOD) + b"x",
    "another sum": GOOD + b"crc 00000000\n", "two words": sealed(b"caesar 1\n"), "four": sealed(b"caesar 1 2 3\n"),
    "no number": sealed(b"caesar x 2\n"), "below zero": sealed(b"caesar -1 2\n"),
    "too high": sealed(b"c %d 2\n" % 2**64),
    "endless number": sealed(b"caesar " + b"9" * 5000 + b" 1\n"), "not ASCII": sealed("cäsar 1 2\n".encode()),
    "too many": sealed(b"".join(b"n%d 1 1\n" % number for number in range(101))),
    "too long": sealed(b"caesar 1 2\n" * 99 + b"a" * 20000 + b" 1 2\n"), "noise": os.urandom(300), "NULs": bytes(100),
}  # fmt: skip


@pytest.mark.parametrize("how", DAMAGED)
def test_a_damaged_file_is_said_and_nothing_is_known(directory, how):
    put(directory, DAMAGED[how])
    known, (warning,) = read(directory)
    assert known == {}
    assert f"{directory}/peers is not used (damaged)" in warning


def test_any_octet_that_is_another_one_is_noticed(directory):
    whole = sealed(b"brutus 7 1\n" + GOOD)
    for position in range(len(whole)):
        changed = bytearray(whole)
        changed[position] ^= 1 << position % 8
        put(directory, bytes(changed))
        assert read(directory)[0] == {}, position


@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
def test_a_file_that_others_can_write_is_not_believed(directory, mode):
    put(directory, sealed(GOOD), mode)
    known, (warning,) = read(directory)
    assert known == {}
    assert "others can write it" in warning


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_a_file_of_somebody_elses_is_not_believed(directory):
    put(directory, sealed(GOOD))
    os.chown(f"{directory}/peers", 65534, 0)
    assert read(directory)[0] == {}


def test_nothing_but_a_file_is_opened_for_one(directory):
    os.mkfifo(f"{directory}/peers", 0o600)
    assert "others can write it" in read(directory)[1][0]
    os.unlink(f"{directory}/peers")
    put(directory, sealed(GOOD))
    os.rename(f"{directory}/peers", f"{directory}/elsewhere")
    os.symlink("elsewhere", f"{directory}/peers")
    assert read(directory)[0] == {}


# ---- keeping it


class Kept:
    """A loop, a memory on it, and what the log said. turns(condition): as the daemon would, until then."""

    def __init__(self, directory: str, monkeypatch: pytest.MonkeyPatch) -> None:
        self.loop = Loop(Log())
        self.said: list[str] = []
        monkeypatch.setattr(self.loop.log, "write", lambda severity, text, **options: self.said.append(text))
        self.memory = PeerMemory(directory, self.loop)
        self.closed = False
        self.writers: list[list[str]] = []
        self.stops: int | None = None  # the next writer, before it has done anything: 0, and then its number
        spawn = self.memory._children.spawn

        def counted(key, name, argv, environment, **options):
            self.writers.append(list(argv))
            spawn(key, name, argv, environment, **options)
            if self.stops == 0:
                self.stops = self.memory._children._running[key].pid
                os.kill(self.stops, signal.SIGSTOP)

        monkeypatch.setattr(self.memory._children, "spawn", counted)

    def turns(self, condition, timeout_s: float = 20) -> None:
        end = time.monotonic() + timeout_s
        while not condition():
            assert time.monotonic() < end, f"never came; the log: {self.said}"
            self.loop.poller.wait(0.01)
            self.loop.schedule.run(self.loop.now())

    def close(self) -> None:
        self.closed = True
        self.memory.close()

    @property
    def idle(self) -> bool:
        return not self.memory._due and not self.memory._writing


@pytest.fixture
def kept(directory, monkeypatch):
    made = Kept(directory, monkeypatch)
    yield made
    if not made.closed:
        made.memory.close()
    made.loop.log.close()


def test_a_change_is_on_disk_soon_and_nothing_else_is_written(kept, directory):
    assert kept.memory.read() == {}
    kept.memory.remember(*CAESAR)
    assert content(directory) is None, "the loop itself writes nothing"
    kept.turns(lambda: content(directory) is not None)
    assert content(directory) == sealed(GOOD)
    assert stat.S_IMODE(os.stat(f"{directory}/peers").st_mode) == 0o600
    kept.turns(lambda: kept.idle)
    kept.memory.remember(*CAESAR)
    kept.turns(lambda: kept.idle)
    assert len(kept.writers) == 1, "what is known already is not written again"
    assert PeerMemory(directory, kept.loop).read() == {"caesar": (1795000001, 123)}
    assert kept.said == []


def test_quick_changes_are_one_write_and_later_ones_another(kept, directory):
    for sequence in range(100):
        kept.memory.remember("caesar", 1795000001, sequence)
    kept.turns(lambda: kept.memory._writing)
    kept.memory.remember("caesar", 1795000001, 200)
    kept.memory.remember("caesar", 1795000001, 123)
    kept.turns(lambda: content(directory) == sealed(GOOD))
    kept.turns(lambda: kept.idle)
    assert len(kept.writers) == 2


def test_a_lower_generation_counts_when_it_is_what_is_remembered(kept, directory):
    """The operator has accepted a peer whose files were set back."""
    put(directory, sealed(b"caesar 9 9\n"))
    assert kept.memory.read() == {"caesar": (9, 9)}
    kept.memory.remember("caesar", 3, 1)
    kept.turns(lambda: content(directory) == sealed(b"caesar 3 1\n"))


def test_who_was_not_remembered_again_stays_known(kept, directory):
    put(directory, sealed(b"brutus 9 9\n"))
    kept.memory.read()
    kept.memory.remember(*CAESAR)
    kept.turns(lambda: content(directory) == sealed(b"brutus 9 9\n" + GOOD))


@pytest.fixture
def full_disk():
    """full_disk(True): no file may grow from now on, in this process and those that it starts."""
    before, after = signal.signal(signal.SIGXFSZ, signal.SIG_IGN), resource.getrlimit(resource.RLIMIT_FSIZE)

    def fill(full: bool) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (4 if full else after[0], after[1]))

    yield fill
    resource.setrlimit(resource.RLIMIT_FSIZE, after)
    signal.signal(signal.SIGXFSZ, before)


def test_a_full_disk_is_said_once_and_tried_again_ever_more_slowly(kept, directory, full_disk, monkeypatch):
    monkeypatch.setattr(peers, "RETRY_FIRST_NS", 1_000_000)
    delays: list[int] = []
    later = kept.memory._later
    monkeypatch.setattr(kept.memory, "_later", lambda delay_ns: (delays.append(delay_ns), later(delay_ns)))
    put(directory, sealed(b"caesar 1 1\n"))
    full_disk(True)
    kept.memory.remember(*CAESAR)
    kept.turns(lambda: len(delays) == 5)
    assert delays == [peers.WAIT_NS, 1_000_000, 2_000_000, 4_000_000, 8_000_000]
    (said,) = kept.said
    assert f"{directory}/peers cannot be written" in said
    assert content(directory) == sealed(b"caesar 1 1\n"), "what was there stays"
    full_disk(False)
    kept.turns(lambda: content(directory) == sealed(GOOD))
    kept.turns(lambda: kept.idle)
    assert kept.said[1:] == [f"{directory}/peers is written again"]


def test_the_pause_between_two_tries_is_bounded(kept, directory, monkeypatch):
    os.mkdir(f"{directory}/peers")
    delays: list[int] = []
    monkeypatch.setattr(kept.memory, "_later", delays.append)
    for number in range(1, 20):
        kept.memory._ended(number, 1, "")
    assert delays[:3] == [peers.RETRY_FIRST_NS, 2 * peers.RETRY_FIRST_NS, 4 * peers.RETRY_FIRST_NS]
    assert delays[-1] == max(delays) == peers.RETRY_MOST_NS


def test_why_it_cannot_be_written(kept, directory):
    os.mkdir(f"{directory}/peers")
    kept.memory.remember(*CAESAR)
    kept.turns(lambda: kept.said)
    assert "(Is a directory)" in kept.said[0]


def test_a_writer_that_cannot_be_started_is_a_write_that_failed(kept, monkeypatch):
    monkeypatch.setattr(sys, "executable", "/nonexistent")
    kept.memory.remember(*CAESAR)
    kept.turns(lambda: kept.said)
    assert "(No such file or directory)" in kept.said[0]


def stopped_writer(kept):
    """A writer that hangs, as on a disk that does not answer: its process."""
    kept.stops = 0
    kept.turns(lambda: kept.stops)
    return kept.stops


def test_a_disk_that_hangs_holds_up_nothing_and_is_said(kept, directory, monkeypatch):
    monkeypatch.setattr(peers, "SLOW_NS", 50_000_000)
    kept.memory.remember(*CAESAR)
    pid = stopped_writer(kept)
    kept.memory.remember("caesar", 1795000001, 124)
    kept.turns(lambda: kept.said)
    assert "has been in writing" in kept.said[0]
    assert len(kept.writers) == 1, "no second process waits behind the first"
    os.kill(pid, signal.SIGCONT)
    kept.turns(lambda: content(directory) == sealed(b"caesar 1795000001 124\n"))


# ---- the end


def test_what_was_remembered_last_is_on_disk_when_it_is_closed(kept, directory):
    kept.memory.remember(*CAESAR)
    kept.close()
    assert content(directory) == sealed(GOOD)
    assert kept.writers == []


def test_a_write_that_is_under_way_is_waited_for_and_never_overtaken(kept, directory):
    kept.memory.remember("caesar", 1, 1)
    kept.turns(lambda: kept.memory._writing)
    kept.memory.remember(*CAESAR)
    kept.close()
    assert content(directory) == sealed(GOOD)


def test_a_disk_that_hangs_does_not_keep_the_node_from_stopping(kept, directory, monkeypatch):
    monkeypatch.setattr(peers, "CLOSE_NS", 20_000_000)
    kept.memory.remember("caesar", 1, 1)
    pid = stopped_writer(kept)
    kept.memory.remember(*CAESAR)
    kept.close()
    os.kill(pid, signal.SIGCONT)
    os.waitpid(pid, 0)
    assert any("the disk has not taken it" in text for text in kept.said)
    assert content(directory) == sealed(b"caesar 1 1\n"), "the writer that is left cannot undo a newer one"


def test_a_full_disk_at_the_end_is_said(kept, directory, full_disk):
    kept.memory.remember(*CAESAR)
    full_disk(True)
    kept.close()
    full_disk(False)
    assert content(directory) is None
    assert any("cannot be written" in text for text in kept.said)


KILLED = """
import os, sys
from heartbeat.log import Log
from heartbeat.loop import Loop
from heartbeat.peers import GenerationMemory, PeerMemory
loop = Loop(Log())
memory = PeerMemory(sys.argv[1], loop)
memory.remember("caesar", 1795000001, 123)
while not memory._writing:
    loop.poller.wait(0.01)
    loop.schedule.run(loop.now())
os.kill(os.getpid(), 9)
"""


def test_a_daemon_that_is_killed_while_it_is_written_has_written_it(directory):
    done = subprocess.run([sys.executable, "-c", KILLED, directory], check=False, timeout=60)
    assert done.returncode == -9
    end = time.monotonic() + 20
    while content(directory) is None:
        assert time.monotonic() < end
        time.sleep(0.01)
    assert content(directory) == sealed(GOOD)


# ---- this node's own generation


def test_a_generation_that_was_begun_while_it_ran_is_past_at_the_next_start(kept, directory):
    path = f"{directory}/hb_generation"
    first = persist.next_generation(directory, "file", 1795000000)
    mode = stat.S_IMODE(os.stat(path).st_mode)
    memory = GenerationMemory(path, kept.loop)
    memory.begin(first + 1)
    memory.begin(first + 2)
    kept.turns(lambda: persist._stored_generation(path, lambda text: None) == first + 2)
    assert stat.S_IMODE(os.stat(path).st_mode) == mode
    memory.close()
    assert persist.next_generation(directory, "file", 1795000000) == first + 3
    assert kept.said == []


def test_what_was_begun_just_before_the_end_is_kept_too(kept, directory):
    first = persist.next_generation(directory, "file", 1795000000)
    memory = GenerationMemory(f"{directory}/hb_generation", kept.loop)
    memory.begin(first + 1)
    memory.close()
    assert persist.next_generation(directory, "file", 1795000000) == first + 2
