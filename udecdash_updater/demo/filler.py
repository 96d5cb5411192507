"""Rows: what stands in each column of each table when nobody has said it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from random import Random

from udecdash_updater.demo.schema import Column, Table, tables
from udecdash_updater.demo.texts import escape, paragraphs, phrase, words

NULL = "\\N"
ALIASES = {
    "topic_id": "discussion_topic_id",
    "parent_course_id": "course_id",
    "topic_assignment_id": "",
    "nonxlist_course_id": "",
    "parent_account_id": "account_id",
    "course_account_id": "account_id",
    "parent_course_account_id": "account_id",
    "grading_period_group_account_id": "account_id",
    "conversation_author_id": "author_id",
}
PROBED = (
    "course_dim", "user_dim", "pseudonym_dim", "assignment_dim", "submission_dim", "discussion_topic_dim",
    "discussion_entry_dim", "conversation_message_dim", "module_item_dim", "quiz_dim", "quiz_question_dim",
    "wiki_page_dim", "file_dim",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Around:
    """Where a row stands: the ids that it inherits by column name, and the users it may name."""

    ids: Mapping[str, str]
    members: Sequence[str]


@dataclass(frozen=True, slots=True)
class Probe:
    """A text that must arrive as it was sent: where it stands, as text and as written in the dump."""

    table: str
    id: str
    column: str
    kind: str
    text: str
    raw: str


Maker = Callable[[Random, Around], str]


class Filler:
    """Makes the rows of one table, always the same for the same seed and order of calls."""

    def __init__(self, table: Table, seed: int, start: date) -> None:
        self.table = table
        self._rng = Random(f"{seed}:{table.name}")
        self._start = start
        self._days = [(start - timedelta(days=1 + back)).isoformat() for back in range(120)]
        self._made: list[tuple[str, str, str, str]] = []
        self._makers = [(column.name, self._maker(column)) for column in table.columns]
        self._seen: set[str] = set()
        self._texts = {c.name for c in table.columns if c.type in {"text", "varchar"}}
        self._changes = self._changing()

    def row(self, own: Mapping[str, str | None], around: Around) -> list[str]:
        """One row, written as the dump has it; `own` are the texts that are not left to chance."""
        rng = self._rng
        self._made.clear()
        made = []
        for name, make in self._makers:
            if name in own:
                text = own[name]
                made.append(NULL if text is None else escape(text))
            else:
                made.append(make(rng, around))
        return made

    def probes(self, own: Mapping[str, str | None], row: list[str]) -> list[Probe]:
        """Of the texts of the row just made, those of a kind that this table had not shown before."""
        given = [(n, "given", t, escape(t)) for n, t in own.items() if t and n in self._texts]
        found = []
        for column, kind, text, raw in [*self._made, *given]:
            if (kind in self._seen and column in self._seen) or len(text) > 100_000:
                continue
            self._seen.update((kind, column))
            found.append(Probe(self.table.name, row[0], column, kind, text, raw))
        return found

    def change(self, row: list[str], night: int) -> None:
        """The row as of a later night: one column that nothing hangs on is another."""
        if self._changes is not None:
            day = (self._start + timedelta(days=night)).isoformat()
            row[self._changes] = f"{day} 03:04:05.678"

    def _changing(self) -> int | None:
        for index in reversed(range(len(self.table.columns))):
            column = self.table.columns[index]
            if column.type == "timestamp" and not column.always_null and column.name != "created_at":
                return index
        return None

    def _maker(self, column: Column) -> Maker:
        named = NAMED.get((self.table.name, column.name)) or NAMED.get(("", column.name))
        maker = OF_TYPE.get(column.type, _null)
        if column.always_null:
            maker = _null
        elif column.values:
            maker = _one_of(column.values)
        elif named is not None:
            maker = named
        elif column.name.endswith("_id") and column.type in {"bigint", "int", "varchar"}:
            maker = _reference(column)
        elif column.type == "timestamp":
            maker = self._moment if column.name == "created_at" else self._timestamp
        elif column.type == "date":
            maker = self._date
        elif column.type in {"text", "varchar"}:
            maker = self._text(column)
        return maker

    def _text(self, column: Column) -> Maker:
        long = column.type == "text" and column.name not in {"title", "name", "display_name"}

        def make(rng: Random, _around: Around) -> str:
            if rng.random() < 0.15:
                return NULL
            text, kind = paragraphs(rng) if long else phrase(rng)
            raw = escape(text)
            if kind:
                self._made.append((column.name, kind, text, raw))
            return raw

        return make

    def _date(self, rng: Random, _around: Around) -> str:
        return self._days[int(rng.random() * 120)]

    def _timestamp(self, rng: Random, around: Around) -> str:
        return NULL if rng.random() < 0.12 else self._moment(rng, around)

    def _moment(self, rng: Random, _around: Around) -> str:
        second = int(rng.random() * 86400)
        fraction = rng.random()
        tail = "" if fraction < 0.04 else ".0" if fraction < 0.08 else f".{int(fraction * 1000):03d}"
        day = self._days[int(rng.random() * 120)]
        return f"{day} {second // 3600:02d}:{second // 60 % 60:02d}:{second % 60:02d}{tail}"


def _null(_rng: Random, _around: Around) -> str:
    return NULL


def _one_of(values: tuple[str, ...]) -> Maker:
    """The first value more often than the others: it is the usual state."""

    def make(rng: Random, _around: Around) -> str:
        dice = rng.random() * 2
        return values[0] if dice >= 1 else values[int(dice * len(values))]

    return make


def _reference(column: Column) -> Maker:
    name = column.name
    other = ALIASES.get(name, name)
    a_user = column.target == "user_dim"

    def make(rng: Random, around: Around) -> str:
        inherited = around.ids.get(name) or around.ids.get(other)
        if inherited is not None:
            return inherited
        if a_user and around.members:
            return around.members[int(rng.random() * len(around.members))]
        return NULL

    return make


def _number(rng: Random, _around: Around) -> str:
    return NULL if rng.random() < 0.1 else str(int(rng.random() * 60))


def _double(rng: Random, _around: Around) -> str:
    dice = rng.random()
    if dice < 0.1:
        return NULL
    return f"{rng.random() * 100:.1f}" if dice < 0.6 else f"{rng.random() * 100:.5f}"


def _boolean(rng: Random, _around: Around) -> str:
    dice = rng.random()
    return NULL if dice < 0.1 else "true" if dice < 0.55 else "false"


def _ip(rng: Random, _around: Around) -> str:
    return ".".join(str(1 + int(rng.random() * 254)) for _ in range(4))


OF_TYPE: dict[str, Maker] = {
    "int": _number,
    "integer": _number,
    "bigint": lambda rng, _around: str(int(rng.random() * 10**9)),
    "double precision": _double,
    "boolean": _boolean,
}
NAMED: dict[tuple[str, str], Maker] = {
    ("", "sis_source_id"): lambda rng, _around: f"{int(rng.random() * 10**6):08d}",
    ("", "sis_user_id"): lambda rng, _around: f"{int(rng.random() * 10**7):09d}",
    ("", "md5"): lambda rng, _around: f"{rng.getrandbits(128):032x}",
    ("", "current_login_ip"): _ip,
    ("", "last_login_ip"): _ip,
    ("account_dim", "root_account"): lambda rng, _around: words(rng, 2),
    ("pseudonym_dim", "unique_name"): lambda _rng, around: f"u{around.ids['pseudonym_id'][-9:]}@ñuble.example",
    ("communication_channel_dim", "address"): lambda rng, around: (
        f"u{around.ids['communication_channel_id'][-9:]}+{int(rng.random() * 9)}@ejemplo.cl"
    ),
    ("submission_dim", "grade"): lambda rng, _around: f"{1 + rng.random() * 6:.1f}",
    ("external_tool_activation_dim", "url"): lambda rng, _around: (
        'https://lti.example/launch?a=1&b="dos"' + "&x=0123456789" * (25 if rng.random() < 0.2 else 0)
    ),
    ("quiz_question_answer_dim", "answer_match_left"): lambda rng, _around: (
        escape("izquierda " * 30) if rng.random() < 0.2 else words(rng, 4)
    ),
    ("enrollment_dim", "role_id"): lambda _rng, around: around.ids.get("role_id", NULL),
}


def fillers(seed: int, start: date) -> dict[str, Filler]:
    """One filler for each table but requests."""
    return {name: Filler(table, seed, start) for name, table in tables().items() if name != "requests"}
