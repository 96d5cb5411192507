"""Mail to real servers: whole, refused, mute, away, stripped of TLS; and no way into the headers."""

from __future__ import annotations

import base64
import html
import re
import shutil
import socket
import ssl
import subprocess
import sys
import threading
import time
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from tests import mail
from udecdash_updater import notifier
from udecdash_updater.demo import mail_sink
from udecdash_updater.errors import DatabaseError, FrontEndError, NoticeError, UpdaterError
from udecdash_updater.logs import SecretMask
from udecdash_updater.notice import Notice
from udecdash_updater.settings import Settings

ANA, PEDRO = "ana@udec.example", "pedro@udec.example"
USER, PASSWORD = "notices@udec.example", "clave-Secreta-42"
# Not in the notifier's short list of local names, and yet this machine: "another host" for the tests.
REMOTE, REMOTE_WRONG_NAME = "127.0.0.2", "127.0.0.3"
NOTICE = Notice(
    run=17,
    started=datetime(2025, 11, 23, 6, 4, tzinfo=timezone.utc),
    failures=(("load tables", DatabaseError("La conexión se cerró: ñandú.")),),
    log="02:59:59 INFO download ...\n03:04:00 ERROR load tables failed",
    host="canvas.udec.example",
)


def to(server: mail.MailServer, **values: Any) -> Settings:  # noqa: ANN401 - the settings' own fields
    values = {"notification_emails": (ANA, PEDRO), "smtp_host": server.host, "smtp_port": server.port, **values}
    return Settings(**values)


def send(chosen: Settings, notice: Notice = NOTICE) -> None:
    notifier.send(chosen, notice, SecretMask(chosen.secrets()))


def untold(words: str) -> Any:  # noqa: ANN401 - pytest's own class is private
    return pytest.raises(NoticeError, match=words)


def login(user: str = USER, password: str = PASSWORD) -> dict[str, Any]:
    return {"smtp_user": user, "smtp_pass": SecretStr(password)}


@pytest.fixture
def trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    """OpenSSL trusts the tests' certificate, as an administrator makes it trust an authority of the house."""
    monkeypatch.setenv("SSL_CERT_FILE", str(mail.CERTIFICATE))


def test_one_mail_reaches_everyone_and_says_what_happened_and_what_to_do() -> None:
    with mail.mail_server() as server:
        send(to(server))
    [arrived] = server.mails
    assert arrived.recipients == [ANA, PEDRO]
    assert arrived.message["To"] == f"{ANA}, {PEDRO}"
    assert arrived.message["Subject"] == "[UDECDash] canvas.udec.example: falló en la etapa cargar tablas"
    assert arrived.message["Auto-Submitted"] == "auto-generated"
    assert re.fullmatch(r"udecdash-updater@[\w.-]+", arrived.sender)
    error = NOTICE.failures[0][1]
    told = ["17", "canvas.udec.example", "load tables", error.sentence("es"), error.detail, error.hint("es")]
    told += ["2025-11-23 03:04, hora de America/Santiago", *NOTICE.log.splitlines()]
    for expected in told:
        assert expected in arrived.text
        assert html.escape(expected) in arrived.html
    assert [part.get_content_type() for part in arrived.message.iter_parts()] == ["text/plain", "text/html"]
    assert 'lang="es"' in arrived.html
    assert not re.search(r"(src|href)=|url\(|<script", arrived.html)  # nothing is fetched when it is opened
    assert arrived.content.isascii()


def test_the_mail_is_english_where_the_settings_say_so_and_tells_every_error_and_warning() -> None:
    failures = (*NOTICE.failures, ("maintenance off", FrontEndError("/srv/www: Read-only file system.")))
    notice = Notice(None, NOTICE.started, failures, ("Redis is away.",), "", "canvas")
    with mail.mail_server() as server:
        send(to(server, language="en"), notice)
    [arrived] = server.mails
    assert arrived.message["Subject"] == "[UDECDash] canvas: failed in stage load tables"
    told = [str(failures[0][1].sentence("en")), failures[1][1].detail, failures[1][1].hint("en"), "Redis is away."]
    for expected in told:
        assert expected in arrived.text
    assert "exit code 7" in arrived.text


@pytest.mark.parametrize(("warnings", "subject"), [(("Redis is away.",), "terminó con advertencias"), ((), "terminó")])
def test_a_night_without_errors_is_told_as_what_it_was(warnings: tuple[str, ...], subject: str) -> None:
    with mail.mail_server() as server:
        send(to(server), Notice(18, NOTICE.started, (), warnings, "", "canvas"))
    assert server.mails[0].message["Subject"] == f"[UDECDash] canvas: {subject}"


@pytest.mark.parametrize("blank", [{"smtp_host": ""}, {"notification_emails": ()}])
def test_nothing_is_sent_where_nothing_is_configured(blank: dict[str, Any]) -> None:
    with mail.mail_server() as server:
        assert notifier.configured(to(server))
        chosen = to(server, **blank)
        assert not notifier.configured(chosen)
        send(chosen)
    assert server.mails == []


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
@pytest.mark.parametrize("tls", ["none", "offered", "demanded", "implicit"])
def test_the_mail_comes_with_the_login_over_every_kind_of_connection_to_a_local_host(tls: str, host: str) -> None:
    with mail.mail_server(tls=tls, login=(USER, PASSWORD)) as server:
        mode = "ssl" if tls == "implicit" else "auto"
        send(to(server, smtp_host=host, smtp_tls=mode, **login()))
    [arrived] = server.mails
    assert arrived.encrypted == (tls != "none")
    assert (arrived.user, arrived.sender) == (USER, USER)


@pytest.mark.usefixtures("trusted")
@pytest.mark.parametrize(("tls", "mode"), [("offered", "auto"), ("demanded", "starttls"), ("implicit", "ssl")])
def test_another_hosts_certificate_is_accepted_when_an_authority_known_here_vouches_for_it(tls: str, mode: str) -> None:
    with mail.mail_server(REMOTE, tls=tls, login=(USER, PASSWORD)) as server:
        send(to(server, smtp_tls=mode, **login()))
    assert [(arrived.encrypted, arrived.user) for arrived in server.mails] == [(True, USER)]


@pytest.mark.parametrize(("tls", "mode"), [("offered", "auto"), ("demanded", "starttls"), ("implicit", "ssl")])
def test_another_hosts_unknown_certificate_is_refused_and_nothing_is_sent(tls: str, mode: str) -> None:
    with mail.mail_server(REMOTE, tls=tls, login=(USER, PASSWORD)) as server, untold("certificate"):
        send(to(server, smtp_tls=mode, **login()))
    assert (server.mails, server.passwords) == ([], [])


@pytest.mark.usefixtures("trusted")
def test_a_certificate_for_another_name_is_refused() -> None:
    with mail.mail_server(REMOTE_WRONG_NAME, tls="offered", login=(USER, PASSWORD)) as server, untold("certificate"):
        send(to(server, **login()))
    assert (server.mails, server.passwords) == ([], [])


@pytest.mark.parametrize("mode", ["auto", "none"])
def test_a_password_is_never_sent_in_the_clear_to_another_host(mode: str) -> None:
    with mail.mail_server(REMOTE, login=(USER, PASSWORD)) as server, untold("never sent without"):
        send(to(server, smtp_tls=mode, **login()))
    assert (server.mails, server.passwords) == ([], [])


def test_demanded_starttls_that_was_stripped_on_the_way_is_an_error() -> None:
    with mail.mail_server(tls="none") as server, untold("does not offer STARTTLS") as caught:
        send(to(server, smtp_tls="starttls"))
    assert server.mails == []
    assert ANA in caught.value.detail


def test_a_password_that_is_wrong_ends_in_the_servers_answer_with_the_password_masked() -> None:
    with mail.mail_server(login=(USER, "another")) as server, untold("535") as caught:
        send(to(server, **login()))
    assert server.mails == []
    assert caught.value.exit_code == 10
    assert PASSWORD not in str(caught.value)


def test_a_password_beyond_ascii_is_told_without_quoting_it() -> None:
    with mail.mail_server(login=(USER, PASSWORD)) as server, untold("beyond ASCII") as caught:
        send(to(server, **login(password="contraseña")))
    assert "ñ" not in caught.value.detail


def test_one_refused_recipient_is_named_and_the_others_get_the_mail() -> None:
    refuse = {ANA: "550 5.1.1 no such user"}
    with mail.mail_server(refuse=refuse) as server, untold(r"ana@.*\(550 5\.1\.1 no such user\)") as caught:
        send(to(server))
    assert [arrived.recipients for arrived in server.mails] == [[PEDRO]]
    assert PEDRO not in caught.value.detail


def test_an_address_that_no_server_takes_is_named_and_the_others_get_the_mail() -> None:
    with mail.mail_server() as server, untold(r"josé@udec\.example"):
        send(to(server, notification_emails=("josé@udec.example", "a\r\nRCPT TO:<x@y.z>@b", PEDRO)))
    assert [arrived.recipients for arrived in server.mails] == [[PEDRO]]


def test_all_recipients_refused_are_all_named() -> None:
    refuse = {ANA: "550 no such user", PEDRO: "452 mailbox full"}
    with mail.mail_server(refuse=refuse) as server, untold("ana.*550 no such user.*pedro.*452 mailbox full"):
        send(to(server))


def test_recipients_never_asked_for_because_the_server_hung_up_are_named_too() -> None:
    with mail.mail_server(refuse={ANA: "421 too busy"}) as server, untold(r"ana.*421 too busy.*pedro.*not asked"):
        send(to(server))


def test_refused_data_is_told_with_the_servers_answer_and_everyone_who_was_not_reached() -> None:
    with mail.mail_server(refuse_data="554 looks like spam") as server, untold("554 looks like spam.*ana.*pedro"):
        send(to(server))


def test_a_server_that_is_away_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with untold(rf"127\.0\.0\.1 port {port}: .*refused.*{re.escape(ANA)}"):
        send(to(mail.MailServer("127.0.0.1", port=port)))


def test_a_host_name_that_is_none_is_told() -> None:
    with untold("beyond ASCII"):
        send(to(mail.MailServer(f"{'x' * 64}.example", port=25)))


def test_a_server_that_hangs_up_at_once_is_told() -> None:
    with mail.bare_server(lambda connection: None) as port, untold("closed"):
        send(to(mail.MailServer("127.0.0.1", port=port)))


def test_a_mute_server_is_given_up_after_the_time_for_an_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notifier, "TIMEOUT", 0.2)
    with mail.bare_server(_until_closed) as port, untold("timed out"):
        send(to(mail.MailServer("127.0.0.1", port=port)))


def test_a_dripping_server_is_given_up_after_the_time_for_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notifier, "LIMIT", 0.5)

    def drip(connection: socket.socket) -> None:
        while True:
            connection.sendall(b"220-busy\r\n")
            time.sleep(0.02)

    with mail.bare_server(drip) as port, untold("no end within"):
        send(to(mail.MailServer("127.0.0.1", port=port)))
    for thread in threading.enumerate():
        if thread.name == "bounded":
            thread.join()


def test_the_limits_of_a_night_are_fifteen_and_thirty_seconds() -> None:
    assert (notifier.TIMEOUT, notifier.LIMIT) == (15, 30)


def test_a_server_that_hangs_up_after_it_took_the_mail_is_no_error() -> None:
    def polite_until_quit(connection: socket.socket) -> None:
        lines = connection.makefile("rb")
        connection.sendall(b"220 here\r\n")
        for line in lines:
            verb = line[:4].upper()
            if verb == b"QUIT":
                return
            connection.sendall(b"354 go on\r\n" if verb == b"DATA" else b"250 OK\r\n")
            if verb == b"DATA":
                while lines.readline() != b".\r\n":
                    pass
                connection.sendall(b"250 taken\r\n")

    with mail.bare_server(polite_until_quit) as port:
        send(to(mail.MailServer("127.0.0.1", port=port)))


def test_a_server_that_repeats_the_login_it_refuses_does_not_get_it_into_our_messages() -> None:
    def parrot(connection: socket.socket) -> None:
        connection.sendall(b"220 here\r\n")
        for line in connection.makefile("rb"):
            if line.upper().startswith(b"EHLO"):
                connection.sendall(b"250-here\r\n250 AUTH PLAIN\r\n")
            else:
                connection.sendall(b"535 not this: " + line.strip() + b" " + PASSWORD.encode() + b"\r\n")

    with mail.bare_server(parrot) as port, untold("535 not this") as caught:
        send(to(mail.MailServer("127.0.0.1", port=port), **login()))
    for secret in (PASSWORD, base64.b64encode(f"\0{USER}\0{PASSWORD}".encode()).decode()):
        assert secret not in caught.value.detail


def test_secrets_are_masked_in_every_part_of_the_mail() -> None:
    secrets = {
        "db_password": SecretStr("db-canary-1"),
        "server_sudo_password": SecretStr("sudo-canary-2"),
        "redis_url": SecretStr("redis://user:redis-canary-3@host:6379/0"),
        **login(password="smtp-canary-4"),
    }
    everything = "db-canary-1 sudo-canary-2 redis-canary-3 smtp-canary-4 known-canary-5"
    error = UpdaterError(everything, hint=everything)
    notice = Notice(1, NOTICE.started, ((everything, error),), (everything,), everything, everything)
    with mail.mail_server(login=(USER, "smtp-canary-4")) as server:
        chosen = to(server, **secrets)
        notifier.send(chosen, notice, SecretMask([*chosen.secrets(), "known-canary-5"]))
    [arrived] = server.mails
    assert "***" in arrived.message["Subject"]
    assert "***" in arrived.text
    assert "canary" not in arrived.text + arrived.html + arrived.message["Subject"]
    assert b"canary" not in arrived.content


NASTY = st.one_of(
    st.text(max_size=40),
    st.sampled_from(["\r\nBcc: x@y.z\r\n\r\nbody", "\r", "\u2028X: y", "\x85X: y", "\udce9", "\0", "é" * 300]),
    st.sampled_from(["=?utf-8?q?a=0D=0AX-Evil:_1?=", "=?utf-8?b?YQ0KWC1FdmlsOiAx?=", "\r\n.\r\nMAIL FROM:<x@y.z>\r\n"]),
    st.sampled_from(["</pre><script>alert(1)</script>", "'><img src=//x.example/y>"]),
)


@settings(max_examples=200, deadline=None)
@given(stage=NASTY, host=NASTY, detail=NASTY, hint=NASTY, warning=NASTY, log=NASTY)
def test_no_text_adds_a_header_or_ends_the_mail(
    stage: str, host: str, detail: str, hint: str, warning: str, log: str
) -> None:
    notice = Notice(1, NOTICE.started, ((stage, UpdaterError(detail, hint=hint)),), (warning,), log, host)
    message = notifier.compose(Settings(), notice, lambda text: text)
    content = message.as_bytes()
    head, _, body = content.partition(b"\r\n\r\n")
    names = [line.split(b":")[0] for line in head.split(b"\r\n") if not line.startswith((b" ", b"\t"))]
    plain = [b"Subject", b"Date", b"Auto-Submitted", b"Content-Type", b"MIME-Version"]
    assert sorted(names) == sorted(plain)
    assert content.isascii()
    for lone in (b"\r", b"\n"):
        assert lone not in content.replace(b"\r\n", b"")
    assert max(map(len, content.split(b"\r\n"))) <= 998
    parsed = mail_sink.parse(content)
    assert sorted(parsed.keys()) == sorted(name.decode() for name in plain)
    assert not re.search(r"[\r\n]", parsed["Subject"])
    text, page = (str(part.get_content()) for part in parsed.iter_parts())
    assert text.endswith("\n")
    assert not re.search(r"<(script|img)", page)
    assert body


@given(host=NASTY, stage=NASTY)
@settings(max_examples=10, deadline=None)
def test_nasty_texts_arrive_as_one_mail_to_the_right_people(host: str, stage: str) -> None:
    notice = Notice(1, NOTICE.started, ((stage, UpdaterError(stage)),), (), f"{stage}\r\n.\r\n{host}", host)
    with mail.mail_server() as server:
        send(to(server), notice)
    assert [arrived.recipients for arrived in server.mails] == [[ANA, PEDRO]]


def test_the_demos_sink_is_a_program_that_keeps_readable_mails_and_shows_them(tmp_path: Path) -> None:
    folder, port_file = tmp_path / "mails", tmp_path / "port"
    command = [sys.executable, "-m", "udecdash_updater.demo.mail_sink", "--folder", str(folder)]
    with subprocess.Popen([*command, "--port-file", str(port_file)], stdout=subprocess.PIPE, text=True) as sink:
        assert sink.stdout is not None
        assert "mail sink" in sink.stdout.readline()
        port = int(port_file.read_text(encoding="ascii"))
        for _ in range(2):
            send(to(mail.MailServer("127.0.0.1", port=port)))
        sink.terminate()
        assert sink.wait(timeout=20) == 0
    assert sorted(path.name for path in folder.iterdir()) == ["0001.eml", "0002.eml"]
    kept = (folder / "0001.eml").read_text(encoding="utf-8")
    assert "La conexión se cerró: ñandú." in kept
    assert f"Delivered-To: {PEDRO}" in kept
    shown = subprocess.run([*command, "--show"], capture_output=True, text=True, check=True).stdout
    assert shown.count("Subject: [UDECDash] canvas.udec.example: falló en la etapa cargar tablas") == 2
    assert "PostgreSQL no pudo hacer lo que se le pidió." in shown


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl shows what the certificate holds")
def test_the_tests_certificate_is_not_about_to_end() -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(mail.CERTIFICATE)
    [authority] = context.get_ca_certs()
    assert str(authority["notAfter"]).endswith("2120 GMT")


def _until_closed(connection: socket.socket) -> None:
    while connection.recv(4096):
        pass
