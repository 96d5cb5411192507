"""Compares a database with a truth.json: the dumps' own, or the one that the generator wrote beside its dump."""

from __future__ import annotations

from typing import Any

from psycopg2.extensions import connection as Connection  # noqa: N812 - a class under a module's naming
from psycopg2.sql import SQL, Identifier

MD5SUM64 = (
    "select count(*), mod(mod(coalesce(sum(('x'||left(md5({key}),16))::bit(64)::bigint::numeric),0),2^64::numeric)"
    "+2^64::numeric,2^64::numeric)::text from {source}"
)
_KEY = "concat_ws('|', course_id, item_canvas_id, user_id, viewed)"
_DAY = "concat_ws('|', course_id, user_id, interaction_date)"
_LOGGED = "(select distinct log::json->>'id' as id from unprocessable_interactions) u"


def _checksum(connection: Connection, key: str, source: str) -> tuple[int, int]:
    with connection.cursor() as cursor:
        cursor.execute(MD5SUM64.format(key=key, source=source))
        count, checksum = cursor.fetchone() or (0, "0")
    return int(count), int(checksum.partition(".")[0])


def _expect(found: tuple[int, int], truth: dict[str, Any], what: str, wrong: list[str]) -> None:
    if found != (truth["count"], truth["md5sum64"]):
        wrong.append(f"{what}: {found} instead of {(truth['count'], truth['md5sum64'])}")


def wrong_interactions(connection: Connection, truth: dict[str, Any]) -> list[str]:
    """What of `interactions` (or `cumulative`) differs in count or checksum."""
    wrong: list[str] = []
    for table, told in truth.items():
        if isinstance(told, dict) and "must" in told:
            key = _DAY if table == "course_interactions" else _KEY
            _expect(_checksum(connection, key, table), told["must"], table, wrong)
    return wrong


def wrong_ids(connection: Connection, ids: dict[str, Any]) -> list[str]:
    """Whether `unprocessable_interactions` tells of other requests than these."""
    wrong: list[str] = []
    _expect(_checksum(connection, "id", _LOGGED), ids, "unprocessable ids", wrong)
    return wrong


def wrong_unprocessable(connection: Connection, truth: dict[str, Any]) -> list[str]:
    """What of `unprocessable` differs; each request must be there once."""
    wrong = wrong_ids(connection, truth["ids"])
    with connection.cursor() as cursor:
        cursor.execute("select count(*) from unprocessable_interactions")
        rows = (cursor.fetchone() or (0,))[0]
        cursor.execute("select coalesce(error_label, '(none)'), count(*) from unprocessable_interactions group by 1")
        labels = dict(cursor.fetchall())
    if rows != truth["ids"]["count"]:
        wrong.append(f"unprocessable rows: {rows} instead of {truth['ids']['count']}")
    free = sum(truth[name] for name in ("rows_with_empty_url", "rows_with_long_message", "rows_with_unusable_id"))
    if sum(labels.values()) - free > sum(truth["by_label"].values()):
        wrong.append(f"labels: {labels} instead of {truth['by_label']}")
    wrong += [
        f"label {label}: {labels.get(label, 0)} instead of {count} (or up to {free} more)"
        for label, count in truth["by_label"].items()
        if not count - free <= labels.get(label, 0) <= count + free
    ]
    return wrong


def wrong_tables(connection: Connection, truth: dict[str, Any]) -> list[str]:
    """Which tables hold another number of rows than `tables.<t>.expected_loaded`."""
    wrong = []
    with connection.cursor() as cursor:
        for table, told in truth["tables"].items():
            if table == "requests":
                continue
            cursor.execute(SQL("select count(*) from {}").format(Identifier(table)))
            found = (cursor.fetchone() or (0,))[0]
            if found != told["expected_loaded"]:
                wrong.append(f"{table}: {found} rows instead of {told['expected_loaded']}")
    return wrong


def wrong_texts(connection: Connection, truth: dict[str, Any]) -> list[str]:
    """Which text probes did not arrive unchanged."""
    wrong = []
    with connection.cursor() as cursor:
        for probe in truth["text_probes"]:
            text = SQL("select {}::text from {} where id = %s").format(
                Identifier(probe["column"]), Identifier(probe["table"])
            )
            cursor.execute(text, (probe["id"],))
            found = cursor.fetchone()
            if found is None or found[0] != probe["text"]:
                wrong.append(f"{probe['table']}.{probe['column']} of {probe['id']}: {found!r} not {probe['text']!r}")
    return wrong


def wrong_requests(connection: Connection, truth: dict[str, Any]) -> list[str]:
    """Whether `requests` holds each kept id once."""
    wrong: list[str] = []
    _expect(_checksum(connection, "id", "requests"), truth["requests"]["kept_ids"], "requests", wrong)
    return wrong


def wrong_night(connection: Connection, truth: dict[str, Any]) -> list[str]:
    """Everything that differs after that night alone was loaded into an empty database."""
    return [
        *wrong_tables(connection, truth),
        *wrong_requests(connection, truth),
        *wrong_texts(connection, truth),
        *wrong_interactions(connection, truth["interactions"]),
        *wrong_unprocessable(connection, truth["unprocessable"]),
    ]


def wrong_cumulative(connection: Connection, truth: dict[str, Any]) -> list[str]:
    """What differs after the nights up to this one were loaded in turn."""
    return [*wrong_tables(connection, truth), *wrong_interactions(connection, truth["cumulative"])]
