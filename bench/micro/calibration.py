"""How fast the machine is at this moment: two loops that are the same on every day and for every version of the
program. Who compares the figures of two days compares these first."""

from __future__ import annotations

import hashlib

from bench.micro.case import Batch, Case

STEPS, DIGESTS = 20_000, 500
OCTETS = bytes(range(256)) * 4


def python_loop() -> Batch:
    def run() -> None:
        total = 0
        for number in range(STEPS):
            total += number ^ (total & 255)
        assert total

    return Batch(run, STEPS)


def hashlib_loop() -> Batch:
    def run() -> None:
        digest = hashlib.sha1(usedforsecurity=False)
        for _ in range(DIGESTS):
            digest.update(OCTETS)
        assert digest.digest()

    return Batch(run, DIGESTS)


def cases() -> list[Case]:
    return [
        Case("calibration", "a step of a loop in Python", python_loop),
        Case("calibration", "sha1 of 1024 octets by hashlib", hashlib_loop),
    ]
