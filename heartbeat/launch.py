"""From `heartbeat run` to the daemon: python -I -S -c … OWN run DIRECTORY... DIVISOR GROUP [PATH]...

The command's interpreter has loaded whatever launchers, the environment's `.pth` files and the machine's `site` want,
which the daemon would keep for years. So the process begins anew: the same number, descriptors, priority and blocked
signals, in an interpreter that loads nothing unasked (anew.py).

OWN: where this package is. DIRECTORY: the four, as Paths has them. GROUP: the number of the group that may look; the
machine's libraries that know it stay out of the daemon. PATH: where modules are that are not beside this package.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from heartbeat.paths import Paths

# the original's group of API clients (protocol/config.md §1)
GROUP = "haclient"
OWN = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
# a file that is run is compiled each time, and its syntax tree kept for as long as it runs: 0.2 MB
BEGIN = """\
import sys
sys.path.append(sys.argv[1])
from heartbeat.anew import main
sys.exit(main(sys.argv[3:]))"""
PROGRAM: tuple[str, ...] = ("-c", BEGIN, OWN, "run")


def begin_anew(paths: Paths, divisor: int) -> int:
    """Does not return, unless it cannot be done: then the exit code of a daemon in this interpreter."""
    from heartbeat.lean import signal  # noqa: PLC0415

    directories = (paths.config_dir, paths.run_dir, paths.state_dir, paths.lock_dir)
    words = [*directories, str(divisor), str(group_id())]
    # one that is told to stop while it starts stops when it can release what a crashed run left
    signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGTERM, signal.SIGINT, signal.SIGHUP))
    argv = [sys.executable, "-I", "-S", "-X", "utf8", *PROGRAM, *words, *_elsewhere()]
    try:  # noqa: SIM105
        # the locale's tables cost 0.2 MB, and the daemon writes numbers and UTF-8 in any
        os.execve(sys.executable, argv, {**os.environ, "LC_ALL": "C"})
    except OSError:
        pass
    from heartbeat import anew  # noqa: PLC0415

    return anew.begin(words)


def _elsewhere() -> list[str]:
    """Of where this interpreter finds modules, what the other one would not know."""
    return [path for path in sys.path if path.endswith("-packages") and path != OWN]


def group_id() -> int:
    """The number of the group that may look, -1 where the machine has none of that name."""
    import grp  # noqa: PLC0415

    try:
        return grp.getgrnam(GROUP).gr_gid
    except KeyError:
        return -1
