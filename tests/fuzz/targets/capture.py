"""Any octets as a file for `heartbeat decode`, with and without keys: a line of JSON for each message, 0 or 1, never
anything else. What is not a file of ours is said on stderr.

    input   the file; where its first octet is 1, a pcap file of the rest: link type, and packets between separators
"""

from __future__ import annotations

import contextlib
import io
import json
import struct

from fuzz import files
from fuzz.choices import SEPARATOR
from reference import captures

from heartbeat import decode

KEYS = {1: ("sha1", b"TestKey123"), 2: ("md5", b"Another"), 3: ("crc", b"")}
FIELDS = {"t", "src", "medium", "format", "auth", "seq", "hg", "fields", "reencodes"}
LINKS = (1, 113, 276, 12, 101, 228, 229, 105)
UDP_PORT = 694
WORDS = (
    b"\xd4\xc3\xb2\xa1", b"\xa1\xb2\x3c\x4d", b"\x0a\x0d\x0d\x0a", b'{"hex": "', b'", "medium": "serial"}\n',
    b'"icmp": 1', b"{", b"[" * 900, b"}", b"null", b">>>\n", b"<<<\n", b"###\n", b"%%%\n", b"auth=1 ", b"\x08\0",
    b"\x86\xdd", b"\x81\0", b"\x45\0", b"\x60\0\0\0", b"\x11", b"\x2c", b"\x02\xb6", SEPARATOR,
    SEPARATOR + b"\x08\0\x45", b"3e3e3e0a", b"\n", b"(2)m=", b"(1)b=", b"\xff\xff\xff\xff", b"\0",
)  # fmt: skip


def run(octets: bytes) -> None:
    path = f"{files.folder()}/capture"
    with open(path, "wb") as file:
        file.write(pcap(octets[1:]) if octets[:1] == b"\x01" else octets)
    for keys in (None, KEYS):
        out, errors = io.StringIO(), io.StringIO()
        with contextlib.redirect_stderr(errors):
            code = decode.main([path], keys, out)
        lines = [json.loads(line) for line in out.getvalue().splitlines()]
        assert all(set(line) == FIELDS for line in lines)
        wanted = "none" if keys is None else "ok"
        assert code in (0, 1)
        if code == 0:
            assert not errors.getvalue()
            assert all(line["auth"] == wanted for line in lines)
        assert all(line.startswith("heartbeat decode: ") for line in errors.getvalue().splitlines())


def pcap(octets: bytes) -> bytes:
    link, packets = octets[:1] or b"\0", octets[1:].split(SEPARATOR)
    head = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, LINKS[link[0] % len(LINKS)])
    return head + b"".join(struct.pack("<IIII", 0, 0, len(each), len(each)) + each for each in packets)


def udp_packet(octets: bytes, *, six: bool, offset: int = 0, more: bool = False) -> bytes:
    """An Ethernet frame."""
    datagram = struct.pack(">HHHH", UDP_PORT, UDP_PORT, 8 + len(octets), 0) + octets if not offset else octets
    if six:
        return bytes(12) + b"\x86\xdd" + struct.pack(">IHBB", 6 << 28, len(datagram), 17, 64) + bytes(32) + datagram
    fragment = offset // 8 | more << 13
    head = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(datagram), 7, fragment, 64, 17, 0) + bytes(8)
    return bytes(12) + b"\x08\0" + head + datagram


# packets that end too early, after the link's header or before
CUT = (
    b"",
    b"\x45",
    b"\x60",
    bytes(12) + b"\x08\0",
    bytes(14) + b"\x86\xdd",
    bytes(12) + b"\x81\0\0\1\x08\0\x45" + bytes(19),
)


def seeds() -> list[bytes]:
    recorded = [record.octets for record in captures.records() if len(record.octets) < 600][::60]
    lines = [json.dumps({"hex": octets.hex(), "medium": "eth0"}).encode() + b"\n" for octets in recorded]
    packets = SEPARATOR.join(udp_packet(octets, six=bool(i & 1)) for i, octets in enumerate(recorded[:4]))
    parts = udp_packet(recorded[0][:8], six=False, more=True) + SEPARATOR
    parts += udp_packet(recorded[0][8:], six=False, offset=16)
    stream = b"".join(octets for _, octets in captures.chunks()[:12])
    return [
        *recorded, *lines, b"".join(lines[:3]), b"\x01\0" + packets, b"\x01\0" + parts, stream[:3000],
        b'{"icmp": 1, "hex": "0800000000000000' + recorded[0].hex().encode() + b'"}', pcap(b"\0" + packets),
        b"\x01\1" + b"\0" * 14 + b"\x08\0" + udp_packet(recorded[1], six=False)[14:], b"{}", b"{",
        b'{"hex":' + b"[" * 2000, *(bytes([1, link]) + packet for link in range(len(LINKS)) for packet in CUT),
    ]  # fmt: skip
