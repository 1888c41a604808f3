"""Any octets as authkeys: keys that sign and verify, or ConfigError with file and line; nothing else. And the file as a
plain reading of protocol/config.md has it. An input is the file."""

from __future__ import annotations

from fuzz import files

from _hbfast.auth import Authenticator

WORDS = (
    b"auth ", b"\nauth 1\n", b"auth 15", b"auth 16", b"\n1 sha1 ", b"\n2 md5 ", b"\n3 crc", b"\n15 sha256 k",
    b"blake2s ", b" ", b"\t", b"\r", b"\f", b"#", b"\n", b"\0", b"\xff", b"key", b"0", b"-1", b"+1", b"01",
    b"9" * 30, b"aut", b"a", b"\xc2\xa0", b"x" * 5200,
)  # fmt: skip
METHODS = (b"crc", b"md5", b"sha1", b"sha256", b"blake2s")


def run(octets: bytes) -> None:
    config = files.judge({**files.SOUND, "authkeys": octets})
    if config is None:
        return
    assert (config.keys, config.outbound) == keys_of(octets)
    authenticator = Authenticator(config.keys, config.outbound)
    assert authenticator.verify(octets, authenticator.sign(octets))
    said = [text.partition(": ")[2] for text in config.warnings]
    for _, key in config.keys.values():
        # a short or plain word may be one of the warning's own
        assert len(key) < 6 or key.isalpha() or all(repr(key)[2:-1] not in text for text in said)


def keys_of(octets: bytes) -> tuple[dict[int, tuple[str, bytes]], int]:
    """Of a file without errors: {index: (method, key)}, and which signs."""
    keys: dict[int, tuple[str, bytes]] = {}
    outbound = named = -1
    for line in octets.split(b"\n"):
        words = [
            word for word in line.partition(b"\r")[0].replace(b"\t", b" ").replace(b"\f", b" ").split(b" ") if word
        ]
        if not words or words[0].startswith(b"#") or not (words[0] == b"auth" or words[1:]):
            continue
        if words[0] == b"auth":
            if words[1:] and words[1].lstrip(b"+-").isdigit():
                outbound = outbound if int(words[1]) == named else -1
                named = int(words[1])
        elif words[0].lstrip(b"+-").isdigit() and words[1] in METHODS:
            index = int(words[0])
            keys[index] = (words[1].decode(), words[2] if words[2:] else b"")
            if index == named:
                outbound = index
    return keys, outbound


def seeds() -> list[bytes]:
    return [
        files.SOUND["authkeys"],
        b"# comment\nauth 2\n1 crc\n2 sha1 two words\n3 md5 # x\n15 sha256 k\n4 blake2s kkkkk\n",
        b"1 sha1 before\nauth 1\n",
        b"auth 1\n1 sha1 a\n1 md5 b\nauth 3\n3 sha1 \xff\xfe\n",
        b"auth 1\n1 sha512 x\n", b"auth 99\n99 sha1 x", b"auth\n", b"1 crc key\nauth 1", b"1 sha1\n", b"x y z", b"",
    ]  # fmt: skip
