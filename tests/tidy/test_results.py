"""The figures that people read are those of the records: bench/RESULTS.md and README.md say what bench/results says."""

import pytest
from tidy.sources import ROOT, text, tracked

from bench import page

RECORDS = [ROOT / name for name in tracked() if name.startswith("bench/results/") and name.endswith(".json")]
REMEDY = "sh scripts/bench page"


@pytest.fixture(scope="module")
def every():
    """What is in the repository: a run that somebody has made here is nobody else's."""
    return page.read(RECORDS)


def test_every_record_is_shown():
    stems = {f"{section.name}{kind}" for section in page.SECTIONS for kind in ("", page.QUICK)}
    assert {path.stem for path in RECORDS} <= stems


def test_the_page_is_what_the_records_say(every):
    assert text("bench/RESULTS.md") == page.page(every), REMEDY


def test_the_readme_quotes_what_the_records_say(every):
    assert page.put(text("README.md"), page.quoted(every)) == text("README.md"), REMEDY


def test_pictures_are_of_the_runs_that_the_page_shows(every):
    """Each says its command and its day; there are no others."""
    wanted = {}
    for shown in every:
        for each in shown.ask("pictures") if shown.record else ():
            wanted[f"bench/results/{each.file(shown.stem)}"] = f">{page.said(shown.record)}<"
    assert {name for name in tracked() if name.startswith("bench/results/") and name.endswith(".svg")} == set(wanted)
    assert [name for name, said in wanted.items() if said not in text(name)] == [], REMEDY


def test_every_section_is_a_command_that_people_are_told_of():
    told = text("bench/README.md"), text("scripts/bench")
    assert [each.name for each in page.SECTIONS if not all(each.command in where for where in told)] == []
