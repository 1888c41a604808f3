"""The field that two of ours put into every status."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heartbeat.core import bulletin
from heartbeat.core.bulletin import GROUPS_LIMIT, LETTERS, Bulletin, label, parse

TEXT = "1 0a1b2c3d 00ffee11 6b02c88f s 9yNch AAAA-"


def test_it_reads_what_docs_protocol_says():
    seen = parse(TEXT)
    assert (seen.resources_digest, seen.timing_digest) == ("0a1b2c3d", "00ffee11")
    assert (seen.heard, seen.phase) == (0x6B02C88F, bulletin.SETTLED)
    assert seen.groups == {"9yNc": "h", "AAAA": "-"}
    assert seen.claims("9yNc")
    assert not seen.claims("AAAA")
    assert not seen.claims("unknown")
    assert str(seen) == TEXT


@pytest.mark.parametrize(
    "text",
    [
        None, "", "1", "2 0a1b2c3d 00ffee11 0 s", "1 a b zz s", "1 a b 0 x", "1 a b 0 s 9yNc", "1 a b 0 s 9yNcq",
        "1 a b 0 us", "1 a b 0 s " + " ".join(["AAAAh"] * (GROUPS_LIMIT + 1)),
    ],
)  # fmt: skip
def test_what_it_does_not_understand_is_none(text):
    assert parse(text) is None


@given(st.text(max_size=80))
def test_nothing_raises(text):
    parse(text)
    parse("1 " + text)


@given(
    st.integers(0, 2**64 - 1),
    st.sampled_from(bulletin.PHASES),
    st.dictionaries(st.text(min_size=1), st.sampled_from(LETTERS)),
)
def test_what_is_written_is_read(heard, phase, groups):
    written = Bulletin("0a1b2c3d", "00ffee11", heard, phase, {label(key): letter for key, letter in groups.items()})
    assert str(parse(str(written))) == str(written)


def test_labels_differ():
    keys = [f"IPaddr::10.{n // 250}.{n % 250}.254" for n in range(1000)]
    assert len({label(key) for key in keys}) == len(keys)
