"""python -I -S modules.py PYTHON -m heartbeat.cli ARGUMENT…: the daemon of those arguments, in an interpreter that
loads nothing unasked; when it ends, it leaves the names of all that it has loaded in the file that VARIABLE names."""

import os
import sys

VARIABLE = "HEARTBEAT_TEST_MODULES"
# of the clone, and of the packages that are installed, as the caller finds them
PATHS = "HEARTBEAT_TEST_PATHS"


def main() -> int:
    before = set(sys.modules)
    sys.path += os.environ[PATHS].split(os.pathsep)
    import heartbeat.cli

    code = heartbeat.cli.main(sys.argv[4:])
    with open(os.environ[VARIABLE], "w") as file:
        file.write("\n".join(sorted(set(sys.modules) - before)))
    return code


if __name__ == "__main__":
    sys.exit(main())
