"""Resource agents: the programs that take, release and look at one resource. `resolve` finds the one for a word.

In order: a built-in of that name; CONFIG/resource.d/NAME; /etc/init.d/NAME; the systemd unit NAME.service; an OCF agent
(`ocf:provider:NAME::key=value…`, the original's `OCF::type::instance`, or a name that one of its wrappers had). With
`builtin_first=False` (`builtin_agents off`) the built-in comes after the operator's scripts.

Addresses run inside the daemon (`Address`), all else as processes (`SpawnedAgent`). Nothing here knows the core: an
agent also runs alone, `python -m heartbeat.agents NAME [argument …] start|stop|status|monitor`.
"""

from __future__ import annotations

import os

from .address import Address, SendArp
from .base import ANNOUNCEMENTS_NS, Agent, AgentError, Builtin, SpawnedAgent, is_script
from .network import shared
from .together import FIRST, REST, WHOLE, announce, start, stop

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "ANNOUNCEMENTS_NS", "FIRST", "REST", "WHOLE", "Address", "Agent", "AgentError", "SpawnedAgent", "announce", "aside",
    "disturbances", "notices", "resolve", "start", "stop", "take_notices",
]  # fmt: skip

_NAME_CHARACTERS = 64
_INLINE = {"IPaddr": Address, "IPaddr2": Address, "IPv6addr": Address, "SendArp": SendArp}
_SPAWNED = {"Delay": False, "MailTo": True}  # name: detached

_INIT_SCRIPTS = "/etc/init.d"
_UNIT_DIRECTORIES = (
    "/etc/systemd/system",
    "/run/systemd/system",
    "/run/systemd/generator",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
)
_SYSTEMCTL = ("/usr/bin/systemctl", "/bin/systemctl")


def notices() -> int:
    """A descriptor that is readable when somebody changed this machine's links or addresses: the time to `restore` what
    is held. It stays readable until `take_notices` (or any method of an address agent) was called."""
    return shared().fileno()


def take_notices() -> None:
    """Read what `notices` has; `restore` knows of it."""
    shared().changes()


def disturbances() -> int:
    """A number that grows when one of those notices was read, by whomever, of what somebody else has changed."""
    return shared().disturbances


def aside(agent: Address) -> SpawnedAgent:
    """The same in a process of its own: for what would take the daemon's time."""
    return Builtin(agent.name, agent.arguments, detached=True)


def resolve(
    name: str, arguments: Sequence[str], *, builtin_first: bool = True, config_dir: str = "/etc/ha.d", root: str = ""
) -> Agent | None:
    """The agent for a resource word; None: there is none of that name here. Starts and opens nothing.

    root: put before the system's own directories (not before config_dir), for tests and images.
    AgentError: an OCF agent's parameters cannot be understood. (A built-in's are, at the latest, judged by `start`.)
    """
    if not valid_name(name):
        return None
    scripts = (f"{config_dir}/resource.d/{name}", f"{root}{_INIT_SCRIPTS}/{name}")
    script = next((_script(name, arguments, path) for path in scripts if is_script(path)), None)
    builtin = _builtin(name, arguments)
    first, second = (builtin, script) if builtin_first else (script, builtin)
    return first or second or _unit(name, arguments, root) or _ocf(name, arguments, config_dir, root)


def valid_name(name: str) -> bool:
    """Whether it can be looked for at all: one file name, no path, no option."""
    return (
        0 < len(name) <= _NAME_CHARACTERS
        and name[0] not in ".-"
        and all(c.isascii() and (c.isalnum() or c in "_.@:+-") for c in name)
    )


def _builtin(name: str, arguments: Sequence[str]) -> Agent | None:
    if name in _INLINE:
        return _INLINE[name](name, arguments)
    if name in _SPAWNED:
        return Builtin(name, arguments, detached=_SPAWNED[name])
    return None


def _script(name: str, arguments: Sequence[str], path: str) -> Agent:
    from .script import Script  # noqa: PLC0415  as those below: a daemon of addresses alone has no use for it

    return Script(name, arguments, path)


def _unit(name: str, arguments: Sequence[str], root: str) -> Agent | None:
    """By its file: to ask systemd would mean to start a process and wait for it. A unit takes no arguments."""
    systemctl = next((path for path in _SYSTEMCTL if is_script(root + path)), None)
    if systemctl is None or arguments:
        return None
    from .script import Unit  # noqa: PLC0415

    template, at, _ = name.partition("@")
    for unit in (name, template + at) if at else (name,):
        for directory in _UNIT_DIRECTORIES:
            path = f"{root}{directory}/{unit}.service"
            if os.path.lexists(path):
                # the first directory decides; a link to /dev/null there masks the unit
                return Unit(name, path, systemctl) if os.path.isfile(path) else None
    return None


def _ocf(name: str, arguments: Sequence[str], config_dir: str, root: str) -> Agent | None:
    from .script import OCF_ROOT, OcfAgent, ocf_parameters  # noqa: PLC0415

    agents = f"{root}{OCF_ROOT}/resource.d"
    if name == "OCF" and len(arguments) == 2 and all(map(valid_name, arguments)):
        return _ocf_by_file(name, arguments, config_dir, agents)
    provider, kind = "heartbeat", name
    if ":" in name:
        parts = name.split(":")
        if len(parts) != 3 or parts[0] != "ocf" or not all(map(valid_name, parts[1:])):
            return None
        provider, kind = parts[1:]
    path = f"{agents}/{provider}/{kind}"
    if not is_script(path):
        return None
    return OcfAgent(name, arguments, path, provider, ocf_parameters(kind, arguments))


def _ocf_by_file(name: str, arguments: Sequence[str], config_dir: str, agents: str) -> Agent | None:
    """`OCF::type::instance`: the first provider that has the type, parameters from CONFIG/conf/OCF/type/instance."""
    from .script import OcfAgent, ocf_parameter_file  # noqa: PLC0415

    kind, instance = arguments
    try:
        providers = sorted(os.listdir(agents))
    except OSError:
        return None
    for provider in providers:
        path = f"{agents}/{provider}/{kind}"
        if is_script(path):
            parameters = ocf_parameter_file(f"{config_dir}/conf/OCF/{kind}/{instance}")
            return OcfAgent(name, arguments, path, provider, parameters)
    return None
