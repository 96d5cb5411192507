"""Secrets: canaries in every secret setting that must appear nowhere but where they are used."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from psycopg2.extensions import connection as Connection  # noqa: N812 - psycopg2's class has a lower-case name
from pydantic import SecretStr

from tests.installation import Installation, rows
from tests.mail import mail_server
from tests.support import command_lines_with
from udecdash_updater import logs
from udecdash_updater.settings import Settings

CANARIES = {
    "DB_PASSWORD": "canary-Dbp1",
    "SMTP_PASS": "canary-Smtp2",
    "SERVER_SUDO_PASSWORD": "canary-Sudo3",
    "REDIS_URL": "canary-Redis4",
    "WEBHOOK_URL": "canary-Hook6",
    "HEARTBEAT_URL": "canary-Beat7",
    "DAP_CLIENT_SECRET": "canary-Dap8",
}
# Nobody listens there: whoever is told of the failure must not be told the address.
AWAY = "http://127.0.0.1:9/"
OF_CANVAS = "canary-Canvas5"
# What sudo does as far as we see it: it reads the password, and complains in words that hold it.
SUDO = """#!/bin/sh
read -r password
echo "sudo: $password" >&2
while [ "$1" != -- ]; do shift; done
shift
exec "$@"
"""


@contextlib.contextmanager
def protected(url: str, password: str) -> Iterator[redis.Redis]:
    """The Redis of the suite with a password, until the block ends."""
    with redis.Redis.from_url(url) as client:
        client.config_set("requirepass", password)
        try:
            client.auth(password)
            yield client
        finally:
            client.config_set("requirepass", "")


def everything_in_redis(client: redis.Redis) -> str:
    dumped = []
    for key in client.keys("*"):
        kind = client.type(key)
        read = {b"string": client.get, b"hash": client.hgetall, b"set": client.smembers}.get(kind)  # type: ignore[arg-type] # bytes here
        dumped.append(repr((key, read(key) if read else client.dump(key))))
    return "\n".join(dumped)


def ledger(database: Connection) -> str:
    names = [name for (name,) in rows(database, "select tablename from pg_tables where schemaname = 'udecdash'")]
    return "\n".join(repr(rows(database, f"select t::text from udecdash.{name} t")) for name in names)


def test_every_secret_setting_has_its_canary() -> None:
    kinds = {name.upper() for name, field in Settings.model_fields.items() if "SecretStr" in str(field.annotation)}
    assert set(CANARIES) == kinds


@pytest.mark.parametrize("name", CANARIES)
def test_no_traceback_no_log_at_debug_and_no_text_of_the_settings_holds_a_secret(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    canary = CANARIES[name]
    value = {"REDIS_URL": f"redis://:{canary}@host/0"}.get(name, AWAY + canary if name.endswith("_URL") else canary)
    settings = Settings().model_copy(update={name.lower(): SecretStr(value)})
    assert canary not in repr(settings) + str(settings) + settings.model_dump_json()
    mask, tail = logs.configure(settings.secrets(), level=logging.DEBUG)
    try:
        raise ValueError(f"it said {canary} and {value}")
    except ValueError as error:
        logs.LOGGER.exception("a stage failed with %s", value)
        logs.LOGGER.debug("%r", {"value": value})
        told = tail.text() + mask.mask(f"{error}")
    log = capsys.readouterr().err
    assert "DEBUG" in log
    assert canary not in told + log
    assert "***" in told


def test_no_secret_appears_anywhere(yesterday: Installation, services: Settings, database: Connection) -> None:
    site, url = yesterday, services.redis_url.get_secret_value()
    sudo = site.folder / "bin" / "sudo"
    sudo.write_text(SUDO)
    sudo.chmod(0o755)
    config = site.canvas / "config.js"
    config.write_text(config.read_text().replace("the-secret-of-the-api", OF_CANVAS))
    environment = {"PATH": f"{sudo.parent}:/usr/bin:/bin", "PYTHONPATH": str(Path(__file__).parents[2])}
    address = url.replace("unix://", f"unix://:{CANARIES['REDIS_URL']}@")
    with (
        mail_server(login=("notices@udec.example", CANARIES["SMTP_PASS"])) as server,
        protected(url, CANARIES["REDIS_URL"]) as client,
        command_lines_with("canary") as seen,
    ):
        mailing = {"SMTP_PORT": str(server.port), "SMTP_USER": "notices@udec.example"}
        mailing |= {name: AWAY + CANARIES[name] for name in ("WEBHOOK_URL", "HEARTBEAT_URL")}
        site.values |= {**CANARIES, **mailing, "REDIS_URL": address}
        told = []
        site.serve(2)
        site.fill_in(NOTIFY_ON="always")
        ended = site.end(site.start(environment=environment), 10)
        told += [ended.out, ended.log, everything_in_redis(client)]
        assert client.keys("rq:job:*")

        # And when things go wrong, in the words of the programs that hold a secret.
        site.faults({"fault": "exit", "code": 1, "text": f"{' '.join([OF_CANVAS, *CANARIES.values()])}\n"})
        ended = site.end(site.start(environment=environment), 3)
        told += [ended.out, ended.log]

        site.faults()
        site.fill_in(
            SUPERVISOR_CONFIG="/nonexistent/supervisord.conf", REDIS_URL=address.replace("s/redis", "none/redis")
        )
        ended = site.end(site.start(environment=environment), 6)
        told += [ended.out, ended.log]

        assert server.passwords
        assert {password.decode() for password in server.passwords} == {CANARIES["SMTP_PASS"]}
        assert len(server.mails) == 3
        told += [mail.text for mail in server.mails] + [mail.content.decode() for mail in server.mails]
    assert seen == []
    told.append(ledger(database))
    assert "ends as it was told" not in "".join(told)
    for secret in (*CANARIES.values(), OF_CANVAS):
        assert [text for text in told if secret in text] == []
    assert "***" in "".join(told)
