"""Decoding and encoding: recorded statuses of the original, with and without their signatures looked at, a serial line
with noise on it, and a status that is repeated.

What is compared has read, or written, the same: each case is checked once before it is measured.
"""

from __future__ import annotations

from functools import partial
from itertools import count

from reference import codec as reference

from _hbfast.auth import Authenticator
from _hbfast.codec import Decoder, Message, encode
from bench.codec import status
from bench.micro import inputs, plumb
from bench.micro.case import Batch, Case, calling, calling_each
from bench.micro.inputs import FORMS, Form

NUMBER, REFERENCE_NUMBER = 500, 25


def same(message: Message, fields: reference.Fields) -> bool:
    found: object = [(name.encode("latin-1"), digit, value) for name, digit, value in message.items()]
    return bool(found == fields)


# ---- the signature not looked at ----


def decode(form: Form, number: int = NUMBER) -> Batch:
    octets = inputs.recorded("sha1", form).octets
    decoder = Decoder("m", None, stream=False)
    [message] = decoder.feed(octets)
    assert same(message, reference.read(octets))
    return calling(decoder.feed, octets, number)


def decode_call_alone() -> Batch:
    return calling(Decoder("m", None, stream=False).feed, b"", NUMBER)


def decode_reference(form: Form) -> Batch:
    octets = inputs.recorded("sha1", form).octets
    return calling(lambda frame: reference.message_of_datagram(frame, None), octets, REFERENCE_NUMBER)


def decode_plumb(form: Form, number: int = NUMBER) -> Batch:
    return plumb.decoding(inputs.recorded("sha1", form).octets, number)


# ---- with it ----


def verify(method: str, form: Form) -> Batch:
    record = inputs.recorded(method, form)
    index = min(record.keys)
    decoder = Decoder("m", Authenticator(record.keys, index), stream=False)
    [message] = decoder.feed(record.octets)
    assert same(message, reference.message_of_datagram(record.octets, record.keys) or [])
    return calling(decoder.feed, record.octets, NUMBER)


def verify_ours(form: Form, strong: bool) -> Batch:
    """A status of ours, with the signature that the original has, and with the strong one too."""
    octets, auth = inputs.our_frame(form, strong=strong)
    decoder = Decoder("m", auth, stream=False)
    [message] = decoder.feed(octets)
    assert message.strong == strong
    return calling(decoder.feed, octets, NUMBER)


def verify_reference(method: str, form: Form) -> Batch:
    record = inputs.recorded(method, form)
    return calling(
        lambda frame: reference.message_of_datagram(frame, record.keys), record.octets, 1 if method == "crc" else 10
    )


# ---- a stream ----


def noise() -> Batch:
    octets, keys = inputs.noisy_line()
    decoder = Decoder("m", Authenticator(keys, min(keys)), stream=True)
    found = [message for chunk in inputs.reads(octets) for message in decoder.feed(chunk)]
    expected = reference.messages_of_stream(octets, keys)
    assert len(found) == len(expected) >= inputs.FRAMES_ON_THE_LINE * 2 // 3
    assert all(map(same, found, expected))
    batch = calling_each(decoder.feed, inputs.reads(octets), times=20)
    return batch._replace(operations=20 * len(found))


def noise_reference() -> Batch:
    octets, keys = inputs.noisy_line()
    batch = calling(lambda line: reference.messages_of_stream(line, keys), octets, 1)
    return batch._replace(operations=len(reference.messages_of_stream(octets, keys)), rare=True)


# ---- encoding ----


def write(form: Form) -> Batch:
    record = inputs.recorded("sha1", form)
    auth = Authenticator(record.keys, min(record.keys))
    [message] = Decoder("m", auth, stream=False).feed(record.octets)
    assert encode(message, auth, form) == record.octets
    return calling(lambda each: encode(each, auth, form), message, NUMBER)


def write_reference(form: Form) -> Batch:
    record = inputs.recorded("sha1", form)
    fields = [field for field in reference.read(record.octets) if field[0] != b"auth"]
    sign = reference.sign_classic if form == "classic" else reference.sign_netstring
    index = min(record.keys)
    assert sign(fields, record.keys, index) == record.octets
    return calling(lambda each: sign(each, record.keys, index), fields, REFERENCE_NUMBER)


def write_again(form: Form) -> Batch:
    """As a status is sent that says what the one before it said."""
    auth = Authenticator(inputs.OUR_KEYS, 1)
    first = status(1, 0x6B02CAB7)
    numbers = count(2)

    def again(message: Message) -> None:
        encode(message.again(next(numbers), 0x6B02CAB8), auth, form)

    return calling(again, first, NUMBER)


def cases() -> list[Case]:
    found = [Case("codec", "feed of nothing", decode_call_alone)]
    found.append(Case("codec", "calls of libplumb2 alone", partial(plumb.calls_alone, NUMBER)))
    for form in FORMS:
        found += [
            Case("codec", f"decode {form}", partial(decode, form)),
            Case("codec", f"decode {form}: libplumb2", partial(decode_plumb, form)),
            Case("codec", f"decode {form}: reference", partial(decode_reference, form)),
        ]
    for form in FORMS:
        for method in inputs.METHODS:
            found.append(Case("codec", f"decode + verify {form} {method}", partial(verify, method, form)))
            found.append(
                Case("codec", f"decode + verify {form} {method}: reference", partial(verify_reference, method, form))
            )
        found.append(Case("codec", f"decode + verify {form} of ours, sha1", partial(verify_ours, form, False)))
        found.append(Case("codec", f"decode + verify {form} of ours, strong", partial(verify_ours, form, True)))
    found.append(Case("codec", "decode + verify noisy stream", noise))
    found.append(Case("codec", "decode + verify noisy stream: reference", noise_reference))
    for form in FORMS:
        found += [
            Case("codec", f"encode {form} sha1", partial(write, form)),
            Case("codec", f"encode {form} sha1: reference", partial(write_reference, form)),
            Case("codec", f"encode {form} sha1, repeated", partial(write_again, form)),
        ]
    return found
