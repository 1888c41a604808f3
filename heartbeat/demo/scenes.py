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

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from heartbeat.demo import seed
from heartbeat.demo.clock import MILLISECOND, SECOND, now_ns
from heartbeat.demo.world import JULIUS_AND_CAESAR, World, until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from heartbeat.demo.node import Node

# Beyond what the cluster's own times allow: a busy machine, Python starting up.
_PATIENCE_S = 8.0
# A probe that has found no answer by then finds none.
_ANSWER_S = 0.2
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
    """The world of the demonstration and what is asked of it again and again. draw: shows one live line."""

    def __init__(self, world: World, draw: Callable[[str], None]) -> None:
        self._world = world
        self._draw = draw
        self._site = JULIUS_AND_CAESAR
        self._cable = world.cable()
        self._nodes = world.pair(self._site, cable=self._cable)
        client, host = world.client(self._site), world.wan_host(self._site)
        # in the group's order; the interfaces of a router are in the same order
        self._pings = [world.ping(client, self._site.lan_address), world.ping(host, self._site.wan_address)]
        self._holder, self._other = self._nodes

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
            try:
                act(scene)
                scene.holder = self._only_holder()
            except (TimeoutError, RuntimeError) as trouble:
                scene.troubles.append(str(trouble))
            yield scene
            if scene.troubles:
                return

    def logs(self) -> dict[str, str]:
        return {node.name: node.log() for node in self._nodes}

    # the scenes

    def _boot(self, scene: Scene) -> None:
        start_ns = now_ns()
        self._holder, self._other = self._nodes
        self._world.boot(*self._nodes)
        self._settle(start_ns, self._seconds(seed.INITDEAD_S), acquired=self._holder)

    def _power_failure(self, scene: Scene) -> None:
        failed, survivor = self._holder, self._other
        failure_ns = self._world.power_off(failed)
        self._holder, self._other = survivor, failed
        self._settle(failure_ns, self._seconds(2 * seed.DEADTIME_S), acquired=survivor)
        first_ns, last_ns = self._first_answers(failure_ns)
        scene.outage_ms = _ms(first_ns - failure_ns)
        scene.lost = self._lost(failure_ns)
        failover = (survivor.status() or {}).get("last_failover") or {}
        if failover.get("peer") != failed.name or failover["declared_dead_ns"] < failure_ns:
            raise RuntimeError(f"the status of {survivor.name} does not tell of the fail-over: {failover}")
        scene.detection_ms = _ms(failover["declared_dead_ns"] - failover["last_heard_ns"])
        scene.takeover_ms = _ms(last_ns - failover["declared_dead_ns"])
        least_ms = self._seconds(seed.DEADTIME_S - seed.KEEPALIVE_S) * 1000
        most_ms = self._seconds(seed.DEADTIME_S) * 1000 + _TAKEOVER_MS
        if not least_ms <= scene.outage_ms <= most_ms:
            raise RuntimeError(f"the outage is not between {least_ms:.0f} and {most_ms:.0f} ms: {scene.outage_ms}")

    def _return(self, scene: Scene) -> None:
        start_ns = now_ns()
        self._world.boot(self._other)
        self._settle(start_ns, self._seconds(seed.INITDEAD_S))
        self._nothing_moved(scene, start_ns)

    def _standby(self, scene: Scene) -> None:
        self._hand_over(scene, lambda: self._command(self._holder, "hb_standby"))

    def _takeover(self, scene: Scene) -> None:
        time.sleep(self._seconds(_PAUSE_S))
        self._hand_over(scene, lambda: self._command(self._other, "hb_takeover"))

    def _cable_cut(self, scene: Scene) -> None:
        addresses = [node.interfaces[0].address.partition("/")[0] for node in self._nodes]
        for node, peer_address in zip(self._nodes, reversed(addresses), strict=True):
            self._world.power_off(node)
            node.install(self._site.files().with_lines(f"ucast eth0 {peer_address}"))
        self._boot(scene)
        start_ns = now_ns()
        self._cable.cut()
        patience_s = self._seconds(2 * seed.DEADTIME_S)
        self._until(lambda: self._serial_links() == {"dead"}, patience_s, "both nodes find the serial link dead")
        # whoever mistook the dead link for a dead peer would do so by now
        time.sleep(self._seconds(seed.DEADTIME_S))
        self._settle(start_ns)
        self._nothing_moved(scene, start_ns)
        self._cable.join()
        self._until(lambda: self._serial_links() == {"up"}, patience_s, "both nodes find the serial link up again")

    def _clean_stop(self, scene: Scene) -> None:
        stopping = self._holder
        self._hand_over(scene, lambda: self._command(stopping, "heartbeat", "stop"), without=stopping)
        if stopping.status() is not None:
            raise RuntimeError(f"the daemon of {stopping.name} still answers")

    # what they are made of

    def _hand_over(self, scene: Scene, command: Callable[[], None], without: Node | None = None) -> None:
        """The holder gives the group to the other, at a command. without: a node whose daemon runs no more after it."""
        start_ns = now_ns()
        old, new = self._holder, self._other
        command()
        self._holder, self._other = new, old
        self._settle(start_ns, self._seconds(seed.DEADTIME_S), acquired=new, released=old, without=without)
        first_ns, _ = self._first_answers(start_ns)
        released_ns = self._world.observer.first(start_ns, old.name, self._site.lan_address, added=False)
        assert released_ns is not None  # it does not hold it any more: `_settle`
        scene.outage_ms = _ms(first_ns - released_ns)
        scene.lost = self._lost(start_ns)
        limit_ms = self._seconds(seed.DEADTIME_S - seed.KEEPALIVE_S) * 1000
        if scene.outage_ms > limit_ms:
            raise RuntimeError(f"a hand-over that takes as long as a death ({scene.outage_ms} ms) is none")

    def _settle(
        self,
        start_ns: int,
        patience_s: float = 0,
        *,
        acquired: Node | None = None,
        released: Node | None = None,
        without: Node | None = None,
    ) -> None:
        """Wait for all that a scene ends with."""
        patience_s += _PATIENCE_S
        holder = self._holder
        addresses = " and ".join(self._site.addresses)
        self._until(lambda: self._only_holder() == holder.name, patience_s, f"{holder.name} alone holds {addresses}")
        settled_ns = now_ns()
        self._until(
            lambda: self._answered(settled_ns), _PATIENCE_S, f"{holder.name} answers the client and the wan host"
        )
        running = [node for node in self._nodes if node.on and node is not without]
        self._until(
            lambda: all((node.status() or {}).get("stable") for node in running),
            patience_s,
            f"stable, say {' and '.join(node.name for node in running)}",
        )
        for node, what in ((acquired, "acquired"), (released, "released")):
            if node is not None:
                self._until_mailed(node, what, start_ns)

    def _until_mailed(self, node: Node, what: str, start_ns: int) -> None:
        def mailed() -> bool:
            return any(
                seed.RECIPIENT in each.recipients
                and all(word in each.subject for word in (seed.SUBJECT, what, node.name))
                for each in node.mails(start_ns)
            )

        self._until(mailed, _PATIENCE_S, f"a mail of {node.name} says that it {what}")

    def _nothing_moved(self, scene: Scene, start_ns: int) -> None:
        scene.lost = self._lost(start_ns)
        moves = [change for change in self._world.observer.since(start_ns) if change.address in self._site.addresses]
        if moves:
            raise RuntimeError(f"something moved: {moves}")
        for ping in self._pings:
            lost = len(ping.track.lost(start_ns, now_ns() - round(_ANSWER_S * SECOND)))
            if lost:
                raise RuntimeError(f"nothing moved, but {lost} probes were lost")

    def _command(self, node: Node, *words: str) -> None:
        done = node.command(*words)
        if done.returncode:
            raise RuntimeError(f"{words[0]} on {node.name} exits {done.returncode}: {done.stderr.strip()}")

    def _held(self) -> dict[str, int]:
        """How many of the virtual addresses each node's kernel has."""
        wanted = set(self._site.addresses)
        return {
            node.name: len(wanted & {address.partition("/")[0] for address in node.addresses()}) for node in self._nodes
        }

    def _only_holder(self) -> str | None:
        """The node that holds both addresses while no other holds any, as their kernels say."""
        held = self._held()
        holders = [name for name, count in held.items() if count]
        return holders[0] if len(holders) == 1 and held[holders[0]] == len(self._site.addresses) else None

    def _answered(self, after_ns: int) -> bool:
        return all(
            ping.track.first_arrival(after_ns, interface.mac) is not None
            for ping, interface in zip(self._pings, self._holder.interfaces, strict=True)
        )

    def _first_answers(self, after_ns: int) -> tuple[int, int]:
        """When the holder first answered the client, and the host on the wan (for the group's last address)."""
        first, last = (
            ping.track.first_arrival(after_ns, interface.mac)
            for ping, interface in zip(self._pings, self._holder.interfaces, strict=True)
        )
        assert first is not None  # both were answered: `_settle`
        assert last is not None
        return first, last

    def _lost(self, start_ns: int) -> int:
        """The client's probes since then that were not answered, but for those that may still be."""
        time.sleep(_ANSWER_S)
        return len(self._pings[0].track.lost(start_ns, now_ns() - round(_ANSWER_S * SECOND)))

    def _serial_links(self) -> set[str]:
        """What the nodes say of each other's serial link: one word if they agree."""
        first, second = self._nodes
        links = set()
        for node, peer in ((first, second), (second, first)):
            status = node.status() or {}
            links.add(status.get("nodes", {}).get(peer.name, {}).get("links", {}).get(seed.SERIAL_PORT, "unknown"))
        return links

    def _seconds(self, seconds: float) -> float:
        """A time of the seed's files or of the program, as it runs here."""
        return seconds / self._world.divisor

    def _until(self, condition: Callable[[], object], timeout_s: float, what: str) -> None:
        until(condition, timeout_s, what, meanwhile=self._draw_nodes)

    def _draw_nodes(self) -> None:
        """○ holds nothing, ◐ one address, ● both, ✗ switched off."""
        held = self._held()
        marks = [f"{node.name} {'○◐●'[held[node.name]] if node.on else '✗'}" for node in self._nodes]
        latest_ns = self._pings[0].track.latest_arrival()
        ago = f"{(now_ns() - latest_ns) / SECOND:.1f} s ago" if latest_ns else "not yet"
        self._draw(f"{'   '.join(marks)}   {self._site.lan_address} last answered {ago}")


def _ms(duration_ns: int) -> float:
    return round(duration_ns / MILLISECOND, 2)
