"""The worlds that the demonstration and the system tests play in.

            lan                                    wan
    client ──┬── eth0 julius eth1 ──┬── wan host          julius and caesar share 10.0.0.254 and 1.1.1.254,
             │        ttyS0         │                     the gateways of the client and of the wan host
             │          ║ cable     │
             │        ttyS0         │
             └── eth0 caesar eth1 ──┘

A world is a folder, switches, cables, machines and instruments, all gone when it is closed; any number of worlds run
side by side. A `Site` says who stands where: one with other names and addresses is another pair on the same wan.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from heartbeat.demo import seed
from heartbeat.demo.cable import Cable
from heartbeat.demo.clock import SECOND, now_ns
from heartbeat.demo.machine import Machine
from heartbeat.demo.network import Interface, Switches
from heartbeat.demo.node import Node
from heartbeat.demo.observe import Observer
from heartbeat.demo.probe import Ping, Stream

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

# Figures come from stamped events, not from these looks.
_POLL_S = 0.02

Some = TypeVar("Some", bound=Machine)


@dataclass(frozen=True)
class Site:
    """Two routers and what is behind them. lan, wan: the first three numbers of the networks (both /24)."""

    nodes: tuple[str, str] = ("julius", "caesar")
    node_numbers: tuple[int, int] = (2, 3)
    lan: str = "10.0.0"
    wan: str = "1.1.1"
    lan_address: str = "10.0.0.254"
    wan_address: str = "1.1.1.254"
    client: str = "client"
    client_number: int = 10
    # of the routers: (destination, gateway), and more networks between them alone, on eth2, eth3 …
    routes: tuple[tuple[str, str], ...] = ()
    links: tuple[str, ...] = ()

    @property
    def addresses(self) -> tuple[str, str]:
        """The virtual addresses, in the group's order."""
        return self.lan_address, self.wan_address

    def files(self) -> seed.Files:
        """The seed's files with this site's names and addresses."""
        theirs = (*JULIUS_AND_CAESAR.nodes, *JULIUS_AND_CAESAR.addresses)
        return seed.Files().replaced(dict(zip(theirs, (*self.nodes, *self.addresses), strict=True)))

    def router_interfaces(self, number: int) -> list[Interface]:
        """eth0 on the lan, eth1 on the wan, of the first (0) or second (1) node."""
        last = self.node_numbers[number]
        networks = (self.lan, self.wan, *self.links)
        return [_interface(f"eth{card}", network, last) for card, network in enumerate(networks)]


JULIUS_AND_CAESAR = Site()


def _interface(name: str, network: str, number: int) -> Interface:
    """A network is named by its addresses. The card's mac follows from its address, so it survives a power failure."""
    address = f"{network}.{number}"
    mac = bytes((2, 0, *(int(part) for part in address.split("."))))
    return Interface(name, f"net{network}", f"{address}/24", mac.hex(":"))


class World:
    """Make machines, switch them on, measure. divisor: times of all daemons in it run this many times faster."""

    def __init__(self, divisor: int = 1) -> None:
        self.divisor = divisor
        self.nodes: dict[str, Node] = {}
        self.machines: dict[str, Machine] = {}
        self._closing = contextlib.ExitStack()
        try:
            self.folder = Path(tempfile.mkdtemp(prefix="heartbeat-"))
            self._closing.callback(shutil.rmtree, self.folder)
            self.switches = Switches()
            self._closing.callback(self.switches.close)
            self.observer = Observer()
            self._closing.callback(self.observer.close)
        except BaseException:
            self._closing.close()
            raise

    def __enter__(self) -> World:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Everything ends and goes; what has ended already is no trouble."""
        self._closing.close()

    def cable(self, baud: int = seed.BAUD) -> Cable:
        """A null-modem cable for two machines' serial ports, as many times faster as the daemons' times."""
        cable = Cable(baud * self.divisor)
        self._closing.callback(cable.close)
        return cable

    def machine(self, name: str, interfaces: Sequence[Interface], routes: Sequence[tuple[str, str]] = ()) -> Machine:
        """A plain host, switched off."""
        return self._add(Machine(name, self.folder, self.switches, interfaces, routes=routes))

    def power_on(self, machine: Machine) -> None:
        """Switch on and watch. A node gets its mail server; its daemon is `start_daemon`'s."""
        machine.power_on()
        self.observer.watch(machine)
        if isinstance(machine, Node):
            machine.start_mail_server()

    def power_off(self, machine: Machine) -> int:
        """The power fails. Answers the instant."""
        at_ns = now_ns()
        machine.power_off()
        self.observer.forget(machine)
        return at_ns

    def boot(self, *nodes: Node) -> None:
        """Switch nodes on and start their daemons, all at once."""
        for node in nodes:
            self.power_on(node)
        for node in nodes:
            node.start_daemon()

    def ping(self, machine: Machine, address: str) -> Ping:
        """`machine` asks `address` every millisecond."""
        ping = Ping(machine, address)
        self._closing.callback(ping.close)
        return ping

    def stream(self, sender: Machine, receiver: Machine, port: int) -> Stream:
        """A thousand numbered packets a second from host to host."""
        stream = Stream(sender, receiver, port)
        self._closing.callback(stream.close)
        return stream

    def pair(self, site: Site, files: seed.Files | None = None, *, cable: Cable | None = None) -> tuple[Node, Node]:
        """The two routers of a site, switched off. cable: between their ttyS0; without one they have none."""
        first, second = (
            self._add(
                Node(
                    name, self.folder, self.switches, site.router_interfaces(number),
                    files=files or site.files(), divisor=self.divisor, routes=site.routes,
                    serial={seed.SERIAL_PORT: cable.ends[number]} if cable else {},
                )
            )
            for number, name in enumerate(site.nodes)
        )  # fmt: skip
        self.nodes |= {first.name: first, second.name: second}
        return first, second

    def client(self, site: Site) -> Machine:
        """The host behind a site's routers, switched on; its gateway is their virtual address."""
        interface = _interface("eth0", site.lan, site.client_number)
        client = self.machine(site.client, [interface], [("default", site.lan_address)])
        self.power_on(client)
        return client

    def wan_host(self, site: Site, number: int = 10) -> Machine:
        """A host on the wan, switched on, that reaches the site's lan through their virtual address there."""
        interface = _interface("eth0", site.wan, number)
        host = self.machine("wan", [interface], [(f"{site.lan}.0/24", site.wan_address)])
        self.power_on(host)
        return host

    def _add(self, machine: Some) -> Some:
        self.machines[machine.name] = machine
        self._closing.callback(machine.power_off)
        return machine


def until(
    condition: Callable[[], object], timeout_s: float, what: str, *, meanwhile: Callable[[], object] | None = None
) -> None:
    """Wait for a condition; TimeoutError says what did not come about. meanwhile: called at each look."""
    end_ns = now_ns() + round(timeout_s * SECOND)
    while not condition():
        if now_ns() > end_ns:
            raise TimeoutError(f"not within {timeout_s:.1f} s: {what}")
        if meanwhile:
            meanwhile()
        time.sleep(_POLL_S)
