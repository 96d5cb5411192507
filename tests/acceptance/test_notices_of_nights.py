"""A bad night, a good one, another good one: what mail, chat and heartbeat hear of each, and what its page says."""

from __future__ import annotations

import json

from tests.installation import Installation
from tests.web import web_server


def test_a_failure_and_the_first_good_night_after_it_are_told_once_each(yesterday: Installation) -> None:
    site = yesterday
    with web_server() as chat, web_server() as pulse:
        site.values |= {"WEBHOOK_URL": f"{chat.address}/secret-token", "HEARTBEAT_URL": f"{pulse.address}/secret-pulse"}
        site.values |= {"REPORT_DIR": str(site.folder / "pages"), "METRICS_FILE": str(site.folder / "udecdash.prom")}
        site.faults({"fault": "exit", "code": 9})
        logs = [site.run(3).log]
        site.faults()
        logs += [site.run(0).log, site.run(0).log]
    subjects = [mail.message["Subject"].partition(": ")[2] for mail in site.mail.mails]
    assert subjects == ["failed in stage download", "works again"]
    texts = [json.loads(asked.body)["text"] for asked in chat.asked]
    assert ["failed" in texts[0], "works again; it had failed once" in texts[1], len(texts)] == [True, True, 2]
    began, good = "/secret-pulse/start", "/secret-pulse"
    assert pulse.paths == [began, f"{good}/fail", began, good, began, good]
    pages = {path.name: path.read_text(encoding="utf-8") for path in (site.folder / "pages").iterdir()}
    verdicts = ["failed in stage “download”", "The night went well", "The night went well"]
    for run, verdict in enumerate(verdicts, 2):  # the first night was without pages
        assert verdict in pages[f"run-{run:06d}.html"]
    assert "udecdash_last_run_success 1.0" in (site.folder / "udecdash.prom").read_text(encoding="utf-8")
    assert "secret-" not in "".join(pages.values())
    assert "secret-" not in "".join(logs + texts + [mail.text + mail.html for mail in site.mail.mails])


def test_who_cannot_be_told_makes_a_warning_and_never_fails_the_night(yesterday: Installation) -> None:
    site = yesterday
    with web_server(503) as deaf:
        site.values |= {"WEBHOOK_URL": f"{deaf.address}/secret-token", "HEARTBEAT_URL": f"{deaf.address}/secret-pulse"}
        ended = site.run(10)
    assert "HEARTBEAT_URL (at 127.0.0.1): answered 503" in ended.log
    assert deaf.paths == ["/secret-pulse/start", "/secret-pulse"]
    assert "secret-" not in ended.log
