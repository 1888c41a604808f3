"""What is read off the wires, and what the soak makes of it, without any daemon."""

import os

import pytest
from interop.setting import KEYS
from interop.soak import _ways
from interop.tap import Passed, _Side, count, sequences
from reference import codec

KEY = KEYS["sha1"]


def written(kind, number, source="julius", *, keys=KEY, netstring=False, **more):
    texts = {"t": kind, "src": source, "hg": "5", "ts": "1", **more}
    if number:
        texts["seq"] = f"{number:x}"
    fields = [(name.encode(), 0, text.encode()) for name, text in texts.items()]
    return (codec.sign_netstring if netstring else codec.sign_classic)(fields, keys, 1)


@pytest.fixture
def side():
    made = _Side()
    made.serial = os.memfd_create("tap")
    yield made
    os.close(made.serial)


def numbers(side):
    return [None if each is None else each.sequence for each in side.messages(KEY)]


def test_messages_are_read_as_they_come_from_the_line_and_from_the_network(side):
    first, second = written("status", 1), written("status", 2)
    os.write(side.serial, first + second[:40])
    assert numbers(side) == [1]
    os.write(side.serial, second[40:])
    side.datagrams.append((7, written("NS_ackmsg", 0, netstring=True)))
    assert numbers(side) == [1, 0, 2]
    assert [each.at_ns for each in side.messages(KEY)] == [0, 7, 0]


def test_what_is_damaged_or_signed_by_a_stranger_is_none_and_spoils_no_other(side):
    broken = written("status", 2)
    no_end = broken[:-4] + b"?<<\n"
    foreign = written("status", 3, keys={1: ("sha1", b"another")})
    unsigned = broken.replace(b"src", b"srd")
    os.write(side.serial, written("status", 1) + no_end + written("status", 4) + unsigned + foreign)
    assert numbers(side) == [1, 4, None, None]
    os.write(side.serial, written("status", 5)[:-1] + b"?" + written("status", 6))
    assert numbers(side) == [1, 4, None, None, 5, 6]


class Wires:
    """Of a tap: what each has sent, and what has reached caesar."""

    def __init__(self, sent, arrived, asked=()):
        self._sent = {"julius": sent, "caesar": [passed("NS_rexmit", 0, "caesar", firstseq=str(each), lastseq=str(each))
                                                 for each in asked]}  # fmt: skip
        self._arrived = arrived

    def sent(self, name):
        return self._sent[name]

    def arrived(self, name):
        assert name == "caesar"
        return self._arrived


def passed(kind, number, source="julius", *, at_ns=1, generation=5, **fields):
    return Passed(kind, source, generation, number, at_ns, fields)


SENT = [passed("status", 1), passed("status", 2), passed("resource", 3), passed("status", 4), passed("status", 5)]


def without(*lost):
    return [each for each in SENT if each.sequence not in lost]


@pytest.mark.parametrize(
    ("sent", "arrived", "asked", "figures"),
    [
        (SENT, SENT, [], (5, 0, 0, 0, 0, [])),
        # lost, asked for twice, and sent again
        ([*SENT, SENT[2]], [*without(3), SENT[2]], [3, 3], (5, 1, 1, 0, 0, [])),
        # on both media at once is not again
        ([*SENT, *(passed(each.kind, each.sequence, at_ns=0) for each in SENT)], SENT, [], (5, 0, 0, 0, 0, [])),
        (SENT, without(2), [2], (5, 1, 0, 1, 1, [])),
        (SENT, without(3), [3], (5, 1, 0, 1, 0, ["resource 3"])),
        # a request for what it has never sent, and one of which it has said that it can't
        ([*SENT, passed("NS_nak_rexmit", 0)], without(2), [2, 900], (5, 1, 0, 1, 1, [])),
    ],
)
def test_what_became_of_each_message(sent, arrived, asked, figures):
    made = _ways(Wires(sent, arrived, asked), "julius", "caesar")
    assert (made.sent, made.asked, made.again, made.never, made.superseded, made.others) == figures
    assert made.refused == count(sent, "NS_nak_rexmit", "julius")


def test_a_second_generation_is_told():
    sent = [*SENT, passed("status", 1, generation=6)]
    assert _ways(Wires(sent, sent), "julius", "caesar").others[0].startswith("2 generations")


def test_numbers_of_one_source():
    assert sequences([*SENT, passed("status", 9, "caesar"), passed("NS_ackmsg", 0)], "julius") == {
        (5, each.sequence) for each in SENT
    }
