"""The download of Canvas Data 2: for each table a snapshot the first time, afterwards what changed since the last one.

Each table is a query of its own, so that one failed job does not skip the rest. A few run side by side, because most of
a query is waiting for the service; no more of them begin in a minute than it allows.
"""

from __future__ import annotations

import collections
import contextlib
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from queue import Empty, SimpleQueue

import stamina

from udecdash_updater import bounded, dap_batches, dap_client, dap_tables, db, programs, rows
from udecdash_updater.canvas_cli import Backoff
from udecdash_updater.dap_batches import Batch, BatchFile
from udecdash_updater.dap_client import Outcome
from udecdash_updater.dap_service import Service, ServiceError
from udecdash_updater.errors import DapError, DumpError
from udecdash_updater.language import Words, because, say
from udecdash_updater.logs import LOGGER
from udecdash_updater.settings import Settings

_MINUTE = 61.0  # the service's clock and ours need not begin it together
_AT_ONCE = 3  # each takes half a second of a core to begin, and some memory
_LOCKS = [f".udecdash-dap{number}.lock" for number in ("", *range(2, _AT_ONCE + 1))]  # one for each client that runs


class ClientError(Exception):
    """The client failed, and the service tells of no reason: it may work the next time."""


class Pace:
    """Lets at most `most` queries begin in any minute."""

    def __init__(
        self, most: int, clock: Callable[[], float] = time.monotonic, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._begun: collections.deque[float] = collections.deque(maxlen=most)
        self._clock = clock
        self._sleep = sleep
        self._turn = threading.Lock()

    def wait(self) -> None:
        """Return when the next query may begin."""
        with self._turn:
            if len(self._begun) == self._begun.maxlen:
                self._sleep(max(0.0, self._begun[0] + _MINUTE - self._clock()))
            self._begun.append(self._clock())


@dataclass(frozen=True, slots=True)
class _Download:
    """What every query of one download shares."""

    settings: Settings
    folder: Path
    service: Service
    pace: Pace
    backoff: Backoff
    leashes: SimpleQueue[int]
    stop: threading.Event = field(default_factory=threading.Event)


@dataclass(slots=True)
class _Sum:
    """What became of the tables. `refused`: no other query will fare better."""

    batches: dict[str, Batch] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    refused: bool = False


def check(settings: Settings) -> None:
    """As `answers`; that the service is away is only noted."""
    if away := answers(settings):
        LOGGER.warning(say("dap away now", why=away))


def answers(settings: Settings) -> str:
    """Whether the service answers and takes our key: '' or why it is away.

    Raises DapError when it does not take the key, or when the client is not there.
    """
    dap_client.command(settings)
    try:
        Service(settings).log_in()
    except ServiceError as error:
        if error.passes:
            return f"{settings.dap_api_url} is away: {error}"
        raise DapError(say("dap refuses", url=settings.dap_api_url, why=str(error))) from error
    return ""


def tables(settings: Settings) -> list[str]:
    """What is downloaded, as namespace.table: what the dashboard needs, then DAP_TABLES."""
    return list(dict.fromkeys([*dap_batches.NEEDED, *settings.dap_tables]))


def since(cursor: db.Cursor) -> dict[str, datetime]:
    """Up to when each table is loaded, by namespace.table; without those that went astray: they come whole."""
    if not db.one(cursor, "dap_known")[0]:
        return {}
    astray = dap_tables.astray(cursor)
    for name, found in astray.items():
        LOGGER.warning(say("dap astray", table=name, why=found.told))
    loaded = dap_tables.loaded(cursor).items()
    return {name: until.astimezone(timezone.utc) for name, until in loaded if name not in astray}


def next_since(loaded: datetime | None, batches: Sequence[Batch]) -> datetime | None:
    """Where a table's next query begins: where what is loaded and what lies on disk end; None for a snapshot.

    `batches` are those of the table, in order. One that begins after the end of what is before it leaves a gap.
    """
    reached = loaded
    for batch in batches:
        if batch.kind == dap_batches.SNAPSHOT:
            reached = max(batch.until, reached or batch.until)
        elif reached is None or (batch.since or batch.until) > reached:
            return None
        else:
            reached = max(batch.until, reached)
    return reached


def download(settings: Settings, *, backoff: Backoff | None = None, pace: Pace | None = None) -> list[Batch]:
    """Fetch every table's next batch into PATH_DATA_FILES. Returns the new batches.

    Each query is tried DOWNLOAD_ATTEMPTS times. Raises DapError that names every table that could not be fetched; the
    others' batches stay on disk, and the next download goes on from them.
    """
    folder = _data_files(settings)
    waits = backoff or Backoff()
    with _alone(folder) as leashes:
        for path in dap_batches.tidy(folder):
            LOGGER.info(say("batch tidied", path=path))
        shared = _Download(
            settings=settings,
            folder=folder,
            service=Service(settings, waits),
            pace=pace or Pace(settings.dap_jobs_per_minute),
            backoff=waits,
            leashes=leashes,
        )
        return _all(shared, _beginnings(settings, folder))


def _beginnings(settings: Settings, folder: Path) -> Mapping[str, datetime | None]:
    with db.told("asking what is loaded"), db.opened(settings) as connection, connection.cursor() as cursor:
        loaded = since(cursor)
    on_disk: dict[str, list[Batch]] = collections.defaultdict(list)
    for batch in dap_batches.read(folder):
        on_disk[batch.name].append(batch)
    found = {name: next_since(loaded.get(name), on_disk[name]) for name in tables(settings)}
    if settings.clear_directories_before_download:
        LOGGER.warning(say("dap fetched whole"))
        return {name: start if name == dap_batches.WEB_LOGS else None for name, start in found.items()}
    return found


def _all(shared: _Download, beginnings: Mapping[str, datetime | None]) -> list[Batch]:
    """The first alone, which shows whether the service lets us in; then the others, a few at once."""
    done, waiting = _Sum(), SimpleQueue[str]()
    first, *others = beginnings
    _one(shared, first, beginnings[first], done)
    for name in others:
        waiting.put(name)

    def work() -> None:
        with contextlib.suppress(Empty):
            while not (done.refused or shared.stop.is_set()):
                name = waiting.get_nowait()
                _one(shared, name, beginnings[name], done)

    bounded.together([work] * _AT_ONCE, shared.stop, 2 * programs.GRACE_SECONDS)
    if done.failed:
        raise DapError(_told(done, list(beginnings)))
    return [done.batches[name] for name in beginnings]


def _one(shared: _Download, name: str, start: datetime | None, done: _Sum) -> None:
    try:
        batch = _table(shared, name, start)
    except (ServiceError, ClientError) as error:
        done.failed[name] = str(error)
        done.refused |= isinstance(error, ServiceError) and error.ends_all
        LOGGER.warning(say("dap not downloaded", table=name, why=str(error)))
        return
    done.batches[name] = batch
    size = sum(file.size for file in batch.files)
    LOGGER.info(say("dap batch", table=name, kind=batch.kind, files=len(batch.files), bytes=size))


def _told(done: _Sum, wanted: Sequence[str]) -> Words:
    listed = "".join(f"\n  - {name}: {done.failed[name]}" for name in wanted if name in done.failed)
    left = len(wanted) - len(done.batches) - len(done.failed)
    skipped = say("dap skipped", count=left) if left else ""
    return say("dap failed", listed=listed, done=len(done.batches), wanted=len(wanted), skipped=skipped)


def _table(shared: _Download, name: str, start: datetime | None) -> Batch:
    try:
        return _patiently(shared, name, start)
    except ServiceError as error:
        if start is None or not error.out_of_range:
            raise
        LOGGER.warning(say("dap not served", table=name, since=start, why=str(error)))
    return _patiently(shared, name, None)


def _patiently(shared: _Download, name: str, start: datetime | None) -> Batch:
    attempts = shared.settings.download_attempts
    for attempt in stamina.retry_context(
        on=_may_pass,
        attempts=attempts,
        timeout=None,
        wait_initial=shared.backoff.first,
        wait_max=shared.backoff.longest,
        wait_exp_base=shared.backoff.factor,
    ):
        with attempt:
            try:
                return _fetch(shared, name, start)
            except (ServiceError, ClientError) as error:
                if _may_pass(error) and attempt.num < attempts:
                    LOGGER.warning(say("dap again", table=name, number=attempt.num, of=attempts, why=str(error)))
                raise
    raise AssertionError("retry_context returns or raises")  # pragma: no cover


def _may_pass(error: Exception) -> bool:
    return isinstance(error, ClientError) or (isinstance(error, ServiceError) and error.passes)


def _fetch(shared: _Download, name: str, start: datetime | None) -> Batch:
    """One attempt. Whatever goes wrong, nothing of it stays on disk."""
    namespace, _, table = name.partition(".")
    kind = dap_batches.INCREMENTAL if start else dap_batches.SNAPSHOT
    with contextlib.ExitStack() as undo, _disk(shared.folder):
        folder = dap_batches.new_folder(shared.folder, namespace, table, kind)
        undo.callback(shutil.rmtree, folder, ignore_errors=True)
        shared.pace.wait()
        outcome = _queried(shared, name, start, folder)
        if outcome.failure:
            _explain(shared, name, start, outcome)
        batch = _batch(shared, folder, outcome, kind)
        schema, version = shared.service.schema(namespace, table)
        if version != batch.schema_version:
            LOGGER.info(say("dap schema", table=name, was=batch.schema_version, now=version))
        dap_batches.finish(batch, schema)
        undo.pop_all()
        return batch


def _queried(shared: _Download, name: str, start: datetime | None, folder: Path) -> Outcome:
    stopped, leash = shared.stop.is_set, shared.leashes.get()
    try:
        outcome = dap_client.query(shared.settings, name, start, folder, leash, stopped)
    finally:
        shared.leashes.put(leash)
    if stopped():
        raise DapError(say("download stopped"))
    return outcome


def _explain(shared: _Download, name: str, start: datetime | None, outcome: Outcome) -> None:
    """Raise what the service says about a query that failed, else what the client says."""
    if outcome.job:
        with contextlib.suppress(ServiceError):  # it need not know the job any more
            error = shared.service.job(outcome.job).error
            if error:
                raise ClientError(f"job {outcome.job} failed: {error}")
        raise ClientError(f"job {outcome.job}: {outcome.failure}")
    shared.pace.wait()
    namespace, _, table = name.partition(".")
    shared.service.start(namespace, table, start)
    raise ClientError(outcome.failure)


def _batch(shared: _Download, folder: Path, outcome: Outcome, kind: str) -> Batch:
    """The files in their place, each whole, and as many as the job says."""
    job = shared.service.job(outcome.job)
    if job.status != "complete" or job.until is None:
        raise ClientError(f"job {outcome.job} is {job.status}, though dap ended well")
    if len(outcome.files) != job.objects:
        raise ClientError(f"job {outcome.job} has {job.objects} files, but dap left {len(outcome.files)}")
    _demand_sound(outcome.files, shared.settings.load_connections)
    files = [BatchFile(path.name, path.replace(folder / path.name).stat().st_size) for path in outcome.files]
    for left in folder.glob("job_*"):
        left.rmdir()
    since = job.since if kind == dap_batches.INCREMENTAL else None
    namespace, table = folder.parent.parent.name, folder.parent.name
    return Batch(folder, namespace, table, kind, job.schema_version, since, job.until, tuple(files))


def _demand_sound(files: Sequence[Path], threads: int) -> None:
    try:
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(rows.demand_sound, files))
    except DumpError as error:
        raise ClientError(error.detail) from None


def _data_files(settings: Settings) -> Path:
    folder = settings.path_data_files
    if folder is None:
        raise DapError(say("setting blank", name="PATH_DATA_FILES"))
    with _disk(folder):
        folder.mkdir(parents=True, exist_ok=True)
    return folder


@contextlib.contextmanager
def _disk(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise DapError(say("folder not written", folder=folder, why=because(error))) from error


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[SimpleQueue[int]]:
    """Nobody else downloads into the folder; a lock for each client that may run at once, which it holds too."""
    leashes = SimpleQueue[int]()
    try:
        with _disk(folder), contextlib.ExitStack() as held:
            for lock in _LOCKS:
                leashes.put(held.enter_context(programs.alone(folder / lock)))
            yield leashes
    except programs.BusyError as busy:
        raise DapError(say("dap busy", process=busy, folder=folder)) from busy
