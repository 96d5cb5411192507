"""TERM, INT and HUP: the stage that runs ends as if it had failed, so that site and workers are put back."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType

from udecdash_updater.errors import UpdaterError
from udecdash_updater.language import say

_NUMBERS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class StoppedError(UpdaterError):
    """The run was told to stop."""

    spanish = "Se pidió detener la ejecución."
    default_hint = "Run it again; nothing is half done."
    default_hint_es = "Ejecútela de nuevo; nada quedó a medias."


class Interruption:
    """Whether a signal asked to stop. It takes effect within `armed` only, once; elsewhere it waits for that."""

    def __init__(self) -> None:
        self._asked = ""
        self._armed = False

    @contextlib.contextmanager
    def armed(self) -> Iterator[None]:
        """While the block runs, a signal raises StoppedError in it, also one that came before.

        At its end at the latest: what is raised while C code calls Python, as psycopg2 does, may never arrive.
        """
        self._armed = True
        try:
            if self._asked:
                self._stop()
            yield
            if self._asked:
                self._stop()
        except StoppedError:
            self._asked = ""
            raise
        finally:
            self._armed = False

    @contextlib.contextmanager
    def handled(self) -> Iterator[None]:
        """Handle the signals until the block is left; one that is ignored (nohup) stays ignored."""
        if threading.current_thread() is not threading.main_thread():
            yield  # signals are the main thread's
            return
        former = {number: signal.getsignal(number) for number in _NUMBERS}
        heard = {number: handler for number, handler in former.items() if handler is not signal.SIG_IGN}
        for number in heard:
            signal.signal(number, self._hear)
        try:
            yield
        finally:
            for number, handler in heard.items():
                signal.signal(number, handler)

    def _hear(self, number: int, _frame: FrameType | None) -> None:
        self._asked = self._asked or signal.Signals(number).name
        if self._armed:
            self._stop()

    def _stop(self) -> None:
        self._armed = False  # what then puts things right is not disturbed again
        raise StoppedError(say("signal", name=self._asked))
