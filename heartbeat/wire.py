"""The media as the daemon uses them: opened, opened again after a failure, decoded, and written to.

A medium that cannot be opened or dies is an event for the core and a line in the log; it is tried again with back-off,
and nothing else waits for it. A message is encoded once for each format in use.
"""

from __future__ import annotations

import errno

from _hbfast.auth import Authenticator
from _hbfast.codec import Decoder, encode
from heartbeat import media
from heartbeat.core.actions import WARN
from heartbeat.core.events import MediumDown, MediumUp
from heartbeat.core.settings import MILLISECOND
from heartbeat.poller import READ

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Literal

    from _hbfast.codec import Message
    from heartbeat.config import Config
    from heartbeat.config.record import MediumConfig
    from heartbeat.loop import Loop
    from heartbeat.media import Medium

REOPEN_FIRST_NS, REOPEN_MOST_NS = 500_000_000, 5_000_000_000


class Line:
    """One configured medium, open or not. state: up or down; reason: why it is down."""

    def __init__(self, config: MediumConfig, medium: Medium, auth: Authenticator) -> None:
        self.config = config
        self.medium = medium
        self.state = "down"
        self.failures = 0
        self.reason = ""
        self._rejected_before = 0
        self.told: dict[str, int] = {}  # rejections that the log knows of, by cause
        self.decoder = Decoder(medium.name, auth, stream=medium.stream)

    def rekey(self, auth: Authenticator) -> None:
        """New keys from now on; a frame that is half received is received again."""
        self._rejected_before = self.rejected
        self.told = {}
        self.decoder = Decoder(self.name, auth, stream=self.medium.stream)

    @property
    def name(self) -> str:
        return self.medium.name

    @property
    def type(self) -> str:
        return self.medium.type

    @property
    def backend(self) -> str:
        return self.medium.backend

    @property
    def dropped(self) -> int:
        return self.medium.dropped

    @property
    def discarded(self) -> int:
        return self.medium.discarded

    @property
    def rejected(self) -> int:
        """Frames that did not decode or verify."""
        counters = self.decoder.counters
        return self._rejected_before + sum(counters[cause] for cause in REJECTING)


# the decoder's counters that mean a frame was thrown away, and what that means
REJECTING = {
    "bad_auth": "not signed with a key of ours",
    "malformed": "no message",
    "oversize": "too large",
    "truncated": "cut short",
}
# lines for the log, of each cause on each medium, in ten seconds; what comes beyond is counted
REJECTED_LINES = 3
# A medium that brings nothing but rubbish is listened to again after so long: then a flood is read many datagrams at a
# time, for half the processor time. Its buffer holds three times as much of one at 50,000 a second.
RUBBISH_PAUSE_NS = 1_000_000


class Wire:
    """lines: the configured media by name, in ha.cf's order."""

    def __init__(self, config: Config, lock_dir: str, loop: Loop) -> None:
        self._loop = loop
        self._lock_dir = lock_dir
        self.lines: dict[str, Line] = {}
        # (medium, decoder, octets, now): the peer's last status once more, and taken; else it is decoded
        self.hear: Callable[[str, Decoder, bytes, int], bool] | None = None
        self._keys: tuple[dict[int, tuple[str, bytes]], int] | None = None
        self.configure(config)

    def configure(self, config: Config) -> None:
        """Take over what is new in `config`; media that did not change are not touched. Does not open."""
        self._divisor = config.divisor
        self._inner_auth = config.message_format == "classic"
        self._log_bad = config.log_badpack
        keys = (config.keys, config.outbound)
        if keys != self._keys:
            self._keys = keys
            # a peer of ours learns from it that it can be asked for; the original ignores it
            self._auth = Authenticator(config.keys, config.outbound, strong=True)
            for line in self.lines.values():
                line.rekey(self._auth)
        wanted = {medium.name: medium for medium in config.media}
        for name, line in list(self.lines.items()):
            if wanted.get(name) != line.config:
                self._close(line)
                self._loop.schedule.cancel(("open", name))
                del self.lines[name]
        kept = self.lines
        self.lines = {}
        for name, medium in wanted.items():
            line = kept.get(name) or Line(medium, media.create(medium, self._lock_dir), self._auth)
            self.lines[name] = line
            if isinstance(line.medium, media.Datagrams):
                # a peer that speaks from elsewhere is heard before its deadtime is over
                line.medium.patience_ns = config.deadtime_ms * MILLISECOND // config.divisor // 2

    def open_all(self) -> list[OSError]:
        """Try every medium that is down; what went wrong, one for each."""
        return [error for line in self.lines.values() if line.state == "down" and (error := self._open(line))]

    def _open(self, line: Line) -> OSError | None:
        now = self._loop.now()
        try:
            line.medium.open()
        except OSError as error:
            reason = error.strerror or str(error)
            if reason != line.reason or line.failures == 0:
                self._loop.push(MediumDown(line.name, reason), now)
            line.reason = reason
            self._again(line, now)
            return error
        line.state = "up"
        line.failures = 0
        line.reason = ""
        self._loop.poller.add(line.medium.fileno(), lambda events: self._receive(line), READ)
        self._loop.push(MediumUp(line.name), now)
        return None

    def _again(self, line: Line, now: int) -> None:
        delay_ns = min(REOPEN_FIRST_NS << min(line.failures, 10), REOPEN_MOST_NS) // self._divisor
        line.failures += 1
        self._loop.schedule.at(now + delay_ns, ("open", line.name), lambda instant: self._open(line))

    def _died(self, line: Line, error: OSError) -> None:
        now = self._loop.now()
        line.reason = error.strerror or str(error)
        self._close(line)
        self._loop.push(MediumDown(line.name, line.reason), now)
        self._again(line, now)

    def _close(self, line: Line) -> None:
        if line.state == "up":
            self._loop.schedule.cancel(("rest", line.name))
            self._loop.poller.remove(line.medium.fileno())
            line.medium.close()
            line.state = "down"

    def _receive(self, line: Line) -> None:
        now = self._loop.now()  # the receipt is the read, not when the message's turn comes
        try:
            chunks = line.medium.receive()
        except OSError as error:
            self._died(line, error)
            return
        heard = -1
        for position, chunk in enumerate(chunks):
            # what waits in the inbox came before
            if not self._loop.inbox and self.hear is not None and self.hear(line.name, line.decoder, chunk, now):
                heard = position
                continue
            for message in line.decoder.feed(chunk):
                self._loop.inbox.append((message, now))
                heard = position
        if isinstance(line.medium, media.Datagrams):
            if heard >= 0:
                strange = line.medium.believe(heard, now)
                if strange is not None:
                    self._loop.log.write(WARN, strange)
            elif chunks:
                self._rest(line, now)
        if self._log_bad:
            self._tell_rejected(line)

    def _rest(self, line: Line, now: int) -> None:
        self._loop.poller.change(line.medium.fileno(), 0)
        self._loop.schedule.at(now + RUBBISH_PAUSE_NS, ("rest", line.name), lambda instant: self._listen(line))

    def _listen(self, line: Line) -> None:
        self._loop.poller.change(line.medium.fileno(), READ)

    def _tell_rejected(self, line: Line) -> None:
        """At a bounded rate, and of the contents nothing: whoever can send to us could fill the disk."""
        counters = line.decoder.counters
        for cause, meaning in REJECTING.items():
            count = counters[cause]
            if count != line.told.get(cause, 0):
                line.told[cause] = count
                text = f"medium {line.name}: message rejected, {meaning} ({cause} {count} so far)"
                self._loop.log.write(WARN, text, cause=f"{cause} {line.name}", burst=REJECTED_LINES)

    def send(self, message: Message, priority: int, now: int) -> bool:
        """On every medium that is up. Never blocks. True: one took it at least, and threw nothing away for it."""
        taken = False
        frames: dict[str, bytes] = {}
        for line in self.lines.values():
            if line.state != "up":
                continue
            form: Literal["classic", "netstring"] = "classic" if line.medium.format == "classic" else "netstring"
            frame = frames.get(form)
            if frame is None:
                frame = frames[form] = encode(message, self._auth, form, inner_auth=self._inner_auth)
            dropped = line.medium.dropped
            try:
                line.medium.send(frame, priority, now)
                # a status that took the place of one still waiting: the line stands still
                taken = taken or line.medium.dropped == dropped
            except OSError as error:
                self._died(line, error)
        return taken

    def deadline(self) -> int | None:
        """When the next medium wants `flush`."""
        due = [at for line in self.lines.values() if line.state == "up" and (at := line.medium.deadline()) is not None]
        return min(due) if due else None

    def flush(self, now: int) -> None:
        for line in self.lines.values():
            if line.state == "up" and (due := line.medium.deadline()) is not None and due <= now:
                try:
                    line.medium.flush(now)
                except OSError as error:
                    self._died(line, error)

    @property
    def busy(self) -> bool:
        """Something still waits to be written."""
        return any(line.state == "up" and not line.medium.quiet(self._loop.now()) for line in self.lines.values())

    def close(self) -> None:
        for line in self.lines.values():
            self._loop.schedule.cancel(("open", line.name))
            self._close(line)


def busy_elsewhere(error: OSError) -> bool:
    """Held by another process, or not permitted: nothing that the configuration got wrong."""
    return error.errno in (errno.EBUSY, errno.EADDRINUSE, errno.EACCES, errno.EPERM, errno.EAGAIN)
