"""JSON, by the interpreter's own compiled parts: `json` makes the same of them, and loads 1 MB of `re` and `enum` to do
so, which the daemon would keep for years.

Only what JSON itself has: numbers, text, true, false, null, lists, and objects whose keys are text.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

_BLANKS = " \t\n\r"


class _Plain:
    """How JSON is read where nobody wants anything else."""

    strict = True
    object_hook = object_pairs_hook = None
    parse_float = float
    parse_int = int
    parse_constant = {"NaN": float("nan"), "Infinity": float("inf"), "-Infinity": -float("inf")}.__getitem__
    memo: dict[str, str] = {}


def _refuse(value: object) -> object:
    raise TypeError(f"JSON has no word for {type(value).__name__}")


try:
    from _json import encode_basestring_ascii, make_encoder, make_scanner

    _scan = make_scanner(_Plain)  # type: ignore[arg-type]
    _encode = make_encoder(None, _refuse, encode_basestring_ascii, None, ":", ",", False, False, True)

    def _pieces(value: object) -> Iterable[str]:
        pieces: Iterable[str] = _encode(value, 0)
        return pieces

except (ImportError, AttributeError, TypeError):  # they are the interpreter's own affair
    from json import JSONDecoder, JSONEncoder

    _scan = JSONDecoder().scan_once  # type: ignore[attr-defined]
    _pieces = JSONEncoder(separators=(",", ":")).iterencode  # type: ignore[assignment]


def dumps(value: object) -> str:
    """One line. TypeError, ValueError: it cannot be written."""
    return "".join(_pieces(value))


def loads(text: str | bytes | bytearray) -> Any:
    """text: octets are UTF-8. ValueError, RecursionError."""
    if not isinstance(text, str):
        text = text.decode("utf-8", "surrogatepass")
    start = len(text) - len(text.lstrip(_BLANKS))
    try:
        value, end = _scan(text, start)
    except StopIteration as stop:
        raise ValueError(f"no JSON: a value is expected at character {stop.value}") from None
    except SystemError:  # it has no word for what is wrong where `json` was never loaded
        raise ValueError("no JSON") from None
    if text[end:].strip(_BLANKS):
        raise ValueError(f"no JSON: something follows at character {end}")
    return value
