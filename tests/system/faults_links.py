"""What befalls the links: interfaces go down, frames are lost, copied, late or damaged, lines are flooded.

While a service interface is down nobody behind it can be served, because the pair has no third network to decide by;
what counts then is the time from when it is up again. Where no medium works both ways two may hold; what counts is the
time from when one does.
"""

from __future__ import annotations

from system.faults import Figures, excused, fault
from system.play import PATIENCE_S, until
from system.stage import BAUD, CARDS, DEADTIME_S, Stage, pause

# of each octet, to be another: every second frame arrives
NOISE_PER_OCTET = 0.002
# A flood is handed to the line in portions of so long.
PORTION_S = 0.01


def _down(stage: Stage, node, card: str, *, serves: bool) -> Figures:
    def set_link(state: str) -> None:
        assert node.run(["ip", "link", "set", card, state]).returncode == 0

    if not serves:
        set_link("down")
        pause(2 * DEADTIME_S)
        set_link("up")
    else:
        with excused(stage):
            set_link("down")
            pause(2 * DEADTIME_S)
            set_link("up")
    pause(DEADTIME_S)
    return {}


@fault("ip link down of the holder's eth0, eth1", steps=len(CARDS))
def holders_link_down(stage: Stage, number: int) -> Figures:
    return _down(stage, stage.holding(), CARDS[number % len(CARDS)], serves=True)


@fault("ip link down of the standby's eth0, eth1", steps=len(CARDS))
def standbys_link_down(stage: Stage, number: int) -> Figures:
    return _down(stage, stage.standing_by(), CARDS[number % len(CARDS)], serves=False)


@fault("plug of the holder's eth0, eth1 pulled", steps=len(CARDS))
def plug_pulled(stage: Stage, number: int) -> None:
    node, card = stage.holding(), CARDS[number % len(CARDS)]
    with excused(stage):
        node.pull(card)
        pause(2 * DEADTIME_S)
        node.push(card)
    pause(DEADTIME_S)


# --- one medium is not what it should be, the other works


def _for_a_while(stage: Stage) -> None:
    pause(3 * DEADTIME_S)
    stage.links.heal()
    stage.cable.join()
    stage.cable.noise(0, 0)


@fault("serial line: what the holder sends is lost")
def serial_from_holder(stage: Stage, number: int) -> None:
    stage.cable.cut(stage.end_of(stage.holding()))
    _for_a_while(stage)


@fault("serial line: what the standby sends is lost")
def serial_from_standby(stage: Stage, number: int) -> None:
    stage.cable.cut(stage.end_of(stage.standing_by()))
    _for_a_while(stage)


@fault("Ethernet: what the holder sends to the standby is lost")
def ethernet_from_holder(stage: Stage, number: int) -> None:
    stage.links.lose(*stage.ways("eth0", stage.holding()))
    _for_a_while(stage)


@fault("Ethernet: what the standby sends to the holder is lost")
def ethernet_from_standby(stage: Stage, number: int) -> None:
    stage.links.lose(*stage.ways("eth0", stage.standing_by()))
    _for_a_while(stage)


@fault("crossed: one way is lost on the serial line, the other on Ethernet", two=True)
def crossed(stage: Stage, number: int) -> None:
    """Each hears the other, but no medium works both ways."""
    nodes = stage.nodes if number % 2 else stage.nodes[::-1]
    with excused(stage):
        stage.cable.cut(stage.end_of(nodes[0]))
        stage.links.lose(*stage.ways("eth0", nodes[1]))
        _for_a_while(stage)


@fault("serial line cut, 10 % of the Ethernet heartbeats lost")
def loss(stage: Stage, number: int) -> None:
    stage.cable.cut()
    # not more: by chance all of a deadtime's would be
    stage.links.lose(*stage.ways("eth0"), percent=10, what="udp dport 694")
    _for_a_while(stage)


@fault("Ethernet: every heartbeat arrives twice")
def copies(stage: Stage, number: int) -> None:
    stage.links.copy(*stage.ways("eth0"))
    _for_a_while(stage)


@fault("serial line cut, Ethernet 0 to 150 ms late, out of order")
def late(stage: Stage, number: int) -> None:
    stage.links.delay(*stage.ways("eth0"), least_ms=0, most_ms=150, seed=number)
    stage.cable.cut()
    _for_a_while(stage)


@fault("serial line: noise")
def noise(stage: Stage, number: int) -> None:
    stage.cable.noise(NOISE_PER_OCTET, number)
    _for_a_while(stage)


def _flood_line(stage: Stage, seconds: float) -> None:
    octets = round(BAUD / 10 * PORTION_S)
    for _ in range(round(seconds / PORTION_S)):
        stage.cable.burst(octets)
        pause(PORTION_S)


@fault("serial line: random octets at line rate, both ways")
def line_flood(stage: Stage, number: int) -> Figures:
    nodes = stage.nodes
    before_s = [stage.cpu_s(node) for node in nodes]
    _flood_line(stage, 2.0)
    share = max(stage.cpu_s(node) - before for node, before in zip(nodes, before_s, strict=True)) / 2.0
    return {"share of a processor, %": 100 * share}


# --- no medium works


@fault("no medium: all that one node sends is lost", steps=2, two=True)
def deaf(stage: Stage, number: int) -> None:
    node = stage.nodes[number % 2]
    with excused(stage):
        stage.cable.cut(stage.end_of(node))
        stage.links.lose(*stage.ways("eth0", node))
        _for_a_while(stage)


@fault("no medium at all, then healed", two=True)
def partition(stage: Stage, number: int) -> None:
    with excused(stage):
        stage.cable.cut()
        stage.links.lose(*stage.ways("eth0"))
        until(lambda: all(stage.held().values()), PATIENCE_S, "both hold")
        _for_a_while(stage)
