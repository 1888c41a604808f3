"""UDP media: ucast, bcast, mcast, as protocol/wire.md §11; those of IPv6 are in udp6.py.

One socket receives on the cluster's port, another sends from a port of the kernel's choice, as the original's do; a
datagram is a frame. Nothing is queued here: what the kernel does not take at once is counted and forgotten.

An interface that is down comes back by itself. One that was deleted, renamed or made anew leaves its sockets bound to
a number that nobody has: that is found when sending fails, and once in CHECK_NS otherwise, and the medium dies so that
its owner opens it again.

A ucast medium hears the addresses that its lines name, and a flood from elsewhere ends in the kernel (`sources`). A
peer may speak from another of its addresses, though, and must be heard all the same before its deadtime is over:

    filtered ──── nothing good for `patience_ns` ────► open ──── good, from a named address ────► filtered
                                                        └────── good, from another one ────► open, and said

Good is what has counted, no recording: so nobody else can open it, keep it open, or shut out a peer that has moved.

With the operator's own list (`udp_sources`) every UDP medium hears these addresses and never any other.
"""

from __future__ import annotations

import errno
import fcntl
import mmap
import os
import struct

# not `socket`: its enums and selectors cost 1.5 MB
from _socket import (
    AF_INET,
    IP_ADD_MEMBERSHIP,
    IP_MULTICAST_IF,
    IP_MULTICAST_LOOP,
    IP_MULTICAST_TTL,
    IP_TOS,
    IPPROTO_IP,
    SO_BINDTODEVICE,
    SO_BROADCAST,
    SO_DONTROUTE,
    SO_REUSEADDR,
    SO_REUSEPORT,
    SOCK_CLOEXEC,
    SOCK_DGRAM,
    SOCK_NONBLOCK,
    SOL_SOCKET,
    inet_aton,
    inet_ntoa,
    inet_pton,
    socket,
)

from _hbfast.codec import End
from heartbeat.media import sources

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _hbfast.codec import Decoder
    from heartbeat.media import MediumConfig

RECEIVE_DATAGRAMS = 256  # per call, so that a flood cannot keep the daemon from its other work
CHECK_NS = 1_000_000_000
IPTOS_LOWDELAY = 0x10
NOBODY_NS = -1

# linux/sockios.h and linux/in.h; the standard library lacks them
SIOCGIFADDR = 0x8915
SIOCGIFBRDADDR = 0x8919
SIOCGIFINDEX = 0x8933
IP_MULTICAST_ALL = 49

# Errors of one datagram or of one moment; the sockets are as good as before.
TRANSIENT = frozenset({
    errno.EACCES, errno.EADDRNOTAVAIL, errno.EAGAIN, errno.ECONNREFUSED, errno.EHOSTDOWN, errno.EHOSTUNREACH,
    errno.EINTR, errno.EINVAL, errno.EMSGSIZE, errno.ENETDOWN, errno.ENETUNREACH, errno.ENOBUFS, errno.ENOMEM,
    errno.ENOPROTOOPT, errno.EPERM, errno.EPROTO,
})  # fmt: skip

# A datagram holds at most 65,507 octets, one of IPv6 65,527. All media share the buffer: each copies out what came.
# Of its pages only those are there that something was written to.
BUFFER = memoryview(mmap.mmap(-1, 65_536, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS))


class Datagrams:
    """What the UDP media have in common."""

    type = ""
    backend = "udp"
    format = "netstring"
    stream = False
    checks = False  # more of its interface than its number
    _family = AF_INET

    def __init__(self, config: MediumConfig) -> None:
        self.name = config.name
        self.device = config.device
        self.dropped = 0
        self._address = config.address
        self._port = config.port
        self._target = (config.address, config.port)
        self._sender: socket | None = None
        self._receiver: socket | None = None
        self._index = 0  # the interface's, while open
        self._check_at = 0
        self._sources = config.sources  # none: whoever sends is heard
        self._strict = config.sources_strict
        self._filtered = False
        self._elsewhere = ""  # the address that the peer speaks from, and no line names
        self._heard_at: int | None = None
        self._senders: list[str] = []  # of what `receive` returned last, while open
        self._lost = 0  # by sockets that are closed
        self._end: End | None = None
        self._lent: object = None  # what that was made of
        self.patience_ns = 0  # silence after which a filter that is not strict comes off; 0: never

    # opening and closing

    def open(self) -> None:
        try:
            self._sender = self._new_socket()
            self._receiver = self._new_socket()
            self._index = self._find_interface(self._sender)
            self._open_sender(self._sender)
            self._elsewhere = ""
            self._heard_at = None
            self._filter(self._receiver)  # before it is bound, so that nothing slips through
            self._open_receiver(self._receiver)
        except OSError as error:
            self.close()
            raise OSError(error.errno, f"{self.type} {self.device}: {self._explain(error)}") from error

    def _new_socket(self) -> socket:
        return socket(self._family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK)

    def _require_digits(self) -> None:
        """A name would be looked up at every datagram, and stop the daemon for as long as the name server is away."""
        if not self._address:
            text = "its host's name could not be resolved when ha.cf was read: write the address, or reload"
            raise OSError(errno.EDESTADDRREQ, text)
        try:
            inet_pton(self._family, self._address)
        except OSError:
            version = 4 if self._family == AF_INET else 6
            raise OSError(errno.EDESTADDRREQ, f"{self._address!r} is not an IPv{version} address") from None

    def _open_sender(self, sender: socket) -> None:
        raise NotImplementedError

    def _open_receiver(self, receiver: socket) -> None:
        raise NotImplementedError

    def _explain(self, error: OSError) -> str:
        if error.errno == errno.ENODEV:
            return "there is no such interface"
        if error.errno == errno.EADDRINUSE:
            return f"another program has UDP port {self._port} and does not share it"
        if error.errno in (errno.EACCES, errno.EPERM):
            return f"no permission for UDP port {self._port} on this interface: run as root"
        return error.strerror or str(error)

    def close(self) -> None:
        self._lost = self.discarded
        for endpoint in (self._sender, self._receiver):
            if endpoint is not None:
                endpoint.close()
        self._sender = self._receiver = None

    def fileno(self) -> int:
        return -1 if self._receiver is None else self._receiver.fileno()

    # receiving and sending

    def receive(self) -> list[bytes]:
        frames: list[bytes] = []
        receiver = self._receiver
        if receiver is None:
            return frames
        senders: list[str] | None = None if self._filtered or not self._sources else []
        sender = ""
        for _ in range(RECEIVE_DATAGRAMS):
            try:
                if senders is None:
                    size = receiver.recv_into(BUFFER)
                else:
                    size, (sender, *_) = receiver.recvfrom_into(BUFFER)
            except BlockingIOError:
                break
            except OSError as error:
                if error.errno not in TRANSIENT:
                    raise self._died(error) from error
                continue  # about something sent earlier, and now reported
            if size:
                frames.append(bytes(BUFFER[:size]))
                if senders is not None:
                    senders.append(sender)
        self._senders = senders or []
        return frames

    def send(self, frame: bytes, priority: int, now: int) -> None:
        if self._sender is None:
            raise OSError(errno.EBADF, f"{self.type} {self.device}: not open")
        if self._heard_at is None:
            self._heard_at = now  # nobody yet, but the silence begins here
        try:
            self._sender.sendto(frame, self._target)
        except OSError as error:
            self.dropped += 1
            if error.errno not in TRANSIENT:
                raise self._died(error) from error
            self._check_at = now
        if now >= self._check_at:
            self._check_at = now + CHECK_NS
            self._check(self._sender)

    def _check(self, sender: socket) -> None:
        """Is the interface still the one that the sockets are bound to?"""
        try:
            index = self._find_interface(sender)
        except OSError as error:
            raise self._died(error) from error
        if index != self._index:
            raise OSError(errno.ENODEV, f"{self.type} {self.device}: the interface was made anew")

    def _died(self, error: OSError) -> OSError:
        return OSError(error.errno, f"{self.type} {self.device}: {self._explain(error)}")

    def _find_interface(self, endpoint: socket) -> int:
        answer = interface_request(endpoint, SIOCGIFINDEX, self.device)
        index: int = struct.unpack("=i", answer[:4])[0]
        return index

    # lent

    def lend(self, decoder: Decoder) -> End | None:
        """What is needed to receive and to send without this object; None: now it is needed."""
        if self._sender is None or self._receiver is None or (self._sources and not self._filtered):
            return None
        made_of = decoder, self._receiver.fileno(), self._sender.fileno(), self._index, self._target
        end = self._end
        if end is None or self._lent != made_of:
            self._lent = made_of
            end = self._end = End(
                decoder, self._receiver.fileno(), self._sender.fileno(), netstring=True, target=self._target_octets(),
                interface=b"" if self.checks else self.device.encode(), index=self._index,
            )  # fmt: skip
        end.check_ns = self._check_at
        end.heard_ns = NOBODY_NS if self._heard_at is None else self._heard_at
        end.patience_ns = 0 if self.deadline() is None else self.patience_ns
        return end

    def take_back(self, end: End) -> None:
        self._check_at = end.check_ns
        self._senders = []
        if end.heard_ns != NOBODY_NS:
            self._heard_at = end.heard_ns

    def failed(self, number: int, now: int) -> None:
        """What was sent in its place was refused. OSError: the medium died."""
        self.dropped += 1
        self._check_at = now
        if number not in TRANSIENT:
            raise self._died(OSError(number, os.strerror(number)))

    def _target_octets(self) -> bytes:
        """struct sockaddr_in."""
        address, port = self._target
        return struct.pack("=H2s4s8x", AF_INET, port.to_bytes(2, "big"), inet_aton(address))

    # who is heard

    def _filter(self, receiver: socket) -> None:
        self._filtered = False
        if self._sources:
            try:
                sources.attach(receiver, self._sources)
            except OSError:
                return  # no filters in this kernel: every datagram costs what its signature costs
            self._filtered = True

    def wonders(self, now: int) -> bool:
        """Would it make a difference to know that something has counted?"""
        if not self._sources or self._strict:
            return False
        return not self._filtered or self._heard_at is None or now - self._heard_at > self.patience_ns // 2

    def believe(self, position: int, now: int) -> str | None:
        """The frame at this position of the last `receive` was a message that has counted, not only one that is well
        signed. A line for the log, or None."""
        self._heard_at = now
        if self._filtered or not self._senders or self._receiver is None:
            return None
        sender = self._senders[position]
        if sender in self._sources:
            self._elsewhere = ""
            self._filter(self._receiver)
            return None
        if sender == self._elsewhere:
            return None
        self._elsewhere = sender
        return (
            f"medium {self.name}: the peer speaks from {sender}, which no {self.type} line names: strangers' datagrams"
            f" are not kept out; write `udp_sources {' '.join((*self._sources, sender))}`"
        )

    def flush(self, now: int) -> None:
        """The peer is silent: hear everybody until it is known where it speaks from. (Nothing is ever queued.)"""
        due = self.deadline()
        if due is not None and now >= due and self._receiver is not None:
            sources.detach(self._receiver)
            self._filtered = False

    def deadline(self) -> int | None:
        if not self._filtered or self._strict or not self.patience_ns or self._heard_at is None:
            return None
        return self._heard_at + self.patience_ns

    @property
    def discarded(self) -> int:
        """Datagrams that the kernel dropped before they cost anything: from strangers, or more than we could read."""
        if self._receiver is None:
            return self._lost
        try:
            return self._lost + sources.dropped(self._receiver)
        except OSError:
            return self._lost

    def quiet(self, now: int) -> bool:
        return True

    # options

    def _bind_to_device(self, endpoint: socket) -> None:
        endpoint.setsockopt(SOL_SOCKET, SO_BINDTODEVICE, self.device.encode() + b"\0")

    def _share_port(self, endpoint: socket) -> None:
        try:
            endpoint.setsockopt(SOL_SOCKET, SO_REUSEPORT, 1)
        except OSError as error:
            if error.errno != errno.ENOPROTOOPT:
                raise


class Ucast(Datagrams):
    """`ucast eth0 10.0.0.2`: to one address. Several on one interface share the port.

    The kernel then spreads what arrives over their sockets, whoever sent it: so each hears the addresses of all.
    """

    type = "ucast"

    def _open_sender(self, sender: socket) -> None:
        self._require_digits()
        self._bind_to_device(sender)
        self._share_port(sender)
        sender.setsockopt(IPPROTO_IP, IP_TOS, IPTOS_LOWDELAY)

    def _open_receiver(self, receiver: socket) -> None:
        self._bind_to_device(receiver)
        receiver.setsockopt(SOL_SOCKET, SO_REUSEADDR, 1)
        self._share_port(receiver)
        receiver.bind(("", self._port))


class Bcast(Datagrams):
    """`bcast eth0`: to the interface's broadcast address. Our own frames come back as well."""

    type = "bcast"
    checks = True

    def _open_sender(self, sender: socket) -> None:
        self._bind_to_device(sender)
        sender.setsockopt(SOL_SOCKET, SO_BROADCAST, 1)
        sender.setsockopt(SOL_SOCKET, SO_DONTROUTE, 1)
        self._target = (self._broadcast_address(sender), self._port)

    def _open_receiver(self, receiver: socket) -> None:
        self._bind_to_device(receiver)
        receiver.setsockopt(SOL_SOCKET, SO_REUSEADDR, 1)
        receiver.bind(("", self._port))

    def _broadcast_address(self, endpoint: socket) -> str:
        address = interface_address(endpoint, SIOCGIFBRDADDR, self.device)
        if address == "0.0.0.0":
            raise OSError(errno.EADDRNOTAVAIL, "the interface has no broadcast address")
        return address

    def _check(self, sender: socket) -> None:
        super()._check(sender)
        try:
            address = self._broadcast_address(sender)
        except OSError:
            return  # between two addresses: the last one serves until there is another
        self._target = (address, self._port)


class Mcast(Datagrams):
    """`mcast eth0 239.0.0.1 694 1 0`: to a group. The port is the line's own.

    Everything goes by the interface's number, not its address as in the original: the address may change, and be on
    two interfaces.
    """

    type = "mcast"

    def __init__(self, config: MediumConfig) -> None:
        super().__init__(config)
        self._ttl = config.ttl
        self._loop = config.loop

    def _open_sender(self, sender: socket) -> None:
        self._require_digits()
        # without one, the datagrams would carry another interface's
        interface_address(sender, SIOCGIFADDR, self.device)
        sender.setsockopt(IPPROTO_IP, IP_MULTICAST_IF, self._mreqn("0.0.0.0"))
        sender.setsockopt(IPPROTO_IP, IP_MULTICAST_LOOP, int(self._loop))
        sender.setsockopt(IPPROTO_IP, IP_MULTICAST_TTL, self._ttl)

    def _open_receiver(self, receiver: socket) -> None:
        receiver.setsockopt(SOL_SOCKET, SO_REUSEADDR, 1)
        # else the group's datagrams from every interface on which anybody has joined it
        receiver.setsockopt(IPPROTO_IP, IP_MULTICAST_ALL, 0)
        receiver.bind((self._address, self._port))
        receiver.setsockopt(IPPROTO_IP, IP_ADD_MEMBERSHIP, self._mreqn(self._address))

    def _mreqn(self, group: str) -> bytes:
        """struct ip_mreqn: group, address (none), interface number."""
        return struct.pack("=4s4si", inet_aton(group), bytes(4), self._index)


def interface_request(endpoint: socket, request: int, name: str) -> bytes:
    """An ioctl on an interface, by struct ifreq: 16 octets of name, 24 of answer. OSError: ENODEV, EADDRNOTAVAIL."""
    answer: bytes = fcntl.ioctl(endpoint.fileno(), request, struct.pack("16s24x", name.encode()))
    return answer[16:]


def interface_address(endpoint: socket, request: int, name: str) -> str:
    """The interface's address by SIOCGIFADDR or SIOCGIFBRDADDR. OSError: EADDRNOTAVAIL where it has none."""
    try:
        answer = interface_request(endpoint, request, name)
    except OSError as error:
        if error.errno == errno.EADDRNOTAVAIL:
            raise OSError(error.errno, "the interface has no IPv4 address") from error
        raise
    return inet_ntoa(answer[4:8])  # behind sin_family and sin_port
