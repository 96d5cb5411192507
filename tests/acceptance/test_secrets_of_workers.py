"""The worker of a night's last job writes pages, mails and a log of its own: none of them tells a secret."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from psycopg2.extensions import connection as Connection  # noqa: N812 - psycopg2's class has a lower-case name

from tests.acceptance.test_secrets import AWAY, CANARIES, everything_in_redis, protected
from tests.mail import mail_server
from tests.nights import load
from tests.support import command_lines_with, until
from udecdash_updater import dispatch
from udecdash_updater.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
# Nothing that a job does says a secret; what an earlier one left in the ledger, and a path, may.
WORDS = f"it said {' '.join(CANARIES.values())}"
PLANTED = "insert into udecdash.courses (course_id, failures, failed_run, failure) values (7, 3, %s, %s)"


def test_the_worker_that_writes_pages_and_mails_tells_no_secret(
    services: Settings, database: Connection, small_nights: Path, tmp_path: Path
) -> None:
    url = services.redis_url.get_secret_value()
    run = load(services, small_nights / "night1" / "dataFiles").run
    with database.cursor() as cursor:
        cursor.execute(PLANTED, (run, WORDS))
        cursor.execute("update udecdash.runs set warnings = %s, warnings_es = %s", ([WORDS], [WORDS]))
    dispatch.enqueue(services, run)
    pages, log = tmp_path / "pages", tmp_path / "worker.log"
    unwritable = tmp_path / CANARIES["SMTP_PASS"]
    unwritable.write_text("no folder")
    with (
        mail_server(login=("notices@udec.example", CANARIES["SMTP_PASS"])) as server,
        protected(url, CANARIES["REDIS_URL"]) as client,
        command_lines_with("canary") as seen,
        log.open("wb") as output,
    ):
        values = {name: AWAY + CANARIES[name] for name in ("WEBHOOK_URL", "HEARTBEAT_URL")}
        values |= {"REDIS_URL": url.replace("unix://", f"unix://:{CANARIES['REDIS_URL']}@")}
        values |= {name: CANARIES[name] for name in ("DB_PASSWORD", "SMTP_PASS", "SERVER_SUDO_PASSWORD")}
        values |= {"DAP_CLIENT_SECRET": CANARIES["DAP_CLIENT_SECRET"], "REPORT_DIR": str(pages)}
        values |= {"DB_HOST": services.db_host, "DB_PORT": str(services.db_port), "DB_NAME": services.db_name}
        values |= {"DB_USERNAME": services.db_username, "SMTP_HOST": server.host, "SMTP_PORT": str(server.port)}
        values |= {"SMTP_USER": "notices@udec.example", "NOTIFICATION_EMAILS": "admin@udec.example"}
        values |= {"METRICS_FILE": str(unwritable / "m.prom")}
        (tmp_path / ".env").write_text("".join(f"{name}={value}\n" for name, value in values.items()))
        command = [sys.executable, "-m", "udecdash_updater.worker"]
        environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}
        with subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=output, stderr=output) as worker:
            try:
                assert until(lambda: bool(server.mails))
                assert until(lambda: b"WEBHOOK_URL" in log.read_bytes())
            finally:
                worker.terminate()
                worker.wait()
        told = {"redis": everything_in_redis(client), "log": log.read_text()}
        told["mail"] = "".join(mail.text + mail.content.decode() for mail in server.mails)
    told |= {path.name: path.read_text(encoding="utf-8") for path in pages.iterdir()}
    assert seen == []
    assert {"index.html", "mail"} <= set(told)
    assert "m.prom" in told["log"]
    assert [(where, secret) for where, text in told.items() for secret in CANARIES.values() if secret in text] == []
    assert all("***" in told[where] for where in ("log", "mail", f"run-{run:06d}.html"))
