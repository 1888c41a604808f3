"""Nothing that comes from outside makes the core raise, whatever it has been through; and it decides by its input
alone."""

from hypothesis import given, settings
from hypothesis import strategies as st
from pair import CAESAR, JULIUS, World

from _hbfast.codec import Message
from heartbeat.core.events import AgentExited, MediumDown, MediumUp, Request

NUMBERS = st.one_of(
    st.sampled_from(["0", "1", "2", "5", "63", "64", "65", "66", "c8", "ffffffffffffffff", "-1", "zz", "0x5", "1_0"]),
    st.just(""),
    st.integers(0, 300).map(lambda number: f"{number:x}"),
)
NUMBERED = ["status", "shutdone", "ask_resources", "hb_takeover", "reqnodes", "repnodes", "resource", "unknown"]
PROTOCOL = ["NS_ackmsg", "NS_rexmit", "NS_nak_rexmit", "NS_x"]
KINDS = st.sampled_from([*NUMBERED, *PROTOCOL])
VALUES = {
    "t": KINDS,
    "src": st.sampled_from([JULIUS, CAESAR, "nobody", "", "\N{SNOWMAN}"]),
    "dest": st.sampled_from([JULIUS, CAESAR, "nobody"]),
    "seq": NUMBERS,
    "hg": NUMBERS,
    "ts": NUMBERS,
    "dt": NUMBERS,
    "ackseq": NUMBERS,
    "firstseq": NUMBERS,
    "lastseq": NUMBERS,
    "st": st.sampled_from(["init", "up", "active", "dead", "ping", "", "x"]),
    "info": st.sampled_from(["me", "other", "done", "not", ""]),
    "rsc_hold": st.sampled_from(["all", "local", "foreign", "none", ""]),
    "ok": st.sampled_from(["OK", "no"]),
    "groups": st.sampled_from(["", "9yNc", "9yNc AAAA", "  "]),
    "ext": st.sampled_from(
        ["", "1", "1 a b 65 s 9yNch", "1 a b 64 u 9yNc-", "1 a b 0 s 9yNch", "1 a b 65 l", "1 a b 65 s 9yNcx zzzzh"]
    ),
}


UUIDS = st.sampled_from([bytes(16), b"", b"x" * 16, CAESAR.encode().ljust(16, b".")])


@st.composite
def messages(draw) -> Message:
    fields = [("t", 0, draw(KINDS).encode())]
    likely = {"src": CAESAR, "ts": "5f"}
    for name, values in VALUES.items():
        if name != "t" and draw(st.integers(0, 3)):
            text = likely[name] if name in likely and draw(st.integers(0, 5)) else draw(values)
            fields.append((name, 0, text.encode()))
    fields += [(name, 1, draw(UUIDS)) for name in ("srcuuid", "destuuid") if draw(st.booleans())]
    return Message(fields)


STEPS = st.one_of(
    messages(),
    messages(),
    st.sampled_from([0.01, 1.0, 6.0, 31.0]),
    st.builds(AgentExited, st.integers(-1, 6), st.integers(0, 2), st.just("")),
    st.builds(MediumDown, st.sampled_from(["ttyS0", "other"]), st.just("gone")),
    st.builds(MediumUp, st.sampled_from(["ttyS0", "other"])),
    st.builds(
        Request,
        st.integers(1, 9),
        st.sampled_from(["standby", "takeover", "stop", "dance"]),
        st.sampled_from(["all", "local", "foreign", "failback", "", "x"]),
    ),
)


def play(steps) -> list[str]:
    """A pair that lives with all this; what julius said and did."""
    world = World()
    julius = world.boot(JULIUS, generation=100)
    world.boot(CAESAR, generation=101)
    world.run(0.5)
    for step in steps:
        if isinstance(step, float):
            world.run(step)
        else:
            julius.tell(step)
    world.run(40)
    julius.view()
    return [*julius.notes, *map(str, julius.runs), *(str(message.items()) for message in julius.sent)]


@settings(max_examples=100, deadline=None)
@given(st.lists(STEPS, max_size=25))
def test_the_core_takes_everything_and_depends_on_nothing_else(steps):
    assert play(steps) == play(steps)
