"""UUCP lock files, against real processes."""

import errno
import fcntl
import os
import stat
import subprocess
import sys

import pytest

from heartbeat.media.lock import LockFile, lock_name


@pytest.fixture
def living():
    """A process that lives for as long as the test."""
    argv = [sys.executable, "-c", "print(); input()"]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1) as process:
        # until it runs, it bears the name of its parent
        assert process.stdout.readline() == "\n"
        yield process.pid
        process.stdin.close()


@pytest.fixture
def dead():
    """The number of a process that is gone."""
    process = subprocess.Popen(["true"])
    process.wait()
    return process.pid


@pytest.mark.parametrize(
    ("device", "name"),
    [
        ("/dev/ttyS0", "LCK..ttyS0"),
        ("/dev/pts/2", "LCK..pts2"),
        ("/dev/serial/by-id/usb-FTDI_x-port0", "LCK..serialbyidusbFTDIxport0"),
        ("/tmp/a/tty", "LCK..tmpatty"),
    ],
)
def test_its_name_is_the_path_behind_dev_reduced_to_letters_and_digits(device, name):
    assert lock_name(device) == name


def test_the_file_is_there_with_our_number_while_held_and_gone_afterwards(tmp_path):
    lock = LockFile(str(tmp_path), "/dev/ttyS0")
    old = os.umask(0o077)
    try:
        lock.take()
    finally:
        os.umask(old)
    path = tmp_path / "LCK..ttyS0"
    assert path.read_bytes() == b"%10d\n" % os.getpid()
    assert len(path.read_bytes()) == 11
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert os.listdir(tmp_path) == ["LCK..ttyS0"]
    lock.release()
    assert os.listdir(tmp_path) == []
    lock.release()


def test_a_live_holder_keeps_us_out_and_is_named(tmp_path, living):
    path = tmp_path / "LCK..ttyS0"
    path.write_bytes(b"%10d\n" % living)
    lock = LockFile(str(tmp_path), "/dev/ttyS0")
    with pytest.raises(OSError) as caught:
        lock.take()
    assert caught.value.errno == errno.EBUSY
    assert f"process {living} (python" in caught.value.strerror
    assert str(path) in caught.value.strerror
    lock.release()
    assert path.read_bytes() == b"%10d\n" % living


def test_another_object_of_this_process_keeps_us_out(tmp_path):
    first, second = (LockFile(str(tmp_path), "/dev/ttyS0") for _ in range(2))
    first.take()
    with pytest.raises(OSError) as caught:
        second.take()
    assert caught.value.errno == errno.EBUSY
    assert f"process {os.getpid()} " in caught.value.strerror
    first.release()
    second.take()
    second.release()
    # once released, a file with our own number is a leftover like any other
    with open(second.path, "wb") as file:
        file.write(b"%10d\n" % os.getpid())
    first.take()
    first.release()


@pytest.mark.parametrize(
    "content",
    [
        lambda dead: b"%10d\n" % dead,
        lambda dead: b"%d minicom root\n" % dead,
        lambda dead: dead.to_bytes(4, sys.byteorder),
        # an earlier process in this container that had our number
        lambda dead: b"%10d\n" % os.getpid(),
        lambda dead: b"",
        lambda dead: b"rubbish\n",
        lambda dead: b"%30d\n" % 10**29,
    ],
    ids=["dead", "dialect", "binary", "our own number", "empty", "rubbish", "absurd"],
)
def test_a_leftover_is_taken_over(tmp_path, dead, content):
    (tmp_path / "LCK..ttyS0").write_bytes(content(dead))
    lock = LockFile(str(tmp_path), "/dev/ttyS0")
    lock.take()
    assert (tmp_path / "LCK..ttyS0").read_bytes() == b"%10d\n" % os.getpid()
    lock.release()
    assert os.listdir(tmp_path) == []


def test_the_binary_dialect_of_a_live_holder_is_understood(tmp_path, living):
    (tmp_path / "LCK..ttyS0").write_bytes(living.to_bytes(4, sys.byteorder))
    with pytest.raises(OSError, match=f"process {living}"):
        LockFile(str(tmp_path), "/dev/ttyS0").take()


def test_the_leftover_of_a_process_that_was_killed_while_it_wrote_does_no_harm(tmp_path):
    (tmp_path / f"LTMP.{os.getpid()}").write_bytes(b"")
    lock = LockFile(str(tmp_path), "/dev/ttyS0")
    lock.take()
    lock.release()
    assert os.listdir(tmp_path) == []


def test_a_link_planted_in_the_directory_is_not_followed(tmp_path):
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    locks = tmp_path / "locks"
    locks.mkdir()
    (locks / f"LTMP.{os.getpid()}").symlink_to(victim)
    lock = LockFile(str(locks), "/dev/ttyS0")
    lock.take()
    lock.release()
    assert victim.read_bytes() == b"precious"
    assert os.listdir(locks) == []


def test_a_lock_that_somebody_else_took_over_is_not_removed(tmp_path, living):
    lock = LockFile(str(tmp_path), "/dev/ttyS0")
    lock.take()
    (tmp_path / "LCK..ttyS0").write_bytes(b"%10d\n" % living)
    lock.release()
    assert (tmp_path / "LCK..ttyS0").read_bytes() == b"%10d\n" % living


def test_a_missing_directory_is_made_also_behind_a_dangling_link(tmp_path):
    (tmp_path / "var-lock").symlink_to(tmp_path / "run" / "lock")
    lock = LockFile(str(tmp_path / "var-lock"), "/dev/ttyS0")
    lock.take()
    assert os.listdir(tmp_path / "run" / "lock") == ["LCK..ttyS0"]
    lock.release()


def test_a_directory_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OSError, match="cannot write the lock file") as caught:
        LockFile(str(tmp_path / "file" / "locks"), "/dev/ttyS0").take()
    assert "/dev/ttyS0" in caught.value.strerror


def test_a_leftover_is_left_to_the_process_that_is_removing_it(tmp_path, dead):
    path = tmp_path / "LCK..ttyS0"
    path.write_bytes(b"%10d\n" % dead)
    directory = os.open(tmp_path, os.O_RDONLY)
    try:
        fcntl.flock(directory, fcntl.LOCK_EX)
        with pytest.raises(OSError, match="another process") as caught:
            LockFile(str(tmp_path), "/dev/ttyS0").take()
    finally:
        os.close(directory)
    assert caught.value.errno == errno.EBUSY
    assert path.read_bytes() == b"%10d\n" % dead


RACER = """
import sys
from heartbeat.media.lock import LockFile
lock = LockFile(sys.argv[1], "/dev/ttyS0")
print("ready", flush=True)
input()
try:
    lock.take()
except OSError:
    print("no", flush=True)
else:
    print("yes", flush=True)
input()
"""


def test_of_processes_that_find_the_same_leftover_at_most_one_takes_it(tmp_path, dead):
    """The one that has it also finds its own number in the file. (All may fail at once: they try again later.)"""
    path = tmp_path / "LCK..ttyS0"
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", RACER, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(3)
    ]
    try:
        for racer in racers:
            assert racer.stdout.readline() == "ready\n"
        path.write_bytes(b"%10d\n" % dead)
        for racer in racers:
            racer.stdin.write("\n")
            racer.stdin.flush()
        winners = [racer.pid for racer in racers if racer.stdout.readline() == "yes\n"]
        assert len(winners) <= 1
        if winners:
            assert int(path.read_bytes()) == winners[0]
    finally:
        for racer in racers:
            racer.kill()
            racer.communicate()


def test_a_lock_written_after_the_leftover_was_found_gone_stays(tmp_path, monkeypatch):
    """Two found the same leftover. The slower looks again when the faster has removed it, and just then is about to
    write its own."""
    lock, look = LockFile(str(tmp_path), "/dev/ttyS0"), LockFile._holder

    def look_and_be_overtaken(self):
        found = look(self)
        (tmp_path / "LCK..ttyS0").write_bytes(b"%10d\n" % os.getppid())
        return found

    monkeypatch.setattr(LockFile, "_holder", look_and_be_overtaken)
    lock._remove_leftover()
    assert int((tmp_path / "LCK..ttyS0").read_bytes()) == os.getppid()
