"""TERM, INT and HUP: the stage that runs ends as if it had failed, so that site and workers are put back."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType

from udecdash_updater.errors import UpdaterError
from udecdash_updater.language import say

_NUMBERS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_PAUSE = 0.5  # seconds


class StoppedError(UpdaterError):
    """The run was told to stop."""

    spanish = "Se pidió detener la ejecución."
    default_hint = "Run it again; nothing is half done."
    default_hint_es = "Ejecútela de nuevo; nada quedó a medias."


class Interruption:
    """Whether a signal asked to stop. It takes effect within `armed` only, once; elsewhere it waits for that.

    `hurry` ends what the block waits for in C code, where Python hears no signal: the statements of PostgreSQL. It is
    called from a thread of its own, again and again until the block has ended.
    """

    def __init__(self) -> None:
        self.hurry: Callable[[], None] = lambda: None
        self._asked = ""
        self._armed = False
        self._left = threading.Event()
        self._left.set()

    @contextlib.contextmanager
    def armed(self) -> Iterator[None]:
        """While the block runs, a signal raises StoppedError in it, also one that came before.

        At its end at the latest: what is raised while C code calls Python, as psycopg2 does, may never arrive.
        """
        self._armed = True
        self._left.clear()
        try:
            if self._asked:
                self._stop()
            yield
            if self._asked:
                self._stop()
        except UpdaterError as error:
            if not self._asked:
                raise
            asked, self._asked = self._asked, ""
            raise _stopped(asked) from error  # whatever else it was, that came of it
        finally:
            self._armed = False
            self._left.set()

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
            with self._noticed():
                yield
        finally:
            for number, handler in heard.items():
                signal.signal(number, handler)

    @contextlib.contextmanager
    def _noticed(self) -> Iterator[None]:
        """Python's own handler writes each signal's number into a pipe at once, whatever the main thread is at."""
        reading, writing = os.pipe()
        os.set_blocking(writing, False)
        former = signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
        listener = threading.Thread(target=self._listen, args=(reading,), name="interruption", daemon=True)
        listener.start()
        try:
            yield
        finally:
            signal.set_wakeup_fd(former)
            os.close(writing)
            listener.join(_PAUSE)

    def _listen(self, reading: int) -> None:
        with os.fdopen(reading, "rb", buffering=0) as signals:
            while number := signals.read(1):
                if number[0] in _NUMBERS:
                    self._end_block()

    def _end_block(self) -> None:
        while not self._left.is_set():
            with contextlib.suppress(UpdaterError):
                self.hurry()
            self._left.wait(_PAUSE)

    def _hear(self, number: int, _frame: FrameType | None) -> None:
        self._asked = self._asked or signal.Signals(number).name
        if self._armed:
            self._stop()

    def _stop(self) -> None:
        self._armed = False  # what then puts things right is not disturbed again
        raise _stopped(self._asked)


def _stopped(asked: str) -> StoppedError:
    return StoppedError(say("signal", name=asked))
