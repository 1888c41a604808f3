"""State files, clocks, and recordings: what a node believes of what it hears, and of itself."""

from __future__ import annotations

from scenarios.scene import FIRST, HOME, OTHER, PAIR, Play, scene

ETHERNET = {"media": ("eth1",)}


@scene(**ETHERNET, groups=PAIR)
def recording_played_back(play: Play) -> None:
    """Somebody has recorded what julius said, a hand-over among it, and plays it to caesar. Signatures are good, but it
    is old news, and nothing moves."""
    play.settle()
    play.ask("julius", "standby")
    play.run(5)
    play.ask("caesar", "standby", "foreign")
    play.run(5)
    play.play_back("julius", 5)
    play.run(20)
    play.served_by("julius", FIRST)
    play.served_by("caesar", OTHER)


@scene(**ETHERNET)
def recording_of_the_dead(play: Play) -> None:
    """julius is dead, and somebody plays back what it said, to keep caesar from serving or to take the group away. The
    dead stays dead: a recording does not answer."""
    play.settle()
    play.kill("julius")
    play.run(17)
    play.served_by("caesar", HOME)
    play.play_back("julius", 20)
    play.run(10)
    play.served_by("caesar", HOME)
    assert not play.said("status update for node julius: init", "caesar")


@scene(**ETHERNET)
def recording_of_an_earlier_run(play: Play) -> None:
    """caesar was restarted, and hears a recording of julius before julius is there. It waits for its initdead as if
    nobody had spoken."""
    play.settle()
    play.power_off("julius")
    play.power_off("caesar")
    play.run(5)
    play.boot("caesar")
    play.play_back("julius", 10)
    play.run(25)
    play.served_by("caesar", HOME)


@scene(**ETHERNET, groups={"caesar": HOME})
def generation_set_back(play: Play) -> None:
    """A backup is played back on julius: its generation is a lower one than caesar knows. It answers caesar's nonce, so
    it is no recording; it is quarantined, alive and not acted on, until the operator accepts it."""
    play.boot()
    play.until_stable()
    for _ in range(2):
        play.kill("julius", restart_s=1)
        play.run(6)
    play.stop("julius")
    play.set_back("julius", 2)
    play.boot("julius")
    play.run(15)
    assert play.said("ALARM", "caesar")
    play.ask("caesar", "accept", "julius")
    play.run(10)
    play.served_by("caesar", HOME)
    assert play.stable()


@scene(**ETHERNET, groups={"caesar": HOME})
def generation_repeated(play: Play) -> None:
    """The state files of julius are those of its last start, so it starts in a generation that it has had. caesar takes
    its first words for a recording; when julius answers, it is quarantined as one with a lower generation."""
    play.boot()
    play.until_stable()
    play.kill("julius", restart_s=1)
    play.run(60)
    play.stop("julius")
    play.set_back("julius", 1)
    play.boot("julius")
    play.run(15)
    assert play.said("ALARM", "caesar")
    play.ask("caesar", "accept", "julius")
    play.run(10)
    play.served_by("caesar", HOME)
    assert play.stable()


@scene(**ETHERNET, groups={"caesar": HOME})
def quarantined_and_dead(play: Play) -> None:
    """A quarantined node loses its power. It is found neither dead nor alive, since nothing that it says counts;
    whoever serves goes on, and renews its lease as one that has a peer."""
    play.boot()
    play.until_stable()
    for _ in range(2):
        play.kill("julius", restart_s=1)
        play.run(6)
    play.stop("julius")
    play.set_back("julius", 2)
    play.boot("julius")
    play.run(15)
    play.power_off("julius")
    play.run(40)
    play.served_by("caesar", HOME)
    assert play.unnoticed


@scene(**ETHERNET)
def state_files_lost(play: Play) -> None:
    """The state directory of julius is lost while it is down. Its new generation comes from the clock and is higher
    than any that it has had: a restart like another."""
    play.settle()
    play.power_off("julius", off_s=25)
    play.lose_state("julius")
    play.run(45)
    play.served_by("caesar", HOME)
    assert not play.said("ALARM")


@scene(**ETHERNET)
def state_files_lost_and_clock_late(play: Play) -> None:
    """The state directory of julius is lost, and its clock is a year late, as that of a board without a battery. Its
    generation is lower than caesar knows: it is quarantined until the operator accepts it."""
    play.settle()
    play.power_off("julius")
    play.lose_state("julius")
    play.step_clock("julius", -365 * 86400)
    play.run(20)
    play.boot("julius")
    play.run(15)
    assert play.said("ALARM", "caesar")
    play.ask("caesar", "accept", "julius")
    play.run(15)
    play.served_by("caesar", HOME)
    assert play.stable()


@scene(**ETHERNET, keepalive_s=1, deadtime_s=5, warntime_s=3)
def disk_full(play: Play) -> None:
    """The daemon is killed and the disk of its machine is full. It can't keep a new generation and so does not start;
    the other takes over. When there is room it starts, and leaves the group where it is."""
    play.settle()
    play.fill_disk("julius")
    play.kill("julius", restart_s=2)
    play.run(7)
    play.served_by("caesar", HOME)
    play.fill_disk("julius", full=False)
    play.run(15)
    play.served_by("caesar", HOME)


@scene(**ETHERNET)
def wall_clock_steps(play: Play) -> None:
    """The wall clocks are set: one an hour ahead, the other a day back. Nothing depends on them."""
    play.settle()
    play.step_clock("julius", 3600)
    play.run(10)
    play.step_clock("caesar", -86400)
    play.run(10)
    play.ask("julius", "standby")
    play.run(10)
    play.served_by("caesar", HOME)
    assert not play.said("dead")
