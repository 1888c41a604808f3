"""The recorded messages of tests/data/captures: what is in them, and with which keys they were made."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from reference.auth import Keys

FOLDER = Path(__file__).parent.parent / "data" / "captures"
SESSION_KEYS: Keys = {1: ("sha1", b"TestKey123"), 2: ("md5", b"Another"), 3: ("crc", b"")}
ICMP_HEADER = 8
CHUNKS = "serial-session.jsonl"  # raw reads, not messages


class Record(NamedTuple):
    file: str
    kind: str  # "udp", "icmp" or "serial"
    source: str
    medium: str
    octets: bytes
    keys: Keys


def records(*names: str) -> Iterator[Record]:
    """Every record that is one whole message (or pretends to be), of these files or all."""
    for path in sorted(FOLDER.glob("*.jsonl")):
        if path.name != CHUNKS and (not names or path.name in names):
            yield from _records_of(path)


def _records_of(path: Path) -> Iterator[Record]:
    keys = SESSION_KEYS
    for line in path.read_text().splitlines():
        record = json.loads(line)
        if "config" in record:
            _, _, index, method, *key = record["config"]["authkeys"].split()
            keys = {int(index): (method, "".join(key).encode())}
        if "hex" not in record:
            continue
        octets = bytes.fromhex(record["hex"])
        medium = record.get("medium", "")
        kind = "icmp" if "icmp" in record else "serial" if medium == "serial" else "udp"
        if kind == "icmp":
            octets = octets[ICMP_HEADER:]
        yield Record(path.name, kind, record.get("src") or record["from"], medium, octets, keys)


def chunks() -> list[tuple[str, bytes]]:
    """The reads of the serial session: whose they are, and the octets."""
    lines = (FOLDER / CHUNKS).read_text().splitlines()
    return [(record["from"], bytes.fromhex(record["hex"])) for record in map(json.loads, lines)]
