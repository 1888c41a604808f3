"""Both live and do not hear each other, and then they do: behaviour.md §7 row 6, docs/decisions/healed-partition.md."""

from __future__ import annotations

from scenarios.scene import FIRST, HOME, OTHER, PAIR, TWO_MEDIA, Play, scene

from heartbeat.sim.medium import Quality


@scene(groups=PAIR, media=("eth1",))
def split_brain(play: Play) -> None:
    """Every medium is cut for 40 s, with a group on each side: behaviour.md §7 row 6, decisions/healed-partition. The
    originals take all services down on both and restart. With ours the preferred node keeps a group and tells the
    neighbours, then the other lets go: nothing restarts, and nobody goes without."""
    play.settle()
    play.cut()
    play.run(40)
    assert play.holders(FIRST) == play.holders(OTHER) == ["julius", "caesar"]
    play.heal()
    play.run(15)
    play.served_by("julius", FIRST)
    play.served_by("caesar", OTHER)
    assert play.unnoticed


@scene()
def split_brain_on_serial(play: Play) -> None:
    """The seed's own pair, its one cable pulled for 40 s: behaviour.md §7 row 6, decisions/healed-partition. julius
    keeps what prefers it; on a serial line the exchange takes a few statuses of 0.15 s each."""
    play.settle()
    play.cut()
    play.run(40)
    play.heal()
    play.run(15)
    play.served_by("julius", HOME)
    assert play.unnoticed


@scene(media=("eth1",))
def split_brain_away_from_home(play: Play) -> None:
    """The group was on the node that is not preferred when the partition came, decisions/healed-partition. The rule
    asks haresources alone, so the partition moves it home, also with auto_failback off."""
    play.settle()
    play.ask("julius", "standby")
    play.run(5)
    play.cut()
    play.run(40)
    play.heal()
    play.run(15)
    play.served_by("julius", HOME)


@scene(groups=PAIR, media=("eth1",))
def split_brain_with_two_files(play: Play) -> None:
    """haresources differ: on each node both groups prefer the node itself, decisions/healed-partition. Both would keep
    everything after a partition, so it is the first by name that does, and both warn that the files differ."""
    play.settle()
    play.reload("julius", groups={"julius": (FIRST, OTHER)})
    play.reload("caesar", groups={"caesar": (FIRST, OTHER)})
    play.run(6)
    play.cut()
    play.run(40)
    play.heal()
    play.run(15)
    play.served_by("caesar", FIRST, OTHER)


@scene(media=("eth1",), groups={"julius": HOME})
def split_brain_with_two_files_that_decline(play: Play) -> None:
    """haresources differ: on each node the group prefers the other, decisions/healed-partition. Neither would keep it;
    after a second of waiting for the other the first by name keeps it."""
    play.settle()
    play.reload("julius", groups={"caesar": HOME})
    play.reload("caesar", groups={"julius": HOME})
    play.run(6)
    play.cut()
    play.run(40)
    play.heal()
    play.run(15)
    play.served_by("caesar", HOME)


@scene(groups={"julius": HOME}, media=("eth1",), keepalive_s=1, deadtime_s=5, warntime_s=3, seed=85)
def split_brain_that_heals_badly(play: Play) -> None:
    """The partition heals into a network that loses half of all datagrams, decisions/healed-partition. caesar hears in
    two statuses of julius that it is not heard, and lets go. julius hears of it seconds later, and has nothing to
    settle: the page names as open that it tells the neighbours nothing then."""
    play.settle()
    play.cut()
    play.run(12)
    play.heal()
    play.quality(Quality(loss=0.5))
    play.run(12)
    play.quality(None)
    play.run(10)
    play.served_by("julius", HOME)
    assert not play.said("stays here")


@scene(media=("eth1",))
def split_brain_that_heals_one_way(play: Play) -> None:
    """Of the partition first one direction heals, decisions/healed-partition. Who hears that it is not heard lets go,
    for the other cannot know; when both directions work there is nothing left to settle."""
    play.settle()
    play.cut()
    play.run(40)
    play.heal(sender="caesar")
    play.run(20)
    play.served_by("caesar", HOME)
    play.heal(sender="julius")
    play.run(15)
    play.served_by("caesar", HOME)


@scene(media=("eth1",), auto_failback="on")
def split_brain_with_auto_failback(play: Play) -> None:
    """A partition with auto_failback on, decisions/healed-partition. julius has kept what prefers it, so there is
    nothing to give back after it."""
    play.settle()
    play.cut()
    play.run(40)
    play.heal()
    play.run(15)
    play.served_by("julius", HOME)
    assert not play.said("standby")


@scene(media=TWO_MEDIA)
def crash_in_a_partition(play: Play) -> None:
    """One side of a partition dies in it, and its machine comes back when the media are healed. The other has served
    all the while, and is not disturbed."""
    play.settle()
    play.cut()
    play.run(30)
    play.power_off("julius", off_s=20)
    play.run(10)
    play.heal()
    play.run(30)
    play.served_by("caesar", HOME)


@scene(media=("eth1",), groups=PAIR)
def start_in_a_partition(play: Play) -> None:
    """Both boot while the switch does not forward yet, for longer than initdead, decisions/lone-node. Each finds itself
    alone and serves everything; when the switch forwards, each keeps what prefers it, decisions/healed-partition."""
    play.cut()
    play.boot()
    play.run(40)
    play.heal()
    play.run(15)
    play.served_by("julius", FIRST)
    play.served_by("caesar", OTHER)
