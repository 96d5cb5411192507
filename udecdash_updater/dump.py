"""What lies on disk: the dump's tables by its schema.json, their files, and what is new since the last load."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

from udecdash_updater import rows
from udecdash_updater.errors import DumpError, SettingsError
from udecdash_updater.language import Told, because, joined, say
from udecdash_updater.logs import LOGGER

REQUESTS = "requests"
# What begins with an underscore is ours; PostgreSQL's own column names and limits are no table of Canvas.
_NAME = re.compile(r"(?!(?:ctid|xmin|cmin|xmax|cmax|tableoid)$)[a-z][a-z0-9_]{0,62}")
_MOST_COLUMNS = 1500
_SCHEMA = "schema.json"


@dataclass(frozen=True, slots=True)
class Column:
    """A column as schema.json declares it."""

    name: str
    type: str
    length: int | None = None


@dataclass(frozen=True, slots=True)
class Table:
    """A table as schema.json declares it, columns in file order."""

    name: str
    columns: tuple[Column, ...]

    @property
    def column_names(self) -> tuple[str, ...]:
        """The columns' names in file order."""
        return tuple(column.name for column in self.columns)


@dataclass(frozen=True, slots=True)
class DumpFile:
    """One file of the dump. `columns` are those of its lines, in order; `header` says that line 1 names them.

    `checksum` is what `rows.trailer` tells of an archive, `rows.checksum` of unpacked requests. `earliest`, of requests
    only, is the file's first timestamp as a text; `verify` fills it in. `label` is its name in the ledger where the
    path's own is not enough. `change` makes a line's fields those of `columns`, of which lines lack the
    last `lacking`. `content` is a digest of what a full table's archive holds; `verify` fills it in. `found` is when an
    unpacked file had been changed last as it was found, as the file system tells.
    """

    table: str
    path: Path
    size: int
    columns: tuple[str, ...]
    header: bool = False
    earliest: str = ""
    checksum: int | None = None
    label: str = ""
    lacking: int = 0
    change: Callable[[list[bytes]], None] | None = field(default=None, compare=False)
    content: str = field(default="", compare=False)
    found: int = field(default=0, compare=False)

    def is_as_found(self) -> bool:
        """Whether nobody has changed an unpacked file since; what an archive holds is known by its `content`."""
        try:
            return not self.found or self.path.stat().st_ctime_ns == self.found
        except OSError:
            return False

    def demand_as_found(self) -> None:
        """Raises DumpError where somebody has changed an unpacked file since: its columns may stand otherwise."""
        if not self.is_as_found():
            raise DumpError(say("file changed", path=self.path), hint=say("file changed hint"))

    @property
    def name(self) -> str:
        """The file's name without its folder."""
        return self.label or self.path.name


@dataclass(frozen=True, slots=True)
class Dump:
    """A dump on disk: its version, tables by name, and each table's files by name in order."""

    folder: Path
    version: str
    tables: Mapping[str, Table]
    files: Mapping[str, tuple[DumpFile, ...]]
    strangers: tuple[str, ...] = field(default=())

    def full_tables(self) -> list[Table]:
        """Every table but requests, which is loaded apart."""
        return [table for name, table in self.tables.items() if name != REQUESTS]


@contextlib.contextmanager
def told() -> Iterator[None]:
    """Turns the operating system's refusal into DumpError: the path, why, and whom it should let in."""
    try:
        yield
    except OSError as error:
        refused = say("unreadable", path=error.filename or "PATH_DATA_FILES", why=because(error))
        raise DumpError(refused, hint=say("unreadable hint")) from None


@told()
def read(folder: Path, *, unpacked: Path | None = None, extension: str = "gz") -> Dump:
    """The dump in `folder`: <table>/<name>.gz by its schema.json; with `unpacked`, <table>.<extension> there instead.

    Only ordinary files are ever opened. What has an archive's name and is none is for `verify` to refuse; any other
    thing is named in `strangers`. Raises DumpError when there is no dump, when its schema.json cannot be understood,
    where an unpacked table is no ordinary file, and for what we may not look at.
    """
    if not folder.is_dir():
        raise DumpError(say("setting not folder", name="PATH_DATA_FILES", path=folder))
    version, tables = read_schema(folder / _SCHEMA)
    strangers: list[str] = []
    if unpacked is not None:
        files = _unpacked_files(unpacked, extension, tables)
    else:
        strangers += sorted(repr(one.name) for one in folder.iterdir() if one.name not in {*tables, _SCHEMA})
        files = {name: _archives(folder / name, table, strangers) for name, table in tables.items()}
    if not any(files.values()):
        raise DumpError(say("no dump", path=unpacked or folder))
    return Dump(folder, version, tables, files, tuple(strangers))


def only(found: Dump, names: Collection[str]) -> Dump:
    """The dump as if it had these tables alone; all of it without names. Raises SettingsError for a name it lacks."""
    if not names:
        return found
    if unknown := sorted(set(names) - set(found.tables)):
        raise SettingsError([say("problem", name=f"--table {name}", what=say("no such table")) for name in unknown])
    tables = {name: table for name, table in found.tables.items() if name in names}
    return replace(found, tables=tables, files={name: found.files[name] for name in tables})


@told()
def read_schema(path: Path) -> tuple[str, dict[str, Table]]:
    """The version and tables of a schema.json. Raises DumpError when it is missing or not one."""
    if not _is_ordinary(path):
        raise DumpError(say("not ordinary", path=path))
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        tables = [_table(entry) for entry in document["schema"].values()]
    except OSError as error:
        raise DumpError(
            say("no schema", path=path, why=because(error)),
            hint=say("no schema hint"),
        ) from None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise DumpError(say("wrong schema", path=path, why=f"{type(error).__name__}: {error}")) from None
    named = {table.name: table for table in tables}
    if len(named) != len(tables):
        raise DumpError(say("table twice", path=path))
    return str(document.get("version", "")), named


def _is_ordinary(path: Path) -> bool:
    """Whether it may be opened; one that is not there may."""
    return not path.is_symlink() and (path.is_file() or not path.exists())


def _table(entry: Mapping[str, object]) -> Table:
    columns = entry["columns"]
    if not isinstance(columns, list) or not columns:
        raise ValueError(f"table {entry['tableName']!r} has no columns")
    names = [_plain(column["name"]) for column in columns]
    if len(set(names)) != len(names) or len(names) > _MOST_COLUMNS:
        raise ValueError(f"table {entry['tableName']!r} names a column twice, or more than {_MOST_COLUMNS}")
    lengths = [int(column["length"]) if "length" in column else None for column in columns]
    types = [str(column["type"]) for column in columns]
    return Table(_plain(entry["tableName"]), tuple(map(Column, names, types, lengths)))


def _plain(name: object) -> str:
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} is no name of a table or column")
    return name


def _archives(folder: Path, table: Table, strangers: list[str]) -> tuple[DumpFile, ...]:
    if folder.is_symlink() or not folder.is_dir():
        strangers += [repr(table.name)] if folder.is_symlink() or folder.exists() else []
        return ()
    found = []
    with os.scandir(folder) as entries:
        for entry in sorted(entries, key=lambda e: e.name):
            if not entry.name.isprintable() or not entry.name.endswith(".gz"):
                strangers.append(f"{table.name}/{entry.name!r}")
                continue
            size = entry.stat(follow_symlinks=False).st_size
            path = Path(entry.path)
            checksum = rows.trailer(path) if _is_ordinary(path) else None
            found.append(DumpFile(table.name, path, size, table.column_names, checksum=checksum))
    return tuple(found)


def _unpacked_files(folder: Path, extension: str, tables: Mapping[str, Table]) -> dict[str, tuple[DumpFile, ...]]:
    if not folder.is_dir():
        raise DumpError(say("not unpacked", path=folder))
    files: dict[str, tuple[DumpFile, ...]] = {}
    for name, table in tables.items():
        path = folder / f"{name}.{extension}"
        if not _is_ordinary(path):
            raise DumpError(say("not ordinary", path=path))
        if not path.exists():
            files[name] = ()
            continue
        state = path.stat()
        columns = rows.header(path)
        if strange := set(columns) - set(table.column_names) or len(set(columns)) != len(columns):
            raise DumpError(say("wrong header", path=path, table=name, columns=strange))
        checksum = rows.checksum(path) if name == REQUESTS else None
        found = DumpFile(name, path, state.st_size, columns, header=True, checksum=checksum, found=state.st_ctime_ns)
        files[name] = (found,)
    return files


def verify(files: Iterable[DumpFile], *, threads: int = 2) -> tuple[list[DumpFile], dict[DumpFile, Told]]:
    """Read each file to its end. The sound ones, and the damaged ones, each with what is wrong.

    Where there is more than one requests file, the sound ones come with their earliest timestamp, by which they are
    loaded in order (rule R14); archives of full tables come with a digest of their content. `threads` read, two at
    least.
    """
    listed = list(files)
    in_order = sum(file.table == REQUESTS for file in listed) > 1
    with ThreadPoolExecutor(max(2, threads)) as pool:
        verdicts = list(zip(listed, pool.map(lambda file: _read_through(file, in_order=in_order), listed), strict=True))
    sound = [verdict for _, verdict in verdicts if isinstance(verdict, DumpFile)]
    return sound, {file: verdict for file, verdict in verdicts if not isinstance(verdict, DumpFile)}


def _read_through(file: DumpFile, *, in_order: bool) -> DumpFile | Told:
    """The file with what reading it tells, or what is wrong with it."""
    if not _is_ordinary(file.path):
        return say("not ordinary", path=file.path)
    try:
        if in_order and file.table == REQUESTS and "timestamp" in file.columns:
            return replace(file, earliest=rows.earliest(file.path, file.columns.index("timestamp")))
        return file if file.header else replace(file, content=rows.content(file.path))
    except DumpError as error:
        return error.short


def as_verified(found: Dump, sound: Iterable[DumpFile]) -> Dump:
    """The dump with its files as `verify` gave them back."""
    read_through = {file.path: file for file in sound}
    files = {name: tuple(read_through.get(f.path, f) for f in listed) for name, listed in found.files.items()}
    return replace(found, files=files)


def damaged_error(damaged: Mapping[DumpFile, Told]) -> DumpError:
    """The error of a dump with damaged files, each with what is wrong, as `verify` tells them."""
    told = joined((say("of table", table=file.table, why=why) for file, why in damaged.items()), before="\n  - ")
    return DumpError(
        say("archives damaged", told=told),
        hint=say("archives damaged hint"),
    )


def set_aside(file: DumpFile, aside: Path) -> Path:
    """Move a damaged file out of the dump into folder `aside`, so that the next sync fetches it again.

    `aside` may lie on another file system. Raises DumpError where the file cannot be moved.
    """
    target = aside / f"{file.table}--{file.name}"
    with told():
        aside.mkdir(mode=0o750, parents=True, exist_ok=True)
        shutil.move(file.path, target)
    LOGGER.warning(say("was set aside", table=file.table, file=file.name, path=target))
    return target


def digest(files: Sequence[DumpFile]) -> str:
    """A digest of the files' names, sizes and checksums: the same for the same part of the same dump.

    Empty for files of which no checksum is known: unpacked ones have the same name every night.
    """
    if any(file.checksum is None for file in files):
        return ""
    listed = sorted((file.name, file.size, file.checksum) for file in files)
    return hashlib.sha256(repr(listed).encode(errors="surrogateescape")).hexdigest() if files else ""


Loaded = Collection[tuple[str, int, int | None]]
"""Name, size and checksum of files that were loaded before."""


def new_request_files(dump: Dump, loaded: Loaded, *, compare: bool) -> tuple[DumpFile, ...]:
    """The request files to load: those not loaded yet under this name, size and checksum, or all when not to `compare`.

    `compare` is off with FIRST_DATA_UPDATE. A regrown file has another size, or at least another checksum, so it comes
    again; of files that were loaded before version 0.2 no checksum is known.
    """
    known = set(loaded) if compare else set()
    return tuple(
        file
        for file in dump.files.get(REQUESTS, ())
        if not {(file.name, file.size, file.checksum), (file.name, file.size, None)} & known
    )
