"""The worlds of the system tests: whole daemons on machines made of namespaces (heartbeat/demo/), as root.

Where namespaces are not to be had these tests are skipped, and the summary says so loudly; with CI=true they fail.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache
from pathlib import Path

import pytest

from heartbeat.demo.world import World

HERE = Path(__file__).parent


@cache
def obstacle() -> str:
    """Why no world can be made here; empty when it can."""
    if os.geteuid():
        return "it needs root"
    try:
        with World() as world:
            world.power_on(world.machine("trial", []))
    except OSError as error:
        return str(error)
    return ""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.system)


def pytest_runtest_setup(item: pytest.Item) -> None:
    if HERE in item.path.parents and obstacle():
        reason = f"no system test runs here: {obstacle()}"
        if os.environ.get("CI") == "true":
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    skipped = [report for report in terminalreporter.stats.get("skipped", []) if "tests/system/" in report.nodeid]
    if skipped and obstacle():
        terminalreporter.section("NOT TESTED", sep="!")
        terminalreporter.line(f"{len(skipped)} system tests did not run: {obstacle()}")


@pytest.fixture
def make_world() -> Iterator[Callable[..., World]]:
    """Worlds, as `World(divisor)`, closed at the end; a test that fails shows the logs of their nodes."""
    with ExitStack() as closing:

        def make(divisor: int = 50) -> World:
            world = closing.enter_context(World(divisor))
            closing.callback(show_logs, world)
            return world

        yield make


def show_logs(world: World) -> None:
    for node in world.nodes.values():
        print(f"---- {node.name}", node.log(), sep="\n")
