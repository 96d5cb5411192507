"""The data of the benchmarks: nights of a made-up university, always the same for the same size."""

from __future__ import annotations

import gzip
import shutil
from collections.abc import Callable
from pathlib import Path

from udecdash_updater import dump
from udecdash_updater.demo.university import generate

SEED = 7
TABLES, REQUESTS = "tables", "requests"


def make(folder: Path, *, requests: int, students: int, night: int = 1, days: int = 20) -> Path:
    """A night's dump below `folder`, cut in two: `folder`/tables without the web log, and `folder`/requests."""
    made = folder / "made"
    courses = max(2, students // 20)
    generate(made, seed=SEED, night=night, students=students, courses=courses, requests=requests, days=days)
    for part in (TABLES, REQUESTS):
        (folder / part).mkdir()
        shutil.copy(made / "dataFiles" / "schema.json", folder / part)
    for table in (made / "dataFiles").iterdir():
        if table.is_dir():
            table.rename(folder / (REQUESTS if table.name == REQUESTS else TABLES) / table.name)
    return folder


def lines(folder: Path) -> tuple[int, float]:
    """How many lines the archives below a folder hold, and how many MB they are when unpacked."""
    count, size = 0, 0
    for path in folder.glob("*/*.gz"):
        with gzip.open(path) as file:
            while block := file.read(1 << 20):
                count, size = count + block.count(b"\n"), size + len(block)
    return count, size / 1e6


def joined(source: Path, target: Path, times: int) -> Path:
    """The web log below `source` in one archive below `target`, so many times over, each time under other ids."""
    log = target / REQUESTS
    log.mkdir(parents=True)
    shutil.copy(source / "schema.json", target)
    with gzip.open(log / "requests-00000-00000001.gz", "wb", compresslevel=1) as archive:
        for number in range(times):
            for path in sorted((source / REQUESTS).glob("*.gz")):
                with gzip.open(path) as file:
                    archive.writelines(b"%c%b" % (ord("g") + number, line[1:]) for line in file)
    return target


def halves(file: Path) -> tuple[Path, Path]:
    """An unpacked file's lines, cut in two beside it."""
    content = file.read_bytes()
    middle = content.index(b"\n", len(content) // 2) + 1
    first, second = file.with_suffix(".1"), file.with_suffix(".2")
    first.write_bytes(content[:middle])
    second.write_bytes(content[middle:])
    return first, second


def count(file: Path) -> int:
    """The lines of an unpacked file."""
    return file.read_bytes().count(b"\n")


Chosen = Callable[[int, int], bool]
"""Whether to change the line with this number of so many."""


def scattered(number: int, _total: int) -> bool:
    """One line of a hundred, all over the table."""
    return number % 100 == 50


def newest(number: int, total: int) -> bool:
    """The last hundredth of a table's lines."""
    return number >= total - total // 100


def changed(source: Path, target: Path, chosen: Chosen) -> Path:
    """A copy of the tables in which the chosen lines differ, each in a text or a number of its own."""
    found = dump.read(source)
    for table in found.full_tables():
        place, value = changeable(table)
        for file in found.files[table.name]:
            content = gzip.decompress(file.path.read_bytes()).split(b"\n")
            for number in range(len(content) - 1):
                if place and chosen(number, len(content) - 1):
                    fields = content[number].split(b"\t")
                    fields[place] = value
                    content[number] = b"\t".join(fields)
            path = target / table.name / file.name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(gzip.compress(b"\n".join(content), 1, mtime=0))
    shutil.copy(source / "schema.json", target)
    return target


def changeable(table: dump.Table) -> tuple[int, bytes]:
    """The place of a column of which any value may be any other, and another value; 0 where there is none."""
    for kind, value in (("datetime", b"2021-06-01 10:00:00.123"), ("timestamp", b"2021-06-01 10:00:00.123"),
                        ("text", b"changed"), ("varchar", b"changed"), ("int", b"77"), ("double precision", b"7.5"),
                        ("boolean", b"\\N"), ("bigint", b"77")):  # fmt: skip
        for place, column in reversed(list(enumerate(table.columns))):
            if column.type == kind and place > 1 and column.name != "workflow_state":
                return place, value
    return 0, b""
