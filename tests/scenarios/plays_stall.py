"""A node that does not run for a while: docs/decisions/stalled-node.md and lone-node.md."""

from __future__ import annotations

from scenarios.scene import HOME, Play, scene


@scene()
def stall_within_the_lease(play: Play) -> None:
    """The daemon that serves does not run for 10 s, less than its lease. It is late, and that is all."""
    play.boot()
    play.run_to(15.2)
    play.stall("julius", 10)
    play.run(10)
    play.served_by("julius", HOME)
    assert play.unnoticed


@scene(media=("eth1",))
def stall_beyond_the_lease(play: Play) -> None:
    """The daemon that serves does not run for 20 s, decisions/stalled-node. Its lease ends, then the other takes over.
    When it runs again it asks before it answers for anything, hears that it was replaced, and lets go."""
    play.settle()
    play.stall("julius", 20)
    play.run(10)
    play.served_by("caesar", HOME)
    assert not play.said("two answer")


@scene(media=("eth1",))
def stall_between_lease_and_deadtime(play: Play) -> None:
    """The daemon that serves does not run until after its lease, but before the other's patience ends,
    decisions/stalled-node. It asks; the other has not taken over and says so; it serves on. Silence, but no move."""
    play.boot()
    play.run_to(15.2)
    play.stall("julius", 14)
    play.run(10)
    play.served_by("julius", HOME)
    assert play.take_overs == 0
    assert play.silence_s() < 2


@scene(media=("eth1",))
def stall_and_a_cut(play: Play) -> None:
    """The daemon that serves does not run for 17 s, hears nothing of what was said meanwhile, and finds the medium cut
    for another 4 s when it runs again, decisions/stalled-node. It asks and stays silent until it is answered: the other
    has taken over, and two would have answered."""
    play.boot()
    play.run_to(15.2)
    play.cut(sender="caesar")
    play.stall("julius", 17)
    play.cut(sender="julius")
    play.run(4)
    play.heal()
    play.run(15)
    play.served_by("caesar", HOME)
    assert not play.said("two answer")


@scene(media=("eth1",))
def stall_and_a_longer_cut(play: Play) -> None:
    """As StallAndACut, but the medium is cut for 11 s after the stall, less than deadtime: nobody is cut off then, and
    the node that stalled stays silent until it is answered, decisions/stalled-node."""
    play.boot()
    play.run_to(15.2)
    play.cut(sender="caesar")
    play.stall("julius", 17)
    play.cut(sender="julius")
    play.run(11)
    play.heal()
    play.run(15)
    play.served_by("caesar", HOME)
    assert not play.said("two answer")


@scene(media=("eth1",))
def stall_and_a_dead_peer(play: Play) -> None:
    """The daemon that serves does not run for 14 s, and the other machine dies meanwhile, decisions/stalled-node. It
    asks, nobody answers, and it stays silent until it finds the other dead."""
    play.settle()
    play.power_off("caesar")
    play.stall("julius", 14)
    play.run(20)
    play.served_by("julius", HOME)


@scene()
def stall_of_the_standby_node(play: Play) -> None:
    """The node that serves nothing does not run for 20 s. It is found dead and comes back; nothing moves, and it does
    not take its own stall for the other's death."""
    play.settle()
    play.stall("caesar", 20)
    play.run(10)
    play.served_by("julius", HOME)
    assert play.unnoticed
    assert not play.said("acquiring", "caesar")


@scene(media=("eth1",))
def stall_of_a_lone_node(play: Play) -> None:
    """A node that is alone does not run for 45 s, longer than initdead, decisions/lone-node. The other may have started
    meanwhile and settled, so it asks, and serves on when nobody has answered for a deadtime."""
    play.boot()
    play.until_stable()
    play.power_off("caesar")
    play.run(20)
    play.stall("julius", 45)
    play.run(20)
    play.served_by("julius", HOME)


@scene(media=("eth1",))
def stall_of_a_node_that_was_always_alone(play: Play) -> None:
    """The same where the other has never been heard, decisions/lone-node: it may have started meanwhile, too."""
    play.boot("julius")
    play.until_stable()
    play.stall("julius", 45)
    play.run(20)
    play.served_by("julius", HOME)


@scene(media=("eth1",))
def stall_of_a_lone_node_while_the_other_starts(play: Play) -> None:
    """A node that is alone does not run for 60 s, and the other starts meanwhile, decisions/lone-node. The other waits
    for its initdead, hears nobody, and takes over; the first asks when it runs again, and lets go."""
    play.boot()
    play.until_stable()
    play.power_off("caesar")
    play.run(20)
    play.node("julius").pause()
    play.boot("caesar")
    play.run(60)
    play.node("julius").resume()
    play.run(10)
    play.served_by("caesar", HOME)
    assert not play.said("two answer")


@scene(media=("eth1",))
def stall_of_both(play: Play) -> None:
    """Both daemons do not run for 20 s, as on a host that swaps. Nobody has taken over: each asks, and is answered."""
    play.settle()
    play.node("caesar").pause()
    play.stall("julius", 20)
    play.node("caesar").resume()
    play.run(20)
    play.served_by("julius", HOME)
    assert play.take_overs == 0


@scene()
def stall_of_both_after_a_take_over(play: Play) -> None:
    """julius does not run for so long that caesar takes over, and before it runs again caesar does not run either. Both
    wake at once, each has the group and asks the other. The preferred node keeps it, and nobody has it twice."""
    play.settle()
    play.node("julius").pause()
    play.run(20)
    play.served_by("caesar", HOME)
    play.stall("caesar", 20)
    play.node("julius").resume()
    play.run(20)
    play.served_by("julius", HOME)
