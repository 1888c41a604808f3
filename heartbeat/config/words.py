"""One line of haresources to words, one word to a Resource. Pure.

word     = ip-shorthand | name *( "::" argument )
argument = as the original: up to the next `::`, blank or `#`; empty ones vanish
         | "..." or '...' : anything but that quote; the closing one stands before `::`, a blank or the end
         | [v6-address]rest : the address may contain `::`; the brackets go, the rest stays
A quote or bracket means something only at the very beginning of an argument and only if it is closed that way, so that
no word that the original takes changes its meaning unless it is quoted or bracketed throughout.
"""

from __future__ import annotations

import _socket

from heartbeat.config.problems import shown
from heartbeat.config.record import ADDRESS_AGENTS
from heartbeat.config.values import DIGITS
from heartbeat.core.settings import SECOND, Resource

START_TIMEOUT_NS, STOP_TIMEOUT_NS = 60 * SECOND, 30 * SECOND
# Delay's own defaults, and what it may take beyond the time it was told to wait
DELAY_START_S, DELAY_STOP_S, DELAY_MORE_S = 10, 30, 30
DELAY_MAX_S = 86_400
BRACKETED_MAX = 64  # a v6 address has 45 characters at most

NOTIFIERS = ("MailTo",)


class WordError(ValueError):
    """A word that is no resource. The text says what to do."""


def scan(line: str) -> tuple[list[str], int]:
    """The words before the comment, and where the comment begins (the line's length where there is none)."""
    words: list[str] = []
    start, at = -1, 0
    while at < len(line) and line[at] != "#":
        if line[at] in " \t":
            if start >= 0:
                words.append(line[start:at])
            start, at = -1, at + 1
            continue
        if start < 0:
            start = at
        at = _closed(line, at + 2) if line.startswith("::", at) else at + 1
    if start >= 0:
        words.append(line[start:at])
    return words, at


def is_ip_shorthand(word: str) -> bool:
    """As the shell pattern [0-9]*.[0-9]*.[0-9]*.[0-9]* says."""
    if not _is_digit(word, 0):
        return False
    at = 1
    for _ in range(3):
        at = word.find(".", at) + 1
        while at > 0 and not _is_digit(word, at):
            at = word.find(".", at) + 1
        if at == 0:
            return False
        at += 1
    return True


def resource(word: str) -> Resource:
    """WordError where there is no agent's name, or one with a path in it."""
    if is_ip_shorthand(word):
        return Resource(word, "IPaddr", [word])
    name, *_ = word.split("::", 1)
    if not name or "/" in name or name in (".", ".."):
        raise WordError(f"{shown(word)} names no agent; write NAME::argument, or an address")
    arguments = _arguments(word, len(name))
    start_ns, stop_ns = START_TIMEOUT_NS, STOP_TIMEOUT_NS
    if name == "Delay":
        start_ns, stop_ns = _delay_timeouts(arguments)
    return Resource(
        word,
        name,
        arguments,
        notifier=name in NOTIFIERS,
        start_timeout_ns=start_ns,
        stop_timeout_ns=stop_ns,
    )


def doubts(found: Resource) -> list[str]:
    """What about a resource is taken as it stands, and likely a mistake."""
    texts = []
    if any(argument[:1] in ("'", '"') for argument in found.arguments):
        texts.append("the quote is not closed before ::, a blank or the end, and stays in the argument")
    if found.name not in ADDRESS_AGENTS:
        return texts
    if not found.arguments:
        texts.append(f"{found.name} needs an address")
        return texts
    address = found.arguments[0].partition("/")[0].partition("%")[0]
    if found.name == "IPv6addr":
        if not _is_address(_socket.AF_INET6, address):
            texts.append("no IPv6 address; one with :: in it is written in brackets, IPv6addr::[2001:db8::1]")
    elif not _is_address(_socket.AF_INET, address):
        texts.append(f"{shown(address)} is no IPv4 address; the resource will fail to start")
    return texts


def _closed(line: str, at: int) -> int:
    """`at` is where an argument begins: the index after its closing quote or bracket, or `at` where it has none."""
    opening = line[at : at + 1]
    if opening in ("'", '"'):
        end = line.find(opening, at + 1) + 1
        if end > 0 and (line[end : end + 1] in ("", " ", "\t", "#") or line.startswith("::", end)):
            return end
    elif opening == "[":
        end = line.find("]", at, at + BRACKETED_MAX) + 1
        if end > 0 and _is_address(_socket.AF_INET6, line[at + 1 : end - 1].partition("%")[0]):
            return end
    return at


def _arguments(word: str, at: int) -> list[str]:
    arguments = []
    while at < len(word):
        start = at + 2  # behind a `::`
        end = _closed(word, start)
        at = word.find("::", end)
        if at < 0:
            at = len(word)
        if end == start:
            argument = word[start:at]
            if argument:
                arguments.append(argument)
        elif word[start] == "[":
            arguments.append(word[start + 1 : end - 1] + word[end:at])
        else:
            arguments.append(word[start + 1 : end - 1])
    return arguments


def _delay_timeouts(arguments: list[str]) -> tuple[int, int]:
    start_s = _seconds(arguments[0], DELAY_START_S) if arguments else DELAY_START_S
    stop_s = _seconds(arguments[1], DELAY_STOP_S) if len(arguments) > 1 else DELAY_STOP_S
    return (start_s + DELAY_MORE_S) * SECOND, (stop_s + DELAY_MORE_S) * SECOND


def _seconds(text: str, default: int) -> int:
    """Whole seconds, rounded up; the default for what is no number, with which the agent will fail by itself."""
    whole, _, fraction = text.partition(".")
    if not (whole + fraction) or any(c not in DIGITS for c in whole + fraction):
        return default
    return min(int(whole[:9] or "0") + (fraction.strip("0") != ""), DELAY_MAX_S)


def _is_digit(text: str, at: int) -> bool:
    return at < len(text) and text[at] in DIGITS


def _is_address(family: int, text: str) -> bool:
    try:
        _socket.inet_pton(family, text)
    except (OSError, ValueError):
        return False
    return True
