"""What comes in from the wire, and what of it counts: who sent it, is it new, is it of this moment, is it for us?

Everything here is hostile until proven otherwise. What is not believed changes nothing but a counter, except that a
status may be asked to repeat a nonce (challenge.py):

* After this node's start a peer that can answer a nonce counts from its answer on; an original from its first status.
* A lower generation than the peer has had, or the start of one that it has had, is a recording, and counted; one that
  answers is the peer itself with its files set back, and is quarantined: alive, and nothing it says is acted on, but
  that it has taken over, until the operator accepts it.
"""

from __future__ import annotations

from heartbeat.core import bulletin, sequence
from heartbeat.core.actions import CRIT, ERROR, INFO, WARN, Alarm, Remember
from heartbeat.core.outbox import NO_UUID
from heartbeat.core.peer import DEAD, QUARANTINED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from _hbfast.codec import Message
    from heartbeat.core.challenge import Challenge
    from heartbeat.core.membership import Membership
    from heartbeat.core.outbox import Outbox, Tally
    from heartbeat.core.peer import Peer
    from heartbeat.core.retransmit import Retransmit
    from heartbeat.core.settings import Settings

    Dispatch = Callable[[Peer, str, Message, "bulletin.Bulletin | None"], None]

# Unknown nodes that status tells of, by name; more than a few are no mistake in a file any more.
WARNINGS = 4
SILENT_PART = 5, 4  # of a keepalive
# where the list of nodes begins in timing_digest (settings.py)
NODES_AT = 4
# types that may move groups: what is newer than these is all that is believed after a restart
DECIDING = (
    "shutdone", "ask_resources", "hb_takeover", "ip-request", "ip-request-resp", "stonith", "num_ping_nodes",
    "you_are_dead",
)  # fmt: skip


class Reception:
    """dispatch(peer, type, message, bulletin): a message that counts. on_restart(peer): it has a new generation, or a
    lower one. on_answer(bulletin): a quarantined peer's, of this moment.
    warnings: for status. unanswered: of a peer that speaks and does not answer."""

    def __init__(
        self, settings: Settings, outbox: Outbox, membership: Membership, retransmit: Retransmit, tally: Tally,
        challenge: Challenge, *, dispatch: Dispatch, on_restart: Callable[[Peer], None],
        on_answer: Callable[[bulletin.Bulletin], None],
    ) -> None:  # fmt: skip
        self._settings = settings
        self._outbox = outbox
        self._membership = membership
        self._retransmit = retransmit
        self._tally = tally
        self._challenge = challenge
        self._dispatch = dispatch
        self._on_restart = on_restart
        self._on_answer = on_answer
        # peer → newest sequence of its (lower generation, answer)
        self._quarantined: dict[str, tuple[int, tuple[int, str]]] = {}
        self._asker = 0, 0  # (generation, sequence) of who asked last without having answered
        self.warnings: list[str] = []
        self.unanswered: list[str] = []

    def reconfigure(self, settings: Settings) -> None:
        self._settings = settings
        self.warnings = []

    def message(self, message: Message, now: int) -> None:
        peer = self._membership.peers.get(message.source or "")
        if peer is None:
            self._stranger(message)
            return
        if message.get("ts") in (None, "", "0"):
            return
        if not message.strong and self.weak(peer, message):
            self._tally.add(ERROR, f"message of {peer.name} without its strong signature ignored")
            return
        kind = message.type or ""
        if kind.startswith("NS_"):
            if peer.proven and peer.alive:
                self._retransmit.protocol(peer, kind, message)
            return
        if message.sequence <= 0 or message.generation <= 0:
            self._tally.add(WARN, f"message of {peer.name} without sequence or generation ignored")
            return
        seen = bulletin.parse(message.get(bulletin.FIELD)) if kind == "status" else None
        if message.generation < peer.tracker.generation or self._begun_again(peer, message, seen):
            self._older(peer, message, seen)
        elif self._proven(peer, message) or self._prove(peer, message, seen):
            self._judge(peer, kind, message, seen, now)

    def weak(self, peer: Peer, message: Message) -> bool:
        """It should be signed strongly: what a peer can in a generation it does to its end. One that goes on in that
        generation has not begun another."""
        if self._settings.strong_required:
            return True
        same = message.generation == peer.tracker.generation
        return peer.strong and (same or (peer.alive and not self._silent(peer)))

    # --- is it of this moment?

    def _proven(self, peer: Peer, message: Message) -> bool:
        """A higher generation is news, but for those that the operator gave up: they may have been recorded."""
        return peer.proven and not peer.tracker.generation < message.generation <= peer.abandoned

    def _prove(self, peer: Peer, message: Message, seen: bulletin.Bulletin | None) -> bool:
        """The peer has not yet answered this run of ours: does this?"""
        if message.type != "status":
            self._tally.add(WARN, f"message of {peer.name} from before its first proof of life ignored")
            return False
        if seen is not None and not self._challenge.answered(seen):
            if seen.timing_digest[NODES_AT:] != self._settings.timing_digest[NODES_AT:]:
                return True  # on its list of nodes this one may be missing: it cannot answer, and lives all the same
            asks = not self._challenge.nonce
            if asks:
                self._challenge.ask()
            if asks or (message.generation, message.sequence) >= self._asker:  # no recording is newer than the peer
                self._asker = message.generation, message.sequence
                self._answer(seen, asks=asks)
            self.unanswered = [f"{peer.name} speaks, but does not answer: does it hear this node?"]
            return False
        peer.proven = True
        self._asker = 0, 0
        self.unanswered = []
        return True

    def _answer(self, seen: bulletin.Bulletin, *, asks: bool = False) -> None:
        """The peer wants to know whether what it hears of us is of this moment. asks: and so do we."""
        if self._challenge.asked(seen) or asks:
            self._membership.answer(self._outbox.now)

    def _begun_again(self, peer: Peer, message: Message, seen: bulletin.Bulletin | None) -> bool:
        """The start of a generation that it has had, or what looks like it. A copy that was late on its way is no such
        thing: beside it, the peer beats on."""
        if message.generation != peer.tracker.generation:
            return False
        if peer.state == QUARANTINED:
            return True
        begins = seen is not None and (not peer.proven or self._silent(peer))
        return begins and message.sequence < peer.tracker.newest and message.sequence not in peer.tracker.missing

    def _silent(self, peer: Peer) -> bool:
        """Its regular beat is missing."""
        silent_ns = self._outbox.now - peer.last_status_ns
        return silent_ns > self._settings.keepalive_ns * SILENT_PART[0] // SILENT_PART[1]

    def _older(self, peer: Peer, message: Message, seen: bulletin.Bulletin | None) -> None:
        """Of a generation that has ended: a recording, or the peer with its files set back."""
        if seen is not None and self._challenge.answered(seen):
            if peer.state != QUARANTINED:
                self._membership.quarantine(peer)
                self._on_restart(peer)
                self._outbox.put(Alarm(self._quarantine_text(peer, message.generation)))
            run = message.generation, self._challenge.nonce
            newest, was = self._quarantined.get(peer.name, (0, run))
            self._quarantined[peer.name] = max(newest if was == run else 0, message.sequence), run
            self._on_answer(seen)
            self._answer(seen)  # or it would take this node for dead
            return
        if message.generation == peer.tracker.generation and seen is not None and seen.phase == bulletin.SETTLED:
            # sent again, or late, while a line loses much; or a node that went on where its set back files say
            self._tally.add(INFO, f"late status of {peer.name}")
        else:
            self._tally.add(ERROR, f"possible replay: a message of an ended generation of {peer.name}")
        if seen is None:
            return
        silent = self._silent(peer)
        if silent and not (peer.alive and peer.heard):
            self._challenge.asked(seen)  # the next status answers: each may hold the other for a recording
        anew = peer.state == QUARANTINED and seen.phase == bulletin.UNSETTLED  # perhaps, with lower numbers
        if not self._challenge.nonce or anew:
            self._challenge.ask()
            if silent:  # else with the next status, in its turn: recordings make us send nothing more
                self._membership.trigger(self._outbox.now)

    def _quarantine_text(self, peer: Peer, generation: int) -> str:
        return (
            f"{peer.name} is alive in generation {generation}, but has had {peer.tracker.generation}: were its files"
            f" set back? Nothing it says is acted on. If it is the right one: heartbeat accept {peer.name}"
        )

    def accept(self, name: str, now: int) -> str:
        """The operator knows the quarantined peer for the right one. Returns why not, or nothing."""
        peer = self._membership.peers.get(name)
        if peer is None:
            return f"no such node: {name}"
        if peer.state != QUARANTINED:
            return f"{name} is not quarantined"
        number, (generation, _) = self._quarantined.pop(name)
        self._membership.accept(peer, generation, number, now)
        self._challenge.ask()  # a copy of its answer on a slower medium is none any more
        self._outbox.note(WARN, f"node {name} accepted in generation {generation}")
        self._outbox.put(Remember(name, generation, number))
        return ""

    # --- is it new?

    def _judge(self, peer: Peer, kind: str, message: Message, seen: bulletin.Bulletin | None, now: int) -> None:
        if peer.state == DEAD and kind != "status":
            return  # only a status brings a node back
        if peer.state == DEAD and peer.left and seen is None and message.generation == peer.tracker.generation:
            return  # an original beats on for a while when it has left
        healed = peer.state == DEAD and message.generation == peer.tracker.generation
        verdict = self._retransmit.judge(peer, message, seen)
        if verdict == sequence.DUPLICATE:
            self._membership.heard_on(peer, message.medium, now)
        elif verdict in (sequence.FRESH, sequence.RESTARTED):
            self._appear(peer, message, healed=healed, restarted=verdict == sequence.RESTARTED)
            if kind in DECIDING:
                self._outbox.put(Remember(peer.name, message.generation, message.sequence))
            self._membership.heard_on(peer, message.medium, now)
            # what an original answers itself is what it takes
            for_us = self._for_us(message)
            if for_us or kind == "ip-request-resp":
                self._dispatch(peer, kind, message, seen)
                if for_us:
                    self._outbox.hooks.received(kind, message)
                if seen is not None:
                    self._answer(seen)

    def _appear(self, peer: Peer, message: Message, *, healed: bool, restarted: bool) -> None:
        """What a message tells of its sender, whatever it says."""
        if restarted:
            self._outbox.note(INFO, f"Heartbeat restart on node {peer.name}")
            peer.restarted()
            self._on_restart(peer)
        elif healed and not peer.left:
            self._outbox.note(CRIT, f"node {peer.name} returning after partition; deadtime may be too small")
        if restarted or not peer.heard:
            self._outbox.put(Remember(peer.name, message.generation, message.sequence))
        if restarted or healed or not peer.heard:
            self._membership.trigger(self._outbox.now)  # it wants to know that it is heard
        peer.strong = peer.strong or message.strong
        self._identity(peer, message)

    def _for_us(self, message: Message) -> bool:
        uuid = message.value("destuuid")
        if isinstance(uuid, bytes) and uuid != NO_UUID:
            return uuid == self._settings.uuid
        return message.get("dest") in (None, self._settings.node)

    # --- who sent it?

    def _identity(self, peer: Peer, message: Message) -> None:
        """A node's uuid names it to the original; two with one uuid never form a cluster with it."""
        uuid = message.value("srcuuid")
        if not isinstance(uuid, bytes) or len(uuid) != 16 or uuid == NO_UUID:
            return
        if uuid == self._settings.uuid:
            text = f"{peer.name} has this node's uuid: one is a copy of the other; remove hb_uuid on it and restart it"
            self._tally.add(CRIT, text)
            self._warn(text)
        else:
            self._outbox.uuid_of[peer.name] = uuid

    def _stranger(self, message: Message) -> None:
        name = (message.source or "?")[:99]
        if name != self._settings.node:
            self._tally.add(ERROR, f"message from unknown node {name!r} ignored")
            self._warn(f"{name!r} speaks here and is no node of ha.cf: make the files the same and reload")
        elif message.generation != self._outbox.generation or message.sequence > self._outbox.sequence:
            self._tally.add(ERROR, f"another node on medium {message.medium} calls itself {name}")
        # else: our own, looped back

    def _warn(self, text: str) -> None:
        if text not in self.warnings and len(self.warnings) < WARNINGS:
            self.warnings.append(text)
