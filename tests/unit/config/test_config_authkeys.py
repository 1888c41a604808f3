"""authkeys: which keys there are, which one signs, and who may read them (protocol/config.md §4)."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from _hbfast.auth import Authenticator
from heartbeat.config import Config, ConfigError, load
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
        ("auth 1\n1 sha1 x\n2 crc\n", "authkeys:3: left-over key 2: crc proves nothing"),
        ("auth 1\n1 sha256 x\n2 md5 y\n", "authkeys:3: left-over key 2: md5 is weak"),
    ],
)  # fmt: skip
def test_warned_of(files: Files, content: str, text: str) -> None:
    files.authkeys = content
    (warning,) = files.warnings()
    assert warning.startswith(text)


@pytest.mark.parametrize("mode", [0o600 | mode for mode in range(0o100)] + [0o400, 0o4600])
def test_modes(files: Files, mode: int) -> None:
    """Refused where group or others may do anything at all."""
    files.authkeys_mode = mode
    if not mode & 0o77:
        assert files.warnings() == []
        return
    (error,) = files.errors()
    what = "others can read the keys" if mode & 0o44 else "others have access to the keys"
    assert error.startswith(f"authkeys:1: {what} (mode {mode:o}): chmod 600 {files.directory}/authkeys")


@pytest.mark.parametrize("mode", [0o644, 0o622, 0o601])
def test_the_switch_for_old_files_warns_instead_and_the_status_goes_on_saying_so(files: Files, mode: int) -> None:
    files.authkeys_mode = mode
    files.add("authkeys_permissions warn")
    config = files.load()
    (warning,) = files.bare(config.warnings)
    assert warning.startswith("authkeys:1: others ")
    assert "chmod 600" in warning
    assert [text for text in config.exposed if f"(mode {mode:o})" in text] == list(config.exposed) != []
    files.replace("authkeys_permissions", "authkeys_permissions strict")
    assert len(files.errors()) == 1


def load_owned_by(files: Files, uid: int) -> Config:
    directory = files.write()
    os.chown(os.path.join(directory, "authkeys"), uid, 0)
    return load(directory, node="julius")


@root
def test_a_foreign_owner_is_refused(files: Files) -> None:
    with pytest.raises(ConfigError) as caught:
        load_owned_by(files, 65534)
    (error,) = files.bare(caught.value.errors)
    assert error.startswith("authkeys:1: belongs to user 65534")
    assert f"chown root {files.directory}/authkeys" in error
    files.add("authkeys_permissions warn")
    (warning,) = files.bare(load_owned_by(files, 65534).warnings)
    assert warning.startswith("authkeys:1: belongs to user 65534")


@root
@pytest.mark.parametrize("uid", [0, 65534])
def test_the_daemons_own_user_may_own_it(files: Files, uid: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 65534)
    assert load_owned_by(files, uid).warnings == ()


@root
def test_the_file_that_was_opened_is_the_one_that_is_judged(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody exchanges the file between its opening and its judgement, for one with better manners."""
    directory = files.write()
    path = os.path.join(directory, "authkeys")
    os.chmod(path, 0o644)
    real = os.open

    def exchange(name: str, *rest: int) -> int:
        fd = real(name, *rest)
        if name == path:
            os.unlink(path)
            with open(real(path, os.O_WRONLY | os.O_CREAT, 0o600), "w") as file:
                file.write("auth 1\n1 sha1 another\n")
        return fd

    monkeypatch.setattr(os, "open", exchange)
    with pytest.raises(ConfigError, match="mode 644"):
        load(directory, node="julius")


def test_a_symbolic_link_is_judged_by_what_it_leads_to(files: Files) -> None:
    directory = Path(files.write())
    (directory / "authkeys").rename(directory / "elsewhere")
    (directory / "authkeys").symlink_to("elsewhere")
    assert load(os.fspath(directory), node="julius").warnings == ()
    (directory / "elsewhere").chmod(0o640)
    with pytest.raises(ConfigError, match="mode 640"):
        load(os.fspath(directory), node="julius")


def test_a_copy_on_another_machine_is_only_warned_of(files: Files) -> None:
    files.authkeys_mode = 0o644
    (warning,) = files.warnings(machine=False)
    assert "mode 644" in warning


@pytest.mark.parametrize(
    ("content", "exposed"),
    [
        ("auth 1\n1 sha1 x\n2 crc\n", [2]), ("auth 3\n1 crc\n2 sha1 x\n3 md5 y\n", [1]),
        # no protection was meant, or there is one
        ("auth 1\n1 crc\n2 sha1 x\n", []), ("auth 1\n1 sha1 x\n2 sha1 y\n", []),
    ],
)  # fmt: skip
def test_a_left_over_crc_is_said_for_as_long_as_it_stays(files: Files, content: str, exposed: list[int]) -> None:
    files.authkeys = content
    config = files.load()
    assert [int(text.partition(": key ")[2].split()[0]) for text in config.exposed] == exposed
    assert bool(exposed) == any("SECURITY IS OFF" in text for text in config.warnings)


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


def test_a_checksum_cannot_be_signed_strongly(files: Files) -> None:
    """Nothing would be believed, so it is said before the start."""
    files.ha_cf += "strong_auth required\n"
    files.authkeys = "auth 2\n2 crc\n"
    with pytest.raises(ConfigError, match="strong_auth is required") as failure:
        files.load()
    assert [error.split(": ")[0].rpartition("/")[2] for error in failure.value.errors] == ["authkeys:2"]
