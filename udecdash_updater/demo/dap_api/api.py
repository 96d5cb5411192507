"""The endpoints: who may call them, what they take, and what they answer."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote

from ..canvas_data_cli.faults import Faults
from .answers import Answer, ApiError, as_json, invalid, out_of_range, unknown
from .jobs import Jobs, Query
from .limits import Limits
from .served import Served, moment
from .tokens import Signer, basic

HELP = """
faults.json in the served folder is a list of objects, read at each request:
  {"fault": NAME, "times": how often (default: always), ...}   the count is kept in faults.json.state
On an endpoint:  ("on": login, list, schema, query, job, url or file; "table": a shell pattern)
                 status ("status": 500, "type", "message"): that error; limited ("seconds"): 429 with Retry-After;
                 forbidden ("type": AccountDisabled ...): 403; unauthorized: 401; page: HTML instead of JSON;
                 hang ("seconds")
On a query:      ("table") failed ("message"): the job fails; slow ("polls"): it is unfinished that often;
                 range: the time is out of range; twice: every row comes twice
On a file:       ("table") cut ("bytes", "content_length": false hides it); garbage
"""
_TIME = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d+))?(Z|[+-]\d\d:\d\d)")
_MEMBERS = {"format", "mode", "since", "until"}


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request; header names in lower case, `address` the path with its query, `base` our own address."""

    method: str
    address: str
    headers: Mapping[str, str]
    body: bytes
    base: str

    @property
    def path(self) -> str:
        """The path without the query."""
        return self.address.partition("?")[0]


@dataclass(frozen=True, slots=True)
class Rules:
    """What the server is told at its start: credentials, how long things last, how much they may be used."""

    client_id: str = "demonstration"
    client_secret: str = "demonstration"  # noqa: S105 - of a stand-in
    token_seconds: int = 3600
    url_seconds: int = 900
    job_seconds: int = 24 * 3600
    part_rows: int = 100_000
    minute: float = 60
    per_minute: Mapping[str, int] = field(default_factory=dict)


class Api:
    """Answers requests from the served folder; what it makes lies in `work`. `stopped` ends what hangs."""

    def __init__(self, folder: Path, work: Path, rules: Rules) -> None:
        self.stopped = threading.Event()
        self._folder = folder
        self._rules = rules
        self._served = Served(folder)
        self._jobs = Jobs(self._served, work, rules.part_rows, rules.job_seconds)
        self._signer = Signer()
        self._limits = Limits(rules.minute, dict(rules.per_minute))
        self._lock = threading.Lock()

    def answer(self, request: Request) -> Answer:
        """The answer to one request; errors are answers too."""
        try:
            for method, pattern, endpoint, work in self._endpoints():
                if request.method == method and (found := re.fullmatch(pattern, request.path)):
                    return self._answer(request, endpoint, found, work)
            raise unknown("path", request.path)
        except ApiError as error:
            return error.answer()

    def _endpoints(self) -> list[tuple[str, str, str, Callable[[Request, re.Match[str]], Answer]]]:
        name = r"([\w-]+)"
        return [
            ("POST", "/ids/auth/login", "login", self._login),
            ("GET", f"/dap/query/{name}/table", "list", self._list),
            ("GET", f"/dap/query/{name}/table/{name}/schema", "schema", self._schema),
            ("POST", f"/dap/query/{name}/table/{name}/data", "query", self._query),
            ("GET", f"/dap/job/{name}", "job", self._job),
            ("POST", "/dap/object/url", "url", self._urls),
            ("GET", "/files/(.+)/([^/]+)", "file", self._file),
        ]

    def _answer(
        self,
        request: Request,
        endpoint: str,
        found: re.Match[str],
        work: Callable[[Request, re.Match[str]], Answer],
    ) -> Answer:
        table = found[2] if endpoint in ("schema", "query") else ""
        if spoiled := self._spoiled(endpoint, table):
            return spoiled
        if endpoint not in ("login", "file"):
            kind, _, token = request.headers.get("authorization", "").partition(" ")
            if kind != "Bearer" or not self._signer.client(token):
                raise ApiError(401, "AuthenticationError", "the access token is missing, wrong or expired")
            self._limits.count(endpoint)
        return work(request, found)

    def _spoiled(self, endpoint: str, table: str) -> Answer | None:
        """What a fault makes of any endpoint."""
        if fault := self._due("hang", on=endpoint, table=table):
            self.stopped.wait(fault.get("seconds", 3600))
        if fault := self._due("limited", on=endpoint, table=table):
            raise ApiError(429, "TooManyRequestsError", "too many requests", retry_after=fault.get("seconds", 1))
        if self._due("unauthorized", on=endpoint, table=table):
            raise ApiError(401, "AuthenticationError", "the access token is not accepted")
        if fault := self._due("forbidden", on=endpoint, table=table):
            raise ApiError(403, fault.get("type", "AccountDisabled"), "access is forbidden")
        if fault := self._due("status", on=endpoint, table=table):
            kind = fault.get("type", "InternalServerError")
            raise ApiError(fault.get("status", 500), kind, fault.get("message", "an unexpected error"))
        if self._due("page", on=endpoint, table=table):
            return Answer(200, b"<html>bad gateway</html>", {"Content-Type": "text/html"})
        return None

    def _due(self, name: str, **where: str) -> dict[str, Any] | None:
        with self._lock:  # its count lies in a file
            return Faults(self._folder / "faults.json", "").due(name, **where)

    def _login(self, request: Request, _found: re.Match[str]) -> Answer:
        rules = self._rules
        if request.headers.get("content-type", "").partition(";")[0] != "application/x-www-form-urlencoded":
            raise invalid("the login takes a form")
        if parse_qs(request.body.decode()) != {"grant_type": ["client_credentials"]}:
            raise invalid("grant_type must be client_credentials, and nothing else be there")
        if basic(request.headers.get("authorization", "")) != f"{rules.client_id}:{rules.client_secret}":
            raise ApiError(401, "AuthenticationError", "client id or secret is wrong")
        token = self._signer.token(rules.client_id, rules.token_seconds)
        told = {"access_token": token, "expires_in": rules.token_seconds, "scope": "dap", "token_type": "Bearer"}
        return as_json(told)

    def _list(self, _request: Request, found: re.Match[str]) -> Answer:
        return as_json({"tables": self._served.tables(found[1])})

    def _schema(self, _request: Request, found: re.Match[str]) -> Answer:
        return as_json(self._served.schema(found[1], found[2]))

    def _query(self, request: Request, found: re.Match[str]) -> Answer:
        namespace, table = found.groups()
        asked = _object(request)
        if strangers := set(asked) - _MEMBERS:
            raise invalid(f"unknown members: {', '.join(sorted(strangers))}")
        if asked.get("format") != "tsv":
            raise invalid("this stand-in gives tsv only")
        if asked.get("mode") not in (None, "expanded", "condensed"):
            raise invalid("mode must be expanded or condensed")
        since, until = (_time(asked, name) for name in ("since", "until"))
        if until and (not since or until <= since):
            raise invalid("until must come after since")
        self._served.schema(namespace, table)
        night = self._served.nights()[-1]
        if since and self._due("range", table=table):
            raise out_of_range(moment(night), moment(night))
        query = Query(namespace, table, asked.get("mode"), since, until, night)
        return as_json(self._started(query).told(), 202)

    def _started(self, query: Query) -> Any:  # noqa: ANN401 - a Job
        slow = self._due("slow", table=query.table) or {}
        failed = self._due("failed", table=query.table)
        error = ApiError(500, "ProcessingError", failed.get("message", "")).error if failed else None
        twice = bool(self._due("twice", table=query.table))
        return self._jobs.start(query, polls=slow.get("polls", 0), error=error, twice=twice)

    def _job(self, _request: Request, found: re.Match[str]) -> Answer:
        return as_json(self._jobs.job(found[1]).told())

    def _urls(self, request: Request, _found: re.Match[str]) -> Answer:
        asked = json.loads(request.body or b"null")
        if not isinstance(asked, list) or not all(isinstance(one, dict) and set(one) == {"id"} for one in asked):
            raise invalid("a list of objects with an id is expected")
        urls = {}
        for one in asked:
            name = self._jobs.object(one["id"]).name
            address = self._signer.address(f"/files/{one['id']}/{name}", self._rules.url_seconds)
            urls[one["id"]] = {"url": request.base + address}
        return as_json({"urls": urls})

    def _file(self, request: Request, found: re.Match[str]) -> Answer:
        if "authorization" in request.headers or not self._signer.holds(request.address):
            return Answer(403, b"<Error><Code>AccessDenied</Code></Error>", {"Content-Type": "application/xml"})
        number = unquote(found[1])
        body = self._jobs.object(number).read_bytes()
        table = self._jobs.job(number.partition("/")[0]).query.table
        if self._due("garbage", table=table):
            body = b"\0" * len(body)
        cut = self._due("cut", table=table) or {}
        counted = cut.get("content_length", True)
        return Answer(200, body, {"Content-Type": "application/octet-stream"}, cut.get("bytes"), counted)


def _object(request: Request) -> dict[str, Any]:
    if request.headers.get("content-type") != "application/json":
        raise invalid("Content-Type must be application/json")
    try:
        found = json.loads(request.body)
    except ValueError:
        raise invalid("is not JSON") from None
    if not isinstance(found, dict):
        raise invalid("an object is expected")
    return found


def _time(asked: Mapping[str, Any], name: str) -> datetime | None:
    text = asked.get(name)
    if text is None:
        return None
    found = _TIME.fullmatch(text) if isinstance(text, str) else None
    if not found:
        raise invalid(f"{name} must be a time with a zone")
    whole, fraction, zone = found.groups()
    return datetime.fromisoformat(f"{whole}.{(fraction or '')[:6].ljust(6, '0')}{zone.replace('Z', '+00:00')}")
