"""Work that must end in time, whatever a server does: looking a name up and a dripping answer know no time-out."""

from __future__ import annotations

import concurrent.futures
import http.client
import threading
from collections.abc import Callable
from typing import TypeVar

from udecdash_updater.errors import UpdaterError

Given = TypeVar("Given")
# What talking to a server raises; smtplib's, ssl's and urllib's errors are OSErrors.
_FAILURES = (UpdaterError, OSError, ValueError, http.client.HTTPException)


def within(seconds: float, work: Callable[[], Given]) -> Given:
    """What `work` gives, done in a thread that is left behind when it takes too long.

    Raises what it raises of the errors of talking to a server, and TimeoutError after `seconds`.
    """
    outcome: concurrent.futures.Future[Given] = concurrent.futures.Future()

    def run() -> None:
        try:
            outcome.set_result(work())
        except _FAILURES as error:
            outcome.set_exception(error)

    threading.Thread(target=run, name="bounded", daemon=True).start()
    concurrent.futures.wait([outcome], timeout=seconds)
    if not outcome.done():
        raise TimeoutError(f"no end within {seconds:.0f} s")
    return outcome.result()
