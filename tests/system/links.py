"""What befalls frames between the machines: loss, cuts of one way, copies and delay, made in the switches.

The rules stand where the switch takes a frame from a machine's plug and where it hands one to it; the machines' own
kernels know nothing of them. A change is one transaction: both ways of a cut begin in the same instant.

    loss, cuts   nftables, on the egress of the receiver's plug
    copies       nftables (`dup`), on the ingress of the sender's
    delay        the frames are dropped on ingress, and a process that has seen them before hands them over later
"""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from heartbeat.demo import namespaces

TABLE = "faults"
# what the routers say to each other, and nothing else
HEARTBEATS = "udp dport 694"


@dataclass(frozen=True)
class Way:
    """From one machine's card to another's, on the same network."""

    source: object
    target: object
    card: str

    def mac(self, machine) -> str:
        return next(each.mac for each in machine.interfaces if each.name == self.card)


class Links:
    """The faults of a world's switches. Each method adds; `heal` ends all."""

    def __init__(self, world) -> None:
        self._switches = world.switches
        self._rules: dict[tuple[str, str], list[str]] = {}
        self._relays: list[subprocess.Popen[bytes]] = []

    def _plug(self, machine, card: str) -> str:
        with self._inside():
            return socket.if_indextoname(machine._plugs[card])

    def _inside(self):
        return namespaces.inside(self._switches._namespace)

    def lose(self, *ways: Way, percent: int = 100, what: str = "") -> None:
        """what: nft's words for the frames that are meant; all where there are none."""
        some = f"numgen random mod 100 < {percent} " if percent < 100 else ""
        for way in ways:
            rule = f"ether saddr {way.mac(way.source)} {what} {some}drop"
            self._rules.setdefault(("egress", self._plug(way.target, way.card)), []).append(rule)
        self._load()

    def copy(self, *ways: Way, percent: int = 100) -> None:
        some = f"numgen random mod 100 < {percent} " if percent < 100 else ""
        for way in ways:
            target = self._plug(way.target, way.card)
            rule = f'ether daddr {way.mac(way.target)} {HEARTBEATS} {some}dup to "{target}"'
            self._rules.setdefault(("ingress", self._plug(way.source, way.card)), []).append(rule)
        self._load()

    def delay(self, *ways: Way, least_ms: int, most_ms: int, seed: int) -> None:
        """Of heartbeats; each its own delay, drawn: some overtake others."""
        for way in ways:
            source, target = self._plug(way.source, way.card), self._plug(way.target, way.card)
            rule = f"ether daddr {way.mac(way.target)} {HEARTBEATS} drop"
            self._rules.setdefault(("ingress", source), []).append(rule)
            with self._inside():
                argv = [sys.executable, str(Path(__file__).with_name("relay.py"))]
                told = json.dumps([source, target, way.mac(way.target), least_ms, most_ms, seed])
                self._relays.append(subprocess.Popen([*argv, told], stdout=subprocess.PIPE))
            assert self._relays[-1].stdout
            assert self._relays[-1].stdout.readline()
        self._load()

    def heal(self) -> None:
        self._rules.clear()
        self._load()
        for relay in self._relays:
            relay.kill()
            relay.wait()
            assert relay.stdout
            relay.stdout.close()
        self._relays.clear()

    def close(self) -> None:
        with contextlib.suppress(subprocess.CalledProcessError):
            self.heal()

    def _load(self) -> None:
        lines = [f"add table netdev {TABLE}", f"delete table netdev {TABLE}"]
        if self._rules:
            lines.append(f"table netdev {TABLE} {{")
            for (hook, plug), rules in self._rules.items():
                lines.append(f'chain {hook}-{plug} {{ type filter hook {hook} device "{plug}" priority 0;')
                lines += [*rules, "}"]
            lines.append("}")
        with self._inside():
            subprocess.run(["nft", "-f", "-"], input="\n".join([*lines, ""]), text=True, check=True)
