"""The log: text or JSON, one line a record, secrets masked in both."""

from __future__ import annotations

import json
import logging

import pytest

from udecdash_updater import logs
from udecdash_updater.errors import QueueError
from udecdash_updater.language import say
from udecdash_updater.logs import LOGGER

SECRET = 'pa"ss\\wörd'


def test_json_logs_are_one_object_a_line_with_secrets_masked(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure([SECRET], form="json")
    LOGGER.warning("first\nsecond %s \udcff", SECRET, extra={"stage": "verify", "seconds": 1.5})
    try:
        raise ValueError(SECRET)
    except ValueError:
        LOGGER.exception("it failed")
    lines = capsys.readouterr().err.splitlines()
    told = [json.loads(line) for line in lines]
    assert told[0]["message"] == "first\nsecond *** \udcff"
    assert (told[0]["level"], told[0]["stage"], told[0]["seconds"]) == ("WARNING", "verify", 1.5)
    assert told[0]["time"].endswith("+00:00")
    assert "ValueError: ***" in told[1]["exception"]
    assert json.dumps(SECRET)[1:-1] not in "".join(lines)


def test_the_notices_tail_is_text_whatever_the_log_is(capsys: pytest.CaptureFixture[str]) -> None:
    _, tail = logs.configure([SECRET], form="json")
    LOGGER.info("with %s", SECRET)
    assert tail.text().endswith("INFO with ***")
    logs.configure([SECRET])
    LOGGER.log(logging.ERROR, "with %s", SECRET)
    assert capsys.readouterr().err.splitlines()[-1].endswith("ERROR with ***")


def test_words_and_errors_are_logged_in_the_language_that_is_set(capsys: pytest.CaptureFixture[str]) -> None:
    _, tail = logs.configure([SECRET], language="es")
    LOGGER.warning(say("redis away", why=f"con {SECRET}"))
    LOGGER.error("%s: %d", QueueError(), 7)
    logged = capsys.readouterr().err
    assert "con *** La carga sigue" in logged
    assert f"{QueueError.spanish}: 7" in tail.text()
    logs.configure(form="json", language="es")
    LOGGER.warning(say("path concat unused"))
    assert "it is not used" in capsys.readouterr().err
