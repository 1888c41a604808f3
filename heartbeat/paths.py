"""Where this node's files are: four directories, each of which a command-line option or a variable can move.

Every command agrees on these names, so that two nodes, or a test and the operator's own daemon, can live on one
machine without meeting.
"""

from __future__ import annotations

# option and variable of each: --config-dir and HEARTBEAT_CONFIG_DIR, and so on; in the order of Paths' arguments
DEFAULTS = {
    "config": "/etc/ha.d",
    "run": "/run/heartbeat",
    "state": "/var/lib/heartbeat",
    "lock": "/var/lock",
}


class Paths:
    """The four directories, absolute, and what lies in the run directory."""

    __slots__ = ("config_dir", "lock_dir", "run_dir", "state_dir")

    def __init__(
        self,
        config_dir: str = DEFAULTS["config"],
        run_dir: str = DEFAULTS["run"],
        state_dir: str = DEFAULTS["state"],
        lock_dir: str = DEFAULTS["lock"],
    ) -> None:
        self.config_dir = config_dir
        self.run_dir = run_dir
        self.state_dir = state_dir
        self.lock_dir = lock_dir

    @property
    def control(self) -> str:
        """The control socket."""
        return f"{self.run_dir}/control"

    @property
    def pidfile(self) -> str:
        """The daemon's own process number, locked while it lives."""
        return f"{self.run_dir}/heartbeat.pid"
