"""Agents that run as child processes: the operator's scripts, systemd units, OCF agents. Loaded where there are any.

Rules: an argument list, never a shell. Nothing here starts a process (`heartbeat.children` does) and nothing reads more
than a directory entry, but for an OCF parameter file, once.
"""

from __future__ import annotations

from .base import BAD_ARGUMENTS, NOT_RUNNING, SUCCESS, AgentError, SpawnedAgent

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

OCF_ROOT = "/usr/lib/ocf"
_OCF_MASTER = 8  # OCF_RUNNING_MASTER: a promoted clone, running all the same
_PARAMETER_FILE_BYTES = 65536

# What the original's wrappers in resource.d make of positional arguments: protocol/resources.md §6.
_POSITIONAL = {
    "AudibleAlarm": ("nodelist",),
    "Filesystem": ("device", "directory", "fstype", "options"),
    "ICP": ("driveid", "device"),
    "IPsrcaddr": ("ipaddress",),
    "LVM": ("volgrpname",),
    "LinuxSCSI": ("scsi",),
    "Raid1": ("raidconf", "raiddev"),
    "ServeRAID": ("serveraid", "mergegroup"),
    "WAS": ("config",),
    "WinPopup": ("hostfile",),
    "Xinetd": ("service",),
    "apache": ("configfile",),
    "db2": ("instance",),
    "portblock": ("protocol", "portno", "action"),
}


def says_running(output: str) -> bool:
    """The original's rule for what `status` prints (protocol/resources.md §4); it does not look at the exit code."""
    for word in ("running", "Running"):
        position = output.find(word)
        while position >= 0:
            if output[max(position - 4, 0) : position].lower() == "not ":
                return False
            position = output.find(word, position + 1)
    return "running" in output or "Running" in output or "OK" in output


class Script(SpawnedAgent):
    """An operator's or an init script: `script [argument …] action`."""

    asks_status = True

    def command(self, verb: str) -> list[str]:
        return [self.origin, *self.arguments, verb]

    def running(self, code: int, output: str) -> bool | None:
        return says_running(output)


class Unit(SpawnedAgent):
    """A systemd unit. systemd itself knows that starting what runs does nothing."""

    def __init__(self, name: str, origin: str, systemctl: str) -> None:
        super().__init__(name, (), origin)
        self._systemctl = systemctl

    def command(self, verb: str) -> list[str]:
        unit = f"{self.name}.service"
        if verb == "status":
            return [self._systemctl, "is-active", "--quiet", "--", unit]
        return [self._systemctl, verb, "--", unit]

    def running(self, code: int, output: str) -> bool | None:
        return code == SUCCESS


class OcfAgent(SpawnedAgent):
    """An OCF resource agent: parameters in the environment, exit codes that mean something."""

    asks_status = True

    def __init__(
        self, name: str, arguments: Sequence[str], origin: str, provider: str, parameters: dict[str, str]
    ) -> None:
        super().__init__(name, arguments, origin)
        kind = origin.rpartition("/")[2]
        instance = "_".join((kind, *arguments))
        self.environment = {
            "OCF_ROOT": OCF_ROOT,
            "OCF_RA_VERSION_MAJOR": "1",
            "OCF_RA_VERSION_MINOR": "0",
            "OCF_TYPE": kind,
            "OCF_RESOURCE_TYPE": kind,
            "OCF_RESOURCE_PROVIDER": provider,
            # agents make file names of it
            "OCF_RESOURCE_INSTANCE": "".join(c if c.isascii() and c.isalnum() else "_" for c in instance)[:64],
            **parameters,
        }

    def command(self, verb: str) -> list[str]:
        return [self.origin, "monitor" if verb == "status" else verb]

    def running(self, code: int, output: str) -> bool | None:
        if code in (SUCCESS, _OCF_MASTER):
            return True
        # any other code is an error; then the start is tried, and says better than we could what is wrong
        return False if code == NOT_RUNNING else None


def ocf_parameters(kind: str, arguments: Sequence[str]) -> dict[str, str]:
    """OCF_RESKEY_… from `key=value` arguments, or from positional ones for the agents that had a wrapper."""
    names = _POSITIONAL.get(kind, ())
    found = {}
    for position, argument in enumerate(arguments):
        key, equals, value = argument.partition("=")
        if not (equals and key.isidentifier()):
            if position >= len(names):
                raise AgentError(BAD_ARGUMENTS, f"{kind}: write parameter {argument!r} as name=value")
            key, value = names[position], argument
        found[f"OCF_RESKEY_{key}"] = value
    return found


def ocf_parameter_file(path: str) -> dict[str, str]:
    """The assignments in a file of `NAME=value` lines as the original's `OCF` wrapper read them, without running them:
    comments, quotes and `export` are understood, expansions are an error."""
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            lines = file.read(_PARAMETER_FILE_BYTES).splitlines()
    except OSError as error:
        raise AgentError(BAD_ARGUMENTS, f"{path}: {error.strerror}") from error
    found = {}
    for number, line in enumerate(lines, 1):
        text = line.strip().removeprefix("export ").strip()
        if not text or text[0] == "#":
            continue
        name, equals, value = text.partition("=")
        if value[:1] in ("'", '"') and len(value) >= 2 and value[-1] == value[0]:
            single, value = value[0] == "'", value[1:-1]
        else:
            single, value = False, value.partition(" #")[0].rstrip()
            if any(character in value for character in " \t'\"|&;<>()"):
                raise AgentError(BAD_ARGUMENTS, f"{path}:{number}: quote the value")
        expanded = not single and any(character in value for character in "$`\\")
        if not equals or not name.isidentifier() or expanded or "\0" in value:
            raise AgentError(BAD_ARGUMENTS, f"{path}:{number}: only NAME=value without expansions is understood")
        found[name if name.startswith("OCF_") else f"OCF_RESKEY_{name}"] = value
    return found
