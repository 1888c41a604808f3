"""Reliable delivery between this node and its peers: requests for what is missing, answers, acknowledgements.

Types NS_rexmit, NS_nak_rexmit and NS_ackmsg carry no sequence number, so each is believed only where it fits: of the
sender's current generation, about something that was asked for or was sent, and, between two of ours, to this run of
the receiver (field `desthg`, its generation): an earlier run's may have been recorded. The bases of the numbers are the
original's (wire format: decimal in NS_rexmit, hex elsewhere).
"""

from __future__ import annotations

from heartbeat.core.actions import ERROR, WARN
from heartbeat.core.peer import ACTIVE, UP
from heartbeat.core.sequence import ACK_EVERY, ACK_EVERY_OURS, FRESH, RESTARTED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from _hbfast.codec import Message
    from heartbeat.core.bulletin import Bulletin
    from heartbeat.core.membership import Membership
    from heartbeat.core.outbox import Outbox, Tally
    from heartbeat.core.peer import Peer
    from heartbeat.core.settings import Settings
    from heartbeat.core.timers import Timers

DESTINATION = "desthg"
BATCH_LIMIT = 50  # retransmissions for one request
NUMBER_LIMIT = 2**31 - 1
QUIET_PART = 24, 25  # of max_rexmit_delay: a message sent again so short ago is not sent again (240 of 250 ms)


class Retransmit:
    """Two timers for all peers: the earliest request that is due, and the acknowledgements that wait. on_late(): a
    message that is no status was sent again.

    An acknowledgement only trims the sender's history, so it waits for half a keepalive: sent at once it would be on
    a slow line just when the answer to what it acknowledges, a hand-over perhaps, wants to go.
    """

    def __init__(
        self, settings: Settings, outbox: Outbox, timers: Timers, membership: Membership, tally: Tally,
        *, on_late: Callable[[], None],
    ) -> None:  # fmt: skip
        self._settings = settings
        self._outbox = outbox
        self._timers = timers
        self._membership = membership
        self._tally = tally
        self._on_late = on_late
        self._timer = timers.new(self._ask)
        self.acknowledge_timer = timers.new(self._acknowledge)
        self._acknowledge_at: int | None = None
        self._due: dict[str, int] = {}  # node → number to acknowledge

    def reconfigure(self, settings: Settings) -> None:
        self._settings = settings

    def judge(self, peer: Peer, message: Message, seen: Bulletin | None) -> int:
        """The tracker's verdict, with what follows from it: what is missing is noted, what is due acknowledged. seen:
        of a status; what was lost behind the newest message that is none was statuses, which nobody needs."""
        tracker = peer.tracker
        last = tracker.last
        verdict = tracker.judge(message.generation, message.sequence)
        if verdict not in (FRESH, RESTARTED):
            return verdict
        if verdict == RESTARTED:
            self._due.pop(peer.name, None)
        if tracker.newest_gap:
            self._tally.add(WARN, f"lost packets of {peer.name}")
            needed = message.sequence - 1 if seen is None else seen.decided
            if not tracker.open_gap(message.sequence, needed, self._outbox.now, self._settings.max_rexmit_delay_ns):
                self._outbox.note(ERROR, f"lost a lot of packets of {peer.name}: [{last}:{message.sequence}]")
        else:
            self.acknowledge_later(peer, message.sequence)
        return verdict

    def acknowledge_later(self, peer: Peer, sequence: int) -> None:
        """This number was accepted: one in ten is acknowledged, of two of ours one in fifty."""
        number = peer.tracker.acknowledge(sequence, _every(peer))
        if number:
            self._due[peer.name] = number
            if self._acknowledge_at is None:
                self._acknowledge_at = self._outbox.now + self._settings.keepalive_ns // 2
                self._timers.arm(self.acknowledge_timer, self._acknowledge_at)

    def next_acknowledged(self, peer: Peer) -> int:
        """The number that `acknowledge_later` will next do anything about, while nothing is lost."""
        return peer.tracker.next_acknowledged(_every(peer))

    def _acknowledge(self, now: int) -> None:
        self._acknowledge_at = None
        for name, number in self._due.items():
            peer = self._membership.peers[name]
            if peer.alive:
                self._send("NS_ackmsg", peer, [("ackseq", b"%x" % number)])
        self._due.clear()

    def schedule(self) -> None:
        """Arm the timer for the earliest request."""
        dues = [at for peer in self._membership.peers.values() if (at := peer.tracker.next_ask()) is not None]
        if dues:
            self._timers.arm(self._timer, max(min(dues), self._outbox.now))
        else:
            self._timers.disarm(self._timer)

    def _ask(self, now: int) -> None:
        for peer in self._membership.peers.values():
            if peer.state not in (UP, ACTIVE):
                peer.tracker.missing.clear()
            due, lost = peer.tracker.asks(now, self._settings.max_rexmit_delay_ns, BATCH_LIMIT)
            for number in lost:
                self._outbox.note(ERROR, f"message {number} of {peer.name} is lost: it does not come again")
            for first, last in _runs(due):
                self._send("NS_rexmit", peer, [("firstseq", b"%d" % first), ("lastseq", b"%d" % last)])

    def _send(self, kind: str, peer: Peer, fields: list[tuple[str, bytes]]) -> None:
        destination = (DESTINATION, b"%x" % peer.tracker.generation)
        self._outbox.send(kind, [*fields, destination], to=peer.name)

    def protocol(self, peer: Peer, kind: str, message: Message) -> None:
        """A message of a type NS_*."""
        if message.generation != peer.tracker.generation or message.get("dest") != self._settings.node:
            if peer.bulletin is None and message.generation < peer.tracker.generation:
                self._tally.add(ERROR, f"possible replay: a message of an ended generation of {peer.name}")
            return
        if peer.bulletin is not None and message.get(DESTINATION) != f"{self._outbox.generation:x}":
            self._tally.add(WARN, f"{kind} of {peer.name} to another run of this node ignored")
            return
        if kind == "NS_ackmsg":
            number = _number(message.get("ackseq"), 16)
            if 0 < number <= self._outbox.sequence:
                self._outbox.history.acknowledged(number)
        elif kind == "NS_rexmit":
            self._answer(peer, _number(message.get("firstseq"), 10), _number(message.get("lastseq"), 10))
        elif kind == "NS_nak_rexmit":
            number = _number(message.get("firstseq"), 16)
            if peer.tracker.given_up(number):
                self._outbox.note(ERROR, f"message {number} of {peer.name} is irretrievably lost")

    def _answer(self, peer: Peer, first: int, last: int) -> None:
        if not 0 < first <= last:
            self._tally.add(WARN, f"retransmission request of {peer.name} without a valid range ignored")
            return
        part, whole = QUIET_PART
        quiet_ns = self._settings.max_rexmit_delay_ns * part // whole
        late = False
        for number in range(first, min(last + 1, first + BATCH_LIMIT)):
            found = self._outbox.history.find(number, self._outbox.now, quiet_ns)
            if isinstance(found, str):
                fields = [("firstseq", b"%x" % number), ("info", found.encode())]
                self._send("NS_nak_rexmit", peer, fields)
            elif found is not None:
                self._outbox.send_again(found)
                late |= found.type != "status"
        if late:
            self._on_late()


def _every(peer: Peer) -> int:
    return ACK_EVERY if peer.bulletin is None else ACK_EVERY_OURS


def _runs(numbers: list[int]) -> list[tuple[int, int]]:
    """Ascending numbers as (first, last) of each unbroken run."""
    runs: list[tuple[int, int]] = []
    for number in numbers:
        if runs and number == runs[-1][1] + 1:
            runs[-1] = runs[-1][0], number
        else:
            runs.append((number, number))
    return runs


def _number(text: str | None, base: int) -> int:
    """0 where it is absent, unreadable or out of range."""
    try:
        number = int(text or "0", base)
    except ValueError:
        return 0
    return number if 0 < number <= NUMBER_LIMIT else 0
