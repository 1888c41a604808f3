"""Whatever is lost, late, asked or dead: two have a group only while one of them cedes it, for no longer than was
agreed, and in the end one has it."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from pair import CAESAR, JULIUS, SEED_GROUP, World

from heartbeat.core.settings import MILLISECOND, SECOND, Group, Resource

OTHER = Group("IPaddr::10.0.0.253", CAESAR, [Resource("IPaddr::10.0.0.253", "IPaddr", ["10.0.0.253"])])
OPTIONS = {
    "overlapping": ("IPaddr",), "groups": (SEED_GROUP, OTHER), "keepalive_ns": SECOND, "deadtime_ns": 5 * SECOND,
    "warntime_ns": 3 * SECOND, "initdead_ns": 10 * SECOND,
}  # fmt: skip
names = st.sampled_from((JULIUS, CAESAR))
# what an operator asks, or what befalls a node; and what passes until then, from a part of a message's way to a second
steps = st.lists(
    st.tuples(
        st.sampled_from(("standby", "takeover", "standby", "takeover", "restart", "hang", "fail")), names,
        st.sampled_from((0, 1, 2, 3, 5, 8, 20, 100, 240, 300, 1000)),
    ),
    min_size=1, max_size=8,
)  # fmt: skip
lost = st.lists(st.booleans(), max_size=30)


class Watched(World):
    """Looks after each step of time."""

    def __init__(self, delay_ns: int) -> None:
        super().__init__(delay_ns)
        self.since: dict[tuple[str, str], int] = {}

    def watch(self, milliseconds: int) -> None:
        for _ in range(milliseconds):
            self.run(0.001)
            self.look()

    def look(self) -> None:
        held = {name: {*node.holding, *node.ceding} for name, node in self.nodes.items()}
        ceding = {(name, key) for name, node in self.nodes.items() for key in node.ceding}
        both = held.get(JULIUS, set()) & held.get(CAESAR, set())
        assert both <= {key for _, key in ceding}, f"{both} on both, {ceding or 'nothing'} is ceded"
        self.since = {each: self.since.get(each, self.now) for each in ceding}
        for (name, key), since in self.since.items():
            assert self.now - since <= self.nodes[name].settings.overlap_ns + MILLISECOND, f"{name} cedes {key} still"


@settings(deadline=None)
@given(steps, lost, st.sampled_from((1, 3, 30)))
def test_two_have_it_only_while_one_cedes_it(plan, losses, delay_ms):
    world = Watched(delay_ms * MILLISECOND)
    for name in (JULIUS, CAESAR):
        world.boot(name, **OPTIONS)
    world.run(8)
    to_come = iter(losses)
    world.drop = lambda sender, message, medium: message.type == "ask_resources" and next(to_come, False)
    for what, name, milliseconds in plan:
        node = world.nodes[name]
        if what == "restart":
            world.kill(name)
            world.boot(name, **OPTIONS)
        elif what == "hang":
            node.hanging = {("start", "IPaddr::1.1.1.254")}
        elif what == "fail":
            node.failing = {("start", "IPaddr::10.0.0.253")}
        else:
            world.ask_later(node, what)
        world.look()
        world.watch(milliseconds)
    for node in world.nodes.values():
        node.failing = node.hanging = set()
    world.watch(400)
    world.run(150)
    world.look()
    held = [key for node in world.nodes.values() for key in node.holding]
    assert sorted(held) == sorted((SEED_GROUP.key, OTHER.key))
