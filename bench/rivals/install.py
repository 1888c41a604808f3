"""The rivals' packages, installed when they are first needed, as the tests install the original: nothing that a package
brings is started, now or at the next boot."""

from __future__ import annotations

import shutil
import subprocess
from functools import cache

from interop import package

# package → the service that it would start with the machine
UNITS = {"keepalived": "keepalived.service", "ucarp": None}


@cache
def obstacle(name: str) -> str:
    """Why there is no such package here; empty when it is there. Installs it."""
    if name == "heartbeat":
        return package.obstacle()
    try:
        if not package.installed(name):
            _install(name)
    except (package.UnavailableError, OSError) as error:
        return str(error)
    return "" if package.installed(name) else f"apt has installed no {name}"


def _install(name: str) -> None:
    if shutil.which("apt-get") is None:
        raise package.UnavailableError("there is no apt, from which it would be installed")
    with package._nothing_starts():
        try:
            package._apt("apt-get", "-qq", "install", "-y", "--no-install-recommends", name)
        except package.UnavailableError:
            package._apt("apt-get", "-qq", "update")
            package._apt("apt-get", "-qq", "install", "-y", "--no-install-recommends", name)
    unit = UNITS[name]
    if unit is not None and shutil.which("systemctl") is not None:
        subprocess.run(["systemctl", "--quiet", "disable", unit], capture_output=True, check=False)
