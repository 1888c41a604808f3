"""What this node remembers across restarts of its peers, and of itself where it has begun a new generation while it
ran, kept on disk while the node beats: STATE/peers, STATE/hb_generation.

Its rules: the loop meets no disk. A change is written WAIT_NS later, with all that came meanwhile, by a process of its
own (`persist` as a program: written beside, synced, renamed), so a take-over that brought the change is over before
anything is started for it. One such process at a time; nothing is written where nothing changed. A disk that is full or
refuses is tried again, ever more slowly, and said. `close` writes what is left itself: by then nothing beats any more.

    clean ──remember──► waiting ──WAIT_NS──► writing ──written──► clean, or waiting for what changed meanwhile
                            ▲                   └── failed ──► waiting, RETRY_FIRST_NS, then twice as long …

A process rather than a thread: while a thread of ordinary priority holds the interpreter on a busy machine, the
real-time loop would have to wait for it. What the loop pays is the start of the process, half a millisecond with 16
busy processes beside it; the process itself takes 10 ms of a processor. Power that fails within WAIT_NS of a change
loses that change: a peer that runs this program is then asked to prove that it is alive, as always.
"""

from __future__ import annotations

import os
import sys

from heartbeat import persist
from heartbeat.children import Children
from heartbeat.core.actions import WARN

TYPE_CHECKING = False
if TYPE_CHECKING:
    from heartbeat.loop import Loop

WAIT_NS = 50_000_000
RETRY_FIRST_NS, RETRY_MOST_NS = 1_000_000_000, 60_000_000_000
# at the end, for a write that is under way; a disk that takes longer keeps the node from stopping no longer
CLOSE_NS = 2_000_000_000
SLOW_NS = 10_000_000_000


class Memory:
    """One file. MODE: its own; RISK: what follows from a write that fails."""

    MODE = 0o600
    RISK = ""

    def __init__(self, path: str, loop: Loop) -> None:
        self._path = path
        self._loop = loop
        self._children = Children(loop.poller, self._said, self._ended, loop.later)
        self._changed = False  # since what was last given to a writer
        self._due = False  # `_write` will be called
        self._writers = 0  # started so far; the number of the newest
        self._writing = False
        self._failures = 0
        self._reason = ""

    def _content(self) -> bytes:
        raise NotImplementedError

    def _change(self) -> None:
        self._changed = True
        self._later(WAIT_NS)

    def _later(self, delay_ns: int) -> None:
        if not self._due and not self._writing:
            self._due = True
            self._loop.later(delay_ns, self._write)

    def _write(self) -> None:
        self._due = False
        if not self._changed:
            return
        self._changed = False
        self._writing = True
        self._writers += 1
        number = self._writers
        self._reason = ""
        content = self._content().decode()
        argv = [sys.executable, "-I", "-S", persist.__file__, self._path, content, f"{self.MODE:o}"]
        try:
            # detached: it finishes though the daemon is killed
            self._children.spawn(number, os.path.basename(self._path), argv, {}, detached=True)
        except OSError as error:
            self._ended(number, 1, error.strerror or str(error))
            return
        self._loop.later(SLOW_NS, lambda: self._complain_if_slow(number))

    def _complain_if_slow(self, number: int) -> None:
        if self._writing and number == self._writers:
            self._warn(f"{self._path} has been in writing for {SLOW_NS // 1_000_000_000} s: is the disk all right?")

    def _said(self, name: str, line: str) -> None:
        self._reason = line

    def _ended(self, number: int, code: int, detail: str) -> None:
        self._writing = False
        if code == 0:
            if self._failures:
                self._warn(f"{self._path} is written again")
            self._failures = 0
            if self._changed:
                self._later(WAIT_NS)
            return
        self._changed = True
        if self._failures == 0:
            reason = self._reason or detail
            self._warn(f"{self._path} cannot be written ({reason}): after a crash {self.RISK}; it is tried again")
        self._later(min(RETRY_FIRST_NS << min(self._failures, 10), RETRY_MOST_NS))
        self._failures += 1

    def _warn(self, text: str) -> None:
        self._loop.log.write(WARN, text)

    def close(self) -> None:
        """Everything that was remembered is on disk, or it is said why not."""
        deadline = self._loop.now() + CLOSE_NS
        while self._writing and self._loop.now() < deadline:
            self._loop.poller.wait(0.01)
        if self._writing:
            self._warn(f"{self._path}: the disk has not taken it within {CLOSE_NS // 1_000_000_000} s")
        elif self._changed:
            try:
                persist.replace_peers(self._path, self._content(), self.MODE)
            except OSError as error:
                self._warn(f"{self._path} cannot be written: {error.strerror}")
            else:
                self._changed = False
        self._children.close()


class PeerMemory(Memory):
    """read, at the start, before anything is remembered; remember; close, when nothing beats any more."""

    RISK = "old messages of a peer may pass for new"

    def __init__(self, state_dir: str, loop: Loop) -> None:
        super().__init__(f"{state_dir}/{persist.PEERS_FILE}", loop)
        self._state_dir = state_dir
        self._known: dict[str, tuple[int, int]] = {}

    def read(self) -> dict[str, tuple[int, int]]:
        """node → (generation, sequence), empty where nothing is known. May wait for the disk."""
        self._known = persist.read_peers(self._state_dir, warn=self._warn)
        return dict(self._known)

    def remember(self, node: str, generation: int, sequence: int) -> None:
        """Instead of what was known of this node, be it higher or lower."""
        if self._known.get(node) != (generation, sequence):
            self._known[node] = generation, sequence
            self._change()

    def _content(self) -> bytes:
        return persist.peers_content(self._known)


class GenerationMemory(Memory):
    """begin; close, when nothing beats any more."""

    MODE = 0o644  # as the original's
    RISK = "the next run repeats this one's generation, and its peer believes nothing of it"

    def __init__(self, path: str, loop: Loop) -> None:
        super().__init__(path, loop)
        self._generation = 0

    def begin(self, generation: int) -> None:
        """This run goes on in this one."""
        self._generation = generation
        self._change()

    def _content(self) -> bytes:
        return persist.generation_content(self._generation)
