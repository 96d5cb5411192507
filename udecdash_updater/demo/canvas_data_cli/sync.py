"""sync, fetch and grab: downloads with the original's habits, its faults included."""

from __future__ import annotations

import json
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .api import Api, ApiError, DumpFile, TransferError
from .config import Config
from .logger import Logger

AT_ONCE = 5
RETRIES = 5


class CrashError(Exception):
    """The original dies here with a stack trace; exit 1."""


@dataclass(frozen=True)
class Got:
    """What became of one file."""

    file: DumpFile
    path: Path
    downloaded: bool = False
    failed: bool = False


class Downloader:
    """Downloads with ONE budget of retries for the whole run, however many files there are."""

    def __init__(self, api: Api, logger: Logger) -> None:
        self._api = api
        self._logger = logger
        self._spent = 0
        self._lock = threading.Lock()
        self._first_wait = float(os.environ.get("CANVAS_STANDIN_RETRY_MS", "100")) / 1000

    def to_file(self, file: DumpFile, target: Path) -> bool:
        """Write the file to `target`; False when the budget of retries is used up."""
        while True:
            self._logger.debug(f"downloading {file.filename} for artifact {file.table}")
            try:
                with target.open("wb") as out:
                    for chunk in self._api.body(file):
                        out.write(chunk)
            except TransferError as error:
                self._logger.debug(f"failed attempt for {file.filename}, err: {error}")
                if not self._wait():
                    return False
            else:
                self._logger.debug(f"finished downlading {file.filename} for artifact {file.table}")
                return True

    def _wait(self) -> bool:
        with self._lock:
            if self._spent >= RETRIES:
                return False
            wait = self._first_wait * 2**self._spent
            self._spent += 1
        time.sleep(wait)
        return True


class Sync:
    """Makes saveLocation equal to what the API lists."""

    def __init__(self, config: Config, logger: Logger) -> None:
        self._save = config.save_location
        self._logger = logger
        self._api = Api(config, "sync")
        self._downloader = Downloader(self._api, logger)
        self._middle: DumpFile | None = None

    def run(self) -> None:
        """One sync. Raises ApiError, CrashError."""
        self._api.faults.at("start")
        listing = self._listing()
        self._write_schema(listing.schema_version)
        if listing.files:
            self._middle = listing.files[len(listing.files) // 2]
        with ThreadPoolExecutor(AT_ONCE) as pool:
            results = list(pool.map(self._process, listing.files))
        self._report(results)
        if any(got.failed for got in results):
            raise CrashError("ReferenceError: errorFiles is not defined\n    at Sync.js")
        self._clean({got.path for got in results})
        self._api.faults.at("end")

    def _listing(self) -> Any:  # noqa: ANN401 - Listing; kept short
        self._logger.info("fetching current list of files from API...")
        try:
            listing = self._api.listing()
        except ApiError as error:
            if error.code == 404:
                self._logger.error("no files exist for account, cannot sync")
            raise
        if listing.incomplete:
            self._logger.warn("Could not retrieve a full list of files! Some incremental data will be missing!")
        self._logger.info(f"total number of files: {len(listing.files)} files")
        return listing

    def _write_schema(self, version: str) -> None:
        self._save.mkdir(parents=True, exist_ok=True)
        schema = json.dumps(self._api.schema(version), indent=2, ensure_ascii=False)
        (self._save / "schema.json").write_text(schema, encoding="utf-8")

    def _process(self, file: DumpFile) -> Got:
        path = self._save / file.table / file.filename
        if file is self._middle:
            self._api.faults.at("middle")
        self._logger.info(f"checking for existence of {file.filename}")
        if path.exists():
            self._logger.info(f"already have {file.filename}, no need to redownload")
            return Got(file, path)
        return self._download(file, path)

    def _download(self, file: DumpFile, path: Path) -> Got:
        self._logger.info(f"{path} does not exist, downloading")
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(path.name + ".tmp")
        complete = self._downloader.to_file(file, temporary)
        self._logger.info(f"{path} finished")
        if not complete or self._api.faults.due("leave_tmp", file=file.filename):
            return Got(file, path, failed=True)
        temporary.rename(path)
        return Got(file, path, downloaded=True)

    def _report(self, results: list[Got]) -> None:
        new = [got for got in results if got.downloaded]
        if not new and not any(got.failed for got in results):
            self._logger.info("no new files were downloaded")
        else:
            self._logger.info(f"downloaded {len(new)} new files out of {len(results)} total files")

    def _clean(self, wanted: set[Path]) -> None:
        self._logger.info("searching for old files to remove")
        for folder, names, files in os.walk(self._save):
            names[:] = [name for name in names if not name.startswith(".")]
            for path in (Path(folder, name) for name in files if not name.startswith(".")):
                if path not in wanted and path != self._save / "schema.json":
                    self._logger.debug(f"will remove {path}")
                    path.unlink()
        self._logger.info("finished cleanup, done!")


def fetch(config: Config, logger: Logger, table: str) -> None:
    """Download one table's files again, as <sequence>-<name>. Raises ApiError, CrashError."""
    api = Api(config, "fetch")
    api.listing()
    number, night = api.current()
    _numbered(
        api, logger, [file for file in api.files(night) if file.table == table], config.save_location / table, number
    )


def grab(config: Config, logger: Logger, dump: str) -> None:
    """Download a whole dump into a folder of its name, as <sequence>-<name>. Raises ApiError, CrashError."""
    api = Api(config, "grab")
    api.listing()
    for number, night in api.nights():
        if dump in (str(number), night.name):
            return _numbered(api, logger, api.files(night), config.save_location / dump, number)
    raise ApiError(404, "Not Found")


def dumps(config: Config) -> list[dict[str, Any]]:
    """The dumps that the API knows, newest first. Raises ApiError."""
    api = Api(config, "list")
    api.listing()
    return [
        {"dumpId": night.name, "sequence": number, "numFiles": len(api.files(night)), "finished": True}
        for number, night in reversed(api.nights())
    ]


def _numbered(api: Api, logger: Logger, files: list[DumpFile], folder: Path, number: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    downloader = Downloader(api, logger)
    for file in files:
        if not downloader.to_file(file, folder / f"{number}-{file.filename}"):
            raise CrashError(f"Error: max number of retries reached for {file.filename}, aborting")
