"""What is decoded and signed: recorded statuses of the original, one of ours, and a serial line with noise on it."""

from __future__ import annotations

import random
from typing import Literal

from reference import captures, codec
from reference.captures import Record

from _hbfast.auth import Authenticator
from _hbfast.codec import encode
from bench.codec import status

Form = Literal["classic", "netstring"]
FORMS: tuple[Form, ...] = ("classic", "netstring")
METHODS = ("crc", "md5", "sha1")

# (method, form) → the capture, the kind of its medium, and the status' octets: of a pair with one medium of each kind
RECORDED: dict[tuple[str, Form], tuple[str, str, int]] = {
    ("crc", "classic"): ("matrix-crc-classic.jsonl", "serial", 174),
    ("crc", "netstring"): ("matrix-crc-classic.jsonl", "udp", 247),
    ("md5", "classic"): ("matrix-md5-classic.jsonl", "serial", 197),
    ("md5", "netstring"): ("matrix-md5-classic.jsonl", "udp", 294),
    ("sha1", "classic"): ("matrix-sha1-classic.jsonl", "serial", 205),
    ("sha1", "netstring"): ("matrix-sha1-classic.jsonl", "udp", 310),
}
OUR_KEYS = {1: ("sha1", b"a key of the cluster")}

LINE = "rexmit-serial.jsonl"
FRAMES_ON_THE_LINE = 12
READ_OCTETS = 64  # what a read of a tty brings
NOISE_OCTETS_MOST = 60


def recorded(method: str, form: Form) -> Record:
    """A status that an original has sent, signed by this method."""
    name, kind, size = RECORDED[method, form]
    for record in captures.records(name):
        if record.kind == kind and len(record.octets) == size and is_status(record.octets):
            return record
    raise AssertionError(f"no status of {size} octets in {name}")


def is_status(octets: bytes) -> bool:
    return (b"t", 0, b"status") in codec.read(octets)


def our_frame(form: Form, *, strong: bool) -> tuple[bytes, Authenticator]:
    """A status of ours, signed with sha1, and strongly too."""
    auth = Authenticator(OUR_KEYS, 1, strong=strong)
    return encode(status(0x10001, 0x6B02CAB8), auth, form), auth


def noisy_line(seed: int = 1) -> tuple[bytes, captures.Keys]:
    """The statuses of a serial line with noise between them, and an octet changed in every sixth; and its keys. Noise
    has all octets but the eighth bit, which such lines lose."""
    draw = random.Random(seed)
    statuses = [record for record in captures.records(LINE) if record.kind == "serial" and is_status(record.octets)]
    octets = bytearray()
    for number, record in enumerate(statuses[:FRAMES_ON_THE_LINE]):
        frame = bytearray(record.octets)
        if number % 6 == 5:
            frame[draw.randrange(len(frame))] ^= 1 << draw.randrange(7)
        octets += draw.randbytes(draw.randrange(NOISE_OCTETS_MOST)).translate(bytes(range(128)) * 2) + frame
    return bytes(octets), statuses[0].keys


def reads(octets: bytes) -> list[bytes]:
    return [octets[at : at + READ_OCTETS] for at in range(0, len(octets), READ_OCTETS)]
