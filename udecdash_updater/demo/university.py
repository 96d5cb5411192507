"""A made-up university's dump of one night, of any size, and the truth about it.

    python -m udecdash_updater.demo.university --seed 7 --night 1 --students 300 --courses 20 \
        --requests 20000 --days 20 --out DIR

writes DIR/dataFiles (as `canvasDataCli sync` leaves it) and DIR/truth.json. The same seed and sizes give
the same bytes; night 2 is the next dump of the same university.
"""

from __future__ import annotations

import argparse
import gzip
import json
import sys
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from udecdash_updater.demo.files import log_files
from udecdash_updater.demo.full_tables import FullTables
from udecdash_updater.demo.plans import KINDS
from udecdash_updater.demo.registry import Size
from udecdash_updater.demo.schema import VERSION, schema_json
from udecdash_updater.demo.truth import Names, interactions, key_lines
from udecdash_updater.demo.weblog import Tally, WebLog
from udecdash_updater.demo.world import World

START = date(2021, 3, 22)  # twenty days from here hold the end of Chilean summer time
MOST_STUDENTS, MOST_COURSES, MOST_DAYS = 200_000, 3_000, 700  # what truth.py packs into 64 bits
FREE = {"empty URL": "rows_with_empty_url", "long message": "rows_with_long_message",
        "unusable id": "rows_with_unusable_id"}  # fmt: skip


def generate(
    out: Path,
    *,
    seed: int = 7,
    night: int = 1,
    students: int = 120,
    courses: int = 8,
    requests: int = 6000,
    days: int = 20,
    start: date = START,
    time_zone: str = "America/Santiago",
    odd_states: bool = False,
    empty: tuple[str, ...] = (),
    keys: bool = False,
) -> dict[str, Any]:
    """Write the dump of that night and its truth.json below `out`; the truth is also returned.

    `odd_states` adds states that the dashboard's enums lack; `empty` names tables without rows (and so
    without files); `keys` also writes every expected key below `out`/keys and `out`/keys-cumulative.
    Raises ValueError for sizes that make no university.
    """
    if students < 4 or courses < 2 or days < 2 or requests < 0 or night < 1:
        raise ValueError("a university has 4 students, 2 courses, 2 days and a night, at least")
    if students > MOST_STUDENTS or courses > MOST_COURSES or days + night > MOST_DAYS:
        raise ValueError(
            f"a university has {MOST_STUDENTS} students, {MOST_COURSES} courses, {MOST_DAYS} days, at most"
        )
    size = Size(seed, students, courses, requests, days, start, odd_states)
    world = World(size, night)
    data_files = out / "dataFiles"
    full = FullTables(world, night, data_files, empty)
    counts = full.write()
    (data_files / "schema.json").write_text(schema_json(), encoding="utf-8")
    log = WebLog(world, night, ZoneInfo(time_zone))
    files = log_files(size, night)
    log.write(data_files / "requests", files)
    names = Names(world.things, world.strangers, log.epoch)
    truth: dict[str, Any] = {
        "schema_version": VERSION,
        "tables": {name: count.truth() for name, count in counts.items()},
        "requests": _requests(log.tally, len(files)),
        "interactions": interactions(log.tally.alone, names),
        "unprocessable": _unprocessable(log.tally),
        "text_probes": [asdict(probe) for probe in full.probes],
        "shapes": dict(sorted(log.tally.shapes.items())),
    }
    if night > 1:
        left = log.tally.missed_in_turn.figures()
        truth["cumulative"] = {
            **interactions(log.tally.in_turn, names), "unprocessable_distinct_ids": left["count"],
            "unprocessable_ids": left, "kept_distinct_ids": truth["requests"]["kept_distinct_ids"],
        }  # fmt: skip
    (out / "truth.json").write_text(json.dumps(truth, indent=1, sort_keys=True, ensure_ascii=False), "utf-8")
    if keys:
        _write_keys(out, log, names)
    return truth


def _requests(tally: Tally, files: int) -> dict[str, Any]:
    kept = tally.kept.figures()
    return {
        "damaged_files": [],
        "damaged_rows": 0,
        "distinct_ids": tally.ids,
        "dropped": dict(sorted(tally.dropped.items())),
        "files": files,
        "kept_distinct_ids": kept["count"],
        "kept_ids": kept,
        "kept_rows": tally.kept_rows,
        "requests_that_became_interactions": len(tally.alone),
        "rows": tally.rows,
        "rows_of_damaged_files": 0,
        "useless_rows": 0,
    }


def _unprocessable(tally: Tally) -> dict[str, Any]:
    ids = tally.missed.figures()
    free = {name: tally.labels.get(reason, 0) for reason, name in FREE.items()}
    return {
        "by_label": {label: n for label, n in sorted(tally.labels.items()) if label not in FREE},
        "by_label_distinct": {label: n for label, n in sorted(tally.distinct_labels.items()) if label not in FREE},
        "distinct_ids": ids["count"],
        "ids": ids,
        "rows": tally.misses,
        **free,
    }


def _write_keys(out: Path, log: WebLog, names: Names) -> None:
    views = {"keys": log.tally.alone, "keys-cumulative": log.tally.in_turn}
    for folder, view in views.items():
        (out / folder).mkdir(exist_ok=True)
        for kind in KINDS:
            text = "".join(f"{line}\n" for line in key_lines(view, names, kind))
            (out / folder / f"{kind}.tsv.gz").write_bytes(gzip.compress(text.encode(), mtime=0))


def main(arguments: list[str] | None = None) -> int:
    """The command line; 0 when the dump is written, 2 for sizes that make no university."""
    parser = argparse.ArgumentParser(prog="university", description="Generate one night's dump and its truth.")
    for name, usual in (
        ("seed", 7), ("night", 1), ("students", 120), ("courses", 8), ("requests", 6000), ("days", 20),
    ):  # fmt: skip
        parser.add_argument(f"--{name}", type=int, default=usual)
    parser.add_argument("--start", type=date.fromisoformat, default=START, help="first day, YYYY-MM-DD")
    parser.add_argument("--time-zone", default="America/Santiago")
    parser.add_argument("--odd-states", action="store_true", help="states that the dashboard's enums lack")
    parser.add_argument("--empty", action="append", default=[], metavar="TABLE", help="a table without rows")
    parser.add_argument("--keys", action="store_true", help="also write every expected key")
    parser.add_argument("--out", type=Path, required=True)
    options = vars(parser.parse_args(arguments))
    out = options.pop("out")
    try:
        truth = generate(out, **{**options, "empty": tuple(options["empty"])})
    except ValueError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    rows = sum(table["rows"] for table in truth["tables"].values())
    requests = truth["requests"]
    sys.stdout.write(f"{out}: {rows} rows in {len(truth['tables'])} tables, {requests['rows']} requests\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
