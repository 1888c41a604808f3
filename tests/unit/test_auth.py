"""Signatures: the vectors of wire.md, the standard library as the oracle, and what must be refused."""

import hashlib
import hmac
import subprocess
import sys

import pytest
from reference import auth as reference

from _hbfast.auth import Authenticator

KEYS = {
    1: ("sha1", b"TestKey123"),
    2: ("md5", b"Another"),
    3: ("crc", b""),
    0: ("sha256", b"k"),
    15: ("blake2s", b"0123456789abcdef"),
}
BODY = (
    b"t=status\nst=up\ndt=fa0\nprotocol=1\nsrc=bob\n(1)srcuuid=eDwjBQ1GS+eWmaKuNkAHmQ==\nseq=2\nhg=6b02c8a0\n"
    b"ts=6b02c9bf\nld=0.00 0.00 0.00 1/1 1\nttl=3\n"
)


@pytest.mark.parametrize(
    ("body", "token"),
    [(b"", b"ffffffff"), (b"a", b"579b24df"), (b"123456789", b"765e7680"), (b"t=status\n", b"ebc57560")],
)
def test_crc_vectors_of_the_wire_format(body, token):
    assert Authenticator(KEYS, 3).sign(body) == b"3 " + token


@pytest.mark.parametrize(
    ("index", "token"),
    [
        (1, b"187e5786da49890e1d436a57425b1feffa5d9664"),
        (2, b"250148575c36e83fa06b84d8410ab4ff"),
        (3, b"32085e87"),
    ],
)
def test_example_10_of_the_wire_format(index, token):
    assert Authenticator(KEYS, index).sign(BODY) == b"%d %s" % (index, token)


@pytest.mark.parametrize("method", ["md5", "sha1", "sha256"])
@pytest.mark.parametrize("key_size", [1, 20, 63, 64, 65, 200])
def test_hmac_equals_the_standard_library(method, key_size):
    key = bytes(range(1, 1 + key_size))
    authenticator = Authenticator({7: (method, key)}, 7)
    for size in range(200):
        body = bytes(size * 7 + i & 255 for i in range(size))
        assert authenticator.sign(body) == b"7 " + hmac.new(key, body, method).hexdigest().encode()


@pytest.mark.parametrize("key_size", [1, 31, 32, 33, 64, 65, 200])
def test_keyed_blake2s_equals_the_standard_library(key_size):
    key = bytes(range(1, 1 + key_size))
    usable = key if key_size <= 32 else hashlib.blake2s(key).digest()
    authenticator = Authenticator({7: ("blake2s", key)}, 7)
    for size in range(200):
        body = bytes(size * 7 + i & 255 for i in range(size))
        assert authenticator.sign(body) == b"7 " + hashlib.blake2s(body, key=usable).hexdigest().encode()


@pytest.mark.parametrize("index", KEYS)
def test_a_long_body_equals_the_reference(index):
    body = bytes(i * i & 255 for i in range(5_000))
    assert Authenticator(KEYS, index).sign(body) == reference.sign(KEYS, index, body)


def test_crc_drops_leading_zeros():
    bodies = [b"%d" % i for i in range(3000)]
    tokens = [Authenticator(KEYS, 3).sign(body) for body in bodies]
    assert {len(token) for token in tokens} >= {8, 9, 10}
    assert tokens == [reference.sign(KEYS, 3, body) for body in bodies]


def test_the_key_of_the_stated_index_verifies():
    authenticator = Authenticator(KEYS, 1)
    for index in KEYS:
        assert authenticator.verify(BODY, Authenticator(KEYS, index).sign(BODY))
    assert not authenticator.verify(BODY, Authenticator({4: ("sha1", b"x")}, 4).sign(BODY))
    assert not authenticator.verify(BODY, Authenticator({1: ("sha1", b"another key")}, 1).sign(BODY))
    # the right digest under the wrong index is no signature
    assert not authenticator.verify(BODY, b"2" + Authenticator(KEYS, 1).sign(BODY)[1:])


@pytest.mark.parametrize("index", KEYS)
def test_only_the_exact_spelling_verifies(index):
    authenticator = Authenticator(KEYS, index)
    good = authenticator.sign(BODY)
    number, _, digest = good.partition(b" ")
    assert authenticator.verify(BODY, good)
    wrong = [
        b"",
        number,
        number + b" ",
        digest,
        b"0" + good,
        b" " + good,
        good + b" ",
        good + b"\n",
        good + b"\0",
        number + b"  " + digest,
        number + b"\t" + digest,
        b"+" + good,
        number + b" " + digest.upper(),
        number + b" 0" + digest,
        number + b" " + digest[:-1],
        number + b" " + digest + b"0",
        b"16 " + digest,
        b"99 " + digest,
        b"-1 " + digest,
        b"\xff " + digest,
    ]
    for token in wrong:
        assert token == good or not authenticator.verify(BODY, token), token


@pytest.mark.parametrize("index", KEYS)
def test_every_damaged_bit_is_seen(index):
    authenticator = Authenticator(KEYS, index)
    good = authenticator.sign(BODY)
    for position in range(len(BODY) * 8):
        damaged = bytearray(BODY)
        damaged[position // 8] ^= 1 << position % 8
        assert not authenticator.verify(damaged, good)
    for position in range(len(good) * 8):
        damaged = bytearray(good)
        damaged[position // 8] ^= 1 << position % 8
        assert not authenticator.verify(BODY, bytes(damaged))


def test_any_buffer_can_be_signed():
    authenticator = Authenticator(KEYS, 1)
    assert authenticator.sign(bytearray(BODY)) == authenticator.sign(memoryview(BODY)) == authenticator.sign(BODY)
    with pytest.raises(TypeError):
        authenticator.sign("text")


@pytest.mark.parametrize(
    ("keys", "outbound"),
    [
        ({16: ("sha1", b"s3cret")}, 16),
        ({-1: ("sha1", b"s3cret")}, -1),
        ({1: ("sha3", b"s3cret")}, 1),
        ({1: ("crc", b"s3cret")}, 1),
        ({1: ("sha1", b"")}, 1),
        ({1: ("blake2s", b"")}, 1),
        ({1: ("sha1", b"s3cret")}, 2),
        ({}, 1),
    ],
)
def test_wrong_keys_are_refused_without_showing_them(keys, outbound):
    with pytest.raises(ValueError) as caught:
        Authenticator(keys, outbound)
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("index", KEYS)
def test_the_strong_signature_needs_a_secret(index):
    assert Authenticator(KEYS, index, strong=True).strong == (index != 3)
    assert not Authenticator(KEYS, index).strong
    # what is signed besides is the same
    assert Authenticator(KEYS, index, strong=True).sign(BODY) == Authenticator(KEYS, index).sign(BODY)


def test_a_key_is_in_no_text():
    assert "TestKey" not in repr(Authenticator(KEYS, 1)) + str(Authenticator(KEYS, 1))


def test_no_other_library_is_needed():
    """Importing the compiled part must stay cheap, and MD5 and SHA-1 must work where OpenSSL forbids them."""
    code = (
        "import sys; before = set(sys.modules); import _hbfast.codec, _hbfast.auth, _hbfast.wheel;"
        "print(*(name for name in set(sys.modules) - before if not name.startswith('_hbfast')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) <= {"cython_runtime", "collections.abc"}


def test_the_real_inspect_is_left_alone():
    code = (
        "import _hbfast.codec, sys; assert 'inspect' not in sys.modules;"
        "import inspect; assert inspect.signature; import _hbfast.auth; assert sys.modules['inspect'] is inspect"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    code = "import inspect, _hbfast.codec, sys; assert sys.modules['inspect'] is inspect and inspect.signature"
    subprocess.run([sys.executable, "-c", code], check=True)
