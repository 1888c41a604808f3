"""This machine's network as an address agent sees it: interfaces, addresses, and which network an address belongs to.

Rules:
* All sockets are opened once, at start, and shared by all agents (`shared`): nothing on the path of a take-over opens
  one, looks a name up, or runs a command.
* Where an address belongs is found once, and kept until the kernel says that links or addresses changed: a second
  netlink socket collects its notices, and they are looked at (one system call that mostly finds nothing) before
  something kept is used. So are the interfaces and networks that were looked at on the way: there may be a thousand
  addresses, whose places are all looked for when something has changed.
* The administrator's own addresses are never touched. The trap: when several addresses share a network, the kernel
  deletes all others (the "secondaries") together with the oldest (the "primary"), and ours may have become the oldest.
  `remove` therefore has the kernel promote a secondary instead, for the length of that one batch of deletions.
* Nothing is heard of what this process has changed itself.
"""

from __future__ import annotations

import _socket
import errno
import struct

from . import netlink
from .neighbour import (
    ALL_NODES_ETHERNET,
    ETHERTYPE_ARP,
    ETHERTYPE_IPV6,
    PacketSocket,
    gratuitous_arp,
    neighbour_advertisement,
)
from .netlink import Netlink, attribute, attributes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

AF_INET, AF_INET6 = _socket.AF_INET, _socket.AF_INET6

_IFF_UP, _IFF_LOOPBACK, _IFF_NOARP = 0x1, 0x8, 0x80
_IFLA_ADDRESS, _IFLA_BROADCAST, _IFLA_IFNAME, _IFLA_AF_SPEC, _IFLA_EXT_MASK = 1, 2, 3, 26, 29
_IFLA_INET_CONF, _IFLA_INET6_CONF = 1, 2
_SKIP_STATISTICS = 8  # RTEXT_FILTER_SKIP_STATS
_PROMOTE_SECONDARIES = 20  # IPV4_DEVCONF_PROMOTE_SECONDARIES, counted from 1
_FORWARDING6 = 0  # DEVCONF_FORWARDING, counted from 0
_IFA_ADDRESS, _IFA_LOCAL, _IFA_LABEL, _IFA_BROADCAST, _IFA_CACHEINFO, _IFA_FLAGS = 1, 2, 3, 4, 6, 8
_IFA_F_NODAD = 0x02
_FOREVER_S = 0xFFFFFFFF
_RTA_DST, _RTA_OIF = 1, 4
_RTM_F_FIB_MATCH = 0x2000

_OF_ADDRESSES = (netlink.RTM_NEWADDR, netlink.RTM_DELADDR)

_LINK = struct.Struct("=BxHiII")  # ifinfomsg: family, type, index, flags, change
_ADDRESS = struct.Struct("=BBBBI")  # ifaddrmsg: family, prefix, flags, scope, index
_ROUTE = struct.Struct("=BBBBBBBBI")  # rtmsg: family, dst and src length, tos, table, protocol, scope, type, flags
_LIFETIMES = struct.Struct("=IIII")  # ifa_cacheinfo: preferred, valid, created, updated
_U32 = struct.Struct("=I")

# So many addresses in one batch: even if each fails, the kernel's answers fit into the socket.
TOGETHER = 64
LABEL_BYTES = 15  # IFNAMSIZ less the end
_HARDWARE_BYTES = 8  # what sockaddr_ll holds; InfiniBand's 20 do not fit


class Interface:
    """index, name; hardware_type: ARPHRD_…; hardware, broadcast: link-layer addresses.

    promotes: the kernel keeps secondaries when their primary goes; forwards: this machine is a router for IPv6 here.
    """

    __slots__ = ("broadcast", "flags", "forwards", "hardware", "hardware_type", "index", "name", "promotes")

    def __init__(self, body: bytes) -> None:
        _, self.hardware_type, self.index, self.flags, _ = _LINK.unpack_from(body)
        found = attributes(body, _LINK.size)
        self.name = found.get(_IFLA_IFNAME, b"").rstrip(bytes(1)).decode("utf-8", "surrogateescape")
        self.hardware = found.get(_IFLA_ADDRESS, b"")
        self.broadcast = found.get(_IFLA_BROADCAST, b"")
        families = attributes(found.get(_IFLA_AF_SPEC, b""))
        settings = attributes(families.get(AF_INET, b"")).get(_IFLA_INET_CONF, b"")
        settings6 = attributes(families.get(AF_INET6, b"")).get(_IFLA_INET6_CONF, b"")
        self.promotes = _number_at(settings, _PROMOTE_SECONDARIES - 1) != 0
        self.forwards = _number_at(settings6, _FORWARDING6) != 0

    def alike(self, other: Interface, *but: str) -> bool:
        return all(getattr(self, name) == getattr(other, name) for name in self.__slots__ if name not in but)

    @property
    def up(self) -> bool:
        return bool(self.flags & _IFF_UP)

    @property
    def loopback(self) -> bool:
        return bool(self.flags & _IFF_LOOPBACK)

    @property
    def has_neighbours(self) -> bool:
        """Whether neighbours on this link resolve addresses at all."""
        return not self.flags & (_IFF_LOOPBACK | _IFF_NOARP) and 0 < len(self.hardware) <= _HARDWARE_BYTES


class Assigned:
    """An address on an interface. local: the address, packed; network: that of the other end where there is one."""

    __slots__ = ("index", "local", "network", "prefix")

    def __init__(self, body: bytes) -> None:
        _, self.prefix, _, _, self.index = _ADDRESS.unpack_from(body)
        found = attributes(body, _ADDRESS.size)
        self.network = found.get(_IFA_ADDRESS, b"")
        self.local = found.get(_IFA_LOCAL, self.network)


class _Subnet:
    """A network that addresses of an interface are in. locals: these."""

    __slots__ = ("_network", "_shift", "index", "locals", "prefix")

    def __init__(self, first: Assigned, bits: int) -> None:
        self.index = first.index
        self.prefix = first.prefix
        self.locals: set[bytes] = set()
        self._shift: int = bits - first.prefix
        self._network: int = int.from_bytes(first.network) >> self._shift

    @property
    def key(self) -> tuple[int, int, int]:
        return self.index, self.prefix, self._network

    def contains(self, address: bytes) -> bool:
        return int.from_bytes(address) >> self._shift == self._network


class Network:
    """See the module's opening. OSError from every method: what the kernel said, for people."""

    def __init__(self) -> None:
        self._kernel = Netlink()
        self._notices = Netlink(netlink.RTMGRP_LINK | netlink.RTMGRP_IPV4_IFADDR | netlink.RTMGRP_IPV6_IFADDR)
        self._notices.ignore(self._kernel)
        self._packets = PacketSocket()
        self._virtual: set[bytes] = set()  # addresses that we add and remove: they say nothing about the networks
        self._held: set[bytes] = set()  # those that we have added
        self._lost: set[bytes] = set()  # those of them that somebody else may have removed since
        self._links: dict[int | str, Interface | None] = {}  # as they were found, by index and by name
        self._networks: dict[int, list[_Subnet]] = {}  # by family
        self._changes = 0
        self.disturbances = 0  # changes, and losses of what is held

    def close(self) -> None:
        for opened in (self._kernel, self._notices, self._packets):
            opened.close()

    def fileno(self) -> int:
        """Readable when links or addresses have changed; `changes` takes note of it."""
        return self._notices.fileno()

    def changes(self) -> int:
        """A number that grows whenever somebody else changed links or addresses: what was found before is stale.
        (Not of an interface's settings: where those matter, ask for it anew.)"""
        events = self._notices.events()
        if events is None:
            self._changed()
            self._lost |= self._held
            return self._changes
        for kind, body in events:
            local = Assigned(body).local if kind in _OF_ADDRESSES else b""
            if kind == netlink.RTM_NEWLINK and self._is_known(Interface(body)):
                continue  # a setting of it, of ours for example
            if local not in self._virtual:
                self._changed()
            elif kind == netlink.RTM_DELADDR and local in self._held:
                self._lost.add(local)
                self.disturbances += 1
        return self._changes

    def _changed(self) -> None:
        self._changes += 1
        self.disturbances += 1
        self._links.clear()
        self._networks.clear()

    def _is_known(self, found: Interface) -> bool:
        known = self._links.get(found.index)
        return False if known is None else known.alike(found, "forwards", "promotes")

    def may_be_lost(self, address: bytes) -> bool:
        """Whether an address that we have added may be gone again: the administrator deleted it, or the one that it
        was a secondary of, or its interface."""
        self.changes()
        return address in self._lost

    def interface(self, which: str | int) -> Interface | None:
        """As it is now, by name or index. None: there is no such interface."""
        body = _LINK.pack(0, 0, which if isinstance(which, int) else 0, 0, 0)
        body += attribute(_IFLA_EXT_MASK, _U32.pack(_SKIP_STATISTICS))
        if isinstance(which, str):
            body += attribute(_IFLA_IFNAME, which.encode("utf-8", "surrogateescape") + bytes(1))
        try:
            return Interface(self._kernel.get(netlink.RTM_GETLINK, body))
        except OSError as error:
            if error.errno == errno.ENODEV:
                return None
            raise

    def link(self, which: str | int) -> Interface | None:
        """The same, as it was when links or addresses last changed: all but its settings."""
        if which not in self._links:
            found = self.interface(which)
            self._links[which] = found
            if found is not None:
                self._links[found.index] = found
        return self._links[which]

    def assigned(self, family: int) -> list[Assigned]:
        """Every address of the family on this machine, in the kernel's order."""
        bodies = self._kernel.dump(netlink.RTM_GETADDR, _ADDRESS.pack(family, 0, 0, 0, 0))
        return [Assigned(body) for body in bodies if body[0] == family]

    def connected(self, address: bytes, name: str | None = None) -> tuple[Interface, int] | None:
        """The interface and prefix length of the network that `address` belongs to, by the addresses this machine has
        in it; on interface `name` alone if given. None: it belongs to none.

        Only what is directly connected counts: the network of another address on an interface that is up. Routes
        through gateways do not, nor does a default route. The longest prefix wins; among equals the one the kernel
        itself would send through. (The routing table is not read: on a router it may hold a million routes.)
        """
        family, bits = (AF_INET, 32) if len(address) == 4 else (AF_INET6, 128)
        best: list[tuple[Interface, int]] = []
        own: tuple[Interface, int] | None = None
        for subnet in self._subnets(family, bits):
            if not subnet.contains(address):
                continue
            interface = self.link(subnet.index)
            if interface is None or not interface.up or interface.loopback or name not in (None, interface.name):
                continue
            if subnet.locals == {address}:  # a remainder of ours proves nothing about the network
                own = own or (interface, subnet.prefix)
            elif not best or subnet.prefix > best[0][1]:
                best = [(interface, subnet.prefix)]
            elif subnet.prefix == best[0][1]:
                best.append((interface, subnet.prefix))
        if len(best) > 1:
            chosen = self._outgoing(family, address)
            best.sort(key=lambda candidate: candidate[0].index != chosen)
        return best[0] if best else own

    def _subnets(self, family: int, bits: int) -> list[_Subnet]:
        """In the kernel's order of the first address in each. A host address contains only itself."""
        if family not in self._networks:
            found: dict[tuple[int, int, int], _Subnet] = {}
            for other in self.assigned(family):
                if other.prefix not in (0, bits):
                    made = _Subnet(other, bits)
                    found.setdefault(made.key, made).locals.add(other.local)
            self._networks[family] = list(found.values())
        return self._networks[family]

    def _outgoing(self, family: int, address: bytes) -> int | None:
        """The index of the interface through which the kernel now reaches `address`."""
        body = _ROUTE.pack(family, len(address) * 8, 0, 0, 0, 0, 0, 0, _RTM_F_FIB_MATCH) + attribute(_RTA_DST, address)
        try:
            found = attributes(self._kernel.get(netlink.RTM_GETROUTE, body), _ROUTE.size)
        except OSError:
            return None  # no route at all: then the order of the addresses decides
        return _U32.unpack(found[_RTA_OIF])[0] if _RTA_OIF in found else None

    def add(self, wanted: Sequence[tuple[bytes, bytes]]) -> list[OSError | None]:
        """(address, its `addition`) of each, at most TOGETHER. Success too where one is there already. For each: None,
        or why not."""
        self._networks.clear()
        self._virtual.update([address for address, _ in wanted])
        flags = netlink.NLM_F_CREATE | netlink.NLM_F_REPLACE
        refused = self._kernel.execute([(netlink.RTM_NEWADDR, flags, body) for _, body in wanted])
        added = [address for (address, _), why in zip(wanted, refused, strict=True) if why is None]
        self._held.update(added)
        self._lost.difference_update(added)
        return refused

    def adopt(self, address: bytes) -> None:
        """It is there, added by an earlier run: as if by this one."""
        self._virtual.add(address)
        self._held.add(address)

    def remove(self, places: Sequence[tuple[int, int, bytes]]) -> list[OSError | None]:
        """(index of an interface, prefix, address) of each, at most TOGETHER. For each: None, or why not: `absent`
        tells whether that is only that it was not there. The other addresses of the interfaces stay as they are."""
        addresses = [address for _, _, address in places]
        self._networks.clear()
        self._virtual.update(addresses)
        self._held.difference_update(addresses)
        self._lost.difference_update(addresses)
        requests = [(netlink.RTM_DELADDR, 0, _removal(*place)) for place in places]
        # Only the kernel can do this without a moment in which the administrator's address, and the routes that name it
        # as their source, are gone. IPv6 has no such dependence.
        settled = [index for index in sorted({index for index, _, address in places if len(address) == 4})
                   if (interface := self.interface(index)) is not None and not interface.promotes]  # fmt: skip
        before = [(netlink.RTM_SETLINK, 0, _promotion(index, 1)) for index in settled]
        after = [(netlink.RTM_SETLINK, 0, _promotion(index, 0)) for index in settled]
        refused = self._kernel.execute([*before, *requests, *after])
        return refused[len(before) : len(before) + len(places)]

    def send(self, packets: Iterable[bytes], interface: Interface, address: bytes) -> None:
        """`announcement`s of the address, to the neighbours on this link."""
        if len(address) == 4:
            ethertype, destination = ETHERTYPE_ARP, interface.broadcast
        else:
            ethernet = len(interface.hardware) == len(ALL_NODES_ETHERNET)
            ethertype, destination = ETHERTYPE_IPV6, ALL_NODES_ETHERNET if ethernet else interface.broadcast
        for packet in packets:
            self._packets.send(packet, ethertype, interface.name, destination)


def addition(
    interface: Interface, address: bytes, prefix: int, broadcast: bytes | None = None, label: str | None = None,
    lifetime_s: int = 0,
) -> bytes:  # fmt: skip
    """What the kernel is told to add it. lifetime_s: the kernel removes it then, counted from now; 0: it is there for
    good, also if it was there for a time only."""
    valid_s = lifetime_s or _FOREVER_S
    if len(address) == 4:
        body = _ADDRESS.pack(AF_INET, prefix, 0, 0, interface.index)
        body += attribute(_IFA_LOCAL, address) + attribute(_IFA_ADDRESS, address)
        if broadcast is not None:
            body += attribute(_IFA_BROADCAST, broadcast)
        body += attribute(_IFA_LABEL, (label or interface.name).encode("utf-8", "surrogateescape") + bytes(1))
        return body + attribute(_IFA_CACHEINFO, _LIFETIMES.pack(valid_s, valid_s, 0, 0))
    # No duplicate address detection: it would keep the address unusable for a second or more, and find the dead peer's
    # at best. Never preferred: the machine's own traffic keeps its own address as the source.
    body = _ADDRESS.pack(AF_INET6, prefix, 0, 0, interface.index)
    body += attribute(_IFA_ADDRESS, address) + attribute(_IFA_FLAGS, _U32.pack(_IFA_F_NODAD))
    return body + attribute(_IFA_CACHEINFO, _LIFETIMES.pack(0, valid_s, 0, 0))


def _removal(index: int, prefix: int, address: bytes) -> bytes:
    body = _ADDRESS.pack(AF_INET if len(address) == 4 else AF_INET6, prefix, 0, 0, index)
    return body + attribute(_IFA_LOCAL, address) + attribute(_IFA_ADDRESS, address)


def absent(refused: OSError) -> bool:
    """What could not be removed was not there."""
    return refused.errno in (errno.EADDRNOTAVAIL, errno.ENODEV)


def announcement(interface: Interface, address: bytes) -> tuple[bytes, ...]:
    """One burst to the neighbours on this link, where it has any."""
    if not interface.has_neighbours:
        return ()
    if len(address) == 4:
        return gratuitous_arp(address, interface.hardware, interface.hardware_type)
    return (neighbour_advertisement(address, interface.hardware, router=interface.forwards),)


_shared: Network | None = None


def shared() -> Network:
    """The process's one `Network`, opened when first asked for."""
    global _shared  # noqa: PLW0603  sockets are the process's, as standard output is
    if _shared is None:
        _shared = Network()
    return _shared


def _promotion(index: int, value: int) -> bytes:
    """The body of an RTM_SETLINK that changes this one IPv4 setting of the interface."""
    setting = attribute(_IFLA_INET_CONF, attribute(_PROMOTE_SECONDARIES, _U32.pack(value)))
    return _LINK.pack(0, 0, index, 0, 0) + attribute(_IFLA_AF_SPEC, attribute(AF_INET, setting))


def _number_at(numbers: bytes, position: int) -> int:
    """Element `position` of an array of 32-bit numbers; 0 where the kernel's array is shorter."""
    return int(_U32.unpack_from(numbers, position * 4)[0]) if len(numbers) >= position * 4 + 4 else 0
