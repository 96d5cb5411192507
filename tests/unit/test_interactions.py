"""R8 to R11 by example: one course (id 10, canvas_id 7), one of each thing, and what its requests become.

In this little world the canvas_id of everything is its id less 1000, so that no lookup can pass for another.
"""

from __future__ import annotations

import json
import os
import time
from unittest import mock

import pytest

from udecdash_updater import clock
from udecdash_updater.clock import Clock
from udecdash_updater.interactions import Classifier, Interaction
from udecdash_updater.resolution import Unresolved
from udecdash_updater.resources import MODULE_ITEMS, Lookup, Resources, pages_by_slug
from udecdash_updater.weblog import Request

TABLES: dict[str, list[tuple[object, ...]]] = {
    "wiki_page_dim": [(1001, 1), (1002, 2), (1003, 3), (1004, 4)],
    "file_dim": [(1005, 5)],
    "quiz_dim": [(1006, 6), (1016, 16)],
    "discussion_topic_dim": [(1007, 7), (1017, 17)],
    "assignment_dim": [(1008, 8), (1018, 18)],
    "external_tool_activation_dim": [(1009, 9)],
    "module_item_dim": [
        # id, canvas_id, content_type, wiki_page_id, file_id, quiz_id, discussion_topic_id, assignment_id
        (1020, 20, "WikiPage", 1004, None, None, None, None),
        (1021, 21, "Attachment", None, 1005, None, None, None),
        (1022, 22, "Quiz", None, None, 1006, None, None),
        (1023, 23, "DiscussionTopic", None, None, None, 1007, None),
        (1024, 24, "Assignment", None, None, None, None, 1008),
        (1025, 25, "ExternalUrl", None, None, None, None, None),
        (1026, 26, "ContextModuleSubHeader", None, None, None, None, None),
        (1027, 27, "Quiz", None, None, 999, None, None),
        (1028, 28, "Quiz", None, None, 1006, None, 1008),
    ],
}
PAGES = pages_by_slug([("one", 1001, 1), ("twice", 1002, 2), ("twice", 1003, 3), ("dot.ñ #", 1004, 4)])


def request(
    url: str | None = "",
    quiz: int | None = None,
    topic: int | None = None,
    assignment: int | None = None,
    timestamp: str | None = "2021-04-01 12:00:00.5",
) -> Request:
    return Request(1, "id", timestamp, 20, 10, quiz, topic, assignment, url, "Android")


def look_up(classifier: Classifier, chunk: list[Request]) -> int:
    """Answer the classifier's needs from TABLES; the number of rounds that took."""
    rounds = 0
    while needs := classifier.needs(chunk):
        rounds += 1
        for lookup, ids in needs.items():
            position = lookup.columns.index(lookup.column)
            found = [row for row in TABLES[lookup.table] if row[position] in ids]
            classifier.resources.add(lookup, ids, found)
    return rounds


def a_classifier(course_canvas_id: int | None = 7) -> Classifier:
    return Classifier(course_canvas_id, PAGES, Resources(), Clock("America/Santiago"))


def judge(request: Request, course_canvas_id: int | None = 7) -> Interaction | Unresolved:
    classifier = a_classifier(course_canvas_id)
    look_up(classifier, [request])
    return classifier.classify(request)


def reached(request: Request) -> tuple[str, int, int]:
    answer = judge(request)
    assert isinstance(answer, Interaction), answer
    return answer.table, answer.item_id, answer.item_canvas_id


def label(request: Request) -> str | None:
    answer = judge(request)
    assert isinstance(answer, Unresolved), answer
    return answer.label


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        (request("/courses/7/pages/one"), ("wiki_page_interactions", 1001, 1)),
        (request("/courses/7/pages/dot.ñ #?x"), ("wiki_page_interactions", 1004, 4)),
        (request("/courses/7/files/5/preview"), ("attachment_interactions", 1005, 5)),
        (request("/courses/7/quizzes/6"), ("quiz_interactions", 1006, 6)),
        (request("/courses/7/discussion_topics/7"), ("discussion_topic_interactions", 1007, 7)),
        (request("/courses/7/assignments/8"), ("assignment_interactions", 1008, 8)),
        (request("/courses/7/external_tools/9"), ("context_external_tool_interactions", 1009, 9)),
        (request(quiz=1006), ("quiz_interactions", 1006, 6)),
        (request(topic=1007), ("discussion_topic_interactions", 1007, 7)),
        (request(assignment=1008), ("assignment_interactions", 1008, 8)),
        (request(None, assignment=1008), ("assignment_interactions", 1008, 8)),
        (request("/courses/7/modules/items/20"), ("wiki_page_interactions", 1004, 4)),
        (request("/courses/7/modules/items/21"), ("attachment_interactions", 1005, 5)),
        (request("/courses/7/modules/items/22"), ("quiz_interactions", 1006, 6)),
        (request("/courses/7/modules/items/23"), ("discussion_topic_interactions", 1007, 7)),
        (request("/courses/7/modules/items/24"), ("assignment_interactions", 1008, 8)),
        (request("/courses/7/modules/items/25"), ("external_url_interactions", 1025, 25)),
    ],
)
def test_every_way_to_an_item_reaches_it(seen: Request, expected: tuple[str, int, int]) -> None:
    assert reached(seen) == expected


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        (request("/courses/7/pages/none"), "wiki_page_not_found"),
        (request("/courses/7/pages/ONE"), "wiki_page_not_found"),
        (request("/courses/7/pages/dot%2Eñ #"), "wiki_page_not_found"),
        (request("/courses/7/pages/twice"), "multiple_wiki_pages"),
        (request("/courses/7/files/99"), "record_not_found_file_dim"),
        (request("/courses/7/quizzes/99"), "record_not_found_quiz_dim"),
        (request("/courses/7/discussion_topics/99"), "record_not_found_discussion_topic_dim"),
        (request("/courses/7/assignments/99"), "record_not_found_assignment_dim"),
        (request("/courses/7/external_tools/99"), "record_not_found_external_tool_activation_dim"),
        (request(quiz=6), "record_not_found_quiz_dim"),
        (request(topic=7), "record_not_found_discussion_topic_dim"),
        (request(assignment=8), "record_not_found_assignment_dim"),
        (request("/courses/7/files/5.0"), "record_not_found_file_dim"),
        (request("/courses/7/files/9223372036854775808"), "record_not_found_file_dim"),
        (request("/courses/7/files/0"), "record_not_found_file_dim"),
        (request("/courses/7/modules/items/99"), None),
        (request("/courses/7/modules/items/20.0"), None),
        (request("/courses/7/modules/items/26"), None),
        (request("/courses/7/modules/items/27"), None),
        (request("/courses/7/files/folder/x"), None),
        (request("/courses/7/grades"), None),
        (request("/courses/8/pages/one"), None),
        (request(""), None),
        (request(None), None),
        (request(quiz=0), None),
    ],
)
def test_what_finds_nothing_says_which_lookup_failed(seen: Request, expected: str | None) -> None:
    assert label(seen) == expected


def test_an_unusable_id_ends_only_its_own_lookup() -> None:
    seen = request("/courses/7/files/99999999999999999999?x=/courses/7/assignments/8")
    assert reached(seen) == ("assignment_interactions", 1008, 8)


def test_the_label_is_that_of_the_last_failure_in_the_order_of_the_kinds_not_of_the_url() -> None:
    assert label(request("/courses/7/assignments/99?x=/courses/7/files/99?y=/courses/7/pages/none")) == (
        "record_not_found_assignment_dim"
    )


def test_a_lookup_through_a_module_item_leaves_the_label_as_it_is() -> None:
    assert label(request("/courses/7/pages/none?x=/courses/7/modules/items/27")) == "wiki_page_not_found"


def test_the_first_kind_wins_whatever_stands_first_in_the_url() -> None:
    seen = request("/courses/7/assignments/8?x=/courses/7/files/5", quiz=1006)
    assert reached(seen) == ("attachment_interactions", 1005, 5)


def test_within_a_kind_the_url_comes_before_the_module_item() -> None:
    seen = request("/courses/7/quizzes/16?x=/courses/7/modules/items/22")
    assert reached(seen) == ("quiz_interactions", 1016, 16)


@pytest.mark.parametrize("slug", ["none", "twice"])
def test_a_page_that_is_missing_or_twofold_is_sought_through_the_module_item(slug: str) -> None:
    seen = request(f"/courses/7/pages/{slug}?x=/courses/7/modules/items/20")
    assert reached(seen) == ("wiki_page_interactions", 1004, 4)


def test_a_module_item_of_two_kinds_counts_for_the_first() -> None:
    assert reached(request("/courses/7/modules/items/28"))[0] == "quiz_interactions"


@pytest.mark.parametrize(
    ("kind", "canvas_id", "seen"),
    [
        ("quizzes", 16, request("{}", quiz=1006)),
        ("discussion_topics", 17, request("{}", topic=1007)),
        ("assignments", 18, request("{}", assignment=1008)),
    ],
)
def test_a_column_hides_the_id_in_the_url(kind: str, canvas_id: int, seen: Request) -> None:
    assert reached(seen._replace(url=f"/courses/7/{kind}/{canvas_id}"))[2] == canvas_id - 10


def test_an_unknown_column_hides_the_url_too_but_not_the_module_item() -> None:
    assert label(request("/courses/7/quizzes/6", quiz=99)) == "record_not_found_quiz_dim"
    assert reached(request("/courses/7/modules/items/22", quiz=99)) == ("quiz_interactions", 1006, 6)


def test_a_column_of_zero_is_not_set() -> None:
    assert reached(request("/courses/7/quizzes/6", quiz=0)) == ("quiz_interactions", 1006, 6)


def test_a_course_without_canvas_id_is_reached_by_columns_only() -> None:
    assert judge(request("/courses/None/files/5"), None) == Unresolved(None, "the URL names no item of its course")
    assert isinstance(judge(request("/courses/7/files/5", quiz=1006), None), Interaction)


@pytest.mark.parametrize(
    ("seen", "named"),
    [
        (request("/courses/7/pages/none"), "none"),
        (request("/courses/7/pages/twice"), "2 pages"),
        (request("/courses/7/files/5.0"), "file_dim has no row with the canvas_id 5.0"),
        (request(quiz=99), "quiz_dim has no row with the id 99"),
        (request("/courses/7/modules/items/99"), "no module item has the canvas_id 99"),
        (request("/courses/7/modules/items/" + "9" * 20), "no module item can have the canvas_id 99999999999999999999"),
        (request("/courses/7/files/" + "9" * 20), "file_dim has no row with the canvas_id 99999999999999999999"),
        (request("/courses/7/modules/items/26"), "ContextModuleSubHeader"),
    ],
)
def test_the_message_names_what_was_looked_for(seen: Request, named: str) -> None:
    answer = judge(seen)
    assert isinstance(answer, Unresolved)
    assert named in answer.message


@pytest.mark.parametrize("url", ["/courses/7/pages/" + "ñ" * 5000, "/courses/7/files/" + "9" * 5000])
def test_a_long_message_is_cut_and_keeps_its_label(url: str) -> None:
    answer = judge(request(url))
    assert isinstance(answer, Unresolved)
    assert answer.label is not None
    assert len(answer.message) == 255


@pytest.mark.parametrize("timestamp", [None, "infinity", "-infinity", "12345-01-01 00:00:00"])
def test_a_time_that_no_calendar_holds_costs_one_request_and_not_the_course(timestamp: str | None) -> None:
    answer = judge(request("/courses/7/files/5", timestamp=timestamp))
    assert answer == Unresolved(None, f"not a timestamp: {timestamp!r}")


def test_the_log_holds_the_row_as_it_is_in_requests() -> None:
    seen = request('/ñ"\\\n', topic=5)
    assert json.loads(seen.log()) == seen._asdict()
    assert list(json.loads(seen.log())) == [
        *("local_id", "id", "timestamp", "user_id", "course_id"),
        *("quiz_id", "discussion_id", "assignment_id", "url", "user_agent"),
    ]


def test_two_rounds_of_lookups_are_enough_and_none_is_made_twice() -> None:
    classifier = a_classifier()
    chunk = [request(f"/courses/7/modules/items/{item}", quiz=1006) for item in range(20, 30)]
    assert look_up(classifier, chunk) == 2
    assert look_up(classifier, chunk) == 0
    for seen in chunk:
        classifier.classify(seen)
    assert look_up(classifier, [request("/courses/7/modules/items/22?new", quiz=1006)]) == 0


def test_a_lookup_that_was_never_made_is_an_error_and_not_a_miss() -> None:
    with pytest.raises(KeyError):
        a_classifier().classify(request("/courses/7/files/5"))


def test_an_item_without_canvas_id_is_not_found_as_no_key_could_hold_it() -> None:
    classifier = a_classifier()
    classifier.resources.add(Lookup("quiz_dim", "id"), [1], [(1, None)])
    answer = classifier.classify(request(quiz=1))
    assert isinstance(answer, Unresolved)
    assert answer.label == "record_not_found_quiz_dim"


def test_forgetting_between_chunks_changes_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "_MEMORY", 0)
    classifier = a_classifier()
    chunk = [request("/courses/7/modules/items/22"), request("/courses/7/files/5"), request("/courses/7")]
    look_up(classifier, chunk)
    first = [classifier.classify(seen) for seen in chunk]
    classifier.forget()
    assert classifier.size() == 0
    assert classifier.needs(chunk)[MODULE_ITEMS] == {22}
    look_up(classifier, chunk)
    assert [classifier.classify(seen) for seen in chunk] == first


@pytest.mark.parametrize("zone", ["UTC", "Pacific/Apia", "America/Santiago"])
def test_the_machines_own_time_zone_changes_nothing(zone: str) -> None:
    with mock.patch.dict(os.environ, TZ=zone):
        time.tzset()
        found = Clock("America/Santiago").viewed("2021-04-04 03:30:00")
    time.tzset()
    assert found == "2021-04-03 23:30:00"
