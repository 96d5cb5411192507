"""Readers of the dashboard while nights run and fail: what its tables and its page looked like, look after look."""

from __future__ import annotations

import contextlib
import threading
from dataclasses import dataclass, field
from pathlib import Path

import psycopg2
from psycopg2.extensions import connection as Connection  # noqa: N812 - psycopg2's class has a lower-case name
from psycopg2.sql import SQL, Identifier, Literal

from tests.support import connect
from udecdash_updater.settings import Settings

_PAUSE = 0.05
_PART = "select {name} as name, count(*) as rows, coalesce(sum(hashtext(t::text)::bigint), 0) as body from {table} t"
_WHOLE = "select md5(string_agg(concat_ws(' ', name, rows, body), ',' order by name)) from ({parts}) p"
# The requests without local_id: a night that is killed leaves gaps in it, and nothing else.
_REQUESTS = (
    "select count(*) || ' ' || coalesce(sum(hashtext(concat_ws(' ', id, timestamp, user_id, course_id, url))), 0)"
)


def full_tables(database: Connection) -> str:
    """A digest of all full tables in one snapshot."""
    with database.cursor() as cursor:
        cursor.execute("select distinct table_name from udecdash.table_loads order by 1")
        names = [name for (name,) in cursor.fetchall()]
        parts = [SQL(_PART).format(name=Literal(name), table=Identifier(name)) for name in names]
        cursor.execute(SQL(_WHOLE).format(parts=SQL(" union all ").join(parts)))
        [(digest,)] = cursor.fetchall()
    return str(digest)


def requests(database: Connection) -> str:
    """A digest of `requests`, without local_id."""
    with database.cursor() as cursor:
        cursor.execute(f"{_REQUESTS} from requests")
        [(digest,)] = cursor.fetchall()
    return str(digest)


@dataclass
class Witness:
    """Looks, again and again in a thread of its own, until the block ends; a server that is away is no look."""

    settings: Settings
    page: Path | None = None
    tables: set[str] = field(default_factory=set)
    requests: set[str] = field(default_factory=set)
    pages: int = 0
    wrong: list[str] = field(default_factory=list)

    def __enter__(self) -> Witness:
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._ended.is_set():
            try:
                self._look_again_and_again()
            except psycopg2.ProgrammingError as error:  # a table that is not there, and the like
                self.wrong.append(str(error))
            except psycopg2.Error:
                pass
            self._ended.wait(_PAUSE)

    def _look_again_and_again(self) -> None:
        with contextlib.closing(connect(self.settings)) as session:
            session.autocommit = True
            while not self._ended.wait(_PAUSE):
                self.tables.add(full_tables(session))
                self.requests.add(requests(session))
                if self.page:
                    self.pages += 1
                    try:
                        self.page.read_bytes()
                    except OSError as error:
                        self.wrong.append(str(error))
