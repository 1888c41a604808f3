"""What befalls files, clocks, the control socket and the configuration."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

from system.faults import Figures, fault
from system.play import PATIENCE_S, now_ns, until
from system.stage import DEADTIME_MS, DEADTIME_S, LONG, Stage, pause

FILL = "fill"
STATE_FILES = (("hb_generation",), ("peers",), ("hb_uuid",), ("hb_generation", "peers", "hb_uuid"))
HOUR_S = 3600
RELOADS = 1000 if LONG else 100
WARNTIME = f"warntime {DEADTIME_MS * 3 // 5}ms"
HAMMERED_S = 5.0 if LONG else 1.5
# of a daemon that is the same before and after: what its allocator may keep
FLAT_KB = 1024


def _state(stage: Stage, node) -> str:
    return str(node.state_folder)


def _fill(stage: Stage, node) -> None:
    """Every octet of its disk, to the last."""
    node.run(["dd", "if=/dev/zero", f"of={_state(stage, node)}/{FILL}", "bs=512", "status=none"])
    assert node.run(["sh", "-c", f"echo more >{_state(stage, node)}/more"]).returncode, "the disk is not full"


def _clear(stage: Stage, node) -> None:
    node.run(["rm", "-f", f"{_state(stage, node)}/{FILL}", f"{_state(stage, node)}/more"])


def _hand_over(stage: Stage) -> None:
    """hb_standby on the holder; a move just before delays it."""
    giver = stage.holding()
    until(lambda: giver.command("hb_standby").returncode == 0, PATIENCE_S, "hb_standby")
    stage.taken_over(stage.peer(giver))
    until(stage.settled_down, PATIENCE_S, "settled after hb_standby")


@fault("disks of both full: hand-over, kill -9 of the holder, restart, clean stop", hand_over=True)
def disk_full(stage: Stage, number: int) -> None:
    for node in stage.nodes:
        _fill(stage, node)
    try:
        _hand_over(stage)
        victim = stage.holding()
        stage.kill(victim)
        stage.taken_over(stage.peer(victim))
        stage.start(victim)
        until(stage.settled_down, PATIENCE_S, "the killed node is back, its disk full")
        assert stage.holding().stop_daemon() == 0
        stage.taken_over(victim)
        pause(DEADTIME_S)
    finally:
        for node in stage.nodes:
            _clear(stage, node)


@fault("state files lost: generation, peers, uuid, all of them", steps=2 * len(STATE_FILES), hand_over=True)
def state_lost(stage: Stage, number: int) -> None:
    """Of the holder, which is then stopped, or killed; its next start finds nothing."""
    names = STATE_FILES[number % len(STATE_FILES)]
    victim = stage.holding()
    if number < len(STATE_FILES):
        victim.stop_daemon()
        victim.daemon = None
    else:
        stage.kill(victim)
    victim.run(["rm", "-f", *(f"{_state(stage, victim)}/{name}" for name in names)])
    stage.taken_over(stage.peer(victim))
    stage.start(victim)


@fault("wall clock stepped by an hour and back: holder's, standby's; on, back", steps=4)
def clock(stage: Stage, number: int) -> None:
    node = stage.holding() if number % 2 else stage.standing_by()
    step_s = HOUR_S if number % 4 < 2 else -HOUR_S
    try:
        stage.step_clock(node, step_s)
        pause(DEADTIME_S)
        assert abs(stage.sees_clock(node) - step_s) < 60, "the step did not reach the daemon"
        pause(DEADTIME_S)
    finally:
        stage.step_clock(node, 0)
    pause(DEADTIME_S)


@fault(f"configuration reloaded {RELOADS} times, another one each time")
def reload(stage: Stage, number: int) -> Figures:
    """Log, times and keys: nothing that is held has to be touched."""
    node = stage.nodes[number % 2]
    ha_cf, authkeys = node.config_folder / "ha.cf", node.config_folder / "authkeys"
    texts = ha_cf.read_text(), authkeys.read_text()
    others = (f"{texts[0]}debug 1\n", texts[0].replace(WARNTIME, f"{WARNTIME}\nlogfacility daemon"), texts[0])
    before_kb = 0
    began_ns = now_ns()
    try:
        for count in range(RELOADS):
            ha_cf.write_text(others[count % len(others)])
            authkeys.write_text(texts[1] + "2 sha1 of-no-use\n" * (count % 2))
            assert node.ask("reload") == {"ok": True}
            if count == RELOADS // 10:
                before_kb = stage.memory_kb(node)
        after_kb = stage.memory_kb(node)
    finally:
        ha_cf.write_text(texts[0])
        authkeys.write_text(texts[1])
    assert node.ask("reload") == {"ok": True}
    _flat(stage, node, after_kb - before_kb)
    return {"a reload, ms": (now_ns() - began_ns) / RELOADS / 1e6, "memory, kB more": after_kb - before_kb}


@fault("control socket hammered: connections, rubbish, half requests, requests without end")
def hammer(stage: Stage, number: int) -> Figures:
    node = stage.nodes[number % 2]
    before_kb, before_s, begin_ns = stage.memory_kb(node), stage.cpu_s(node), now_ns()
    argv = [sys.executable, str(Path(__file__).with_name("hammer.py")), "/run/heartbeat/control", str(HAMMERED_S)]
    hammering = node.popen(argv, stdout=subprocess.PIPE)
    try:
        output, _ = hammering.communicate(timeout=HAMMERED_S + PATIENCE_S)
    finally:
        node.kill(hammering, signal.SIGKILL)
    counts = json.loads(output)
    seconds = (now_ns() - begin_ns) / 1e9
    share = 100 * (stage.cpu_s(node) - before_s) / seconds
    assert counts["connections"] > 100, counts
    assert counts["answers"] > 10, counts
    more_kb = stage.memory_kb(node) - before_kb
    _flat(stage, node, more_kb)
    return {"connections/s": counts["connections"] / seconds, "answers/s": counts["answers"] / seconds,
            "share of a processor, %": share, "memory, kB more": more_kb}  # fmt: skip


def _flat(stage: Stage, node, more_kb: int) -> None:
    assert more_kb < FLAT_KB, f"the daemon of {node.name} has grown by {more_kb} kB"
