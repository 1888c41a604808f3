"""A mixed pair on bad lines for minutes, and what became of each message: recovered, superseded, or lost.

    Ethernet   one heartbeat in ten is lost, one in ten comes twice, and one in ten is overtaken by the next
    serial     one octet in two thousand is another one, so that a message in ten is damaged
    phases     both media, then Ethernet alone, then the line alone: what one medium loses the other brings no more

Meanwhile the operator moves the groups, by either program's tool, so that not only statuses get lost. What was sent and
what has arrived is read off the wires (`tap`), who holds off the kernels, and both logs must agree.

`sh scripts/interop --soak` plays it for ten minutes with ours at either place, and prints a row for each.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from interop.conversation import BAUD, BOOT_S, PATIENCE_S, status_of_ours, trouble
from interop.pair import Pair, TroubleError, playing
from interop.setting import NODES, ORDERS, Setting
from interop.tap import CARD, Passed, Tap, count, tapped
from system.links import HEARTBEATS, Way

from heartbeat.demo.clock import SECOND, now_ns
from heartbeat.demo.world import until

LONG_S = 600.0
SHORT_S = 60.0
KEEPALIVE_MS = 100
PERCENT = 10
# Drawn evenly up to here, one delay in ten is longer than the next message's and its keepalive.
DELAY_MS = 180
NOISE_PER_OCTET = 0.0005
PHASES = ("both", "ethernet", "serial")
MOVE_EVERY_S = 8.0
# The original's scripts take five seconds, and many more on a busy machine.
MOVE_S = 40.0
ATTEMPTS = 3
# After the last fault: the longest that a message is asked for again.
RECOVER_S = 8.0
MOVES = (("standby julius all", "c"), ("takeover julius all", "j"), ("takeover caesar all", "c"),
         ("standby caesar all", "j"))  # fmt: skip
KINDS = ("lost", "dead")


@dataclass
class Ways:
    """What became of the numbered messages of one node on their way to the other.

    sent: different ones; asked: of them, those that the other asked for again; again: sent again; refused: could not be
    sent again (NAK); never: have not arrived at all; of them superseded: statuses, and a later one has arrived.
    """

    sent: int = 0
    asked: int = 0
    again: int = 0
    refused: int = 0
    never: int = 0
    superseded: int = 0
    others: list[str] = field(default_factory=list)  # never arrived, and nothing has taken their place

    def __str__(self) -> str:
        return f"{self.sent} / {self.asked} / {self.again} / {self.refused} / {self.never} / {self.superseded}"


@dataclass
class Soak:
    """none_ms: the longest time, outside planned moves, in which nobody held; late_ms: in which nobody looked. idle:
    does nobody ask for anything after the end? rejected: by ours, of each medium."""

    setting: Setting
    seconds: float
    ways: dict[str, Ways] = field(default_factory=dict)
    moves: int = 0
    repeated: int = 0
    took_s: list[tuple[str, float]] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)
    rejected: dict[str, int] = field(default_factory=dict)
    both_ms: float = 0.0
    none_ms: float = 0.0
    late_ms: float = 0.0
    held: str = ""
    links: str = "not up"
    idle: bool = False
    found: dict[str, list[str]] = field(default_factory=dict)
    trouble: str = ""
    logs: dict[str, str] = field(default_factory=dict)

    @property
    def right(self) -> bool:
        whole = len(self.ways) == len(NODES) and not any(each.others for each in self.ways.values())
        one = not self.both_ms and not self.none_ms and self.held in ("j", "c")
        return not self.trouble and whole and one and self.idle and self.links == "up" and not any(self.found.values())

    def story(self) -> str:
        lines = [f"--- {self.setting}", "    " + " | ".join(cells(self))]
        lines += [f"    {name}: never arrived: {each}" for name, ways in self.ways.items() for each in ways.others]
        lines += [f"    {kind}: {line}" for kind, those in self.found.items() for line in those[:10]]
        for name, log in self.logs.items():
            lines += [f"    the end of the log of {name}:", *(f"        {line}" for line in log.splitlines()[-25:])]
        return "\n".join(lines)


def settings() -> list[Setting]:
    return [
        Setting(*order, media=("serial", "ucast"), groups=1, keepalive_ms=KEEPALIVE_MS, baud=BAUD) for order in ORDERS
    ]


def soak(setting: Setting, seconds: float = SHORT_S, seed: int = 1) -> Soak:
    made = Soak(setting, seconds)
    with playing(setting) as pair:
        pair.do(f"start {' '.join(NODES)}")
        with tapped(pair) as tap:
            since_ns = now_ns()
            moving: list[tuple[int, int]] = []
            try:
                until(lambda: pair.state() == "j" and pair.done() and pair.links_up(), BOOT_S, "julius holds, links up")
                since_ns = now_ns()
                for phase in PHASES:
                    _spoil(pair, phase, seed)
                    _move(pair, seconds / len(PHASES), made, moving)
                    _heal(pair)
                until(lambda: pair.done() and pair.links_up(), PATIENCE_S, "all links up again")
                made.links = "up"
                time.sleep(RECOVER_S)
                made.idle = _idle(tap)
            except TimeoutError as error:
                made.trouble = str(error)
            made.held = pair.state()
            until_ns = now_ns()
            made.both_ms = max((each.ms for each in pair.kernels.both(since_ns, until_ns)), default=0.0)
            alone = [each for each in pair.kernels.none(since_ns, until_ns) if not _within(each, moving)]
            made.none_ms = max((each.ms for each in alone), default=0.0)
            made.late_ms = pair.kernels.late_ms(since_ns)
            made.found = trouble(pair, KINDS)
            made.rejected = {each["name"]: each["rejected"] for each in status_of_ours(pair).get("media", ())}
            for name in NODES:
                made.ways[name] = _ways(tap, name, pair.other(name))
            if not made.right:
                made.logs = {name: node.log() for name, node in pair.nodes.items()}
    return made


# what is done to them


def _spoil(pair: Pair, phase: str, seed: int) -> None:
    julius, caesar = pair.nodes.values()
    ways = Way(julius, caesar, CARD), Way(caesar, julius, CARD)
    assert pair.cable
    if phase == "serial":
        pair.links.lose(*ways, what=HEARTBEATS)
    else:
        pair.links.copy(*ways, percent=PERCENT)
        pair.links.delay(*ways, least_ms=0, most_ms=DELAY_MS, seed=seed)
        pair.links.lose(*ways, percent=PERCENT, what=HEARTBEATS)
    if phase == "ethernet":
        pair.cable.cut()
    pair.cable.noise(NOISE_PER_OCTET, seed)


def _heal(pair: Pair) -> None:
    assert pair.cable
    pair.heal()
    pair.cable.noise(0, 0)


def _move(pair: Pair, seconds: float, made: Soak, moving: list[tuple[int, int]]) -> None:
    """TimeoutError: a move that does not come about."""
    end = time.monotonic() + seconds
    while (now := time.monotonic()) < end - MOVE_EVERY_S:
        action, wanted = MOVES[made.moves % len(MOVES)]
        time.sleep(MOVE_EVERY_S / 2)
        began_ns = now_ns()
        for _ in range(ATTEMPTS):
            try:
                pair.do(action)
            except TroubleError as error:  # a command of ours waits for the other node's answer, and says so
                made.refusals.append(str(error))
            if _comes(lambda wanted=wanted: pair.state() == wanted and pair.done(), MOVE_S):
                break
            made.repeated += 1
        else:
            raise TimeoutError(f"{action}, {ATTEMPTS} times: {pair.state()}, {pair.say()}")
        moving.append((began_ns, now_ns()))
        made.moves += 1
        made.took_s.append((action, (now_ns() - began_ns) / SECOND))
        time.sleep(max(0.0, now + MOVE_EVERY_S - time.monotonic()))
    time.sleep(max(0.0, end - time.monotonic()))


def _comes(condition: Callable[[], bool], within_s: float) -> bool:
    try:
        until(condition, within_s, "")
    except TimeoutError:
        return False
    return True


def _within(interval, moving: list[tuple[int, int]]) -> bool:
    return any(began_ns <= interval.begin_ns and interval.end_ns <= ended_ns for began_ns, ended_ns in moving)


# what became of it


def _idle(tap: Tap) -> bool:
    before = [count(tap.sent(name), "NS_rexmit", name) for name in NODES]
    time.sleep(RECOVER_S / 2)
    return before == [count(tap.sent(name), "NS_rexmit", name) for name in NODES]


def _ways(tap: Tap, name: str, other: str) -> Ways:
    sent = [each for each in tap.sent(name) if each.source == name]
    arrived = {each.sequence: each for each in tap.arrived(other) if each.source == name and each.sequence}
    kinds = {each.sequence: each.kind for each in sent if each.sequence}
    first, last = min(arrived, default=0), max(arrived, default=0)
    newest_status = max((number for number, each in arrived.items() if each.kind == "status"), default=0)
    made = Ways(len(kinds), len(set(_asked(tap.sent(other), other)) & set(kinds)))
    made.again = _again(sent)
    made.refused = count(sent, "NS_nak_rexmit", name)
    generations = {each.generation for each in sent}
    if len(generations) > 1:
        made.others.append(f"{len(generations)} generations: it has restarted, or found itself dead")
    for number, kind in sorted(kinds.items()):
        if first < number < last and number not in arrived:
            made.never += 1
            if kind == "status" and number < newest_status:
                made.superseded += 1
            else:
                made.others.append(f"{kind} {number}")
    return made


def _asked(messages: list[Passed], name: str) -> Iterator[int]:
    """The numbers in that node's requests."""
    for each in messages:
        if each.kind == "NS_rexmit" and each.source == name:
            yield from range(int(each.fields["firstseq"]), int(each.fields["lastseq"]) + 1)


def _again(sent: list[Passed]) -> int:
    """Messages that were sent more than once on one medium."""
    lines = itertools.groupby(sorted((each.at_ns == 0, each.sequence) for each in sent if each.sequence))
    return len({number for (_, number), those in lines if len(list(those)) > 1})


HEAD = ("pair", "seconds", "of julius: sent / asked for again / sent again / refused / never arrived / superseded",
        "of caesar", "moves", "asked twice for", "longest move, s", "both, ms", "none but in moves, ms", "late, ms",
        "rejected by ours", "holds", "links", "idle at the end",
        *(f"log: {kind}" for kind in KINDS), "trouble")  # fmt: skip


def cells(made: Soak) -> list[str]:
    return [
        f"{made.setting.julius}+{made.setting.caesar}", f"{made.seconds:.0f}",
        *(str(made.ways.get(name, Ways())) for name in NODES), str(made.moves), str(made.repeated),
        f"{max((took for _, took in made.took_s), default=0):.1f}",
        f"{made.both_ms:.0f}", f"{made.none_ms:.0f}", f"{made.late_ms:.0f}",
        ", ".join(f"{name} {number}" for name, number in made.rejected.items()), made.held,
        made.links, "yes" if made.idle else "no", *(str(len(made.found.get(kind, ()))) for kind in KINDS),
        "; ".join([*made.refusals, *made.trouble.splitlines()]),
    ]  # fmt: skip
