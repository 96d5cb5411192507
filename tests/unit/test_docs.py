"""What README.md, ARCHITECTURE.md and CHANGELOG.md say is what the code has."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from udecdash_updater import cli, config, errors
from udecdash_updater.settings import SEED_NAMES, Settings
from udecdash_updater.stages import STAGES
from udecdash_updater.version import VERSION

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "udecdash_updater"
DOCUMENTS = ("README.md", "README.es.md", "ARCHITECTURE.md", "CHANGELOG.md", "supervisord_config/README.md")
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


def text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def section(document: str, title: str) -> str:
    found = re.search(rf"^(#+) {re.escape(title)}\n(.*?)(?=^#{{1,6}} |\Z)", document, re.MULTILINE | re.DOTALL)
    assert found, f"there is no section {title!r}"
    return found[2]


def table(part: str) -> list[list[str]]:
    """The cells of a section's table, without its head."""
    lines = [line for line in part.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines[2:]]


def first_cells(manual: str, title: str) -> list[str]:
    """What the rows of a section's table are about."""
    return [row[0].strip("`") for row in table(section(text(manual), title))]


def settings_table() -> dict[str, list[str]]:
    return {row[0].strip("`"): row for row in table(section(text("README.md"), "Every setting"))}


def error_classes() -> list[type[errors.UpdaterError]]:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type)]
    return [kind for kind in kinds if issubclass(kind, errors.UpdaterError)]


def anchors(document: str) -> set[str]:
    """The names that GitHub gives to a document's headings."""
    titles = re.findall(r"^#+ (.*)$", document, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.strip().lower()).replace(" ", "-") for title in titles}


# The English manual is README.md, the Spanish one README.es.md: what must stand in one must stand in both.
@pytest.mark.parametrize(("manual", "title"), [("README.md", "Every setting"), ("README.es.md", "Todas las variables")])
def test_every_setting_stands_in_the_table_once_and_no_other(manual: str, title: str) -> None:
    rows = first_cells(manual, title)
    assert sorted(rows) == sorted(name.upper() for name in Settings.model_fields)
    assert tuple(rows[: len(SEED_NAMES)]) == SEED_NAMES


@pytest.mark.parametrize("name", sorted(Settings.model_fields))
def test_the_table_tells_the_default_that_the_code_has(name: str) -> None:
    told = settings_table()[name.upper()][1].strip("`")
    if name == "db_port":  # has one in the code, for embedded servers; a site must fill it in
        assert told == ""
        return
    default = Settings.model_fields[name].get_default(call_default_factory=True)
    if name == "udecdash_home":
        assert str(default).endswith(told.removeprefix("~/.local/share"))
        return
    value = getattr(default, "get_secret_value", lambda: default)()
    assert told == (",".join(map(str, value)) if isinstance(value, tuple) else str("" if value is None else value))


def test_every_setting_says_what_it_is_and_whether_it_may_be_blank() -> None:
    for name, row in settings_table().items():
        assert len(row) == 4, name
        assert row[2], name
        assert re.match("yes|no|only", row[3]), name


def test_both_manuals_tell_the_same_defaults() -> None:
    spanish = {row[0].strip("`"): row for row in table(section(text("README.es.md"), "Todas las variables"))}
    assert {name: row[1] for name, row in spanish.items()} == {name: row[1] for name, row in settings_table().items()}
    for name, row in spanish.items():
        assert len(row) == 4, name
        assert row[2], name
        assert re.match("sí|no|solo", row[3]), name


@pytest.mark.parametrize(
    ("manual", "title"), [("README.md", "When something fails"), ("README.es.md", "Cuando algo falla")]
)
def test_every_exit_code_stands_in_its_table(manual: str, title: str) -> None:
    codes = {kind.exit_code for kind in error_classes()} | {errors.EXIT_DONE, errors.EXIT_WARNINGS}
    assert sorted(map(int, first_cells(manual, title))) == sorted(codes)


@pytest.mark.parametrize(("manual", "title"), [("README.md", "Commands"), ("README.es.md", "Comandos")])
def test_every_command_stands_in_its_table(manual: str, title: str) -> None:
    assert sorted(first_cells(manual, title)) == sorted(cli.main.commands)


def commands(group: click.Group, *above: str) -> Iterator[tuple[str, click.Command]]:
    """Every command with its whole name, groups left out."""
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, *above, name)
        else:
            yield " ".join([*above, name]), command


@pytest.mark.parametrize(
    ("manual", "begin", "end"),
    [("README.md", "## Commands", "## Every setting"), ("README.es.md", "## Comandos", "## Todas las variables")],
)
def test_every_command_and_option_stands_in_the_manuals_and_has_help(manual: str, begin: str, end: str) -> None:
    told = text(manual).partition(begin)[2].partition(end)[0]
    for name, command in commands(cli.main):
        assert name in told or name.rpartition(" ")[2] in told, name
        assert command.help, name
        for option in [p for p in command.params if isinstance(p, click.Option)]:
            assert option.opts[0] in told, f"{name} {option.opts[0]}"
            assert option.help, f"{name} {option.opts[0]}"


def test_the_sample_has_every_setting_once_with_the_default_of_the_manual() -> None:
    given = re.findall(r"^(?:# )?([A-Z_]+)=(.*)$", config.sample(), re.MULTILINE)
    assert sorted(name for name, _ in given) == sorted(name.upper() for name in Settings.model_fields)
    defaults = {name: row[1].strip("`") for name, row in settings_table().items()} | {"DB_PORT": "5432"}
    assert dict(given) == defaults


@pytest.mark.parametrize(
    ("manual", "title", "language"),
    [("README.md", "Troubleshooting", "en"), ("README.es.md", "Problemas según su mensaje", "es")],
)
def test_every_error_stands_among_the_troubles_by_its_own_sentence(manual: str, title: str, language: str) -> None:
    told = first_cells(manual, title)
    sentences = [kind.spanish if language == "es" else (kind.__doc__ or "").splitlines()[0] for kind in error_classes()]
    assert sorted(told) == sorted(sentences)
    assert all(all(row) for row in table(section(text(manual), title)))


TERMS = ["run", "stage", "dump", "manifest", "staging", "publish", "reconcile", "reject", "ledger", "heartbeat"]


def test_both_glossaries_have_every_term_of_the_field() -> None:
    assert first_cells("README.md", "Glossary") == TERMS
    spanish = [re.findall(r"\*(\w+)\*", cell) for cell in first_cells("README.es.md", "Glosario")]
    assert spanish == [[term] for term in TERMS]


@pytest.mark.parametrize("language", ["crontab", "ini", "js"])
def test_both_manuals_show_the_same_files(language: str) -> None:
    shown = [
        re.findall(rf"^```{language}\n(.*?)^```$", text(manual), re.MULTILINE | re.DOTALL)
        for manual in ("README.md", "README.es.md")
    ]
    assert shown[0] == shown[1]


def test_the_template_has_every_seed_name_in_its_order_and_all_blank() -> None:
    assigned = [node.value for node in ast.parse(text("main_example.py")).body if isinstance(node, ast.Assign)]
    values = next(value for value in assigned if isinstance(value, ast.Dict))
    assert tuple(ast.literal_eval(name) for name in values.keys if name) == SEED_NAMES
    assert {ast.unparse(value) for value in values.values} == {"''", "os.pathsep.join([])"}


def test_every_make_target_that_is_named_exists() -> None:
    targets = set(re.findall(r"^([a-z]+):", text("Makefile"), re.MULTILINE))
    named = {target for name in DOCUMENTS for target in re.findall(r"`make ([a-z]+)`", text(name))}
    assert {"demo", "test"} <= named <= targets


@pytest.mark.parametrize(
    ("manual", "title"), [("README.md", "Try it: two commands"), ("README.es.md", "Pruébelo: dos comandos")]
)
def test_the_lines_without_make_do_what_make_does(manual: str, title: str) -> None:
    makefile, beside = text("Makefile"), section(text(manual), title)
    for command in re.findall(r"^\t\$\(BIN\)/(\S+.*)$", makefile, re.MULTILINE):
        plain = command.replace("--quiet --disable-pip-version-check ", "")
        assert f"`.venv/bin/{plain}`" in beside, command


def test_ci_runs_the_test_command_of_the_readme() -> None:
    assert re.search(r"^exec make test$", text(".ci/run"), re.MULTILINE)


def test_the_changelog_begins_with_this_version() -> None:
    versions = re.findall(r"^## \[([^\]]+)\]", text("CHANGELOG.md"), re.MULTILINE)
    assert versions[0] == VERSION


def test_the_tarball_that_is_named_is_that_of_this_version() -> None:
    assert set(re.findall(r"udecdash\*data\*updater-([\d.]+)\.tar\.gz", text("README.md"))) == {VERSION}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_links_to_files_and_headings_lead_somewhere(name: str) -> None:
    for link in _LINK.findall(text(name)):
        if link.startswith("http"):
            continue
        path, _, anchor = link.partition("#")
        target = (ROOT / name).parent / path if path else ROOT / name
        assert target.exists(), link
        if anchor:
            assert anchor in anchors(target.read_text(encoding="utf-8")), link


def test_every_module_has_its_line_in_the_architecture() -> None:
    rooms = section(text("ARCHITECTURE.md"), "The rooms")
    named = set(re.findall(r"^\| `(\w+)` \|", rooms, re.MULTILINE))
    modules = {path.stem for path in PACKAGE.glob("*.py")} - {"__init__", "__main__"}
    assert named - {"demo"} == modules


def test_the_rooms_stand_in_the_order_of_their_imports() -> None:
    order = re.findall(r"^\| `(\w+)` \|", section(text("ARCHITECTURE.md"), "The rooms"), re.MULTILINE)
    for path in PACKAGE.glob("*.py"):
        if path.stem not in order:
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        froms = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module]
        for node in froms:
            module = (node.module or "").removeprefix("udecdash_updater.")
            used = [alias.name for alias in node.names] if node.module == "udecdash_updater" else [module]
            for name in set(used) & set(order):
                assert order.index(name) > order.index(path.stem), f"{path.stem} imports {name}"


def test_every_stage_has_its_line_in_the_architecture() -> None:
    rows = [row[0] for row in table(section(text("ARCHITECTURE.md"), "A night"))]
    assert rows == [stage.name for stage in STAGES]


def test_every_dependency_has_its_reason_in_the_architecture() -> None:
    lines = text("requirements.txt").splitlines()
    needed = {re.split("[<>=]", line)[0] for line in lines if line and not line.startswith("#")}
    embedded = re.search(r"^embedded = \[(.*)\]$", text("pyproject.toml"), re.MULTILINE)
    assert embedded
    needed |= {re.split("[<>=]", name)[0] for name in re.findall(r'"([^"]+)"', embedded[1])}
    rows = {row[0].strip("`") for row in table(section(text("ARCHITECTURE.md"), "Dependencies"))}
    assert needed <= rows
