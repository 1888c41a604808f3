"""How fast the simulator is: heartbeats a second in one process, with all audits on and keys of crc.

    python -m bench.sim [RUNS]      medians of so many runs, 5 where nothing is said

By the clock on the wall, and by the processor's time of this process: a busy machine changes the first alone. What is
counted is a status of either node: made, encoded, signed, sent, verified and handled, with the renewal of the sender's
leases, and with the audit that looks wherever something changes. The pairs live without faults:

    serial      the seed's files: keepalive 5, deadtime 15, one line of 19200 baud
    Ethernet    the same over one interface
    fast        keepalive 100 ms, deadtime 500 ms, over one interface

A run's time is that of the whole life, boot and convergence included; it takes LEAST_S or more.
"""

import sys
import time
from dataclasses import replace
from statistics import median

from heartbeat.core.settings import MILLISECOND
from heartbeat.sim.life import Life
from heartbeat.sim.options import Options
from heartbeat.sim.script import Script

RUNS, LEAST_S = 5, 3.0
PROBED = 20_000  # heartbeats of a first life, which says how long the others must be
KEYS = ("crc", b"")



def pair(script: Script) -> Options:
    """As two boxes are, and as `heartbeat simulate` has them: started at different instants, with clocks that differ by
    some millionths."""
    options = script.options
    return replace(options, boot_ns=(0, options.keepalive_ns // 3), rates=(31, -17))


PAIRS = {
    "serial": pair(Script(keys=KEYS)),
    "Ethernet": pair(Script(keys=KEYS, media=("eth0",))),
    "fast": pair(Script(keys=KEYS, media=("eth0",), keepalive_s=0.1, deadtime_s=0.5, warntime_s=0.3, initdead_s=1.0)),
}


def lived(options: Options, heartbeats: int) -> tuple[float, float, int]:
    """A life of so many heartbeats: seconds by the wall and by the processor, and how many there were."""
    life = Life(replace(options, duration_ns=heartbeats // 2 * options.keepalive_ns), [])
    wall_s, processor_s = time.perf_counter(), time.process_time()
    outcome = life.run()
    spent = time.perf_counter() - wall_s, time.process_time() - processor_s
    assert outcome.good, outcome.text
    assert outcome.heartbeats >= heartbeats - 2
    return *spent, outcome.heartbeats


def rates(options: Options, runs: int) -> list[tuple[float, float]]:
    """Of each run: heartbeats a second, by the wall and by the processor."""
    found: list[tuple[float, float]] = []
    heartbeats = PROBED
    while len(found) < runs:
        wall_s, processor_s, counted = lived(options, heartbeats)
        if processor_s >= LEAST_S:
            found.append((counted / wall_s, counted / processor_s))
        else:
            heartbeats = round(heartbeats * max(1.2 * LEAST_S / processor_s, 1.1))
    return found


def main() -> None:
    runs = int(sys.argv[1]) if sys.argv[1:] else RUNS
    print(f"{'heartbeats/s':12} {'keepalive':>10} {'wall':>10} {'processor':>10}")
    for name, options in PAIRS.items():
        wall, processor = (median(each) for each in zip(*rates(options, runs), strict=True))
        keepalive_ms = options.keepalive_ns // MILLISECOND
        print(f"{name:12} {keepalive_ms:>7} ms {wall:10,.0f} {processor:10,.0f}", flush=True)


if __name__ == "__main__":
    main()
