"""Telling the neighbours who else answers for an address, when this machine has misled them and the holder keeps quiet.

Runs in a process of its own (`python -m heartbeat.agents IPaddr … redirect`): it asks on the link and waits for the
answer, and for some seconds it asks again, because a neighbour may have been busy, or takes no second answer within a
second. It never speaks for an address that nobody has, or that has come back to this machine meanwhile.
"""

from __future__ import annotations

import contextlib
import select
import socket
import time

from .base import ANNOUNCEMENTS_NS, FAILURE, MILLISECOND, AgentError
from .neighbour import (
    ALL_NODES_ETHERNET,
    ELSEWHERE,
    ETHERTYPE_ARP,
    ETHERTYPE_IPV6,
    arp_holder,
    arp_probe,
    gratuitous_arp,
    neighbour_solicitation,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .address import Address
    from .network import Interface

# whoever has the address answers within a millisecond or two; a busy machine, or a lost packet, takes more
_ASK_AGAIN_NS = 100 * MILLISECOND
_ASK = 10
_PACKET_BYTES = 128


def redirect(agent: Address) -> None:
    """Until the neighbours know, which takes two seconds. At first the address may still be here, silently, where
    something else is stopped before it.

    AgentError: nobody answers for it, or its interface is gone or down.
    """
    try:
        _redirect(agent, agent.interface, agent.target.address)
    except OSError as error:
        raise AgentError(FAILURE, f"cannot ask who has {agent.target.text}: {error.strerror}") from error


def _redirect(agent: Address, interface: Interface, address: bytes) -> None:
    if not interface.has_neighbours:
        return
    leaving = agent.status()
    with contextlib.closing(_socket_on(interface)) as asking:
        began = time.monotonic_ns()
        for instant_ns in ANNOUNCEMENTS_NS:
            time.sleep(max(began + instant_ns - time.monotonic_ns(), 0) / 1e9)
            here = agent.status()
            if here and not leaving:
                return
            leaving = here
            if len(address) == 4:
                holder = _holder(asking, interface, address)
                if holder is None:
                    raise AgentError(FAILURE, f"nobody else answers for {agent.target.text}")
                for packet in gratuitous_arp(address, holder, interface.hardware_type):
                    _send_arp(asking, interface, packet + ELSEWHERE)
                if not instant_ns:
                    print(f"{agent.target.text} is at {holder.hex(':')} now; the neighbours are told", flush=True)
            elif len(interface.hardware) == len(ALL_NODES_ETHERNET):
                # the one who has it tells all nodes, because whoever asks has no address to be told at
                packet, group = neighbour_solicitation(address)
                asking.sendto(packet, (interface.name, ETHERTYPE_IPV6, 0, 0, group))


def _socket_on(interface: Interface) -> socket.socket:
    asking = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ETHERTYPE_ARP))
    asking.bind((interface.name, ETHERTYPE_ARP))
    asking.setblocking(False)
    return asking


def _send_arp(asking: socket.socket, interface: Interface, packet: bytes) -> None:
    asking.sendto(packet, (interface.name, ETHERTYPE_ARP, 0, 0, interface.broadcast))


def _holder(asking: socket.socket, interface: Interface, address: bytes) -> bytes | None:
    """The hardware address of the one who answers for it. None: nobody does."""
    probe = arp_probe(address, interface.hardware, interface.hardware_type)
    for _ in range(_ASK):
        _send_arp(asking, interface, probe)
        until = time.monotonic_ns() + _ASK_AGAIN_NS
        while (left_ns := until - time.monotonic_ns()) > 0:
            if not select.select([asking], [], [], left_ns / 1e9)[0]:
                break
            packet = asking.recv(_PACKET_BYTES)
            found = arp_holder(packet, address, interface.hardware_type, len(interface.hardware))
            if found is not None and found != interface.hardware:
                return found
    return None
