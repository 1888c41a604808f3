"""Any octets as ha.cf: a Config that prints itself, or ConfigError with file and line; nothing else. An input is the
file."""

from __future__ import annotations

from fuzz import files

from heartbeat.config.directives import TABLE

WORDS = tuple(
    word.encode() for word in (
        *(f"\n{name} " for name in TABLE), "julius", "caesar", "eth0", "lo", "10.0.0.1", "239.0.0.1",
        "ff02::694", "fe80::3%eth0",
        "255.255.255.255", "500ms", "100us", "2.5", "-1", "0", "1e9", "70000", "4294967296", "on", "off", "legacy",
        "#", "\\", "=", ",", "/", "uid=", "gid=root", "*", "\t", "\r", "\f", "\v", "\0", "\x85", "\u2028", "ä", "İ",
        "smtp://", "smtps://u:%09@h:1", "@", ":", "%", "\n", " ", "A=1", "9" * 400, "/dev/ttyS0", "/tmp/x", "root",
        "nobody", "local7", "none", "classic", "netstring", "file", "time", "nodename", "reboot", "continue",
        "linux-ha", "required", "ms", "us", "zlib", "bz2",
    )
)  # fmt: skip
# every so many-th length is also read as this machine's own file: that takes ten times as long
ASKED = 8


def run(octets: bytes) -> None:
    contents = {**files.SOUND, "ha.cf": octets}
    files.judge(contents)
    files.judge({**files.SOUND, "ha.cf": files.SOUND["ha.cf"] + octets})
    if len(octets) % ASKED == 0:
        files.ask_machine(contents)


def seeds() -> list[bytes]:
    start = files.SOUND["ha.cf"]
    lines = [
        "keepalive 500ms", "deadtime 3", "warntime 1500ms", "initdead 30", "udpport 694", "serial /dev/ttyS0",
        "baud 19200", "ucast eth0 10.0.0.2", "mcast eth0 239.0.0.1 694 1 0", "bcast eth1 eth2",
        "ucast6 eth0 fe80::3%eth0", "mcast6 eth0 ff02::694 694 1 0",
        "logfile /var/log/ha", "logfacility local0", "debugfile /var/log/d", "debug 1", "auto_failback on",
        "node Julius  caesar # x", "ping 10.0.0.1", "ping_group g 10.0.0.1 10.0.0.2", "respawn root /bin/true x",
        "failfast nobody /bin/false", "apiauth c uid=root gid=haclient", "stonith_host * ssh x",
        "stonith ssh /etc/x", "env A=1", "msgfmt netstring", "compression bz2", "compression_threshold 1", "crm off",
        "hbgenmethod time", "uuidfrom nodename", "hopfudge 2", "rtprio 5", "realtime off", "use_logd yes",
        "watchdog /dev/null", "builtin_agents off", "mailserver smtp://u:p@h:25", "failback_delay 3000ms",
        "on_stop_failure continue", "deadping 40", "max_rexmit_delay 100", "traditional_compression yes",
        "coredumps no", "autojoin none", "cluster c", "memreserve 1",
    ]  # fmt: skip
    found = [line.encode() for line in lines] + [start + line.encode() + b"\n" for line in lines]
    return [start, "\n".join(lines).encode(), b"\xff" * 9, b"#\r\n", *found]
