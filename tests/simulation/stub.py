"""Cores that misbehave, each in one way: what proves that an audit can fail."""

from __future__ import annotations

from _hbfast.codec import Message
from heartbeat.core.actions import START, STATUS, STOP, Hold, Reply, RunAgent, Stop, Transmit
from heartbeat.core.events import AgentExited, Request
from heartbeat.core.view import ClusterView, GroupView, NodeView


class Stub:
    """Beats, says that all is well, and holds the groups that prefer it. What a subclass changes is its misdeed."""

    def __init__(self, settings, *, generation, now, **_):
        self.settings = settings
        self.generation = generation
        self.sequence = 0
        self.runs = 0
        self.next = now
        self.begun = False
        self.stable = True
        self.wanted = [group for group in settings.groups if group.preferred == settings.node]

    def deadline(self):
        return self.next

    def beat(self, now, wall_s):
        return None

    def hear(self, decoder, frame, now):
        return 0

    def handle(self, event, now):
        if isinstance(event, Request):
            return self.asked(event)
        if isinstance(event, AgentExited):
            return self.exited(event)
        actions = []
        if not self.begun:
            self.begun = True
            actions += self.begin()
        if now >= self.next:
            self.next = now + self.settings.keepalive_ns
            actions += self.say()
        return actions

    def say(self):
        self.sequence += 1
        fields = [("t", b"status"), ("src", self.settings.node.encode()), ("seq", b"%x" % self.sequence),
                  ("hg", b"%x" % self.generation), ("ts", b"5f")]  # fmt: skip
        return [Transmit(Message([(name, 0, value) for name, value in fields]), STATUS)]

    def begin(self):
        actions = [Hold(tuple(group.key for group in self.wanted), alone=False)]
        return actions + [self.run(group, each, START) for group in self.wanted for each in group.resources]

    def run(self, group, resource, verb):
        self.runs += 1
        return RunAgent(self.runs, group.key, (resource,), verb)

    def asked(self, request):
        return [Reply(request.number, True, "done")]

    def exited(self, event):
        return []

    def view(self):
        nodes = {name: NodeView("active", 1, {}) for name in self.settings.nodes}
        groups = [GroupView(each.key, each.preferred, each.preferred, "held") for each in self.settings.groups]
        return ClusterView(
            node=self.settings.node, state="active", generation=1, holds="all", stable=self.stable, nodes=nodes,
            groups=groups, warnings=[], last_failover=None, counts={}, ipfail=[],
        )  # fmt: skip


class Greedy(Stub):
    """Holds everything, whoever else does."""

    def begin(self):
        self.wanted = list(self.settings.groups)
        return super().begin()


class Idle(Stub):
    """Says that it is stable, and does nothing."""

    def begin(self):
        return []


class Silent(Stub):
    """Never renews: its leases run out, and it doesn't care."""

    def say(self):
        return []


class Restless(Stub):
    """Never stable."""

    def __init__(self, *arguments, **named):
        super().__init__(*arguments, **named)
        self.stable = False


class Hasty(Stub):
    """Starts an agent that runs already."""

    def begin(self):
        return super().begin() + super().begin()


class Impatient(Stub):
    """Starts what it is just stopping."""

    def begin(self):
        group = self.wanted[0] if self.wanted else None
        if group is None:
            return []
        first = group.resources[0]
        return [self.run(group, first, STOP), self.run(group, first, START)]


class Forgetful(Stub):
    """Starts what is up."""

    def exited(self, event):
        return self.begin() if self.runs < 10 else []


class Chatty(Stub):
    """Answers twice."""

    def asked(self, request):
        return [Reply(request.number, True, "done"), Reply(request.number, True, "done")]


class Mute(Stub):
    """Never answers."""

    def asked(self, request):
        return []


class Growing(Stub):
    """Keeps everything that it ever said."""

    def __init__(self, *arguments, **named):
        super().__init__(*arguments, **named)
        self.kept = []

    def say(self):
        self.kept += [0] * 100
        return super().say()


class Careless(Stub):
    """Stops without releasing anything."""

    def asked(self, request):
        return [Reply(request.number, True, "stopping"), Stop()]


class Broken(Stub):
    """Raises."""

    def say(self):
        raise AssertionError("our own bug")


# the audit walks objects of the core alone
for each in list(globals().values()):
    if isinstance(each, type) and issubclass(each, Stub):
        each.__module__ = "heartbeat.core.stub"
