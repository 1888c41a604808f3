"""State files: the original's octets, replaced whole, and a pid file that cannot lie."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import random
import resource
import select
import signal
import stat
import subprocess
import threading
import uuid

import pytest
import tiny_daemon

from heartbeat import persist

WALL_S = 1_795_000_000


@pytest.fixture
def directory(tmp_path):
    return str(tmp_path)


def content(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


def put(path: str, octets: bytes) -> None:
    with open(path, "wb") as file:
        file.write(octets)


# generation


def test_the_first_generation_is_one_more_than_the_clock(directory):
    assert persist.next_generation(directory, "file", WALL_S) == WALL_S + 1
    assert content(f"{directory}/hb_generation") == b"     1795000001\n"


def test_each_start_counts_on_from_the_file_whatever_the_clock_says(directory):
    put(f"{directory}/hb_generation", b"     1795000001\n")
    assert [persist.next_generation(directory, "file", wall_s) for wall_s in (0, WALL_S * 2, 1)] == [
        1795000002,
        1795000003,
        1795000004,
    ]
    assert content(f"{directory}/hb_generation") == b"     1795000004\n"


@pytest.mark.parametrize("method", ["file", "time"])
def test_a_file_that_was_set_back_is_passed_and_that_is_said(directory, method):
    """By the number of a run that has died since this machine was switched on."""
    told = []
    put(f"{directory}/hb_generation", b"     1795000001\n")
    more = {"run_dir": directory, "warn": told.append}
    assert persist.next_generation(directory, method, WALL_S, above=1795000009, **more) == 1795000010
    assert content(f"{directory}/hb_generation") == b"     1795000010\n"
    (line,) = told
    assert "1795000009" in line
    assert persist.next_generation(directory, method, WALL_S, above=1795000009, **more) == 1795000011
    assert len(told) == 1


def test_a_small_number_is_counted_on_too(directory):
    put(f"{directory}/hb_generation", b"              7\n")
    assert persist.next_generation(directory, "file", WALL_S) == 8
    assert content(f"{directory}/hb_generation") == b"              8\n"


@pytest.mark.parametrize("damaged", [b"", b"17950", b"     17950x0001\n", b"\0" * 16, b"    -1795000001\n"])
def test_a_damaged_file_goes_forward_to_the_clock_and_says_so(directory, damaged):
    put(f"{directory}/hb_generation", damaged)
    warnings: list[str] = []
    assert persist.next_generation(directory, "file", WALL_S, warn=warnings.append) == WALL_S + 1
    assert len(warnings) == 1
    assert "hb_generation" in warnings[0]
    assert content(f"{directory}/hb_generation") == b"     1795000001\n"


def test_method_time_leaves_no_file_and_no_number_twice(directory):
    state, run = f"{directory}/state", f"{directory}/run"
    os.mkdir(state)
    os.mkdir(run)
    numbers = [persist.next_generation(state, "time", wall_s, run_dir=run) for wall_s in (100, 100, 100, 101, 200)]
    assert numbers == [100, 101, 102, 103, 200]
    assert os.listdir(state) == []


def test_method_time_believes_a_clock_that_was_set_right(directory):
    assert persist.next_generation(directory, "time", 10**10, run_dir=directory) == 10**10
    assert persist.next_generation(directory, "time", WALL_S, run_dir=directory) == WALL_S


def test_a_write_that_fails_leaves_the_old_number(directory):
    put(f"{directory}/hb_generation", b"     1795000001\n")
    before, after = signal.signal(signal.SIGXFSZ, signal.SIG_IGN), resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4, after[1]))  # a disk that is full after four octets
    try:
        with pytest.raises(OSError):
            persist.next_generation(directory, "file", WALL_S)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, after)
        signal.signal(signal.SIGXFSZ, before)
    assert content(f"{directory}/hb_generation") == b"     1795000001\n"


@pytest.fixture
def full_disk(monkeypatch):
    """No new octet of a file finds room; what is overwritten does."""

    def write(fd, octets):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(persist.os, "write", write)


def test_on_a_full_disk_each_start_still_counts_on(directory, full_disk):
    put(f"{directory}/hb_generation", b"     1795000001\n")
    assert persist.next_generation(directory, "file", 0) == 1795000002
    assert persist.next_generation(directory, "file", WALL_S * 2) == 1795000003
    assert content(f"{directory}/hb_generation") == b"     1795000003\n"


@pytest.mark.parametrize("there", [None, b"", b"17950", b"x" * 17])
def test_on_a_full_disk_nothing_is_begun(directory, full_disk, there):
    if there is not None:
        put(f"{directory}/hb_generation", there)
    with pytest.raises(OSError, match="No space left"):
        persist.next_generation(directory, "file", WALL_S)


# uuid


def test_the_uuid_is_made_once_and_kept(directory):
    made = persist.node_uuid(directory, "file", "julius")
    assert uuid.UUID(bytes=made).version == 4
    assert uuid.UUID(bytes=made).variant == uuid.RFC_4122
    assert content(f"{directory}/hb_uuid") == made
    assert stat.S_IMODE(os.stat(f"{directory}/hb_uuid").st_mode) == 0o644
    assert persist.node_uuid(directory, "file", "julius") == made


def test_the_mode_of_the_uuid_does_not_depend_on_the_umask(directory):
    before = os.umask(0o077)
    try:
        persist.node_uuid(directory, "file", "julius")
    finally:
        os.umask(before)
    assert stat.S_IMODE(os.stat(f"{directory}/hb_uuid").st_mode) == 0o644


def test_the_originals_uuid_is_taken_as_it_is(directory):
    put(f"{directory}/hb_uuid", bytes(range(1, 17)))
    assert persist.node_uuid(directory, "file", "julius") == bytes(range(1, 17))


@pytest.mark.parametrize("damaged", [b"", b"short", bytes(16), bytes(range(17))])
def test_a_damaged_uuid_is_replaced_and_said(directory, damaged):
    put(f"{directory}/hb_uuid", damaged)
    warnings: list[str] = []
    made = persist.node_uuid(directory, "file", "julius", warn=warnings.append)
    assert len(made) == 16
    assert any(made)
    assert content(f"{directory}/hb_uuid") == made
    assert len(warnings) == 1


@pytest.fixture
def libc():
    try:
        return ctypes.CDLL("libc.so.6")
    except OSError:
        pytest.skip("no glibc here to compare with")


def test_the_generator_is_glibcs(libc):
    drawn = random.Random(1)
    seeds = [0, 1, 2, 127773, 2**31 - 1, 2**31, 2**32 - 1, *(drawn.getrandbits(32) for _ in range(200))]
    for seed in seeds:
        libc.srand(ctypes.c_uint(seed))
        assert persist.c_rand(seed, 40) == [libc.rand() for _ in range(40)], seed


def test_a_uuid_from_the_name_is_what_the_c_library_makes_of_it(libc, directory):
    seed = ord("b") * 31**2 + ord("o") * 31 + ord("b")
    libc.srand(seed)
    digits = "".join(f"{libc.rand() % 16:x}" for _ in range(32))
    assert persist.node_uuid(directory, "nodename", "bob").hex() == digits
    assert os.listdir(directory) == []


def test_a_long_name_wraps_at_32_bits(libc):
    seed = 0
    for letter in "marcus-aurelius-antoninus":
        seed = (seed * 31 + ord(letter)) & 0xFFFFFFFF
    libc.srand(ctypes.c_uint(seed))
    digits = "".join(f"{libc.rand() % 16:x}" for _ in range(32))
    assert persist.uuid_from_name("marcus-aurelius-antoninus").hex() == digits


# directories


def test_directories_are_made_for_root_and_group_alone(directory):
    before = os.umask(0o077)
    try:
        persist.make_directory(f"{directory}/a/b")
    finally:
        os.umask(before)
    assert stat.S_IMODE(os.stat(f"{directory}/a/b").st_mode) == 0o750
    os.chmod(f"{directory}/a/b", 0o700)
    persist.make_directory(f"{directory}/a/b")
    assert stat.S_IMODE(os.stat(f"{directory}/a/b").st_mode) == 0o700, "one that is there belongs to the operator"


def test_a_file_in_the_place_of_a_directory_is_named(directory):
    put(f"{directory}/run", b"")
    with pytest.raises(NotADirectoryError, match="in the way"):
        persist.make_directory(f"{directory}/run")


# pid file


def test_the_pid_file_has_eleven_octets_and_goes_with_the_daemon(directory):
    path = f"{directory}/heartbeat.pid"
    pid_file = persist.PidFile(path)
    assert content(path) == b"%10d\n" % os.getpid()
    pid_file.close()
    pid_file.close()
    assert not os.path.exists(path)


def test_a_second_daemon_is_refused_by_name(directory):
    with tiny_daemon.running(directory) as process, pytest.raises(persist.AlreadyRunning) as refused:
        persist.PidFile(f"{directory}/heartbeat.pid")
    assert refused.value.pid == process.pid
    assert str(process.pid) in str(refused.value)


def test_a_daemon_beside_the_original_is_refused(directory):
    """Both would speak in this node's name."""
    path = f"{directory}/run/heartbeat.pid"
    os.mkdir(f"{directory}/run")
    with subprocess.Popen(["heartbeat: master control process", "60"], executable="/bin/sleep") as original:
        try:
            while not content(f"/proc/{original.pid}/cmdline"):  # between its birth and its name
                os.sched_yield()
            put(f"{directory}/heartbeat.pid", b"%10d\n" % original.pid)
            with pytest.raises(persist.AlreadyRunning, match="Heartbeat 3") as refused:
                persist.PidFile(path)
        finally:
            original.kill()
    assert refused.value.pid == original.pid
    assert not os.path.exists(path)
    # its file stays behind, with a number that is nobody's, or somebody else's
    persist.PidFile(path).close()
    put(f"{directory}/heartbeat.pid", b"%10d\n" % os.getpid())
    persist.PidFile(path).close()


def test_a_daemon_that_was_killed_leaves_a_file_that_nobody_believes(directory):
    path = f"{directory}/heartbeat.pid"
    with tiny_daemon.running(directory) as process:
        process.kill()
        process.wait()
        assert content(path) == b"%10d\n" % process.pid
        assert persist.daemon_pidfd(path) is None
        persist.PidFile(path).close()


def test_a_number_that_somebody_else_has_now_is_not_the_daemon(directory):
    put(f"{directory}/heartbeat.pid", b"%10d\n" % os.getpid())
    assert persist.daemon_pidfd(f"{directory}/heartbeat.pid") is None


def test_the_pidfd_is_of_the_daemon_and_tells_its_end(directory):
    with tiny_daemon.running(directory) as process:
        pidfd = persist.daemon_pidfd(f"{directory}/heartbeat.pid")
        assert pidfd is not None
        ended = select.poll()
        ended.register(pidfd, select.POLLIN)
        assert not ended.poll(0)
        process.terminate()
        assert ended.poll(5000)
        os.close(pidfd)


def test_who_looks_at_the_lock_does_not_keep_a_daemon_from_starting(directory):
    """`stop` takes the lock for an instant to see whether it is taken."""
    path = f"{directory}/heartbeat.pid"
    put(path, b"")
    looking = os.open(path, os.O_RDONLY)
    fcntl.flock(looking, fcntl.LOCK_SH)
    timer = threading.Timer(0.05, os.close, [looking])
    timer.start()
    persist.PidFile(path).close()
    timer.join()


def test_a_file_removed_between_open_and_lock_is_not_taken_for_ours(directory, monkeypatch):
    """The race of a daemon that ends while the next one starts: the lock on a file without a name protects nothing."""
    path = f"{directory}/heartbeat.pid"
    lock = fcntl.flock
    raced = []

    def flock(fd: int, how: int) -> None:
        lock(fd, how)
        if not raced:
            raced.append(os.unlink(path))

    monkeypatch.setattr(fcntl, "flock", flock)
    pid_file = persist.PidFile(path)
    assert content(path) == b"%10d\n" % os.getpid()
    pid_file.close()
