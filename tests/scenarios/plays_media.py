"""Media that are cut, noisy, slow or gone, while another works or while it heals in time."""

from __future__ import annotations

from scenarios.scene import FIRST, HOME, OTHER, PAIR, TWO_MEDIA, Play, scene

from heartbeat.sim.medium import Quality


@scene(media=TWO_MEDIA)
def redundant_path(play: Play) -> None:
    """The serial cable is pulled for a minute. The Ethernet carries on: a link is reported dead, and nothing moves."""
    play.settle()
    play.cut("/dev/ttyS0")
    play.run(60)
    play.heal("/dev/ttyS0")
    play.run(10)
    play.served_by("julius", HOME)
    assert play.unnoticed


@scene(media=TWO_MEDIA)
def ethernet_cut(play: Play) -> None:
    """The Ethernet cable is pulled for a minute, and the serial line carries on. Nothing moves."""
    play.settle()
    play.cut("eth1")
    play.run(60)
    play.heal("eth1")
    play.run(10)
    play.served_by("julius", HOME)
    assert play.unnoticed


@scene(media=TWO_MEDIA)
def medium_unplugged(play: Play) -> None:
    """The interface goes away under the daemon that serves, and comes back. It is told at once, not after deadtime, and
    nothing moves."""
    play.settle()
    play.unplug("julius", "eth1")
    play.run(30)
    play.plug("julius", "eth1")
    play.run(10)
    play.served_by("julius", HOME)
    assert play.unnoticed


@scene(media=TWO_MEDIA)
def each_way_on_another_medium(play: Play) -> None:
    """Of the serial line only one direction works, of the Ethernet only the other. Each node hears the other, on one
    medium alone: nothing moves."""
    play.settle()
    play.cut("/dev/ttyS0", sender="julius")
    play.cut("eth1", sender="caesar")
    play.run(40)
    play.served_by("julius", HOME)
    assert play.unnoticed


@scene()
def brief_cut(play: Play) -> None:
    """The only medium is cut for 4 s, in which a status of each is lost. Nothing moves, and it is not asked for."""
    play.settle()
    play.cut()
    play.run(4)
    play.heal()
    play.run(10)
    play.served_by("julius", HOME)
    assert play.unnoticed


@scene()
def one_way_cut(play: Play) -> None:
    """What julius says is not heard any more, but it hears caesar. caesar finds it dead and takes over; julius sees in
    caesar's statuses that it is not heard, and lets go: two of them in a row, for one may be old news."""
    play.settle()
    play.cut(sender="julius")
    play.run(40)
    play.served_by("caesar", HOME)
    play.heal()
    play.run(15)
    play.served_by("caesar", HOME)


@scene(groups=PAIR)
def one_way_cut_at_the_start(play: Play) -> None:
    """julius hears caesar and is not heard, from the beginning on. What it hears might be a recording, for nobody
    answers its nonce: each finds the other dead after initdead and serves everything. Once healed, each keeps its
    own, decisions/healed-partition."""
    play.cut(sender="julius")
    play.boot()
    play.run(45)
    assert play.holders(FIRST) == ["julius", "caesar"]
    play.heal()
    play.run(15)
    play.served_by("julius", FIRST)
    play.served_by("caesar", OTHER)


@scene(keepalive_s=0.5, deadtime_s=4, warntime_s=3, seed=8)
def serial_noise(play: Play) -> None:
    """One octet in a thousand is damaged on the serial line, a quarter of all frames, decisions/retransmission. Lost
    statuses are not asked for; a hand-over in the midst of it is, and comes through. Nobody is found dead."""
    play.settle()
    play.quality(Quality(noise=1e-3), "/dev/ttyS0")
    play.run(5)
    play.ask("julius", "standby")
    play.run(5)
    play.quality(None, "/dev/ttyS0")
    play.run(5)
    play.served_by("caesar", HOME)
    assert not play.said("dead")


@scene(media=("eth1",), keepalive_s=1, deadtime_s=5, warntime_s=3)
def ethernet_loss(play: Play) -> None:
    """A third of all datagrams is lost, decisions/retransmission. The messages of a hand-over are asked for until they
    have come; statuses are not. Nobody is found dead."""
    play.settle()
    play.quality(Quality(loss=1 / 3), "eth1")
    play.run(5)
    play.ask("julius", "standby")
    play.ask("caesar", "standby", "failback")
    play.quality(None, "eth1")
    play.run(10)
    play.served_by("julius", HOME)
    assert not play.said("is dead")


@scene(media=("eth1",), keepalive_s=1, deadtime_s=5, warntime_s=3)
def ethernet_duplicates(play: Play) -> None:
    """A switch doubles, delays and damages datagrams. What comes twice, late or broken counts once or not at all."""
    play.settle()
    play.quality(Quality(duplicate=0.5, reorder=0.3, corrupt=0.1), "eth1")
    play.ask("julius", "standby")
    play.ask("caesar", "standby")
    play.run(20)
    play.served_by("julius", HOME)
    assert not play.said("is dead")


@scene(media=TWO_MEDIA)
def flow_control(play: Play) -> None:
    """The other end of the serial line takes nothing for half a minute, while the Ethernet works. What waits is given
    up, the newest status is kept, and when the line moves again nothing old arrives that could change anything."""
    play.settle()
    play.block("/dev/ttyS0", "julius")
    play.run(30)
    play.block("/dev/ttyS0", "julius", blocked=False)
    play.run(10)
    play.served_by("julius", HOME)
    assert play.unnoticed


@scene(baud=2400, keepalive_s=3)
def bandwidth(play: Play) -> None:
    """A line of 2400 baud, on which a status takes 1.2 s and a keepalive is 3 s, the least that fits. The messages of a
    hand-over go before it; it is done in seconds, nobody is found dead, and nobody is late."""
    play.settle()
    play.ask("julius", "standby")
    play.run(10)
    play.served_by("caesar", HOME)
    assert not play.said("dead")
    assert not play.said("late")


@scene(media=TWO_MEDIA)
def lone_node(play: Play) -> None:
    """Every interface of the node that serves is gone, and the other lives, decisions/lone-node. It falls silent before
    the other takes over; then it finds the other dead, as that one it, and both serve: the price, until one is back."""
    play.settle()
    play.unplug("julius", *TWO_MEDIA)
    play.run(40)
    assert play.holders(HOME) == ["julius", "caesar"]
    play.plug("julius", "eth1")
    play.run(15)
    play.served_by("julius", HOME)


@scene(media=TWO_MEDIA)
def lone_node_with_a_dead_peer(play: Play) -> None:
    """The other machine is dead, and then every interface goes too, decisions/lone-node. Whoever has found the other
    dead renews its leases without a medium: no client sees it."""
    play.settle()
    play.power_off("caesar")
    play.run(20)
    play.unplug("julius", *TWO_MEDIA)
    play.run(60)
    play.served_by("julius", HOME)
    assert play.unnoticed
