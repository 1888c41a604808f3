"""Make before break: the moment of a hand-over in which both nodes have an address (decisions/make-before-break)."""

from __future__ import annotations

from scenarios.scene import FIRST, HOME, OTHER, PAIR, Play, scene

# a slow line gives the moment a length in which something can happen: 20 ms each way
ETHERNET = {"media": ("eth1",), "delay_s": 0.02}
# so long after `make` was sent the taker has what it was told to make, and has not yet been heard to be ready
BOTH_S = 0.03


@scene(media=("eth1",))
def make_before_break(play: Play) -> None:
    """hb_standby over Ethernet (decisions/make-before-break): caesar has the addresses before julius releases them, and
    tells the neighbours again when it has. No client is ever without an answer."""
    play.settle()
    play.ask("julius", "standby")
    play.run(10)
    play.served_by("caesar", HOME)
    assert play.unnoticed
    assert play.said("as agreed")
    assert play.said("tells the neighbours again", "caesar")


@scene(media=("eth1",), groups={"julius": (FIRST, f"{OTHER} web")}, script_s=3.0)
def make_before_break_beside_a_script(play: Play) -> None:
    """Of two groups one has a script, which is not made for being up twice: that one is released, and then taken. The
    other has been made meanwhile, and waits for nobody."""
    play.settle()
    play.ask("julius", "standby")
    play.run(10)
    play.served_by("caesar", FIRST, OTHER)
    assert {gap.address.word for gap in play.world.audit.gaps} == {OTHER}


@scene(**ETHERNET, groups=PAIR)
def stop_of_a_holder_that_hands_over(play: Play) -> None:
    """A clean stop is a hand-over first: julius leaves when caesar has what it had."""
    play.settle()
    play.stop("julius")
    play.run(3)
    play.served_by("caesar", FIRST, OTHER)
    assert play.unnoticed


@scene(**ETHERNET)
def death_of_the_giver_while_both_have_it(play: Play) -> None:
    """The power of the giver fails while both have the address. The taker goes on with it: nobody notices."""
    play.settle()
    play.amid("julius", BOTH_S, lambda: play.power_off("julius"))
    play.order("julius", "standby")
    play.run(25)
    play.served_by("caesar", HOME)
    assert play.unnoticed


@scene(**ETHERNET)
def death_of_the_taker_while_both_have_it(play: Play) -> None:
    """The power of the taker fails before it was heard to be ready. The giver cannot know what the taker has, and two
    may not have it for longer than was agreed: it releases, and takes it again when it finds the taker dead."""
    play.settle()
    play.amid("julius", 0.01, lambda: play.power_off("caesar"))
    play.order("julius", "standby")
    play.run(25)
    play.served_by("julius", HOME)
    assert play.said("not ready in time")


@scene(**ETHERNET)
def restart_of_the_giver_while_both_have_it(play: Play) -> None:
    """The daemon that gives is killed while both have the address, and is back at once. It adopts nothing of what
    begins to be the other's, and ends what is left of its lease."""
    play.settle()
    play.amid("julius", BOTH_S, lambda: play.kill("julius", restart_s=0.02))
    play.order("julius", "standby")
    play.run(25)
    play.served_by("caesar", HOME)
    assert play.unnoticed
    assert play.up("julius") == []


@scene(**ETHERNET)
def restart_of_the_taker_while_both_have_it(play: Play) -> None:
    """The daemon that takes is killed while both have the address, its word that it is ready is lost, and it is back at
    once, adopting the address. It lets go when it hears that the giver, which has settled, has it; and the giver keeps
    what the other says that it doesn't have."""
    play.settle()

    def back() -> None:
        play.heal()
        play.kill("caesar", restart_s=0.02)

    def lost() -> None:
        play.cut(sender="caesar")
        play.amid("julius", BOTH_S, back)
        play.node("julius").on_ceding()

    play.amid("julius", 0, lost)
    play.order("julius", "standby")
    play.run(25)
    play.served_by("julius", HOME)
    assert play.unnoticed


@scene(**ETHERNET)
def restart_of_the_taker_before_it_has_begun(play: Play) -> None:
    """The daemon that takes is killed when it has promised. The next one has nothing, and says so: the giver keeps what
    it had."""
    play.settle()
    play.amid("julius", 0.01, lambda: play.kill("caesar", restart_s=0.02))
    play.order("julius", "standby")
    play.run(25)
    play.served_by("julius", HOME)
    assert play.unnoticed
    assert play.said("the other node has not taken it: kept")


@scene(**ETHERNET)
def stall_of_the_giver_while_both_have_it(play: Play) -> None:
    """The giver is stopped while both have the address, for as long as its whole lease would last. The kernel ends the
    lease that was cut: two have it no longer than was agreed, with nobody running who could release it."""
    play.settle()
    play.amid("julius", BOTH_S, play.node("julius").pause)
    play.order("julius", "standby")
    play.run(12)
    play.node("julius").resume()
    play.run(25)
    play.served_by("caesar", HOME)
    assert play.unnoticed


@scene(**ETHERNET)
def cut_while_both_have_it(play: Play) -> None:
    """The medium is cut before the taker says that it is ready. The giver doesn't hear it: it releases in its time, and
    the taker has it."""
    play.settle()
    play.amid("julius", 0.02, play.cut)
    play.order("julius", "standby")
    play.run(5)
    play.heal()
    play.run(30)
    play.served_by("caesar", HOME)
    assert play.unnoticed
    assert not play.said("is dead")


@scene(**ETHERNET)
def taker_that_is_not_ready(play: Play) -> None:
    """An address does not come up on the taker. The giver has it for as long as was agreed, and then releases: the
    taker has promised. When that has given up, it gives the group back, as it would any that failed."""
    play.settle()
    play.trouble("caesar", "IPaddr::1.1.1.254", "start hangs")
    play.order("julius", "standby")
    play.run(5)
    play.trouble("caesar", "IPaddr::1.1.1.254", "")
    play.run(100)
    play.served_by("julius", HOME)
    assert play.said("not ready in time", "julius")


@scene(**ETHERNET, groups=PAIR)
def command_while_both_have_it(play: Play) -> None:
    """Another command while both have the address is refused: a move is under way. And a stop is one that waits for
    nothing more."""
    play.settle()
    play.amid("julius", BOTH_S, lambda: play.order("julius", "takeover"))
    play.ask("julius", "standby")
    play.run(5)
    play.served_by("caesar", FIRST, OTHER)
    play.amid("caesar", BOTH_S, lambda: play.order("caesar", "stop"))
    play.ask("julius", "takeover")
    play.run(5)
    play.served_by("julius", FIRST, OTHER)
    assert play.unnoticed


@scene(**ETHERNET)
def stop_of_the_taker_while_both_have_it(play: Play) -> None:
    """The node that takes is told to stop while both have the address. It lets go at once; the giver, which has heard
    that it is ready and released, takes it back when it hears that it leaves."""
    play.settle()
    play.amid("julius", BOTH_S, lambda: play.order("caesar", "stop"))
    play.order("julius", "standby")
    play.run(25)
    play.served_by("julius", HOME)
