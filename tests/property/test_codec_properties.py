"""Any message, any octets, any cutting: the codec does what the reference does."""

import string
from itertools import pairwise

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from reference import captures
from reference import codec as reference

from _hbfast.auth import Authenticator
from _hbfast.codec import Decoder, Message, encode

KEYS = {0: ("crc", b""), 1: ("sha1", b"secret"), 2: ("md5", b"secret"), 3: ("blake2s", b"secret"), 15: ("sha256", b"k")}
AUTH = {index: Authenticator(KEYS, index) for index in KEYS}
STRONG = {index: Authenticator(KEYS, index, strong=True) for index in KEYS}
# a busy machine is no reason to fail
bounded = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
indices = st.sampled_from(sorted(KEYS))
formats = st.sampled_from(["classic", "netstring"])

# octets that mean something somewhere in the formats come often
markers = st.sampled_from(
    [b">>>\n", b"###\n", b"<<<\n", b"%%%\n", b">>>", b"\n", b"\n<<<\n", b"=", b"auth=1 x\n", b"5:"]
)
octets = st.lists(st.one_of(st.binary(max_size=6), markers), max_size=6).map(b"".join)
texts = octets.map(lambda value: value.replace(b"\0", b""))
names = st.one_of(
    st.sampled_from(["t", "src", "seq", "hg", "info", "auth", "mac", "_compressed_payload", "_compression_algorithm"]),
    st.text(string.ascii_letters + string.digits + "_. <>#\xe9", min_size=1, max_size=8),
).filter(lambda name: not name.startswith(("<<<", ">>>")))
elements = st.lists(texts.map(lambda value: value.replace(b"\n", b"")), max_size=3)
simple = st.one_of(
    st.tuples(names, st.just(0), texts),
    st.tuples(names, st.just(1), octets),
    st.tuples(names, st.just(3), elements),
)
plain = st.one_of(simple, st.tuples(names, st.just(4), octets))


def nested(children):
    field = st.one_of(plain, st.tuples(names, st.just(2), children))
    return st.lists(field, max_size=4).map(Message)


flat_messages = st.lists(simple, max_size=6).map(Message)
messages = st.recursive(st.lists(plain, max_size=4).map(Message), nested, max_leaves=6)


def fields_of(message):
    """A message of ours in the form of the reference."""
    return [
        (name.encode("latin-1"), digit, fields_of(value) if digit == 2 else value)
        for name, digit, value in message.items()
    ]


def unsigned(fields):
    return [field for field in fields if field[0] != b"auth"]


def signed_anew(message):
    """The message without signatures that it would keep."""
    return Message([field for field in message.items() if field[0] not in ("auth", "mac")])


def decode(data, auth, *, stream=False, cuts=(), limit=262144):
    decoder = Decoder("m", auth, stream=stream, limit=limit)
    edges = [0, *sorted(cut for cut in cuts if cut < len(data)), len(data)]
    parts = [data[a:b] for a, b in pairwise(edges)] if stream else [data]
    found = [message for part in parts for message in decoder.feed(part)]
    return found, decoder.counters


@settings(bounded, max_examples=150)
@given(messages, indices)
def test_a_netstring_is_what_the_reference_writes_and_reads(message, index):
    fields = unsigned(fields_of(message))
    wire = encode(message, AUTH[index], "netstring", inner_auth=False)
    assert wire == reference.sign_netstring(fields, KEYS, index, inner_auth=False)
    expected = reference.message_of_datagram(wire, KEYS)
    assert [fields_of(found) for found in decode(wire, AUTH[1])[0]] == ([] if expected is None else [expected])


@settings(bounded, max_examples=150)
@given(flat_messages, indices, formats)
def test_both_signatures_are_what_the_reference_writes(message, index, form):
    message = signed_anew(message)
    fields = fields_of(message)
    wire = encode(message, AUTH[index], form)
    assert wire == getattr(reference, f"sign_{form}")(fields, KEYS, index)
    if not any(name.startswith(b"_compressed") for name, _, _ in fields):
        [found] = decode(wire, AUTH[1])[0]
        assert [field[:2] for field in fields_of(found)] == [*(field[:2] for field in fields), (b"auth", 0)]
        assert encode(found, AUTH[index], form) == wire
        # LF comes back from classic; an octet 0x13 comes back as LF
        assert form == "classic" or fields_of(found)[:-1] == fields


@settings(bounded, max_examples=150)
@given(messages, indices.filter(bool), formats)
def test_the_strong_signature_is_what_the_reference_writes_and_finds_good(message, index, form):
    try:
        wire = encode(message, STRONG[index], form)
    except ValueError:
        # an octet of a nested message stands for LF there
        assert any(0x0F <= octet <= 0x1F for octet in reference.write_netstring(fields_of(message)))
        return
    fields = reference.with_mac(fields_of(message), KEYS, index)
    if not any(name == b"auth" for name, _, _ in fields):
        assert wire == getattr(reference, f"sign_{form}")(fields, KEYS, index)
    expected = reference.message_of_datagram(wire, KEYS)
    found = decode(wire, AUTH[1])[0]
    assert [fields_of(each) for each in found] == ([] if expected is None else [expected])
    assert all(each.strong for each in found)


@settings(bounded, max_examples=150)
@given(messages, indices.filter(bool), formats, st.sampled_from([b"", b"1 x"]), st.data())
def test_a_strong_signature_of_something_else_is_rejected(message, index, form, junk, choose):
    """One field is changed, left out, added or moved, and the original's signature made anew."""
    fields = fields_of(signed_anew(message))
    mac = reference.with_mac(fields, KEYS, index)[-1]
    at = choose.draw(st.integers(0, len(fields)))
    changed = choose.draw(
        st.sampled_from(
            [
                fields[:at] + fields[at + 1 :],
                [*fields[:at], (b"more", 0, junk), *fields[at:]],
                fields[::-1],
                [*fields[:at], *((name, digit, value) for name, digit, value in fields[at : at + 1]), *fields[at:]],
                fields,
            ]
        )
    )
    signed = [*changed, mac]
    try:
        wire = getattr(reference, f"sign_{form}")(signed, KEYS, 0, **({"inner_auth": False} if form[0] == "n" else {}))
    except reference.Malformed:
        return
    expected = reference.message_of_datagram(wire, KEYS)
    found = decode(wire, AUTH[1])[0]
    assert [fields_of(each) for each in found] == ([] if expected is None else [expected])
    assert not found or reference.covered(changed) == reference.covered(fields)


@settings(bounded, max_examples=100)
@given(messages)
def test_a_classic_message_is_what_the_reference_writes_and_reads(message):
    try:
        wire = encode(message, None, "classic")
    except ValueError:
        # an octet of a nested message stands for LF there
        assert any(0x0F <= octet <= 0x1F for octet in reference.write_netstring(fields_of(message)))
        return
    assert wire == reference.write_classic(fields_of(message))
    expected = reference.message_of_datagram(wire, None)
    assert [fields_of(found) for found in decode(wire, None)[0]] == ([] if expected is None else [expected])


@settings(bounded, max_examples=250)
@given(octets, st.sampled_from([b"", b">>>\n", b"###\n"]), st.sampled_from([b"", b"\n<<<\n", b"%%%\n", b"%%%\n3:1 x,"]))
@example(b"", b">>>\n", b"<<<\n")
def test_any_octets_as_a_datagram_are_judged_as_by_the_reference(data, start, end):
    data = start + data + end
    for auth, keys in ((None, None), (AUTH[1], KEYS)):
        expected = reference.message_of_datagram(data, keys)
        assert [fields_of(found) for found in decode(data, auth)[0]] == ([] if expected is None else [expected])


RECORDED = [record.octets for record in captures.records("matrix-sha1-classic.jsonl", "matrix-sha1-netstring.jsonl")]
recorded = st.sampled_from(RECORDED[::4])


@settings(bounded, max_examples=250)
@given(recorded, st.data())
def test_a_mangled_datagram_is_judged_as_by_the_reference(data, choose):
    """Without signatures, so that what is behind them is reached."""
    data = bytearray(data)
    for _ in range(choose.draw(st.integers(1, 3))):
        at = choose.draw(st.integers(0, len(data) - 1))
        data[at : at + choose.draw(st.integers(0, 3))] = choose.draw(st.one_of(octets, st.binary(max_size=2)))
        if not data:
            return
    expected = reference.message_of_datagram(bytes(data), None)
    assert [fields_of(found) for found in decode(data, None)[0]] == ([] if expected is None else [expected])


# ---- streams ----


@st.composite
def pieces_of_a_stream(draw):
    """Good messages, cut and damaged ones, claims, and noise, one after another."""
    message = draw(flat_messages)
    form = draw(formats)
    wire = encode(message, AUTH[draw(indices)], form)
    kind = draw(st.sampled_from(["good", "good", "cut", "flipped", "forged", "claim", "noise", "nested"]))
    if kind == "cut":
        a, b = sorted(draw(st.tuples(st.integers(0, len(wire)), st.integers(0, len(wire)))))
        return wire[:a] + wire[b:]
    if kind == "flipped":
        damaged = bytearray(wire)
        damaged[draw(st.integers(0, len(wire) - 1))] ^= 1 << draw(st.integers(0, 7))
        return bytes(damaged)
    if kind == "forged":
        return encode(message, Authenticator({1: ("sha1", b"another")}, 1), form)
    if kind == "claim":
        return b"###\n%d:(0)x=" % draw(st.integers(0, 700))
    if kind == "nested":
        return encode(Message([("t", 0, b"x"), ("b", 1, wire), ("m", 2, message)]), AUTH[1], "netstring")
    if kind == "noise":
        return draw(octets)
    return wire


streams = st.lists(pieces_of_a_stream(), max_size=5).map(b"".join)
cuts = st.sets(st.integers(1, 3000), max_size=8)


@settings(bounded, max_examples=150)
@given(streams, cuts)
def test_a_stream_gives_the_messages_of_the_reference(data, where):
    expected = reference.messages_of_stream(data, KEYS)
    whole, counters = decode(data, AUTH[1], stream=True)
    assert [fields_of(message) for message in whole] == expected
    assert (decode(data, AUTH[1], stream=True, cuts=where)[0], counters) == (whole, counters)
    assert decode(data, AUTH[1], stream=True, cuts=where) == (whole, counters)
    assert decode(data, AUTH[1], stream=True, cuts=range(1, len(data))) == (whole, counters)


@settings(bounded, max_examples=100)
@given(streams, st.integers(8, 400))
@example(b">>>\nsrc=" + encode(Message([]), AUTH[1], "netstring"), len(encode(Message([]), AUTH[1], "netstring")) + 2)
def test_a_limit_on_a_stream(data, limit):
    whole, counters = decode(data, AUTH[1], stream=True, limit=limit)
    assert [fields_of(message) for message in whole] == reference.messages_of_stream(data, KEYS, limit)
    assert decode(data, AUTH[1], stream=True, limit=limit, cuts=range(1, len(data))) == (whole, counters)


@settings(bounded, max_examples=60)
@given(st.lists(st.tuples(recorded, octets.filter(lambda noise: b"\n" not in noise))), octets, cuts)
def test_noise_between_recorded_messages_costs_none(parts, noise, where):
    """Noise of whole lines before, noise without them between."""
    data = noise + b"".join(message + between for message, between in parts)
    found, counters = decode(data, AUTH[1], stream=True, cuts=where)
    assert [message.raw for message in found] == [message for message, _ in parts]
    assert counters["good"] == len(parts)


@settings(bounded, max_examples=100)
@given(streams, cuts)
def test_cutting_an_unsigned_stream_changes_nothing(data, where):
    whole = decode(data, None, stream=True)
    assert decode(data, None, stream=True, cuts=where) == whole
    assert decode(data, None, stream=True, cuts=range(1, len(data))) == whole


@settings(bounded, max_examples=100)
@given(st.lists(octets, max_size=12).map(b"".join), cuts)
def test_any_octets_as_a_stream_raise_nothing(data, where):
    for auth in (None, AUTH[1]):
        whole = decode(data, auth, stream=True)
        assert decode(data, auth, stream=True, cuts=where) == whole
        assert whole[1]["noise_bytes"] <= len(data)
