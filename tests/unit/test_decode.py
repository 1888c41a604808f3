"""`heartbeat decode`: every kind of file, good and rejected messages, and what a line says of them."""

import base64
import io
import json
import struct

import pytest
from reference import captures

from _hbfast.auth import Authenticator
from _hbfast.codec import Message, encode
from heartbeat import decode

KEYS = captures.SESSION_KEYS
AUTH = Authenticator(KEYS, 1)
STATUS = Message(
    [("t", 0, b"status"), ("src", 0, b"julius"), ("id", 1, b"\0\xff"), ("seq", 0, b"1c"), ("hg", 0, b"6b02c88b")]
)
CLASSIC = encode(STATUS, AUTH, "classic")
NETSTRING = encode(STATUS, AUTH, "netstring")
FORGED = encode(STATUS, Authenticator({1: ("sha1", b"wrong")}, 1), "netstring")
LINE_KEYS = ["t", "src", "medium", "format", "auth", "seq", "hg", "fields", "reencodes"]


def run(*paths, keys=KEYS):
    """The exit code, and the lines."""
    out = io.StringIO()
    code = decode.main([str(path) for path in paths], keys, out)
    lines = [json.loads(line) for line in out.getvalue().splitlines()]
    assert all(list(line) == LINE_KEYS for line in lines)
    return code, lines


def summary(lines):
    return [(line["medium"], line["format"], line["auth"], line["t"], line["reencodes"]) for line in lines]


@pytest.fixture
def written(tmp_path):
    def write(octets):
        path = tmp_path / "capture"
        path.write_bytes(octets)
        return path

    return write


# ---- JSON lines ----


@pytest.mark.parametrize("path", sorted(captures.FOLDER.glob("*.jsonl")), ids=lambda path: path.stem)
def test_the_recorded_messages(path):
    if path.name == captures.CHUNKS:
        return
    records = list(captures.records(path.name))
    code, lines = run(path, keys=records[0].keys)
    pings = sum(record.kind == "icmp" and record.octets[:3] != b"###" for record in records)
    assert len(lines) == len(records) - pings
    rejected = [line for line in lines if line["auth"] != "ok"]
    assert all(line["reencodes"] for line in lines if line["auth"] == "ok")
    assert (code, len(rejected), pings) == ((1, 22, 24) if path.name == "udp-session1.jsonl" else (0, 0, 0))


def test_types_and_media_are_those_of_the_records():
    path = captures.FOLDER / "compress-bz2-traditional-on.jsonl"
    _, lines = run(path, keys={1: ("sha1", b"secret")})
    records = [json.loads(line) for line in path.read_text().splitlines()[1:]]
    assert [line["medium"] for line in lines] == [record["medium"] for record in records]
    assert [line["format"] for line in lines] == [record["msgfmt"] for record in records]
    assert [line["src"] for line in lines] == [record["src"] for record in records]
    # a message that was compressed as a whole is shown unpacked
    types = {(line["t"], record["type"]) for line, record in zip(lines, records, strict=True)}
    assert {pair for pair in types if pair[0] != pair[1]} == {("labtest", "?")}


def test_without_keys_nothing_is_verified():
    path = captures.FOLDER / "matrix-sha1-classic.jsonl"
    code, lines = run(path, keys=None)
    assert code == 0
    assert {(line["auth"], line["reencodes"]) for line in lines} == {("none", True)}


def json_lines(*payloads):
    return b"".join(json.dumps({"hex": payload.hex()}).encode() + b"\n" for payload in payloads)


def test_a_line_says_what_is_in_the_message(written):
    nested = Message([("l", 3, [b"a", b"\xff"]), ("bin", 1, b"\1\2")])
    fields = [*STATUS.items(), ("n", 0, b"1"), ("n", 0, b"2"), ("n", 0, b"3"), ("m", 2, nested), ("z", 4, b"packed")]
    code, [line] = run(written(json_lines(encode(Message(fields), AUTH, "netstring"))))
    assert code == 0
    assert line == {
        "t": "status",
        "src": "julius",
        "medium": "udp",
        "format": "netstring",
        "auth": "ok",
        "seq": "1c",
        "hg": "6b02c88b",
        "fields": {
            "t": "status",
            "src": "julius",
            "id": base64.b64encode(b"\0\xff").decode(),
            "seq": "1c",
            "hg": "6b02c88b",
            "n": "1",
            "n#2": "2",
            "n#3": "3",
            "m": {"l": ["a", "\\xff"], "bin": "AQI="},
            "z": base64.b64encode(b"packed").decode(),
        },
        "reencodes": True,
    }


@pytest.mark.parametrize(
    ("payload", "form", "auth", "kind", "reencodes"),
    [
        (CLASSIC, "classic", "ok", "status", True),
        (CLASSIC + b"\0", "classic", "ok", "status", True),
        (encode(STATUS, AUTH, "netstring", inner_auth=False), "netstring", "ok", "status", True),
        (encode(STATUS, Authenticator(KEYS, 3), "netstring"), "netstring", "ok", "status", True),
        (FORGED, "netstring", "bad", "status", False),
        (encode(STATUS, Authenticator({9: ("sha1", b"x")}, 9), "classic"), "classic", "bad", "status", False),
        (encode(STATUS, None, "netstring"), "netstring", "none", "status", True),
        (encode(STATUS, None, "classic"), "classic", "none", "status", True),
        (CLASSIC[:-2], "classic", "bad", None, False),
        (NETSTRING + b"x", "netstring", "none", None, False),
        (NETSTRING[:50], "netstring", "none", None, False),
        (b"garbage", None, "none", None, False),
        (b"", None, "none", None, False),
    ],
)
def test_good_and_rejected_messages(written, payload, form, auth, kind, reencodes):
    code, lines = run(written(json_lines(payload)))
    assert summary(lines) == [("udp", form, auth, kind, reencodes)]
    assert code == (0 if auth == "ok" else 1)
    code, lines = run(written(json_lines(payload)), keys=None)
    assert lines[0]["auth"] == "none"
    assert code == (1 if kind is None else 0)


def test_a_message_that_verifies_but_is_written_otherwise(written):
    """Blank lines are signed as they stand; we would not write them."""
    body = b"t=status\n\nsrc=julius\n"
    octets = b">>>\n" + body + b"auth=" + AUTH.sign(body) + b"\n<<<\n"
    code, [line] = run(written(json_lines(octets)))
    assert (code, line["auth"], line["reencodes"]) == (0, "ok", False)


def test_lines_without_hex_are_skipped(written):
    lines = b'{"run": "x", "marks": []}\n\n' + json_lines(CLASSIC) + b'{"icmp": 8, "hex": "0800000000000000aabbccdd"}\n'
    code, found = run(written(lines))
    assert (code, len(found)) == (0, 1)


@pytest.mark.parametrize("line", [b"{", b'{"hex": "zz"}', b'{"hex": 5}', b"[]", b"x"])
def test_broken_json_is_named(written, capsys, line):
    code, found = run(written(json_lines(CLASSIC) + line + b"\n"))
    assert (code, len(found)) == (1, 1)
    assert "capture: line 2: " in capsys.readouterr().err


# ---- a serial line ----


@pytest.mark.parametrize("keys", [KEYS, None])
def test_the_serial_session(written, keys):
    octets = b"".join(chunk for source, chunk in captures.chunks() if source == "alice")
    code, lines = run(written(octets), keys=keys)
    assert code == 0
    assert len(lines) == 255
    assert {(line["src"], line["medium"], line["format"]) for line in lines} == {("alice", "serial", "classic")}
    assert {(line["auth"], line["reencodes"]) for line in lines} == {("ok" if keys else "none", True)}


def test_what_is_between_good_messages_has_lines_of_its_own(written):
    forged = encode(STATUS, Authenticator({1: ("sha1", b"wrong")}, 1), "classic")
    unsigned = encode(STATUS, None, "netstring")
    octets = b"".join(
        [b"noise\0", CLASSIC, b"\n", forged, NETSTRING, CLASSIC[:40], FORGED, unsigned, CLASSIC, b"noise"]
    )
    code, lines = run(written(octets))
    assert code == 1
    assert summary(lines) == [
        ("serial", "classic", "ok", "status", True),
        ("serial", "classic", "bad", "status", False),
        ("serial", "netstring", "ok", "status", True),
        ("serial", "classic", "none", None, False),
        ("serial", "netstring", "bad", "status", False),
        ("serial", "netstring", "none", "status", True),
        ("serial", "classic", "ok", "status", True),
    ]
    # without keys, what was forged is as good as the rest
    _, lines = run(written(octets), keys=None)
    assert [line["t"] for line in lines] == ["status", "status", "status", None, "status", "status", "status"]


def test_a_message_that_never_ends(written):
    code, lines = run(written(CLASSIC + b"junk" + CLASSIC[:-3]))
    assert code == 1
    assert summary(lines)[1:] == [("serial", "classic", "bad", None, False)]


def test_noise_alone_is_no_message(written):
    assert run(written(b"nothing here\n")) == (0, [])
    assert run(written(b"")) == (0, [])


# ---- pcap ----


def pcap(packets, link=1, order="<", magic=0xA1B2C3D4):
    header = struct.pack(order + "IHHiIII", magic, 2, 4, 0, 0, 262144, link)
    return header + b"".join(struct.pack(order + "IIII", 0, 0, len(p), len(p)) + p for p in packets)


def udp(payload, port=694):
    return struct.pack(">HHHH", 40000, port, 8 + len(payload), 0) + payload


def ipv4(payload, protocol=17, options=b"", fragment=0, identity=7):
    words = 5 + len(options) // 4
    size = words * 4 + len(payload)
    return (
        struct.pack(">BBHHHBBH", 0x40 | words, 0, size, identity, fragment, 64, protocol, 0)
        + bytes([10, 0, 0, 1, 10, 0, 0, 2])
        + options
        + payload
    )


def ipv6(payload, protocol=17):
    return struct.pack(">IHBB", 6 << 28, len(payload), protocol, 64) + bytes(range(32)) + payload


def ethernet(packet, kind=0x0800, tags=b"", padding=b""):
    return bytes(12) + tags + struct.pack(">H", kind) + packet + padding


PACKETS = {
    "ethernet": (1, ethernet(ipv4(udp(CLASSIC)))),
    "padded ethernet": (1, ethernet(ipv4(udp(CLASSIC)), padding=b"\0" * 9)),
    "vlan": (1, ethernet(ipv4(udp(CLASSIC)), tags=b"\x81\x00\x00\x05")),
    "two vlans": (1, ethernet(ipv4(udp(CLASSIC)), tags=b"\x88\xa8\x00\x05\x81\x00\x00\x06")),
    "options": (1, ethernet(ipv4(udp(CLASSIC), options=b"\1" * 8))),
    "another port": (1, ethernet(ipv4(udp(CLASSIC, port=7000)))),
    "ipv6": (1, ethernet(ipv6(udp(CLASSIC)), kind=0x86DD)),
    "ipv6 extension": (1, ethernet(ipv6(b"\x11\0" + bytes(6) + udp(CLASSIC), protocol=0), kind=0x86DD)),
    "cooked": (113, bytes(14) + b"\x08\x00" + ipv4(udp(CLASSIC))),
    "cooked 2": (276, b"\x08\x00" + bytes(18) + ipv4(udp(CLASSIC))),
    "raw": (101, ipv4(udp(CLASSIC))),
    "raw ipv6": (101, ipv6(udp(CLASSIC))),
    "raw, old number": (12, ipv4(udp(CLASSIC))),
    "ipv4": (228, ipv4(udp(CLASSIC))),
    "ipv6 link": (229, ipv6(udp(CLASSIC))),
}


@pytest.mark.parametrize("name", PACKETS)
@pytest.mark.parametrize(
    ("order", "magic"), [("<", 0xA1B2C3D4), (">", 0xA1B2C3D4), ("<", 0xA1B23C4D), (">", 0xA1B23C4D)]
)
def test_packets(written, name, order, magic):
    link, packet = PACKETS[name]
    code, lines = run(written(pcap([packet, packet], link, order, magic)))
    assert code == 0
    assert summary(lines) == [("udp", "classic", "ok", "status", True)] * 2


def test_echoes(written):
    def echo(kind, payload):
        return bytes([kind, 0, 0, 0, 0, 1, 0, 1]) + payload

    packets = [
        ethernet(ipv4(echo(8, NETSTRING), protocol=1)),
        ethernet(ipv4(echo(0, NETSTRING), protocol=1)),
        ethernet(ipv6(echo(128, NETSTRING), protocol=58), kind=0x86DD),
        ethernet(ipv6(echo(129, NETSTRING), protocol=58), kind=0x86DD),
        ethernet(ipv4(echo(3, NETSTRING), protocol=1)),
        ethernet(ipv4(echo(8, bytes(56)), protocol=1)),
    ]
    code, lines = run(written(pcap(packets)))
    assert code == 0
    assert summary(lines) == [("icmp", "netstring", "ok", "status", True)] * 4


def test_fragments_are_put_together(written):
    payload = encode(Message([*STATUS.items(), ("big", 0, b"x" * 3000)]), AUTH, "netstring")
    datagram = udp(payload)
    starts = range(0, len(datagram), 1480)
    more = [0x2000 if start + 1480 < len(datagram) else 0 for start in starts]
    for identity, shuffle in ((1, slice(None)), (2, slice(None, None, -1))):
        fragments = [
            ethernet(ipv4(datagram[start : start + 1480], fragment=flag | start // 8, identity=identity))
            for start, flag in zip(starts, more, strict=True)
        ]
        other = ethernet(ipv4(datagram[:1480], fragment=0x2000, identity=9))
        code, lines = run(written(pcap([other, *fragments[shuffle]])))
        assert (code, len(lines), lines[0]["auth"]) == (0, 1, "ok")
        assert run(written(pcap(fragments[1:]))) == (0, [])
    halves = [
        ipv6(struct.pack(">BBHI", 17, 0, offset | flag, 77) + datagram[offset : offset + 1480], protocol=44)
        for offset, flag in zip(starts, [1, 1, 0], strict=True)
    ]
    code, lines = run(written(pcap(halves, link=101)))
    assert (code, len(lines)) == (0, 1)


def test_rejected_messages_in_a_capture(written):
    packets = [
        ethernet(ipv4(udp(FORGED))),
        ethernet(ipv4(udp(b"garbage"))),
        ethernet(ipv4(udp(b"\x12\x34 a query of DNS", port=53))),
        ethernet(ipv4(udp(CLASSIC))[:100]),
        ethernet(b"\0" * 40, kind=0x0806),
        ethernet(ipv4(b"tcp" * 10, protocol=6)),
        b"",
        b"\0" * 13,
        ethernet(b""),
        ethernet(ipv4(b"")),
    ]
    code, lines = run(written(pcap(packets)))
    assert code == 1
    assert summary(lines) == [
        ("udp", "netstring", "bad", "status", False),
        ("udp", None, "none", None, False),
        ("udp", "classic", "bad", None, False),
    ]


@pytest.mark.parametrize(
    ("octets", "complaint"),
    [
        (b"\x0a\x0d\x0d\x0a" + bytes(40), "editcap"),
        (pcap([])[:20], "header"),
        (pcap([], link=127), "link type 127"),
        (pcap([ethernet(ipv4(udp(CLASSIC)))]) + b"\0" * 5, "middle"),
        (pcap([ethernet(ipv4(udp(CLASSIC)))]) + struct.pack("<IIII", 0, 0, 100, 100) + b"x", "middle"),
        (pcap([]) + struct.pack("<IIII", 0, 0, 2**31, 0), "damaged"),
    ],
)
def test_files_that_cannot_be_read(written, capsys, octets, complaint):
    code, _ = run(written(octets))
    assert code == 1
    error = capsys.readouterr().err
    assert error.startswith("heartbeat decode: ")
    assert complaint in error


def test_a_missing_file_does_not_stop_the_others(written, capsys):
    code, lines = run("/nonexistent/file", written(CLASSIC))
    assert (code, len(lines)) == (1, 1)
    assert "/nonexistent/file: No such file" in capsys.readouterr().err
