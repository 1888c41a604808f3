"""What does a node do that is alone? See docs/decisions/lone-node.md."""

from __future__ import annotations

from random import Random

from bench.decisions.pair import Pair, figures, instead, table
from heartbeat.core import cluster
from heartbeat.core.actions import Hold
from heartbeat.core.lease import RUNNING, Lease

TYPE_CHECKING = False
if TYPE_CHECKING:
    from heartbeat.core.peer import Peer

DEADTIME_S = 5.0
INITDEAD_S = 15.0
ETHERNETS = ("eth0", "eth1")


class AsAnyOther(Lease):
    """A status renews the lease only where a medium took it, alone or not."""

    def refresh(self) -> None:
        keys: tuple[str, ...] = ()
        if self.state == RUNNING:
            keys = tuple(key for key, machine in self._resources.groups.items() if machine.claimed)
        if keys != self._keys:
            self._keys = keys
            self._outbox.put(Hold(keys, alone=False))
            self._measure()
            self.renewed()


class NeverAsks(Lease):
    """Who was alone before a stall is alone after it."""

    def _measure(self) -> None:
        super()._measure()
        if self._alone:
            self._length_ns = None


class AsksLate(Lease):
    """After a stall longer than initdead alone."""

    def _measure(self) -> None:
        super()._measure()
        if self._alone and self._length_ns is not None:
            self._length_ns = max(self._settings.initdead_ns, self._length_ns)


class AsksLong(Lease):
    """After a stall as long as a lease, for a deadtime."""

    def _patience(self, peer: Peer, now: int) -> int:
        return peer.deadtime_ns


def pair(seed: int, initdead_s: float = INITDEAD_S) -> Pair:
    return Pair(keepalive_s=1, deadtime_s=DEADTIME_S, warntime_s=3, initdead_s=initdead_s, seed=seed, media=ETHERNETS)


def without_media(play: Pair, random: Random) -> tuple[float, float]:
    """julius' interfaces are gone for a while. (two holders, none), seconds."""
    play.watch.begin()
    for name in ETHERNETS:
        play.node("julius").lose_medium(name)
    play.run(random.uniform(10, 60))
    for name in ETHERNETS:
        play.node("julius").regain_medium(name)
    play.run(INITDEAD_S)
    return play.two_s, play.none_s


def unplugged(seed: int) -> tuple[float, float]:
    """The peer dies; then the holder's interfaces are gone for a while. (two holders, none), seconds."""
    random = Random(f"{seed} lone")
    play = pair(seed)
    play.settle()
    play.power_off("caesar")
    play.run(2 * DEADTIME_S)
    return without_media(play, random)


def unplugged_alive(seed: int) -> tuple[float, float]:
    """The same, and the peer lives: each is alone, for all that it knows."""
    random = Random(f"{seed} lone")
    play = pair(seed)
    play.settle()
    return without_media(play, random)


def boots(lives: int, initdead_s: float, *, peer: bool) -> list[tuple[float, float]]:
    """Both start, and the switch between them passes frames 1 to 30 s later (peer), or only one starts."""

    def live(seed: int) -> tuple[float, float]:
        random = Random(f"{seed} boot")
        play = pair(seed, initdead_s)
        play.cut()
        play.watch.begin()
        play.boot(*(() if peer else ("julius",)))
        play.run(random.uniform(1, 30))
        play.heal()
        play.run(2 * initdead_s + 5)
        return play.two_s, play.none_s

    return [live(seed) for seed in range(lives)]


def stalls(lives: int, *, back: bool) -> list[tuple[float, float]]:
    """Alone, stalled for 5 to 40 s; the peer is powered on meanwhile (back), or stays off. None: after waking."""

    def live(seed: int) -> tuple[float, float]:
        random = Random(f"{seed} stall")
        play = pair(seed)
        play.settle()
        play.power_off("caesar")
        play.run(2 * DEADTIME_S)
        stall_s = random.uniform(5, 40)
        on_s = random.uniform(0, stall_s)
        play.watch.begin()
        play.node("julius").pause()
        play.run(on_s)
        if back:
            play.boot("caesar")
        play.run(stall_s - on_s)
        silent_s = play.none_s
        play.node("julius")._waiting_frames.clear()  # the whole machine was stopped
        play.node("julius").resume()
        play.run(2 * INITDEAD_S)
        return play.two_s, play.none_s - silent_s

    return [live(seed) for seed in range(lives)]


def heals(lives: int) -> list[tuple[float, float]]:
    """Both are cut off and serve; one stalls for 5 to 14 s, and meanwhile they are connected again. After waking."""

    def live(seed: int) -> tuple[float, float]:
        random = Random(f"{seed} healed")
        play = pair(seed)
        play.settle()
        play.cut()
        play.run(2 * DEADTIME_S)
        play.node("julius").pause()
        play.run(random.uniform(5, 14))
        play.heal()
        play.node("julius")._waiting_frames.clear()
        play.watch.begin()
        play.node("julius").resume()
        play.run(INITDEAD_S)
        return play.two_s, play.none_s

    return [live(seed) for seed in range(lives)]


def _row(*cells: str, told: list[tuple[float, float]]) -> tuple[str, ...]:
    return (*cells, figures([two for two, _ in told]), figures([none for _, none in told]))


def run(lives: int) -> str:
    rows = []
    for rule in (AsAnyOther, Lease):
        text = "as any other node" if rule is AsAnyOther else "regardless (in force)"
        with instead((cluster, "Lease", rule)):
            rows.append(_row("peer dead, all media gone", text, told=[unplugged(seed) for seed in range(lives)]))
            rows.append(_row("peer lives, all media gone", text, told=[unplugged_alive(seed) for seed in range(lives)]))
    for factor in (1, 2, 3, 6):
        text = f"{factor} deadtimes"
        initdead_s = factor * DEADTIME_S
        rows.append(_row("both start, switch late", text, told=boots(lives, initdead_s, peer=True)))
        rows.append(_row("one starts, peer dead", text, told=boots(lives, initdead_s, peer=False)))
    asks = {
        "never": NeverAsks, "after more than initdead": AsksLate, "after a lease, a deadtime": AsksLong,
        "after a lease (in force)": Lease,
    }  # fmt: skip
    for text, rule in asks.items():
        with instead((cluster, "Lease", rule)):
            rows.append(_row("alone, stalled, cut healed", f"asks {text}", told=heals(lives)))
            rows.append(_row("alone, stalled, peer off", f"asks {text}", told=stalls(lives, back=False)))
            rows.append(_row("alone, stalled, peer starts", f"asks {text}", told=stalls(lives, back=True)))
    return table(("what happens", "rule", "two holders, s", "none, s"), rows)
