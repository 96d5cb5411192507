"""Archives are read to their trailers: whatever is cut, flipped or added is found, and whatever is sound is not."""

from __future__ import annotations

import gzip
import io
import os
import random
import tempfile
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.nights import mini_dump
from tests.support import BOTH_LOOPS, looping
from udecdash_updater import compiled, dump, rows, verbatim
from udecdash_updater.dump import DumpFile
from udecdash_updater.errors import DumpError

_RANDOM = random.Random(20)
PLAIN = b"".join(b"%d\t2021-04-01 10:00:%02d\t%x\n" % (n, n, _RANDOM.getrandbits(60)) for n in range(20))
LARGE = b"".join(b"%d\t2021-04-01 10:00:00\t%x\n" % (n, _RANDOM.getrandbits(200)) for n in range(20_000))
SMALL_ARCHIVE = gzip.compress(PLAIN, mtime=0)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "item_dim-00000-aa.gz"


def damage(path: Path, content: bytes) -> str:
    """What is wrong with an archive of these bytes; empty when nothing is. Tables and requests are read alike."""
    path.write_bytes(content)
    files = [DumpFile(table, path, len(content), ("id", "timestamp", "x")) for table in ("item_dim", "requests")]
    sound, damaged = dump.verify(files, threads=1)
    assert len(sound) in (0, 2)
    assert all(str(path) in str(why) for why in damaged.values())
    return str(next(iter(damaged.values()), ""))


def test_a_small_archive_cut_at_any_byte_is_found(path: Path) -> None:
    assert damage(path, SMALL_ARCHIVE) == ""
    assert [n for n in range(len(SMALL_ARCHIVE)) if not damage(path, SMALL_ARCHIVE[:n])] == []


@pytest.mark.parametrize("level", [0, 1, 9])
def test_a_large_archive_cut_at_any_percent_and_in_its_trailer_is_found(path: Path, level: int) -> None:
    whole = gzip.compress(LARGE, level, mtime=0)
    cuts = [*(len(whole) * percent // 100 for percent in range(100)), *range(len(whole) - 9, len(whole))]
    assert [n for n in cuts if not damage(path, whole[:n])] == []
    assert damage(path, whole) == ""


@pytest.mark.parametrize("level", [0, 1, 9])
def test_any_flipped_byte_is_found_or_changes_nothing_that_is_read(path: Path, level: int) -> None:
    whole = gzip.compress(PLAIN, level, mtime=0)
    for place in range(len(whole)):
        for mask in (0xFF, 0x01, 0x80):
            content = bytearray(whole)
            content[place] ^= mask
            if not damage(path, bytes(content)):  # the header's time and system, and bits that only fill a byte up
                with rows.reading(path) as plain:
                    assert plain.read() == PLAIN, (place, mask)


OTHER = {
    "an empty file": b"",
    "a text": PLAIN,
    "a web page": b"<html>Service Unavailable</html>",
    "only the magic": b"\x1f\x8b",
    "garbage behind it": SMALL_ARCHIVE + b"garbage",
    "one byte behind it": SMALL_ARCHIVE + b"\x1f",
    "zeros and garbage behind it": SMALL_ARCHIVE + bytes(600) + b"x",
    "a second member that is cut": SMALL_ARCHIVE + SMALL_ARCHIVE[:-1],
    "a second member with another checksum": SMALL_ARCHIVE + SMALL_ARCHIVE[:-8] + bytes(4) + SMALL_ARCHIVE[-4:],
    "a second member with another length": SMALL_ARCHIVE + SMALL_ARCHIVE[:-4] + bytes(4),
}


@pytest.mark.parametrize("kind", OTHER)
def test_it_is_no_sound_archive(path: Path, kind: str) -> None:
    assert damage(path, OTHER[kind])


SOUND = {
    "two members": (SMALL_ARCHIVE * 2, PLAIN * 2),
    "many members, some empty": (gzip.compress(b"") + SMALL_ARCHIVE + gzip.compress(b"") * 3, PLAIN),
    "a member that ends within a line": (gzip.compress(PLAIN[:100]) + gzip.compress(PLAIN[100:]), PLAIN),
    "zeros behind it, as tapes pad": (SMALL_ARCHIVE + bytes(512), PLAIN),
    "nothing compressed": (gzip.compress(b""), b""),
}


@pytest.mark.parametrize("kind", SOUND)
def test_it_is_sound_and_read_to_its_end(path: Path, kind: str) -> None:
    content, expected = SOUND[kind]
    assert damage(path, content) == ""
    with rows.reading(path) as plain:
        assert plain.read() == expected


def test_what_is_no_ordinary_file_is_named_and_never_opened(tmp_path: Path) -> None:
    folder = tmp_path / "dataFiles"
    table = folder / "item_dim"
    table.mkdir(parents=True)
    (folder / "schema.json").write_text(
        '{"version": "1", "schema": {"i": {"tableName": "item_dim", "columns": [{"name": "id", "type": "bigint"}]},'
        ' "l": {"tableName": "linked_dim", "columns": [{"name": "id", "type": "bigint"}]}}}'
    )
    (table / "good-00000-aa.gz").write_bytes(SMALL_ARCHIVE)
    secret = tmp_path / "secret.gz"
    secret.write_bytes(SMALL_ARCHIVE)
    odd = [table / "link.gz", table / "pipe.gz", table / "two\nlines.gz", table / "folder.gz", table / "half.gz.tmp"]
    odd[0].symlink_to(secret)
    os.mkfifo(odd[1])  # whoever opens it hangs
    odd[2].write_bytes(SMALL_ARCHIVE)
    odd[3].mkdir()
    odd[4].write_bytes(b"")
    (table / os.fsdecode(b"bad\xff.gz")).write_bytes(SMALL_ARCHIVE)
    (table / "device.gz").symlink_to("/dev/zero")
    (table / "dangling.gz").symlink_to(tmp_path / "nowhere")
    (folder / "linked_dim").symlink_to(tmp_path, target_is_directory=True)
    (folder / "undeclared_dim").mkdir()
    found = dump.read(folder)
    assert len([name for name in found.strangers if name.startswith("item_dim/")]) == 3
    assert found.files["linked_dim"] == ()
    assert "'linked_dim'" in found.strangers
    assert "'undeclared_dim'" in found.strangers
    assert not [name for name in found.strangers if not name.isprintable()]
    sound, damaged = dump.verify(found.files["item_dim"])
    assert [file.name for file in sound] == ["good-00000-aa.gz"]
    assert [file.name for file in damaged] == ["dangling.gz", "device.gz", "folder.gz", "link.gz", "pipe.gz"]
    assert all(str(why) == f"{file.path}: is no ordinary file and was not opened." for file, why in damaged.items())


@pytest.mark.parametrize("kind", ["pipe", "link", "folder"])
def test_a_schema_json_that_is_no_ordinary_file_is_refused_unopened(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "schema.json"
    {"pipe": os.mkfifo, "link": lambda p: p.symlink_to("/dev/zero"), "folder": os.mkdir}[kind](path)
    with pytest.raises(DumpError, match="no ordinary file"):
        dump.read(tmp_path)


def test_a_schema_json_that_names_a_table_twice_is_refused(tmp_path: Path) -> None:
    table = '{"tableName": "item_dim", "columns": [{"name": "id", "type": "bigint"}]}'
    (tmp_path / "schema.json").write_text(f'{{"version": "1", "schema": {{"a": {table}, "b": {table}}}}}')
    with pytest.raises(DumpError, match="names a table twice"):
        dump.read(tmp_path)


@pytest.mark.parametrize("kind", ["pipe", "link", "dangling"])
def test_an_unpacked_table_that_is_no_ordinary_file_is_refused_unopened(tmp_path: Path, kind: str) -> None:
    mini_dump(tmp_path, {name: [("id", "bigint")] for name in ("good_dim", "odd_dim", "missing_dim")}, {})
    (tmp_path / "good_dim.txt").write_bytes(b"id\n1\n")
    found = dump.read(tmp_path, unpacked=tmp_path, extension="txt")
    assert [name for name, files in found.files.items() if files] == ["good_dim"]
    odd = tmp_path / "odd_dim.txt"
    if kind == "pipe":
        os.mkfifo(odd)
    else:
        odd.symlink_to("/dev/zero" if kind == "link" else "nowhere")
    with pytest.raises(DumpError, match=r"odd_dim\.txt: is no ordinary file"):
        dump.read(tmp_path, unpacked=tmp_path, extension="txt")


def test_a_file_regrown_to_the_same_size_is_another_file_by_its_trailer(path: Path) -> None:
    path.write_bytes(gzip.compress(b"1\ta\n", mtime=0))
    first = rows.trailer(path), path.stat().st_size
    path.write_bytes(gzip.compress(b"1\tb\n", mtime=0))
    assert path.stat().st_size == first[1]
    assert rows.trailer(path) != first[0]
    assert rows.trailer(path.with_name("missing.gz")) is None


STAMPS = [b"2021-04-01 10:00:00", b"2021-04-01 10:00:00.123456", b"2021-04-01T10:00:00Z", b"2020-02-02", b"\\N", b""]
FIELDS = st.sampled_from([*STAMPS, b"2019-01-01 10:00:00", b"x" * 30])


@BOTH_LOOPS
@given(st.lists(st.lists(FIELDS, max_size=4).map(b"\t".join)), st.integers(0, 2), st.integers(1, 90), st.booleans())
def test_the_earliest_time_is_that_of_the_column_whatever_the_lines_lack(
    loops: compiled.Loops | None, lines: list[bytes], place: int, block: int, ended: bool
) -> None:
    content = b"\n".join(lines) + b"\n" * ended
    fields = [line.split(b"\t")[place : place + 1] for line in content.split(b"\n")]
    times = [stamp.decode() for found in fields for stamp in found if len(stamp) > 10 and stamp[:2] == b"20"]
    with tempfile.NamedTemporaryFile(suffix=".txt") as file, looping(loops) as patch:
        patch.setattr(rows, "BLOCK", block)
        file.write(content or b"\n")
        file.flush()
        assert rows.earliest(Path(file.name), place) == min(times, default="")


@BOTH_LOOPS
@pytest.mark.parametrize("block", [64, 1000])
def test_what_stands_in_a_very_long_line_is_no_earlier_time(
    loops: compiled.Loops | None, path: Path, block: int
) -> None:
    odd = b"1\t2021-04-02 10:00:00\t" + b"x" * 900 + b"y\t2001-01-01 00:00:00\t" * 200
    path.write_bytes(gzip.compress(odd + b"\n2\t2021-04-01 10:00:00\n"))
    with looping(loops) as patch:
        patch.setattr(rows, "BLOCK", block)
        patch.setattr(rows, "_LONG", 500)
        assert rows.earliest(path, 1) == "2021-04-01 10:00:00"


LINES = [b"", b"a", b"a\r", b"a\tb", b"\r", b"x" * 70_000, b"y" * 200_000, b"\\N", b"\\."]


@pytest.mark.parametrize("block", [1, 7, 4096, rows.BLOCK])
@pytest.mark.parametrize("ended", [True, False])
def test_lines_are_the_same_wherever_blocks_end(monkeypatch: pytest.MonkeyPatch, block: int, ended: bool) -> None:
    monkeypatch.setattr(rows, "BLOCK", block)
    given = [line for line in LINES if block > 7 or len(line) < 99]
    plain = b"\n".join(given) + (b"\n" if ended else b"")
    assert list(rows.lines(io.BytesIO(plain))) == [line.removesuffix(b"\r") for line in given]


def test_a_line_without_end_is_a_reject_that_memory_does_not_know(path: Path) -> None:
    with gzip.open(path, "wb", compresslevel=1) as file:
        file.write(b"1\ta\n2\t")
        for _ in range(64):
            file.write(b"x" * (1 << 20))
        file.write(b"\n3\tc\n")
    rejects: list[tuple[int, str]] = []
    tally = rows.Tally()
    tracemalloc.start()
    try:
        with rows.reading(path) as plain:
            sound = list(rows.sound_lines(plain, 2, tally, lambda number, reason: rejects.append((number, reason))))
        with rows.reading(path) as plain, pytest.raises(verbatim.SuspiciousLineError):
            reader = verbatim.VerbatimReader(plain)
            while reader.read(rows.BLOCK):
                pass
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert (sound, rejects, tally.lines) == ([(1, b"1\ta\n"), (3, b"3\tc\n")], [(2, "longer than 16 MB")], 3)
    assert peak < 3 * rows.LONGEST
    assert damage(path, path.read_bytes()) == ""


def test_a_missing_file_and_a_folder_are_told_by_name(tmp_path: Path) -> None:
    for place in (tmp_path / "missing.gz", tmp_path):
        with pytest.raises(DumpError, match=str(place)):
            rows.demand_sound(place)
