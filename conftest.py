"""Lets tests import bench/. The checkout comes last: what lies in it of the package's metadata must not be found before
that of the installed package."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parent))
