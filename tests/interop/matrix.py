"""Every scenario with every setting that is asked for: prints the raw table as it comes about, and what went wrong; at
the end the worst of each step, over all settings.

several scenarios a boot; a setting's rows come when all of it is played; columns of the table:
    took      s, from the action until the end state had come
    both      ms, the longest time in which both kernels had one address / both answered for one
    none      ms, the same of neither
    says      what each node's own tool said at the end: what it holds / how it sees the other
    links     do both say that the other is active, and that they hear it over every medium?
    loud      lines of ERROR or CRIT in each log
    trouble   what could not be done; also where the command that leads to the scenario's start had to be repeated, or
              the scenario itself (trial.py says when)
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import multiprocessing
import signal
import sys
import time
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

from interop import conversation, hostile, soak
from interop.package import obstacle
from interop.pair import Pair, playing
from interop.program import PROGRAMS
from interop.scenarios import SCENARIOS
from interop.setting import FAILBACKS, MEDIA, METHODS, Setting
from interop.trial import Outcome, Trial

# What else there is to play, each with a table of its own: its module, and what plays one setting of it.
OTHERS: dict[str, tuple[ModuleType, Callable[[Setting], Any]]] = {
    "conversations": (conversation, conversation.converse),
    "hostile": (hostile, hostile.siege),
    "soak": (soak, partial(soak.soak, seconds=soak.LONG_S)),
}
Key = TypeVar("Key", bound=Hashable)
Played = TypeVar("Played")

HEAD = ("began", "pair", "media", "method", "failback", "groups", "scenario", "step", "must", "is", "took, s",
        "both, ms", "none, ms", "says julius, caesar", "links", "loud", "trouble")  # fmt: skip


def cells(made: Outcome) -> list[str]:
    setting = made.setting
    return [
        made.began, f"{setting.julius}+{setting.caesar}", "+".join(setting.media), setting.method, setting.failback,
        str(setting.groups), made.scenario, made.action, made.expected,
        made.got if made.right else f"**{made.got or 'nothing'}**", f"{made.settled_s:.1f}",
        f"{made.both_ms:.0f} / {made.both_answer_ms:.0f}", f"{made.none_ms:.0f} / {made.none_answer_ms:.0f}",
        ", ".join(made.says.values()), made.links, ", ".join(map(str, made.loud.values())),
        "; ".join([*repetitions(made), *made.trouble.splitlines()]),
    ]  # fmt: skip


def repetitions(made: Outcome) -> Iterator[str]:
    if made.repeated:
        yield f"asked {made.repeated + 1} times for the start"
    if made.spoilt:
        yield f"played {made.spoilt + 1} times: an original had lost a message to itself"


def row(texts: list[str] | tuple[str, ...]) -> str:
    return f"| {' | '.join(texts)} |"


WORST = ("scenario", "step", "ends, failback on / off", "played", "right", "took, s", "both, ms", "none, ms")


def worst(outcomes: Sequence[Outcome]) -> list[list[str]]:
    """A row for each step of each scenario."""
    found = []
    for (scenario, action), those in grouped(outcomes, lambda made: (made.scenario, made.action)).items():
        ends = grouped(those, lambda made: "off" if made.setting.failback == "off" else "on")
        seen = [" ".join(sorted({made.got for made in ends.get(each, [])})) or "." for each in ("on", "off")]
        figures = [max(getattr(made, name) for made in those) for name in ("settled_s", "both_ms", "none_ms")]
        counts = [str(len(those)), str(sum(made.right for made in those))]
        found.append([scenario, action, " / ".join(seen), *counts, *(f"{each:,.1f}" for each in figures)])
    return found


def grouped(outcomes: Iterable[Outcome], key: Callable[[Outcome], Key]) -> dict[Key, list[Outcome]]:
    found: dict[Key, list[Outcome]] = {}
    for made in outcomes:
        found.setdefault(key(made), []).append(made)
    return found


def settings(told: argparse.Namespace) -> list[Setting]:
    chosen = itertools.product(told.pairs, told.media, told.methods, told.failbacks, told.groups)
    return [
        Setting(*(PROGRAMS[name] for name in pair.split("+")), tuple(media.split("+")), method, failback, groups)
        for pair, media, method, failback, groups in chosen
    ]


def words(text: str) -> list[str]:
    return text.split(",")


def arguments() -> argparse.Namespace:
    options = argparse.ArgumentParser(prog="interop", description=__doc__.splitlines()[0])
    add = options.add_argument
    pairs = ["original+original"]
    add("--pairs", type=words, default=pairs, help="julius+caesar, each original or ours (original+original)")
    add("--media", type=words, default=["ucast", "serial"], help=f"{', '.join(MEDIA)}, joined by + (ucast,serial)")
    add("--methods", type=words, default=["sha1"], help=f"{', '.join(METHODS)} (sha1)")
    add("--failbacks", type=words, default=["on", "off"], help=f"{', '.join(FAILBACKS)} (on,off)")
    add("--groups", type=lambda text: [int(word) for word in words(text)], default=[1, 2], help="1, 2 (1,2)")
    add("--only", default="", help="scenarios whose name has this word")
    add("--conversations", action="store_true", help="instead: all media and methods, 500 messages each way")
    add("--hostile", action="store_true", help="instead: what a third host says, and a second cluster")
    add("--soak", action="store_true", help="instead: ten minutes on bad lines, for either place of ours")
    add("--jobs", type=int, default=1, help="so many pairs at a time; two processors bear four (1)")
    add("--json", type=Path, help="write the outcomes to this file, too, one object a line")
    add("--logs", type=Path, help="keep the logs of all nodes in this folder")
    return options.parse_args()


@contextlib.contextmanager
def logs_kept(pair: Pair, folder: Path | None) -> Iterator[None]:
    """Under the setting's name, whatever happens meanwhile."""
    try:
        yield
    finally:
        for name, node in pair.nodes.items() if folder else ():
            folder.mkdir(parents=True, exist_ok=True)
            Path(folder, f"{pair.setting} {name}.log".replace(" ", "-")).write_text(node.log())


def main() -> int:
    told = arguments()
    if obstacle():
        print(f"there is no original to play with: {obstacle()}", file=sys.stderr)
        return 2
    end_cleanly()
    for kind, (module, _) in OTHERS.items():
        if getattr(told, kind):
            return others(kind, module.settings(), told.jobs)
    began = time.monotonic()
    outcomes: list[Outcome] = []
    print(row(HEAD), row(["---"] * len(HEAD)), sep="\n", flush=True)
    with told.json.open("w") if told.json else contextlib.nullcontext() as kept:
        for made in itertools.chain.from_iterable(at_a_time(told.jobs, partial(play, told), settings(told))):
            outcomes.append(made)
            print(row(cells(made)), flush=True)
            if not made.right:
                print(made.story(), file=sys.stderr, flush=True)
            if kept:
                kept.write(json.dumps(asdict(made) | {"setting": str(made.setting)}) + "\n")
                kept.flush()
    print("", row(WORST), row(["---"] * len(WORST)), *map(row, worst(outcomes)), sep="\n")
    wrong = [made for made in outcomes if not made.right]
    minutes = (time.monotonic() - began) / 60
    print(f"\n{len(outcomes)} steps in {minutes:.1f} minutes, {len(wrong)} did not end as they must")
    return 1 if wrong else 0


def end_cleanly() -> None:
    """So that whoever ends it leaves nothing behind, either."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))


def at_a_time(jobs: int, play: Callable[[Setting], Played], settings: Sequence[Setting]) -> Iterator[Played]:
    """In the order of the settings. Of several each is played in a process of its own."""
    if jobs == 1:
        yield from map(play, settings)
    else:
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(jobs, context, end_cleanly) as pool:
            yield from pool.map(play, settings)


def play(told: argparse.Namespace, setting: Setting) -> list[Outcome]:
    with playing(setting) as pair, logs_kept(pair, told.logs):
        return list(Trial(pair).play(each for each in SCENARIOS if told.only in each.name))


def others(kind: str, settings: Sequence[Setting], jobs: int) -> int:
    """A row for each of a table that is not the scenarios'."""
    began = time.monotonic()
    module, play = OTHERS[kind]
    print(row(module.HEAD), row(["---"] * len(module.HEAD)), sep="\n", flush=True)
    wrong = 0
    for made in at_a_time(jobs, play, settings):
        print(row(module.cells(made)), flush=True)
        if not made.right:
            wrong += 1
            print(made.story(), file=sys.stderr, flush=True)
    minutes = (time.monotonic() - began) / 60
    print(f"\n{len(settings)} in {minutes:.1f} minutes, {wrong} were not as they must be")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
