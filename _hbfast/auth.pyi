"""Signatures of messages (protocol/wire.md §4)."""

from collections.abc import Mapping

class Authenticator:
    """Signs with one key, verifies with the key that a token states.

    Methods: `crc` (no secret), `md5`, `sha1` exactly as the original's; and of our own, for pairs that both run this
    program, `sha256` (HMAC-SHA-256) and `blake2s` (keyed BLAKE2s with 32 octets of digest; a key of more than 32
    octets is hashed first). Works without OpenSSL, also where that forbids MD5 and SHA-1.
    """

    def __init__(self, keys: Mapping[int, tuple[str, bytes]], outbound: int, *, strong: bool = False) -> None:
        """keys: {index 0 to 15: (method, key)}; outbound: the index to sign with. strong: what is encoded with this
        bears the strong signature too (docs/protocol.md). A good one is recognised either way.

        ValueError, which never shows a key: an index out of range, an unknown method, a key with crc, no key with
        another method, an outbound index without a key.
        """

    @property
    def strong(self) -> bool:
        """Is the strong signature added? Never with an outbound key of method crc, which is no secret."""

    def sign(self, body: bytes | bytearray | memoryview) -> bytes:
        """`b"<index> <token>"` over the octets of body, with the outbound key; lower-case hex, crc without leading
        zeros."""

    def verify(self, body: bytes | bytearray | memoryview, token: bytes) -> bool:
        """Is token, `b"<index> <hex>"`, what its index's key gives for body? False for an unknown index and for any
        other spelling (upper case, leading zeros, more blanks). The comparison takes the same time wherever the first
        difference is."""
