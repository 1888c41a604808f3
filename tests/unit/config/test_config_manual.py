"""The manual pages of the three files say what the program knows, and are free of mistakes in their markup."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from heartbeat.config import machine
from heartbeat.config.authkeys import INDEX_MAX, METHODS
from heartbeat.config.directives import BAUD_RATES, TABLE
from heartbeat.config.haresources import GROUPS_MAX
from heartbeat.config.lines import LINE_MAX

if TYPE_CHECKING:
    from conftest import Files

MANUAL = Path(__file__).parents[3] / "man"


def words(name: str) -> set[str]:
    text = (MANUAL / name).read_text()
    return set(re.findall(r"[A-Za-z0-9_]+", text.replace("\\fR", " ").replace("\\fP", " ").replace("\\fB", " ")))


def test_every_directive_is_in_the_manual() -> None:
    assert TABLE.keys() - words("ha.cf.5") == set()


def test_figures_of_the_manual() -> None:
    assert {str(rate) for rate in BAUD_RATES} | {str(LINE_MAX)} <= words("ha.cf.5")
    assert {*METHODS, str(INDEX_MAX), str(LINE_MAX)} <= words("authkeys.5")
    assert f" {GROUPS_MAX:,} groups" in (MANUAL / "haresources.5").read_text()


def test_the_examples_are_sound(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "tty_problem", lambda path: None)
    files.ha_cf, files.haresources, files.authkeys = (
        example(name).replace("\\e", "\\").replace("\\(dq", '"') for name in ("ha.cf.5", "haresources.5", "authkeys.5")
    )
    config = files.load()
    assert config.warnings == ()
    assert len(config.groups) == 2
    assert config.groups[1].resources[-1].arguments == ("alerts@example.com", "the second group")


def example(name: str) -> str:
    text = (MANUAL / name).read_text()
    return text.partition(".SH EXAMPLES\n.EX\n")[2].partition(".EE")[0]
