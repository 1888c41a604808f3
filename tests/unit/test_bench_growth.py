"""What bench/growth fits and shows, and that what it measures is what it says; no time is measured here."""

import pytest

from bench.growth import addresses, inprocess, report
from bench.growth.curve import MISSED, OK, STATED, Curve, slope
from bench.picture import save
from heartbeat import config

SIZES = (2, 4, 8, 16, 32, 64)


def curve(cost, at_most=1.15):
    return Curve("nodes", "a second", "nodes", "µs", tuple((size, cost(size)) for size in SIZES), at_most)


@pytest.mark.parametrize("power", [0.5, 1, 2])
def test_a_power_is_found(power):
    assert curve(lambda size: 3.7 * size**power).exponent == pytest.approx(power)


def test_two_points_are_a_line_and_one_is_none():
    assert slope([(2, 1.0), (4, 4.0)]) == pytest.approx(2)
    assert slope([(2, 1.0)]) == 0
    assert slope([]) == 0


def test_what_hides_among_small_numbers_shows_in_the_upper_half():
    hidden = curve(lambda size: 500 + 0.9 * size**2)
    assert hidden.exponent < 1.15 < hidden.upper
    assert hidden.verdict == MISSED


@pytest.mark.parametrize(
    ("cost", "at_most", "verdict"),
    [
        (lambda size: 100 + size, 1.15, OK),
        (lambda size: size**1.1, 1.15, OK),
        (lambda size: size**1.2, 1.15, MISSED),
        (lambda size: size**2, None, STATED),
    ],
)
def test_a_curve_is_judged_by_its_exponent(cost, at_most, verdict):
    assert curve(cost, at_most).verdict == verdict


def test_every_node_of_a_crowd_lives_and_is_heard_each_time():
    crowd = inprocess.Crowd(5)
    second = crowd.second()
    assert len(second) == 4 * inprocess.BEATS
    crowd.live(second)
    nodes = crowd.cluster.view().nodes
    assert {node.status for node in nodes.values()} == {"active"}
    heard = sorted(node.last_heard_ns for name, node in nodes.items() if name != "node0")
    assert heard == [at for _, _, at in second[-4:]]
    assert crowd.decoder.counters["bad_auth"] == crowd.decoder.counters["malformed"] == 0


def test_a_pair_is_heard_on_every_medium_the_short_way():
    pair = inprocess.Pair(3)
    for _ in range(2):
        second = pair.second()
        assert len(second) == 3 * inprocess.BEATS
        pair.live(second)
    view = pair.cluster.view()
    [other] = [node for name, node in view.nodes.items() if name != view.node]
    assert set(other.links.values()) == {"up"}
    assert other.last_heard_ns >= second[-3][2]


@pytest.mark.parametrize("shape", addresses.SHAPES)
def test_the_files_of_many_addresses_are_good(tmp_path, shape):
    files = {"ha.cf": addresses.UCAST, "haresources": addresses.SHAPES[shape](1000),
             "authkeys": "auth 1\n1 sha1 a-secret\n"}  # fmt: skip
    for name, text in files.items():
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o600)
    loaded = config.load(str(tmp_path), machine=False)
    words = [resource.word for group in loaded.groups for resource in group.resources]
    assert len(set(words)) == 1000
    assert {medium.type for medium in loaded.media} == {"ucast"}


def test_the_record_is_all_that_is_shown():
    curves = [curve(lambda size: 10.0 * size), curve(lambda size: size**2)._replace(points=((2, 4.0), (4, 16.0)))]
    made = report.record(curves, {"missing": {"1000 addresses": "it took too long"}})
    lines = report.tables_of(made)
    assert "| nodes | 2 | 4 | 8 | 16 | 32 | 64 | exponent | of the upper half |" in lines
    assert "| a second, µs | 20 | 40 | 80 | 160 | 320 | 640 | 1.00 | 1.00 |" in lines
    # one that ends early
    assert "| a second, µs | 4 | 16 |  |  |  |  | 2.00 | 2.00 |" in lines
    assert "1000 addresses: not measured, it took too long" in report.terminal(made)
    assert [(each["value"], each["limit"], each["verdict"]) for each in made["bars"]] == [
        (1.0, 1.15, OK), (2.0, 1.15, MISSED),
    ]  # fmt: skip
    assert [figures for _, figures in report.quoted(made)] == [{"ours": "1.00"}, {"ours": "2.00"}]


def test_what_nothing_is_demanded_of_is_no_bar():
    assert report.record([curve(lambda size: size, at_most=None)], {})["bars"] == []


def test_a_picture_is_drawn_for_each_part(tmp_path):
    pytest.importorskip("matplotlib", reason="pictures need matplotlib")
    curves = [curve(lambda size: 10.0 * size), curve(lambda size: size)._replace(part="addresses, one group")]
    drawn = report.pictures(report.record(curves, {}))
    assert [each.file("growth") for each in drawn] == ["growth-nodes.svg", "growth-addresses-one-group.svg"]
    save(drawn[0], tmp_path / "growth.svg", "sh scripts/bench growth")
    text = (tmp_path / "growth.svg").read_text(encoding="utf-8")
    assert ">a second, µs: exponent 1.00<" in text
    assert ">sh scripts/bench growth<" in text
