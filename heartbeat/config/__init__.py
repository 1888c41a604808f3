"""The operator's three files, ha.cf, haresources and authkeys, read to one `Config` or to every error in them.

Rules: the original's syntax to the letter (protocol/config.md); nothing is started half, so one error refuses all
three files, and all errors of all files are found in one go; where the original starts on nonsense, there is a warning.
The daemon keeps this package in memory: a hand-written parser, no regular expressions, nothing that it does not need.
"""

from __future__ import annotations

import os

from heartbeat.config import environment, hacf, haresources, machine, media, pings, scripts
from heartbeat.config.authkeys import Keys, check_access
from heartbeat.config.directives import TABLE
from heartbeat.config.lines import LINE_MAX, read, text_lines
from heartbeat.config.problems import ConfigError, Problems
from heartbeat.config.record import Config, MediumConfig, Respawn
from heartbeat.config.values import lower

TYPE_CHECKING = False
if TYPE_CHECKING:
    from heartbeat.config.advice import Report

__all__ = ["Config", "ConfigError", "MediumConfig", "Respawn", "check", "load"]

HA_CF, HARESOURCES, AUTHKEYS = "ha.cf", "haresources", "authkeys"


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
    divisor: as `Config.settings` applies it. previous: a configuration whose resolved host names are taken over; new
    ones are then refused, so that a reload never waits for a name server.
    """
    ha_cf, resources, keys = files = [
        Problems(os.path.join(directory, name)) for name in (HA_CF, HARESOURCES, AUTHKEYS)
    ]
    config = Config(os.path.abspath(directory), divisor=divisor)
    config.node = lower(node if node is not None else _own_name(directory, machine))
    known = pings.resolved(previous) if previous else None

    reader = hacf.Reader(config, ha_cf, known, ask_machine=machine)
    found = read(ha_cf, "create it; see ha.cf(5)")
    if found is not None:
        reader.read(text_lines(found[0], ha_cf, line_max=LINE_MAX), TABLE)
        reader.finish()
        media.fill_in_sources(reader)
        pings.finish(reader)
    if not config.node and config.nodes:
        config.node = config.nodes[0]
    found = read(resources, "create it, the same on both nodes; an empty one is allowed")
    if found is not None:
        config.groups = haresources.read(text_lines(found[0], resources), resources, config.nodes)
    _read_keys(config, keys, ask_machine=machine)

    errors = [text for problems in files for text in problems.errors()]
    config.warnings = tuple(text for problems in files for text in problems.warnings())
    if errors:
        raise ConfigError(errors, config.warnings)
    if machine:
        config.hooks, warnings = scripts.find(config.directory)
        config.warnings += tuple(warnings)
    environment.complete(config, reader.computed())
    return config


def check(directory: str, *, node: str | None = None, machine: bool = True) -> Report:
    """`heartbeat check`: the effective settings or all errors, and warnings of what will hurt later."""
    from heartbeat.config import advice  # noqa: PLC0415  the daemon never asks

    return advice.check(directory, node=node, machine=machine)


def _read_keys(config: Config, problems: Problems, *, ask_machine: bool) -> None:
    """ask_machine: the file is the one that a daemon of this machine uses."""
    found = read(problems, "create it with mode 600, the same on both nodes; see authkeys(5)")
    if found is None:
        return
    octets, status = found
    waived = check_access(status, problems, lenient=config.authkeys_permissions == "warn" or not ask_machine)
    keys = Keys(problems)
    # keys are octets, not characters: Latin-1 is each octet as it is
    keys.read(text_lines(octets, problems, line_max=LINE_MAX, encoding="latin-1"))
    config.keys, config.outbound = keys.keys, keys.outbound
    if config.strong_auth == "required" and keys.keys.get(keys.outbound, ("",))[0] == "crc":
        text = "crc has no secret, and strong_auth is required in ha.cf: nothing would be believed; use sha1 or better"
        problems.error(keys.lines[keys.outbound], text)
    config.exposed = (*waived, *keys.exposed())


def _own_name(directory: str, ask: bool) -> str:
    return machine.own_name(directory) if ask else ""
