"""Plays scenarios on a pair, several a boot, and tells what came of each step.

A step is over when its end state has come, every daemon that runs says that it has done, and nothing has changed for
QUIET_S; or when patience is at its end: then its own end is whatever there is. A pair that is not where it should be is
switched off, both nodes at once, and booted again for the next scenario.

An original now and then loses a message from one of its own processes to another (FIFO, gaps D17), and never starts
what that was about; two originals do, too. Where its log says so, and a step has not ended as it must, the scenario is
played again, and that is counted.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from interop.pair import LETTERS, Pair, TroubleError
from interop.program import ORIGINAL, OURS
from interop.scenarios import AT_HOME, NICE, OFF, WAYS, Scenario, Step
from interop.setting import INITDEAD_S, NODES, Setting

from heartbeat.demo.clock import SECOND, now_ns

QUIET_S = 2.0
# So long may a boot of both take, and a planned move that nothing is in the way of.
BOOT_S = 2.5 * INITDEAD_S
MOVE_S = 15.0
ATTEMPTS = 3
BOOTS = 2
_LOOK_S = 0.1
_LOG_LINES = 14
# What Heartbeat says when it knows that something is wrong.
_LOUD = ("ERROR", "CRIT")
# What an original says of a message of its own that it could not read. No other node has a part in it.
LOST_TO_ITSELF = ("msg2string: Message with zero fields", "NV failure (msgfromsteam)")


@dataclass
class Outcome:
    """Of one step.

    both, none: ms, the longest time in which both kernels had an address of one group, or neither; the same of answers.
    began: as the logs tell the time; settled_s: from the action to the end state. late_ms: in which nobody asked the
    kernels. says: what the tools said at the end; links: do both say that the other is active, and up on every medium?
    repeated: how often the command that brings the pair to the start had to be given again; spoilt: how often the
    scenario was, because an original had lost a message to itself.
    """

    setting: Setting
    scenario: str
    action: str
    expected: str
    began: str = ""
    got: str = ""
    settled_s: float = 0.0
    both_ms: float = 0.0
    none_ms: float = 0.0
    both_answer_ms: float = 0.0
    none_answer_ms: float = 0.0
    late_ms: float = 0.0
    says: dict[str, str] = field(default_factory=dict)
    loud: dict[str, int] = field(default_factory=dict)
    links: str = ""
    repeated: int = 0
    spoilt: int = 0
    trouble: str = ""
    logs: dict[str, str] = field(default_factory=dict)

    @property
    def right(self) -> bool:
        return not self.trouble and self.got == self.expected

    def story(self) -> str:
        """What one has to know about a step that did not end as it must: where it was, and what both logs said last."""
        lines = [
            f"--- {self.setting}",
            f"    {self.scenario}: {self.action}",
            f"    must end in {self.expected}, has ended in {self.got or 'nothing'}"
            + (f"; {self.trouble}" if self.trouble else ""),
        ]
        for name, program in zip(NODES, self.setting.programs, strict=True):
            lines.append(f"    {name} ({program}) says {self.says.get(name) or 'nothing'}; the end of its log:")
            lines += [f"        {line}" for line in (self.logs.get(name) or "(nothing since the action)").splitlines()]
        return "\n".join(lines)


class Trial:
    """One pair, and where it is."""

    def __init__(self, pair: Pair) -> None:
        self.pair = pair
        self.setting = pair.setting
        self._at: str | None = OFF  # None: nobody knows
        self._repeated = 0
        self._boots_in_vain = 0

    def play(self, scenarios: Iterable[Scenario]) -> Iterator[Outcome]:
        for scenario in scenarios:
            if scenario.suits(self.setting):
                yield from self._scenario(scenario)

    def _scenario(self, scenario: Scenario) -> list[Outcome]:
        """Two holders in a repeated try count, too."""
        tries: list[list[Outcome]] = []
        while len(tries) < ATTEMPTS:
            sizes = self._log_sizes()
            tries.append(list(self._once(scenario)))
            if all(made.right for made in tries[-1]) or not self._lost_to_itself(sizes):
                break
        for those in itertools.zip_longest(*tries):
            if (made := those[-1]) is not None:
                made.spoilt = len(tries) - 1
                made.both_ms = max(each.both_ms for each in those if each)
                made.both_answer_ms = max(each.both_answer_ms for each in those if each)
        return tries[-1]

    def _lost_to_itself(self, sizes: dict[str, int]) -> bool:
        logs = (node.log(sizes[name]) for name, node in self.pair.nodes.items() if node.program == ORIGINAL)
        return any(text in log for log in logs for text in LOST_TO_ITSELF)

    def _once(self, scenario: Scenario) -> Iterator[Outcome]:
        sizes = self._log_sizes()
        trouble = self._arrange(scenario.start)
        for step in scenario.steps:
            outcome = self._step(scenario, step, trouble, sizes if trouble else self._log_sizes())
            yield outcome
            if not outcome.right:
                self._at = None
                return
            self._at = self._end(step)
        if self._at != OFF and not self.pair.both_run():
            self._at = None

    def _arrange(self, start: str) -> str:
        """Bring the pair to where a scenario begins. What was in the way; empty where nothing was."""
        if self._at == start != OFF:
            return ""
        try:
            if (self._at, start) not in WAYS or self.setting.failback not in NICE:
                self.pair.all_off()
                if start == OFF:
                    return ""
                self._boot()
            if self._at != start:
                self._ask_for(start)
        except TroubleError as error:
            self._at = None
            return f"on the way to the start, {self._cut(start)}: {error}"
        return ""

    def _boot(self) -> None:
        """Both at once, until each has its own."""
        if self._boots_in_vain == BOOTS:
            raise TroubleError(f"not tried any more: {BOOTS} boots have not ended as they must")
        self.pair.do(f"start {' '.join(NODES)}")
        got, _ = self._settle(AT_HOME, INITDEAD_S, BOOT_S)
        if got != self._cut(AT_HOME):
            self._boots_in_vain += 1
            raise TroubleError(f"a boot of both has ended in {got}")
        self._boots_in_vain = 0
        self._at = AT_HOME

    def _ask_for(self, start: str) -> None:
        """As an operator does, several times: an original that is busy with itself drops a request."""
        for self._repeated in range(ATTEMPTS):
            self.pair.do(WAYS[self._at, start])
            got, _ = self._settle(start, 0, MOVE_S)
            if got == self._cut(start):
                self._at = start
                return
        raise TroubleError(f"{WAYS[self._at, start]}, {ATTEMPTS} times, has ended in {got}")

    def _end(self, step: Step) -> str:
        originals = [LETTERS[name] for name, node in self.pair.nodes.items() if node.program == ORIGINAL]
        original = originals[0] if len(originals) == 1 else ""
        return step.end(self.setting.failback, ours=self._ours(step), original=original)

    def _ours(self, step: Step) -> bool:
        return step.node in NODES and self.pair.nodes[step.node].program == OURS

    def _log_sizes(self) -> dict[str, int]:
        return {name: node.log_size() for name, node in self.pair.nodes.items()}

    def _step(self, scenario: Scenario, step: Step, trouble: str, sizes: dict[str, int]) -> Outcome:
        pair = self.pair
        ours = self._ours(step)
        expected = self._cut(self._end(step))
        made = Outcome(self.setting, scenario.name, step.action, expected, time.strftime("%H:%M:%S"), trouble=trouble)
        made.repeated, self._repeated = self._repeated, 0
        start_ns = now_ns()
        if not trouble:
            try:
                pair.do(step.action)
            except TroubleError as error:
                made.trouble = str(error)
            # what ours leaves behind in a kernel is silent, and then answers decide
            state = pair.answering if ours and step.ours else pair.state
            least_s = 0 if made.trouble else step.least_s
            made.got, made.settled_s = self._settle(expected, least_s, step.patience_s, state, start_ns)
        self._measure(made, start_ns, now_ns())
        made.says = pair.say()
        if pair.both_run():
            made.links = "up" if pair.links_up() else "not up"
        for name, node in pair.nodes.items():
            lines = node.log(sizes[name]).splitlines()
            made.loud[name] = sum(any(word in line for word in _LOUD) for line in lines)
            if not made.right:
                lines += node.output_path.read_text(errors="replace").splitlines()[-3:] if not lines else []
                made.logs[name] = "\n".join(lines[-_LOG_LINES:])
        return made

    def _measure(self, made: Outcome, since_ns: int, until_ns: int) -> None:
        kernels, answers = self.pair.kernels, self.pair.answers
        made.both_ms = max((each.ms for each in kernels.both(since_ns, until_ns)), default=0.0)
        made.none_ms = max((each.ms for each in kernels.none(since_ns, until_ns)), default=0.0)
        made.both_answer_ms = answers.two_ms(since_ns, until_ns)
        made.none_answer_ms = answers.none_ms(since_ns, until_ns)
        made.late_ms = kernels.late_ms(since_ns)

    def _settle(
        self,
        expected: str,
        least_s: float,
        patience_s: float,
        state: Callable[[], str] | None = None,
        since_ns: int | None = None,
    ) -> tuple[str, float]:
        """The state at the end, and how many seconds after `since_ns` it began to be the expected one."""
        expected = self._cut(expected)
        state = state or self.pair.state
        since_ns = since_ns or now_ns()
        right_since_ns: int | None = None
        while True:
            got = state()
            passed_s = (now_ns() - since_ns) / SECOND
            if got != expected:
                right_since_ns = None
            elif right_since_ns is None:
                right_since_ns = now_ns()
            elif now_ns() - right_since_ns > QUIET_S * SECOND and passed_s > least_s and self.pair.done():
                return got, (right_since_ns - since_ns) / SECOND
            if passed_s > least_s + patience_s:
                return got, passed_s
            time.sleep(_LOOK_S)

    def _cut(self, state: str) -> str:
        """With one group there is one letter."""
        return state[: self.setting.groups]
