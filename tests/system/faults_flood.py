"""A flood from a third host, 50,000 datagrams a second: rubbish in its own name and in the peer's, and recordings of
what the peer has said, which every signature of theirs proves genuine.

Every second time the serial line is cut: then what keeps the nodes alive comes through the flooded port.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

from system.faults import Figures, fault
from system.play import PATIENCE_S
from system.stage import LONG, Stage

from heartbeat.demo.network import Interface

RATE_PER_S = 50_000
FLOODED_S = 10.0 if LONG else 2.0
RECORDINGS = 20
# of a daemon that is the same before and after: what its allocator may keep
FLAT_KB = 1024
# of recordings, what the core must not be bothered with
KEPT_OFF = 0.9
STRANGER = ("02:00:0a:00:00:42", "10.0.0.66")


def _stranger(stage: Stage):
    found = stage.world.machines.get("stranger")
    if found is None:
        found = stage.world.machine("stranger", [Interface("eth0", "net10.0.0", f"{STRANGER[1]}/24", STRANGER[0])])
        stage.world.power_on(found)
    return found


def _received(node) -> int:
    """Frames that have come to its eth0."""
    path = "/sys/class/net/eth0/statistics/rx_packets"
    return int(node.run(["cat", path]).stdout)


def _argv(told: dict) -> list[str]:
    return [sys.executable, str(Path(__file__).with_name("flood.py")), json.dumps(told)]


def _flood(stage: Stage, number: int, *, forged: bool, recorded: bool = False) -> Figures:
    node = stage.standing_by() if number % 2 else stage.holding()
    card = node.interfaces[0]
    address = stage.peer(node).interfaces[0].address.partition("/")[0] if forged else STRANGER[1]
    told = {"interface": "eth0", "from": [STRANGER[0], address], "to": [card.mac, card.address.partition("/")[0]],
            "rate": RATE_PER_S, "seconds": FLOODED_S}  # fmt: skip
    if recorded:
        taken = node.run(_argv({"interface": "eth0", "record": address, "count": RECORDINGS}))
        told["recordings"] = json.loads(taken.stdout)
    argv = _argv(told)
    stranger = _stranger(stage)
    before_kb, before_s, received = stage.memory_kb(node), stage.cpu_s(node), _received(node)
    generations = _died(stage)
    if number % 4 >= 2:
        stage.cable.cut()
    flooding = stranger.popen(argv, stdout=subprocess.PIPE)
    try:
        output, _ = flooding.communicate(timeout=FLOODED_S + PATIENCE_S)
    finally:
        stranger.kill(flooding, signal.SIGKILL)
        stage.cable.join()
    counts = json.loads(output)
    arrived = _received(node) - received
    assert counts["failed"] == 0, counts
    assert arrived >= counts["sent"], (arrived, counts)
    assert _died(stage) == generations, "somebody was declared dead"
    more_kb = stage.memory_kb(node) - before_kb
    assert more_kb < FLAT_KB, f"the daemon of {node.name} has grown by {more_kb} kB"
    seconds = counts["seconds"]
    share = 100 * (stage.cpu_s(node) - before_s) / seconds
    return {"datagrams/s, least": counts["sent"] / seconds, "share of a processor, %": share,
            "memory, kB more": more_kb}  # fmt: skip


def _died(stage: Stage) -> int:
    return sum(node.log().count("is dead") for node in stage.nodes)


@fault("UDP flood, 50,000/s, from a third host: to the holder, the standby", steps=4)
def flood(stage: Stage, number: int) -> Figures:
    return _flood(stage, number, forged=False)


@fault("UDP flood, 50,000/s, with the peer's address: to the holder, the standby", steps=4)
def forged_flood(stage: Stage, number: int) -> Figures:
    return _flood(stage, number, forged=True)


@fault("UDP flood, 50,000/s, of the peer's own messages, recorded: to the holder, the standby", steps=4)
def recordings(stage: Stage, number: int) -> Figures:
    node = stage.standing_by() if number % 2 else stage.holding()
    rejected = _rejected(node)
    figures = _flood(stage, number, forged=True, recorded=True)
    figures["rejected, least"] = _rejected(node) - rejected
    assert figures["rejected, least"] > KEPT_OFF * figures["datagrams/s, least"] * FLOODED_S, figures
    return figures


def _rejected(node) -> int:
    return sum(each["rejected"] + each["discarded"] for each in node.status()["media"])
