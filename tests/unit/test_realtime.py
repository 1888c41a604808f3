"""Timer, memory lock, scheduling, the supervisor's protocol; what would change our own process is done in another."""

import fcntl
import os
import select
import signal
import socket
import subprocess
import sys
import sysconfig
import termios
import time
import zlib
from pathlib import Path

import pytest

from heartbeat import realtime

root = pytest.mark.skipif(os.geteuid() != 0, reason="needs the right that is tested")
with_kernel = pytest.mark.skipif(realtime.Timer is None, reason="heartbeat._kernel is not built")


def now_ns():
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


def in_a_process(code, *, before=None, environment=None):
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
        preexec_fn=before,
        env={**os.environ, **(environment or {})},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def without_rights():
    """Somebody else's rights: uid and gid nobody, no real-time priority, little memory to lock."""
    import resource

    # who runs at nice -20 already needs no right to stay there
    os.setpriority(os.PRIO_PROCESS, 0, 0)
    resource.setrlimit(resource.RLIMIT_RTPRIO, (0, 0))
    resource.setrlimit(resource.RLIMIT_NICE, (0, 0))
    resource.setrlimit(resource.RLIMIT_MEMLOCK, (65536, 65536))
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)


# The timer


@pytest.fixture
def timer():
    assert realtime.Timer is not None
    made = realtime.Timer()
    yield made
    made.close()


@with_kernel
def test_the_timer_fires_at_its_instant_and_not_before(timer):
    poll = select.epoll()
    poll.register(timer.fileno(), select.EPOLLIN)
    at = now_ns() + 20_000_000
    timer.set(at)
    assert poll.poll(10) == [(timer.fileno(), select.EPOLLIN)]
    assert now_ns() >= at
    assert poll.poll(0), "readable until it is cleared"
    timer.clear()
    assert not poll.poll(0)
    poll.close()


@with_kernel
@pytest.mark.parametrize("instant", [-5, 0, 1, 10**9])
def test_an_instant_that_is_past_fires_at_once(timer, instant):
    timer.set(instant)
    assert select.select([timer.fileno()], [], [], 10)[0]


@with_kernel
def test_none_disarms_and_a_new_instant_replaces_the_old(timer):
    timer.set(1)
    timer.set(None)
    assert not select.select([timer.fileno()], [], [], 0.05)[0]
    timer.set(now_ns() + 3600 * 10**9)
    timer.set(now_ns() + 10**6)
    assert select.select([timer.fileno()], [], [], 10)[0]
    timer.set(now_ns() + 3600 * 10**9)
    timer.clear()  # nothing to clear is no error
    assert not select.select([timer.fileno()], [], [], 0)[0]


@with_kernel
def test_the_timer_runs_on_the_clock_of_the_instants_and_is_not_inherited(timer):
    with open(f"/proc/self/fdinfo/{timer.fileno()}") as file:
        fields = dict(line.split(":", 1) for line in file)
    assert int(fields["clockid"]) == time.CLOCK_BOOTTIME
    assert not os.get_inheritable(timer.fileno())


def test_without_the_compiled_part_everything_says_so_and_works():
    code = (
        "import sys; sys.modules['heartbeat._kernel'] = None\n"
        "from heartbeat import realtime\n"
        "print(realtime.Timer, realtime.lock_memory())"
    )
    assert in_a_process(code).startswith("None memory is not locked: no heartbeat._kernel")


# Memory and scheduling


@root
@with_kernel
def test_memory_is_locked_on_fault():
    code = (
        "from heartbeat import realtime\n"
        "print(realtime.lock_memory())\n"
        "status = dict(line.split(':', 1) for line in open('/proc/self/status') if ':' in line)\n"
        "locked, resident = (int(status[name].split()[0]) for name in ('VmLck', 'VmRSS'))\n"
        "print(locked > 1000, resident < locked)"
    )
    assert in_a_process(code).splitlines() == ["None", "True True"], "all locked, and not all of it made resident"


FORGET = """
import sys
sys.path += {paths!r}
import struct
from heartbeat._kernel import lib
def parts():
    found, of_file = [], False
    for line in open("/proc/self/smaps"):
        words = line.split()
        if words[0].endswith(":"):
            found[-1][words[0]] = words[1:]
        else:
            found.append({{"mode": words[1], "offset": words[2], "file": words[5] if len(words) > 5 else ""}})
    return [part for part in found if part["file"].startswith("/") and "w" not in part["mode"]]
def dirty(parts):
    return sum(int(part["Private_Dirty:"][0]) for part in parts)
def rss(parts):
    return sum(int(part["Rss:"][0]) for part in parts)
parts()
before = parts()
lib.forget_code()
after = parts()
print(len(before), len(after), rss(before), rss(after), dirty(before), dirty(after))
print(*{{part["file"] for part in after if part["offset"] == "00000000" and "dd" in part["VmFlags:"]}}, "-")
import json, re, zlib
print(json.loads(json.dumps([re.sub("a", "b", "aa"), zlib.crc32(b"x")])))
"""


@with_kernel
def test_code_that_has_run_is_forgotten_and_runs_again():
    """What a loader has written into a library stays, and each file's head, by which a dump of the process names it."""
    paths = [str(Path(realtime.__file__).parents[1]), sysconfig.get_path("platlib")]
    argv = [sys.executable, "-I", "-S", "-c", FORGET.format(paths=paths)]
    done = subprocess.run(argv, check=False, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    counts, dumped, works = done.stdout.splitlines()
    mappings, pieces, before, after, *dirty = map(int, counts.split())
    assert pieces > 4 * mappings
    assert after < before * 3 // 4
    assert dirty[0] == dirty[1]
    assert dumped == "-"
    assert works == f"['bb', {zlib.crc32(b'x')}]"


@root
@with_kernel
def test_without_the_right_memory_stays_unlocked_and_it_says_why():
    code = (
        "from heartbeat import realtime\n"
        "print(realtime.lock_memory())\n"
        "print(bytearray(50_000_000)[0])"  # what fails later, when a finite limit was accepted
    )
    said = in_a_process(code, before=without_rights).splitlines()
    assert said[0].startswith("memory is not locked: it needs CAP_IPC_LOCK")
    assert said[1] == "0"


SCHEDULING = (
    "import os, sys\n"
    "from heartbeat import realtime\n"
    "print(realtime.go_realtime({}))\n"
    "print(os.sched_getscheduler(0) == os.SCHED_RR | os.SCHED_RESET_ON_FORK, os.sched_getparam(0).sched_priority)\n"
    "pid = os.posix_spawn('/bin/sh', ['sh', '-c', 'exec cut -d\" \" -f18,19,41 /proc/self/stat'], {{}})\n"
    "sys.stdout.flush(); os.waitpid(pid, 0)\n"
)


@root
@pytest.mark.parametrize(("asked", "given"), [("", 50), ("None", 50), ("7", 7), ("1000", 99), ("0", 1)])
def test_round_robin_in_the_middle_of_the_range_and_children_are_ordinary(asked, given):
    code = SCHEDULING.format(asked) + "print(open('/proc/self/stat').read().split()[40])"
    said = in_a_process(code)
    if "no real-time scheduling" in said:
        pytest.skip(f"this container forbids it: {said}")
    reason, scheduled, rest = said.split("\n", 2)
    assert (reason, scheduled) == ("None", f"True {given}")
    assert sorted(rest.split("\n")[:2]) == ["2", "20 0 0"], (
        "2: ours is SCHED_RR; the child's 20 0 0 is nice 0, SCHED_OTHER"
    )


@root
def test_where_real_time_is_denied_nice_is_taken_and_children_are_ordinary():
    """Root cannot be denied the one and allowed the other: so it is Python's function that refuses here."""
    code = (
        "import os\n"
        "real = os.sched_setscheduler\n"
        "def refuse(pid, policy, param):\n"
        "    if policy & ~os.SCHED_RESET_ON_FORK == os.SCHED_RR: raise PermissionError(1, 'Operation not permitted')\n"
        "    return real(pid, policy, param)\n"
        "os.sched_setscheduler = refuse\n" + SCHEDULING.format("") + "print(os.getpriority(os.PRIO_PROCESS, 0))"
    )
    said = in_a_process(code)
    assert "no real-time scheduling: Operation not permitted" in said
    assert "running at nice -20 instead" in said
    assert "20 0 0\n" in said, "the child is at nice 0"
    assert "-20\n" in said


@root
def test_without_any_right_it_says_both_and_works():
    said = in_a_process("from heartbeat import realtime; print(realtime.go_realtime())", before=without_rights)
    assert said.startswith("no real-time scheduling: Operation not permitted")
    assert "nor nice -20" in said


GROUP_OF_THE_SESSION = Path("/proc/self/autogroup")


@root
@pytest.mark.parametrize("terminal", [False, True])
def test_a_session_of_its_own_goes_first_too_unless_it_has_a_terminal(terminal):
    if not GROUP_OF_THE_SESSION.exists() or not GROUP_OF_THE_SESSION.read_text():
        pytest.skip("this kernel does not group processes by session")
    before = GROUP_OF_THE_SESSION.read_text()
    controller, line = os.openpty()

    def begin_session():
        os.setsid()
        fcntl.ioctl(line, termios.TIOCSCTTY, 0)

    try:
        said = in_a_process(
            "import os\nfrom heartbeat.precedence import go_first\n"
            f"print(go_first(), os.getsid(0) == os.getpid(), open('{GROUP_OF_THE_SESSION}').read().split()[-1])",
            before=begin_session if terminal else None,
        )
    finally:
        os.close(controller)
        os.close(line)
    assert said == f"None True {0 if terminal else -20}\n"
    assert GROUP_OF_THE_SESSION.read_text() == before, "who started it goes no sooner"


# The supervisor


@pytest.mark.parametrize("abstract", [False, True])
def test_notify_reaches_the_supervisor(tmp_path, monkeypatch, abstract):
    path = f"\0heartbeat-test-{os.getpid()}" if abstract else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as supervisor:
        supervisor.bind(path)
        monkeypatch.setenv("NOTIFY_SOCKET", path.replace("\0", "@"))
        assert realtime.notify("READY=1\nSTATUS=julius holds all · ja")
        supervisor.settimeout(10)
        assert supervisor.recv(4096).decode() == "READY=1\nSTATUS=julius holds all · ja"


@pytest.mark.parametrize("path", [None, "", "relative", "/nonexistent/socket", "@nobody-listens", "/" + "x" * 200])
def test_notify_is_silent_where_nobody_listens(monkeypatch, path):
    if path is None:
        monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    else:
        monkeypatch.setenv("NOTIFY_SOCKET", path)
    before = os.listdir("/proc/self/fd")
    assert not realtime.notify("READY=1")
    assert os.listdir("/proc/self/fd") == before


@pytest.fixture
def limit():
    """What should not wait and does is ended after 20 s."""

    def too_long(_signal, _frame):
        raise AssertionError("it waits")

    old = signal.signal(signal.SIGALRM, too_long)
    signal.alarm(20)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, old)


@pytest.mark.usefixtures("limit")
def test_notify_never_blocks(tmp_path, monkeypatch):
    path = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as supervisor:
        supervisor.bind(path)
        monkeypatch.setenv("NOTIFY_SOCKET", path)
        told = 0
        while realtime.notify("WATCHDOG=1"):
            told += 1
            assert told < 100_000, "a queue has an end"
        for _ in range(told):
            supervisor.recv(100)
        assert realtime.notify("WATCHDOG=1")


@pytest.mark.parametrize(
    ("usec", "pid", "expected"),
    [
        (None, None, None),
        ("2000000", None, 1_000_000_000),
        ("2000000", "self", 1_000_000_000),
        ("2000000", "1", None),
        ("0", None, None),
        ("-5", None, None),
        ("soon", None, None),
        ("3", "nobody", None),
        ("1", None, 500),
    ],
)
def test_the_watchdogs_interval(monkeypatch, usec, pid, expected):
    for name, value in (("WATCHDOG_USEC", usec), ("WATCHDOG_PID", str(os.getpid()) if pid == "self" else pid)):
        if value is None:
            monkeypatch.delenv(name, raising=False)
        else:
            monkeypatch.setenv(name, value)
    assert realtime.watchdog_interval_ns() == expected


def test_importing_it_loads_nothing_large():
    """What the daemon keeps in memory for good: each of these costs a megabyte or so."""
    large = {"contextlib", "ctypes", "dataclasses", "enum", "inspect", "re", "signal", "socket", "subprocess", "typing"}
    code = (
        f"import sys; sys.path[:0] = {[str(Path(__file__).parents[2]), *filter(None, sys.path)]!r}\n"
        "import heartbeat.realtime, heartbeat.children\n"
        f"print(*sorted(sys.modules.keys() & {large!r}))"
    )
    done = subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
