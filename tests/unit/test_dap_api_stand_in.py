"""The stand-in of the API of Canvas Data 2: as strict as the real one, and its errors have the real ones' shapes."""

from __future__ import annotations

import base64
import contextlib
import gzip
import json
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.dap import SECRET, faults, serve
from tests.support import until
from udecdash_updater.demo.dap_api.api import Rules
from udecdash_updater.demo.dap_api.server import running

USERS = "canvas.users"


@dataclass(frozen=True)
class Answered:
    """What came back."""

    status: int
    json: Any
    headers: dict[str, str]
    body: bytes


@dataclass
class Site:
    """A served folder and its address."""

    served: Path
    url: str
    token: str = ""

    def ask(self, method: str, path: str, body: object = None, **headers: str) -> Answered:
        named = {"Content-Type": "application/json", "Authorization": f"Bearer {self.token}"}
        named |= {name.replace("_", "-"): value for name, value in headers.items()}
        content = body if isinstance(body, bytes) else None if body is None else json.dumps(body).encode()
        url = path if path.startswith("http") else self.url + path
        request = urllib.request.Request(
            url, content, {name: text for name, text in named.items() if text}, method=method
        )
        try:
            with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=30) as answer:
                return _answered(answer.status, answer.headers, answer.read())
        except urllib.error.HTTPError as error:
            with error:
                return _answered(error.code, error.headers, error.read())

    def log_in(self, secret: str = SECRET) -> Answered:
        pair = base64.b64encode(f"us#me:{secret}".encode()).decode()
        form = {"Authorization": f"Basic {pair}", "Content_Type": "application/x-www-form-urlencoded"}
        answer = self.ask("POST", "/ids/auth/login", b"grant_type=client_credentials", **form)
        self.token = answer.json.get("access_token", "")
        return answer

    def query(self, table: str = "users", **asked: str) -> Answered:
        return self.ask("POST", f"/dap/query/canvas/table/{table}/data", {"format": "tsv", **asked})

    def url_of(self, job: Answered) -> str:
        (one,) = job.json["objects"]
        urls: dict[str, dict[str, str]] = self.ask("POST", "/dap/object/url", [one]).json["urls"]
        return urls[one["id"]]["url"]

    def rows(self, job: Answered) -> list[str]:
        answer = self.ask("GET", self.url_of(job), Authorization="")
        return gzip.decompress(answer.body).decode().splitlines()


def _answered(status: int, headers: Any, body: bytes) -> Answered:  # noqa: ANN401 - http.client's
    json_type = headers.get_content_type() == "application/json"
    return Answered(status, json.loads(body) if json_type else None, dict(headers), body)


@contextlib.contextmanager
def opened(folder: Path, **rules: Any) -> Iterator[Site]:  # noqa: ANN401 - fields of Rules
    serve(folder, 1, USERS, [["1", "Ana"], ["2", "Bea"], ["3", "Cid"]])
    with running(folder, Rules(client_id="us#me", client_secret=SECRET, **rules)) as server:
        site = Site(folder, server.url)
        site.log_in()
        yield site


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with opened(tmp_path) as found:
        yield found


def error(answer: Answered) -> tuple[int, str, set[str]]:
    """Status, type, and the members by which the client tells errors apart."""
    told = answer.json["error"]
    return answer.status, told["type"], set(told) - {"type", "uuid", "message"}


def test_a_login_gives_a_token_with_its_end_and_a_wrong_secret_none(site: Site) -> None:
    assert set(site.log_in().json) == {"access_token", "expires_in", "scope", "token_type"}
    claims = json.loads(base64.urlsafe_b64decode(site.token.split(".")[1] + "=="))
    assert claims["exp"] > 0
    assert error(site.log_in("wrong")) == (401, "AuthenticationError", set())
    assert error(site.query()) == (401, "AuthenticationError", set())


def test_a_login_takes_a_form_and_nothing_else(site: Site) -> None:
    answer = site.ask("POST", "/ids/auth/login", {"grant_type": "client_credentials"})
    assert error(answer) == (400, "ValidationError", {"location"})


def test_a_token_ends_and_one_that_was_changed_is_none(tmp_path: Path) -> None:
    with opened(tmp_path, token_seconds=-1) as site:
        assert site.query().status == 401
    with opened(tmp_path) as site:
        head, claims, signature = site.token.split(".")
        site.token = f"{head}.{claims}A.{signature}"
        assert site.query().status == 401


def test_tables_and_schemas_are_told(site: Site) -> None:
    assert site.ask("GET", "/dap/query/canvas/table").json == {"tables": ["users"]}
    assert set(site.ask("GET", "/dap/query/canvas/table/users/schema").json) == {"schema", "version"}
    assert error(site.ask("GET", "/dap/query/none/table")) == (404, "NotFoundError", {"id", "kind"})
    assert error(site.query("none")) == (404, "NotFoundError", {"id", "kind"})


@pytest.mark.parametrize(
    "asked",
    [{"limit": 1}, {"format": "xml"}, {"mode": "flat"}, {"since": "2026-01-02T00:00:00"}, {"since": 1},
     {"until": "2026-01-02T00:00:00Z"}, {"since": "2026-01-02T00:00:00Z", "until": "2026-01-02T00:00:00Z"}],
)  # fmt: skip
def test_a_query_that_is_not_as_it_must_be_is_refused(site: Site, asked: dict[str, Any]) -> None:
    assert error(site.query(**asked)) == (400, "ValidationError", {"location"})


def test_a_snapshot_has_the_live_rows_without_an_action(site: Site) -> None:
    job = site.query()
    assert set(job.json) == {"id", "status", "expires_at", "objects", "schema_version", "at"}
    head, *rows = site.rows(job)
    assert head.split("\t") == ["meta.ts", "key.id", "value.name"]
    assert [row.split("\t")[1:] for row in rows] == [["1", "Ana"], ["2", "Bea"], ["3", "Cid"]]


def test_an_incremental_has_what_changed_and_the_keys_of_what_is_gone(site: Site) -> None:
    at = site.query().json["at"]
    serve(site.served, 2, USERS, [["1", "Ana"], ["2", "Beatriz"], ["4", "Dio"]])
    job = site.query(since=at)
    assert set(job.json) == {"id", "status", "expires_at", "objects", "schema_version", "since", "until"}
    assert (job.json["since"], job.json["until"] > at) == (at, True)
    head, *rows = site.rows(job)
    order = [head.split("\t").index(name) for name in ("key.id", "value.name", "meta.action")]
    assert sorted([row.split("\t")[n] for n in order] for row in rows) == [
        ["2", "Beatriz", "U"], ["3", "\\N", "D"], ["4", "Dio", "U"],
    ]  # fmt: skip
    nothing = site.query(since=job.json["until"]).json
    assert (nothing["objects"], nothing["until"]) == ([], job.json["until"])


def test_a_column_that_came_changes_the_rows_that_have_it(site: Site) -> None:
    at = site.query().json["at"]
    rows = [["1", "Ana", "\\N"], ["2", "Bea", "x"], ["3", "Cid", "\\N"]]
    serve(site.served, 2, USERS, rows, columns="id name note", version=2)
    job = site.query(since=at)
    assert job.json["schema_version"] == 2
    assert len(site.rows(job)) == 2


@pytest.mark.parametrize("since", ["2020-01-01T00:00:00Z", "2030-01-01T00:00:00Z"])
def test_a_time_that_is_not_served_is_out_of_range(site: Site, since: str) -> None:
    assert error(site.query(since=since)) == (400, "OutOfRangeError", {"since", "until"})


def test_an_identical_query_gets_the_job_that_is_there(site: Site) -> None:
    first = site.query().json["id"]
    assert site.query().json["id"] == first
    serve(site.served, 2, USERS, [["1", "Ana"]])
    assert site.query().json["id"] != first


def test_a_job_waits_and_runs_before_it_is_complete(site: Site) -> None:
    faults(site.served, {"fault": "slow", "polls": 3})
    job = site.query().json
    states = [job["status"], *(site.ask("GET", f"/dap/job/{job['id']}").json["status"] for _ in range(3))]
    assert states == ["waiting", "running", "running", "complete"]
    assert error(site.ask("GET", "/dap/job/none")) == (404, "NotFoundError", {"id", "kind"})


def test_a_job_that_failed_tells_why_and_is_not_given_again(site: Site) -> None:
    faults(site.served, {"fault": "failed", "table": "users", "times": 1})
    job = site.query().json
    assert (set(job), job["status"]) == ({"id", "expires_at", "status", "error"}, "failed")
    assert (set(job["error"]), job["error"]["message"]) == ({"type", "uuid", "message"}, "")
    assert site.query().json["status"] == "complete"


def test_files_have_as_many_rows_as_they_may(tmp_path: Path) -> None:
    with opened(tmp_path, part_rows=2) as site:
        assert len(site.query().json["objects"]) == 2


def test_an_address_of_a_file_ends_is_signed_and_takes_no_token(tmp_path: Path) -> None:
    with opened(tmp_path) as site:
        url = site.url_of(site.query())
        assert site.ask("GET", url, Authorization="").status == 200
        assert site.ask("GET", url).status == 403
        assert site.ask("GET", url.replace("expires=", "expires=9"), Authorization="").status == 403
    with opened(tmp_path, url_seconds=-1) as site:
        assert site.ask("GET", site.url_of(site.query()), Authorization="").status == 403


def test_too_many_queries_in_a_minute_are_told_when_to_come_back(site: Site) -> None:
    answers = [site.query() for _ in range(6)]
    assert [answer.status for answer in answers] == [202] * 5 + [429]
    assert error(answers[-1]) == (429, "TooManyRequestsError", set())
    assert 0 < int(answers[-1].headers["Retry-After"]) <= 61
    assert site.ask("GET", "/dap/query/canvas/table").status == 200


@pytest.mark.parametrize(
    ("fault", "status"),
    [({"fault": "status", "status": 504}, 504), ({"fault": "limited"}, 429), ({"fault": "unauthorized"}, 401),
     ({"fault": "forbidden"}, 403), ({"fault": "page"}, 200), ({"fault": "range"}, 400)],
)  # fmt: skip
def test_what_goes_wrong_on_demand_goes_wrong_that_often(site: Site, fault: dict[str, Any], status: int) -> None:
    faults(site.served, {**fault, "on": "query", "table": "users", "times": 1})
    statuses = [site.query(since="2026-01-02T00:00:00Z").status for _ in range(2)]
    assert statuses == [status, 202]


def test_a_file_is_cut_where_it_is_told(site: Site) -> None:
    url = site.url_of(site.query())
    faults(site.served, {"fault": "cut", "bytes": 5, "content_length": False})
    assert len(site.ask("GET", url, Authorization="").body) == 5


def test_it_runs_as_a_program_until_it_is_ended(tmp_path: Path) -> None:
    serve(tmp_path, 1, USERS, [["1", "Ana"]])
    port = tmp_path / "port"
    command = [
        sys.executable,
        "-m",
        "udecdash_updater.demo.dap_api",
        "--folder",
        str(tmp_path),
        "--port-file",
        str(port),
    ]
    with subprocess.Popen(command) as program:
        try:
            assert until(port.exists)
            site = Site(tmp_path, f"http://127.0.0.1:{port.read_text()}")
            assert site.query().status == 401
        finally:
            program.terminate()
    assert program.returncode == 0
