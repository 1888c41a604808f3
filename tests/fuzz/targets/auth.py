"""Signatures of any octets with any key equal the reference's, and no other token verifies. CRC also equals zlib's.

input   method, index, key (its length first), kind of token, piece of the token, body
"""

from __future__ import annotations

import zlib

from fuzz.choices import Choices
from reference import auth as reference

from _hbfast.auth import Authenticator

METHODS = ("crc", "md5", "sha1", "sha256", "blake2s")
WORDS = (b"1 ", b"15 ", b"01 ", b" ", b"0", b"a", b"A", b"\x80", b"\0" * 55, b"\0" * 64)
# bits of an octet in the other order: zlib's CRC takes them so
TURNED = bytes(int(f"{octet:08b}"[::-1], 2) for octet in range(256))


def crc(body: bytes) -> str:
    """As protocol/wire.md §4.1 has it, made of zlib's: started at 0, the other end of each octet first."""
    return f"{int(f'{zlib.crc32(body.translate(TURNED), 0xFFFFFFFF):032b}'[::-1], 2):x}"


def run(octets: bytes) -> None:
    choices = Choices(octets)
    method, index = choices.pick(METHODS), choices.below(16)
    key = b"" if method == "crc" else choices.piece(200) or b"k"
    kind, piece = choices.below(7), choices.piece(80)
    body = choices.rest()
    keys = {index: (method, key), (index + 1) % 16: ("sha1", b"other")}
    authenticator = Authenticator(keys, index)
    token = authenticator.sign(memoryview(body))
    if method == "crc":
        assert token == f"{index} {crc(body)}".encode()
    else:
        assert token == reference.sign(keys, index, body)
    assert authenticator.verify(bytearray(body), token)
    other = (
        piece,
        token + piece,
        piece + token,
        b"%d %s" % (index, piece),
        token.upper() if piece else token[:-1],
        authenticator.sign(body + piece),
        flipped(token, piece),
    )[kind]
    if method != "crc" or len(body) < 200:
        assert authenticator.verify(body, other) == reference.verifies(keys, body, other)
    else:
        assert authenticator.verify(body, other) == (other in (token, reference.sign(keys, (index + 1) % 16, body)))


def flipped(token: bytes, piece: bytes) -> bytes:
    """One bit of it, counted from the end."""
    bit = int.from_bytes(piece[:2]) % (8 * len(token))
    return (int.from_bytes(token) ^ 1 << bit).to_bytes(len(token))


def seeds() -> list[bytes]:
    sizes = (0, 1, 54, 55, 56, 63, 64, 65, 119, 120, 128, 500)
    return [
        bytes([method, 3, 9 * method]) + b"k" * 9 * method + bytes([kind % 7, 2]) + bytes([0, kind]) + bytes(size)
        for method in range(5)
        for kind, size in enumerate(sizes)
    ]
