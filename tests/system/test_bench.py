"""`heartbeat bench` on a router of a pair: what it finds, and that nobody notices."""

import json

import pytest
from system.play import PATIENCE_S, Pair, seed, until
from system.stage import HA_CF, HARESOURCES, _World

from heartbeat.demo.clock import now_ns


@pytest.fixture
def pair():
    with _World() as world:
        yield Pair(world, seed.Files(ha_cf=HA_CF, haresources=HARESOURCES))


def bench(node) -> dict:
    done = node.command("heartbeat", "bench", "--json", "--seconds", "1.5")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def media(found) -> tuple[dict, dict]:
    by_type = {each["type"]: each for each in found["media"]}
    return by_type["serial"], by_type["ucast"]


def rejected(pair) -> list[int]:
    return [medium["rejected"] for node in pair.nodes for medium in (node.status() or {}).get("media", ())]


def test_beside_the_daemon(pair):
    pair.boot()
    pair.settled(holder=pair.julius)
    pair.probe()
    until(lambda: None not in pair.first_answers(pair.julius, 0), PATIENCE_S, "julius answers")
    since_ns = now_ns()
    found = bench(pair.caesar)
    serial, ucast = media(found)
    assert found["daemon"]["running"]
    assert found["timers"]["count"] > 50
    heard = ucast["heard"]["julius"]
    assert heard["count"] >= 10
    assert heard["interval_ms"] == pytest.approx(100, rel=0.2)
    [echoes] = ucast["round_trips"]
    assert echoes["address"] == "10.0.0.2"
    assert echoes["answered"] == echoes["sent"]
    assert serial["frame_measured_ms"] is None
    assert any("the daemon has the line" in each for each in found["not_measured"])
    # nobody noticed
    pair.nothing_moved(since_ns)
    assert pair.stable()
    assert rejected(pair) == [0] * 4
    path = pair.caesar.state_folder / "bench.json"
    assert path.stat().st_mode & 0o777 == 0o600
    # what is shorter than that is warned of
    ha_cf = pair.caesar.config_folder / "ha.cf"
    ha_cf.write_text(ha_cf.read_text().replace("keepalive 100ms", "keepalive 20ms"))
    warnings = pair.caesar.command("heartbeat", "check").stderr.splitlines()
    number = ha_cf.read_text().splitlines().index("keepalive 20ms") + 1
    assert any(line.startswith(f"{ha_cf}:{number}: keepalive is 20ms") for line in warnings), warnings


def test_where_no_daemon_runs_the_line_is_measured_and_the_other_node_does_not_notice(pair):
    pair.boot(pair.julius)
    pair.world.power_on(pair.caesar)
    until(lambda: pair.holder() == pair.julius.name, PATIENCE_S, "julius holds")
    found = bench(pair.caesar)
    serial, ucast = media(found)
    assert not found["daemon"]["running"]
    assert serial["frame_measured_ms"] > 0
    assert ucast["heard"]["julius"]["count"] >= 10
    assert rejected(pair) == [0, 0]
    # the line is free again
    pair.start(pair.caesar)
    pair.settled(holder=pair.julius)
    until(lambda: pair.julius.link("caesar", seed.SERIAL_PORT) == "up", PATIENCE_S, "the line is up")


def test_alone_it_says_what_it_could_not_measure(pair):
    pair.world.power_on(pair.caesar)
    found = bench(pair.caesar)
    _, ucast = media(found)
    assert ucast["heard"] == {}
    assert any("no heartbeat of the other node" in each for each in found["not_measured"])
    assert any("does not answer pings" in each for each in found["not_measured"])
    assert found["advice"]["deadtime_ms"] > found["advice"]["keepalive_ms"]
