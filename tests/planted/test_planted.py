"""Every planted bug still fits the sources and names a layer that exists; and some are caught, of those that are caught
fast. `sh scripts/planted` tries them all."""

import pytest
from planted.plant import PATCHES, Bug, Garden, apply, copy_tree

BUGS = {bug.name: bug for bug in map(Bug, PATCHES)}
# of different layers, with nothing to build
FAST = ("replay-limit", "lease-never-ended", "both-yield", "serial-keeps-old", "authkeys-open")


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    folder = tmp_path_factory.mktemp("planted")
    copy_tree(folder)
    return folder


@pytest.fixture(scope="module")
def garden(tmp_path_factory):
    return Garden(tmp_path_factory.mktemp("garden"))


def test_there_are_a_dozen_at_least():
    assert len(BUGS) >= 12


@pytest.mark.parametrize("name", BUGS)
def test_a_bug_can_be_planted_and_its_layer_exists(tree, name):
    bug = BUGS[name]
    assert bug.what
    assert bug.missing() == []
    assert apply(bug, tree, "--check") == ""


@pytest.mark.parametrize("name", FAST)
def test_a_bug_is_caught(garden, name):
    wrong, _ = garden.try_bug(BUGS[name])
    assert wrong == ""


def test_what_does_not_fit_or_survives_is_told(garden, tmp_path):
    """Neither passes for a bug that was caught."""
    patch = tmp_path / "harmless.patch"
    body = "--- a/heartbeat/core/history.py\n+++ b/heartbeat/core/history.py\n@@ -1,2 +1,2 @@\n"
    head = "Bug: none\nLayer: pytest tests/unit/test_history.py\n\n"
    first = '"""Our sent messages, kept for retransmission.\n'
    patch.write_text(f"{head}{body}-{first}+{first.replace('Our', 'The')} \n")
    assert garden.try_bug(Bug(patch))[0] == "SURVIVES"
    patch.write_text(f"{head}{body}-another line\n+a line\n \n")
    assert "does not apply" in garden.try_bug(Bug(patch))[0]
    patch.write_text(f"Bug: none\nLayer: pytest tests/unit/test_nothing.py\n\n{body}-{first}+{first} \n")
    assert "does not exist" in garden.try_bug(Bug(patch))[0]
