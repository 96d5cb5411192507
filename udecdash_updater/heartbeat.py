"""The dead man's switch: a service that is pinged each night and tells somebody when no ping comes.

The paths are those of healthchecks.io: URL/start, URL, URL/fail.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from udecdash_updater import web
from udecdash_updater.settings import Settings

START, SUCCESS, FAIL = "/start", "", "/fail"


def ping(settings: Settings, signal: str) -> None:
    """Send START, SUCCESS or FAIL to HEARTBEAT_URL; nothing where it is blank.

    Raises NoticeError. Takes web.LIMIT seconds at most.
    """
    if url := settings.heartbeat_url.get_secret_value():
        parts = urlsplit(url)
        web.call("HEARTBEAT_URL", parts._replace(path=parts.path.rstrip("/") + signal).geturl())
