"""Alarms: what a person must look at goes to the log at once, and by mail to whom the groups' MailTo name.

Its rules: nothing waits for a mail, and nobody can fill a mailbox. The first alarm is mailed WAIT_NS later, so that a
take-over under way is over; further ones are gathered and go together, a minute after the mail before, then two
minutes, four, … an hour. After an hour without any the count begins anew. What is in a mail is bounded too; the log has
everything. A mail is a process of its own (MailTo's), which outlives the daemon and tries for an hour.
"""

from __future__ import annotations

from heartbeat.children import Children
from heartbeat.core.actions import CRIT, ERROR

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from heartbeat.core.settings import Group
    from heartbeat.loop import Loop

WAIT_NS = 50_000_000
PAUSE_FIRST_NS, PAUSE_MOST_NS = 60_000_000_000, 3_600_000_000_000
# of one mail
ALARMS, CHARACTERS, RECIPIENTS = 20, 500, 20
NAME = "alarm"


class Alarms:
    """configure, at start and at a reload; sound; close, which mails what waits."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._children = Children(loop.poller, loop.log.output, self._ended, loop.later)
        self._recipients: list[str] = []
        self._command: Callable[[Sequence[str], str], list[str]]  # where there are recipients
        self._environment: Mapping[str, str] = {}
        self._divisor = 1
        self._waiting: list[str] = []
        self._more = 0  # alarms that no mail will have
        self._mails = 0  # sent so far
        self._pause_ns = 0  # after the last mail; 0: there was none
        self._sent_at = 0

    def configure(self, groups: Sequence[Group], environment: Mapping[str, str], divisor: int) -> None:
        """environment: of the mail's process, HA_mailserver and all. divisor: as everywhere, of all times."""
        notifiers = [each for group in groups for each in group.resources if each.name == "MailTo"]
        named: list[str] = []
        if notifiers:
            from heartbeat.agents import mailto  # noqa: PLC0415  where nobody is to be mailed, nothing knows how

            self._command = mailto.alarm_command
            named = [recipient for each in notifiers for recipient in mailto.alarm_recipients(each.arguments)]
        self._recipients = list(dict.fromkeys(named))[:RECIPIENTS]
        self._environment = environment
        self._divisor = divisor

    def sound(self, text: str) -> None:
        """Log it, and see to it that it is mailed."""
        self._loop.log.write(CRIT, text, cause=NAME)
        if not self._recipients:
            return
        text = " ".join(text.split())[:CHARACTERS]
        if len(self._waiting) < ALARMS and text not in self._waiting:
            self._waiting.append(text)
        else:
            self._more += 1
        if len(self._waiting) == 1 and not self._more:
            now = self._loop.now()
            due = now + WAIT_NS
            if self._pause_ns:
                due = max(due, self._sent_at + self._pause_ns // self._divisor)
            self._loop.schedule.at(due, self, lambda instant: self._mail())

    def _mail(self) -> None:
        now = self._loop.now()
        quiet = now - self._sent_at > PAUSE_MOST_NS // self._divisor
        doubled_ns = min(2 * self._pause_ns, PAUSE_MOST_NS)
        self._pause_ns = PAUSE_FIRST_NS if quiet or not self._pause_ns else doubled_ns
        self._sent_at = now
        lines = list(self._waiting)
        if self._more:
            lines.append(f"{self._more} more, which are in the log")
        self._waiting.clear()
        self._more = 0
        self._mails += 1
        argv = self._command(self._recipients, "\n".join(lines))
        try:
            self._children.spawn(self._mails, NAME, argv, self._environment, detached=True)
        except OSError as error:
            self._loop.log.write(ERROR, f"an alarm was not mailed: {error.strerror}", cause=f"{NAME} not mailed")

    def _ended(self, key: int, code: int, detail: str) -> None:
        if code:
            self._loop.log.write(ERROR, f"an alarm was not mailed: {detail}", cause=f"{NAME} not mailed")

    def close(self) -> None:
        if self._waiting:
            self._loop.schedule.cancel(self)
            self._mail()
        self._children.close()
