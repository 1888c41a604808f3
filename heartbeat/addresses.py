"""The addresses of this node: set, removed and announced within the daemon, as many at once as the heartbeats can bear.

What the core wants waits here for the end of the turn. Runs of one kind that wait behind each other, of whichever
groups, go to the kernel together, in batches that take about BATCH_NS: with a thousand at once the heartbeats would be
late, which renew the leases that the addresses need. The neighbours are told as soon as a batch is set, and again,
batch by batch, while its addresses are held.
"""

from __future__ import annotations

import time

from heartbeat import agents
from heartbeat.core.actions import ERROR, STOP, WARN
from heartbeat.lean import deque

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from heartbeat.agents import Address
    from heartbeat.core.actions import RunAgent
    from heartbeat.core.settings import Resource
    from heartbeat.loop import Loop

    # a run that has ended: its number, the first code that is not 0, a line for the log, and whose
    Ended = tuple[int, int, str, str]

# What a batch is to take, announced and all; and of how many addresses it is. A kernel sets an IPv4 address in 20 µs,
# and an IPv6 address in a hundred, or, where it has a thousand already, in six hundred.
BATCH_NS = 1_500_000
BATCH_FIRST, BATCH_MOST = 16, 64
# For IPv6 the kernel also has work of its own to do, for which we wait, and that is none of our time.
BATCH_MOST_6 = 8
# so many ends of stops may wait for the core
BACKLOG = 16


class Run:
    """Of the core's, under way. left: what is still to be done, in order; failed: what could not be."""

    __slots__ = ("action", "failed", "left")

    def __init__(self, action: RunAgent, found: Mapping[Resource, Address]) -> None:
        self.action = action
        self.left = list(found.items())
        self.failed: dict[Resource, agents.AgentError] = {}


class Batch:
    """Addresses of which the neighbours are told together: those that are still to be announced. part: of what is said
    of each, what is to be said next; since_ns: when the first was; told: how often all of it was."""

    __slots__ = ("agents", "part", "since_ns", "told")

    def __init__(self, found: Mapping[Resource, Address], part: slice, now: int) -> None:
        self.agents = dict(found)
        self.part = part
        self.since_ns = now
        self.told = 0


class Addresses:
    """held: started, not stopped. runs: what is to be done, no two of one resource; batches: what is to be told. ended:
    is told of the runs that have. lifetime_s: for how long an address is given to the kernel; 0: for good."""

    def __init__(self, loop: Loop, ended: Callable[[Sequence[Ended]], None], lifetime_s: Callable[[], int]) -> None:
        self.held: dict[Resource, Address] = {}
        self.runs: deque[Run] = deque()
        self.batches: deque[Batch] = deque()
        self.divisor = 1
        self._loop = loop
        self._ended = ended
        self._lifetime_s = lifetime_s
        self._size = BATCH_FIRST
        self._told: dict[Resource, Batch] = {}  # of whom the neighbours are still to hear

    @property
    def waiting(self) -> bool:
        return bool(self.runs or self.batches)

    def run(self, action: RunAgent, found: Mapping[Resource, Address]) -> None:
        """START or STOP, of these agents."""
        if action.verb == STOP:
            # it may wait for a moment in which the heartbeats can bear it, and must not tell the neighbours until then
            self.hush(action.resources)
        self.runs.append(Run(action, found))

    def announce(self, found: Mapping[Resource, Address]) -> None:
        """Tell the neighbours, soon and again while they are held."""
        self.batches.append(self._batch(found, agents.WHOLE))

    def hush(self, resources: Iterable[Resource]) -> None:
        """Of these the neighbours hear nothing more."""
        for resource in resources:
            batch = self._told.pop(resource, None)
            if batch is not None:
                del batch.agents[resource]

    def _batch(self, found: Mapping[Resource, Address], part: slice) -> Batch:
        self.hush(found)
        batch = Batch(found, part, self._loop.now())
        self._told |= dict.fromkeys(found, batch)
        return batch

    # --- what waits

    def work(self, until: int) -> None:
        """One batch of what waits, and more up to that instant. The neighbours come when nothing is left to be run, and
        the core has had time to say what comes next; and no stops are run that it, and so the other node, would hear of
        much later."""
        ended = False
        while self.runs or (self.batches and not ended):
            stopping = bool(self.runs) and self.runs[-1].action.verb == STOP
            if self.runs:
                ended |= self._run(*self._gather(stopping))
            else:
                self._tell(self.batches.popleft())
            if self._loop.now() >= until or (stopping and len(self._loop.queue) >= BACKLOG):
                return

    def _gather(self, stopping: bool) -> tuple[str, list[tuple[Run, dict[Resource, Address]]]]:
        """A run, or a part of it, and the next while they are of its kind. Stops from the last one on: when the first
        address of a network goes, the kernel makes the second the first, and has all the others follow it."""
        end, most = (-1, max(BACKLOG - len(self._loop.queue), 1)) if stopping else (0, BATCH_MOST)
        verb = self.runs[end].action.verb
        found: list[tuple[Run, dict[Resource, Address]]] = []
        size = min(self._size, BATCH_MOST_6) if _version_6(next(iter(self.runs[end].left))[0]) else self._size
        while self.runs and self.runs[end].action.verb == verb and size and len(found) < most:
            run = self.runs[end]
            found.append((run, dict(run.left[:size])))
            del run.left[:size]
            size -= len(found[-1][1])
            if not run.left:
                del self.runs[end]
        return verb, found

    def _run(self, verb: str, parts: Sequence[tuple[Run, dict[Resource, Address]]]) -> bool:
        """True: one of them has ended."""
        began = time.thread_time_ns()  # what others do meanwhile says nothing of how much is too much
        found = {resource: agent for _, part in parts for resource, agent in part.items()}
        failed = self._stop(found) if verb == STOP else self._start(found)
        self._size = _size(len(found), time.thread_time_ns() - began)
        ended = []
        for run, part in parts:
            wrong = {resource: failed[resource] for resource in part if resource in failed}
            if verb != STOP and wrong and run.left:  # the rest is not tried
                run.left.clear()
                self.runs.remove(run)
            run.failed |= wrong
            if not run.left:
                ended.append(self._end(run))
        self._ended(ended)
        return bool(ended)

    def _start(self, found: Mapping[Resource, Address]) -> dict[Resource, agents.AgentError]:
        """Those that failed."""
        self.held |= found
        lifetime_s = self._lifetime_s()
        failed = {}
        for resource, agent in found.items():
            try:
                agent.limit(lifetime_s)
            except agents.AgentError as error:
                failed[resource] = error
        failed |= _failed(found, agents.start(list(found.values())))
        up = {resource: agent for resource, agent in found.items() if resource not in failed}
        self._tell(self._batch(up, agents.FIRST))
        return failed

    def _stop(self, found: Mapping[Resource, Address]) -> dict[Resource, agents.AgentError]:
        for resource in found:
            self.held.pop(resource, None)
        self.hush(found)
        return _failed(found, agents.stop(list(found.values())))

    def _end(self, run: Run) -> Ended:
        if not run.failed:
            return run.action.run, 0, "", ""
        (first, error), *more = run.failed.items()
        for resource, other in more:  # the core is told of one
            self._loop.log.write(ERROR, f"{resource.word}: {other.text}")
        return run.action.run, error.code or 1, error.text, first.word

    # --- the neighbours

    def _tell(self, batch: Batch) -> None:
        if not batch.agents:
            return
        results = agents.announce(list(batch.agents.values()), batch.part)
        for resource, error in _failed(batch.agents, results).items():
            self._loop.log.write(WARN, f"{resource.word}: {error.text}")
        if batch.part == agents.FIRST:
            batch.part = agents.REST
            self.batches.append(batch)
            return
        batch.part = agents.WHOLE
        batch.told += 1
        if batch.told < len(agents.ANNOUNCEMENTS_NS):
            due = batch.since_ns + agents.ANNOUNCEMENTS_NS[batch.told] // self.divisor
            self._loop.schedule.at(due, batch, lambda now: self.batches.append(batch))
        else:
            self.hush(list(batch.agents))

    # --- what else happens to them

    def restore(self) -> None:
        """What was taken from us is set again."""
        again = {}
        for resource, agent in self.held.items():
            try:
                if agent.restore():
                    self._loop.log.write(WARN, f"{resource.word}: somebody removed it: set again")
                    again[resource] = agent
            except agents.AgentError as error:
                self._loop.log.write(ERROR, f"{resource.word}: somebody removed it: {error.text}")
        for batch in _parts(again):
            self.announce(batch)

    def extend(self, resources: Iterable[Resource], seconds: int) -> None:
        """Of these, what is held ends by itself after so long; 0: it does not."""
        wanted = set(resources)
        for resource, agent in self.held.items():
            try:
                if resource in wanted:
                    agent.limit(seconds)
            except agents.AgentError as error:
                self._loop.log.write(ERROR, f"{resource.word}: {error.text}", cause=resource.word, burst=3)


def _version_6(resource: Resource) -> bool:
    return any(":" in argument.partition("/")[0] for argument in resource.arguments[:1])


def _size(count: int, took_ns: int) -> int:
    """Of the next batch, when one of `count` took so long."""
    return max(1, min(count * BATCH_NS // max(took_ns, 1), BATCH_MOST))


def _failed(
    found: Mapping[Resource, Address], results: Sequence[agents.AgentError | None]
) -> dict[Resource, agents.AgentError]:
    return {resource: error for resource, error in zip(found, results, strict=True) if error is not None}


def _parts(found: Mapping[Resource, Address]) -> list[dict[Resource, Address]]:
    pairs = list(found.items())
    return [dict(pairs[at : at + BATCH_MOST]) for at in range(0, len(pairs), BATCH_MOST)]
