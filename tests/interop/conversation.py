"""A mixed pair talks over each kind of medium, signed by each method, and nothing is lost, refused or held back.

One conversation is a boot of both nodes and a few hundred numbered messages each way, with the keepalive that the
medium takes, so that it is soon over. What counts as said is what passed on the wire (`tap`), and what was made of it
both logs and both nodes' own tools tell.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from interop.pair import Pair, playing
from interop.program import OURS
from interop.setting import METHODS, NODES, ORDERS, TOGETHER, Setting
from interop.tap import Tap, count, sequences, tapped

from heartbeat.demo.clock import now_ns
from heartbeat.demo.world import until

MESSAGES = 500
# A status of either program is some 250 octets: 20 ms of this line, which carries answers and acknowledgements as well.
BAUD = 115200
KEEPALIVE_MS = 25
KEEPALIVE_SERIAL_MS = 40
BOOT_S = 40.0
# of a busy machine, beyond what the messages take by their keepalive
PATIENCE_S = 30.0
# Words of either program's log, of lines that must not be there.
TROUBLE = {
    "lost": ("rretrievably lost", "ost a lot", "does not come again"),
    "refused": ("message rejected", "authenticat", "without its strong signature", "replay"),
    "paused": ("hist queue", "paus"),
    "dead": ("is dead", "CRIT"),
}


@dataclass
class Conversation:
    """said: of each node, how many numbered messages reached the other over any medium; gaps: how many between these
    did not. asked: how often each asked for a message again; acknowledged: acknowledgements that each sent; unsigned:
    messages on the wire whose signature the reference finds bad. held: who had the addresses in the end, by the
    kernels; both_ms: how long both had. links: does each say that the other is active, and up on every medium? found:
    lines of each kind of TROUBLE in both logs. rejected: by the status of ours."""

    setting: Setting
    said: dict[str, int] = field(default_factory=dict)
    gaps: dict[str, int] = field(default_factory=dict)
    asked: dict[str, int] = field(default_factory=dict)
    acknowledged: dict[str, int] = field(default_factory=dict)
    unsigned: int = 0
    held: str = ""
    both_ms: float = 0.0
    links: str = "not up"
    rejected: int = -1
    found: dict[str, list[str]] = field(default_factory=dict)
    took_s: float = 0.0
    trouble: str = ""
    wanted: int = MESSAGES

    @property
    def right(self) -> bool:
        spoken = len(self.said) == len(NODES) and min(self.said.values()) >= self.wanted
        clean = not any(self.found.values()) and not any(self.gaps.values())
        clean = clean and self.unsigned == self.rejected == 0 and not self.both_ms
        return not self.trouble and spoken and clean and self.held == "j" and self.links == "up"

    def story(self) -> str:
        lines = [f"--- {self.setting}", "    " + " ".join(cells(self))]
        for kind, those in self.found.items():
            lines += [f"    {kind}: {line}" for line in those[:5]]
        return "\n".join(lines)


def settings() -> list[Setting]:
    """All of them."""
    return [setting(media, method, order) for media, method, order in itertools.product(TOGETHER, METHODS, ORDERS)]


def setting(media: tuple[str, ...], method: str, order: Sequence) -> Setting:
    keepalive_ms = KEEPALIVE_SERIAL_MS if "serial" in media else KEEPALIVE_MS
    return Setting(*order, media=media, method=method, groups=1, keepalive_ms=keepalive_ms, baud=BAUD)


def converse(setting: Setting, messages: int = MESSAGES) -> Conversation:
    made = Conversation(setting, wanted=messages)
    began = time.monotonic()
    with playing(setting) as pair:
        since_ns = now_ns()
        pair.do(f"start {' '.join(NODES)}")
        with tapped(pair) as tap:
            try:
                until(lambda: pair.state() == "j", BOOT_S, "julius alone holds")
                listen_s = messages * setting.keepalive_ms / 1000 + PATIENCE_S
                until(lambda: min(_said(pair, tap).values()) >= messages, listen_s, f"{messages} messages each way")
                until(lambda: pair.done() and _all_up(pair), PATIENCE_S, "both done, and all links up")
                made.links = "up"
            except TimeoutError as error:
                made.trouble = str(error)
            made.held = pair.state()
            made.both_ms = max((each.ms for each in pair.kernels.both(since_ns, now_ns())), default=0.0)
            made.rejected = _rejected(pair)
            made.found = trouble(pair)
            _count(made, pair, tap)
    made.took_s = time.monotonic() - began
    return made


def _said(pair: Pair, tap: Tap) -> dict[str, int]:
    return {name: len(sequences(tap.arrived(pair.other(name)), name)) for name in NODES}


def _count(made: Conversation, pair: Pair, tap: Tap) -> None:
    for name in NODES:
        arrived = sequences(tap.arrived(pair.other(name)), name)
        made.said[name] = len(arrived)
        sent = tap.sent(name)
        # before the first the other did not listen yet, and what comes after the last is under way
        missing = sequences(sent, name) - arrived
        made.gaps[name] = sum(min(arrived) < each < max(arrived) for each in missing) if arrived else len(missing)
        made.asked[name] = count(sent, "NS_rexmit", name)
        made.acknowledged[name] = count(sent, "NS_ackmsg", name)
        made.unsigned += tap.unsigned(name)


def _all_up(pair: Pair) -> bool:
    """And does each list as many links as there are media?"""
    for name, node in pair.nodes.items():
        links = node.command("cl_status", "listhblinks", pair.other(name)).stdout.split()
        if len(links) != len(pair.setting.media):
            return False
    return pair.links_up()


def _rejected(pair: Pair) -> int:
    status = status_of_ours(pair)
    return sum(medium["rejected"] for medium in status["media"]) + sum(status["counts"].values()) if status else -1


def status_of_ours(pair: Pair) -> dict:
    """`heartbeat status --json` of the node that runs ours; empty where it says nothing."""
    (node,) = (node for node in pair.nodes.values() if node.program == OURS)
    with contextlib.suppress(ValueError):
        return json.loads(node.command("heartbeat", "status", "--json").stdout)
    return {}


def trouble(pair: Pair, kinds: Sequence[str] = tuple(TROUBLE)) -> dict[str, list[str]]:
    """Lines of both logs that have words of TROUBLE."""
    return {
        kind: [
            line
            for node in pair.nodes.values()
            for line in node.log().splitlines()
            if any(word in line for word in TROUBLE[kind])
        ]
        for kind in kinds
    }


HEAD = ("pair", "media", "method", "keepalive, ms", "numbered messages heard of julius, caesar", "never heard",
        "acknowledgements", "asked again", "badly signed", "refused by ours", "holds", "both, ms", "links",
        *(f"log: {kind}" for kind in TROUBLE), "took, s", "trouble")  # fmt: skip


def cells(made: Conversation) -> list[str]:
    setting = made.setting
    figures = [", ".join(map(str, each.values())) for each in (made.said, made.gaps, made.acknowledged, made.asked)]
    return [
        f"{setting.julius}+{setting.caesar}", "+".join(setting.media), setting.method, str(setting.keepalive_ms),
        *figures, str(made.unsigned), str(made.rejected), made.held, f"{made.both_ms:.0f}", made.links,
        *(str(len(made.found.get(kind, ()))) for kind in TROUBLE), f"{made.took_s:.1f}", made.trouble,
    ]  # fmt: skip
