"""Two clusters and the world between them, with a clock that only this file moves: what a test of the core needs.

Messages travel encoded (the real codec, signed), so what arrives is what a wire would deliver. Agents take no time
unless told otherwise.
"""

from __future__ import annotations

import heapq
import itertools

from _hbfast.auth import Authenticator
from _hbfast.codec import Decoder, encode
from heartbeat.core.actions import (
    ANNOUNCE,
    REDIRECT,
    Alarm,
    Begin,
    Hold,
    Hook,
    KillAgent,
    Note,
    Reboot,
    Remember,
    Reply,
    RunAgent,
    Stop,
    Transmit,
)
from heartbeat.core.cluster import Cluster
from heartbeat.core.events import AgentExited, MediumDown, MediumUp, Reload, Request, Tick
from heartbeat.core.settings import FAILBACK_OFF, MILLISECOND, SECOND, Group, Resource, Settings

AUTH = Authenticator({1: ("sha1", b"a-secret")}, 1)
JULIUS, CAESAR = "julius", "caesar"
SEED_GROUP = Group(
    "IPaddr::10.0.0.254",
    JULIUS,
    [
        Resource("IPaddr::10.0.0.254", "IPaddr", ["10.0.0.254"]),
        Resource("IPaddr::1.1.1.254", "IPaddr", ["1.1.1.254"]),
        Resource("MailTo::alerts@myworkaddress.com::JuliusCaesar", "MailTo", ["a", "b"], notifier=True),
    ],
)


def settings(node: str, **changes) -> Settings:
    """The seed's configuration: 5, 15, 10, 30 s, one serial line, one group preferred on julius."""
    values = {
        "node": node, "nodes": (JULIUS, CAESAR), "uuid": node.encode().ljust(16, b"."), "media": ("ttyS0",),
        "groups": (SEED_GROUP,), "keepalive_ns": 5 * SECOND, "deadtime_ns": 15 * SECOND, "warntime_ns": 10 * SECOND,
        "initdead_ns": 30 * SECOND, "auto_failback": FAILBACK_OFF,
    }  # fmt: skip
    return Settings(**{**values, **changes})


class Node:
    """One side. up: words of the resources that are up. failing, hanging: (verb, word) of
    runs that fail, and that never end."""

    def __init__(self, world: World, name: str, generation: int, configuration: Settings, **recalled) -> None:
        self.world = world
        self.name = name
        self.settings = configuration
        self.cluster = Cluster(configuration, generation=generation, seed=generation, now=world.now, **recalled)
        self.decoders = {medium: Decoder(medium, AUTH, stream=False) for medium in configuration.media}
        self.up: list[str] = []
        self.notes: list[str] = []
        self.runs: list[tuple[str, str]] = []
        self.replies: dict[int, tuple[bool, str]] = {}
        self.failing: set[tuple[str, str]] = set()
        self.hanging: set[tuple[str, str]] = set()
        self.hung: dict[int, RunAgent] = {}
        self.slow_ns: dict[str, int] = {}
        self.stopped = False
        self.rebooted: str | None = None
        self.sent: list = []
        self.alive = True
        self.queue: list[tuple[str, bytes]] | None = None  # of a paused node: what came in
        self.holding: tuple[str, ...] = ()
        self.ceding: tuple[str, ...] = ()  # of what it holds besides, what it has for a moment only
        self.known: dict[str, tuple[int, int]] = {}
        self.alarms: list[str] = []
        self.hooks: list[tuple[str, dict[str, str]]] = []
        self.generations: list[int] = []  # that it has begun while it ran

    @property
    def outbox(self):
        """What it has said, for who looks behind the scenes."""
        self.cluster._steady.settle()
        return self.cluster._outbox

    def tell(self, event) -> None:
        if not self.alive or self.queue is not None:
            return
        pending = [event]
        while pending:
            for action in self.cluster.handle(pending.pop(0), self.world.now):
                self._obey(action, pending)

    def _obey(self, action, pending) -> None:
        match action:
            case Transmit():
                self.sent.append(action.message)
                self.world.carry(self, action.message)
            case Note():
                self.notes.append(action.text)
            case RunAgent(verb=verb, resources=resources):
                self.runs += [(verb, resource.word) for resource in resources]
                self._run(action, pending)
            case Hold(keys=keys, ending=ending):
                self.holding = keys
                self.ceding = ending
            case Remember(node=node, generation=generation, sequence=sequence):
                self.known[node] = (generation, sequence)
            case Begin(generation=generation):
                self.generations.append(generation)
            case Alarm(text=text):
                self.alarms.append(text)
                self.notes.append(text)
            case Hook(name=name, fields=fields):
                self.hooks.append((name, dict(fields)))
            case KillAgent():
                hung = self.hung.pop(action.run, None)
                if hung is not None:
                    pending.append(AgentExited(action.run, 137, "killed"))
            case Reply():
                self.replies[action.number] = (action.ok, action.text)
            case Reboot():
                self.rebooted = action.reason
            case Stop():
                self.stopped = True
                self.alive = False

    def _run(self, action, pending) -> None:
        words = [resource.word for resource in action.resources]
        if action.verb in (ANNOUNCE, REDIRECT):
            return
        if any((action.verb, word) in self.hanging for word in words):
            self.hung[action.run] = action
            return
        failed = [word for word in words if (action.verb, word) in self.failing]
        for word in words:
            if action.verb == "start" and word not in failed:
                assert word not in self.up, f"{word} started twice"
                self.up.append(word)
            elif action.verb == "stop" and word in self.up:
                self.up.remove(word)
        if action.run:
            done = AgentExited(action.run, 1, "it failed", failed[0]) if failed else AgentExited(action.run, 0)
            slow_ns = sum(self.slow_ns.get(word, 0) for word in words)
            if slow_ns:
                self.world.later(slow_ns, lambda: self.tell(done))
            else:
                pending.append(done)

    def record(self) -> list:
        """Every action from now on, in order, as it is obeyed."""
        told: list = []
        obey = self._obey
        self._obey = lambda action, pending: (told.append(action), obey(action, pending))[1]
        return told

    def view(self):
        return self.cluster.view()

    def claims(self) -> list[str]:
        return [group.key for group in self.view().groups if group.holder == self.name]


class World:
    """now: nanoseconds. cut: set of (from, to, medium) that carry nothing. delay_ns: of every frame."""

    def __init__(self, delay_ns: int = MILLISECOND) -> None:
        self.now = 1_000 * SECOND
        self.delay_ns = delay_ns
        self.nodes: dict[str, Node] = {}
        self.cut: set[tuple[str, str, str]] = set()
        self.drop = None
        self.heard = 0  # frames that nobody had to decode
        self._queue: list = []
        self._serial = itertools.count()
        self._generations = itertools.count(100)

    def boot(
        self, name: str, leftovers=(), adopted=(), known=None, generation: int | None = None, *, peer_dead=False,
        overdue=False,
        **changes,
    ) -> Node:  # fmt: skip
        configuration = settings(name, **changes)
        node = Node(
            self, name, generation or next(self._generations), configuration, leftovers=leftovers, adopted=adopted,
            known=known, peer_dead=peer_dead, overdue=overdue,
        )  # fmt: skip
        self.nodes[name] = node
        for medium in configuration.media:
            node.tell(MediumUp(medium))
        return node

    def kill(self, name: str) -> None:
        """A power failure: nothing of it is left."""
        self.nodes.pop(name).alive = False

    def pause(self, name: str) -> None:
        """SIGSTOP: what comes in waits, nothing runs."""
        self.nodes[name].queue = []

    def wake(self, name: str) -> None:
        """What has waited comes before the timers, as in the daemon."""
        node = self.nodes[name]
        waiting, node.queue = node.queue, None
        for medium, frame in waiting:
            self.deliver(node, medium, frame)

    def later(self, delay_ns: int, call) -> None:
        heapq.heappush(self._queue, (self.now + delay_ns, next(self._serial), call))

    def carry(self, sender: Node, message) -> None:
        frame = encode(message, AUTH, "netstring")
        for medium in sender.settings.media:
            for receiver in self.nodes.values():
                if receiver is sender or (sender.name, receiver.name, medium) in self.cut:
                    continue
                if self.drop is not None and self.drop(sender.name, message, medium):
                    continue
                self.later(self.delay_ns, lambda r=receiver, m=medium: self.deliver(r, m, frame))

    def deliver(self, receiver: Node, medium: str, frame: bytes) -> None:
        if receiver.queue is not None:
            receiver.queue.append((medium, frame))
        elif receiver.alive and medium in receiver.decoders:
            decoder = receiver.decoders[medium]
            if receiver.cluster.hear(decoder, frame, self.now):
                self.heard += 1
                return
            for message in decoder.feed(frame):
                receiver.tell(message)

    def run(self, seconds: float) -> None:
        """Let this much time pass; every timer fires in its instant."""
        end = self.now + round(seconds * SECOND)
        while True:
            running = [node for node in self.nodes.values() if node.alive and node.queue is None]
            dues = [(due, node) for node in running if (due := node.cluster.deadline())]
            next_timer = min((due for due, _ in dues), default=end + 1)
            next_event = self._queue[0][0] if self._queue else end + 1
            if min(next_timer, next_event) > end:
                break
            if next_event <= next_timer:
                self.now = max(self.now, next_event)
                heapq.heappop(self._queue)[2]()
            else:
                self.now = max(self.now, next_timer)
                for due, node in dues:
                    if due <= self.now:
                        node.tell(Tick(self.now // SECOND))
        self.now = end

    def both(self) -> tuple[Node, Node]:
        """julius and caesar, booted in one instant, and settled."""
        julius, caesar = self.boot(JULIUS), self.boot(CAESAR)
        self.run(10)
        return julius, caesar

    def ask_later(self, node: Node, verb: str, argument: str = "all") -> int:
        """The request's number; `node.replies` has the answer in its time."""
        number = next(self._serial) + 1
        node.tell(Request(number, verb, argument))
        return number

    def ask(self, node: Node, verb: str, argument: str = "all", within: float = 30) -> tuple[bool, str]:
        number = self.ask_later(node, verb, argument)
        for _ in range(int(within * 10)):
            if number in node.replies:
                return node.replies[number]
            self.run(0.1)
        raise AssertionError("no reply")


__all__ = ["CAESAR", "JULIUS", "MediumDown", "Node", "Reload", "World", "settings"]
