"""A third host on the pair's own network says what it must not be believed, and nothing comes of it.

    wrong key       all that matters in a cluster, in either node's name, newer than all that it has said itself
    unknown node    the same, well signed, of a node that no ha.cf names
    recordings      all that both nodes have said in their last generation but one: their start, moves and their beat
    a second cluster on the same port, a real one: of other names, then of the same names, with another key

Each of the forged goes to both nodes, at RATE a second. Judged as ever: kernels, both nodes' tools, both logs; and by
ours, which counts all of it, and tells of it in few lines.
"""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from interop.conversation import BOOT_S, PATIENCE_S, status_of_ours, trouble
from interop.pair import Pair, playing
from interop.program import ORIGINAL, OURS
from interop.router import Router
from interop.setting import ETHERNET, KEYS, MEDIA, NODES, ORDERS, VERSION_6, Setting
from interop.tap import CARD, listener, tapped
from reference import codec
from system.flood import frame

from heartbeat.demo.clock import now_ns
from heartbeat.demo.network import Interface
from heartbeat.demo.seed import Files
from heartbeat.demo.world import until

METHOD = "sha1"
RATE = 100
SECONDS = 3.0
# After an attack: what it could have caused must have had the time to show.
AFTER_S = 1.0
# In which the second cluster is at work, once it has found its other node dead and taken what is its own.
CLUSTER_S = 3.0
MOVES = (("takeover caesar all", "cc"), ("takeover julius local", "jc"))
MOVE_S = 15.0
STRANGER = "brutus"
SECOND = "10.0.0.77"
THIRD = Interface(CARD, "net10.0.0", "10.0.0.66/24", "02:00:0a:00:00:42")
FOURTH = Interface(CARD, "net10.0.0", "10.0.0.44/24", "02:00:0a:00:00:2c")
OTHER_KEY = {1: (METHOD, b"somebody-else's")}
GROUP_MAC = "01:00:5e:01:02:03"  # of 239.1.2.3
# Of each medium: hardware address and address that reach both; none where each is reached by its own.
EVERYBODY = {"bcast": ("ff:ff:ff:ff:ff:ff", "10.0.0.255"), "mcast": (GROUP_MAC, "239.1.2.3")}
SECOND_HA_CF = (
    "use_logd off\nlogfile /var/log/ha-log\nkeepalive 200ms\nwarntime 1000ms\ndeadtime 2\ninitdead 4\nudpport 694\n"
    "{}auto_failback off\nnode {}\n"
)
KINDS = ("dead",)
# Beyond what has always been logged: of each cause three lines in ten seconds of a medium's, or as many as the count
# has binary digits of the core's.
LINES = 40


@dataclass
class Attack:
    """sent: datagrams that have reached ours; counted: by its status, refused on a medium or ignored; logged: lines in
    its log; changes: of addresses in the kernels."""

    name: str
    sent: int = 0
    counted: int = 0
    logged: int = 0
    changes: int = 0


@dataclass
class Siege:
    """of_ours: its log meanwhile."""

    setting: Setting
    attacks: list[Attack] = field(default_factory=list)
    held: str = ""
    links: str = "not up"
    counts: dict[str, int] = field(default_factory=dict)
    found: dict[str, list[str]] = field(default_factory=dict)
    generations: int = 0
    of_ours: str = ""
    trouble: str = ""

    @property
    def right(self) -> bool:
        quiet = not any(each.changes for each in self.attacks) and not any(self.found.values())
        counted = all(each.counted >= each.sent > 0 for each in self.attacks)
        bounded = all(each.logged <= LINES for each in self.attacks)
        same = self.held == "jc" and self.links == "up" and self.generations == len(NODES)
        return not self.trouble and quiet and counted and bounded and same

    def story(self) -> str:
        lines = [f"--- {self.setting}: {self.held}, links {self.links}, {self.generations} generations; {self.trouble}"]
        lines += [f"    {each}" for each in self.attacks]
        lines += [f"    {kind}: {line}" for kind, those in self.found.items() for line in those[:10]]
        lines += [f"    counted: {each}" for each in self.counts.items()]
        lines += ["    the log of ours:", *(f"        {line}" for line in self.of_ours.splitlines()[-60:])]
        return "\n".join(lines)


def settings() -> list[Setting]:
    return [Setting(*order, media=(medium,), method=METHOD) for medium in ETHERNET if medium not in VERSION_6
            for order in ORDERS]  # fmt: skip


def siege(setting: Setting, *, clusters: bool = True) -> Siege:
    made = Siege(setting)
    with playing(setting) as pair:
        try:
            recorded = _record(pair)
            pair.all_off()
            _boot(pair)
            with tapped(pair) as tap:
                (ours,) = (node for node in pair.nodes.values() if node.program == OURS)
                begun = ours.log_size()
                sender = Sender(pair)
                newest = max(_generations(pair).values())
                for name, payloads in (
                    ("wrong key", [each for node in NODES for each in forged(node, newest + 1, OTHER_KEY)]),
                    ("unknown node", forged(STRANGER, newest + 1, KEYS[METHOD])),
                    ("recordings", recorded),
                ):
                    _attack(made, pair, ours, name, lambda payloads=payloads: sender.send(payloads))
                sender.close()
                for name, nodes in (("other names", (STRANGER, "cassius")), ("same names", NODES)) if clusters else ():
                    _attack(made, pair, ours, f"second cluster, {name}", lambda nodes=nodes: _second(pair, nodes))
                until(lambda: pair.done() and pair.links_up(), PATIENCE_S, "both done, and all links up")
                made.links = "up"
                made.of_ours = ours.log(begun)
                made.generations = len(
                    {(each.source, each.generation) for name in NODES for each in tap.sent(name) if each.source == name}
                )
        except TimeoutError as error:
            made.trouble = str(error)
        made.held = pair.state()
        made.counts = status_of_ours(pair).get("counts", {})
        made.found = trouble(pair, KINDS)
    return made


def _boot(pair: Pair) -> None:
    pair.do(f"start {' '.join(NODES)}")
    until(lambda: pair.state() == "jc" and pair.done() and pair.links_up(), BOOT_S, "each holds its own, links up")


def _record(pair: Pair) -> list[bytes]:
    """All of a generation of both nodes, but its very beginning."""
    pair.do(f"start {' '.join(NODES)}")
    with tapped(pair) as tap:
        until(lambda: pair.state() == "jc" and pair.done() and pair.links_up(), BOOT_S, "each holds its own, links up")
        for action, wanted in MOVES:
            pair.do(action)
            until(lambda wanted=wanted: pair.state() == wanted and pair.done(), MOVE_S, action)
        return [each for name in NODES for each in tap.datagrams(name)]


def _generations(pair: Pair) -> dict[str, int]:
    return {name: node["generation"] for name, node in status_of_ours(pair)["nodes"].items()}


def _attack(made: Siege, pair: Pair, ours: Router, name: str, act: Callable[[], int]) -> None:
    before, begun, since_ns = _counted(pair), ours.log_size(), now_ns()
    sent = act()
    time.sleep(AFTER_S)
    changes = [each for each in pair.kernels.changes() if each.at_ns >= since_ns]
    logged = len(ours.log(begun).splitlines())
    made.attacks.append(Attack(name, sent, _counted(pair) - before, logged, len(changes)))


def _counted(pair: Pair) -> int:
    status = status_of_ours(pair)
    media = sum(medium["rejected"] + medium["discarded"] for medium in status["media"])
    return media + sum(status["counts"].values())


def forged(source: str, generation: int, keys: codec.auth.Keys) -> list[bytes]:
    """What would undo a cluster if it were believed, in both formats."""
    said = (
        {"t": "status", "st": "active", "dt": "fa0", "protocol": "1"},
        {"t": "status", "st": "init", "dt": "1", "protocol": "1"},
        {"t": "status", "st": "dead", "dt": "1", "protocol": "1"},
        {"t": "starting"},
        {"t": "resource", "rsc_hold": "all", "rtype": "full", "isstable": "1"},
        {"t": "resource", "rsc_hold": "none", "rtype": "full", "isstable": "1", "info": "shutdown"},
        {"t": "ask_resources", "rsc_hold": "all", "info": "me"},
        {"t": "hb_takeover", "rsc_hold": "all"},
        {"t": "shutdone", "st": "dead"},
        {"t": "NS_nak_rexmit", "firstseq": "1", "info": "seqno too low"},
    )
    payloads = []
    for number, one in enumerate(said, 1):
        texts = {**one, "src": source, "seq": f"{number:x}", "hg": f"{generation:x}", "ts": f"{int(time.time()):x}"}
        fields = [(name.encode(), 0, text.encode()) for name, text in texts.items()]
        payloads += [codec.sign_netstring(fields, keys, 1), codec.sign_classic(fields, keys, 1) + b"\0"]
    return payloads


class Sender:
    """The third host. Where each node is sent its own, it takes the other's address, for strangers' are kept out; not
    its hardware's, for then the switch would lead astray what is for the other."""

    def __init__(self, pair: Pair) -> None:
        third = pair.world.machine("third", [THIRD])
        pair.world.power_on(third)
        with third.inside():
            self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        self._socket.bind((CARD, 0))
        julius, caesar = (_card(node.interfaces[0]) for node in pair.nodes.values())
        mac, own = _card(THIRD)
        everybody = EVERYBODY.get(pair.setting.media[0])
        each = [((mac, julius[1]), caesar), ((mac, caesar[1]), julius)]
        self._ways = [((mac, own), everybody)] if everybody else each

    def send(self, payloads: Sequence[bytes]) -> int:
        """To both. How many have gone to each."""
        count = max(round(RATE * SECONDS), len(payloads))
        began = time.monotonic()
        for number in range(count):
            time.sleep(max(0.0, began + number / RATE - time.monotonic()))
            for source, target in self._ways:
                self._socket.send(frame(list(source), list(target), payloads[number % len(payloads)]))
        return count

    def close(self) -> None:
        self._socket.close()


def _card(interface: Interface) -> tuple[str, str]:
    """Its hardware address and its address."""
    return interface.mac, interface.address.partition("/")[0]


def _second(pair: Pair, nodes: tuple[str, str]) -> int:
    """A real cluster of one node, for a while. How many messages it has sent."""
    folder = Path(pair.world.folder, f"second-{nodes[0]}")
    folder.mkdir()
    medium = pair.setting.media[0] if pair.setting.media[0] in EVERYBODY else "bcast"
    files = Files(
        ha_cf=SECOND_HA_CF.format(MEDIA[medium], " ".join(nodes)), haresources=f"{nodes[0]} {SECOND}\n",
        authkeys=f"auth 1\n1 {METHOD} {OTHER_KEY[1][1].decode()}\n",
    )  # fmt: skip
    node = Router(nodes[0], folder, pair.world.switches, [FOURTH], program=ORIGINAL, files=files)
    try:
        node.power_on()
        with pair.links._inside():
            plug = listener(pair.links._plug(node, CARD))
        with plug:
            node.start_daemon()
            until(lambda: node.holds(SECOND), BOOT_S, f"{node.name} of the second cluster has what is its own")
            time.sleep(CLUSTER_S)
            return _waiting(plug)
    finally:
        node.power_off()


def _waiting(plug: socket.socket) -> int:
    """How many frames have come in that nobody has read."""
    plug.setblocking(False)
    found = 0
    with contextlib.suppress(BlockingIOError):
        while True:
            found += plug.recvfrom(2048)[1][2] != socket.PACKET_OUTGOING
    return found


HEAD = ("pair", "medium", "of each attack: datagrams to ours / counted / lines in its log / addresses moved", "holds",
        "links", "generations", "log: dead", "trouble")  # fmt: skip


def cells(made: Siege) -> list[str]:
    setting = made.setting
    attacks = [f"{each.name}: {each.sent} / {each.counted} / {each.logged} / {each.changes}" for each in made.attacks]
    return [
        f"{setting.julius}+{setting.caesar}", "+".join(setting.media), "; ".join(attacks), made.held, made.links,
        str(made.generations), str(len(made.found.get("dead", ()))), made.trouble,
    ]  # fmt: skip
