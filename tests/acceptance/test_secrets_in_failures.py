"""Every stage fails in words that hold every secret, and nobody is told one of them."""

from __future__ import annotations

import dataclasses
import functools
import logging
from pathlib import Path

import pytest
from psycopg2.extensions import connection as Connection  # noqa: N812 - psycopg2's class has a lower-case name

from tests.acceptance.test_secrets import CANARIES, everything_in_redis, ledger, protected
from tests.commands import call
from tests.installation import Installation
from tests.mail import mail_server
from tests.support import command_lines_with
from udecdash_updater import logs, pipeline
from udecdash_updater.errors import UpdaterError
from udecdash_updater.night import Night
from udecdash_updater.settings import Settings
from udecdash_updater.stages import STAGES

# Those that end a night each have one; the others fail together in the last.
ENDING = [[stage.name] for stage in STAGES if stage.ends]
AFTERWARDS = [stage.name for stage in STAGES if not stage.ends]
AWAY = "http://127.0.0.1:9/"


def failing(stage: str, night: Night) -> None:
    """Do what the stage does, then fail in the words of something that knows all the secrets."""
    next(one for one in STAGES if one.name == stage).work(night)
    words = f"it said {' '.join(CANARIES.values())} and {AWAY}{CANARIES['WEBHOOK_URL']}"
    raise UpdaterError(words, hint=words) if len(stage) % 2 else RuntimeError(words)


@pytest.mark.parametrize("names", [*ENDING, AFTERWARDS], ids=lambda names: names[0])
def test_a_stage_that_fails_tells_no_secret_anywhere(
    yesterday: Installation,
    services: Settings,
    database: Connection,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    names: list[str],
) -> None:
    site, url = yesterday, services.redis_url.get_secret_value()
    pages = tmp_path / "pages"
    pages.mkdir()
    stages = [
        dataclasses.replace(one, work=functools.partial(failing, one.name)) if one.name in names else one
        for one in STAGES
    ]
    monkeypatch.setattr(pipeline, "STAGES", tuple(stages))
    monkeypatch.setattr(logs, "configure", functools.partial(logs.configure, level=logging.DEBUG))
    with (
        mail_server(login=("notices@udec.example", CANARIES["SMTP_PASS"])) as server,
        protected(url, CANARIES["REDIS_URL"]) as client,
        command_lines_with("canary") as seen,
    ):
        site.values |= {**CANARIES, "SMTP_PORT": str(server.port), "SMTP_USER": "notices@udec.example"}
        site.values |= {name: AWAY + CANARIES[name] for name in ("WEBHOOK_URL", "HEARTBEAT_URL")}
        site.values |= {"REDIS_URL": url.replace("unix://", f"unix://:{CANARIES['REDIS_URL']}@")}
        site.fill_in(SERVER_SUDO_PASSWORD=None, REPORT_DIR=str(pages), METRICS_FILE=str(tmp_path / "m.prom"))
        ended = call(site, "run", "--json", code=1)
        told = {"stdout": ended.stdout, "log": ended.stderr, "redis": everything_in_redis(client)}
    [mail] = server.mails
    told |= {"mail": mail.text + mail.content.decode(), "ledger": ledger(database)}
    told |= {path.name: path.read_text(encoding="utf-8") for path in tmp_path.rglob("*.*") if path.is_file()}
    assert seen == []
    assert {"index.html", "m.prom"} <= set(told)
    secrets = [canary for name, canary in CANARIES.items() if name != "SERVER_SUDO_PASSWORD"]
    assert [(where, one) for where, text in told.items() for one in secrets if one in text] == []
    assert all("***" in told[where] for where in ("stdout", "log", "mail", "ledger"))
