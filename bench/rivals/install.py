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
        if not version(name):
            _install(name)
    except (package.UnavailableError, OSError) as error:
        return str(error)
    return "" if version(name) else f"apt has installed no {name}"


def version(name: str) -> str:
    """"1:2.2.7-1"; empty where it isn't installed, or not wholly."""
    if shutil.which("dpkg-query") is None:
        return ""
    argv = ["dpkg-query", "--show", "--showformat", "${db:Status-Status} ${Version}", name]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    status, _, found = done.stdout.partition(" ")
    return found if status == "installed" else ""


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
