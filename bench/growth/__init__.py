"""How the cost grows with the work, each a curve with its exponent:

    nodes       2 to 64 on one broadcast medium: what a second costs one node (codec and membership)
    media       1 to 8 of a pair: what a second costs one node
    addresses   1 to 1,000 of a pair of daemons in namespaces: the take-over, its processor time, and that of a second
                in the steady state (root)

    python -m bench.growth              all; prints the tables, writes the record and the page, with a picture for each
                                        part; exit code 1 where the cost grows faster than it may. Ten minutes;
                                        `--quick`: five
    python -m bench.growth nodes        that part alone, and writes nothing but with --json

An exponent is the slope of a straight line through the logarithms, by least squares: 1 is linear, 2 quadratic. What a
second costs in any case hides it among small numbers, so that of the upper half of the curve is told as well.
"""

import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]

# the machines, and the world of two cores, are the tests'
for folder in (ROOT / "tests" / "unit", ROOT / "tests"):
    if str(folder) not in sys.path:
        sys.path.append(str(folder))
