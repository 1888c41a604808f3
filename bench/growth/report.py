"""The curves as a record, and what is made of it: a table and a picture for each part."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from bench import tables
from bench.growth import picture
from bench.growth.curve import Curve
from bench.picture import Picture

Record = Mapping[str, Any]


def record(curves: Sequence[Curve], about: Mapping[str, Any]) -> dict[str, Any]:
    return {
        **about,
        "bars": [_bar(curve) for curve in curves if curve.at_most is not None],
        "curves": [
            curve._asdict() | {"exponent": round(curve.exponent, 3), "upper": round(curve.upper, 3),
                               "verdict": curve.verdict}
            for curve in curves
        ],
    }  # fmt: skip


def _bar(curve: Curve) -> dict[str, Any]:
    return {
        "bar": f"exponent of {curve.name}, {curve.size}", "value": round(max(curve.exponent, curve.upper), 3),
        "limit": curve.at_most, "unit": "", "verdict": curve.verdict,
        "note": f"{curve.exponent:.2f} of the whole curve, {curve.upper:.2f} of its upper half",
    }  # fmt: skip


def parts(record: Record) -> Iterator[tuple[str, list[Record]]]:
    for part in dict.fromkeys(curve["part"] for curve in record["curves"]):
        yield part, [curve for curve in record["curves"] if curve["part"] == part]


def grid(curves: Sequence[Record]) -> tuple[list[str], list[list[str]]]:
    """Head and rows of a part's table."""
    first = curves[0]
    head = [first["size"], *(str(size) for size, _ in first["points"]), "exponent", "of the upper half"]
    rows = []
    for curve in curves:
        costs = [tables.number(cost) for _, cost in curve["points"]]
        # a curve may end early
        costs += [""] * (len(first["points"]) - len(costs))
        rows.append([f"{curve['name']}, {curve['unit']}", *costs, f"{curve['exponent']:.2f}", f"{curve['upper']:.2f}"])
    return head, rows


def terminal(record: Record) -> str:
    return "\n\n".join([*(tables.aligned(*grid(curves)) for _, curves in parts(record)),
                        *(f"{part}: not measured, {why}" for part, why in record["missing"].items()),
                        tables.bar_lines(record["bars"])])  # fmt: skip


def tables_of(record: Record) -> list[str]:
    lines = ["An exponent of 1 is linear."]
    for _, curves in parts(record):
        lines += ["", *tables.table(*grid(curves))]
    return lines


def pictures(record: Record) -> list[Picture]:
    return [
        Picture(part.replace(",", "").replace(" ", "-"), f"cost over {part}", partial(picture.draw, curves))
        for part, curves in parts(record)
    ]


def quoted(record: Record) -> Iterator[tuple[str, dict[str, str]]]:
    for bar in record["bars"]:
        yield f"{bar['bar']} (1 is linear)", {"ours": f"{bar['value']:.2f}"}
