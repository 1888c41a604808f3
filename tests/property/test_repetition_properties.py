"""Whatever is repeated: prepared frames are the ordinary ones, and nothing is heard that a Decoder would reject or that
says something new."""

import pickle

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from reference import codec as reference
from reference import repetition as oracle

from _hbfast.auth import Authenticator
from _hbfast.codec import Decoder, Message, Repetition, encode
from _hbfast.wheel import TimerWheel

KEYS = {0: ("crc", b""), 1: ("sha1", b"secret"), 2: ("md5", b"secret"), 3: ("blake2s", b"secret"), 15: ("sha256", b"k")}
AUTH = {strong: {index: Authenticator(KEYS, index, strong=strong) for index in KEYS} for strong in (False, True)}
# a busy machine is no reason to fail
bounded = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
indices = st.sampled_from(sorted(KEYS))
formats = st.sampled_from(["classic", "netstring"])
numbers = st.one_of(st.integers(0, 300), st.integers(0, 2**64 - 1), st.builds(lambda n: 16**n - 1, st.integers(1, 16)))

octets = st.one_of(
    st.binary(max_size=9), st.sampled_from([b">>>", b"<<<\n", b"a\nb", b"seq=1\n", b"\x13", b",8:(0)ts=1,"])
)
names = st.sampled_from(["t", "src", "st", "ext", "info", "ld", "a", "(x", "<<<", "seqs", "hg"])
values = st.one_of(
    st.tuples(st.just(0), octets),
    st.tuples(st.just(1), octets),
    st.tuples(st.just(3), st.lists(octets, max_size=2)),
    st.tuples(st.just(4), octets),
    st.tuples(st.just(5), octets),
    st.tuples(st.just(2), st.just(Message([("t", 0, b"x"), ("seq", 0, b"1")]))),
)
fields = st.builds(lambda name, value: (name, *value), names, values)
plain_fields = st.builds(
    lambda name, value: (name, 0, value), names.filter(lambda name: name[0] not in "(<"), st.binary(max_size=9)
).filter(lambda field: b"\0" not in field[2])


@st.composite
def repeated(draw, field=fields):
    """The fields of a message around `seq` and `ts`, and where those two stand."""
    others = draw(st.lists(field, max_size=6))
    places = draw(st.permutations(["seq", "ts"]))
    at = sorted((draw(st.integers(0, len(others))), draw(st.integers(0, len(others)))))
    return others, dict(zip(places, at, strict=True)), places


def message_with(parts, sequence, ts):
    others, at, places = parts
    found = list(others)
    for name in reversed(places):
        found.insert(at[name], (name, 0, b"%x" % (sequence if name == "seq" else ts)))
    return Message(found)


def octets_or_error(*arguments, **options):
    try:
        return encode(*arguments, **options)
    except ValueError as error:
        return str(error)


@settings(bounded, max_examples=300)
@given(
    repeated(),
    st.lists(st.tuples(numbers, numbers, indices, formats, st.booleans(), st.booleans()), min_size=1, max_size=5),
)
def test_a_prepared_frame_is_the_ordinary_one(parts, sent):
    again = message_with(parts, 1, 1)
    for sequence, ts, index, form, inner_auth, strong in sent:
        auth = AUTH[strong][index]
        again = again.again(sequence, ts)
        equal = message_with(parts, sequence, ts)
        wire = octets_or_error(again, auth, form, inner_auth=inner_auth)
        assert wire == octets_or_error(equal, auth, form, inner_auth=inner_auth)
        assert (again.sequence, again.type, again.source) == (sequence, equal.type, equal.source)
        assert again == equal
        assert octets_or_error(again, None, form) == octets_or_error(equal, None, form)


@st.composite
def damage(draw, frame):
    """The frame, or something like it."""
    kind = draw(st.sampled_from(["none", "none", "flip", "cut", "insert", "replace", "double", "nul"]))
    at = draw(st.integers(0, len(frame)))
    if kind == "flip":
        damaged = bytearray(frame)
        damaged[at % len(frame)] ^= 1 << draw(st.integers(0, 7))
        return bytes(damaged)
    if kind == "cut":
        return frame[:at]
    if kind == "insert":
        return frame[:at] + draw(st.binary(min_size=1, max_size=3)) + frame[at:]
    if kind == "replace":
        return frame[:at] + draw(st.sampled_from([b"0", b"f", b"\n", b",", b":", b"A"])) + frame[at + 1 :]
    return {"none": frame, "double": frame * 2, "nul": frame + b"\0"}[kind]


@settings(bounded, max_examples=500)
@given(repeated(plain_fields), indices, formats, st.booleans(), st.booleans(), st.booleans(), st.data())
def test_what_is_heard_is_what_the_reference_and_the_decoder_say(
    parts, index, form, inner_auth, strong, stream, choose
):
    first = encode(message_with(parts, 5, 7), AUTH[strong][index], form, inner_auth=inner_auth)
    auth = AUTH[False][1]
    decoder = Decoder("m", auth, stream=stream)
    [taught] = decoder.feed(first)
    repetition = Repetition(TimerWheel(1, 0))
    can_be_taught = repetition.teach(taught, 0)
    # in a stream either mark may begin another frame
    assert can_be_taught == all(mark not in first[1:] for mark in (b">>>\n", b"###\n"))
    last = 5
    for _ in range(choose.draw(st.integers(1, 4))):
        sequence = choose.draw(st.sampled_from([last, last + 1, last + 1, last + 2]))
        other = choose.draw(st.sampled_from([index, index, index, 0, 1]))
        forms = choose.draw(st.sampled_from([form, form, form, "classic"]))
        changed = message_with(parts, sequence, choose.draw(numbers))
        same = choose.draw(st.sampled_from([strong, strong, not strong]))
        frame = choose.draw(damage(encode(changed, AUTH[same][other], forms, inner_auth=inner_auth)))
        if choose.draw(st.booleans()):
            repetition = pickle.loads(pickle.dumps(repetition))
        good = decoder.counters["good"]
        heard = repetition.hear(decoder, frame, 1)
        whole = frame.removesuffix(b"\0") if frame.startswith(b">") and not stream else frame
        expected = oracle.repeats(first, whole, KEYS, index) if can_be_taught else None
        assert heard == {last: 2, last + 1: 1}.get(expected, 0)
        assert decoder.counters["good"] == good + (heard != 0)
        if heard == 0:
            continue
        # the decoder would have delivered just this, and nothing in it is new
        fresh = Decoder("m", auth, stream=stream)
        [message] = fresh.feed(frame)
        assert fresh.idle
        assert message.sequence == repetition.sequence == sequence
        assert message.generation == repetition.generation
        assert message.strong == taught.strong
        numbered = ("seq", "ts", "auth", "mac")
        expected = [field for field in taught.items() if field[0] not in numbered]
        assert [field for field in message.items() if field[0] not in numbered] == expected
        assert reference.verified(whole, KEYS)
        last = sequence
    assert repetition.count == last - 5


@settings(bounded, max_examples=200)
@given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 3), st.sampled_from([b"up", b"active"])), max_size=12))
def test_two_media_never_repeat_what_the_newest_message_did_not_say(sent):
    """Each medium loses what it likes. What is not heard is decoded, and taught if it is no older than the newest."""
    decoders = {name: Decoder(name, AUTH[False][0], stream=False) for name in "ab"}
    repetition = Repetition(TimerWheel(1, 0))
    newest = (0, b"")
    for medium, ahead, state in sent:
        sequence = newest[0] + ahead - 1
        if sequence < 1 or (ahead == 1 and state != newest[1]):
            continue
        message = Message([("st", 0, state), ("seq", 0, b"%x" % sequence), ("hg", 0, b"1"), ("ts", 0, b"1")])
        frame = encode(message, AUTH[False][0], "netstring")
        heard = repetition.hear(decoders[medium], frame, 1)
        assert heard != 1 or (sequence, state) == (newest[0] + 1, newest[1])
        assert heard != 2 or (sequence, state) == newest
        if heard == 0:
            repetition.teach(decoders[medium].feed(frame)[0], 1)
        newest = max(newest, (sequence, state))
        assert repetition.sequence == newest[0]
