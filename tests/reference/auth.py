"""Signatures as protocol/wire.md §4 has them, by the standard library."""

import base64
import hashlib
import hmac

Keys = dict[int, tuple[str, bytes]]


def crc(octets: bytes) -> int:
    """The remainder of a long division by 0x104c11db7, the message followed by 32 zero bits; complemented."""
    dividend = int.from_bytes(octets, "big") << 32
    for bit in range(dividend.bit_length() - 1, 31, -1):
        if dividend >> bit & 1:
            dividend ^= 0x104C11DB7 << (bit - 32)
    return dividend ^ 0xFFFFFFFF


def token(method: str, key: bytes, body: bytes) -> str:
    if method == "crc":
        return f"{crc(body):x}"
    if method == "blake2s":
        return hashlib.blake2s(body, key=key if len(key) <= 32 else hashlib.blake2s(key).digest()).hexdigest()
    return hmac.new(key, body, method).hexdigest()


def sign(keys: Keys, index: int, body: bytes) -> bytes:
    return f"{index} {token(*keys[index], body)}".encode()


def verifies(keys: Keys, body: bytes, signature: bytes) -> bool:
    """With the key of the stated index, and spelled exactly as that would sign it."""
    return any(signature == sign(keys, index, body) for index in keys)


def strong_token(keys: Keys, index: int, covered: bytes) -> bytes:
    """The value of `mac` (docs/protocol.md)."""
    method, key = keys[index]
    assert method != "crc"
    short = key if len(key) <= 32 else hashlib.blake2s(key).digest()
    derived = hashlib.blake2s(b"heartbeat strong signature 1", key=short).digest()
    digest = hashlib.blake2s(covered, key=derived).digest()
    return b"%d %s" % (index, base64.b64encode(digest).rstrip(b"="))


def strong_verifies(keys: Keys, covered: bytes, signature: bytes) -> bool:
    return any(signature == strong_token(keys, index, covered) for index in keys if keys[index][0] != "crc")
