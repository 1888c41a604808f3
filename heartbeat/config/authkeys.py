"""authkeys: the keys that sign and verify messages (protocol/config.md §4), with methods of ours, sha256 and blake2s.

`auth N` names the key that signs and stands above the line that defines it; every key verifies. The file is secret:
one that others have access to is refused, whatever is in it. No text shows a word of it: any may be a misplaced key.
"""

from __future__ import annotations

import os

from heartbeat.config.hacf import split
from heartbeat.config.values import BLANKS, integer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from heartbeat.config.problems import Problems

METHODS = ("crc", "md5", "sha1", "sha256", "blake2s")
INDEX_MAX = 15

WEAK = {
    "crc": "proves nothing about the sender: whoever can send to this node is believed",
    "md5": "is weak, and messages signed with any key of this file are believed",
}

READABLE, ACCESSIBLE = 0o044, 0o077


def check_access(status: os.stat_result, problems: Problems, *, lenient: bool) -> list[str]:
    """Refuse a file that anybody but root and the daemon's own user can read, change or replace by its mode.

    status: of the descriptor that the keys were read from, so that nobody can exchange the file in between. A symbolic
    link is followed: what counts is the file that was opened. (An ACL shows as group bits.) lenient: warn instead
    (`authkeys_permissions warn`); then the texts are returned as well.
    """
    texts = []
    mode, path = status.st_mode & 0o7777, problems.path
    if mode & READABLE:
        texts.append(f"others can read the keys (mode {mode:o}): chmod 600 {path}, then write new keys on both nodes")
    elif mode & ACCESSIBLE:
        texts.append(f"others have access to the keys (mode {mode:o}): chmod 600 {path}")
    if status.st_uid not in (0, os.geteuid()):
        texts.append(f"belongs to user {status.st_uid}, who can read and change the keys: chown root {path}")
    for text in texts:
        if lenient:
            problems.warning(1, text)
        else:
            problems.error(1, f"{text}; `authkeys_permissions warn` in ha.cf starts all the same")
    return [f"{path}: {text}" for text in texts] if lenient else []


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
        self.keys[index] = (method, key[0].encode("latin-1") if key else b"")
        self.lines[index] = number
        if index == self._named:
            self.outbound = index

    def exposed(self) -> list[str]:
        """Keys that undo the protection of a better one beside them, for the status."""
        if self.outbound < 0 or self.keys[self.outbound][0] == "crc":
            return []  # no protection was meant
        return [
            f"{self.problems.path}: key {index} is crc, a checksum: messages with it are believed, whoever sends them,"
            " and the other keys protect nothing"
            for index, (method, _) in sorted(self.keys.items())
            if method == "crc"
        ]

    def _warn_of_weak_keys(self) -> None:
        outbound = self.keys[self.outbound][0] if self.outbound >= 0 else "crc"
        for index, (method, _) in self.keys.items():
            if method not in WEAK:
                continue
            text = f"{method} {WEAK[method]}; use sha1"
            if outbound not in (method, "crc"):
                text = f"left-over key {index}: {method} {WEAK[method]}; take the line out when no node signs with it"
                if method == "crc":
                    text = f"{text}: until then SECURITY IS OFF"
            self.problems.warning(self.lines[index], text)

    def _finish(self) -> None:
        self._warn_of_weak_keys()
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
