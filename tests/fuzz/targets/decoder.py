"""Any octets, in any pieces, on a stream or as a datagram: the decoder finds the messages that the reference finds,
counts what it rejects under the right name, and writes again what it has read.

An input is one octet of options and pieces between separators. The first octet of a piece says whether the rest of it
is on the wire as it stands, or becomes the inside of a message with a good signature: no mutation could find one.

    options   1 stream   2 unsigned   4 cut into single octets   8 into pieces of `size`   16 a limit of `size` octets
              (8 and 16: `size` is the second octet)
    kind      0 as it is   1 signed classic   2 signed netstring   3 a compressed payload, signed
              4 signed classic, with a strong signature before it
"""

from __future__ import annotations

import contextlib
import zlib
from itertools import pairwise

from fuzz.choices import SEPARATOR
from reference import captures
from reference import codec as reference

from _hbfast.auth import Authenticator
from _hbfast.codec import Decoder, Message, encode

KEYS = {1: ("sha1", b"secret"), 2: ("md5", b"secret"), 3: ("blake2s", b"secret"), 15: ("sha256", b"k")}
AUTH = Authenticator(KEYS, 1)
STREAM, UNSIGNED, SINGLE, PIECES, LIMITED = 1, 2, 4, 8, 16
# octets that the reference judges on a stream: its time grows with the square of the beginnings and ends in them
COMPARED = 2000
LIMIT = 262144

WORDS = (
    b">>>\n", b"<<<\n", b"###\n", b"%%%\n", b"\n<<<\n", b"(0)", b"(1)", b"(2)", b"(3)", b"(4)", b"(5)", b"=", b",",
    b":", b"0", b"mac=1 ", b"t=", b"src=", b"seq=", b"hg=", b"auth=", b"auth=1 ", b"\x13", b"\x14", b"\x1f", b"\x0f",
    b"\x12", b"\0", b"_compressed_payload", b"_compression_algorithm", b"zlib", b"bz2", b"6:(0)t=x,",
    b"13:(2)m=###\n%%%\n,", SEPARATOR, SEPARATOR + b"\x01", SEPARATOR + b"\x02", b"0:,", b"####\n", b">>>>\n",
    b"(2)m=>>>\x14", b"\x14<<<\x14",
)  # fmt: skip


def fields_of(message: Message) -> reference.Fields:
    """A message of ours in the form of the reference."""
    return [
        (name.encode("latin-1"), digit, fields_of(value) if digit == 2 else value)
        for name, digit, value in message.items()
    ]


def run(octets: bytes) -> None:
    options, size = octets[:1] or b"\0", octets[1:2] or b"\0"
    chosen, number = options[0], size[0]
    auth, keys = (None, None) if chosen & UNSIGNED else (AUTH, KEYS)
    limit = max(8, number * 4) if chosen & LIMITED else LIMIT
    parts = [on_the_wire(piece) for piece in octets[2:].split(SEPARATOR)]
    if chosen & STREAM:
        cut = 1 if chosen & SINGLE else max(1, number) if chosen & PIECES else 0
        judge_stream(b"".join(parts), cut, auth, keys, limit)
    else:
        for part in parts:
            judge_datagram(part, auth, keys, limit)


def on_the_wire(piece: bytes) -> bytes:
    kind, rest = piece[:1], piece[1:]
    if kind == b"\x01":
        lines = [line for line in rest.split(b"\n") if not line.startswith(b"auth=")]
        body = b"\n".join(lines).removesuffix(b"\n") + b"\n"
        return b">>>\n" + body + b"auth=" + reference.auth.sign(KEYS, 1, body) + b"\n<<<\n"
    if kind == b"\x04":
        with contextlib.suppress(reference.Malformed):
            fields = [field for field in reference.read_classic(b">>>\n" + rest + b"<<<\n") if field[0] != b"auth"]
            return reference.sign_classic(reference.with_mac(fields, KEYS, 1), KEYS, 1)
    if kind == b"\x03":
        payload = zlib.compress(rest, 1)
        fields = [(b"_compressed_payload", 1, payload), (b"_compression_algorithm", 0, b"zlib")]
        return reference.sign_netstring(fields, KEYS, 2, inner_auth=False)
    if kind == b"\x02":
        body = b"###\n" + rest + b"%%%\n"
        token = reference.auth.sign(KEYS, 15, body)
        return body + b"%d:%s," % (len(token), token)
    return rest


# ---- datagrams ----


def judge_datagram(octets: bytes, auth: Authenticator | None, keys: dict | None, limit: int) -> None:
    decoder = Decoder("m", auth, stream=False, limit=limit)
    found = decoder.feed(octets)
    counters = decoder.counters
    expected = None
    if len(octets.removesuffix(b"\0") if octets[:1] == b">" else octets) <= limit:
        expected = reference.message_of_datagram(octets, keys)
    assert [fields_of(message) for message in found] == ([] if expected is None else [expected])
    verdict = "good" if found else verdict_on(octets, keys, limit)
    assert {name: count for name, count in counters.items() if count} == {verdict: 1}, (counters, verdict)
    for message in found:
        sender = message.outer or message
        assert sender.raw == (octets.removesuffix(b"\0") if octets[:1] == b">" else octets)
        judge_writing(message)


def verdict_on(octets: bytes, keys: dict | None, limit: int) -> str:
    """Under which name a datagram that is no message is counted."""
    if octets.startswith(b">>>"):
        octets = octets.removesuffix(b"\0")
    if len(octets) < 8 or octets[:4] not in (b">>>\n", b"###\n"):
        return "malformed"
    if len(octets) > limit:
        return "oversize"
    if octets.startswith(b">") and not octets.endswith(b"\n<<<\n"):
        return "malformed"
    if keys is None:
        return "malformed"
    try:
        if octets.startswith(b"#") and not trailer_of(octets):
            return "bad_auth"
        if not reference.verified(octets, keys):
            return "bad_auth"
        strong = reference.strong(reference.read_one(reference.without_trailer(octets)), keys)
        return "bad_auth" if strong is False else "malformed"
    except reference.Malformed:
        return "malformed"


def trailer_of(netstring: bytes) -> bytes:
    """Malformed where the trailer is none, or too long."""
    body = reference.without_trailer(netstring)
    rest = netstring[4:]
    while not rest.startswith(b"%%%\n"):
        _, rest = reference.length_and_rest(rest)
    return netstring[len(body) :] if rest[4:] else b""


# ---- streams ----


def decode(octets: bytes, cut: int, auth: Authenticator | None, limit: int) -> tuple[list[Message], dict[str, int]]:
    decoder = Decoder("m", auth, stream=True, limit=limit)
    edges = [*range(0, len(octets), cut or max(1, len(octets))), len(octets)]
    found = [message for a, b in pairwise(edges) for message in decoder.feed(octets[a:b])]
    return found, decoder.counters


def judge_stream(octets: bytes, cut: int, auth: Authenticator | None, keys: dict | None, limit: int) -> None:
    found, counters = decode(octets, 0, auth, limit)
    if cut:
        assert decode(octets, cut, auth, limit) == (found, counters)
    if keys is not None and len(octets) <= COMPARED:
        assert [fields_of(message) for message in found] == reference.messages_of_stream(octets, keys, limit)
    position = taken = 0
    for message in found:
        raw = (message.outer or message).raw
        position = octets.index(raw, position) + len(raw)
        taken += len(raw)
        assert len(raw) <= limit
    assert counters["good"] == len(found)
    assert counters["truncated"] <= len(found)
    # what lies before the last message is settled, what may still become one is not
    assert position - taken <= counters["noise_bytes"] <= len(octets) - taken
    for message in found[:4]:
        judge_writing(message)


# ---- written again ----


def judge_writing(message: Message) -> None:
    """In both formats: what the reference writes; and what was written reads as the same."""
    fields = fields_of(message)
    for form, write in (("netstring", reference.write_netstring), ("classic", reference.write_classic)):
        try:
            wire = encode(message, None, form)
        except ValueError:
            assert not sendable(fields, form, -1)
            continue
        assert sendable(fields, form, -1)
        assert wire == write(fields)
        if all(name != b"_compressed_payload" for name, _, _ in fields):
            [again] = Decoder("m", None, stream=False).feed(wire)
            assert fields_of(again) == (with_lf(fields) if form == "classic" else fields)
            assert encode(again, None, form) == wire
        signed = encode(message, AUTH, form, inner_auth=False)
        assert reference.verified(signed, KEYS)


def with_lf(fields: reference.Fields) -> reference.Fields:
    """As they come back from the classic format."""
    return [
        (name, digit, with_lf(value) if digit == 2 else value.replace(b"\x13", b"\n") if digit == 0 else value)
        for name, digit, value in fields
    ]


def sendable(fields: reference.Fields, form: str, depth: int) -> bool:
    """As `encode` is documented; our own inner messages are below the limit of a whole one."""
    if depth >= reference.DEPTH:
        return False
    for name, digit, value in fields:
        if not name or b"=" in name or b"\0" in name or name.startswith(b">>>\n"):
            return False
        if digit == 0 and b"\0" in value:
            return False
        if digit == 3 and any(b"\0" in element for element in value):
            return False
        if digit == 2 and not sendable(value, form, depth + 1):
            return False
        if form == "netstring" and digit == 3 and len(reference.write_list(value)) >= 1024:
            return False
        if form == "classic" and not classic_has(name, digit, value, depth):
            return False
    return True


def classic_has(name: bytes, digit: int, value: reference.Value, depth: int) -> bool:
    if b"\n" in name or name.startswith((b"(", b"<<<", b">>>")) or digit == 5:
        return False
    if digit == 3:
        return b"\n" not in reference.write_list(value)
    if digit == 2:
        level = bytes([reference.LEVELS[depth + 1]]) if depth + 1 < reference.DEPTH else b""
        try:
            return bool(level) and level not in reference.write_classic(value, depth + 1)
        except reference.Malformed:
            return False
    return True


# the inside of messages, at the edges of both formats
LINES = (
    b"", b"t=x\n", b"t=\n", b"=x\n", b"t\n", b"\nt=x\n", b"(0)t=x\n", b"(1)t=eA==\n", b"(1)t=eA=\n", b"(1)t=e\n",
    b"(1)t=eB==\n", b"(3)l=1:a,0:,\n", b"(3)l=01:a,\n", b"(3)l=1:a\n", b"(6)t=x\n", b"()t=x\n", b"t=x\0\n", b"<<<x\n",
    b"<<<=x\n", b">>>=x\n", b"(2)m=>>>\x14a=b\x14<<<\x14\n", b"(2)m=>>>\x14(2)n=>>>\x15a=b\x15<<<\x15\x14<<<\x14\n",
    b"(2)m=>>>\x14a=b\x14<<<\n", b"(4)c=eA==\n", b"(5)c=eA==\n", b"t=a\x13b\n", b"((1)t=x\n", b"t=x\nauth=\n",
)  # fmt: skip
FIELDS = (
    b"", b"6:(0)t=x,", b"06:(0)t=x,", b"6:(0)t=x;", b"7:(0)t=x,", b"99:(0)t=x,", b"6:(6)t=x,", b"6:[0]t=x,",
    b"5:(0)t=,", b"4:(0)t,", b"5:(0)=x,", b"6:(0)t=\0,", b"6:(0)\0=x,", b"10:(0)>>>\n=x,", b"8:(3)l=0:,,",
    b"9:(3)l=00:,,", b"0:,", b"13:(2)m=###\n%%%\n,", b"9:(2)m=###\n,", b"17:(2)m=###\n%%%\n0:,,", b"9:(5)t=%%%\n,",
    b"8:(0)%%%\n=,", b"00:,", b"9999999:(0)t=x,", b"12345678:x,", b"-1:(0)t=x,", b":(0)t=x,", b"6:(4)c=x,",
    b"10:(0)auth=1x,", b"10:(0)mac=1 x,",
)  # fmt: skip


def seeds() -> list[bytes]:
    """Recorded messages, as they came and as the inside of one with our signature; and all kinds of insides."""
    recorded = [record.octets for record in captures.records() if len(record.octets) < 1200]
    chosen = recorded[:: max(1, len(recorded) // 40)]
    found = [b"\x02\0\0" + octets for octets in chosen] + [b"\x03\0\0" + octets for octets in chosen[::4]]
    for octets in chosen:
        if octets.startswith(b">>>\n"):
            body = octets[4:].partition(b"<<<\n")[0]
            found += [b"\0\0\x01" + body, b"\x01\0\x01" + body + SEPARATOR + b"\0junk" + SEPARATOR + b"\x01" + body]
        elif octets.startswith(b"###\n"):
            body = octets[4:].partition(b"%%%\n")[0]
            found += [b"\0\0\x02" + body, b"\x05\0\x02" + body + SEPARATOR + b"\0###\n99:" + SEPARATOR + b"\x02" + body]
        found.append(b"\x19\x60\x03" + octets)
    for stream in (b"\0\0", b"\x05\0"):
        found += [stream + kind + lines for lines in LINES for kind in (b"\x01", b"\x04")] + [
            stream + b"\x02" + fields for fields in FIELDS
        ]
    return found
