"""The API it downloads from: a folder of dumps (night1, night2, ...) that answers like api.inshosteddata.com."""

from __future__ import annotations

import json
import re
import sys
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast
from urllib.parse import unquote, urlsplit

from .config import Config
from .faults import Faults

CHUNK = 1 << 20
_DEPRECATED = """\
(node:1) [DEP0005] DeprecationWarning: Buffer() is deprecated due to security and usability issues. \
Please use the Buffer.alloc(), Buffer.allocUnsafe(), or Buffer.from() methods instead.
(Use `node --trace-deprecation ...` to show where the warning was created)
"""


class ApiError(Exception):
    """An answer other than 200; printed as the compiled program prints it, its message lost."""

    def __init__(self, code: int, body: str) -> None:
        super().__init__(f"[ApiError] {{ errorCode: {code}, resp: {{ message: '{body}' }} }}")
        self.code = code


class TransferError(Exception):
    """A file's download ended early or with a status other than 200."""


@dataclass(frozen=True)
class DumpFile:
    """One file as the API lists it, and where its bytes really are."""

    table: str
    filename: str
    partial: bool
    path: Path

    @property
    def url(self) -> str:
        """An address of the kind that the API hands out."""
        part = uuid.uuid5(uuid.NAMESPACE_URL, self.filename)
        return (
            f"https://bucket.s3.amazonaws.com/20240501T000000/dw_split/1435/{self.table}/part-00000-{part}.c000.txt.gz"
        )

    def listed(self, sequence: int | None = None) -> dict[str, Any]:
        """The file's entry in an answer."""
        entry = {"url": self.url, "filename": self.filename, "table": self.table, "partial": self.partial}
        return entry if sequence is None else {**entry, "sequence": sequence}


@dataclass(frozen=True)
class Listing:
    """The answer to a sync request."""

    schema_version: str
    incomplete: bool
    files: list[DumpFile]


def served_folder(config: Config) -> Path:
    """The folder behind apiUrl, where the dumps and faults.json are."""
    return Path(unquote(urlsplit(config.text("apiUrl")).path))


class Api:
    """Answers from the folder that apiUrl names as file:///...; `command` chooses the faults."""

    def __init__(self, config: Config, command: str) -> None:
        address = urlsplit(config.text("apiUrl"))
        if address.scheme != "file":
            raise ConnectionError(f"Error: getaddrinfo ENOTFOUND {address.hostname or config.text('apiUrl')}")
        self.served = served_folder(config)
        self.faults = Faults.of(self.served, command)
        self._warned = False

    def nights(self) -> list[tuple[int, Path]]:
        """(sequence, folder) of every dump, oldest first; a folder that is a dump itself is number 1."""
        if (self.served / "dataFiles").is_dir():
            return [(1, self.served)]
        found = [
            (int(match[1]), path)
            for path in self.served.glob("night*")
            if (match := re.fullmatch(r"night(\d+)", path.name)) and (path / "dataFiles").is_dir()
        ]
        return sorted(found)

    def current(self) -> tuple[int, Path]:
        """The dump that is served: the one that the file `current` numbers, else the newest."""
        nights = self.nights()
        named = self.served / "current"
        if named.exists():
            number = int(named.read_text().strip().removeprefix("night"))
            nights = [night for night in nights if night[0] == number]
        if not nights:
            raise ApiError(404, "no dumps")
        return nights[-1]

    def listing(self) -> Listing:
        """Every file that a full copy holds. Raises ApiError."""
        self._signed("sync")
        _, night = self.current()
        incomplete = self.faults.due("incomplete")
        shrunk = incomplete or self.faults.due("shrunk") or {}
        files = [] if self.faults.due("nothing") else self.files(night)
        kept = [file for file in files if file.table not in shrunk.get("without", [])]
        return Listing(str(self._schema().get("version", "")), bool(incomplete), kept)

    def schema(self, _version: str) -> dict[str, Any]:
        """schema.json of the served dump. Raises ApiError."""
        self._signed("schema")
        return self._schema()

    def files(self, night: Path) -> list[DumpFile]:
        """The files of one dump, by table and name."""
        paths = sorted(path for path in (night / "dataFiles").glob("*/*.gz") if path.is_file())
        return [DumpFile(path.parent.name, path.name, path.parent.name == "requests", path) for path in paths]

    def body(self, file: DumpFile) -> Iterator[bytes]:
        """The file's bytes as they arrive. Raises TransferError where the transfer is seen to fail."""
        if self.faults.due("fail", file=file.filename):
            yield b'{"message": "Internal Server Error"}'
            raise TransferError("got non 200 status code (actual 500)")
        if self.faults.due("garbage", file=file.filename):
            yield b"<html>Service Unavailable</html>\n"
            return
        cut = self.faults.due("cut", file=file.filename)
        left = cut["bytes"] if cut else file.path.stat().st_size
        with file.path.open("rb") as source:
            while left > 0 and (chunk := source.read(min(CHUNK, left))):
                left -= len(chunk)
                yield chunk
        if cut and cut.get("content_length", True):
            raise TransferError("premature close")

    def _schema(self) -> dict[str, Any]:
        path = self.current()[1] / "dataFiles" / "schema.json"
        return cast("dict[str, Any]", json.loads(path.read_text(encoding="utf-8")))

    def _signed(self, on: str) -> None:
        if not self._warned:
            sys.stderr.write(_DEPRECATED)  # node's own noise: stderr text alone is no sign of failure
            sys.stderr.flush()
            self._warned = True
        for name, code in (("api500", 500), ("api404", 404), ("unauthorized", 401)):
            if self.faults.due(name, on=on):
                raise ApiError(code, {500: "Internal Server Error", 404: "Not Found"}.get(code, "Unauthorized"))
