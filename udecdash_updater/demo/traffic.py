"""Ordinary requests: what people of a course do all day."""

from __future__ import annotations

from collections.abc import Iterator

from udecdash_updater.demo.plans import Look, Plan, page_called, row_of, through
from udecdash_updater.demo.texts import escape
from udecdash_updater.demo.things import Course, Thing

INDEXES = (
    ("", 6.0, "courses"),
    ("/modules", 6.0, "context_modules"),
    ("/grades", 3.0, "gradebooks"),
    ("/announcements", 2.0, "announcements"),
    ("/assignments", 2.0, "assignments"),
    ("/files", 1.0, "files"),
    ("/pages", 1.0, "wiki_pages"),
    ("/quizzes", 1.0, "quizzes/quizzes"),
    ("/discussion_topics", 1.0, "discussion_topics"),
    ("/external_tools", 0.5, "external_tools"),
    ("/modules/items/", 0.1, "context_modules"),
    ("/modules/items/assignment_info", 2.0, "context_modules"),
    ("/assignments/syllabus", 1.0, "assignments"),
    ("/users", 1.0, "context"),
)
OUTSIDE = ("/", "/login/canvas", "/profile", "/conversations", "/dashboard-sidebar", "/api/v1/users/self")
_PAGE_TAILS = (("", 4.0), ("?module_item_id=1", 3.0), ("/edit", 0.3), ("/", 0.2))
_FILE_TAILS = (
    ("", 2.0, False), ("?wrap=1", 1.0, False), ("/download?download_frd=1", 1.2, True),
    ("/download", 0.3, False), ("/preview", 1.0, False), ("/file_preview?annotate=0", 0.6, False),
)  # fmt: skip


def course_traffic(course: Course, era: int) -> Iterator[Plan]:
    """All ordinary plans of a course as of that era (the night whose dump first brings the requests)."""
    base = f"/courses/{course.number}"
    for path, weight, controller in INDEXES:
        yield _plan(course, f"index {path or '/'}", base + path, weight, controller)
    yield _plan(course, "api modules", f"/api/v1{base}/modules?include[]=items&per_page=99", 3, "modules_api")
    yield from _pages(course, base, era)
    yield from _files(course, base, era)
    yield from _by_column(course, base, era)
    yield from _tools_and_items(course, base, era)
    yield from _trash(course, base)


def elsewhere(course: Course) -> Iterator[Plan]:
    """Requests of the same people that belong to no course, or to nobody: never kept."""
    for url in OUTSIDE:
        yield Plan(shape="outside", course=course, url=url, fate="no_course", weight=1.1, controller="users")
    login = f"/courses/{course.number}/pages/inicio"
    yield Plan(shape="logged out", course=course, url=login, fate="no_user", weight=2, controller="wiki_pages")


def futures(course: Course, era: int) -> list[Plan]:
    """Requests of that era for what only the next night's dump has."""
    base = f"/courses/{course.number}"
    plans: list[Plan] = []

    def plant(shape: str, url: str, look: Look) -> None:
        plans.append(Plan(shape=shape, course=course, url=url, looks=(look,), weight=0.2))

    for page in course.pages:
        if _comes_next(page, era):
            plant("future page", f"{base}/pages/{page.slug}", page_called(course, page.slug))
        if page.slug.startswith(f"aun-fuera-{era}-"):
            plant("page whose item comes", f"{base}/pages/{page.slug}", page_called(course, page.slug))
    for path, things in (
        ("files", course.files), ("quizzes", course.quizzes), ("discussion_topics", course.topics),
        ("assignments", course.assignments),
    ):  # fmt: skip
        for thing in things:
            if _comes_next(thing, era):
                plant(f"future {path}", f"{base}/{path}/{thing.number}", row_of(thing))
    for item in course.items:
        if _comes_next(item, era):
            plant("future item", f"{base}/modules/items/{item.number}", through(item))
    return plans


def _comes_next(thing: Thing, era: int) -> bool:
    return thing.made == era and thing.born == era + 1


def _plan(course: Course, shape: str, url: str, weight: float, controller: str) -> Plan:
    return Plan(shape=shape, course=course, url=url, weight=weight, controller=controller)


def _pages(course: Course, base: str, era: int) -> Iterator[Plan]:
    pages = [page for page in course.pages if page.made <= era]
    for page in pages:
        look = (page_called(course, page.slug),)
        share = 3.0 / len(pages)
        free = "long message" if len(page.slug) > 200 else ""
        for tail, weight in _PAGE_TAILS:
            yield Plan(
                shape=f"page{tail}", course=course, url=f"{base}/pages/{page.slug}{tail}", looks=look,
                weight=share * weight, free_label=free, controller="wiki_pages",
            )  # fmt: skip
        url = f"/api/v1{base}/pages/{page.slug}?include%5B%5D=x"
        yield Plan(shape="api page", course=course, url=url, looks=look, weight=share, free_label=free,
                   controller="wiki_pages_api")  # fmt: skip


def _files(course: Course, base: str, era: int) -> Iterator[Plan]:
    files = [file for file in course.files if file.made <= era]
    for file in files:
        for tail, weight, downloaded in _FILE_TAILS:
            yield Plan(
                shape=f"file{tail}", course=course, url=f"{base}/files/{file.number}{tail}",
                looks=(row_of(file),), weight=4.0 * weight / len(files), controller="files",
                downloaded=downloaded,
            )  # fmt: skip


def _by_column(course: Course, base: str, era: int) -> Iterator[Plan]:
    """Quizzes, topics and assignments: the log mostly holds their id in a column of its own."""
    for things, path, column, tail in (
        (course.quizzes, "quizzes", "quiz", "/take"),
        (course.topics, "discussion_topics", "topic", "/entries"),
        (course.assignments, "assignments", "assignment", "/submissions/5"),
    ):
        made = [thing for thing in things if thing.made <= era]
        for thing in made:
            look = (row_of(thing),)
            url = f"{base}/{path}/{thing.number}"
            for shape, address, ident, weight in (
                (f"{column} by column and URL", url, str(thing.id), 5.0),
                (f"{column} by column, longer URL", url + tail, str(thing.id), 2.0),
                (f"{column} by URL", url, "", 2.0),
                (f"{column} by column alone", f"{base}/grades", str(thing.id), 0.3),
            ):
                columns = {column: ident}
                yield Plan(shape=shape, course=course, url=address, looks=look, weight=weight / len(made),
                           controller=path, **columns)  # type: ignore[arg-type]  # fmt: skip


def _tools_and_items(course: Course, base: str, era: int) -> Iterator[Plan]:
    for tool in course.tools:
        yield Plan(
            shape="tool", course=course, url=f"{base}/external_tools/{tool.number}?display=borderless",
            looks=(row_of(tool),), weight=0.8, controller="external_tools",
        )  # fmt: skip
    items = [item for item in course.items if item.made <= era]
    for item in items:
        yield Plan(
            shape=f"item {item.content}", course=course, url=f"{base}/modules/items/{item.number}",
            looks=(through(item),), weight=8.0 / len(items), controller="context_modules",
        )  # fmt: skip


def _trash(course: Course, base: str) -> Iterator[Plan]:
    quiz: Thing = course.quizzes[0]
    backup = f"{base}/quizzes/{quiz.number}/submissions/backup?user_id={course.members[0].number}"
    for shape, url, weight, ident in (
        ("ping", f"{base}/ping", 2.5, ""),
        ("api summary", f"/api/v1{base}/activity_stream/summary", 0.7, ""),
        ("backup", backup, 1.5, str(quiz.id)),
    ):
        yield Plan(shape=shape, course=course, url=url, fate="trash", weight=weight, quiz=ident,
                   method="POST", controller="courses")  # fmt: skip


def written(plan: Plan) -> tuple[str, str]:
    """The columns of a plan's rows that are always the same: user's to URL's, controller's to context's."""
    course = plan.course
    ident = "\\N" if plan.fate == "no_course" else str(course.id)
    columns = (plan.quiz, plan.topic, "", plan.assignment)
    middle = "\t".join(
        [ident, "157720000000000001", "157720000000000002", *(text or "\\N" for text in columns),
         escape(plan.url)]
    )  # fmt: skip
    context = ("\\N", "\\N") if plan.fate == "no_course" else ("Course", ident)
    return middle, "\t".join([plan.controller, "show", *context])
