"""Which take-overs count, and what is demanded. Pure: instants are nanoseconds of one clock."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from bench.failover.bars import Judged
from bench.rivals import instruments
from bench.rivals.instruments import Stall

VOID_PART = 0.2
# so long a run is demanded
MINUTES = 10
HOGS, IDLE = "16 hogs", "idle"


@dataclass(frozen=True)
class Event:
    """A node's kernel got the address. stalls: of the machine, near it."""

    at_ns: int
    node: str
    stalls: tuple[Stall, ...] = ()


@dataclass
class Count:
    """Of one pair in one phase. trouble: what makes it worthless."""

    system: str
    times: str
    load: str
    seconds: float
    kept: list[Event] = field(default_factory=list)
    aside: list[Event] = field(default_factory=list)
    trouble: str = ""

    @property
    def per_minute(self) -> float:
        return len(self.kept) / self.seconds * 60


def takeovers(changes: Iterable[tuple[int, str, bool]], holders: Iterable[str]) -> list[Event]:
    """changes: (instant, node, added) of the one address; holders: who had it before. An address that a kernel has
    already, and is told of again, is no take-over."""
    having = set(holders)
    found = []
    for at_ns, node, added in changes:
        if added and node not in having:
            found.append(Event(at_ns, node))
        (having.add if added else having.discard)(node)
    return found


def sort(events: Iterable[Event], stalls: Sequence[Stall]) -> tuple[list[Event], list[Event]]:
    """(those that count, those to be set aside, each with what spoilt it)."""
    kept, aside = [], []
    for event in events:
        near = tuple(instruments.near(event.at_ns, event.at_ns, stalls))
        (aside if near else kept).append(Event(event.at_ns, event.node, near))
    return kept, aside


def void(counts: Iterable[Count]) -> bool:
    """Has the machine itself had a hand in more than a fifth of all?"""
    counts = list(counts)
    aside = sum(len(each.aside) for each in counts)
    return aside > VOID_PART * (aside + sum(len(each.kept) for each in counts))


def judge(counts: Sequence[Count]) -> list[Judged]:
    """Where the run is void, nothing can be judged."""
    nothing = void(counts)

    def kept(system: str) -> float | None:
        found = [each for each in counts if (each.system, each.times, each.load) == (system, "10/30 ms", HOGS)]
        return None if nothing or not found or found[0].trouble else float(len(found[0].kept))

    minutes = min((each.seconds / 60 for each in counts if each.load == HOGS), default=0.0)
    note = f"{minutes:.1f} minutes" + ("" if minutes >= MINUTES * 0.99 else f", of {MINUTES} that are demanded")
    ours, ordinary = kept("ours"), kept("ours ordinary")
    rival, rival_ordinary = kept("keepalived"), kept("keepalived ordinary")
    found = [Judged(f"false take-overs of ours at 10/30 ms under {HOGS}", ours, 0, note=note)]
    # without a rival there is nothing to compare with
    found.append(Judged(f"the same with realtime off: no more than keepalived without real-time at 0.01 s under {HOGS}",
                        None if rival_ordinary is None else ordinary, rival_ordinary or 0))  # fmt: skip
    found.append(Judged(f"false take-overs of keepalived at 0.01 s under {HOGS}, real-time", rival, None))
    found.append(Judged(f"the same without real-time, under {HOGS}", rival_ordinary, None))
    return found
