"""The small words of ha.cf: times, booleans, whole numbers (protocol/config.md §2). Pure functions on text.

None means "not such a value"; what that leads to is the directive's business.
"""

from __future__ import annotations

BLANKS = " \t\r\f"
DIGITS = "0123456789"

# 24.8 days: what 32 bits hold in milliseconds, and more than anybody waits for a dead router
TIME_MAX_MS = 2**31 - 1
# far beyond every limit, and short enough that int() always takes it
INTEGER_DIGITS_MAX = 12

TRUE_WORDS = ("true", "on", "yes", "y", "1")
FALSE_WORDS = ("false", "off", "no", "n", "0")


def time_ms(text: str) -> int | None:
    """Milliseconds, rounded half up; TIME_MAX_MS + 1 for anything longer; None where the original says -1.

    `digits-and-dots [blanks] [unit]`: no unit is seconds, a unit that begins with ms or us (any case) is milli- or
    microseconds, any other makes the time invalid. No digits at all is 0, a second dot ends the number.
    """
    text = text.lstrip(BLANKS)
    end = 0
    while end < len(text) and text[end] in "0123456789.":
        end += 1
    unit = text[end:].strip(BLANKS)[:2].lower()
    factor = {"": 1000.0, "ms": 1.0, "us": 0.001}.get(unit)
    if factor is None:
        return None
    whole, _, rest = text[:end].partition(".")
    fraction = rest.partition(".")[0]
    value = float(f"0{whole}.{fraction}0") * factor + 0.5
    return int(min(value, TIME_MAX_MS + 1))


def boolean(text: str) -> bool | None:
    word = text.lower()
    if word in TRUE_WORDS:
        return True
    if word in FALSE_WORDS:
        return False
    return None


def integer(text: str) -> tuple[int, bool] | None:
    """(value, whether it was all of the text) as C's atoi reads it: what follows the digits is left out.

    None without a digit. Numbers of more than INTEGER_DIGITS_MAX digits, leading zeros apart, are cut there, which is
    beyond every limit.
    """
    body = text.lstrip(BLANKS)
    sign = -1 if body[:1] == "-" else 1
    if body[:1] in ("+", "-"):
        body = body[1:]
    end = 0
    while end < len(body) and body[end] in DIGITS:
        end += 1
    if end == 0:
        return None
    return sign * int(body[:end].lstrip("0")[:INTEGER_DIGITS_MAX] or "0"), end == len(body)


def lower(text: str) -> str:
    """ASCII lower case only, as names are compared everywhere: İ and the like must not change their length."""
    return "".join(chr(ord(c) + 32) if "A" <= c <= "Z" else c for c in text)
