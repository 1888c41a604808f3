"""How records become the page of results and what the README quotes, and that no run replaces a longer one's record."""

import json
import sys
from types import SimpleNamespace

import pytest

from bench import command, page, tables
from bench.growth import report
from bench.growth.curve import Curve

# ---- tables


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0"), (0.0033, "0.0033"), (0.2147, "0.215"), (1.5, "1.50"), (2.0, "2"), (16.84, "16.8"), (464.25, "464"),
     (-39.0, "-39"), (-0.5, "-0.5"), (34095.2, "34,095")],
)  # fmt: skip
def test_a_number_has_three_digits_that_count(value, text):
    assert tables.number(value) == text


def test_a_table_for_the_page_and_for_the_terminal():
    assert tables.table(("a", "b"), [["x", "1"]]) == ["| a | b |", "|---|--:|", "| x | 1 |"]
    assert tables.aligned(("a", "b"), [["word", "1"], ["", "100"]]) == "a       b\nword    1\n      100"


def bar(verdict="ok", limit=1.0, **more):
    return {"bar": "b", "value": 0.5, "limit": limit, "unit": "ms", "verdict": verdict} | more


def test_a_bar_says_what_is_demanded():
    assert tables.bar_rows([bar(note="n"), bar(at_least=True), bar("", None), bar("not judged", value=None)]) == [
        ["b", "0.5 ms", "≤ 1 ms", "ok", "n"], ["b", "0.5 ms", "≥ 1 ms", "ok", ""], ["b", "0.5 ms", "", "", ""],
        ["b", "", "≤ 1 ms", "not judged", ""],
    ]  # fmt: skip


def test_what_is_only_told_is_not_counted():
    bars = [bar(), bar("ok, scaled"), bar("MISSED"), bar("not judged"), bar("", None)]
    assert tables.counted(bars) == (2, 1, 1)


# ---- the page


def growth(quick=False, cost=10.0, **more):
    curve = Curve("nodes", "a second", "nodes", "µs", tuple((size, cost * size) for size in (2, 4, 8)), 1.15)
    about = {
        "command": "sh scripts/bench growth", "quick": quick, "when": "2026-01-02T03:04:05Z", "took_s": 1234,
        "revision": "0a1b2c", "python": "3.11.2", "machine": "m", "load_before": 0.1, "load": [1.0, 2.0, 3.0],
        "busy": 0.5, "stolen": 0.014, "missing": {},
    }  # fmt: skip
    return report.record([curve], about | more)


def shown(folder, **records):
    for stem, record in records.items():
        (folder / f"{stem.replace('_', '-')}.json").write_text(json.dumps(record))
    return page.read(sorted(folder.iterdir()))


def test_every_command_has_its_section_and_what_was_not_measured_says_how(tmp_path):
    text = page.page(shown(tmp_path))
    titles = [line.removeprefix("## ") for line in text.splitlines() if line.startswith("## ")]
    assert titles == [each.title for each in page.SECTIONS]
    for each in page.SECTIONS:
        assert f"## {each.title}\n\nNot measured yet: `sh scripts/bench {each.name}`\n" in text


def test_a_section_opens_with_its_command_and_what_the_run_was_like(tmp_path):
    text = page.page(shown(tmp_path, growth=growth(missing={"media": "why"}, troubles=["t"], versions={"ucarp": "1"})))
    section = text.partition("## Growth\n\n")[2]
    assert section.startswith(
        "`sh scripts/bench growth`: 2026-01-02T03:04:05Z, 1,234 s; m; Python 3.11.2; revision 0a1b2c; load 0.1 before, "
        "1.0 2.0 3.0 after, 50% of the processors' time was used, 1% of the processors' time the machine's host kept.\n"
    )
    for line in ("ucarp 1.", "* **Not measured: media: why**", "* trouble: t"):
        assert f"\n{line}\n" in section
    assert section.index("| ≤ 1.15 | ok |") < section.index("| a second, µs |") < section.index("![cost over nodes]")
    assert "(results/growth-nodes.svg)" in section
    assert "| Growth | `sh scripts/bench growth` | 2026-01-02 | 1 | 0 | 0 |" in text


def test_a_quick_run_is_shown_and_marked_where_there_is_no_whole_one_and_quoted_nowhere(tmp_path):
    every = shown(tmp_path, growth_quick=growth(quick=True))
    text = page.page(every)
    assert "**A quick run: its figures are few.**" in text
    assert "| 2026-01-02, **quick** |" in text
    assert "(results/growth-quick-nodes.svg)" in text
    assert "| Growth: not measured yet |  |  |  |  | `sh scripts/bench growth` |" in page.quoted(every)
    every = shown(tmp_path, growth=growth(cost=7.0))
    text = page.page(every)
    assert "quick" not in text
    assert "| a second, µs | 14 |" in text
    assert "not measured yet |  |  |  |  | `sh scripts/bench growth` |" not in page.quoted(every)


def test_a_record_of_another_version_is_named(tmp_path):
    made = growth()
    del made["took_s"]
    with pytest.raises(ValueError, match=r"growth.json does not say took_s: sh scripts/bench growth"):
        shown(tmp_path, growth=made)
    made = growth()
    del made["curves"]
    with pytest.raises(ValueError, match=r"growth.json .*'curves'.* sh scripts/bench growth"):
        page.page(shown(tmp_path, growth=made))


def test_the_pages_of_a_folder_leave_the_other_files_alone(tmp_path):
    pytest.importorskip("matplotlib", reason="pictures need matplotlib")
    before = page.README.read_bytes(), page.PAGE.read_bytes()
    shown(tmp_path, growth=growth())
    page.write(tmp_path)
    assert "](growth-nodes.svg)" in (tmp_path / "RESULTS.md").read_text()
    assert ">sh scripts/bench growth, 2026-01-02<" in (tmp_path / "growth-nodes.svg").read_text()
    assert (page.README.read_bytes(), page.PAGE.read_bytes()) == before


# ---- the README


def test_what_is_quoted_stands_between_the_marks_and_nowhere_else():
    readme = f"# H\n\n{page.BEGIN}\nold\n{page.END}\n\nold\n"
    for text in ("new \\1", "| a |\n| b |", ""):
        readme = page.put(readme, text)
        assert readme == f"# H\n\n{page.BEGIN}\n{text}\n{page.END}\n\nold\n"
    assert page.put(f"{page.BEGIN}\n{page.END}\n", "first") == f"{page.BEGIN}\nfirst\n{page.END}\n"
    with pytest.raises(ValueError, match="README"):
        page.put("# H\n", "text")


def test_a_line_without_a_figure_is_left_out(tmp_path, monkeypatch):
    monkeypatch.setattr(report, "quoted", lambda record: [("empty", {}), ("full", {"ucarp": "1 ms"})])
    text = page.quoted(shown(tmp_path, growth=growth()))
    assert "empty" not in text
    assert "| full |  |  |  | 1 ms | `sh scripts/bench growth` |" in text


# ---- the commands


@pytest.fixture
def results(tmp_path, monkeypatch):
    """The folder of results; .made: how often the page was."""
    made = []
    for module in (command, page):
        monkeypatch.setattr(module, "RESULTS", tmp_path)
    monkeypatch.setattr(page, "write", lambda: made.append(1))
    return SimpleNamespace(folder=tmp_path, made=made)


def run(name, monkeypatch, *words):
    monkeypatch.setattr(sys, "argv", [name, *words])
    found = command.options(name, "What it is", "PART", ("one", "other"), "fast")
    if found.path is not None:
        command.write(found.path, command.Run(name).about(quick=found.quick) | {"of": words})


def test_no_run_replaces_the_record_of_a_longer_one(results, monkeypatch):
    run("growth", monkeypatch)
    run("growth", monkeypatch, "--quick")
    run("growth", monkeypatch, "one")
    run("growth", monkeypatch, "one", "--quick")
    run("growth", monkeypatch, "one", "--json", str(results.folder / "elsewhere.json"))
    found = {path.name: json.loads(path.read_text())["of"] for path in results.folder.iterdir()}
    assert found == {
        "growth.json": [], "growth-quick.json": ["--quick"],
        "elsewhere.json": ["one", "--json", str(results.folder / "elsewhere.json")],
    }  # fmt: skip


def test_whole_runs_alone_make_the_page_anew(results, monkeypatch):
    run("growth", monkeypatch, "--quick")
    run("growth", monkeypatch, "one")
    run("growth", monkeypatch, "--json", str(results.folder / "below" / "growth.json"))
    assert results.made == []
    run("growth", monkeypatch)
    assert results.made == [1]


def test_a_run_says_what_it_was_like(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["growth", "--quick"])
    spent = iter([(1_000, 400, 10), (3_000, 900, 60)])
    monkeypatch.setattr(command, "_spent", lambda: next(spent))
    monkeypatch.setattr(command, "revision", lambda: "0a1b2c+")
    about = command.Run("growth").about(quick=True)
    assert page.SAID - set(about) == {"bars"}
    assert about["command"] == "sh scripts/bench growth --quick"
    assert (about["quick"], about["revision"], about["busy"], about["stolen"]) == (True, "0a1b2c+", 0.725, 0.025)


def test_the_kernel_tells_what_was_spent():
    whole, idle, stolen = command._spent()
    assert whole > idle > 0 <= stolen
