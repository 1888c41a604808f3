"""From `heartbeat run` to the daemon: python -I -S launch.py run DIRECTORY... DIVISOR GROUP [PATH]...

The command's interpreter has loaded whatever launchers, the environment's `.pth` files and the machine's `site` want,
which the daemon would keep for years. So the process begins anew: the same number, descriptors, priority and blocked
signals, in an interpreter that loads nothing unasked. Then it reads the operator's files, before anything else is
loaded (files.py).

DIRECTORY: the four, as Paths has them. GROUP: the number of the group that may look; the machine's libraries that know
it stay out of the daemon. PATH: where modules are that are not beside this package.
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
PROGRAM: tuple[str, ...] = (os.path.join(OWN, "heartbeat/launch.py"), "run")


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
    return _begin(words)


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


def main(argv: list[str]) -> int:
    sys.path += [OWN, *argv[6:]]
    load_compiled()
    return _begin(argv[:6])


def load_compiled() -> None:
    """Modules that ask for `collections.abc` as they are loaded, and for nothing else of `collections`, which costs
    0.3 MB."""
    import _collections_abc  # noqa: PLC0415

    stand_in = type(sys)("collections")
    stand_in.abc = _collections_abc  # type: ignore[attr-defined]
    sys.modules["collections"], sys.modules["collections.abc"] = stand_in, _collections_abc
    try:
        import array  # noqa: F401, PLC0415

        import _hbfast  # noqa: F401, PLC0415
    finally:
        del sys.modules["collections"], sys.modules["collections.abc"]


def _begin(words: list[str]) -> int:
    from heartbeat import files, privileges  # noqa: PLC0415
    from heartbeat.paths import Paths  # noqa: PLC0415

    privileges.mask_files()
    privileges.hide_memory()
    *directories, divisor, group = words
    paths = Paths(*directories)
    try:
        config = files.read(paths, divisor=int(divisor))
    except files.WrongFilesError as error:
        for line in error.lines:
            print(line, file=sys.stderr)
        print("heartbeat: not started: configuration error", file=sys.stderr)
        return 6
    from heartbeat import daemon  # noqa: PLC0415

    return daemon.run(paths, config, group=int(group))


if __name__ == "__main__":
    sys.exit(main(sys.argv[2:]))
