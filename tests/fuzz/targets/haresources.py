"""Any octets as haresources, as they are and behind a node's name: a Config that prints itself, or ConfigError with
file and line; nothing else. An input is the file."""

from __future__ import annotations

from fuzz import files

WORDS = tuple(
    word.encode() for word in (
        "julius ", "\njulius ", "\ncaesar ", "CAESAR", "10.0.0.254", "10.0.0.1/24/eth0", "IPaddr::", "IPaddr2::",
        "IPv6addr::", "IPv6addr::[2001:db8::1]/64/eth0", "[::1]", "[", "]", "::", ":", "'", '"', "''", "\\\n", "\\",
        "#", "\t", " ", "\r", "\f", "\0", "\x85", "ä", "MailTo::a@b.c::subject", "Delay::3::0",
        "Delay::" + "9" * 400, "Filesystem::", "SendArp::", "ocf:heartbeat:x::a=b", "/", "..", "%eth0",
        "drbddisk::r0", "\n",
    )
)  # fmt: skip


def run(octets: bytes) -> None:
    files.judge({**files.SOUND, "haresources": octets})
    files.judge({**files.SOUND, "haresources": b"julius " + octets})


def seeds() -> list[bytes]:
    lines = (
        b"julius 10.0.0.254 MailTo::alerts@x.org::JuliusCaesar",
        b"julius IPaddr::10.0.0.1/24/eth0:1/10.0.0.255 \\\n  Delay::3::0 apache",
        b"caesar IPv6addr::[2001:db8::1]/64/eth0 # comment\n\njulius IPaddr2::10.0.0.7",
        b"julius Filesystem::/dev/drbd0::/data::ext4 drbddisk::r0 'a b'::\"c::d\"",
        b"nobody 1.2.3.4\n",
        b"julius a::'b  c'::\"#\"::[::1]",
        b"julius 10.0.0.1 a\\ \njulius 10.0.0.2 a\r",
        b"",
    )
    return [*lines, b"\n".join(lines)]
