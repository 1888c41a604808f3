"""All cases, by part."""

from __future__ import annotations

from bench.micro import auth, calibration, codec, core, simulator, wheel
from bench.micro.case import Case

PARTS = {
    "calibration": calibration.cases,
    "codec": codec.cases,
    "auth": auth.cases,
    "wheel": wheel.cases,
    "core": core.cases,
    "simulator": simulator.cases,
}


def cases() -> list[Case]:
    return [case for each in PARTS.values() for case in each()]
