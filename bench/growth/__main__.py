"""python -m bench.growth [PART]... [--quick] [--json FILE]: the tables; exit code 1 where a cost grows too fast."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from pathlib import Path
from typing import Any

from bench.growth import ROOT, picture
from bench.growth.curve import MISSED, Curve

PARTS = ("nodes", "media", "addresses")
RESULT = ROOT / "bench" / "results" / "growth.json"


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
        lines += ["", f"![{part}](results/growth-{name_of(part)}.svg)", ""]
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
    parser = argparse.ArgumentParser(prog="python -m bench.growth", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}; all if none is named")
    parser.add_argument("--quick", action="store_true", help="fewer points and batches")
    parser.add_argument("--json", type=Path, metavar="FILE", help=f"instead of {RESULT.relative_to(ROOT)}")
    options = parser.parse_args()
    unknown = set(options.parts) - set(PARTS)
    if unknown:
        parser.error(f"no such part: {', '.join(unknown)}")
    began = time.time()
    curves, missing = measured(set(options.parts or PARTS), quick=options.quick)
    about = {
        "command": " ".join(["sh scripts/bench growth", *sys.argv[1:]]),
        "when": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(began)),
        "took_s": round(time.time() - began),
        "python": platform.python_version(),
        "machine": f"{platform.machine()}, {os.cpu_count()} processors, Linux {platform.release()}",
        "load": [round(each, 1) for each in os.getloadavg()],
        "missing": missing,
    }
    text = markdown(about, curves)
    print(text)
    path = options.json or (None if options.parts else RESULT)
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        whole = json.dumps(about | {"curves": record(curves)}, indent=1, ensure_ascii=False)
        path.write_text(f"{whole}\n", encoding="utf-8")
        path.with_suffix(".md").write_text(text, encoding="utf-8")
        try:
            for part in dict.fromkeys(curve.part for curve in curves):
                shown = [curve for curve in curves if curve.part == part]
                picture.draw(shown, path.with_name(f"{path.stem}-{name_of(part)}.svg"))
        except ImportError:
            print("no pictures: matplotlib is missing (pip install matplotlib)", file=sys.stderr)
        print(f"written: {path}, and beside it the page and the pictures")
    return 1 if missing or any(curve.verdict == MISSED for curve in curves) else 0


if __name__ == "__main__":
    sys.exit(main())
