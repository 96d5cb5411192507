"""One request to a URL that is a secret: bounded in time, never redirected, its address in no message."""

from __future__ import annotations

import http.client
import ssl
import urllib.error
import urllib.request
from email.message import Message
from typing import IO
from urllib.parse import urlsplit

from udecdash_updater.bounded import within
from udecdash_updater.errors import NoticeError
from udecdash_updater.language import Told, because, say
from udecdash_updater.version import VERSION

LIMIT = 10.0  # seconds for everything, looking its name up included
_REDIRECTS = range(300, 400)


class Stay(urllib.request.HTTPRedirectHandler):
    """Follows no redirect: what is told is for the host that the setting names, and for no other."""

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Message, newurl: str
    ) -> None:
        """Nothing to ask instead, so that the answer becomes an HTTPError."""


def call(setting: str, url: str, body: bytes | None = None) -> None:
    """GET the URL, or POST `body` to it as JSON; `setting` is the name that errors tell instead of the address.

    Raises NoticeError unless a 2xx answer begins within LIMIT seconds. Proxies are those of the environment.
    """
    headers = {"User-Agent": f"udecdash-updater/{VERSION}"}
    if body is not None:
        headers["Content-Type"] = "application/json; charset=utf-8"
    try:
        within(LIMIT, lambda: _ask(urllib.request.Request(url, body, headers)))  # noqa: S310 - the setting is http(s)
    except (OSError, ValueError, http.client.HTTPException) as error:
        reason = _reason(error)
    else:
        return
    raise NoticeError(
        say("web refused", name=setting, host=_host(url), why=reason), hint=say("check setting", name=setting)
    )


def _ask(request: urllib.request.Request) -> None:
    opener = urllib.request.build_opener(Stay)
    try:
        opener.open(request, timeout=LIMIT).close()
    except urllib.error.HTTPError as error:
        error.close()
        raise


def _host(url: str) -> str:
    return urlsplit(url).hostname or "no host"


def _reason(error: Exception) -> Told:
    """Why, in words that hold nothing of the address or of the answer."""
    if isinstance(error, urllib.error.HTTPError):
        return say("web moved" if error.code in _REDIRECTS else "web answered", code=error.code)
    cause = error.reason if isinstance(error, urllib.error.URLError) else error
    if isinstance(cause, ssl.SSLCertVerificationError):
        return say("web certificate", why=cause.verify_message)
    if isinstance(cause, OSError):
        return because(cause)
    return type(cause).__name__
