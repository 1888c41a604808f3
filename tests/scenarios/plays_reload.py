"""The operator edits the files of a running pair: as little moves as possible."""

from __future__ import annotations

from scenarios.scene import FIRST, HOME, OTHER, PAIR, Play, scene

from heartbeat.core.settings import FAILBACK_ON, SECOND

THIRD = "IPaddr::10.0.0.252"


@scene(media=("eth1",), groups={"julius": FIRST})
def reload_adds_a_group(play: Play) -> None:
    """haresources gets two more groups, one for each node, and both nodes reload. Each goes to the node that prefers
    it, once three statuses have said that nobody has it; what is up is not touched."""
    play.settle()
    play.reload(groups={"julius": (FIRST, THIRD), "caesar": OTHER})
    play.run(25)
    play.served_by("julius", FIRST, THIRD)
    play.served_by("caesar", OTHER)
    assert play.unnoticed


@scene(media=("eth1",), groups=PAIR)
def reload_removes_a_group(play: Play) -> None:
    """A group is taken out of haresources, on the node that holds it and on the other. It is stopped; the rest is not
    touched."""
    play.settle()
    play.reload(groups={"julius": FIRST})
    play.run(12)
    play.served_by("julius", FIRST)
    assert play.up("caesar") == []


@scene(media=("eth1",), groups={"julius": (f"{FIRST} web", OTHER)})
def reload_moves_a_resource(play: Play) -> None:
    """A script is moved from one line of a node to another line of it. It is up, and stays up: it is another group's
    from now on, and neither stopped nor started."""
    play.settle()
    play.reload(groups={"julius": (FIRST, f"{OTHER} web")})
    play.run(12)
    play.served_by("julius", FIRST, OTHER)
    assert "web" in play.up("julius")
    assert not play.said("stop web")


@scene(media=("eth1",), groups={"julius": f"{FIRST} web"})
def reload_changes_resources(play: Play) -> None:
    """A group gets a further address and loses its script. Only these two are started and stopped."""
    play.settle()
    play.reload(groups={"julius": f"{FIRST} {THIRD}"})
    play.run(12)
    play.served_by("julius", FIRST)
    assert play.up("julius") == [FIRST, THIRD]
    assert play.unnoticed


@scene(media=("eth1",), groups=PAIR)
def reload_of_one_node(play: Play) -> None:
    """A group is added in the haresources of one node only. Both warn that the files differ, and the group waits until
    the other reloads too; nothing that is up moves."""
    play.settle()
    play.reload("julius", groups={"julius": (FIRST, THIRD), "caesar": OTHER})
    play.run(20)
    play.reload("caesar")
    play.run(25)
    play.served_by("julius", FIRST, THIRD)
    play.served_by("caesar", OTHER)


@scene(media=("eth1",), groups=PAIR)
def reload_prefers_the_other(play: Play) -> None:
    """The two groups change sides in haresources. Preference says where a group goes when it has to go somewhere, so
    nothing moves for that alone."""
    play.settle()
    play.reload(groups={"caesar": FIRST, "julius": OTHER})
    play.run(25)
    play.served_by("julius", FIRST)
    play.served_by("caesar", OTHER)


@scene(media=("eth1",))
def reload_of_times(play: Play) -> None:
    """keepalive and deadtime are cut to a fifth, on one node and 8 s later on the other. The lease that became shorter
    has run out by the new count, so julius asks before it serves on, for 2 ms here. Nobody is found dead, and a power
    failure after it is noticed in the new time."""
    play.settle()
    play.reload("julius", keepalive_ns=SECOND, deadtime_ns=3 * SECOND, warntime_ns=2 * SECOND)
    play.run(8)
    play.reload("caesar", keepalive_ns=SECOND, deadtime_ns=3 * SECOND, warntime_ns=2 * SECOND)
    play.run(8)
    assert not play.said("is dead")
    play.power_off("julius")
    play.run(4)
    play.served_by("caesar", HOME)


@scene(media=("eth1",))
def reload_of_auto_failback(play: Play) -> None:
    """The preferred node is back and its group stays away, with auto_failback off. Turned on, the group goes home."""
    play.settle()
    play.power_off("julius", off_s=20)
    play.run(41)
    play.served_by("caesar", HOME)
    play.reload(auto_failback=FAILBACK_ON)
    play.run(15)
    play.served_by("julius", HOME)


@scene(media=("eth1",), groups={"julius": "IPaddr::10.0.0.254 web"}, script_s=8)
def reload_amid_a_hand_over(play: Play) -> None:
    """A group is added while another one is handed over. The new files are in force when nothing moves any more."""
    play.settle()
    play.order("julius", "standby")
    play.run(1)
    play.reload(groups={"julius": ("IPaddr::10.0.0.254 web", THIRD)})
    play.run(40)
    play.served_by("caesar", HOME)
    play.served_by("julius", THIRD)
