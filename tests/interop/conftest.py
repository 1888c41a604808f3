"""The tests against the original need root, namespaces, and Debian's package, which is installed when first needed.

Where that can't be had they are skipped, and the summary says so loudly; with CI=true they fail. What a pair of real
daemons is needed for uses the fixture `originals`; the other tests of this folder run everywhere.
"""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

import pytest
from interop import package
from system.conftest import obstacle as no_world

HERE = Path(__file__).parent


@cache
def obstacle() -> str:
    """Why no pair can be played here; empty when it can."""
    if package.obstacle():
        return f"no original: {package.obstacle()}"
    return no_world()


def _needs_originals(item: pytest.Item) -> bool:
    return HERE in item.path.parents and "originals" in getattr(item, "fixturenames", ())


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if _needs_originals(item):
            item.add_marker(pytest.mark.system)


def pytest_runtest_setup(item: pytest.Item) -> None:
    if _needs_originals(item) and obstacle():
        reason = f"no test against the original runs here: {obstacle()}"
        if os.environ.get("CI") == "true":
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    skipped = [report for report in terminalreporter.stats.get("skipped", []) if "tests/interop/" in report.nodeid]
    if skipped and obstacle():
        terminalreporter.section("NOT TESTED AGAINST THE ORIGINAL", sep="!")
        terminalreporter.line(f"{len(skipped)} tests did not run: {obstacle()}")


@pytest.fixture
def originals() -> str:
    """The version of the package that is there."""
    return package.installed()
