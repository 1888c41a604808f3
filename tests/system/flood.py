"""A third host that sends rubbish, or recordings, to a node's port as fast as it is told to: one JSON argument,

    {"interface": …, "from": [hardware address, address], "to": the same, "rate": datagrams a second, "seconds": …}

and prints what it has sent, as JSON. Frames are made beforehand and handed to the card many at a time (sendmmsg), so
that one ordinary process makes the rate. The octets are random, or messages that are cut short, damaged, or signed with
a key that is none; the sender's address can be anybody's. With "recordings", a list of payloads in hex, it sends these.

    {"interface": …, "record": address, "count": …}

prints, as such a list, what that host sends to the port.
"""

import ctypes
import json
import os
import random
import socket
import struct
import sys
import time

from _hbfast.auth import Authenticator
from _hbfast.codec import Message, encode

PORT = 694
AT_ONCE = 64
_SOL_PACKET, _QDISC_BYPASS = 263, 20


class _Vector(ctypes.Structure):
    _fields_ = [("base", ctypes.c_char_p), ("length", ctypes.c_size_t)]


class _Header(ctypes.Structure):
    """struct mmsghdr"""

    _fields_ = [
        ("name", ctypes.c_void_p), ("name_length", ctypes.c_uint), ("vectors", ctypes.POINTER(_Vector)),
        ("vector_count", ctypes.c_size_t), ("control", ctypes.c_void_p), ("control_length", ctypes.c_size_t),
        ("flags", ctypes.c_int), ("sent", ctypes.c_uint),
    ]  # fmt: skip


def rubbish(dice: random.Random) -> bytes:
    fields = [("t", b"status"), ("st", b"active"), ("src", b"caesar"), ("seq", b"7fffffff"), ("hg", b"7fffffff"),
              ("ts", b"%x" % int(time.time())), ("info", dice.randbytes(20).hex().encode())]  # fmt: skip
    message = Message([(name, 0, value) for name, value in fields])
    foreign = encode(message, Authenticator({1: ("sha1", dice.randbytes(8))}, 1), dice.choice(["classic", "netstring"]))
    damaged = bytearray(foreign)
    damaged[dice.randrange(len(damaged))] ^= 1 << dice.randrange(8)
    return dice.choice(
        [dice.randbytes(dice.randrange(1, 1400)), foreign, foreign[: dice.randrange(len(foreign))], bytes(damaged), b""]
    )


def checksum(header: bytes) -> int:
    total = sum(struct.unpack("!10H", header))
    total = (total & 0xFFFF) + (total >> 16)
    return ~(total + (total >> 16)) & 0xFFFF


def frame(source: list[str], target: list[str], payload: bytes) -> bytes:
    """UDP over IPv4 over Ethernet; a UDP checksum of 0 stands for none."""
    addresses = socket.inet_aton(source[1]) + socket.inet_aton(target[1])
    length = 28 + len(payload)
    header = struct.pack("!BBHHHBBH", 0x45, 0, length, 0, 0x4000, 64, socket.IPPROTO_UDP, 0) + addresses
    header = header[:10] + checksum(header).to_bytes(2) + header[12:]
    hardware = bytes.fromhex((target[0] + source[0]).replace(":", "")) + b"\x08\x00"
    return hardware + header + struct.pack("!HHHH", PORT, PORT, 8 + len(payload), 0) + payload


def record(told: dict) -> list[str]:
    """Payloads of UDP from one host to the port, as they pass the interface."""
    source = socket.inet_aton(told["record"])
    found = []
    with socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(0x0800)) as tap:
        tap.bind((told["interface"], 0x0800))
        while len(found) < told["count"]:
            packet, (_, _, direction, *_) = tap.recvfrom(2000)
            begin = 4 * (packet[0] & 15)
            port, length = struct.unpack_from("!HH", packet, begin + 2)
            if direction != socket.PACKET_OUTGOING and packet[12:16] == source and (packet[9], port) == (17, PORT):
                found.append(packet[begin + 8 : begin + length].hex())
    return found


def main() -> None:
    told = json.loads(sys.argv[1])
    if "record" in told:
        os.write(1, json.dumps(record(told)).encode() + b"\n")
        return
    dice = random.Random(1)
    recorded = [bytes.fromhex(each) for each in told.get("recordings", ())]
    payloads = [recorded[number % len(recorded)] if recorded else rubbish(dice) for number in range(16 * AT_ONCE)]
    frames = [frame(told["from"], told["to"], payload) for payload in payloads]
    out = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    out.bind((told["interface"], 0))
    out.setsockopt(_SOL_PACKET, _QDISC_BYPASS, 1)
    libc = ctypes.CDLL(None, use_errno=True)
    vectors = [_Vector(octets, len(octets)) for octets in frames]
    headers = (_Header * len(frames))()
    for header, vector in zip(headers, vectors, strict=True):
        header.vectors, header.vector_count = ctypes.pointer(vector), 1
    portions = [ctypes.byref(headers, number * ctypes.sizeof(_Header)) for number in range(0, len(frames), AT_ONCE)]
    sent = failed = portion = 0
    began = time.monotonic()
    end = began + told["seconds"]
    while (now := time.monotonic()) < end:
        due = int((now - began) * told["rate"])
        if sent >= due:
            time.sleep(0.0002)
            continue
        count = libc.sendmmsg(out.fileno(), portions[portion], min(AT_ONCE, due - sent), 0)
        portion = (portion + 1) % len(portions)
        if count < 0:
            failed += 1
        else:
            sent += count
    os.write(1, json.dumps({"sent": sent, "failed": failed, "seconds": time.monotonic() - began}).encode() + b"\n")


if __name__ == "__main__":
    main()
