"""The files that people look for, and that what they say of the program is so."""

import re
import subprocess
import tomllib

import pytest
from tidy.sources import ROOT, text, tracked

from heartbeat import cli

PAGES = [name for name in tracked() if name.startswith("man/")]
# man(7)'s, which every formatter knows, and a table's
MACROS = {
    ".TH", ".SH", ".SS", ".TP", ".TQ", ".PP", ".IP", ".B", ".I", ".BR", ".BI", ".IR", ".IB", ".RB", ".RI",
    ".EX", ".EE", ".RS", ".RE", ".nf", ".fi", ".br", ".SY", ".YS", ".OP", ".TS", ".TE",
}  # fmt: skip
PROJECT = tomllib.loads(text("pyproject.toml"))["project"]


@pytest.mark.parametrize(
    "name", ["README.md", "CHANGELOG.md", "LICENSE", "pyproject.toml", "setup.py", "scripts/demo", "scripts/test",
             ".ci/run", "docs/architecture.md", "docs/states.md", "man/heartbeat.8", "heartbeat/data/heartbeat.service"]
)  # fmt: skip
def test_it_is_there(name):
    assert name in tracked()
    assert text(name).strip()


def test_the_licence_is_apache_2():
    assert text("LICENSE").lstrip().startswith("Apache License\n                           Version 2.0, January 2004")
    assert PROJECT["license"] == "Apache-2.0"


def test_every_command_has_a_manual_page():
    pages = {name.removeprefix("man/").partition(".")[0] for name in PAGES}
    assert set(PROJECT["scripts"]) <= pages


def test_every_command_of_the_help_is_in_the_manual():
    page = text("man/heartbeat.8").replace("\\-", "-")
    commands = re.findall(r"^  ([a-z]+) ", cli.HELP.partition("options")[0], re.MULTILINE)
    assert len(commands) > 5
    assert [word for word in commands if not re.search(rf"^\.(B|BR|BI) \"?{word}\b", page, re.MULTILINE)] == []
    options = re.findall(r"--[a-z-]+", cli.HELP)
    assert [option for option in options if option not in page] == []


@pytest.mark.parametrize("name", PAGES)
def test_a_manual_page_is_well_made(name):
    """What man(1) and whatis(1) need, with or without a formatter on this machine."""
    lines = text(name).splitlines()
    title = next(line for line in lines if line.startswith(".TH "))
    command, _, section = name.removeprefix("man/").rpartition(".")
    assert re.match(rf"\.TH {re.escape(command)} {section}\b", title, re.IGNORECASE)
    sections = [line.removeprefix(".SH ").strip('"') for line in lines if line.startswith(".SH ")]
    assert sections[0] == "NAME"
    assert {"SYNOPSIS", "DESCRIPTION"} <= set(sections)
    assert lines[lines.index(".SH NAME") + 1].replace("\\-", "-").startswith(f"{command} - ")
    macros = {line.split()[0] for line in lines if re.match(r"\.[A-Za-z]", line)}
    asks_for_tbl = lines[0] == "'\\\" t"
    assert asks_for_tbl == (".TS" in macros), "a page with a table begins with this line, one without does not"
    assert macros <= MACROS


@pytest.mark.parametrize("name", PAGES)
def test_a_manual_page_renders(name):
    argv = ["groff", "-t", "-man", "-Tutf8", "-ww", str(ROOT / name)]
    done = subprocess.run(argv, check=False, capture_output=True, text=True, timeout=30)
    assert (done.returncode, done.stderr) == (0, "")
    shown = re.sub(r".\x08|\x1b\[[0-9;]*m", "", done.stdout)
    assert "SYNOPSIS" in shown
    assert len(shown.split()) > len(text(name).split()) // 2


@pytest.mark.parametrize("name", ["scripts/demo", "scripts/test", ".ci/run"])
def test_a_script_runs_under_any_shell(name):
    assert text(name).startswith("#!/bin/sh\n")
    done = subprocess.run(["sh", "-n", str(ROOT / name)], check=False, capture_output=True, text=True, timeout=30)
    assert (done.returncode, done.stderr) == (0, "")
    assert (ROOT / name).stat().st_mode & 0o111


def test_the_ci_calls_the_tests_and_nothing_more():
    words = [line for line in text(".ci/run").splitlines() if line and not line.startswith("#")]
    assert len(words) == 1
    assert "scripts/test" in words[0]


def test_every_file_that_a_page_names_is_there():
    """Links of the Markdown pages, within the repository."""
    missing = []
    for name in tracked():
        if not name.endswith(".md") or name.startswith("tests/data/"):
            continue
        targets = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text(name))
        missing += [f"{name}: {target}" for target in targets if not ((ROOT / name).parent / target).exists()]
    assert missing == []


def test_what_the_page_on_security_names_is_there():
    """The tests that show it, and the rights that the daemon keeps."""
    page = text("docs/security.md")
    named = set(re.findall(r"`((?:tests|heartbeat)/[\w/.]+)`", page))
    assert len(named) > 15
    assert {name for name in named if name not in tracked()} == set()
    kept = re.search(r"kept_capabilities\[\] = \{(.*?)\}", text("heartbeat/kernel_build.py"), re.DOTALL)[1]
    sentence = re.search(r"It keeps (.*?)\.", page, re.DOTALL)[1]
    assert set(re.findall(r"CAP_\w+", sentence)) == set(re.findall(r"CAP_\w+", kept))


def test_what_the_package_says_of_itself():
    assert PROJECT["name"] == "heartbeat-ha"
    assert PROJECT["requires-python"] == ">=3.11"
    lowest = {re.match(r"\w+", each)[0]: each for each in PROJECT["dependencies"]}
    assert set(lowest) == {"cffi", "pyserial", "pyroute2"}
    # what Debian 12 ships, so that a router without a network gets them from apt
    assert sorted(lowest.values()) == ["cffi>=1.15", "pyroute2>=0.7.2", "pyserial>=3.5"]
