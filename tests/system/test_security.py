"""What whole daemons do with what comes from outside: recordings, hostile fields, hostile files. docs/security.md."""

from __future__ import annotations

import time
import zlib

import pytest
from system.play import DIVISOR, KEY, PATIENCE_S, playing, seed, until

KEEPALIVE_MS = 100
HA_CF = f"""\
ucast eth0 10.0.0.2
ucast eth0 10.0.0.3
auto_failback off
node julius
node caesar
keepalive {KEEPALIVE_MS * DIVISOR}ms
deadtime {KEEPALIVE_MS * DIVISOR * 4}ms
warntime {KEEPALIVE_MS * DIVISOR * 2}ms
initdead {KEEPALIVE_MS * DIVISOR * 8}ms
"""
FILES = seed.Files(ha_cf=HA_CF, haresources=f"julius {KEY} MailTo::{seed.RECIPIENT}::{seed.SUBJECT}\n")


@pytest.fixture
def pair():
    with playing(FILES, cable=False) as made:
        yield made


def remembered(node) -> dict[str, tuple[int, int]]:
    """STATE/peers, read by hand; nothing where it is not there yet."""
    path = node.state_folder / "peers"
    if not path.exists():
        return {}
    body, _, end = path.read_bytes().rpartition(b"crc ")
    assert end == b"%08x\n" % zlib.crc32(body)
    lines = [line.split() for line in body.decode().splitlines()]
    return {name: (int(generation), int(sequence)) for name, generation, sequence in lines}


def generation(node) -> int:
    return int((node.state_folder / "hb_generation").read_text())


# ---- what a node remembers


def test_a_peer_is_remembered_while_it_lives_and_at_a_clean_stop(pair):
    pair.boot()
    until(pair.stable, PATIENCE_S, "both stable")
    for node, other in (pair.nodes, pair.nodes[::-1]):
        path = node.state_folder / "peers"
        until(path.exists, PATIENCE_S, f"{node.name} remembers its peer")
        assert path.stat().st_mode & 0o7777 == 0o600
        assert remembered(node)[other.name][0] == generation(other)
    before = remembered(pair.julius)["caesar"]
    written = (pair.julius.state_folder / "peers").stat().st_mtime_ns
    time.sleep(1)
    assert (pair.julius.state_folder / "peers").stat().st_mtime_ns == written, "nothing is written in steady state"
    assert pair.julius.stop_daemon() == 0
    after = remembered(pair.julius)["caesar"]
    assert after[0] == before[0]
    assert after[1] > before[1], "how far the peer had come is remembered at a clean stop"


def test_a_peers_new_generation_is_on_disk_before_long(pair):
    pair.boot()
    until(pair.stable, PATIENCE_S, "both stable")
    first = generation(pair.caesar)
    pair.caesar.stop_daemon()
    pair.start(pair.caesar)
    until(
        lambda: remembered(pair.julius).get("caesar", (0, 0))[0] == first + 1,
        PATIENCE_S,
        "the new generation is remembered",
    )
