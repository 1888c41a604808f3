"""A node of ours beside one that runs Heartbeat 3.0.6: starts, deaths, returns, hand-overs, a cut cable, a stall."""

import pytest
from original import OriginalNode, text_of
from pair import CAESAR, JULIUS, SEED_GROUP, World, settings

from heartbeat.core import standby
from heartbeat.core.actions import REDIRECT
from heartbeat.core.events import Request
from heartbeat.core.settings import FAILBACK_OFF, FAILBACK_ON, SECOND, Group, Resource
from heartbeat.snapshot import freeze, thaw

UP = [resource.word for resource in SEED_GROUP.resources]
FIRST = Group("one", JULIUS, [Resource("one", "one")])
SECOND_GROUP = Group("two", CAESAR, [Resource("two", "two")])
TWO = (FIRST, SECOND_GROUP)
TIMES = {"keepalive_ns": SECOND, "deadtime_ns": 5 * SECOND, "warntime_ns": 3 * SECOND, "initdead_ns": 10 * SECOND}
BOTH_WAYS = {(JULIUS, CAESAR, "ttyS0"), (CAESAR, JULIUS, "ttyS0")}


class Mixed(World):
    """One node of ours and an original. ours, theirs: the nodes. double: words that were up on both at once."""

    def __init__(self, name, auto_failback=FAILBACK_OFF, groups=TWO) -> None:
        super().__init__()
        self.names = name, CAESAR if name == JULIUS else JULIUS
        self.options = {"auto_failback": auto_failback, "groups": groups, **TIMES}
        self.generation = 1000
        self.double: set[str] = set()

    def start_ours(self, **more):
        self.generation += 10
        return self.boot(self.names[0], generation=self.generation, **self.options, **more)

    def start_theirs(self):
        self.generation += 10
        return OriginalNode(self, self.names[1], self.generation, settings(self.names[1], **self.options))

    @property
    def ours(self):
        return self.nodes.get(self.names[0])

    @property
    def theirs(self):
        return self.nodes.get(self.names[1])

    def run(self, seconds):
        for _ in range(round(seconds * 100)):
            super().run(0.01)
            if self.ours and self.theirs:
                self.double |= set(self.ours.up) & set(self.theirs.up)

    def held(self) -> dict[str, str]:
        """resource → who has it."""
        return {word: node.name for node in self.nodes.values() if node.alive for word in node.up}

    def part(self, who, how):
        """One of them goes, by `power` or `stop`, and that has its consequences. Who is gone, and who stays."""
        gone, stays = (self.ours, self.theirs) if who == "ours" else (self.theirs, self.ours)
        if how == "power":
            self.kill(gone.name)
        elif who == "ours":
            gone.tell(Request(1, "stop"))
        else:
            gone.stop()
        self.run(1 if how == "stop" else 8)
        return gone, stays

    def come_back(self, gone):
        self.nodes.pop(gone.name, None)
        return self.start_ours() if gone.name == self.names[0] else self.start_theirs()

    def both(self):
        self.start_ours()
        self.start_theirs()
        self.run(30)
        return self


PREFERRED = {"one": JULIUS, "two": CAESAR}


@pytest.fixture(params=[JULIUS, CAESAR])
def name(request):
    return request.param


@pytest.fixture(params=[FAILBACK_OFF, FAILBACK_ON], ids=["off", "on"])
def mixed(request, name):
    return Mixed(name, request.param)


def test_both_start_and_each_has_its_own(mixed):
    mixed.both()
    assert mixed.held() == PREFERRED
    assert mixed.ours.view().stable
    assert mixed.theirs.their_stable
    assert mixed.theirs.theirs == {"local"}
    assert mixed.double == set()


def test_one_in_ten_of_its_messages_is_acknowledged(name):
    """It holds its clients up where 250 are not."""
    mixed = Mixed(name).both()
    mixed.run(200)
    sent = [message for message in mixed.ours.sent if message.type == "NS_ackmsg"]
    heard = mixed.ours.cluster._membership.peers[mixed.theirs.name].tracker.last
    assert len(sent) == pytest.approx(heard / 10, abs=1)


@pytest.mark.parametrize("first", ["ours", "theirs"])
def test_one_first_and_the_other_later(mixed, first):
    start = {"ours": mixed.start_ours, "theirs": mixed.start_theirs}
    early = start.pop(first)()
    mixed.run(40)
    assert mixed.held() == dict.fromkeys(PREFERRED, early.name)
    (later,) = start.values()
    later()
    mixed.run(40)
    expected = PREFERRED if mixed.options["auto_failback"] == FAILBACK_ON else dict.fromkeys(PREFERRED, early.name)
    assert mixed.held() == expected
    assert mixed.double == set()
    assert mixed.ours.view().stable
    assert mixed.theirs.their_stable
    assert mixed.theirs.healed == 0


@pytest.mark.parametrize("who", ["ours", "theirs"])
@pytest.mark.parametrize("how", ["power", "stop"])
def test_one_goes_and_returns(mixed, who, how):
    mixed.both()
    gone, stays = mixed.part(who, how)
    assert {word: node for word, node in mixed.held().items() if node == stays.name} == dict.fromkeys(
        PREFERRED, stays.name
    )
    mixed.run(20)
    mixed.come_back(gone)
    mixed.run(40)
    on = mixed.options["auto_failback"] == FAILBACK_ON
    assert mixed.held() == (PREFERRED if on else dict.fromkeys(PREFERRED, stays.name))
    assert mixed.double == set()
    assert mixed.ours.view().stable
    assert mixed.theirs.healed == 0


def test_a_spare_that_no_group_prefers_claims_nothing_that_the_original_has():
    """It would log an error that nobody can do anything about."""
    mixed = Mixed(CAESAR, groups=(FIRST,)).both()
    mixed.theirs.go_standby("all")
    mixed.run(10)
    assert mixed.held() == {"one": CAESAR}
    mixed.ask_later(mixed.ours, "standby", "all")
    mixed.run(10)
    assert mixed.held() == {"one": JULIUS}
    mixed.ours.tell(Request(1, "stop"))
    mixed.run(20)
    mixed.nodes.pop(CAESAR)
    mixed.start_ours()
    mixed.run(20)
    assert mixed.held() == {"one": JULIUS}
    assert [note for note in mixed.theirs.notes if "ERROR" in note] == []


@pytest.mark.parametrize("who", ["ours", "theirs"])
@pytest.mark.parametrize("kind", ["all", "local", "foreign"])
@pytest.mark.parametrize("verb", ["standby", "takeover"])
def test_hand_overs(mixed, who, kind, verb):
    mixed.both()
    node = mixed.ours if who == "ours" else mixed.theirs
    other = mixed.theirs if who == "ours" else mixed.ours
    if who == "ours":
        number = mixed.ask_later(node, verb, kind)
    elif verb == "standby":
        node.go_standby(kind)
    else:
        node.take_over(kind)
    mixed.run(20)
    own = next(word for word, each in PREFERRED.items() if each == node.name)
    foreign = next(word for word in PREFERRED if word != own)
    expected = dict(PREFERRED)
    if verb == "standby" and kind in ("all", "local"):
        expected[own] = other.name
    if verb == "takeover" and kind in ("all", "foreign"):
        expected[foreign] = node.name
    assert mixed.held() == expected
    assert mixed.double == set()
    if who == "ours":
        assert node.replies[number][0]
    assert mixed.ours.view().stable
    assert mixed.theirs.their_stable


@pytest.mark.parametrize("ways", ["both", "ours is deaf", "theirs is deaf"])
def test_a_cut_cable_makes_it_restart_nothing(mixed, ways):
    """It has found ours dead: ours is back in another generation, and has let go of what it took."""
    mixed.both()
    ours, theirs = mixed.names
    mixed.cut = {
        "both": BOTH_WAYS, "ours is deaf": {(theirs, ours, "ttyS0")}, "theirs is deaf": {(ours, theirs, "ttyS0")}
    }[ways]  # fmt: skip
    mixed.run(12)
    mixed.cut = set()
    doubly = set(mixed.ours.up) & set(mixed.theirs.up)
    mixed.double = set()
    mixed.run(2)
    mixed.double = set()
    mixed.run(40)
    assert mixed.theirs.healed == 0
    assert mixed.double == set()
    # it holds on and doesn't tell the neighbours, who are told by ours; nobody is told of what it never took
    assert {word for verb, word in mixed.ours.runs if verb == REDIRECT} >= doubly
    on = mixed.options["auto_failback"] == FAILBACK_ON
    if ways == "ours is deaf":
        assert set(mixed.held()) == set(PREFERRED)
    else:
        assert mixed.held() == (PREFERRED if on else dict.fromkeys(PREFERRED, theirs))
    assert mixed.ours.view().stable


@pytest.mark.parametrize("seconds", [4.6, 7, 30])
def test_ours_did_not_run_for_a_while(mixed, seconds):
    mixed.both()
    ours, theirs = mixed.names
    mixed.pause(ours)
    mixed.run(seconds)
    mixed.wake(ours)
    mixed.run(3)
    holding = {word for key in mixed.ours.holding for word in [key]}
    assert not holding & set(mixed.theirs.up)
    mixed.run(40)
    on = mixed.options["auto_failback"] == FAILBACK_ON
    brief = seconds < 5
    assert mixed.held() == (PREFERRED if on or brief else dict.fromkeys(PREFERRED, theirs))
    assert mixed.theirs.healed == 0
    assert mixed.ours.view().stable


@pytest.mark.parametrize("who", ["ours", "theirs"])
def test_one_restarts_at_once(mixed, who):
    mixed.both()
    gone = mixed.ours if who == "ours" else mixed.theirs
    mixed.kill(gone.name)
    mixed.run(1)
    if who == "ours":
        node = mixed.start_ours(adopted=list(gone.holding))
        node.up = list(gone.up)
    else:
        mixed.start_theirs()
    mixed.run(40)
    assert mixed.held() == PREFERRED
    assert mixed.double == set()
    assert mixed.ours.view().stable
    assert mixed.theirs.healed == 0


@pytest.mark.parametrize(("cn", "answered"), [("ipfail", True), ("x" * 31, True), ("x" * 32, False)])
def test_it_asks_for_a_client_of_ours(mixed, cn, answered):
    """Its `cl_status clientstatus` waits half a second for the answer; without one it says that there is none. Where
    ha.cf has ipfail: test_ipfail.py."""
    mixed.both()
    mixed.ours.sent.clear()
    mixed.theirs.send("query-cstatus", dest=mixed.ours.name, cn=cn, from_id="4711")
    mixed.run(0.1)
    said = [message for message in mixed.ours.sent if message.type == "respond-cstatus"]
    assert [[(name, value) for name, _, value in message.items()][:6] for message in said] == [
        [("t", b"respond-cstatus"), ("dest", mixed.theirs.name.encode()), ("result", b"OK"), ("cn", cn.encode()),
         ("to_id", b"4711"), ("cs", b"offline")]
    ] * answered  # fmt: skip


def test_a_snapshot_of_a_node_beside_an_original(mixed):
    mixed.both()
    cluster = mixed.ours.cluster
    assert freeze(thaw(freeze(cluster))) == freeze(thaw(freeze(thaw(freeze(cluster)))))


def test_a_greeting_that_comes_late_leaves_nobody_in_flux(mixed):
    """It was lost on a line, and the original has asked for it again."""
    mixed.both()
    mixed.theirs._on_starting(next(message for message in mixed.ours.sent if message.type == "starting"))
    assert not mixed.theirs.their_stable
    mixed.ours.sent.clear()
    mixed.run(5)
    assert mixed.theirs.their_stable
    # the original answers the first
    assert [message.type for message in mixed.ours.sent].count("resource") <= 2
    assert mixed.held() == PREFERRED


def test_a_report_that_comes_late_leaves_nobody_in_flux(mixed):
    mixed.both()
    mixed.ours.sent.clear()
    mixed.ours.cluster._original.report(info="standby")
    late = mixed.ours.outbox.take()[0].message
    mixed.theirs._on_resource(late)
    assert not mixed.theirs.their_stable
    mixed.theirs.send(
        "NS_rexmit", dest=mixed.ours.name, firstseq=str(late.sequence), lastseq=str(late.sequence),
    )  # fmt: skip
    mixed.run(2)
    assert mixed.theirs.their_stable


def test_a_status_that_is_sent_again_is_no_news(mixed):
    mixed.both()
    mixed.ours.sent.clear()
    number = next(m.sequence for m in mixed.ours.outbox.history._messages if m.type == "status")
    mixed.theirs.send("NS_rexmit", dest=mixed.ours.name, firstseq=str(number), lastseq=str(number))
    mixed.run(2)
    assert "resource" not in {m.type for m in mixed.ours.sent}


def test_a_hand_over_that_an_original_asks_for_and_does_not_begin_is_forgotten(mixed):
    """It was busy with itself, and dropped its own request."""
    mixed.both()
    mixed.theirs.send("ask_resources", rsc_hold="local", info="me")
    mixed.run(1)
    assert not mixed.ours.view().stable
    mixed.run(11)
    assert mixed.ours.view().stable
    assert mixed.held() == PREFERRED


def test_a_hand_over_that_an_original_has_begun_is_waited_for(mixed):
    """Its scripts take as long as they take."""
    mixed.both()
    mixed.theirs.send("ask_resources", rsc_hold="local", info="me")
    mixed.run(1)
    mixed.theirs.send("resource", rsc_hold="none", rtype="full", isstable="0", info="standby")
    mixed.run(60)
    assert not mixed.ours.view().stable
    assert mixed.ours.cluster._standby.state == standby.PROMISED


@pytest.mark.parametrize("kind", ["resource", "starting"])
def test_a_report_of_its_that_was_lost_and_comes_late_is_no_news(mixed, kind):
    """It said that it holds everything, has given up its share since, and said that, too."""
    mixed.both()
    generation, theirs = mixed.ours.outbox.generation, mixed.theirs
    number = theirs.sequence
    theirs.sequence += 1
    theirs.send("resource", rsc_hold=text_of(theirs.mine), rtype="full", isstable="1")
    mixed.run(1)
    newest, theirs.sequence = theirs.sequence, number
    fields = {"rsc_hold": "all", "rtype": "full", "isstable": "1"} if kind == "resource" else {}
    theirs.send(kind, **fields)
    theirs.sequence = newest
    mixed.run(2)
    assert mixed.held() == PREFERRED
    assert mixed.ours.outbox.generation == generation
    assert mixed.ours.view().stable


def test_what_it_may_have_reported_in_a_lost_message_is_not_nobodys(mixed):
    """It has taken a group over and said so, and that message does not come."""
    mixed.both()
    key = next(key for key, name in PREFERRED.items() if name == mixed.ours.name)
    mixed.drop = lambda sender, message, medium: (
        sender == mixed.theirs.name and message.type == "resource" and message.get("isstable") == "1"
    )
    mixed.ours.tell(Request(7, "standby", "all"))
    mixed.run(8)
    assert key in mixed.theirs.up
    assert mixed.double == set()
    assert key not in mixed.ours.up
    mixed.drop = None
    number = next(m.sequence for m in reversed(mixed.theirs.sent) if m.type == "resource")
    mixed.carry(mixed.theirs, next(m for m in mixed.theirs.sent if m.sequence == number))
    mixed.run(3)
    assert mixed.ours.view().stable
    assert mixed.ours.view().groups[0].holder == mixed.theirs.name
