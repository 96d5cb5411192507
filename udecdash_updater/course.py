"""Some courses, one transaction: their new requests, and those that found nothing so far, become interactions.

Under a lock for each course, so that a job killed, run twice or run by two workers at once changes nothing that running
it once would not. Much work is done in slices, each with its own transaction and its own move of the mark; small
courses share one, because statements and a commit cost the same for a few requests as for many.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice

from udecdash_updater import db, logged
from udecdash_updater.answers import DOWNLOADS, HITS, MISSES, WAITING, WANTS, Answers, course_of, fields, read
from udecdash_updater.clock import Clock
from udecdash_updater.dashboard import ATTACHMENTS
from udecdash_updater.interactions import Classifier, Interaction
from udecdash_updater.resolution import INTERACTION_TABLES
from udecdash_updater.resources import Lookup, Resources, pages_by_slug
from udecdash_updater.settings import Settings
from udecdash_updater.weblog import Request

_SLICE = 500_000
_CHUNK = 10_000
_UNRESOLVED = "unprocessable_interactions"
_HELD = 100_000  # interactions that are sorted and sent at once
_STEP = 3  # tables between those that courses of neighbouring numbers begin with


@dataclass(frozen=True, slots=True)
class CourseDone:
    """What was done for a course: requests judged, interactions written, requests still unresolved, slices left."""

    course: int
    judged: int
    interactions: int
    unresolved: int
    left: bool


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a course is: local_ids and counts of its requests, the runs whose tables it was and will be judged by.

    `slice_end` is where a slice of many requests ends; `whole` asks to judge every unresolved request again.
    """

    newest: int
    total: int
    mark: int
    judged: int
    slice_end: int | None
    canvas_id: int | None
    unresolved: int
    seen_run: int
    tables_run: int
    whole: bool

    @property
    def upto(self) -> int:
        """The local_id up to which the next transaction judges."""
        return self.newest if self.slice_end is None or self.anew else min(self.slice_end, self.newest)

    @property
    def anew(self) -> bool:
        """`requests` was filled anew: it may hold requests that are recorded as unresolved already."""
        return self.mark == 0 and self.unresolved > 0


@dataclass(slots=True)
class _Again:
    """What became of a course's requests that were judged again, by their numbers; `known` are their ids, if asked."""

    numbers: list[int] = field(default_factory=list)
    resolved: list[int] = field(default_factory=list)
    relabelled: list[tuple[int, str | None, str]] = field(default_factory=list)
    known: set[str] = field(default_factory=set)


def process_slice(connection: db.Connection, own: Settings, run: int, courses: Sequence[int]) -> list[CourseDone]:
    """The next slice of each of the courses, in one transaction; those that the dump has not (yet) are left out.

    The commit does not wait for the disk, the job's account does: a server that crashes between them loses rows and
    marks together, as if the courses had not been processed. Raises DatabaseError when PostgreSQL fails; nothing was
    changed then, in any of them.
    """
    named = f"course {courses[0]}" if len(courses) == 1 else f"{len(courses)} courses together"
    with (
        db.told(f"processing {named}"),
        _locked(connection, courses),
        db.transaction(connection, repeatable=True) as cursor,
    ):
        db.run(cursor, "flush_later")
        rows = db.rows(cursor, "course_progress", {"courses": list(courses), "slice": _SLICE})
        found = {course: Progress(*progress) for course, *progress in sorted(rows)}
        return _Slice(cursor, own, found).process(run) if found else []


@contextlib.contextmanager
def _locked(connection: db.Connection, courses: Sequence[int]) -> Iterator[None]:
    # Taken before the transaction begins: its snapshot must be younger than whatever the former holder wrote.
    with connection.cursor() as cursor:
        try:
            db.run(cursor, "lock_courses", {"courses": sorted(courses)})
            yield
        finally:
            if not connection.closed:
                db.run(cursor, "unlock_courses")


class _Slice:
    """What one transaction does for its courses."""

    def __init__(self, cursor: db.Cursor, own: Settings, progress: Mapping[int, Progress]) -> None:
        self._cursor, self._progress = cursor, progress
        self._resources, clock = Resources(), Clock(own.time_zone)
        pages: dict[int, list[db.Row]] = {course: [] for course in progress}
        for course, *page in db.rows(cursor, "course_pages", {"courses": list(progress)}):
            pages[course].append(tuple(page))
        self._classifiers = {
            course: Classifier(found.canvas_id, pages_by_slug(pages[course]), self._resources, clock)
            for course, found in progress.items()
        }
        self._answers = Answers(self._classifiers, clock)
        self._again = {course: _Again() for course in progress}
        self._fresh: Counter[int] = Counter()
        self._waiting = False

    def process(self, run: int) -> list[CourseDone]:
        """Judge and write all of it, and move the marks."""
        self._judge_again()
        for lines in self._new_requests():
            self._judge_new(lines)
        self._write()
        done = [self._done(course, progress) for course, progress in self._progress.items()]
        db.insert_many(self._cursor, "move_marks", [self._mark(run, one) for one in done])
        return done

    def _done(self, course: int, progress: Progress) -> CourseDone:
        again, tally = self._again[course], self._answers.of[course]
        before = len(again.numbers) if progress.whole else progress.unresolved
        unresolved = before - len(again.resolved) + len(tally.missed)
        judged = self._fresh[course] + len(again.numbers)
        return CourseDone(course, judged, tally.hits, unresolved, progress.upto < progress.newest)

    def _mark(self, run: int, done: CourseDone) -> db.Row:
        progress = self._progress[done.course]
        total = progress.judged + self._fresh[done.course] if done.left else progress.total
        state = done.course, progress.upto, total, done.unresolved, progress.tables_run, progress.canvas_id
        return *state, run, done.judged, done.interactions

    def _new_requests(self) -> Iterator[list[str]]:
        """Their lines, a chunk at a time, course by course in load order."""
        left = [(course, found.mark, found.upto) for course, found in self._progress.items()]
        left = [(course, mark, upto) for course, mark, upto in left if mark < upto]
        while left:
            courses, marks, uptos = zip(*left, strict=True)
            if len(left) == 1:
                name, values = "new_requests", {"course": courses[0], "mark": marks[0], "upto": uptos[0]}
            else:
                name = "new_requests_together"
                values = {"courses": list(courses), "marks": list(marks), "uptos": list(uptos)}
            lines = read(self._cursor, name, values | {"most": _CHUNK})
            yield lines
            if len(lines) < _CHUNK:
                return
            final = fields(lines[-1])
            last = courses.index(course_of(final))
            left = [(courses[last], int(final[0]), uptos[last]), *left[last + 1 :]]

    def _judge_new(self, lines: Sequence[str]) -> None:
        rows = [fields(line) for line in lines]
        self._count(rows)
        if any(again.known for again in self._again.values()):
            rows = [row for row in rows if row[1] not in self._again[course_of(row)].known]
        self._answers.trim()
        self._look_up(self._answers.asked(rows))
        for row in rows:
            self._answers.add(row)
        self._send()

    def _count(self, rows: Sequence[Sequence[str]]) -> None:
        if len(self._progress) == 1:  # looking at each row would be a fiftieth of all the work
            self._fresh.update(dict.fromkeys(self._progress, len(rows)))
        else:
            self._fresh.update(map(course_of, rows))

    def _judge_again(self) -> None:
        """Rule R14: what found nothing and may resolve now; all of it where `requests` begins anew."""
        whole = [course for course, found in self._progress.items() if found.whole or found.anew]
        others = {course: found.seen_run for course, found in self._progress.items() if found.unresolved}
        seen = [(course, run) for course, run in others.items() if course not in whole]
        if whole:
            self._judge_rows("unresolved_requests", {"courses": whole})
        if seen:
            courses, runs = zip(*seen, strict=True)
            self._judge_rows("resolvable_requests", {"courses": list(courses), "seen": list(runs)})

    def _judge_rows(self, name: str, values: Mapping[str, Sequence[int]]) -> None:
        for chunk in _chunks(self._cursor, name, values):
            told: list[tuple[int, str | None, Request]] = []
            for number, course, log, label, user, url in chunk:
                again = self._again[course]
                again.numbers.append(number)
                request = logged.read(log, course, user, url)
                if request and request.id in again.known:
                    # The same request twice, as another program may have left it, ends in one place.
                    again.resolved.append(number)
                elif request:
                    told.append((number, label, request))
            asked: dict[int, list[Request]] = {}
            for _, _, request in told:
                asked.setdefault(request.course_id, []).append(request)
            self._answers.trim()
            self._look_up(asked)
            for number, label, request in told:
                self._answer_again(number, label, request)
            self._send()

    def _answer_again(self, number: int, label: str | None, request: Request) -> None:
        course, again = request.course_id, self._again[request.course_id]
        if self._progress[course].anew:
            again.known.add(request.id)
        answer = self._classifiers[course].classify(request)
        if isinstance(answer, Interaction):
            self._answers.add_again(request)
            again.resolved.append(number)
            return
        wants = self._classifiers[course].wants(request)
        self._answers.wants += [f"{course}\t\\N\t{number}\t{want}\n" for want in wants]
        if answer.label != label:
            again.relabelled.append((number, answer.label, answer.message))

    def _look_up(self, asked: Mapping[int, Sequence[Request]]) -> None:
        while needs := self._needs(asked):
            for lookup, ids in needs.items():
                parts = {"columns": db.identifiers(lookup.columns), "table": db.identifier(lookup.table)}
                column = db.identifier(lookup.column)
                found = db.rows(self._cursor, "look_up", {"ids": sorted(ids)}, **parts, column=column)
                self._resources.add(lookup, ids, found)
            asked = {course: self._classifiers[course].through_items(requests) for course, requests in asked.items()}

    def _needs(self, asked: Mapping[int, Sequence[Request]]) -> dict[Lookup, set[int]]:
        needs: dict[Lookup, set[int]] = {}
        for course, requests in asked.items():
            for lookup, ids in self._classifiers[course].needs(requests).items():
                needs.setdefault(lookup, set()).update(ids)
        return needs

    def _send(self) -> None:
        """What goes to the database in whatever order; interactions only when they are many."""
        answers = self._answers
        if answers.held() > _HELD:
            self._write_hits()
        with db.told(f"writing {_UNRESOLVED}"):
            db.copy_lines(self._cursor, _UNRESOLVED, MISSES, answers.misses)
        if answers.waiting or answers.wants:
            self._gather_wants()

    def _gather_wants(self) -> None:
        if not self._waiting:
            db.run(self._cursor, "waiting_table")
            db.run(self._cursor, "wants_table")
        self._waiting = True
        db.copy_lines(self._cursor, "waiting", WAITING, self._answers.waiting)
        db.copy_lines(self._cursor, "wants", WANTS, self._answers.wants)

    def _write_hits(self) -> None:
        # Each course begins with another table: workers that write the same one wait for each other more.
        first = _STEP * min(self._progress) % len(INTERACTION_TABLES)
        for table in (*INTERACTION_TABLES[first:], *INTERACTION_TABLES[:first]):
            if lines := self._answers.take_hits(table):
                with db.told(f"writing {table}"):
                    self._write_interactions(table, DOWNLOADS if table == ATTACHMENTS else HITS, lines)

    def _write_interactions(self, table: str, columns: Sequence[str], lines: Sequence[str]) -> None:
        """By COPY, as if none of them stood there; where one does, once more with care. That is rare."""
        try:
            with db.savepoint(self._cursor, "interactions"):
                db.copy_lines(self._cursor, table, columns, list(lines))
                return
        except db.TAKEN:
            pass
        db.run(self._cursor, "taken_table")
        db.copy_lines(self._cursor, "taken", columns, list(lines))
        parts = {"target": db.identifier(table), "columns": db.identifiers(columns)}
        written: dict[int, int] = dict(db.rows(self._cursor, "insert_taken", None, **parts))
        db.run(self._cursor, "drop_taken")
        for course, count in Counter(int(line.partition("\t")[0]) for line in lines).items():
            self._answers.of[course].hits -= count - written.get(course, 0)

    def _write(self) -> None:
        self._write_hits()
        if self._answers.days:
            days = zip(*self._answers.days, strict=True)
            texts = ("{" + ",".join(column) + "}" for column in days)
            with db.told("writing course_interactions"):
                db.run(self._cursor, "insert_days", dict(zip(("courses", "users", "days"), texts, strict=True)))
        with db.told(f"writing {_UNRESOLVED}"):
            self._write_again()

    def _write_again(self) -> None:
        """What the rows say that found nothing, and what they wait for."""
        resolved = [number for again in self._again.values() for number in again.resolved]
        if resolved:
            db.run(self._cursor, "delete_resolved", {"ids": resolved})
        db.insert_many(self._cursor, "relabel", [row for again in self._again.values() for row in again.relabelled])
        if whole := [course for course, found in self._progress.items() if found.whole]:
            db.run(self._cursor, "forget_all_wants", {"courses": whole})
        numbers = [number for course, again in self._again.items() if course not in whole for number in again.numbers]
        if numbers:
            db.run(self._cursor, "forget_wants", {"courses": list(self._progress), "numbers": numbers})
        if self._waiting:
            db.run(self._cursor, "insert_waiting")
            db.run(self._cursor, "insert_wants")


def _chunks(cursor: db.Cursor, name: str, values: Mapping[str, Sequence[int]]) -> Iterator[list[db.Row]]:
    """A statement's rows, a chunk at a time, through a cursor of the server."""
    with cursor.connection.cursor(name) as rows:
        rows.itersize = _CHUNK
        rows.execute(db.statement(name), values)
        while chunk := list(islice(rows, _CHUNK)):
            yield chunk
