"""The operator's files as the daemon reads them: the package that knows them is loaded for that, and let go again.

At the start nothing else is loaded yet, so what it has taken of the memory is used by what comes after it.
"""

from __future__ import annotations

import gc
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from heartbeat.config import Config
    from heartbeat.paths import Paths

# What a Config is made of: of these classes the next one is, too, and can be compared with it.
KEPT = {"heartbeat.config.record"}


class WrongFilesError(Exception):
    """lines: every error of all three files."""

    def __init__(self, lines: list[str]) -> None:
        super().__init__(*lines)
        self.lines = lines


def read(paths: Paths, *, divisor: int, previous: Config | None = None) -> Config:
    """As `config.load`; previous: the configuration that runs. WrongFilesError."""
    from heartbeat import config as package  # noqa: PLC0415  see above

    try:
        return package.load(
            paths.config_dir, node=previous.node if previous else None, divisor=divisor, previous=previous
        )
    except package.ConfigError as error:
        raise WrongFilesError(list(error.errors)) from None
    finally:
        del package
        let_go()


def let_go() -> None:
    """Nobody else may hold it, or any of its parts but those that are kept."""
    import heartbeat  # noqa: PLC0415

    for name in [name for name in sys.modules if f"{name}.".startswith("heartbeat.config.") and name not in KEPT]:
        del sys.modules[name]
    del heartbeat.config
    gc.collect()  # functions and the modules that they are of know each other
