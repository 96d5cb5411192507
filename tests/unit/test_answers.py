"""Lines of COPY in, lines of COPY out: whatever texts a request has, they say what the rules say of it."""

from __future__ import annotations

import json
import re

from hypothesis import given
from hypothesis import strategies as st

from udecdash_updater.answers import Answers, fields
from udecdash_updater.clock import Clock
from udecdash_updater.interactions import Classifier, Interaction
from udecdash_updater.resources import Lookup, Resources
from udecdash_updater.weblog import Request

# As PostgreSQL's COPY writes and reads a text: its manual's table of backslash sequences.
LETTERS = {"\b": "b", "\f": "f", "\n": "n", "\r": "r", "\t": "t", "\v": "v", "\\": "\\"}
ODD = st.text(st.sampled_from('\\\b\f\n\r\t\v"N/? \x01\x7fñ'), min_size=1)
TEXTS = st.one_of(ODD, st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])))
NAMED = st.builds("/courses/7/files/{}{}{}".format, st.sampled_from((5, 6)), st.sampled_from(("?", "/download?")), ODD)
URLS = st.one_of(NAMED, TEXTS, st.none())
REQUESTS = st.builds(
    Request, st.integers(1, 9), TEXTS, st.sampled_from(("2021-04-04 03:30:00.999", "infinity", None)), st.just(20),
    st.just(10), st.sampled_from((None, 0, 3)), st.none(), st.none(), URLS,
    st.one_of(st.none(), TEXTS, st.just("iPad\n")),
)  # fmt: skip


def written(value: object) -> str:
    if value is None:
        return "\\N"
    return "".join("\\" + LETTERS[character] if character in LETTERS else character for character in str(value))


def read(line: str) -> list[str | None]:
    names = {letter: character for character, letter in LETTERS.items()}
    assert line.endswith("\n")
    assert "\n" not in line[:-1]
    return [
        None if part == "\\N" else re.sub(r"\\(.)", lambda found: names.get(found[1], found[1]), part, flags=re.DOTALL)
        for part in line[:-1].split("\t")
    ]


def classifier(requests: list[Request]) -> Classifier:
    """Of a university that has one file and nothing else."""
    found = Classifier(7, {}, Resources(), Clock("America/Santiago"))
    while needs := found.needs(requests):
        for lookup, ids in needs.items():
            found.resources.add(lookup, ids, [(1005, 5)] if lookup == Lookup("file_dim", "canvas_id") else [])
    return found


@given(st.lists(REQUESTS, min_size=1, max_size=5, unique_by=lambda request: request.id))
def test_lines_say_what_the_rules_say_whatever_the_texts(requests: list[Request]) -> None:
    answers, rules = Answers({10: classifier(requests)}, Clock("America/Santiago")), classifier(requests)
    hits: dict[tuple[str, ...], list[str | None]] = {}
    misses = []
    for request in requests:
        at, name, time, user, course, *asked, agent = request
        answers.add(fields("\t".join(map(written, (at, name, time, user, agent, course, *asked))) + "\n"))
        answer = rules.classify(request)
        if isinstance(answer, Interaction):
            row = (course, answer.item_canvas_id, user, answer.viewed, answer.device, answer.item_id, answer.url)
            hits.setdefault(tuple(map(str, row[:4])), [*map(str, row), str(answer.downloaded)])
        else:
            misses.append([str(user), str(course), request.url or "", answer.label, answer.message, request.log()])
    assert [read(line) for line in answers.take_hits("attachment_interactions")] == list(hits.values())
    told = [
        read(line.partition("\t")[2] if waits else line)
        for waits, lines in ((0, answers.misses), (1, answers.waiting))
        for line in lines
    ]
    assert sorted(map(logged, told)) == sorted(map(logged, misses))


def logged(row: list[str | None]) -> str:
    """A row whose last value is JSON, in one form."""
    return json.dumps([*row[:-1], json.loads(row[-1] or "")])
