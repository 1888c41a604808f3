"""Every scene still gives the transcript that is kept of it, in any process; and there is one for all that must be."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from scenarios import golden
from scenarios.plays import SCENES
from scenarios.scene import Play, Scene

from heartbeat.sim.audit import AuditFailure

ROOT = Path(__file__).parents[2]
SCENES_LEAST = 40
TEXTS = "\n".join(scene.text for scene in SCENES.values())


@pytest.mark.parametrize("name", SCENES)
def test_it_goes_as_it_went(name):
    found = golden.difference(name, SCENES[name].play())
    assert not found, f"\n{found}\nif that is as it should be: {golden.COMMAND} {name}"


def test_a_transcript_for_each_scene_and_a_scene_for_each_transcript():
    assert {path.stem for path in golden.HERE.glob("*.txt")} == set(SCENES)
    assert len(SCENES) >= SCENES_LEAST


def test_every_scene_says_what_it_is_about():
    assert [name for name, scene in SCENES.items() if len(scene.text.split()) < 10] == []


def test_every_scenario_of_the_original_is_a_scene():
    """The numbered ones of docs/protocol/behaviour.md §7."""
    page = (ROOT / "docs/protocol/behaviour.md").read_text(encoding="utf-8")
    rows = re.findall(r"^(\d+)\. ", re.search(r"^## 7\. .*?(?=^## )", page, re.DOTALL | re.MULTILINE)[0], re.MULTILINE)
    assert len(rows) >= 8
    assert set(rows) == set(re.findall(r"behaviour\.md §7 rows? (\d+)", TEXTS))


def test_every_decision_is_a_scene():
    pages = {path.stem for path in (ROOT / "docs/decisions").glob("*.md")} - {"README"}
    assert len(pages) >= 6
    assert set(re.findall(r"decisions/([a-z-]+)", TEXTS)) == pages


PROGRAM = """
import json
from scenarios.plays import SCENES
print(json.dumps({name: scene.play() for name, scene in SCENES.items()}))
"""


def test_it_goes_alike_again_and_in_another_process():
    """Also where that orders its sets of text in another way."""
    here = {name: scene.play() for name, scene in SCENES.items()}
    for hash_seed in ("1", "2"):
        environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'tests'}:{ROOT}", "PYTHONHASHSEED": hash_seed}
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True, timeout=300, check=True
        )
        assert json.loads(done.stdout) == here


def boots(play: Play) -> None:
    """A pair boots, and that is all that happens in it."""
    play.boot()
    play.until_stable()


def boots_and_expects_too_much(play: Play) -> None:
    """A pair boots, and the wrong node must serve."""
    boots(play)
    play.served_by("caesar", play.options.groups[0].key)


def is_found_out(play: Play) -> None:
    """A pair boots, and the audit finds fault with it."""
    boots(play)
    play.world.audit.fail("rule", "broken")


def test_a_rewrite_writes_what_came_of_it_and_nothing_of_a_scene_that_fails(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(golden, "HERE", tmp_path)
    scenes = [Scene(function, {}) for function in (boots, boots_and_expects_too_much, is_found_out)]
    monkeypatch.setattr(golden, "SCENES", {scene.name: scene for scene in scenes})
    assert golden.main([]) == 1
    assert list(tmp_path.iterdir()) == []
    assert golden.main(["--rewrite"]) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["Boots.txt"]
    assert golden.main(["Boots"]) == 0
    (tmp_path / "Boots.txt").write_text((tmp_path / "Boots.txt").read_text().replace("settled", "unsettled"))
    capsys.readouterr()
    assert golden.main(["Boots"]) == 1
    assert re.search(r"^-.*unsettled.*\n(.*\n)*\+.* settled", capsys.readouterr().out, re.MULTILINE)
    assert golden.main(["Nonsense"]) == 2


def test_the_audits_run_in_a_scene():
    with pytest.raises(AuditFailure):
        Scene(is_found_out, {}).play()
