"""What a heartbeat costs the receiver, in instructions, compared with what is kept in bench/instructions.json:

    python -m bench.instructions [NAME]...      counts, and compares; exit code 1 where one is above what is kept. Where
                                                none is named: the record, and the page
    python -m bench.instructions --keep         keeps what is counted from now on
    python -m bench.instructions --functions    says too which files and functions execute them

    heard       a status that repeats the last, as the daemon takes it: decoded or not, verified and handled
    whole       a status that is decoded, verified and handled
    original    the same, sent by the original
    decode      of a recorded status, its signature not looked at; and the original's own C library with the same
                octets, calls included: that one is not kept, and shows how the two compare where clocks are of no use

Counts depend on the machine's kind and on the Python: each combination has its own. Some per cent are another compiler
or library of C; above TOLERANCE somebody has made it dearer. Two runs here differ by less than 1 %.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from bench import callgrind, command, tables
from bench.picture import Picture

TYPE_CHECKING = False
if TYPE_CHECKING:
    from bench.micro.inputs import Form

KEPT = Path(__file__).with_suffix(".json")
TOLERANCE = 0.05
FEW, MORE = 100, 1_000
SHOWN = 25  # functions


# What the counted process imports, it imports itself: the command need not.


def _heard(method: str, form: Form, whole: bool, original: bool = False) -> Callable[[int], int]:
    from bench.micro import core  # noqa: PLC0415

    listener = core.Listener(core.SHA1 if method == "sha1" else core.CRC, form, original=original)
    frames = listener.frames(FEW + FEW + MORE)
    take = listener.decode if whole else listener.hear
    done = 0

    def run(number: int) -> int:
        nonlocal done
        done += number
        return take(frames[done - number : done])

    return run


def _decoded(form: Form, plumb: bool) -> Callable[[int], int]:
    from bench.micro import codec  # noqa: PLC0415

    decode = (codec.decode_plumb if plumb else codec.decode)(form, FEW).run

    def run(number: int) -> int:
        for _ in range(number // FEW):
            decode()
        return number

    return run


# name → what makes a function that does so many, and says how many it has done
COUNTED: dict[str, Callable[[], Callable[[int], int]]] = {
    "heard netstring sha1": partial(_heard, "sha1", "netstring", whole=False),
    "heard classic crc": partial(_heard, "crc", "classic", whole=False),
    "whole netstring sha1": partial(_heard, "sha1", "netstring", whole=True),
    "whole classic crc": partial(_heard, "crc", "classic", whole=True),
    "original netstring sha1": partial(_heard, "sha1", "netstring", whole=True, original=True),
    "decode classic": partial(_decoded, "classic", plumb=False),
    "decode classic: libplumb2": partial(_decoded, "classic", plumb=True),
    "decode netstring": partial(_decoded, "netstring", plumb=False),
    "decode netstring: libplumb2": partial(_decoded, "netstring", plumb=True),
}


def run(name: str) -> None:
    """In the counted process."""
    import gc  # noqa: PLC0415

    work = COUNTED[name]()
    # as in a daemon that has started
    gc.collect()
    gc.freeze()
    callgrind.stretches(work, FEW, MORE)


def here() -> str:
    version = platform.python_version_tuple()
    return f"{platform.python_implementation()} {version[0]}.{version[1]} {platform.machine()}"


def read_kept() -> dict[str, dict[str, int]]:
    """Python and machine → name → instructions."""
    found: dict[str, dict[str, int]] = json.loads(KEPT.read_text(encoding="utf-8")) if KEPT.exists() else {}
    return found


def compare(kept: Mapping[str, float], counted: Mapping[str, float]) -> list[str]:
    """What is dearer than it was, a line each."""
    return [
        f"{name}: {counted[name]:,.0f} instructions, {counted[name] / kept[name] - 1:+.1%} of what is kept"
        for name in counted
        if name in kept and counted[name] > kept[name] * (1 + TOLERANCE)
    ]


def rival(name: str) -> bool:
    return ":" in name


def row(name: str, counted: float, kept: float | None) -> str:
    beside = "" if kept is None else f"{kept:>12,.0f}{counted / kept - 1:>+9.1%}"
    return f"{name:32}{counted:>12,.0f}{beside}"


def detail(found: callgrind.Counts) -> str:
    """By file, then by function; who has built without symbols sees addresses."""
    lines = [f"    {cost:>10,.0f}  {Path(file).name}" for file, cost in found.files().items() if cost >= 1]
    lines += [f"    {cost:>10,.0f}  {Path(file).name}: {function}" for cost, file, function in found.most(SHOWN)]
    return "\n".join(lines)


def record(counted: Mapping[str, float], kept: Mapping[str, float], missing: Mapping[str, str]) -> dict[str, Any]:
    limits = {name: kept[name] * (1 + TOLERANCE) for name in counted if name in kept}
    return {
        "kind": here(),
        "bars": [
            {"bar": name, "value": round(counted[name]), "limit": round(limit), "unit": "instructions",
             "verdict": tables.OK if counted[name] <= limit else tables.MISSED, "note": f"kept: {kept[name]:,.0f}"}
            for name, limit in limits.items()
        ],
        "counted": {name: round(each) for name, each in counted.items()},
        "missing": dict(missing),
    }  # fmt: skip


def tables_of(record: Mapping[str, Any]) -> list[str]:
    rows = [[name, f"{each:,.0f}"] for name, each in record["counted"].items()]
    lines = [f"By callgrind, for one operation; {record['kind']}. What each is: bench/instructions.py."]
    return [*lines, "", *tables.table(("", "instructions"), rows)]


def pictures(record: Mapping[str, Any]) -> list[Picture]:
    return []


def quoted(record: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, str]]]:
    counted = record["counted"]
    names = {column: name for column, name in (("ours", "decode classic"), ("heartbeat", "decode classic: libplumb2"))
             if name in counted}  # fmt: skip
    yield "a status decoded, classic: instructions", {column: f"{counted[name]:,}" for column, name in names.items()}
    yield "a heartbeat heard, netstring and sha1: instructions", {"ours": f"{counted['heard netstring sha1']:,}"}


def main() -> int:
    options = arguments()
    if options.run:
        run(*options.names)
        return 0
    playing = command.Run("instructions")
    everything = read_kept()
    kept = everything.get(here(), {})
    counted, missing = count_all(options.names or list(COUNTED), kept, functions=options.functions)
    ours = {name: round(each) for name, each in counted.items() if not rival(name)}
    failed = {name for name in missing if not rival(name)}
    if options.keep and not failed:
        kept = everything[here()] = {**kept, **ours}
        KEPT.write_text(json.dumps(everything, indent=1, sort_keys=True) + "\n", encoding="utf-8")
        print(f"written: {KEPT}")
    path = command.target("instructions", quick=False, part=bool(options.names or failed), given=options.json)
    if path is not None:
        command.write(path, playing.about(quick=False) | record(counted, kept, missing))
    if unknown := [name for name in ours if name not in kept]:
        print(f"not kept for {here()}: {', '.join(unknown)}; --keep keeps it")
    dearer = compare(kept, counted)
    print("\n".join(dearer) if dearer else f"nothing is dearer by more than {TOLERANCE:.0%}")
    return 1 if dearer or failed else 0


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.instructions", description=__doc__.partition("\n")[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(COUNTED)}; all if none is given")
    parser.add_argument("--keep", action="store_true", help=f"write {KEPT.name}")
    parser.add_argument("--functions", action="store_true", help="say where they are spent")
    parser.add_argument("--run", action="store_true", help="what is counted, of one name")
    command.add_json(parser, "instructions")
    options = parser.parse_args()
    if unknown := set(options.names) - set(COUNTED):
        parser.error(f"no such name: {', '.join(unknown)}")
    return options


def count_all(
    names: Sequence[str], kept: Mapping[str, float], *, functions: bool
) -> tuple[dict[str, float], dict[str, str]]:
    """(what was counted, why the others were not)."""
    counted: dict[str, float] = {}
    missing: dict[str, str] = {}
    print(f"{here():32}{'counted':>12}{'kept':>12}")
    for name in names:
        try:
            found = callgrind.count("bench.instructions", "--run", name, more=MORE)
        except callgrind.CallgrindError as error:
            missing[name] = str(error)
            print(f"{name}: {error}", file=sys.stderr)
            # the rival may be missing; what is ours must be counted
            if rival(name):
                continue
            break
        counted[name] = found.total
        print(row(name, found.total, kept.get(name)), flush=True)
        if functions:
            print(detail(found))
    return counted, missing


if __name__ == "__main__":
    sys.exit(main())
