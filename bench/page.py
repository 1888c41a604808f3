"""The page of all results, bench/RESULTS.md, and what the README quotes of it: both made of the records in
bench/results, and of nothing else.

    python -m bench.page            makes them, and the pictures, anew; each whole run of a benchmark does so at its end
    python -m bench.page FOLDER     of the records there, as FOLDER/RESULTS.md; the README stays

Each command has its section, in a fixed order: what the run was like, what is demanded and what came of it, tables,
pictures. Where there is no record of a whole run that of a quick one is shown, and marked; the README quotes whole ones
alone. A command's own module knows its record:

    tables_of(record)   lines of Markdown
    pictures(record)    a list of Picture
    quoted(record)      what the README has of it: (what, system → figure), …
"""

from __future__ import annotations

import importlib
import json
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from bench import picture, tables

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "bench" / "results"
PAGE, README = ROOT / "bench" / "RESULTS.md", ROOT / "README.md"
QUICK = "-quick"
BEGIN, END = "<!-- figures: made by sh scripts/bench page -->", "<!-- end of figures -->"
# in every record
SAID = {"command", "quick", "when", "took_s", "machine", "python", "load", "bars"}
QUOTED_SYSTEMS = {"ours": "ours", "heartbeat": "heartbeat 3.0.6", "keepalived": "keepalived", "ucarp": "ucarp"}

Record = Mapping[str, Any]


class Section(NamedTuple):
    """module: what knows the record."""

    name: str
    title: str
    module: str

    @property
    def command(self) -> str:
        return f"sh scripts/bench {self.name}"


SECTIONS = (
    Section("failover", "Fail-over, side by side", "bench.failover.report"),
    Section("false", "Take-overs that nothing called for", "bench.false.report"),
    Section("footprint", "Footprint", "bench.footprint.table"),
    Section("micro", "The parts, one by one", "bench.micro.table"),
    Section("instructions", "Instructions of a heartbeat", "bench.instructions"),
    Section("growth", "Growth", "bench.growth.report"),
)


class Shown(NamedTuple):
    """A section and what there is for it; stem: of the record's file."""

    section: Section
    record: Record | None = None
    stem: str = ""

    @property
    def whole(self) -> bool:
        return self.record is not None and not self.record["quick"]

    def ask(self, question: str) -> Any:
        """Of the module that knows the record. ValueError: it is not of a kind that it knows."""
        try:
            return getattr(importlib.import_module(self.section.module), question)(self.record)
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"{self.stem}.json is of another version ({error!r}): {self.section.command}") from error


def read(paths: Iterable[Path]) -> list[Shown]:
    """Of the records among these files: of each section the whole one, or the quick one, or none. ValueError."""
    there = {path.stem: path for path in paths if path.suffix == ".json"}
    found = []
    for section in SECTIONS:
        stem = next((each for each in (section.name, section.name + QUICK) if each in there), "")
        record = json.loads(there[stem].read_text(encoding="utf-8")) if stem else None
        if record is not None and (lacking := SAID - set(record)):
            raise ValueError(f"{there[stem]} does not say {', '.join(sorted(lacking))}: {section.command}")
        found.append(Shown(section, record, stem))
    return found


def page(every: Sequence[Shown], beside: str = "results/") -> str:
    """beside: where the pictures are, seen from the page."""
    lines = ["# Results", "", "Made by `sh scripts/bench page` of the records in [results](results); "
             "[README.md](README.md) says how to read them. Ratios are of medians of one run.", ""]  # fmt: skip
    head = ("", "command", "run", "kept", "missed", "not judged")
    lines += [*tables.table(head, map(_line, every), words=range(3)), ""]
    for shown in every:
        lines += [f"## {shown.section.title}", "", *_section(shown, beside), ""]
    return "\n".join(lines).rstrip() + "\n"


def _line(shown: Shown) -> list[str]:
    """Of the table that opens the page."""
    begin = [shown.section.title, f"`{shown.section.command}`"]
    if shown.record is None:
        return [*begin, "not measured yet", "", "", ""]
    run = shown.record["when"][:10] + ("" if shown.whole else ", **quick**")
    return [*begin, run, *map(str, tables.counted(shown.record["bars"]))]


def _section(shown: Shown, beside: str) -> list[str]:
    if shown.record is None:
        return [f"Not measured yet: `{shown.section.command}`"]
    lines = opening(shown.record)
    if shown.record["bars"]:
        lines += ["", *tables.table(tables.BAR_HEAD, tables.bar_rows(shown.record["bars"]), words=tables.BAR_WORDS)]
    lines += ["", *shown.ask("tables_of")]
    for each in shown.ask("pictures"):
        lines += ["", f"![{each.caption}]({beside}{each.file(shown.stem)})"]
    return lines


def opening(record: Record) -> list[str]:
    """What the run was like."""
    quick = "" if not record["quick"] else " **A quick run: its figures are few.**"
    load = " ".join(str(each) for each in record["load"])
    noise = [f"load {record['load_before']} before, {load} after" if "load_before" in record else f"load {load}"]
    noise += [f"{record[name]:.0%} of the processors' time {text}"
              for name, text in (("busy", "was used"), ("stolen", "the machine's host kept"))
              if record.get(name) is not None]  # fmt: skip
    told = [f"{record['when']}, {record['took_s']:,} s", record["machine"], f"Python {record['python']}"]
    if record.get("revision"):
        told.append(f"revision {record['revision']}")
    lines = [f"`{record['command']}`: {'; '.join([*told, ', '.join(noise)])}.{quick}"]
    if record.get("versions"):
        lines += ["", f"{', '.join(f'{name} {version}' for name, version in record['versions'].items())}."]
    missing = record.get("unavailable", {}) | record.get("missing", {})
    lines += ["", *(f"* **Not measured: {name}: {reason}**" for name, reason in missing.items())] if missing else []
    troubles = record.get("troubles", ())
    return lines + (["", *(f"* trouble: {each}" for each in troubles)] if troubles else [])


def said(record: Record) -> str:
    """On a picture."""
    return f"{record['command']}, {record['when'][:10]}"


def draw(every: Iterable[Shown], folder: Path) -> list[str]:
    """The files that were made. ImportError: without matplotlib."""
    made = []
    for shown in every:
        for each in shown.ask("pictures") if shown.record is not None else ():
            made.append(each.file(shown.stem))
            picture.save(each, folder / made[-1], said(shown.record or {}))
    return made


def quoted(every: Iterable[Shown]) -> str:
    """For the README: a table with a line for each figure."""
    lines = []
    for shown in every:
        command = f"`{shown.section.command}`"
        if not shown.whole:
            lines.append([f"{shown.section.title}: not measured yet", *[""] * len(QUOTED_SYSTEMS), command])
            continue
        found = [(what, figures) for what, figures in shown.ask("quoted") if figures]
        lines += [[what, *(figures.get(system, "") for system in QUOTED_SYSTEMS), command] for what, figures in found]
    return "\n".join(tables.table(("", *QUOTED_SYSTEMS.values(), "command"), lines, words=(0, len(QUOTED_SYSTEMS) + 1)))


def put(readme: str, text: str) -> str:
    """The README with this between its marks. ValueError: they are not there."""
    pattern = rf"(?<={re.escape(BEGIN)}\n).*?(?={re.escape(END)})"
    made, number = re.subn(pattern, lambda _: f"{text}\n", readme, flags=re.DOTALL)
    if number != 1:
        raise ValueError(f"README.md needs one line {BEGIN} and {END} after it")
    return made


def write(folder: Path = RESULTS) -> None:
    every = read(folder.iterdir())
    if folder == RESULTS:
        PAGE.write_text(page(every), encoding="utf-8")
        readme = README.read_text(encoding="utf-8")
        README.write_text(put(readme, quoted(every)), encoding="utf-8")
        written = [PAGE, README]
    else:
        written = [folder / PAGE.name]
        written[0].write_text(page(every, beside=""), encoding="utf-8")
    print(f"written: {', '.join(map(str, written))}")
    try:
        print(f"drawn: {', '.join(draw(every, folder)) or 'nothing'}")
    except ImportError:
        print("*** the pictures are as they were: matplotlib is not installed", file=sys.stderr)


if __name__ == "__main__":
    write(*map(Path, sys.argv[1:2]))
