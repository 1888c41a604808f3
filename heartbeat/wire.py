"""The media as the daemon uses them: opened, opened again after a failure, decoded, and written to.

A medium that cannot be opened or dies is an event for the core and a line in the log; it is tried again with back-off,
and nothing else waits for it. A message is encoded once for each format in use.

What is read of a network is worth what is new in it, and the rest may be somebody's who wants us to be busy:

    the peer's next status, by its octets    taken at once
    a message with a higher number           told to the core
    one without, a recording for example     told as well, but not more of them than a peer has reason to send
    no message, or not signed by us          counted

A medium that has brought none of the first three rests for a moment.
"""

from __future__ import annotations

import errno

from _hbfast.auth import Authenticator
from _hbfast.codec import Decoder, encode
from heartbeat import media
from heartbeat.core.actions import WARN
from heartbeat.core.events import MediumDown, MediumUp
from heartbeat.core.settings import MILLISECOND
from heartbeat.pace import LONGEST_NS, Pace
from heartbeat.poller import READ

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Literal

    from _hbfast.codec import Message, Watch
    from heartbeat.config import Config
    from heartbeat.config.record import MediumConfig
    from heartbeat.core.view import ClusterView
    from heartbeat.loop import Loop
    from heartbeat.media import Medium

REOPEN_FIRST_NS, REOPEN_MOST_NS = 500_000_000, 5_000_000_000

# messages without a new number that are told to the core at once; then one each keepalive. Genuine ones: what was asked
# for again, 50 at once, and an acknowledgement of ten statuses. What is left out is as good as lost on its way, and is
# asked for again.
KNOWN_BURST = 100
# of the nodes that a medium has brought messages of; two in a file, and a new one with each start of one
GENERATIONS_LIMIT = 64


class Sieve:
    """What of the messages that a medium brings is told to the core. refused: messages that are not.

    Telling costs several times what finding the signature good does, and is recorded: whoever has recordings must not
    be able to spend our time, nor to push everything else out of the journal. Numbers tell them from what is new.
    """

    def __init__(self) -> None:
        self.interval_ns = 0  # between two that have no new number, in the long run
        self.refused = 0
        self._highest: dict[tuple[str, int], int] = {}  # (node, generation) → number
        self._paid_ns = -(1 << 62)  # when the last of them would have been due, had they come one by one

    def new(self, message: Message) -> bool:
        """Has it a higher number than any before it of its sender's generation?"""
        number = message.sequence
        key = message.source or "", message.generation
        highest = self._highest.get(key)
        if highest is None:
            if number <= 0 or not self._room(*key):
                return False
        elif number <= highest:
            return False
        self._highest[key] = number
        return True

    def _room(self, node: str, generation: int) -> bool:
        """For one that is not known. Where there are too many, the lowest goes, for a higher one only: so those of old
        recordings cannot push out each other in turn, and seem new for ever."""
        if len(self._highest) >= GENERATIONS_LIMIT:
            if any(other == node and known > generation for other, known in self._highest):
                return False
            del self._highest[min(self._highest, key=lambda key: key[1])]
        return True

    def affords(self, now: int) -> bool:
        """One more that is not new?"""
        paid_ns = max(self._paid_ns, now - KNOWN_BURST * self.interval_ns) + self.interval_ns
        if paid_ns > now:
            self.refused += 1
            return False
        self._paid_ns = paid_ns
        return True


class Line(media.Owned):
    """One way to the other nodes. reason: why it is down."""

    medium: Medium

    def __init__(self, config: MediumConfig, medium: Medium, auth: Authenticator) -> None:
        super().__init__(medium)
        self.config = config
        self.failures = 0
        self.reason = ""
        self._rejected_before = 0
        self.told: dict[str, int] = {}  # rejections that the log knows of, by cause
        self.sieve = Sieve()
        self.repeated = 0  # number of the status that was taken by its octets last
        self.doubt: tuple[int, Message, int] | None = None  # where in the last helping a new message was, and when
        self.decoder = Decoder(medium.name, auth, stream=medium.stream)
        self.pace: Pace | None = None  # of a serial line

    def rekey(self, auth: Authenticator) -> None:
        """New keys from now on; a frame that is half received is received again."""
        self._rejected_before = self.rejected - self.sieve.refused
        self.told = {}
        self.decoder = Decoder(self.name, auth, stream=self.medium.stream)

    @property
    def rejected(self) -> int:
        """Frames that did not decode or verify, or that there were too many of."""
        return self._rejected_before + sum(self.rejections().values())

    def rejections(self) -> dict[str, int]:
        """By cause; of the signatures, those by the keys in use."""
        counters = {**self.decoder.counters, "known": self.sieve.refused}
        return {cause: counters[cause] for cause in REJECTING}


# the decoder's counters that mean a frame was thrown away, and the sieve's; and what that means
REJECTING = {
    "bad_auth": "not signed with a key of ours",
    "malformed": "no message",
    "oversize": "too large",
    "truncated": "cut short",
    "known": "signed, but no newer than others before it, and too many of them",
}
# lines for the log, of each cause on each medium, in ten seconds; what comes beyond is counted
REJECTED_LINES = 3
# A medium that brings nothing of use is listened to again after so long: then a flood is read many datagrams at a time,
# for half the processor time. Its buffer holds three times as much of one at 50,000 a second.
RUBBISH_PAUSE_NS = 1_000_000
# when a line that does not rest is to be looked at
NEVER_NS = (1 << 63) - 1
# what came of something that was read
NOTHING, TOLD, TAKEN = range(3)


class Wire:
    """lines: the configured media by name, in ha.cf's order."""

    # (medium, decoder, octets, now): the number of the peer's last status, which has come once more, and is taken; 0:
    # it is to be decoded
    hear: Callable[[str, Decoder, bytes, int], int] | None
    # what the core believes; without it, that every message with a new number counts
    view: Callable[[], ClusterView] | None

    def __init__(self, config: Config, lock_dir: str, loop: Loop) -> None:
        self._loop = loop
        self._lock_dir = lock_dir
        self.lines: dict[str, Line] = {}
        self._resting: dict[str, int] = {}  # serial lines on which a frame is on its way: name → when to look again
        self.hear = None
        self.view = None
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
            line.sieve.interval_ns = config.keepalive_ms * MILLISECOND // config.divisor
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
        line.pace = Pace(line.config.frame_ns(1), LONGEST_NS // self._divisor) if line.medium.stream else None
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
            self._resting.pop(line.name, None)
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
        self._came(line, chunks, now)

    def _came(self, line: Line, chunks: list[bytes], now: int) -> None:
        if line.pace is not None:
            whole = line.pace.take(b"".join(chunks))
            chunks = [whole] if whole else []
            self._let_come(line, line.pace.rest_ns, now)
        taken, useless = -1, 0
        line.doubt = None
        for position, chunk in enumerate(chunks):
            came = self._take(line, position, chunk, now)
            if came == NOTHING:
                useless += 1
            elif came == TAKEN:
                taken = position
        if isinstance(line.medium, media.Datagrams):
            if taken >= 0:
                self._believe(line.medium, taken, now)
            elif useless and useless == len(chunks):
                self._rest(line, now)
        if useless and self._log_bad:
            self._tell_rejected(line)

    # --- lent

    def lend(self, watch: Watch) -> bool:
        """To one that receives what is repeated, and sends it. False: a line has something else to do."""
        watch.ends = []
        for line in self.lines.values():
            if line.state == "up":
                end = None if line.doubt is not None else line.medium.lend(line.decoder)
                if end is None or (line.pace is not None and not line.pace.lend(end)):
                    return False
                end.repeated = line.repeated
                end.look_ns = self._resting.get(line.name, NEVER_NS)
                watch.ends.append(end)
        watch.auth = self._auth
        watch.inner_auth = self._inner_auth
        return bool(watch.ends)

    def take_back(self, watch: Watch, now: int) -> None:
        for end in watch.ends:
            line = self.lines[end.medium]
            line.medium.take_back(end)
            line.repeated = end.repeated
            if line.pace is not None:
                line.pace.take_back(end)
            self._resting.pop(line.name, None)
            if end.look_ns != NEVER_NS:
                self._resting[line.name] = end.look_ns
        if watch.useless is not None:
            self._rest(self.lines[watch.useless.medium], now)
        if watch.left is not None:
            end, chunk, at = watch.left
            self._came(self.lines[end.medium], [chunk], at)
        for end, number in watch.failed:
            try:
                self.lines[end.medium].medium.failed(number, now)
            except OSError as error:
                self._died(self.lines[end.medium], error)

    # --- what has come

    def _let_come(self, line: Line, rest_ns: int, now: int) -> None:
        """The rest of a frame, before the line is looked at again."""
        rested = self._resting.pop(line.name, None) is not None
        if rest_ns:
            self._resting[line.name] = now + rest_ns
        if rested != bool(rest_ns):
            self._loop.poller.change(line.medium.fileno(), 0 if rest_ns else READ)

    def look(self) -> None:
        """Read the lines that have rested, as those that are ready have been: before anybody is judged."""
        if self._resting:
            now = self._loop.now()
            for name, until in list(self._resting.items()):
                if until <= now:
                    self._receive(self.lines[name])

    def _take(self, line: Line, position: int, chunk: bytes, now: int) -> int:
        """One of those that were read: TAKEN, TOLD where the core is to be told of it, or NOTHING."""
        # what waits in the inbox came before
        if not self._loop.inbox and self.hear is not None:
            number = abs(self.hear(line.name, line.decoder, chunk, now))
            if number:
                copy = number == line.repeated  # which proves nothing that the first has not
                line.repeated = number
                return NOTHING if copy else TAKEN
        came = NOTHING
        for message in line.decoder.feed(chunk):
            if isinstance(line.medium, media.Datagrams):
                if line.sieve.new(message):
                    if line.doubt is None or message.generation >= line.doubt[1].generation:
                        line.doubt = position, message, now
                elif not line.sieve.affords(now):
                    continue
            self._loop.inbox.append((message, now))
            came = TOLD
        return came

    def _believe(self, medium: media.Datagrams, position: int, now: int) -> None:
        strange = medium.believe(position, now)
        if strange is not None:
            self._loop.log.write(WARN, strange, cause=f"elsewhere {medium.name}", burst=REJECTED_LINES)

    def _resolve(self, line: Line) -> None:
        """The core has been told of a new message. Has it counted? Recordings are new to a medium that has heard
        nothing else yet; who is believed because of one could keep the peer itself from being heard."""
        if line.doubt is None or not isinstance(line.medium, media.Datagrams):
            return
        position, message, at = line.doubt
        line.doubt = None
        if line.medium.wonders(at) and (self.view is None or self._counted(line, message, at)):
            self._believe(line.medium, position, at)

    def _counted(self, line: Line, message: Message, at: int) -> bool:
        """The core hears this node on this medium, in this generation and now."""
        assert self.view is not None
        assert isinstance(line.medium, media.Datagrams)
        node = self.view().nodes.get(message.source or "")
        return (
            node is not None
            and node.last_heard_ns is not None
            and node.last_heard_ns >= at - line.medium.patience_ns
            and node.generation == message.generation
            and node.links.get(line.name) == "up"
        )

    def _rest(self, line: Line, now: int) -> None:
        self._loop.poller.change(line.medium.fileno(), 0)
        self._loop.schedule.at(now + RUBBISH_PAUSE_NS, ("rest", line.name), lambda instant: self._listen(line))

    def _listen(self, line: Line) -> None:
        self._loop.poller.change(line.medium.fileno(), READ)

    def _tell_rejected(self, line: Line) -> None:
        """At a bounded rate, and of the contents nothing: whoever can send to us could fill the disk."""
        for cause, count in line.rejections().items():
            if count != line.told.get(cause, 0):
                line.told[cause] = count
                meaning = REJECTING[cause]
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
        """When the next medium wants `flush`, or `look`."""
        due = min(self._resting.values()) if self._resting else None
        for line in self.lines.values():
            if line.state == "up":
                other = line.medium.deadline()
                if other is not None and (due is None or other < due):
                    due = other
        return due

    def flush(self, now: int) -> None:
        """After the core was told what has come."""
        for line in self.lines.values():
            if line.doubt is not None:
                self._resolve(line)
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
