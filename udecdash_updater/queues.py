"""The names of the queues: courses wait in the queue of their size, so that small ones need not wait for large ones."""

from __future__ import annotations

from bisect import bisect_left

from udecdash_updater.errors import SettingsError
from udecdash_updater.language import say
from udecdash_updater.settings import Settings

TOO_LONG = "course_too_long"
_ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth")


def queue_names(settings: Settings) -> tuple[str, ...]:
    """One queue for each limit of QUEUE_LIMITS, smallest courses first, and `course_too_long` for the rest.

    The ten default limits have the names that the dashboard's own jobs use (first_queue ... tenth_queue).
    """
    named = tuple(f"{ordinal}_queue" for ordinal in _ORDINALS)
    more = tuple(f"queue_{number}" for number in range(len(named) + 1, len(settings.queue_limits) + 1))
    return (*(named + more)[: len(settings.queue_limits)], TOO_LONG)


def in_turn(settings: Settings, first: str = "") -> tuple[str, ...]:
    """The queues as a worker looks into them: `first`, if it is named, then the others, smallest courses first.

    Raises SettingsError when there is no queue of that name.

    >>> in_turn(Settings(queue_limits=(20, 40)), "course_too_long")
    ('course_too_long', 'first_queue', 'second_queue')
    """
    names = queue_names(settings)
    if first and first not in names:
        raise SettingsError([say("problem", name="QUEUE_LIMITS", what=say("no such queue", queue=first))])
    return tuple(sorted(names, key=lambda name: name != first))


def queue_for(settings: Settings, members: int) -> str:
    """The queue for a course of so many members: the first whose limit is not exceeded."""
    return queue_names(settings)[bisect_left(settings.queue_limits, members)]
