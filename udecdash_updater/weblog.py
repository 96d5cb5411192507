"""A row of the web log: which ones count (R1), and what a row says of itself (R6)."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Final, NamedTuple

_NULL: Final = b"\\N"
_TRASH: Final = re.compile(
    rb"courses/[0-9]+/(?:ping\Z|activity_stream/summary\Z|quizzes/[0-9]+/submissions/backup\?user_id=[0-9])"
)
MOBILE: Final = re.compile(
    "Mobile|iPhone|iPod|iPad|Android|BlackBerry|IEMobile|Kindle|NetFront|Silk-Accelerated|hpwOS|webOS|Fennec"
    "|Minimo|Opera Mobi|Opera Mini|Blazer|Dolfin|Dolphin|Skyfire|Zune"
)
"""What R6 looks for in user agents; case counts."""


class Request(NamedTuple):
    """A row of `requests`, in this order: `Request._make(row)` of a cursor's row is the fast way to make one.

    `timestamp` is the column's text in ISO style, UTC (`"timestamp"::text`): slicing a text is several times
    cheaper than reading a datetime.
    """

    local_id: int
    id: str
    timestamp: str | None
    user_id: int
    course_id: int
    quiz_id: int | None
    discussion_id: int | None
    assignment_id: int | None
    url: str | None
    user_agent: str | None

    def log(self) -> str:
        """The request as the JSON of unprocessable_interactions.log.

        >>> Request(1, "a", "2021-04-04 03:30:00", 20, 10, None, 5, None, "/ñ", None).log()[:61]
        '{"local_id": 1, "id": "a", "timestamp": "2021-04-04 03:30:00"'
        """
        return json.dumps(self._asdict(), ensure_ascii=False)


@lru_cache(maxsize=16_384)
def device(user_agent: str | None) -> str:
    """R6: MOBILE or DESKTOP.

    >>> device("Mozilla/5.0 (Linux; Android 10)"), device("Opera/9.8 (J2ME/MIDP; Opera Mini/7.1)")
    ('MOBILE', 'MOBILE')
    >>> device("Mozilla/5.0 (X11; Linux)"), device("ANDROID mobile ipad"), device(""), device(None)
    ('DESKTOP', 'DESKTOP', 'DESKTOP', 'DESKTOP')
    """
    return "MOBILE" if user_agent and MOBILE.search(user_agent) else "DESKTOP"


def is_trash(raw_url: bytes) -> bool:
    """R1: whether a URL, the field as it stands in the file, is of a browser's own polling.

    >>> [is_trash(url) for url in (b"/courses/7/ping", b"/api/v1/courses/7/activity_stream/summary")]
    [True, True]
    >>> is_trash(b"/courses/7/quizzes/5/submissions/backup?user_id=3&x"), is_trash(b"/micourses/7/ping")
    (True, True)

    A query string saves the first two, all that is not a number saves the third:

    >>> [is_trash(url) for url in (b"/courses/7/ping?x=1", b"/courses/7/activity_stream/summary?a=1", b"")]
    [False, False, False]
    >>> is_trash(b"/courses/7/quizzes/5/submissions/backup"), is_trash(b"/courses/x/ping")
    (False, False)
    """
    # Most URLs are no trash: three looks at the text are much cheaper than the search that decides.
    suspect = raw_url.endswith((b"/ping", b"/summary")) or b"/backup?user_id=" in raw_url
    return suspect and _TRASH.search(raw_url) is not None


def keep(fields: Sequence[bytes]) -> bool:
    r"""R1: whether a row of a requests file (its 28 raw fields) is kept.

    >>> row = [b"\\N"] * 28
    >>> row[5], row[6], row[13] = b"20", b"10", b"/courses/7"
    >>> keep(row)
    True

    No user, no course, a masquerade, an API program, trash; an empty or absent URL is no reason:

    >>> changes = {5: b"\\N", 6: b"\\N", 22: b"20", 27: b"1", 13: b"/courses/7/ping"}
    >>> [keep(row[:i] + [value] + row[i + 1 :]) for i, value in changes.items()]
    [False, False, False, False, False]
    >>> [keep(row[:13] + [value] + row[14:]) for value in (b"", b"\\N")]
    [True, True]
    """
    set_ids = fields[5] != _NULL and fields[6] != _NULL
    return set_ids and fields[22] == fields[27] == _NULL and not is_trash(fields[13])
