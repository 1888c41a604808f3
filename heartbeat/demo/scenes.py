"""The scenes of the demonstration: what is done to julius and caesar, what must come of it, and the figures.

    boot            both are switched on; julius, whose group it is, takes it
    power-failure   the holder's processes die, its links and its cable go dead, in one instant
    return          it is switched on again; nothing moves
    standby         `hb_standby` on the holder
    takeover        `hb_takeover` on the other
    cable-cut       both are booted again with a line `ucast` in ha.cf, and the serial cable is cut; nothing moves
    clean-stop      `heartbeat stop` on the holder

Rules: a scene ends when the nodes' own kernels show exactly one holder of both addresses, the client and the host on
the wan are answered by it, both daemons call the cluster stable, and the mails are there. What did not come about is
a trouble, in words; the first one ends the play. Instants are those of the kernels, the probes and the daemons; never
of the looks taken here.
"""

from __future__ import annotations

import random
import subprocess
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from heartbeat.demo import seed
from heartbeat.demo.clock import MILLISECOND, SECOND, now_ns
from heartbeat.demo.pair import Pair

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from heartbeat.demo.node import Node
    from heartbeat.demo.world import World

# How much later than deadtime the take-over may be done, at any divisor.
_TAKEOVER_MS = 100
# After a move the next command is accepted 2 s later.
_PAUSE_S = 2


@dataclass
class Scene:
    """One scene's outcome. A figure is None where the scene has none; a hand-over's outage begins at the release."""

    name: str
    holder: str | None = None
    outage_ms: float | None = None
    detection_ms: float | None = None
    takeover_ms: float | None = None
    lost: int | None = None
    troubles: list[str] = field(default_factory=list)

    def figures(self) -> dict[str, str | float | int | None]:
        return {key: value for key, value in vars(self).items() if key != "troubles"}


class Stage:
    """Julius and caesar, and which of them holds the group now. draw: shows one live line."""

    def __init__(self, world: World, draw: Callable[[str], None]) -> None:
        self._world = world
        self._draw = draw
        self.pair = Pair(world)
        self.pair.probe()
        self.pair.meanwhile = self._draw_nodes
        self._holder, self._other = self.pair.nodes
        self._playing = ""

    def play(self) -> Iterator[Scene]:
        """Each scene when it is over; the last one has troubles, or all went well."""
        scenes: tuple[tuple[str, Callable[[Scene], None]], ...] = (
            ("boot", self._boot),
            ("power-failure", self._power_failure),
            ("return", self._return),
            ("standby", self._standby),
            ("takeover", self._takeover),
            ("cable-cut", self._cable_cut),
            ("clean-stop", self._clean_stop),
        )
        for name, act in scenes:
            scene = Scene(name)
            self._playing = name
            try:
                act(scene)
                scene.holder = self.pair.holder()
                if scene.holder != self._holder.name:
                    raise TroubleError(f"{self._holder.name} lost the group again")
            except (TimeoutError, subprocess.TimeoutExpired, TroubleError) as trouble:
                scene.troubles.append(str(trouble))
            yield scene
            if scene.troubles:
                return

    def logs(self) -> dict[str, str]:
        return {node.name: node.log() for node in self.pair.nodes}

    # the scenes

    def _boot(self, scene: Scene) -> None:
        start_ns = now_ns()
        self._holder, self._other = self.pair.nodes
        self._world.boot(*self.pair.nodes)
        self.pair.settle(self._holder, self.pair.seconds(seed.INITDEAD_S))
        self.pair.until_mailed(self._holder, "acquired", start_ns)

    def _power_failure(self, scene: Scene) -> None:
        failed, survivor = self._holder, self._other
        self._await_heartbeat(failed, survivor)
        # at any instant of an interval but its end: where the next heartbeat is a moment late, as on a busy machine it
        # may be, the last one is older than keepalive, and the outage shorter than it promises to be at least
        time.sleep(self.pair.seconds(seed.KEEPALIVE_S) * random.uniform(0, 0.6))
        failure_ns = self._world.power_off(failed)
        self._holder, self._other = survivor, failed
        self.pair.settle(survivor, self.pair.seconds(2 * seed.DEADTIME_S))
        self.pair.until_mailed(survivor, "acquired", failure_ns)
        first_ns, last_ns = self._first_answers(failure_ns)
        scene.outage_ms = _ms(first_ns - failure_ns)
        scene.lost = self.pair.lost(failure_ns)[0]
        failover = (survivor.status() or {}).get("last_failover") or {}
        if failover.get("peer") != failed.name or failover["declared_dead_ns"] < failure_ns:
            raise TroubleError(f"the status of {survivor.name} does not tell of the fail-over: {failover}")
        scene.detection_ms = _ms(failover["declared_dead_ns"] - failover["last_heard_ns"])
        scene.takeover_ms = _ms(last_ns - failover["declared_dead_ns"])
        least_ms = self._least_detection_ms()
        most_ms = self.pair.seconds(seed.DEADTIME_S) * 1000 + _TAKEOVER_MS
        if not least_ms <= scene.outage_ms <= most_ms:
            raise TroubleError(f"the outage is not between {least_ms:.0f} and {most_ms:.0f} ms: {scene.outage_ms}")

    def _await_heartbeat(self, sender: Node, hearer: Node) -> None:
        def heard() -> object:
            return ((hearer.status() or {}).get("nodes") or {}).get(sender.name, {}).get("last_heard_ns")

        last = heard()
        patience_s = self.pair.seconds(seed.DEADTIME_S)
        self.pair.until(lambda: heard() != last, patience_s, f"{hearer.name} hears {sender.name}")

    def _return(self, scene: Scene) -> None:
        start_ns = now_ns()
        self._world.boot(self._other)
        self.pair.settle(self._holder, self.pair.seconds(seed.INITDEAD_S))
        self._nothing_moved(scene, start_ns)

    def _standby(self, scene: Scene) -> None:
        self._hand_over(scene, self._holder, "hb_standby")

    def _takeover(self, scene: Scene) -> None:
        time.sleep(self.pair.seconds(_PAUSE_S))
        self._hand_over(scene, self._other, "hb_takeover")

    def _cable_cut(self, scene: Scene) -> None:
        pair = self.pair
        for node in pair.nodes:
            self._world.power_off(node)
            peer_address = pair.peer(node).interfaces[0].address.partition("/")[0]
            node.install(pair.site.files().with_lines(f"ucast eth0 {peer_address}"))
        self._boot(scene)
        start_ns = now_ns()
        assert pair.cable
        pair.cable.cut()
        patience_s = pair.seconds(2 * seed.DEADTIME_S)
        pair.until(lambda: self._serial_links() == {"dead"}, patience_s, "both nodes find the serial link dead")
        # whoever mistook the dead link for a dead peer would do so by now
        time.sleep(pair.seconds(seed.DEADTIME_S))
        pair.settle(self._holder)
        self._nothing_moved(scene, start_ns)
        pair.cable.join()
        pair.until(lambda: self._serial_links() == {"up"}, patience_s, "both nodes find the serial link up again")

    def _clean_stop(self, scene: Scene) -> None:
        stopping = self._holder
        self._hand_over(scene, stopping, "heartbeat", "stop", without=stopping)
        if stopping.status() is not None:
            raise TroubleError(f"the daemon of {stopping.name} still answers")

    # what they are made of

    def _hand_over(self, scene: Scene, node: Node, *command: str, without: Node | None = None) -> None:
        """The holder gives the group to the other, at a command on `node`. without: whose daemon it ends."""
        start_ns = now_ns()
        done = node.command(*command)
        if done.returncode:
            raise TroubleError(f"{command[0]} on {node.name} exits {done.returncode}: {done.stderr.strip()}")
        self._holder, self._other = new, old = self._other, self._holder
        self.pair.settle(new, self.pair.seconds(seed.DEADTIME_S), without=without)
        self.pair.until_mailed(new, "acquired", start_ns)
        self.pair.until_mailed(old, "released", start_ns)
        first_ns, _ = self._first_answers(start_ns)
        released_ns = self._world.observer.first(start_ns, old.name, self.pair.site.lan_address, added=False)
        assert released_ns is not None  # the kernel says that it does not hold it any more
        scene.outage_ms = _ms(max(first_ns - released_ns, 0))  # mostly the other has it before
        scene.lost = self.pair.lost(start_ns)[0]
        if scene.outage_ms > self._least_detection_ms():
            raise TroubleError(f"a hand-over that takes as long as a death, {scene.outage_ms} ms, is none")

    def _nothing_moved(self, scene: Scene, start_ns: int) -> None:
        lost = self.pair.lost(start_ns)
        scene.lost = lost[0]
        moves = self.pair.moves(start_ns)
        if moves:
            raise TroubleError(f"something moved: {moves}")
        if any(lost):
            raise TroubleError(f"nothing moved, but the client and the wan host lost {lost} probes")

    def _first_answers(self, after_ns: int) -> tuple[int, int]:
        """When the holder first answered the client, and the host on the wan (for the group's last address)."""
        first_ns, last_ns = self.pair.first_answers(self._holder, after_ns)
        assert first_ns is not None  # asked when the pair has settled
        assert last_ns is not None
        return first_ns, last_ns

    def _least_detection_ms(self) -> float:
        """From a failure to its detection, at the least: the last heartbeat is up to keepalive old."""
        return self.pair.seconds(seed.DEADTIME_S - seed.KEEPALIVE_S) * 1000

    def _serial_links(self) -> set[str]:
        """What the nodes say of each other's serial link: one word if they agree."""
        return {node.link(self.pair.peer(node).name, seed.SERIAL_PORT) for node in self.pair.nodes}

    def _draw_nodes(self) -> None:
        """○ holds nothing, ◐ one address, ● both, ✗ switched off."""
        held = self.pair.held()
        marks = [f"{node.name} {'○◐●'[held[node.name]] if node.on else '✗'}" for node in self.pair.nodes]
        latest_ns = self.pair.pings[0].track.latest_arrival()
        ago = f"{(now_ns() - latest_ns) / SECOND:.1f} s ago" if latest_ns else "not yet"
        self._draw(f"{self._playing:14} {'   '.join(marks)}   {self.pair.site.lan_address} last answered {ago}")


class TroubleError(Exception):
    """Something came about that must not."""


def _ms(duration_ns: int) -> float:
    return round(duration_ns / MILLISECOND, 2)
