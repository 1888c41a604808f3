"""What an installation of the original leaves on the host: the package, and nothing else."""

import os
import subprocess

import pytest
from interop import package

OWN = "#!/bin/sh\nexit 104\n"


@pytest.fixture
def policy(tmp_path, monkeypatch):
    path = tmp_path / "policy-rc.d"
    monkeypatch.setattr(package, "POLICY", path)
    monkeypatch.setattr(package, "_SET_ASIDE", tmp_path / "set-aside")
    return path


def test_nothing_may_start_while_it_is_installed(policy):
    with package._nothing_starts():
        assert subprocess.run([policy, "heartbeat", "start"], check=False).returncode == 101
    assert list(policy.parent.iterdir()) == []


def test_a_policy_of_the_host_is_back_afterwards(policy):
    policy.write_text(OWN)
    with pytest.raises(OSError, match="trouble"), package._nothing_starts():
        raise OSError("trouble")
    assert policy.read_text() == OWN
    assert list(policy.parent.iterdir()) == [policy]


def test_a_policy_that_a_killed_run_has_set_aside_is_not_lost(policy):
    package._SET_ASIDE.write_text(OWN)
    policy.write_text("what the killed run has left")
    with package._nothing_starts():
        pass
    assert policy.read_text() == OWN
    assert list(policy.parent.iterdir()) == [policy]


def test_an_obstacle_is_told_and_not_raised(monkeypatch):
    def fails():
        raise package.UnavailableError("apt has none")

    monkeypatch.setattr(package, "make_available", fails)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert package.obstacle.__wrapped__() == "apt has none"


def test_the_package_brought_no_cluster_to_the_host(originals):
    assert package.VERSION in originals
    assert not (package.CONFIG_FOLDER / "ha.cf").exists()
    assert not package._SET_ASIDE.exists()
