"""The codec against the recorded messages, the letter of wire.md, and hostile input. Random input is in
tests/property/test_codec_properties.py."""

import bz2
import copy
import pickle
import time
import tracemalloc
import zlib
from pathlib import Path

import pytest
from reference import auth as reference_auth
from reference import captures
from reference import codec as reference

from _hbfast.auth import Authenticator
from _hbfast.codec import Decoder, Message, encode

KEYS = {1: ("sha1", b"TestKey123"), 2: ("md5", b"Another"), 3: ("crc", b""), 4: ("blake2s", b"k"), 5: ("sha256", b"k")}
AUTH = Authenticator(KEYS, 1)
ALL_COUNTERS = {"good", "bad_auth", "malformed", "oversize", "truncated", "noise_bytes"}
STATUS = Message(
    [
        ("t", 0, b"status"),
        ("st", 0, b"active"),
        ("src", 0, b"julius"),
        ("srcuuid", 1, bytes(range(16))),
        ("seq", 0, b"1c"),
        ("hg", 0, b"6b02c88b"),
        ("ts", 0, b"6b02cab7"),
    ]
)


def plain(message):
    """A message of ours in the form of the reference."""
    return [
        (name.encode("latin-1"), digit, plain(value) if digit == 2 else value) for name, digit, value in message.items()
    ]


def ours(fields):
    return Message([(name.decode("latin-1"), digit, ours(v) if digit == 2 else v) for name, digit, v in fields])


def datagram(octets, auth=AUTH, **options):
    """The message of one datagram, or None and why."""
    decoder = Decoder("eth0", auth, stream=False, **options)
    messages = decoder.feed(octets)
    counters = decoder.counters
    assert set(counters) == ALL_COUNTERS
    if messages:
        assert counters == {**dict.fromkeys(ALL_COUNTERS, 0), "good": 1}
        return messages[0]
    assert sum(counters.values()) == 1
    return next(name for name, count in counters.items() if count)


def stream(octets, auth=AUTH, piece=None, **options):
    decoder = Decoder("ttyS0", auth, stream=True, **options)
    pieces = [octets[i : i + piece] for i in range(0, len(octets), piece)] if piece else [octets]
    return [message for part in pieces for message in decoder.feed(part)], decoder.counters


def stated_index(message):
    """Which key signed what was received."""
    if message.raw.startswith(b"###"):
        return int(message.raw.rpartition(b":")[2].split()[0])
    return int(message.get("auth").split()[0])


# ---- the recorded messages ----


def test_the_captures_are_all_there():
    kinds = [(record.file, record.kind) for record in captures.records()]
    assert len(kinds) == 7285
    assert kinds.count(("udp-session1.jsonl", "udp")) == 2846
    assert len(captures.chunks()) == 412


def test_every_recorded_message_decodes_verifies_and_encodes_to_the_same_octets():
    rejected = []
    pings = []
    for record in captures.records():
        authenticator = Authenticator(record.keys, min(record.keys))
        found = datagram(record.octets, authenticator)
        expected = reference.message_of_datagram(record.octets, record.keys)
        if isinstance(found, str):
            assert expected is None
            (pings if record.kind == "icmp" else rejected).append(record)
            continue
        assert plain(found) == expected
        wire = found.outer or found
        encoded = encode(
            wire,
            Authenticator(record.keys, stated_index(wire)),
            "netstring" if wire.raw.startswith(b"###") else "classic",
            inner_auth=wire.get("auth") is not None,
        )
        assert encoded == wire.raw == record.octets.removesuffix(b"\0")
    assert {(record.file, record.source) for record in rejected} == {("udp-session1.jsonl", "bob")}
    assert len(rejected) == 22
    assert {record.file for record in pings} == {"udp-session1.jsonl"}
    assert len(pings) == 24


def test_the_inner_signature_of_every_recorded_netstring_is_what_we_sign():
    count = 0
    for record in captures.records():
        message = datagram(record.octets, None)
        if isinstance(message, Message) and message.outer is None and message.get("auth") is not None:
            index = int(message.get("auth").split()[0])
            if reference_auth.verifies(record.keys, reference.write_lines(plain(message)[:-1]), message.value("auth")):
                signed = encode(message, Authenticator(record.keys, index), "classic")
                assert signed.endswith(b"\nauth=" + message.value("auth") + b"\n<<<\n")
                count += 1
    assert count > 6_700


@pytest.mark.parametrize("piece", [None, 1, 2, 3, 7, 64, 203, 1000])
def test_the_serial_session_in_pieces(piece):
    for source, count in (("alice", 255), ("bob", 257)):
        octets = b"".join(chunk for name, chunk in captures.chunks() if name == source)
        messages, counters = stream(octets, piece=piece)
        assert len(messages) == count
        assert counters == {**dict.fromkeys(ALL_COUNTERS, 0), "good": count}
        assert {message.source for message in messages} == {source}
        assert b"".join(message.raw for message in messages) == octets
        assert all(
            encode(message, Authenticator(KEYS, stated_index(message)), "classic") == message.raw
            for message in messages
        )


@pytest.mark.parametrize("unit", [False, True])
def test_each_capture_as_one_stream(unit):
    """All messages of a run behind one another, both formats mixed, whole or octet by octet."""
    for name in ("matrix-sha1-classic.jsonl", "compress-bz2-traditional-on.jsonl", "matrix-crc-netstring.jsonl"):
        records = list(captures.records(name))
        octets = b"".join(record.octets for record in records)
        keys = records[0].keys
        messages, counters = stream(octets, Authenticator(keys, min(keys)), piece=1 if unit else None)
        assert [plain(message) for message in messages] == [reference.read(record.octets) for record in records]
        assert counters == {**dict.fromkeys(ALL_COUNTERS, 0), "good": len(records)}


def samples():
    """One message of each type of each run, and some of ours with what the original never sends."""
    seen = {}
    for record in captures.records():
        message = datagram(record.octets, Authenticator(record.keys, min(record.keys)))
        if not isinstance(message, str):
            key = (record.keys[min(record.keys)][0], record.octets[:1], message.type, message.get("st"))
            seen.setdefault(key, (record.octets, record.keys))
    nested = Message([("t", 0, b"x"), ("kid", 2, STATUS), ("l", 3, [b"abc", b"", b"defg"]), ("b", 1, b"")])
    flat = Message([("t", 0, b"x"), ("text", 0, b"a\nb"), ("empty", 0, b""), ("l", 3, [b"abc", b"", b"defg"])])
    for index in KEYS:
        authenticator = Authenticator(KEYS, index)
        for message in (nested, flat):
            for form in ("classic", "netstring"):
                seen[index, form, message is flat] = (encode(message, authenticator, form), KEYS)
    return list(seen.values())


def test_every_damaged_bit_of_a_datagram_is_rejected_or_harmless():
    examples = samples()
    assert len(examples) > 60
    rejected = 0
    for octets, keys in examples:
        authenticator = Authenticator(keys, min(keys))
        good = plain(datagram(octets, authenticator))
        decoder = Decoder("eth0", authenticator, stream=False)
        for bit in range(8 * len(octets)):
            damaged = bytearray(octets)
            damaged[bit // 8] ^= 1 << bit % 8
            messages = decoder.feed(damaged)
            assert [plain(message) for message in messages] in ([], [good]), (octets, bit)
            rejected += not messages
    assert rejected > 8 * 200 * len(examples)


def test_every_damaged_bit_on_a_stream_costs_at_most_that_message():
    before, after = encode(STATUS, AUTH, "classic"), encode(ours([(b"t", 0, b"next")]), AUTH, "classic")
    for octets, keys in samples()[:8]:
        authenticator = Authenticator(keys | KEYS if 1 not in keys else {**keys, 9: KEYS[1]}, min(keys))
        first = encode(STATUS, authenticator, "classic")
        last = encode(ours([(b"t", 0, b"next")]), authenticator, "netstring")
        good = plain(datagram(octets, authenticator))
        for bit in range(8 * len(octets)):
            damaged = bytearray(octets)
            damaged[bit // 8] ^= 1 << bit % 8
            messages, _ = stream(first + damaged + last, authenticator)
            types = [message.type for message in messages]
            assert types[0] == "status"
            assert types[-1] == "next"
            assert [plain(message) for message in messages[1:-1]] in ([], [good])
    assert before != after


# ---- messages ----


def test_a_message_keeps_its_fields_in_order():
    fields = [("t", 0, b"x"), ("n", 0, b"1"), ("n", 0, b"2"), ("b", 1, b"\0\xff"), ("l", 3, [b"a"]), ("m", 2, STATUS)]
    message = Message(iter(fields))
    assert message.items() == tuple(fields)
    assert message.get("n") == "1"
    assert message.get("b") is None
    assert message.get("absent") is None
    assert message.value("b") == b"\0\xff"
    assert message.value("l") == [b"a"]
    assert message.value("m") == STATUS
    assert message.value("absent") is None
    assert message == Message(fields)
    assert message != Message(fields[:-1])
    assert message != "x"
    assert "'b', 1, b'\\x00\\xff'" in repr(message)


def test_what_everybody_asks_for():
    assert (STATUS.type, STATUS.source, STATUS.sequence, STATUS.generation) == ("status", "julius", 0x1C, 0x6B02C88B)
    assert (STATUS.medium, STATUS.raw, STATUS.outer) == ("", b"", None)
    empty = Message([])
    assert (empty.type, empty.source, empty.sequence, empty.generation) == (None, None, 0, 0)
    twice = Message([("t", 0, b"a"), ("t", 0, b"b"), ("seq", 0, b"zz"), ("seq", 0, b"1"), ("src", 1, b"a")])
    assert (twice.type, twice.sequence, twice.source) == ("a", 0, None)
    received = datagram(encode(STATUS, AUTH, "netstring"))
    assert (received.type, received.source, received.sequence, received.medium) == ("status", "julius", 0x1C, "eth0")


@pytest.mark.parametrize(
    ("text", "number"),
    [
        (b"0", 0),
        (b"ff", 255),
        (b"FF", 255),
        (b"ffffffffffffffff", 2**64 - 1),
        (b"10000000000000000", 0),
        (b"", 0),
        (b" 1", 0),
        (b"0x1", 0),
        (b"-1", 0),
        (b"1g", 0),
        (b"1\n", 0),
        (b"1@", 0),
        (b"1\x10", 0),
        (b"\xe6", 0),
    ],
)
def test_numbers(text, number):
    assert Message([("hg", 0, text)]).generation == number


@pytest.mark.parametrize("form", ["classic", "netstring"])
@pytest.mark.parametrize("count", [0, 1, 30, 31, 200])
def test_any_number_of_fields_is_read_alike(form, count):
    """Whether the message keeps its octets alone or all its fields."""
    fields = [(f"f{number}", 0, b"%d" % number) for number in range(count)]
    fields += [("f0", 0, b"again"), ("a\xe9", 1, b"\0\n")]
    frame = encode(Message(fields), None, form)
    [one] = Decoder("m", None, stream=False).feed(frame)
    [other] = Decoder("m", None, stream=False).feed(frame)
    assert one.items() == tuple(fields)
    for message in (one, other):  # of which nobody has asked the second for all
        assert message.get("f0") == ("0" if count else "again")
        assert message.get(f"f{count - 1}") == (f"{count - 1}" if count else None)
        assert message.value("a\xe9") == b"\0\n"
        assert message.get("a\xe9") is None
        assert [message.get(name) for name in ("f", "f00", "a", "a\u0129", "\ud800")] == [None] * 5
    assert other.items() == one.items()
    assert other == one
    assert encode(other, None, form) == frame


def test_text_that_is_not_utf_8_can_be_printed():
    message = Message([("t", 0, b"\xffa\xc3\xa9"), ("src", 0, "césar".encode())])
    assert message.type == "\\xffaé"
    assert message.source == "césar"
    assert message.get("t").encode()
    assert message.value("t") == b"\xffa\xc3\xa9"


@pytest.mark.parametrize(
    ("field", "error"),
    [
        (("a", 6, b""), ValueError),
        (("a", -1, b""), ValueError),
        (("\u20ac", 0, b""), ValueError),
        (("a", 0, "text"), TypeError),
        (("a", 2, b""), TypeError),
        (("a", 3, [1]), TypeError),
        (("a", 0, None), TypeError),
    ],
)
def test_fields_that_cannot_be(field, error):
    with pytest.raises(error):
        Message([field])


# ---- copies ----


@pytest.mark.parametrize(
    "message",
    [
        STATUS,
        Message([]),
        Message([("\xe9", 1, b"\0"), ("l", 3, [b"a"]), ("m", 2, STATUS), ("seq", 0, b"zz")]),
        Decoder("eth0", AUTH, stream=False).feed(encode(STATUS, Authenticator(KEYS, 1, strong=True), "netstring"))[0],
        Decoder("ttyS0", None, stream=True).feed(encode(STATUS, AUTH, "classic"))[0],
        STATUS.again(7, 8),
        STATUS.again(7, 8).again(2**64 - 1, 0),
    ],
)
def test_a_message_survives_being_pickled(message):
    other = pickle.loads(pickle.dumps(message))
    assert other == message
    for name in ("type", "source", "generation", "sequence", "medium", "raw", "outer", "strong"):
        assert getattr(other, name) == getattr(message, name)
    assert encode(other, None, "netstring") == encode(message, None, "netstring")
    # it never changes: nobody needs a second one
    assert copy.copy(message) is copy.deepcopy(message) is message


@pytest.mark.parametrize("form", ["classic", "netstring"])
def test_a_received_message_keeps_its_fields_without_its_octets(form):
    """As a replay makes those that had come with a strong signature."""
    message = Message([("t", 0, b"status"), ("src", 0, b"julius"), ("uuid", 1, bytes(range(16)))])
    [found] = Decoder("eth0", None, stream=False).feed(encode(message, None, form))
    found.__setstate__(("eth1", b"", None, True))
    assert (found.medium, found.raw, found.strong) == ("eth1", b"", True)
    assert (found.get("src"), found.value("uuid")) == ("julius", bytes(range(16)))
    assert found == message


def test_a_compressed_message_survives_being_pickled():
    fields = [("_compressed_payload", 1, zlib.compress(encode(STATUS, None, "classic")))]
    message = datagram(encode(Message([*fields, ("_compression_algorithm", 0, b"zlib")]), AUTH, "netstring"))
    other = pickle.loads(pickle.dumps(message))
    assert (other, other.outer, other.outer.raw) == (message, message.outer, message.outer.raw)


def test_what_is_repeated_is_pickled_once():
    history = [STATUS.again(n, n) for n in range(1000, 1500)]
    pickled = pickle.dumps(history)
    assert len(pickled) < 500 * 30
    other = pickle.loads(pickled)
    assert other == history
    assert encode(other[7], AUTH, "classic") == encode(history[7], AUTH, "classic")


def test_keys_are_in_no_pickle():
    for secret in (AUTH, Decoder("eth0", AUTH, stream=False)):
        with pytest.raises(TypeError):
            pickle.dumps(secret)
        with pytest.raises(TypeError):
            copy.deepcopy(secret)


# ---- encoding ----


def test_example_10_of_the_wire_format():
    fields = [
        ("t", 0, b"status"),
        ("st", 0, b"up"),
        ("dt", 0, b"fa0"),
        ("protocol", 0, b"1"),
        ("src", 0, b"bob"),
        ("srcuuid", 1, bytes.fromhex("783c23050d464be79699a2ae36400799")),
        ("seq", 0, b"2"),
        ("hg", 0, b"6b02c8a0"),
        ("ts", 0, b"6b02c9bf"),
        ("ld", 0, b"0.00 0.00 0.00 1/1 1"),
        ("ttl", 0, b"3"),
    ]
    crc = Authenticator(KEYS, 3)
    assert encode(Message(fields), crc, "classic") == (
        b">>>\nt=status\nst=up\ndt=fa0\nprotocol=1\nsrc=bob\n(1)srcuuid=eDwjBQ1GS+eWmaKuNkAHmQ==\nseq=2\nhg=6b02c8a0\n"
        b"ts=6b02c9bf\nld=0.00 0.00 0.00 1/1 1\nttl=3\nauth=3 32085e87\n<<<\n"
    )
    assert encode(Message(fields), crc, "netstring") == (
        b"###\n11:(0)t=status,8:(0)st=up,9:(0)dt=fa0,13:(0)protocol=1,10:(0)src=bob,27:(1)srcuuid=x<#\x05\rFK\xe7\x96"
        b"\x99\xa2\xae6@\x07\x99,8:(0)seq=2,14:(0)hg=6b02c8a0,14:(0)ts=6b02c9bf,26:(0)ld=0.00 0.00 0.00 1/1 1,"
        b"8:(0)ttl=3,18:(0)auth=3 32085e87,%%%\n10:3 72333197,"
    )
    assert encode(Message(fields), crc, "netstring", inner_auth=False).count(b"auth") == 0


def test_the_nested_example_of_the_wire_format():
    kid = Message([("t", 0, b"status"), ("a", 0, b"1")])
    mid = Message([("a", 0, b"x\ny"), ("kid", 2, kid), ("l", 3, [b"abc", b"defg"])])
    message = Message([("top", 0, b"1"), ("mid", 2, mid)])
    classic = (
        b">>>\ntop=1\n(2)mid=>>>\x14a=x\x13y\x14(2)kid=>>>\x15t=status\x15a=1\x15<<<\x15\x14(3)l=3:abc,4:defg,\x14"
        b"<<<\x14\n<<<\n"
    )
    assert encode(message, None, "classic") == classic
    assert datagram(classic, None) == message
    netstring = encode(message, None, "netstring")
    assert netstring == reference.write_netstring(plain(message))
    assert datagram(netstring, None) == message
    assert stream(netstring + classic, None)[0] == [message, message]


def test_auth_takes_its_old_place():
    first = Message([("auth", 0, b"old"), ("t", 0, b"x"), ("auth", 0, b"older")])
    assert encode(first, AUTH, "classic").startswith(b">>>\nauth=1 ")
    assert encode(first, AUTH, "classic").count(b"auth") == 1
    assert encode(first, AUTH, "netstring").startswith(b"###\n50:(0)auth=1 ")
    assert encode(first, None, "classic") == b">>>\nauth=old\nt=x\nauth=older\n<<<\n"
    assert datagram(encode(first, AUTH, "classic")).items()[0][0] == "auth"


@pytest.mark.parametrize(("digit", "value"), [(2, STATUS), (4, b"x"), (5, b"x")])
def test_no_inner_signature_with_fields_that_have_no_classic_form(digit, value):
    octets = encode(Message([("t", 0, b"x"), ("v", digit, value)]), AUTH, "netstring")
    assert b"(0)auth=" not in octets
    assert datagram(octets).value("v") == value


def deep(levels):
    message = Message([("t", 0, b"bottom")])
    for _ in range(levels):
        message = Message([("kid", 2, message)])
    return message


@pytest.mark.parametrize("form", ["classic", "netstring"])
def test_nesting_has_a_limit(form):
    octets = encode(deep(16), AUTH, form)
    assert datagram(octets) == Message([*deep(16).items(), *datagram(octets).items()[1:]])
    with pytest.raises(ValueError, match="nest"):
        encode(deep(17), AUTH, form)
    fields = plain(deep(17))
    assert datagram(reference.sign_netstring(fields, KEYS, 1)) == "malformed"
    assert stream(octets, None)[0] == [datagram(octets, None)]


@pytest.mark.parametrize(
    ("field", "classic", "netstring"),
    [
        (("", 0, b"x"), False, False),
        (("a=b", 0, b"x"), False, False),
        (("a\0b", 0, b"x"), False, False),
        (("a\nb", 4, b"x"), False, True),
        ((">>>\nb", 4, b"x"), False, False),
        (("(1)b", 4, b"x"), False, True),
        (("<<<", 4, b"x"), False, True),
        (("a", 0, b"x\0"), False, False),
        (("a", 0, b"x\n"), True, True),
        (("a", 1, b"\0\n"), True, True),
        (("a", 3, [b"x\n"]), False, False),  # in a netstring the inner signature has no form
        (("a", 3, [b"x\0"]), False, False),
        (("a", 3, [b"x" * 1017]), True, True),
        (("a", 3, [b"x" * 1018]), True, False),
        (("a", 5, b"x"), False, True),
        (("\xe9", 0, b"x"), True, True),
        (("<", 0, b"x"), True, True),
        ((">>", 0, b"x"), True, True),
        ((">>>", 0, b"x"), False, False),  # in a netstring the inner signature has no form
        (("a", 2, Message([("b", 0, b"\x14")])), False, True),
        (("a", 2, Message([("b", 0, b"\x15")])), True, True),
        (("a", 2, Message([("b", 2, Message([("c", 0, b"\x15")]))])), False, True),
        (("a", 2, Message([("", 0, b"")])), False, False),
        (("a", 0, b"x" * 262_200), False, False),
        (("a", 0, b"x" * 262_000), True, True),
    ],
)
def test_what_can_be_sent(field, classic, netstring):
    message = Message([("t", 0, b"x"), field])
    for form, possible in (("classic", classic), ("netstring", netstring)):
        if possible:
            octets = encode(message, AUTH, form)
            assert datagram(octets).items()[:2] == message.items()
        else:
            with pytest.raises(ValueError):
                encode(message, AUTH, form)


def test_the_format_has_a_name():
    with pytest.raises(ValueError, match="xml"):
        encode(STATUS, AUTH, "xml")


# ---- what a datagram must be ----


@pytest.mark.parametrize("form", ["classic", "netstring"])
@pytest.mark.parametrize("signed", [True, False])
def test_a_datagram_is_exactly_one_message(form, signed):
    auth = AUTH if signed else None
    octets = encode(STATUS, auth, form)
    assert datagram(octets, auth).type == "status"
    assert (datagram(octets + b"\0", auth) == datagram(octets, auth)) == (form == "classic")
    for wrong in [
        octets + b"\n",
        octets + b"\0\0",
        b"\n" + octets,
        b"noise" + octets,
        octets + octets,
        octets + encode(STATUS, auth, "classic"),
        octets + b"x",
        b"",
        b"\0",
        b">",
        b">>>\n",
        b"###\n",
        b"garbage\n",
    ]:
        assert datagram(wrong, auth) in ("malformed", "bad_auth"), wrong
    for size in range(len(octets)):
        assert isinstance(datagram(octets[:size], auth), str) or not signed, octets[:size]


def test_why_a_datagram_is_rejected():
    assert datagram(encode(STATUS, None, "classic")) == "bad_auth"
    assert datagram(encode(STATUS, None, "netstring")) == "bad_auth"
    assert datagram(encode(STATUS, Authenticator({1: ("sha1", b"x")}, 1), "classic")) == "bad_auth"
    assert datagram(encode(STATUS, Authenticator({6: ("sha1", b"x")}, 6), "netstring")) == "bad_auth"
    assert datagram(b"hello, world") == "malformed"
    assert datagram(encode(STATUS, AUTH, "netstring"), limit=100) == "oversize"
    assert datagram(encode(STATUS, AUTH, "netstring"), limit=len(encode(STATUS, AUTH, "netstring"))) == datagram(
        encode(STATUS, AUTH, "netstring")
    )


def signed_lines(lines):
    """A classic message of any lines, well signed."""
    return b">>>\n" + lines + b"auth=" + reference_auth.sign(KEYS, 1, lines) + b"\n<<<\n"


@pytest.mark.parametrize(
    ("lines", "good"),
    [
        (b"t=x\n", True),
        (b"t=\n", True),
        (b"t=a=b=c\n", True),
        (b"t=x\r\n", True),
        (b"\nt=x\n\n\n", True),
        (b"(1)b=!\n", True),
        (b"(5)b=AAAA\n", True),
        (b"(3)l=\n", True),
        (b"(3)l=3:abc,0:,\n", True),
        (b"t\n", False),
        (b"=x\n", False),
        (b"(0)t=x\n", False),
        (b"(6)t=x\n", False),
        (b"(1t=x\n", False),
        (b"(1)=x\n", False),
        (b"()t=x\n", False),
        (b"(1)(1)t=x\n", False),
        (b"t=\0\n", False),
        (b"(3)l=3:abc\n", False),
        (b"(3)l=03:abc,\n", False),
        (b"(3)l=4:abc,\n", False),
        (b"(3)l=:,\n", False),
        (b"(2)m=x\n", False),
        (b"(2)m=>>>\x14<<<\x14\n", True),
        (b"(2)m=>>>\x14t=x\x14<<<\x14\n", True),
        (b"(2)m=>>>\x15t=x\x15<<<\x15\n", False),
        (b"(2)m=>>>\x14t=x<<<\x14\n", False),
        (b"(2)m=>>>\x14t=x\x14<<<\x14x\n", False),
        (b"<<<x=\n", False),
        (b"<<<\nt=x\n", False),
        (b">>>\nt=x\n", False),
    ],
)
def test_lines_of_a_classic_message(lines, good):
    octets = signed_lines(lines)
    found = datagram(octets)
    assert isinstance(found, Message) == good
    assert (reference.message_of_datagram(octets, KEYS) is not None) == good
    if good:
        assert plain(found) == reference.message_of_datagram(octets, KEYS)


@pytest.mark.parametrize(
    ("text", "octets"),
    [
        (b"", b""),
        (b"AA==", b"\0"),
        (b"AAA=", b"\0\0"),
        (b"AAAA", b"\0\0\0"),
        (b"//+/", b"\xff\xff\xbf"),
        (b"AB==", b"\0"),
        (b"A", b""),
        (b"AAAAA", b""),
        (b"A===", b""),
        (b"====", b""),
        (b"AA=A", b""),
        (b"=AAA", b""),
        (b"AA-_", b""),
        (b"AAA\n", b""),
    ],
)
def test_base64(text, octets):
    found = datagram(b">>>\n(1)b=%s\n<<<\n" % text.replace(b"\n", b" "), None)
    assert found.value("b") == octets


def test_a_classic_message_has_one_auth_line():
    good = encode(STATUS, AUTH, "classic")
    assert datagram(good).type == "status"
    assert datagram(good.replace(b"<<<\n", b"auth=1 junk\n<<<\n")) == "bad_auth"
    assert datagram(good.replace(b">>>\n", b">>>\nauth=1 junk\n")) == "bad_auth"
    # not even where somebody signed it
    assert datagram(signed_lines(b"auth=1 junk\nt=x\n")) == "bad_auth"


def test_lines_that_nobody_signed_are_rejected():
    good = encode(STATUS, AUTH, "classic")
    assert datagram(good.replace(b"<<<\n", b"\n<<<\n")) == "bad_auth"
    assert datagram(good.replace(b"<<<\n", b"x=y\n<<<\n")) == "bad_auth"


def signed_netstring(fields):
    """A netstring of any octets between its markers, well signed."""
    body = b"###\n" + fields + b"%%%\n"
    token = reference_auth.sign(KEYS, 1, body)
    return body + b"%d:%s," % (len(token), token)


@pytest.mark.parametrize(
    ("fields", "good"),
    [
        (b"", True),
        (b"6:(0)t=x,", True),
        (b"5:(0)t=,", True),
        (b"9:(1)t=\0\n,x,", True),
        (b"8:(0)%%%\n=,", True),
        (b"9:(5)t=%%%\n,", True),
        (b"8:(3)l=0:,,", True),
        (b"06:(0)t=x,", False),
        (b"4:(0)t,", False),
        (b"4:(0)=,", False),
        (b"6:(6)t=x,", False),
        (b"6:(a)t=x,", False),
        (b"6:[0]t=x,", False),
        (b"6:(0]t=x,", False),
        (b"6:(0)t=\0,", False),
        (b"6:(0)\0=x,", False),
        (b"10:(0)>>>\n=x,", False),
        (b"6:(0)t=x;", False),
        (b"6:(0)t=x", False),
        (b"7:(0)t=x,", False),
        (b"60:(0)t=x,", False),
        (b"99999999:(0)t=x,", False),
        (b"-1:(0)t=x,", False),
        (b":(0)t=x,", False),
        (b"0:,", False),
        (b"13:(2)m=###\n%%%\n,", True),
        (b"9:(2)m=###\n,", False),
        (b"14:(2)m=###\n%%%\nx,", False),
        (b"16:(2)m=###\n%%%\n1:x,", False),
        (b"7:(3)l=1:,", False),
    ],
)
def test_fields_of_a_netstring(fields, good):
    octets = signed_netstring(fields)
    found = datagram(octets)
    assert isinstance(found, Message) == good
    assert (reference.message_of_datagram(octets, KEYS) is not None) == good
    if good:
        assert plain(found) == reference.message_of_datagram(octets, KEYS)


def test_a_trailer_has_a_limit():
    body = b"###\n6:(0)t=x,%%%\n"
    assert datagram(body + b"256:" + b"x" * 256 + b",", None).type == "x"
    assert datagram(body + b"257:" + b"x" * 257 + b",", None) == "malformed"
    assert datagram(body + b"5000:" + b"x" * 5000 + b",") == "malformed"


def test_the_signature_is_checked_before_anything_is_interpreted():
    """The same nonsense counts as unsigned where the signature is wrong, as malformed where it is right."""
    for octets in (signed_netstring(b"6:(9)t=x,"), signed_lines(b"nonsense\n")):
        assert datagram(octets) == "malformed"
        assert datagram(octets, Authenticator({1: ("sha1", b"x")}, 1)) == "bad_auth"


# ---- the strong signature ----

STRONG = Authenticator(KEYS, 1, strong=True)


def test_the_example_of_the_strong_signature():
    """As docs/protocol.md has it."""
    fields = [
        ("t", 0, b"status"),
        ("st", 0, b"up"),
        ("src", 0, b"bob"),
        ("srcuuid", 1, bytes.fromhex("783c23050d464be79699a2ae36400799")),
        ("seq", 0, b"2"),
        ("hg", 0, b"6b02c8a0"),
        ("ts", 0, b"6b02c9bf"),
    ]
    classic = encode(Message(fields), STRONG, "classic")
    assert classic == (
        b">>>\nt=status\nst=up\nsrc=bob\n(1)srcuuid=eDwjBQ1GS+eWmaKuNkAHmQ==\nseq=2\nhg=6b02c8a0\nts=6b02c9bf\n"
        b"mac=1 g2WetzlBOKacUrV1T8xadnBU/i2F21y4x/pzsLj9Jxw\nauth=1 0201198351fb22267ec20a9f318a32bd4566d1c0\n<<<\n"
    )
    netstring = encode(Message(fields), STRONG, "netstring")
    for octets in (classic, netstring):
        assert datagram(octets).strong
        assert datagram(octets).items() == (*fields, *datagram(classic).items()[-2:])
    for line in classic.decode().splitlines():
        assert f"    {line}\n" in PROTOCOL


PROTOCOL = (Path(__file__).parent.parent.parent / "docs" / "protocol.md").read_text()


@pytest.mark.parametrize("form", ["classic", "netstring"])
@pytest.mark.parametrize("index", KEYS)
def test_a_strong_signature_is_added_and_recognised(form, index):
    octets = encode(STATUS, Authenticator(KEYS, index, strong=True), form)
    found = datagram(octets)
    assert found.strong == (index != 3)
    assert [field for field in found.items() if field[0] not in ("mac", "auth")] == list(STATUS.items())
    fields = plain(STATUS) if index == 3 else reference.with_mac(plain(STATUS), KEYS, index)
    assert octets == getattr(reference, f"sign_{form}")(fields, KEYS, index)
    # nobody who knows nothing of it minds
    assert datagram(octets, None).type == "status"
    assert not datagram(octets, None).strong
    assert not datagram(encode(STATUS, Authenticator(KEYS, index), form)).strong
    assert not STATUS.strong


def test_a_received_message_is_signed_again():
    found = datagram(encode(STATUS, STRONG, "netstring"))
    for form in ("classic", "netstring"):
        assert encode(found, STRONG, form) == encode(STATUS, STRONG, form)
        # as it is, by one who does not sign strongly
        assert encode(found, AUTH, form) == encode(STATUS, STRONG, form)


def test_mac_takes_its_old_place():
    message = Message([("mac", 0, b"old"), ("t", 0, b"x"), ("mac", 1, b"older")])
    found = datagram(encode(message, STRONG, "netstring"))
    assert found.strong
    assert [name for name, _, _ in found.items()] == ["mac", "t", "auth"]
    message = Message([("auth", 0, b"old"), ("t", 0, b"x")])
    assert [name for name, _, _ in datagram(encode(message, STRONG, "classic")).items()] == ["auth", "t", "mac"]


def resigned(fields, form, index=1):
    """With the original's signatures alone."""
    return getattr(reference, f"sign_{form}")(fields, KEYS, index)


@pytest.mark.parametrize("form", ["classic", "netstring"])
def test_a_wrong_strong_signature_is_a_bad_signature(form):
    fields = reference.with_mac(plain(STATUS), KEYS, 1)
    mac = fields[-1]
    index, _, text = mac[2].partition(b" ")
    assert datagram(resigned(fields, form)).strong
    for value in [
        b"",
        b" ",
        text,
        b"1 ",
        b"1",
        mac[2] + b"=",
        mac[2] + b" ",
        mac[2][:-1],
        b"1  " + text,
        b"01 " + text,
        b"2 " + text,
        b"3 " + text,
        b"3 ",
        b"6 " + text,
        b"16 " + text,
        mac[2].swapcase(),
        reference_auth.strong_token(KEYS, 2, reference.covered(fields)).replace(b"2 ", b"1 ", 1),
        index + b" " + reference_auth.sign(KEYS, 1, reference.covered(fields)).partition(b" ")[2],
    ]:
        assert datagram(resigned([*fields[:-1], (b"mac", 0, value)], form)) == "bad_auth", value
    for wrong in (
        [*fields, mac],
        [mac, *fields],
        [*fields[:-1], (b"mac", 1, mac[2])],
        [*fields[:-1], (b"mac", 3, [mac[2]])],
        [*fields[:-1], (b"mac", 3, [])],
        [*fields, (b"more", 0, b"")],
        [(name, digit, b"2c" if name == b"seq" else value) for name, digit, value in fields],
        [(name, digit, b"6b02c88c" if name == b"hg" else value) for name, digit, value in fields],
        [(name, 1 if name == b"st" else digit, value) for name, digit, value in fields],
        [fields[1], fields[0], *fields[2:]],
    ):
        assert datagram(resigned(wrong, form)) == "bad_auth", wrong
    # another key of ours is as good as the one of the original's signature
    assert datagram(resigned(reference.with_mac(plain(STATUS), KEYS, 5), form, 2)).strong


def test_every_bit_that_the_strong_signature_covers():
    """Signed again with a method that has no secret: what an outsider can do where `crc` is among the keys."""
    good = reference.with_mac(plain(STATUS), KEYS, 1)
    count = 0
    for i, (name, digit, value) in enumerate(good):
        for bit in range(8 * len(value)):
            damaged = bytearray(value)
            damaged[bit // 8] ^= 1 << bit % 8
            if digit == 0 and b"\0" in damaged:
                continue
            fields = [*good[:i], (name, digit, bytes(damaged)), *good[i + 1 :]]
            assert datagram(resigned(fields, "netstring", 3)) == "bad_auth", (name, bit)
            count += 1
    assert count > 500


def test_the_strong_signature_is_the_same_in_both_formats():
    kid = Message([("t", 0, b"a\nb"), ("auth", 0, b"kept"), ("mac", 0, b"kept"), ("l", 3, [b"x"])])
    message = Message(
        [("t", 0, b"x\ny"), ("b", 1, b"\n\x13\0"), ("kid", 2, kid), ("l", 3, [b"", b"1:2,"]), ("e", 0, b"")]
    )
    macs = {datagram(encode(message, STRONG, form)).get("mac") for form in ("classic", "netstring")}
    assert macs == {reference.with_mac(plain(message), KEYS, 1)[-1][2].decode()}
    # an octet that the classic format turns into LF
    told_alike = [Message([("t", 0, b"x" + octet + b"y")]) for octet in (b"\n", b"\x13")]
    for form in ("classic", "netstring"):
        found = [datagram(encode(each, STRONG, form)) for each in told_alike]
        assert found[0].get("mac") == found[1].get("mac")
        assert all(each.strong for each in found)


def test_a_list_with_a_nul_is_judged_and_raises_nothing():
    """We would not send one."""
    fields = [(b"t", 0, b"x"), (b"l", 3, [b"a\0b"])]
    assert datagram(resigned(reference.with_mac(fields, KEYS, 1), "netstring")).strong
    assert datagram(resigned([*fields, (b"mac", 0, b"1 x")], "netstring")) == "bad_auth"


def test_nesting_has_a_limit_for_strong_signatures_too():
    assert datagram(encode(deep(16), STRONG, "netstring")).strong
    with pytest.raises(ValueError, match="nest"):
        encode(deep(17), STRONG, "netstring")


def test_a_strong_signature_of_what_came_compressed():
    """It is the outer message's that counts."""
    inner = encode(STATUS, None, "classic")
    fields = [("_compressed_payload", 1, zlib.compress(inner)), ("_compression_algorithm", 0, b"zlib")]
    message = datagram(encode(Message(fields), STRONG, "netstring"))
    assert message == STATUS
    assert message.strong
    forged = [(name.encode(), digit, value) for name, digit, value in fields] + [(b"mac", 0, b"1 x")]
    assert datagram(resigned(forged, "netstring")) == "bad_auth"
    fields[0] = ("_compressed_payload", 1, zlib.compress(encode(STATUS, STRONG, "classic")))
    assert not datagram(encode(Message(fields), AUTH, "netstring")).strong


# ---- compression ----


def packed(octets, algorithm, compress):
    fields = [("_compressed_payload", 1, compress(octets)), ("_compression_algorithm", 0, algorithm)]
    return encode(Message(fields), AUTH, "netstring", inner_auth=False)


@pytest.mark.parametrize(("algorithm", "compress"), [(b"zlib", zlib.compress), (b"bz2", bz2.compress)])
def test_a_message_compressed_as_a_whole(algorithm, compress):
    octets = encode(STATUS, AUTH, "classic") + b"\0"
    wire = packed(octets, algorithm, compress)
    message = datagram(wire)
    assert message == datagram(octets)
    assert (message.type, message.sequence, message.medium, message.raw) == ("status", 0x1C, "eth0", b"")
    assert message.outer.raw == wire
    assert message.outer.value("_compressed_payload") == compress(octets)
    assert stream(wire)[0] == [message]
    assert datagram(packed(encode(STATUS, None, "netstring"), algorithm, compress)) == STATUS
    for wrong in (
        packed(octets[:-3], algorithm, compress),
        packed(octets, b"lzma", compress),
        packed(octets, b"bz2" if algorithm == b"zlib" else b"zlib", compress),
        packed(octets, algorithm, lambda plain: compress(plain)[:-1]),
        packed(octets, algorithm, lambda plain: compress(plain) + b"x"),
        packed(octets, algorithm, lambda plain: b""),
    ):
        assert datagram(wrong) == "malformed"
    alone = encode(Message([("_compressed_payload", 1, compress(octets))]), AUTH, "netstring")
    assert datagram(alone) == "malformed"


@pytest.mark.parametrize(("algorithm", "compress"), [(b"zlib", zlib.compress), (b"bz2", bz2.compress)])
def test_a_bomb_is_never_unpacked(algorithm, compress):
    def filled(size):
        return b">>>\nt=" + b"x" * (size - 11) + b"\n<<<\n"

    assert len(datagram(packed(filled(2**21), algorithm, compress)).type) == 2**21 - 11
    assert datagram(packed(filled(2**21 + 1), algorithm, compress)) == "malformed"
    wire = packed(filled(10**8), algorithm, compress)
    tracemalloc.start()
    assert datagram(wire) == "malformed"
    assert tracemalloc.get_traced_memory()[1] < 8_000_000
    tracemalloc.stop()


def test_a_compressed_message_inside_a_compressed_message_stays_packed():
    inner = encode(
        Message([("_compressed_payload", 1, b"x"), ("_compression_algorithm", 0, b"zlib")]), None, "netstring"
    )
    message = datagram(packed(inner, b"zlib", zlib.compress))
    assert message.value("_compressed_payload") == b"x"


@pytest.mark.parametrize(("algorithm", "compress"), [(b"zlib", zlib.compress), (b"bz2", bz2.compress)])
def test_a_compressed_field(algorithm, compress):
    for form in ("classic", "netstring"):
        octets = encode(STATUS, None, form) + (b"\0" if form == "classic" else b"")
        fields = [("t", 0, b"x"), ("big", 4, compress(octets)), ("_compression_algorithm", 0, algorithm)]
        message = datagram(encode(Message(fields), AUTH, "netstring"))
        assert message.type == "x"
        assert message.value("big") == compress(octets)
        assert message.expand("big") == STATUS
        assert message.expand("t") is None
        assert message.expand("absent") is None
    assert Message([("m", 2, STATUS)]).expand("m") == STATUS
    assert Message([("big", 4, b"junk"), ("_compression_algorithm", 0, algorithm)]).expand("big") is None
    assert Message([("big", 4, b"junk")]).expand("big") is None


# ---- streams ----

CLASSIC = encode(STATUS, AUTH, "classic")
NETSTRING = encode(STATUS, AUTH, "netstring")
NEXT = encode(Message([("t", 0, b"next"), ("src", 0, b"caesar")]), AUTH, "classic")


@pytest.mark.parametrize("piece", [None, 1, 5])
@pytest.mark.parametrize(
    "noise", [b"", b"\n", b"x", b">>>", b"###", b"\0\xff", b"<<<\n", b"%%%\n", b"a=b\n", b">>", b"#\n"]
)
def test_noise_between_messages_costs_none(noise, piece):
    messages, counters = stream(noise + CLASSIC + noise + NETSTRING + noise + NEXT + noise, piece=piece)
    assert [message.type for message in messages] == ["status", "status", "next"]
    assert (counters["good"], counters["bad_auth"]) == (3, 0)
    # what may still become a start marker is not settled yet
    assert 4 * len(noise) - 3 <= counters["noise_bytes"] <= 4 * len(noise)


@pytest.mark.parametrize("piece", [None, 1])
@pytest.mark.parametrize("broken", [CLASSIC, NETSTRING])
@pytest.mark.parametrize("good", [CLASSIC, NETSTRING])
def test_a_message_cut_anywhere_costs_only_itself(broken, good, piece):
    for size in range(len(broken)):
        messages, counters = stream(broken[:size] + good + NEXT, piece=piece)
        assert [message.type for message in messages] == ["status", "next"], size
        assert counters["good"] == 2
        assert counters["noise_bytes"] == size
        # lengths may fit the next message's by chance: then the wrong one is complete, with a bad signature
        assert counters["truncated"] + counters["malformed"] + counters["bad_auth"] == (size >= 4)


@pytest.mark.parametrize(
    "claim", [b"7:", b"99:", b"300:", b"999:", b"5000:", b"262000:", b"262144:", b"9999999:", b"99999999999:"]
)
@pytest.mark.parametrize("good", [CLASSIC, NETSTRING])
def test_a_false_length_delays_no_later_message(claim, good):
    decoder = Decoder("ttyS0", AUTH, stream=True)
    assert decoder.feed(b"###\n" + claim + b"(0)t=") == []
    assert len(decoder.feed(good)) == 1
    assert len(decoder.feed(NETSTRING)) == 1
    assert len(decoder.feed(NEXT)) == 1
    # and one that is true by chance, as far as lengths go, is no message either
    size = len(b"(0)t=" + good)
    assert len(stream(b"###\n%d:(0)t=" % size + good + b",%%%\n" + NEXT)[0]) == 2


def test_a_start_counts_wherever_it_stands():
    for prefix in (
        b"x",
        b"junk>",
        b">>>\nt=",
        b">>>\n>>>\n",
        b"###\n###\n",
        b">>>\nt=x\ninfo=",
        b"###\n6:(0)t=x,",
        b">>>",
    ):
        for good in (CLASSIC, NETSTRING):
            messages, counters = stream(prefix + good)
            assert [message.raw for message in messages] == [good], prefix
            assert counters["noise_bytes"] == len(prefix)


def test_markers_inside_values_do_no_harm():
    values = [b">>>", b"x>>>", b"###", b"<<<", b"%%%", b">>>\n", b">>>\nt=x\n<<<\n", b"###\n6:(0)t=x,%%%\n"]
    fields = [("t", 0, b"x"), *((f"v{i}", 0, value) for i, value in enumerate(values * 3)), ("b", 1, NEXT[:-2])]
    for form in ("classic", "netstring"):
        octets = encode(Message(fields), AUTH, form)
        for piece in (None, 1):
            messages, counters = stream(octets + NEXT, piece=piece)
            assert [message.raw for message in messages] == [octets, NEXT]
            assert counters == {**dict.fromkeys(ALL_COUNTERS, 0), "good": 2}


def test_nested_messages_on_a_stream():
    message = Message([("t", 0, b"x"), ("a", 2, deep(15)), ("b", 2, STATUS), ("c", 2, deep(3))])
    for auth in (AUTH, None):
        for form in ("classic", "netstring"):
            octets = encode(message, auth, form)
            for piece in (None, 1):
                messages, counters = stream(octets * 3, auth, piece=piece)
                assert [found.items()[:4] for found in messages] == [message.items()] * 3
                assert counters["good"] == 3


def test_without_signatures_a_broken_message_does_not_swallow_the_next():
    good = encode(STATUS, None, "classic")
    messages, _ = stream(b">>>\nt=half\nsrc=ju" + good, None)
    assert messages == [STATUS]
    netstring = encode(STATUS, None, "netstring")
    assert stream(b"###\n99:(0)t=" + netstring, None)[0] == [STATUS]
    assert stream(NETSTRING + NETSTRING, None)[0] == [datagram(NETSTRING, None)] * 2


def test_bad_signatures_on_a_stream_are_counted():
    forged = encode(STATUS, Authenticator({1: ("sha1", b"wrong")}, 1), "classic")
    assert stream(forged + CLASSIC + forged)[1] == {
        "good": 1,
        "bad_auth": 2,
        "malformed": 0,
        "oversize": 0,
        "truncated": 0,
        "noise_bytes": 2 * len(forged) - 3,
    }
    forged = encode(STATUS, Authenticator({1: ("sha1", b"wrong")}, 1), "netstring")
    assert stream(forged + CLASSIC)[1]["bad_auth"] == 1


def test_an_unfinished_message_is_bounded():
    for start in (b">>>\nt=", b"###\n99:(0)t=", b">>>\n", b">>>\nt=x\n" * 3):
        decoder = Decoder("ttyS0", AUTH, stream=True, limit=10_000)
        tracemalloc.start()
        decoder.feed(start)
        for _ in range(100):
            decoder.feed(b"x=y\n" * 1_000)
        decoder.feed(b"x" * 1_000_000)
        held = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()
        assert held < 100_000
        assert decoder.counters["oversize"] + decoder.counters["malformed"] >= 1
        assert len(decoder.feed(CLASSIC)) == 1


@pytest.mark.parametrize("form", ["classic", "netstring"])
def test_the_limit_holds_to_the_octet(form):
    octets = encode(STATUS, AUTH, form)
    for piece in (None, 1):
        assert len(stream(octets, limit=len(octets), piece=piece)[0]) == 1
        messages, counters = stream(octets, limit=len(octets) - 1, piece=piece)
        assert messages == []
        assert counters["oversize"] == 1


def test_a_limit_that_leaves_no_room():
    with pytest.raises(ValueError):
        Decoder("x", None, stream=True, limit=7)


@pytest.mark.parametrize("piece", [None, 1])
def test_more_beginnings_than_are_followed(piece):
    for many in (b">>>\n", b"x=>>>\n", b"###\n", b"###\n9000:(0)x=", b"###\n9000:(0)x=>>>\n"):
        messages, _ = stream(many * 200 + CLASSIC + NETSTRING, piece=piece)
        assert [message.raw for message in messages] == [CLASSIC, NETSTRING], many
    # and the same inside a good message, behind some of them
    for many in (b"x=>>>\n", b"###\n9000:(0)x=", b"###\n9000:(0)x=>>>\n"):
        good = encode(Message([("t", 0, b"x"), ("b", 1, many * 200)]), AUTH, "netstring")
        messages, _ = stream(many * 20 + good, piece=piece)
        assert [message.raw for message in messages] == [good], many
    good = encode(Message([("t", 0, b"x")] * 5 + [("b", 0, b">>>")] * 200), AUTH, "classic")
    messages, _ = stream(b"x=>>>\n" * 20 + good, piece=piece)
    assert [message.raw for message in messages] == [good]


HOSTILE = {
    "starts": b">>>\n",
    "starts that stay open": b"x=>>>\n",
    "netstring starts": b"###\n",
    "claims": b"###\n250000:(0)x=",
    "claims and ends": b"###\n250000:(0)x=%%%\n",
    "both": b"x=>>>\n\n###\n200000:\n",
    "line ends": b"\n",
    "markers": b"x>>>\nauth=1 x\n<<<\n",
    "open and ends": b"x=>>>\n" * 40 + b"auth=1 x\n" + b"y=z\n" * 2000 + b"<<<\n",
    "complete": b"###\n%%%\n42:1 " + b"0" * 40 + b",",
    "one line": b">>>\nx=" + b"x" * 200_000,
    "text": bytes(range(256)),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_input_costs_a_bounded_time_for_each_octet(name):
    octets = (HOSTILE[name] * (1_000_000 // len(HOSTILE[name]) + 1))[:1_000_000]
    for piece in (100_000, 16):
        decoder = Decoder("ttyS0", AUTH, stream=True)
        start = time.process_time()
        for i in range(0, len(octets), piece):
            assert decoder.feed(octets[i : i + piece]) == []
        spent = time.process_time() - start
        # 1 µs an octet; a cost that grows with what is open would be a thousand times that
        assert spent < 1.0
        assert len(decoder.feed(b"\n" + CLASSIC)) == 1


def test_a_long_message_in_single_octets():
    """An octet costs the same, however much of its message is waiting: the buffer is not moved for each."""

    def spent(decoder):
        start = time.process_time()
        for _ in range(100_000):
            decoder.feed(b"x")
        return time.process_time() - start

    decoder = Decoder("ttyS0", AUTH, stream=True)
    outside = spent(decoder)
    decoder.feed(b">>>\nx=" + b"x" * 150_000)
    assert spent(decoder) < 4 * outside + 0.05


def test_odd_arguments():
    decoder = Decoder("x", None, stream=True)
    assert decoder.feed(b"") == []
    assert decoder.feed(bytearray(CLASSIC)) == decoder.feed(memoryview(CLASSIC))
    with pytest.raises(TypeError):
        decoder.feed("text")
    with pytest.raises(TypeError):
        Decoder("x", "no keys", stream=True)
    with pytest.raises(TypeError):
        encode(None, AUTH, "classic")
