"""The URL of the server that MailTo hands its mails to: smtp[s]://[user:password@]host[:port]."""

from __future__ import annotations

import _socket

from heartbeat.config.values import DIGITS, integer


def problem(url: str) -> str | None:
    """What is wrong with it, or None. The text never repeats the URL: there may be a password in it."""
    scheme, separator, rest = url.partition("://")
    if not separator or scheme not in ("smtp", "smtps"):
        return "begins with neither smtp:// nor smtps://"
    if any(c <= " " or c > "~" for c in rest):
        return "has a blank or a character outside ASCII in it; write those as %20 and so on"
    account, at, place = rest.rpartition("@")
    user, _, password = account.partition(":")
    if at and not (user and password):
        return "has a user without a password, or a password without a user"
    if place.startswith("["):
        host, bracket, port = place[1:].partition("]")
        good = bracket != "" and is_ipv6(host)
    else:
        host, colon, port = place.partition(":")
        port = colon + port
        good = host != "" and all(c.isalnum() or c in ".-_" for c in host)
    if not good:
        return "has no host name or address"
    return None if port == "" or _is_port(port) else "has no port from 1 to 65535 behind its host"


def is_ipv6(text: str) -> bool:
    try:
        _socket.inet_pton(_socket.AF_INET6, text)
    except (OSError, ValueError):
        return False
    return True


def _is_port(text: str) -> bool:
    """`:` and a port."""
    number = integer(text[1:]) if text[:1] == ":" and text[1:2] in DIGITS else None
    return number is not None and number[1] and 1 <= number[0] <= 0xFFFF
