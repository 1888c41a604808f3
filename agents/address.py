"""Virtual addresses: IPaddr, IPaddr2, IPv6addr, and SendArp, which only announces one.

    IPaddr::ip[/prefix[/nic[:label][/broadcast]]]     IPaddr::ip/prefix/broadcast     IPv6addr::ip[/prefix[/nic]]
    SendArp::ip/nic

The syntax is protocol/config.md §5.2's; an empty part counts as not given. The prefix may be a number or a netmask,
dotted or hexadecimal. What is not given is taken from the network of this machine that the address belongs to.

Rules: as for `network`. The address gets its network's prefix and broadcast address, as if the administrator had set
it; it is looked for, not remembered, wherever it may have been set by somebody else (an earlier run, the original).
"""

from __future__ import annotations

import _socket

from . import network, together
from .base import BAD_ARGUMENTS, FAILURE, AgentError, InlineAgent
from .network import AF_INET, AF_INET6, LABEL_BYTES, Interface, Network

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from .network import Assigned

    Tables = dict[int, list[Assigned]]  # by family

_NAME_BYTES = 15  # IFNAMSIZ less the end


class Target:
    """An argument, taken apart. address, broadcast: packed; label: whole (`eth0:0`); None: not given."""

    __slots__ = ("address", "broadcast", "label", "nic", "prefix", "text")

    def __init__(self, argument: str) -> None:
        """AgentError: it is not an address, or not one that a machine can have."""
        parts = argument.split("/")
        if len(parts) > 4:
            raise _bad(f"{argument}: more than ip/prefix/nic/broadcast")
        self.text = parts[0]
        self.address = parse_address(parts[0])
        bits = len(self.address) * 8
        self.prefix = parse_prefix(parts[1], bits) if len(parts) > 1 and parts[1] else None
        third, fourth = [*parts[2:], "", ""][:2]
        if third[:1].isdigit():
            if fourth:
                raise _bad(f"{argument}: two broadcast addresses")
            third, fourth = "", third
        self.nic, self.label = _parse_nic(third)
        self.broadcast = parse_address(fourth) if fourth else None
        if bits == 128 and (self.broadcast or self.label):
            raise _bad(f"{argument}: an IPv6 address has neither a broadcast address nor a label")
        if self.broadcast and len(self.broadcast) != 4:
            raise _bad(f"{argument}: the broadcast address is not an IPv4 address")
        if self.prefix is not None:
            self.check(self.prefix)

    def check(self, prefix: int) -> None:
        """AgentError: in a network of this size the address is the network's own, or its broadcast address."""
        hosts = len(self.address) * 8 - prefix
        if len(self.address) == 4 and hosts > 1:
            mask = (1 << hosts) - 1
            if int.from_bytes(self.address) & mask in (0, mask):
                raise _bad(f"{self.text}/{prefix} is the address of a network or its broadcast address")

    def broadcast_in(self, prefix: int) -> bytes | None:
        if self.broadcast is not None or len(self.address) != 4 or prefix > 30:
            return self.broadcast
        return (int.from_bytes(self.address) | (1 << 32 - prefix) - 1).to_bytes(4)


def parse_address(text: str) -> bytes:
    """4 or 16 octets, of an address that one machine can have. AgentError."""
    try:
        packed = _socket.inet_pton(AF_INET6 if ":" in text else AF_INET, text)
    except (OSError, ValueError):
        raise _bad(f"{text!r} is not an IP address") from None
    if len(packed) == 4:
        # 0/8 this network, 127/8 loopback, 224/4 multicast; 255.255.255.255 may still be a broadcast address
        if packed[0] in (0, 127) or 224 <= packed[0] < 240:
            raise _bad(f"{text} cannot be a host's address on a network")
    elif packed[0] == 0xFF or int.from_bytes(packed) < 2:
        raise _bad(f"{text} cannot be a host's address on a network")
    return packed


def parse_prefix(text: str, bits: int) -> int:
    """1 to `bits`: from `24`, `255.255.255.0` or `0xffffff00`. AgentError."""
    if text.isascii() and text.isdigit() and len(text) <= 3:
        prefix = int(text)
    elif bits == 32:
        prefix = _prefix_of_mask(text)
    else:
        prefix = 0
    if not 1 <= prefix <= bits:
        raise _bad(f"{text!r} is not a prefix length or netmask (1 to {bits})")
    return prefix


def _prefix_of_mask(text: str) -> int:
    """0: it is not a mask, or not a contiguous one."""
    try:
        mask = int(text, 16) if text[:2] in ("0x", "0X") else int.from_bytes(_socket.inet_pton(AF_INET, text))
    except (OSError, ValueError):
        return 0
    holes = ~mask & 0xFFFFFFFF
    if mask > 0xFFFFFFFF or holes & (holes + 1):
        return 0
    return 32 - holes.bit_length()


def _parse_nic(text: str) -> tuple[str | None, str | None]:
    nic, colon, label = text.partition(":")
    if not text:
        return None, None
    # what cannot be printed first: an octet of a command line that is no UTF-8 cannot be encoded either
    if not nic or not nic.isprintable() or len(nic.encode()) > _NAME_BYTES or nic in (".", "..") or " " in nic:
        raise _bad(f"{nic!r} cannot be the name of an interface")
    if not colon:
        return nic, None
    if not label or not text.isprintable() or " " in text or len(text.encode()) > LABEL_BYTES:
        raise _bad(f"{text!r} cannot be a label: at most {LABEL_BYTES} characters together with the interface's name")
    return nic, text


def _bad(text: str) -> AgentError:
    return AgentError(BAD_ARGUMENTS, text)


class Address(InlineAgent):
    """IPaddr, IPaddr2 (both families) and IPv6addr. A bad argument is reported by `prepare` and `start`."""

    def __init__(self, name: str, arguments: Sequence[str], shared: Network | None = None) -> None:
        super().__init__(name, arguments)
        self._network = shared
        self._target: Target | None = None
        self._place: tuple[Interface, int] | None = None  # where `start` puts it: interface and prefix
        self._found_at = -1  # Network.changes() when _place was found
        self._held: list[tuple[int, int]] = []  # where `start` has put it: index and prefix; more if the network moved
        self._lifetime_s = 0  # as `limit` was told last
        self._addition: tuple[int, bytes] | None = None  # what the kernel is told there, and for which lifetime
        self._announcement: tuple[Interface, tuple[bytes, ...]] | None = None  # of what interface; packets

    @property
    def network(self) -> Network:
        if self._network is None:
            self._network = network.shared()
        return self._network

    @property
    def target(self) -> Target:
        if self._target is None:
            if len(self.arguments) != 1:
                raise _bad(f"{self.name} takes one argument: ip[/prefix[/nic[:label][/broadcast]]]")
            target = Target(self.arguments[0])
            if self.name == "IPv6addr" and len(target.address) != 16:
                raise _bad(f"{target.text} is not an IPv6 address")
            self._target = target
        return self._target

    @property
    def interface(self) -> Interface:
        """Where it belongs, as the network is now. AgentError."""
        return self._locate()[0]

    def validate(self) -> None:
        _ = self.target

    def prepare(self) -> None:
        interface, _ = self._locate()
        self.addition()
        self.announcement(interface)

    def start(self) -> None:
        together.one(together.start([self]))

    def addition(self, seen: int | None = None) -> bytes | None:
        """What the kernel is to be told; None: nothing. seen: Network.changes(), where it was asked just now.
        AgentError: nobody knows where."""
        interface, prefix = self._locate(seen)
        if self._addition is None or self._addition[0] != self._lifetime_s:
            target = self.target
            body = network.addition(
                interface, target.address, prefix, target.broadcast_in(prefix), target.label, self._lifetime_s
            )
            self._addition = self._lifetime_s, body
        return self._addition[1]

    def started(self, refused: OSError | None = None) -> None:
        """The kernel was told. AgentError."""
        assert self._place is not None
        interface, prefix = self._place
        if refused is not None:
            self._place = None
            text = f"cannot add {self.target.text}/{prefix} to {interface.name}: {refused.strerror}"
            raise AgentError(FAILURE, text) from refused
        self._hold(interface, prefix)

    def _hold(self, interface: Interface, prefix: int) -> None:
        place = (interface.index, prefix)
        if place in self._held:
            self._held.remove(place)
        self._held.append(place)

    def adopt(self) -> bool:
        try:
            for interface, prefix in self._holding():
                self.network.adopt(self.target.address)
                self._hold(interface, prefix)
        except (OSError, AgentError):
            return False
        return bool(self._held)

    def guarded(self) -> tuple[bytes, str, int] | None:
        try:
            interface, _ = self._locate()
        except AgentError:
            return None
        return self.target.address, interface.name, interface.index

    def limit(self, seconds: int) -> None:
        before, self._lifetime_s = self._lifetime_s, seconds
        if self._held and (before or seconds):
            self.start()

    def stop(self) -> None:
        together.one(together.stop([self]))

    def leave(self) -> list[tuple[int, int]]:
        """Where `start` has put it, index and prefix, and it is to go; it is not held any more."""
        held, self._held = self._held, []
        return held

    def found(self, tables: Tables) -> list[tuple[int, int]]:
        """Every place where the kernel has it, index and prefix. tables: what others have been told just now."""
        try:
            return [(interface.index, prefix) for interface, prefix in self._holding(tables)]
        except AgentError:
            return []  # what cannot be started is not running

    def announce(self) -> None:
        together.one(together.announce([self]))

    def link(self, seen: int | None) -> int:
        """The index of the interface on which the neighbours are told. AgentError."""
        return self._held[-1][0] if self._held else self._locate(seen)[0].index

    def announcement(self, interface: Interface) -> tuple[bytes, ...]:
        made = self._announcement
        if made is None or (made[0] is not interface and not made[0].alike(interface)):
            made = self._announcement = interface, network.announcement(interface, self.target.address)
        return made[1]

    def restore(self) -> bool:
        if not self._held or not self.network.may_be_lost(self.target.address):
            return False
        absent = not self.status()
        self.start()
        return absent

    def status(self) -> bool:
        try:
            return bool(self._holding())
        except (OSError, AgentError):
            return False

    def _locate(self, seen: int | None = None) -> tuple[Interface, int]:
        """Where the address belongs: as found before while nothing has changed since. AgentError."""
        try:
            now = self.network.changes() if seen is None else seen
            if self._place is None or self._found_at != now:
                self._place = self._addition = None
                self._place = self._search()
                self._found_at = now
        except OSError as error:
            raise AgentError(FAILURE, f"cannot read this machine's addresses: {error.strerror}") from error
        return self._place

    def _search(self) -> tuple[Interface, int]:
        target = self.target
        example = f"{target.text}/{target.prefix or (24 if len(target.address) == 4 else 64)}/eth0"
        interface = None
        if target.nic is not None:
            interface = self.network.link(target.nic)
            if interface is None:
                raise AgentError(FAILURE, f"no interface {target.nic} for {target.text}")
            if target.prefix is not None:
                return interface, target.prefix
        found = self.network.connected(target.address, target.nic)
        if found is None and interface is not None:
            raise AgentError(
                FAILURE, f"no connected route for {target.text} on {target.nic}: give the prefix as {example}"
            )
        if found is None:
            raise AgentError(FAILURE, f"no connected route for {target.text}: give the interface as {example}")
        if target.prefix is not None:
            return found[0], target.prefix
        target.check(found[1])
        return found

    def _holding(self, tables: Tables | None = None) -> list[tuple[Interface, int]]:
        """Every place where the kernel has the address now; without an interface in the argument, any but loopback
        (an address there answers nobody: it is somebody's arrangement for a load balancer)."""
        target = self.target
        family = AF_INET if len(target.address) == 4 else AF_INET6
        tables = {} if tables is None else tables
        if family not in tables:
            tables[family] = self.network.assigned(family)
        places = []
        for other in tables[family]:
            if other.local != target.address:
                continue
            interface = self.network.interface(other.index)
            if interface is None:
                continue
            if interface.name == target.nic or (target.nic is None and not interface.loopback):
                places.append((interface, other.prefix))
        return places


class SendArp(Address):
    """Announces an address for as long as the group is held, without setting it: ip/nic."""

    @property
    def target(self) -> Target:
        if self._target is None:
            # Heartbeat's SendArp has the interface where IPaddr has the prefix
            ip, _, nic = (self.arguments[0] if len(self.arguments) == 1 else "").partition("/")
            if not ip or not nic or "/" in nic:
                raise _bad(f"{self.name} takes one argument: ip/nic")
            self._target = Target(f"{ip}//{nic}")
        return self._target

    def addition(self, seen: int | None = None) -> None:
        self._locate(seen)

    def leave(self) -> list[tuple[int, int]]:
        self._held = []
        return []

    def found(self, tables: Tables) -> list[tuple[int, int]]:
        return []

    def restore(self) -> bool:
        return False

    def adopt(self) -> bool:
        try:
            self.start()
        except AgentError:
            return False
        return True

    def guarded(self) -> None:
        """The address is somebody else's, who may have it here on purpose while the group is not held."""

    def limit(self, seconds: int) -> None:
        pass

    def status(self) -> bool:
        return bool(self._held)

    def _search(self) -> tuple[Interface, int]:
        nic = self.target.nic
        interface = None if nic is None else self.network.link(nic)
        if interface is None:
            raise AgentError(FAILURE, f"no interface {nic} for {self.target.text}")
        return interface, len(self.target.address) * 8
