"""What children find in their environment (protocol/config.md §6), and the recorded texts of defaults (§3).

HA_DONTASK, HA_OSTATUS and the fields of messages change from run to run and are the executor's.
"""

from __future__ import annotations

import os

from heartbeat.core.settings import FAILBACK_LEGACY

TYPE_CHECKING = False
if TYPE_CHECKING:
    from heartbeat.config.record import Config

# recorded defaults that do not depend on other directives
DEFAULTS = {
    "keepalive": "1000ms", "deadtime": "30000ms", "hopfudge": "1", "auto_failback": "legacy", "debug": "0",
    "conn_logd_time": "60", "syslogmsgfmt": "true", "log_badpack": "true", "msgfmt": "classic", "autojoin": "none",
    "uuidfrom": "file", "hbgenmethod": "file", "realtime": "true", "memreserve": "6500", "max_rexmit_delay": "250",
    "compression": "zlib", "compression_threshold": "2", "traditional_compression": "no", "coredumps": "true",
    "cluster": "linux-ha", "pacemaker": "false",
}  # fmt: skip


def complete(config: Config, computed: dict[str, str]) -> None:
    """Fill in `parameters` and `environment`. computed: defaults that follow from other directives."""
    config.parameters = {**DEFAULTS, **computed, **config.parameters}
    environment = {f"HA_{name}": text for name, text in config.parameters.items()}
    environment["HA_CURHOST"] = config.node
    environment["HA_DIR"] = config.directory
    environment["HA_FUNCS"] = os.path.join(config.directory, "shellfuncs")
    environment["HA_DATEFMT"] = "%Y/%m/%d_%T\t"
    environment["OCF_ROOT"] = "/usr/lib/ocf"
    # with syslog alone scripts get a place to write to that keeps nothing, as with the original
    nowhere = "/dev/null" if config.logfacility is not None else ""
    environment["HA_LOGFILE"] = config.logfile or nowhere
    environment["HA_DEBUGLOG"] = config.debugfile or nowhere
    environment["HA_LOGFACILITY"] = config.logfacility or ""
    environment["HA_LOGD"] = "yes" if config.use_logd else "no"
    environment.pop("HA_debug", None)
    if config.debug > 0:
        environment["HA_debug"] = str(config.debug)
    if config.auto_failback != FAILBACK_LEGACY:
        environment["HA_NICEFAILBACK"] = "yes"
    environment.update((f"HA_{name}", value) for name, value in config.env.items())
    config.environment = environment
