"""The witness: intervals out of what changed, and a real kernel whose addresses come and go."""

import os
import time

import pytest
from interop.kernels import LATE_NS, Held, Kernels, intervals

from heartbeat.demo.clock import MILLISECOND, now_ns
from heartbeat.demo.machine import add_address
from heartbeat.demo.network import Interface
from heartbeat.demo.world import World, until

ONE = "10.0.0.254"


def found(changes, holders, since=0, until_ns=100):
    held = [Held(at, router, frozenset(addresses)) for at, router, addresses in changes]
    return [(each.begin_ns, each.end_ns) for each in intervals(held, ONE, holders, since, until_ns)]


HAND_OVER = [(10, "julius", [ONE]), (20, "caesar", []), (40, "julius", []), (45, "caesar", [ONE])]
OVERLAP = [(10, "julius", [ONE]), (50, "caesar", [ONE]), (60, "julius", [])]


@pytest.mark.parametrize(
    ("changes", "both", "neither"),
    [
        ([], [], [(0, 100)]),
        (HAND_OVER, [], [(0, 10), (40, 45)]),
        (OVERLAP, [(50, 60)], [(0, 10)]),
        ([*OVERLAP, (80, "caesar", [])], [(50, 60)], [(0, 10), (80, 100)]),
        ([(10, "julius", [ONE]), (50, "caesar", [ONE])], [(50, 100)], [(0, 10)]),
    ],
)
def test_intervals(changes, both, neither):
    assert found(changes, 2) == both
    assert found(changes, 0) == neither


def test_intervals_of_a_part_of_the_time():
    assert found(HAND_OVER, 0, since=15, until_ns=42) == [(40, 42)]
    assert found(OVERLAP, 2, since=55) == [(55, 60)]
    assert found(OVERLAP, 2, since=70) == []


@pytest.mark.system
@pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root")
def test_a_kernel_is_seen_as_soon_as_somebody_looked():
    with World() as world:
        router = world.machine("julius", [Interface("eth0", "net", "10.0.0.2/24", "02:00:0a:00:00:02")])
        kernels = Kernels(world.folder, [ONE])
        try:
            world.power_on(router)
            kernels.watch(router)
            assert kernels.now() == {"julius": frozenset()}
            with router.netlink() as ip:
                index = ip.link_lookup(ifname="eth0")[0]
                before_ns = now_ns()
                add_address(ip, index, f"{ONE}/24")
                added_ns = now_ns()
            until(lambda: len(kernels.changes()) == 2, 5, "the address is seen")
            assert kernels.changes()[1].addresses == {ONE}
            time.sleep(0.05)
            (gap,) = kernels.none(before_ns, now_ns())
            # however busy the machine: between two looks is LATE_NS at most, or what the witness owns up to
            assert gap.end_ns == kernels.changes()[1].at_ns
            assert gap.end_ns - added_ns <= max(LATE_NS, kernels.late_ms(before_ns) * MILLISECOND)
            forgotten_ns = now_ns()
            kernels.forget(router)
            world.power_off(router)
            time.sleep(0.05)
            (gone,) = kernels.none(forgotten_ns, now_ns())
            assert gone.end_ns - gone.begin_ns > 50 * MILLISECOND
            assert kernels.now() == {"julius": frozenset()}
        finally:
            kernels.close()
