"""Starts and clean stops: behaviour.md §7 rows 1, 2 and 4."""

from __future__ import annotations

from scenarios.scene import FIRST, HOME, OTHER, PAIR, Play, scene


@scene(groups=PAIR)
def simul_start(play: Play) -> None:
    """Both boot together: behaviour.md §7 row 1. The originals wait 10 s for each other's word; two of ours settle as
    soon as each has heard that the other hears it, and each starts the groups that prefer it."""
    play.boot()
    play.until_stable(5)
    play.run(20)
    play.served_by("julius", FIRST)
    play.served_by("caesar", OTHER)


@scene(groups={"julius": (FIRST, OTHER)})
def simul_start_with_two_files(play: Play) -> None:
    """Both boot together, and in each one's haresources both groups prefer the node itself. Then it is the first of
    their names that chooses, and the other waits for its choice: at no time do both start a group."""
    play.reload("caesar", groups={"caesar": (FIRST, OTHER)})
    play.boot()
    play.until_stable(20)
    play.run(20)
    play.served_by("caesar", FIRST, OTHER)
    assert not play.said("start IPaddr", "julius")


@scene()
def start(play: Play) -> None:
    """The node that is not preferred boots alone: behaviour.md §7 row 2. It can't know whether the other is dead or
    slow, so it serves after initdead, and not before."""
    play.boot("caesar")
    play.run(29)
    assert play.holders(HOME) == []
    play.until_stable(5)
    play.served_by("caesar", HOME)


@scene(groups=PAIR)
def start_oneby_one(play: Play) -> None:
    """The second boots 12 s after the first, within its initdead. Nobody waits for that any longer: they hear each
    other, and settle at once as if they had started together."""
    play.boot("caesar")
    play.run(12)
    play.boot("julius")
    play.until_stable(10)
    play.run(6)
    play.served_by("julius", FIRST)
    play.served_by("caesar", OTHER)


@scene(groups={"julius": "IPaddr::10.0.0.254 firewall web"}, script_s=4)
def partial_start(play: Play) -> None:
    """A daemon is killed in the midst of its first start, while a script runs, and starts again. What the dead one has
    left half started is stopped before anything else is decided; then the group is started as a whole."""
    play.boot()
    play.until(lambda: play.said("start web", "julius"), "the script")
    play.run(0.3)
    play.kill("julius", restart_s=1)
    play.run(30)
    play.served_by("julius", HOME)
    assert play.up("julius") == ["IPaddr::10.0.0.254", "firewall", "web"]


@scene()
def stop(play: Play) -> None:
    """A clean stop: behaviour.md §7 row 4. The last word of the one that leaves lets the other take over at once, and
    not only after deadtime."""
    play.settle()
    play.stop("julius")
    play.run(20)
    play.served_by("caesar", HOME)
    assert play.silence_s() < 0.5


@scene(groups=PAIR)
def simul_stop(play: Play) -> None:
    """Both are stopped in one instant. Each releases what it has, and neither takes over what the other gives up."""
    play.settle()
    play.order("julius", "stop")
    play.order("caesar", "stop")
    play.run(10)
    assert play.up("julius") == play.up("caesar") == []
    assert play.said("stopped", "julius")
    assert play.said("stopped", "caesar")


@scene(groups=PAIR)
def stop_oneby_one(play: Play) -> None:
    """One is stopped, then the other: all goes to the second, and is then released. Nothing stays up anywhere."""
    play.settle()
    play.stop("julius")
    play.run(6)
    play.served_by("caesar", FIRST, OTHER)
    play.stop("caesar")
    assert play.up("julius") == play.up("caesar") == []


@scene()
def stop_before_settled(play: Play) -> None:
    """A node that is still waiting for its initdead is told to stop. It has nothing to release, and ends after the
    second in which it would have answered requests for its last word."""
    play.boot("julius")
    play.run(5)
    play.stop("julius")
    assert play.world.now < 8e9
    assert play.up("julius") == []


@scene(auto_failback="on")
def restart(play: Play) -> None:
    """An announced restart, decisions/announced-restart: there is no such announcement. A stop hands over at once, and
    with auto_failback on a start takes back: two moves, and a fraction of a second without service in each."""
    play.settle()
    play.stop("julius")
    play.run(3)
    play.boot("julius")
    play.run(20)
    play.served_by("julius", HOME)
    assert play.silence_s() < 0.5
    assert play.take_overs == 0


@scene()
def restart_oneby_one(play: Play) -> None:
    """An upgrade of the pair: each is stopped and started in turn, decisions/announced-restart. The group moves with
    the first, and back with the second, each time in a fraction of a second."""
    play.boot()
    play.until_stable()
    for name in ("julius", "caesar"):
        play.run(6)
        play.stop(name)
        play.run(2)
        play.boot(name)
        play.until_stable(20)
    play.run(6)
    play.served_by("julius", HOME)
    assert play.silence_s() < 0.5


@scene(media=("eth1",))
def flip(play: Play) -> None:
    """A node that runs is stopped, one that is stopped is started: the one that serves nothing. No group moves, and no
    client sees it."""
    play.boot()
    play.until_stable()
    play.run(6)
    play.stop("caesar")
    play.run(20)
    play.boot("caesar")
    play.run(10)
    play.served_by("julius", HOME)
    assert play.unnoticed
