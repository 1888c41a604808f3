"""The stages that faults are played on, each made when it is first needed."""

from __future__ import annotations

import contextlib

from system.faults_groups import MAKERS
from system.stage import Stage


class Stages:
    """closing: ends them. One at a time: what does not play would only use the processors."""

    def __init__(self, closing: contextlib.ExitStack) -> None:
        self._closing = closing
        self._name = ""
        self._stage: Stage | None = None

    def get(self, name: str) -> Stage:
        if name != self._name or self._stage is None:
            self.drop()
            self._stage = self._closing.enter_context(MAKERS[name]())
            self._name = name
        return self._stage

    def drop(self) -> None:
        """After trouble, too: the next one begins anew."""
        self._stage = None
        self._closing.close()
