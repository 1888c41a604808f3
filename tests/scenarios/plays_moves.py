"""What an operator asks for: hb_standby, hb_takeover, and what befalls a hand-over (behaviour.md §6)."""

from __future__ import annotations

from scenarios.scene import FIRST, HOME, OTHER, PAIR, Play, scene

# a script makes a hand-over last long enough for something to come in between
SLOW = {"groups": {"julius": "IPaddr::10.0.0.254 web"}, "media": ("eth1",), "script_s": 8.0}


@scene()
def standby(play: Play) -> None:
    """hb_standby all on the seed's pair. julius releases once caesar has promised to take it, caesar starts once julius
    has released: for a fraction of a second nobody answers, and never two."""
    play.settle()
    play.ask("julius", "standby")
    play.run(10)
    play.served_by("caesar", HOME)
    assert play.silence_s() < 0.5


@scene(groups=PAIR, media=("eth1",))
def standby_sets(play: Play) -> None:
    """hb_standby local, foreign and failback: what of a node's groups goes, seen from that node. Asked for what is not
    there, nothing moves."""
    play.settle()
    play.ask("julius", "standby", "local")
    play.served_by("caesar", FIRST, OTHER)
    play.ask("caesar", "standby", "foreign")
    play.served_by("julius", FIRST)
    play.ask("caesar", "standby", "failback")
    play.ask("caesar", "standby", "local")
    play.served_by("julius", FIRST, OTHER)
    play.ask("julius", "standby", "failback")
    play.run(6)
    play.served_by("julius", FIRST)
    play.served_by("caesar", OTHER)


@scene(groups=PAIR)
def takeover(play: Play) -> None:
    """hb_takeover all: the node that is asked has the other go standby, with everything that it has."""
    play.settle()
    play.ask("caesar", "takeover")
    play.run(10)
    play.served_by("caesar", FIRST, OTHER)


@scene(groups=PAIR, media=("eth1",))
def takeover_sets(play: Play) -> None:
    """hb_takeover foreign, local and failback, seen from the node that takes. (The original maps failback to all.)"""
    play.settle()
    play.ask("caesar", "takeover", "foreign")
    play.served_by("caesar", FIRST, OTHER)
    play.ask("julius", "takeover", "local")
    play.served_by("julius", FIRST)
    play.ask("julius", "takeover", "foreign")
    play.served_by("julius", FIRST, OTHER)
    play.ask("caesar", "takeover", "failback")
    play.run(6)
    play.served_by("julius", FIRST)
    play.served_by("caesar", OTHER)


@scene(auto_failback="on")
def standby_is_not_undone(play: Play) -> None:
    """hb_standby with auto_failback on: what an operator has moved stays. A fail-back follows a death alone."""
    play.settle()
    play.ask("julius", "standby")
    play.run(120)
    play.served_by("caesar", HOME)


@scene(**SLOW)
def standby_refused(play: Play) -> None:
    """hb_standby that can't be: of a set that is none, while another move is under way, and to a peer that is dead.
    Each is answered, and says why."""
    play.settle()
    play.ask("julius", "standby", "everything")
    play.order("julius", "standby")
    play.run(1)
    play.ask("julius", "standby")
    play.run(20)
    play.power_off("julius")
    play.run(20)
    play.ask("caesar", "standby")
    play.served_by("caesar", HOME)
    assert sum("refused: " in line for line in play.lines()) == 3


@scene(groups=PAIR)
def standby_of_both(play: Play) -> None:
    """Both operators say hb_standby in one instant. The first by name of the nodes gives, and the other's operator is
    told to try again. No group is lost between the two."""
    play.settle()
    play.order("julius", "standby")
    play.order("caesar", "standby")
    play.run(15)
    play.served_by("julius", FIRST, OTHER)


@scene()
def standby_and_takeover(play: Play) -> None:
    """hb_standby on one node and hb_takeover on the other, in one instant: both want the same, and both are told that
    it is done."""
    play.settle()
    play.order("julius", "standby")
    play.order("caesar", "takeover")
    play.run(15)
    play.served_by("caesar", HOME)
    assert sum(": done: " in line for line in play.lines()) == 2


@scene(**SLOW)
def crash_of_the_giver(play: Play) -> None:
    """The node that hands over loses its power while it releases. The other has promised, but was not told that
    anything is released: it takes over when it finds the giver dead."""
    play.settle()
    play.order("julius", "standby")
    play.run(1)
    play.power_off("julius")
    play.run(25)
    play.served_by("caesar", HOME)


@scene(**SLOW)
def crash_of_the_taker(play: Play) -> None:
    """The node that takes loses its power while it starts. The giver finds it dead and starts everything again."""
    play.settle()
    play.order("julius", "standby")
    play.until(lambda: play.said("start web", "caesar"), "the taker")
    play.run(0.5)
    play.power_off("caesar")
    play.run(30)
    play.served_by("julius", HOME)


@scene(**SLOW)
def restart_of_the_taker(play: Play) -> None:
    """The daemon that takes is killed while it starts a script, and is back a second later. What was agreed is void. It
    removes what it had begun, during which the giver leaves the group alone, and then starts it itself: it is the
    first to know that nobody has it."""
    play.settle()
    play.order("julius", "standby")
    play.until(lambda: play.said("start web", "caesar"), "the taker")
    play.run(0.5)
    play.kill("caesar", restart_s=1)
    play.run(30)
    play.served_by("caesar", HOME)
    assert play.up("julius") == []


@scene(**SLOW)
def restart_of_the_giver(play: Play) -> None:
    """The daemon that hands over is killed while it stops a script, and is back a second later. It does not adopt a
    group of which a script was being stopped: it removes the rest, and starts it again, being preferred."""
    play.settle()
    play.order("julius", "standby")
    play.run(0.5)
    play.kill("julius", restart_s=1)
    play.run(40)
    play.served_by("julius", HOME)


@scene(**SLOW)
def stop_amid_a_hand_over(play: Play) -> None:
    """The node that hands over is told to stop while it releases. It releases all the same; the other takes over when
    it hears the last word."""
    play.settle()
    play.order("julius", "standby")
    play.run(0.5)
    play.stop("julius")
    play.run(20)
    play.served_by("caesar", HOME)


@scene(**SLOW)
def cut_amid_a_hand_over(play: Play) -> None:
    """The medium is cut while the giver releases, and healed after it has said that it is done. The taker sees in the
    next status that it has missed something, asks for it, and goes on."""
    play.settle()
    play.order("julius", "standby")
    play.run(0.5)
    play.cut()
    play.run(8)
    play.heal()
    play.run(30)
    play.served_by("caesar", HOME)
    assert not play.said("is dead")


@scene(groups={"julius": "IPaddr::10.0.0.254 web"}, media=("eth1",), script_s=8, auto_failback="on")
def crash_amid_a_fail_back(play: Play) -> None:
    """The preferred node is back and is being given its group, and loses its power again in the midst of it. The other
    takes back what it was giving."""
    play.settle()
    play.power_off("julius", off_s=20)
    play.until(lambda: play.said("wants to go standby", "caesar"), "the fail-back")
    play.run(1)
    play.power_off("julius")
    play.run(35)
    play.served_by("caesar", HOME)
