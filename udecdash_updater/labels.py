"""ENUM columns of a found table: true and false by its own labels, states that it lacks added or left out."""

from __future__ import annotations

import re
from collections.abc import Sequence

from udecdash_updater import db
from udecdash_updater.language import say
from udecdash_updater.logs import LOGGER
from udecdash_updater.rejects import FileCount, Rejects, starts
from udecdash_updater.repeats import Waiting
from udecdash_updater.settings import Settings

_MOST_NEW_LABELS = 10
_TRUTH = ("true", "false")
_STATE = re.compile(r"[A-Za-z][a-z_]{0,62}")


def fit(
    cursor: db.Cursor, settings: Settings, waiting: Waiting, counts: Sequence[FileCount], gate: Rejects
) -> list[FileCount]:
    """Staged texts become the ENUMs that the found table has. Rows whose state it cannot take are rejects."""
    found, staging, fitted, clauses = waiting.found, waiting.staging, list(counts), []
    for name in [name for name in waiting.table.column_names if name in found.enums]:
        column, oid = db.identifier(name), found.enums[name]
        labels = [label for (label,) in db.rows(cursor, "enum_labels", {"type": oid})]
        # The dashboard's own DDL knows 'True' and 'False' where the files say true and false.
        truth = {word: word if word in labels else word.capitalize() for word in _TRUTH}
        known = labels + [word for word in _TRUTH if truth[word] in labels]
        staged = db.rows(cursor, "unknown_labels", {"labels": known}, column=column, staging=staging)
        unknown = _add_labels(settings, oid, [value for (value,) in staged])
        for number, value, times in _take_out(cursor, staging, column, unknown, fitted):
            fitted[number] = fitted[number].without(rejected=times)
            for _ in range(times):
                named = value if _STATE.fullmatch(value) else "that stands there"
                gate.add(fitted[number].file.name, None, f"{name}: its ENUM does not know the state {named}")
        words = {word: db.literal(label) for word, label in truth.items()}
        clauses.append(db.statement("fit_enum", column=column, type=db.raw(found.types[name]), **words))
    if clauses:
        cursor.execute(db.statement("alter_table", table=staging, actions=db.comma(clauses)))
    return fitted


def _add_labels(settings: Settings, oid: int, values: list[str]) -> list[str]:
    """Add states to an ENUM that is ours to change; returns those that could not be added.

    On a connection of its own: a label can be used only once its transaction has ended.
    """
    if not values:
        return []
    with db.opened(settings) as connection, connection.cursor() as cursor:
        schema, name, ours = db.one(cursor, "owned_type", {"type": oid})
        # A shifted column holds anything; what looks like no state, or comes by the dozen, becomes no label.
        good = [value for value in values if ours and _STATE.fullmatch(value)]
        good = good if len(values) <= _MOST_NEW_LABELS else []
        for value in good:
            LOGGER.warning(say("state added", type=name, state=value))
            cursor.execute(db.statement("add_label", type=db.identifier(schema, name), label=db.literal(value)))
    return [value for value in values if value not in good]


def _take_out(
    cursor: db.Cursor, staging: db.Composable, column: db.Composable, labels: list[str], counts: Sequence[FileCount]
) -> list[db.Row]:
    if not labels:
        return []
    values = {"labels": labels, "starts": starts(counts)}
    return db.rows(cursor, "reject_staged_labels", values, column=column, staging=staging)
