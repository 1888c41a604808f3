"""docs/migrating.md, typed as it stands there, at a pair of originals that becomes one of ours, and of originals again.

A client asks each group's address every millisecond throughout. What is judged: the kernels, who answers by ARP, and
what became of the client's probes. What the daemons say is only compared with what the page says that they say.
"""

import itertools
from dataclasses import dataclass
from statistics import median

import pytest
from interop.migration import PAGE, Block, Operator, Typed, blocks
from interop.pair import playing
from interop.setting import INITDEAD_S, LONG, NODES, Setting
from system.play import until

from heartbeat.demo.clock import MILLISECOND, SECOND, now_ns
from heartbeat.demo.world import JULIUS_AND_CAESAR

OTHER = dict(zip(NODES, reversed(NODES), strict=True))
IN_LONG = pytest.mark.skipif(not LONG, reason="with HEARTBEAT_TEST_LONG=1")
# Both start, hear each other, and wait ten seconds; then addresses are set by scripts.
BOOT_S = 3.0 * INITDEAD_S
# Of some hundred thousand probes, what the machine itself may lose. A take-over that nobody asked for costs hundreds,
# a holder that dies its death time: four thousand.
STRAY = 10
# So long a probe may be under way: it waits where the address is being resolved.
LATEST_NS = SECOND


@dataclass
class Passage:
    """One block of the page, done. programs: what the nodes ran at its end; lost: probes of the address that lost most;
    gap_ms: of any address, the longest time without a probe that was answered; both_ms: in which both kernels had it,
    or both answered for it."""

    block: Block
    programs: tuple[str, str]
    since_ns: int
    until_ns: int
    lost: int = 0
    gap_ms: float = 0.0
    both_ms: float = 0.0

    @property
    def way(self) -> tuple[str, str]:
        """The programs of the node that gives and of the one that takes."""
        giver = self.block.giver
        return tuple(self.programs[NODES.index(name)] for name in (giver, OTHER[giver]))

    def measure(self, tracks):
        for track in tracks:
            self.lost = max(self.lost, len(track.lost(self.since_ns, self.until_ns)))
            answered = [probe.sent_ns for probe in track.between(self.since_ns, self.until_ns) if probe.arrived_ns]
            gaps = [after - before for before, after in itertools.pairwise(answered)]
            self.gap_ms = max(self.gap_ms, max(gaps, default=0) / MILLISECOND)

    def count_holders(self, pair):
        span = self.since_ns, self.until_ns
        self.both_ms = max([pair.answers.two_ms(*span), *(each.ms for each in pair.kernels.both(*span))])

    def __str__(self):
        return f"{self.lost:6d} {self.gap_ms:8.0f}  {' → '.join(self.way):20}  {self.block.heading}"


@pytest.mark.parametrize(
    "setting",
    [
        Setting(media=("serial", "ucast"), groups=1),
        pytest.param(Setting(media=("serial", "ucast"), groups=2), marks=IN_LONG),
    ],
    ids=str,
)
def test_a_pair_becomes_ours_and_goes_back_as_the_page_says(originals, setting, capsys):
    with playing(setting) as pair:
        passages, tracks = migrate(pair, setting)
        begin_ns, end_ns = passages[0].since_ns, passages[-1].until_ns
        for passage in passages:
            passage.measure(tracks)
            passage.count_holders(pair)
        sent = len(tracks[0].between(begin_ns, end_ns))
    moves = [passage for passage in passages if passage.block.giver]
    strays = [passage for passage in passages if passage.lost and passage not in moves]
    stray = sum(passage.lost for passage in strays)
    between_originals = [move.lost for move in moves if move.way == ("original", "original")]
    onto_ours = [move.lost for move in moves if move.way[1] == "ours"]
    ratio = median(onto_ours) / median(between_originals)
    with capsys.disabled():
        print(f"\n{setting}, {(end_ns - begin_ns) / SECOND:.0f} s\n  lost  gap, ms  planned move", *moves, sep="\n")
        print(
            f"median lost: onto ours {median(onto_ours):g}, between originals {median(between_originals):g}, "
            f"ratio {ratio:.3f}; outside of moves {stray} of {sent}"
        )
    assert [passage for passage in passages if passage.both_ms > setting.hand_over_ms(passage.programs)] == []
    assert stray <= STRAY, "\n".join(f"{passage.lost} in {passage.block}" for passage in strays)
    # each of the five pairs that the page leads through
    stages = [programs for programs, _ in itertools.groupby(passages, key=lambda passage: passage.programs)]
    original, ours = "original", "ours"
    assert stages == [(original, original), (original, ours), (ours, ours), (ours, original), (original, original)]
    assert len(between_originals) >= 2
    assert len(onto_ours) >= 2
    assert ratio < 1


def migrate(pair, setting):
    """All blocks, one after the other. TroubleError: the page says it otherwise."""
    operator = Operator(pair)
    client = pair.world.client(JULIUS_AND_CAESAR)
    pings = [pair.world.ping(client, lan) for lan, _ in setting.addresses]
    pair.do(f"start {' '.join(NODES)}")
    at_home = "jc"[: setting.groups]
    until(lambda: pair.state() == at_home and pair.done(), BOOT_S, "a pair of originals that has its groups")
    until(lambda: all(ping.track.latest_arrival() for ping in pings), BOOT_S, "an answer")
    passages: list[Passage] = []
    since_ns = now_ns()
    for block in blocks(PAGE.read_text()):
        before = holder(pair)
        for typed in block.typed:
            operator.do(typed)
        wanted = OTHER[block.giver] if block.giver else before
        assert holder(pair) == wanted, f"{block.typed[-1]}: by the kernels it is {pair.state()}\n{last_words(pair)}"
        programs = tuple(str(pair.nodes[name].program) for name in NODES)
        passages.append(Passage(block, programs, since_ns, now_ns()))
        since_ns = passages[-1].until_ns
    until(lambda: now_ns() > passages[-1].until_ns + LATEST_NS, 2 * LATEST_NS / SECOND, "the last probe's answer")
    return passages, [ping.track for ping in pings]


def holder(pair):
    """Whose kernel has all addresses; "" where the two share them, or nobody has one."""
    state = pair.state()
    return next((name for name in NODES if set(state) == {name[0]}), "")


def last_words(pair):
    return "\n".join(f"{name}: {line}" for name, node in pair.nodes.items() for line in node.log().splitlines()[-30:])


# What follows needs no daemon.


def test_nobody_changes_who_holds_something():
    """And who stops starts again, with another program, before anything else is done."""
    serves, stopped = NODES[0], ""
    changes = 0
    for block in blocks(PAGE.read_text()):
        for typed in block.typed:
            words = typed.command.split()
            assert typed.node in NODES
            assert stopped in ("", typed.node)
            if typed.moves:
                assert words[1:] == ["all"]
                assert typed.node == serves
                serves = OTHER[serves]
            elif words[:2] == ["systemctl", "stop"]:
                assert typed.node != serves
                stopped = typed.node
            elif words[:2] == ["systemctl", "start"]:
                assert stopped == typed.node
                stopped = ""
                changes += 1
    assert changes == 2 * len(NODES)
    assert serves == NODES[0]
    assert stopped == ""


def test_each_block_moves_once_at_most_and_looks_at_last():
    found = list(blocks(PAGE.read_text()))
    assert [block.heading for block in found if sum(typed.moves for typed in block.typed) > 1] == []
    assert [block.heading for block in found if block.giver and not block.typed[-1].looks] == []
    numbers = list(dict.fromkeys(block.heading.split(".")[0] for block in found))
    assert numbers == [str(number) for number in range(1, len(numbers) + 1)]


def test_a_page_is_read_as_it_is_typed():
    console = "```console\njulius# a b\ncaesar# cl_status x\nc\n\nd [...] f\n```\n"
    (block,) = blocks(f"# Page\n## 1. One\ntext# no\n{console}```\nx# y\n```\n")
    assert block == Block("1. One", (Typed(5, "julius", "a b"), Typed(6, "caesar", "cl_status x", "c\n\nd [...] f\n")))
    assert not block.typed[0].looks
    assert block.typed[0].matches("")
    assert not block.typed[0].matches("said")
    assert block.typed[1].looks
    assert block.typed[1].matches("c\n\nd e\ne f\n")
    assert not block.typed[1].matches("c\n\nd e\n")
    with pytest.raises(ValueError, match=r"page\.md:2: no NODE# stands above printed"):
        list(blocks("```console\nprinted\n```\n", "page.md"))


def test_the_readme_leads_to_the_page():
    assert f"(docs/{PAGE.name})" in (PAGE.parents[1] / "README.md").read_text()
