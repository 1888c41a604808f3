"""A model of a node that runs Heartbeat 3.0.6, for the world of pair.py: written from the description of its behaviour
(docs/protocol/behaviour.md), so that what a node of ours does beside one can be tested without waiting.

Not the judge: that is the real daemon (tests/interop). The model knows resources, the standby protocol, leaving, death
and a healed partition; not fencing, ping nodes or clients. A hop takes it `hop_ns`, as the real one's half second.
"""

from __future__ import annotations

from pair import AUTH

from _hbfast.codec import Decoder, Message
from heartbeat.core.events import Tick
from heartbeat.core.settings import FAILBACK_ON, MILLISECOND, SECOND

INIT, STARTING, BOTHSTARTING, RSCRCVD, STABLE, SHUTDOWN = range(6)
SETS = {"none": set(), "local": {"local"}, "foreign": {"foreign"}, "all": {"local", "foreign"}}
MIRROR = {"all": "all", "local": "foreign", "foreign": "local"}
POLL_NS = 250 * MILLISECOND
TAKEOVER_NS = 10 * SECOND


def text_of(kinds: set[str]) -> str:
    return next(name for name, each in SETS.items() if each == kinds)


class Core:
    """What the world asks a node's core."""

    def __init__(self, node: OriginalNode) -> None:
        self._node = node

    def deadline(self) -> int:
        return min(self._node.poll_at, self._node.beat_at)

    def hear(self, decoder, frame, now) -> int:
        return 0


class OriginalNode:
    """up: words of the resources that are up. healed: how often it has had to restart for a healed partition."""

    def __init__(self, world, name, generation, settings, *, hop_ns=100 * MILLISECOND) -> None:
        self.world = world
        self.name = name
        self.settings = settings
        self.generation = generation
        self.hop_ns = hop_ns
        self.peer = next(each for each in settings.nodes if each != name)
        self.decoders = {medium: Decoder(medium, AUTH, stream=False) for medium in settings.media}
        self.cluster = Core(self)
        self.alive = True
        self.queue = None
        self.up: list[str] = []
        self.notes: list[str] = []
        self.sent: list[Message] = []
        self.healed = 0
        self.sequence = 0
        self.state = INIT
        self.status = "init"
        self.mine: set[str] = set()
        self.theirs: set[str] = set()
        self.their_stable = False
        self.standby = ""
        self.standby_until = 0
        self.kind = "all"
        self.want_failback = False
        self.failback_due = False  # the other has become stable
        self.takeover_at: int | None = None
        self.peer_state = "init"
        self.peer_generation = 0
        self.peer_sequence = 0
        self.peer_status_sequence = 0
        self.heard_at: int | None = None
        self.peer_dt_ns = settings.deadtime_ns
        self.started_at = world.now
        self.poll_at = world.now
        self.beat_at = world.now
        self.asked_at = 0
        world.nodes[name] = self

    def note(self, text: str) -> None:
        self.notes.append(text)

    # --- the wire

    def send(self, kind: str, *, dest: str = "", **fields: str) -> None:
        if not self.alive:
            return
        self.sequence += 1
        items = [("t", 0, kind.encode())]
        if dest:
            items.append(("dest", 0, dest.encode()))
        items += [(name, 0, value.encode()) for name, value in fields.items()]
        items += [
            ("src", 0, self.name.encode()), ("srcuuid", 1, self.settings.uuid), ("seq", 0, b"%x" % self.sequence),
            ("hg", 0, b"%x" % self.generation), ("ts", 0, b"%x" % (self.world.now // SECOND)), ("ld", 0, b"n/a"),
            ("ttl", 0, b"3"),
        ]  # fmt: skip
        message = Message(items)
        self.sent.append(message)
        self.world.carry(self, message)

    def beat(self) -> None:
        dt_ms = self.settings.deadtime_ns // MILLISECOND
        self.send("status", st=self.status, dt=f"{dt_ms:x}", protocol="1")

    def tell(self, event) -> None:
        if not self.alive:
            return
        if isinstance(event, Tick):
            self._tick()
        elif isinstance(event, Message):
            self.world.later(self.hop_ns, lambda: self.alive and self._message(event))

    # --- time

    def _tick(self) -> None:
        now = self.world.now
        if now >= self.beat_at:
            self.beat_at = now + self.settings.keepalive_ns
            self.beat()
            if self.status == "init":
                self.status = "up"
                self.beat()
        if now >= self.poll_at:
            self.poll_at = now + POLL_NS
            self._poll(now)

    def _poll(self, now: int) -> None:
        limit_ns = self.settings.initdead_ns if self.status != "active" else self.peer_dt_ns
        since = self.started_at if self.heard_at is None else self.heard_at
        if self.peer_state != "dead" and now - since > limit_ns:
            self._peer_dead()
        if self.status == "up":
            self._communications(now)
        if self.standby and now > self.standby_until:
            self.standby = ""
            self.their_stable = True
            self.note("no reply to standby request, cancelled")
        if self.takeover_at is not None and now >= self.takeover_at:
            self.takeover_at = None
            if self.state == RSCRCVD:
                self.state = STABLE
                self._acquire(forced=False)
                self._report()
        self._fail_back()

    def _communications(self, now: int) -> None:
        if self.heard_at is None and self.peer_state != "dead":
            return
        if self.peer_state == "dead":
            self._active()
        elif now - self.asked_at >= SECOND:
            self.asked_at = now
            self.send("reqnodes", dest=self.peer)

    def _active(self) -> None:
        self.status = "active"
        self.beat()
        self.state = STARTING
        self.send("starting")
        if self.peer_state == "dead":
            self._own_report()

    # --- messages

    def _message(self, message: Message) -> None:
        if message.source != self.peer or (message.type or "").startswith("NS_"):
            return
        if message.generation < self.peer_generation:
            return
        if message.type == "status":
            self._generation(message)
        self.peer_sequence = max(self.peer_sequence, message.sequence)
        handler = getattr(self, f"_on_{message.type}".replace("-", "_"), None)
        if handler is not None and message.get("dest") in (None, self.name):
            handler(message)

    def _generation(self, message: Message) -> None:
        if message.generation == self.peer_generation and self.peer_state == "dead":
            if message.sequence > self.peer_status_sequence:
                self.healed += 1
                self.note("node returning after partition")
        elif message.generation > self.peer_generation > 0:
            self.note("Heartbeat restart")
            self.peer_sequence = 0
        self.peer_generation = message.generation
        self.peer_status_sequence = message.sequence

    def _on_status(self, message: Message) -> None:
        self.heard_at = self.world.now
        self.peer_state = message.get("st")
        self.peer_dt_ns = int(message.get("dt"), 16) * MILLISECOND

    def _on_reqnodes(self, message: Message) -> None:
        self.send("repnodes", dest=self.peer, nodelist=" ".join(self.settings.nodes) + " ", delnodelist=" ")

    def _on_repnodes(self, message: Message) -> None:
        if self.status == "up":
            self._active()

    def _on_starting(self, message: Message) -> None:
        if self.state in (INIT, BOTHSTARTING):
            self.note("starting ignored")
            return
        if self.state == STARTING:
            self.state = BOTHSTARTING
        self.their_stable = False
        self._report()

    def _on_resource(self, message: Message) -> None:
        if self.state == INIT:
            return
        self._received()
        said = set(SETS.get(message.get("rsc_hold"), set()))
        self.theirs = said if message.get("rtype") == "full" or not said else self.theirs | said
        if "foreign" in self.mine and "local" in self.theirs:
            self.note("ERROR: both own foreign resources")
        stable = message.get("isstable")
        if stable == "1":
            if not self.their_stable:
                self.their_stable = True
                self.failback_due = True
                self._report()
        elif stable == "0":
            self.their_stable = False
        if self.state not in (STABLE, SHUTDOWN) and self.their_stable:
            self._acquire(forced=False)
            self.state = STABLE
            self._report()

    def _received(self) -> None:
        if self.state in (STARTING, BOTHSTARTING):
            self.state = RSCRCVD
            self.takeover_at = self.world.now + TAKEOVER_NS

    def _own_report(self) -> None:
        """A report of its own that it hears."""
        self._received()
        self._report()

    def _report(self, info: str = "") -> None:
        fields = {"info": info} if info else {}
        stable = "1" if self.state == STABLE and not info else "0"
        self.send("resource", rsc_hold=text_of(self.mine), rtype="full", isstable=stable, **fields)

    def _on_shutdone(self, message: Message) -> None:
        if self.state == SHUTDOWN:
            return
        self.their_stable = True
        self.theirs = set()
        self._take_over()

    # --- resources

    def _words(self, kind: str) -> list[str]:
        return [
            resource.word
            for group in self.settings.groups
            if kind == "all" or (kind == "local") == (group.preferred == self.name)
            for resource in group.resources
        ]

    def _start(self, kind: str) -> None:
        self.up += [word for word in self._words(kind) if word not in self.up]

    def _stop(self, kind: str) -> None:
        self.up = [word for word in self.up if word not in self._words(kind)]

    def _acquire(self, *, forced: bool) -> None:
        if self.state == SHUTDOWN:
            return
        if not forced and ("foreign" in self.theirs or "local" in self.mine) and not self.standby:
            return
        self.mine.add("local")
        self._start("local")
        self._report()

    def _take_over(self) -> None:
        if self.state == SHUTDOWN:
            return
        self.mine.add("foreign")
        self.theirs = set()
        self.their_stable = True
        self.want_failback = True
        self._start("foreign")
        self._acquire(forced=True)
        self._own_report()

    def _peer_dead(self) -> None:
        self.note("peer is dead")
        self.peer_state = "dead"
        self.standby = ""
        self.want_failback = True
        self.failback_due = False
        self.peer_sequence = 0
        self._take_over()

    def _fail_back(self) -> None:
        wanted = self.failback_due and self.want_failback and "foreign" in self.mine
        if not wanted or self.settings.auto_failback != FAILBACK_ON:
            return
        if self.their_stable and self.state == STABLE and not self.standby and self.peer_state != "dead":
            self.want_failback = self.failback_due = False
            self.go_standby("foreign")

    # --- hand-over

    def go_standby(self, kind: str) -> None:
        """hb_standby here."""
        self.send("ask_resources", rsc_hold=kind, info="me")
        if self.standby or not self.their_stable or self.state != STABLE:
            self.note("in flux, ignored")
            return
        self.their_stable = False
        self.standby, self.kind = "me", kind
        self.standby_until = self.world.now + 10 * SECOND

    def take_over(self, kind: str) -> None:
        """hb_takeover here."""
        self.send("hb_takeover", rsc_hold=kind)

    def _on_hb_takeover(self, message: Message) -> None:
        self.go_standby(MIRROR[message.get("rsc_hold")])

    def _on_ask_resources(self, message: Message) -> None:
        info, kind = message.get("info"), message.get("rsc_hold")
        if self.state == SHUTDOWN or (info == "me" and self.standby):
            return
        if not self.standby:
            if info == "me" and self.their_stable and self.state == STABLE:
                self.their_stable = False
                self.standby, self.kind = "other", kind
                self.standby_until = self.world.now + 3600 * SECOND
                self.send("ask_resources", rsc_hold=kind, info="other")
            else:
                self.note("standby message ignored")
        elif self.standby == "me" and info == "other":
            self.mine -= SETS[kind]
            self._report("standby")
            self._stop(kind)
            self.send("ask_resources", rsc_hold=kind, info="done")
            self.standby = "done"
        elif self.standby == "other" and info == "done":
            self._start(MIRROR[kind])
            self.send("ask_resources", rsc_hold=kind, info="done")
            self.standby = ""
            self.mine |= SETS[MIRROR[kind]]
            self._report()
        elif self.standby == "done" and info == "done":
            self.standby = ""
            self.note("other node completed")
            self._report()
        else:
            self.note("ignored standby message")

    # --- the end

    def stop(self) -> None:
        """A clean one: it beats on for two seconds."""
        self.mine = set()
        self.state = SHUTDOWN
        self._report("shutdown")
        self._stop("all")
        self.send("shutdone", st="dead")
        self.world.later(2 * SECOND, self._end)

    def _end(self) -> None:
        self.alive = False
