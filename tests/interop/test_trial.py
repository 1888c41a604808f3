"""When a scenario is played again: only where an original has said that it lost a message to itself."""

from types import SimpleNamespace

import pytest
from interop.program import ORIGINAL, OURS
from interop.scenarios import SCENARIOS
from interop.setting import Setting
from interop.trial import ATTEMPTS, LOST_TO_ITSELF, Outcome, Trial

SETTING = Setting(OURS, ORIGINAL)
LOST = f"caesar heartbeat: [38]: ERROR: {LOST_TO_ITSELF[0]}"


class Played(Trial):
    """Trial whose tries are told: each the end it has, how long both had it, and what who logs meanwhile."""

    def __init__(self, *tries):
        self.logs = {"julius": "", "caesar": ""}
        nodes = {name: self.node(name, program) for name, program in (("julius", OURS), ("caesar", ORIGINAL))}
        super().__init__(SimpleNamespace(setting=SETTING, nodes=nodes))
        self.tries = iter(tries)
        self.played = 0

    def node(self, name, program):
        return SimpleNamespace(
            program=program, log_size=lambda: len(self.logs[name]), log=lambda size: self.logs[name][size:]
        )

    def _once(self, scenario):
        got, both_ms, node, text = next(self.tries)
        self.played += 1
        self.logs[node] += text
        yield Outcome(SETTING, scenario.name, "start", "jc", got=got, both_ms=both_ms)


def played(*tries):
    trial = Played(*tries)
    (made,) = trial.play(SCENARIOS[:1])
    return trial.played, made


def test_what_an_original_has_lost_to_itself_is_played_again_and_counted():
    times, made = played(("j-", 0.0, "caesar", LOST), ("jc", 0.0, "caesar", ""))
    assert (times, made.got, made.spoilt) == (2, "jc", 1)


def test_two_holders_in_a_repeated_try_are_not_forgotten():
    _, made = played(("++", 70.0, "caesar", LOST), ("jc", 4.0, "caesar", ""))
    assert made.both_ms == 70.0


@pytest.mark.parametrize(
    ("node", "text"),
    [("caesar", ""), ("caesar", "ERROR: No one owns our local resources!"), ("julius", LOST)],
)
def test_what_has_another_reason_is_not_played_again(node, text):
    times, made = played(("j-", 0.0, node, text), ("jc", 0.0, "caesar", ""))
    assert (times, made.got, made.spoilt) == (1, "j-", 0)


def test_what_ends_as_it_must_is_played_once_whatever_the_original_says():
    times, made = played(("jc", 0.0, "caesar", LOST), ("jc", 0.0, "caesar", ""))
    assert (times, made.spoilt) == (1, 0)


def test_it_ends_some_time():
    times, made = played(*[("j-", 0.0, "caesar", LOST)] * (ATTEMPTS + 1))
    assert (times, made.right) == (ATTEMPTS, False)
