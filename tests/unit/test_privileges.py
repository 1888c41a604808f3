"""What the daemon's process gives up, seen from /proc and tried in processes of their own; what its children have."""

import os
import subprocess
import sys

import pytest

from heartbeat import privileges

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root has something to give up")

KEPT = {
    "DAC_OVERRIDE": 1, "FOWNER": 3, "KILL": 5, "NET_BIND_SERVICE": 10, "NET_ADMIN": 12, "NET_RAW": 13, "IPC_LOCK": 14,
    "SYS_NICE": 23,
}  # fmt: skip
SETS = ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")


def in_a_process(program, *, before=""):
    code = f"import os, subprocess, sys\n{before}\nfrom heartbeat import privileges\n{program}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def capabilities(text):
    found = dict(line.split(":\t") for line in text.splitlines() if line.startswith("Cap"))
    return {name: int(found[name], 16) for name in SETS}


def test_what_stays_is_what_is_listed_and_a_child_has_everything():
    program = """
before = open("/proc/self/status").read()
assert privileges.drop_capabilities() is None
print(open("/proc/self/status").read(), "----", before, "----", sep="\\n", flush=True)
subprocess.run(["/bin/cat", "/proc/self/status"], check=True)
"""
    ours, before, childs = map(capabilities, in_a_process(program).split("----\n"))
    expected = sum(1 << number for number in KEPT.values())
    assert ours["CapPrm"] == ours["CapEff"] == before["CapPrm"] & expected
    assert ours["CapBnd"] == before["CapBnd"], "what a script may do is the operator's to say"
    assert childs == before
    assert ours["CapEff"] != before["CapEff"]


@pytest.mark.parametrize(
    "deed",
    [
        "os.setuid(65534)", "os.chroot('/')", "time.clock_settime(time.CLOCK_REALTIME, time.time())",
        "socket.sethostname(socket.gethostname())", "namespaces.new_network()", "os.chown(name, 1, 1)",
        "resource.setrlimit(resource.RLIMIT_NOFILE, (limit[1] + 1, limit[1] + 1))",
    ],
)  # fmt: skip
def test_what_it_can_do_no_more(deed, tmp_path):
    (tmp_path / "file").touch()
    program = f"""
import resource, socket, time
from heartbeat.demo import namespaces
name, limit = {str(tmp_path / "file")!r}, resource.getrlimit(resource.RLIMIT_NOFILE)
assert privileges.drop_capabilities() is None
try:
    {deed}
except (PermissionError, ValueError) as error:
    print("refused")
"""
    assert in_a_process(program) == "refused\n"


def test_what_it_can_do_still(tmp_path):
    """Sockets on a device and on the port, packets, real time, locked memory, other users' files and processes."""
    (tmp_path / "theirs").mkdir(mode=0o700)
    (tmp_path / "theirs" / "file").write_text("x")
    os.chown(tmp_path / "theirs", 65534, 65534)
    os.chown(tmp_path / "theirs" / "file", 65534, 65534)
    program = f"""
import signal, socket
from heartbeat import realtime
from heartbeat.demo import namespaces
child = subprocess.Popen(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "sleep", "60"])
network = namespaces.new_network()
with namespaces.inside(network):
    # a process that has given up its rights cannot leave it again
    assert privileges.drop_capabilities() is None
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"lo")
    udp.bind(("", 694))
    socket.socket(socket.AF_PACKET, socket.SOCK_RAW).close()
    assert realtime.go_realtime() is None
    assert realtime.lock_memory() is None
    os.unlink({str(tmp_path / "theirs" / "file")!r})
    child.send_signal(signal.SIGKILL)
    assert child.wait() == -9
    # a child that becomes somebody else, as respawn clients do
    become = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    assert subprocess.run([*become, "id", "-u"], capture_output=True).stdout == b"65534\\n"
    print("done", flush=True)
    os._exit(0)
"""
    assert in_a_process(program) == "done\n"


CORE = """
import resource
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
"""


@pytest.mark.parametrize("hidden", [True, False])
def test_memory_is_hidden_and_a_childs_is_not(hidden):
    program = f"""
assert privileges.hide_memory() is None
assert privileges.hide_memory({hidden}) is None
import ctypes
print(ctypes.CDLL(None).prctl(3, 0, 0, 0, 0), flush=True)  # PR_GET_DUMPABLE
child = "import ctypes; print(ctypes.CDLL(None).prctl(3, 0, 0, 0, 0))"
subprocess.run([sys.executable, "-c", child], check=True)
"""
    assert in_a_process(program, before=CORE).split() == ["0" if hidden else "1", "1"]


@pytest.mark.parametrize(("before", "after"), [(0o000, 0o022), (0o022, 0o022), (0o077, 0o077), (0o002, 0o022)])
def test_the_umask_is_made_no_looser(before, after):
    assert (
        in_a_process("privileges.mask_files(); print(oct(os.umask(0)))", before=f"os.umask({before})")
        == f"{oct(after)}\n"
    )


def test_without_the_bindings_it_is_said(monkeypatch):
    monkeypatch.setattr(privileges, "_kernel", None)
    assert "cffi" in privileges.hide_memory()
    assert privileges.hide_memory(False) is None
    assert "cffi" in privileges.drop_capabilities()


def test_who_is_not_root_keeps_what_he_was_given():
    program = """
os.setuid(65534)
def held():
    return [line for line in open("/proc/self/status") if line.startswith("Cap")]
before = held()
assert privileges.drop_capabilities() is None
print(held() == before)
"""
    assert in_a_process(program) == "True\n"
