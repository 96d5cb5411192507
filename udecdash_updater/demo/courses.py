"""Courses: founded with sections, members, pages, files and module items; growing and shrinking later."""

from __future__ import annotations

from random import Random

from udecdash_updater.demo.registry import Registry
from udecdash_updater.demo.texts import pick, words
from udecdash_updater.demo.things import NEVER, Course, Item, Page, Thing

TWICE = "repetida"
LONG_SLUG = "muy-larga-" * 23
SPECIAL_SLUGS = (
    "inicio", "Inicio", "guía", "introducci%C3%B3n", "con+mas", "con_guion_bajo", "con\\barra", "con\ttab",
    "12345", "cafe\u0301", "café", "a&b=c;d", 'entre"comillas"', "\\N", "emoji-😀", LONG_SLUG,
)  # fmt: skip
BEYOND_DOUBLES = 9_007_199_254_741_549
CONTENT = {
    "wiki_page_dim": ("WikiPage", "wiki_page_id"),
    "file_dim": ("Attachment", "file_id"),
    "quiz_dim": ("Quiz", "quiz_id"),
    "discussion_topic_dim": ("DiscussionTopic", "discussion_topic_id"),
    "assignment_dim": ("Assignment", "assignment_id"),
}
STATES = ("active", "active", "active", "unpublished")


def found(world: Registry, rng: Random, *, made: int, born: int, rank: int) -> Course:
    """A new course with all that belongs to it; `rank` decides how busy it is."""
    number, ident, slot = world.numbers.take("course_dim")
    name = f'{words(rng, 3).title()} — Sección {slot} "ñ"'
    course = Course(
        table="course_dim", id=ident, number=number, slot=slot, made=made, born=born,
        weight=1.0 / (1 + rank) ** 0.5, own={"name": name, "code": f"{number:06d}-{slot}"},
    )  # fmt: skip
    course.course = course
    world.keep(course)
    world.courses.append(course)
    course.wiki = _belonging(world, course, "wiki_dim", made, born, parent_type="Course")
    for index in range(1 + int(rng.random() * 2)):
        name = f"Sección {index + 1}"
        course.sections.append(_belonging(world, course, "course_section_dim", made, born, name=name))
    for _ in range(2):
        course.groups.append(_belonging(world, course, "assignment_group_dim", made, born))
    _enroll_all(world, rng, course, born)
    course.founders = len(course.members)
    _fill(world, rng, course, made, born)
    return course


def _belonging(world: Registry, course: Course, table: str, made: int, born: int, **own: str | None) -> Thing:
    thing = world.add(table, made=made, born=born, **own)
    thing.course = course
    return thing


def _enroll_all(world: Registry, rng: Random, course: Course, born: int) -> None:
    size = world.size
    average = min(size.students, size.students * 5 / max(1, size.courses))
    wanted = max(4, int(average * (0.3 + 1.4 * rng.random())))
    teachers = max(3, size.students // 12)
    students = world.users[: size.students]
    first = int(rng.random() * len(students))
    for index in range(min(wanted, len(students))):
        enroll(world, rng, course, students[(first + index) % len(students)], born, "StudentEnrollment")
    for index in range(2):
        teacher = world.users[size.students + (course.slot + index) % teachers]
        role = "TeacherEnrollment" if index == 0 else "TaEnrollment"
        enroll(world, rng, course, teacher, born, role)


def enroll(world: Registry, rng: Random, course: Course, user: Thing, era: int, role: str) -> None:
    """The user joins the course in that role (dumped from the night `era` on)."""
    section = course.sections[int(rng.random() * len(course.sections))]
    state = "active" if rng.random() < 0.8 else pick(rng, ("completed", "invited", "deleted", "inactive"))
    _belonging(
        world, course, "enrollment_dim", era, era, type=role, workflow_state=state, user_id=str(user.id),
        course_section_id=str(section.id), role_id=str(world.roles[role].id),
    )  # fmt: skip
    course.members.append(user)


def _fill(world: Registry, rng: Random, course: Course, made: int, born: int) -> None:
    for position in range(3 + int(rng.random() * 3)):
        place = str(position + 1)
        course.modules.append(_belonging(world, course, "module_dim", made, born, position=place))
    slugs = [slug for slug in SPECIAL_SLUGS if course.slot == 0 or rng.random() < 0.5]
    slugs += [f"pagina-{int(rng.random() * 10**6)}" for _ in range(4)] + [TWICE, TWICE]
    for slug in slugs:
        add_page(world, rng, course, made, born, slug)
    add_page(world, rng, course, made, born, f"fuera-de-modulos-{course.number}", item=False)
    for table in ("file_dim", "quiz_dim", "discussion_topic_dim", "assignment_dim"):
        for _ in range(3 + int(rng.random() * 5)):
            add_resource(world, rng, course, table, made, born)
    for index in range(2):
        tool = _belonging(world, course, "external_tool_activation_dim", made, born, tool_id=f"tool{index}")
        course.tools.append(tool)
    _more_items(world, rng, course, made, born)


def _more_items(world: Registry, rng: Random, course: Course, made: int, born: int) -> None:
    """Items without a resource, a page with two items, and an item that was deleted long ago."""
    for content in ("ExternalUrl", "ExternalUrl", "ContextExternalTool", "ContextModuleSubHeader"):
        add_item(world, rng, course, None, made, born, content=content)
    add_item(world, rng, course, course.pages[0], made, born)
    both = add_item(world, rng, course, course.quizzes[0], made, born)
    both.own["assignment_id"] = str(course.assignments[0].id)
    for target in (course.files[-1], course.quizzes[-1], course.topics[-1], course.assignments[-1]):
        add_item(world, rng, course, target, made, born).deleted_from = 1
    page = add_page(world, rng, course, made, born, f"borrada-de-modulos-{course.number}")
    for item in course.pointing[page.id]:
        item.deleted_from = 1


def add_page(
    world: Registry, rng: Random, course: Course, made: int, born: int, slug: str, *, item: bool = True
) -> Page:
    """A wiki page and, unless told otherwise, the module item that shows it."""
    number, ident, slot = world.numbers.take("wiki_page_dim")
    page = Page(
        table="wiki_page_dim", id=ident, number=number, slot=slot, made=made, born=born, course=course,
        slug=slug, own={"url": slug, "workflow_state": "active"},
    )  # fmt: skip
    if slot == 0:
        page.own["body"] = '<p>Párrafo \\ "largo" ñ 😀</p>\r\n\t' * (world.size.big_text // 36)
        page.own["title"] = "título " * 130
    world.keep(page)
    course.pages.append(page)
    course.pointing[page.id] = []
    if item:
        add_item(world, rng, course, page, made, born)
    return page


def add_resource(world: Registry, rng: Random, course: Course, table: str, made: int, born: int) -> Thing:
    """A file, quiz, topic or assignment, mostly with a module item."""
    thing = _belonging(world, course, table, made, born)
    if table == "file_dim" and thing.slot % 50 == 0:
        thing.number = BEYOND_DOUBLES + thing.slot
        thing.id += BEYOND_DOUBLES
    if table == "assignment_dim":
        thing.own["assignment_group_id"] = str(course.groups[thing.slot % 2].id)
        if world.size.odd_states and thing.slot % 5 == 0:
            thing.own["workflow_state"] = pick(rng, ("failed_to_import", "fail_to_import"))
    lists = {
        "file_dim": course.files, "quiz_dim": course.quizzes,
        "discussion_topic_dim": course.topics, "assignment_dim": course.assignments,
    }  # fmt: skip
    lists[table].append(thing)
    if rng.random() < 0.8 or len(lists[table]) == 1:
        add_item(world, rng, course, thing, made, born)
    return thing


def add_item(
    world: Registry, rng: Random, course: Course, target: Thing | None, made: int, born: int, *, content: str = ""
) -> Item:
    """A module item of the course, pointing at the target or at nothing."""
    number, ident, slot = world.numbers.take("module_item_dim")
    module = course.modules[int(rng.random() * len(course.modules))]
    item = Item(
        table="module_item_dim", id=ident, number=number, slot=slot, made=made, born=born, course=course,
        content=content, target=target,
        own={"module_id": str(module.id), "workflow_state": pick(rng, STATES), "url": None},
    )  # fmt: skip
    if target is not None:
        item.content, column = CONTENT[target.table]
        item.own[column] = str(target.id)
    elif content.startswith("External"):
        item.own["url"] = pick(rng, ('https://ejemplo.cl/Ñandú?a="b"', "http://ejemplo.cl/a\\b"))
    item.own["content_type"] = item.content
    world.keep(item)
    course.items.append(item)
    if isinstance(target, Page):
        course.pointing.setdefault(target.id, []).append(item)
        known = course.slugs.setdefault(target.slug, [])
        if target not in known:
            known.append(target)
    return item


def grow(world: Registry, rng: Random, course: Course, *, made: int, born: int) -> None:
    """New things in an old course, among them a second page under a slug that was unique."""
    add_page(world, rng, course, made, born, f"nueva-{made}-{course.number}")
    for table in ("file_dim", "quiz_dim", "discussion_topic_dim", "assignment_dim"):
        add_resource(world, rng, course, table, made, born)
    second = [page.slug for page in course.pages if page.slug.startswith("pagina-")][1]
    add_page(world, rng, course, made, born, second)


def shrink(rng: Random, course: Course, era: int) -> None:
    """Some old things are gone from the dump of that night, some module items deleted."""
    for things in (course.pages, course.files, course.quizzes, course.topics, course.assignments):
        old: list[Thing] = [thing for thing in things[5:] if thing.made < era and thing.gone == NEVER]
        if old:
            old[int(rng.random() * len(old))].gone = era
    items = [item for item in course.items[8:] if item.made < era and item.deleted_from == NEVER]
    for item in items[:2]:
        item.deleted_from = era


def foresee(world: Registry, rng: Random, course: Course, era: int) -> None:
    """Things that the next dump has and this one's requests already ask for."""
    add_page(world, rng, course, era, era + 1, f"futura-{era}-{course.number}")
    outside = add_page(world, rng, course, era, era, f"aun-fuera-{era}-{course.number}", item=False)
    add_item(world, rng, course, outside, era, era + 1)
    for table in ("file_dim", "quiz_dim", "discussion_topic_dim", "assignment_dim"):
        add_item(world, rng, course, add_resource(world, rng, course, table, era, era + 1), era, era + 1)
    add_item(world, rng, course, None, era, era + 1, content="ExternalUrl")
