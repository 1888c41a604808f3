"""A world whose nodes keep journals, of which nothing is lost: what the tests of journal and replay need."""

from __future__ import annotations

import pair

from heartbeat import __version__, journalfile
from heartbeat.journal import SIZE, Journal
from heartbeat.replay import Replay


class Keeping(Journal):
    """A journal that remembers its buffers beyond their time. kept: what they held. every: it begins the next after so
    many octets of events, where that is less than half."""

    def __init__(self, cluster, *, now, size=SIZE, every=SIZE) -> None:
        self.kept: list[bytes] = []
        self.every = every
        self.buffers = [bytearray(size), bytearray(size)]
        super().__init__(cluster, [memoryview(each) for each in self.buffers], now=now, program=__version__)

    def _begin(self, now) -> None:
        if self._serial:
            self.kept.append(bytes(self._buffer))
        super()._begin(now)
        self._half = min(self._half, self._at + self.every)

    def images(self) -> list[bytes]:
        return [*self.kept, bytes(self._buffer)]

    def lines(self) -> list[dict]:
        """All that was ever recorded."""
        return journalfile.lines(self.images(), reason="test")


class Recorded:
    """In the place of a node's cluster: its handle goes through the journal."""

    def __init__(self, cluster, journal) -> None:
        self.cluster = cluster
        self.journal = journal
        self.handle = journal.tell
        self.deadline = cluster.deadline
        self.view = cluster.view

    def hear(self, decoder, frame, now) -> bool:
        return self.journal.hear(
            next(name for name, each in self.decoders.items() if each is decoder), decoder, frame, now
        )


class World(pair.World):
    """options: of every journal. journals: name → those of all its lives."""

    def __init__(self, **options) -> None:
        super().__init__()
        self.options = options
        self.journals: dict[str, list[Keeping]] = {}

    def boot(self, name, *arguments, **changes):
        made = pair.Cluster

        def cluster(configuration, *, now, **options):
            real = made(configuration, now=now, **options)
            journal = Keeping(real, now=now, **self.options)
            self.journals.setdefault(name, []).append(journal)
            return Recorded(real, journal)

        pair.Cluster = cluster
        try:
            node = super().boot(name, *arguments, **changes)
        finally:
            pair.Cluster = made
        node.cluster.decoders = node.decoders
        return node


def replayed(lines, **options):
    """All steps of a replay."""
    return list(Replay(iter(lines), **options).steps())
