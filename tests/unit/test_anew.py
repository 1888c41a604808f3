"""What stands in for parts of the standard library in the daemon's interpreter."""

import os
import subprocess
import sys
import sysconfig

from tidy.sources import ROOT


def say(program: str, **environment: str) -> list[str]:
    """What the program prints in an interpreter as the daemon's."""
    paths = [str(ROOT), sysconfig.get_path("purelib"), sysconfig.get_path("platlib")]
    whole = f"import sys\nsys.path += {paths!r}\nfrom heartbeat import anew\nanew.stand_in()\nimport os\n{program}"
    argv = [sys.executable, "-I", "-S", "-X", "utf8", "-c", whole]
    done = subprocess.run(
        argv, check=False, capture_output=True, text=True, timeout=60, env={**os.environ, **environment}
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_the_system_calls_are_there_and_the_python_around_them_is_not():
    program = """
import posix, os.path
print(os.open is posix.open, os.O_CLOEXEC == posix.O_CLOEXEC, os.path.join("a", "b"), os.path.dirname("/a/b"))
print(os.path.isdir("/"), os.path.realpath("/proc/../dev"))
print(*{"_collections_abc", "collections", "collections.abc", "types"} & set(sys.modules), "-")
"""
    assert say(program) == ["True True a/b /a", "True /dev", "-"]


def test_names_are_text_whatever_their_octets():
    program = """
print(os.environ["GREETING"], os.environ.get("NOBODY"), "GREETING" in os.environ)
print(os.fsencode("a\\udcff"), os.fsencode(b"b"), ascii(os.fsdecode(b"a\\xff")), os.fsdecode("c"))
"""
    found = say(program, GREETING="grüß")
    assert found == ["grüß None True", r"b'a\xff' b'b' 'a\udcff' c"]


def test_who_asks_for_more_gets_the_whole(tmp_path):
    program = f"""
before, walk = os, os.walk
os.makedirs({str(tmp_path)!r} + "/a/b")
import os
print(os is before, os.walk is walk, before.name, os.environ["GREETING"], hasattr(os, "nothing"))
try:
    before.nothing
except AttributeError as error:
    print(error)
"""
    assert say(program, GREETING="x") == ["False True posix x False", "module 'os' has no attribute 'nothing'"]
    assert (tmp_path / "a/b").is_dir()


def test_what_is_compiled_is_loaded_without_collections():
    program = """
import array, _hbfast.codec
print(array.array("Q", [7])[0], "collections.abc" in sys.modules)
import collections.abc
print(collections.deque, collections.abc.MutableSequence.__module__)
"""
    assert say(program) == ["7 False", "<class 'collections.deque'> collections.abc"]
