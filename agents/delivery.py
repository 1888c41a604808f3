"""A letter, and its way to a mail server: used by MailTo in its own process alone, never by the daemon.

SMTP goes to `smtp://[user:password@]host[:port]` or `smtps://…`, encrypted whenever the server offers it. A password is
never sent in the clear (but to this machine itself) nor to a server whose certificate does not match; without a
password, encryption without proof of identity is still better than none.
"""

from __future__ import annotations

import email.message
import email.policy
import email.utils
import os
import shutil
import smtplib
import ssl
import subprocess
import time
import urllib.parse

from .base import BAD_ARGUMENTS, FAILURE, AgentError
from .delay import divisor

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_RETRY_FOR_S = 3600.0
_FIRST_WAIT_S, _LONGEST_WAIT_S = 5.0, 300.0
_ATTEMPT_S = 30.0  # how long one delivery may take
_SHORTEST_ATTEMPT_S = 5.0  # however fast the cluster's clock runs: the mail server's does not
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


class DeliveryError(Exception):
    """A delivery failed. permanent: to try again is useless."""

    def __init__(self, text: str, *, permanent: bool = False) -> None:
        super().__init__(text)
        self.permanent = permanent


def compose(recipients: Sequence[str], subject: str, action: str, node: str) -> email.message.EmailMessage:
    """The letter, dated now: it says when it happened, whenever it may arrive."""
    event = f"{action} by {node} at {time.strftime('%Y-%m-%d %H:%M:%S')}"
    return _letter(recipients, f"{subject} {event}", f"Resource group {subject}: {event}.", node)


def compose_alarm(recipients: Sequence[str], alarms: Sequence[str], node: str) -> email.message.EmailMessage:
    """alarms: lines, at least one."""
    when = time.strftime("%Y-%m-%d %H:%M:%S")
    text = "\n".join(f"* {alarm}" for alarm in alarms)
    return _letter(
        recipients, f"Heartbeat alarm from {node} at {when}", f"{text}\n\n`heartbeat status` tells more.", node
    )


class _AddressPerLine(email.policy.EmailPolicy):
    """Folds between addresses: the library puts an empty line before one that is longer than a line (CPython 3.11 to
    3.13), and there the header ends."""

    def fold_binary(self, name: str, value: str) -> bytes:
        if name != "To":
            return super().fold_binary(name, value)
        return f"To: {f',{self.linesep} '.join(value.split(', '))}{self.linesep}".encode()


def _letter(recipients: Sequence[str], subject: str, text: str, node: str) -> email.message.EmailMessage:
    letter = email.message.EmailMessage(_AddressPerLine())
    host = "".join(c for c in node if c.isascii() and (c.isalnum() or c in "-.")) or "localhost"
    letter["From"] = f"heartbeat@{host}"
    letter["To"] = ", ".join(recipients)
    letter["Subject"] = subject
    letter["Date"] = email.utils.formatdate(localtime=True)
    letter["Message-ID"] = email.utils.make_msgid(domain=host)
    letter["Auto-Submitted"] = "auto-generated"  # RFC 3834: no answers of absence, please
    text = f"{text}\n\nSent by Heartbeat on {node}.\n"
    letter.set_content(text, cte="7bit" if text.isascii() else "quoted-printable")
    return letter


def deliver(
    letter: email.message.EmailMessage,
    recipients: Sequence[str],
    send: Callable[[email.message.EmailMessage, Sequence[str]], list[str]],
    *,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Try until every recipient's server has taken it. send: returns those to try again. AgentError: given up."""
    speed = divisor()
    remaining, waited_s, wait_s = list(recipients), 0.0, _FIRST_WAIT_S
    complained = False
    while True:
        try:
            remaining = send(letter, remaining)
            if not remaining:
                say(f"mail sent to {letter['To']}: {letter['Subject']}")
                return
            trouble = DeliveryError(f"refused for now: {', '.join(remaining)}")
        except DeliveryError as error:
            trouble = error
        if trouble.permanent or waited_s >= _RETRY_FOR_S:
            raise AgentError(FAILURE, f"mail to {', '.join(remaining)} given up: {trouble}")
        if not complained:
            say(f"mail to {', '.join(remaining)} not sent yet ({trouble}); trying again for an hour")
            complained = True
        wait_s = min(wait_s, _RETRY_FOR_S - waited_s)
        sleep(wait_s / speed)
        waited_s += wait_s
        wait_s = min(wait_s * 2, _LONGEST_WAIT_S)


def say(text: str) -> None:
    """For the log, while there is still a daemon that keeps one."""
    try:
        print(text, flush=True)
    except OSError:
        return


def attempt_s() -> float:
    return max(_ATTEMPT_S / divisor(), _SHORTEST_ATTEMPT_S)


def find_sendmail() -> str | None:
    return shutil.which("sendmail", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/lib")


def by_sendmail(path: str, letter: email.message.EmailMessage, recipients: Sequence[str]) -> list[str]:
    """Hand it to this machine's mail program, whose queue takes it from there."""
    try:
        done = subprocess.run(
            # -i: a line with a single dot does not end the letter
            [path, "-i", "--", *recipients],
            input=bytes(letter),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=attempt_s(),
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise DeliveryError(f"{path}: {error}") from error
    if done.returncode:
        said = done.stdout.decode("utf-8", "replace").strip().partition("\n")[0]
        raise DeliveryError(f"{path}: exit code {done.returncode}{': ' if said else ''}{said}")
    return []


class Server:
    """A mail server, from its URL. AgentError: it is not one."""

    def __init__(self, url: str) -> None:
        try:
            parts = urllib.parse.urlsplit(url)
            port = parts.port
        except ValueError as error:
            raise AgentError(BAD_ARGUMENTS, f"mailserver {_without_password(url)}: {error}") from error
        if parts.scheme not in ("smtp", "smtps") or not parts.hostname:
            raise AgentError(BAD_ARGUMENTS, f"mailserver {_without_password(url)}: not smtp://host or smtps://host")
        self.host = parts.hostname
        self.encrypted = parts.scheme == "smtps"
        self.port = port or (465 if self.encrypted else 25)
        self.user = urllib.parse.unquote(parts.username or "")
        self.password = urllib.parse.unquote(parts.password or "")

    def send(self, letter: email.message.EmailMessage, recipients: Sequence[str]) -> list[str]:
        """The recipients to try again. DeliveryError: it failed for all."""
        try:
            session = self._connect()
            try:
                refused = session.send_message(letter, to_addrs=list(recipients))
            finally:
                session.close()  # without QUIT: whatever its answer, the letter is accepted or not by now
        except smtplib.SMTPRecipientsRefused as error:
            refused = error.recipients
            if all(code >= 500 for code, _ in refused.values()):
                raise DeliveryError(_words(next(iter(refused.values()))), permanent=True) from error
        except (smtplib.SMTPSenderRefused, smtplib.SMTPDataError, smtplib.SMTPAuthenticationError) as error:
            raise DeliveryError(
                _words((error.smtp_code, error.smtp_error)), permanent=error.smtp_code >= 500
            ) from error
        except (OSError, smtplib.SMTPException, ValueError) as error:
            raise DeliveryError(f"{self.host}:{self.port}: {error}") from error
        for recipient, answer in refused.items():
            if answer[0] >= 500:
                say(f"mail to {recipient} given up: {_words(answer)}")
        return [recipient for recipient, answer in refused.items() if answer[0] < 500]

    def _connect(self) -> smtplib.SMTP:
        session: smtplib.SMTP
        # a name of our own for now: smtplib would ask the DNS, which may well be what has just failed
        name, timeout = "localhost", attempt_s()
        if self.encrypted:
            session = smtplib.SMTP_SSL(self.host, self.port, name, timeout=timeout, context=self._context())
        else:
            session = smtplib.SMTP(self.host, self.port, name, timeout=timeout)
        try:
            session.local_hostname = _own_name(session)
            session.ehlo_or_helo_if_needed()
            private = self.encrypted or self.host in _LOOPBACK
            if not self.encrypted and session.has_extn("starttls"):
                session.starttls(context=self._context())
                session.ehlo()
                private = True
            if self.user:
                if not private:
                    raise DeliveryError(f"{self.host} offers no encryption for the password", permanent=True)
                session.login(self.user, self.password)
        except BaseException:
            session.close()
            raise
        return session

    def _context(self) -> ssl.SSLContext:
        context = ssl.create_default_context()
        if not (self.user or self.encrypted):
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context


def _own_name(session: smtplib.SMTP) -> str:
    """What to greet the server with: our name if it is a full one, else our address (RFC 5321 §4.1.3)."""
    node = os.uname().nodename
    if "." in node or session.sock is None:
        return node
    address = str(session.sock.getsockname()[0]).partition("%")[0]
    return f"[IPv6:{address}]" if ":" in address else f"[{address}]"


def _without_password(url: str) -> str:
    head, at, tail = url.rpartition("@")
    return f"{head.partition('://')[0]}://…@{tail}" if at else url


def _words(answer: tuple[int, bytes | str]) -> str:
    code, text = answer
    return f"{code} {text.decode('utf-8', 'replace') if isinstance(text, bytes) else text}".replace("\n", " ")
