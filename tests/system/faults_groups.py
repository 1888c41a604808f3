"""Many groups, and one whose script never ends. Each needs a stage of its own."""

from __future__ import annotations

from collections.abc import Callable

from system.faults import Figures, fault
from system.play import LAN, MILLISECOND, PATIENCE_S, WAN, now_ns, until
from system.stage import DEADTIME_S, HA_CF, HARESOURCES, LONG, Stage, pause, stage

# --- a thousand groups

GROUPS = 1000 if LONG else 250
ADDRESSES = [f"10.9.{number // 250}.{1 + number % 250}" for number in range(GROUPS)]
# Ten of them, each every 5 ms.
ASKED = ADDRESSES[:: GROUPS // 9]
ASKED_NS = 5 * MILLISECOND


def thousand():
    def prepare(made: Stage) -> None:
        assert made.client.run(["ip", "route", "add", "10.9.0.0/16", "dev", "eth0"]).returncode == 0

    haresources = "".join(f"julius IPaddr::{address}/16/eth0\n" for address in ADDRESSES)
    # a status says a word of each group, 5 kB in all: too long for a serial line at these times
    ha_cf = "".join(f"{line}\n" for line in HA_CF.splitlines() if line.split()[0] not in ("serial", "baud"))
    return stage(
        prepare, ha_cf=ha_cf, haresources=haresources, virtual=ADDRESSES, asked=(ASKED, []), interval_ns=ASKED_NS
    )


def _until_all(made: Stage, node) -> float:
    """Milliseconds until its kernel has all of them."""
    began_ns = now_ns()
    made.taken_over(node)
    return (now_ns() - began_ns) / MILLISECOND


@fault(f"{GROUPS} groups: kill -9 of the holder, hand-over, restart of both", steps=1, stage="thousand", hand_over=True)
def many(made: Stage, number: int) -> Figures:
    victim = made.holding()
    made.kill(victim)
    taken_ms = _until_all(made, made.peer(victim))
    made.up()
    giver = made.holding()
    began_ns = now_ns()
    until(lambda: giver.command("hb_standby").returncode == 0, PATIENCE_S, "hb_standby")
    made.taken_over(made.peer(giver))
    handed_ms = (now_ns() - began_ns) / MILLISECOND
    made.up()
    return {"kill to all taken, ms": taken_ms, "hand-over of all, ms": handed_ms}


# --- a script that never ends

DIVISOR = 20  # the program's time-outs: 3 s for a start, 1.5 s for a stop
SCRIPTED = "10.0.0.253"
NEVER = ("start", "stop", "status")
SCRIPT = """\
#!/bin/sh
[ -e /run/endless.$1 ] && exec sleep 1000
case $1 in
start) touch /run/endless.up ;;
stop) rm -f /run/endless.up ;;
status) [ -e /run/endless.up ] && echo running || echo stopped ;;
esac
"""


def scripted():
    def prepare(made: Stage) -> None:
        for node in made.nodes:
            folder = node.config_folder / "resource.d"
            folder.mkdir()
            (folder / "endless").write_text(SCRIPT)
            (folder / "endless").chmod(0o755)

    lines = []
    for line in HA_CF.splitlines():
        name, _, value = line.partition(" ")
        lines.append(f"{name} {int(value[:-2]) * DIVISOR}ms" if value.endswith("ms") else line)
    return stage(
        prepare, divisor=DIVISOR, ha_cf="".join(f"{line}\n" for line in lines),
        haresources=f"{HARESOURCES}julius IPaddr::{SCRIPTED} endless\n", virtual=(LAN, WAN, SCRIPTED),
    )  # fmt: skip


@fault(
    "a script that never ends, in start, stop, status, beside a good group", steps=len(NEVER), stage="scripted",
    hand_over=True,
)  # fmt: skip
def endless(made: Stage, number: int) -> None:
    """On both nodes, while the group is to move; then the holder is killed."""
    verb = NEVER[number % len(NEVER)]
    files = [node.run_folder / f"endless.{verb}" for node in made.nodes]
    giver = made.holding()
    try:
        for file in files:
            file.touch()
        giver.command("hb_standby")
        until(lambda: made.peer(giver).holds(LAN), PATIENCE_S, "the good group has moved")
        made.kill(made.peer(giver))
        until(lambda: giver.holds(LAN), PATIENCE_S, "the good group is taken over")
        pause(DEADTIME_S)
    finally:
        for file in files:
            file.unlink()


MAKERS: dict[str, Callable[[], object]] = {"pair": stage, "thousand": thousand, "scripted": scripted}
