"""A daemon or a machine dies, and may come back: behaviour.md §7 rows 3, 5, 7 and 8."""

from __future__ import annotations

from scenarios.scene import FIRST, HOME, OTHER, PAIR, TWO_MEDIA, Play, scene


@scene()
def power_failure(play: Play) -> None:
    """The machine that serves loses its power: behaviour.md §7 row 3. The other takes over a deadtime after the last
    word that it heard, and not earlier."""
    play.settle()
    play.power_off("julius")
    play.run(20)
    play.served_by("caesar", HOME)
    assert play.silence_s() < 15.5


@scene(groups=PAIR, media=("eth1",), keepalive_s=0.2, deadtime_s=1, warntime_s=0.5, initdead_s=5)
def fast_detection(play: Play) -> None:
    """A power failure with a deadtime of 1 s: the address answers again within 1 s."""
    play.settle()
    play.power_off("caesar")
    play.run(3)
    play.served_by("julius", FIRST, OTHER)
    assert play.silence_s() < 1.01


@scene()
def component_fail(play: Play) -> None:
    """kill -9 of the daemon that serves, and nobody restarts it: behaviour.md §7 row 8. The original's addresses stay
    up, and both machines answer once the other takes over; ours fall silent with the lease, before that."""
    play.settle()
    play.kill("julius")
    play.until(lambda: not play.holders(HOME), "the end of the lease", 15)
    play.remark("julius answers no more, though its addresses are up: its lease has ended")
    assert play.up("julius") == ["IPaddr::10.0.0.254", "IPaddr::1.1.1.254"]
    play.until(lambda: play.holders(HOME) == ["caesar"], "the take-over", 15)
    play.run(5)
    play.served_by("caesar", HOME)
    assert play.silence_s() < 3


@scene(groups={"julius": "IPaddr::10.0.0.254 web"}, script_s=1)
def reattach(play: Play) -> None:
    """kill -9, and the supervisor starts the daemon again within the lease: behaviour.md §7 row 7 and
    decisions/announced-restart. It adopts what it finds up: no script is called, nothing moves, no client sees it."""
    play.settle()
    play.kill("julius", restart_s=1)
    play.run(30)
    play.served_by("julius", HOME)
    assert play.unnoticed
    assert sum(line.endswith("start web") for line in play.lines()) == 1


@scene(groups={"julius": "IPaddr::10.0.0.254 web"}, script_s=1)
def restart_after_the_lease(play: Play) -> None:
    """kill -9, and the daemon starts again after its lease but within the other's deadtime: behaviour.md §7 row 7. It
    must not adopt, because it was silent; it stops what was left, and starts it anew, for nobody else has it."""
    play.boot()
    play.run_to(15.2)
    play.kill("julius", restart_s=13.8)
    play.run(40)
    play.served_by("julius", HOME)
    assert not play.said("take", "caesar")


@scene(groups={"julius": "IPaddr::10.0.0.254 web"}, script_s=1)
def restart_after_the_take_over(play: Play) -> None:
    """kill -9, and the daemon starts again when the other has taken over: behaviour.md §7 row 5 with auto_failback off.
    It removes what its predecessor left, and leaves the group where it is."""
    play.settle()
    play.kill("julius", restart_s=20)
    play.run(40)
    play.served_by("caesar", HOME)
    assert play.up("julius") == []


@scene(media=("eth1",), keepalive_s=1, deadtime_s=3, warntime_s=2)
def crash_of_one_that_heard_nobody(play: Play) -> None:
    """The node that serves does not hear the other, finds it dead, and is killed; the other, which heard it all the
    time, takes over. The supervisor starts it again after that, the line is whole: it asks before it serves on, and
    hears that it was replaced, decisions/lone-node."""
    play.settle()
    play.cut("eth1", sender="caesar")
    play.run(10)
    play.kill("julius", restart_s=5)
    play.run(4)
    play.heal("eth1", sender="caesar")
    play.run(20)
    play.served_by("caesar", HOME)
    assert not play.said("julius has taken over", "audit")


@scene(media=("eth1",), keepalive_s=1, deadtime_s=3, warntime_s=2)
def restart_while_the_other_is_dead(play: Play) -> None:
    """The other is off, and the daemon that serves is killed and started again after its leases have run out: it asks,
    for as long as an answer may take, and serves on, without waiting for initdead, decisions/lone-node."""
    play.settle()
    play.power_off("caesar")
    play.run(20)
    play.kill("julius", restart_s=5)
    play.run(10)
    play.served_by("julius", HOME)
    assert not play.said("stop IPaddr")


@scene(initdead_s=10)
def fast_reboot(play: Play) -> None:
    """The machine that serves is power cycled and is back within the other's deadtime: behaviour.md §7 row 7. The other
    sees a restart. Nothing is up on either, and the preferred node starts what it had."""
    play.settle()
    play.power_off("julius", off_s=8)
    play.run(30)
    play.served_by("julius", HOME)
    assert play.silence_s() < 15


@scene()
def peer_returns_with_auto_failback_off(play: Play) -> None:
    """The preferred machine comes back after a power failure: behaviour.md §7 row 5, auto_failback off. It settles,
    and the group stays where it is."""
    play.settle()
    play.power_off("julius", off_s=25)
    play.run(45)
    play.served_by("caesar", HOME)


@scene(auto_failback="on")
def peer_returns_with_auto_failback_on(play: Play) -> None:
    """The preferred machine comes back after a power failure: behaviour.md §7 row 5, auto_failback on. Once it has
    settled it is handed what prefers it, by the exchange of a standby."""
    play.settle()
    play.power_off("julius", off_s=25)
    play.run(45)
    play.served_by("julius", HOME)


@scene(auto_failback="legacy")
def peer_returns_with_auto_failback_legacy(play: Play) -> None:
    """The preferred machine comes back after a power failure: behaviour.md §7 row 5, auto_failback legacy. Ours has
    one protocol: legacy gives back as on does, and nothing is started before it is released."""
    play.settle()
    play.power_off("julius", off_s=25)
    play.run(45)
    play.served_by("julius", HOME)


@scene(auto_failback="on", failback_delay_s=60)
def failback_delay(play: Play) -> None:
    """auto_failback on with failback_delay 60: the preferred node is back, and gets its group when it has been settled
    for a minute, not before."""
    play.settle()
    play.power_off("julius", off_s=25)
    play.run(80)
    play.served_by("caesar", HOME)
    play.run(20)
    play.served_by("julius", HOME)


@scene(groups={"julius": HOME}, auto_failback="on", media=("eth1",), keepalive_s=1, deadtime_s=5, warntime_s=3)
def flapping(play: Play) -> None:
    """The preferred machine loses its power three times in ten minutes, decisions/flapping. Twice it gets its group
    back at once; after the third a person is told, and it waits until ten minutes after its last death."""
    play.settle()
    for _ in range(3):
        play.power_off("julius", off_s=15)
        play.run(30)
    play.served_by("caesar", HOME)
    assert play.said("ALARM", "caesar")
    play.run(560)
    play.served_by("caesar", HOME)
    play.run(30)
    play.served_by("julius", HOME)


@scene()
def power_failure_of_the_standby_node(play: Play) -> None:
    """The machine that serves nothing loses its power and comes back. Nothing moves, and no client sees it."""
    play.settle()
    play.power_off("caesar", off_s=25)
    play.run(45)
    play.served_by("julius", HOME)
    assert play.unnoticed


@scene(groups=PAIR, media=TWO_MEDIA)
def power_failure_of_both(play: Play) -> None:
    """The building is dark for 20 s. Both machines come back together and settle as at their first start."""
    play.settle()
    play.power_off("julius", off_s=20)
    play.power_off("caesar", off_s=22)
    play.run(40)
    play.served_by("julius", FIRST)
    play.served_by("caesar", OTHER)


@scene(groups=PAIR)
def crash_of_the_last(play: Play) -> None:
    """A node that has found the other dead is killed, and starts again within its lease. It knows that nobody can have
    taken over meanwhile: it adopts what it has and does not wait for initdead, decisions/lone-node."""
    play.settle()
    play.power_off("julius")
    play.run(20)
    play.served_by("caesar", FIRST, OTHER)
    play.kill("caesar", restart_s=2)
    play.run(20)
    play.served_by("caesar", FIRST, OTHER)
