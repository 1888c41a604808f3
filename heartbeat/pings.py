"""The ping nodes as the daemon uses them: asked with each status, and told to the core when they have answered.

Asking comes after the heartbeat has left on every medium, and never waits. What is asked with is signed with the
cluster's key by this node itself, as the original's is, and verified when it comes back. A socket that cannot be opened
is tried again; until then its ping node is silent, and nothing else is different.
"""

from __future__ import annotations

import time

from _hbfast.auth import Authenticator
from _hbfast.codec import Decoder, Message, encode
from heartbeat.core.actions import ERROR
from heartbeat.core.events import PingAnswer
from heartbeat.core.settings import MILLISECOND
from heartbeat.media import Owned
from heartbeat.poller import READ

TYPE_CHECKING = False
if TYPE_CHECKING:
    from heartbeat.config import Config
    from heartbeat.config.record import PingConfig
    from heartbeat.loop import Loop
    from heartbeat.media.icmp import Echo

TYPE = "NS_st"
REOPEN_NS = 5_000_000_000


class Target(Owned):
    """One ping node. state: up where it can be asked; rejected: answers that were not signed by this node."""

    medium: Echo

    def __init__(self, config: PingConfig, auth: Authenticator) -> None:
        from heartbeat.media.icmp import Echo  # noqa: PLC0415  only where ping nodes are configured

        super().__init__(Echo(config))
        self.config = config
        self.reopen_at = 0
        self.kind = b"ping_group" if config.type == "ping_group" else b"ping"
        self.rekey(auth)

    def rekey(self, auth: Authenticator) -> None:
        self._decoder = Decoder(self.name, auth, stream=False)

    @property
    def rejected(self) -> int:
        return self._decoder.counters["bad_auth"] + self._decoder.counters["malformed"]

    def request(self, ts: str) -> Message:
        return Message([
            ("t", 0, TYPE.encode()), ("st", 0, b"ping"), ("info", 0, self.kind), ("src", 0, self.name.encode()),
            ("ts", 0, ts.encode()),
        ])  # fmt: skip

    def answers(self) -> bool:
        """Read what is there: has it answered?"""
        return any(
            message.type == TYPE and message.source == self.name
            for frame in self.medium.receive()
            for message in self._decoder.feed(frame)
        )


class Pings:
    """targets: by name, in ha.cf's order."""

    def __init__(self, config: Config, loop: Loop) -> None:
        self._loop = loop
        self.targets: dict[str, Target] = {}
        self._keys: tuple[dict[int, tuple[str, bytes]], int] | None = None
        self._next_ns = 0
        self.configure(config)

    def configure(self, config: Config) -> None:
        """Take over what is new; what did not change is not touched. Does not open."""
        self._inner_auth = config.message_format == "classic"
        self._reopen_ns = REOPEN_NS // config.divisor
        # a burst of statuses asks once
        self._pause_ns = config.keepalive_ms * MILLISECOND // config.divisor // 2
        if (config.keys, config.outbound) != self._keys:
            self._keys = config.keys, config.outbound
            self._auth = Authenticator(config.keys, config.outbound)
            for target in self.targets.values():
                target.rekey(self._auth)
        wanted = {ping.name: ping for ping in config.pings}
        for name, target in list(self.targets.items()):
            if wanted.get(name) != target.config:
                self._close(target)
                del self.targets[name]
        self.targets = {name: self.targets.get(name) or Target(ping, self._auth) for name, ping in wanted.items()}

    def open_all(self) -> None:
        now = self._loop.now()
        for target in self.targets.values():
            if target.state == "down":
                self._open(target, now)

    def _open(self, target: Target, now: int) -> None:
        target.reopen_at = now + self._reopen_ns
        try:
            target.medium.open()
        except OSError as error:
            text = error.strerror or str(error)
            self._loop.log.write(ERROR, f"{text}; it is not asked", cause=f"ping {target.name}", burst=1)
            return
        target.state = "up"
        self._loop.poller.add(target.medium.fileno(), lambda events: self._receive(target), READ)

    def _close(self, target: Target) -> None:
        if target.state == "up":
            self._loop.poller.remove(target.medium.fileno())
            target.medium.close()
            target.state = "down"

    def beat(self, now: int) -> None:
        """A status has gone out."""
        if not self.targets or now < self._next_ns:
            return
        self._next_ns = now + self._pause_ns
        ts = f"{int(time.time()):x}"
        for target in self.targets.values():
            if target.state == "down" and now >= target.reopen_at:
                self._open(target, now)
            if target.state == "up":
                target.medium.send(encode(target.request(ts), self._auth, "netstring", inner_auth=self._inner_auth))

    def _receive(self, target: Target) -> None:
        if target.answers():
            self._loop.inbox.append((PingAnswer(target.name), self._loop.now()))

    def close(self) -> None:
        for target in self.targets.values():
            self._close(target)
