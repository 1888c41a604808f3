"""One command for each table of docs/decisions."""

import argparse
import time

from bench.decisions import flapping, healed, lone, overlap, restart, retransmission, stalled

EXPERIMENTS = {
    "stalled-node": (stalled.run, 60),
    "healed-partition": (healed.run, 40),
    "lone-node": (lone.run, 40),
    "announced-restart": (restart.run, 10),
    "flapping": (flapping.run, 5),
    "retransmission": (retransmission.run, 5),
    "make-before-break": (overlap.run, 40),
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.decisions", description=__doc__)
    parser.add_argument("name", choices=EXPERIMENTS)
    parser.add_argument("--lives", type=int, help="of each cell of the table")
    arguments = parser.parse_args()
    run, lives = EXPERIMENTS[arguments.name]
    began = time.process_time()
    print(run(arguments.lives or lives))
    print(f"\n{arguments.lives or lives} lives a cell, {time.process_time() - began:.0f} s of CPU")


if __name__ == "__main__":
    main()
