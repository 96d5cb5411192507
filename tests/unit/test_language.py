"""The words of check, status, report and the other commands are there in Spanish and English, and fit their use."""

from __future__ import annotations

import ast
import configparser
import importlib
import re
from collections.abc import Collection, Iterator
from pathlib import Path
from string import Formatter

import pytest

from udecdash_updater import config, errors, language, terminal
from udecdash_updater.findings import failed, nagios
from udecdash_updater.language import LANGUAGES, say
from udecdash_updater.sources import language as language_of

PACKAGE = Path(language.__file__).parent
_SPEAKER = re.compile(r"(say|voice|Voice\(.*\))$")
FILES = sorted(PACKAGE.glob("templates/words_*.ini"))


def places(sentence: str) -> set[tuple[str, str]]:
    """The values that are filled in and how; what is chosen by a number may differ between languages."""
    parts = [(name, kind or "") for _, name, kind, _ in Formatter().parse(sentence) if name]
    return {(name, kind) for name, kind in parts if not kind.startswith("one|")}


def trees() -> Iterator[ast.AST]:
    for path in PACKAGE.glob("*.py"):
        yield from ast.walk(ast.parse(path.read_text(encoding="utf-8")))


def keys_in_the_code() -> Iterator[tuple[str, set[str] | None]]:
    """Every key that the code says, and the names of the values it gives, None where they come in a dictionary."""
    for node in trees():
        if isinstance(node, ast.Call) and node.args and _SPEAKER.match(ast.unparse(node.func)):
            first = node.args[0]
            for part in (first.body, first.orelse) if isinstance(first, ast.IfExp) else (first,):
                if isinstance(part, ast.Constant):
                    given = {word.arg for word in node.keywords if word.arg}
                    yield str(part.value), None if any(word.arg is None for word in node.keywords) else given


def test_every_sentence_is_there_once_in_each_language_with_the_same_places() -> None:
    seen: list[str] = []
    for path in FILES:
        parser = configparser.ConfigParser(interpolation=None)
        parser.read(path, encoding="utf-8")
        seen += parser.sections()
        for key in parser.sections():
            assert set(parser[key]) == set(LANGUAGES), key
            assert all(parser[key].values()), key
            assert places(parser[key]["es"]) == places(parser[key]["en"]), key
    assert len(seen) == len(set(seen))
    assert set(seen) == set(language.catalogue())


def test_every_sentence_that_the_code_says_has_its_words_and_gets_its_values() -> None:
    named = list(keys_in_the_code())
    assert len(named) > 100
    for key, given in named:
        wanted = {name for name, _ in places(language.catalogue()[key]["en"])}
        assert given is None or wanted == given, key
    strings = {node.value for node in trees() if isinstance(node, ast.Constant)}
    assert {
        key for key in language.catalogue() if key not in strings and not key.startswith(("outcome ", "os "))
    } == set()


def test_every_mistake_in_a_setting_is_told_by_words_that_are_there_in_both_languages() -> None:
    told = []
    for name in ("fields.py", "sources.py"):
        for node in ast.walk(ast.parse((PACKAGE / name).read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in ("ValueError", "_wrong"):
                told.append(ast.unparse(node.args[-1]))
    assert len(told) > 20
    assert [one for one in told if not re.match(r"""say\(|_why\(|f['"]\{error.strerror\}""", one)] == []


def every_error(kind: type[errors.UpdaterError] = errors.UpdaterError) -> Iterator[type[errors.UpdaterError]]:
    """Every class of errors in the package, wherever it stands."""
    for path in PACKAGE.glob("[a-z]*.py"):
        importlib.import_module(f"{PACKAGE.name}.{path.stem}")
    yield kind
    for below in kind.__subclasses__():
        yield from every_error(below)


def _in_english_alone(node: ast.AST, names: Collection[str]) -> list[str]:
    """What a call that raises, logs or warns says without asking for its words; texts of names and places may stay."""
    if not isinstance(node, ast.Call):
        return []
    function = ast.unparse(node.func)
    if function in names:
        given = [*node.args[:1], *(word.value for word in node.keywords if word.arg == "hint")]
    elif re.match(r"LOGGER\.(info|warning|error)$|night\.warn$", function):
        given = node.args[:1]
    else:
        return []
    parts = [part for one in given for part in (one.elts if isinstance(one, ast.List) else [one])]
    return [f"{node.lineno}: {ast.unparse(one)}" for one in parts if re.search("[a-z]{3}", _literal(one))]


@pytest.mark.parametrize("path", sorted(PACKAGE.glob("*.py")), ids=lambda path: path.stem)
def test_errors_warnings_and_the_log_are_told_by_words_and_not_in_english_alone(path: Path) -> None:
    names = {kind.__name__ for kind in every_error()}
    nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    assert [one for node in nodes for one in _in_english_alone(node, names)] == []


def test_every_error_has_its_sentence_and_its_hint_in_both_languages() -> None:
    kinds = set(every_error())
    assert {"DapError", "StoppedError"} <= {kind.__name__ for kind in kinds}
    for kind in kinds - {errors.UpdaterError}:
        own = vars(kind)
        [above] = kind.__bases__
        assert issubclass(above, errors.UpdaterError)
        assert kind.sentence_of("en") == above.sentence_of("en") or own.get("spanish"), (
            f"{kind} has no Spanish sentence of its own"
        )
        assert ("default_hint" in own) == ("default_hint_es" in own), f"{kind} has its hint in one language"


def _literal(node: ast.AST) -> str:
    """What stands in a text itself, without what is filled in; nothing where it is no text."""
    parts = node.values if isinstance(node, ast.JoinedStr) else [node]
    return "".join(str(part.value) for part in parts if isinstance(part, ast.Constant))


def test_where_a_setting_comes_from_is_told_in_spanish_too(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.show_settings([config.Shown("DB_HOST", "x", "environment"), config.Shown("DB_PORT", "1", "default")], "es")
    shown = capsys.readouterr().out
    assert "entorno" in shown
    assert "por omisión" in shown


def test_numbers_are_written_as_the_language_writes_them() -> None:
    told = say("dump there", files=1234, tables=73, bytes=1_234_000_000, age=3725)
    assert str(told) == "1,234 files of 73 tables, 1.2 GB, downloaded 1 h 2 min ago"
    assert told.text("es") == "1.234 archivos de 73 tablas, 1,2 GB, descargado hace 1 h 2 min"


def test_one_thing_is_told_as_one_thing() -> None:
    one, many = (say("courses", count=count) for count in (1, 1200))
    assert (str(one), one.text("es")) == ("1 course is not done", "1 curso no está al día")
    assert (str(many), many.text("es")) == ("1,200 courses are not done", "1.200 cursos no están al día")


def test_a_failure_and_its_hint_are_told_in_both_languages() -> None:
    error = errors.WorkersError(say("sudo missing"), hint=say("sudo install"))
    found = failed("sudo", error)
    assert nagios([found], "es")[0].startswith("UDECDASH CRITICAL - sudo: SERVER_SUDO_PASSWORD está puesta")
    assert language.text(found.hint, "es") == "Instale sudo, o deje SERVER_SUDO_PASSWORD en blanco."
    assert error.full("es").startswith(f"{errors.WorkersError.spanish} SERVER_SUDO_PASSWORD está puesta")
    assert str(error) == error.full("en")
    silent = failed("sudo", errors.WorkersError())
    assert language.text(silent.told, "es") == errors.WorkersError.spanish


@pytest.mark.parametrize(
    ("given", "spoken"), [("en", "en"), ("es", "es"), ("tlh", "es"), ("", "es"), ("en_US:en", "en")]
)
def test_the_language_is_known_even_where_the_settings_are_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: str, spoken: str
) -> None:
    monkeypatch.delenv("LANGUAGE", raising=False)
    (tmp_path / ".env").write_text(f"DB_PORT=many\nLANGUAGE={given}\n", encoding="utf-8")
    assert language_of(tmp_path) == spoken


def test_the_language_is_known_when_the_environment_holds_mistakes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DB_PORT", "many")
    monkeypatch.setenv("LANGUAGE", "en")
    assert language_of(tmp_path) == "en"
