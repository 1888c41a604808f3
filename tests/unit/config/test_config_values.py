"""The small words of ha.cf, as the original's own parser reads them (protocol/config.md §2.1, §2.2)."""

from __future__ import annotations

import pytest

from heartbeat.config.mailserver import problem
from heartbeat.config.values import TIME_MAX_MS, boolean, integer, lower, time_ms


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [
        # what the original's library answered; -1 there is None here
        ("1.5", 1500), ("1500ms", 1500), (".5", 500), ("500us", 1), ("400us", 0), ("2000us", 2), ("0", 0),
        ("10s", None), ("1m", None), ("1e3", None), ("-1", None), ("abc", None), (".", 0), ("", 0),
        # and by its description
        ("1.2.3", 1200), ("5MS", 5), ("5msec", 5), ("5 ms", 5), (" 5", 5000), ("ms", 0), ("1h", None), ("3sec", None),
        ("1499us", 1), ("1500us", 2), ("0.0004", 0), ("0.0005", 1), ("5Us", 0), ("1.", 1000), ("00001", 1000),
        ("5m s", None), ("1 2", None), ("+1", None), ("0x10", None), ("\u0661", None), ("1\u066b5", None),
        ("2147483.647", TIME_MAX_MS), ("2147483.648", TIME_MAX_MS + 1), ("9" * 5000, TIME_MAX_MS + 1),
        ("9" * 400 + "ms", TIME_MAX_MS + 1), ("0." + "0" * 5000 + "1", 0),
    ],
)  # fmt: skip
def test_times(text: str, milliseconds: int | None) -> None:
    assert time_ms(text) == milliseconds


@pytest.mark.parametrize("text", ["true", "on", "yes", "y", "1", "TRUE", "On", "yEs", "Y"])
def test_true(text: str) -> None:
    assert boolean(text) is True


@pytest.mark.parametrize("text", ["false", "off", "no", "n", "0", "FALSE", "Off", "nO", "N"])
def test_false(text: str) -> None:
    assert boolean(text) is False


@pytest.mark.parametrize("text", ["", "2", "enable", "tru", "on ", "01"])
def test_neither(text: str) -> None:
    assert boolean(text) is None


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("5", (5, True)), ("-5", (-5, True)), ("+5", (5, True)), (" 5", (5, True)), ("5x", (5, False)),
        ("5 ", (5, False)), ("x", None), ("", None), ("-", None), ("0x10", (0, False)), ("\u0663", None),
        ("1" * 9000, (111111111111, True)), ("0" * 60 + "2", (2, True)), ("-000", (0, True)),
    ],
)  # fmt: skip
def test_integers(text: str, value: tuple[int, bool] | None) -> None:
    assert integer(text) == value


def test_names_keep_their_length() -> None:
    assert lower("JULIUS-İ.Example") == "julius-İ.example"


@pytest.mark.parametrize(
    "url",
    [
        "smtp://localhost", "smtp://localhost:25", "smtps://mail.example", "smtps://me:pass@mail.example:465",
        "smtp://me:a%40b:c@[2001:db8::1]:587", "smtp://[::1]", "smtp://10.0.0.1",
    ],
)  # fmt: skip
def test_mail_servers(url: str) -> None:
    assert problem(url) is None


@pytest.mark.parametrize(
    "url",
    [
        "", "localhost", "http://localhost", "smtp:localhost", "smtp://", "smtp://:25", "smtp://host:", "smtp://host:0",
        "smtp://host:65536", "smtp://host:x", "smtp://host:-1", "smtp://host:+1", "smtp://host:1x", "smtp://me@host",
        "smtp://:pass@host", "smtp://me:@host", "smtp://[::1", "smtp://[::g]", "smtp://[10.0.0.1]", "smtp://[::1]x",
        "smtp://[]", "smtp://host/path", "smtp://ho st", "SMTP://host", "smtp://hóst",
    ],
)  # fmt: skip
def test_not_mail_servers(url: str) -> None:
    assert problem(url) is not None


def test_no_password_in_a_text() -> None:
    assert "secret" not in str(problem("smtp://me:secret@host:port"))
    assert "secret" not in str(problem("me:secret@host"))
