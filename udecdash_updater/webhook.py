"""The notice as a chat message: JSON as the incoming webhooks of Slack, Mattermost and others take it."""

from __future__ import annotations

import json

from udecdash_updater import pages, web
from udecdash_updater.notice import Wording
from udecdash_updater.settings import Settings

_ESCAPES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})  # Slack's three; else <!channel> calls everyone


def send(settings: Settings, wording: Wording) -> None:
    """POST the notice, without the log, to WEBHOOK_URL; nothing where it is blank.

    Raises NoticeError. Takes web.LIMIT seconds at most.
    """
    if url := settings.webhook_url.get_secret_value():
        text = pages.render("webhook.txt", notice=wording).strip()
        web.call("WEBHOOK_URL", url, json.dumps({"text": text.translate(_ESCAPES)}).encode())
