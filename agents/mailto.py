"""MailTo::address[,address…][::subject]: tells the operator that this node has taken or released the group.

    JuliusCaesar acquired by julius at 2026-11-22 20:00:00

It runs as a process of its own, for which nobody waits and which outlives the daemon: a take-over happens just when the
network is at its worst, so what cannot be delivered now is tried again, ever more slowly, for an hour (`delivery`).
By sendmail where there is one, else by SMTP to the URL in HA_mailserver.

The daemon also sends alarms with it: `MailTo address[,address…] text alarm`, the text's lines one alarm each.
"""

from __future__ import annotations

import os

from .base import BAD_ARGUMENTS, AgentError, Builtin

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

SUBJECT = "Resource Group"  # the original's default
MAIL_SERVER = "smtp://localhost:25"
ALARM = "alarm"
_ACTIONS = {"start": "acquired", "stop": "released"}

_ADDRESS_CHARACTERS = 254
_SUBJECT_CHARACTERS = 200
_ALARM_CHARACTERS = 500
# RFC 5322's atext and the dot; quoted local parts are not for alarms
_LOCAL_PART = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!#$%&'*+-/=?^_`{|}~.")
_DOMAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.")
_LITERAL = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.:")


def run(arguments: Sequence[str], verb: str) -> None:
    """Send the mail of `verb`. AgentError: a bad argument, or the hour is over."""
    from . import delivery  # noqa: PLC0415  the mail and TLS libraries: this process alone needs them

    recipients, subject = parse(arguments)
    node = os.environ.get("HA_CURHOST") or os.uname().nodename
    if verb == ALARM:
        letter = delivery.compose_alarm(recipients, _alarms(arguments), node)
    elif verb in _ACTIONS:
        letter = delivery.compose(recipients, subject, _ACTIONS[verb], node)
    else:
        return
    sendmail = delivery.find_sendmail()
    if sendmail is not None:
        delivery.deliver(letter, recipients, lambda letter, to: delivery.by_sendmail(sendmail, letter, to))
    else:
        url = os.environ.get("HA_mailserver") or MAIL_SERVER  # noqa: SIM112  the original's style of names
        delivery.deliver(letter, recipients, delivery.Server(url).send)


def parse(arguments: Sequence[str]) -> tuple[list[str], str]:
    """(recipients, subject), fit to stand in a header and on a command line. AgentError."""
    if not 1 <= len(arguments) <= 2:
        raise AgentError(BAD_ARGUMENTS, "MailTo takes one or two arguments: address[,address…] and a subject")
    recipients = [part.strip(" ") for part in arguments[0].split(",") if part.strip(" ")]
    if not recipients:
        raise AgentError(BAD_ARGUMENTS, "MailTo needs an address")
    for recipient in recipients:
        if not valid_address(recipient):
            raise AgentError(BAD_ARGUMENTS, f"MailTo: {recipient!r} is not a mail address")
    subject = arguments[1] if len(arguments) > 1 and arguments[1] else SUBJECT
    return recipients, _line(subject)[:_SUBJECT_CHARACTERS]


def alarm_command(recipients: Sequence[str], text: str) -> list[str]:
    """What mails an alarm, each line of the text one, to addresses that `parse` has taken."""
    return Builtin("MailTo", [",".join(recipients), text], detached=True).command(ALARM)


def alarm_recipients(arguments: Sequence[str]) -> list[str]:
    """The addresses in the arguments of a MailTo resource, none where they make no sense."""
    try:
        return parse(arguments)[0]
    except AgentError:
        return []


def _line(text: str) -> str:
    # a line break would start another header; a lone surrogate (a byte that was not UTF-8) cannot be encoded
    return "".join(c if c.isprintable() else " " for c in text)


def _alarms(arguments: Sequence[str]) -> list[str]:
    """The second argument's lines. AgentError."""
    lines = [_line(line)[:_ALARM_CHARACTERS] for line in (*arguments, "")[1].split("\n") if line.strip()]
    if not lines:
        raise AgentError(BAD_ARGUMENTS, "MailTo has no alarm to send")
    return lines


def valid_address(text: str) -> bool:
    """`user`, `user@domain` or `user@[address]`, and not something that a mail program takes for an option. Dots stand
    between words, brackets around an address (RFC 5322): the library that writes the letter fails on others."""
    local, at, domain = text.rpartition("@") if "@" in text else (text, "", "")
    literal = domain[:1] == "[" and domain[-1:] == "]"
    return (
        0 < len(local) <= len(text) <= _ADDRESS_CHARACTERS
        and local[0] != "-"
        and all(local.split("."))
        and _LOCAL_PART.issuperset(local)
        and (_LITERAL.issuperset(domain[1:-1]) if literal else _DOMAIN.issuperset(domain))
        and bool(domain) == bool(at)
    )
