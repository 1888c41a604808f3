"""Which senders a UDP medium hears: a filter that the kernel runs before a datagram costs this process anything.

A classic BPF program over the source address of the IP header, attached to the receiving socket (socket(7),
SO_ATTACH_FILTER). The source port is free, as the original's is. What the filter turns away is in the socket's count of
drops, which is read when somebody asks.
"""

from __future__ import annotations

import array
import struct
from _socket import AF_INET, AF_INET6, SOL_SOCKET, inet_pton

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _socket import socket
    from collections.abc import Sequence

# asm-generic/socket.h; the standard library lacks them
SO_ATTACH_FILTER = 26
SO_DETACH_FILTER = 27
SO_MEMINFO = 55
# linux/sock_diag.h: the ninth of the numbers that SO_MEMINFO gives
SK_MEMINFO_DROPS = 8

# linux/filter.h and linux/bpf_common.h
LOAD_WORD, JUMP_IF_EQUAL, RETURN = 0x20, 0x15, 0x06
NETWORK_HEADER = 0xFFF00000  # SKF_NET_OFF: offsets from here count from the IP header, whatever the socket's type
SOURCE_ADDRESS, SOURCE_ADDRESS_6 = 12, 8
WHOLE = 0xFFFFFFFF

# a ping group's, which has a filter of its own, has jumps of eight bits over all of them
SOURCES_MAX = 64


def program(sources: Sequence[str]) -> bytes:
    """Instructions that keep datagrams from these addresses, 1 to SOURCES_MAX of one family, and drop all others."""
    assert 0 < len(sources) <= SOURCES_MAX
    instructions = []
    for source in sources:
        words = _words(source)
        for left, (offset, word) in zip(range(len(words) - 1, -1, -1), words, strict=True):
            # what differs goes on behind this source's last instruction
            instructions += [(LOAD_WORD, 0, 0, NETWORK_HEADER + offset), (JUMP_IF_EQUAL, 0, 2 * left + 1, word)]
        instructions.append((RETURN, 0, 0, WHOLE))
    instructions.append((RETURN, 0, 0, 0))
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in instructions)


def _words(source: str) -> list[tuple[int, int]]:
    """(offset, value) of each 32 bits of a source address in its header."""
    version_6 = ":" in source
    octets = inet_pton(AF_INET6 if version_6 else AF_INET, source)
    first = SOURCE_ADDRESS_6 if version_6 else SOURCE_ADDRESS
    return [(first + at, int.from_bytes(octets[at : at + 4], "big")) for at in range(0, len(octets), 4)]


def attach(endpoint: socket, sources: Sequence[str]) -> None:
    """From now on, of what arrives. OSError where this kernel has no filters."""
    code = array.array("B", program(sources))
    address, size = code.buffer_info()
    # struct sock_fprog: a count, and where the instructions are; the kernel copies them
    endpoint.setsockopt(SOL_SOCKET, SO_ATTACH_FILTER, struct.pack("@HP", size // 8, address))


def detach(endpoint: socket) -> None:
    """OSError where none is attached."""
    endpoint.setsockopt(SOL_SOCKET, SO_DETACH_FILTER, 0)


def dropped(endpoint: socket) -> int:
    """Datagrams that the kernel threw away for this socket: filtered, or the buffer was full. Modulo 2^32."""
    numbers = endpoint.getsockopt(SOL_SOCKET, SO_MEMINFO, 4 * (SK_MEMINFO_DROPS + 1))
    found: int = struct.unpack(f"={len(numbers) // 4}I", numbers)[SK_MEMINFO_DROPS]
    return found
