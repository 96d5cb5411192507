r"""What became of one course's requests, as lines for COPY: most of a line repeats with its URL and is made once.

>>> from udecdash_updater.clock import Clock
>>> from udecdash_updater.resources import Lookup, Resources
>>> course = Classifier(7, {}, Resources(), Clock("America/Santiago"))
>>> course.resources.add(Lookup("file_dim", "canvas_id"), {5}, [(1005, 5)])
>>> answers = Answers(course)
>>> answers.add((1, "a", "2021-04-04 03:30:00.999", 20, 10, None, None, None, "/courses/7/files/5", "iPad"))
>>> answers.add((2, "b", "2021-04-04 04:30:00", 20, 10, None, None, None, "/a\\b", None))
>>> answers.hits
['1\t20\t2021-04-03 23:30:00\tMOBILE\tattachment_interactions\t10\t1005\t5\tFalse\t/courses/7/files/5\n']
>>> answers.misses[0].split("\t")[:5]
['20', '10', '/a\\\\b', '\\N', 'the URL names no item of its course']
>>> answers.misses[0].split("\t")[5][-38:]
'"url": "/a\\\\\\\\b", "user_agent": null}\n'
"""

from __future__ import annotations

from functools import lru_cache
from json.encoder import encode_basestring
from typing import Any, Final, NamedTuple

from udecdash_updater import db
from udecdash_updater.interactions import Classifier
from udecdash_updater.resolution import MESSAGE_LENGTH, Unresolved
from udecdash_updater.weblog import Request, device

HITS: Final = (
    "place", "user_id", "viewed", "device", "kind", "course_id", "item_id", "item_canvas_id", "downloaded", "url",
)  # fmt: skip
MISSES: Final = ("user_id", "course_id", "url", "error_label", "error_message", "log")
WAITING: Final = ("place", *MISSES)
WANTS: Final = ("place", "number", "resource")
_MEMORY: Final = 100_000


class _Repeating(NamedTuple):
    """What all requests share that ask the same: the end of a hit's line, or the middle of a miss's, and its wants."""

    hit: str
    miss: str
    log: str
    wants: tuple[int, ...]


class Answers:
    """Lines of one course on their way to the database; whoever sends them clears them."""

    def __init__(self, classifier: Classifier) -> None:
        self._classifier = classifier
        self._repeating: dict[tuple[Any, ...], _Repeating] = {}
        self.hits: list[str] = []
        self.misses: list[str] = []
        self.waiting: list[str] = []  # misses that wait for something
        self.wants: list[str] = []
        self.missed: set[str] = set()

    def add(self, row: db.Row) -> None:
        """A new request (a row as Request has it), everything it needs looked up."""
        question = row[5:9]
        repeating = self._repeating.get(question)
        if repeating is None:
            repeating = self._repeating[question] = self._made(Request._make(row))
        if not repeating.hit:
            self._miss(row, repeating)
            return
        try:
            viewed = self._classifier.clock.viewed(row[2])
        except ValueError as error:
            self._miss(row, _untimed(Request._make(row), str(error)))
            return
        self.hits.append(f"{row[0]}\t{row[3]}\t{viewed}\t{device(row[9])}\t{repeating.hit}")

    def trim(self) -> None:
        """Between two chunks: forget when it is much, so that memory stays flat whatever comes."""
        if len(self._repeating) > _MEMORY:
            self._repeating.clear()
        self._classifier.trim()

    def _made(self, request: Request) -> _Repeating:
        outcome = self._classifier.outcome(request)
        if isinstance(outcome, Unresolved):
            return _missing(request, outcome, tuple(self._classifier.wants(request)))
        table, item_id, canvas_id, downloaded = outcome
        values = (table, request.course_id, item_id, canvas_id, downloaded, request.url or "")
        return _Repeating("\t".join(map(db.field, values)) + "\n", "", "", ())

    def _miss(self, row: db.Row, repeating: _Repeating) -> None:
        if row[1] in self.missed:  # a request that the table holds twice ends in one place
            return
        self.missed.add(row[1])
        told = f'{{"local_id": {row[0]}, "id": {_text(row[1])}, "timestamp": {_text(row[2])}, "user_id": {row[3]}'
        line = f"{row[3]}\t{repeating.miss}{told}{repeating.log}{_text(row[9])}}}\n"
        if not repeating.wants:
            self.misses.append(line)
            return
        self.waiting.append(f"{row[0]}\t{line}")
        self.wants += [f"{row[0]}\t\\N\t{want}\n" for want in repeating.wants]


def _missing(request: Request, why: Unresolved, wants: tuple[int, ...]) -> _Repeating:
    values = (request.course_id, request.url or "", why.label, why.message)
    numbers = "".join(
        f', "{name}": {"null" if number is None else number}'
        for name, number in zip(Request._fields[4:8], request[4:8], strict=True)
    )
    log = f'{numbers}, "url": {_text(request.url)}, "user_agent": '
    return _Repeating("", "\t".join(map(db.field, values)) + "\t", log, wants)


def _untimed(request: Request, why: str) -> _Repeating:
    return _missing(request, Unresolved(None, why[:MESSAGE_LENGTH]), ())


@lru_cache(maxsize=16_384)
def _text(value: str | None) -> str:
    """A text as JSON within a line for COPY."""
    return "null" if value is None else encode_basestring(value).replace("\\", "\\\\")
