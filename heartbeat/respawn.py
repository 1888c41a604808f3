"""The `respawn` clients of ha.cf: commands that run as their user while heartbeat runs.

One that ends is started again, unless it exits 100, which means that it is not wanted here, or ends more than ten
times in a row within 30 s of its start: then it is given up, loudly.
"""

from __future__ import annotations

import pwd

from heartbeat.children import Children
from heartbeat.core.actions import ERROR, INFO, WARN
from heartbeat.executor import environment

TYPE_CHECKING = False
if TYPE_CHECKING:
    from heartbeat.config import Config
    from heartbeat.config.record import Respawn
    from heartbeat.loop import Loop

NOT_WANTED = 100
SHORT_LIFE_NS = 30_000_000_000
SHORT_LIVES = 10
PAUSE_NS = 1_000_000_000  # between two starts: a client that ends at once must not keep the machine busy
SETPRIV = "/usr/bin/setpriv"


class _Client:
    """run: the number of its newest process."""

    __slots__ = ("respawn", "run", "short_lives", "started")

    def __init__(self, respawn: Respawn) -> None:
        self.respawn = respawn
        self.run = 0
        self.short_lives = 0
        self.started = 0


class Respawner:
    """start, configure (a reload) and close; in between it keeps them running."""

    def __init__(self, config: Config, loop: Loop) -> None:
        self._config = config
        self._loop = loop
        self._children = Children(loop.poller, loop.log.output, self._exited, loop.later)
        self._clients: list[_Client] = []
        self._runs = 0

    def start(self) -> None:
        for respawn in self._config.respawn:
            self._add(respawn)

    def configure(self, config: Config) -> None:
        """Clients that are no longer named end; new ones start; the others are not touched."""
        self._config = config
        for client in [client for client in self._clients if client.respawn not in config.respawn]:
            self._clients.remove(client)
            self._loop.schedule.cancel(("respawn", client))
            self._children.kill(client.run)
        running = [client.respawn for client in self._clients]
        for respawn in config.respawn:
            if respawn not in running:
                self._add(respawn)

    def _add(self, respawn: Respawn) -> None:
        client = _Client(respawn)
        self._clients.append(client)
        self._spawn(client)

    def _spawn(self, client: _Client) -> None:
        user = pwd.getpwnam(client.respawn.user)
        client.started = self._loop.now()
        self._runs += 1
        client.run = self._runs
        argv = [SETPRIV, "--reuid", str(user.pw_uid), "--regid", str(user.pw_gid), "--init-groups", "--"]
        try:
            name = client.respawn.command.split()[0].rpartition("/")[2]
            self._children.spawn(client.run, name, argv + client.respawn.argv(), environment(self._config))
        except OSError as error:
            self._loop.log.write(ERROR, f"respawn {client.respawn.command}: {error.strerror}")
            self._ended(client, 1)

    def _exited(self, key: int, code: int, detail: str) -> None:
        for client in self._clients:
            if client.run == key:
                self._ended(client, code)
                return

    def _ended(self, client: _Client, code: int) -> None:
        command = client.respawn.command
        if code == NOT_WANTED:
            self._loop.log.write(INFO, f"respawn {command}: exited {NOT_WANTED}, not started again")
            self._clients.remove(client)
            return
        now = self._loop.now()
        short = now - client.started < SHORT_LIFE_NS // self._config.divisor
        client.short_lives = client.short_lives + 1 if short else 0
        if client.short_lives > SHORT_LIVES:
            self._loop.log.write(ERROR, f"respawn {command}: ends too fast, given up; correct it and reload")
            self._clients.remove(client)
            return
        self._loop.log.write(WARN, f"respawn {command}: ended with {code}, starting it again")
        due = now + PAUSE_NS // self._config.divisor
        self._loop.schedule.at(due, ("respawn", client), lambda instant: self._spawn(client))

    def close(self) -> None:
        for client in self._clients:
            self._loop.schedule.cancel(("respawn", client))
        self._clients.clear()
        self._children.close()
