"""Chat and heartbeat at real HTTP servers, good and rude ones; and who is told when."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from collections.abc import Iterator
from datetime import datetime, timezone
from typing import Any

import pytest
from pydantic import SecretStr

from tests.mail import bare_server, mail_server
from tests.web import web_server
from udecdash_updater import heartbeat, notices, web
from udecdash_updater.errors import DatabaseError, NoticeError
from udecdash_updater.logs import SecretMask
from udecdash_updater.notice import Notice
from udecdash_updater.settings import Settings

BEGAN = datetime(2025, 11, 23, 6, 4, tzinfo=timezone.utc)
FAILED = Notice(17, BEGAN, (("load tables", DatabaseError("The connection was closed.")),), (), "the log", "canvas")
WARNED = Notice(18, BEGAN, (), ("3 lines were left out",), "", "canvas")
DONE = Notice(19, BEGAN, host="canvas")
RECOVERED = Notice(20, BEGAN, host="canvas", failed_before=2)
TOKEN = "/services/T0123/B4567/aVeryLongTokenIndeed"


def chosen(**values: Any) -> Settings:  # noqa: ANN401 - the settings' own fields
    for name in {"webhook_url", "heartbeat_url"} & values.keys():
        values[name] = SecretStr(values[name])
    values.setdefault("language", "en")
    return Settings(**values)


def tell(settings: Settings, notice: Notice = FAILED) -> list[str]:
    return list(map(str, notices.tell(settings, notice, SecretMask(settings.secrets()))))


@pytest.fixture(autouse=True)
def nobody_stays_behind() -> Iterator[None]:
    """Wait for what was left behind on purpose, so that no test inherits it."""
    yield
    for thread in threading.enumerate():
        if thread.name == "bounded":
            thread.join()


def test_a_failure_is_told_to_mail_chat_and_heartbeat_once_each() -> None:
    with mail_server() as mail, web_server() as chat, web_server() as pulse:
        settings = chosen(
            smtp_host=mail.host,
            smtp_port=mail.port,
            notification_emails=("ana@udec.example",),
            webhook_url=chat.address + TOKEN,
            heartbeat_url=f"{pulse.address}/abc?tag=x",
        )
        assert tell(settings) == []
    assert len(mail.mails) == 1
    [asked] = chat.asked
    assert (asked.verb, asked.path, asked.kind) == ("POST", TOKEN, "application/json; charset=utf-8")
    text = json.loads(asked.body)["text"]
    for told in ('failed in stage "load tables"', "run 17", "canvas", "The connection was closed.", "Check that"):
        assert told in text
    assert "the log" not in text
    assert [(ping.verb, ping.path) for ping in pulse.asked] == [("GET", "/abc/fail?tag=x")]


def test_the_chat_is_spanish_where_the_settings_say_so() -> None:
    with web_server() as chat:
        assert tell(chosen(webhook_url=chat.address, language="es")) == []
    text = json.loads(chat.asked[0].body)["text"]
    assert "falló en la etapa «cargar tablas»" in text
    assert DatabaseError("").sentence("es") in text


def test_names_cannot_call_the_whole_channel_and_secrets_stay_here() -> None:
    error = DatabaseError("<!channel> & the-database-password")
    with web_server() as chat:
        settings = chosen(webhook_url=chat.address, db_password=SecretStr("the-database-password"))
        assert tell(settings, Notice(1, BEGAN, (("check", error),), host="canvas")) == []
    assert "&lt;!channel&gt; &amp; ***" in json.loads(chat.asked[0].body)["text"]


@pytest.mark.parametrize(
    ("notify_on", "told"),
    [
        ("failure", [FAILED, RECOVERED]),
        ("warning", [FAILED, WARNED, RECOVERED]),
        ("always", [FAILED, WARNED, DONE, RECOVERED]),
    ],
)
def test_what_notify_on_asks_for_is_told_and_nothing_else(notify_on: str, told: list[Notice]) -> None:
    for notice in (FAILED, WARNED, DONE, RECOVERED):
        with web_server() as chat:
            assert tell(chosen(webhook_url=chat.address, notify_on=notify_on), notice) == []
        assert bool(chat.asked) == (notice in told), notice


def test_the_first_good_run_after_failed_ones_says_that_it_works_again() -> None:
    with web_server() as chat:
        tell(chosen(webhook_url=chat.address), RECOVERED)
        tell(chosen(webhook_url=chat.address, language="es"), Notice(20, BEGAN, failed_before=1))
    texts = [json.loads(asked.body)["text"] for asked in chat.asked]
    assert "works again; it had failed 2 times" in texts[0]
    assert "funciona otra vez; antes falló una vez" in texts[1]


def test_the_heartbeat_hears_of_the_start_and_of_the_end() -> None:
    with web_server() as pulse:
        settings = chosen(heartbeat_url=f"{pulse.address}/abc")
        assert notices.begun(settings) == ""
        assert tell(settings, WARNED) == []
    assert pulse.paths == ["/abc/start", "/abc"]


def test_nobody_is_asked_where_nothing_is_filled_in() -> None:
    assert notices.begun(chosen()) == ""
    assert tell(chosen()) == []


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_told_and_not_followed(status: int) -> None:
    with web_server() as elsewhere, web_server(status, f"{elsewhere.address}/taken") as chat:
        settings = chosen(webhook_url=chat.address + TOKEN, heartbeat_url=chat.address + TOKEN)
        warnings = tell(settings)
    assert elsewhere.asked == []
    assert len(chat.asked) == 2
    for warning, name in zip(warnings, ("WEBHOOK_URL", "HEARTBEAT_URL"), strict=True):
        assert f"{name} (at 127.0.0.1): answered {status}, a redirect" in warning
        assert TOKEN not in warning


@pytest.mark.parametrize("status", [400, 404, 500, 503])
def test_a_refusal_is_a_warning_without_the_address(status: int) -> None:
    with web_server(status) as chat:
        [warning] = tell(chosen(webhook_url=chat.address + TOKEN))
    assert warning == (f"The administrators could not be told. WEBHOOK_URL (at 127.0.0.1): answered {status}.")


def test_a_server_that_is_away_is_a_warning_and_the_others_are_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        away = f"http://127.0.0.1:{taken.getsockname()[1]}{TOKEN}"
    with web_server() as pulse:
        [warning] = tell(chosen(webhook_url=away, heartbeat_url=pulse.address))
    assert "Connection refused" in warning
    assert pulse.paths == ["/fail"]


def test_a_host_that_does_not_exist_is_a_warning() -> None:
    assert "no-such-host.invalid" in str(notices.begun(chosen(heartbeat_url="https://no-such-host.invalid/abc")))


def test_a_server_that_is_mute_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web, "LIMIT", 0.3)
    with bare_server(_until_closed) as port:
        assert _gives_up(port)


def test_a_server_that_drips_is_given_up_after_the_time_for_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web, "LIMIT", 0.5)

    def drip(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\n")
        while True:
            connection.sendall(b"X-More: y\r\n")
            time.sleep(0.02)

    with bare_server(drip) as port:
        assert _gives_up(port)


def test_a_server_that_hangs_up_or_speaks_nonsense_is_told() -> None:
    for answer in (b"", b"nonsense\r\n\r\n", b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 500 + b"\r\n"):

        def talk(connection: socket.socket, answer: bytes = answer) -> None:
            connection.recv(4096)
            connection.sendall(answer)

        with bare_server(talk) as port:
            assert notices.begun(chosen(heartbeat_url=f"http://127.0.0.1:{port}/abc")), answer


def test_the_limit_of_a_night_is_ten_seconds() -> None:
    assert web.LIMIT == 10


def test_what_cannot_be_told_has_a_hint_that_names_the_setting() -> None:
    with web_server(404) as pulse, pytest.raises(NoticeError) as caught:
        heartbeat.ping(chosen(heartbeat_url=pulse.address), heartbeat.START)
    assert caught.value.hint() == "Check HEARTBEAT_URL."


def _gives_up(port: int) -> bool:
    [warning] = tell(chosen(webhook_url=f"http://127.0.0.1:{port}{TOKEN}"))
    return "timed out" in warning or "no end within" in warning


def _until_closed(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while connection.recv(4096):
            pass
