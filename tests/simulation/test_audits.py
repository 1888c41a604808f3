"""Each audit can fail: a core that misbehaves in that one way is caught by it, and by no other."""

import pytest

from heartbeat.core.actions import STATUS
from heartbeat.core.settings import MILLISECOND, SECOND, Group, Settings
from heartbeat.sim.audit import AuditFailure
from heartbeat.sim.faults import BOTH, Fault
from heartbeat.sim.life import Life
from heartbeat.sim.medium import Quality
from heartbeat.sim.options import MediumOptions, Options, address, script
from heartbeat.sim.script import Script
from simulation import stub

GROUPS = (
    Group("IPaddr::10.0.0.1", "julius", [address(1), script(0)]),
    Group("IPaddr::10.0.0.2", "caesar", [address(2)]),
)


def options(**changes) -> Options:
    values = {
        "seed": 1, "media": (MediumOptions("eth0", 0, Quality(), delay_ns=MILLISECOND),),
        "keys": {1: ("crc", b"")}, "keepalive_ns": SECOND, "deadtime_ns": 5 * SECOND, "warntime_ns": 3 * SECOND,
        "initdead_ns": 10 * SECOND, "groups": GROUPS, "duration_ns": 300 * SECOND,
    }  # fmt: skip
    return Options(**values | changes)


def lived(core, faults=(), **changes):
    return Life(options(**changes), list(faults), core=core).run()


def test_a_core_that_behaves_passes():
    outcome = lived(stub.Stub)
    assert (outcome.rule, outcome.text) == ("", "")
    assert outcome.heartbeats > 600


@pytest.mark.parametrize(
    ("core", "rule", "text"),
    [
        (stub.Greedy, "two holders", "IPaddr::10.0.0."),
        (stub.Idle, "stable", "nobody answers for IPaddr::10.0.0.1"),
        (stub.Silent, "stable", "nobody answers for"),
        (stub.Restless, "convergence", "julius is not stable"),
        (stub.Hasty, "agents", "start of IPaddr::10.0.0.1 while its start is unfinished"),
        (stub.Impatient, "agents", "start of IPaddr::10.0.0.1 while its stop is unfinished"),
        (stub.Forgetful, "agents", "is started though it is up"),
        (stub.Growing, "limits", "cluster.kept holds"),
        (stub.Broken, "core", "our own bug"),
    ],
)
def test_a_misdeed_is_caught_by_its_audit(core, rule, text):
    outcome = lived(core)
    assert outcome.rule == rule
    assert text in outcome.text


@pytest.mark.parametrize(
    ("core", "verb", "rule"),
    [
        (stub.Chatty, "standby all", "replies"),
        (stub.Mute, "standby all", "convergence"),
        (stub.Careless, "stop", "release"),
    ],
)
def test_a_misdeed_towards_the_operator_is_caught(core, verb, rule):
    outcome = lived(core, [Fault("command", 50 * SECOND, what=verb)])
    assert outcome.rule == rule


def test_what_two_holders_may_last_after_a_partition():
    """All is as it should be while the nodes are apart; a second, two keepalives and three frames later it is not."""
    cut = Fault("cut all", 0, 110 * SECOND, BOTH)
    outcome = lived(stub.Greedy, [cut], boot_ns=(20 * SECOND, 20 * SECOND))
    assert outcome.rule == "two holders"
    assert outcome.simulated_ns > 110 * SECOND
    healed = 110 * SECOND + SECOND  # the first heartbeat behind the cut comes within a keepalive
    allowed = SECOND + 2 * SECOND + 3 * MILLISECOND
    assert healed - SECOND + allowed < outcome.simulated_ns <= healed + allowed + 2 * MILLISECOND


class LongLeases(Settings):
    def __init__(self, **named):
        super().__init__(**named)
        self.lease_ns *= 3


@pytest.mark.parametrize(
    ("pause", "further"),
    [
        (Fault("pause", 112 * SECOND, 2 * SECOND, 0), (2, 2)),  # the allowance waits for it
        (Fault("pause", 112 * SECOND, 100 * SECOND, 0), (5, 6)),  # but no longer than a death time
        (Fault("pause", 105 * SECOND, 100 * SECOND, 0), (0, 0)),  # its leases should have ended while they were apart
    ],
)
def test_a_pause_while_two_let_go_is_waited_for(monkeypatch, pause, further):
    monkeypatch.setattr("heartbeat.sim.options.Settings", LongLeases)
    cut = Fault("cut all", 0, 110 * SECOND, BOTH)
    outcome = lived(stub.Greedy, [cut, pause], boot_ns=(20 * SECOND, 20 * SECOND))
    assert outcome.rule == "two holders"
    healed = 111 * SECOND
    allowed = SECOND + 2 * SECOND + 3 * MILLISECOND
    least, most = (each * SECOND for each in further)
    assert least - SECOND <= outcome.simulated_ns - healed - allowed <= most + 10 * MILLISECOND


def test_one_medium_that_works_is_no_excuse():
    media = (*options().media, MediumOptions("eth1", 0, Quality(), delay_ns=MILLISECOND))
    cut = Fault("cut", 0, 200 * SECOND, BOTH, "eth0")
    outcome = lived(stub.Greedy, [cut], media=media, boot_ns=(20 * SECOND, 20 * SECOND))
    assert outcome.rule == "two holders"
    assert outcome.simulated_ns < 21 * SECOND


def test_a_medium_that_works_one_way_is_no_medium():
    outcome = lived(stub.Greedy, [Fault("cut", 0, 200 * SECOND, 0, "eth0")], boot_ns=(20 * SECOND, 20 * SECOND))
    assert outcome.simulated_ns > 200 * SECOND


@pytest.mark.parametrize(
    ("first", "last", "from_then_on"),
    [
        (1, 0, 0),  # nothing more is lost
        (1, 1, 0),  # one answer: the allowance has room for it
        (1, 2, 2),
        (1, 3, 3),
        (2, 4, 0),  # an answer came out before
    ],
)
def test_a_medium_that_loses_every_answer_has_not_healed(first, last, from_then_on):
    """Answers of one node are lost, from which on to which, by number; the allowance counts from the last of them."""
    cut = Fault("cut all", 0, 109 * SECOND + SECOND // 2, BOTH)
    healed = 110  # the first statuses of both come out
    lost = Fault("cut all", (healed + first) * SECOND - SECOND // 2, (last - first + 1) * SECOND, 0)
    outcome = lived(stub.Greedy, [cut, lost], boot_ns=(20 * SECOND, 20 * SECOND))
    assert outcome.rule == "two holders"
    allowed = SECOND + 2 * SECOND + 3 * MILLISECOND
    assert 0 < outcome.simulated_ns - (healed + from_then_on) * SECOND - allowed <= 2 * MILLISECOND


def test_what_another_medium_loses_is_no_excuse():
    media = (*options().media, MediumOptions("eth1", 0, Quality(), delay_ns=MILLISECOND))
    cut = Fault("cut all", 0, 109 * SECOND + SECOND // 2, BOTH)
    lost = Fault("cut", 110 * SECOND + SECOND // 2, 3 * SECOND, BOTH, "eth0")
    outcome = lived(stub.Greedy, [cut, lost], media=media, boot_ns=(20 * SECOND, 20 * SECOND))
    assert outcome.rule == "two holders"
    assert outcome.simulated_ns < 110 * SECOND + 3 * SECOND + 5 * MILLISECOND


def test_loss_alone_is_no_excuse():
    outcome = lived(stub.Greedy, [Fault("loss", 0, 200 * SECOND, BOTH, "eth0", value=0.5)])
    assert outcome.rule == "two holders"
    assert "apart never" in outcome.text
    assert outcome.simulated_ns < SECOND


@pytest.mark.parametrize("seed", [33, 38, 77])
def test_a_partition_heals_on_a_medium_that_loses_half(seed):
    """Nothing is wrong with a pair to which it takes longer; these are seeds with several losses in a row."""
    play = Script(
        media=("eth0",), keepalive_s=1, deadtime_s=5, warntime_s=3, initdead_s=10, seed=seed,
        groups={"julius": "IPaddr::10.0.0.1", "caesar": "IPaddr::10.0.0.2"},
    )  # fmt: skip
    play.boot()
    play.until_stable()
    play.run(5)
    play.cut()
    play.run(20)
    assert play.holders("IPaddr::10.0.0.1") == ["julius", "caesar"]
    play.heal()
    play.quality(Quality(loss=0.5))
    play.run(20)
    play.quality(None)
    play.until_stable(within_s=30)


@pytest.mark.parametrize("restarts", [False, True])
def test_a_medium_that_its_sender_has_lost_carries_nothing(restarts):
    """Both were right to serve where one node's interface was gone, also before its daemon started."""
    play = Script(media=("/dev/ttyS0", "eth1"))
    play.boot()
    play.until_stable()
    play.run(12)
    julius = play.node("julius")
    julius.lose_medium("eth1")
    if restarts:
        play.kill("julius", restart_s=1)
        play.until_stable()
        play.run(12)
    for lane in play.world.lanes["/dev/ttyS0"]:
        lane.block("flow")
    play.run(60)
    assert play.holders("IPaddr::10.0.0.254") == ["julius", "caesar"]
    assert all(lane.last_silent(play.world.now) == play.world.now for lane in play.world.lanes["eth1"])


@pytest.mark.parametrize(("medium", "busy"), [("/dev/ttyS0", False), ("/dev/ttyS0", True), ("eth0", False)])
def test_who_was_killed_was_not_apart(monkeypatch, medium, busy):
    """Leases that are too long are found on every medium, also where the kill came in the middle of a status."""
    monkeypatch.setattr("heartbeat.sim.options.Settings", LongLeases)
    play = Script(media=(medium,))
    play.boot()
    play.until_stable()
    play.run(12)
    play.until(lambda: play.world.lanes[medium][0].busy == busy, "a status on the line", 6)
    play.kill("julius")
    with pytest.raises(AuditFailure, match=r"two holders.* apart never"):
        play.run(60)


@pytest.mark.parametrize("quality", [Quality(reorder=1.0), Quality(duplicate=1.0)])
def test_one_that_comes_late_was_sent_when_it_was_sent(quality):
    """Another medium may have carried it in time, and its receiver counts from then."""
    play = Script(media=("eth0",), keepalive_s=10)
    play.boot("julius")
    play.run(1)
    lane = play.world.lanes["eth0"][0]
    play.quality(quality, "eth0")
    sent_at = play.world.now
    lane.send(b"x" * 100, STATUS, sent_at)
    heard = []
    lane.receiver.hear = lambda lane, octets: heard.append(play.world.now)
    play.run(5)
    assert heard
    assert max(heard) > sent_at
    assert lane.last_intact == sent_at


@pytest.mark.parametrize("fate", ["kill", "power_off"])
def test_what_is_on_the_line_leaves_it_when_its_sender_is_killed(fate):
    """A port's queue outlives the process, but not the machine."""
    play = Script()
    heard = []
    lane = play.world.lanes["/dev/ttyS0"][0]
    play.boot("julius")
    lane.unblock("absent")
    play.run(1)
    lane.receiver.hear = lambda lane, octets: heard.append(octets)
    for letter in (b"a", b"b"):
        lane.send(letter * 100, STATUS, play.world.now)
        play.run(0.01)
    getattr(play, fate)("julius")
    play.run(1)
    assert [len(octets) == 100 for octets in heard] == [fate == "kill"]
    # a status that had been taken was a sign of life for its sender's lease
    assert (lane.lost_since is not None) == (fate == "kill")


def test_a_gap_begins_when_the_lease_has_run_out():
    """Also where the daemon finds that when it beats: no medium has taken its statuses."""
    play = Script(media=("eth0",))
    play.boot()
    play.until_stable()
    play.run(12)
    beaten = play.node("julius").machine.sign.at
    lease = play.node("julius").machine.leases.length_ns
    play.node("julius").lose_medium("eth0")
    play.until(lambda: play.holders("IPaddr::10.0.0.254") == ["caesar"], "the take-over", 20)
    assert any(what == "lease lapsed" for _, _, what in play.world.transcript)
    gaps = play.world.audit.gaps
    assert [(gap.holder, gap.taker, gap.released) for gap in gaps] == [("julius", "caesar", False)] * 2
    assert {gap.began for gap in gaps} == {beaten + lease}
    assert all(gap.ended < play.world.now for gap in gaps)


def test_a_lease_that_is_revived_leaves_a_gap():
    """A node that is alone goes on with what it held when it has not run for longer than its lease."""
    play = Script(media=("eth0",))
    play.boot()
    play.until_stable()
    play.power_off("caesar")
    play.run(40)
    assert not play.world.audit.gaps
    ended = play.node("julius").machine.sign.at + play.node("julius").machine.leases.length_ns
    play.stall("julius", 25)
    play.until(lambda: play.holders("IPaddr::10.0.0.254") == ["julius"], "the end of its doubt", 20)
    assert {(gap.holder, gap.taker, gap.began) for gap in play.world.audit.gaps} == {("julius", "julius", ended)}


def test_octets_come_no_faster_than_the_line():
    play = Script()
    play.boot()
    play.until_stable()
    lane = play.world.lanes["/dev/ttyS0"][0]
    lane.octet_ns //= 2
    lane.send(b"x" * 100, STATUS, play.world.now)
    lane.octet_ns *= 2
    with pytest.raises(AuditFailure, match="rate: /dev/ttyS0"):
        play.run(5)


def test_a_frame_needs_its_time():
    """The lane itself: ten bits an octet, one frame after the other."""
    play = Script()
    heard = []
    lane = play.world.lanes["/dev/ttyS0"][0]
    lane.unblock("absent")
    lane.receiver.hear = lambda lane, octets: heard.append((play.world.now, octets))
    for frame in (b"a" * 100, b"b" * 50):
        lane.send(frame, STATUS, 0)
    play.world.run(SECOND)
    # 19200 baud: 520.8 microseconds an octet
    assert [octets for _, octets in heard] == [b"a" * 100, b"b" * 50]
    assert [round(instant / 100_000) for instant, _ in heard] == [521, 781]
