"""A cable that was cut and joined again, beside an original that holds: what the hosts on the lan see of it.

Ours has taken what the original holds, and told everybody. The original goes on; it never tells anybody again. So ours
lets go, and tells who answers now. How long a host that was misled gets no answer is printed.
"""

import itertools
import time

import pytest
from interop.pair import playing
from interop.program import ORIGINAL, OURS
from interop.setting import DEADTIME_S, GROUPS, INITDEAD_S, Setting
from system.play import until

from heartbeat.demo.clock import SECOND, now_ns
from heartbeat.demo.network import Interface

ADDRESS = GROUPS[0][1]


def host(world, number):
    machine = world.machine(
        f"host{number}", [Interface("eth0", "net10.0.0", f"10.0.0.{number}/24", f"02:00:00:b0:00:{number:02}")]
    )
    world.power_on(machine)
    return machine


def settled(pair, state):
    try:
        until(lambda: pair.state() == state and pair.done(), 3 * INITDEAD_S + 15, f"{state}, and nothing under way")
    except TimeoutError:
        print(pair.state(), pair.say(), *(node.log() for node in pair.nodes.values()), sep="\n")
        raise


def longest_gap_ms(track, start_ns, end_ns):
    """Between two answers that follow each other."""
    instants = sorted(probe.arrived_ns for probe in track.between(start_ns, end_ns) if probe.arrived_ns)
    return max((b - a for a, b in itertools.pairwise(instants)), default=end_ns - start_ns) / 1e6


@pytest.mark.parametrize(
    "setting",
    [
        Setting(OURS, ORIGINAL, media=("ucast",), failback="off", groups=1),
        Setting(ORIGINAL, OURS, media=("serial",), failback="off", groups=1),
    ],
    ids=str,
)
def test_hosts_find_the_original_again(originals, setting):
    with playing(setting) as pair:
        theirs, ours = ("julius", "caesar") if setting.julius == ORIGINAL else ("caesar", "julius")
        pair.do("start julius caesar")
        settled(pair, "j")
        until(pair.links_up, 2 * INITDEAD_S, "both active")
        if ours == "julius":
            pair.do("takeover caesar all")
            settled(pair, "c")
        cards = {name: node.interfaces[0].mac for name, node in pair.nodes.items()}

        faithful, moved = host(pair.world, 11), host(pair.world, 12)
        faithful.run(["ip", "neigh", "replace", ADDRESS, "lladdr", cards[theirs], "dev", "eth0", "nud", "permanent"])
        asked = [pair.world.ping(each, ADDRESS) for each in (faithful, moved)]
        time.sleep(1)
        began_ns = now_ns()
        assert asked[1].track.first_arrival(began_ns - SECOND, cards[theirs])
        pair.do("cut all")
        until(lambda: pair.state() == "+", 4 * DEADTIME_S, "both have it")
        time.sleep(DEADTIME_S)
        misled_ns = now_ns()
        time.sleep(1)
        assert {probe.mac for probe in asked[1].track.between(misled_ns, misled_ns + SECOND // 2)} == {cards[ours]}

        healed_ns = now_ns()
        pair.do("heal")
        settled(pair, theirs[0])
        time.sleep(5)
        ended_ns = now_ns() - SECOND

        lost = asked[0].track.lost(began_ns, ended_ns)
        gap_ms = longest_gap_ms(asked[1].track, healed_ns, ended_ns)
        print(f"{setting}: who kept to the original lost {len(lost)}; who was misled got no answer for {gap_ms:.0f} ms")
        assert lost == []
        assert {probe.mac for probe in asked[1].track.between(ended_ns - SECOND, ended_ns)} == {cards[theirs]}
        assert gap_ms <= 1000
        log = pair.nodes[ours].log()
        assert f"{ADDRESS}: {theirs} holds it too; letting go here" in log
        assert f"{ADDRESS} is at {cards[theirs]} now; the neighbours are told" in log
        assert pair.state() == theirs[0]
