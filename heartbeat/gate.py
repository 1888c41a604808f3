"""The daemon's own nftables table: what it says, how it is asked, and the frames that renew the leases in it.

    a frame on `lo` ──► chain renew ──► set leases {slot: runs for … ms}
                                             │ asked by
    whatever arrives on a service interface ─┴► chain gate: for an address whose slot has no lease, it goes no further

Rules:
* The family is netdev: nothing of the operator's is in our table, nothing of ours in his; no mark, no connection, no
  route is touched. A slot is a number that stands for a group; its key in the set is a constant, so that a rule needs
  nothing from the packet.
* Silence goes both ways: what asks for an address or is sent to it is dropped on ingress, and what would tell the
  neighbours that it is here (ARP, neighbour discovery) on egress, where the kernel can do that. All addresses are
  watched on all service interfaces: Linux answers on any of them for an address of another.
* Who may renew: only who can send a frame of type ETHERTYPE on `lo`. That takes CAP_NET_RAW, which no local user has
  (a UDP port, even a privileged one, is free for others once the daemon is dead); and such a frame does nothing
  without the 128 bits of `token`, which are in the table and in RUN/lease.nft, for root alone to read. Nothing of it
  passes the operator's rules for IP, is tracked, or leaves the machine.
* One frame carries a whole BLOCK of slots, an octet each: RENEW starts a lease that runs anew, and does nothing to one
  that has run out; GRANT starts it in any case; CUT lets one that runs end soon; REVOKE ends it now. The kernel does
  either within our `send`.
* Loading is one transaction, by the program `nft` (a child of the daemon's, never on the path of a take-over). `text`
  with what is loaded now replaces the rules and leaves running leases alone; without, everything is made anew.

This is the wording only: when the table is loaded is `heartbeat.gatekeeper`'s, when a lease is renewed
`heartbeat.lease`'s.
"""

from __future__ import annotations

import _socket
import struct

from heartbeat import jsontext
from heartbeat.agents.neighbour import ARP_OCTETS, ELSEWHERE
from heartbeat.agents.netlink import HEADER, attribute, attributes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping
    from typing import Any

TABLE = "heartbeat"
NFT = ("/usr/sbin/nft", "/sbin/nft", "/usr/local/sbin/nft", "/usr/bin/nft")

ETHERTYPE = 0x88B5  # IEEE 802's first for local experiments
TOKEN_OCTETS = 16
RENEW, GRANT, REVOKE, CUT = 1, 2, 3, 4
# The kernel reads no further than 255 octets into a packet.
BLOCK_SLOTS = 128
_HEAD = bytes(12) + ETHERTYPE.to_bytes(2)  # loopback has no hardware addresses
_FIRST_SLOT_BIT = 8 * (TOKEN_OCTETS + 1)

# Before the operator's chains, and before a flowtable, which would carry packets past us.
_PRIORITY = -450

_AF_NETLINK, _NETLINK_NETFILTER = _socket.AF_NETLINK, 12
_NETDEV = 5  # NFPROTO_NETDEV
_NFT = 10 << 8  # NFNL_SUBSYS_NFTABLES
_DELTABLE, _NEWSETELEM, _GETSETELEM = _NFT | 2, _NFT | 12, _NFT | 13
_BATCH_BEGIN, _BATCH_END = 0x10, 0x11
_BATCH = struct.pack("!BBH", 0, 0, _NFT >> 8)
_GROUP_NFTABLES = 1 << 6  # NFNLGRP_NFTABLES
_TABLE_NAME, _ELEM_TABLE, _ELEM_SET, _ELEM_ELEMENTS = 1, 1, 2, 3
_ELEM_KEY, _ELEM_EXPIRATION, _DATA_VALUE = 1, 5, 1
_GENERIC = struct.pack("=BBH", _NETDEV, 0, 0)
_NLM_F_REQUEST, _NLM_F_DUMP = 0x1, 0x300
_ERROR, _DONE = 2, 3
_RECEIVE_BYTES = 32768
_NOTICES_AT_ONCE = 256


class Plan:
    """What the table says. groups: key → (slot, packed addresses); interfaces: name → index, so that one that was made
    anew makes another plan. lease_ms, grant_ms, cut_ms: what a renewal, a grant and a cut are good for. egress: watched
    too."""

    __slots__ = ("cut_ms", "egress", "grant_ms", "groups", "interfaces", "lease_ms", "token")

    def __init__(
        self, token: bytes, groups: Mapping[str, tuple[int, tuple[bytes, ...]]], interfaces: Mapping[str, int],
        *, lease_ms: int, grant_ms: int, cut_ms: int = 1, egress: bool = True,
    ) -> None:  # fmt: skip
        self.token = token
        self.groups = dict(groups)
        self.interfaces = dict(interfaces)
        self.lease_ms = lease_ms
        self.grant_ms = grant_ms
        self.cut_ms = cut_ms
        self.egress = egress

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Plan) and all(getattr(self, name) == getattr(other, name) for name in self.__slots__)

    __hash__ = None  # type: ignore[assignment]

    def watching(self, *, egress: bool) -> Plan:
        return Plan(
            self.token, self.groups, self.interfaces, lease_ms=self.lease_ms, grant_ms=self.grant_ms,
            cut_ms=self.cut_ms, egress=egress,
        )  # fmt: skip

    @property
    def slots(self) -> dict[str, int]:
        return {key: slot for key, (slot, _) in self.groups.items()}

    @property
    def addresses(self) -> dict[str, tuple[bytes, ...]]:
        return {key: addresses for key, (_, addresses) in self.groups.items()}

    def blocks(self) -> list[int]:
        return sorted({slot // BLOCK_SLOTS for slot in self.slots.values()})

    def chains(self) -> list[str]:
        """Who is jumped to stands before who jumps."""
        names = [f"group{slot}" for slot in self.slots.values()]
        names += [f"slots{block}" for block in self.blocks()]
        names += ["gate", "leave", "blocks", "renew", *(f"in-{name}" for name in self.interfaces)]
        return names + [f"out-{name}" for name in self.interfaces if self.egress]


def may_be_named(interface: str) -> bool:
    """Whether nft's language has a word for it: the kernel allows names that would end a quotation."""
    return interface.isascii() and all(c.isalnum() or c in "_.-" for c in interface)


def text(plan: Plan, loaded: Plan | None = None, held: Collection[int] = ()) -> str:
    """For `nft -f`. loaded: what the table says now; then its leases go on. held: slots that have a lease; those that
    are new in the table get one that lasts until nft has ended and they can be granted. The first line is for
    `recorded`."""
    lines = [f"# {jsontext.dumps(_record(plan))}", f"add table netdev {TABLE}"]
    if loaded is None:
        lines += [f"delete table netdev {TABLE}", f"add table netdev {TABLE}"]
    lines.append(f"add set netdev {TABLE} leases {{ typeof numgen inc mod 1; flags dynamic,timeout; size 65535; }}")
    if loaded is not None:
        # a chain goes with its interface: made first, so that all can be deleted
        old = loaded.chains()
        lines += [f"add chain netdev {TABLE} {name}" for name in old]
        lines.append(f"flush table netdev {TABLE}")
        lines += [f"delete chain netdev {TABLE} {name}" for name in reversed(old)]
    lines.append(f"table netdev {TABLE} {{")
    for slot in plan.slots.values():
        lines += _chain(f"group{slot}", [f"{_slot(slot)} != @leases drop"])
    lines += _chain("gate", _gate(plan))
    lines += _chain("leave", _leave(plan))
    for name in plan.interfaces:
        lines += _chain(f"in-{name}", [_hook("ingress", name), "jump gate"])
        if plan.egress:
            lines += _chain(f"out-{name}", [_hook("egress", name), "jump leave"])
    for block in plan.blocks():
        lines += _chain(f"slots{block}", _renewals(plan, block))
    position = 8 * TOKEN_OCTETS
    lines += _chain("blocks", [*(f"@nh,{position},8 {block} jump slots{block}" for block in plan.blocks()), "drop"])
    # and no verdict map behind it: nft 1.0.6 can load that, and then not list it
    renew = f"meta protocol {ETHERTYPE:#x} @nh,0,{position} 0x{plan.token.hex()} jump blocks"
    lines += _chain("renew", [_hook("ingress", "lo"), renew])
    lines.append("}")
    old_slots = [] if loaded is None else list(loaded.slots.values())
    lines += [
        f"add element netdev {TABLE} leases {{ {slot} timeout {max(plan.grant_ms // 2, 1)}ms }}"
        for slot in plan.slots.values()
        if slot in held and slot not in old_slots
    ]
    return "\n".join([*lines, ""])


def _chain(name: str, rules: Iterable[str]) -> list[str]:
    return [f"  chain {name} {{", *(f"    {rule}" for rule in rules), "  }"]


def _hook(direction: str, interface: str) -> str:
    return f'type filter hook {direction} device "{interface}" priority {_PRIORITY}; policy accept;'


def _slot(slot: int) -> str:
    return f"numgen inc mod 1 offset {slot}"


def _verdicts(plan: Plan, octets: int, form: str = "") -> str:
    """{address : jump group, …} of one family; "" without any. An address of two groups belongs to the first."""
    found: dict[bytes, int] = {}
    for slot, addresses in plan.groups.values():
        for address in addresses:
            if len(address) == octets:
                found.setdefault(address, slot)
    family = _socket.AF_INET if octets == 4 else _socket.AF_INET6
    words = [
        f"{f'0x{address.hex()}' if form else _socket.inet_ntop(family, address)} : jump group{slot}"
        for address, slot in found.items()
    ]
    return f"{{ {', '.join(words)} }}" if words else ""


def _gate(plan: Plan) -> list[str]:
    rules = []
    if four := _verdicts(plan, 4):
        rules += [f"ip daddr vmap {four}", f"arp daddr ip vmap {four}"]
    if six := _verdicts(plan, 16):
        # the word for a solicitation's target is newer than Debian 12's nft
        raw = _verdicts(plan, 16, "raw")
        rules += [f"ip6 daddr vmap {six}", f"icmpv6 type nd-neighbor-solicit @th,64,128 vmap {raw}"]
    return rules


def _leave(plan: Plan) -> list[str]:
    rules = []
    if four := _verdicts(plan, 4):
        # where another has it, may be said
        rules.append(f"meta protocol arp @nh,{8 * ARP_OCTETS},{8 * len(ELSEWHERE)} 0x{ELSEWHERE.hex()} return")
        rules.append(f"arp saddr ip vmap {four}")
    if six := _verdicts(plan, 16):
        raw = _verdicts(plan, 16, "raw")
        rules += [
            f"icmpv6 type {{ nd-neighbor-solicit, nd-neighbor-advert }} ip6 saddr vmap {six}",
            f"icmpv6 type nd-neighbor-advert @th,64,128 vmap {raw}",
        ]
    return rules


def _renewals(plan: Plan, block: int) -> list[str]:
    rules = []
    for slot in plan.slots.values():
        if slot // BLOCK_SLOTS == block:
            what = f"@nh,{_FIRST_SLOT_BIT + 8 * (slot % BLOCK_SLOTS)},8"
            rules += [
                f"{what} {RENEW} {_slot(slot)} @leases update @leases {{ {_slot(slot)} timeout {plan.lease_ms}ms }}",
                f"{what} {GRANT} update @leases {{ {_slot(slot)} timeout {plan.grant_ms}ms }}",
                f"{what} {REVOKE} delete @leases {{ {_slot(slot)} }}",
                f"{what} {CUT} {_slot(slot)} @leases update @leases {{ {_slot(slot)} timeout {plan.cut_ms}ms }}",
            ]
    return rules


# --- across a restart


def _record(plan: Plan) -> dict[str, Any]:
    groups = {key: [slot, *(address.hex() for address in addresses)] for key, (slot, addresses) in plan.groups.items()}
    return {
        "token": plan.token.hex(), "groups": groups, "interfaces": plan.interfaces, "lease_ms": plan.lease_ms,
        "grant_ms": plan.grant_ms, "cut_ms": plan.cut_ms, "egress": plan.egress,
    }  # fmt: skip


def recorded(said: str) -> Plan | None:
    """The plan of which `text` made this; None: it did not."""
    try:
        record = jsontext.loads(said.partition("\n")[0].removeprefix("#"))
        groups = {
            str(key): (int(slot), tuple(bytes.fromhex(address) for address in addresses))
            for key, (slot, *addresses) in record["groups"].items()
        }
        interfaces = {str(name): int(index) for name, index in record["interfaces"].items()}
        token = bytes.fromhex(record["token"])
        if len(token) != TOKEN_OCTETS or not all(map(may_be_named, interfaces)):
            return None
        return Plan(
            token, groups, interfaces, lease_ms=int(record["lease_ms"]), grant_ms=int(record["grant_ms"]),
            cut_ms=int(record.get("cut_ms", 0)), egress=bool(record["egress"]),
        )  # fmt: skip
    except (AttributeError, KeyError, TypeError, ValueError):
        return None


# --- frames


def frames(token: bytes, wanted: Mapping[int, int]) -> list[bytes]:
    """wanted: slot → RENEW, GRANT, REVOKE or CUT. One frame for each block of slots that has one of them."""
    blocks: dict[int, bytearray] = {}
    for slot, what in wanted.items():
        block, position = divmod(slot, BLOCK_SLOTS)
        blocks.setdefault(block, bytearray(BLOCK_SLOTS))[position] = what
    return [_HEAD + token + bytes((block,)) + bytes(slots) for block, slots in blocks.items()]


class Kernel:
    """The sockets: one that sends frames, one that asks, one that hears when a table goes. OSError: not permitted, or
    not in this kernel."""

    def __init__(self) -> None:
        self._packets = _socket.socket(_socket.AF_PACKET, _socket.SOCK_RAW, 0)
        self._packets.setblocking(False)
        self._packets.bind(("lo", 0))
        self._asking = _netlink(0)
        self._notices = _netlink(_GROUP_NFTABLES)
        self._sequence = 0

    def close(self) -> None:
        for opened in (self._packets, self._asking, self._notices):
            opened.close()

    def send(self, frame: bytes) -> None:
        """The leases are as it says when this returns. OSError."""
        self._packets.send(frame)

    def outlet(self) -> int:
        """The descriptor with which `send` does that."""
        return self._packets.fileno()

    def leases(self) -> dict[int, int] | None:
        """slot → milliseconds that its lease still runs; None: there is no table. OSError."""
        self._sequence += 1
        body = _GENERIC + attribute(_ELEM_TABLE, TABLE.encode() + b"\0") + attribute(_ELEM_SET, b"leases\0")
        flags = _NLM_F_REQUEST | _NLM_F_DUMP
        self._asking.send(HEADER.pack(HEADER.size + len(body), _GETSETELEM, flags, self._sequence, 0) + body)
        found: dict[int, int] = {}
        while True:
            for kind, sequence, answer in _messages(self._asking.recv(_RECEIVE_BYTES)):
                if sequence != self._sequence:
                    continue
                if kind == _DONE:
                    return found
                if kind == _ERROR:
                    return None
                if kind == _NEWSETELEM:
                    found.update(_elements(attributes(answer, len(_GENERIC)).get(_ELEM_ELEMENTS, b"")))

    def delete_table(self) -> None:
        """Everything of ours goes; addresses answer as if it had never been. OSError."""
        body = _GENERIC + attribute(_TABLE_NAME, TABLE.encode() + b"\0")
        batch = b""
        for kind, content in ((_BATCH_BEGIN, _BATCH), (_DELTABLE, body), (_BATCH_END, _BATCH)):
            self._sequence += 1
            batch += HEADER.pack(HEADER.size + len(content), kind, _NLM_F_REQUEST, self._sequence, 0) + content
        self._asking.send(batch)

    def fileno(self) -> int:
        return self._notices.fileno()

    def table_gone(self) -> bool:
        """Read what has been told since the last time: was our table deleted, by us or by somebody else?"""
        gone = False
        for _ in range(_NOTICES_AT_ONCE):
            try:
                data = self._notices.recv(_RECEIVE_BYTES)
            except BlockingIOError:
                break
            except OSError:
                return True  # more was told than we could keep: look
            for kind, _, body in _messages(data):
                if kind == _DELTABLE and body[0] == _NETDEV:
                    name = attributes(body, len(_GENERIC)).get(_TABLE_NAME, b"")
                    gone = gone or name.rstrip(b"\0") == TABLE.encode()
        return gone


def _netlink(groups: int) -> _socket.socket:
    opened = _socket.socket(_AF_NETLINK, _socket.SOCK_RAW, _NETLINK_NETFILTER)
    opened.setblocking(False)
    opened.bind((0, groups))
    return opened


def _messages(data: bytes) -> Iterable[tuple[int, int, bytes]]:
    """(kind, sequence, body) of each message of a datagram."""
    offset = 0
    while offset + HEADER.size <= len(data):
        length, kind, _, sequence, _ = HEADER.unpack_from(data, offset)
        if length < HEADER.size:
            break
        yield kind, sequence, data[offset + HEADER.size : offset + length]
        offset += length + -length % 4


def _elements(data: bytes) -> dict[int, int]:
    """A list of attributes of one type: (length, type, element) each, padded."""
    found = {}
    offset = 0
    while offset + 4 <= len(data):
        length = int.from_bytes(data[offset : offset + 2], "little" if struct.pack("=H", 1)[0] else "big")
        if length < 4:
            break
        one = attributes(data[offset + 4 : offset + length])
        key = attributes(one.get(_ELEM_KEY, b"")).get(_DATA_VALUE, b"")
        expiration_ms = int.from_bytes(one.get(_ELEM_EXPIRATION, b""))
        # a number in a packet register has the machine's order
        found[int.from_bytes(key, "little" if struct.pack("=H", 1)[0] else "big")] = expiration_ms
        offset += length + -length % 4
    return found
