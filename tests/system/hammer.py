"""Everything at once on a control socket: `hammer.py SOCKET SECONDS`; prints what it did, one JSON object.

Clients that connect and go, send rubbish, half a request, requests without reading a reply, or a flood of good ones;
any number of them are open at a time, none of them waits for the others.
"""

import contextlib
import json
import random
import socket
import sys
import time

STATUS = b'{"request": "status"}\n'
OPEN = 40  # more than the daemon lets in


def words(dice: random.Random) -> bytes:
    """One of the things that a client should not say, or should not say so often."""
    return dice.choice(
        [
            b"",
            dice.randbytes(dice.randrange(1, 200)),
            b"[" * 4000 + b"\n",
            b'{"request": "sta',
            b'{"request": ["standby"]}\n',
            b'{"request": "none of ours"}\n',
            b'{"request": "accept", "node": "\\u0000"}\n',
            b"x" * 5000,
            STATUS,
            STATUS * 50,
        ]
    )


def main() -> None:
    path, seconds = sys.argv[1], float(sys.argv[2])
    dice = random.Random(1)
    end = time.monotonic() + seconds
    counts = {"connections": 0, "refused": 0, "answers": 0}
    clients: list[socket.socket] = []
    while time.monotonic() < end:
        client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        try:
            client.connect(path)
            client.send(words(dice), socket.MSG_NOSIGNAL)
            counts["connections"] += 1
        except OSError:
            counts["refused"] += 1
            client.close()
            time.sleep(0.0005)
            continue
        clients.append(client)
        while len(clients) > OPEN:
            gone = clients.pop(dice.randrange(len(clients)))
            with contextlib.suppress(OSError):
                counts["answers"] += gone.recv(65536).count(b"\n")
            gone.close()
    print(json.dumps(counts))


if __name__ == "__main__":
    main()
