"""Settings: where they come from, which of them may be blank, and how everything wrong is told at once."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from udecdash_updater import check_site, script, sources
from udecdash_updater.errors import SettingsError
from udecdash_updater.findings import WARNING
from udecdash_updater.language import text
from udecdash_updater.settings import SEED_NAMES, Settings
from udecdash_updater.sources import demonstrate_when_empty, load, load_for_worker

ROOT = Path(__file__).resolve().parents[2]
WHOLE = {
    "DB_HOST": "db.example",
    "DB_PORT": "5433",
    "DB_NAME": "dash",
    "DB_USERNAME": "updater",
    "DB_PASSWORD": "canary-db-password",
    "PATH_DATA_FILES": "/srv/canvas/dataFiles",
    "PATH_CANVAS_CONFIG": "/srv/canvas",
    "SERVER_CANVAS_DATA_CLI_COMMAND_PATH": "/usr/local/bin/canvasDataCli",
}
REDIS = "redis://:canary-redis-password@r.example:6379/0"
# Each malformed value is a canary: it must never be told.
MALFORMED = {
    "DB_PORT": "canary-1",
    "SMTP_PORT": "99999999",
    "NOTIFICATION_EMAILS": "canary-2",
    "FIRST_DATA_UPDATE": "canary-3",
    "CLEAR_DIRECTORIES_BEFORE_DOWNLOAD": "canary-4",
    "ENABLE_DOWNLOAD": "canary-5",
    "FILE_EXTENSION": "canary6",
    "SERVER_SUPERVISORD_COMMAND_PATH": "supervisorctl 'canary-7",
    "PATH_CONCAT": "canary-8",
    "DB_SCHEMA": "canary;9",
    "REDIS_URL": "redis://:canary-10@r.example:many/0",
    "TIME_ZONE": "Chile/canary",
    "MAX_REJECTED_ROWS": "-1111111",
    "MAX_SHRINK_PERCENT": "1012222",
    "DOWNLOAD_ATTEMPTS": "canary-11",
    "DOWNLOAD_TIMEOUT": "canary-12",
    "SUPERVISOR_PROGRAMS": "canary-13 all",
    "SUPERVISOR_TIMEOUT": "canary-14",
    "QUEUE_LIMITS": "3,canary",
    "LOAD_CONNECTIONS": "33333333",
    "INTERACTIONS_TIMEOUT": "canary-15",
    "NOTIFY_ON": "canary-16",
    "LANGUAGE": "canary-17",
    "DB_SSLMODE": "canary-18",
    "SMTP_TLS": "canary-19",
    "SOURCE": "canary-20",
    "DAP_API_URL": "https://canary-21@api.example",
    "DAP_TABLES": "rubrics;canary",
    "DAP_SHARD": "canary-22",
    "DAP_JOBS_PER_MINUTE": "canary-23",
}


@pytest.fixture(autouse=True)
def _no_settings_but_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    known = {name.upper() for name in Settings.model_fields}
    for name in os.environ:
        if name.upper().removesuffix("_FILE") in known:
            monkeypatch.delenv(name)


@pytest.fixture
def given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:  # noqa: ANN401 - a function of the test's own
    """Reads the settings from this environment and this .env; a whole site unless a name is given as None."""

    def read(dot_env: str = "", **environment: str | None) -> Settings:
        for name, value in {**WHOLE, **environment}.items():
            if value is not None:
                monkeypatch.setenv(name, value)
        if dot_env:
            (tmp_path / ".env").write_text(dot_env, encoding="utf-8")
        return load(tmp_path)

    return read


def told(given: Any, dot_env: str = "", **environment: str | None) -> str:  # noqa: ANN401 - as above
    with pytest.raises(SettingsError) as raised:
        given(dot_env, **environment)
    assert raised.value.exit_code == 2
    return str(raised.value)


def test_a_whole_site_is_read_with_every_kind_of_value(given: Any) -> None:  # noqa: ANN401
    found = given(
        ENABLE_DOWNLOAD="yes",
        FIRST_DATA_UPDATE="False",
        FILE_EXTENSION=".TXT",
        NOTIFICATION_EMAILS=f"a@x.cl{os.pathsep}b@x.cl, c@x.cl;d@x.cl",
        QUEUE_LIMITS="5,50",
        FRONTEND_DIR=" /srv/www ",
    )
    assert (found.db_host, found.db_port, found.db_password.get_secret_value()) == (
        "db.example", 5433, "canary-db-password",
    )  # fmt: skip
    assert (found.enable_download, found.first_data_update, found.file_extension) == (True, False, "txt")
    assert found.notification_emails == ("a@x.cl", "b@x.cl", "c@x.cl", "d@x.cl")
    assert (found.queue_limits, found.frontend_dir) == ((5, 50), Path("/srv/www"))


def test_the_environment_wins_over_dot_env_and_blank_means_not_set(given: Any) -> None:  # noqa: ANN401
    found = given("DB_NAME=of-the-file\nDB_USERNAME=of-the-file\nDB_HOST=\nSMTP_HOST=of-the-file\n", DB_USERNAME=" \t")
    assert (found.db_name, found.db_username) == ("dash", "of-the-file")
    assert (found.db_host, found.smtp_host) == ("db.example", "of-the-file")


@pytest.mark.parametrize("value", [None, "", "  \t"])
@pytest.mark.parametrize("name", WHOLE)
def test_what_must_not_be_missing_or_blank_is_told_by_name(given: Any, name: str, value: str | None) -> None:  # noqa: ANN401
    assert re.findall(r"^  - (\w+): is missing or blank", told(given, **{name: value}), re.MULTILINE) == [name]  # type: ignore[arg-type] # a value may be None


@pytest.mark.parametrize("value", ["", "   "])
@pytest.mark.parametrize("name", sorted(set(SEED_NAMES) - set(WHOLE)))
def test_what_may_be_blank_may_be(given: Any, name: str, value: str) -> None:  # noqa: ANN401
    assert given(**{name: value}) == given(**{name: None})


@pytest.mark.parametrize("name", MALFORMED)
def test_what_is_malformed_is_told_by_name_and_never_by_value(given: Any, name: str) -> None:  # noqa: ANN401
    problems = told(given, **{name: MALFORMED[name]})
    assert re.findall(r"^  - (\w+):", problems, re.MULTILINE) == [name]
    assert MALFORMED[name] not in problems
    assert "canary" not in problems


HOSTILE = ("x y'z", "-1", "9" * 5000, "1.5", "~nobody.at.all/x", "[1]", "null", "nan", "\udce9", "a@@", ";", "\x7f://")


@pytest.mark.parametrize("value", HOSTILE, ids=ascii)
def test_whatever_is_wrong_with_any_setting_is_told_in_our_words_in_both_languages(given: Any, value: str) -> None:  # noqa: ANN401
    with pytest.raises(SettingsError) as raised:
        given(**dict.fromkeys(map(str.upper, Settings.model_fields), value))
    english, spanish = (raised.value.told(language).splitlines()[1:] for language in ("en", "es"))
    assert len(english) > len(SEED_NAMES) // 2
    for said, dicho in zip(english, spanish, strict=True):
        assert said.partition(":")[0] == dicho.partition(":")[0]
        assert said != dicho
        assert not re.search("cannot be understood|[Ii]nput|[Pp]attern", said), said


@pytest.mark.parametrize(("manual", "language"), [("README.md", "en"), ("README.es.md", "es")])
def test_the_mistakes_that_the_manual_shows_are_told_in_these_words(given: Any, manual: str, language: str) -> None:  # noqa: ANN401
    with pytest.raises(SettingsError) as raised:
        given(DB_PORT="many", FIRST_DATA_UPDATE="perhaps", PATH_DATA_FILES=None)
    shown = f"{raised.value.full(language)}\n{raised.value.hint(language)}"
    assert shown in (ROOT / manual).read_text(encoding="utf-8")


def test_everything_wrong_is_told_at_once(given: Any, tmp_path: Path) -> None:  # noqa: ANN401
    missing = dict.fromkeys(WHOLE)
    problems = told(given, f"SMTP_PASS_FILE={tmp_path}/none\n", **{**missing, **MALFORMED})
    names = re.findall(r"^  - (\w+):", problems, re.MULTILINE)
    assert sorted(names) == sorted({*WHOLE, *MALFORMED, "SMTP_PASS_FILE"})
    assert "canary" not in problems


def test_a_command_line_is_not_needed_where_nothing_is_downloaded(given: Any) -> None:  # noqa: ANN401
    needed = {"SERVER_CANVAS_DATA_CLI_COMMAND_PATH": None, "PATH_CANVAS_CONFIG": None}
    assert given(ENABLE_DOWNLOAD="False", **needed).path_canvas_config is None
    assert "PATH_CANVAS_CONFIG" in told(given, ENABLE_DOWNLOAD="False", FILE_EXTENSION="txt", **needed)  # type: ignore[arg-type] # None unsets


DAP: dict[str, Any] = {
    "SOURCE": "dap",
    "SERVER_DAP_COMMAND_PATH": "/opt/udecdash/dap/bin/dap",
    "DAP_CLIENT_ID": "us-east-1#id",
    "DAP_CLIENT_SECRET": "canary-dap",
}
NO_CANVAS_DATA_1: dict[str, Any] = {"SERVER_CANVAS_DATA_CLI_COMMAND_PATH": None, "PATH_CANVAS_CONFIG": None}


def test_canvas_data_2_needs_its_client_and_key_and_nothing_of_canvas_data_1(given: Any) -> None:  # noqa: ANN401
    found = given(**DAP, **NO_CANVAS_DATA_1, DAP_TABLES="rubrics, new_quizzes.quizzes", DAP_SHARD="1770")
    assert (found.from_dap, found.dap_shard) == (True, 1770)
    assert found.dap_tables == ("canvas.rubrics", "new_quizzes.quizzes")
    assert "canary-dap" in found.secrets()


@pytest.mark.parametrize("name", sorted(set(DAP) - {"SOURCE"}))
def test_what_canvas_data_2_needs_is_told_where_it_downloads(given: Any, name: str) -> None:  # noqa: ANN401
    lacking = {**DAP, **NO_CANVAS_DATA_1, name: None}
    assert re.findall(r"^  - (\w+): is missing or blank", told(given, **lacking), re.MULTILINE) == [name]
    assert given(**lacking, ENABLE_DOWNLOAD="False").from_dap


def test_canvas_data_2_has_nothing_to_unpack(given: Any) -> None:  # noqa: ANN401
    assert "  - FILE_EXTENSION: must be gz" in told(given, **DAP, FILE_EXTENSION="txt")


def test_a_secret_may_stand_in_a_file_and_what_is_nearer_wins(given: Any, tmp_path: Path) -> None:  # noqa: ANN401
    (tmp_path / "secret").write_text("of-the-file\n", encoding="utf-8")
    in_dot_env = f"DB_PASSWORD_FILE={tmp_path}/secret\n"
    assert given(in_dot_env, DB_PASSWORD=None).db_password.get_secret_value() == "of-the-file"
    assert given(in_dot_env).db_password.get_secret_value() == "canary-db-password"


def test_a_file_in_the_environment_wins_over_a_value_in_dot_env(given: Any, tmp_path: Path) -> None:  # noqa: ANN401
    (tmp_path / "secret").write_text("of-the-file\n", encoding="utf-8")
    found = given("DB_PASSWORD=of-dot-env\n", DB_PASSWORD=None, DB_PASSWORD_FILE=f"{tmp_path}/secret")
    assert found.db_password.get_secret_value() == "of-the-file"


@pytest.mark.parametrize("content", [None, b"", b"\xff\xfe"])
def test_a_secret_file_that_gives_nothing_is_told_once_and_not_as_missing_too(
    given: Any,  # noqa: ANN401
    tmp_path: Path,
    content: bytes | None,
) -> None:
    if content is not None:
        (tmp_path / "secret").write_bytes(content)
    problems = told(given, DB_PASSWORD=None, DB_PASSWORD_FILE=f"{tmp_path}/secret")
    assert re.findall(r"^  - (\w+):", problems, re.MULTILINE) == ["DB_PASSWORD_FILE"]


def test_a_dot_env_that_is_no_text_is_told(given: Any, tmp_path: Path) -> None:  # noqa: ANN401
    (tmp_path / ".env").write_bytes(b"DB_NAME=\xff\xfe\n")
    assert "  - .env: is not a text in UTF-8" in told(given)
    with pytest.raises(SettingsError) as refused:
        load(tmp_path)
    assert refused.value.hint("es").startswith("Guarde el archivo en UTF-8")
    assert not demonstrate_when_empty(tmp_path)


def test_a_dot_env_that_cannot_be_read_is_all_that_is_told_and_how_to_give_it_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "dotenv_values", raising(PermissionError(13, "Permission denied")))
    with pytest.raises(SettingsError) as refused:
        load(tmp_path)
    assert refused.value.problems == (f".env: Permission denied: {tmp_path}/.env",)
    assert f"permiso denegado: {tmp_path}/.env" in refused.value.told("es")
    assert f" {tmp_path}/.env && chmod 600" in refused.value.hint()


def test_a_folder_with_nothing_in_it_is_told_as_such(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.lower() in Settings.model_fields]:
        monkeypatch.delenv(name)
    with pytest.raises(SettingsError) as refused:
        load(tmp_path)
    assert refused.value.hint("es").startswith(f"No hay main.py ni .env en {tmp_path}")
    (tmp_path / ".env").write_text("DB_HOST=x\n")
    with pytest.raises(SettingsError) as refused:
        load(tmp_path)
    assert refused.value.hint() == SettingsError.default_hint


def raising(error: Exception) -> Callable[..., Any]:
    def function(*_: object) -> Any:  # noqa: ANN401 - never returns
        raise error

    return function


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_dot_env_of_somebody_else_is_told(given: Any, tmp_path: Path) -> None:  # noqa: ANN401
    (tmp_path / ".env").write_text("DB_NAME=x\n")
    (tmp_path / ".env").chmod(0)
    assert "  - .env: Permission denied" in told(given)
    assert not demonstrate_when_empty(tmp_path)


def test_an_account_without_a_home_can_run_and_a_tilde_is_told(given: Any, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: ANN401
    def unknown(path: Path) -> Path:
        if str(path).startswith("~"):
            raise RuntimeError("Could not determine home directory.")
        return path

    monkeypatch.setattr(Path, "expanduser", unknown)
    assert given(UDECDASH_HOME=None).udecdash_home == Path("/nonexistent/udecdash-updater")
    assert "  - FRONTEND_DIR: must be a path" in told(given, FRONTEND_DIR="~/www", UDECDASH_HOME=None)


@pytest.mark.parametrize(
    ("given_language", "understood"),
    [
        ("en", "en"),
        ("es", "es"),
        ("en_US:en", "en"),
        ("es_CL.UTF-8:es:en", "es"),
        ("pt_BR:pt:en", "en"),
        ("de_DE", "es"),
    ],
)
def test_the_systems_own_language_variable_is_understood(given: Any, given_language: str, understood: str) -> None:  # noqa: ANN401
    assert given(LANGUAGE=given_language).language == understood


@pytest.mark.parametrize(
    "url",
    ["redis://r/0", "rediss://u:p@r:6379/1", "unix:///run/redis.sock?db=2", "unix://:p@/run/redis.sock", "Embedded "],
)
def test_every_kind_of_redis_url_is_taken(given: Any, url: str) -> None:  # noqa: ANN401
    assert given(REDIS_URL=url).embedded_redis == (url == "Embedded ")


@pytest.mark.parametrize(
    "url", ["redis:", "redis://", "http://r/0", "unix://?db=1", "redis://r/0?db=x", "redis://r:0x1/0"]
)
def test_a_redis_url_that_cannot_be_used_is_told(given: Any, url: str) -> None:  # noqa: ANN401
    assert "REDIS_URL: must be" in told(given, REDIS_URL=url)


@pytest.mark.parametrize(
    ("url", "secret"),
    [
        (REDIS, "canary-redis-password"),
        ("redis://:c%40nary@r/0", "c@nary"),
        ("unix:///run/r.sock?password=c%40nary&db=1", "c@nary"),
    ],
)
def test_secrets_print_as_stars_and_are_known_to_the_mask(given: Any, url: str, secret: str) -> None:  # noqa: ANN401
    found = given(REDIS_URL=url, SMTP_PASS="canary-smtp", SERVER_SUDO_PASSWORD="canary-sudo")
    assert "nary" not in f"{found!r} {found}"
    assert {"canary-db-password", "canary-smtp", "canary-sudo", secret} <= set(found.secrets())


def test_a_worker_needs_the_database_alone_and_reads_dot_env_of_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SettingsError) as raised:
        load_for_worker()
    assert re.findall(r"- (\w+):", str(raised.value)) == ["DB_HOST", "DB_PORT", "DB_NAME", "DB_USERNAME"]
    (tmp_path / ".env").write_text("".join(f"{name}={value}\n" for name, value in WHOLE.items()))
    assert load_for_worker().db_name == "dash"


@pytest.mark.parametrize("name", [*SEED_NAMES, "REDIS_URL", "DB_PASSWORD_FILE"])
def test_one_filled_in_setting_is_enough_to_mean_a_real_site(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, "something")
    assert not demonstrate_when_empty(tmp_path)
    monkeypatch.setenv(name, "  ")
    monkeypatch.setenv("DB_HOST", os.environ.get("DB_HOST", ""))  # so that they are put back
    monkeypatch.setenv("REDIS_URL", os.environ.get("REDIS_URL", ""))
    (tmp_path / ".env").write_text(f"{name}=something\n")
    assert not demonstrate_when_empty(tmp_path)
    (tmp_path / ".env").unlink()
    assert demonstrate_when_empty(tmp_path)
    assert (os.environ["DB_HOST"], os.environ["REDIS_URL"]) == ("embedded", "embedded")


def test_the_template_names_every_setting_of_the_seed_in_its_order() -> None:
    text = (ROOT / "main_example.py").read_text(encoding="utf-8")
    assert tuple(re.findall(r'^    "([A-Z_]+)":', text, re.MULTILINE)) == SEED_NAMES


def test_a_name_that_is_nearly_a_setting_is_warned_of_by_name_alone(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("MAX_REJECT_ROWS=canary-1\nCD_API_KEY=canary-2\nDB_HOST=x\n", encoding="utf-8")
    (tmp_path / "main.py").write_text('VALUES = {"FRONT_END_DIR": "canary-3", "MINE": "y"}\n', encoding="utf-8")
    [found] = check_site.settings_are_usable(Settings(), tmp_path)
    assert found.outcome == WARNING
    assert str(found.told).endswith("it does nothing: FRONT_END_DIR, MAX_REJECT_ROWS")
    assert text(found.hint, "es").startswith("¿Quiso decir FRONTEND_DIR, MAX_REJECTED_ROWS?")


@pytest.mark.parametrize("name", [name.upper() for name in Settings.model_fields])
def test_commands_see_every_setting_of_main_py(tmp_path: Path, name: str) -> None:
    (tmp_path / "main.py").write_text(f"VALUES = {{{name!r}: 'x'}}\n", encoding="utf-8")
    assert script.read(tmp_path) == script.Script({name: "x"})
