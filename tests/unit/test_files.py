"""The operator's files, read by a process that lets their readers go each time."""

import subprocess
import sys

from tidy.sources import ROOT

PROGRAM = """
import gc, os, sys, weakref
sys.path.insert(0, {root!r})
from heartbeat import files
from heartbeat.paths import Paths
paths = Paths({folder!r})
first = files.read(paths, divisor=1)
kinds = {{type(each) for each in (first, *first.media)}}
import heartbeat.config.hacf
gone = weakref.ref(heartbeat.config.hacf.Reader)
second = files.read(paths, divisor=1, previous=first)
assert second == first and second.media == first.media
assert {{type(each) for each in (second, *second.media)}} == kinds
assert gone() is None, gc.get_referrers(gone())
assert {{name for name in sys.modules if name.startswith("heartbeat.config")}} == {{"heartbeat.config.record"}}
with open({folder!r} + "/ha.cf", "a") as file:
    file.write("keepalive never\\n")
try:
    files.read(paths, divisor=1, previous=second)
except files.WrongFilesError as error:
    print(*error.lines)
"""


def test_what_is_read_again_is_of_the_same_classes_and_the_readers_are_gone(tmp_path):
    node = "julius"
    (tmp_path / "nodeinfo").write_text(f"{node}\n")
    (tmp_path / "ha.cf").write_text(f"mcast lo 239.0.0.1 694 1 0\nnode {node} caesar\n")
    (tmp_path / "haresources").write_text(f"{node} 10.0.0.254\n")
    (tmp_path / "authkeys").write_text("auth 1\n1 sha1 secret\n")
    (tmp_path / "authkeys").chmod(0o600)
    program = PROGRAM.format(root=str(ROOT), folder=str(tmp_path))
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    assert f"{tmp_path}/ha.cf:3: " in done.stdout
