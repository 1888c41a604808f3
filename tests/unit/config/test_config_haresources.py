"""haresources: the original's grammar (protocol/config.md §5), and quotes and brackets of ours."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from heartbeat.config.haresources import GROUPS_MAX
from heartbeat.config.words import WordError, doubts, is_ip_shorthand, resource, scan
from heartbeat.core.bulletin import GROUPS_LIMIT
from heartbeat.core.settings import SECOND

if TYPE_CHECKING:
    from conftest import Files


def groups(files: Files) -> list[tuple[str, str, list[str]]]:
    return [(group.key, group.preferred, [r.word for r in group.resources]) for group in files.load().groups]


# ---- lines


def test_a_line_is_a_group(files: Files) -> None:
    files.haresources = "julius  a\tb \t c \n\n# none\n   CAESAR d # e\njulius f"
    assert groups(files) == [("a", "julius", ["a", "b", "c"]), ("d", "caesar", ["d"]), ("f", "julius", ["f"])]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("julius a \\\n b \\\n c\n", ["a", "b", "c"]),
        ("julius a\\\nb c\n", ["ab", "c"]),
        ("julius a \\ # no\n", ["a", "\\"]),  # a blank stands behind the backslash, which stays a word
        ("julius a \\#\n b\n", None),  # cut before the comment: the backslash is last, and the line goes on
        ("julius a\n# none \\\ncaesar b\n", ["a"]),
        ("julius a \\\n", ["a"]),
        ("julius \\\n\ncaesar b", []),
        ("\\\njulius a", ["a"]),
        ("julius a#b c \\\n", ["a"]),
    ],
)
def test_continuation(files: Files, text: str, words: list[str] | None) -> None:
    files.haresources = text
    if words is None:
        assert groups(files)[0][2] == ["a", "b"]
    else:
        found = [group for group in groups(files) if group[1] == "julius"]
        assert (found[0][2] if found else []) == words


def test_continued_lines_are_numbered_by_their_first(files: Files) -> None:
    files.haresources = "# one\njulius a \\\n b\nbrutus \\\n c\n\nBRUTUS d"
    assert files.errors() == [
        f"haresources:{line}: 'brutus' is no node of ha.cf; a line begins with one of julius, caesar, then resources"
        for line in (4, 7)
    ]


def test_carriage_returns(files: Files) -> None:
    files.haresources = "julius a \\\r\n b\r\n"
    config = files.load()
    assert [r.word for r in config.groups[0].resources] == ["a", "b"]
    assert len(config.warnings) == 2


def test_unknown_nodes_are_not_reported_where_ha_cf_has_none(files: Files) -> None:
    files.ha_cf = files.ha_cf.replace("node", "#")
    assert [text.split(":")[0] for text in files.errors()] == ["ha.cf"]


def test_keys_are_unique_and_both_lines_are_named(files: Files) -> None:
    files.haresources = "julius a b\ncaesar c\ncaesar a\n"
    (error,) = files.errors()
    assert error.startswith(f"haresources:3: 'a' is also the first resource of {files.directory}/haresources:1; ")


def test_keys_are_compared_exactly(files: Files) -> None:
    files.haresources = "julius 10.0.0.25\njulius 10.0.0.254\njulius 10a0.0.254\njulius A\njulius a\n"
    assert len(files.load().groups) == 5


def test_a_resource_in_two_groups_is_warned_of(files: Files) -> None:
    files.haresources = "julius a 10.0.0.1 Delay::3 MailTo::x\ncaesar IPaddr::10.0.0.1 Delay::3 MailTo::x\n"
    assert files.warnings() == [
        "haresources:2: 'IPaddr::10.0.0.1' is in the group of line 1 as well; when one group stops, the other loses it"
    ]


def test_the_number_of_groups_is_what_a_status_can_name(files: Files) -> None:
    assert GROUPS_MAX == GROUPS_LIMIT
    lines = [f"julius r{number}" for number in range(GROUPS_MAX + 1)]
    files.haresources = "\n".join(lines[:-1])
    assert len(files.load().groups) == GROUPS_MAX
    files.haresources = "\n".join(lines)
    assert files.errors() == [
        f"haresources:{GROUPS_MAX + 1}: group 'r1024' is one too many: there may be 1024; join some lines"
    ]


@pytest.mark.parametrize(
    ("key", "refused"), [("a\x07", True), ('a::"b\tc"', True), ("a\x7f", True), ("ä", False), ('a::"b c"', None)]
)
def test_keys_go_over_the_wire(files: Files, key: str, refused: bool | None) -> None:
    files.haresources = f"julius {key}"
    if refused:
        assert "has a control character in it" in files.errors()[0]
    elif refused is False:
        assert "lose what is no ASCII" in files.warnings()[0]
    else:
        assert files.warnings() == []


def test_nul(files: Files) -> None:
    files.haresources = b"julius a\0b\n"
    assert files.errors() == ["haresources:1: a NUL octet; this is no text file"]


def test_latin_1(files: Files) -> None:
    files.haresources = b"julius a MailTo::x::St\xf6rung\n"
    config = files.load()
    assert config.groups[0].resources[1].arguments == ("x", "Störung")
    assert "is not UTF-8" in config.warnings[0]


def test_a_comment_begins_outside_quotes(files: Files) -> None:
    files.haresources = "julius MailTo::x::'ticket # 5' b # MailTo::y::'no'\n"
    first, second = files.load().groups[0].resources
    assert first.arguments == ("x", "ticket # 5")
    assert second.word == "b"


# ---- words


@pytest.mark.parametrize(
    ("line", "words", "rest"),
    [
        ("a b", ["a", "b"], ""), ("a#b c", ["a"], "#b c"), ("#", [], "#"), ("", [], ""), (" \t ", [], ""),
        ("a::'b c' d", ["a::'b c'", "d"], ""), ('a::"#" d', ['a::"#"', "d"], ""), ("a::'#", ["a::'"], "#"),
        ("a::'b'c #d' e", ["a::'b'c"], "#d' e"), ("a 'b c'", ["a", "'b", "c'"], ""), ("a::'b c'#d", ["a::'b c'"], "#d"),
        ("a::'b'::'c d'", ["a::'b'::'c d'"], ""), ("a::\"b'c d\" e", ["a::\"b'c d\"", "e"], ""),
        ("a::[::1] b", ["a::[::1]", "b"], ""), ("a::x'b c'", ["a::x'b", "c'"], ""),
    ],
)  # fmt: skip
def test_scan(line: str, words: list[str], rest: str) -> None:
    found, end = scan(line)
    assert (found, line[end:]) == (words, rest)


@pytest.mark.parametrize(
    ("word", "name", "arguments"),
    [
        ("10.0.0.1", "IPaddr", ["10.0.0.1"]), ("10.0.0.1/24/eth0", "IPaddr", ["10.0.0.1/24/eth0"]),
        ("10.0.0.1::x", "IPaddr", ["10.0.0.1::x"]),  # the whole word is one argument
        ("httpd", "httpd", []), ("a::b", "a", ["b"]), ("a::b::c::d", "a", ["b", "c", "d"]), ("a::::b::", "a", ["b"]),
        ("a:::b", "a", [":b"]), ("a:b", "a:b", []), ("a::b:c", "a", ["b:c"]), ("a::'b'c", "a", ["'b'c"]),
        ("a::it's", "a", ["it's"]), ("OCF::type::instance", "OCF", ["type", "instance"]),
        ("ocf:heartbeat:IPaddr2::x", "ocf:heartbeat:IPaddr2", ["x"]),
        ("IPv6addr::2001:db8::1", "IPv6addr", ["2001:db8", "1"]),  # split as ever
        ("a::'b c'", "a", ["b c"]), ('a::"b::c"::d', "a", ["b::c", "d"]), ("a::''::b", "a", ["", "b"]),
        ("IPv6addr::[2001:db8::1]/64/eth0", "IPv6addr", ["2001:db8::1/64/eth0"]), ("a::[::1]::b", "a", ["::1", "b"]),
        ("a::[fe80::1%eth0]", "a", ["fe80::1%eth0"]), ("a::[x]::b", "a", ["[x]", "b"]),
        ("a::[1.2.3.4]", "a", ["[1.2.3.4]"]),
        ("a::b[::1]", "a", ["b[", "1]"]), ("a::[::1", "a", ["[", "1"]), ("[::1]", "[", ["1]"]),
    ],
)  # fmt: skip
def test_resources(word: str, name: str, arguments: list[str]) -> None:
    found = resource(word)
    assert (found.word, found.name, list(found.arguments)) == (word, name, arguments)


@pytest.mark.parametrize("word", ["::a", "../a", "/etc/init.d/a", "a/b::c", ".", ".."])
def test_no_agent(word: str) -> None:
    with pytest.raises(WordError):
        resource(word)


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("10.0.0.1", True), ("1.2.3.4", True), ("10.0.0.1/24", True), ("1a.2b.3c.4d", True), ("1.x.2.3.4", True),
        ("1..2.3.4", True), ("10.0.0", False), ("10.0.0.", False), ("a10.0.0.1", False), ("10.0.0.x", False),
        ("", False),
        (".1.2.3", False), ("1.2.3.x.4", True), ("1.2.x.3.x", False),
    ],
)  # fmt: skip
def test_shorthand_is_the_shells_pattern(word: str, expected: bool) -> None:
    from fnmatch import fnmatchcase

    assert fnmatchcase(word, "[0-9]*.[0-9]*.[0-9]*.[0-9]*") == expected, "the test itself"
    assert is_ip_shorthand(word) == expected


@pytest.mark.parametrize(
    ("word", "start_s", "stop_s"),
    [
        ("httpd", 60, 30), ("Delay", 40, 60), ("Delay::5", 35, 60), ("Delay::5::7", 35, 37),
        ("Delay::0.5::1.0", 31, 31),
        ("Delay::x::y", 40, 60), ("Delay::99999999999999999999", 86_430, 60), ("Delay::.::.5", 40, 31),
    ],
)  # fmt: skip
def test_time_outs(word: str, start_s: int, stop_s: int) -> None:
    found = resource(word)
    assert (found.start_timeout_ns, found.stop_timeout_ns) == (start_s * SECOND, stop_s * SECOND)


def test_notifiers() -> None:
    assert resource("MailTo::x").notifier
    assert not resource("10.0.0.1").notifier


@pytest.mark.parametrize(
    ("word", "text"),
    [
        ("IPaddr", "needs an address"), ("IPaddr2::10.0.0.999/24", "is no IPv4 address"),
        ("10.0.0.1x", "is no IPv4 address"),
        ("IPaddr::[::1]", "is no IPv4 address"), ("IPv6addr::2001:db8::1", "written in brackets"),
        ("a::'b", "not closed"),
        ("a::\"b'::c", "not closed"),
    ],
)  # fmt: skip
def test_doubts(word: str, text: str) -> None:
    assert text in doubts(resource(word))[0]


@pytest.mark.parametrize(
    "word", ["10.0.0.1/24", "IPaddr2::10.0.0.1/24/eth0:0/10.0.0.255", "IPv6addr::[::1]", "IPv6addr::[fe80::1%eth0]/64",
             "IPv6addr::2001:db8:0:0:0:0:0:1/64", "MailTo::x::'y z'", "a::it's", "IPv6addr::'::1'"],
)  # fmt: skip
def test_no_doubts(word: str) -> None:
    assert doubts(resource(word)) == []


# ---- the digest


@pytest.mark.parametrize(
    ("text", "differs"),
    [
        ("julius 10.0.0.1 a::b::c", False), (" JULIUS\t10.0.0.1 \\\n  a::'b'::c # same\n\n", False),
        ("julius 10.0.0.1 a::b c", True), ("caesar 10.0.0.1 a::b::c", True), ("julius IPaddr::10.0.0.1 a::b::c", True),
        ("julius 10.0.0.1 a::b::d", True), ("julius 10.0.0.1\njulius a::b::c", True), ("julius a::b::c 10.0.0.1", True),
        ("", True),
    ],
)  # fmt: skip
def test_digest(files: Files, text: str, differs: bool) -> None:
    files.haresources = "julius 10.0.0.1 a::b::c\n"
    before = files.load().resources_digest()
    files.haresources = text
    assert (files.load().resources_digest() != before) == differs
