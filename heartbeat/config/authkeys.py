"""authkeys: the keys that sign and verify messages (protocol/config.md §4), with methods of ours, sha256 and blake2s.

`auth N` names the key that signs and stands above the line that defines it; every key verifies. The file is secret: one
that others may read is refused, whatever is in it. No text shows a word of it: any may be a key in the wrong place.
"""

from __future__ import annotations

from heartbeat.config.hacf import split
from heartbeat.config.values import BLANKS, integer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from heartbeat.config.problems import Problems

METHODS = ("crc", "md5", "sha1", "sha256", "blake2s")
INDEX_MAX = 15

READABLE, ACCESSIBLE = 0o044, 0o077


def check_access(mode: int, uid: int, problems: Problems) -> None:
    """The original looks at the two read bits alone, and so do the refusals; the rest is warned of."""
    if mode & READABLE:
        problems.error(1, f"others can read the keys (mode {mode & 0o777:o}); chmod 600 {problems.path}, then new keys")
    elif mode & ACCESSIBLE:
        problems.warning(1, f"others have access (mode {mode & 0o777:o}); chmod 600 {problems.path}")
    if uid != 0:
        problems.warning(1, f"belongs to user {uid}, who can change the keys; chown root {problems.path}")


class Keys:
    """What the file defines. keys: index to (method, key); outbound: the index that signs, -1 while there is none."""

    def __init__(self, problems: Problems) -> None:
        self.problems = problems
        self.keys: dict[int, tuple[str, bytes]] = {}
        self.lines: dict[int, int] = {}
        self.outbound = -1
        self._named = -1  # by the last `auth` line
        self._named_line = 0
        self._any_error = False

    def read(self, lines: list[str]) -> None:
        """lines: of octets as Latin-1, for a key is octets."""
        for number, raw in enumerate(lines, 1):
            if self.problems.full:
                break
            line = raw.partition("\r")[0].strip(BLANKS)
            if line and not line.startswith("#"):
                self._line(number, split(line))
        self._finish()

    def _line(self, number: int, words: list[str]) -> None:
        if words[0].startswith("a"):
            self._auth(number, words)
        else:
            self._key(number, words)

    def _auth(self, number: int, words: list[str]) -> None:
        index = self._index(words[1]) if words[0] == "auth" and len(words) > 1 else None
        if index is None:
            self._error(number, f"a line that begins with a is `auth NUMBER`, with a number from 0 to {INDEX_MAX}")
            return
        if self._named >= 0:
            self.problems.warning(number, f"there is an auth line already, {self._named_line}; this one counts")
        if index != self._named:
            self.outbound = -1
        self._named, self._named_line = index, number

    def _key(self, number: int, words: list[str]) -> None:
        index = self._index(words[0])
        if index is None or len(words) < 2:
            self._error(number, f"a line is `NUMBER METHOD KEY`, with a number from 0 to {INDEX_MAX}, or `auth NUMBER`")
            return
        method, key = words[1], words[2:]
        if method not in METHODS:
            self._error(number, f"the second word is no method; write one of {', '.join(METHODS)}")
        elif method == "crc" and key:
            self._error(number, "crc takes no key and hides nothing; leave the rest of the line out, or write sha1")
        elif method != "crc" and not key:
            self._error(number, f"{method} needs a key: {index} {method} SECRET")
        else:
            self._define(number, index, method, key)

    def _define(self, number: int, index: int, method: str, key: list[str]) -> None:
        warning = self.problems.warning
        if index in self.keys:
            warning(number, f"key {index} is defined in line {self.lines[index]} already; this one counts")
        if key[:1] == ["#"]:
            warning(number, f"the key of {index} is the word #: a comment needs a line of its own")
        elif key[1:] and not key[1].startswith("#"):
            warning(number, "a key is one word; what follows it is ignored")
        if method in ("crc", "md5"):
            what = "proves nothing about the sender" if method == "crc" else "is weak"
            warning(number, f"{method} {what}, and messages signed with any key of this file are believed; use sha1")
        self.keys[index] = (method, key[0].encode("latin-1") if key else b"")
        self.lines[index] = number
        if index == self._named:
            self.outbound = index

    def _finish(self) -> None:
        named, line = self._named, self._named_line
        if self.outbound >= 0 or self._any_error:
            return  # a line that was refused may have been the missing one
        if named < 0:
            self._error(self.problems.last_line, "no key signs; add a line `auth 1` above `1 sha1 SECRET`")
        elif named in self.keys:
            self._error(line, f"auth {named} must stand above line {self.lines[named]}, which defines that key")
        else:
            self._error(line, f"key {named} is not defined; add a line `{named} sha1 SECRET` below")

    def _index(self, word: str) -> int | None:
        found = integer(word)
        return found[0] if found is not None and found[1] and 0 <= found[0] <= INDEX_MAX else None

    def _error(self, number: int, text: str) -> None:
        self._any_error = True
        self.problems.error(number, text)
