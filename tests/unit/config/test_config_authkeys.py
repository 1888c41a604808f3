"""authkeys: which keys there are, which one signs, and who may read them (protocol/config.md §4)."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from _hbfast.auth import Authenticator
from heartbeat.config.authkeys import METHODS

if TYPE_CHECKING:
    from conftest import Files

root = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")


def keys(files: Files, content: str | bytes) -> tuple[dict[int, tuple[str, bytes]], int]:
    files.authkeys = content
    config = files.load()
    return config.keys, config.outbound


@pytest.mark.parametrize(
    ("content", "expected", "outbound"),
    [
        ("auth 1\n1 sha1 secret", {1: ("sha1", b"secret")}, 1),
        ("  auth\t2 # which\n# none\n\n\t1 md5 old\n2\tsha1  new # what\n3 crc\n",
         {1: ("md5", b"old"), 2: ("sha1", b"new"), 3: ("crc", b"")}, 2),
        ("auth 0\n0 sha256 s\n15 blake2s t\r\n", {0: ("sha256", b"s"), 15: ("blake2s", b"t")}, 0),
        ("auth 1\n1 sha1 a#b\n", {1: ("sha1", b"a#b")}, 1),
        (b"auth 1\n1 sha1 \xff\xe4\xc3\xa4\n", {1: ("sha1", b"\xff\xe4\xc3\xa4")}, 1),
        ("1 sha1 old\nauth 1\n1 sha1 new\n", {1: ("sha1", b"new")}, 1),
        ("auth 1\n1 sha1 a\nauth 2\n2 sha1 b\n", {1: ("sha1", b"a"), 2: ("sha1", b"b")}, 2),
        ("auth 1\n1 sha1 # secret\n", {1: ("sha1", b"#")}, 1),
        ("auth 01\n001 sha1 a\n", {1: ("sha1", b"a")}, 1),
    ],
)  # fmt: skip
def test_keys(files: Files, content: str | bytes, expected: dict[int, tuple[str, bytes]], outbound: int) -> None:
    assert keys(files, content) == (expected, outbound)


@pytest.mark.parametrize("method", METHODS)
def test_every_method_signs(files: Files, method: str) -> None:
    found, outbound = keys(files, f"auth 4\n4 {method}{'' if method == 'crc' else ' secret'}\n")
    authenticator = Authenticator(found, outbound)
    assert authenticator.verify(b"body", authenticator.sign(b"body"))


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ("1 sha1 s\nauth 1\n", 2), ("auth 1\n2 sha1 s\n", 1), ("1 sha1 s\n\n", 2), ("auth 1\n1 sha1\n", 2),
        ("auth 1\n1 crc x\n", 2), ("auth 1\n1 crc # x\n", 2), ("auth 1\n1 SHA1 s\n", 2), ("auth 1\n1\n", 2),
        ("auth 1\n1 sha1 s\nx sha1 s\n", 3), ("auth 1\n-1 sha1 s\n1 sha1 s\n", 2), ("auth 1\n1 sha1 s\n1x sha1 s\n", 3),
        ("auth\n1 sha1 s\n", 1), ("authenticate 1\n1 sha1 s\n", 1), ("auth1\n1 sha1 s\n", 1),
        ("auth 1\n1 sha1 s\n2 s\n", 3), ("auth 1\n1 sha1 s\n2 rot13 s\n", 3), ("", 1), ("# none\n\n", 2),
        ("auth 1\n1 sha1 " + "x" * 5120 + "\n", 2), ("auth 1\n1 sha1 a\nauth 2\n", 3),
        ("auth 1\nauth 2\n1 sha1 a\n", 2),
    ],
)  # fmt: skip
def test_refused(files: Files, content: str, line: int) -> None:
    files.authkeys = content
    errors = files.errors()
    assert f"authkeys:{line}:" in [text[: text.index(" ")] for text in errors]


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("auth 1\n1 sha1 two words\n", "authkeys:2: a key is one word"),
        ("auth 1\n1 sha1 # secret\n", "authkeys:2: the key of 1 is the word #"),
        ("auth 1\n1 sha1 a\n1 sha1 b\n", "authkeys:3: key 1 is defined in line 2 already"),
        ("auth 1\nauth 1\n1 sha1 b\n", "authkeys:2: there is an auth line already, 1;"),
        ("auth 1\n1 sha1 b\nauth 1\n", "authkeys:3: there is an auth line already, 1;"),
        ("auth 1\n1 crc\n", "authkeys:2: crc proves nothing"), ("auth 1\n1 md5 x\n", "authkeys:2: md5 is weak"),
        ("auth 1\n1 sha1 x\n2 crc\n", "authkeys:3: crc proves nothing"),
    ],
)  # fmt: skip
def test_warned_of(files: Files, content: str, text: str) -> None:
    files.authkeys = content
    (warning,) = files.warnings()
    assert warning.startswith(text)


@pytest.mark.parametrize("mode", range(0o100))
def test_modes(files: Files, mode: int) -> None:
    """Refused where group or others may read, warned of where they may do anything else."""
    files.authkeys_mode = 0o600 | mode
    if mode & 0o44:
        (error,) = files.errors()
        assert error.startswith(f"authkeys:1: others can read the keys (mode {0o600 | mode:o}); chmod 600 ")
    else:
        assert bool(files.warnings()) == bool(mode)


@root
def test_a_foreign_owner_is_warned_of(files: Files) -> None:
    directory = files.write()
    os.chown(os.path.join(directory, "authkeys"), 65534, 0)
    from heartbeat.config import load

    (warning,) = files.bare(load(directory, node="julius").warnings)
    assert warning.startswith("authkeys:1: belongs to user 65534")


def test_no_text_shows_a_key(files: Files) -> None:
    files.authkeys = (
        "auth hunter2\n1 hunter2\nhunter2\n1 crc hunter2\nahunter2\n16 sha1 hunter2\n2 sha2 hunter2 hunter2\n"
    )
    assert len(files.errors()) == 7
    assert not any("hunter2" in text for text in files.errors())
    files.authkeys = "auth 1\n1 sha1 hunter2 hunter2\n1 md5 hunter2\n"
    config = files.load()
    assert config.warnings
    assert "hunter2" not in config.dump() + "".join(config.warnings) + str(config.environment)
