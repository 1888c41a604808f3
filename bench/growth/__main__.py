"""python -m bench.growth [PART]... [--quick] [--json FILE]: the tables; exit code 1 where a cost grows too fast."""

from __future__ import annotations

import sys
import time
from typing import Any

from bench import command
from bench.growth import picture
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


def markdown(about: dict[str, Any], curves: list[Curve]) -> str:
    """A section of a page."""
    lines = [
        "## Growth", "",
        f"`{about['command']}`, {about['when']}, {about['machine']}, Python {about['python']}; load {about['load']}.",
        "", "An exponent of 1 is linear. In the brackets: of the upper half of the curve.", "",
    ]  # fmt: skip
    for part in dict.fromkeys(curve.part for curve in curves):
        of_part = [curve for curve in curves if curve.part == part]
        sizes = [str(size) for size, _ in of_part[0].points]
        lines.append(f"| {' | '.join([of_part[0].size, *sizes, 'exponent', 'at most', 'verdict'])} |")
        lines.append(f"|{'---|' * (len(sizes) + 4)}")
        for curve in of_part:
            cells = [f"{curve.name}, {curve.unit}", *(f"{cost:.4g}" for _, cost in curve.points)]
            at_most = "-" if curve.at_most is None else f"{curve.at_most:g}"
            cells += [f"{curve.exponent:.2f} ({curve.upper:.2f})", at_most, curve.verdict]
            lines.append(f"| {' | '.join(cells)} |")
        lines += ["", f"![{part}](growth-{name_of(part)}.svg)", ""]
    lines += [f"* {part}: not measured, {why}" for part, why in about["missing"].items()]
    return "\n".join(lines) + "\n"


def name_of(part: str) -> str:
    """For a file."""
    return part.replace(",", "").replace(" ", "-")


def record(curves: list[Curve]) -> list[dict[str, Any]]:
    return [
        curve._asdict() | {"exponent": round(curve.exponent, 3), "upper": round(curve.upper, 3),
                           "verdict": curve.verdict}
        for curve in curves
    ]  # fmt: skip


def main() -> int:
    found = command.options("growth", __doc__, "PART", PARTS, "fewer points and batches")
    began_s = time.time()
    curves, missing = measured(set(found.chosen), quick=found.quick)
    about = command.about("growth", began_s) | {"missing": missing}
    page = markdown(about, curves)
    print(page)
    if found.path is not None:
        command.write(found.path, about | {"curves": record(curves)}, page)
        try:
            for part in dict.fromkeys(curve.part for curve in curves):
                shown = [curve for curve in curves if curve.part == part]
                picture.draw(shown, found.path.with_name(f"{found.path.stem}-{name_of(part)}.svg"))
        except ImportError:
            print("no pictures: matplotlib is missing (pip install matplotlib)", file=sys.stderr)
    return 1 if missing or any(curve.verdict == MISSED for curve in curves) else 0


if __name__ == "__main__":
    sys.exit(main())
