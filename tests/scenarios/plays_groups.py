"""Agents that fail, hang or take their time: docs/protocol/resources.md, and what the other node has to do with it."""

from __future__ import annotations

from scenarios.scene import HOME, OTHER, Play, scene

WEB = {"julius": "IPaddr::10.0.0.254 web"}
ETHERNET = {"groups": WEB, "media": ("eth1",)}


@scene(groups={"julius": "IPaddr::10.0.0.254 firewall web MailTo::ops@example.net"}, media=("eth1",), script_s=2)
def order_of_agents(play: Play) -> None:
    """A group starts from left to right and stops from right to left, one agent after the other. The one that mails is
    told, and not waited for."""
    play.boot()
    play.until_stable()
    play.ask("julius", "standby")
    play.served_by("caesar", HOME)
    started = [line.rpartition(" ")[2] for line in play.lines() if " start " in line and " script " not in line]
    assert started == ["IPaddr::10.0.0.254", "firewall", "web"] * 2


@scene(**ETHERNET)
def resource_recover(play: Play) -> None:
    """A script of the group does not start where it is preferred. What of it is up is stopped, and the group is given
    to the other node, once. There it stays."""
    play.trouble("julius", "web", "start fails")
    play.boot()
    play.run(30)
    play.served_by("caesar", HOME)
    assert play.up("caesar") == ["IPaddr::10.0.0.254", "web"]


@scene(**ETHERNET)
def start_fails_on_both(play: Play) -> None:
    """A script starts on neither node. Each offers the group to the other once, and then its holder tries again, less
    and less often; when the script is well the group comes up by itself."""
    play.trouble("julius", "web", "start fails")
    play.trouble("caesar", "web", "start fails")
    play.boot()
    play.run(40)
    assert play.holders(HOME) == []
    play.trouble("julius", "web", "")
    play.trouble("caesar", "web", "")
    play.run(60)
    assert len(play.holders(HOME)) == 1


@scene(**ETHERNET)
def start_fails_alone(play: Play) -> None:
    """A script does not start, and the other node is not there. The group is tried again after 5 s, then after 10 s:
    there is nobody to give it to."""
    play.trouble("julius", "web", "start fails")
    play.boot("julius")
    play.run(40)
    play.trouble("julius", "web", "")
    play.run(20)
    play.served_by("julius", HOME)


@scene(**ETHERNET)
def start_hangs(play: Play) -> None:
    """A script hangs in its start. After a minute it is killed, and the group is given to the other node."""
    play.trouble("julius", "web", "start hangs")
    play.boot()
    play.run(75)
    play.served_by("caesar", HOME)


@scene(**ETHERNET)
def stop_fails(play: Play) -> None:
    """A script fails to stop in a hand-over. It is told, and the release goes on: the address moves all the same."""
    play.settle()
    play.trouble("julius", "web", "stop fails")
    play.ask("julius", "standby")
    play.run(5)
    play.served_by("caesar", HOME)


@scene(**ETHERNET)
def stop_hangs(play: Play) -> None:
    """A script hangs in its stop in a hand-over. After half a minute it is killed, and the release goes on."""
    play.settle()
    play.trouble("julius", "web", "stop hangs")
    play.ask("julius", "standby")
    play.run(5)
    play.served_by("caesar", HOME)


def everything_on_julius(play: Play) -> None:
    play.settle()
    play.ask("julius", "takeover", "foreign")
    play.served_by("julius", HOME, OTHER)
    play.trouble("julius", "web", "stop hangs")


@scene(groups={**WEB, "caesar": OTHER}, media=("eth1",))
def standby_while_one_hangs(play: Play) -> None:
    """Two groups are handed over, and a script of one hangs in its stop. The other group does not wait for it: the
    status tells that it is down, and it is taken at once."""
    everything_on_julius(play)
    play.order("julius", "standby")
    play.run(2)
    play.served_by("caesar", OTHER)
    play.run(35)
    play.served_by("caesar", HOME, OTHER)


@scene(groups={**WEB, "caesar": OTHER}, media=("eth1",))
def stop_while_one_hangs(play: Play) -> None:
    """A node stops, and a script of one of its groups hangs. The other node takes what is down while the rest still
    stops, and the rest at the last word."""
    everything_on_julius(play)
    play.order("julius", "stop")
    play.run(2)
    play.served_by("caesar", OTHER)
    play.run(35)
    play.served_by("caesar", HOME, OTHER)


@scene(**ETHERNET, reboot_on_stop_failure=True)
def stop_fails_and_reboots(play: Play) -> None:
    """on_stop_failure reboot: a script that fails to stop may still be at work, on a shared disk perhaps. The machine
    is rebooted, and the other takes over when it finds it dead."""
    play.settle()
    play.trouble("julius", "web", "stop fails")
    play.order("julius", "standby")
    play.run(60)
    play.served_by("caesar", HOME)
    assert play.up("julius") == []


@scene(groups=WEB, media=("eth1",), script_s=1)
def slow_start(play: Play) -> None:
    """A script takes long to start on the node that takes over, and the preferred node is back meanwhile. It does not
    take what the other is still starting."""
    play.settle()
    play.trouble("caesar", "web", "slow")
    play.power_off("julius", off_s=14)
    play.run(50)
    play.served_by("caesar", HOME)


@scene(groups=WEB, media=("eth1",))
def stop_while_starting(play: Play) -> None:
    """A node is told to stop while a script of its hangs in the start. The script gets 5 s to end by itself, is killed,
    and the rest is released; the other takes over at the last word."""
    play.trouble("julius", "web", "start hangs")
    play.boot()
    play.run(10)
    play.stop("julius")
    play.run(5)
    play.served_by("caesar", HOME)
