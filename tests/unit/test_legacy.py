"""A node of ours beside one that runs Heartbeat 3.0.6, both with `auto_failback legacy`: each takes its own groups
back, and none is taken from a living one that has not released it."""

import pytest
from exhaustive.events import Speaker
from original import OriginalNode
from original_legacy import LegacyNode
from pair import CAESAR, JULIUS, settings
from test_original import BOTH_WAYS, PREFERRED, Mixed

from heartbeat.core.events import Reload, Request
from heartbeat.core.settings import FAILBACK_LEGACY, FAILBACK_OFF, MILLISECOND, SECOND


class Legacy(Mixed):
    def __init__(self, name) -> None:
        super().__init__(name, FAILBACK_LEGACY)

    def start_theirs(self, **up):
        self.generation += 10
        node = LegacyNode(self, self.names[1], self.generation, settings(self.names[1], **self.options))
        node.up = list(up.get("up", ()))
        return node

    def own(self, node) -> str:
        return next(key for key, name in PREFERRED.items() if name == node.name)

    def foreign(self, node) -> str:
        return next(key for key, name in PREFERRED.items() if name != node.name)

    def say(self, kind, **fields) -> None:
        """The original, at once, and as it numbers."""
        theirs = self.theirs
        theirs.sequence += 1
        speaker = Speaker(self.ours.cluster, self.ours.name, "ttyS0")
        fields = {"seq": f"{theirs.sequence:x}", "hg": f"{theirs.generation:x}", **fields}
        self.ours.tell(speaker.message(kind, **fields))


@pytest.fixture(params=[JULIUS, CAESAR])
def legacy(request):
    return Legacy(request.param)


def at_home(pair) -> None:
    assert pair.held() == PREFERRED
    assert pair.ours.up == [pair.own(pair.ours)]
    assert pair.ours.view().stable
    assert pair.theirs.healed == 0


def test_both_start_and_each_has_its_own(legacy):
    legacy.both()
    at_home(legacy)
    assert legacy.double == set()
    kinds = [message.type for message in legacy.ours.sent]
    assert kinds.count("ip-request") == 1
    assert legacy.ours.sent[kinds.index("ip-request") - 1].get("st") == "active"
    assert "starting" not in {message.type for message in legacy.ours.sent}


@pytest.mark.parametrize("first", ["ours", "theirs"])
def test_one_first_and_the_other_later(legacy, first):
    start = {"ours": legacy.start_ours, "theirs": legacy.start_theirs}
    early = start.pop(first)()
    legacy.run(40)
    assert legacy.held() == dict.fromkeys(PREFERRED, early.name)
    (later,) = start.values()
    later()
    legacy.run(10)
    at_home(legacy)
    assert legacy.double == set()


@pytest.mark.parametrize("who", ["ours", "theirs"])
@pytest.mark.parametrize("how", ["power", "stop"])
def test_one_goes_and_returns(legacy, who, how):
    legacy.both()
    gone, stays = legacy.part(who, how)
    assert legacy.held() == dict.fromkeys(PREFERRED, stays.name)
    legacy.run(20)
    legacy.come_back(gone)
    legacy.run(10)
    at_home(legacy)
    assert legacy.double == set()
    # who stays goes on with its own
    assert who == "ours" or ("stop", legacy.own(stays)) not in stays.runs


def test_its_own_group_goes_back_when_it_asks_and_only_when_it_is_down(legacy):
    legacy.start_ours()
    legacy.run(20)
    wanted = legacy.foreign(legacy.ours)
    legacy.ours.slow_ns[wanted] = 3 * SECOND
    legacy.start_theirs()
    legacy.run(2)
    assert legacy.ours.holding == (legacy.own(legacy.ours),)  # silent from the moment that it was asked for
    assert legacy.theirs.up == []
    legacy.run(4)
    at_home(legacy)
    assert legacy.double == set()


def test_a_group_that_it_releases_slowly_is_waited_for(legacy):
    """The question is asked again, and an answer too many is none."""
    theirs = legacy.start_theirs()
    legacy.run(20)
    theirs.release_ns = 15 * SECOND
    legacy.start_ours()
    legacy.run(14)
    assert legacy.held() == dict.fromkeys(PREFERRED, theirs.name)
    assert not legacy.ours.view().stable
    legacy.run(20)
    at_home(legacy)
    assert legacy.double == set()


def test_a_question_that_was_lost_is_asked_again(legacy):
    legacy.drop = lambda sender, message, medium: (sender, message.type) == (legacy.ours.name, "ip-request")
    legacy.both()
    assert legacy.ours.up == []
    legacy.drop = None
    legacy.run(11)
    at_home(legacy)


def test_what_it_has_not_asked_for_it_gets(legacy):
    """Its daemon was killed: what is up there it keeps, and does not ask for."""
    legacy.both()
    own = legacy.own(legacy.theirs)
    legacy.kill(legacy.theirs.name)
    legacy.run(10)
    assert own in legacy.ours.up
    legacy.start_theirs(up=[own])
    legacy.run(6)
    at_home(legacy)


def test_what_it_has_released_it_is_not_given_before_its_scripts_have_asked(legacy):
    """On a busy machine they have been seen to take 25 s."""
    legacy.both()
    own = legacy.own(legacy.theirs)
    legacy.theirs.stop()
    legacy.run(10)
    assert own in legacy.ours.up
    legacy.drop = lambda sender, message, medium: message.type == "ip-request"
    legacy.start_theirs()
    legacy.run(25)
    assert own in legacy.ours.up
    legacy.drop = None
    legacy.say("ip-request", ipaddr=own)
    legacy.run(3)
    at_home(legacy)


def test_what_it_has_released_and_never_asks_for_it_is_given_at_last(legacy):
    legacy.both()
    own = legacy.own(legacy.theirs)
    legacy.theirs.stop()
    legacy.run(10)
    legacy.drop = lambda sender, message, medium: message.type == "ip-request"
    legacy.start_theirs()
    legacy.run(25)
    assert own in legacy.ours.up
    legacy.run(15)
    at_home(legacy)


def test_a_group_that_it_has_lost_on_its_way_up_it_starts(legacy):
    """What its scripts tell its daemon is lost at times (gaps: lost acquisition)."""
    theirs = legacy.start_theirs()
    legacy.run(20)
    theirs.up.remove(legacy.own(theirs))
    legacy.start_ours()
    legacy.run(6)
    at_home(legacy)
    answers = [message for message in legacy.ours.sent if message.type == "ip-request-resp"]
    legacy.run(30)
    assert answers == [message for message in legacy.ours.sent if message.type == "ip-request-resp"]


def test_what_a_killed_daemon_has_left_up_of_this_node_s_is_asked_for(legacy):
    legacy.start_ours()
    legacy.run(20)
    legacy.start_theirs(up=PREFERRED)
    legacy.run(6)
    at_home(legacy)
    assert legacy.theirs.up == [legacy.own(legacy.theirs)]


@pytest.mark.parametrize("verb", ["standby", "takeover"])
def test_planned_moves_are_refused(legacy, verb):
    legacy.both()
    for kind in ("all", "local", "foreign"):
        ok, text = legacy.ask(legacy.ours, verb, kind)
        assert ok == text.startswith("nothing to move")
        assert ok or "auto_failback legacy" in text
    legacy.theirs.go_standby("all")
    legacy.theirs.take_over("all")
    legacy.run(5)
    at_home(legacy)


@pytest.mark.parametrize("ways", ["both", "ours is deaf", "theirs is deaf"])
def test_a_cut_cable_makes_it_restart_nothing(legacy, ways):
    legacy.both()
    ours, theirs = legacy.names
    legacy.cut = {
        "both": BOTH_WAYS, "ours is deaf": {(theirs, ours, "ttyS0")}, "theirs is deaf": {(ours, theirs, "ttyS0")}
    }[ways]  # fmt: skip
    legacy.run(12)
    if ways == "theirs is deaf":  # ours hears that it was found dead, and lets go
        assert legacy.held() == dict.fromkeys(PREFERRED, theirs)
        assert not set(legacy.ours.up)
    legacy.cut = set()
    legacy.double = set()
    legacy.run(1.5)
    legacy.double = set()
    legacy.run(20)
    at_home(legacy)
    assert legacy.double == set()


def test_two_that_booted_without_hearing_each_other(legacy):
    legacy.cut = BOTH_WAYS
    legacy.start_ours()
    legacy.start_theirs()
    legacy.run(20)
    assert set(legacy.ours.up) == set(legacy.theirs.up) == set(PREFERRED)
    legacy.cut = set()
    legacy.run(10)
    at_home(legacy)
    # it is told once of what this node had of its own
    assert [message.type for message in legacy.ours.sent].count("ip-request-resp") == 1


@pytest.mark.parametrize("seconds", [4.6, 7, 30])
def test_ours_did_not_run_for_a_while(legacy, seconds):
    legacy.both()
    legacy.pause(legacy.ours.name)
    legacy.run(seconds)
    legacy.wake(legacy.ours.name)
    for _ in range(10):
        legacy.run(0.1)
        assert not set(legacy.ours.holding) & set(legacy.theirs.up)
    assert legacy.ours.holding == (legacy.own(legacy.ours),)
    legacy.run(20)
    at_home(legacy)


def test_ours_stalls_while_it_has_all(legacy):
    """The original was only away: what it did not ask for it is told of."""
    legacy.start_ours()
    legacy.run(20)
    legacy.start_theirs()
    legacy.drop = lambda sender, message, medium: message.type == "ip-request"
    legacy.run(1.5)
    assert legacy.theirs.status == "active"
    legacy.drop = None
    legacy.pause(legacy.ours.name)
    legacy.run(4.7)
    legacy.wake(legacy.ours.name)
    legacy.run(20)
    at_home(legacy)
    assert [message.type for message in legacy.ours.sent].count("ip-request-resp") == 1


@pytest.mark.parametrize("who", ["ours", "theirs"])
def test_one_restarts_at_once(legacy, who):
    legacy.both()
    gone = legacy.ours if who == "ours" else legacy.theirs
    legacy.kill(gone.name)
    legacy.run(1)
    if who == "ours":
        node = legacy.start_ours(adopted=list(gone.holding))
        node.up = list(gone.up)
        legacy.run(0.5)
        assert node.holding == gone.holding
    else:
        legacy.start_theirs(up=gone.up)
    legacy.run(20)
    at_home(legacy)
    assert legacy.double == set()


def test_what_it_takes_unasked_is_its_own(legacy):
    """It has seen this node start, too, and not seen that an earlier run of it has left something up."""
    legacy.generation += 10
    own = legacy.foreign(legacy.boot(legacy.names[0], generation=1, **legacy.options))
    legacy.nodes.clear()
    legacy.start_theirs()
    legacy.run(1.5)
    ours = legacy.start_ours(adopted=[own])
    ours.up = [own]
    assert ours.holding == (own,)
    legacy.say("status", st="active", dt="1388")
    legacy.say("ip-request-resp", dest=legacy.theirs.name, ipaddr=own, weown="yes", ok="OK")
    assert ours.holding == ()
    assert ours.up == []


def answer(pair, **changes) -> None:
    key = pair.own(pair.ours)
    pair.say("ip-request-resp", **{"dest": pair.ours.name, "ipaddr": key, "weown": "yes", "ok": "OK", **changes})


@pytest.mark.parametrize(
    "changes", [{"ok": "no"}, {"ok": None}, {"dest": "brutus"}, {"ipaddr": "../one"}, {"ipaddr": "o.e"}], ids=str
)
def test_only_a_good_answer_to_this_node_counts(legacy, changes):
    legacy.drop = lambda sender, message, medium: message.type == "ip-request"
    legacy.start_theirs()
    legacy.run(15)
    legacy.start_ours()
    legacy.run(4)
    assert legacy.ours.cluster._original.legacy.state_name == "asking"
    answer(legacy, **changes)
    assert legacy.ours.claims() == []
    answer(legacy)
    assert legacy.ours.claims() == [legacy.own(legacy.ours)]


def test_an_answer_that_nobody_waits_for_is_none(legacy):
    """What came sooner than it can was sent before this node asked."""
    legacy.both()
    ours = legacy.ours
    legacy.drop = lambda sender, message, medium: message.type in ("ip-request", "ip-request-resp")
    legacy.say("stonith", node=ours.name, result="n_stnth")
    assert ours.claims() == []
    answer(legacy)
    assert ours.claims() == []
    legacy.now += 20 * MILLISECOND
    answer(legacy)
    assert ours.claims() == [legacy.own(ours)]


@pytest.mark.parametrize("key", ["", "on.", "One", "one two", "../../one", "x" * 500, "one\n"])
def test_only_a_group_of_this_node_s_files_is_given(legacy, key):
    legacy.both()
    before = len(legacy.ours.sent)
    legacy.say("ip-request", ipaddr=key)
    assert legacy.ours.claims() == [legacy.own(legacy.ours)]
    assert "ip-request-resp" not in {message.type for message in legacy.ours.sent[before:]}
    assert "is no group of this node's haresources" in legacy.ours.notes[-1]
    notes = len(legacy.ours.notes)
    legacy.say("ip-request", ipaddr=key + "x")
    assert len(legacy.ours.notes) == notes  # once


def test_its_request_comes_before_this_node_is_active(legacy):
    legacy.start_theirs()
    legacy.run(0.2)
    legacy.start_ours()
    legacy.say("status", st="up", dt="1388")
    wanted = legacy.foreign(legacy.ours)
    legacy.say("ip-request", ipaddr=wanted)
    sent = [message for message in legacy.ours.sent if message.type == "ip-request-resp"]
    assert [(message.get("dest"), message.get("weown")) for message in sent] == [(legacy.theirs.name, "no")]


@pytest.mark.parametrize("ours_is_legacy", [True, False])
def test_files_that_differ_are_told_of(name_of_ours, ours_is_legacy):
    pair = Legacy(name_of_ours)
    if ours_is_legacy:
        pair.start_ours()
        options = {**pair.options, "auto_failback": FAILBACK_OFF}
        OriginalNode(pair, pair.names[1], 2000, settings(pair.names[1], **options))
    else:
        pair.start_ours()
        pair.ours.tell(Reload(settings(pair.names[0], **{**pair.options, "auto_failback": FAILBACK_OFF})))
        pair.start_theirs()
    pair.run(30)
    assert any("make the files the same" in note for note in pair.ours.notes)


@pytest.fixture(params=[JULIUS, CAESAR])
def name_of_ours(request):
    return request.param


def test_leaving_gives_each_group_as_soon_as_it_is_down(legacy):
    legacy.start_ours()
    legacy.run(20)
    wanted = legacy.foreign(legacy.ours)
    legacy.ours.slow_ns[wanted] = 3 * SECOND
    legacy.ours.hanging = {("stop", legacy.own(legacy.ours))}
    legacy.start_theirs()
    legacy.run(1.6)
    assert wanted not in legacy.ours.holding
    assert wanted not in legacy.theirs.up
    legacy.ours.tell(Request(1, "stop"))
    legacy.run(3)
    assert legacy.held() == {wanted: legacy.theirs.name, legacy.own(legacy.ours): legacy.ours.name}
    assert legacy.double == set()
