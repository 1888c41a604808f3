# ruff: noqa: F811  (fixtures are imported, and arguments have their names)
"""The seed's own files on two machines and one null-modem cable: what the operator was promised, line by line."""

import re
import time

import pytest
from system.play import (
    DIVISOR,
    HAND_OVER_S,
    MILLISECOND,
    PATIENCE_S,
    SECOND,
    SITE,
    STALL_S,
    instant,
    mailed,
    now_ns,
    pair,  # noqa: F401
    play,  # noqa: F401
    seconds,
    seed,
    settled,  # noqa: F401
    sleep_until,
    stopped,
    until,
)


def test_both_boot_and_julius_holds_both_addresses(pair):
    start_ns = pair.boot()
    pair.settled(holder=pair.julius)
    # nobody else ever had one, and none came twice
    assert [(change.machine, change.added) for change in pair.moves(start_ns)] == [("julius", True)] * 2
    last_ns = pair.moves(start_ns)[-1].at_ns
    assert last_ns < instant(start_ns, seconds(seed.INITDEAD_S) + STALL_S + 2), "two of ours need not wait for initdead"
    mailed(pair.julius, "acquired", start_ns)
    assert pair.caesar.mails() == []
    time.sleep(seconds(2 * seed.DEADTIME_S))
    assert pair.holder() == "julius"


def test_power_failure_of_the_holder(settled):
    pair = settled
    time.sleep(seconds(seed.KEEPALIVE_S))
    failure_ns = pair.world.power_off(pair.julius)
    pair.held_by(pair.caesar, within_s=2 * seed.DEADTIME_S)
    held_ns = max(pair.world.observer.first(failure_ns, "caesar", address, added=True) for address in SITE.addresses)
    # the last heartbeat may be as old as a keepalive
    least_s, most_s = seconds(seed.DEADTIME_S - seed.KEEPALIVE_S), seconds(seed.DEADTIME_S + 1)
    outage_s = (held_ns - failure_ns) / SECOND
    print(f"caesar holds both {outage_s:.3f} s after the failure")
    assert least_s - STALL_S / 10 <= outage_s <= most_s + STALL_S
    for answer_ns in pair.answered(pair.caesar, failure_ns):
        assert (answer_ns - held_ns) / SECOND < seconds(1) + STALL_S
    mailed(pair.caesar, "acquired", failure_ns)
    time.sleep(seconds(2 * seed.DEADTIME_S))
    assert [change.machine for change in pair.moves(failure_ns) if change.added] == ["caesar"] * 2


def test_a_returned_node_moves_nothing(settled):
    """And holds itself ready: when the other fails it takes over in its turn."""
    pair = settled
    failure_ns = pair.world.power_off(pair.julius)
    pair.held_by(pair.caesar, within_s=2 * seed.DEADTIME_S)
    pair.answered(pair.caesar, failure_ns)
    return_ns = now_ns()
    pair.boot(pair.julius)
    until(lambda: is_settled(pair.julius), seconds(seed.INITDEAD_S) + PATIENCE_S, "julius has settled")
    time.sleep(seconds(2 * seed.DEADTIME_S))
    pair.nothing_moved(return_ns)
    assert pair.julius.mails(return_ns) == []

    failure_ns = pair.world.power_off(pair.caesar)
    pair.held_by(pair.julius, within_s=2 * seed.DEADTIME_S)
    pair.answered(pair.julius, failure_ns)
    mailed(pair.julius, "acquired", failure_ns)


def is_settled(node):
    status = node.status()
    return status and status["stable"] and status["holds"] == "none"


def test_standby_and_takeover_whichever_node_holds(settled):
    """`hb_standby` on the holder and `hb_takeover` on the other move the group; the other two change nothing."""
    pair = settled
    holder, other = pair.julius, pair.caesar
    # each of the two commands, from each of the two holders
    for move in ("hb_standby", "hb_standby", "hb_takeover", "hb_takeover"):
        before_ns = now_ns()
        for node, command in ((other, "hb_standby"), (holder, "hb_takeover")):
            said(node.command(command))
        pair.nothing_moved(before_ns)

        start_ns = now_ns()
        said((holder if move == "hb_standby" else other).command(move))
        assert pair.holder() == other.name, "the command comes back when it is done"
        released_ns, moved_ns = pair.moved(start_ns, holder, other, both_s=HAND_OVER_S)
        print(f"{move}: from {holder.name} to {other.name} in {(moved_ns - released_ns) / MILLISECOND:.1f} ms")
        pair.answered(other, start_ns)
        mailed(holder, "released", start_ns)
        mailed(other, "acquired", start_ns)
        holder, other = other, holder
        assert pair.caesar.status()["stable"]
        assert pair.julius.status()["stable"]


def said(done):
    """The original's commands print nothing when all is well."""
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_next_command_is_accepted_two_seconds_after_a_move(settled):
    pair = settled
    holder, other = pair.nodes
    for _ in range(4):
        start_ns = now_ns()
        said(holder.command("hb_standby"))
        _, moved_ns = pair.moved(start_ns, holder, other, both_s=HAND_OVER_S)
        sleep_until(instant(moved_ns, seconds(2)))
        holder, other = other, holder


@pytest.mark.parametrize("way", ["command", "signal"])
def test_a_clean_stop_hands_over_at_once(settled, way):
    pair = settled
    stop_ns = now_ns()
    if way == "command":
        done = pair.julius.command("heartbeat", "stop")
        assert (done.returncode, done.stderr) == (0, "")
        assert pair.julius.daemon.wait(1) == 0, "the command comes back when the daemon is gone"
    else:
        assert pair.julius.stop_daemon() == 0
    gone_ns = now_ns()
    pair.held_by(pair.caesar)
    released_ns, acquired_ns = pair.moved(stop_ns, pair.julius, pair.caesar, both_s=HAND_OVER_S)
    handover_s = (acquired_ns - released_ns) / SECOND
    print(f"handed over in {handover_s * 1000:.1f} ms; stopped in {(gone_ns - stop_ns) / SECOND:.3f} s")
    # a death timer takes longer than that, counted from the last heartbeat before it
    assert handover_s < seconds(seed.DEADTIME_S - seed.KEEPALIVE_S)
    assert "node julius is dead" not in pair.caesar.log()
    for prober in pair.answered(pair.caesar, stop_ns):
        assert (prober - acquired_ns) / SECOND < seconds(1) + STALL_S
    mailed(pair.julius, "released", stop_ns)
    mailed(pair.caesar, "acquired", stop_ns)

    time.sleep(seconds(2 * seed.DEADTIME_S))
    back_ns = now_ns()
    pair.start(pair.julius)
    until(lambda: is_settled(pair.julius), seconds(seed.INITDEAD_S) + PATIENCE_S, "julius has settled")
    time.sleep(seconds(2 * seed.DEADTIME_S))
    pair.nothing_moved(back_ns)
    assert "an earlier run left" not in pair.julius.log(), "a clean stop leaves nothing"


def test_a_clean_stop_of_the_other_node_moves_nothing(settled):
    pair = settled
    stop_ns = now_ns()
    assert pair.caesar.stop_daemon() == 0
    time.sleep(seconds(2 * seed.DEADTIME_S))
    pair.nothing_moved(stop_ns)
    assert "node caesar is dead" not in pair.julius.log()
    assert pair.julius.mails(stop_ns) == pair.caesar.mails(stop_ns) == []


@pytest.mark.parametrize("name", ["julius", "caesar"])
def test_one_node_alone_takes_the_resources_after_initdead(pair, name):
    node = pair.world.nodes[name]
    start_ns = pair.boot(node)
    pair.held_by(node, within_s=2 * seed.INITDEAD_S)
    took_s = [(change.at_ns - start_ns) / SECOND for change in pair.moves(start_ns)]
    print(f"alone, {name} holds both after {took_s[-1]:.3f} s")
    assert took_s[0] >= seconds(seed.INITDEAD_S), "not before"
    assert took_s[-1] <= seconds(seed.INITDEAD_S) + 2 + STALL_S, "Python's start comes on top, and no more"
    mailed(node, "acquired", start_ns)
    pair.probe()
    pair.answered(node, start_ns)


@pytest.mark.parametrize("name", ["julius", "caesar"])
def test_a_heartbeat_later_than_warntime_is_logged_with_its_interval(play, name):
    """The sender is stopped for 11 s, just after it has sent one: later than warntime, sooner than deadtime."""
    # between the two lie 5 s; divided by more than 20 they would be as short as a busy machine's stalls
    divisor = min(DIVISOR, 20)
    with play(divisor=divisor) as pair:
        pair.boot()
        pair.settled(holder=pair.julius)
        pair.probe()
        pair.answered(pair.julius, 0)
        sender, hearer = pair.world.nodes[name], pair.peer(pair.world.nodes[name])
        time.sleep(2 * seed.KEEPALIVE_S / divisor)
        assert "late heartbeat" not in hearer.log()
        before_ns = now_ns()
        wait_for_a_heartbeat(pair, sender)
        stopped_ns = now_ns()
        with stopped(sender):
            sleep_until(instant(stopped_ns, 11 / divisor))
        pattern = rf"WARN: late heartbeat from {name}: interval (\d+) ms"
        until(lambda: re.search(pattern, hearer.log()), PATIENCE_S, "the late heartbeat is logged")
        intervals = [int(text) for text in re.findall(pattern, hearer.log())]
        print(f"stopped for 11 s (divided by {divisor}): interval {intervals} ms")
        assert len(intervals) == 1
        assert 11_000 / divisor <= intervals[0] <= 15_000 / divisor
        time.sleep(2 * seed.DEADTIME_S / divisor)
        if name == "caesar":
            pair.nothing_moved(before_ns)
        assert pair.moves(before_ns) == []


def wait_for_a_heartbeat(pair, sender):
    """Until one has gone over the cable, whole. Other messages go in between: it is what comes a keepalive after the
    message before it."""
    keepalive_ns = seed.KEEPALIVE_S * SECOND // pair.world.divisor
    before_ns = wait_for_a_message(pair, sender)
    while (message_ns := wait_for_a_message(pair, sender)) - before_ns < keepalive_ns * 9 // 10:
        before_ns = message_ns


def wait_for_a_message(pair, sender):
    """The instant at which its last octet had arrived."""

    def octets():
        return pair.cable.counters()[pair.nodes.index(sender)].carried

    latest = first = octets()
    latest_ns = now_ns()
    while latest == first or now_ns() - latest_ns < 10 * MILLISECOND:
        time.sleep(0.001)
        if octets() != latest:
            latest, latest_ns = octets(), now_ns()
        assert latest_ns + PATIENCE_S * SECOND > now_ns(), f"{sender.name} sends nothing"
    return latest_ns
