"""MailTo, run as the daemon runs it, against a real SMTP server and a real `sendmail` in PATH."""

import base64
import contextlib
import ctypes
import email
import email.policy
import os
import re
import shutil
import socket
import ssl
import subprocess
import sys
import threading
import time

import pytest

from heartbeat.agents import AgentError, delivery

# For "mail.example", localhost and 127.0.0.1, from 2020 to 2120; it guards nothing.
CERTIFICATE = """\
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgY3X8hK3blXdNWIoy
7BDvs/5tNQB9Drw8mggPEGPG1U6hRANCAATY1Vu+DwYhwVTr2aK8sXaoivQt5CvZ
Wik7pBz9h6niskWtAa/qdar63Q0UtBkiKPvh89/ddfBN0UOkjdn+/Z68
-----END PRIVATE KEY-----
-----BEGIN CERTIFICATE-----
MIIBezCCASGgAwIBAgIBATAKBggqhkjOPQQDAjAXMRUwEwYDVQQDDAxtYWlsLmV4
YW1wbGUwIBcNMjAwMTAxMDAwMDAwWhgPMjEyMDAxMDEwMDAwMDBaMBcxFTATBgNV
BAMMDG1haWwuZXhhbXBsZTBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABNjVW74P
BiHBVOvZoryxdqiK9C3kK9laKTukHP2HqeKyRa0Br+p1qvrdDRS0GSIo++Hz3911
8E3RQ6SN2f79nryjXDBaMA8GA1UdEwEB/wQFMAMBAf8wKAYDVR0RBCEwH4IMbWFp
bC5leGFtcGxlgglsb2NhbGhvc3SHBH8AAAEwHQYDVR0OBBYEFFMUk7/rYUfEhpv2
uih+f3u1Ee0YMAoGCCqGSM49BAMCA0gAMEUCIQCsb3v0cmXOqbhFy2we30PF7Lq/
2x3WVDD3a6qbigT20QIgANvMlYhAAiihLm1ncAXuM958PjqAY2QGiQFsoaSucm4=
-----END CERTIFICATE-----
"""


class MailServer:
    """As much of RFC 5321 as a client needs. letters: [(sender, recipients, message)]; commands: what was said.

    answers: {recipient: [replies to RCPT, in turn]}, the last one repeated; greetings, data_replies: likewise in turn.
    """

    def __init__(self, *, port=0, certificate=None, starttls=False, implicit_tls=False, users=None):
        self.letters, self.commands, self.encrypted = [], [], []
        self.answers, self.greetings, self.data_replies = {}, ["220 mail.example"], ["250 taken"]
        self.users = users or {}
        self.starttls, self.implicit_tls = starttls, implicit_tls
        self.context = None
        if certificate:
            self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.context.load_cert_chain(certificate)
        self.listener = socket.create_server(("127.0.0.1", port))
        self.port = self.listener.getsockname()[1]
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.thread.join(10)

    def serve(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            with contextlib.suppress(OSError, EOFError), connection:
                connection.settimeout(10)
                self.session(connection)

    def session(self, connection):
        if self.implicit_tls:
            connection = self.context.wrap_socket(connection, server_side=True)
        file = connection.makefile("rwb", buffering=0)

        def say(line):
            file.write(line.encode() + b"\r\n")

        def hear():
            line = file.readline()
            if not line:
                raise EOFError
            return line.decode().rstrip("\r\n")

        greeting = self.greetings[0] if len(self.greetings) == 1 else self.greetings.pop(0)
        say(greeting)
        if not greeting.startswith("2"):
            return
        sender, recipients, tls = "", [], self.implicit_tls
        while True:
            line = hear()
            self.commands.append(line)
            self.encrypted.append(tls)
            verb = line[:4].upper()
            if verb == "EHLO":
                say("250-mail.example")
                if self.starttls and not tls:
                    say("250-STARTTLS")
                if self.users:
                    say("250-AUTH PLAIN")
                say("250 8BITMIME")
            elif verb == "STAR":
                say("220 go on")
                connection = self.context.wrap_socket(connection, server_side=True)
                file, tls = connection.makefile("rwb", buffering=0), True
            elif verb == "AUTH":
                _, user, password = base64.b64decode(line.split()[2]).decode().split("\0")
                say("235 welcome" if self.users.get(user) == password else "535 who are you")
            elif verb == "MAIL":
                sender = line.partition("<")[2].partition(">")[0]
                say("250 fine")
            elif verb == "RCPT":
                recipient = line.partition("<")[2].partition(">")[0]
                replies = self.answers.get(recipient, ["250 fine"])
                reply = replies[0] if len(replies) == 1 else replies.pop(0)
                if reply.startswith("2"):
                    recipients.append(recipient)
                say(reply)
            elif verb == "DATA":
                say("354 go on")
                data = []
                while (line := hear()) != ".":
                    data.append(line.removeprefix("."))
                reply = self.data_replies[0] if len(self.data_replies) == 1 else self.data_replies.pop(0)
                if reply.startswith("2"):
                    self.letters.append((sender, recipients, "\r\n".join(data)))
                recipients = []
                say(reply)
            elif verb == "QUIT":
                say("221 bye")
                return
            else:
                say("250 fine")


@pytest.fixture
def servers(tmp_path):
    certificate = tmp_path / "certificate.pem"
    certificate.write_text(CERTIFICATE)
    with contextlib.ExitStack() as stack:

        def make(*, tls=False, **options):
            made = MailServer(certificate=certificate if tls else None, **options)
            stack.callback(made.close)
            return made

        make.certificate = str(certificate)
        yield make


@pytest.fixture
def server(servers):
    return servers()


REAL_SENDMAIL = [path for path in ("/usr/sbin/sendmail", "/usr/lib/sendmail") if os.path.exists(path)]


def hide_sendmail():
    """In a child: a mail program of this machine must never get these letters."""
    libc = ctypes.CDLL(None, use_errno=True)
    if not REAL_SENDMAIL:
        return
    assert libc.unshare(0x00020000) == 0
    assert libc.mount(b"none", b"/", None, 0x44000, None) == 0  # private, recursively
    for path in REAL_SENDMAIL:
        assert libc.mount(b"/dev/null", path.encode(), None, 0x1000, None) == 0


pytestmark = pytest.mark.skipif(
    bool(REAL_SENDMAIL) and os.geteuid() != 0, reason="there is a sendmail here, and only root can hide it"
)


def mailto(*words, path="/nonexistent", server="", divisor=200, **environment):
    """A MailTo process."""
    return subprocess.Popen(
        [sys.executable, "-I", "-m", "heartbeat.agents", "MailTo", *words],
        env={
            "PATH": path,
            "HA_CURHOST": "julius",
            "HA_mailserver": server,
            "HEARTBEAT_TIME_DIVISOR": str(divisor),
            "LC_ALL": "C",
            **environment,
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        preexec_fn=hide_sendmail,  # noqa: PLW1509  a few system calls, no lock
    )


def finish(process):
    said, _ = process.communicate(timeout=25)
    return process.returncode, said


def until(condition, timeout_s=20):
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end, "never came"
        time.sleep(0.02)


def parsed(text):
    return email.message_from_string(text, policy=email.policy.SMTP)


@pytest.mark.parametrize(("verb", "action"), [("start", "acquired"), ("stop", "released")])
def test_a_mail_by_smtp(server, verb, action):
    begun = time.time()
    code, said = finish(
        mailto("alerts@myworkaddress.com", "JuliusCaesar", verb, server=f"smtp://127.0.0.1:{server.port}")
    )
    assert code == 0, said
    ((sender, recipients, text),) = server.letters
    assert (sender, recipients) == ("heartbeat@julius", ["alerts@myworkaddress.com"])
    letter = parsed(text)
    pattern = rf"JuliusCaesar {action} by julius at (\d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d)"
    found = re.fullmatch(pattern, letter["Subject"])
    assert found, letter["Subject"]
    assert begun - 1 <= time.mktime(time.strptime(found[1], "%Y-%m-%d %H:%M:%S")) <= time.time()
    assert letter["To"] == "alerts@myworkaddress.com"
    assert letter["Auto-Submitted"] == "auto-generated"
    assert letter["Message-ID"]
    assert letter["Date"].datetime.timestamp() == pytest.approx(begun, abs=25)
    assert action in letter.get_content()
    assert said.startswith("mail sent to alerts@myworkaddress.com: JuliusCaesar")


def test_the_default_subject_several_recipients_and_another_alphabet(server):
    url = f"smtp://127.0.0.1:{server.port}"
    assert finish(mailto("a@b.example,c@d.example", "start", server=url))[0] == 0
    assert finish(mailto("a@b.example", "Zürich\nBcc: x@y.z", "start", server=url))[0] == 0
    (_, recipients, text), (_, others, other) = server.letters
    assert recipients == ["a@b.example", "c@d.example"]
    assert parsed(text)["Subject"].startswith("Resource Group acquired by julius at ")
    assert others == ["a@b.example"]
    assert parsed(other)["Subject"].startswith("Zürich Bcc: x@y.z acquired by julius at ")
    assert parsed(other)["Bcc"] is None
    assert "Zürich" in parsed(other).get_content()


def test_status_sends_nothing(server):
    for verb in ("status", "monitor"):
        code, said = finish(mailto("a@b.example", verb, server=f"smtp://127.0.0.1:{server.port}"))
        assert (code, said) == (7, "stopped\n")
    assert not server.commands


def test_it_greets_with_a_name_that_needs_no_dns(server):
    finish(mailto("a@b.example", "start", server=f"smtp://127.0.0.1:{server.port}"))
    assert server.commands[0] in ("ehlo [127.0.0.1]", f"ehlo {os.uname().nodename}")


# When it cannot be delivered


def test_it_tries_again_until_there_is_a_server_and_tells_so_once(servers):
    with socket.socket() as placeholder:
        placeholder.bind(("127.0.0.1", 0))
        port = placeholder.getsockname()[1]
        process = mailto("a@b.example", "start", server=f"smtp://127.0.0.1:{port}", divisor=100)
        first = process.stdout.readline()
        assert "not sent yet" in first
        assert "Connection refused" in first
        time.sleep(0.3)
        assert process.poll() is None
    late = servers(port=port)
    code, said = finish(process)
    assert code == 0
    assert len(said.splitlines()) == 1
    assert len(late.letters) == 1


def test_it_gives_up_after_an_hour():
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        begun = time.monotonic()
        code, said = finish(
            mailto("a@b.example", "start", server=f"smtp://127.0.0.1:{nobody.getsockname()[1]}", divisor=3600)
        )
    assert code == 1
    assert said.splitlines()[-1].startswith("ERROR: mail to a@b.example given up: ")
    assert time.monotonic() - begun >= 1.0, "an hour, divided"


def test_the_waits_grow_and_add_up_to_an_hour(monkeypatch):
    monkeypatch.delenv("HEARTBEAT_TIME_DIVISOR", raising=False)
    waits = []

    def refuse(letter, recipients):
        raise delivery.DeliveryError("no")

    with pytest.raises(AgentError):
        delivery.deliver(delivery.compose(["a@b.c"], "x", "acquired", "n"), ["a@b.c"], refuse, sleep=waits.append)
    assert sum(waits) == 3600
    assert waits[:4] == [5, 10, 20, 40]
    assert waits == sorted(waits[:-1]) + waits[-1:]
    assert max(waits) == 300


@pytest.mark.parametrize("trouble", ["greeting", "recipient", "data"])
def test_a_server_that_is_not_ready_is_asked_again(server, trouble):
    if trouble == "greeting":
        server.greetings = ["421 later", "554 not now", "220 mail.example"]
    elif trouble == "recipient":
        server.answers["a@b.example"] = ["450 greylisted", "250 fine"]
    else:
        server.data_replies = ["451 disk full", "250 taken"]
    code, _ = finish(mailto("a@b.example", "start", server=f"smtp://127.0.0.1:{server.port}"))
    assert code == 0
    assert len(server.letters) == 1


@pytest.mark.parametrize("trouble", ["recipient", "data"])
def test_a_final_refusal_is_final(server, trouble):
    if trouble == "recipient":
        server.answers["a@b.example"] = ["550 no such user"]
    else:
        server.data_replies = ["554 we do not like you"]
    code, said = finish(mailto("a@b.example", "start", server=f"smtp://127.0.0.1:{server.port}", divisor=1))
    assert code == 1
    assert "given up: 55" in said
    assert not server.letters


def test_nobody_gets_it_twice(server):
    """Of three recipients one is taken, one comes later, one never: each gets what is right."""
    server.answers = {"late@b.example": ["450 greylisted", "250 fine"], "gone@b.example": ["550 no such user"]}
    code, said = finish(
        mailto("now@b.example,late@b.example,gone@b.example", "start", server=f"smtp://127.0.0.1:{server.port}")
    )
    assert code == 0
    assert [recipients for _, recipients, _ in server.letters] == [["now@b.example"], ["late@b.example"]]
    assert "mail to gone@b.example given up: 550 no such user" in said
    assert parsed(server.letters[0][2])["Message-ID"] == parsed(server.letters[1][2])["Message-ID"]


def test_it_outlives_whoever_reads_its_output(server):
    """The daemon is gone: its end of the pipe is closed, and the mail goes out all the same."""
    server.greetings = ["421 later", "421 later", "220 mail.example"]
    process = mailto("a@b.example", "stop", server=f"smtp://127.0.0.1:{server.port}", divisor=20)
    process.stdout.close()
    until(lambda: server.letters)
    process.wait(20)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://mail.example", "not smtp://host or smtps://host"),
        ("mail.example", "not smtp://host or smtps://host"),
        ("smtp://", "not smtp://host or smtps://host"),
        ("smtp://mail.example:x", "mailserver smtp://mail.example:x: "),
        ("smtp://julius:s3cret@mail.example:99999", "mailserver smtp://…@mail.example:99999: "),
    ],
)
def test_a_bad_server_url_is_told_without_its_password(url, said):
    with pytest.raises(AgentError) as caught:
        delivery.Server(url)
    assert said in caught.value.text
    assert "s3cret" not in caught.value.text


def test_a_server_url_in_full():
    server = delivery.Server("smtps://julius%40x:p%3Aw@mail.example")
    assert (server.host, server.port, server.user, server.password) == ("mail.example", 465, "julius@x", "p:w")
    assert delivery.Server("smtp://[::1]:2525").host == "::1"
    assert delivery.Server("smtp://mail.example").port == 25


# Encryption and passwords


def test_starttls_is_used_where_it_is_offered(servers):
    server = servers(tls=True, starttls=True)
    code, said = finish(mailto("a@b.example", "start", server=f"smtp://127.0.0.1:{server.port}"))
    assert code == 0, said
    assert dict(zip(server.commands, server.encrypted, strict=True))["data"] is True


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("scheme", ["smtp", "smtps"])
def test_a_password_goes_only_to_a_server_that_proves_its_name(servers, scheme, known):
    server = servers(tls=True, starttls=scheme == "smtp", implicit_tls=scheme == "smtps", users={"julius": "s3cret"})
    trust = {"SSL_CERT_FILE": servers.certificate if known else "/dev/null", "SSL_CERT_DIR": "/nonexistent"}
    url = f"{scheme}://julius:s3cret@127.0.0.1:{server.port}"
    code, said = finish(mailto("a@b.example", "start", server=url, divisor=36000, **trust))
    assert (code == 0) is known, said
    assert bool(server.letters) is known
    assert any(line.startswith("AUTH") for line in server.commands) is known
    assert "s3cret" not in said


def test_a_password_is_never_sent_in_the_clear(server, monkeypatch):
    server.users = {"julius": "s3cret"}
    mail = delivery.Server(f"smtp://julius:s3cret@127.0.0.1:{server.port}")
    letter = delivery.compose(["a@b.c"], "x", "acquired", "julius")
    assert mail.send(letter, ["a@b.c"]) == [], "to this machine itself it may go"
    monkeypatch.setattr(delivery, "_LOOPBACK", ())  # now it is another machine, for all that is known
    server.commands.clear()
    with pytest.raises(delivery.DeliveryError, match="offers no encryption"):
        mail.send(letter, ["a@b.c"])
    assert not any(line.startswith("AUTH") for line in server.commands)


# By sendmail


@pytest.fixture
def sendmail(tmp_path):
    """A directory for PATH with a `sendmail` that keeps what it is given, and fails as often as `failures` says."""
    directory = tmp_path / "bin"
    directory.mkdir()
    script = directory / "sendmail"
    script.write_text(f"""#!/bin/sh
PATH=/usr/bin:/bin
echo x >> {tmp_path}/calls
if [ $(wc -l < {tmp_path}/calls) -le $(cat {tmp_path}/failures) ]; then echo 'queue is full'; exit 75; fi
for word; do printf '%s\\n' "$word"; done > {tmp_path}/words
cat > {tmp_path}/letter
""")
    script.chmod(0o755)
    (tmp_path / "failures").write_text("0")
    return directory


def test_sendmail_comes_before_smtp(sendmail, tmp_path, server):
    code, said = finish(
        mailto("a@b.example,root", "Web", "stop", path=str(sendmail), server=f"smtp://127.0.0.1:{server.port}")
    )
    assert code == 0, said
    assert (tmp_path / "words").read_text().split() == ["-i", "--", "a@b.example", "root"]
    letter = parsed((tmp_path / "letter").read_text())
    assert letter["Subject"].startswith("Web released by julius at ")
    assert letter["To"] == "a@b.example, root"
    assert not server.commands


def test_a_sendmail_that_fails_is_tried_again(sendmail, tmp_path):
    (tmp_path / "failures").write_text("3")
    code, said = finish(mailto("a@b.example", "start", path=str(sendmail)))
    assert code == 0
    assert "exit code 75: queue is full" in said
    assert (tmp_path / "calls").read_text().count("x") == 4


def test_a_sendmail_that_hangs_is_killed_and_tried_again(sendmail, monkeypatch):
    (sendmail / "sendmail").write_text("#!/bin/sh\nexec /bin/sleep 60\n")
    monkeypatch.setattr(delivery, "attempt_s", lambda: 0.2)
    letter = delivery.compose(["a@b.c"], "x", "acquired", "julius")
    with pytest.raises(delivery.DeliveryError, match="timed out"):
        delivery.by_sendmail(str(sendmail / "sendmail"), letter, ["a@b.c"])


def test_where_sendmail_is_looked_for(sendmail, monkeypatch):
    monkeypatch.setenv("PATH", str(sendmail))
    assert delivery.find_sendmail() == str(sendmail / "sendmail")
    seen = []
    monkeypatch.setattr(shutil, "which", lambda name, path: seen.append((name, path)))
    delivery.find_sendmail()
    assert seen == [("sendmail", f"{sendmail}:/usr/sbin:/usr/lib")]
