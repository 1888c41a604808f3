"""python -m bench.growth [PART]... [--quick] [--json FILE]: the tables; exit code 1 where a cost grows too fast."""

from __future__ import annotations

import sys

from bench import command
from bench.growth import report
from bench.growth.curve import MISSED, Curve

PARTS = ("nodes", "media", "addresses")


def measured(parts: set[str], *, quick: bool) -> tuple[list[Curve], dict[str, str]]:
    """The curves, and why a part has none."""
    found: list[Curve] = []
    missing: dict[str, str] = {}
    if parts & {"nodes", "media"}:
        from bench.growth import inprocess  # noqa: PLC0415

        found += [curve for curve in inprocess.curves(quick=quick) if curve.part in parts]
    if "addresses" in parts:
        from bench.growth import addresses  # noqa: PLC0415  it needs namespaces

        try:
            curves, missing = addresses.curves(quick=quick)
            found += curves
        except OSError as error:
            missing["addresses"] = str(error)
    return found, missing


def main() -> int:
    found = command.options("growth", __doc__, "PART", PARTS, "fewer points and batches")
    run = command.Run("growth")
    curves, missing = measured(set(found.chosen), quick=found.quick)
    record = report.record(curves, run.about(quick=found.quick) | {"missing": missing})
    print(report.terminal(record))
    if found.path is not None:
        command.write(found.path, record)
    return 1 if missing or any(curve.verdict == MISSED for curve in curves) else 0


if __name__ == "__main__":
    sys.exit(main())
