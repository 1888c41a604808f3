"""Two pairs on two ends of a WAN, and traffic through both while their active routers lose power.

            net 10.0.0                  net 1.1.1                   net 10.0.1
    client ──┬── julius 10.0.0.254 1.1.1.254 ──┬── 1.1.1.253 10.0.1.254 marcus ──┬── server
             └── caesar                        │                  aurelius ──────┘
                                               └── each pair reaches the other's lan through its virtual WAN address

The client and the server send each other a thousand numbered packets a second. What the survivors' kernels say of
their addresses, and when each lost packet was sent, are instants of one clock.
"""

import time
from dataclasses import dataclass, replace

import pytest

from heartbeat.demo.clock import MILLISECOND, SECOND, now_ns
from heartbeat.demo.node import Node
from heartbeat.demo.probe import Stream
from heartbeat.demo.world import JULIUS_AND_CAESAR, Site, World, until

DIVISOR = 50
WEST = replace(JULIUS_AND_CAESAR, routes=(("10.0.1.0/24", "1.1.1.253"),))
EAST = Site(
    nodes=("marcus", "aurelius"), node_numbers=(4, 5), lan="10.0.1",
    lan_address="10.0.1.254", wan_address="1.1.1.253", client="server",
    routes=(("10.0.0.0/24", "1.1.1.254"),),
)  # fmt: skip
# After the survivor has its last address: for the announcements to reach everybody.
GRACE_NS = 20 * MILLISECOND
PACKETS_PER_S = 1000

# The kernel's own times for forgetting a neighbour who is silent, divided as the daemons' are: then entries fail during
# an outage of 15 s / 50 as they do in one of 15 s. (Undivided, an entry outlives the outage.)
NEIGHBOUR_TIMES = {"base_reachable_time_ms": 30_000 // DIVISOR, "retrans_time_ms": 1000 // DIVISOR,
                   "delay_first_probe_time": 0}  # fmt: skip


@dataclass
class Pair:
    """A site's routers; `active` forwards, as its kernel tells."""

    site: Site
    nodes: tuple[Node, Node]
    active: Node

    @property
    def standby(self) -> Node:
        return next(node for node in self.nodes if node is not self.active)


@dataclass
class Outage:
    """Packets sent in [failed, restored] may be lost."""

    failed_ns: int
    restored_ns: int

    def covers(self, instant_ns: int) -> bool:
        return self.failed_ns <= instant_ns <= self.restored_ns


def build(world: World) -> tuple[list[Pair], list[Stream]]:
    """Both pairs booted and settled, the preferred node of each active, and traffic both ways."""
    sites = (WEST, EAST)
    routers = [world.pair(site, cable=world.cable()) for site in sites]
    world.boot(*routers[0], *routers[1])
    pairs = [Pair(site, nodes, nodes[0]) for site, nodes in zip(sites, routers, strict=True)]
    hosts = [world.client(site) for site in sites]
    until(lambda: all(settled(pair) for pair in pairs), 20, "both pairs settled")
    streams = [world.stream(hosts[0], hosts[1], 9001), world.stream(hosts[1], hosts[0], 9002)]
    return pairs, streams


def settled(pair: Pair) -> bool:
    """Both nodes say that all is well, and their kernels agree on who holds."""
    states = [node.status() for node in pair.nodes]
    stable = all(
        state and state["stable"] and all(node["status"] == "active" for node in state["nodes"].values())
        for state in states
    )
    held = [[node.holds(address) for address in pair.site.addresses] for node in (pair.active, pair.standby)]
    return stable and held == [[True, True], [False, False]]


def carry_traffic(streams: list[Stream]) -> None:
    """Let a second's packets arrive, of a settled world."""
    start_ns = now_ns()
    time.sleep(1)
    for stream in streams:
        until(lambda track=stream.track: not track.lost(start_ns, start_ns + SECOND), 5, "all packets of a second")


def divide_neighbour_times(world: World) -> None:
    for machine in world.machines.values():
        if not machine.on:
            continue
        for interface in machine.interfaces:
            for name, value in NEIGHBOUR_TIMES.items():
                path = f"/proc/sys/net/ipv4/neigh/{interface.name}/{name}"
                done = machine.run(["sh", "-c", f"echo {value} >{path}"])
                assert done.returncode == 0, done.stderr


def fail_active(world: World, *pairs: Pair) -> Outage:
    """The power of their active routers fails, in one instant. The standby takes over, and the pair has changed."""
    victims = [pair.active for pair in pairs]
    failed_ns = now_ns()
    for victim in victims:  # first what is quick, so that the instant is one
        unplug(victim)
    for victim in victims:
        world.power_off(victim)
    added = []
    for pair in pairs:
        pair.active = pair.standby
        for address in pair.site.addresses:
            arguments = (failed_ns, pair.active.name, address)
            until(lambda given=arguments: world.observer.first(*given, added=True), 5, f"{pair.active.name} takes over")
            added.append(world.observer.first(*arguments, added=True))
    return Outage(failed_ns, max(added) + GRACE_NS)


def unplug(node: Node) -> None:
    for end in node.serial.values():
        end.unplug()
    for interface in node.interfaces:
        node.pull(interface.name)


def outages(world: World, pairs: list[Pair], streams: list[Stream], *, divided: bool) -> list[Outage]:
    """West's active router, east's, and both at once: each of the four nodes fails once, and comes back."""
    found = []
    for failing in ([pairs[0]], [pairs[1]], pairs):
        victims = [pair.active for pair in failing]
        carry_traffic(streams)
        found.append(fail_active(world, *failing))
        time.sleep(0.3)
        world.boot(*victims)
        if divided:
            divide_neighbour_times(world)
        until(lambda: all(settled(pair) for pair in pairs), 20, "both pairs settled after a return")
    carry_traffic(streams)
    return found


@pytest.mark.parametrize("divided", [False, True], ids=["neighbours remembered", "neighbours forgotten"])
def test_traffic_through_two_pairs_survives_the_power_failure_of_each_router_and_of_both_at_once(make_world, divided):
    world = make_world(DIVISOR)
    pairs, streams = build(world)
    if divided:
        divide_neighbour_times(world)
    start_ns = now_ns()
    found = outages(world, pairs, streams, divided=divided)
    end_ns = now_ns() - SECOND  # what was sent before has arrived, or never will
    assert [pair.active.name for pair in pairs] == ["julius", "marcus"]  # failed, and again when the others did
    for stream, receiving in zip(streams, reversed(pairs), strict=True):
        sent = stream.track.between(start_ns, end_ns)
        assert len(sent) >= (end_ns - start_ns) * PACKETS_PER_S // SECOND - 1
        lost = [packet for packet in sent if not packet.arrived_ns]
        print_figures(found, lost)
        assert [packet for packet in lost if not any(outage.covers(packet.sent_ns) for outage in found)] == []
        for outage in found:  # each failure was one that the traffic felt
            assert any(outage.covers(packet.sent_ns) for packet in lost)
        # it is the active router that hands over
        lately = stream.track.between(found[-1].restored_ns, end_ns)
        assert {packet.mac for packet in lately} == {receiving.active.interfaces[0].mac}


def print_figures(found: list[Outage], lost: list) -> None:
    for outage in found:
        within = [packet.sent_ns for packet in lost if outage.covers(packet.sent_ns)]
        added_ns = outage.restored_ns - GRACE_NS
        after_ms = (within[-1] - added_ns) / MILLISECOND if within else 0.0
        print(
            f"addresses back after {(added_ns - outage.failed_ns) / MILLISECOND:.1f} ms, {len(within)} lost, "
            f"the last sent {after_ms:+.1f} ms from then"
        )
