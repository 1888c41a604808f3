"""What fuzzing has found, in words: each once raised something that nobody expected."""

from __future__ import annotations

import email
import email.utils
import io
import threading

import pytest

from heartbeat import decode, held, journal, journalfile, persist
from heartbeat.agents import AgentError, delivery, mailto, resolve
from heartbeat.agents.script import ocf_parameter_file


def test_a_pid_file_with_a_number_that_no_process_can_have(tmp_path):
    path = tmp_path / "heartbeat.pid"
    for number in (b"2147483648", b"9" * 64):
        path.write_bytes(number)
        assert persist.daemon_pidfd(str(path)) is None


def test_a_pid_file_with_the_number_of_a_thread(tmp_path):
    path = tmp_path / "heartbeat.pid"
    ended, running = threading.Event(), threading.Event()
    thread = threading.Thread(target=lambda: (running.set(), ended.wait()))
    thread.start()
    try:
        running.wait()
        path.write_text(f"{thread.native_id:10}\n")
        assert persist.daemon_pidfd(str(path)) is None
    finally:
        ended.set()
        thread.join()


def test_groups_held_in_a_file_of_brackets(tmp_path):
    (tmp_path / "held").write_bytes(b"[" * 100_000 + b'\n["begun", "a"]\n')
    groups = held.HeldGroups(str(tmp_path), lambda text: None)
    groups.read()
    assert groups.begun == {"a"}


def test_a_line_of_held_groups_that_was_cut_short_swallows_no_other(tmp_path):
    for cut in ('["begun", "a"', '["begun", "a"]'):
        (tmp_path / "held").write_text(cut)
        groups = held.HeldGroups(str(tmp_path), lambda text: None)
        groups.read()
        groups.add("b")
        again = held.HeldGroups(str(tmp_path), lambda text: None)
        again.read()
        assert again.begun == groups.begun >= {"b"}


def test_a_capture_of_brackets(tmp_path, capsys):
    path = tmp_path / "capture"
    path.write_bytes(b'{"hex":' + b"[" * 100_000)
    assert decode.main([str(path)], None, io.StringIO()) == 1
    assert "line 1: no JSON object" in capsys.readouterr().err


def test_an_interface_that_is_no_text():
    """As an octet of a command line comes that is not UTF-8."""
    agent = resolve("IPaddr", ["10.0.0.254/24/\udc80th0"])
    with pytest.raises(AgentError, match="cannot be the name of an interface") as found:
        agent.validate()
    assert found.value.code == 2


def test_an_error_of_an_agent_is_one_line():
    agent = resolve("IPaddr", ["10.0.0.254/24\n\x85\u2028/eth0/x/y"])
    with pytest.raises(AgentError) as found:
        agent.validate()
    assert found.value.text.isprintable()
    assert str(found.value) == found.value.text


def test_an_ocf_parameter_that_no_environment_can_hold(tmp_path):
    path = tmp_path / "parameters"
    path.write_bytes(b"A=b\nC=d\0e\n")
    with pytest.raises(AgentError, match=r"parameters:2: only NAME=value"):
        ocf_parameter_file(str(path))


@pytest.mark.parametrize("recipient", [".b@c", "a.@c", "a..b@c", ".", "a@[", "a@b]", "a@[b", "a@[b]]", "a@:"])
def test_a_recipient_whose_letter_cannot_be_written(recipient):
    with pytest.raises(AgentError, match="is not a mail address"):
        mailto.parse([f"root,{recipient}"])
    assert mailto.parse(["a.b@c,d@[10.0.0.1]"]) == (["a.b@c", "d@[10.0.0.1]"], "Resource Group")


@pytest.mark.parametrize("length", [1, 77, 78, 254])
def test_a_letter_to_an_address_that_is_longer_than_a_line(length):
    """The library folded with an empty line, where the header ended: the rest of it was the letter's text."""
    recipients = [*["a"] * 25, "b" * length, "c@d"]  # the first 25 are a line
    letter = email.message_from_bytes(bytes(delivery.compose(recipients, "x", "acquired", "julius")))
    assert [address for _, address in email.utils.getaddresses([letter["To"]])] == recipients
    assert letter["Subject"].startswith("x acquired by julius at ")


def test_a_journal_whose_memory_was_overwritten():
    image = journal.MAGIC + (1).to_bytes(4, "little") + journal._HEAD.pack(8, 0, 0, 0, journal.TICK) + bytes(8)
    with pytest.raises(ValueError, match="the journal is damaged"):
        journalfile.lines([image], reason="test")
