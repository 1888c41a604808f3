"""Signing and verifying alone: the octets of a status, each method; beside hashlib and hmac, which the daemon does not
load. What the strong signature costs is seen in whole messages (codec.py): it is over the fields as they are read."""

from __future__ import annotations

from functools import partial

from reference import auth as reference

from _hbfast.auth import Authenticator
from bench.micro import inputs
from bench.micro.case import Batch, Case, calling

METHODS = ("crc", "md5", "sha1", "sha256", "blake2s")
NUMBER = 500


def keys(method: str) -> reference.Keys:
    return {1: (method, b"" if method == "crc" else b"a key of the cluster")}


def body() -> bytes:
    """What is signed of the recorded netstring: all of it but the trailer."""
    octets: bytes = inputs.recorded("sha1", "netstring").octets
    return octets[: octets.index(b"%%%\n") + 4]


def sign(method: str) -> Batch:
    auth = Authenticator(keys(method), 1)
    assert auth.sign(body()) == reference.sign(keys(method), 1, body())
    return calling(auth.sign, body(), NUMBER)


def verify(method: str) -> Batch:
    auth = Authenticator(keys(method), 1)
    token = auth.sign(body())
    assert auth.verify(body(), token)
    return calling(lambda octets: auth.verify(octets, token), body(), NUMBER)


def library(method: str) -> Batch:
    """As the standard library signs."""
    return calling(lambda octets: reference.sign(keys(method), 1, octets), body(), NUMBER // 5)


def cases() -> list[Case]:
    found = []
    for method in METHODS:
        found.append(Case("auth", f"sign {method}", partial(sign, method)))
        found.append(Case("auth", f"verify {method}", partial(verify, method)))
        if method != "crc":
            found.append(Case("auth", f"sign {method}: hmac", partial(library, method)))
    return found
