"""A status that is repeated: written from a prepared frame, and heard without being decoded. Random messages and frames
are in tests/property/test_repetition_properties.py."""

import pickle

import pytest

from _hbfast.auth import Authenticator
from _hbfast.codec import Decoder, Message, Repetition, encode
from _hbfast.wheel import TimerWheel

S = 1_000_000_000
KEYS = {1: ("sha1", b"TestKey123"), 2: ("md5", b"Another"), 3: ("crc", b""), 4: ("blake2s", b"k"), 5: ("sha256", b"k")}
AUTH = {index: Authenticator(KEYS, index) for index in KEYS}
STRONG = {index: Authenticator(KEYS, index, strong=True) for index in KEYS}
FORMS = ("classic", "netstring")
DEATH, ETHERNET, SERIAL = range(3)  # keys of timers
OTHER, REPEATED, COPY, AWAITED = range(4)  # what hear() answers


def status(sequence, stamp=0x6B02CAB7, **changed):
    fields = {"t": b"status", "st": b"active", "dt": b"7530", "protocol": b"1", "src": b"julius"}
    fields |= {"seq": b"%x" % sequence, "hg": b"6b02c88b", "ts": b"%x" % stamp, "ttl": b"3"}
    fields |= changed
    return Message([(name, 0, value) for name, value in fields.items()])


class Listener:
    """A repetition with its wheel, and two media: eth0 in netstrings, ttyS0 a stream of the classic form."""

    def __init__(self, index=3):
        self.auth = AUTH[index]
        self.wheel = TimerWheel(8, 0)
        self.repetition = Repetition(self.wheel)
        self.repetition.timer = DEATH
        self.repetition.deadtime_ns = 30 * S
        self.decoders = {
            "eth0": Decoder("eth0", self.auth, stream=False),
            "ttyS0": Decoder("ttyS0", self.auth, stream=True),
        }
        for key in (DEATH, ETHERNET, SERIAL):
            self.wheel.arm(key, 30 * S)

    def frame(self, medium, message):
        return encode(message, self.auth, "netstring" if medium == "eth0" else "classic")

    def decode(self, medium, message):
        [found] = self.decoders[medium].feed(self.frame(medium, message))
        return found

    def teach(self, medium, message, now=0):
        link = ETHERNET if medium == "eth0" else SERIAL
        return self.repetition.teach(self.decode(medium, message), now, link)

    def hear(self, medium, message, now=S):
        return self.repetition.hear(self.decoders[medium], self.frame(medium, message), now)

    def due(self):
        """When each of the timers is due."""
        found = {}
        while (at := self.wheel.next_due()) is not None:
            found |= dict.fromkeys(self.wheel.due(at), at)
        return found


# ---- sending ----


def test_again_differs_in_two_fields():
    first = status(1)
    second = first.again(0x1C, 0x6B02CAB8)
    assert second == status(0x1C, 0x6B02CAB8)
    assert (second.type, second.source, second.generation, second.sequence) == ("status", "julius", 0x6B02C88B, 0x1C)
    assert (second.medium, second.raw, second.outer) == ("", b"", None)
    assert second.get("ts") == "6b02cab8"
    assert second.items() == status(0x1C, 0x6B02CAB8).items()
    assert repr(second) == repr(status(0x1C, 0x6B02CAB8))
    assert first == status(1)
    assert second.again(0, 0) == status(0, 0)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("index", KEYS)
@pytest.mark.parametrize("inner_auth", [True, False])
def test_a_prepared_frame_is_the_ordinary_one(form, index, inner_auth):
    """Also where the numbers grow, and where the keys change in between."""
    first = status(0xE)
    for sequence in [*range(0xE, 0x13), 0xFF, 0x100, 2**63, 2**64 - 1]:
        for auth in (AUTH[index], STRONG[index], AUTH[3], STRONG[3], AUTH[index]):
            again = first.again(sequence, sequence)
            expected = encode(status(sequence, sequence), auth, form, inner_auth=inner_auth)
            assert encode(again, auth, form, inner_auth=inner_auth) == expected
    assert encode(first.again(7, 8), None, form) == encode(status(7, 8), None, form)
    with pytest.raises(ValueError, match="xml"):
        encode(first.again(7, 8), AUTH[index], "xml")


@pytest.mark.parametrize(
    "fields",
    [
        [],
        [("seq", 0, b"1")],
        [("ts", 0, b"1")],
        [("seq", 0, b"1"), ("ts", 1, b"1")],
        [("seq", 0, b"1"), ("seq", 0, b"2"), ("ts", 0, b"1")],
        [("seq", 0, b"1"), ("ts", 0, b"1"), ("ts", 0, b"1")],
        [("seq", 0, b"1"), ("ts", 0, b"1"), ("auth", 0, b"1 x")],
        [("seq", 0, b"1"), ("ts", 0, b"1"), ("mac", 0, b"1 x")],
    ],
)
def test_what_cannot_be_repeated(fields):
    with pytest.raises(ValueError):
        Message(fields).again(1, 1)


def test_numbers_that_cannot_be_sent():
    for sequence, ts in [(-1, 1), (1, -1), (2**64, 1), (1, 2**64)]:
        with pytest.raises(OverflowError):
            status(1).again(sequence, ts)


def test_what_cannot_be_sent_cannot_be_repeated():
    for field in [("a", 0, b"\0"), ("a", 5, b"x"), ("a", 0, b"x" * 262_144), (">>>", 0, b"x")]:
        message = Message([*status(1).items(), field])
        with pytest.raises(ValueError):
            encode(message.again(2, 2), AUTH[1], "classic")


def test_a_message_too_large_to_be_prepared_is_written_all_the_same():
    field = ("a", 0, b"x" * 20_000)
    for form in FORMS:
        again = Message([*status(1).items(), field]).again(2, 3)
        assert encode(again, AUTH[1], form) == encode(Message([*status(2, 3).items(), field]), AUTH[1], form)


# ---- hearing ----


@pytest.mark.parametrize("medium", ["eth0", "ttyS0"])
@pytest.mark.parametrize("index", KEYS)
def test_the_next_one_is_heard_and_accounted(medium, index):
    listener = Listener(index)
    assert listener.teach(medium, status(0xFE))
    repetition = listener.repetition
    assert (repetition.generation, repetition.sequence, repetition.last_ns) == (0x6B02C88B, 0xFE, 0)
    for sequence in range(0xFF, 0x103):
        assert listener.hear(medium, status(sequence, sequence), sequence * S // 100) == REPEATED
        assert (repetition.sequence, repetition.last_ns) == (sequence, sequence * S // 100)
    assert repetition.count == 4
    assert listener.decoders[medium].counters["good"] == 5
    assert sum(listener.decoders[medium].counters.values()) == 5
    late = 0x102 * S // 100 + 30 * S
    heard, silent = (ETHERNET, SERIAL) if medium == "eth0" else (SERIAL, ETHERNET)
    assert listener.due() == {DEATH: late, heard: late, silent: 30 * S}


def test_a_copy_on_another_medium_proves_that_link_alone():
    listener = Listener()
    assert listener.teach("eth0", status(1))
    assert listener.teach("ttyS0", status(1))
    assert listener.hear("eth0", status(2), 2 * S) == REPEATED
    assert listener.hear("ttyS0", status(2), 3 * S) == COPY
    assert listener.hear("ttyS0", status(3), 4 * S) == REPEATED
    assert listener.hear("ttyS0", status(3), 5 * S) == COPY
    assert listener.repetition.last_ns == 4 * S
    assert listener.repetition.count == 2
    assert listener.due() == {DEATH: 34 * S, ETHERNET: 32 * S, SERIAL: 35 * S}


def test_one_that_was_decoded_is_taken_in_the_same_way():
    """By `take` as by `hear`: two listeners, of which one decodes everything."""
    short, whole = Listener(), Listener()
    for listener in (short, whole):
        for medium in ("eth0", "ttyS0"):
            listener.teach(medium, status(1))
        listener.repetition.awaited = 5
        listener.repetition.warntime_ns = 10 * S
    told = [("eth0", 2), ("ttyS0", 2), ("eth0", 3), ("ttyS0", 4), ("ttyS0", 4), ("eth0", 6), ("eth0", 5), ("eth0", 4)]
    seen = []
    for number, (medium, sequence) in enumerate(told):
        message = status(sequence, sequence)
        seen.append(short.hear(medium, message, number * S))
        assert whole.repetition.take(whole.decode(medium, message), number * S) == seen[-1]
    assert seen == [REPEATED, COPY, REPEATED, REPEATED, COPY, OTHER, AWAITED, OTHER]
    assert short.hear("eth0", status(6), 17 * S) == OTHER  # late
    assert whole.repetition.take(whole.decode("eth0", status(6)), 17 * S) == OTHER
    for name in ("sequence", "last_ns", "count"):
        assert getattr(short.repetition, name) == getattr(whole.repetition, name)
    assert whole.due() == short.due()


@pytest.mark.parametrize(
    "other",
    [
        status(7), status(4), status(6, st=b"up"), status(6, st=b"activE"), status(6, hg=b"6b02c88c"),
        status(6, extra=b""), status(6, ts=b"0"), status(6, ts=b""), status(6, ts=b"x"), status(6, src=b"caesar"),
        Message([field for field in status(6).items() if field[0] != "ttl"]),
        Message([field for field in status(6).items() if field[0] != "ts"]),
        Message([("src", 1, b"julius") if field[0] == "src" else field for field in status(6).items()]),
        Message([("stt", 0, b"active") if field[0] == "st" else field for field in status(6).items()]),
        Message(list(reversed(status(6).items()))),
    ],
    ids=str,
)  # fmt: skip
@pytest.mark.parametrize("medium", ["eth0", "ttyS0"])
def test_what_was_decoded_and_is_no_repetition(medium, other):
    listener = Listener()
    assert listener.repetition.take(listener.decode(medium, status(6)), S) == OTHER  # nothing taught
    listener.teach(medium, status(5))
    assert listener.repetition.take(listener.decode(medium, other), S) == OTHER
    assert listener.repetition.take(status(6), S) == OTHER  # not received
    assert (listener.repetition.count, listener.wheel.next_due()) == (0, 30 * S)
    assert listener.repetition.take(listener.decode(medium, status(6)), S) == REPEATED
    assert listener.due()[DEATH] == 31 * S


def test_what_is_no_repetition():
    """Each of them is left to be decoded, and changes nothing."""
    listener = Listener()
    frame = listener.frame("eth0", status(2))
    assert listener.repetition.hear(listener.decoders["eth0"], frame, S) == OTHER  # nothing taught
    listener.teach("eth0", status(5))
    for other in [
        status(7),
        status(4),
        status(1),
        status(0),
        status(6, st=b"up"),
        status(6, hg=b"6b02c88c"),
        status(6, hg=b"6b02c88a"),
        status(6, extra=b""),
        Message([field for field in status(6).items() if field[0] != "ttl"]),
        Message(list(reversed(status(6).items()))),
        Message([*status(6).items(), ("seq", 0, b"7")]),
    ]:
        assert listener.hear("eth0", other) == OTHER, other
    assert listener.hear("ttyS0", status(6)) == OTHER  # taught on the other medium
    for form, options in (("classic", {}), ("netstring", {"inner_auth": False})):
        frame = encode(status(6), listener.auth, form, **options)
        assert listener.repetition.hear(listener.decoders["eth0"], frame, S) == OTHER
    assert listener.repetition.count == 0
    assert listener.decoders["eth0"].counters["good"] == 1
    assert listener.hear("eth0", status(6)) == REPEATED


@pytest.mark.parametrize("strong", [False, True])
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("index", KEYS)
def test_every_damaged_bit_is_left_to_the_decoder(form, index, strong):
    signers = STRONG if strong else AUTH
    decoder = Decoder("m", AUTH[index], stream=False)
    repetition = Repetition(TimerWheel(1, 0))
    [found] = decoder.feed(encode(status(0x1B), signers[index], form))
    assert found.strong == (strong and index != 3)
    assert repetition.teach(found, 0)
    good = encode(status(0x1C, 0x6B02CAB8), signers[index], form)
    for bit in range(8 * len(good)):
        damaged = bytearray(good)
        damaged[bit // 8] ^= 1 << bit % 8
        assert repetition.hear(decoder, bytes(damaged), S) == OTHER, bit
    for size in range(len(good)):
        assert repetition.hear(decoder, good[:size], S) == OTHER, size
        assert repetition.hear(decoder, good[size:], S) == (REPEATED if size == 0 else OTHER), size
        repetition.sequence = 0x1B
    for wrong in (good + good, good + b"\n", good + b"\0\0", b"\n" + good, good + b"x", good * 100):
        assert repetition.hear(decoder, wrong, S) == OTHER
    for other in KEYS:
        same_key = other == index
        forged = encode(status(0x1C), signers[other], form)
        assert (repetition.hear(decoder, forged, S) == REPEATED) == same_key
        repetition.sequence = 0x1B
    if found.strong:
        assert repetition.hear(decoder, encode(status(0x1C), AUTH[index], form), S) == OTHER
    if index != 3:  # crc has no key
        keys = {index: (KEYS[index][0], b"another key")}
        assert repetition.hear(decoder, encode(status(0x1C), Authenticator(keys, index), form), S) == OTHER
    assert repetition.hear(decoder, good, S) == REPEATED


def test_other_spellings_of_the_numbers_are_left_to_the_decoder():
    for form in FORMS:
        for field in ("seq", "ts"):
            for value in (b"01c", b"1C", b"", b"0", b"00000000000000000001c", b"1c ", b" 1c", b"x", b"-1", b"1" * 17):
                listener = Repetition(TimerWheel(1, 0))
                decoder = Decoder("m", AUTH[1], stream=False)
                listener.teach(decoder.feed(encode(status(0x1B), AUTH[1], form))[0], 0)
                frame = encode(status(0x1C, **{field: value}), AUTH[1], form)
                assert listener.hear(decoder, frame, S) == OTHER, (field, value)


def test_a_classic_datagram_may_end_in_a_nul():
    decoder = Decoder("m", AUTH[1], stream=False)
    repetition = Repetition(TimerWheel(1, 0))
    repetition.teach(decoder.feed(encode(status(1), AUTH[1], "classic") + b"\0")[0], 0)
    assert repetition.hear(decoder, encode(status(2), AUTH[1], "classic") + b"\0", S) == REPEATED
    assert repetition.hear(decoder, encode(status(3), AUTH[1], "classic"), S) == REPEATED
    stream = Decoder("m", AUTH[1], stream=True)
    assert repetition.hear(stream, encode(status(4), AUTH[1], "classic") + b"\0", S) == OTHER


def test_a_stream_with_something_unfinished_is_read_the_ordinary_way():
    listener = Listener()
    decoder = listener.decoders["ttyS0"]
    assert decoder.idle
    listener.teach("ttyS0", status(1))
    assert decoder.idle
    for piece in (b"x", b">>>\n", b"\n", b"###\n99:"):
        decoder.feed(piece)
        assert not decoder.idle
        assert listener.hear("ttyS0", status(2)) == OTHER
        assert listener.decode("ttyS0", status(1)).sequence == 1
        assert decoder.idle
    assert listener.hear("ttyS0", status(2)) == REPEATED
    assert decoder.idle
    half = len(listener.frame("ttyS0", status(3))) // 2
    assert decoder.feed(listener.frame("ttyS0", status(3))[:half]) == []
    assert listener.repetition.hear(decoder, listener.frame("ttyS0", status(3))[half:], S) == OTHER
    assert len(decoder.feed(listener.frame("ttyS0", status(3))[half:])) == 1


def test_a_late_one_is_somebodys_business():
    listener = Listener()
    listener.repetition.warntime_ns = 10 * S
    listener.teach("eth0", status(1), 5 * S)
    assert listener.hear("eth0", status(2), 15 * S + 1) == OTHER
    assert listener.hear("eth0", status(2), 15 * S) == REPEATED
    # a copy says nothing of the interval
    assert listener.hear("eth0", status(2), 28 * S) == COPY


def test_one_that_somebody_waits_for():
    listener = Listener()
    listener.repetition.awaited = 3
    for medium in ("eth0", "ttyS0"):
        listener.teach(medium, status(1))
    assert [listener.hear("eth0", status(n)) for n in (2, 3, 4)] == [REPEATED, AWAITED, AWAITED]
    assert listener.hear("ttyS0", status(4)) == COPY
    listener.repetition.awaited = 6
    assert [listener.hear("eth0", status(n)) for n in (5, 6)] == [REPEATED, AWAITED]
    assert listener.repetition.count == 5


@pytest.mark.parametrize("key", [DEATH, ETHERNET])
def test_a_timer_that_is_due_or_not_armed_leaves_it_to_the_decoder(key):
    """Who let it run out wants to know that the peer is heard again."""
    listener = Listener()
    listener.teach("eth0", status(1))
    listener.wheel.arm(key, 10 * S)
    assert listener.hear("eth0", status(2), 10 * S) == OTHER
    assert listener.wheel.due(10 * S) == [key]
    assert listener.hear("eth0", status(2), 1 * S) == OTHER
    listener.wheel.arm(key, 20 * S)
    assert listener.hear("eth0", status(2), 10 * S) == REPEATED
    listener.wheel.disarm(key)
    assert listener.hear("eth0", status(3), 11 * S) == OTHER


def test_a_key_that_the_wheel_does_not_have():
    listener = Listener()
    found = listener.decode("eth0", status(1))
    for link in (8, 1000, -2):
        assert listener.repetition.teach(found, 0, link)
        assert listener.hear("eth0", status(2)) == OTHER


def test_something_new_on_one_medium_is_forgotten_on_the_others():
    """Or a medium that lost the change would take the old words for a repetition when they come back."""
    listener = Listener()
    listener.teach("eth0", status(1))
    listener.teach("ttyS0", status(1))
    listener.teach("eth0", status(2, st=b"up"))
    assert listener.hear("ttyS0", status(3)) == OTHER
    assert listener.hear("eth0", status(3)) == OTHER
    assert listener.hear("eth0", status(3, st=b"up")) == REPEATED


def test_what_is_not_taught():
    listener = Listener()
    assert not listener.repetition.teach(status(1), 0)  # never received
    assert not listener.teach("eth0", status(0))
    assert not listener.teach("eth0", status(2**63))
    assert not listener.teach("eth0", status(1, info=b"x>>>\n"))
    assert listener.teach("eth0", status(5))
    assert not listener.teach("eth0", status(4))
    assert not listener.teach("ttyS0", status(4, st=b"up"))
    assert listener.hear("eth0", status(6)) == REPEATED
    # a generation of its own
    assert listener.teach("eth0", status(1, hg=b"6b02c88c"))
    assert (listener.repetition.generation, listener.repetition.sequence) == (0x6B02C88C, 1)
    assert listener.hear("eth0", status(7)) == OTHER
    assert listener.hear("eth0", status(2, hg=b"6b02c88c")) == REPEATED
    # the largest number has none that follows
    assert listener.teach("eth0", status(2**63 - 2))
    assert listener.hear("eth0", status(2**63 - 1)) == REPEATED


def test_a_frame_that_no_sender_of_ours_writes_is_never_repeated():
    """Good for a Decoder, but with a spelling that would not be written again: blank lines, fields behind auth."""
    auth = AUTH[3]
    odd = [
        encode(Message([("auth", 0, b""), *status(1).items()]), auth, "classic"),
        encode(Message([("auth", 0, b""), *status(1).items()]), auth, "netstring"),
        encode(status(0x1C, seq=b"01C"), auth, "classic"),
        encode(Message([*status(1).items(), ("seq", 1, b"1")]), auth, "netstring"),
    ]
    lines = encode(status(1), auth, "classic").partition(b"auth=")[0].removeprefix(b">>>\n") + b"\n"
    odd.append(b">>>\n" + lines + b"auth=" + auth.sign(lines) + b"\n<<<\n")
    for frame in odd:
        decoder = Decoder("m", auth, stream=False)
        repetition = Repetition(TimerWheel(1, 0))
        [found] = decoder.feed(frame)
        repetition.teach(found, 0)
        for _ in range(2):
            assert repetition.hear(decoder, frame, 0) == OTHER


@pytest.mark.parametrize("form", FORMS)
def test_a_wrong_strong_signature_alone_is_left_to_the_decoder(form):
    """The original's, around it, is good: whoever knows another key can make that."""
    decoder = Decoder("m", AUTH[1], stream=False)
    repetition = Repetition(TimerWheel(1, 0))
    assert repetition.teach(decoder.feed(encode(status(0x1B), STRONG[1], form))[0], 0)
    mac = decoder.feed(encode(status(0x1B), STRONG[1], form))[0].get("mac")
    old = encode(Message([*status(0x1C).items(), ("mac", 0, mac.encode())]), AUTH[1], form)
    assert repetition.hear(decoder, old, S) == OTHER
    assert decoder.feed(old) == []
    assert repetition.hear(decoder, encode(status(0x1C), STRONG[1], form), S) == REPEATED


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", ["auth", "mac", "seq", "ts"])
@pytest.mark.parametrize(("digit", "value"), [(1, b"x"), (3, [b"x"]), (3, []), (2, status(1)), (4, b""), (0, b"")])
def test_signatures_and_numbers_of_other_types(form, name, digit, value):
    """Never written by us, but a Decoder without keys delivers them, and who has keys can sign them."""
    for fields in ([(name, digit, value), *status(1).items()], [*status(1).items(), (name, digit, value)]):
        wire = encode(Message(fields), None, form)
        for frame in (wire, encode(Message(fields), AUTH[1], form)):
            decoder = Decoder("m", None, stream=False)
            repetition = Repetition(TimerWheel(1, 0))
            [found] = decoder.feed(frame)
            repetition.teach(found, 0)
            for auth in (None, AUTH[1], AUTH[3]):
                heard = repetition.hear(Decoder("m", auth, stream=False), frame, 0)
                assert heard == OTHER or auth is not None
                assert heard == OTHER or Decoder("m", auth, stream=False).feed(frame) == [found]


def test_what_was_taught_without_a_signature():
    for form in FORMS:
        decoder = Decoder("m", None, stream=False)
        repetition = Repetition(TimerWheel(1, 0))
        assert repetition.teach(decoder.feed(encode(status(1), None, form))[0], 0)
        for frame in (encode(status(2), None, form), encode(status(2), AUTH[1], form)):
            assert repetition.hear(decoder, frame, 0) == OTHER
            assert repetition.hear(Decoder("m", AUTH[1], stream=False), frame, 0) == OTHER


def test_a_string_that_the_strong_signature_reads_differently_is_not_prepared():
    for form in FORMS:
        message = status(1, info=b"\x13")
        expected = encode(status(2, info=b"\x13"), STRONG[1], form)
        assert encode(message.again(2, 0x6B02CAB7), STRONG[1], form) == expected
        decoder = Decoder("m", AUTH[1], stream=False)
        repetition = Repetition(TimerWheel(1, 0))
        assert repetition.teach(decoder.feed(encode(message, STRONG[1], form))[0], 0)
        # in the classic format it is an LF by now
        assert repetition.hear(decoder, expected, 0) == (REPEATED if form == "classic" else OTHER)


def test_new_keys():
    """A frame is compared with what the decoder's own keys give."""
    listener = Listener(1)
    listener.teach("eth0", status(1))
    assert listener.hear("eth0", status(2)) == REPEATED
    frame = listener.frame("eth0", status(3))
    for keys in ({2: ("md5", b"x")}, {1: ("sha1", b"x")}):
        rekeyed = Decoder("eth0", Authenticator(keys, min(keys)), stream=False)
        for _ in range(2):
            assert listener.repetition.hear(rekeyed, frame, S) == OTHER
    assert listener.repetition.hear(Decoder("eth0", None, stream=False), frame, S) == OTHER
    rekeyed = Decoder("eth0", Authenticator({1: KEYS[1], 7: ("md5", b"x")}, 7), stream=False)
    assert listener.repetition.hear(rekeyed, frame, S) == REPEATED
    small = Decoder("eth0", listener.auth, stream=False, limit=len(frame) - 1)
    assert listener.repetition.hear(small, listener.frame("eth0", status(4)), S) == OTHER


def test_forgetting():
    listener = Listener()
    listener.teach("eth0", status(1))
    listener.teach("ttyS0", status(1))
    listener.repetition.forget("eth0")
    listener.repetition.forget("wlan0")
    assert listener.hear("eth0", status(2)) == OTHER
    assert listener.hear("ttyS0", status(2)) == REPEATED
    listener.repetition.forget()
    assert listener.hear("ttyS0", status(3)) == OTHER
    assert (listener.repetition.generation, listener.repetition.sequence) == (0, 0)


def test_a_copy_goes_on_by_itself():
    listener = Listener()
    listener.repetition.awaited = 100
    listener.repetition.warntime_ns = 10 * S
    listener.teach("eth0", status(1))
    listener.teach("ttyS0", status(1))
    listener.hear("eth0", status(2), 2 * S)
    names = ("generation", "sequence", "last_ns", "count", "awaited", "deadtime_ns", "warntime_ns", "timer")
    other = pickle.loads(pickle.dumps(listener.repetition))
    for name in names:
        assert getattr(other, name) == getattr(listener.repetition, name), name
    assert other.wheel.next_due() == 30 * S
    decoder = listener.decoders["ttyS0"]
    assert other.hear(decoder, listener.frame("ttyS0", status(2)), 3 * S) == COPY
    assert other.hear(decoder, listener.frame("ttyS0", status(3)), 4 * S) == REPEATED
    assert other.hear(decoder, listener.frame("ttyS0", status(4)), 14 * S + 1) == OTHER
    assert not other.teach(listener.decode("eth0", status(2)), 0)
    assert other.teach(listener.decode("eth0", status(4)), 5 * S)
    assert other.hear(decoder, listener.frame("ttyS0", status(5)), 6 * S) == REPEATED
    assert listener.repetition.sequence == 2
    # a key of the wheel it came with
    pair = pickle.loads(pickle.dumps((listener.wheel, listener.repetition)))
    assert pair[0] is pair[1].wheel


def test_media_have_a_limit():
    repetition = Repetition(TimerWheel(1, 0))
    for n in range(70):
        decoder = Decoder(f"eth{n}", AUTH[3], stream=False)
        assert repetition.teach(decoder.feed(encode(status(1), AUTH[3], "netstring"))[0], 0) == (n < 64)
    assert repetition.teach(decoder.feed(encode(status(2), AUTH[3], "netstring"))[0], 0) is False
    assert repetition.sequence == 1


def test_odd_arguments():
    listener = Listener()
    with pytest.raises(TypeError):
        Repetition(None)
    with pytest.raises(TypeError):
        listener.repetition.teach(None, 0)
    with pytest.raises(TypeError):
        listener.repetition.hear(None, b"", 0)
    with pytest.raises(TypeError):
        listener.repetition.hear(listener.decoders["eth0"], None, 0)
    assert listener.repetition.hear(listener.decoders["eth0"], b"", 0) == OTHER
