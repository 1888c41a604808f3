"""A file's lines as text, or the errors that keep it from being one.

Files are UTF-8. A line that is not is taken as Latin-1, with a warning: Heartbeat 3 minded octets, not characters, and
an old mail subject must not keep a cluster from starting. Lines end in LF; nothing else ends one.
"""

from __future__ import annotations

import os
import stat

TYPE_CHECKING = False
if TYPE_CHECKING:
    from heartbeat.config.problems import Problems

# octets; a file of this program is a page or two, more than this is something else and would fill the locked memory
FILE_MAX = 1 << 18
LINE_MAX = 5119  # octets of ha.cf and authkeys, the original's buffer


def read(problems: Problems, advice: str) -> tuple[bytes, os.stat_result] | None:
    """Octets and state of a file; None, and an error, where it cannot be read. advice: what to do if it is missing."""
    try:
        # O_NONBLOCK: a FIFO in its place must not hang us
        fd = os.open(problems.path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        problems.error(1, f"is not there; {advice}")
        return None
    except PermissionError:
        problems.error(1, "cannot be read: permission denied; run this as root")
        return None
    except (OSError, ValueError) as error:
        problems.error(1, f"cannot be read: {getattr(error, 'strerror', None) or error}")
        return None
    try:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode):
            problems.error(1, "is not a file; put a plain file in its place")
            return None
        with open(fd, "rb", closefd=False) as file:
            octets = file.read(FILE_MAX + 1)
    except OSError as error:
        problems.error(1, f"cannot be read: {error.strerror}")
        return None
    finally:
        os.close(fd)
    if len(octets) > FILE_MAX:
        problems.error(1, f"is longer than {FILE_MAX} octets; this is no configuration")
        return None
    problems.last_line = max(1, octets.count(b"\n") + (not octets.endswith(b"\n")))
    return octets, status


def text_lines(octets: bytes, problems: Problems, *, line_max: int = FILE_MAX, encoding: str = "utf-8") -> list[str]:
    """One text per line, without its LF; "" for a line that is refused."""
    lines = []
    for number, raw in enumerate(octets.split(b"\n"), 1):
        line = raw
        if b"\0" in line:
            problems.error(number, "a NUL octet; this is no text file")
            line = b""
        elif len(line) > line_max:
            problems.error(number, f"the line is longer than {line_max} octets; shorten or split it")
            line = b""
        try:
            lines.append(line.decode(encoding))
        except UnicodeDecodeError:
            problems.warning(number, f"the line is not {encoding.upper()} and taken as Latin-1; save the file anew")
            lines.append(line.decode("latin-1"))
    return lines
