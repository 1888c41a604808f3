"""The whole daemons that are compared, and the one stage on which each is played: what `bench.failover` and
`bench.false` share.

    client ──┬── lan ──┬── eth0 julius     ttyS0 ═══ cable ═══ ttyS0      a switch in a namespace of its own
             │         └── eth0 caesar                                    10.0.0.254 is the virtual address

    files        what stands in the systems' files
    systems      each system's configuration, how it is started and stopped, when it is ready, what it says itself
    stage        a pair of one system, switched on, mended, failed; the instruments beside it
    instruments  the client's probe, the tap in the switch, the loads: one small program in C, so that looking costs
                 next to nothing of the two processors that the daemons need
    install      the packages, from apt

Rules: topology, probe and failure are the same for all; a system's configuration is the best that is fair, and why it
is so stands beside it. Nobody's word is taken for what the client can see. All instants are of CLOCK_BOOTTIME, which on
a machine that is not suspended is CLOCK_MONOTONIC.
"""

import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]

# the harness of the system and interoperability tests
for folder in (ROOT / "tests" / "unit", ROOT / "tests"):
    if str(folder) not in sys.path:
        sys.path.append(str(folder))
