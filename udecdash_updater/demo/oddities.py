"""Every URL shape that the rules speak of, planted with what it must lead to.

Each line states its own outcome; the rule it stands for is in the group's docstring.
"""

from __future__ import annotations

from udecdash_updater.demo.courses import LONG_SLUG, TWICE
from udecdash_updater.demo.plans import Look, Plan, no_row, page_called, row_of, through
from udecdash_updater.demo.things import Course, Item, Thing

UNKNOWN = 99_999_999
NO_FILE = no_row("file_dim")
NO_QUIZ = no_row("quiz_dim")
NO_TOPIC = no_row("discussion_topic_dim")
NO_ASSIGNMENT = no_row("assignment_dim")
NO_TOOL = no_row("external_tool_activation_dim")


class Planter:
    """Plants the odd requests of one course; `other` is a course whose things it may stumble on."""

    def __init__(self, course: Course, other: Course, strangers: list[Thing]) -> None:
        self.plans: list[Plan] = []
        self.course = course
        self.other = other
        self.base = f"/courses/{course.number}"
        self.strangers = strangers
        self.file, self.second_file = course.files[0], course.files[1]
        self.quiz, self.topic = course.quizzes[0], course.topics[0]
        self.assignment, self.tool = course.assignments[0], course.tools[0]
        self.page = next(page for page in course.pages if page.slug.startswith("pagina-"))
        for group in (
            self._numbers, self._beyond, self._not_numbers, self._slugs, self._slugs_between_courses,
            self._places, self._columns, self._labels, self._items, self._item_targets, self._fallbacks,
            self._trash, self._almost_trash, self._rows,
        ):  # fmt: skip
            group()

    def plant(self, shape: str, url: str, *looks: Look, **more: object) -> None:
        """One shape: its URL and what it leads to, in order."""
        share = 0.02
        plan = Plan(shape=shape, course=self.course, url=url, looks=looks, weight=share, **more)  # type: ignore[arg-type]
        self.plans.append(plan)

    def _numbers(self) -> None:
        """R7: what reads as a number."""
        number, look, files = self.file.number, row_of(self.file), f"{self.base}/files"
        self.plant("plus sign", f"{files}/+{number}", look)
        self.plant("blank before", f"{files}/ {number}", look)
        self.plant("blank after", f"{files}/{number} ?x=1", look)
        self.plant("leading zeros", f"{files}/000{number}", look)
        self.plant("fraction of nothing", f"{files}/{number}.0", NO_FILE)
        self.plant("fraction", f"{files}/{number}.5", NO_FILE)
        self.plant("bare fraction", f"{files}/.5", NO_FILE)
        self.plant("negative fraction", f"{files}/-0.5", NO_FILE)
        self.plant("negative", f"{files}/-{number}", NO_FILE)
        self.plant("zero", f"{files}/0", NO_FILE)
        self.plant("fraction of a quiz", f"{self.base}/quizzes/{self.quiz.number}.0", NO_QUIZ)
        self.plant("largest of 64 bits", f"{files}/9223372036854775807", NO_FILE)

    def _beyond(self) -> None:
        """R7 and the table of losses: ids beyond 64 bits find nothing; the other lookups go on."""
        base, free = self.base, "unusable id"
        for kind, look in (
            ("files", NO_FILE), ("quizzes", NO_QUIZ), ("discussion_topics", NO_TOPIC),
            ("assignments", NO_ASSIGNMENT), ("external_tools", NO_TOOL),
        ):  # fmt: skip
            url = f"{base}/{kind}/99999999999999999999"
            self.plant(f"beyond 64 bits {kind}", url, look, free_label=free)
        self.plant("just beyond 64 bits", f"{base}/files/9223372036854775808", NO_FILE, free_label=free)
        self.plant("beyond below", f"{base}/files/-9223372036854775809", NO_FILE, free_label=free)
        self.plant("beyond 64 bits item", f"{base}/modules/items/{10**25}", free_label=free)
        on = f"{base}/files/{10**25}?b={base}/quizzes/{self.quiz.number}"
        self.plant("beyond 64 bits, then a quiz", on, NO_FILE, row_of(self.quiz))
        column = f"{base}/modules/items/{10**30}"
        self.plant("beyond 64 bits item, but a column", column, row_of(self.topic), topic=str(self.topic.id))

    def _not_numbers(self) -> None:
        """R7: what is skipped in silence, without a label."""
        number = self.file.number
        for part in (
            "1e5", "12E3", f"{number}x", f"x{number}", "1_0", f"{number}~5", f"20211~{number}", f"{number}#a",
            "0x1A", "+", "-", "--5", "1.2.3", "1,000", "١٢٣", "１２３", "²", "%31", f"{number}%20", "nan", "inf",
            f"{number}&x=1", "folder", "'); DROP TABLE requests; --",
        ):  # fmt: skip
            self.plant(f"no number {part}".replace(str(number), "N"), f"{self.base}/files/{part}")
        self.plant("no number quiz", f"{self.base}/quizzes/1e5")
        self.plant("no number item", f"{self.base}/modules/items/1E2")
        self.plant("no number, then download", f"{self.base}/files/12E3/download?x=1")

    def _slugs(self) -> None:
        """R9.1: slugs byte for byte, in this course's modules."""
        base, course = f"{self.base}/pages", self.course
        slug, look = self.page.slug, page_called(course, self.page.slug)
        lost = page_called(course, "")
        for shape, part in (
            ("unknown slug", "no-existe"), ("other case", slug.upper()), ("anchor ends no slug", f"{slug}#a"),
            ("slug with arguments behind &", f"{slug}&a=b"), ("percent for a letter", "gu%C3%ADa-2"),
            ("slug that would harm", "'); DROP TABLE requests; --"), ("slug of blanks", "  "),
            ("backslash N slug unknown", "\\N\\N"), ("tab in an unknown slug", "no\texiste"),
            ("quote in an unknown slug", 'no"existe'),
        ):  # fmt: skip
            self.plant(shape, f"{base}/{part}", lost)
        self.plant("over-long slug", f"{base}/no-existe-{'y' * 400}", lost, free_label="long message")
        self.plant("two pages, one slug", f"{base}/{TWICE}", page_called(course, TWICE))
        self.plant("slug and slash", f"{base}/{slug}/", look)
        self.plant("slug and more", f"{base}/{slug}/revisions/2", look)
        self.plant("empty slug", f"{base}//x")
        self.plant("pages and nothing", f"{base}/")
        self.plant("empty slug, then one", f"{base}/?b={base}/{slug}", look)
        self.plant("doubled slash", f"{self.base}//pages/{slug}")
        self.plant("page with download", f"{base}/{slug}/download?x=1", look)
        if LONG_SLUG in course.slugs:
            long = page_called(course, LONG_SLUG)
            self.plant("long slug", f"{base}/{LONG_SLUG}?x=1", long, free_label="long message")

    def _slugs_between_courses(self) -> None:
        """R9: pages outside modules and of other courses."""
        base, other = f"{self.base}/pages", self.other
        theirs = next(page for page in other.pages if page.slug.startswith("pagina-"))
        outside = next(page for page in self.course.pages if page.slug.startswith("fuera-"))
        deleted = next(page for page in self.course.pages if page.slug.startswith("borrada-"))
        self.plant("page outside modules", f"{base}/{outside.slug}", page_called(self.course, outside.slug))
        self.plant("page of a deleted item", f"{base}/{deleted.slug}", page_called(self.course, deleted.slug))
        self.plant("slug of another course", f"{base}/{theirs.slug}", page_called(self.course, theirs.slug))
        self.plant("URL of another course: page", f"/courses/{other.number}/pages/{theirs.slug}")
        self.plant("URL of another course: file", f"/courses/{other.number}/files/{other.files[0].number}")
        self.plant("URL of another course: item", f"/courses/{other.number}/modules/items/{other.items[0].number}")
        self.plant("file of another course", f"{self.base}/files/{other.files[0].number}", row_of(other.files[0]))
        item = other.items[0]
        self.plant("item of another course", f"{self.base}/modules/items/{item.number}", through(item))
        tool = other.tools[0]
        self.plant("tool of another course", f"{self.base}/external_tools/{tool.number}", row_of(tool))

    def _places(self) -> None:
        """R9: patterns are searched anywhere; the first place that fits wins; the order of the resolvers."""
        base, page, file = self.base, page_called(self.course, self.page.slug), row_of(self.file)
        files, slug = f"{base}/files/{self.file.number}", self.page.slug
        lost = page_called(self.course, "")
        self.plant("after a login", f"/login?return_to={base}/pages/{slug}", page)
        self.plant("after a host", f"https://ejemplo.cl{files}", file)
        self.plant("encoded slashes", f"/login?to=%2Fcourses%2F{self.course.number}%2Ffiles%2F{self.file.number}")
        self.plant("two files", f"{files}?b={base}/files/{self.second_file.number}", file)
        self.plant("no number, then a file", f"{base}/files/abc?b={files}")
        self.plant("other course first", f"/courses/{self.other.number}/files/{UNKNOWN}?b={files}", file)
        self.plant("longer course number", f"{base}0/files/{self.file.number}")
        self.plant("other word before", f"/subcourses/{self.course.number}/files/{self.file.number}")
        self.plant("file and lost page", f"{files}?b={base}/pages/no-existe", lost, file)
        self.plant("file and page", f"{files}?b={base}/pages/{slug}", page, file)
        tool = f"{base}/external_tools/{self.tool.number}"
        self.plant("tool and page", f"{tool}?return_url=https://host{base}/pages/{slug}", page, row_of(self.tool))
        self.plant("tool and lost page", f"{tool}?u={base}/pages/no-existe", lost, row_of(self.tool))
        self.plant("unknown tool", f"{base}/external_tools/{UNKNOWN}", NO_TOOL)
        self.plant("very long URL", f"{base}/grades?x={'z' * 3000}&u={base}/pages/{slug}", page)
        self.plant("download anywhere", f"{files}?next=/download?x", file, downloaded=True)
        self.plant("download at once", f"{files}/download?verifier=abc", file, downloaded=True)
        self.plant("download without arguments", f"{files}/download", file)
        self.plant("download at the end of a word", f"{files}/xdownload?a", file)
        self.plant("API file", f"/api/v1{files}?include[]=user", file)
        self.plant("upper case path", f"/Courses/{self.course.number}/Files/{self.file.number}")

    def _columns(self) -> None:
        """R9.3 to R9.5: a column that is set and not 0 counts, and the URL's id then does not."""
        base = self.base
        theirs = self.other.quizzes[0]
        for name, path, things, none in (
            ("quiz", "quizzes", self.course.quizzes, NO_QUIZ),
            ("topic", "discussion_topics", self.course.topics, NO_TOPIC),
            ("assignment", "assignments", self.course.assignments, NO_ASSIGNMENT),
        ):
            first, second = things[0], things[1]
            url, ident = f"{base}/{path}/{first.number}", str(first.id)
            self.plant(f"column 0: {name}", url, row_of(first), **{name: "0"})
            self.plant(f"unknown column: {name}", url, none, **{name: "7"})
            self.plant(f"negative column: {name}", url, none, **{name: "-5"})
            self.plant(f"column against URL: {name}", url, row_of(second), **{name: str(second.id)})
            self.plant(f"column and unknown URL: {name}", f"{base}/{path}/{UNKNOWN}", row_of(first), **{name: ident})
            self.plant(f"unknown id in URL: {name}", f"{base}/{path}/{UNKNOWN}", none)
            self.plant(f"column with a strange id: {name}", f"{base}/{path}/1e5", row_of(first), **{name: ident})
        self.plant("quiz of another course by column", f"{base}/grades", row_of(theirs), quiz=str(theirs.id))
        both = {"quiz": str(self.quiz.id), "assignment": str(self.assignment.id)}
        self.plant("quiz and assignment columns", f"{base}/grades", row_of(self.quiz), row_of(self.assignment), **both)
        files = f"{base}/files/{self.file.number}"
        self.plant("file before quiz column", files, row_of(self.file), row_of(self.quiz), quiz=str(self.quiz.id))
        tool = f"{base}/external_tools/{self.tool.number}"
        work = row_of(self.assignment)
        self.plant("column before tool", tool, work, row_of(self.tool), assignment=str(self.assignment.id))

    def _labels(self) -> None:
        """R11: the label is that of the last lookup that failed."""
        base, lost = self.base, page_called(self.course, "")
        self.plant("unknown file", f"{base}/files/{UNKNOWN}", NO_FILE)
        self.plant("lost page, unknown column", f"{base}/pages/no-existe", lost, NO_ASSIGNMENT, assignment="5")
        self.plant("lost page and file", f"{base}/pages/no-existe?b={base}/files/{UNKNOWN}", lost, NO_FILE)
        lost_tool = f"{base}/pages/no-existe?b={base}/external_tools/{UNKNOWN}"
        self.plant("lost page and tool", lost_tool, lost, NO_TOOL)
        columns = {"quiz": "7", "topic": "6", "assignment": "5"}
        self.plant("three unknown columns", f"{base}/grades", NO_QUIZ, NO_TOPIC, NO_ASSIGNMENT, **columns)
        on = f"{base}/quizzes/{UNKNOWN}"
        self.plant("unknown quiz, known topic", on, NO_QUIZ, row_of(self.topic), topic=str(self.topic.id))
        twice = f"{base}/pages/{TWICE}?b={base}/files/{self.file.number}"
        self.plant("two pages, then a file", twice, page_called(self.course, TWICE), row_of(self.file))

    def _items(self) -> None:
        """R8: module items by the id in the URL, wherever they are."""
        base, item = f"{self.base}/modules/items", self.course.items[0]
        look = through(item)
        gone = next(item for item in self.course.items if item.deleted_from == 1)
        self.plant("item 0", f"{base}/0")
        self.plant("unknown item", f"{base}/{UNKNOWN}")
        self.plant("deleted item", f"{base}/{gone.number}")
        self.plant("item with a sign", f"{base}/+{item.number}", look)
        self.plant("item with a fraction", f"{base}/{item.number}.0")
        self.plant("item and more", f"{base}/{item.number}/done?x=1", look)
        self.plant("item and anchor", f"{base}/{item.number}#x")
        number = item.number
        self.plant("item within a module", f"/api/v1{self.base}/modules/5/items/{number}")
        self.plant("item as an argument", f"{self.base}/modules?module_item_id={number}")
        self.plant("item behind a page", f"{self.base}/pages/no-existe/modules/items/{number}",
                   page_called(self.course, ""))  # fmt: skip
        for content in ("ExternalUrl", "ContextExternalTool", "ContextModuleSubHeader"):
            plain = next(item for item in self.course.items if item.content == content)
            self.plant(f"item of {content}", f"{base}/{plain.number}", through(plain))

    def _item_targets(self) -> None:
        """R9: what a module item leads to, by its content."""
        base = f"{self.base}/modules/items"
        for content in ("WikiPage", "Attachment", "Quiz", "DiscussionTopic", "Assignment"):
            item = next(item for item in self.course.items if item.content == content)
            self.plant(f"item of {content}", f"{base}/{item.number}", through(item))
        both = next(item for item in self.course.items if item.content == "Quiz" and "assignment_id" in item.own)
        self.plant("item of a quiz that is an assignment", f"{base}/{both.number}", through(both))
        url = self._item("ExternalUrl")
        tool = f"{self.base}/external_tools/{self.tool.number}"
        self.plant("external URL and tool", f"{tool}?b={base}/{url.number}", through(url), row_of(self.tool))
        self.plant("external URL, unknown column", f"{base}/{url.number}", NO_QUIZ, through(url), quiz="7")
        sub = self._item("ContextModuleSubHeader")
        self.plant("subheader and tool", f"{tool}?b={base}/{sub.number}", row_of(self.tool))

    def _fallbacks(self) -> None:
        """R9: after a failed lookup the module item in the same URL is tried."""
        base = self.base
        lost, twice = page_called(self.course, ""), page_called(self.course, TWICE)
        page, file, quiz = self._item("WikiPage"), self._item("Attachment"), self._item("Quiz")
        topic, work = self._item("DiscussionTopic"), self._item("Assignment")
        items = f"{base}/modules/items"
        self.plant("lost page, item of a page", f"{base}/pages/no-existe?b={items}/{page.number}", lost, through(page))
        self.plant("two pages, item of a page", f"{base}/pages/{TWICE}?b={items}/{page.number}", twice, through(page))
        self.plant("lost page, item of a file", f"{base}/pages/no-existe?b={items}/{file.number}", lost, through(file))
        unknown = f"{base}/files/{UNKNOWN}?b={items}"
        self.plant("unknown file, item of a file", f"{unknown}/{file.number}", NO_FILE, through(file))
        self.plant("unknown file, item of a quiz", f"{unknown}/{quiz.number}", NO_FILE, through(quiz))
        own = f"{base}/files/{self.file.number}?b={items}/{quiz.number}"
        self.plant("file before item of a quiz", own, row_of(self.file), through(quiz))
        self.plant("unknown column, item of a quiz", f"{items}/{quiz.number}", NO_QUIZ, through(quiz), quiz="7")
        self.plant("unknown column, item of a topic", f"{items}/{topic.number}", NO_TOPIC, through(topic), topic="7")
        self.plant("unknown column, item of an assignment", f"{items}/{work.number}", NO_ASSIGNMENT, through(work),
                   assignment="7")  # fmt: skip
        before = f"{items}/{topic.number}"
        self.plant(
            "quiz column before item of a topic", before, row_of(self.quiz), through(topic), quiz=str(self.quiz.id)
        )
        self.plant("item of a page before quiz column", f"{items}/{page.number}", through(page), row_of(self.quiz),
                   quiz=str(self.quiz.id))  # fmt: skip

    def _item(self, content: str) -> Item:
        return next(item for item in self.course.items if item.content == content and item.deleted_from > 1)

    def _trash(self) -> None:
        """R1: what is never kept."""
        base, quiz = self.base, self.quiz.number
        backup = f"/quizzes/{quiz}/submissions/backup?user_id=5"
        for shape, url in (
            ("ping", f"{base}/ping"), ("API ping", f"/api/v1{base}/ping"), ("ping elsewhere", "/courses/0/ping"),
            ("ping behind an argument", f"/login?to={base}/ping"), ("ping without a slash before", "courses/1/ping"),
            ("summary", f"{base}/activity_stream/summary"),
            ("API summary", f"/api/v1{base}/activity_stream/summary"),
            ("backup", base + backup), ("API backup", f"/api/v1{base}{backup}"),
            ("backup and more", f"{base}{backup}x&y=1"),
        ):  # fmt: skip
            self.plant(f"dropped {shape}", url, fate="trash")
        file = f"{base}/files/{self.file.number}"
        self.plant("masquerade", file, fate="masquerade")
        self.plant("developer key", file, fate="developer_key")
        self.plant("nobody", file, fate="no_user")
        self.plant("no course", file, fate="no_course")

    def _almost_trash(self) -> None:
        """R1: what looks like it and is kept."""
        base, quiz = self.base, f"{self.base}/quizzes/{self.quiz.number}"
        look = row_of(self.quiz)
        for shape, url in (
            ("ping with arguments", f"{base}/ping?x=1"), ("ping and newline", f"{base}/ping\n"),
            ("ping and slash", f"{base}/ping/"), ("pings", f"{base}/pings"), ("user's ping", "/users/5/ping"),
            ("ping of a trust", f"/courses/20211~{self.course.number}/ping"), ("arabic ping", "/courses/٣/ping"),
            ("summary with arguments", f"{base}/activity_stream/summary?a=b"),
            ("activity stream", f"{base}/activity_stream"), ("ping of a group", f"{base}/groups/5/ping"),
        ):  # fmt: skip
            self.plant(f"kept {shape}", url)
        self.plant("kept backup of no number", f"{quiz}/submissions/backup?user_id=abc", look)
        self.plant("kept backup with another argument first", f"{quiz}/submissions/backup?a=1&user_id=5", look)
        self.plant("kept backup of nobody", f"{quiz}/submissions/backup?user_id=", look)

    def _rows(self) -> None:
        """R4 and the table of losses: users and URLs that nobody expects."""
        page = page_called(self.course, self.page.slug)
        url = f"{self.base}/pages/{self.page.slug}"
        for stranger in self.strangers:
            self.plant(f"unknown user {stranger.id}", url, page, users=[stranger])
        self.plant("empty URL", "", free_label="empty URL")
        self.plant("URL of a slash", "/")
        self.plant("URL of a question mark", "?")
        self.plant("URL of a backslash", "\\")
        self.plant("URL that reads as NULL", "\\N")
        self.plant("URL of blanks", "   ")
        self.plant("URL in quotes", f'"{url}"'.replace(f'{self.page.slug}"', f'{self.page.slug}?"'), page)


def odd_plans(course: Course, other: Course, strangers: list[Thing]) -> list[Plan]:
    """All odd plans of a course of the first night."""
    return Planter(course, other, strangers).plans
