"""The procedure of docs/migrating.md, read from the page itself and done on a pair, so that the two can't drift apart.

In a block that begins with ```console each line with a prompt, `NODE# COMMAND`, is typed; what stands below it is what
one sees: nothing, or `[...]` for what differs from machine to machine. LOOKS are repeated until they print that; every
other command is done once, and must succeed.

All is typed into a shell on the router. Only what installs programs, and systemd, which does not run there, are played:

    PLACES                      stand on the router's own disk, each at the same path below it
    apt-get install             nothing: what it brings is there
    python3 -m venv             /opt/heartbeat gets the commands and the files of this clone
    systemctl start, stop       of the daemon that the unit file names: ours where one is in /etc/systemd/system, which
                                comes before the package's, else the original
    systemctl daemon-reload     the unit file is read; a start with another one than was read is an error
"""

from __future__ import annotations

import re
import subprocess
import sysconfig
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from interop.pair import Pair, TroubleError
from interop.program import ORIGINAL, OURS, Program

import heartbeat

PAGE = Path(__file__).parents[2] / "docs/migrating.md"
PLACES = ("/opt/heartbeat", "/usr/local/bin", "/etc/systemd/system")
UNIT = "etc/systemd/system/heartbeat.service"
ROOT_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
LOOKS = ("cl_status", "heartbeat status")
MOVE = "hb_standby"
# An original moves a group within seconds, and starts within fifteen; a busy machine takes three times as long.
PATIENCE_S = 60.0
_LOOK_S = 0.25
_PROMPT = re.compile(r"([a-z]+)# (.+)")
_LEFT_OUT = re.escape("[...]")


@dataclass(frozen=True)
class Typed:
    """line: of the page, counted from 1; sees: what the command prints, lines with their ends."""

    line: int
    node: str
    command: str
    sees: str = ""

    @property
    def looks(self) -> bool:
        return self.command.startswith(LOOKS)

    @property
    def moves(self) -> bool:
        return Path(self.command.split()[0]).name == MOVE

    def matches(self, output: str) -> bool:
        pattern = re.escape(self.sees.strip()).replace(_LEFT_OUT, ".*")
        return re.fullmatch(pattern, output.strip(), re.DOTALL) is not None

    def __str__(self) -> str:
        return f"{PAGE.name}:{self.line}: {self.node}# {self.command}"


@dataclass(frozen=True)
class Block:
    """heading: under which it stands."""

    heading: str
    typed: tuple[Typed, ...]

    @property
    def giver(self) -> str:
        """Who lets the other node take; empty where nothing moves."""
        return next((each.node for each in self.typed if each.moves), "")


def blocks(text: str, name: str = PAGE.name) -> Iterator[Block]:
    """name: of the page. ValueError: a block in which something stands above the first prompt."""
    heading = ""
    found: list[Typed] | None = None
    for number, line in enumerate(text.splitlines(), 1):
        if found is None:
            if line.startswith("#"):
                heading = line.lstrip("# ")
            if line == "```console":
                found = []
        elif line == "```":
            yield Block(heading, tuple(found))
            found = None
        elif prompt := _PROMPT.fullmatch(line):
            found.append(Typed(number, *prompt.groups()))
        elif found:
            last = found.pop()
            found.append(Typed(last.line, last.node, last.command, f"{last.sees}{line}\n"))
        else:
            raise ValueError(f"{name}:{number}: no NODE# stands above {line}")


class Operator:
    """Types what the page says at the two routers of a pair."""

    def __init__(self, pair: Pair) -> None:
        self.pair = pair
        self._read: dict[str, Program] = {}  # node → the unit file that systemd has read
        for router in pair.nodes.values():
            for place in (*PLACES, Path(UNIT).parent):
                Path(f"{router.disk}/{place}").mkdir(parents=True, exist_ok=True)
            self._reload(router.name)

    def do(self, typed: Typed) -> None:
        """TroubleError: it failed, printed what the page doesn't say, or what the page says is not seen."""
        end = time.monotonic() + PATIENCE_S
        while True:
            code, output = self._type(typed.node, typed.command)
            if typed.matches(output) and code == 0:
                return
            if not typed.looks or time.monotonic() > end:
                raise TroubleError(f"{typed}\n{output}[exit code {code}]\nthe page says:\n{typed.sees}")
            time.sleep(_LOOK_S)

    def _type(self, name: str, command: str) -> tuple[int, str]:
        match command.split():
            case ["apt-get", "install", *_]:
                return 0, ""
            case ["python3", "-m", "venv", "/opt/heartbeat", *_]:
                self._install(name)
                return 0, ""
            case ["systemctl", "daemon-reload"]:
                self._reload(name)
                return 0, ""
            case ["systemctl", "stop", "heartbeat"]:
                self.pair.do(f"stop {name}")
                return 0, ""
            case ["systemctl", "start", "heartbeat"]:
                return self._start(name)
            case _:
                return self._shell(name, command)

    def _shell(self, name: str, command: str) -> tuple[int, str]:
        router = self.pair.nodes[name]
        for place in PLACES:
            command = command.replace(place, f"{router.disk}{place}")
        path = f"PATH={router.disk}/usr/local/bin:{ROOT_PATH}"
        try:
            done = router.run(["env", path, "bash", "-c", f"exec 2>&1; {command}"], timeout_s=PATIENCE_S)
        except subprocess.TimeoutExpired:
            raise TroubleError(f"{name}# {command}: it did not end within {PATIENCE_S:.0f} s") from None
        return done.returncode, done.stdout

    def _install(self, name: str) -> None:
        """What pip would put there: the commands, and what the program reads."""
        prefix = self.pair.nodes[name].disk / "opt/heartbeat"
        packages = prefix / "lib/python3.11/site-packages"
        packages.mkdir(parents=True)
        (prefix / "bin").symlink_to(sysconfig.get_path("scripts"))
        (packages / "heartbeat").symlink_to(Path(heartbeat.__file__).parent)

    def _program(self, name: str) -> Program:
        return OURS if (self.pair.nodes[name].disk / UNIT).exists() else ORIGINAL

    def _reload(self, name: str) -> None:
        self._read[name] = self._program(name)

    def _start(self, name: str) -> tuple[int, str]:
        if self._read[name] is not self._program(name):
            return 1, "the unit file has changed on disk; systemctl daemon-reload is missing"
        router = self.pair.nodes[name]
        if router.running:
            return 1, f"the daemon of {name} runs already"
        router.program = self._read[name]
        router.start_daemon()
        return 0, ""
