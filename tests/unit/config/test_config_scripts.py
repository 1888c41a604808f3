"""Which scripts of rc.d are to run; what is said of the others, by `load`, and so at a start, a reload and a check."""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path

import pytest

from heartbeat.config import check, scripts
from heartbeat.config.scripts import LARGEST_OCTETS, SCRIPTS_MAX, SHIPPED

INSTALLED = Path("/etc/ha.d/rc.d")


@pytest.fixture
def rc(files):
    folder = files.directory / "rc.d"
    folder.mkdir()
    return folder


def put(folder: Path, name: str, text: str = "#!/bin/sh\n", mode: int = 0o755) -> Path:
    path = folder / name
    path.write_text(text)
    path.chmod(mode)
    return path


def said(files, name: str) -> list[str]:
    """What the warnings say of it, without the place."""
    begin = f"{files.directory}/rc.d/{name}:1: "
    return [text.removeprefix(begin) for text in files.load().warnings if text.startswith(begin)]


def test_without_a_folder_there_are_none(files):
    assert files.load().hooks == frozenset()
    assert not any("rc.d" in text for text in files.load().warnings)


def test_what_is_there_and_executable_runs(files, rc):
    put(rc, "status-of.mine_2")
    put(rc, "elsewhere")
    (rc / "mytype").symlink_to("elsewhere")
    assert files.load().hooks == {"status-of.mine_2", "elsewhere", "mytype"}
    assert files.load().settings(bytes(16)).hooks == {"status-of.mine_2", "elsewhere", "mytype"}
    assert not any("rc.d" in text for text in files.load().warnings)


def test_of_files_for_another_machine_nothing_is_found(files, rc):
    put(rc, "mytype")
    assert files.load(machine=False).hooks == frozenset()


@pytest.mark.parametrize("name", ["README", ".hidden", "mytype~", "a b", "x" * 32, "mytype.dpkg+old"])
def test_what_no_message_is_called_like_is_passed_over(files, rc, name):
    put(rc, name)
    assert files.load().hooks == frozenset()
    assert not any("rc.d" in text for text in files.load().warnings)


def test_what_cannot_run_is_said(files, rc):
    put(rc, "noexec", mode=0o644)
    (rc / "folder").mkdir()
    (rc / "dangling").symlink_to("nowhere")
    os.mkfifo(rc / "pipe")
    put(rc, "mytype", mode=0o775)
    put(rc, "world", mode=0o757)
    assert files.load().hooks == frozenset()
    assert said(files, "noexec") == ["is not run: it is not executable; chmod 755 it, or take it out of rc.d"]
    assert said(files, "folder") == ["is not run: it is no file; take it out of rc.d"]
    assert said(files, "pipe") == ["is not run: it is no file; take it out of rc.d"]
    assert said(files, "dangling") == ["is not run: No such file or directory; mend it, or take it out of rc.d"]
    for name in ("mytype", "world"):
        assert said(files, name) == ["is not run: others than root may write it; chown root and chmod 755 it"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_another_owner_is_said(files, rc):
    os.chown(put(rc, "mytype"), 65534, 65534)
    assert files.load().hooks == frozenset()
    assert said(files, "mytype") == ["is not run: others than root may write it; chown root and chmod 755 it"]


@pytest.mark.parametrize("name", sorted(SHIPPED))
def test_a_changed_one_of_the_five_runs_and_is_warned_about(files, rc, name):
    put(rc, name)
    assert files.load().hooks == {name}
    (text,) = said(files, name)
    assert text.startswith(f"is not the script '{name}' of Heartbeat 3.0.6: it is run, beside what is built in")
    assert any(text in each for each in check(files.write(), node="julius").warnings)


def test_the_five_as_they_are_known_by_their_checksum(files, rc, monkeypatch):
    octets = b"#!/bin/sh\n" + bytes(LARGEST_OCTETS - 10)
    monkeypatch.setitem(scripts.SHIPPED, "status", hashlib.sha256(octets).hexdigest())
    put(rc, "status").write_bytes(octets)
    put(rc, "mytype").write_bytes(octets)
    assert files.load().hooks == {"mytype"}
    assert said(files, "status") == []
    put(rc, "status").write_bytes(octets[:-1])
    assert files.load().hooks == {"mytype", "status"}


@pytest.mark.skipif(not INSTALLED.is_dir(), reason="Debian's package heartbeat is not installed")
def test_the_five_as_the_package_has_installed_them_do_not_run(files, rc):
    for name in SHIPPED:
        shutil.copy(INSTALLED / name, rc / name)
    assert files.load().hooks == frozenset()
    assert not any("rc.d" in text for text in files.load().warnings)


def test_there_is_an_end_of_them(files, rc):
    for number in range(SCRIPTS_MAX + 2):
        put(rc, f"type{number:03}")
    assert len(files.load().hooks) == SCRIPTS_MAX
    assert sum("rc.d" in text for text in files.load().warnings) == 1
