"""What every configuration must be: refused with reasons that can be looked up, or good, and then it prints itself."""

from __future__ import annotations

import atexit
import os
import re
import shutil
import tempfile
from collections.abc import Mapping

from heartbeat.config import Config, ConfigError, load, machine
from heartbeat.config.dump import split

SOUND = {
    "ha.cf": b"bcast eth0\nnode julius caesar\nauto_failback off\n",
    "haresources": b"julius 10.0.0.254\n",
    "authkeys": b"auth 1\n1 sha1 secret\n",
}
UUID = b"u" * 16
# a memory file system, where there is one: hundreds of files a second
PLACE = "/dev/shm" if os.path.isdir("/dev/shm") else None
# names one that somebody else makes and removes: a fuzzer ends its process without ceremony
GIVEN = "HEARTBEAT_FUZZ_FOLDER"
_folder: list[str] = []


def folder() -> str:
    """One for the process, removed with it."""
    if not _folder and GIVEN in os.environ:
        _folder.append(os.environ[GIVEN])
    elif not _folder:
        _folder.append(tempfile.mkdtemp(prefix="hb-fuzz-", dir=PLACE))
        atexit.register(shutil.rmtree, _folder[0], ignore_errors=True)
    return _folder[0]


def read(files: Mapping[str, bytes], *, ask_machine: bool = False) -> Config:
    directory = folder()
    for name, octets in files.items():
        fd = os.open(f"{directory}/{name}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.write(fd, octets)
        os.close(fd)
    return load(directory, node="julius", machine=ask_machine)


def judge(files: Mapping[str, bytes]) -> Config | None:
    """None where the files are refused."""
    try:
        config = read(files)
    except ConfigError as error:
        judge_refusal(error, files)
        return None
    judge_texts(config.warnings, files)
    judge_dump(config, files["authkeys"])
    return config


def judge_refusal(error: ConfigError, files: Mapping[str, bytes]) -> None:
    assert error.errors
    judge_texts(error.errors, files)
    judge_texts(error.warnings, files)


def judge_texts(texts: tuple[str, ...], files: Mapping[str, bytes]) -> None:
    """Each says where, in a line that is there, and can be printed anywhere."""
    for text in texts:
        found = re.match(r"(.+?)/([a-z.]+):(\d+): ..", text)
        assert found, text
        assert (found[1], found[2] in files) == (folder(), True), text
        assert 1 <= int(found[3]) <= files[found[2]].count(b"\n") + 1, text
        assert text.isprintable(), text
        assert len(text) < 1000, text


def judge_dump(config: Config, authkeys: bytes) -> None:
    text = config.dump()
    printed = split(text)
    assert set(printed) == set(SOUND)
    again = read({name: printed[name].encode() for name in ("ha.cf", "haresources")} | {"authkeys": authkeys})
    assert again == config
    assert again.dump() == text
    assert (again.resources_digest(), again.timing_digest()) == (config.resources_digest(), config.timing_digest())
    one, other = again.settings(UUID), config.settings(UUID)
    for slot in type(one).__slots__:
        if slot != "groups":
            assert getattr(one, slot) == getattr(other, slot), slot
    # keys never leave the program
    assert all(line.startswith("#") for line in printed["authkeys"].splitlines())


def ask_machine(files: Mapping[str, bytes]) -> None:
    """The same with everything that is asked of this machine, but for name servers and its devices."""
    resolve, tty_problem = machine._resolve, machine.tty_problem
    machine._resolve = lambda host, family: None
    machine.tty_problem = lambda path: "is not a tty" if path.startswith("/dev") else tty_problem(path)
    try:
        read(files, ask_machine=True)
    except ConfigError as error:
        judge_refusal(error, files)
    finally:
        machine._resolve, machine.tty_problem = resolve, tty_problem
