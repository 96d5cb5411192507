"""Who is told of a run, and when: the mail, the chat and the heartbeat; none of them can fail the night."""

from __future__ import annotations

from collections.abc import Callable

from udecdash_updater import heartbeat, notifier, webhook
from udecdash_updater.errors import NoticeError
from udecdash_updater.language import Told
from udecdash_updater.logs import SecretMask
from udecdash_updater.notice import Notice, in_words
from udecdash_updater.settings import Settings


def wanted(settings: Settings, notice: Notice) -> bool:
    """Whether NOTIFY_ON asks for this notice; failures and the first good run after them are always told."""
    told = {"failure": False, "warning": bool(notice.warnings), "always": True}
    return notice.outcome in ("failed", "recovered") or told[settings.notify_on]


def tell(settings: Settings, notice: Notice, mask: SecretMask) -> list[Told]:
    """Tell everyone who wants to know, each once. Returns why some could not be told, one sentence each."""
    ways: list[Callable[[], None]] = []
    if wanted(settings, notice):
        ways.append(lambda: notifier.send(settings, notice, mask))
        ways.append(lambda: webhook.send(settings, in_words(notice, settings, mask.mask)))
    ways.append(lambda: heartbeat.ping(settings, heartbeat.FAIL if notice.failures else heartbeat.SUCCESS))
    return [reason for way in ways if (reason := _tried(way))]


def begun(settings: Settings) -> Told:
    """Tell the heartbeat that a run has begun. Returns why it could not be told, or nothing."""
    return _tried(lambda: heartbeat.ping(settings, heartbeat.START))


def _tried(way: Callable[[], None]) -> Told:
    try:
        way()
    except NoticeError as error:
        return error
    return ""
