r"""What became of requests, as lines for COPY: most of a line repeats with its URL and is made once.

A request comes as the fields of a line of COPY and leaves in lines of COPY, so what is not looked at is never read:

>>> from udecdash_updater.clock import Clock
>>> from udecdash_updater.resources import Lookup, Resources
>>> course = Classifier(7, {}, Resources(), Clock("America/Santiago"))
>>> course.resources.add(Lookup("file_dim", "canvas_id"), {5}, [(1005, 5)])
>>> answers = Answers({10: course}, Clock("America/Santiago"))
>>> answers.add(fields("1\ta\t2021-04-04 03:30:00.999\t20\tiPad\t10\t\\N\t\\N\t\\N\t/courses/7/files/5\n"))
>>> answers.add(fields("2\tb\t2021-04-04 04:30:00\t20\t\\N\t10\t\\N\t\\N\t\\N\t/a\\\\b\n"))
>>> answers.take_hits("attachment_interactions")
['10\t5\t20\t2021-04-03 23:30:00\tMOBILE\t1005\t/courses/7/files/5\tFalse\n']
>>> answers.misses[0].split("\t")[:5]
['20', '10', '/a\\\\b', '\\N', 'the URL names no item of its course']
>>> answers.misses[0].split("\t")[5][-38:]
'"url": "/a\\\\\\\\b", "user_agent": null}\n'
"""

from __future__ import annotations

import io
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from json.encoder import encode_basestring
from typing import Any, Final, NamedTuple

from udecdash_updater import copy_text, db
from udecdash_updater.clock import Clock
from udecdash_updater.dashboard import ATTACHMENTS
from udecdash_updater.interactions import Classifier
from udecdash_updater.resolution import INTERACTION_TABLES, MESSAGE_LENGTH, Resolved, Unresolved
from udecdash_updater.weblog import Request, device

HITS: Final = ("course_id", "item_canvas_id", "user_id", "viewed", "device", "item_id", "url")
DOWNLOADS: Final = (*HITS, "downloaded")
MISSES: Final = ("user_id", "course_id", "url", "error_label", "error_message", "log")
WAITING: Final = ("place", *MISSES)
WANTS: Final = ("course_id", "place", "number", "resource")
_MEMORY: Final = 100_000
_NULL: Final = "\\N"
_ESCAPED: Final = re.compile(r"\\(.)")
_PLAIN: Final = re.compile(r"[-0-9a-zA-Z:. ]*").fullmatch
_CONTROLS: Final = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}


@dataclass(slots=True)
class Tally:
    """One course's answers: interactions that its table had not yet in this slice, and the requests that missed."""

    course: str
    classifier: Classifier
    hits: int = 0
    missed: set[str] = field(default_factory=set)


class _Miss(NamedTuple):
    """The middle of an unresolved request's line, the part of its log that repeats, and what it waits for."""

    line: str
    log: str
    wants: tuple[int, ...]


_NO_MISS: Final = _Miss("", "", ())


class _Repeating(NamedTuple):
    """What all requests share that ask the same: a hit's table, key and two ends of its line (by MOBILE), or a miss."""

    tally: Tally
    hits: dict[str, str] | None
    key: str
    ends: tuple[str, str]
    miss: _Miss


class Answers:
    """Lines of some courses on their way to the database; whoever sends them clears them.

    Of interactions that share a key the first one stays, as in their table.
    """

    def __init__(self, classifiers: Mapping[int, Classifier], clock: Clock) -> None:
        self._clock = clock
        self._repeating: dict[str, _Repeating] = {}
        self._asked: dict[str, Request] = {}
        self._hits: dict[str, dict[str, str]] = {table: {} for table in INTERACTION_TABLES}
        self.of = {course: Tally(str(course), classifier) for course, classifier in classifiers.items()}
        self.days: set[tuple[str, str, str]] = set()
        self.misses: list[str] = []
        self.waiting: list[str] = []  # misses that wait for something
        self.wants: list[str] = []

    def asked(self, rows: Iterable[Sequence[str]]) -> dict[int, list[Request]]:
        """Of these new requests those that ask what none before them asked, by course."""
        first = {row[5]: row for row in rows}
        found: dict[int, list[Request]] = defaultdict(list)
        self._asked = {question: _request(first[question]) for question in first.keys() - self._repeating.keys()}
        for request in self._asked.values():
            found[request.course_id].append(request)
        return found

    def add(self, row: Sequence[str]) -> None:
        """A new request (`fields`), everything it needs looked up."""
        question = row[5]
        repeating = self._repeating.get(question)
        if repeating is None:
            repeating = self._repeating[question] = self._made(self._asked.get(question) or _request(row))
        tally, hits, key, ends, miss = repeating
        if hits is None:
            self._miss(row, tally, miss)
            return
        _, _, time, user, agent, _ = row
        try:
            viewed = self._clock.viewed(None if time == _NULL else time)
        except ValueError as error:
            self._miss(row, tally, _missing(_request(row), Unresolved(None, str(error)[:MESSAGE_LENGTH]), ()))
            return
        key = f"{key}{user}\t{viewed}"
        if key not in hits:
            hits[key] = ends[_mobile(agent)]
            tally.hits += 1
            self.days.add((tally.course, user, viewed[:10]))

    def add_again(self, request: Request) -> None:
        """A request that found nothing once and resolves now."""
        question = "\t".join(map(copy_text.field, request[4:9])) + "\n"
        self.add((*map(copy_text.field, (*request[:4], request.user_agent)), question))

    def held(self) -> int:
        """How many interactions wait to be taken."""
        return sum(map(len, self._hits.values()))

    def take_hits(self, table: str) -> list[str]:
        """A table's interactions, lines of HITS or DOWNLOADS, so ordered that each part of an index is met once."""
        hits = self._hits[table]
        lines = [key + hits[key] for key in sorted(hits)]
        hits.clear()
        return lines

    def trim(self) -> None:
        """Between two chunks: forget when it is much, so that memory stays flat whatever comes."""
        sizes = [len(self._repeating), *(tally.classifier.size() for tally in self.of.values())]
        if max(sizes) > _MEMORY:  # all of it: what was answered is not looked up again
            self._repeating.clear()
            for tally in self.of.values():
                tally.classifier.forget()

    def _made(self, request: Request) -> _Repeating:
        tally = self.of[request.course_id]
        outcome = tally.classifier.outcome(request)
        if isinstance(outcome, Unresolved):
            wants = tuple(tally.classifier.wants(request))
            return _Repeating(tally, None, "", ("", ""), _missing(request, outcome, wants))
        key = f"{tally.course}\t{outcome.item_canvas_id}\t"
        end = _end(request, outcome)
        ends = f"\tDESKTOP{end}", f"\tMOBILE{end}"
        return _Repeating(tally, self._hits[outcome.table], key, ends, _NO_MISS)

    def _miss(self, row: Sequence[str], tally: Tally, miss: _Miss) -> None:
        place, name, time, user, agent, _ = row
        if name in tally.missed:  # a request that the table holds twice ends in one place
            return
        tally.missed.add(name)
        told = f'{{"local_id": {place}, "id": {_quoted(name)}, "timestamp": {_quoted(time)}, "user_id": {user}'
        line = f"{user}\t{miss.line}{told}{miss.log}{_agent(agent)}}}\n"
        if not miss.wants:
            self.misses.append(line)
            return
        self.waiting.append(f"{place}\t{line}")
        self.wants += [f"{tally.course}\t{place}\t\\N\t{want}\n" for want in miss.wants]


class _Lines(io.TextIOBase):
    """Takes whatever COPY writes, a line at a time."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        vars(self)["write"] = self.lines.append  # called for every line: a method of ours would cost as much as COPY


def read(cursor: db.Cursor, name: str, values: Mapping[str, object]) -> list[str]:
    """The requests of the named statement as COPY writes them: lines for `fields`, each with its end."""
    command = cursor.mogrify(db.raw("copy ({}) to stdout").format(db.statement(name)), values)
    written: Any = _Lines()
    cursor.copy_expert(command, written)
    return list(written.lines)


def fields(line: str) -> Sequence[str]:
    """The parts of a line of `new_requests`: local_id, id, timestamp, user, agent, and all that it asks in one."""
    return line.split("\t", 5)


def course_of(row: Sequence[str]) -> int:
    """The course_id of `fields`."""
    return int(row[5].partition("\t")[0])


def _request(row: Sequence[str]) -> Request:
    place, name, time, user, agent, question = row
    course, quiz, discussion, assignment, url = question.removesuffix("\n").split("\t")
    told = int(place), _value(name) or "", _value(time), _number(user) or 0, int(course)
    return Request(*told, _number(quiz), _number(discussion), _number(assignment), _value(url), _value(agent))


def _number(text: str) -> int | None:
    return None if text == _NULL else int(text)


def _value(text: str) -> str | None:
    r"""A field of COPY as Python has it.

    >>> _value("a\\tb\\\\N"), _value("\\N"), _value("\\\\N")
    ('a\tb\\N', None, '\\N')
    """
    if text == _NULL:
        return None
    return _ESCAPED.sub(lambda found: _CONTROLS.get(found[1], found[1]), text) if "\\" in text else text


def _end(request: Request, outcome: Resolved) -> str:
    downloaded = f"\t{outcome.downloaded}" if outcome.table == ATTACHMENTS else ""
    return f"\t{outcome.item_id}\t{copy_text.field(request.url or '')}{downloaded}\n"


def _missing(request: Request, why: Unresolved, wants: tuple[int, ...]) -> _Miss:
    values = (request.course_id, request.url or "", why.label, why.message)
    numbers = "".join(
        f', "{name}": {"null" if number is None else number}'
        for name, number in zip(Request._fields[4:8], request[4:8], strict=True)
    )
    log = f'{numbers}, "url": {_json(copy_text.field(request.url))}, "user_agent": '
    return _Miss("\t".join(map(copy_text.field, values)) + "\t", log, wants)


@lru_cache(maxsize=16_384)
def _mobile(agent: str) -> bool:
    return device(_value(agent)) == "MOBILE"


@lru_cache(maxsize=16_384)
def _agent(agent: str) -> str:
    return _json(agent)


def _quoted(text: str) -> str:
    """As `_json`, quickly for what needs no escapes."""
    return f'"{text}"' if _PLAIN(text) else _json(text)


def _json(text: str) -> str:
    """A field of COPY as JSON within a line for COPY."""
    value = _value(text)
    return "null" if value is None else encode_basestring(value).replace("\\", "\\\\")
