"""The operator's three files that everything began with, and the same files for other names and addresses."""

from __future__ import annotations

from dataclasses import dataclass, replace

HA_CF = """\
serial /dev/ttyS0
auto_failback off
node julius
node caesar
keepalive 5
deadtime 15
warntime 10
initdead 30
"""
HARESOURCES = "julius IPaddr::10.0.0.254 IPaddr::1.1.1.254 MailTo::alerts@myworkaddress.com::JuliusCaesar\n"
AUTHKEYS = "auth 1\n1 sha1 a-secret\n"

# seconds, as in HA_CF
KEEPALIVE_S, DEADTIME_S, WARNTIME_S, INITDEAD_S = 5, 15, 10, 30
SERIAL_PORT = "/dev/ttyS0"
BAUD = 19200  # ha.cf's default
RECIPIENT = "alerts@myworkaddress.com"
SUBJECT = "JuliusCaesar"


@dataclass(frozen=True)
class Files:
    """What stands in /etc/ha.d: three texts."""

    ha_cf: str = HA_CF
    haresources: str = HARESOURCES
    authkeys: str = AUTHKEYS

    def with_lines(self, *lines: str) -> Files:
        """More lines at the end of ha.cf."""
        return replace(self, ha_cf=self.ha_cf + "".join(f"{line}\n" for line in lines))

    def replaced(self, words: dict[str, str]) -> Files:
        """Other node names or addresses: each old text becomes the new one, in ha.cf and haresources."""

        def replaced(text: str) -> str:
            for old, new in words.items():
                text = text.replace(old, new)
            return text

        return replace(self, ha_cf=replaced(self.ha_cf), haresources=replaced(self.haresources))
