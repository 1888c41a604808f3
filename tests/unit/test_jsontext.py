"""JSON as the daemon reads and writes it, against the standard library's."""

import json
import subprocess
import sys

import pytest

from heartbeat import jsontext

VALUES = [
    None, True, 0, -17, 1 << 70, 1.5, -3e300, "", "a\u00e9\n\x00\ud800", [], {}, [1, [2, {"a": [None]}]],
    {"request": "status", "x": {"1": False}},
]  # fmt: skip
TEXTS = [
    "", " ", "{", "[1,", '{"a":}', "1 2", "nul", "'a'", '{"a" 1}', '"\n"', "{1: 2}", "[1 2]", '"\\x"', "-",
    "\x00", "[]]",
    "\ufeff1", "9" * 5000,
]  # fmt: skip


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_what_is_written_is_what_json_writes_and_is_read_again(value):
    written = jsontext.dumps(value)
    assert written == json.dumps(value, separators=(",", ":"))
    assert jsontext.loads(written) == value
    assert jsontext.loads(f" \t{written}\r\n".encode()) == value


@pytest.mark.parametrize("text", TEXTS, ids=repr)
def test_what_is_no_json_is_a_value_error(text):
    with pytest.raises(ValueError):
        json.loads(text)
    with pytest.raises(ValueError):
        jsontext.loads(text)
    with pytest.raises(ValueError):
        jsontext.loads(text.encode())


def test_what_is_no_json_is_a_value_error_where_nobody_has_loaded_json():
    """As in the daemon; the interpreter's parts find no error to raise then."""
    program = """
import sys
sys.path.insert(0, sys.argv[1])
from heartbeat import jsontext
assert "json" not in sys.modules
for text in sys.argv[2:]:
    try:
        jsontext.loads(text)
    except ValueError:
        continue
    raise AssertionError(text)
"""
    texts = [text for text in TEXTS if "\0" not in text]
    root = jsontext.__file__.rpartition("/heartbeat/")[0]
    subprocess.run([sys.executable, "-I", "-S", "-X", "utf8", "-c", program, root, *texts], check=True, timeout=60)


def test_what_is_nested_without_end_is_a_recursion_error():
    with pytest.raises(RecursionError):
        jsontext.loads("[" * 100_000)


def test_octets_that_are_no_text_are_a_value_error():
    with pytest.raises(ValueError):
        jsontext.loads(b'"\xff"')


def test_a_value_that_json_has_no_word_for_is_refused():
    with pytest.raises(TypeError):
        jsontext.dumps({"a": [object()]})
