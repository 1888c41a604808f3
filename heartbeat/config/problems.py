"""What is wrong with a file, gathered: errors refuse the configuration, warnings do not.

Every text is `file:line: what is wrong; what to do`. Something that is missing altogether is reported on the file's
last line. A reader never stops at an error, so that the operator sees all of them at once, unless there is no end of
them.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

# per file and kind: a file of junk must not become a log of junk
PROBLEMS_MAX = 200
# characters of a value that are repeated in a text
SHOWN_MAX = 60


class ConfigError(Exception):
    """The files cannot be used. errors, warnings: every one found in all files, each `file:line: text`."""

    def __init__(self, errors: Iterable[str], warnings: Iterable[str] = ()) -> None:
        self.errors = tuple(errors)
        self.warnings = tuple(warnings)
        super().__init__("\n".join(self.errors))


class Problems:
    """The errors and warnings of one file. path: as texts name it; last_line: its number of lines, at least 1."""

    __slots__ = ("_errors", "_warnings", "last_line", "path")

    def __init__(self, path: str) -> None:
        self.path = path
        self.last_line = 1
        self._errors: list[tuple[int, str]] = []
        self._warnings: list[tuple[int, str]] = []

    @property
    def full(self) -> bool:
        """So many errors that no reader need go on."""
        return len(self._errors) > PROBLEMS_MAX

    def error(self, line: int, text: str) -> None:
        self._add(self._errors, line, text)

    def warning(self, line: int, text: str) -> None:
        self._add(self._warnings, line, text)

    def errors(self) -> list[str]:
        return self._texts(self._errors)

    def warnings(self) -> list[str]:
        return self._texts(self._warnings)

    def _add(self, problems: list[tuple[int, str]], line: int, text: str) -> None:
        if len(problems) < PROBLEMS_MAX:
            problems.append((line, text))
        elif len(problems) == PROBLEMS_MAX:
            problems.append((self.last_line, f"more than {PROBLEMS_MAX} problems; the rest is not shown"))

    def _texts(self, problems: list[tuple[int, str]]) -> list[str]:
        # by line, and in the order found within a line: sort() is stable
        return [f"{self.path}:{line}: {text}" for line, text in sorted(problems, key=lambda problem: problem[0])]


def shown(text: str) -> str:
    """A value from a file, quoted, safe to print and of bounded length."""
    return ascii(text if len(text) <= SHOWN_MAX else text[:SHOWN_MAX] + "...")
