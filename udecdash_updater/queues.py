"""The names of the queues: courses wait in the queue of their size, so that small ones need not wait for large ones."""

from __future__ import annotations

from bisect import bisect_left

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


def queue_for(settings: Settings, members: int) -> str:
    """The queue for a course of so many members: the first whose limit is not exceeded."""
    return queue_names(settings)[bisect_left(settings.queue_limits, members)]
