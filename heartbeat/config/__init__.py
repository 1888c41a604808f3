"""The operator's three files, ha.cf, haresources and authkeys, read to one `Config` or to every error in them.

Rules: the original's syntax to the letter (protocol/config.md); nothing is started half, so one error refuses all
three files, and all errors of all files are found in one go; where the original starts on nonsense, there is a warning.
The daemon keeps this package in memory: a hand-written parser, no regular expressions, nothing that it does not need.
"""

from __future__ import annotations

import os
import stat

from heartbeat.config import environment, hacf, haresources, machine
from heartbeat.config.authkeys import Keys, check_access
from heartbeat.config.directives import TABLE
from heartbeat.config.problems import ConfigError, Problems
from heartbeat.config.record import Config, MediumConfig, Respawn
from heartbeat.config.values import lower

__all__ = ["Config", "ConfigError", "MediumConfig", "Respawn", "load"]

HA_CF, HARESOURCES, AUTHKEYS = "ha.cf", "haresources", "authkeys"
# a file of this program is a page or two; more than this is something else, and would fill the locked memory
FILE_MAX = 1 << 20


def load(
    directory: str,
    *,
    node: str | None = None,
    divisor: int = 1,
    machine: bool = True,
    previous: Config | None = None,
) -> Config:
    """Read and check the files of a directory. ConfigError: every error of all three.

    node: this node's name, instead of nodeinfo or `uname -n`. machine: False leaves out what concerns this machine
    (own name, devices, interfaces, host names, accounts): the node is then the first of the file unless given.
    divisor: as `Config.settings` applies it. previous: a configuration whose resolved host names are taken over, so
    that a reload does not wait for a name server.
    """
    files = [Problems(os.path.join(directory, name)) for name in (HA_CF, HARESOURCES, AUTHKEYS)]
    config = Config(os.path.abspath(directory), divisor=divisor)
    config.node = lower(node if node is not None else _own_name(directory, machine))
    known = {medium.host: medium.address for medium in previous.media if medium.address} if previous else {}

    reader = hacf.Reader(config, files[0], known, ask_machine=machine)
    content = _content(files[0], "create it; see ha.cf(5)")
    if content is not None:
        reader.read(content, TABLE)
        reader.finish()
    if not config.node and config.nodes:
        config.node = config.nodes[0]

    content = _content(files[1], "create it, the same on both nodes; an empty one is allowed")
    if content is not None:
        config.groups = haresources.read(content, files[1], config.nodes)

    keys = Keys(files[2])
    content = _content(files[2], "create it with mode 600, the same on both nodes; see authkeys(5)", secret=True)
    if content is not None:
        keys.read(content)
    config.keys, config.outbound = keys.keys, keys.outbound

    errors = [text for problems in files for text in problems.errors()]
    config.warnings = tuple(text for problems in files for text in problems.warnings())
    if errors:
        raise ConfigError(errors, config.warnings)
    environment.complete(config, reader.computed())
    return config


def _own_name(directory: str, ask: bool) -> str:
    return machine.own_name(directory) if ask else ""


def _content(problems: Problems, advice: str, *, secret: bool = False) -> str | None:
    """A file's text, octets that are no UTF-8 kept as surrogates; None, and an error, where it cannot be read."""
    try:
        # O_NONBLOCK: a FIFO in its place must not hang us
        fd = os.open(problems.path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError) as error:
        problems.error(1, f"cannot be read: {getattr(error, 'strerror', None) or error}; {advice}")
        return None
    try:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode):
            problems.error(1, f"is not a file; {advice}")
            return None
        with open(fd, "rb", closefd=False) as file:
            octets = file.read(FILE_MAX + 1)
    except OSError as error:
        problems.error(1, f"cannot be read: {error.strerror}; {advice}")
        return None
    finally:
        os.close(fd)
    if len(octets) > FILE_MAX:
        problems.error(1, f"is longer than {FILE_MAX} octets; this is no configuration")
        return None
    problems.last_line = max(1, octets.count(b"\n") + (not octets.endswith(b"\n")))
    if secret:
        check_access(status.st_mode, status.st_uid, problems)
    return octets.decode("utf-8", "surrogateescape")
