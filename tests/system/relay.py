"""A switch that takes its time: hands each heartbeat over after a delay of its own, drawn from a seed.

One argument, JSON: [from this interface, to this one, to this hardware address, least, most (ms), seed].
"""

import contextlib
import heapq
import json
import random
import select
import socket
import sys

from heartbeat.demo.clock import HARDWARE, MILLISECOND, SECOND, now_ns, run_real_time

# all there is: what is of one protocol alone is shown after the rules that drop it
_ETH_P_ALL = 3
_IPV4 = b"\x08\0"
_PACKET_OUTGOING = 4
_QUEUE = 10_000  # frames; more are lost, as in any switch


def main() -> None:
    source, target, mac, least_ms, most_ms, seed = json.loads(sys.argv[1])
    dice = random.Random(seed)
    wanted = bytes.fromhex(mac.replace(":", ""))
    taken = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ETH_P_ALL))
    taken.bind((source, _ETH_P_ALL))
    taken.setblocking(False)
    given = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    given.bind((target, 0))
    run_real_time(HARDWARE)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    waiting: list[tuple[int, int, bytes]] = []
    number = 0
    while True:
        pause_s = max(0, waiting[0][0] - now_ns()) / SECOND if waiting else None
        if select.select([taken], [], [], pause_s)[0]:
            frame, sender = taken.recvfrom(65536)
            udp = 14 + (frame[14] & 0x0F) * 4 if len(frame) > 42 else 0
            datagram = udp and frame[12:14] == _IPV4 and frame[23] == socket.IPPROTO_UDP
            heartbeat = datagram and frame[udp + 2 : udp + 4] == (694).to_bytes(2)
            if sender[2] != _PACKET_OUTGOING and frame[:6] == wanted and heartbeat and len(waiting) < _QUEUE:
                number += 1
                due = now_ns() + round(dice.uniform(least_ms, most_ms) * MILLISECOND)
                # its sender's kernel leaves the checksum to the card, and there is none: 0 stands for not summed up
                heapq.heappush(waiting, (due, number, frame[: udp + 6] + bytes(2) + frame[udp + 8 :]))
        while waiting and waiting[0][0] <= now_ns():
            with contextlib.suppress(OSError):  # a rule on the way to the target has dropped it
                given.send(heapq.heappop(waiting)[2])


if __name__ == "__main__":
    main()
