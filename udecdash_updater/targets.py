r"""What a URL of Canvas names within a course: a page's slug, ids of files, quizzes and so on, a module item.

Pure text work without a database; interactions.py looks up what is named here. The rules (R7, R8, R12 and the
URL patterns of R9) are those of the dashboard's own processing. The shape is
`/courses/<this course's canvas_id>/<kind>/<part>`, the part ending at `/`, `?` or the end:

>>> parse("/courses/7/pages/week-1?module_item_id=3", 7).slug
'week-1'

Searched anywhere, so after an API prefix, after a host and in a query string too:

>>> parse("/api/v1/courses/7/pages/week-1/edit", 7).slug
'week-1'
>>> parse("/login?to=https://host/courses/7/pages/week-1", 7).slug
'week-1'

The first place that fits wins, and a place without a character does not fit:

>>> parse("/courses/7/pages/a?back=/courses/7/pages/b", 7).slug
'a'
>>> parse("/courses/7/pages//x?back=/courses/7/pages/b", 7).slug
'b'

`#` does not end a part, nothing is percent-decoded, and case counts:

>>> parse("/courses/7/pages/a#top", 7).slug, parse("/courses/7/pages/a%20b", 7).slug
('a#top', 'a%20b')
>>> parse("/Courses/7/Pages/a", 7) == EMPTY
True

Another course's URL, or one outside any course, names nothing; nor does any when the course has no canvas_id:

>>> parse("/courses/8/pages/a", 7) == parse("/courses/07/pages/a", 7) == parse("/pages/a", 7) == EMPTY
True
>>> parse("/courses/7/pages/a", None) == EMPTY
True

A URL can name several things at once, each kind for itself:

>>> target = parse("/courses/7/pages/a?b=/courses/7/files/5/download?x=/courses/7/modules/items/9", 7)
>>> target.slug, target.mentions, target.item_id, target.downloaded
('a', {'file_dim': Mention(text='5', id=5)}, 9, True)
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, NamedTuple

BIGINT: Final = range(-(2**63), 2**63)
"""The ids that PostgreSQL's bigint can hold."""

URL_KINDS: Final = MappingProxyType(
    {
        "files": "file_dim",
        "quizzes": "quiz_dim",
        "discussion_topics": "discussion_topic_dim",
        "assignments": "assignment_dim",
        "external_tools": "external_tool_activation_dim",
    }
)
"""The kinds whose part is an id, with the table in which that id is a canvas_id."""

# One scan serves all kinds: a part holds no "/", so no match can hide the beginning of another one.
_PLACE: Final = re.compile(
    rf"/courses/(-?[0-9]+)/(pages|modules/items|{'|'.join(URL_KINDS)})/([^/?]+)",
)
# The blanks are those of C and of PostgreSQL's integer input; str.strip() would take more.
_NUMBER: Final = re.compile(r"[ \t\n\v\f\r]*([+-]?(?:[0-9]+(\.[0-9]*)?|(\.[0-9]+)))[ \t\n\v\f\r]*")


class Mention(NamedTuple):
    """A number in an id's place: as it was written, and the id; None for a number that can find nothing."""

    text: str
    id: int | None


@dataclass(frozen=True, slots=True)
class Target:
    """What a URL names within its course; every part may be absent.

    `item_id` is a module item's canvas_id, `slug` a page's url, `mentions` lead from the table to look in to
    the number that stands there, `downloaded` (R12) means something for files only. `no_item` is the number in a
    module item's place that can be none's canvas_id.
    """

    item_id: int | None
    slug: str | None
    mentions: Mapping[str, Mention]
    downloaded: bool
    no_item: str | None = None


EMPTY: Final = Target(None, None, MappingProxyType({}), downloaded=False)
"""The target that names nothing."""


def parse(url: str, course_canvas_id: int | None) -> Target:
    """What a decoded URL names in the course with that canvas_id; never raises.

    >>> parse("/courses/7/quizzes/12/take", 7).mentions
    {'quiz_dim': Mention(text='12', id=12)}
    >>> parse("/courses/7/discussion_topics/12", 7).mentions
    {'discussion_topic_dim': Mention(text='12', id=12)}
    >>> parse("/courses/7/assignments/12", 7).mentions
    {'assignment_dim': Mention(text='12', id=12)}
    >>> parse("/courses/7/external_tools/12", 7).mentions
    {'external_tool_activation_dim': Mention(text='12', id=12)}

    What does not read as a number is skipped in silence, though it was the first place:

    >>> parse("/courses/7/files/folder/12?x=/courses/7/files/5", 7) == EMPTY
    True

    A module item's id finds its item or nothing, in silence; 0 is no id (R8):

    >>> found = [parse(f"/courses/7/modules/items/{part}", 7) for part in ("9", "+9", "0", "9.0", "9" * 20, "9x")]
    >>> [target.item_id for target in found], [target.no_item for target in found[2:]]
    ([9, 9, None, None, None, None], ['0', '9.0', '99999999999999999999', None])

    R12: a download is `/download?` anywhere, so a URL that ends in `/download` is none:

    >>> [parse(f"/files/5/{end}", 7).downloaded for end in ("download?x", "download", "?/download?")]
    [True, False, True]
    """
    parts: dict[str, str] = {}
    this_course = str(course_canvas_id)
    for course, kind, part in _PLACE.findall(url):
        if course == this_course:
            parts.setdefault(kind, part)
    item = mention(parts.get("modules/items", ""))
    mentions = {
        URL_KINDS[kind]: number
        for kind, part in parts.items()
        if kind in URL_KINDS and (number := mention(part)) is not None
    }
    item_id = (item.id or None) if item else None
    return Target(
        item_id=item_id,
        slug=parts.get("pages"),
        mentions=mentions,
        downloaded="/download?" in url,
        no_item=item.text if item and item_id is None else None,
    )


def mention(part: str) -> Mention | None:
    r"""R7: the number that a part reads as, or None when it is no number.

    Blanks around (those of ASCII), a sign and leading zeros are fine:

    >>> [mention(part).id for part in ("5", "+5", "-5", "005", " 5", "\t5\n", "-0")]
    [5, 5, -5, 5, 5, 5, 0]

    A number with a fraction, the empty one included, or beyond 64 bits finds nothing:

    >>> [mention(part) for part in ("5.0", ".5", "-5.")]
    [Mention(text='5.0', id=None), Mention(text='.5', id=None), Mention(text='-5.', id=None)]
    >>> mention(str(2**63 - 1)).id == 2**63 - 1, mention(str(2**63)).id, mention("9" * 5000).id
    (True, None, None)
    >>> mention(str(-(2**63))).id == -(2**63), mention(str(-(2**63) - 1)).id, mention("0" * 5000 + "5").id
    (True, None, 5)

    All else is no number: exponents, letters, digits of other scripts, blanks inside:

    >>> parts = ("1e5", "12abc", "1_0", "20211~5", "٣", "- 5", "5#", "0x5", ".", "%205", "\xa05", "")
    >>> {mention(part) for part in parts}
    {None}
    """
    number = _NUMBER.fullmatch(part)
    if number is None:
        return None
    text, fraction, bare_fraction = number.groups()
    if fraction is not None or bare_fraction is not None:
        return Mention(text, None)
    # Python refuses to read thousands of digits at all, so the length is judged first.
    digits = text.lstrip("+-").lstrip("0")
    value = int(digits or "0") if len(digits) <= 19 else BIGINT.stop
    value = -value if text.startswith("-") else value
    return Mention(text, value if value in BIGINT else None)
