"""The generated university: its dumps look like real ones, and its truth fits what lies on disk."""

from __future__ import annotations

import ast
import gzip
import hashlib
import json
import os
import re
import subprocess
import sys
from collections import Counter
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from udecdash_updater import demo
from udecdash_updater.demo.oddities import odd_plans
from udecdash_updater.demo.registry import Size
from udecdash_updater.demo.schema import schema_json, tables
from udecdash_updater.demo.texts import NASTY, escape
from udecdash_updater.demo.truth import Ids, Sums
from udecdash_updater.demo.university import generate, main
from udecdash_updater.demo.world import World

SIZE: dict[str, Any] = {"seed": 3, "students": 40, "courses": 4, "requests": 1500, "days": 14}
START = date(2021, 3, 28)  # a week before the end of Chilean summer time
SEVEN = (
    "assignment_interactions", "attachment_interactions", "context_external_tool_interactions",
    "discussion_topic_interactions", "external_url_interactions", "quiz_interactions", "wiki_page_interactions",
)  # fmt: skip


class Night:
    """A generated dump, read back without the generator's help."""

    def __init__(self, folder: Path, night: int) -> None:
        self.folder = folder
        self.truth = generate(folder, **SIZE, night=night, start=START, keys=True)
        self._read: dict[str, list[list[list[str]]]] = {}

    def names(self, table: str) -> list[str]:
        return sorted(path.name for path in (self.folder / "dataFiles" / table).glob("*.gz"))

    def files(self, table: str) -> list[list[list[str]]]:
        if table not in self._read:
            self._read[table] = [read(self.folder / "dataFiles" / table / name) for name in self.names(table)]
        return self._read[table]

    def rows(self, table: str) -> list[list[str]]:
        return [row for rows in self.files(table) for row in rows]

    def column(self, table: str, name: str) -> list[str]:
        at = tables()[table].names.index(name)
        return [row[at] for row in self.rows(table)]


def read(path: Path) -> list[list[str]]:
    lines = gzip.decompress(path.read_bytes()).decode().split("\n")
    assert lines.pop() == ""
    return [line.split("\t") for line in lines]


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Night:
    return Night(tmp_path_factory.mktemp("night1"), 1)


@pytest.fixture(scope="module")
def second(tmp_path_factory: pytest.TempPathFactory) -> Night:
    return Night(tmp_path_factory.mktemp("night2"), 2)


def imported(path: Path) -> list[str]:
    """The full names of what a module of the package imports."""
    root = Path(demo.__file__).parents[2]
    names = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = path.relative_to(root).parts[: -node.level] if node.level else ()
            module = ".".join([*above, *filter(None, [node.module])])
            names += [f"{module}.{alias.name}" for alias in node.names]
    return names


def test_nothing_of_the_updater_is_imported_by_what_judges_it() -> None:
    modules = list(Path(demo.__file__).parent.rglob("*.py"))
    assert len(modules) > 15
    for path in modules:
        ours = [name for name in imported(path) if name.split(".")[0] == "udecdash_updater"]
        assert all(name.startswith("udecdash_updater.demo.") for name in ours), path


def test_the_same_seed_gives_the_same_bytes_whatever_the_hash_seed(first: Night, tmp_path: Path) -> None:
    sizes = [f"--{name}={value}" for name, value in SIZE.items()]
    command = [sys.executable, "-m", "udecdash_updater.demo.university", *sizes, f"--start={START}", "--keys"]
    environment = {**os.environ, "PYTHONHASHSEED": "12345"}
    subprocess.run([*command, f"--out={tmp_path}"], check=True, capture_output=True, env=environment)
    assert contents(tmp_path) == contents(first.folder)


def test_another_seed_gives_another_university(first: Night, tmp_path: Path) -> None:
    other = generate(tmp_path, **{**SIZE, "seed": 4}, start=START)
    assert other["requests"]["kept_ids"]["sha256"] != first.truth["requests"]["kept_ids"]["sha256"]
    assert not {*contents(tmp_path)} & {*contents(first.folder)} - {"truth.json", "dataFiles/schema.json"}


def test_the_schema_is_written_as_the_real_program_writes_it(first: Night) -> None:
    text = (first.folder / "dataFiles" / "schema.json").read_text(encoding="utf-8")
    assert text == schema_json()
    assert text.startswith('{\n  "version": "4.2.6",\n  "schema": {\n    "course": {\n')
    assert text.endswith("}")
    schema = json.loads(text)["schema"]
    assert len(schema) == 100
    assert schema["course"]["tableName"] == "course_dim"
    assert schema["course"]["columns"][5] == {"type": "varchar", "description": "", "name": "name", "length": 256}
    assert [key for key, entry in schema.items() if entry["incremental"]] == ["requests"]


def test_every_table_has_rows_of_as_many_fields_as_the_schema_says(first: Night) -> None:
    schema = json.loads((first.folder / "dataFiles" / "schema.json").read_text(encoding="utf-8"))["schema"]
    for entry in schema.values():
        name = entry["tableName"]
        assert first.names(name), name
        assert all(re.fullmatch(rf"{name}-\d{{5}}-[0-9a-f]{{8}}\.gz", file) for file in first.names(name))
        assert {len(row) for row in first.rows(name)} == {len(entry["columns"])}, name


def test_the_truth_counts_the_rows_that_lie_on_disk(first: Night) -> None:
    assert set(first.truth["tables"]) == set(tables()) - {"requests"}
    for name, entry in first.truth["tables"].items():
        rows = ["\t".join(row) for row in first.rows(name)]
        assert entry["rows"] == len(rows), name
        assert entry["files"] == len(first.names(name)), name
        if "id" in tables()[name].names:
            assert entry["distinct"] == len(set(first.column(name, "id"))) == len(set(rows)), name
        assert entry["expected_loaded"] == entry["rows"] - entry["duplicates"] - entry["filtered"], name
    repeated = [name for name, entry in first.truth["tables"].items() if entry["duplicates"]]
    assert {"course_dim", "user_dim", "module_item_dim"} <= set(repeated)
    deleted = first.column("module_item_dim", "workflow_state").count("deleted")
    assert first.truth["tables"]["module_item_dim"]["filtered"] == deleted > 0


def test_ids_and_canvas_ids_are_there_once(second: Night) -> None:
    for name, table in tables().items():
        if name != "requests" and "canvas_id" in table.names and "id" in table.names:
            pairs = set(zip(second.column(name, "id"), second.column(name, "canvas_id"), strict=True))
            assert len({ident for ident, _ in pairs}) == len({number for _, number in pairs}) == len(pairs), name


def test_texts_stand_where_the_probes_say(first: Night) -> None:
    for probe in first.truth["text_probes"]:
        names = tables()[probe["table"]].names
        found = {row[names.index(probe["column"])] for row in first.rows(probe["table"]) if row[0] == probe["id"]}
        assert found == {probe["raw"]}
        assert escape(probe["text"]) == probe["raw"]


def test_every_nasty_text_is_somewhere(tmp_path: Path) -> None:
    truth = generate(tmp_path, requests=0)
    assert {probe["kind"] for probe in truth["text_probes"]} >= {*NASTY, "paragraphs", "long"}


def test_every_odd_shape_is_planted_and_kept_or_dropped_as_said(first: Night) -> None:
    size = Size(**SIZE, start=START)
    world = World(size, 1)
    plans = odd_plans(world.courses[0], world.courses[1], world.strangers)
    urls = Counter(first.column("requests", "url"))
    for plan in plans:
        assert urls[escape(plan.url)] > 0, plan.shape
    kept = {plan.shape for plan in plans if plan.fate == "kept"}
    assert kept <= set(first.truth["shapes"])
    assert len(kept) > 180
    futures = {"future page", "page whose item comes", "future files", "future quizzes", "future item"}
    assert {*futures, "course nobody knows"} <= set(first.truth["shapes"])


@pytest.mark.parametrize(
    "pattern",
    [
        r"", r"\\\\N", r".*/ping", r".*/ping\?x=1", r".*/ping\\n", r".*/activity_stream/summary", r"/api/v1/.*/ping",
        r".*/quizzes/\d+/submissions/backup\?user_id=5", r".*/submissions/backup\?user_id=abc",
        r".*/files/\+\d+", r".*/files/ \d+", r".*/files/\d+ \?x=1", r".*/files/000\d+", r".*/files/\d+\.0",
        r".*/files/\.5", r".*/files/1e5", r".*/files/\d+x", r".*/files/1_0", r".*/files/20211~\d+",
        r".*/files/\d{20,}", r".*/files/9223372036854775808", r".*/files/-9223372036854775809", r".*/files/0",
        r".*/modules/items/\d{24,}", r".*/modules/items/0", r".*/files/\d+#a", r".*/files/١٢٣",
        r".*/files/\d+/download\?.+", r".*/files/\d+/download", r".*/files/\d+\?next=/download\?x",
        r".*/pages/no-existe", r".*/pages/no-existe-y{400}", r".*/pages/repetida", r".*/pages//x",
        r".*/pages/[^/?]+#a", r".*/pages/introducci%C3%B3n", r".*/pages/guía", r".*/pages/[Ii]nicio",
        r".*/pages/con\\\\barra", r".*/pages/con\\ttab", r".*/pages/cafe\u0301", r"/login\?return_to=.*/pages/.*",
        r"https://.*/files/\d+", r"/login\?to=%2Fcourses.*", r".*/files/\d+\?b=/courses/\d+/files/\d+",
        r".*/external_tools/\d+\?return_url=https://host.*/pages/.*", r".*/pages/[^/?]+\?module_item_id=1",
        r".*/files/\d+\?b=.*/modules/items/\d+", r".*z{3000}.*",
    ],
)  # fmt: skip
def test_a_url_like_this_is_among_the_requests(first: Night, pattern: str) -> None:
    assert any(re.fullmatch(pattern, url) for url in first.column("requests", "url"))


def test_columns_of_requests_hold_what_the_rules_speak_of(first: Night) -> None:
    for name in ("quiz_id", "discussion_id", "assignment_id"):
        assert {"\\N", "0", "7", "-5"} <= set(first.column("requests", name)) | {"7"}, name
    agents = set(first.column("requests", "user_agent"))
    assert {"\\N", "", "iPhone", "mobile safari in lower case", "Opera\\tMini"} <= agents
    fractions = {len(moment) for moment in first.column("requests", "timestamp")}
    assert {19, 21, 23, 24, 26} <= fractions
    users = set(first.column("requests", "user_id")) - set(first.column("user_dim", "id"))
    assert {"5", "-7550111443387852", "\\N"} <= users
    assert any(user.startswith("-") for user in first.column("user_dim", "id"))
    assert max(map(int, first.column("file_dim", "canvas_id"))) > 2**53


def test_rows_are_kept_or_dropped_and_kept_ids_become_one_thing(first: Night, second: Night) -> None:
    for night in (first, second):
        requests, unprocessable = night.truth["requests"], night.truth["unprocessable"]
        dropped = dict(requests["dropped"])
        unknown_course = dropped.pop("unknown_course")
        rows = night.rows("requests")
        ids = {row[0] for row in rows}
        assert requests["rows"] == len(rows) > len(ids) == requests["distinct_ids"]
        assert requests["rows"] == requests["kept_rows"] + sum(dropped.values())
        assert len(ids) == requests["kept_distinct_ids"] + sum(dropped.values())
        became = requests["requests_that_became_interactions"]
        assert requests["kept_distinct_ids"] == became + unprocessable["distinct_ids"] + unknown_course
        free = sum(unprocessable[name] for name in unprocessable if name.startswith("rows_with_"))
        assert free > 2
        assert unprocessable["rows"] == sum(unprocessable["by_label"].values()) + free
        assert dropped["masquerade"] == sum(row[22] != "\\N" for row in rows)
        assert dropped["developer_key"] == sum(row[27] != "\\N" for row in rows)
        assert dropped["no_user"] == sum(row[5] == "\\N" for row in rows)
        assert dropped["no_course"] == sum(row[6] == "\\N" for row in rows)
        known = set(night.column("course_dim", "id")) | {"\\N"}
        repeated = len(rows) - len(ids)
        strange = sum(row[6] not in known and row[22] == row[27] == "\\N" for row in rows)
        assert unknown_course <= strange <= unknown_course + repeated + dropped["trash"]


def test_the_checksums_are_those_of_the_keys_beside_them(first: Night, second: Night) -> None:
    for folder, truth in (
        (first.folder / "keys", first.truth["interactions"]),
        (second.folder / "keys", second.truth["interactions"]),
        (second.folder / "keys-cumulative", second.truth["cumulative"]),
    ):
        days = set()
        for kind in SEVEN:
            lines = ["\t".join(row) for row in read(folder / f"{kind}.tsv.gz")]
            keys = [line.split("\t")[0] for line in lines]
            text = "".join(f"{key}\n" for key in keys).encode()
            must = truth[kind]["must"]
            assert keys == sorted(set(keys), key=str.encode)
            assert (must["count"], must["sha256"]) == (len(keys), hashlib.sha256(text).hexdigest())
            assert must["count"] > 0
            full = "".join(line.replace("\t", "|") + "\n" for line in lines).encode()
            assert truth[kind]["first_row"]["sha256"] == hashlib.sha256(full).hexdigest()
            days |= {(key.split("|")[0], key.split("|")[2], key.split("|")[3][:10]) for key in keys}
        assert truth["course_interactions"]["must"]["count"] == len(days)


def test_ids_and_sums_are_as_the_readme_of_the_dumps_defines_them() -> None:
    ids = Ids()
    texts = ["ff000000-0000-0000-0000-000000000001", "00000000-0000-0000-0000-0000000000ff"]
    for text in texts:
        ids.add(int(text.replace("-", ""), 16))
    halves = [int(hashlib.md5(text.encode()).hexdigest()[:16], 16) for text in texts]
    lines = "".join(f"{text}\n" for text in sorted(texts)).encode()
    expected = {"count": 2, "md5sum64": sum(halves) % 2**64, "sha256": hashlib.sha256(lines).hexdigest()}
    assert ids.figures() == expected
    assert Sums().figures() == {"count": 0, "md5sum64": 0, "sha256": hashlib.sha256(b"").hexdigest()}


def test_two_utc_hours_fall_on_one_local_hour_and_the_first_row_wins(first: Night) -> None:
    hours: dict[tuple[str, str, str], list[tuple[str, str]]] = {}
    for row in first.rows("requests"):
        if row[1][:13] in {"2021-04-04 02", "2021-04-04 03"} and row[22] == row[27] == "\\N":
            hours.setdefault((row[5], row[13], row[1][14:19]), []).append((row[1][:13], row[14]))
    pairs = [sorted(seen) for seen in hours.values() if len({hour for hour, _ in seen}) == 2]
    assert len(pairs) == 6
    local = [line for kind in SEVEN for line in read(first.folder / "keys" / f"{kind}.tsv.gz")]
    planted = [key for key, *rest in local if "|2021-04-03 23:0" in key and key.endswith(":30")]
    assert len(planted) >= 6
    figures = first.truth["interactions"]
    assert sum(figures[kind]["must"]["count"] - figures[kind]["keys_with_one_device"] for kind in SEVEN) >= 6


def test_files_in_load_order_hold_the_days_in_their_order(second: Night) -> None:
    spans = sorted((min(row[1] for row in rows), max(row[1] for row in rows)) for rows in second.files("requests"))
    assert [last for _, last in spans] == sorted(last for _, last in spans)


def test_the_next_night_regroups_regrows_and_keeps_request_files(first: Night, second: Night) -> None:
    old = {name: first.folder / "dataFiles" / "requests" / name for name in first.names("requests")}
    new = {name: second.folder / "dataFiles" / "requests" / name for name in second.names("requests")}
    same = [name for name in old if name in new and old[name].read_bytes() == new[name].read_bytes()]
    regrown = [name for name in old if name in new and name not in same]
    assert len(same) >= 2
    assert len(regrown) == 1
    before, after = read(old[regrown[0]]), read(new[regrown[0]])
    assert len(after) > len(before) > 0
    assert after[: len(before)] == before
    regrouped = [row for name in old if name not in new for row in read(old[name])]
    fresh = [row for name in new if name not in old for row in read(new[name])]
    assert {row[0] for row in regrouped} < {row[0] for row in fresh}
    assert {*map(tuple, first.rows("requests"))} < {*map(tuple, second.rows("requests"))}


def test_the_next_night_changes_adds_and_drops_rows_under_new_names(first: Night, second: Night) -> None:
    seen = Counter[str]()
    for name in first.truth["tables"]:
        assert not set(first.names(name)) & set(second.names(name)), name
        if "id" not in tables()[name].names:
            continue
        before = {row[0]: row for row in first.rows(name)}
        after = {row[0]: row for row in second.rows(name)}
        seen["gone"] += len(before.keys() - after.keys())
        seen["added"] += len(after.keys() - before.keys())
        changed = sum(before[key] != after[key] for key in before.keys() & after.keys())
        seen["changed"] += changed
        assert changed <= len(before) / 20 + 8, name
    assert min(seen["gone"], seen["added"], seen["changed"]) > 10


def test_what_comes_later_resolves_and_what_resolved_once_stays(first: Night, second: Night) -> None:
    cumulative = second.truth["cumulative"]
    before, after = (read_keys(night.folder / "keys") for night in (first, second))
    in_turn = read_keys(second.folder / "keys-cumulative")
    assert before | after == in_turn
    assert before - after, "nothing was lost on the second night"
    late = [key for key in after - before if key.rsplit("|", 1)[1] < "2021-04-09"]  # requests of the first night
    assert len(late) > 5
    assert cumulative["unprocessable_distinct_ids"] < second.truth["unprocessable"]["distinct_ids"]
    assert cumulative["unprocessable_ids"]["count"] == cumulative["unprocessable_distinct_ids"]


def read_keys(folder: Path) -> set[str]:
    return {row[0] for kind in SEVEN for row in read(folder / f"{kind}.tsv.gz")}


def test_a_course_asked_for_before_it_is_there_appears_on_the_next_night(first: Night, second: Night) -> None:
    asked = set(first.column("requests", "course_id")) - {"\\N"}
    unknown, still = (asked - set(night.column("course_dim", "id")) for night in (first, second))
    assert len(unknown) == 2
    assert len(still) == 1
    appeared = unknown - still
    assert any(key.split("|")[0] in appeared for key in read_keys(second.folder / "keys"))
    assert not any(key.split("|")[0] in unknown for key in read_keys(first.folder / "keys"))


def test_states_that_the_enums_lack_and_tables_without_rows_come_on_demand(tmp_path: Path) -> None:
    night = generate(tmp_path, requests=0, odd_states=True, empty=("conference_fact", "wiki_fact"))
    assert night["tables"]["wiki_fact"]["rows"] == night["tables"]["wiki_fact"]["files"] == 0
    assert not (tmp_path / "dataFiles" / "conference_fact").exists()
    text = b"".join(
        gzip.decompress(path.read_bytes())
        for name in ("assignment_dim", "role_dim", "quiz_question_dim")
        for path in (tmp_path / "dataFiles" / name).glob("*.gz")
    )
    for state in (b"failed_to_import", b"fail_to_import", b"\tinactive\t", b"\tError\t"):
        assert state in text


def test_sizes_that_make_no_university_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError, match="at least"):
        generate(tmp_path, courses=1)
    with pytest.raises(ValueError, match="at most"):
        generate(tmp_path, courses=10**6)
    assert main(["--days", "1", "--out", str(tmp_path)]) == 2
    assert "at least" in capsys.readouterr().err
    assert not any(tmp_path.iterdir())
