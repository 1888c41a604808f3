"""The cases as suites of pytest-benchmark, one for each part: `pytest bench/micro -k "test_wheel and 200"`. Rivals make
a group. A round is a batch; how many operations that is stands in extra_info."""

import pytest

from bench.micro.suites import PARTS

ROUNDS, RARE_ROUNDS = 50, 3


def suite(part):
    return pytest.mark.parametrize("case", [pytest.param(case, id=case.name) for case in PARTS[part]()])


def run(benchmark, case):
    try:
        batch = case.make()
    except OSError as error:
        pytest.skip(str(error))

    def prepare():
        if batch.prepare is not None:
            batch.prepare()

    benchmark.group = case.name.partition(":")[0]
    benchmark.extra_info["operations"] = batch.operations
    benchmark.pedantic(batch.run, setup=prepare, rounds=RARE_ROUNDS if batch.rare else ROUNDS, warmup_rounds=1)


@suite("calibration")
def test_calibration(benchmark, case):
    run(benchmark, case)


@suite("codec")
def test_codec(benchmark, case):
    run(benchmark, case)


@suite("auth")
def test_auth(benchmark, case):
    run(benchmark, case)


@suite("wheel")
def test_wheel(benchmark, case):
    run(benchmark, case)


@suite("core")
def test_core(benchmark, case):
    run(benchmark, case)


@suite("simulator")
def test_simulator(benchmark, case):
    run(benchmark, case)
