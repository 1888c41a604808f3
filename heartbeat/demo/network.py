"""The networks of a world: bridges in a namespace of their own, as switches stand apart from what is plugged into them.

A plug is one end of a veth pair on a bridge; the other end is the machine's interface. Pulling a plug takes the
carrier away at once.
"""

from __future__ import annotations

import contextlib
import errno
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pyroute2 import IPRoute, NetlinkError

from heartbeat.demo import namespaces

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True)
class Interface:
    """A machine's network interface. address: its static one, "10.0.0.2/24", or ""; mac: fixed, as a card's is."""

    name: str
    network: str
    address: str
    mac: str


@contextlib.contextmanager
def netlink(network: int) -> Iterator[IPRoute]:
    """A pyroute2 socket in that network namespace, for the time of a `with`."""
    with namespaces.inside(network), IPRoute() as ip:
        yield ip


@contextlib.contextmanager
def _perhaps_gone() -> Iterator[None]:
    try:
        yield
    except NetlinkError as error:
        if error.code != errno.ENODEV:
            raise


class Switches:
    """One bridge a network, made when it is first named."""

    def __init__(self) -> None:
        self._namespace = namespaces.new_network()
        self._bridges: dict[str, int] = {}
        self._plugs = 0
        with namespaces.inside(self._namespace):
            # stays open: pulling plugs is part of an instant that is measured
            self._ip = IPRoute()

    def plug(self, interface: Interface, pid: int) -> int:
        """Make `interface` in the network namespace of process `pid`, plugged in and up. Answers the plug."""
        with namespaces.inside(self._namespace):
            bridge = self._bridges.get(interface.network) or self._make_bridge(interface.network)
            self._plugs += 1
            name = f"plug{self._plugs}"
            peer = {"ifname": interface.name, "net_ns_pid": pid, "address": interface.mac}
            self._ip.link("add", ifname=name, kind="veth", peer=peer)
            (plug,) = self._ip.link_lookup(ifname=name)
            self._ip.link("set", index=plug, master=bridge, state="up")
            return int(plug)

    def pull(self, plug: int) -> None:
        """It may be gone: a machine that ends takes its end of the pair, and so the whole pair, with it."""
        with namespaces.inside(self._namespace), _perhaps_gone():
            self._ip.link("set", index=plug, state="down")

    def push(self, plug: int) -> None:
        """Plug in again what was pulled."""
        with namespaces.inside(self._namespace):
            self._ip.link("set", index=plug, state="up")

    def remove(self, plug: int) -> None:
        """Take the plug and its machine's interface away."""
        with namespaces.inside(self._namespace), _perhaps_gone():
            self._ip.link("del", index=plug)

    def _make_bridge(self, network: str) -> int:
        # no snooping: without a multicast querier on the network it would in the end stop mcast heartbeats
        self._ip.link("add", ifname=network, kind="bridge", br_forward_delay=0, br_mcast_snooping=0)
        (bridge,) = self._ip.link_lookup(ifname=network)
        self._ip.link("set", index=bridge, state="up")
        self._bridges[network] = int(bridge)
        return int(bridge)

    def close(self) -> None:
        self._ip.close()
        os.close(self._namespace)
