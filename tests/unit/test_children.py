"""Children: real processes under a real poller. Tested are order, content and consequences, never milliseconds."""

import os
import signal
import subprocess
import sys
import time

import pytest

from heartbeat.children import CAPTURE_BYTES, KILLED, LINE_BYTES, LINES_PER_RUN, PIPES_LEFT_BEHIND, Children
from heartbeat.poller import Poller

ENVIRONMENT = {"PATH": os.environ["PATH"]}


class Daemon:
    """A poller, its children, and what they reported, in order."""

    def __init__(self):
        self.poller = Poller()
        self.events = []
        self.children = Children(self.poller, self.output, self.exited)

    def output(self, name, line):
        self.events.append(("line", name, line))

    def exited(self, key, code, detail):
        self.events.append(("exit", key, code, detail))

    def script(self, key, text, *, name="script", environment=ENVIRONMENT, **options):
        self.children.spawn(key, name, ["/bin/sh", "-c", text], environment, **options)

    def until(self, condition, timeout_s=20):
        end = time.monotonic() + timeout_s
        while not condition():
            assert time.monotonic() < end, f"never came; so far: {self.events}"
            self.poller.wait(0.05)

    def run(self, key, text, **options):
        """(code, detail, lines) when it has ended."""
        self.script(key, text, **options)
        self.until(lambda: self.ended(key))
        code, detail = self.ended(key)[0]
        return code, detail, self.lines()

    def ended(self, key):
        return [event[2:] for event in self.events if event[:2] == ("exit", key)]

    def lines(self):
        return [event[2] for event in self.events if event[0] == "line"]


@pytest.fixture
def daemon():
    made = Daemon()
    before = set(os.listdir("/proc/self/fd"))
    yield made
    made.children.close()
    made.poller.close()
    # nothing that was opened since is left: the poller and the eventfd themselves are gone as well
    assert set(os.listdir("/proc/self/fd")) < before | {"-"}


def alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


def test_output_comes_line_by_line_with_the_name_and_before_the_end(daemon):
    code, detail, lines = daemon.run(7, "echo one; echo two >&2; printf three; exit 3", name="web")
    assert (code, detail) == (3, "exit code 3")
    assert lines == ["one", "two", "three"]
    assert daemon.events[-1] == ("exit", 7, 3, "exit code 3")
    assert {event[1] for event in daemon.events[:-1]} == {"web"}


def test_what_was_written_last_comes_before_the_end_though_the_end_is_seen_first(daemon):
    daemon.script(1, "echo last words")
    child = daemon.children._running[1]
    daemon.poller.remove(child.pipes[0].fd)
    daemon.until(lambda: daemon.ended(1))
    assert daemon.events == [("line", "script", "last words"), ("exit", 1, 0, "")]


def test_success_needs_no_words_and_a_signal_is_told(daemon):
    assert daemon.run(1, "exit 0")[:2] == (0, "")
    assert daemon.run(2, "kill -TERM $$")[:2] == (128 + signal.SIGTERM, "killed by signal 15")


def test_several_at_once_keep_their_names(daemon):
    for key in range(20):
        daemon.script(key, f"echo {key}; exit {key}", name=f"n{key}")
    daemon.until(lambda: len(daemon.children) == 0)
    assert sorted(event for event in daemon.events if event[0] == "line") == sorted(
        ("line", f"n{key}", str(key)) for key in range(20)
    )
    assert all(daemon.ended(key)[0][0] == key for key in range(20))


def test_what_cannot_be_started_raises_and_leaves_nothing(daemon):
    before = os.listdir("/proc/self/fd")
    with pytest.raises(FileNotFoundError):
        daemon.children.spawn(1, "absent", ["/nonexistent/script", "start"], {})
    with pytest.raises(PermissionError):
        daemon.children.spawn(2, "directory", ["/etc", "start"], {})
    with pytest.raises(PermissionError):
        daemon.children.spawn(2, "directory", ["/etc", "start"], {}, capture=True)
    assert os.listdir("/proc/self/fd") == before
    assert len(daemon.children) == 0
    assert daemon.run(3, "echo works")[2] == ["works"]


# What a child starts with


def test_a_child_starts_clean(daemon):
    inherited = os.open("/dev/null", os.O_RDONLY)
    os.set_inheritable(inherited, True)  # as a shell may leave it to the daemon
    daemon.children.close()
    daemon.children = Children(daemon.poller, daemon.output, daemon.exited)
    daemon.script(0, "sleep 60")  # its descriptors are not the next one's
    text = """
        echo "fds $(ls /proc/self/fd | tr '\\n' ' ')"
        echo "stdin $(readlink /proc/self/fd/0)"
        echo "session $(($(cut -d' ' -f6 /proc/$$/stat)-$$))"
        grep -E '^(SigBlk|SigIgn)' /proc/self/status
        env
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
    old = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        _, _, lines = daemon.run(1, text, environment={**ENVIRONMENT, "HA_CURHOST": "julius"})
    finally:
        signal.signal(signal.SIGINT, old)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGUSR1])
        os.close(inherited)
    said = dict(line.replace(": ", " ", 1).replace("=", " ", 1).split(" ", 1) for line in lines)
    assert said["fds"].split() == ["0", "1", "2", "3"], "3 is the directory that ls reads"
    assert said["stdin"] == "/dev/null"
    assert said["session"] == "0"
    assert int(said["SigBlk"], 16) == 0
    # (libc itself has 32 and 33 ignored: it means them for threads)
    assert int(said["SigIgn"], 16) & 0x7FFFFFFF == 0, "Python ignores SIGPIPE; a script must not"
    assert said["HA_CURHOST"] == "julius"
    assert "HOME" not in said


def test_a_child_may_write_as_if_to_a_file(daemon):
    """Our end of the pipe is non-blocking; the child's must not be, or a long write fails in the middle."""
    code, _, lines = daemon.run(1, "head -c 300000 /dev/zero | tr '\\0' x; echo; echo end")
    assert code == 0
    assert lines[-2] == "end" or "end" in lines
    assert lines[0] == "x" * LINE_BYTES + " …"


# Limits


def test_a_megabyte_of_output_is_cut_and_counted(daemon):
    code, _, lines = daemon.run(1, "yes 'a line of thirty-two characters.' | head -c 1048576")
    assert code == 0
    assert len(lines) == LINES_PER_RUN + 1
    assert set(lines[:-1]) == {"a line of thirty-two characters."}
    kept = LINES_PER_RUN * len("a line of thirty-two characters.\n")
    assert lines[-1] == f"… {1048576 - kept} bytes more dropped"


def test_a_line_without_end_is_cut_and_the_next_is_whole(daemon):
    _, _, lines = daemon.run(1, f"head -c {LINE_BYTES + 1000} /dev/zero | tr '\\0' x; sleep 0.1; echo yyy; echo next")
    assert lines[0] == "x" * LINE_BYTES + " …"
    assert lines[1] == "next"
    assert lines[2] == f"… {1000 + len('yyy')} bytes more dropped"


def test_each_run_has_limits_of_its_own(daemon):
    daemon.run(1, "seq 1000")
    daemon.events.clear()
    assert daemon.run(2, "echo still here")[2] == ["still here"]


def test_output_cannot_forge_the_log(daemon):
    _, _, lines = daemon.run(1, r"printf 'a\rb\033[2Jc\td\377e\n\n\nf\n'")
    assert lines == ["a?b?[2Jc d\ufffde", "f"]


def test_a_writer_that_never_stops_starves_nobody(daemon):
    daemon.script(1, "yes")
    daemon.until(lambda: len(daemon.lines()) >= LINES_PER_RUN)
    rounds = 0
    assert daemon.run(2, "echo other")[0] == 0
    while rounds < 50:
        daemon.poller.wait(0.05)  # each returns: a bounded read, however much there is
        rounds += 1
    assert not daemon.ended(1)
    daemon.children.kill(1)
    daemon.until(lambda: daemon.ended(1))


# Captured output


def test_captured_output_is_the_detail_and_is_not_logged(daemon):
    code, detail, lines = daemon.run(1, "echo 'web is running'; echo complaint >&2; exit 3", capture=True)
    assert (code, detail) == (3, "web is running\n")
    assert lines == ["complaint"], "only standard output answers the question; errors are for the log"


def test_captured_output_is_bounded(daemon):
    code, detail, _ = daemon.run(1, "echo start; yes | head -c 1000000", capture=True)
    assert code == 0
    assert len(detail) == CAPTURE_BYTES
    assert detail.startswith("start\ny\n")


# Children of children


def test_a_daemon_left_behind_delays_nothing_and_lives_on(daemon):
    code, _, lines = daemon.run(1, "sleep 60 & echo $!; exit 0")
    assert code == 0
    pid = int(lines[0])
    assert alive(pid), "an init script's daemon is meant to stay"
    daemon.children.close()
    assert alive(pid)
    os.kill(pid, signal.SIGKILL)
    daemon.children = Children(daemon.poller, daemon.output, daemon.exited)


def test_a_daemon_left_behind_may_go_on_writing(daemon):
    code, _, lines = daemon.run(1, "(while [ ! -e $GO ]; do sleep 0.02; done; echo later; echo last) & echo first",
                                environment={**ENVIRONMENT, "GO": f"/tmp/heartbeat-test-{os.getpid()}"})  # fmt: skip
    assert (code, lines) == (0, ["first"])
    with open(f"/tmp/heartbeat-test-{os.getpid()}", "w"):
        pass
    daemon.until(lambda: daemon.lines()[-1] == "last")
    os.unlink(f"/tmp/heartbeat-test-{os.getpid()}")
    assert daemon.lines() == ["first", "later", "last"]


def test_pipes_left_behind_are_limited(daemon):
    pids = []
    for key in range(PIPES_LEFT_BEHIND + 20):
        daemon.events.clear()
        pids.append(int(daemon.run(key, "sleep 60 & echo $!")[2][0]))
    pipes = [fd for fd in os.listdir("/proc/self/fd") if _is_pipe(fd)]
    assert len(pipes) <= PIPES_LEFT_BEHIND + 8
    for pid in pids:
        os.kill(pid, signal.SIGKILL)


def _is_pipe(fd):
    try:
        return os.readlink(f"/proc/self/fd/{fd}").startswith("pipe:")
    except FileNotFoundError:
        return False


# Killing


def test_a_kill_takes_the_whole_process_group(daemon):
    daemon.script(1, "trap '' TERM INT; sleep 60 & echo $!; sleep 61 & echo $!; echo $$; wait")
    daemon.until(lambda: len(daemon.lines()) == 3)
    pids = [int(line) for line in daemon.lines()]
    daemon.children.kill(1)
    assert not daemon.ended(1), "reported from the poller, never from within kill"
    daemon.children.kill(1)
    daemon.until(lambda: daemon.ended(1))
    assert daemon.ended(1) == [(KILLED, "killed by signal 9")]
    daemon.until(lambda: not any(map(alive, pids)))
    daemon.children.kill(1)
    daemon.children.kill(99)


def test_a_killed_run_is_reported_though_its_process_cannot_die_yet(daemon):
    """As one that is stuck in the kernel, on a dead file server: the news of its end does not come."""
    daemon.script(1, "echo $$; sleep 60")
    daemon.until(daemon.lines)
    child = daemon.children._running[1]
    daemon.poller.remove(child.pidfd)
    daemon.children.kill(1)
    daemon.until(lambda: daemon.ended(1))
    assert daemon.ended(1) == [(KILLED, "killed by signal 9")]
    # and years later it does
    daemon.poller.add(child.pidfd, lambda _events: daemon.children._exited(child))
    daemon.until(lambda: not daemon.children._unburied)
    assert len(daemon.ended(1)) == 1


def test_close_kills_what_runs_but_not_what_is_detached(daemon):
    daemon.script(1, "echo $$; exec sleep 60")
    daemon.script(2, "echo $$; exec sleep 60", detached=True)
    daemon.until(lambda: len(daemon.lines()) == 2)
    ends = {int(line): name for name, line in [(event[1], event[2]) for event in daemon.events]}
    daemon.children.close()
    survivors = [pid for pid in ends if _survives(pid)]
    assert len(survivors) == 1
    os.kill(survivors[0], signal.SIGKILL)
    daemon.children = Children(daemon.poller, daemon.output, daemon.exited)


def _survives(pid):
    for _ in range(200):
        if not alive(pid):
            return False
        with open(f"/proc/{pid}/status") as status:
            pending = next(line for line in status if line.startswith("ShdPnd"))
        if int(pending.split()[1], 16) == 0:
            return True
        time.sleep(0.01)
    return True


def test_no_zombie_stays(daemon):
    before = _offspring()
    for key in range(5):
        daemon.run(key, "exit 0")
    daemon.script(6, "sleep 60")
    daemon.children.kill(6)
    daemon.until(lambda: daemon.ended(6) and not daemon.children._unburied)
    assert _offspring() == before


def _offspring():
    with open(f"/proc/{os.getpid()}/task/{os.getpid()}/children") as children:
        return children.read().split()


def test_who_prints_for_ever_is_read_at_a_bounded_rate():
    """Between two reads of a flood lies a pause, which here never ends: what was read stays bounded meanwhile."""
    poller, paused, lines = Poller(), [], []
    children = Children(
        poller, lambda name, line: lines.append(line), lambda *_: None, lambda ns, call: paused.append((ns, call))
    )
    try:
        children.spawn(1, "yes", ["/usr/bin/yes"], {})
        end = time.monotonic() + 20
        while not paused and time.monotonic() < end:
            poller.wait(0.1)
        assert len(lines) == LINES_PER_RUN
        for _ in range(20):
            poller.wait(0.001)
        assert len(paused) == 1
        delay_ns, listen_again = paused.pop()
        assert delay_ns > 0
        listen_again()
        poller.wait(5)
        assert len(paused) == 1
    finally:
        children.close()
        paused and paused.pop()[1]()  # a pause that ends after the pipe has gone
        poller.close()


REAL_TIME_DAEMON = """
import os, sys
sys.path.insert(0, {tests!r})
from test_children import Daemon
before = os.SCHED_RR | os.SCHED_RESET_ON_FORK, {priority}
os.sched_setscheduler(0, before[0], os.sched_param(before[1]))
daemon = Daemon()
show = "import os; print(os.sched_getscheduler(0), os.sched_getparam(0).sched_priority)"
for key in range(1, 9):
    # a child, and a child of a child's
    daemon.run(key, f"{{sys.executable}} -c '{{show}}'; ({{sys.executable}} -c '{{show}}')")
assert daemon.lines() == [f"{{os.SCHED_OTHER}} 0"] * 16, daemon.lines()
try:
    daemon.children.spawn(99, "none", ["/nonexistent"], {{}})
except FileNotFoundError:
    pass
assert (os.sched_getscheduler(0), os.sched_getparam(0).sched_priority) == before
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root is real-time")
@pytest.mark.parametrize("priority", [1, 2, 50])
def test_a_real_time_daemons_children_are_ordinary_processes_and_it_stays_what_it_is(priority):
    program = REAL_TIME_DAEMON.format(tests=os.path.dirname(__file__), priority=priority)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
