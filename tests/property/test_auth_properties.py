"""Signatures of anything: ours equal the reference's."""

from hypothesis import given, settings
from hypothesis import strategies as st
from reference import auth as reference

from _hbfast.auth import Authenticator

methods = st.sampled_from(["md5", "sha1", "sha256", "blake2s", "crc"])


@settings(max_examples=300, deadline=None)
@given(methods, st.binary(min_size=1, max_size=150), st.integers(0, 15), st.binary(max_size=600))
def test_signatures_equal_the_reference(method, key, index, body):
    keys = {index: (method, b"" if method == "crc" else key)}
    authenticator = Authenticator(keys, index)
    token = authenticator.sign(body)
    assert token == reference.sign(keys, index, body)
    assert authenticator.verify(body, token)
    assert not authenticator.verify(body + b"x", token)


@settings(max_examples=300, deadline=None)
@given(methods, st.binary(max_size=80), st.binary(max_size=80))
def test_no_other_token_verifies(method, body, token):
    keys = {1: (method, b"" if method == "crc" else b"key")}
    assert Authenticator(keys, 1).verify(body, token) == reference.verifies(keys, body, token)
    assert not Authenticator(keys, 1).verify(body, b"1 " + token)
