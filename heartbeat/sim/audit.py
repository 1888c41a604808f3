"""What must hold after every event, seen from outside the cluster: who answers for what, not who says so.

Nothing is done for an event that changes nothing: `watchful` is set by whatever does something, and stays set as long
as the pair is not calm (both stable, each group held exactly once).

Two holders of an address. The one rule, with its one excuse: two machines may answer for an address for `healing_ns`
after the last instant at which the nodes were apart, and never else. Apart means that every medium had, in one
direction, lost each status for the shortest deadtime that was in force (World.last_apart): then one side had to find
the other dead, and both were right to serve. A medium that works carries the news of both in a keepalive; that, a
second, and three frames are what letting go may take.

Letting go takes an answer, because only who is heard is believed (core/healing.py): a status sent after the first ones
of both came out. One lost answer fits into the allowance. Where the first two of a direction are lost, and more after
them, that medium carries no news yet, and the allowance counts from the last of these; once an answer has come out,
nothing that is lost is an excuse, as it is none where the nodes were not apart.

A pause is no excuse for two, however long, nor is a crash: that is what the lease is for. But one that comes while two
are letting go after a partition ends it no sooner than the lease does: until then the allowance waits for who does not
run, for a death time at most.

An agreed hand-over is the other excuse: where one of the two has had its lease cut, so that the other may begin, both
may answer for 250 ms and three frames, from the first instant at which they do.
"""

from __future__ import annotations

from collections import Counter, deque

from heartbeat.core.history import LIMIT as HISTORY_LIMIT
from heartbeat.core.history import History
from heartbeat.core.settings import MILLISECOND, SECOND
from heartbeat.core.timers import CAPACITY
from heartbeat.sim.driver import PAUSED, RUNNING
from heartbeat.sim.medium import NEVER
from heartbeat.sim.options import ADDRESS_AGENTS
from heartbeat.sim.serial import WAITING_FRAMES, SerialLane

TYPE_CHECKING = False
if TYPE_CHECKING:
    from heartbeat.core.settings import Group, Resource
    from heartbeat.core.view import ClusterView
    from heartbeat.sim.driver import Driver
    from heartbeat.sim.medium import Lane
    from heartbeat.sim.world import World

# What an agreed hand-over may overlap, three frame times besides.
HAND_OVER_NS = 250 * MILLISECOND
HEALING_NS = SECOND
FRAMES = 3

# Looks of the unhurried kind: everything that can grow is measured once in so many.
LOOKS = 512
NEWS_KEEPALIVES = 3
WAKE_KEEPALIVES = 64
DEPTH = 12


# why one node found the other dead: its daemon did not run; every medium was cut; one of them did not run for a
# while, or has just started; and for no such reason
DOWN, CUT, STALLED, FALSE = "down", "cut off", "stalled", "falsely"


class AuditFailure(Exception):  # noqa: N818  reads as what it says
    """rule: which one is broken, a word. text: by what."""

    def __init__(self, rule: str, text: str) -> None:
        super().__init__(f"{rule}: {text}")
        self.rule = rule
        self.text = text


class Gap:
    """A time in which nobody answered for an address. released: it was given up in order; else its holder's daemon
    died, or paused, or could not speak. began, ended: instants."""

    __slots__ = ("address", "began", "ended", "holder", "released", "taker")

    def __init__(self, address: Resource, holder: str, taker: str, began: int, ended: int, *, released: bool) -> None:
        self.address = address
        self.holder = holder
        self.taker = taker
        self.began = began
        self.ended = ended
        self.released = released


class Answer:
    """node: which answers, or did last. until: NEVER while it does; then released tells how it ended."""

    __slots__ = ("node", "released", "until")

    def __init__(self, node: Driver) -> None:
        self.node = node
        self.until = NEVER
        self.released = False


class Audit:
    """gaps: of each address, whenever it is answered for again. take_overs: of groups that their holder had not
    released; deaths: how often a node was found dead, by cause."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.watchful = True
        self.calm = False
        self.deaths: Counter[str] = Counter()
        self.take_overs = 0
        self.gaps: list[Gap] = []
        self._double: dict[Resource, int] = {}  # address → since when two answer for it
        self._pauses: dict[Driver, int | None] = {}  # of those who ran while two answered: since when not
        self._waited = -NEVER  # last instant at which the allowance waited for one of them
        self._answers_of: dict[Resource, Answer] = {}
        self._peer_dead = [False, False]
        self._wrong_since: int | None = None  # both say stable, and something is not
        self._looks = 0

    def fail(self, rule: str, text: str) -> None:
        self.world.note("audit", f"{rule}: {text}")
        raise AuditFailure(rule, text)

    # --- told by nodes, before something ends

    def before_grant(self, node: Driver) -> None:
        """Leases are about to change: until when did they let this node answer? What they let it answer for again is
        seen at the next look, which follows."""
        self.watchful = True
        for resource in node.machine.up:
            self._ends(node, resource, released=False)

    def before_down(self, node: Driver, resource: Resource) -> None:
        self._ends(node, resource, released=True)

    def before_power_off(self, node: Driver) -> None:
        self.before_grant(node)

    def _ends(self, node: Driver, resource: Resource, *, released: bool) -> None:
        """It answers no more, or may not; what comes next is seen at the next look."""
        answer = self._answers_of.get(resource)
        if answer is None or answer.node is not node or answer.until != NEVER:
            return
        key = node.machine.up[resource]
        lease = node.machine.leases.end_of(key)
        answer.until = min(self.world.now, lease)
        answer.released = (released or node.machine.leases.is_cut(key)) and lease > self.world.now

    def stopped(self, node: Driver) -> None:
        """A daemon has ended cleanly: nothing of its groups is up, but for what would not stop."""
        for resource in node.machine.up:
            if resource not in node.machine.unknown and node.machine.answers(resource, self.world.now):
                self.fail("release", f"{node.name} has stopped and still answers for {resource.word}")

    # --- after every event

    def look(self) -> None:
        """Something has happened, or things are not calm."""
        self.watchful = False
        self._looks += 1
        self._look_at_holders()
        views = [node.view() if node.state == RUNNING else None for node in self.world.nodes]
        self._look_at_deaths(views)
        self.calm = self._look_at_stability(views)
        if self._double or (not self.calm and None not in views):
            self.watchful = True
        if self._looks % LOOKS == 0:
            self.measure()

    def wake(self, _: object = None) -> None:
        """Look now and then also where nothing seems to happen."""
        self.watchful = True
        self.world.at(self.world.now + WAKE_KEEPALIVES * self.world.keepalive_ns, self.wake)

    def healing_ns(self) -> int:
        """How long two holders may last once a medium works both ways."""
        return HEALING_NS + 2 * self.world.keepalive_ns + FRAMES * self.world.frame_time_ns()

    def hand_over_ns(self) -> int:
        """How long two may have what is handed over."""
        return HAND_OVER_NS + FRAMES * self.world.frame_time_ns()

    def _look_at_holders(self) -> None:
        world, now = self.world, self.world.now
        one, other = world.nodes
        for node, peer in ((one, other), (other, one)):
            machine = node.machine
            for resource in machine.up:
                if resource.name in ADDRESS_AGENTS and machine.answers(resource, now):
                    if not peer.machine.answers(resource, now):
                        self._answers(node, resource)
                    elif resource not in self._double:
                        self._begin_double(node, resource)
        for resource in list(self._double):
            if not (one.machine.answers(resource, now) and other.machine.answers(resource, now)):
                world.note("audit", f"one answers for {resource.word} again")
                del self._double[resource]
        if not self._double:
            self._pauses.clear()
            self._waited = -NEVER
        elif now > self._allowed_until():
            self._fail_but_for_agreed()

    def _agreed(self, resource: Resource) -> bool:
        """Is it a hand-over's, which may be on both nodes for so long?"""
        if self.world.now > self._double[resource] + self.hand_over_ns():
            return False
        machines = [node.machine for node in self.world.nodes]
        return any(machine.leases.is_cut(machine.up[resource]) for machine in machines)

    def _allowed_until(self) -> int:
        """How long the two holders of this instant may last."""
        now, apart = self.world.now, self.world.last_apart()
        if now <= max(apart, self._waited) + self.healing_ns():
            for node in self.world.nodes:
                if node.state == RUNNING:
                    self._pauses[node] = None
                elif node in self._pauses:
                    since = self._pauses[node] = self._pauses[node] or now
                    if now - since <= node.settings.deadtime_ns:
                        self._waited = now
        return max(apart, self._waited) + self.healing_ns()

    def _begin_double(self, node: Driver, resource: Resource) -> None:
        world = self.world
        answer = self._answers_of.get(resource)
        self._double[resource] = world.now
        agreed = self._agreed(resource)
        if answer is not None and not agreed:
            self._count_take_over(node if answer.node is not node else node.peer, resource)
        world.note("audit", f"two answer for {resource.word}{', as agreed' if agreed else ''}")
        if world.now > self._allowed_until():
            self._fail_but_for_agreed()
        allowed_ns = self.hand_over_ns() if agreed else self.healing_ns()
        world.at(max(world.last_apart(), world.now) + allowed_ns + 1, self._look_again)

    def _look_again(self, _: object) -> None:
        """The time allowed for two holders may be over."""
        self.watchful = True
        if self._double:
            self.world.at(max(self._allowed_until(), self.world.now) + 1_000_000, self._look_again)

    def _fail_but_for_agreed(self) -> None:
        for resource, since in self._double.items():
            if not self._agreed(resource):
                self._fail_double(resource, since)

    def _fail_double(self, resource: Resource, since: int) -> None:
        world = self.world
        apart = world.last_apart()
        when = "never" if apart < 0 else f"last at {apart / SECOND:.6f}"
        self.fail(
            "two holders",
            f"{resource.word} since {since / SECOND:.6f}; the nodes were apart {when}, "
            f"and have {self.healing_ns() / SECOND:.3f} s from then on; a hand-over has "
            f"{self.hand_over_ns() / SECOND:.3f} s",
        )

    def _answers(self, node: Driver, resource: Resource) -> None:
        """It does so now, and alone. A silence before is a gap."""
        now = self.world.now
        before = self._answers_of.get(resource)
        if before is not None and before.node is node and before.until == NEVER:
            return
        self._answers_of[resource] = Answer(node)
        if before is None or resource in self._double:
            return
        if before.until == NEVER:  # nobody ended it: the lease has run out
            machine = before.node.machine
            before.until = min(now, machine.leases.end_of(machine.up.get(resource, "")))
        if before.until < now:
            gap = Gap(resource, before.node.name, node.name, before.until, now, released=before.released)
            self.gaps.append(gap)
        if before.node is not node and not before.released:
            self._count_take_over(node, resource)

    def _count_take_over(self, node: Driver, resource: Resource) -> None:
        """A group counts by its first address."""
        for group in node.settings.groups:
            addresses = [each for each in group.resources if each.name in ADDRESS_AGENTS]
            if addresses[:1] == [resource]:
                self.take_overs += 1
                self.world.note("audit", f"{node.name} has taken over {group.key}")

    def _look_at_deaths(self, views: list[ClusterView | None]) -> None:
        for node, view in zip(self.world.nodes, views, strict=True):
            dead = view is not None and view.nodes[node.peer.name].status == "dead"
            if dead and not self._peer_dead[node.index]:
                self._found_dead(node)
            self._peer_dead[node.index] = dead

    def _found_dead(self, node: Driver) -> None:
        cause = self._cause_of_death(node)
        self.deaths[cause] += 1
        self.world.note("audit", f"{node.name} finds {node.peer.name} dead: {cause}")

    def _cause_of_death(self, node: Driver) -> str:
        """Why one node finds the other dead, as the world knows it."""
        peer, world = node.peer, self.world
        since = world.now - 2 * world.silence_ns
        if peer.leaving or peer.state not in (RUNNING, PAUSED):
            return DOWN
        if all(there.in_trouble or back.in_trouble for there, back in world.lanes.values()):
            return CUT
        steady = peer.state == RUNNING and peer.runs_since < since and node.runs_since < since
        return FALSE if steady else STALLED

    # --- stability

    def _look_at_stability(self, views: list[ClusterView | None]) -> bool:
        """Both stable: then each group is held exactly once. False where not both are."""
        one, other = self.world.nodes
        said = [view for view in views if view is not None and view.stable]
        if len(said) < 2 or any(view.nodes[name].status != "active" for view in said for name in view.nodes):
            self._wrong_since = None
            return False
        if self.world.last_apart() + self.healing_ns() >= self.world.now:
            return False
        if one.settings.resources_digest != other.settings.resources_digest:
            return True  # the operator is not done
        for group in one.settings.groups:
            trouble = self.trouble_of(group)
            if trouble:
                if self._wrong_since is None:
                    self._wrong_since = self.world.now
                if self.world.now - self._wrong_since <= NEWS_KEEPALIVES * self.world.keepalive_ns:
                    return False
                self.fail("stable", f"both nodes are stable, but {group.key}: {trouble}; {_claims(said, group)}")
        self._wrong_since = None
        return True

    def trouble_of(self, group: Group) -> str:
        """Why a group is not held exactly once; nothing where it is."""
        now = self.world.now
        machines = [node.machine for node in self.world.nodes]
        for resource in group.resources:
            if resource.notifier or any(resource in machine.unknown for machine in machines):
                continue
            if resource.name in ADDRESS_AGENTS:
                count = sum(machine.answers(resource, now) for machine in machines)
            else:
                count = sum(resource in machine.up for machine in machines)
            if count != 1:
                verb = "answers for" if resource.name in ADDRESS_AGENTS else "runs"
                return f"{'nobody' if not count else 'more than one'} {verb} {resource.word}"
        return ""

    # --- what can grow

    def measure(self) -> None:
        """Every container within a running core, and what waits outside."""
        for node in self.world.nodes:
            for lane in node.lanes_of.values():
                self._measure_lane(lane)
            if node.cluster is not None and node.state == RUNNING:
                self._measure_core(node)

    def _measure_lane(self, lane: Lane) -> None:
        if isinstance(lane, SerialLane) and lane.waiting > 2 * WAITING_FRAMES + 1:
            self.fail("limits", f"{lane.name}: {lane.waiting} frames wait")

    def _measure_core(self, node: Driver) -> None:
        seen: set[int] = set()
        level: list[tuple[str, object]] = [("cluster", node.cluster)]
        for _ in range(DEPTH):
            following = []
            for path, value in level:
                if id(value) in seen or isinstance(value, (str, bytes, int, float, type(None), type)):
                    continue
                seen.add(id(value))
                if isinstance(value, History) and len(value) > HISTORY_LIMIT:
                    self.fail("limits", f"{node.name}: {path} holds {len(value)} messages")
                if isinstance(value, (list, dict, set, frozenset, deque, tuple)):
                    if len(value) > CAPACITY:
                        self.fail("limits", f"{node.name}: {path} holds {len(value)}")
                    following += [(path, each) for each in (value.values() if isinstance(value, dict) else value)]
                elif type(value).__module__.startswith("heartbeat.core"):
                    following += _attributes(path, value)
            level = following


def _attributes(path: str, value: object) -> list[tuple[str, object]]:
    names = [name for each in type(value).__mro__ for name in getattr(each, "__slots__", ())]
    names += list(getattr(value, "__dict__", ()))
    return [(f"{path}.{name}", getattr(value, name, None)) for name in names]


def _claims(views: list[ClusterView], group: Group) -> str:
    said = [(view.node, each) for view in views for each in view.groups if each.key == group.key]
    return ", ".join(f"{node} says {each.state} by {each.holder}" for node, each in said)
