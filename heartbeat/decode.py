"""`heartbeat decode`: a capture, message by message, one JSON object a line.

A file is what its first octets say: a pcap file (UDP, and ICMP echo, over Ethernet, Linux cooked or raw IP), JSON lines
with `hex`, else the raw octets of a serial line. Its rules: a message that the daemon would reject has a line too; what
the lines say of a good message is what the daemon's own decoder says; trouble with a file goes to stderr and ends
nothing.
"""

from __future__ import annotations

import base64
import json
import re
import sys
from itertools import pairwise

from _hbfast.auth import Authenticator
from _hbfast.codec import Decoder, Message, encode
from heartbeat import pcap

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import BinaryIO, TextIO

    Keys = Mapping[int, tuple[str, bytes]]
    Value = bytes | Message | list[bytes]

START = re.compile(rb">>>\n|###\n")
TRAILER = re.compile(rb"\d{1,3}:(\d{1,2}) [^,]*,\Z")
ICMP_HEADER = 8


class Frame:
    """The octets of one message, good or not. message: what it is, None where it is none; auth: ok, bad or none."""

    __slots__ = ("auth", "medium", "message", "octets")

    def __init__(self, medium: str, octets: bytes, message: Message | None, auth: str) -> None:
        self.medium = medium
        self.octets = octets
        self.message = message
        self.auth = auth

    @property
    def format(self) -> str | None:
        return {b">>>": "classic", b"###": "netstring"}.get(self.octets[:3])


class Keyring:
    """Who may have signed. keys: as authkeys has them, None: nobody asks."""

    def __init__(self, keys: Keys | None) -> None:
        self._signers = {index: Authenticator({index: key}, index) for index, key in (keys or {}).items()}
        self.verifier = Authenticator(keys, min(keys)) if keys else None

    def signer(self, index: int | None) -> Authenticator | None:
        return None if index is None else self._signers.get(index)

    def verdict(self, signed: bool) -> str:
        """On a message that did not verify."""
        return "bad" if signed and self.verifier is not None else "none"


def main(paths: Sequence[str], authkeys: Keys | None, out: TextIO) -> int:
    """Write a line for each message of each file. authkeys: {index: (method, key)}, None: signatures are not checked.

    0 where every message is good, else, or where a file cannot be read, 1.
    """
    keyring = Keyring(authkeys)
    wanted = "none" if keyring.verifier is None else "ok"
    all_good = True
    for path in paths:
        try:
            with open(path, "rb") as file:
                for frame in _frames(file, keyring):
                    out.write(json.dumps(_line(frame, keyring)) + "\n")
                    all_good &= frame.message is not None and frame.auth == wanted
        except (OSError, ValueError) as error:
            sys.stderr.write(f"heartbeat decode: {path}: {getattr(error, 'strerror', None) or error}\n")
            all_good = False
    return 0 if all_good else 1


def _frames(file: BinaryIO, keyring: Keyring) -> Iterator[Frame]:
    """All messages of a file. ValueError: it is damaged, or of a kind that is not known."""
    start = file.read(4)
    file.seek(0)
    if pcap.is_pcap(start):
        for medium, octets in pcap.payloads(file):
            yield _whole(medium, octets, keyring)
    elif start.lstrip()[:1] == b"{":
        yield from _json_lines(file, keyring)
    else:
        yield from _serial(file.read(), keyring)


def _json_lines(file: BinaryIO, keyring: Keyring) -> Iterator[Frame]:
    for number, line in enumerate(file, 1):
        try:
            record = json.loads(line) if line.strip() else {}
            octets = bytes.fromhex(record["hex"]) if record.get("hex") is not None else None
        except (ValueError, TypeError, AttributeError, RecursionError) as error:
            raise ValueError(f'line {number}: no JSON object with hex digits in "hex"') from error
        if octets is None:
            continue
        medium = str(record.get("medium", "icmp" if "icmp" in record else "udp"))
        if "icmp" in record:
            octets = octets[ICMP_HEADER:]
            if not START.match(octets):
                continue  # an ordinary ping
        yield _whole(medium, octets, keyring)


def _whole(medium: str, octets: bytes, keyring: Keyring) -> Frame:
    """Octets that are one message, or should be."""
    messages = Decoder(medium, keyring.verifier, stream=False).feed(octets)
    if messages:
        return Frame(medium, octets, messages[0], "none" if keyring.verifier is None else "ok")
    messages = Decoder(medium, None, stream=False).feed(octets)
    return Frame(medium, octets, messages[0] if messages else None, keyring.verdict(_stated_index(octets) is not None))


# ---- a serial line ----


def _serial(octets: bytes, keyring: Keyring) -> Iterator[Frame]:
    """The good messages of a stream, and between them what began as one."""
    auth = "none" if keyring.verifier is None else "ok"
    position = 0
    for message in Decoder("serial", keyring.verifier, stream=True).feed(octets):
        raw = _wire(message).raw
        start = octets.index(raw, position)
        yield from _rejected(octets[position:start], keyring)
        yield Frame("serial", raw, message, auth)
        position = start + len(raw)
    yield from _rejected(octets[position:], keyring)


def _rejected(octets: bytes, keyring: Keyring) -> Iterator[Frame]:
    """What the daemon made nothing of: messages whose signature is wrong, then broken ones."""
    position = 0
    for message in Decoder("serial", None, stream=True).feed(octets):
        raw = _wire(message).raw
        start = octets.index(raw, position)
        yield from _broken(octets[position:start], keyring)
        position = start + len(raw)
        trailer = re.compile(rb"\d{1,3}:\d{1,2} [^,\n]*,").match(octets, position) if raw[:1] == b"#" else None
        if trailer is not None:
            raw += trailer[0]
            position = trailer.end()
        yield Frame("serial", raw, message, keyring.verdict(_stated_index(raw) is not None))
    yield from _broken(octets[position:], keyring)


def _broken(octets: bytes, keyring: Keyring) -> Iterator[Frame]:
    """Beginnings that never became a message."""
    starts = [match.start() for match in START.finditer(octets)]
    for start, end in pairwise([*starts, len(octets)]):
        piece = octets[start:end]
        yield Frame("serial", piece, None, keyring.verdict(_stated_index(piece) is not None))


# ---- one line of output ----


def _line(frame: Frame, keyring: Keyring) -> dict[str, object]:
    message = frame.message
    if message is None:
        message = Message([])
    return {
        "t": message.type,
        "src": message.source,
        "medium": frame.medium,
        "format": frame.format,
        "auth": frame.auth,
        "seq": message.get("seq"),
        "hg": message.get("hg"),
        "fields": _fields(message),
        "reencodes": frame.message is not None and _reencodes(frame, keyring),
    }


def _fields(message: Message) -> dict[str, object]:
    """The fields by name. A name that comes again is written name#2, name#3 …"""
    fields: dict[str, object] = {}
    for name, digit, value in message.items():
        key = name
        number = 1
        while key in fields:
            number += 1
            key = f"{name}#{number}"
        fields[key] = _value(digit, value)
    return fields


def _value(digit: int, value: Value) -> object:
    if isinstance(value, Message):
        return _fields(value)
    if isinstance(value, list):
        return [_text(element) for element in value]
    return _text(value) if digit == 0 else base64.b64encode(value).decode("ascii")


def _text(octets: bytes) -> str:
    return octets.decode("utf-8", "backslashreplace")


def _wire(message: Message) -> Message:
    """The message that was on the wire: the outer one where it was compressed as a whole."""
    return message.outer or message


def _reencodes(frame: Frame, keyring: Keyring) -> bool:
    """Do we write the same octets, signed again with the index that is stated? Where there are no keys, or nothing is
    signed: the same octets but for a trailer."""
    assert frame.message is not None
    message = _wire(frame.message)
    index = _stated_index(frame.octets)
    signer = keyring.signer(index)
    if keyring.verifier is not None and index is not None and signer is None:
        return False
    inner_auth = message.get("auth") is not None
    try:
        if frame.format == "netstring":
            octets = encode(message, signer, "netstring", inner_auth=inner_auth)
        else:
            octets = encode(message, signer, "classic")
    except ValueError:
        return False
    if signer is None and frame.format == "netstring":
        return frame.octets.startswith(octets)
    return frame.octets.removesuffix(b"\0") == octets


def _stated_index(octets: bytes) -> int | None:
    """The index of the key that signed these octets, as they say; None where they don't."""
    pattern = TRAILER if octets[:1] == b"#" else re.compile(rb"^auth=(\d{1,2}) ", re.MULTILINE)
    match = pattern.search(octets)
    return None if match is None else int(match[1])
