"""python -I -S modules.py PYTHON -m heartbeat.cli ARGUMENT…: the daemon of those arguments; when it ends, it leaves the
names of all that it has loaded in the file that VARIABLE names."""

import posix
import sys

ANEW = "anew"
VARIABLE = "HEARTBEAT_TEST_MODULES"
# of the clone, and of the packages that are installed, as the caller finds them
PATHS = "HEARTBEAT_TEST_PATHS"


def main() -> int:
    sys.path += posix.environ[PATHS.encode()].decode().split(":")
    if sys.argv[1] == ANEW:
        return daemon(sys.argv[2:])
    import heartbeat.cli
    from heartbeat import launch

    # the interpreter that begins anew is this file's, too
    launch.PROGRAM = (__file__, ANEW)
    return heartbeat.cli.main(sys.argv[4:])


def daemon(argv: list[str]) -> int:
    before = set(sys.modules)
    from heartbeat import anew

    code = anew.main(argv)
    with open(posix.environ[VARIABLE.encode()], "w") as file:
        file.write("\n".join(sorted(set(sys.modules) - before)))
    return code


if __name__ == "__main__":
    sys.exit(main())
