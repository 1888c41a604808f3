"""UDP media of IPv6: ucast6 and mcast6, as protocol/wire.md §11.4; what they share with those of IPv4 is in udp.py.

An interface has its IPv6 addresses later than it is up, when nobody else was found to have them, and a static one is
gone when it was down. So an address is no condition for being open: what cannot be sent is lost until there is one
again, and nothing has to be opened for that.

Link-local addresses need no scope: sockets are bound to the interface, or send to groups by it. IPv4 that the kernel
would map into IPv6 is left to the IPv4 media.
"""

from __future__ import annotations

import errno
import struct
from _socket import (
    AF_INET6,
    IPPROTO_IPV6,
    IPV6_JOIN_GROUP,
    IPV6_MULTICAST_HOPS,
    IPV6_MULTICAST_IF,
    IPV6_MULTICAST_LOOP,
    IPV6_V6ONLY,
    SO_REUSEADDR,
    SOL_SOCKET,
    inet_pton,
)

from heartbeat.media.udp import Datagrams, Mcast, Ucast

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _socket import socket

IPV6_MULTICAST_ALL = 29  # linux/in6.h; the standard library lacks it


class _Version6(Datagrams):
    _family = AF_INET6

    def _new_socket(self) -> socket:
        try:
            endpoint = super()._new_socket()
        except OSError as error:
            if error.errno == errno.EAFNOSUPPORT:
                raise OSError(error.errno, "this machine's kernel runs without IPv6") from error
            raise
        endpoint.setsockopt(IPPROTO_IPV6, IPV6_V6ONLY, 1)
        # else what comes to groups that other sockets have joined, another medium's among them
        endpoint.setsockopt(IPPROTO_IPV6, IPV6_MULTICAST_ALL, 0)
        return endpoint

    def _target_octets(self) -> bytes:
        """struct sockaddr_in6."""
        address, port = self._target
        return struct.pack("=H2s4x16s4x", AF_INET6, port.to_bytes(2, "big"), inet_pton(AF_INET6, address))


class Ucast6(_Version6, Ucast):
    """`ucast6 eth0 fd00::3`: to one address. Several on one interface share the port, as of `ucast`."""

    type = "ucast6"

    def _open_sender(self, sender: socket) -> None:
        self._require_digits()
        self._bind_to_device(sender)


class Mcast6(_Version6, Mcast):
    """`mcast6 eth0 ff02::694 694 1 0`: to a group. The port is the line's own."""

    type = "mcast6"

    def _open_sender(self, sender: socket) -> None:
        self._require_digits()
        sender.setsockopt(IPPROTO_IPV6, IPV6_MULTICAST_IF, self._index)
        sender.setsockopt(IPPROTO_IPV6, IPV6_MULTICAST_LOOP, int(self._loop))
        sender.setsockopt(IPPROTO_IPV6, IPV6_MULTICAST_HOPS, self._ttl)

    def _open_receiver(self, receiver: socket) -> None:
        receiver.setsockopt(SOL_SOCKET, SO_REUSEADDR, 1)
        # of a group with a wider scope than the link, else what comes in by any interface
        self._bind_to_device(receiver)
        receiver.bind((self._address, self._port))
        group = struct.pack("@16sI", inet_pton(AF_INET6, self._address), self._index)  # struct ipv6_mreq
        receiver.setsockopt(IPPROTO_IPV6, IPV6_JOIN_GROUP, group)
