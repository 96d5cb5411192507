"""A run that is told to stop: the signal ends the block that runs, once, whatever became of it on its way."""

from __future__ import annotations

import contextlib
import os
import signal
import threading

import pytest

from udecdash_updater.errors import DatabaseError
from udecdash_updater.interruption import Interruption, StoppedError


def tell() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


def test_a_signal_ends_the_block_that_runs_and_no_later_one() -> None:
    interruption = Interruption()
    with interruption.handled():
        with pytest.raises(StoppedError, match="SIGTERM"), interruption.armed():
            tell()
        with interruption.armed():
            pass


def test_a_signal_between_two_blocks_ends_the_second_one_before_it_begins() -> None:
    interruption, begun = Interruption(), False
    with interruption.handled():
        tell()
        with pytest.raises(StoppedError, match="SIGTERM"), interruption.armed():
            begun = True
    assert not begun


def test_a_signal_whose_error_is_lost_on_its_way_ends_the_block_when_that_is_done() -> None:
    interruption, done = Interruption(), False
    with interruption.handled():
        with pytest.raises(StoppedError, match="SIGTERM"), interruption.armed():
            with contextlib.suppress(StoppedError):  # as psycopg2 does, when it decodes what the server says
                tell()
            done = True
        with interruption.armed():
            pass
    assert done


def test_what_puts_things_right_is_not_disturbed() -> None:
    interruption, put_right = Interruption(), False
    with interruption.handled(), pytest.raises(StoppedError), interruption.armed():
        try:
            tell()
        finally:
            tell()
            put_right = True
    assert put_right


def test_what_the_block_waits_for_is_ended_until_the_block_has_ended() -> None:
    interruption, hurried = Interruption(), threading.Semaphore(0)

    def hurry() -> None:
        hurried.release()
        raise DatabaseError("PostgreSQL is away")

    interruption.hurry = hurry
    with interruption.handled(), pytest.raises(StoppedError), interruption.armed():
        try:
            tell()
        finally:
            assert all(hurried.acquire(timeout=60) for _ in range(2))


def test_an_error_that_came_of_the_signal_is_told_as_the_signal() -> None:
    interruption = Interruption()
    with interruption.handled(), pytest.raises(StoppedError, match="SIGTERM"), interruption.armed():
        with contextlib.suppress(StoppedError):
            tell()
        raise DatabaseError("canceling statement due to user request")
