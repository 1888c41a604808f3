"""What a heartbeat costs the compiled part, on both sides, for each method and format:

    python -m bench.codec [METHOD]...                   nanoseconds, the best of several runs
    python -m bench.codec --instructions [METHOD]...    instructions, counted by valgrind (Debian's package)

A busy machine changes the times, not the counts: those compare one version with another.

The columns: a status put together, encoded and decoded the ordinary way; the same repeated (Message.again, encode,
Repetition.hear); and the repeated one with the strong signature. The loop around them is included, some 0.1 µs.
"""

import argparse
import sys
import timeit
from collections.abc import Callable

from _hbfast.auth import Authenticator
from _hbfast.codec import Decoder, Message, Repetition, encode
from _hbfast.wheel import TimerWheel
from bench import callgrind

METHODS = ("crc", "md5", "sha1", "sha256", "blake2s")
FORMS = ("classic", "netstring")
WAYS = ("ordinary", "repeated", "strong")
DEADTIME_NS = 30_000_000_000
ROUNDS = 7
TIMED, COUNTED = 20_000, 3_000


def status(sequence: int, ts: int) -> Message:
    """As a node of ours sends it."""
    fields = [
        ("t", 0, b"status"), ("st", 0, b"active"), ("dt", 0, b"7530"), ("protocol", 0, b"1"),
        ("ext", 0, b"1 0a1b2c3d 4e5f6071 6b02c88b s abcdh"), ("src", 0, b"julius"), ("srcuuid", 1, bytes(range(16))),
        ("seq", 0, b"%x" % sequence), ("hg", 0, b"6b02c88b"), ("ts", 0, b"%x" % ts), ("ld", 0, b"n/a"),
        ("ttl", 0, b"3"),
    ]  # fmt: skip
    return Message(fields)


def heartbeat(method: str, form: str, way: str) -> Callable[[], None]:
    """A function that sends and hears one more of a pair's heartbeats."""
    auth = Authenticator({1: (method, b"" if method == "crc" else b"a key of the cluster")}, 1, strong=way == "strong")
    decoder = Decoder("m", auth, stream=form == "classic")
    wheel = TimerWheel(8, 0)
    wheel.arm(0, DEADTIME_NS)
    wheel.arm(1, DEADTIME_NS)
    repetition = Repetition(wheel)
    repetition.timer = 0
    repetition.deadtime_ns = DEADTIME_NS
    first = status(0x10000, 0x6B02CAB7)
    [taught] = decoder.feed(encode(first, auth, form))
    assert repetition.teach(taught, 0, 1)

    def ordinary() -> None:
        message = status(0x10001, 0x6B02CAB8)
        assert len(decoder.feed(encode(message, auth, form))) == 1
        wheel.arm(0, DEADTIME_NS)
        wheel.arm(1, DEADTIME_NS)

    def repeated() -> None:
        frame = encode(first.again(repetition.sequence + 1, 0x6B02CAB8), auth, form)
        assert repetition.hear(decoder, frame, 1) == 1

    return ordinary if way == "ordinary" else repeated


def nanoseconds(method: str, form: str, way: str) -> float:
    run = heartbeat(method, form, way)
    return min(timeit.repeat(run, number=TIMED, repeat=ROUNDS)) / TIMED * 1e9


def instructions(method: str, form: str, way: str) -> float:
    return callgrind.count("bench.codec", "--run", method, form, way, more=COUNTED).total


def main() -> None:
    if sys.argv[1:2] == ["--run"]:
        run = heartbeat(*sys.argv[2:])
        callgrind.stretches(lambda number: [run() for _ in range(number)], 0, COUNTED)
        return
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--instructions", action="store_true")
    parser.add_argument("methods", nargs="*", metavar="METHOD", help=", ".join(METHODS))
    options = parser.parse_args()
    measure = instructions if options.instructions else nanoseconds
    print(f"{'instructions' if options.instructions else 'ns':22}", *(f"{way:>10}" for way in WAYS))
    for method in options.methods or METHODS:
        for form in FORMS:
            # crc has no secret to sign strongly with
            ways = WAYS[:2] if method == "crc" else WAYS
            print(f"{method:10}{form:12}", *(f"{measure(method, form, way):10.0f}" for way in ways), flush=True)


if __name__ == "__main__":
    main()
