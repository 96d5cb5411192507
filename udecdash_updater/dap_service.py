"""Our own few calls to the Data Access Platform: what became of a job, a table's schema, and why a query is refused.

The data itself is fetched by Instructure's client. It keeps to itself what went wrong: a failed job's error, and the
type of most others. So we ask again.
"""

from __future__ import annotations

import base64
import http.client
import json
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import stamina

from udecdash_updater import dap_batches
from udecdash_updater.bounded import within
from udecdash_updater.canvas_cli import Backoff
from udecdash_updater.settings import Settings
from udecdash_updater.version import VERSION
from udecdash_updater.web import Stay

LIMIT = 120.0  # seconds for one call, looking the name up included
_ATTEMPTS = 3
_TOO_MANY = 429
_REFUSALS = (401, 403)
_RENEWAL = 300.0  # seconds before its end in which a token is no longer used, as the client has it


class ServiceError(Exception):
    """The service told of an error, or could not be reached (then `status` is 0).

    `out_of_range`: the time asked for is not served (any more); only a snapshot helps.
    """

    def __init__(self, status: int, kind: str, uuid: str, message: str, *, out_of_range: bool = False) -> None:
        named = f"{kind} (uuid {uuid})" if uuid else kind
        super().__init__(f"{named}: {message.strip() or 'the service gave no message'}")
        self.status = status
        self.out_of_range = out_of_range

    @property
    def passes(self) -> bool:
        """Whether the same may work a little later."""
        return self.status in (0, _TOO_MANY) or self.status >= 500

    @property
    def refuses(self) -> bool:
        """Whether the service refuses us, and not this one query."""
        return self.status in _REFUSALS

    @property
    def ends_all(self) -> bool:
        """Whether no other query will fare better: we are refused, or nobody answers."""
        return self.refuses or self.status == 0


@dataclass(frozen=True, slots=True)
class Job:
    """A query job. `until` of a snapshot is the time that the service calls `at`; `error` is why it failed."""

    id: str
    status: str
    objects: int = 0
    schema_version: int = 0
    since: datetime | None = None
    until: datetime | None = None
    error: ServiceError | None = None


class Service:
    """The service at DAP_API_URL; a token is fetched when it is needed first and renewed before it ends."""

    def __init__(self, settings: Settings, backoff: Backoff | None = None) -> None:
        self._base = settings.dap_api_url
        pair = f"{settings.dap_client_id}:{settings.dap_client_secret.get_secret_value()}"
        self._basic = base64.b64encode(pair.encode()).decode()
        self._backoff = backoff or Backoff()
        self._token = ""
        self._renew = 0.0
        self._login = threading.Lock()  # several tables are fetched at once

    def log_in(self) -> None:
        """See that the service takes our key. Raises ServiceError."""
        self._bearer()

    def job(self, number: str) -> Job:
        """What became of a job. Raises ServiceError."""
        return _job(self._patiently("GET", f"/dap/job/{urllib.parse.quote(number)}"))

    def schema(self, namespace: str, table: str) -> tuple[dict[str, Any], int]:
        """A table's JSON schema now, and its version. Raises ServiceError."""
        told = self._patiently("GET", f"/dap/query/{namespace}/table/{table}/schema")
        if not isinstance(told.get("schema"), dict):
            raise ServiceError(502, "HTTP 200", "", "the answer holds no schema")
        return told["schema"], int(told.get("version") or 0)

    def start(self, namespace: str, table: str, since: datetime | None) -> Job:
        """Ask for the job that the client asks for: to be told why it got none. Raises ServiceError."""
        asked = {"format": "tsv"} | ({"since": dap_batches.written(since)} if since else {})
        return _job(self._call("POST", f"/dap/query/{namespace}/table/{table}/data", json.dumps(asked).encode()))

    def _patiently(self, method: str, path: str) -> dict[str, Any]:
        waits = self._backoff
        for attempt in stamina.retry_context(
            on=lambda error: isinstance(error, ServiceError) and error.passes,
            attempts=_ATTEMPTS,
            timeout=None,
            wait_initial=waits.first,
            wait_max=waits.longest,
            wait_exp_base=waits.factor,
        ):
            with attempt:
                return self._call(method, path)
        raise AssertionError("retry_context returns or raises")  # pragma: no cover

    def _call(self, method: str, path: str, body: bytes | None = None) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {self._bearer()}"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        return self._ask(method, path, body, headers)

    def _bearer(self) -> str:
        with self._login:
            if time.monotonic() >= self._renew:
                self._log_in()
            return self._token

    def _log_in(self) -> None:
        form = urllib.parse.urlencode({"grant_type": "client_credentials"}).encode()
        headers = {"Authorization": f"Basic {self._basic}", "Content-Type": "application/x-www-form-urlencoded"}
        given = self._ask("POST", "/ids/auth/login", form, headers)
        try:
            self._token, lasts = str(given["access_token"]), float(given["expires_in"])
        except (KeyError, TypeError, ValueError):
            raise ServiceError(502, "HTTP 200", "", "the answer to the login holds no token") from None
        self._renew = time.monotonic() + max(0.0, lasts - _RENEWAL)

    def _ask(self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]) -> dict[str, Any]:
        named = {"User-Agent": f"udecdash-updater/{VERSION}", "Accept": "application/json", **headers}
        request = urllib.request.Request(self._base + path, body, named, method=method)  # noqa: S310 - the setting is http(s)
        try:
            status, content = within(LIMIT, lambda: _sent(request))
        except (OSError, ValueError, http.client.HTTPException) as error:
            raise ServiceError(0, "NoAnswer", "", _reason(error)) from None
        try:
            found = json.loads(content)
        except ValueError:
            found = None
        if status >= 400 or not isinstance(found, dict):
            raise _told(status, found)
        return found


def _sent(request: urllib.request.Request) -> tuple[int, bytes]:
    # No proxy: the client takes none from the environment either.
    opener = urllib.request.build_opener(Stay, urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=LIMIT) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


def _reason(error: Exception) -> str:
    cause = error.reason if isinstance(error, urllib.error.URLError) else error
    return str(cause) or type(cause).__name__


def _told(status: int, found: object) -> ServiceError:
    error = found.get("error") if isinstance(found, dict) else None
    if not isinstance(error, dict):
        return ServiceError(status if status >= 400 else 502, f"HTTP {status}", "", "the answer is none of the service")
    return _error(status, error)


def _error(status: int, error: Mapping[str, Any]) -> ServiceError:
    kind, uuid, message = (str(error.get(name) or "") for name in ("type", "uuid", "message"))
    # By its members and not by its type: two types say that a query is out of range, and neither text is documented.
    return ServiceError(status, kind or f"HTTP {status}", uuid, message, out_of_range="since" in error)


def _job(told: Mapping[str, Any]) -> Job:
    error = told.get("error")
    return Job(
        id=str(told.get("id")),
        status=str(told.get("status")),
        objects=len(told.get("objects") or ()),
        schema_version=int(told.get("schema_version") or 0),
        since=_moment(told.get("since")),
        until=_moment(told.get("until") or told.get("at")),
        error=_error(500, error) if isinstance(error, dict) else None,
    )


def _moment(text: object) -> datetime | None:
    try:
        return dap_batches.parsed(str(text)) if text else None
    except ValueError:
        return None
