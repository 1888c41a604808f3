"""Alarms: logged at once, mailed to everybody whom MailTo names, and never more than a mailbox can take."""

from __future__ import annotations

import os
import time

import pytest
from test_agents_mail import REAL_SENDMAIL, MailServer, finish, mailto, parsed

from heartbeat import alarm
from heartbeat.alarm import Alarms
from heartbeat.config.words import resource
from heartbeat.core.actions import CRIT, ERROR
from heartbeat.core.settings import SECOND, Group
from heartbeat.log import Log
from heartbeat.loop import Loop

MINUTE = 60 * SECOND
START = 10**15


def groups(*lines: str) -> list[Group]:
    return [Group(line.split()[0], "julius", [resource(word) for word in line.split()]) for line in lines]


class Sounded:
    """Alarms on a loop whose clock stands still, what they logged, and the mails that they started."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.loop = Loop(Log())
        self.now = START
        self.logged: list[tuple[int, str]] = []
        self.mails: list[tuple[int, str, list[str]]] = []
        monkeypatch.setattr(self.loop, "now", lambda: self.now)
        monkeypatch.setattr(self.loop.log, "write", lambda severity, text, **rest: self.logged.append((severity, text)))
        self.alarms = Alarms(self.loop)
        monkeypatch.setattr(self.alarms._children, "spawn", self.spawn)
        self.alarms.configure(
            groups("10.0.0.254 MailTo::root::x", "10.0.0.253 MailTo::a@b.example,root"), {"A": "1"}, 1
        )

    def spawn(self, key, name, argv, environment, *, detached):
        assert detached
        assert environment == {"A": "1"}
        assert argv[-4] == "MailTo"
        assert argv[-1] == "alarm"
        self.mails.append((self.now, argv[-3], argv[-2].split("\n")))

    def go(self, nanoseconds: int) -> None:
        """Let time pass, timer by timer."""
        end = self.now + nanoseconds
        while (due := self.loop.schedule.next_due()) is not None and due <= end:
            self.now = max(due, self.now)
            self.loop.schedule.run(self.now)
        self.now = end


@pytest.fixture
def sounded(monkeypatch):
    made = Sounded(monkeypatch)
    yield made
    made.alarms._children.close()
    made.loop.log.close()


def test_an_alarm_is_logged_at_once_and_mailed_to_everybody_once(sounded):
    sounded.alarms.sound("caesar is quarantined")
    assert sounded.logged == [(CRIT, "caesar is quarantined")]
    assert sounded.mails == [], "a take-over may be under way"
    sounded.go(alarm.WAIT_NS)
    assert sounded.mails == [(START + alarm.WAIT_NS, "root,a@b.example", ["caesar is quarantined"])]
    sounded.go(10 * 3600 * SECOND)
    assert len(sounded.mails) == 1


def test_who_names_nobody_is_not_mailed(sounded):
    sounded.alarms.configure(groups("10.0.0.254 MailTo MailTo::-x@y.z MailTo::a::b::c"), {}, 1)
    sounded.alarms.sound("help")
    sounded.go(MINUTE)
    assert sounded.logged == [(CRIT, "help")]
    assert sounded.mails == []


def test_later_alarms_are_gathered_and_mailed_ever_more_rarely(sounded):
    for number in range(10 * 3600):
        sounded.alarms.sound(f"alarm {number}")
        sounded.go(SECOND)
    times = [(at - START - alarm.WAIT_NS) // MINUTE for at, _, _ in sounded.mails]
    assert times == [0, 1, 3, 7, 15, 31, 63, *range(123, 600, 60)]
    assert all(len(lines) <= alarm.ALARMS + 1 for _, _, lines in sounded.mails)
    counted = sum(
        int(lines[-1].split()[0]) + len(lines) - 1 if lines[-1].endswith("in the log") else len(lines)
        for _, _, lines in sounded.mails
    )
    waiting = len(sounded.alarms._waiting) + sounded.alarms._more
    assert counted + waiting == 36000, "none is forgotten without a word"
    assert len(sounded.logged) == 36000


def test_the_same_alarm_is_in_a_mail_once(sounded):
    for _ in range(5):
        sounded.alarms.sound("caesar is quarantined")
    sounded.go(MINUTE)
    ((_, _, lines),) = sounded.mails
    assert lines == ["caesar is quarantined", "4 more, which are in the log"]


def test_an_alarm_that_goes_on_does_not_put_its_mail_off(sounded):
    for _ in range(20):
        sounded.alarms.sound("caesar is quarantined")
        sounded.go(alarm.WAIT_NS // 5)
    assert len(sounded.mails) == 1


def test_after_an_hour_of_quiet_it_begins_anew(sounded):
    for pause_ns in (0, 0, 0, 3601 * SECOND, 0):
        sounded.go(pause_ns)
        sounded.alarms.sound("help")
        before = len(sounded.mails)
        while len(sounded.mails) == before:
            sounded.go(SECOND)
    first, second, third, fourth, fifth = (at for at, _, _ in sounded.mails)
    assert (second - first, third - second) == (MINUTE, 2 * MINUTE)
    assert fifth - fourth == MINUTE


def test_the_text_cannot_become_more_alarms_or_a_long_mail(sounded):
    sounded.alarms.sound("caesar\n* all is well\r\n" + "x" * 5000)
    sounded.go(MINUTE)
    ((_, _, (line,)),) = sounded.mails
    assert line.startswith("caesar * all is well xxx")
    assert len(line) == alarm.CHARACTERS


def test_what_waits_is_mailed_at_the_end(sounded):
    sounded.alarms.sound("one")
    sounded.go(MINUTE)
    sounded.alarms.sound("two")
    sounded.alarms.sound("three")
    sounded.alarms.close()
    assert [lines for _, _, lines in sounded.mails] == [["one"], ["two", "three"]]
    sounded.go(10 * MINUTE)
    assert len(sounded.mails) == 2
    sounded.alarms = Alarms(sounded.loop)


def test_a_mail_that_cannot_be_started_is_said(sounded, monkeypatch):
    def refuse(*words, **options):
        raise OSError(12, "Cannot allocate memory")

    monkeypatch.setattr(sounded.alarms._children, "spawn", refuse)
    sounded.alarms.sound("help")
    sounded.go(MINUTE)
    assert sounded.logged[1:] == [(ERROR, "an alarm was not mailed: Cannot allocate memory")]


def test_times_are_divided_for_a_demonstration(sounded):
    sounded.alarms.configure(groups("10.0.0.254 MailTo::root"), {"A": "1"}, 60)
    sounded.alarms.sound("one")
    sounded.go(SECOND // 2)
    sounded.alarms.sound("two")
    sounded.go(SECOND)
    assert len(sounded.mails) == 2


# ---- the mail itself

needs_hiding = pytest.mark.skipif(
    bool(REAL_SENDMAIL) and os.geteuid() != 0, reason="there is a sendmail here, and only root can hide it"
)


@needs_hiding
def test_the_letter():
    server = MailServer()
    try:
        text = "caesar is alive in generation 3, but has had 9\n\n  \nZürich\r\nBcc: x@y.z"
        code, said = finish(mailto("a@b.example,root", text, "alarm", server=f"smtp://127.0.0.1:{server.port}"))
        assert code == 0, said
        ((_, recipients, octets),) = server.letters
        assert recipients == ["a@b.example", "root"]
        letter = parsed(octets)
        assert letter["Subject"].startswith("Heartbeat alarm from julius at ")
        assert letter["Bcc"] is None
        lines = letter.get_content().replace("\r\n", "\n").split("\n")
        assert lines[:3] == ["* caesar is alive in generation 3, but has had 9", "* Zürich ", "* Bcc: x@y.z"]
    finally:
        server.close()


@needs_hiding
@pytest.mark.parametrize("words", [("root",), ("root", " \n ")])
def test_an_alarm_without_a_text_is_a_mistake(words):
    code, said = finish(mailto(*words, "alarm", server="smtp://127.0.0.1:9"))
    assert (code, said) == (2, "ERROR: MailTo has no alarm to send\n")


@pytest.mark.skipif(bool(REAL_SENDMAIL), reason="the sendmail of this machine would get the letter")
def test_a_real_process_sends_it():
    server = MailServer()
    loop = Loop(Log())
    alarms = Alarms(loop)
    try:
        environment = {"PATH": "/nonexistent", "HA_CURHOST": "julius",
                       "HA_mailserver": f"smtp://127.0.0.1:{server.port}"}  # fmt: skip
        alarms.configure(groups("10.0.0.254 MailTo::root"), environment, 1)
        alarms.sound("caesar is quarantined")
        end = time.monotonic() + 20
        while not server.letters:
            assert time.monotonic() < end
            loop.poller.wait(0.01)
            loop.schedule.run(loop.now())
        assert "* caesar is quarantined" in server.letters[0][2]
    finally:
        alarms.close()
        loop.log.close()
        server.close()
