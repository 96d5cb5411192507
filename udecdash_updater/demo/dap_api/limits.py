"""How often each endpoint may be called in a minute."""

from __future__ import annotations

import collections
import threading
import time

from .answers import ApiError

PER_MINUTE = {"query": 5, "list": 5, "job": 500, "schema": 500, "url": 200}


class Limits:
    """Counts the calls of the last minute by endpoint; `minute` is how many seconds a minute has."""

    def __init__(self, minute: float, per_minute: dict[str, int] | None = None) -> None:
        self._minute = minute
        self._most = PER_MINUTE | (per_minute or {})
        self._calls: dict[str, collections.deque[float]] = collections.defaultdict(collections.deque)
        self._lock = threading.Lock()

    def count(self, endpoint: str) -> None:
        """Take one call. Raises the API's 429, with Retry-After, when there were too many."""
        most = self._most.get(endpoint)
        if most is None:
            return
        now = time.monotonic()
        with self._lock:
            calls = self._calls[endpoint]
            while calls and calls[0] <= now - self._minute:
                calls.popleft()
            if len(calls) >= most:
                wait = max(1, round(calls[0] + self._minute - now + 0.5))
                raise ApiError(429, "TooManyRequestsError", "too many requests", retry_after=wait)
            calls.append(now)
