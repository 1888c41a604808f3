"""What a router pays for its daemon: memory, processes, processor time, wake-ups, the time to the first heartbeat.

    python -m bench.footprint           measures all systems one after the other in one run, prints the tables and the
                                        verdicts, writes the record and the page; exit code 1 where a bar is missed.
                                        Half an hour; `--quick`: six minutes

Ours, Debian's heartbeat 3.0.6 and keepalived run on the same two machines in namespaces, with the same times, media and
addresses (systems.py). Ours runs as docs/operating.md says: the wheel in an environment of its own (installed.py).
What they use, the kernel tells (processes.py); what they send is read off the wire (wire.py).
"""

import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]

# the machines that run either program are the tests'
if str(ROOT / "tests") not in sys.path:
    sys.path.append(str(ROOT / "tests"))
