"""What the parts cost one by one, for one processor and without a wire: the codec, the signatures, the timers, the core
and the simulator, beside their rivals.

    python -m bench.micro               measures all, prints the table, writes the record and the page; exit code 1
                                        where a bar is missed. Two minutes; `--quick`: less than one
    python -m bench.micro wheel core    these parts alone
    pytest bench/micro -k test_wheel    the same cases as suites of pytest-benchmark: its statistics, and its
                                        --benchmark-autosave and --benchmark-compare
    python -m bench.instructions        instructions instead of times, compared with what is kept

A case (case.py) says what is repeated; measure.py repeats all of them in turn, so that a machine that is now fast and
now slow is so for a case and its rival alike; bars.py says what is demanded, and of which cases. The inputs are the
recorded messages of tests/data/captures, the rivals:

    the plain implementations of tests/reference
    the original's own C library, libplumb2 (plumb.py)
    heapq, for the timers; hashlib and hmac, for the signatures
"""

import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]

# the reference, the recordings and the world of two cores are the tests'
for folder in (ROOT / "tests" / "unit", ROOT / "tests"):
    if str(folder) not in sys.path:
        sys.path.append(str(folder))
