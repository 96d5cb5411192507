"""One night's state, and what a source of data has to be able to do with it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path

from udecdash_updater import clearing
from udecdash_updater.accounts import Published
from udecdash_updater.dap_batches import Batch
from udecdash_updater.demo.site import Site
from udecdash_updater.dispatch import Enqueued
from udecdash_updater.dump import Dump, DumpFile
from udecdash_updater.language import Told
from udecdash_updater.ledger import Ledger
from udecdash_updater.logs import LOGGER
from udecdash_updater.options import RunOptions
from udecdash_updater.progress import Progress
from udecdash_updater.settings import Settings
from udecdash_updater.summary import Summary


@dataclass(slots=True)
class Night:
    """One run's state: what earlier stages found out for the later ones. `resources` are closed when it ends."""

    settings: Settings
    resources: contextlib.ExitStack
    waits: bool
    options: RunOptions = field(default_factory=RunOptions)
    progress: Progress = field(default_factory=Progress)
    site: Site | None = None
    started: datetime = field(default_factory=lambda: datetime.now(timezone.utc))
    warnings: list[Told] = field(default_factory=list)
    ledger: Ledger | None = None
    cleared: clearing.Cleared | None = None
    dump: Dump | None = None
    request_files: tuple[DumpFile, ...] = ()
    batches: tuple[Batch, ...] = ()
    published: Sequence[Published] = ()
    enqueued: Enqueued | None = None
    summary: Summary | None = None

    def warn(self, told: Told) -> None:
        """Something went wrong that does not end the night; it ends with exit code 10."""
        LOGGER.warning("%s", told)
        self.warnings.append(told)

    def put_back(self) -> None:
        """Put the table folders back that `clear` moved aside, when the night failed before they could be deleted."""
        if self.cleared:
            clearing.put_back(self.cleared)
            self.cleared = None

    @property
    def run(self) -> int:
        """The run's number in the ledger."""
        return self.open_ledger.run

    @property
    def open_ledger(self) -> Ledger:
        """The ledger; it is open from the stage `check` on."""
        if self.ledger is None:
            raise AssertionError("the stage check opens the ledger")
        return self.ledger

    @property
    def found_dump(self) -> Dump:
        """The dump; it is known from the stage `verify` on."""
        if self.dump is None:
            raise AssertionError("the stage verify finds the dump")
        return self.dump

    @property
    def data_files(self) -> Path:
        """PATH_DATA_FILES; settings without it are refused."""
        if self.settings.path_data_files is None:
            raise AssertionError("settings without PATH_DATA_FILES are refused")
        return self.settings.path_data_files


Work = Callable[[Night], None]


@dataclass(frozen=True, slots=True)
class Source:
    """Where the data comes from: what the stages of those names do, and what the stage `check` asks of it."""

    check: Work
    clear: Work
    download: Work
    verify: Work
    load_tables: Work
    load_requests: Work
